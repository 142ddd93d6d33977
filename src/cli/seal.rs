//! `doorstep seal verify|checkpoint|key`.

use super::{Failure, Outcome, open_store, secrets, settings, with_runtime};
use crate::config::Config;
use crate::domain::time::{Moment, Period};
use crate::store::recount;
use crate::store::seals::note::{self, Note};
use crate::store::seals::verify::{Asked, verify_at};
use aws_lc_rs::signature::KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Command {
    /// Compute the sealed log again from its entries, and counters and locked reports from it; exit 1 and the
    /// first bad place if something was altered
    Verify(Verify),
    /// Print the newest checkpoint
    Checkpoint,
    /// Print the public key that checkpoints are signed by, as verifiers of signed notes take it
    Key,
}

#[derive(clap::Args)]
pub struct Verify {
    /// Only as far as the first checkpoint after this period: 2020, 2020Q3 or 2020-09
    #[arg(long)]
    period: Option<String>,
    /// A checkpoint that was kept; may be given more than once
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The public key, or a file of it, where the secrets are not at hand
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Option<String>,
}

pub fn run(file: Option<PathBuf>, command: Command) -> Outcome {
    let config = settings(file)?;
    match command {
        Command::Verify(asked) => return verify(&config, asked),
        Command::Checkpoint => {
            let store = open_store(&config)?;
            let newest = with_runtime(async move { store.checkpoint().await })??;
            print!("{}", newest.ok_or_else(|| Failure("nothing was sealed yet".to_owned()))?.note);
        }
        Command::Key => println!("{}", note::verifier(&config.seal.origin, &own_key(&config)?)),
    }
    Ok(ExitCode::SUCCESS)
}

fn own_key(config: &Config) -> Result<Vec<u8>, Failure> {
    Ok(secrets(config)?.seal.pair().public_key().as_ref().to_vec())
}

fn public_key(config: &Config, given: Option<&str>) -> Result<Vec<u8>, Failure> {
    let Some(given) = given else { return own_key(config) };
    let text = if Path::new(given).exists() { std::fs::read_to_string(given)? } else { given.to_owned() };
    note::read_verifier(&text)
        .ok_or_else(|| Failure(format!("--public-key: {given} is neither a key such as `doorstep seal key` prints nor a file of one")))
}

fn verify(config: &Config, asked: Verify) -> Outcome {
    let mut kept = Vec::new();
    for file in &asked.checkpoint {
        let fault = |why: &dyn std::fmt::Display| Failure(format!("--checkpoint: {} {why}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|e| fault(&e))?;
        kept.push(Note::parse(&text).map_err(|e| fault(&e))?);
    }
    let until = match &asked.period {
        None => None,
        Some(text) => {
            let period = Period::parse(text).ok_or_else(|| Failure(format!("--period: {text} is not 2020, 2020Q3 or 2020-09")))?;
            let next = period.last_day().tomorrow()?;
            Some(Moment::start_of(next))
        }
    };
    let asked = Asked { public: public_key(config, asked.public_key.as_deref())?, kept, until };
    // Facts, counters and locked reports are those of the whole log.
    let verdict = match asked.until {
        Some(_) => verify_at(&config.store.url, &asked, &mut |_| ())?,
        None => recount::verify_at(&config.store.url, &asked, config.report.stale_months)?,
    };
    for finding in &verdict.findings {
        println!("{finding}");
    }
    if !verdict.findings.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let kept = asked.kept.iter().map(|note| format!(", as the kept checkpoint of {}", note.size)).collect::<String>();
    println!(
        "{} entries and {} checkpoints are as they were sealed{kept}; {} entries are newer than the last checkpoint; root {}",
        verdict.entries,
        verdict.checkpoints,
        verdict.entries - verdict.sealed,
        STANDARD.encode(verdict.root)
    );
    Ok(ExitCode::SUCCESS)
}
