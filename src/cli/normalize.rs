//! `doorstep normalize [FILE|-]`: rows in, one JSON line for each out.

use super::{Failure, Outcome};
use crate::domain::normalize;
use serde_json::Value;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// CSV or NDJSON with title, salary_text, region_text and optionally context; - is standard input
    #[arg(default_value = "-")]
    file: String,
}

pub fn run(args: Args) -> Outcome {
    normalize::warm();
    let input: Box<dyn Read> = match args.file.as_str() {
        "-" => Box::new(std::io::stdin()),
        path => Box::new(std::fs::File::open(path).map_err(|e| format!("{path}: {e}"))?),
    };
    let mut input = BufReader::new(input);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let first = input.fill_buf()?;
    let start = first.iter().position(|b| !b.is_ascii_whitespace() && !matches!(b, 0xef | 0xbb | 0xbf));
    let done = if start.is_some_and(|at| first[at] == b'{') { ndjson(input, &mut out) } else { csv_rows(input, &mut out) };
    match done.and_then(|()| Ok(out.flush()?)) {
        // Whoever reads the output may have read enough.
        Err(Failure(text)) if text.contains("Broken pipe") => Ok(ExitCode::SUCCESS),
        other => other.map(|()| ExitCode::SUCCESS),
    }
}

fn ndjson(input: impl BufRead, out: &mut impl Write) -> Result<(), Failure> {
    for (n, line) in input.lines().enumerate() {
        let line = line?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        let row: Value = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", n + 1))?;
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        writeln!(out, "{}", normalize::row(text("title"), text("salary_text"), text("region_text"), text("context")))?;
    }
    Ok(())
}

fn csv_rows(input: impl Read, out: &mut impl Write) -> Result<(), Failure> {
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let headers = rows.headers()?.clone();
    let column = |name: &str| headers.iter().position(|h| h.trim_start_matches('\u{feff}').trim() == name);
    let columns = ["title", "salary_text", "region_text", "context"].map(column);
    if let [None, None, None, _] = columns {
        return Err(Failure("the first line must name title, salary_text and region_text".to_owned()));
    }
    for row in rows.records() {
        let row = row?;
        let [title, salary, region, context] = columns.map(|c| c.and_then(|c| row.get(c)).unwrap_or_default());
        writeln!(out, "{}", normalize::row(title, salary, region, context))?;
    }
    Ok(())
}
