//! A report as a workbook.
//!
//! Text is written as the type string, so that no name can become a formula;
//! the same report gives the same bytes.

use super::report::{Cell, Report, Row, Unit};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

pub(super) fn write(report: &Report) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let made = ExcelDateTime::from_timestamp(report.generated_at.ms().div_euclid(1000))?;
    book.set_properties(&DocProperties::new().set_title(report.title).set_creation_datetime(&made));
    figures(book.add_worksheet(), report)?;
    explanations(book.add_worksheet(), report)?;
    book.save_to_buffer()
}

fn figures(sheet: &mut Worksheet, report: &Report) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    sheet.set_name(report.title)?;
    for (at, (name, title)) in (0u16..).zip(report.flat_header()) {
        sheet.write_string_with_format(0, at, name, &bold)?;
        sheet.write_string_with_format(1, at, title, &bold)?;
        sheet.set_column_width(at, if usize::from(at) < report.keys.len() { 18 } else { 12 })?;
    }
    sheet.set_freeze_panes(2, 0)?;
    for (at, row) in (2u32..).zip(&report.rows) {
        put(sheet, at, report, row, &Format::new())?;
    }
    let last = 2 + u32::try_from(report.rows.len()).map_err(|_| XlsxError::RowColumnLimitError)?;
    put(sheet, last, report, &report.totals, &bold)
}

fn put(sheet: &mut Worksheet, at: u32, report: &Report, row: &Row, format: &Format) -> Result<(), XlsxError> {
    let shown = |unit| match unit {
        Unit::Ratio => "0.00%",
        Unit::Index => "0.000",
        _ => "0.0",
    };
    for (column, cell) in (0u16..).zip(report.flat(row)) {
        match cell {
            Cell::Text(text) => sheet.write_string_with_format(at, column, text, format)?,
            // Counts of persons stay far below 2^53, the last whole number that f64 keeps.
            Cell::Count(n) => sheet.write_number_with_format(at, column, n as f64, format)?,
            Cell::Number(x, unit) => sheet.write_number_with_format(at, column, x, &format.clone().set_num_format(shown(unit)))?,
            Cell::Empty => continue,
        };
    }
    Ok(())
}

fn explanations(sheet: &mut Worksheet, report: &Report) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    sheet.set_name("说明")?;
    let about = [
        ("报表", format!("{}（{}）", report.title, report.name)),
        ("期间", report.period.to_string()),
        ("地区", report.region.clone()),
        ("口径", report.axis.title_zh().to_owned()),
        ("生成时间", report.generated_at.to_string()),
        ("账本序号", report.as_of.seq.to_string()),
        ("账本根", report.as_of.root.clone().unwrap_or_default()),
        ("已封存", if report.sealed { "是" } else { "否" }.to_owned()),
    ];
    let mut line = 0;
    for (what, text) in about {
        sheet.write_string_with_format(line, 0, what, &bold)?;
        sheet.write_string(line, 1, text)?;
        line += 1;
    }
    line += 1;
    for (at, title) in (0u16..).zip(["列", "名称", "单位", "可加总", "含义"]) {
        sheet.write_string_with_format(line, at, title, &bold)?;
    }
    for column in &report.columns {
        line += 1;
        let additive = if column.additive { "是" } else { "否" };
        let parts = if column.ratio { "；另有分子、分母两列" } else { "" };
        let about = format!("{}{parts}", column.about);
        for (at, text) in (0u16..).zip([column.name, column.title, column.unit.title_zh(), additive, &about]) {
            sheet.write_string(line, at, text)?;
        }
    }
    sheet.set_column_width(0, 20)?.set_column_width(1, 26)?.set_column_width(4, 80)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use calamine::{Data, Reader, Xlsx};
    use std::io::Cursor;

    fn read(bytes: Vec<u8>) -> Xlsx<Cursor<Vec<u8>>> {
        calamine::open_workbook_from_rs(Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn a_workbook_reads_back_with_its_types() {
        let mut report = sample();
        report.rows[0].keys[1] = Some("=1+1".to_owned());
        let mut book = read(report.to_xlsx().unwrap());
        assert_eq!(book.sheet_names(), ["就业情况", "说明"]);
        let sheet = book.worksheet_range("就业情况").unwrap();
        let at = |row, column| sheet.get_value((row, column)).cloned().unwrap_or(Data::Empty);
        assert_eq!(at(0, 0), Data::String("region".to_owned()));
        assert_eq!(at(1, 3), Data::String("合计".to_owned()));
        assert_eq!(at(2, 0), Data::String("522600".to_owned()));
        assert_eq!(at(2, 1), Data::String("=1+1".to_owned()));
        assert_eq!(at(2, 3), Data::Float(3.0));
        assert_eq!(at(2, 5), Data::Float(0.75));
        assert_eq!(at(3, 4), Data::Empty);
        assert_eq!(at(4, 3), Data::Float(5.0));
        assert_eq!(at(0, 7), Data::String("share_denominator".to_owned()));
        assert!(book.worksheet_formula("就业情况").unwrap().used_cells().next().is_none());
    }

    #[test]
    fn the_second_sheet_explains_every_column() {
        let report = sample();
        let mut book = read(report.to_xlsx().unwrap());
        let sheet = book.worksheet_range("说明").unwrap();
        for column in &report.columns {
            assert!(
                sheet.rows().any(|r| r[0] == Data::String(column.name.to_owned()) && r[4].to_string().contains(column.about)),
                "{}",
                column.name
            );
        }
    }

    #[test]
    fn the_same_report_gives_the_same_bytes() {
        assert_eq!(sample().to_xlsx().unwrap(), sample().to_xlsx().unwrap());
    }
}
