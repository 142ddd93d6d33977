//! Hires with the facts that follow one another.

use super::Store;
use super::engine::{Row, StoreError, params};
use crate::domain::hire::{Corrected, Fact, HireStatus, Life};
use crate::domain::id::{HireId, WorkerId};
use crate::domain::time::{Moment, from_day_number};

/// What corrections set, in columns of start, whether the end is set, end, void.
pub(super) fn corrected(row: &Row, from: usize) -> Result<Corrected, StoreError> {
    Ok(Corrected {
        started_on: row.opt_int(from)?.map(from_day_number),
        ended_on: row.flag(from + 1)?.then_some(row.opt_int(from + 2)?.map(from_day_number)),
        void: row.flag(from + 3)?,
    })
}

/// The facts in a row of hire, kind, at, month.
pub(super) fn facts(row: &Row) -> Result<Vec<Fact>, StoreError> {
    let day = Moment::from_ms(row.int(2)?).day();
    Ok(match row.text(1)? {
        "CONFIRMED" => vec![Fact::Confirmed(day)],
        "LISTED" => vec![Fact::Listed(day)],
        "SINCE" => vec![Fact::Started(day), Fact::Listed(day)],
        kind => match HireStatus::parse(kind) {
            Some(HireStatus::Hired) => vec![Fact::Hired(day)],
            Some(HireStatus::Onboarded) => vec![Fact::Started(day)],
            Some(HireStatus::Active) => {
                let month = from_day_number(row.int(3)?);
                vec![Fact::Active { month, counts_on: month.last_of_month(), at: day }]
            }
            Some(HireStatus::Ended | HireStatus::Withdrawn) => vec![Fact::Over(day)],
            _ => Vec::new(),
        },
    })
}

impl Store {
    /// The lives of one worker's hires.
    pub async fn lives(&self, worker: WorkerId) -> Result<Vec<(HireId, Life)>, StoreError> {
        self.read(move |s| {
            let sql = "SELECT f.hire, f.kind, f.at, f.month, h.start_set, h.end_fixed, h.end_set, h.void FROM hires h
                       JOIN hire_facts f ON f.hire = h.id WHERE h.worker = $1 ORDER BY f.hire, f.seq";
            let mut lives: Vec<(HireId, Life)> = Vec::new();
            for row in s.query(sql, params![worker.uuid()])? {
                let id = HireId::new(row.uuid(0)?);
                if lives.last().is_none_or(|(last, _)| *last != id) {
                    lives.push((id, Life { facts: Vec::new(), corrected: corrected(&row, 4)? }));
                }
                if let Some((_, life)) = lives.last_mut() {
                    life.facts.extend(facts(&row)?);
                }
            }
            Ok(lives)
        })
        .await
    }

    /// People with a hire whose last word is ACTIVE, counted by one statement beside
    /// the fold.
    pub async fn active_people(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(DISTINCT worker) FROM hires WHERE status = 'ACTIVE' AND void = 0";
        self.read(move |s| s.one(sql, &[])?.map_or(Ok(0), |r| r.count(0).map(u64::from))).await
    }

    /// Hires by flow and status, for the demo's table.
    pub async fn hire_counts(&self) -> Result<Vec<(String, String, i64)>, StoreError> {
        self.read(|s| {
            let rows = s.query("SELECT flow, status, COUNT(*) FROM hires GROUP BY flow, status ORDER BY flow, status", &[])?;
            rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.text(1)?.to_owned(), r.int(2)?))).collect()
        })
        .await
    }
}
