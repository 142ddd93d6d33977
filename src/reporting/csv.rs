//! A report as CSV (RFC 4180), for spreadsheets that read it as text.

use super::report::{Cell, Report, Row};

/// Tells spreadsheet programs that the file is UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub(super) fn write(report: &Report) -> Vec<u8> {
    lines(report, report.rows.iter().chain([&report.totals]))
}

/// Names and titles, then these rows.
pub(super) fn lines<'a>(report: &Report, rows: impl Iterator<Item = &'a Row>) -> Vec<u8> {
    let header = report.flat_header();
    let names = header.iter().map(|(name, _)| guarded(name)).collect();
    let titles = header.iter().map(|(_, title)| guarded(title)).collect();
    let rows = rows.map(|row| report.flat(row).iter().map(text_of).collect());
    let mut out = BYTE_ORDER_MARK.to_vec();
    let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(&mut out);
    for record in [names, titles].into_iter().chain(rows) {
        let record: Vec<String> = record;
        writer.write_record(&record).expect("every record has the header's length, and memory takes every byte");
    }
    writer.flush().expect("memory takes every byte");
    drop(writer);
    out
}

fn text_of(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => guarded(text),
        Cell::Count(n) => n.to_string(),
        Cell::Number(x, _) => x.to_string(),
        Cell::Below(n) => format!("<{n}"),
        Cell::Empty => String::new(),
    }
}

/// A text that a spreadsheet would run as a formula is made plain by a `'`.
pub(super) fn guarded(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::report::{Value, tests::sample};
    use super::*;

    #[test]
    fn names_then_titles_then_rows_then_totals() {
        let bytes = sample().to_csv();
        assert!(bytes.starts_with(BYTE_ORDER_MARK));
        let text = String::from_utf8(bytes[3..].to_vec()).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(
            lines,
            [
                "region,name,platform,total,baseline,share,share_numerator,share_denominator",
                "地区代码,地区,平台,合计,上年末,占上年末比重,占上年末比重（分子）,占上年末比重（分母）",
                "522600,黔东南苗族侗族自治州,meituan,3,4,0.75,3,4",
                "520100,贵阳市,meituan,2,,,2,0",
                "520000,贵州省合计,,5,,,5,0",
                "",
            ]
        );
    }

    #[test]
    fn a_text_that_would_be_a_formula_gets_a_quote() {
        let mut report = sample();
        for begin in ["=", "+", "-", "@", "\t", "\r"] {
            report.rows[0].keys[1] = Some(format!("{begin}1+1").into());
            let text = String::from_utf8(report.to_csv()).unwrap();
            assert!(text.contains(&format!("'{begin}1+1")), "{begin:?}");
        }
        report.rows[0].keys[1] = Some("a=1, \"b\"".into());
        report.rows[0].values[0] = Value::Unknown;
        assert!(String::from_utf8(report.to_csv()).unwrap().contains("522600,\"a=1, \"\"b\"\"\",meituan,,4"));
    }
}
