//! An adapter's files, from the binary or from a directory, and what can be
//! wrong with them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// No file of an adapter is larger; a sample that is shows nothing a smaller one does not.
const MAX_FILE: u64 = 16 << 20;

/// What is wrong with an adapter, for the person who writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `adapters/meituan/mapping.jinja`.
    pub file: String,
    /// From 1.
    pub line: Option<usize>,
    /// The key of the file or the canonical field that is at fault.
    pub field: Option<String>,
    pub detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match &self.field {
            Some(field) => write!(f, ": `{field}` {}", self.detail),
            None => write!(f, ": {}", self.detail),
        }
    }
}

/// A body as it is sent, and what it must become.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The file's name, `batch.json`.
    pub name: String,
    pub body: Cow<'static, [u8]>,
    /// The text of `expected/`, where there is one.
    pub expected: Option<String>,
}

/// The files of one adapter by their path in its folder.
#[derive(Clone, Debug)]
pub struct Folder {
    name: Option<String>,
    origin: String,
    files: BTreeMap<String, Cow<'static, [u8]>>,
}

impl Folder {
    /// Files that are compiled in: `adapters/NAME`.
    pub fn compiled(name: &str, files: impl IntoIterator<Item = (String, &'static [u8])>) -> Self {
        Self {
            name: Some(name.to_owned()),
            origin: format!("adapters/{name}"),
            files: files.into_iter().map(|(path, bytes)| (path, Cow::Borrowed(bytes))).collect(),
        }
    }

    /// Files given as text, for an adapter that is in no folder.
    pub fn texts(origin: &str, files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), Cow::Owned(text.as_bytes().to_vec())));
        Self { name: None, origin: origin.to_owned(), files: files.collect() }
    }

    /// Reads a directory, `samples` and `expected` with it.
    pub fn read(dir: &Path) -> Result<Self, Problem> {
        // `.` has no name of its own; the canonical path does.
        let real = dir.canonicalize().map_err(|error| io_problem(dir, &error))?;
        let mut folder = Self {
            name: real.file_name().map(|name| name.to_string_lossy().into_owned()),
            origin: dir.display().to_string(),
            files: BTreeMap::new(),
        };
        for name in ["adapter.toml", "mapping.jinja"] {
            folder.take(&dir.join(name), name.to_owned())?;
        }
        for sub in ["samples", "expected"] {
            let inner = dir.join(sub);
            if !inner.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(&inner).map_err(|error| io_problem(&inner, &error))? {
                let entry = entry.map_err(|error| io_problem(&inner, &error))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if !name.starts_with('.') && entry.path().is_file() {
                    folder.take(&entry.path(), format!("{sub}/{name}"))?;
                }
            }
        }
        Ok(folder)
    }

    fn take(&mut self, path: &Path, name: String) -> Result<(), Problem> {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_problem(path, &error)),
            Ok(found) if found.len() > MAX_FILE => {
                return Err(self.problem(&name, "is larger than 16 MiB"));
            }
            Ok(_) => {}
        }
        let bytes = std::fs::read(path).map_err(|error| io_problem(path, &error))?;
        self.files.insert(name, Cow::Owned(bytes));
        Ok(())
    }

    /// The folder's own name, where it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it was read from, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// A file's text.
    pub fn text(&self, path: &str) -> Option<Result<&str, Problem>> {
        self.files.get(path).map(|bytes| std::str::from_utf8(bytes).map_err(|_| self.problem(path, "is not UTF-8")))
    }

    /// Every sample with what it must become.
    pub fn samples(&self) -> Result<Vec<Sample>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut samples: Vec<Sample> = Vec::new();
        for (path, body) in &self.files {
            let Some(name) = path.strip_prefix("samples/") else {
                continue;
            };
            if samples.iter().any(|other| stem(&other.name) == stem(name)) {
                problems.push(self.problem(path, "has the name of another sample: they differ by extension only"));
            }
            let expected = match self.text(&format!("expected/{}.json", stem(name))) {
                Some(Err(problem)) => {
                    problems.push(problem);
                    None
                }
                Some(Ok(text)) => Some(text.to_owned()),
                None => None,
            };
            samples.push(Sample { name: name.to_owned(), body: body.clone(), expected });
        }
        for path in self.files.keys() {
            let Some(name) = path.strip_prefix("expected/") else {
                continue;
            };
            if !samples.iter().any(|sample| stem(&sample.name) == stem(name)) {
                problems.push(self.problem(path, "belongs to no sample"));
            }
        }
        if problems.is_empty() { Ok(samples) } else { Err(problems) }
    }

    /// Something wrong with one of its files.
    pub fn problem(&self, path: &str, detail: &str) -> Problem {
        Problem { file: format!("{}/{path}", self.origin), line: None, field: None, detail: detail.trim().to_owned() }
    }
}

/// A file's name without its last extension.
pub(super) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

pub(super) fn io_problem(path: &Path, error: &std::io::Error) -> Problem {
    Problem { file: path.display().to_string(), line: None, field: None, detail: error.to_string() }
}
