//! `doorstep adapter try DIR [FILE]`.

use super::{Failure, Outcome, lines};
use crate::adapter::try_adapter;
use crate::clock::Clock;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Command {
    /// Run an adapter on its samples, or on a file; prints postings and rejects as JSON
    Try {
        /// The adapter's folder
        dir: PathBuf,
        /// A body to read instead of the samples
        file: Option<PathBuf>,
    },
}

pub fn run(command: Command) -> Outcome {
    let Command::Try { dir, file } = command;
    let today = Clock::System.now().day();
    let report = try_adapter(&dir, file.as_deref(), today).map_err(|problems| Failure(lines(&problems)))?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    for difference in &report.differences {
        eprintln!("{difference}");
    }
    Ok(if report.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
