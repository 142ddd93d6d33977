//! Periods on their way to the lock: who signed which figure at which length of the
//! ledger, and what was locked.
//!
//! Promises: acts on one period follow each other, on every node; an act that was
//! decided on a state which has changed meanwhile writes nothing; the act, its ledger
//! entry and the answer under its key stand or fall together.
//! Does not: compute a figure, or decide who may act (`reporting::closing`).

use super::Store;
use super::cells::{self, Source};
use super::engine::{Row, Sql, StoreError, params};
use super::once::{self, Answer, Once};
use super::seeking::County;
use super::writer::Tx;
use crate::domain::category::Category;
use crate::domain::cells::{Axis, Sections};
use crate::domain::closing::{Figure, State};
use crate::domain::region::{REVISION, Region};
use crate::domain::time::{Moment, Period};
use base64::Engine;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// What an office signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Never `void` or `locked`, which follow from figures and locks.
    pub state: State,
    pub figure: Figure,
    /// The ledger's length at which that was the figure.
    pub position: i64,
    /// Why it was returned.
    pub reason: Option<String>,
    version: i64,
}

/// A tree of offices whose period is locked.
#[derive(Clone, Debug)]
pub struct Lock {
    /// The region of the office that locked it.
    pub region: Region,
    /// Entries of the ledger after this one count for nothing in it.
    pub position: i64,
    /// State of the table of divisions by which it was told who lives where.
    pub revision: String,
    pub at: Moment,
    /// The figure of each county by code, as that revision knew them; counties where it
    /// is all zero are left out.
    pub figures: BTreeMap<String, Figure>,
    pub beside: Beside,
}

/// What a lock keeps beside cells: what its reports need and the ledger does not tell.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Beside {
    /// Somebody had been counted by the end of the year before.
    pub year_end_known: bool,
    /// What the period before, where it is locked, came to by now, by county.
    pub previous: Option<BTreeMap<String, Figure>>,
    pub postings: Vec<(String, Category, u64, u64)>,
    /// Nobody kept who looked so long ago.
    #[serde(default)]
    pub seeking_unknown: bool,
    /// How often what stood at the end of each month had been changed late.
    #[serde(default)]
    pub late: LateChanges,
    /// What periods before the one before came to by now, by their name and by county,
    /// where that is not what was told of them so far.
    #[serde(default)]
    pub earlier: BTreeMap<String, BTreeMap<String, Figure>>,
}

/// Late changes of each month, by [`Month::number`](crate::domain::cells::Month::number).
pub type LateChanges = BTreeMap<i64, i64>;

/// All that stands of one period.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    turn: i64,
    pub signed: HashMap<Region, Signed>,
    /// In the order in which they were made.
    pub locks: Vec<Lock>,
    /// Regions that have an office, revoked ones left out.
    pub offices: BTreeSet<Region>,
}

impl Standing {
    /// The lock that holds a region: the first that was made.
    pub fn lock_of(&self, region: Region) -> Option<&Lock> {
        self.locks.iter().find(|lock| region.is_within(lock.region))
    }

    /// The nearest regions below that have an office.
    pub fn children(&self, region: Region) -> Vec<Region> {
        let below = |r: Region| r != region && r.is_within(region);
        let between = |child: Region| self.offices.iter().any(|o| *o != child && below(*o) && child.is_within(*o));
        self.offices.iter().copied().filter(|o| below(*o) && !between(*o)).collect()
    }

    /// No office stands above this region.
    pub fn is_top(&self, region: Region) -> bool {
        !self.offices.iter().any(|o| *o != region && region.is_within(*o))
    }
}

/// A signature that is to be written.
#[derive(Clone, Debug)]
pub struct Signing {
    pub period: Period,
    pub region: Region,
    /// What it becomes, and the kind of its ledger entry.
    pub state: State,
    pub figure: Figure,
    pub position: i64,
    pub reason: Option<String>,
    pub by: String,
    pub answer: Answer,
}

