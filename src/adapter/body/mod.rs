//! From the bytes of a body to its records, one at a time.
//!
//! Promises: depth, fields and size are bounded before anything is built; an
//! error says where, never what stood there.

mod html;
pub(super) mod json;
mod sheet;
mod table;
mod xml;

use super::manifest::{Encoding, Format, Manifest};
use crate::domain::posting::Fault;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Nesting of objects, lists or elements in one body.
pub(super) const MAX_DEPTH: usize = 64;
/// Members, elements and attributes, or cells, of one record.
pub(super) const MAX_FIELDS: usize = 1_000;
/// Bytes of one record.
pub(super) const MAX_RECORD: usize = 1 << 20;

/// Why nothing of a body can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The bytes are not in an encoding that the adapter takes.
    Encoding,
    Json {
        line: usize,
        column: usize,
        detail: &'static str,
    },
    Csv {
        detail: String,
    },
    Xml {
        line: usize,
        detail: String,
    },
    Xlsx {
        detail: String,
    },
    /// Deeper than 64 levels.
    TooDeep,
    /// Nothing stands where the records should.
    NoRecords {
        pointer: String,
    },
}

impl BodyError {
    /// The stable code of the answer.
    pub fn code(&self) -> &'static str {
        match self {
            BodyError::Encoding => "encoding_invalid",
            BodyError::Json { .. } => "json_invalid",
            BodyError::Csv { .. } => "csv_invalid",
            BodyError::Xml { .. } => "xml_invalid",
            BodyError::Xlsx { .. } => "xlsx_invalid",
            BodyError::TooDeep => "too_deep",
            BodyError::NoRecords { .. } => "records_missing",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Encoding => f.write_str("the bytes are not in an encoding that this adapter takes"),
            BodyError::Json { line, column, detail } => write!(f, "line {line}, column {column}: {detail}"),
            BodyError::Csv { detail } | BodyError::Xlsx { detail } => f.write_str(detail),
            BodyError::Xml { line, detail } => write!(f, "line {line}: {detail}"),
            BodyError::TooDeep => write!(f, "nested deeper than {MAX_DEPTH} levels"),
            BodyError::NoRecords { pointer } if pointer.is_empty() => f.write_str("there are no records in it"),
            BodyError::NoRecords { pointer } => write!(f, "there are no records at {pointer}"),
        }
    }
}

impl std::error::Error for BodyError {}

