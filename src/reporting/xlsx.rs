//! A report as a workbook: the figures, its charts, what each column means.
//!
//! Text is written as the type string, so that no name can become a formula;
//! the same report gives the same bytes. A chart draws the cells of its own sheet,
//! which holds its greatest rows: the figures' rows stand in the order of their
//! codes and may be thousands.

use super::chart::{self, Chart};
use super::report::{CORRECTED, Cell, Report, Row, Unit};
use rust_xlsxwriter::{
    Chart as Drawing, ChartLegendPosition, ChartType, DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError,
};

/// The number of this paper in the format.
const A4: u8 = 9;
/// Fills of the parts of a bar, told apart in grey as well.
const FILLS: [&str; 4] = ["#17375E", "#D3E3F0", "#F2B134", "#6D9DC9"];

pub(super) fn write(report: &Report) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let made = ExcelDateTime::from_timestamp(report.generated_at.ms().div_euclid(1000))?;
    book.set_properties(&DocProperties::new().set_title(report.title).set_creation_datetime(&made));
    figures(book.add_worksheet(), report)?;
    for chart in chart::of(report) {
        drawn(book.add_worksheet(), &chart)?;
    }
    if report.corrected().next().is_some() {
        corrections(book.add_worksheet(), report)?;
    }
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
    sheet.set_freeze_panes(2, u16::try_from(report.keys.len().min(2)).unwrap_or_default())?;
    sheet.set_landscape().set_paper_size(A4).set_print_fit_to_pages(1, 0).set_repeat_rows(0, 1)?;
    for (at, row) in (2u32..).zip(&report.rows) {
        put(sheet, at, report, row, &Format::new())?;
    }
    let last = 2 + u32::try_from(report.rows.len()).map_err(|_| XlsxError::RowColumnLimitError)?;
    put(sheet, last, report, &report.totals, &bold)
}

/// A chart beside the cells that it draws.
fn drawn(sheet: &mut Worksheet, chart: &Chart) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    sheet.set_name(chart.title)?.set_column_width(0, 28)?.set_freeze_panes(1, 0)?;
    for (at, part) in (1u16..).zip(&chart.parts) {
        sheet.write_string_with_format(0, at, *part, &bold)?;
    }
    let shown = Format::new().set_num_format(shown(chart.unit, true));
    for (row, bar) in (1u32..).zip(&chart.bars) {
        sheet.write_string(row, 0, &bar.name)?;
        for (at, value) in (1u16..).zip(&bar.parts) {
            sheet.write_number_with_format(row, at, *value, &shown)?;
        }
    }
    let stacked = chart.parts.len() > 1;
    let mut drawing = Drawing::new(if stacked { ChartType::BarStacked } else { ChartType::Bar });
    // At most as many as are drawn.
    let last = chart.bars.len() as u32;
    for (at, fill) in (1u16..).zip(FILLS).take(chart.parts.len()) {
        let series = drawing.add_series().set_categories((chart.title, 1, 0, last, 0)).set_values((chart.title, 1, at, last, at));
        series
            .set_name((chart.title, 0, at))
            .set_format(rust_xlsxwriter::ChartFormat::new().set_solid_fill(rust_xlsxwriter::ChartSolidFill::new().set_color(fill)));
        series.set_gap(40);
    }
    drawing.title().set_name(chart.title);
    // The first row on top, as in the table.
    drawing.y_axis().set_reverse();
    if stacked {
        drawing.legend().set_position(ChartLegendPosition::Top);
    } else {
        drawing.legend().set_hidden();
    }
    drawing.set_width(760).set_height(120 + 24 * last).set_alt_text(format!("{}：数值见左侧各列", chart.title));
    sheet.insert_chart(1, chart.parts.len() as u16 + 2, &drawing)?;
    Ok(())
}

/// How the numbers of a unit are shown.
fn shown(unit: Unit, whole: bool) -> &'static str {
    match unit {
        Unit::Ratio => "0.00%",
        Unit::Index => "0.000",
        Unit::Person | Unit::Offer if whole => "#,##0",
        _ => "0.0",
    }
}

fn put(sheet: &mut Worksheet, at: u32, report: &Report, row: &Row, format: &Format) -> Result<(), XlsxError> {
    for (column, cell) in (0u16..).zip(report.flat(row)) {
        match cell {
            Cell::Text(text) => sheet.write_string_with_format(at, column, text, format)?,
            // Counts of persons stay far below 2^53, the last whole number that f64 keeps.
            Cell::Count(n) => sheet.write_number_with_format(at, column, n as f64, format)?,
            Cell::Number(x, unit) => sheet.write_number_with_format(at, column, x, &format.clone().set_num_format(shown(unit, false)))?,
            Cell::Below(n) => sheet.write_string_with_format(at, column, format!("<{n}"), format)?,
            Cell::Empty => continue,
        };
    }
    Ok(())
}

