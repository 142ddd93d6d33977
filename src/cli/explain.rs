//! `doorstep explain --posting ID --worker ID`.

use super::{Failure, Outcome, open_store, settings, unreachable_store, with_runtime};
use crate::clock::Clock;
use crate::domain::id::{PostingId, WorkerId};
use crate::http::{Lang, explanation_body};
use crate::routing::Router;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    posting: String,
    #[arg(long)]
    worker: String,
    /// zh or en
    #[arg(long, default_value = "zh")]
    lang: String,
    /// The document that the gateway answers, instead of its words
    #[arg(long)]
    json: bool,
}

pub fn run(file: Option<PathBuf>, args: Args) -> Outcome {
    let config = settings(file)?;
    let posting = PostingId::parse(&args.posting).ok_or_else(|| Failure("--posting: is no id".to_owned()))?;
    let worker = WorkerId::parse(&args.worker).ok_or_else(|| Failure("--worker: is no id".to_owned()))?;
    let store = open_store(&config)?;
    let router = Router::new(store, &config);
    let found = with_runtime(async move { router.explain(posting, worker, Clock::System.now()).await })?.map_err(unreachable_store)?;
    let explanation = found.ok_or_else(|| Failure("there is no such posting or worker".to_owned()))?;
    let body = explanation_body(posting, worker, &explanation, Lang::parse(&args.lang));
    if args.json {
        println!("{body}");
    } else {
        println!("{}", body["text"].as_str().unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}
