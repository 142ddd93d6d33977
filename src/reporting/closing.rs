//! Closing a period: offices sign the report `employment` of their region, level by
//! level, until the top one locks it.
//!
//! Promises: what is signed is a figure with the ledger's length at which it was true; a
//! signature whose figure has changed since is void, which is found out when it is read;
//! two acts at once have the outcome of one after the other.
//! Start at: [`view`], [`submit`], [`decide`], [`lock`].

use super::ReportFault;
use super::late;
use super::query::{Axis, Params, Query};
use crate::domain::cells::Sections;
use crate::domain::closing::{Event, Figure, Refused, State};
use crate::domain::region::{REVISION, Region, resolve_code};
use crate::domain::time::{Moment, Period};
use crate::store::cells::{Asked, Source, within};
use crate::store::once::{Answer, Once};
use crate::store::periods::{Beside, Lock, Locking, Signing, Standing};
use crate::store::seals::Checkpoint;
use crate::store::seeking::County;
use crate::store::{Store, StoreError};
use jiff::ToSpan;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often an act is decided anew because another one came first.
const TRIES: usize = 8;

/// Who acts on which period.
#[derive(Clone, Debug)]
pub struct Actor {
    pub period: Period,
    /// The office's own region.
    pub own: Region,
    pub client: String,
    pub key: Option<Once>,
}

/// What an office says to one below it.
#[derive(Clone, Debug)]
pub enum Decision {
    Approve,
    Return(String),
}

/// Why an act is refused.
#[derive(Debug)]
pub enum ClosingFault {
    Report(ReportFault),
    Refused(Refused),
    /// The region's office does not stand directly below the caller's.
    NotChildOffice,
    /// An office stands above the caller's.
    NotTop,
    /// The period is not over, or not locked.
    PeriodOpen,
    /// Offices below without a valid approval.
    NotApproved(Vec<(Region, State)>),
}

impl<E: Into<ReportFault>> From<E> for ClosingFault {
    fn from(e: E) -> Self {
        ClosingFault::Report(e.into())
    }
}

impl From<Refused> for ClosingFault {
    fn from(refused: Refused) -> Self {
        ClosingFault::Refused(refused)
    }
}

/// The figure of every county of a scope, and the ledger's length at which it holds.
pub(super) struct Counted {
    pub counties: BTreeMap<Region, Figure>,
    position: i64,
}

impl Counted {
    fn of(&self, region: Region) -> Figure {
        self.counties.iter().filter(|(county, _)| county.is_within(region)).map(|(_, figure)| *figure).sum()
    }
}

/// How one region stands.
struct Stand {
    state: State,
    figure: Figure,
    position: Option<i64>,
    reason: Option<String>,
    /// The figure as it is now, where that voids the signed one.
    now: Option<Figure>,
}

impl Stand {
    fn of(region: Region, standing: &Standing, counted: &Counted) -> Result<Self, Refused> {
        if let Some(lock) = standing.lock_of(region) {
            let figure = locked_figure(lock, region);
            return Ok(Stand { state: State::Locked, figure, position: Some(lock.position), reason: None, now: None });
        }
        let now = counted.of(region);
        let Some(signed) = standing.signed.get(&region) else {
            return Ok(Stand { state: State::Open, figure: now, position: None, reason: None, now: None });
        };
        let differs = now != signed.figure;
        let state = if differs { signed.state.next(Event::Differ)? } else { signed.state };
        let now = Some(now).filter(|_| state == State::Void);
        Ok(Stand { state, figure: signed.figure, position: Some(signed.position), reason: signed.reason.clone(), now })
    }

    fn body(&self, region: Region) -> Map<String, Json> {
        let column = |(column, signed, now): (&str, u64, u64)| (column.to_owned(), json!({"signed": signed, "now": now}));
        let difference = self.now.map(|now| Json::Object(self.figure.difference(&now).into_iter().map(column).collect()));
        let body = json!({
            "region": region, "name": region.name(), "state": self.state, "figure": self.figure, "position": self.position,
            "reason": self.reason, "difference": difference,
        });
        body.as_object().cloned().unwrap_or_default()
    }
}

fn locked_figure(lock: &Lock, region: Region) -> Figure {
    let within = |code: &str| resolve_code(code).is_ok_and(|county| county.is_within(region));
    lock.figures.iter().filter(|(code, _)| within(code)).map(|(_, figure)| *figure).sum()
}

fn with_period(period: Period, mut body: Map<String, Json>) -> Json {
    body.insert("period".to_owned(), json!(period.to_string()));
    Json::Object(body)
}

