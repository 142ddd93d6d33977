//! The command line: one file for each subcommand. A command other than `serve`
//! works while a server runs on the same store.

mod adapter;
mod bench;
mod check;
mod client;
mod demo;
mod explain;
mod import;
mod keys;
mod normalize;
mod report;
mod seal;
mod serve;
mod store;

use crate::config::Config;
use crate::config::keys::Keys;
use crate::domain::region::Region;
use crate::progress::Progress;
use crate::store::Store;
use crate::store::ids::Ids;
use crate::store::{Opening, StoreError};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Parser)]
#[command(name = "doorstep", version, about = "A gateway between gig platforms, registered workers from poor areas, and poverty offices")]
struct Args {
    /// A file of settings over the compiled-in ones
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway
    Serve,
    /// The main job on shipped samples: registry in, feeds in, offers out, answers, hires, report
    Demo(demo::Args),
    /// Look over configuration, keys, adapters, store and cache: every problem at once
    Check,
    /// Work on adapters
    #[command(subcommand)]
    Adapter(adapter::Command),
    /// Read place, pay and trade of postings, line for line
    Normalize(normalize::Args),
    /// Measure on data made for it
    #[command(subcommand)]
    Bench(bench::Command),
    /// Clients that may call
    #[command(subcommand)]
    Client(client::Command),
    /// Take in files
    #[command(subcommand)]
    Import(import::Command),
    /// Print a report
    Report(report::Args),
    /// Why a worker did or did not get a posting
    Explain(explain::Args),
    /// Secrets
    #[command(subcommand)]
    Keys(keys::Command),
    /// The sealed log: look over it, its newest checkpoint, its public key
    #[command(subcommand)]
    Seal(seal::Command),
    /// The store's tables
    #[command(subcommand)]
    Store(store::Command),
}

/// Why a command failed: what its user reads.
#[derive(Debug)]
pub struct Failure(pub String);

impl<T: std::fmt::Display> From<T> for Failure {
    fn from(e: T) -> Self {
        Failure(e.to_string())
    }
}

/// How a command ends: with this exit code, or with a text and 1.
pub type Outcome = Result<ExitCode, Failure>;

/// Runs the command line.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let config = args.config;
    start_log(matches!(args.command, Command::Serve));
    let outcome = match args.command {
        Command::Serve => serve::run(config),
        Command::Demo(args) => demo::run(args),
        Command::Check => check::run(config),
        Command::Adapter(command) => adapter::run(command),
        Command::Normalize(args) => normalize::run(args),
        Command::Bench(command) => bench::run(command),
        Command::Client(command) => client::run(config, command),
        Command::Import(command) => import::run(config, command),
        Command::Report(args) => report::run(config, args),
        Command::Explain(args) => explain::run(config, args),
        Command::Keys(command) => keys::run(command),
        Command::Seal(command) => seal::run(config, command),
        Command::Store(command) => store::run(config, command),
    };
    outcome.unwrap_or_else(|Failure(text)| {
        eprintln!("doorstep: {text}");
        ExitCode::FAILURE
    })
}

/// Log lines go to stderr: JSON for a server, plain for a person; `RUST_LOG` sets
/// how much.
fn start_log(serving: bool) {
    let default = if serving { "info" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only the first recorder of a process holds; there is no other here.
    let _ = if serving { log.json().try_init() } else { log.try_init() };
}

/// The settings of this process.
fn settings(file: Option<PathBuf>) -> Result<Config, Failure> {
    Config::load(file.as_deref(), std::env::vars()).map_err(|problems| Failure(lines(&problems)))
}

fn lines(problems: &[impl ToString]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n          ")
}

/// The secrets that the settings name.
fn secrets(config: &Config) -> Result<Arc<Keys>, Failure> {
    if config.keys.file.is_empty() {
        return Err(Failure(
            "keys.file is not set. `doorstep keys init FILE` makes the secrets; then set keys.file or DOORSTEP_KEYS__FILE to it."
                .to_owned(),
        ));
    }
    let keys = Keys::load(std::path::Path::new(&config.keys.file)).map_err(|problems| Failure(lines(&problems)))?;
    Ok(Arc::new(keys))
}

/// Opens the store beside whoever serves it.
fn open_store(config: &Config) -> Result<Store, Failure> {
    let keys = secrets(config)?;
    let store = Store::open(Opening {
        url: &config.store.url,
        readers: 2,
        keys,
        ids: Arc::new(Ids::from_os()),
        stale_months: config.report.stale_months,
        serve: false,
    })?;
    if !config.notify.channel.is_empty() {
        // The server sends what a command gives cause for.
        store.tell_workers(config.notify.collect);
    }
    Ok(store)
}

/// Runs store calls on a small runtime of their own.
fn with_runtime<F: Future>(future: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    Ok(runtime.block_on(future))
}

/// A region on the command line.
fn region(text: Option<&str>) -> Result<Region, Failure> {
    let text = text.unwrap_or("000000");
    crate::domain::region::resolve_code(text).map_err(|_| Failure(format!("--region: {text} is no division")))
}

fn unreachable_store(e: StoreError) -> Failure {
    Failure(e.to_string())
}
