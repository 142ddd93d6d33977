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
/// that is never closed would have the whole of it copied as one cell. Behind its end
/// stands [`END`].
struct Text<'a> {
    text: Cow<'a, str>,
    at: usize,
    left: usize,
}

/// What comes of reading on.
enum Read {
    Row,
    End,
    /// The last record, which ends where the text does and not where it should.
    Unclosed,
    Fault,
}

/// What one record may have, and what is read ahead of it.
const AHEAD: usize = MAX_RECORD + 64 * 1024;

/// A row of its own behind the last one, or a part of its last cell where a quote was not
/// closed: what the reader itself does not tell.
const END: &str = "\n\0";

impl io::Read for Text<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let behind = self.at.saturating_sub(self.text.len());
        let rest = self.text.as_bytes().get(self.at..).filter(|rest| !rest.is_empty());
        let rest = rest.or_else(|| END.as_bytes().get(behind..)).unwrap_or_default();
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
        let reader =
            csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(Text { text, at: 0, left: AHEAD });
        let mut rows = Self { reader, columns: Columns(Vec::new()), row: csv::StringRecord::new(), broken: false };
        for _ in 0..HEADER_WITHIN {
            match rows.read() {
                Read::Row => {}
                Read::End => return Err(BodyError::NoRecords { pointer: String::new() }),
                Read::Unclosed => return Err(BodyError::Csv { detail: rows.unclosed() }),
                Read::Fault => return Err(BodyError::Csv { detail: "the header cannot be read".to_owned() }),
            }
            if is_header(rows.row.iter(), header) {
                rows.columns = Columns::new(rows.row.iter()).map_err(|detail| BodyError::Csv { detail })?;
                return Ok(rows);
            }
        }
        Err(BodyError::Csv { detail: NO_HEADER.to_owned() })
    }

    fn read(&mut self) -> Read {
        self.reader.get_mut().left = AHEAD;
        match self.reader.read_record(&mut self.row) {
            Err(_) => return Read::Fault,
            Ok(false) => return Read::End,
            Ok(true) => {}
        }
        let whole = self.reader.get_ref().text.len() + END.len();
        if self.reader.position().byte() < whole as u64 {
            return Read::Row;
        }
        if self.row.iter().eq([END.trim_start()]) { Read::End } else { Read::Unclosed }
    }

    fn line(&self) -> u64 {
        self.row.position().map_or(0, csv::Position::line)
    }

    fn unclosed(&self) -> String {
        format!("a quote in the record that begins on line {} is not closed", self.line())
    }

    /// The next row that is not blank.
    pub fn next(&mut self) -> Option<Result<Map<String, Value>, Fault>> {
        loop {
            let unreadable = |detail: String| Some(Err(Fault::new("", "unreadable", detail)));
            if self.broken {
                return None;
            }
            match self.read() {
                Read::Row => {}
                Read::End => return None,
                Read::Unclosed => return unreadable(self.unclosed()),
                Read::Fault => {
                    // Where the next row would begin nobody knows.
                    self.broken = true;
                    return Some(Err(Fault::new("", "too_long", "one record may have 1 MiB; is a quote not closed? The rest is not read")));
                }
            }
            if self.row.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            if self.row.len() != self.columns.0.len() {
                let (line, cells, columns) = (self.line(), self.row.len(), self.columns.0.len());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a text, each as `cell|cell` or as what is wrong with it.
    fn rows(text: &str) -> Result<Vec<String>, String> {
        let mut rows = Rows::open(text.into(), b',', &[]).map_err(|e| e.to_string())?;
        let told = |row: Result<Map<String, Value>, Fault>| match row {
            Ok(row) => row.values().map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>().join("|"),
            Err(fault) => fault.detail,
        };
        Ok(std::iter::from_fn(|| rows.next()).map(told).collect())
    }

    #[test]
    fn a_text_that_ends_within_a_quote_is_not_taken_for_a_whole_one() {
        let unclosed = |line: u32| format!("a quote in the record that begins on line {line} is not closed");
        assert_eq!(rows("a,b\n1,2\n3,\"4").unwrap(), ["1|2".to_owned(), unclosed(3)]);
        assert_eq!(rows("a,b\n1,2\n3,\"4\n").unwrap(), ["1|2".to_owned(), unclosed(3)]);
        assert_eq!(rows("a,b\n1,\"2\n3,4\n5,6\n").unwrap(), [unclosed(2)], "of all that the quote swallows");
        assert_eq!(rows("a,b\n3,\"").unwrap(), [unclosed(2)]);
        assert_eq!(rows("a,\"b\n1,2").unwrap_err(), unclosed(1));
    }

    #[test]
    fn whatever_a_whole_text_ends_with_its_rows_are_read() {
        for end in ["", "\n", "\r\n", "\n\n \n"] {
            assert_eq!(rows(&format!("a,b\n1,2\n3,\"4\"{end}")).unwrap(), ["1|2", "3|4"], "{end:?}");
            assert_eq!(rows(&format!("a,b\n3,5\" pipe{end}")).unwrap(), ["3|5\" pipe"], "a quote within a cell, {end:?}");
            assert_eq!(rows(&format!("a{end}")).unwrap(), [""; 0]);
        }
        assert_eq!(rows("a\n\0\n1\n\0").unwrap(), ["\0", "1", "\0"], "what stands behind the end may stand before it");
        assert!(rows("").is_err());
    }
}