/// A lock that is to be made.
#[derive(Clone, Debug)]
pub struct Locking {
    pub period: Period,
    pub top: Region,
    pub position: i64,
    pub figures: Arc<BTreeMap<String, Figure>>,
    /// Of the whole tree.
    pub figure: Figure,
    pub beside: Arc<Beside>,
    /// Who looked for work, by county: kept by itself, since only one report reads it.
    pub seeking: Arc<Vec<County>>,
    pub by: String,
    pub answer: Answer,
}

/// Takes the period's turn, which nobody else has until this transaction ends.
fn take_turn(tx: &mut Tx<'_>, period: &str) -> Result<i64, StoreError> {
    tx.exec("INSERT INTO period_turns (period, turn) VALUES ($1, 0) ON CONFLICT (period) DO NOTHING", params![period])?;
    let row = tx.one("SELECT turn FROM period_turns WHERE period = $1 {for_update}", params![period])?;
    row.map_or(Ok(0), |r| r.int(0))
}

fn end_turn(tx: &mut Tx<'_>, period: &str) -> Result<(), StoreError> {
    tx.exec("UPDATE period_turns SET turn = turn + 1 WHERE period = $1", params![period]).map(|_| ())
}

/// The leaf of an act: coded facts alone, so no reason.
fn leaf(period: Period, region: Region, figure: &Figure, position: i64) -> Value {
    json!({"period": period.to_string(), "region": region, "figure": figure, "position": position, "revision": REVISION})
}

fn kind(state: State) -> Result<&'static str, StoreError> {
    match state {
        State::Submitted | State::Approved | State::Returned | State::Locked => Ok(state.code()),
        State::Open | State::Void => Err(StoreError::Corrupt("nobody signs what is open or void".to_owned())),
    }
}

fn sign(tx: &mut Tx<'_>, s: &Signing, seen: Option<i64>, now: Moment) -> Result<bool, StoreError> {
    let (period, region) = (s.period.to_string(), i64::from(s.region.code()));
    take_turn(tx, &period)?;
    for lock in tx.query("SELECT region FROM period_locks WHERE period = $1", params![period.as_str()])? {
        if s.region.is_within(super::region(lock.int(0)?)?) {
            return Ok(false);
        }
    }
    let row = tx.one("SELECT version FROM periods WHERE period = $1 AND region = $2", params![period.as_str(), region])?;
    if row.map(|r| r.int(0)).transpose()? != seen {
        return Ok(false);
    }
    let figure = serde_json::to_string(&s.figure).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    tx.exec(
        "INSERT INTO periods (period, region, state, figure, position, reason, at, by_whom, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1)
         ON CONFLICT (period, region) DO UPDATE SET state = excluded.state, figure = excluded.figure, position = excluded.position,
           reason = excluded.reason, at = excluded.at, by_whom = excluded.by_whom, version = periods.version + 1",
        params![period.as_str(), region, s.state.code(), figure, s.position, s.reason.as_deref(), now.ms(), s.by.as_str()],
    )?;
    tx.log.ledger(now, kind(s.state)?, Uuid::nil(), None, &leaf(s.period, s.region, &s.figure, s.position));
    end_turn(tx, &period)?;
    Ok(true)
}

/// Keeps what the locked period comes to, for ever: the cells of its tree as they stand.
/// Answers with the digest of what is kept beside them.
fn freeze(tx: &mut Tx<'_>, l: &Locking, position: i64, now: Moment) -> Result<String, StoreError> {
    let text = |made: serde_json::Result<String>| made.map_err(|e| StoreError::Corrupt(e.to_string()));
    let (figures, beside) = (text(serde_json::to_string(l.figures.as_ref()))?, text(serde_json::to_string(l.beside.as_ref()))?);
    let seeking = text(serde_json::to_string(l.seeking.as_ref()))?;
    let (period, digest) = (l.period.to_string(), digest([&figures, &beside, &seeking]));
    tx.exec(
        "INSERT INTO period_locks (period, region, position, revision, at, by_whom, figures, beside, seeking)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![period.as_str(), i64::from(l.top.code()), position, REVISION, now.ms(), l.by.as_str(), figures, beside, seeking],
    )?;
    cells::freeze(tx, l.period, l.top).map(|()| digest)
}

