//! A report as the JSON document that callers rely on, written row by row: a nation's
//! has tens of thousands of them.

use super::report::{Column, Key, Report, Row, Text, Value};
use foldhash::fast::FixedState;
use serde::Serialize;
use serde_json::json;
use std::borrow::Borrow;
use std::collections::HashMap;

/// Bytes of a piece of a document, and room for what it begins with or ends with. What is
/// written on one core is sent from another one: a piece for which a thread is woken is
/// as large as what that core holds close.
const PIECE: usize = 1024 * 1024;
const SPARE: usize = 4 * 1024;
/// Bytes that a line is expected to take.
const LINE: usize = 256;

/// The document's bytes.
pub fn write(report: &Report) -> Vec<u8> {
    Pieces::of(report, report.rows.len(), |at, row: &mut Row| row.clone_from(&report.rows[at])).flatten().collect()
}

/// A document, piece by piece.
pub struct Pieces<H, R> {
    /// The report without its rows.
    head: H,
    len: usize,
    make: R,
    lines: Lines,
    /// The next row, and how many were written; none after the end.
    row: Row,
    written: Option<usize>,
}

impl<H: Borrow<Report>, R: FnMut(usize, &mut Row)> Pieces<H, R> {
    /// That of a report with so many rows, each made in the place of the one before.
    pub fn of(head: H, len: usize, make: R) -> Self {
        let lines = Lines::of(head.borrow());
        Self { head, len, make, lines, row: Row::default(), written: Some(0) }
    }
}

impl<H: Borrow<Report>, R: FnMut(usize, &mut Row)> Iterator for Pieces<H, R> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut written = self.written?;
        let expected = self.len.saturating_sub(written).saturating_mul(LINE).min(PIECE);
        let (head, mut doc) = (self.head.borrow(), Document { out: Vec::with_capacity(expected + SPARE) });
        if written == 0 {
            begin(head, &mut doc);
        }
        while written < self.len {
            if written > 0 {
                doc.out.push(b',');
            }
            (self.make)(written, &mut self.row);
            self.lines.write(&mut doc, head, &self.row);
            written += 1;
            if doc.out.len() >= PIECE {
                self.written = Some(written);
                return Some(doc.out);
            }
        }
        self.written = None;
        doc.out.push(b']');
        doc.name("totals");
        self.lines.write(&mut doc, head, &head.totals);
        if let Some(corrections) = &head.more.corrections {
            doc.field("corrections", corrections);
        }
        doc.out.push(b'}');
        Some(doc.out)
    }
}

