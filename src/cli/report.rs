//! `doorstep report NAME --period P`.

use super::{Failure, Outcome, open_store, settings, unreachable_store, with_runtime};
use crate::clock::Clock;
use crate::domain::region::Region;
use crate::reporting::{self, Format, Params, Query, Rules};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// employment
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
    /// home or work
    #[arg(long)]
    axis: Option<String>,
    /// tier, tier_at_hire, focus, platform, category or flow
    #[arg(long)]
    by: Option<String>,
    /// json, csv, xlsx, dhis2 or table
    #[arg(long, default_value = "table")]
    format: String,
}

pub fn run(file: Option<PathBuf>, args: Args) -> Outcome {
    let config = settings(file)?;
    if args.name != "employment" {
        return Err(Failure(format!("there is no report {:?}; known is employment", args.name)));
    }
    let format =
        Format::parse(&args.format).ok_or_else(|| Failure(format!("--format: {} is not json, csv, xlsx, dhis2 or table", args.format)))?;
    let params = Params {
        period: Some(&args.period),
        region: args.region.as_deref(),
        level: args.level.as_deref(),
        axis: args.axis.as_deref(),
        by: args.by.as_deref(),
    };
    let fault = |f: reporting::QueryFault| Failure(format!("--{}: {}", f.parameter(), f.code()));
    let query = Query::parse(params, Region::NATION).map_err(fault)?;
    let now = Clock::System.now();
    let day = query.day(now.day()).map_err(fault)?;
    let store = open_store(&config)?;
    let fold = with_runtime(async move { store.fold(day).await })?.map_err(unreachable_store)?;
    let report = reporting::employment(&fold, &query, &Rules::from(&config.report), day, now, &|_| None);
    std::io::stdout().lock().write_all(&report.write(format)?)?;
    Ok(ExitCode::SUCCESS)
}
