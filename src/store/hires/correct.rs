//! Corrections of a hire: each an entry that is never written again.
//!
//! Promises: a correction wins over what platforms report, before or after it, for
//! the fields it sets, until another correction sets them; the tags stay as they were
//! sent; flow is told anew from the home that was frozen.

use super::super::engine::{Sql, StoreError, params};
use super::super::once::{self, Answer, Once, Reserved};
use super::super::reports::{corrected, facts as facts_of};
use super::super::writer::Tx;
use super::super::{Store, access, offers, postings, region, workers};
use super::{Hire, columns, facts, hire, report};
use crate::domain::category::Category;
use crate::domain::hire::{Flow, Life};
use crate::domain::id::{HireId, Pseudonym};
use crate::domain::posting::Arrangement;
use crate::domain::region::Region;
use crate::domain::time::{Moment, day_number};
use jiff::civil::Date;
use serde_json::{Map, Value, json};

/// What is set, and why.
#[derive(Clone, Debug, Default)]
pub struct Correction {
    pub started_on: Option<Date>,
    /// Some(None): the hire is not over.
    pub ended_on: Option<Option<Date>>,
    pub work_region: Option<Region>,
    pub category: Option<Category>,
    pub arrangement: Option<Arrangement>,
    pub void: Option<bool>,
    pub reason: String,
}

impl Correction {
    /// The fields it sets, as the entry keeps them: coded facts alone.
    fn changes(&self) -> Value {
        let mut map = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(name.to_owned(), value);
            }
        };
        set("started_on", self.started_on.map(|d| json!(d)));
        set("ended_on", self.ended_on.map(|d| json!(d)));
        set("work_region", self.work_region.map(|r| json!(r)));
        set("category", self.category.map(|c| json!(c)));
        set("arrangement", self.arrangement.map(|a| json!(a)));
        set("void", self.void.map(|v| json!(v)));
        Value::Object(map)
    }
}

/// Who corrects.
#[derive(Clone, Debug)]
pub enum Corrector {
    /// The office of this region, where the person is at home.
    Office { client: String, region: Region },
    /// The platform that reported the hire.
    Platform { client: String, platform: String },
}

impl Corrector {
    fn client(&self) -> &str {
        match self {
            Corrector::Office { client, .. } | Corrector::Platform { client, .. } => client,
        }
    }
}

/// What became of a correction.
#[derive(Clone, Debug)]
pub enum Correcting {
    /// There is no such hire that this caller reaches.
    NotFound,
    /// The hire would be over before it began.
    Backwards,
    Made(Reserved),
}

/// How a hire is shown: confirmed or not, and to a platform under its pseudonym.
pub trait Shown: Fn(&Hire, bool, Option<Pseudonym>) -> Value + Send + 'static {}
impl<F: Fn(&Hire, bool, Option<Pseudonym>) -> Value + Send + 'static> Shown for F {}

/// The hire, if this caller may correct it.
fn reached(tx: &mut Tx<'_>, id: HireId, by: &Corrector) -> Result<Option<Hire>, StoreError> {
    let found = tx.one(columns!("WHERE h.id = $1 {for_update}"), params![id.uuid()])?;
    let Some(hire) = found.as_ref().map(hire).transpose()? else { return Ok(None) };
    let home = offers::home_of(tx, hire.worker)?;
    Ok(match by {
        Corrector::Office { region, .. } => home.filter(|home| home.is_within(*region)).map(|_| hire),
        Corrector::Platform { platform, .. } => home.filter(|_| hire.platform == *platform).map(|_| hire),
    })
}

fn is_current(h: &Hire) -> bool {
    h.started_on.is_some() && h.ended_on.is_none() && !h.void
}

