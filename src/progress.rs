//! Progress of long work: a bar on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a plain line is written.
const EVERY: Duration = Duration::from_secs(2);

/// Shows how far something has come, on stderr.
pub struct Progress {
    what: String,
    total: u64,
    bar: Option<ProgressBar>,
    told: std::cell::Cell<Instant>,
}

impl Progress {
    pub fn new(what: &str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
            let bar = ProgressBar::new(total).with_message(what.to_owned());
            style.map_or(bar.clone(), |s| bar.with_style(s))
        });
        Self { what: what.to_owned(), total, bar, told: std::cell::Cell::new(Instant::now()) }
    }

    /// So much of the total is done.
    pub fn at(&self, done: u64) {
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.told.get().elapsed() > EVERY => {
                self.told.set(Instant::now());
                eprintln!("{}: {done} of {}", self.what, self.total);
            }
            None => {}
        }
    }

    /// It is done.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
