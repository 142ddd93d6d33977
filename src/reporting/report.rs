//! A report as figures, from which every format is written.

use super::query::Axis;
use super::{csv, dhis2, html, json, sdmx, table, xlsx};
use crate::domain::region::Region;
use crate::domain::time::{Moment, Period};
use rust_xlsxwriter::XlsxError;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One report: keys and columns, rows, totals.
#[derive(Clone, Debug)]
pub struct Report {
    /// [`Name::code`](super::Name::code).
    pub name: &'static str,
    pub title: &'static str,
    pub period: Period,
    /// The code, or `set:NAME`.
    pub region: String,
    pub axis: Axis,
    pub generated_at: Moment,
    pub as_of: AsOf,
    /// The period is locked and its checkpoint signed.
    pub sealed: bool,
    /// What tells a row from another: region and name first.
    pub keys: Vec<Key>,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    pub totals: Row,
    pub more: More,
}

/// What the JSON document says beside the figures.
#[derive(Clone, Debug, Default)]
pub struct More {
    /// Where a region's `baseline` comes from, by the code of its row.
    pub baseline_sources: BTreeMap<String, &'static str>,
    /// How the period before, which is locked, would come out now; none where it is not.
    pub corrections: Option<Vec<Corrected>>,
}

/// A locked figure that would be another one now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Corrected {
    pub period: String,
    pub region: Region,
    pub column: &'static str,
    pub locked: u64,
    pub now: u64,
}

/// The ledger's length a report stands at.
#[derive(Clone, Debug)]
pub struct AsOf {
    pub seq: i64,
    /// When the last entry was written; none in an empty ledger.
    pub time: Option<Moment>,
    /// The tree's root, once sealed.
    pub root: Option<String>,
}

/// A field that names a row.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub title: &'static str,
}

impl Key {
    /// It says in other words what another field says, or follows from it.
    pub fn is_label(self) -> bool {
        ["name", "zone"].iter().any(|label| self.name == *label || self.name.ends_with(&format!("_{label}")))
    }
}

/// A field that holds a figure.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: Unit,
    /// The figure is a quotient, shown with its numerator and denominator.
    pub ratio: bool,
    /// Rows add up to the total.
    pub additive: bool,
    /// What it counts, for a reader of the file.
    pub about: &'static str,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Person,
    Offer,
    Posting,
    Opening,
    Hire,
    /// Whole yuan.
    Yuan,
    Month,
    Day,
    /// Part of a whole, 1 being all.
    Ratio,
    /// So many for each thousand.
    PerThousand,
    /// 0 where all have alike, towards 1 the less alike.
    Index,
}

/// What names a row: mostly a name or a code that stands in a table of ours.
pub type Text = Cow<'static, str>;

/// One line of a report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// As many as the report's keys; none where a key does not apply.
    pub keys: Vec<Option<Text>>,
    /// As many as the report's columns.
    pub values: Vec<Value>,
}

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Count(u64),
    Unknown,
    Ratio {
        numerator: u64,
        denominator: u64,
    },
    /// A figure that no two counts make.
    Number(f64),
    /// Not published: fewer than this, or what would tell such a figure.
    Suppressed {
        below: u64,
    },
}

/// The forms a report leaves in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    Xlsx,
    Dhis2,
    /// SDMX-CSV 2.0, of SDMX 3.0.
    SdmxCsv,
    /// A page to print, whole in itself.
    Html,
    /// Aligned text for a terminal.
    Table,
}

impl Row {
    /// Makes room for another line.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
    }
}

impl Unit {
    pub fn code(self) -> &'static str {
        match self {
            Unit::Person => "person",
            Unit::Offer => "offer",
            Unit::Posting => "posting",
            Unit::Opening => "opening",
            Unit::Hire => "hire",
            Unit::Yuan => "yuan",
            Unit::Month => "month",
            Unit::Day => "day",
            Unit::Ratio => "ratio",
            Unit::PerThousand => "per_1000",
            Unit::Index => "index",
        }
    }

    pub fn title_zh(self) -> &'static str {
        match self {
            Unit::Person => "人",
            Unit::Offer => "次",
            Unit::Posting => "条",
            Unit::Opening => "个",
            Unit::Hire => "人次",
            Unit::Yuan => "元",
            Unit::Month => "月",
            Unit::Day => "天",
            Unit::Ratio => "比率",
            Unit::PerThousand => "每千人",
            Unit::Index => "系数",
        }
    }
}

