//! Takes in batches: postings of platforms, rows of registries.
//!
//! Promises: one bad record is one reject with its index, pointer and code, and
//! the batch goes on; a batch is stored in slices, each a transaction of its own
//! that also stores how far the batch came, so that a retry under the same key
//! resumes after a crash and speaks of the whole.
//! Does not: read formats (`adapter`) or meaning (`domain::normalize`).
//! Start at: [`Ingest::push`].

pub mod baselines;
pub mod registry;

use crate::adapter::{Adapter, BodyError, Format, Outcome};
use crate::cache::{Limits, Meter, Verdict};
use crate::config::Config;
use crate::domain::normalize;
use crate::domain::posting::{Content, Fault};
use crate::domain::time::{Moment, day_number};
use crate::store::feeds::Hold;
use crate::store::once::{Advance, Answer, Once, Reserved};
use crate::store::postings::{Prepared, Slice, Tally};
use crate::store::runs::{Brought, Completion, Ended, Found};
use crate::store::{Store, StoreError};
use jiff::ToSpan;
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// A record that was refused, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// The sender's own id, if that much could be read. Absent for registries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// RFC 6901, relative to the record.
    pub pointer: String,
    pub code: String,
    pub detail: String,
}

impl Reject {
    pub(crate) fn of(index: usize, source_id: Option<String>, fault: Fault) -> Self {
        Self { index, source_id, pointer: fault.pointer, code: fault.code.to_owned(), detail: fault.detail }
    }
}

/// Why a whole batch was not taken in.
#[derive(Debug)]
pub enum BatchError {
    Body(BodyError),
    /// More records than the limit allows, now or ever.
    Over {
        records: usize,
        verdict: Verdict,
    },
    /// The key was used for another body.
    KeyReused,
    /// Somebody is at it under the same key.
    InFlight,
    /// More records than a batch may ever have; it was not read to its end.
    TooMany {
        most: usize,
    },
    /// The run that it names is over.
    RunEnded,
    /// A reading thread failed.
    Reading,
    Store(StoreError),
}

impl From<StoreError> for BatchError {
    fn from(e: StoreError) -> Self {
        BatchError::Store(e)
    }
}

impl From<BodyError> for BatchError {
    fn from(e: BodyError) -> Self {
        BatchError::Body(e)
    }
}

/// Slices of a batch wait this long for the last one, should that never come.
const TOGETHER: Duration = Duration::from_secs(30);

/// A pushed batch of postings.
pub struct Batch {
    pub platform: String,
    pub adapter: Arc<Adapter>,
    /// The form that the content type names; none: told from the first bytes.
    pub format: Option<Format>,
    pub body: Vec<u8>,
    pub once: Option<Once>,
    pub dry_run: bool,
    /// The full feed it is a part of; none: a delta.
    pub run: Option<RunPart>,
    /// The right by which a puller brings it, where one does: nothing is stored once
    /// that has passed on, and no limit of records counts it.
    pub pull: Option<Hold>,
}

/// The part that a batch plays in a full feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPart {
    /// The sender's own name of the run.
    pub run: String,
    /// It is the last one: what is open and was not named is closed.
    pub complete: bool,
    /// Distinct records that the whole run must have had.
    pub expected: Option<u64>,
}

/// How batches are taken in.
#[derive(Clone)]
pub struct Ingest {
    pub store: Store,
    pub limits: Arc<Limits>,
    pub slice: usize,
    pub promoted_within: Duration,
    /// A full feed that would close more than this share is held.
    pub hold_share: f64,
    /// New postings are collected for this long and routed together.
    pub window: Duration,
    /// Records that a pushed batch may have; counted while it is read, since
    /// reading costs more than sending.
    pub most_records: usize,
}

/// A batch that has been read: what is stored, and what is refused.
struct ReadBatch {
    prepared: Vec<Prepared>,
    rejected: Vec<Reject>,
    received: usize,
    /// Indices of what was left out on purpose.
    skipped: Vec<usize>,
}

impl ReadBatch {
    /// What a run must count beside the good records. One without an id is told
    /// from others by the body it came in and its place there.
    fn brought(&self, body_mac: &[u8]) -> Vec<Brought> {
        let body: String = body_mac.iter().take(12).map(|b| format!("{b:02x}")).collect();
        let unnamed = |index: usize| Brought::Unnamed(format!("{body}/{index}"));
        let refused = self.rejected.iter().map(|r| r.source_id.clone().map_or_else(|| unnamed(r.index), Brought::Named));
        let mut all: Vec<Brought> = refused.chain(self.skipped.iter().map(|i| unnamed(*i))).collect();
        all.dedup();
        all
    }
}