/// SHA-256 of the columns of a lock, each behind its length, in base64 as roots are.
pub(super) fn digest(columns: [&str; 3]) -> String {
    let mut hash = Sha256::new();
    for column in columns {
        hash.update((column.len() as u64).to_be_bytes());
        hash.update(column);
    }
    base64::engine::general_purpose::STANDARD.encode(hash.finalize())
}

/// The figures of the counties that no lock holds yet are those that were found.
fn is_unchanged(tx: &mut Tx<'_>, l: &Locking) -> Result<bool, StoreError> {
    let held = locks(tx, l.period)?;
    let sheet = cells::sheet(
        tx,
        Source::Live,
        Axis::Home,
        &cells::within(l.top),
        (cells::Asked::Standing(l.period.last_day(), Sections::FLOW), cells::Fine::Places),
    )?;
    let free = sheet.pages.iter().filter(|(county, _)| !held.iter().any(|lock| county.is_within(lock.region)));
    let now = free.map(|(county, page)| (county.to_string(), Figure::of(page, l.period.kind()))).filter(|(_, f)| *f != Figure::default());
    let found = l.figures.iter().filter(|(code, f)| {
        **f != Figure::default() && !held.iter().any(|lock| Region::parse(code).is_some_and(|c| c.is_within(lock.region)))
    });
    Ok(now.collect::<BTreeMap<_, _>>() == found.map(|(code, f)| (code.clone(), *f)).collect())
}

/// Locks at the ledger's present length, unless a later entry changed a figure: then it
/// is to be decided anew. The position is answered.
fn lock(tx: &mut Tx<'_>, l: &Locking, seen: i64, now: Moment) -> Result<Option<i64>, StoreError> {
    let period = l.period.to_string();
    if take_turn(tx, &period)? != seen {
        return Ok(None);
    }
    tx.lock_log()?;
    let (position, _) = super::log::ledger_end(tx)?;
    if position != l.position && !is_unchanged(tx, l)? {
        return Ok(None);
    }
    let mut leaf = leaf(l.period, l.top, &l.figure, position);
    leaf["kept"] = json!(freeze(tx, l, position, now)?);
    tx.log.ledger(now, kind(State::Locked)?, Uuid::nil(), None, &leaf);
    end_turn(tx, &period)?;
    Ok(Some(position))
}

pub(super) fn locks(s: &mut dyn Sql, period: Period) -> Result<Vec<Lock>, StoreError> {
    let sql = "SELECT region, position, revision, at, figures, beside FROM period_locks WHERE period = $1 ORDER BY position, at, region";
    let read = |r: &Row| {
        Ok(Lock {
            region: super::region(r.int(0)?)?,
            position: r.int(1)?,
            revision: r.text(2)?.to_owned(),
            at: Moment::from_ms(r.int(3)?),
            figures: serde_json::from_str(r.text(4)?).map_err(|_| StoreError::Corrupt("a locked figure".to_owned()))?,
            beside: serde_json::from_str(r.text(5)?).map_err(|_| StoreError::Corrupt("what stands beside a lock".to_owned()))?,
        })
    };
    s.query(sql, params![period.to_string()])?.iter().map(read).collect()
}

/// The periods of which something is locked.
pub(super) fn locked_periods(s: &mut dyn Sql) -> Result<Vec<Period>, StoreError> {
    let rows = s.query("SELECT DISTINCT period FROM period_locks ORDER BY period", &[])?;
    let read = |r: &Row| Period::parse(r.text(0)?).ok_or_else(|| StoreError::Corrupt("a locked period".to_owned()));
    rows.iter().map(read).collect()
}