impl Column {
    /// The value of a ratio of this column; none at a denominator of 0.
    pub fn quotient(&self, numerator: u64, denominator: u64) -> Option<f64> {
        let times = if self.unit == Unit::PerThousand { 1000.0 } else { 1.0 };
        Value::quotient(numerator, denominator).map(|x| x * times)
    }
}

impl Value {
    /// The quotient; none at a denominator of 0.
    pub fn quotient(numerator: u64, denominator: u64) -> Option<f64> {
        (denominator != 0).then(|| numerator as f64 / denominator as f64)
    }
}

impl Format {
    pub const ALL: [Format; 7] = [Format::Json, Format::Csv, Format::Xlsx, Format::Dhis2, Format::SdmxCsv, Format::Html, Format::Table];

    pub fn code(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Xlsx => "xlsx",
            Format::Dhis2 => "dhis2",
            Format::SdmxCsv => "sdmx-csv",
            Format::Html => "html",
            Format::Table => "table",
        }
    }

    /// The codes of all, for who named none of them.
    pub fn codes() -> String {
        Self::ALL.map(Format::code).join(", ")
    }

    /// How the name of such a file ends.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Dhis2 => "dhis2.json",
            Format::SdmxCsv => "sdmx.csv",
            Format::Table => "txt",
            other => other.code(),
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.code() == code)
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json | Format::Dhis2 => "application/json",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Format::SdmxCsv => "application/vnd.sdmx.data+csv; version=2.0.0; charset=utf-8",
            Format::Html => "text/html; charset=utf-8",
            Format::Table => "text/plain; charset=utf-8",
        }
    }
}

/// The columns of what became of locked figures: the last two are what was told and what it
/// comes to now.
pub const CORRECTED: [&str; 6] = ["期间", "地区代码", "地区", "列", "已报", "现为"];

impl Report {
    /// The report in one of its forms.
    pub fn write(&self, format: Format) -> Result<Vec<u8>, XlsxError> {
        Ok(match format {
            Format::Json => json::write(self),
            Format::Csv => self.to_csv(),
            Format::Xlsx => self.to_xlsx()?,
            Format::Dhis2 => self.to_dhis2().to_string().into_bytes(),
            Format::SdmxCsv => self.to_sdmx_csv(),
            Format::Html => self.to_html().into_bytes(),
            Format::Table => self.to_table().into_bytes(),
        })
    }

    /// What became of locked figures, for who reads the file, by [`CORRECTED`].
    pub fn corrected(&self) -> impl Iterator<Item = ([&str; 4], [u64; 2])> {
        self.more.corrections.iter().flatten().map(|c| {
            let title = self.column(c.column).map_or(c.column, |at| self.columns[at].title);
            ([c.period.as_str(), c.region.code_text(), c.region.name(), title], [c.locked, c.now])
        })
    }

    /// The document that callers rely on, to look into.
    pub fn to_json(&self) -> serde_json::Value {
        json::value(self)
    }

    /// UTF-8 with a byte order mark, names, then titles, rows, the totals last.
    pub fn to_csv(&self) -> Vec<u8> {
        csv::write(self)
    }

    /// The same without the totals, for rows that nobody adds up.
    pub fn rows_to_csv(&self) -> Vec<u8> {
        csv::lines(self, self.rows.iter())
    }

    /// A workbook: the figures, and a sheet that explains them.
    pub fn to_xlsx(&self) -> Result<Vec<u8>, XlsxError> {
        xlsx::write(self)
    }

    /// The body for `/api/dataValueSets` of DHIS2.
    pub fn to_dhis2(&self) -> serde_json::Value {
        dhis2::write(self)
    }

    /// SDMX-CSV 2.0: one line for each figure.
    pub fn to_sdmx_csv(&self) -> Vec<u8> {
        sdmx::write(self)
    }