/// How far a batch came, as it is stored with each slice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Progress {
    batch: String,
    /// Prepared postings stored so far.
    done: usize,
    created: u64,
    updated: u64,
    unchanged: u64,
    closed: u64,
}

impl Progress {
    fn plus(&self, slice: usize, tally: Tally) -> Self {
        Self {
            batch: self.batch.clone(),
            done: self.done + slice,
            created: self.created + tally.created,
            updated: self.updated + tally.updated,
            unchanged: self.unchanged + tally.unchanged,
            closed: self.closed + tally.closed,
        }
    }
}

impl Ingest {
    pub fn new(store: Store, limits: Arc<Limits>, config: &Config) -> Self {
        let (slice, promoted_within) = (config.ingest.slice, config.offer.promoted_within);
        let most_records = usize::try_from(config.limits.records_burst).unwrap_or(usize::MAX);
        let (hold_share, window) = (config.feed.hold_share, config.routing.window);
        Self { store, limits, slice, promoted_within, hold_share, window, most_records }
    }

    /// Reads, normalizes and stores a batch. Answers as `POST /v1/postings` does,
    /// with what the limit of records said.
    pub async fn push(&self, batch: Batch, now: Moment) -> Result<(Answer, Option<Verdict>), BatchError> {
        let fresh = self.store.fresh_id(now).to_string();
        if !batch.dry_run {
            self.store.heard_from(batch.platform.clone(), now).await?;
        }
        let Batch { platform, adapter, format, body, once, dry_run, run, pull } = batch;
        // Of a run's push, so that repeating the last one answers the same.
        let (store, part) = (self.store.clone(), run.clone());
        let most = if pull.is_none() { self.most_records } else { usize::MAX };
        let (read, mac) = read_off(move || {
            let mac = part.map(|p| {
                let expected = p.expected.map_or_else(String::new, |n| n.to_string());
                store.body_mac(&[p.run.as_bytes(), adapter.name().as_bytes(), &[u8::from(p.complete)], expected.as_bytes(), &body])
            });
            read(&adapter, format, &body, now.day(), most).map(|read| (read, mac.unwrap_or_default()))
        })
        .await??;
        // A dry run keeps nothing, so it has no key and is part of no run.
        let (once, run) = if dry_run { (None, None) } else { (once, run) };
        let mut progress = match resume(&self.store, once.as_ref(), now).await? {
            Begun::Answered(answer) => return Ok((answer, None)),
            Begun::At(kept) => kept.unwrap_or_else(|| Progress { batch: fresh, ..Progress::default() }),
        };
        let run_key = match &run {
            None => None,
            Some(part) => match self.store.open_run(platform.clone(), part.run.clone(), mac.clone(), now).await? {
                Found::Open(key) => Some(key),
                found => return self.repeated(platform, found, once, now).await,
            },
        };
        // A batch that is resumed was billed when it began.
        let verdict =
            if pull.is_none() && progress.done == 0 { Some(self.admit(&platform, read.received, once.as_ref()).await?) } else { None };
        if let Some(key) = run_key
            && !self.store.bring_to_run(key, read.brought(&mac), now).await?
        {
            return self.run_ended(once).await;
        }
        let mut rest = read.prepared;
        rest.drain(..progress.done.min(rest.len()));
        // A batch is routed as one, scarcest first: its slices wait for the last.
        let due = window_end(now, self.window);
        let held = (rest.len() > self.slice).then(|| now.plus(self.window + TOGETHER));
        while !rest.is_empty() {
            let tail = rest.split_off(rest.len().min(self.slice));
            let slice = Arc::new(std::mem::replace(&mut rest, tail));
            let n = slice.len();
            let tally = if dry_run {
                self.store.classify_postings(platform.clone(), slice, now).await?
            } else {
                let (platform, pull) = (platform.clone(), pull.clone());
                let (due, held) = if rest.is_empty() { (due, held) } else { (held.unwrap_or(due), None) };
                let postings = Slice { platform, postings: slice, run: run_key, pull, promoted_within: self.promoted_within, due, held };
                match self.store_slice(postings, once.as_ref(), &progress, now).await? {
                    Some(tally) => tally,
                    None => return self.run_ended(once).await,
                }
            };
            progress = progress.plus(n, tally);
        }
        let with_source_id = |r: &Reject| {
            let mut body = json!(r);
            body["source_id"] = json!(r.source_id);
            body
        };
        let rejected: Vec<Value> = read.rejected.iter().map(with_source_id).collect();
        let body = json!({
            "batch": progress.batch, "received": read.received, "created": progress.created, "updated": progress.updated,
            "unchanged": progress.unchanged, "closed": progress.closed, "skipped": read.skipped.len(), "rejected": rejected, "held": null,
        });
        if let (Some(key), Some(RunPart { complete: true, expected, run: name })) = (run_key, run) {
            let asked = Completion { expected, hold_share: self.hold_share, body_mac: mac.clone(), answer: body };
            let ended = self.store.complete_run(platform.clone(), key, asked, once.clone(), self.promoted_within, now).await?;
            return match ended {
                Ended::Answered(answer) => Ok((answer, verdict)),
                // Somebody else completed it, perhaps by this very push.
                Ended::Already => {
                    let found = self.store.open_run(platform.clone(), name, mac, now).await?;
                    self.repeated(platform, found, once, now).await
                }
            };
        }
        let answer = Answer { status: 200, body };
        if let Some(key) = once {
            self.store.finish(key, answer.clone()).await?;
        }
        Ok((answer, verdict))
    }

