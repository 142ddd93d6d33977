//! CSV bodies: the first row names the columns.

use super::{BodyError, MAX_FIELDS, MAX_RECORD};
use crate::domain::posting::Fault;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::io;

/// The rows after the header.
pub struct Rows<'a> {
    reader: csv::Reader<Text<'a>>,
    columns: Columns,
    row: csv::StringRecord,
    /// A row was too long to find its end.
    broken: bool,
}

/// A text that gives no more than one record may have between two records: a quote
/// that is never closed would have the whole of it copied as one cell.
struct Text<'a> {
    text: Cow<'a, str>,
    at: usize,
    left: usize,
}

/// What one record may have, and what is read ahead of it.
const AHEAD: usize = MAX_RECORD + 64 * 1024;

impl io::Read for Text<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let len = rest.len().min(into.len());
        self.left = self.left.checked_sub(len).ok_or_else(|| io::Error::other("one record is too long"))?;
        into[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        Ok(len)
    }
}

impl<'a> Rows<'a> {
    /// The header is the first row, or the first that holds one of the names in
    /// `header`.
    pub fn open(text: Cow<'a, str>, delimiter: u8, header: &[String]) -> Result<Self, BodyError> {
        let mut reader =
            csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(Text { text, at: 0, left: AHEAD });
        let mut row = csv::StringRecord::new();
        for _ in 0..HEADER_WITHIN {
            let found = reader.read_record(&mut row).map_err(|_| BodyError::Csv { detail: "the header cannot be read".to_owned() })?;
            if !found {
                return Err(BodyError::NoRecords { pointer: String::new() });
            }
            if is_header(row.iter(), header) {
                let columns = Columns::new(row.iter()).map_err(|detail| BodyError::Csv { detail })?;
                return Ok(Self { reader, columns, row, broken: false });
            }
        }
        Err(BodyError::Csv { detail: NO_HEADER.to_owned() })
    }

    /// The next row that is not blank.
    pub fn next(&mut self) -> Option<Result<Map<String, Value>, Fault>> {
        loop {
            let unreadable = |detail: String| Some(Err(Fault::new("", "unreadable", detail)));
            if self.broken {
                return None;
            }
            self.reader.get_mut().left = AHEAD;
            match self.reader.read_record(&mut self.row) {
                Ok(false) => return None,
                Ok(true) => {}
                Err(_) => {
                    // Where the next row would begin nobody knows.
                    self.broken = true;
                    return Some(Err(Fault::new("", "too_long", "one record may have 1 MiB; is a quote not closed? The rest is not read")));
                }
            }
            if self.row.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            let line = self.row.position().map_or(0, csv::Position::line);
            if self.row.len() != self.columns.0.len() {
                let (cells, columns) = (self.row.len(), self.columns.0.len());
                return unreadable(format!("line {line} has {cells} cells, the header has {columns}"));
            }
            if self.row.as_slice().len() > MAX_RECORD {
                return Some(Err(Fault::new("", "too_long", "one record may have 1 MiB")));
            }
            return Some(Ok(self.columns.row(self.row.iter().map(|cell| Value::from(cell.trim())))));
        }
    }
}

/// Rows among which the header is looked for.
pub const HEADER_WITHIN: usize = 50;
pub const NO_HEADER: &str = "none of the first rows holds a column that the adapter names";

/// Whether one of these names stands in a row; any row is a header where none is named.
pub fn is_header<'c>(mut cells: impl Iterator<Item = &'c str>, header: &[String]) -> bool {
    header.is_empty() || cells.any(|cell| header.contains(&column(cell)))
}

/// The name of a column: white space inside a Chinese one is only there to break
/// the line.
fn column(cell: &str) -> String {
    if cell.is_ascii() { cell.trim().to_owned() } else { cell.split_whitespace().collect() }
}

/// The names of a table's columns.
pub struct Columns(Vec<String>);

impl Columns {
    /// Names must differ; a column without one is left out of the records.
    pub fn new<'c>(cells: impl Iterator<Item = &'c str>) -> Result<Self, String> {
        let names: Vec<String> = cells.map(column).collect();
        if names.len() > MAX_FIELDS {
            return Err("more than 1,000 columns".to_owned());
        }
        for (at, name) in names.iter().enumerate() {
            // By number: a file without a header has a record in the first row.
            if let Some(earlier) = names[..at].iter().position(|other| other == name && !name.is_empty()) {
                return Err(format!("columns {} and {} have the same name", earlier + 1, at + 1));
            }
        }
        Ok(Self(names))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A row's cells by the name of their column; missing ones are absent.
    pub fn row(&self, cells: impl Iterator<Item = Value>) -> Map<String, Value> {
        self.0.iter().zip(cells).filter(|(name, _)| !name.is_empty()).map(|(name, cell)| (name.clone(), cell)).collect()
    }
}
