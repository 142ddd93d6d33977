//! What reports fold: every person's hires with their facts.

use super::Store;
use super::engine::{Row, StoreError, params};
use super::workers;
use crate::domain::category::Category;
use crate::domain::hire::{Corrected, Fact, Flow, HireStatus, Life, Tags};
use crate::domain::id::{HireId, WorkerId};
use crate::domain::region::Region;
use crate::domain::time::{Moment, from_day_number};
use crate::domain::worker::Tier;
use jiff::civil::Date;
use std::collections::HashMap;
use uuid::Uuid;

/// One hire with its life, as a report counts it.
#[derive(Clone, Debug)]
pub struct Counted {
    pub id: HireId,
    pub platform: String,
    pub home: Region,
    pub work: Option<Region>,
    pub flow: Flow,
    pub category: Category,
    pub tags: Tags,
    pub life: Life,
}

/// One person with all their hires.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: WorkerId,
    /// In force on the report's day.
    pub tier: Tier,
    pub hires: Vec<Counted>,
}

/// The people a report folds, and the ledger's length they stand at.
#[derive(Clone, Debug)]
pub struct Fold {
    pub people: Vec<Person>,
    pub seq: i64,
    /// When the newest ledger entry was written.
    pub at: Option<Moment>,
}

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

fn counted(row: &Row) -> Result<Counted, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a hire's {what}"));
    Ok(Counted {
        id: HireId::new(row.uuid(0)?),
        platform: row.text(2)?.to_owned(),
        home: super::region(row.int(3)?)?,
        work: row.opt_int(4)?.map(super::region).transpose()?,
        flow: Flow::parse(row.text(5)?).ok_or_else(|| corrupt("flow"))?,
        category: Category::parse(row.text(6)?).ok_or_else(|| corrupt("category"))?,
        tags: serde_json::from_str(row.text(7)?).map_err(|_| corrupt("tags"))?,
        life: Life { facts: Vec::new(), corrected: corrected(row, 8)? },
    })
}

impl Store {
    /// Every person who has a hire, with all facts known now. Who was erased is
    /// not counted while a period is open.
    pub async fn fold(&self, day: Date) -> Result<Fold, StoreError> {
        self.read(move |s| {
            let mut lives: HashMap<Uuid, Vec<Fact>> = HashMap::new();
            for row in s.query("SELECT hire, kind, at, month FROM hire_facts WHERE hire IS NOT NULL ORDER BY seq", &[])? {
                lives.entry(row.uuid(0)?).or_default().extend(facts(&row)?);
            }
            let sql = "SELECT h.id, h.worker, h.platform, h.home, h.work, h.flow, h.category, h.tags, h.start_set, h.end_fixed, h.end_set, h.void FROM hires h
                       JOIN workers w ON w.id = h.worker WHERE w.erased_at IS NULL AND h.void = 0 ORDER BY h.worker, h.id";
            let mut people: Vec<Person> = Vec::new();
            for row in s.query(sql, &[])? {
                let worker = WorkerId::new(row.uuid(1)?);
                let mut hire = counted(&row)?;
                hire.life.facts = lives.remove(&hire.id.uuid()).unwrap_or_default();
                match people.last_mut() {
                    Some(p) if p.id == worker => p.hires.push(hire),
                    _ => {
                        let tier = workers::tier_on(s, worker, day)?.unwrap_or(hire.tags.tier_at_hire);
                        people.push(Person { id: worker, tier, hires: vec![hire] });
                    }
                }
            }
            let (seq, at) = super::log::ledger_end(s)?;
            Ok(Fold { people, seq, at })
        })
        .await
    }

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