fn correct(tx: &mut Tx<'_>, before: &Hire, c: &Correction, by: &Corrector, now: Moment) -> Result<Hire, StoreError> {
    let (id, changes) = (before.id.uuid(), c.changes());
    tx.exec(
        "INSERT INTO corrections (hire, worker, at, by_whom, changes, reason) VALUES ($1, $2, $3, $4, $5, $6)",
        params![id, before.worker.uuid(), now.ms(), by.client(), changes.to_string(), c.reason.as_str()],
    )?;
    let day = |d: Option<Date>| d.map(day_number);
    tx.exec(
        "UPDATE hires SET corrected = 1, updated_at = $2, start_set = COALESCE($3, start_set), category = COALESCE($4, category),
           arrangement = COALESCE($5, arrangement), reported_work = COALESCE($6, reported_work), void = COALESCE($7, void) WHERE id = $1",
        params![
            id,
            now.ms(),
            day(c.started_on),
            c.category.map(Category::code),
            c.arrangement.map(arrangement_code),
            c.work_region.map(|r| i64::from(r.code())),
            c.void.map(i64::from)
        ],
    )?;
    if let Some(end) = c.ended_on {
        tx.exec("UPDATE hires SET end_fixed = 1, end_set = $2 WHERE id = $1", params![id, day(end)])?;
    }
    if c.work_region.is_some() || c.arrangement.is_some() {
        flow(tx, before)?;
    }
    facts::refresh(tx, id)?;
    let after = tx.one(columns!("WHERE h.id = $1"), params![id])?;
    let after = hire(&after.ok_or_else(|| StoreError::Corrupt("a corrected hire".to_owned()))?)?;
    if is_current(before) && !is_current(&after) {
        report::free(tx, before.worker, id, 0, now)?;
    }
    if !is_current(before) && is_current(&after) {
        tx.exec("UPDATE workers SET looking = 0, displaced_until = 0 WHERE id = $1", params![before.worker.uuid()])?;
        workers::bump(tx, before.worker.uuid(), now)?;
    }
    tx.log.ledger(now, "correction", before.worker.uuid(), Some(id), &changes);
    Ok(after)
}

fn arrangement_code(a: Arrangement) -> &'static str {
    match a {
        Arrangement::OnSite => "on_site",
        Arrangement::InPlace => "in_place",
    }
}

/// Tells the flow anew, from the home that was frozen.
fn flow(tx: &mut Tx<'_>, h: &Hire) -> Result<(), StoreError> {
    let row = tx.one("SELECT arrangement, reported_work FROM hires WHERE id = $1", params![h.id.uuid()])?;
    let Some(row) = row else { return Ok(()) };
    let posting = h.posting.map(|p| postings::by_id(tx, p)).transpose()?.flatten();
    let in_place = match row.text(0)? {
        "" => posting.as_ref().is_some_and(|p| p.content.arrangement == Arrangement::InPlace),
        code => code == arrangement_code(Arrangement::InPlace),
    };
    let reported = row.opt_int(1)?.map(region).transpose()?;
    let (flow, work, coarse) = Flow::of(h.home, in_place, reported, posting.and_then(|p| p.content.job_location.region));
    tx.exec(
        "UPDATE hires SET flow = $2, work = $3, work_coarse = $4 WHERE id = $1",
        params![h.id.uuid(), flow.code(), work.map(|r| i64::from(r.code())), coarse],
    )
    .map(|_| ())
}

fn is_confirmed(tx: &mut Tx<'_>, id: HireId, day: Date) -> Result<bool, StoreError> {
    let set = tx.one("SELECT start_set, end_fixed, end_set, void FROM hires WHERE id = $1", params![id.uuid()])?;
    let mut life = Life { facts: Vec::new(), corrected: set.map(|row| corrected(&row, 0)).transpose()?.unwrap_or_default() };
    for row in tx.query("SELECT hire, kind, at, month FROM hire_facts WHERE hire = $1", params![id.uuid()])? {
        life.facts.extend(facts_of(&row)?);
    }
    Ok(life.confirmed(day))
}

impl Store {
    /// Corrects a hire; an office's correction stands in the access log. `shown` makes
    /// the answer, which is kept under the key.
    pub async fn correct_hire(
        &self,
        id: HireId,
        c: Correction,
        by: Corrector,
        key: Option<Once>,
        shown: impl Shown,
        now: Moment,
    ) -> Result<Correcting, StoreError> {
        let vault = self.vault.clone();
        self.write(move |tx| {
            let Some(before) = reached(tx, id, &by)? else { return Ok(Correcting::NotFound) };
            let start = c.started_on.or(before.started_on);
            let end = c.ended_on.unwrap_or(before.ended_on);
            if start.zip(end).is_some_and(|(start, end)| end < start) {
                return Ok(Correcting::Backwards);
            }
            let reserved = once::once(tx, &vault, key.as_ref(), now, |tx| {
                let after = correct(tx, &before, &c, &by, now)?;
                let name = match &by {
                    Corrector::Office { client, .. } => {
                        access::record(tx, client, "correction", Some(after.worker), "masked", &c.reason, now)?;
                        None
                    }
                    Corrector::Platform { platform, .. } => Some(offers::pseudonym(tx, platform, after.worker)?),
                };
                let confirmed = is_confirmed(tx, id, now.day())?;
                Ok(Answer { status: 200, body: shown(&after, confirmed, name) })
            })?;
            Ok(Correcting::Made(reserved))
        })
        .await
    }
}
