//! What needs a person: raised by acts and by the daily watch, resolved with a note.
//!
//! Promises: a matter that the watch finds has one open alert, and once somebody has
//! resolved it, it is not raised again for the same occasion; an office sees its own
//! subtree; one node watches at a time.
//! Does not: decide what a person must see (`reporting::watch`).

use super::Store;
use super::engine::{Row, Sql, StoreError, Val, params};
use super::postings;
use super::writer::Tx;
use crate::domain::alert::Facts;
use crate::domain::id::{AlertId, PostingId, WorkerId};
use crate::domain::pay::Money;
use crate::domain::region::Region;
use crate::domain::time::{Moment, Period, day_number, from_day_number};
use jiff::civil::Date;
use std::time::Duration;
use uuid::Uuid;

/// How long a node that watches keeps the others from it.
const LEASE: Duration = Duration::from_secs(600);
/// Alerts raised in one transaction, and rows read at once.
const SLICE: usize = 500;
/// How often it is noted that a platform sends postings.
const HEARD: Duration = Duration::from_secs(3600);

/// Something that needs a person.
#[derive(Clone, Debug)]
pub struct Alert {
    pub id: AlertId,
    pub kind: String,
    pub region: Region,
    pub at: Moment,
    pub worker: Option<WorkerId>,
    pub posting: Option<PostingId>,
    /// None of those raised before there were any, or by another version.
    pub facts: Option<Facts>,
    /// A worker's complaint; the sentence of an alert raised before there were facts.
    pub detail: String,
    pub resolved_at: Option<Moment>,
    /// What came of it, as whoever resolved it wrote.
    pub note: Option<String>,
}

/// A page of alerts, newest first.
#[derive(Clone, Copy, Debug)]
pub struct AlertFilter {
    pub region: Region,
    /// Only those that were resolved, or were not; none: all.
    pub resolved: Option<bool>,
    pub after: Option<AlertId>,
    pub limit: i64,
}

impl AlertFilter {
    /// The newest of a subtree, resolved ones too.
    pub fn of(region: Region) -> Self {
        AlertFilter { region, resolved: None, after: None, limit: 50 }
    }
}

/// Something the watch found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matter {
    pub facts: Facts,
    /// What it is about; one of a kind is open at a time.
    pub subject: String,
    /// Which occasion of it this is.
    pub occasion: String,
    pub region: Region,
    pub worker: Option<Uuid>,
    pub posting: Option<Uuid>,
}

/// A platform's hire that paid less a month than its posting says.
#[derive(Clone, Debug)]
pub struct Underpaid {
    pub hire: Uuid,
    pub worker: Uuid,
    pub posting: Uuid,
    pub home: Region,
    /// The month that the report speaks of.
    pub month: Period,
    pub wage: Money,
    pub promised: Money,
}

/// Somebody who lost a job and was offered nothing since.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub worker: Uuid,
    pub home: Region,
    pub since: Moment,
}

/// A day's watch that is this node's.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// When the last one ended.
    pub last: Moment,
}

fn alert(r: &Row) -> Result<Alert, StoreError> {
    Ok(Alert {
        id: AlertId::new(r.uuid(0)?),
        kind: r.text(1)?.to_owned(),
        region: super::region(r.int(2)?)?,
        at: Moment::from_ms(r.int(3)?),
        worker: r.opt_uuid(4)?.map(WorkerId::new),
        detail: r.text(5)?.to_owned(),
        resolved_at: r.opt_int(6)?.map(Moment::from_ms),
        posting: r.opt_uuid(7)?.map(PostingId::new),
        facts: Facts::read(r.text(1)?, r.text(8)?),
        note: r.opt_text(9)?.filter(|note| !note.is_empty()).map(str::to_owned),
    })
}

fn raise(tx: &mut Tx<'_>, m: &Matter, now: Moment) -> Result<bool, StoreError> {
    let (kind, id) = (m.facts.kind(), tx.ids.v7(now));
    let subject = format!("{kind}/{}", m.subject);
    let made = tx.exec(
        "INSERT INTO alerts (id, kind, region, at, worker, posting, detail, facts, matter, subject)
         SELECT CAST($1 AS {blob}), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS {blob}), CAST($6 AS {blob}), '', CAST($7 AS TEXT), CAST($8 AS TEXT),
           CAST($9 AS TEXT)
         WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE resolved_at IS NULL AND subject = $9) ON CONFLICT (matter) DO NOTHING",
        params![
            id,
            kind,
            i64::from(m.region.code()),
            now.ms(),
            m.worker,
            m.posting,
            m.facts.object().to_string(),
            format!("{subject}/{}", m.occasion),
            subject.as_str()
        ],
    )?;
    Ok(made == 1)
}

/// A hire that goes on, and of which nothing was heard.
#[derive(Clone, Copy, Debug)]
pub struct Quiet {
    pub hire: Uuid,
    pub worker: Uuid,
}

