//! A body's records, mapped one after the other.

use super::body::Sources;
use super::canonical;
use super::program::Program;
use crate::domain::posting::Fault;
use serde_json::Value;

/// What became of one record.
#[derive(Debug)]
pub struct Record {
    /// Its place in the body, from 0; blank lines are not counted.
    pub index: usize,
    pub outcome: Outcome,
}

/// See [`Record`].
#[derive(Debug)]
pub enum Outcome {
    /// A canonical object, not yet normalized.
    Mapped(Value),
    /// Left out on purpose, for this reason.
    Skipped(String),
    /// What is wrong, and the platform's own id if that much could be read.
    Rejected(Fault, Option<String>),
}

/// Yields every record of a body, lazily.
pub struct Records<'a> {
    sources: Sources<'a>,
    program: Option<&'a Program>,
    adapter: &'a str,
    index: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(sources: Sources<'a>, program: Option<&'a Program>, adapter: &'a str) -> Self {
        Self { sources, program, adapter, index: 0 }
    }

    /// How many there are at least, as far as is known before they are read.
    pub fn at_least(&self) -> usize {
        self.sources.at_least()
    }

    /// The adapter that reads them.
    pub fn adapter(&self) -> &'a str {
        self.adapter
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let arrays = self.sources.arrays();
        let source = self.sources.next()?;
        let index = self.index;
        self.index += 1;
        let outcome = match (source, self.program) {
            (Err(fault), _) => Outcome::Rejected(fault, None),
            (Ok(source), Some(program)) => match source.tree(arrays) {
                Ok(item) => program.run(item, self.sources.parent()),
                Err(fault) => Outcome::Rejected(fault, None),
            },
            (Ok(super::body::Source::Row(row)), None) => Outcome::Mapped(canonical::nest(row)),
            (Ok(source), None) => match source.tree(arrays) {
                Ok(record) => Outcome::Mapped(record),
                Err(fault) => Outcome::Rejected(fault, None),
            },
        };
        Some(Record { index, outcome })
    }
}
