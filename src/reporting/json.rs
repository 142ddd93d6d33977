//! A report as the JSON document that callers rely on, written row by row: a nation's
//! has tens of thousands of them.

use super::report::{Column, Report, Row, Value};
use serde::Serialize;
use serde_json::json;

/// Bytes of a piece of a document, or a line more.
const PIECE: usize = 64 * 1024;

/// The document's bytes.
pub fn write(report: &Report) -> Vec<u8> {
    let mut whole = Vec::new();
    pieces(report, &mut |piece| {
        whole.extend(piece);
        true
    });
    whole
}

/// Hands the document on in pieces, each as soon as it is written, so that no nation's
/// stands in memory as a whole; ends where `give` says that nobody takes them any more.
pub fn pieces(report: &Report, give: &mut dyn FnMut(Vec<u8>) -> bool) {
    let mut doc = Document { out: Vec::with_capacity(PIECE + 1_024) };
    let column = |c: &Column| json!({"name": c.name, "title": c.title, "unit": c.unit.code(), "additive": c.additive});
    doc.out.push(b'{');
    doc.field("report", report.name);
    doc.field("period", &report.period.to_string());
    doc.field("region", &report.region);
    doc.field("axis", report.axis.code());
    doc.field("generated_at", &report.generated_at);
    doc.field("as_of", &json!({"seq": report.as_of.seq, "time": report.as_of.time, "root": report.as_of.root}));
    doc.field("sealed", &report.sealed);
    doc.field("columns", &report.columns.iter().map(column).collect::<Vec<_>>());
    let lines = Lines::of(report);
    doc.name("rows");
    doc.out.push(b'[');
    for (at, row) in report.rows.iter().enumerate() {
        if at > 0 {
            doc.out.push(b',');
        }
        lines.write(&mut doc, row);
        if doc.out.len() >= PIECE && !give(std::mem::replace(&mut doc.out, Vec::with_capacity(PIECE + 1_024))) {
            return;
        }
    }
    doc.out.push(b']');
    doc.name("totals");
    lines.write(&mut doc, &report.totals);
    if let Some(corrections) = &report.more.corrections {
        doc.field("corrections", corrections);
    }
    doc.out.push(b'}');
    give(doc.out);
}

/// The document to look into.
pub fn value(report: &Report) -> serde_json::Value {
    serde_json::from_slice(&write(report)).unwrap_or_default()
}

/// What is written of a document, field after field.
struct Document {
    out: Vec<u8>,
}

impl Document {
    /// The name of a field of ours, which needs no escapes.
    fn name(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Keys are text and a vector takes all bytes: nothing of it can fail.
        let _ = serde_json::to_writer(&mut self.out, value);
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        self.name(name);
        self.value(value);
    }
}

/// The lines of a report. Names of fields are put together once, not for each line.
struct Lines<'a> {
    report: &'a Report,
    keys: Vec<Vec<u8>>,
    columns: Vec<Vec<u8>>,
    /// Where the column of last year's total stands.
    baseline: Option<usize>,
}

impl<'a> Lines<'a> {
    fn of(report: &'a Report) -> Self {
        let field = |name: &str| format!(",\"{name}\":").into_bytes();
        Self {
            report,
            keys: report.keys.iter().map(|key| field(key.name)).collect(),
            columns: report.columns.iter().map(|column| field(column.name)).collect(),
            baseline: report.column("baseline"),
        }
    }

    fn write(&self, doc: &mut Document, row: &Row) {
        let begin = doc.out.len();
        for (name, key) in self.keys.iter().zip(&row.keys) {
            doc.out.extend_from_slice(name);
            match key {
                Some(key) => doc.value(&**key),
                None => doc.out.extend_from_slice(b"null"),
            }
        }
        for ((name, column), value) in self.columns.iter().zip(&self.report.columns).zip(&row.values) {
            doc.out.extend_from_slice(name);
            figure(doc, column, *value);
        }
        match doc.out.get_mut(begin) {
            Some(comma) => *comma = b'{',
            None => doc.out.push(b'{'),
        }
        let hidden = || self.report.columns.iter().zip(&row.values).filter(|(_, v)| matches!(v, Value::Suppressed { .. }));
        if hidden().next().is_some() {
            doc.field("suppressed", &hidden().map(|(column, _)| column.name).collect::<Vec<_>>());
        }
        let shown = self.baseline.is_some_and(|at| row.values.get(at) != Some(&Value::Unknown));
        let region = row.keys.first().and_then(Option::as_deref).filter(|_| shown);
        if let Some(source) = region.and_then(|region| self.report.more.baseline_sources.get(region)) {
            doc.field("baseline_source", source);
        }
        doc.out.push(b'}');
    }
}

fn figure(doc: &mut Document, column: &Column, value: Value) {
    match value {
        Value::Count(n) => doc.value(&n),
        Value::Unknown | Value::Suppressed { .. } => doc.out.extend_from_slice(b"null"),
        Value::Number(x) => doc.value(&x),
        Value::Ratio { numerator, denominator } => {
            doc.out.extend_from_slice(b"{\"value\":");
            doc.value(&column.quotient(numerator, denominator));
            doc.field("numerator", &numerator);
            doc.field("denominator", &denominator);
            doc.out.push(b'}');
        }
    }
}
