//! `doorstep explain --posting ID --worker ID`.

use super::{Failure, Outcome, open_store, settings, unreachable_store, with_runtime};
use crate::clock::Clock;
use crate::domain::id::{PostingId, WorkerId};
use crate::routing::{Explanation, Router};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    posting: String,
    #[arg(long)]
    worker: String,
}

pub fn run(file: Option<PathBuf>, args: Args) -> Outcome {
    let config = settings(file)?;
    let posting = PostingId::parse(&args.posting).ok_or_else(|| Failure("--posting: is no id".to_owned()))?;
    let worker = WorkerId::parse(&args.worker).ok_or_else(|| Failure("--worker: is no id".to_owned()))?;
    let store = open_store(&config)?;
    let router = Router::new(store, &config);
    let found = with_runtime(async move { router.explain(posting, worker, Clock::System.now()).await })?.map_err(unreachable_store)?;
    match found {
        None => return Err(Failure("there is no such posting or worker".to_owned())),
        Some(Explanation::Failed("offered_before")) => println!("had an offer of this posting, or of the same work, before"),
        Some(Explanation::Failed("held_for_review")) => println!("the posting waits for an operator to look at it and is not routed"),
        Some(Explanation::Failed("posting_without_place")) => println!("the posting has no resolved place and is not routed"),
        Some(Explanation::Failed(step)) => println!("does not suit: the first condition that fails is {step:?}"),
        Some(Explanation::Ranked(before)) => println!("suits; {before} others come first"),
    }
    Ok(ExitCode::SUCCESS)
}
