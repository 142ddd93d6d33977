//! `adapter.toml`: which format the bodies have and where the records sit.

use super::folder::{Folder, Problem};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Json,
    Ndjson,
    Csv,
    Xml,
    Xlsx,
    /// Pages with JSON-LD in `<script type="application/ld+json">`.
    Html,
}

impl Format {
    /// The content types that name it, the usual one first.
    pub fn content_types(self) -> &'static [&'static str] {
        match self {
            Format::Json => &["application/json", "application/ld+json"],
            Format::Ndjson => &["application/x-ndjson", "application/ndjson", "application/jsonl"],
            Format::Csv => &["text/csv"],
            Format::Xml => &["application/xml", "text/xml"],
            Format::Xlsx => &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
            Format::Html => &["text/html", "application/xhtml+xml"],
        }
    }

    /// The format of files with this extension.
    pub fn of_extension(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "json" | "jsonld" => Format::Json,
            "ndjson" | "jsonl" => Format::Ndjson,
            "csv" => Format::Csv,
            "xml" => Format::Xml,
            "xlsx" => Format::Xlsx,
            "html" | "htm" => Format::Html,
            _ => return None,
        })
    }

    pub(super) fn matches(self, essence: &str) -> bool {
        self.content_types().contains(&essence)
            || match self {
                Format::Json => essence.ends_with("+json"),
                Format::Xml => essence.ends_with("+xml") && essence != "application/xhtml+xml",
                _ => false,
            }
    }
}

/// What a body that is not UTF-8 may be. A byte order mark always decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Encoding {
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-8 where the bytes allow it, else GB18030 (and with it GBK and GB2312).
    #[serde(rename = "gb18030")]
    Gb18030,
}

/// A `[lookup.NAME]` table.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub entries: BTreeMap<String, minijinja::Value>,
    /// For a key that the table does not have; without it such a key is a reject.
    pub otherwise: Option<minijinja::Value>,
}

/// The file, read.
#[derive(Debug)]
pub(super) struct Manifest {
    pub name: String,
    pub title: String,
    pub format: Format,
    pub also: Vec<Format>,
    pub records: Vec<String>,
    pub cursor: Option<String>,
    pub encoding: Encoding,
    pub delimiter: u8,
    pub sheet: Option<String>,
    pub arrays: Vec<String>,
    /// Columns of which one stands in the header.
    pub header: Vec<String>,
    /// Columns whose empty cells mean the cell above.
    pub fill_down: Vec<String>,
    pub passthrough: bool,
    pub lookup: BTreeMap<String, Lookup>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    #[serde(default)]
    title: String,
    format: Format,
    #[serde(default)]
    also: Vec<Format>,
    records: Option<OneOrMany>,
    cursor: Option<String>,
    #[serde(default)]
    encoding: Encoding,
    delimiter: Option<String>,
    sheet: Option<String>,
    #[serde(default)]
    arrays: Vec<String>,
    #[serde(default)]
    header: Vec<String>,
    #[serde(default)]
    fill_down: Vec<String>,
    #[serde(default)]
    passthrough: bool,
    #[serde(default)]
    lookup: BTreeMap<String, BTreeMap<String, toml::Value>>,
}

const FILE: &str = "adapter.toml";

impl Manifest {
    pub fn parse(folder: &Folder) -> Result<Self, Problem> {
        let source = folder.text(FILE).ok_or_else(|| folder.problem(FILE, "is missing"))??;
        let raw: Raw = toml::from_str(source).map_err(|error| Problem {
            line: error.span().map(|span| line_of(source, span.start)),
            ..folder.problem(FILE, error.message())
        })?;
        let wrong = |field: &str, detail: &str| Problem {
            line: source.lines().position(|line| line.trim_start().starts_with(field)).map(|at| at + 1),
            field: Some(field.to_owned()),
            ..folder.problem(FILE, detail)
        };
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if raw.name.is_empty() || raw.name.len() > 40 || !raw.name.chars().all(named) {
            return Err(wrong("name", "must be 1 to 40 of a-z, 0-9 and -"));
        }
        if folder.name().is_some_and(|name| name != raw.name) {
            return Err(wrong("name", "must be the folder's name"));
        }
        let records = match raw.records {
            None => vec![String::new()],
            Some(OneOrMany::One(pointer)) => vec![pointer],
            Some(OneOrMany::Many(pointers)) => pointers,
        };
        if records.is_empty() || records.iter().any(|p| !p.is_empty() && !p.starts_with('/')) {
            return Err(wrong("records", "must be JSON pointers: empty or beginning with a slash"));
        }
        if records.iter().any(|p| p.split('/').filter(|token| *token == "*").count() > 1) {
            return Err(wrong("records", "may hold one `*`"));
        }
        if raw.cursor.as_ref().is_some_and(|p| !p.starts_with('/')) {
            return Err(wrong("cursor", "must be a JSON pointer beginning with a slash"));
        }
        let delimiter = match raw.delimiter.as_deref().map(str::as_bytes) {
            None => b',',
            Some([byte]) if *byte != b'"' && *byte != b'\n' && *byte != b'\r' => *byte,
            Some(_) => return Err(wrong("delimiter", "must be one ASCII character")),
        };
        let lookup = raw.lookup.into_iter().map(|(name, table)| (name, Lookup::new(table))).collect();
        Ok(Self {
            name: raw.name,
            title: raw.title,
            format: raw.format,
            also: raw.also,
            records,
            cursor: raw.cursor,
            encoding: raw.encoding,
            delimiter,
            sheet: raw.sheet,
            arrays: raw.arrays,
            header: raw.header,
            fill_down: raw.fill_down,
            passthrough: raw.passthrough,
            lookup,
        })
    }
}

impl Lookup {
    fn new(table: BTreeMap<String, toml::Value>) -> Self {
        let mut entries: BTreeMap<String, minijinja::Value> = table.into_iter().map(|(key, value)| (key, convert(value))).collect();
        let otherwise = entries.remove("otherwise");
        Self { entries, otherwise }
    }
}

fn convert(value: toml::Value) -> minijinja::Value {
    use minijinja::Value;
    match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::from(flag),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(convert).collect(),
        toml::Value::Table(table) => Value::from_pairs(table.into_iter().map(|(key, value)| (key, convert(value)))),
    }
}

/// The line, from 1, that holds this byte.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}
