//! `doorstep report NAME --period P`.

use super::{Failure, Outcome, open_store, settings, unreachable_store, with_runtime};
use crate::clock::Clock;
use crate::domain::region::Region;
use crate::reporting::{self, Format, Name, Params, ReportFault};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// employment, flows, platforms, routing or months
    name: String,
    /// 2020, 2020Q3 or 2020-09
    #[arg(long)]
    period: String,
    /// A division's code or set:NAME
    #[arg(long)]
    region: Option<String>,
    /// county, prefecture, province or nation
    #[arg(long)]
    level: Option<String>,
    /// home or work (employment)
    #[arg(long)]
    axis: Option<String>,
    /// tier, tier_at_hire, focus, platform, category or flow (employment)
    #[arg(long)]
    by: Option<String>,
    /// Fold the whole ledger first, and fail where facts, accounts or cells differ from it
    #[arg(long)]
    recount: bool,
    /// json, csv, xlsx, dhis2, sdmx-csv, html or table
    #[arg(long, default_value = "table")]
    format: String,
}

pub fn run(file: Option<PathBuf>, args: Args) -> Outcome {
    let config = settings(file)?;
    let known = || Name::ALL.map(Name::code).join(", ");
    let name = Name::parse(&args.name).ok_or_else(|| Failure(format!("there is no report {:?}; known are {}", args.name, known())))?;
    let format = Format::parse(&args.format).ok_or_else(|| Failure(format!("--format: {} is none of {}", args.format, Format::codes())))?;
    let store = open_store(&config)?;
    let recounting = args.recount;
    let made = with_runtime(async move {
        if recounting {
            let recount = store.recount().await.map_err(ReportFault::Store)?;
            eprintln!("{} entries folded: {} people with hires, {} pages of cells", recount.entries, recount.people, recount.pages);
            if !recount.differences.is_empty() {
                return Ok(Err(recount.differences));
            }
        }
        let params = Params {
            period: Some(&args.period),
            region: args.region.as_deref(),
            level: args.level.as_deref(),
            axis: args.axis.as_deref(),
            by: args.by.as_deref(),
            as_of: None,
        };
        reporting::report(&store, name, params, Region::NATION, Clock::System.now()).await.map(Ok)
    })?;
    let report = made.map_err(|fault| match fault {
        ReportFault::Query(f) => Failure(format!("--{}: {}: it {}", f.parameter(), f.code(), f.detail())),
        ReportFault::Store(e) => unreachable_store(e),
    })?;
    let report = report.map_err(|differences| Failure(format!("figures that differ from the ledger:\n{}", differences.join("\n"))))?;
    std::io::stdout().lock().write_all(&report.write(format)?)?;
    Ok(ExitCode::SUCCESS)
}
