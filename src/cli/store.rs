//! `doorstep store migrate`.

use super::{Outcome, open_store, settings};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Command {
    /// Bring the tables up to date
    Migrate,
}

pub fn run(file: Option<PathBuf>, command: Command) -> Outcome {
    let Command::Migrate = command;
    let store = open_store(&settings(file)?)?;
    println!("the tables are up to date on {}", store.engine_name());
    Ok(ExitCode::SUCCESS)
}
