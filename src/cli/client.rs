//! `doorstep client add`.

use super::{Failure, Outcome, open_store, region, settings, unreachable_store, with_runtime};
use crate::clock::Clock;
use crate::domain::client::{Role, Slug};
use crate::store::clients::NewClient;
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Command {
    /// Make a client; prints its id and its secret, which is shown once
    Add {
        /// platform, office or admin
        #[arg(long)]
        role: String,
        /// A platform's slug, or what an office or administrator is called
        #[arg(long)]
        name: String,
        /// The subtree an office may see; 000000 is the nation
        #[arg(long)]
        region: Option<String>,
        /// The format a platform sends
        #[arg(long)]
        adapter: Option<String>,
    },
}

pub fn run(file: Option<PathBuf>, command: Command) -> Outcome {
    let Command::Add { role, name, region: place, adapter } = command;
    let config = settings(file)?;
    let role = Role::parse(&role).ok_or_else(|| Failure(format!("--role: {role} is not platform, office or admin")))?;
    if role == Role::Platform && Slug::parse(&name).is_none() {
        return Err(Failure("--name: a platform's name is 1 to 40 of a-z, 0-9 and -".to_owned()));
    }
    let region = region(place.as_deref())?;
    let adapter = adapter.unwrap_or_else(|| "canonical".to_owned());
    let adapters = crate::app::adapters(&config).map_err(Failure)?;
    if adapters.get(&adapter).is_none() {
        let known = adapters.names().collect::<Vec<_>>().join(" ");
        return Err(Failure(format!("--adapter: there is no {adapter}; known are {known}")));
    }
    let store = open_store(&config)?;
    let made = with_runtime(async move { store.add_client(NewClient { role, name, region, adapter }, Clock::System.now()).await })?;
    let (id, secret) = made.map_err(unreachable_store)?;
    println!("{}", json!({"client_id": id, "client_secret": secret}));
    Ok(ExitCode::SUCCESS)
}
