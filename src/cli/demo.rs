//! `doorstep demo`.

use super::{Failure, Outcome};
use crate::demo::{Plan, tell};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// People in the invented registry
    #[arg(long, default_value_t = 20_000)]
    workers: usize,
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: String,
    /// Stay up for a look at the pages
    #[arg(long)]
    serve: bool,
    /// The same seed invents the same people and the same answers
    #[arg(long, default_value_t = 2020)]
    seed: u64,
}

pub fn run(args: Args) -> Outcome {
    let plan = Plan { workers: args.workers, listen: args.listen, serve: args.serve, seed: args.seed };
    crate::app::block_on(tell(plan)).map_err(Failure)?;
    Ok(ExitCode::SUCCESS)
}