/// The figures that are signed, by county.
pub(super) async fn counted(store: &Store, period: Period, region: Region, now: Moment) -> Result<Counted, ReportFault> {
    let text = period.to_string();
    let query = Query::parse(Params { period: Some(&text), ..Params::default() }, region)?;
    let sheet = store.sheet(Source::Live, Axis::Home, within(region), Asked::Standing(query.day(now.day())?, Sections::FLOW)).await?;
    let counties = sheet.pages.iter().map(|(county, page)| (*county, Figure::of(page, period.kind())));
    Ok(Counted { counties: counties.filter(|(_, figure)| *figure != Figure::default()).collect(), position: sheet.as_of.seq })
}

/// How a region and those directly below it stand.
pub async fn view(store: &Store, period: Period, region: Region, now: Moment) -> Result<Json, ClosingFault> {
    let standing = store.closing(period).await?;
    let counted = counted(store, period, region, now).await?;
    let mut body = Stand::of(region, &standing, &counted)?.body(region);
    let children: Vec<Json> = standing
        .children(region)
        .into_iter()
        .map(|child| Ok(Json::Object(Stand::of(child, &standing, &counted)?.body(child))))
        .collect::<Result<_, Refused>>()?;
    body.insert("children".to_owned(), json!(children));
    Ok(with_period(period, body))
}

/// The office stands by the present figure of its region.
pub async fn submit(store: &Store, actor: Actor, now: Moment) -> Result<Answer, ClosingFault> {
    for _ in 0..TRIES {
        let standing = store.closing(actor.period).await?;
        let counted = counted(store, actor.period, actor.own, now).await?;
        let stand = Stand::of(actor.own, &standing, &counted)?;
        let state = stand.state.next(Event::Submit)?;
        let again = state == stand.state;
        let signed = if again {
            stand
        } else {
            Stand { state, figure: counted.of(actor.own), position: Some(counted.position), reason: None, now: None }
        };
        let answer = Answer { status: 200, body: with_period(actor.period, signed.body(actor.own)) };
        if again || sign(store, &actor, actor.own, &signed, &answer, &standing, now).await? {
            return Ok(answer);
        }
    }
    Err(StoreError::Busy.into())
}

/// The office approves what one directly below it submitted, or returns it.
pub async fn decide(store: &Store, actor: Actor, child: Region, decision: Decision, now: Moment) -> Result<Answer, ClosingFault> {
    for _ in 0..TRIES {
        let standing = store.closing(actor.period).await?;
        if !standing.children(actor.own).contains(&child) {
            return Err(ClosingFault::NotChildOffice);
        }
        let counted = counted(store, actor.period, child, now).await?;
        let stand = Stand::of(child, &standing, &counted)?;
        let (event, reason) = match &decision {
            Decision::Approve => (Event::Approve, None),
            Decision::Return(reason) => (Event::Return, Some(reason.clone())),
        };
        let state = stand.state.next(event)?;
        let again = state == stand.state && reason == stand.reason;
        // Who approves signs the figure as it is at their moment, which is the submitted one.
        let position = if state == State::Approved && !again { Some(counted.position) } else { stand.position };
        let signed = Stand { state, position, reason, now: None, ..stand };
        let answer = Answer { status: 200, body: with_period(actor.period, signed.body(child)) };
        if again || sign(store, &actor, child, &signed, &answer, &standing, now).await? {
            return Ok(answer);
        }
    }
    Err(StoreError::Busy.into())
}

async fn sign(
    store: &Store,
    actor: &Actor,
    region: Region,
    signed: &Stand,
    answer: &Answer,
    seen: &Standing,
    now: Moment,
) -> Result<bool, StoreError> {
    let signing = Signing {
        period: actor.period,
        region,
        state: signed.state,
        figure: signed.figure,
        position: signed.position.unwrap_or_default(),
        reason: signed.reason.clone(),
        by: actor.client.clone(),
        answer: answer.clone(),
    };
    store.sign_period(signing, seen, actor.key.clone(), now).await
}