/// What stands before the rows.
fn begin(head: &Report, doc: &mut Document) {
    let column = |c: &Column| json!({"name": c.name, "title": c.title, "unit": c.unit.code(), "additive": c.additive});
    doc.out.push(b'{');
    doc.field("report", head.name);
    doc.field("period", &head.period.to_string());
    doc.field("region", &head.region);
    doc.field("axis", head.axis.code());
    doc.field("generated_at", &head.generated_at);
    doc.field("as_of", &json!({"seq": head.as_of.seq, "time": head.as_of.time, "root": head.as_of.root}));
    doc.field("sealed", &head.sealed);
    doc.field("columns", &head.columns.iter().map(column).collect::<Vec<_>>());
    doc.name("rows");
    doc.out.push(b'[');
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

/// How the lines of a report are written.
struct Lines {
    keys: Vec<Group>,
    /// How the columns begin, put together once, and how they are where they count nobody,
    /// as most do where rows are many.
    columns: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the column of last year's total stands.
    baseline: Option<usize>,
}

/// Keys that are the same wherever the first of them is: a place's code, its name and
/// zone; or one key by itself. There are few of them, each in very many rows.
struct Group {
    /// How the fields begin.
    fields: Vec<Vec<u8>>,
    /// What was written, by the address of the first.
    known: HashMap<usize, (Vec<Fixed>, Vec<u8>), FixedState>,
}

/// A key that has no owner, or none.
type Fixed = Option<&'static str>;

fn fixed(key: &Option<Text>) -> Option<Fixed> {
    match key {
        None => Some(None),
        Some(Text::Borrowed(text)) => Some(Some(text)),
        Some(Text::Owned(_)) => None,
    }
}

/// What a field of this name begins with.
fn field(name: &str) -> Vec<u8> {
    format!(",\"{name}\":").into_bytes()
}

impl Group {
    fn of(keys: &[Key]) -> Vec<Self> {
        let goes_with_before = |key: &Key| ["name", "zone"].iter().any(|part| key.name.ends_with(part));
        let groups = keys.chunk_by(|_, next| goes_with_before(next));
        groups.map(|keys| Self { fields: keys.iter().map(|key| field(key.name)).collect(), known: HashMap::default() }).collect()
    }

    fn write(&mut self, keys: &[Option<Text>], out: &mut Vec<u8>) {
        let first = keys.first().and_then(fixed).flatten().map(|text| text.as_ptr() as usize);
        if let Some((of, written)) = first.and_then(|first| self.known.get(&first)) {
            let same = |(a, b): (&Fixed, &Option<Text>)| match (a, b) {
                (Some(a), Some(Text::Borrowed(b))) => std::ptr::eq(*a, *b),
                (None, None) => true,
                _ => false,
            };
            if of.len() == keys.len() && of.iter().zip(keys).all(same) {
                return out.extend_from_slice(written);
            }
        }
        let begin = out.len();
        for (field, key) in self.fields.iter().zip(keys) {
            out.extend_from_slice(field);
            // Text has no end that cannot be written, and a vector takes all bytes.
            let _ = serde_json::to_writer(&mut *out, key);
        }
        if let Some((first, of)) = first.zip(keys.iter().map(fixed).collect()) {
            self.known.insert(first, (of, out[begin..].to_vec()));
        }
    }
}

impl Lines {
    fn of(report: &Report) -> Self {
        let column = |column: &Column| (field(column.name), [field(column.name), b"0".to_vec()].concat());
        Self { keys: Group::of(&report.keys), columns: report.columns.iter().map(column).collect(), baseline: report.column("baseline") }
    }

    fn write(&mut self, doc: &mut Document, report: &Report, row: &Row) {
        let begin = doc.out.len();
        let mut keys = row.keys.as_slice();
        for group in &mut self.keys {
            let (these, rest) = keys.split_at(group.fields.len().min(keys.len()));
            group.write(these, &mut doc.out);
            keys = rest;
        }
        for (((name, nobody), column), value) in self.columns.iter().zip(&report.columns).zip(&row.values) {
            if *value == Value::Count(0) {
                doc.out.extend_from_slice(nobody);
                continue;
            }
            doc.out.extend_from_slice(name);
            figure(doc, column, *value);
        }
        match doc.out.get_mut(begin) {
            Some(comma) => *comma = b'{',
            None => doc.out.push(b'{'),
        }
        let hidden = || report.columns.iter().zip(&row.values).filter(|(_, v)| matches!(v, Value::Suppressed { .. }));
        if hidden().next().is_some() {
            doc.field("suppressed", &hidden().map(|(column, _)| column.name).collect::<Vec<_>>());
        }
        let shown = self.baseline.is_some_and(|at| row.values.get(at) != Some(&Value::Unknown));
        let region = row.keys.first().and_then(Option::as_deref).filter(|_| shown);
        if let Some(source) = region.and_then(|region| report.more.baseline_sources.get(region)) {
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
            doc.out.extend_from_slice(b",\"numerator\":");
            doc.value(&numerator);
            doc.out.extend_from_slice(b",\"denominator\":");
            doc.value(&denominator);
            doc.out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn a_document_of_several_pieces_holds_every_row_once() {
        let mut report = sample();
        let lines = [0, 1, 2, 3, 20_000].map(|rows| {
            report.rows = (0..rows).map(|n| Row { keys: vec![Some(format!("{n}").into()), None, None], ..report.totals.clone() }).collect();
            let pieces: Vec<_> = Pieces::of(&report, rows, |at, row: &mut Row| row.clone_from(&report.rows[at])).collect();
            let (last, whole) = pieces.split_last().unwrap();
            assert!(whole.iter().all(|piece| (PIECE..PIECE + SPARE).contains(&piece.len())), "{rows} rows");
            let document: serde_json::Value = serde_json::from_slice(&pieces.concat()).unwrap();
            let regions = document["rows"].as_array().unwrap().iter().map(|row| row["region"].as_str().unwrap().parse::<usize>().unwrap());
            assert!(regions.eq(0..rows) && document["totals"]["total"] == 5, "{rows} rows");
            (whole.len(), last.is_empty())
        });
        assert_eq!(lines[..4], [(0, false); 4]);
        assert!(lines[4].0 > 1 && !lines[4].1, "{lines:?}");
    }
}