/// What became of figures of locked periods.
fn corrections(sheet: &mut Worksheet, report: &Report) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    sheet.set_name("对已封存期间的更正")?.set_column_width(2, 28)?.set_column_width(3, 16)?.set_freeze_panes(1, 0)?;
    for (at, title) in (0u16..).zip(CORRECTED) {
        sheet.write_string_with_format(0, at, title, &bold)?;
    }
    let count = Format::new().set_num_format(shown(Unit::Person, true));
    for (row, (texts, counts)) in (1u32..).zip(report.corrected()) {
        for (at, text) in (0u16..).zip(texts) {
            sheet.write_string(row, at, text)?;
        }
        for (at, n) in (4u16..).zip(counts) {
            sheet.write_number_with_format(row, at, n as f64, &count)?;
        }
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
    let hides = report.hides().map(|n| ("不予公布", format!("“<{n}”：人数少于 {n}，或者可由它推算出少于 {n} 的人数")));
    let mut line = 0;
    for (what, text) in about.into_iter().chain(hides) {
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
    use super::super::report::tests::{a_correction, sample};
    use calamine::{Data, Reader, Xlsx};
    use std::io::Cursor;

    fn read(bytes: Vec<u8>) -> Xlsx<Cursor<Vec<u8>>> {
        calamine::open_workbook_from_rs(Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn a_workbook_reads_back_with_its_types() {
        let mut report = sample();
        report.rows[0].keys[1] = Some("=1+1".into());
        let mut book = read(report.to_xlsx().unwrap());
        assert_eq!(book.sheet_names(), ["就业情况", "合计", "占上年末比重", "说明"]);
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
    fn what_became_of_locked_figures_has_a_sheet_where_anything_did() {
        let mut report = sample();
        report.more.corrections = Some(vec![a_correction()]);
        let mut book = read(report.to_xlsx().unwrap());
        let sheet = book.worksheet_range("对已封存期间的更正").unwrap();
        let row: Vec<Data> = sheet.rows().nth(1).unwrap().to_vec();
        let text = |text: &str| Data::String(text.to_owned());
        assert_eq!(row, [text("2020-08"), text("520300"), text("遵义市"), text("合计"), Data::Float(1003.0), Data::Float(1002.0)]);
        report.more.corrections = Some(Vec::new());
        assert_eq!(read(report.to_xlsx().unwrap()).sheet_names().len(), 4);
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

    /// The parts of the package, by name: it is a zip, whose directory names them.
    fn part_names(bytes: &[u8]) -> Vec<String> {
        let mark = b"PK\x01\x02";
        let mut names = Vec::new();
        for at in (0..bytes.len() - 46).filter(|at| bytes[*at..].starts_with(mark)) {
            let length = usize::from(u16::from_le_bytes([bytes[at + 28], bytes[at + 29]]));
            names.push(String::from_utf8(bytes[at + 46..at + 46 + length].to_vec()).unwrap());
        }
        names
    }

    #[test]
    fn a_native_chart_draws_the_total_of_each_row_from_typed_cells() {
        let bytes = sample().to_xlsx().unwrap();
        let names = part_names(&bytes);
        for part in ["xl/charts/chart1.xml", "xl/charts/chart2.xml", "xl/drawings/drawing1.xml"] {
            assert!(names.iter().any(|n| n == part), "{part} of {names:?}");
        }
        let mut book = read(bytes);
        let sheet = book.worksheet_range("合计").unwrap();
        let cell = |row, column| sheet.get_value((row, column)).cloned().unwrap_or(Data::Empty);
        assert_eq!((cell(1, 0), cell(1, 1)), (Data::String("黔东南苗族侗族自治州 · meituan".to_owned()), Data::Float(3.0)));
        assert_eq!((cell(2, 1), cell(3, 1)), (Data::Float(2.0), Data::Empty), "the total is no bar");
        let mut empty = sample();
        empty.rows.clear();
        let bytes = empty.to_xlsx().unwrap();
        assert!(!part_names(&bytes).iter().any(|n| n.starts_with("xl/charts")), "nothing to draw, no chart");
        assert_eq!(read(bytes).sheet_names(), ["就业情况", "说明"]);
    }

    #[test]
    fn the_same_report_gives_the_same_bytes() {
        assert_eq!(sample().to_xlsx().unwrap(), sample().to_xlsx().unwrap());
    }
}