impl Store {
    /// Hires that began before this day, go on, and have had no sign of life since.
    pub async fn quiet_hires(&self, since: Date) -> Result<Vec<Quiet>, StoreError> {
        self.read(move |s| {
            let sql = "SELECT h.id, h.worker FROM hires h WHERE h.started_on < $1 AND h.ended_on IS NULL AND h.void = 0 AND NOT EXISTS (
                         SELECT 1 FROM hire_facts f WHERE f.hire = h.id AND (
                           (f.kind IN ('LISTED', 'CONFIRMED', 'SINCE') AND f.at >= $2) OR (f.kind = 'ACTIVE' AND f.month >= $3)))
                       ORDER BY h.id";
            // A month counts on its last day.
            let month = day_number(since.first_of_month());
            let rows = s.query(sql, params![day_number(since), Moment::start_of(since).ms(), month])?;
            rows.iter().map(|r| Ok(Quiet { hire: r.uuid(0)?, worker: r.uuid(1)? })).collect()
        })
        .await
    }

    /// One page of a subtree's alerts, and how many there are.
    pub async fn alerts(&self, f: AlertFilter) -> Result<(Vec<Alert>, i64), StoreError> {
        self.read(move |s| {
            let counts = "SELECT region, COUNT(*) FROM alerts
                          WHERE CAST($1 AS BIGINT) IS NULL OR CASE WHEN resolved_at IS NULL THEN 0 ELSE 1 END = $1 GROUP BY region";
            let mut total = 0;
            for row in s.query(counts, params![f.resolved])? {
                total += if super::region(row.int(0)?)?.is_within(f.region) { row.int(1)? } else { 0 };
            }
            let mut page = Vec::new();
            // Before the first page every id lies below.
            let mut before = Val::Blob(f.after.map_or(vec![0xff; 17], |id| id.uuid().as_bytes().to_vec()));
            while (page.len() as i64) < f.limit {
                let sql = "SELECT id, kind, region, at, worker, detail, resolved_at, posting, facts, note FROM alerts
                           WHERE id < $1 AND (CAST($2 AS BIGINT) IS NULL OR CASE WHEN resolved_at IS NULL THEN 0 ELSE 1 END = $2) ORDER BY id DESC LIMIT $3";
                let rows = s.query(sql, params![before.clone(), f.resolved, SLICE as i64])?;
                for row in &rows {
                    before = row.0[0].clone();
                    let alert = alert(row)?;
                    if alert.region.is_within(f.region) && (page.len() as i64) < f.limit {
                        page.push(alert);
                    }
                }
                if rows.len() < SLICE {
                    break;
                }
            }
            Ok((page, total))
        })
        .await
    }

    /// Resolves an alert of a subtree with a note; false where there is none.
    pub async fn resolve_alert(&self, id: AlertId, region: Region, note: String, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let row = tx.one("SELECT region FROM alerts WHERE id = $1", params![id.uuid()])?;
            match row {
                Some(row) if super::region(row.int(0)?)?.is_within(region) => {
                    tx.exec(
                        "UPDATE alerts SET resolved_at = $2, note = $3 WHERE id = $1 AND resolved_at IS NULL",
                        params![id.uuid(), now.ms(), note.as_str()],
                    )?;
                    Ok(true)
                }
                _ => Ok(false),
            }
        })
        .await
    }

    /// Notes that a platform sends postings, at most so often.
    pub async fn heard_from(&self, platform: String, now: Moment) -> Result<(), StoreError> {
        let name = platform.clone();
        let sql = "SELECT 1 FROM platforms_heard WHERE platform = $1 AND at > $2";
        if self.read(move |s| s.one(sql, params![name.as_str(), now.minus(HEARD).ms()])).await?.is_some() {
            return Ok(());
        }
        self.write(move |tx| {
            tx.exec(
                "INSERT INTO platforms_heard (platform, at) VALUES ($1, $2)
                 ON CONFLICT (platform) DO UPDATE SET at = excluded.at WHERE platforms_heard.at < excluded.at",
                params![platform.as_str(), now.ms()],
            )
            .map(|_| ())
        })
        .await
    }

    /// Platforms that sent postings once, and nothing since `before`: when they last did.
    pub async fn silent_platforms(&self, before: Moment) -> Result<Vec<(String, Moment)>, StoreError> {
        self.read(move |s| {
            let rows = s.query("SELECT platform, at FROM platforms_heard WHERE at <= $1 ORDER BY platform", params![before.ms()])?;
            rows.iter().map(|r| Ok((r.text(0)?.to_owned(), Moment::from_ms(r.int(1)?)))).collect()
        })
        .await
    }

    /// Takes the day's watch; none where it is done or somebody is at it.
    pub async fn begin_watch(&self, now: Moment) -> Result<Option<Watch>, StoreError> {
        let today = day_number(now.day());
        let taken = "SELECT 1 FROM watches WHERE name = 'daily' AND (day >= $1 OR lease_until > $2)";
        if self.read(move |s| s.one(taken, params![today, now.ms()])).await?.is_some() {
            return Ok(None);
        }
        self.write(move |tx| {
            let ours = tx.exec(
                "INSERT INTO watches (name, day, lease_until, ended_at) VALUES ('daily', 0, $1, 0)
                 ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until WHERE watches.day < $2 AND watches.lease_until <= $3",
                params![now.plus(LEASE).ms(), today, now.ms()],
            )?;
            let row = tx.one("SELECT ended_at FROM watches WHERE name = 'daily'", &[])?;
            let last = row.map_or(Ok(0), |r| r.int(0))?;
            Ok((ours == 1).then_some(Watch { last: Moment::from_ms(last) }))
        })
        .await
    }

    /// The day's watch is done.
    pub async fn end_watch(&self, now: Moment) -> Result<(), StoreError> {
        let sql = "UPDATE watches SET day = $1, lease_until = 0, ended_at = $2 WHERE name = 'daily'";
        self.write(move |tx| tx.exec(sql, params![day_number(now.day()), now.ms()]).map(|_| ())).await
    }

    /// Raises what the watch found, where it is not known already; how much was new.
    pub async fn raise(&self, matters: Vec<Matter>, now: Moment) -> Result<usize, StoreError> {
        let mut made = 0;
        for slice in matters.chunks(SLICE) {
            let slice = slice.to_vec();
            made += self.write(move |tx| slice.iter().try_fold(0, |n, m| raise(tx, m, now).map(|new| n + usize::from(new)))).await?;
        }
        Ok(made)
    }

    /// Who lost a job before `before`, still looks for one and was offered none since.
    pub async fn waiting_displaced(&self, displaced_for: Duration, before: Moment, now: Moment) -> Result<Vec<Waiting>, StoreError> {
        self.read(move |s| {
            let mut all = Vec::new();
            let mut after = -1;
            loop {
                let sql = "SELECT w.handle, w.id, w.home, w.displaced_until FROM workers w
                           WHERE w.displaced_until > $1 AND w.displaced_until <= $2 AND w.handle > $3 AND w.looking = 1 AND w.paused = 0
                             AND w.erased_at IS NULL AND NOT EXISTS (SELECT 1 FROM offers o WHERE o.handle = w.handle
                               AND o.offered_at >= w.displaced_until - $4) ORDER BY w.handle LIMIT $5";
                let span = i64::try_from(displaced_for.as_millis()).unwrap_or(i64::MAX);
                let rows = s.query(sql, params![now.ms(), before.plus(displaced_for).ms(), after, span, SLICE as i64])?;
                for r in &rows {
                    after = r.int(0)?;
                    let since = Moment::from_ms(r.int(3)?).minus(displaced_for);
                    all.push(Waiting { worker: r.uuid(1)?, home: super::region(r.int(2)?)?, since });
                }
                if rows.len() < SLICE {
                    return Ok(all);
                }
            }
        })
        .await
    }

    /// Reports received since `since` of less pay a month than the posting promises, for
    /// months of which the hire lasted all.
    pub async fn underpaid(&self, since: Moment) -> Result<Vec<Underpaid>, StoreError> {
        self.read(move |s| {
            let sql = "SELECT f.hire, f.worker, f.posting, w.home, f.at, f.wage, f.month, h.started_on, h.ended_on
                       FROM hire_facts f JOIN workers w ON w.id = f.worker JOIN hires h ON h.id = f.hire
                       WHERE f.wage IS NOT NULL AND f.received_at >= $1 AND f.hire IS NOT NULL AND w.erased_at IS NULL ORDER BY f.received_at, f.seq";
            let mut all = Vec::new();
            for r in s.query(sql, params![since.ms()])? {
                let (posting, wage) = (r.uuid(2)?, Money::from_minor(r.int(5)?));
                let Some(found) = postings::by_id(s, PostingId::new(posting))? else { continue };
                let Some(promised) = found.content.base_salary.monthly_min else { continue };
                // A report without a month speaks of the month of its day.
                let told = Some(r.int(6)?).filter(|month| *month != 0).map(from_day_number);
                let month = Period::month_of(told.unwrap_or(Moment::from_ms(r.int(4)?).day()));
                let (first, last) = (day_number(month.first_day()), day_number(month.last_day()));
                let whole = r.opt_int(7)?.is_none_or(|start| start <= first) && r.opt_int(8)?.is_none_or(|end| end > last);
                if wage < promised && whole {
                    let (hire, worker, home) = (r.uuid(0)?, r.uuid(1)?, super::region(r.int(3)?)?);
                    all.push(Underpaid { hire, worker, posting, home, month, wage, promised });
                }
            }
            Ok(all)
        })
        .await
    }
}
