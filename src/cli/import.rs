//! `doorstep import workers FILE`.

use super::{Failure, Outcome, Progress, open_store, region, settings, with_runtime};
use crate::cache::Limits;
use crate::clock::Clock;
use crate::ingest::registry::{Origin, RegistryBatch};
use crate::ingest::{BatchError, Ingest};
use crate::store::once::{Answer, LEASE, Once};
use clap::Subcommand;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    // As many rows as line breaks: only the bar goes by it.
    let lines = body.iter().filter(|b| **b == b'\n').count();
    let progress = Progress::new("rows", lines as u64);
    let told = |done: usize| progress.at(done as u64);
    let mac = store.body_mac(&[place.as_deref().unwrap_or_default().as_bytes(), &body]);
    let key = mac.iter().map(|b| format!("{b:02x}")).collect();
    // A file that was interrupted is gone on with; another is another.
    let once = Some(Once { client: uuid::Uuid::nil(), key, body_mac: mac });
    let batch = RegistryBatch { reader, format: None, body: Arc::new(body), region, once, origin: Origin::Operator };
    let ingest = Ingest::new(store, limits, &config);
    let answer = with_runtime(import(&ingest, batch, told))?.map_err(|e| match e {
        BatchError::Body(e) => Failure(format!("{}: {e}", file.display())),
        BatchError::Store(e) => Failure(e.to_string()),
        BatchError::InFlight => Failure(format!("{}: another import of this file is under way", file.display())),
        _ => Failure("the file could not be read".to_owned()),
    })?;
    progress.finish();
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

/// Takes the batch in; one that was killed a moment ago still has its key, and is
/// waited for.
async fn import(ingest: &Ingest, batch: RegistryBatch, told: impl Fn(usize)) -> Result<Answer, BatchError> {
    let begun = Instant::now();
    loop {
        match ingest.register(batch.clone(), Clock::System.now(), &told).await {
            Err(BatchError::InFlight) if begun.elapsed() < LEASE * 2 => {
                if begun.elapsed() < Duration::from_secs(1) {
                    eprintln!("an import of this file was under way until a moment ago; it goes on when that one's lease ends");
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            other => return other,
        }
    }
}
