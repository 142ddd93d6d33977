//! A report on its way out. One of the nation has tens of thousands of rows: each is made
//! when it is written, in the place of the one before; who wants them all at hand asks
//! for the [`Report`].

use super::json::Pieces;
use super::report::{Report, Row};

/// Makes the row of a place, below the number of rows, in the place of another one.
type Make = Box<dyn FnMut(usize, &mut Row) + Send>;

/// All of a report but its rows, and how these are made.
pub struct Draft {
    /// Without rows.
    pub head: Report,
    /// How many rows there are.
    pub len: usize,
    make: Make,
}

impl Draft {
    /// See [`Make`].
    pub(super) fn new(head: Report, len: usize, make: impl FnMut(usize, &mut Row) + Send + 'static) -> Self {
        Self { head, len, make: Box::new(make) }
    }

    /// The whole of it.
    pub fn report(self) -> Report {
        let Self { head: mut report, len, mut make } = self;
        let made = |at| {
            let mut row = Row::default();
            make(at, &mut row);
            row
        };
        report.rows = (0..len).map(made).collect();
        report
    }

    /// The JSON document in pieces, each written when it is asked for, so that no nation's
    /// stands in memory as a whole.
    pub fn json(self) -> impl Iterator<Item = Vec<u8>> + Send {
        Pieces::of(self.head, self.len, self.make)
    }
}

/// Rows in the order of their keys, those of one key added up: places of a row follow each
/// other but where divisions do not go by their codes.
pub(super) fn in_order<K: Ord + Copy, V: Copy>(mut rows: Vec<(K, V)>, add: impl Fn(&mut V, V)) -> Vec<(K, V)> {
    if rows.is_sorted_by(|(a, _), (b, _)| a < b) {
        return rows;
    }
    rows.sort_by_key(|(key, _)| *key);
    rows.dedup_by(|(key, more), (kept, sums)| {
        let same = key == kept;
        if same {
            add(sums, *more);
        }
        same
    });
    rows
}

impl From<Report> for Draft {
    fn from(mut report: Report) -> Self {
        let mut rows = std::mem::take(&mut report.rows);
        Self::new(report, rows.len(), move |at, row| *row = std::mem::take(&mut rows[at]))
    }
}
