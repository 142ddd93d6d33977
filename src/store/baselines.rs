//! Totals at the end of past years, as offices state them.
//!
//! Promises: one total for each region and year, the one stated last; each change is an
//! entry of the ledger.

use super::Store;
use super::engine::{Sql, StoreError, params};
use super::once::Advance;
use super::writer::Tx;
use crate::domain::region::Region;
use crate::domain::time::Moment;
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// How many worked at the end of a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    pub region: Region,
    pub year: i16,
    pub total: u32,
}

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Created,
    Updated,
    Unchanged,
}

impl Kept {
    pub fn code(self) -> &'static str {
        match self {
            Kept::Created => "created",
            Kept::Updated => "updated",
            Kept::Unchanged => "unchanged",
        }
    }
}

fn state(tx: &mut Tx<'_>, s: &Stated, by: &str, now: Moment) -> Result<Kept, StoreError> {
    let (region, year, total) = (i64::from(s.region.code()), i64::from(s.year), i64::from(s.total));
    let fresh = tx.exec(
        "INSERT INTO baselines (region, year, total, at, by_whom) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (year, region) DO NOTHING",
        params![region, year, total, now.ms(), by],
    )?;
    let kept = if fresh == 1 {
        Kept::Created
    } else {
        let other = "UPDATE baselines SET total = $3, at = $4, by_whom = $5 WHERE region = $1 AND year = $2 AND total <> $3";
        if tx.exec(other, params![region, year, total, now.ms(), by])? == 1 { Kept::Updated } else { Kept::Unchanged }
    };
    if kept != Kept::Unchanged {
        tx.log.ledger(now, "baseline", Uuid::nil(), None, &json!({"region": s.region, "year": s.year, "total": s.total}));
    }
    Ok(kept)
}

/// The ledger's entry of one.
#[derive(Deserialize)]
pub(super) struct Leaf {
    pub region: Region,
    pub year: i16,
    pub total: u64,
}

fn stated_by(s: &mut dyn Sql, year: i16, upto: i64) -> Result<HashMap<Region, u64>, StoreError> {
    let mut out = HashMap::new();
    let rows = s.query("SELECT leaf FROM ledger WHERE kind = 'baseline' AND seq <= $1 ORDER BY seq", params![upto])?;
    for row in rows {
        let leaf: Leaf = serde_json::from_str(row.text(0)?).map_err(|_| StoreError::Corrupt("a baseline in the ledger".to_owned()))?;
        if leaf.year == year {
            out.insert(leaf.region, leaf.total);
        }
    }
    Ok(out)
}

impl Store {
    /// Keeps a slice of stated totals, in order, and says what became of each.
    pub async fn state_baselines(
        &self,
        slice: Arc<[Stated]>,
        progress: Option<Advance<[Kept]>>,
        by: String,
        now: Moment,
    ) -> Result<Vec<Kept>, StoreError> {
        self.write(move |tx| {
            let kept: Vec<Kept> = slice.iter().map(|s| state(tx, s, &by, now)).collect::<Result<_, _>>()?;
            if let Some(progress) = &progress {
                progress.write(tx, &kept, now)?;
            }
            Ok(kept)
        })
        .await
    }

    /// What was stated of the end of a year, by now or by an entry of the ledger.
    pub async fn stated_baselines(&self, year: i16, upto: Option<i64>) -> Result<HashMap<Region, u64>, StoreError> {
        self.read(move |s| {
            if let Some(upto) = upto {
                return stated_by(s, year, upto);
            }
            let rows = s.query("SELECT region, total FROM baselines WHERE year = $1", params![i64::from(year)])?;
            rows.iter().map(|r| Ok((super::region(r.int(0)?)?, u64::from(r.count(1)?)))).collect()
        })
        .await
    }
}
