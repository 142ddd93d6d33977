//! `doorstep bench …`: measurements on data that they make themselves.

use super::{Failure, Outcome};
#[cfg(feature = "peers")]
use crate::bench::peers;
use crate::bench::{accept, deliver, e2e, ingest, reports, rosters, routing};
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Postings a second from a push to the commit, beside bare insert and bare parsing
    Ingest(Ingest),
    /// The routing index over generated workers, each track checked against looking at everybody
    Routing(Routing),
    /// Yeses a second, durable, over HTTP and at the store, beside bare commits
    Accept(Accept),
    /// From a pushed batch to its offers committed, and offers beside workers' answers
    E2e(E2e),
    /// One roster against everybody registered, from its body to the last commit
    Rosters(Rosters),
    /// Reports over HTTP with so many hires in the store, beside the same in plain SQL; then the sealed log verified
    Reports(Reports),
    /// Webhooks a second, and from the commit to the receipt, without and with an endpoint that hangs
    Deliver(Deliver),
    /// The routing index beside a search engine and PostgreSQL on the same people and postings
    #[cfg(feature = "peers")]
    Peers(Peers),
}

#[cfg(feature = "peers")]
#[derive(clap::Args)]
pub struct Peers {
    #[arg(long, default_value_t = 1_000_000)]
    workers: u32,
    #[arg(long, default_value_t = 1_000)]
    postings: u64,
    /// Ask this PostgreSQL too, in a schema that goes again
    #[arg(long, value_name = "URL", env = "DOORSTEP_TEST_POSTGRES")]
    postgres: Option<String>,
}

#[derive(clap::Args)]
pub struct Accept {
    /// Callers at once
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Yeses of each measurement, by as many workers
    #[arg(long, default_value_t = 40_000)]
    accepts: u32,
    /// Measure on this store, which is written to; default: an embedded one that goes again
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

#[derive(clap::Args)]
pub struct E2e {
    /// How many workers are registered first
    #[arg(long, default_value_t = 1_000_000)]
    workers: u32,
    /// Batches of 100 postings with one opening each
    #[arg(long, default_value_t = 100)]
    rounds: u64,
    /// Seconds for which offers and answers flow side by side
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Answers a second beside the offers
    #[arg(long, default_value_t = 1_000)]
    answers: u32,
    /// Measure on this store, which is written to; default: an embedded one that goes again
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

#[derive(clap::Args)]
pub struct Rosters {
    #[arg(long, default_value_t = 300_000)]
    lines: u32,
    /// How many workers are registered first
    #[arg(long, default_value_t = 1_000_000)]
    workers: u32,
    /// The share of lines that name somebody registered
    #[arg(long, default_value_t = 0.1)]
    known: f64,
    /// Measure on this store, which is written to; default: an embedded one that goes again
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

#[derive(clap::Args)]
pub struct Reports {
    #[arg(long, default_value_t = 1_000_000)]
    hires: u32,
    /// How often each report is asked for
    #[arg(long, default_value_t = 200)]
    questions: u64,
    /// How often each is asked in SQL
    #[arg(long, default_value_t = 5)]
    sql: u64,
    /// Ask nothing but what has this in its name
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Measure on this store, which is written to; default: an embedded one that goes again
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Keep an embedded store in this folder; one that an earlier run made is measured as it is
    #[arg(long, value_name = "FOLDER", conflicts_with = "store")]
    folder: Option<std::path::PathBuf>,
}

#[derive(clap::Args)]
pub struct Deliver {
    #[arg(long, default_value_t = 100)]
    endpoints: usize,
    /// Events of each round
    #[arg(long, default_value_t = 50_000)]
    events: usize,
    /// Events a second; 0: as fast as the store takes them
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// Measure on this store, which is written to; default: an embedded one that goes again
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

#[derive(clap::Args)]
pub struct Routing {
    /// How many workers, one after the other
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000])]
    workers: Vec<u32>,
    /// A read-only, B stress, C closed loop, D one date for nine of ten, E start from a file, F reader beside writer, W a
    /// window of 1,000 postings over 100,000 workers beside the most offers that anybody could fill
    #[arg(long, default_value = "ABCDEFW")]
    tracks: String,
    /// Postings of track A; the others ask fewer
    #[arg(long, default_value_t = 50_000)]
    postings: u64,
    /// Postings of each track that are checked
    #[arg(long, default_value_t = 100)]
    check: u64,
    /// Changes of track C
    #[arg(long, default_value_t = 3_000_000)]
    updates: u64,
}

#[derive(clap::Args)]
pub struct Ingest {
    /// Postings for each batch size
    #[arg(long, default_value_t = 100_000)]
    postings: usize,
    /// Sizes of batches
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1_000, 10_000])]
    batches: Vec<usize>,
    /// Measure on this store, which is written to; default: an embedded one that goes again
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// With routing beside it, as a gateway with all roles has
    #[arg(long)]
    routing: bool,
}

pub fn run(command: Command) -> Outcome {
    match command {
        Command::Routing(args) => {
            let Routing { workers, tracks, postings, check, updates } = args;
            routing::run(&routing::Plan { workers, tracks: tracks.to_uppercase(), postings, check, updates }).map_err(Failure)?;
        }
        Command::Accept(Accept { clients, accepts, store }) => {
            crate::app::block_on(accept::run(accept::Plan { clients, accepts, store })).map_err(Failure)?;
        }
        Command::E2e(args) => {
            let E2e { workers, rounds, seconds, answers, store } = args;
            let plan = e2e::Plan { workers, rounds, flow: Duration::from_secs(seconds), answers, store };
            crate::app::block_on(e2e::run(plan)).map_err(Failure)?;
        }
        Command::Rosters(args) => {
            let Rosters { lines, workers, known, store } = args;
            crate::app::block_on(rosters::run(rosters::Plan { lines, workers, known, store })).map_err(Failure)?;
        }
        Command::Reports(args) => {
            let Reports { hires, questions, sql, only, store, folder } = args;
            crate::app::block_on(reports::run(reports::Plan { hires, questions, sql, only, store, folder })).map_err(Failure)?;
        }
        Command::Deliver(args) => {
            let Deliver { endpoints, events, rate, store } = args;
            crate::app::block_on(deliver::run(deliver::Plan { endpoints, events, rate, store })).map_err(Failure)?;
        }
        #[cfg(feature = "peers")]
        Command::Peers(args) => {
            let Peers { workers, postings, postgres } = args;
            let postgres = postgres.filter(|url| !url.is_empty());
            peers::run(&peers::Plan { workers, postings, postgres }).map_err(Failure)?;
        }
        Command::Ingest(args) => {
            if args.batches.iter().any(|b| !(1..=20_000).contains(b)) {
                return Err(Failure("--batches must be 1 to 20000".to_owned()));
            }
            let plan = ingest::Plan { postings: args.postings, batches: args.batches, store: args.store, routing: args.routing };
            crate::app::block_on(ingest::run(plan)).map_err(Failure)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