/// One record before it is mapped.
pub(super) enum Source<'a> {
    /// The text of a JSON object.
    Json(&'a str),
    /// The text of an element.
    Xml(&'a str),
    /// Cells by column.
    Row(serde_json::Map<String, Value>),
}

/// The records of a body, cut but not yet read.
pub(super) struct Sources<'a> {
    kind: Kind<'a>,
    arrays: &'a [String],
    /// Columns whose empty cells mean the cell above, with what stood there last.
    fill_down: Vec<(&'a str, Value)>,
}

enum Kind<'a> {
    Cut { text: Cow<'a, str>, pieces: std::iter::Enumerate<std::vec::IntoIter<Piece>>, xml: bool, parents: Parents },
    Lines { text: Cow<'a, str>, at: usize },
    Table(Box<table::Rows<'a>>),
    Sheet(sheet::Rows),
}

/// What the records of a body stand in, one after the other.
struct Parents {
    ahead: std::iter::Peekable<std::vec::IntoIter<(usize, Range<usize>, String)>>,
    present: Option<Result<minijinja::Value, Fault>>,
}

impl Parents {
    fn reach(&mut self, piece: usize, text: &str) {
        while let Some((_, range, member)) = self.ahead.next_if(|(first, ..)| *first <= piece) {
            self.present = Some(json::without(&text[range], &member));
        }
    }
}

/// Where a record stands in the text, or what is wrong at its place.
pub(super) type Piece = Result<Range<usize>, &'static str>;

impl<'a> Sources<'a> {
    pub fn open(format: Format, body: &'a [u8], manifest: &'a Manifest) -> Result<Self, BodyError> {
        let kind = if format == Format::Xlsx {
            Kind::Sheet(sheet::Rows::open(body, manifest.sheet.as_deref(), &manifest.header)?)
        } else {
            let text = decode(body, manifest.encoding)?;
            let cut = match format {
                Format::Json => Some(json::cut(&text, &manifest.records)?),
                Format::Html => Some(html::cut(&text, &manifest.records)?),
                Format::Xml => Some(json::Cut { pieces: xml::cut(&text, &manifest.records)?, ..json::Cut::default() }),
                Format::Csv | Format::Ndjson | Format::Xlsx => None,
            };
            match cut {
                Some(json::Cut { pieces, parents }) => {
                    let parents = Parents { ahead: parents.into_iter().peekable(), present: None };
                    Kind::Cut { text, pieces: pieces.into_iter().enumerate(), xml: format == Format::Xml, parents }
                }
                None if format == Format::Csv => Kind::Table(Box::new(table::Rows::open(text, manifest.delimiter, &manifest.header)?)),
                None => Kind::Lines { text, at: 0 },
            }
        };
        let fill_down = manifest.fill_down.iter().map(|name| (name.as_str(), Value::Null)).collect();
        Ok(Self { kind, arrays: &manifest.arrays, fill_down })
    }

    /// The next record, or what is wrong with it.
    pub fn next(&mut self) -> Option<Result<Source<'_>, Fault>> {
        let fill_down = &mut self.fill_down;
        match &mut self.kind {
            Kind::Cut { text, pieces, xml, parents } => {
                let (n, piece) = pieces.next()?;
                parents.reach(n, text);
                let piece = match (piece, &parents.present) {
                    (Ok(_), Some(Err(fault))) => return Some(Err(fault.clone())),
                    (Ok(range), _) => &text[range],
                    (Err(detail), _) => return Some(Err(Fault::new("", "unreadable", detail))),
                };
                Some(sized(piece).map(|()| if *xml { Source::Xml(piece) } else { Source::Json(piece) }))
            }
            Kind::Lines { text, at } => loop {
                let rest = text.get(*at..).filter(|rest| !rest.is_empty())?;
                let line = rest.split('\n').next().unwrap_or_default();
                *at += line.len() + 1;
                let line = line.trim();
                if !line.is_empty() {
                    return Some(sized(line).map(|()| Source::Json(line)));
                }
            },
            Kind::Table(rows) => rows.next().map(|row| row.map(|row| Source::Row(filled(row, fill_down)))),
            Kind::Sheet(rows) => rows.next().map(|row| row.map(|row| Source::Row(filled(row, fill_down)))),
        }
    }

    /// How many records are left at least.
    pub fn at_least(&self) -> usize {
        match &self.kind {
            Kind::Cut { pieces, .. } => pieces.len(),
            Kind::Sheet(rows) => rows.len(),
            Kind::Lines { .. } | Kind::Table(_) => 0,
        }
    }

    /// What the record that came last stands in.
    pub fn parent(&self) -> minijinja::Value {
        match &self.kind {
            Kind::Cut { parents: Parents { present: Some(Ok(parent)), .. }, .. } => parent.clone(),
            _ => minijinja::Value::from(()),
        }
    }

    /// Elements that are lists even when there is one of them.
    pub fn arrays(&self) -> &'a [String] {
        self.arrays
    }
}

impl Source<'_> {
    /// The record as a tree of `T`: the mapping's values, or JSON's.
    pub fn tree<T: serde::de::DeserializeOwned>(self, arrays: &[String]) -> Result<T, Fault> {
        let unreadable = |detail: &str| Fault::new("", "unreadable", detail);
        match self {
            Source::Json(text) => {
                json::bounded(text)?;
                serde_json::from_str(text).map_err(|error| unreadable(json::reason(&error)))
            }
            Source::Xml(text) => {
                let tree = xml::tree(text, arrays)?;
                T::deserialize(tree).map_err(|_| unreadable("this element cannot be read"))
            }
            Source::Row(row) => T::deserialize(Value::Object(row)).map_err(|_| unreadable("this row cannot be read")),
        }
    }
}