impl Store {
    /// All that stands of one period, as of one moment.
    pub async fn closing(&self, period: Period) -> Result<Standing, StoreError> {
        self.read(move |s| {
            let name = period.to_string();
            let turn = s.one("SELECT turn FROM period_turns WHERE period = $1", params![name.as_str()])?.map_or(Ok(0), |r| r.int(0))?;
            let mut signed = HashMap::new();
            let sql = "SELECT region, state, figure, position, reason, version FROM periods WHERE period = $1";
            for r in s.query(sql, params![name.as_str()])? {
                let one = Signed {
                    state: State::parse(r.text(1)?).ok_or_else(|| StoreError::Corrupt("a period's state".to_owned()))?,
                    figure: serde_json::from_str(r.text(2)?).map_err(|_| StoreError::Corrupt("a signed figure".to_owned()))?,
                    position: r.int(3)?,
                    reason: r.opt_text(4)?.map(str::to_owned),
                    version: r.int(5)?,
                };
                signed.insert(super::region(r.int(0)?)?, one);
            }
            let offices = s.query("SELECT DISTINCT region FROM clients WHERE role = 'office' AND revoked_at IS NULL", &[])?;
            let offices = offices.iter().map(|r| super::region(r.int(0)?)).collect::<Result<_, _>>()?;
            Ok(Standing { turn, signed, locks: locks(s, period)?, offices })
        })
        .await
    }

    /// The locks of one period, in the order in which they were made.
    pub async fn period_locks(&self, period: Period) -> Result<Vec<Lock>, StoreError> {
        self.read(move |s| locks(s, period)).await
    }

    /// How often what stood at the end of each month was changed late.
    pub async fn late_changes(&self) -> Result<LateChanges, StoreError> {
        self.read(|s| {
            let rows = s.query("SELECT month, changes FROM late_changes", &[])?;
            rows.iter().map(|r| Ok((r.int(0)?, r.int(1)?))).collect()
        })
        .await
    }

    /// Who looked for work in the counties of a lock.
    pub async fn locked_seeking(&self, period: Period, region: Region) -> Result<Vec<County>, StoreError> {
        self.read(move |s| {
            let sql = "SELECT seeking FROM period_locks WHERE period = $1 AND region = $2";
            let row = s.one(sql, params![period.to_string(), i64::from(region.code())])?;
            let corrupt = |_| StoreError::Corrupt("who looked for work when a period was locked".to_owned());
            row.map_or(Ok(Vec::new()), |r| serde_json::from_str(r.text(0)?).map_err(corrupt))
        })
        .await
    }

    /// Signs a region's figure; false where that region changed after it was `seen`.
    pub async fn sign_period(&self, signing: Signing, seen: &Standing, key: Option<Once>, now: Moment) -> Result<bool, StoreError> {
        let (vault, seen) = (self.vault.clone(), seen.signed.get(&signing.region).map(|s| s.version));
        self.write(move |tx| {
            let done = sign(tx, &signing, seen, now)?;
            if let Some(key) = key.as_ref().filter(|_| done) {
                once::finish(tx, &vault, key, &signing.answer)?;
            }
            Ok(done)
        })
        .await
    }

    /// Locks the tree below an office and answers; none where anything in the period
    /// changed after it was `seen`.
    pub async fn lock_period(
        &self,
        locking: Locking,
        seen: &Standing,
        key: Option<Once>,
        now: Moment,
    ) -> Result<Option<Answer>, StoreError> {
        let (vault, seen) = (self.vault.clone(), seen.turn);
        self.write(move |tx| {
            let Some(position) = lock(tx, &locking, seen, now)? else { return Ok(None) };
            let mut answer = locking.answer.clone();
            answer.body["position"] = json!(position);
            if let Some(key) = &key {
                once::finish(tx, &vault, key, &answer)?;
            }
            Ok(Some(answer))
        })
        .await
    }
}