    /// A page to print, with charts and nothing from elsewhere.
    pub fn to_html(&self) -> String {
        html::write(self)
    }

    /// Aligned text for a terminal.
    pub fn to_table(&self) -> String {
        table::write(self)
    }

    /// The column's place.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// The bound under which a figure is not published, where one is not.
    pub fn hides(&self) -> Option<u64> {
        self.rows.iter().chain([&self.totals]).flat_map(|r| &r.values).find_map(|v| match v {
            Value::Suppressed { below } => Some(*below),
            _ => None,
        })
    }
}

/// A cell of the flat forms, where a ratio takes three.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Text(&'a str),
    Count(u64),
    /// With the unit it is shown in.
    Number(f64, Unit),
    /// Not published.
    Below(u64),
    Empty,
}

impl Report {
    /// Name and title of every flat field: keys, then columns, a ratio as NAME,
    /// NAME_numerator, NAME_denominator.
    pub(super) fn flat_header(&self) -> Vec<(String, String)> {
        let mut header: Vec<(String, String)> = self.keys.iter().map(|k| (k.name.to_owned(), k.title.to_owned())).collect();
        for column in &self.columns {
            header.push((column.name.to_owned(), column.title.to_owned()));
            if column.ratio {
                header.push((format!("{}_numerator", column.name), format!("{}（分子）", column.title)));
                header.push((format!("{}_denominator", column.name), format!("{}（分母）", column.title)));
            }
        }
        header
    }

