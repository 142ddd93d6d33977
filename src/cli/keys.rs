//! `doorstep keys init FILE`.

use super::Outcome;
use crate::config::keys::Keys;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Command {
    /// Write fresh secrets to a new file that only its owner may read
    Init { file: PathBuf },
}

pub fn run(command: Command) -> Outcome {
    let Command::Init { file } = command;
    Keys::init(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    println!("{} holds fresh secrets. Keep a copy apart from the store: without it nothing in the store can be read.", file.display());
    Ok(ExitCode::SUCCESS)
}
