//! Tables for a terminal; Chinese characters are two cells wide.

use crate::reporting::{cells, pad};

/// Rows under a header, numbers to the right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|h| h.to_string()).collect();
    let columns = header.len();
    let widest = |c: usize| std::iter::once(&header).chain(rows).map(|r| r.get(c).map_or(0, |t| cells(t))).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let numeric = |text: &str| text.chars().next().is_some_and(|c| c.is_ascii_digit());
    let line = |row: &Vec<String>| {
        let cell = |(c, text): (usize, &String)| pad(text, widths[c], !numeric(text));
        format!("  {}\n", row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end())
    };
    let rule = format!("  {}\n", widths.iter().map(|w| "─".repeat(*w)).collect::<Vec<_>>().join("  "));
    std::iter::once(line(&header)).chain([rule]).chain(rows.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_wide_characters() {
        let text = table(&["平台", "n"], &[vec!["美团".into(), "12".into()], vec!["didi".into(), "3".into()]]);
        assert_eq!(text, "  平台  n\n  ────  ──\n  美团  12\n  didi   3\n");
    }
}
