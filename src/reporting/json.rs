//! A report as the JSON document that callers rely on, written row by row: a nation's
//! has tens of thousands of them.

use super::report::{Column, Report, Row, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

/// The document's bytes.
pub fn write(report: &Report) -> Vec<u8> {
    let row = (report.keys.len() + report.columns.len()) * 24;
    let mut out = Vec::with_capacity(1_024 + (report.rows.len() + 1) * row);
    // Keys are text and a vector takes all bytes: nothing of it can fail.
    let _ = serde_json::to_writer(&mut out, &Document(report));
    out
}

/// The document to look into.
pub fn value(report: &Report) -> serde_json::Value {
    serde_json::to_value(Document(report)).unwrap_or_default()
}

struct Document<'a>(&'a Report);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let column = |c: &Column| json!({"name": c.name, "title": c.title, "unit": c.unit.code(), "additive": c.additive});
        let baseline = report.column("baseline");
        let line = |row| Line { report, row, baseline };
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("report", report.name)?;
        map.serialize_entry("period", &report.period.to_string())?;
        map.serialize_entry("region", &report.region)?;
        map.serialize_entry("axis", report.axis.code())?;
        map.serialize_entry("generated_at", &report.generated_at)?;
        map.serialize_entry("as_of", &json!({"seq": report.as_of.seq, "time": report.as_of.time, "root": report.as_of.root}))?;
        map.serialize_entry("sealed", &report.sealed)?;
        map.serialize_entry("columns", &report.columns.iter().map(column).collect::<Vec<_>>())?;
        map.serialize_entry("rows", &report.rows.iter().map(line).collect::<Vec<_>>())?;
        map.serialize_entry("totals", &line(&report.totals))?;
        if let Some(corrections) = &report.more.corrections {
            map.serialize_entry("corrections", corrections)?;
        }
        map.end()
    }
}

struct Line<'a> {
    report: &'a Report,
    row: &'a Row,
    /// Where the column of last year's total stands.
    baseline: Option<usize>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (report, row) = (self.report, self.row);
        let mut map = s.serialize_map(None)?;
        for (key, value) in report.keys.iter().zip(&row.keys) {
            map.serialize_entry(key.name, value)?;
        }
        for (column, value) in report.columns.iter().zip(&row.values) {
            map.serialize_entry(column.name, &Figure(column, *value))?;
        }
        let hidden = || report.columns.iter().zip(&row.values).filter(|(_, v)| matches!(v, Value::Suppressed { .. }));
        if hidden().next().is_some() {
            map.serialize_entry("suppressed", &hidden().map(|(column, _)| column.name).collect::<Vec<_>>())?;
        }
        let shown = self.baseline.is_some_and(|at| row.values.get(at) != Some(&Value::Unknown));
        let source = row.keys.first().and_then(Option::as_deref).and_then(|region| report.more.baseline_sources.get(region));
        if let Some(source) = source.filter(|_| shown) {
            map.serialize_entry("baseline_source", source)?;
        }
        map.end()
    }
}

struct Figure<'a>(&'a Column, Value);

impl Serialize for Figure<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.1 {
            Value::Count(n) => s.serialize_u64(n),
            Value::Unknown | Value::Suppressed { .. } => s.serialize_unit(),
            Value::Number(x) => s.serialize_f64(x),
            Value::Ratio { numerator, denominator } => {
                let mut map = s.serialize_map(Some(3))?;
                map.serialize_entry("value", &self.0.quotient(numerator, denominator))?;
                map.serialize_entry("numerator", &numerator)?;
                map.serialize_entry("denominator", &denominator)?;
                map.end()
            }
        }
    }
}