    /// Ends a full feed all of whose parts were pushed: closes what none of them
    /// named, or holds the run where that is more than `hold_share`. Asked again, it
    /// answers the same.
    pub async fn complete(&self, platform: String, run: String, hold_share: f64, now: Moment) -> Result<Value, BatchError> {
        let body_mac = self.store.body_mac(&[b"complete", run.as_bytes()]);
        let found = self.store.open_run(platform.clone(), run.clone(), body_mac.clone(), now).await?;
        if let Found::Open(key) = found {
            let answer = json!({"closed": 0, "held": null});
            let asked = Completion { expected: None, hold_share, body_mac: body_mac.clone(), answer };
            let ended = self.store.complete_run(platform.clone(), key, asked, None, self.promoted_within, now).await?;
            if let Ended::Answered(answer) = ended {
                return Ok(answer.body);
            }
        }
        let found = self.store.open_run(platform.clone(), run, body_mac, now).await?;
        self.repeated(platform, found, None, now).await.map(|(answer, _)| answer.body)
    }

    /// The answer of the push that completed a run, once more.
    async fn repeated(
        &self,
        platform: String,
        found: Found,
        once: Option<Once>,
        now: Moment,
    ) -> Result<(Answer, Option<Verdict>), BatchError> {
        let Found::Completed(key) = found else { return self.run_ended(once).await };
        match self.store.apply_run(platform, key, once.clone(), self.promoted_within, now).await? {
            Ended::Answered(answer) => Ok((answer, None)),
            Ended::Already => self.run_ended(once).await,
        }
    }

    /// Refuses a push to a run that is over, and gives its key back.
    async fn run_ended<T>(&self, once: Option<Once>) -> Result<T, BatchError> {
        if let Some(key) = once {
            self.store.release(key).await?;
        }
        Err(BatchError::RunEnded)
    }

    /// Takes a batch's records from the limit of whoever sent it; a batch that is
    /// refused gives its key back.
    async fn admit(&self, sender: &str, records: usize, once: Option<&Once>) -> Result<Verdict, BatchError> {
        let verdict = self.limits.take(Meter::Records, sender, u32::try_from(records).unwrap_or(u32::MAX)).await;
        if verdict.allowed {
            return Ok(verdict);
        }
        if let Some(key) = once {
            self.store.release(key.clone()).await?;
        }
        Err(BatchError::Over { records, verdict })
    }

    async fn store_slice(&self, slice: Slice, once: Option<&Once>, before: &Progress, now: Moment) -> Result<Option<Tally>, BatchError> {
        let advance = once.map(|key| {
            let (before, n) = (before.clone(), slice.postings.len());
            Advance::new(key.clone(), move |tally: &Tally| serde_json::to_value(before.plus(n, *tally)).unwrap_or(Value::Null))
        });
        let stored = self.store.upsert_postings(slice, advance, now).await;
        if let Err(e) = &stored {
            self.store.release_if_temporary(once, e).await;
        }
        Ok(stored?)
    }
}

/// When what arrives now is routed: windows lie side by side, the same on every node,
/// so that neither a restart nor another arrival moves the end of one.
fn window_end(now: Moment, window: Duration) -> Moment {
    let span = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    if span == 0 { now } else { Moment::from_ms((now.ms().div_euclid(span) + 1).saturating_mul(span)) }
}

/// Where a batch begins.
pub(crate) enum Begun<P> {
    /// Its key was answered before.
    Answered(Answer),
    /// How far an interrupted try came; none at the beginning.
    At(Option<P>),
}