/// The top office locks the period for its whole tree, at the ledger's length at which
/// every office below was found to have a valid approval; what comes after that is late.
pub async fn lock(store: &Store, actor: Actor, now: Moment) -> Result<Answer, ClosingFault> {
    for _ in 0..TRIES {
        let standing = store.closing(actor.period).await?;
        if !standing.is_top(actor.own) {
            return Err(ClosingFault::NotTop);
        }
        if !actor.period.is_over(now.day()) {
            return Err(ClosingFault::PeriodOpen);
        }
        if let Some(lock) = standing.lock_of(actor.own) {
            return if lock.region == actor.own { Ok(locked(actor.period, lock)) } else { Err(Refused::Locked.into()) };
        }
        let counted = counted(store, actor.period, actor.own, now).await?;
        let below = standing.offices.iter().filter(|o| **o != actor.own && o.is_within(actor.own));
        let states = below.map(|o| Ok((*o, Stand::of(*o, &standing, &counted)?.state))).collect::<Result<Vec<_>, Refused>>()?;
        let lacking: Vec<_> = states.into_iter().filter(|(_, state)| !matches!(state, State::Approved | State::Locked)).collect();
        if !lacking.is_empty() {
            return Err(ClosingFault::NotApproved(lacking));
        }
        // A part that was locked before keeps its figures.
        let free = counted.counties.iter().filter(|(county, _)| standing.lock_of(**county).is_none());
        let mut figures: BTreeMap<String, Figure> = free.map(|(county, figure)| (county.to_string(), *figure)).collect();
        for earlier in standing.locks.iter().rev().filter(|l| l.region.is_within(actor.own)) {
            figures.extend(earlier.figures.iter().map(|(code, figure)| (code.clone(), *figure)));
        }
        let (beside, seeking) = beside(store, &actor, now).await?;
        let lock = Lock {
            region: actor.own,
            position: counted.position,
            revision: REVISION.to_owned(),
            at: now,
            figures: figures.clone(),
            beside: Beside::default(),
        };
        let answer = locked(actor.period, &lock);
        let locking = Locking {
            period: actor.period,
            top: actor.own,
            position: lock.position,
            figures: Arc::new(figures),
            figure: locked_figure(&lock, actor.own),
            beside: Arc::new(beside),
            seeking: Arc::new(seeking),
            by: actor.client.clone(),
            answer,
        };
        if let Some(answer) = store.lock_period(locking, &standing, actor.key.clone(), now).await? {
            return Ok(answer);
        }
    }
    Err(StoreError::Busy.into())
}

/// What the lock's reports need and the ledger does not tell, who looked for work by
/// itself.
async fn beside(store: &Store, actor: &Actor, now: Moment) -> Result<(Beside, Vec<County>), ReportFault> {
    let (period, own) = (actor.period, actor.own);
    // What changes after this is told by the period after.
    let late = store.late_changes().await?;
    let (from, last) = (Moment::start_of(period.first_day()), period.last_day());
    let postings = store.posting_counts(from, Moment::start_of(last.saturating_add(1.day()))).await?;
    let before = period.previous();
    let known = store.period_locks(before).await?.iter().any(|lock| lock.region.is_within(own) || own.is_within(lock.region));
    let previous = if known { Some(counted(store, before, own, now).await?.counties) } else { None };
    let seeking = store.seeking(own.leaves().to_vec(), from, last).await?;
    let by_code = |figures: BTreeMap<Region, Figure>| figures.into_iter().map(|(county, figure)| (county.to_string(), figure)).collect();
    let beside = Beside {
        year_end_known: store.is_year_end_known(period).await?,
        previous: previous.map(by_code),
        postings: postings.into_iter().map(|((platform, category), (n, openings))| (platform, category, n, openings)).collect(),
        seeking_unknown: seeking.unknown,
        earlier: late::earlier(store, period, own, now).await?,
        late,
    };
    Ok((beside, seeking.counties))
}

fn locked(period: Period, lock: &Lock) -> Answer {
    let body = json!({
        "period": period.to_string(), "region": lock.region, "name": lock.region.name(), "state": State::Locked,
        "figure": locked_figure(lock, lock.region), "position": lock.position, "revision": lock.revision, "locked_at": lock.at,
    });
    Answer { status: 200, body }
}

/// The lock that holds a region, if its checkpoint is signed: the period is closed there.
pub async fn sealed(store: &Store, period: Period, region: Region) -> Result<Option<Sealed>, StoreError> {
    let mut locks = store.period_locks(period).await?;
    let Some(at) = locks.iter().position(|lock| region.is_within(lock.region)) else { return Ok(None) };
    let lock = locks.swap_remove(at);
    // The entry of the lock itself is the one after its position, or later.
    let checkpoint = store.checkpoint_covering(lock.position + 1).await?;
    let time = store.entry_time(lock.position).await?;
    Ok(checkpoint.map(|checkpoint| Sealed { lock, checkpoint, time }))
}

/// A lock under its checkpoint.
pub struct Sealed {
    pub lock: Lock,
    pub checkpoint: Checkpoint,
    /// When the last entry that counts was written.
    pub time: Option<Moment>,
}

/// Where a region's lock stands in the ledger, the checkpoint that covers it, and the
/// key it is signed with.
pub async fn seal(store: &Store, period: Period, region: Region, verifier: &str) -> Result<Json, ClosingFault> {
    let Sealed { lock, checkpoint, .. } = sealed(store, period, region).await?.ok_or(ClosingFault::PeriodOpen)?;
    Ok(json!({
        "period": period.to_string(), "region": lock.region, "position": lock.position, "revision": lock.revision, "locked_at": lock.at,
        "size": checkpoint.size, "root": checkpoint.root_text(), "checkpoint": checkpoint.note, "public_key": verifier,
    }))
}