    /// The cells of a row under [`Report::flat_header`].
    pub(super) fn flat<'a>(&self, row: &'a Row) -> Vec<Cell<'a>> {
        let mut cells: Vec<Cell<'_>> = row.keys.iter().map(|k| k.as_deref().map_or(Cell::Empty, Cell::Text)).collect();
        for (column, value) in self.columns.iter().zip(&row.values) {
            let number = |x| Cell::Number(x, column.unit);
            match *value {
                Value::Count(n) => cells.push(Cell::Count(n)),
                Value::Number(x) => cells.push(number(x)),
                Value::Suppressed { below } => cells.extend(std::iter::repeat_n(Cell::Below(below), if column.ratio { 3 } else { 1 })),
                Value::Unknown => cells.extend(std::iter::repeat_n(Cell::Empty, if column.ratio { 3 } else { 1 })),
                Value::Ratio { numerator, denominator } => {
                    cells.push(column.quotient(numerator, denominator).map_or(Cell::Empty, number));
                    cells.extend([Cell::Count(numerator), Cell::Count(denominator)]);
                }
            }
        }
        cells
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// A small report with every kind of figure.
    pub(in crate::reporting) fn sample() -> Report {
        let key = |name, title| Key { name, title };
        let column =
            |name, title, unit, additive| Column { name, title, unit, ratio: unit == Unit::Ratio, additive, about: "说明文字" };
        let row = |region: &str, name: &str, platform: Option<&str>, total, baseline: Option<u64>| Row {
            keys: vec![Some(region.to_owned().into()), Some(name.to_owned().into()), platform.map(|p| p.to_owned().into())],
            values: vec![
                Value::Count(total),
                baseline.map_or(Value::Unknown, Value::Count),
                Value::Ratio { numerator: total, denominator: baseline.unwrap_or(0) },
            ],
        };
        Report {
            name: "employment",
            title: "就业情况",
            period: Period::parse("2020-09").unwrap(),
            region: "520000".to_owned(),
            axis: Axis::Home,
            generated_at: Moment::parse("2020-10-01T08:00:00+08:00").unwrap(),
            as_of: AsOf { seq: 7, time: None, root: None },
            sealed: false,
            keys: vec![key("region", "地区代码"), key("name", "地区"), key("platform", "平台")],
            columns: vec![
                column("total", "合计", Unit::Person, true),
                column("baseline", "上年末", Unit::Person, false),
                column("share", "占上年末比重", Unit::Ratio, false),
            ],
            rows: vec![
                row("522600", "黔东南苗族侗族自治州", Some("meituan"), 3, Some(4)),
                row("520100", "贵阳市", Some("meituan"), 2, None),
            ],
            totals: row("520000", "贵州省合计", None, 5, None),
            more: More::default(),
        }
    }

    pub(in crate::reporting) fn a_correction() -> Corrected {
        let region = Region::parse("520300").unwrap();
        Corrected { period: "2020-08".to_owned(), region, column: "total", locked: 1003, now: 1002 }
    }

    #[test]
    fn the_json_has_the_promised_shape() {
        let report = sample().to_json();
        let names = |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let mut expected = ["report", "period", "region", "axis", "generated_at", "as_of", "sealed", "columns", "rows", "totals"];
        let mut found = names(&report);
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(report["as_of"], json!({"seq": 7, "time": null, "root": null}));
        assert_eq!(report["generated_at"], "2020-10-01T08:00:00+08:00");
        assert_eq!(report["columns"][0], json!({"name": "total", "title": "合计", "unit": "person", "additive": true}));
        assert_eq!(report["rows"][0]["share"], json!({"value": 0.75, "numerator": 3, "denominator": 4}));
        assert_eq!(report["rows"][1]["share"], json!({"value": null, "numerator": 2, "denominator": 0}));
        assert_eq!(names(&report["totals"]), names(&report["rows"][0]));
    }

    #[test]
    fn every_format_is_written_under_its_own_media_type() {
        for format in Format::ALL {
            assert_eq!(Format::parse(format.code()), Some(format));
            assert!(!sample().write(format).unwrap().is_empty());
        }
        assert_eq!(Format::parse("pdf"), None);
        assert_eq!(Format::codes(), "json, csv, xlsx, dhis2, sdmx-csv, html, table");
    }

    #[test]
    fn what_is_not_published_is_null_and_named_and_takes_the_place_of_its_fields() {
        let mut report = sample();
        report.rows[0].values = vec![Value::Suppressed { below: 5 }, Value::Count(9), Value::Suppressed { below: 5 }];
        let json = report.to_json();
        assert_eq!(
            (&json["rows"][0]["total"], &json["rows"][0]["baseline"], &json["rows"][0]["share"]),
            (&json!(null), &json!(9), &json!(null))
        );
        assert_eq!(json["rows"][0]["suppressed"], json!(["total", "share"]));
        assert_eq!(json["rows"][1].get("suppressed"), None);
        assert!(String::from_utf8(report.to_csv()).unwrap().contains("meituan,<5,9,<5,<5,<5\r\n"));
        let dhis2 = report.to_dhis2();
        let of_row = dhis2["dataValues"].as_array().unwrap().iter().filter(|v| v["orgUnit"] == "522600");
        assert_eq!(of_row.map(|v| v["value"].clone()).collect::<Vec<_>>(), ["9"]);
        assert!(report.to_table().contains("<5"));
        assert_eq!((report.hides(), sample().hides()), (Some(5), None));
    }

    /// Names as somebody would write them who wants a reader's program to run them.
    #[test]
    fn no_text_from_outside_starts_a_formula_or_markup_in_any_form() {
        use calamine::{Reader, Xlsx};
        for begin in ["=", "+", "-", "@", "\t", "\r"] {
            let hostile = format!("{begin}cmd|' /C calc'!A0<script>alert(1)</script>\"&");
            let mut report = sample();
            for row in report.rows.iter_mut().chain([&mut report.totals]) {
                row.keys.iter_mut().for_each(|key| *key = Some(hostile.clone().into()));
            }
            report.region = hostile.clone();
            for bytes in [report.to_csv(), report.to_sdmx_csv()] {
                let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
                let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text);
                let cells: Vec<String> = reader.records().flat_map(|r| r.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()).collect();
                assert!(cells.contains(&format!("'{hostile}")), "{begin:?}");
                assert!(!cells.iter().any(|c| c.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{begin:?}");
            }
            let mut book: Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(report.to_xlsx().unwrap())).unwrap();
            for name in book.sheet_names() {
                assert!(book.worksheet_formula(&name).unwrap().used_cells().next().is_none(), "{name}");
            }
            let page = report.to_html();
            assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{begin:?}");
            assert!(!report.to_table().contains(['\t', '\r']));
        }
    }
}
