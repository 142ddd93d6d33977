//! Turns a body as a platform sends it into canonical records, by data: a folder
//! with `adapter.toml`, `mapping.jinja`, samples and what they must become.
//!
//! Promises: one bad record is one reject, the batch goes on; a hostile body or
//! mapping is bounded in time, depth and size; no error text holds a value of a
//! record. Every adapter can be shared between threads.
//! Does not: read meaning into text (`domain::normalize`), keep anything, know
//! which platform sends the body, or do I/O other than reading its own folder.
//! Start at: [`Adapters`] and [`Adapter::read`]; `adapters/README.md` is the
//! manual of the mapping language.

mod body;
mod builtin;
mod canonical;
mod date;
mod folder;
mod language;
mod manifest;
mod program;
mod records;
mod text;
mod trial;

pub use body::BodyError;
pub use builtin::Adapters;
pub use folder::{Folder, Problem, Sample};
pub use manifest::Format;
pub use records::{Outcome, Record, Records};
pub use trial::{SkippedRecord, TriedReject, TryReport, try_adapter};

use manifest::Manifest;
use program::Program;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// A format that bodies come in, and how its records become postings.
#[derive(Debug)]
pub struct Adapter {
    manifest: Manifest,
    /// None: the records are canonical as they are.
    program: Option<Program>,
    samples: Vec<Sample>,
    /// Where it was read from, for messages.
    origin: String,
    fingerprint: [u8; 32],
}

impl Adapter {
    /// Reads and compiles an adapter's files. Every problem is told at once.
    pub fn load(folder: &Folder) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let manifest = Manifest::parse(folder).map_err(|problem| vec![problem])?;
        let program = match (folder.text("mapping.jinja"), manifest.passthrough) {
            (None, true) => None,
            (Some(Ok(source)), false) => match Program::compile(&manifest.name, folder.origin(), source, &manifest.lookup) {
                Ok(program) => Some(program),
                Err(found) => {
                    problems.extend(found);
                    None
                }
            },
            (Some(Err(problem)), false) => {
                problems.push(problem);
                None
            }
            (None, false) => {
                problems.push(folder.problem("mapping.jinja", "is missing; `passthrough = true` says that none is needed"));
                None
            }
            (Some(_), true) => {
                problems.push(folder.problem("mapping.jinja", "stands beside `passthrough = true`: take one away"));
                None
            }
        };
        let samples = match folder.samples() {
            Ok(samples) => samples,
            Err(found) => {
                problems.extend(found);
                Vec::new()
            }
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut hash = Sha256::new();
        for text in ["adapter.toml", "mapping.jinja"].iter().filter_map(|path| folder.text(path)?.ok()) {
            hash.update(text);
            hash.update([0]);
        }
        Ok(Self { manifest, program, samples, origin: folder.origin().to_owned(), fingerprint: hash.finalize().into() })
    }

    /// The name it is chosen by, such as `schema-org`.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// What it reads, in one sentence.
    pub fn title(&self) -> &str {
        &self.manifest.title
    }

    /// The form that a body has when nothing else is known.
    pub fn format(&self) -> Format {
        self.manifest.format
    }

    /// Every form it reads, the usual one first.
    pub fn formats(&self) -> impl Iterator<Item = Format> + '_ {
        std::iter::once(self.manifest.format).chain(self.manifest.also.iter().copied())
    }

    /// The content types of those forms.
    pub fn content_types(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.formats().flat_map(|format| format.content_types().iter().copied())
    }

    /// The form that this content type names, where the adapter reads it.
    /// Parameters such as `charset` are not looked at.
    pub fn format_of(&self, content_type: &str) -> Option<Format> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.formats().find(|format| format.matches(&essence))
    }

    /// The bodies it ships with.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Splits a body into records and maps each; tells by the first bytes which
    /// of its formats the body is in. `Err` only if nothing in it can be read.
    pub fn read<'a>(&'a self, body: &'a [u8]) -> Result<Records<'a>, BodyError> {
        let formats: Vec<Format> = self.formats().collect();
        self.read_as(body::sniff(body, &formats), body)
    }

    /// [`Adapter::read`] for a body whose format is known, from its content type
    /// ([`Adapter::format_of`]) or its file name.
    pub fn read_as<'a>(&'a self, format: Format, body: &'a [u8]) -> Result<Records<'a>, BodyError> {
        let sources = body::Sources::open(format, body, &self.manifest)?;
        Ok(Records::new(sources, self.program.as_ref(), &self.manifest.name))
    }

    /// How many records a body has, good or bad, without mapping them.
    pub fn count(&self, body: &[u8]) -> Result<usize, BodyError> {
        let formats: Vec<Format> = self.formats().collect();
        self.count_as(body::sniff(body, &formats), body)
    }

    /// [`Adapter::count`] for a body whose format is known.
    pub fn count_as(&self, format: Format, body: &[u8]) -> Result<usize, BodyError> {
        let mut sources = body::Sources::open(format, body, &self.manifest)?;
        let mut n = 0;
        while sources.next().is_some() {
            n += 1;
        }
        Ok(n)
    }

    /// Where the next page begins, as the body of a pull says it.
    pub fn cursor(&self, body: &[u8]) -> Option<String> {
        let pointer = self.manifest.cursor.as_deref()?;
        let text: Cow<'_, str> = body::decode(body, self.manifest.encoding).ok()?;
        let found = body::json::locate(&text, pointer).ok().flatten()?;
        match serde_json::from_str(found).ok()? {
            serde_json::Value::String(text) if !text.is_empty() => Some(text),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Of its rules: while it stays, the same body becomes the same postings.
    pub fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }
}

#[cfg(test)]
mod tests;