/// A row whose empty cells are filled from above where the adapter says so.
fn filled(mut row: serde_json::Map<String, Value>, fill_down: &mut [(&str, Value)]) -> serde_json::Map<String, Value> {
    for (name, last) in fill_down {
        match row.get(*name) {
            None | Some(Value::Null) => drop(row.insert((*name).to_owned(), last.clone())),
            Some(Value::String(text)) if text.is_empty() => drop(row.insert((*name).to_owned(), last.clone())),
            Some(value) => *last = value.clone(),
        }
    }
    row
}

fn sized(piece: &str) -> Result<(), Fault> {
    if piece.len() > MAX_RECORD {
        return Err(Fault::new("", "too_long", "one record may have 1 MiB"));
    }
    Ok(())
}

/// The body as text. A byte order mark decides; then UTF-8; then what the adapter
/// or, in XML, the declaration allows.
pub(super) fn decode(body: &[u8], encoding: Encoding) -> Result<Cow<'_, str>, BodyError> {
    let strict = |encoding: &'static encoding_rs::Encoding, bytes| {
        encoding.decode_without_bom_handling_and_without_replacement(bytes).ok_or(BodyError::Encoding)
    };
    if let Some((found, len)) = encoding_rs::Encoding::for_bom(body) {
        return strict(found, &body[len..]);
    }
    // Without a mark UTF-16 shows by the nulls about its first `<`, `{` or `[`.
    match body {
        [b'<' | b'{' | b'[', 0, _, 0, ..] => return strict(encoding_rs::UTF_16LE, body),
        [0, b'<' | b'{' | b'[', 0, _, ..] => return strict(encoding_rs::UTF_16BE, body),
        _ => {}
    }
    match std::str::from_utf8(body) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => match declared(body) {
            Some(found) => strict(found, body),
            None if encoding == Encoding::Gb18030 => strict(encoding_rs::GB18030, body),
            None => Err(BodyError::Encoding),
        },
    }
}

/// `<?xml version="1.0" encoding="GBK"?>`
fn declared(body: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let declaration = body.strip_prefix(b"<?xml")?;
    let end = declaration.iter().take(200).position(|byte| *byte == b'>')?;
    let declaration = std::str::from_utf8(&declaration[..end]).ok()?;
    let (_, after) = declaration.split_once("encoding")?;
    let label = after.trim_start().strip_prefix('=')?.trim_start();
    let label = label.split(['"', '\'']).nth(1)?;
    // Bytes that are not UTF-8 are not UTF-16 without its nulls either.
    encoding_rs::Encoding::for_label(label.as_bytes()).filter(|e| e.is_ascii_compatible() && *e != encoding_rs::UTF_8)
}

/// Which of these formats the first bytes look like; the first one when in doubt.
pub(super) fn sniff(body: &[u8], formats: &[Format]) -> Format {
    let fallback = formats.first().copied().unwrap_or(Format::Json);
    let has = |format: Format| formats.contains(&format).then_some(format);
    if formats.len() < 2 {
        return fallback;
    }
    if body.starts_with(b"PK\x03\x04") {
        return has(Format::Xlsx).unwrap_or(fallback);
    }
    let head = decode(&body[..body.len().min(4096) & !1], Encoding::Utf8);
    let body = match &head {
        Ok(Cow::Owned(text)) => text.as_bytes(),
        _ => body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body),
    };
    let body = body.trim_ascii_start();
    let found = match body.first() {
        Some(b'<') => has(Format::Xml).filter(|_| body.starts_with(b"<?xml")).or(has(Format::Html)).or(has(Format::Xml)),
        Some(b'[') => has(Format::Json),
        Some(b'{') => {
            let (line, rest) = body.split_at(body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len()));
            let whole = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
            let lines = has(Format::Ndjson).filter(|_| whole && !rest.trim_ascii().is_empty());
            lines.or(has(Format::Json)).or(has(Format::Ndjson))
        }
        _ => has(Format::Csv),
    };
    found.unwrap_or(fallback)
}
