//! XLSX bodies: one sheet, whose header is the first row with two filled cells.
//!
//! Promises: the file is inflated once without keeping anything, and refused if it
//! comes to more than [`MAX_INFLATED`], before a reader that keeps it sees it.

use super::table::{Columns, HEADER_WITHIN, NO_HEADER, is_header};
use super::{BodyError, MAX_FIELDS, MAX_RECORD};
use crate::domain::posting::Fault;
use calamine::{DataRef, Reader as _, Xlsx};
use serde_json::{Map, Value};
use std::io::{Cursor, Read as _};

/// Bytes that all files of a workbook may inflate to.
const MAX_INFLATED: u64 = 64 << 20;
/// Bytes of its shared texts, which are kept while the sheet is read.
const MAX_TEXTS: u64 = 16 << 20;
/// Filled cells of the sheet.
const MAX_CELLS: usize = 1_000_000;
/// Rows of the sheet; an XLSX has at most 1,048,576.
const MAX_ROWS: usize = 200_000;

/// The rows after the header.
pub struct Rows {
    columns: Columns,
    rows: std::vec::IntoIter<Vec<Value>>,
}

impl Rows {
    /// The header is the first row with two filled cells, or the first that holds
    /// one of the names in `header`.
    pub fn open(body: &[u8], sheet: Option<&str>, header: &[String]) -> Result<Self, BodyError> {
        let wrong = |detail: &str| BodyError::Xlsx { detail: detail.to_owned() };
        inflates_within(body, MAX_INFLATED).map_err(wrong)?;
        let mut book = Xlsx::new(Cursor::new(body)).map_err(|_| wrong("this is not an XLSX workbook"))?;
        let name = match sheet {
            Some(name) => name.to_owned(),
            None => book.sheet_names().first().cloned().ok_or_else(|| wrong("the workbook has no sheet"))?,
        };
        let mut cells = book.worksheet_cells_reader(&name).map_err(|_| wrong("the sheet is not there"))?;
        let mut rows: Vec<Vec<Value>> = Vec::new();
        let (mut row_number, mut filled_cells) = (None, 0);
        // Cell by cell: the dense range of calamine has the size that the cells' addresses claim.
        while let Some(cell) = cells.next_cell().map_err(|_| wrong("the sheet cannot be read"))? {
            let (row, column) = cell.get_position();
            let value = value(cell.get_value());
            if value.is_null() {
                continue;
            }
            filled_cells += 1;
            if filled_cells > MAX_CELLS {
                return Err(wrong("more than 1,000,000 cells; send CSV"));
            }
            let column = column as usize;
            if column >= MAX_FIELDS {
                return Err(wrong("more than 1,000 columns"));
            }
            if row_number != Some(row) {
                if rows.len() == MAX_ROWS {
                    return Err(wrong("more than 200,000 rows"));
                }
                rows.push(Vec::new());
                row_number = Some(row);
            }
            if let Some(cells) = rows.last_mut() {
                cells.resize(cells.len().max(column + 1), Value::Null);
                cells[column] = value;
            }
        }
        let filled = |row: &Vec<Value>| row.iter().filter(|cell| !cell.is_null()).count();
        if rows.is_empty() {
            return Err(BodyError::NoRecords { pointer: String::new() });
        }
        let header = if header.is_empty() {
            rows.iter().position(|row| filled(row) > 1).unwrap_or(0)
        } else {
            let named = |row: &Vec<Value>| is_header(row.iter().filter_map(Value::as_str), header);
            rows.iter().take(HEADER_WITHIN).position(named).ok_or_else(|| wrong(NO_HEADER))?
        };
        let body = rows.split_off(header + 1);
        let names = rows.pop().unwrap_or_default();
        let columns =
            Columns::new(names.iter().map(|cell| cell.as_str().unwrap_or_default())).map_err(|detail| BodyError::Xlsx { detail })?;
        Ok(Self { columns, rows: body.into_iter() })
    }

    /// Rows left.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn next(&mut self) -> Option<Result<Map<String, Value>, Fault>> {
        let row = self.rows.next()?;
        if row.len() > self.columns.len() {
            let detail = format!("a row has {} cells, the header has {}", row.len(), self.columns.len());
            return Some(Err(Fault::new("", "unreadable", detail)));
        }
        if row.iter().filter_map(Value::as_str).map(str::len).sum::<usize>() > MAX_RECORD {
            return Some(Err(Fault::new("", "too_long", "one record may have 1 MiB")));
        }
        Some(Ok(self.columns.row(row.into_iter())))
    }
}

/// A cell as JSON has it: days and times as ISO text, whole numbers as such.
fn value(cell: &DataRef<'_>) -> Value {
    let text = |text: &str| {
        if text.trim().is_empty() { Value::Null } else { Value::from(text.trim()) }
    };
    match cell {
        DataRef::Int(number) => Value::from(*number),
        DataRef::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Value::from(*number as i64),
        DataRef::Float(number) => Value::from(*number),
        DataRef::String(found) | DataRef::DateTimeIso(found) | DataRef::DurationIso(found) => text(found),
        DataRef::SharedString(found) => text(found),
        DataRef::Bool(flag) => Value::from(*flag),
        DataRef::DateTime(time) => {
            let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
            Value::from(match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"),
            })
        }
        DataRef::Error(_) | DataRef::Empty => Value::Null,
    }
}

/// Walks the ZIP directory and inflates each file to nowhere. What the directory
/// claims of sizes is not believed.
fn inflates_within(body: &[u8], limit: u64) -> Result<(), &'static str> {
    const BROKEN: &str = "this is not an XLSX workbook";
    let u16_at = |at: usize| body.get(at..at + 2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    let u32_at = |at: usize| body.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
    // The end record has at most 64 KiB of comment behind it.
    let from = body.len().saturating_sub(22 + 65_535);
    let end = body[from..].windows(4).rposition(|w| w == b"PK\x05\x06").map(|at| from + at).ok_or(BROKEN)?;
    let files = u16_at(end + 10).ok_or(BROKEN)?;
    let mut at = u32_at(end + 16).ok_or(BROKEN)?;
    let mut left = limit;
    for _ in 0..files {
        let name = u16_at(at + 28).and_then(|len| body.get(at + 46..at + 46 + len)).unwrap_or_default();
        let most = if name.ends_with(b"sharedStrings.xml") { MAX_TEXTS.min(left) } else { left };
        if body.get(at..at + 4) != Some(b"PK\x01\x02") {
            return Err(BROKEN);
        }
        let (method, packed, local) = (u16_at(at + 10), u32_at(at + 20), u32_at(at + 42));
        let (Some(method), Some(packed), Some(local)) = (method, packed, local) else {
            return Err(BROKEN);
        };
        let skip = u16_at(local + 26).zip(u16_at(local + 28)).map(|(name, extra)| local + 30 + name + extra);
        let content = skip.and_then(|start| body.get(start..start.checked_add(packed)?)).ok_or(BROKEN)?;
        let size = match method {
            0 => packed as u64,
            8 => {
                let mut inflated = flate2::read::DeflateDecoder::new(content).take(most + 1);
                std::io::copy(&mut inflated, &mut std::io::sink()).map_err(|_| BROKEN)?
            }
            _ => return Err("the workbook is packed in a way that is not taken"),
        };
        if size > most {
            return Err("the workbook is too large");
        }
        left -= size;
        at += 46 + u16_at(at + 28).ok_or(BROKEN)? + u16_at(at + 30).ok_or(BROKEN)? + u16_at(at + 32).ok_or(BROKEN)?;
    }
    Ok(())
}
