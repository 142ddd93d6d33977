//! A report as aligned text for a terminal.

use super::report::{Column, Report, Row, Unit, Value};

/// Between two columns.
const GAP: &str = "  ";

pub(super) fn write(report: &Report) -> String {
    let titles = report.keys.iter().map(|k| k.title.to_owned()).chain(report.columns.iter().map(|c| c.title.to_owned())).collect();
    let lines: Vec<Vec<String>> =
        [titles].into_iter().chain(report.rows.iter().chain([&report.totals]).map(|row| texts(report, row))).collect();
    let fields = report.keys.len() + report.columns.len();
    let widths: Vec<usize> =
        (0..fields).map(|i| lines.iter().filter_map(|line| line.get(i)).map(|t| cells(t)).max().unwrap_or(0)).collect();
    let rule = "─".repeat(widths.iter().sum::<usize>() + GAP.len() * fields.saturating_sub(1));
    let mut out = format!("{}  {}  {}  {}\n", report.title, report.period, plain(&report.region), report.axis.title_zh());
    for (at, line) in lines.iter().enumerate() {
        // Under the titles, and above the totals.
        if at == 1 || (at > 1 && at + 1 == lines.len()) {
            out += &rule;
            out.push('\n');
        }
        let padded: Vec<String> =
            line.iter().zip(&widths).enumerate().map(|(i, (text, width))| pad(text, *width, i < report.keys.len())).collect();
        out += padded.join(GAP).trim_end();
        out.push('\n');
    }
    out
}

fn texts(report: &Report, row: &Row) -> Vec<String> {
    let keys = row.keys.iter().map(|k| plain(k.as_deref().unwrap_or("")));
    keys.chain(report.columns.iter().zip(&row.values).map(|(column, v)| text_of(column, *v))).collect()
}

/// A terminal obeys control characters.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn text_of(column: &Column, value: Value) -> String {
    match value {
        Value::Count(n) => n.to_string(),
        Value::Unknown => "–".to_owned(),
        Value::Number(x) => format!("{x:.3}"),
        Value::Suppressed { below } => format!("<{below}"),
        Value::Ratio { numerator, denominator } => match column.quotient(numerator, denominator) {
            Some(x) if column.unit == Unit::Ratio => format!("{:.1}% ({numerator}/{denominator})", x * 100.0),
            Some(x) => format!("{x:.1} ({numerator}/{denominator})"),
            None => "–".to_owned(),
        },
    }
}

/// Words to the left, figures to the right.
pub fn pad(text: &str, width: usize, left: bool) -> String {
    let space = " ".repeat(width.saturating_sub(cells(text)));
    if left { format!("{text}{space}") } else { format!("{space}{text}") }
}

/// The cells of a terminal that a text takes: two for a character that is wide
/// or full-width by UAX #11.
pub fn cells(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x20000..=0x3fffd)
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn columns_align_though_chinese_characters_are_two_cells_wide() {
        let text = sample().to_table();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 1 + 1 + 2 + 1 + 1);
        assert!(lines[0].starts_with("就业情况  2020-09  520000  户籍地"));
        assert!(lines[3].ends_with("75.0% (3/4)"), "{text}");
        // The platform begins in the same cell of every row.
        let place = |line: &str| cells(&line[..line.find("meituan").unwrap()]);
        assert_eq!(place(lines[3]), place(lines[4]));
        assert_eq!(cells(lines[2]), cells(lines[3]));
    }
}
