//! Runs an adapter on its samples and compares with what they must become.

use super::folder::{Sample, io_problem, stem};
use super::{Adapter, Folder, Format, Outcome, Problem};
use crate::domain::normalize;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;

/// The day on which samples are read, so that their outcome never changes.
pub const SAMPLE_DAY: Date = jiff::civil::date(2020, 6, 1);

/// What a body came to.
#[derive(Debug, Serialize)]
pub struct TryReport {
    /// Normalized postings.
    pub postings: Vec<Value>,
    pub rejects: Vec<TriedReject>,
    pub skipped: Vec<SkippedRecord>,
    /// Where a sample came to something else than `expected/` says. Not part of
    /// the printed document.
    #[serde(skip)]
    pub differences: Vec<Problem>,
}

/// One fault of one record, in the shape of the batch answer.
#[derive(Debug, Serialize)]
pub struct TriedReject {
    pub index: usize,
    pub source_id: Option<String>,
    pub pointer: String,
    pub code: &'static str,
    pub detail: String,
}

/// A record that the mapping left out.
#[derive(Debug, Serialize)]
pub struct SkippedRecord {
    pub index: usize,
    pub reason: String,
}

/// What `doorstep adapter try DIR [FILE]` does: reads the adapter in `dir`, runs it
/// on `file`, or on all its samples one after the other and compares those.
pub fn try_adapter(dir: &Path, file: Option<&Path>, today: Date) -> Result<TryReport, Vec<Problem>> {
    let adapter = Adapter::load(&Folder::read(dir).map_err(|problem| vec![problem])?)?;
    let Some(file) = file else {
        let mut all = TryReport { postings: Vec::new(), rejects: Vec::new(), skipped: Vec::new(), differences: Vec::new() };
        for sample in adapter.samples() {
            let (report, differences) = adapter.compare(sample);
            all.differences.extend(differences);
            if let Some(report) = report {
                all.postings.extend(report.postings);
                all.rejects.extend(report.rejects);
                all.skipped.extend(report.skipped);
            }
        }
        return Ok(all);
    };
    let body = std::fs::read(file).map_err(|error| vec![io_problem(file, &error)])?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    adapter
        .try_body(&name, &body, today)
        .map_err(|detail| vec![Problem { file: file.display().to_string(), line: None, field: None, detail }])
}

impl Adapter {
    /// Runs the samples: every way in which they do not become what `expected/` says.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.samples().iter().flat_map(|sample| self.compare(sample).1).collect();
        if self.samples().is_empty() {
            let file = format!("{}/samples", self.origin());
            problems.push(Problem { file, line: None, field: None, detail: "has no sample".to_owned() });
        }
        problems
    }

    /// Maps and normalizes a body; its format is told by the name's extension, or
    /// by its first bytes.
    pub fn try_body(&self, name: &str, body: &[u8], today: Date) -> Result<TryReport, String> {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
        let format = Format::of_extension(extension).filter(|format| self.formats().any(|known| known == *format));
        let records = match format {
            Some(format) => self.read_as(format, body),
            None => self.read(body),
        }
        .map_err(|error| format!("{}: {error}", error.code()))?;
        let mut report = TryReport { postings: Vec::new(), rejects: Vec::new(), skipped: Vec::new(), differences: Vec::new() };
        for record in records {
            let index = record.index;
            let (faults, source_id) = match record.outcome {
                Outcome::Skipped(reason) => {
                    report.skipped.push(SkippedRecord { index, reason });
                    continue;
                }
                Outcome::Rejected(fault, source_id) => (vec![fault], source_id),
                Outcome::Mapped(record) => match normalize::posting(&record, today) {
                    Ok(content) => {
                        report.postings.push(serde_json::to_value(&content).map_err(|error| error.to_string())?);
                        continue;
                    }
                    Err(faults) => (faults, source_id(&record)),
                },
            };
            report.rejects.extend(faults.into_iter().map(|fault| TriedReject {
                index,
                source_id: source_id.clone(),
                pointer: fault.pointer,
                code: fault.code,
                detail: fault.detail,
            }));
        }
        Ok(report)
    }

    /// What a sample comes to as the text of its `expected/` file.
    pub fn golden(&self, sample: &Sample) -> Result<String, String> {
        let report = self.try_body(&sample.name, &sample.body, SAMPLE_DAY)?;
        let mut text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        text.push('\n');
        Ok(text)
    }

    fn compare(&self, sample: &Sample) -> (Option<TryReport>, Vec<Problem>) {
        let problem = |file: String, detail: String| Problem { file, line: None, field: None, detail };
        let (body, golden) =
            (format!("{}/samples/{}", self.origin(), sample.name), format!("{}/expected/{}.json", self.origin(), stem(&sample.name)));
        let report = match self.try_body(&sample.name, &sample.body, SAMPLE_DAY) {
            Ok(report) => report,
            Err(detail) => return (None, vec![problem(body, detail)]),
        };
        let problems = match sample.expected.as_deref().map(serde_json::from_str::<Value>) {
            None => vec![problem(golden, "is missing".to_owned())],
            Some(Err(error)) => vec![problem(golden, error.to_string())],
            Some(Ok(expected)) => {
                let mut lines = Vec::new();
                difference("", &expected, &json!(report), &mut lines);
                lines.into_iter().map(|line| problem(golden.clone(), line)).collect()
            }
        };
        (Some(report), problems)
    }
}

/// The platform's id of a canonical record, where it can be read.
fn source_id(record: &Value) -> Option<String> {
    match record.get("source_id")? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// One line for each place where the two differ: pointer, expected, found.
fn difference(pointer: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    let null = Value::Null;
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            let new = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(new) {
                let inner = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                difference(&inner, a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null), lines);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for at in 0..a.len().max(b.len()) {
                let inner = format!("{pointer}/{at}");
                difference(&inner, a.get(at).unwrap_or(&null), b.get(at).unwrap_or(&null), lines);
            }
        }
        (a, b) if a == b => {}
        (a, b) => lines.push(format!("{pointer}\n  - {a}\n  + {b}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_by_its_pointer() {
        let mut lines = Vec::new();
        let (a, b) = (json!({"a": [1, {"x": 1}], "same": 0}), json!({"a": [1, {"x": 2}, 3], "same": 0, "b/c": true}));
        difference("", &a, &b, &mut lines);
        assert_eq!(lines, ["/a/1/x\n  - 1\n  + 2", "/a/2\n  - null\n  + 3", "/b~1c\n  - null\n  + true"]);
    }
}
