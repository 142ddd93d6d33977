//! `doorstep import workers FILE`.

use super::{Failure, Outcome, Progress, open_store, region, settings, with_runtime};
use crate::cache::Limits;
use crate::clock::Clock;
use crate::ingest::registry::RegistryBatch;
use crate::ingest::{BatchError, Ingest};
use clap::Subcommand;
use serde_json::Value;
use std::cell::OnceCell;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Subcommand)]
pub enum Command {
    /// Rows of a registry: CSV, NDJSON, JSON or XLSX
    Workers {
        file: PathBuf,
        /// Rows whose home lies elsewhere are refused
        #[arg(long)]
        region: Option<String>,
        /// Where refused rows are told, one JSON line each; else on stderr
        #[arg(long, value_name = "FILE")]
        rejects: Option<PathBuf>,
    },
}

pub fn run(settings_file: Option<PathBuf>, command: Command) -> Outcome {
    let Command::Workers { file, region: place, rejects } = command;
    let config = settings(settings_file)?;
    let region = region(place.as_deref())?;
    let body = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let adapters = crate::app::adapters(&config).map_err(Failure)?;
    let reader = adapters.get("canonical").cloned().ok_or("the adapter canonical is compiled in")?;
    let store = open_store(&config)?;
    let limits = Arc::new(Limits::new(&config).map_err(Failure)?);
    let ingest = Ingest::new(store, limits, &config);
    let progress = OnceCell::new();
    let told = |done: usize, total: usize| progress.get_or_init(|| Progress::new("rows", total as u64)).at(done as u64);
    let batch = RegistryBatch { reader, format: None, body, region, once: None, sender: None };
    let answer = with_runtime(ingest.register(batch, Clock::System.now(), told))?.map_err(|e| match e {
        BatchError::Body(e) => Failure(format!("{}: {e}", file.display())),
        BatchError::Store(e) => Failure(e.to_string()),
        _ => Failure("the file could not be read".to_owned()),
    })?;
    if let Some(progress) = progress.into_inner() {
        progress.finish();
    }
    let refused = answer.body["rejected"].as_array().cloned().unwrap_or_default();
    let mut out: Box<dyn Write> = match &rejects {
        Some(path) => Box::new(std::fs::File::create(path).map_err(|e| format!("{}: {e}", path.display()))?),
        None => Box::new(std::io::stderr()),
    };
    for reject in &refused {
        writeln!(out, "{reject}")?;
    }
    let count = |name: &str| answer.body[name].as_u64().unwrap_or(0);
    let rows_refused = refused.iter().map(|r| &r["index"]).collect::<std::collections::HashSet<&Value>>().len();
    println!(
        "{} rows: {} created, {} updated, {} unchanged, {rows_refused} refused",
        count("received"),
        count("created"),
        count("updated"),
        count("unchanged")
    );
    Ok(ExitCode::SUCCESS)
}