/// Reserves a batch's key, where it has one, and finds what an interrupted try did.
pub(crate) async fn resume<P: DeserializeOwned>(store: &Store, once: Option<&Once>, now: Moment) -> Result<Begun<P>, BatchError> {
    let Some(key) = once else { return Ok(Begun::At(None)) };
    match store.reserve(key.clone(), now).await? {
        Reserved::Go { progress } => Ok(Begun::At(progress.and_then(|v| serde_json::from_value(v).ok()))),
        Reserved::Done(answer) => Ok(Begun::Answered(answer)),
        Reserved::Reused => Err(BatchError::KeyReused),
        Reserved::InFlight => Err(BatchError::InFlight),
    }
}

/// Runs reading on a thread that may be busy for long.
pub(crate) async fn read_off<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BatchError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BatchError::Reading)
}

fn read(adapter: &Adapter, format: Option<Format>, body: &[u8], today: Date, most: usize) -> Result<ReadBatch, BatchError> {
    let records = match format {
        Some(format) => adapter.read_as(format, body)?,
        None => adapter.read(body)?,
    };
    let mut out = ReadBatch { prepared: Vec::new(), rejected: Vec::new(), received: 0, skipped: Vec::new() };
    if records.at_least() > most {
        return Err(BatchError::TooMany { most });
    }
    for record in records {
        out.received += 1;
        if out.received > most {
            return Err(BatchError::TooMany { most });
        }
        match record.outcome {
            Outcome::Skipped(_) => out.skipped.push(record.index),
            Outcome::Rejected(fault, source_id) => out.rejected.push(Reject::of(record.index, source_id, fault)),
            Outcome::Mapped(value) => match normalize::posting(&value, today) {
                Ok(content) => out.prepared.push(prepare(content, &value)),
                Err(faults) => {
                    let source_id = source_id_of(&value);
                    out.rejected.extend(faults.into_iter().map(|f| Reject::of(record.index, source_id.clone(), f)));
                }
            },
        }
    }
    Ok(out)
}

fn source_id_of(value: &Value) -> Option<String> {
    match value.get("source_id")? {
        Value::String(text) => Some(text.chars().take(128).collect()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Hashes, groups and serializes a posting for the store.
pub fn prepare(content: Content, record: &Value) -> Prepared {
    let mut hash = Sha256::new();
    hash.update(normalize::RULE_VERSION);
    hash.update(normalize::canonical(record));
    let closes = content.valid_through.saturating_add(1.day());
    Prepared {
        json: serde_json::to_string(&content).unwrap_or_default(),
        hash: hash.finalize().to_vec(),
        group: group_of(&content),
        review_key: review_key(&content),
        closes_at: Moment::start_of(closes),
        counties: counted_counties(&content),
        content,
    }
}

/// The counties in which seats are counted; 0 where they are not.
fn counted_counties(c: &Content) -> u32 {
    let targets = c.openings_per_county.and_then(|_| c.target_counties());
    targets.map_or(0, |targets| targets.leaves().count() as u32)
}

/// Postings equal in organization, title, region and pay are the same work, from
/// whatever platform. One without an organization is a group of its own.
fn group_of(c: &Content) -> Vec<u8> {
    let mut hash = Sha256::new();
    let plain = |text: &str| normalize::plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    match &c.hiring_organization.name {
        Some(name) => {
            let pay = &c.base_salary;
            let key = json!([plain(name), plain(&c.title), c.job_location.region, pay.unit, pay.min, pay.max, c.arrangement]);
            hash.update(key.to_string());
        }
        None => hash.update(json!([c.source_id, c.title, c.url, day_number(c.date_posted), c.job_location.text]).to_string()),
    }
    hash.finalize()[..16].to_vec()
}

/// Of the texts that an operator must look at: who has looked at them once need not
/// do so again when the posting is renewed.
fn review_key(c: &Content) -> Option<Vec<u8>> {
    c.warnings.iter().any(|w| w == "fraud_words").then(|| {
        let texts = json!([c.title, c.description, c.base_salary.text]);
        Sha256::digest(texts.to_string())[..16].to_vec()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_side_by_side() {
        let end = |now: i64, window: u64| window_end(Moment::from_ms(now), Duration::from_millis(window)).ms();
        assert_eq!([end(0, 1000), end(1, 1000), end(999, 1000), end(1000, 1000)], [1000, 1000, 1000, 2000]);
        assert_eq!(end(-1, 1000), 0);
        assert_eq!(end(1234, 0), 1234, "without a window at once");
    }
}
