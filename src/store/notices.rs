//! Who is to be told something, and how far that came: one row for each worker.
//!
//! Promises: a worker is due from the commit that gave them something to hear; what a
//! message says is read when it is sent; it goes out under one id, one link and the same
//! codes until it went through or was given up; a late outcome, whose lease has passed
//! on, is listed and changes nothing else.
//! Does not: know channels or words (`notify`).

use super::access::{self, Raised};
use super::deliveries::SLICE;
use super::engine::bulk::Bulk;
use super::engine::{Row, Sql, StoreError, Val, params};
use super::offers::{self, Offer, offer};
use super::postings::{self, Posting};
use super::vault::Vault;
use super::workers::{WorkerFile, open};
use super::writer::Tx;
use super::{Store, workers};
use crate::domain::alert::Facts;
use crate::domain::id::WorkerId;
use crate::domain::person::Phone;
use crate::domain::region::Region;
use crate::domain::reply::CODE;
use crate::domain::time::{Moment, day_number};
use jiff::ToSpan;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// Codes that are over are answered as such for this long.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);
/// Replies and attempts are kept for this long.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Workers whom a write group gave something to be told, each with when it did first.
pub(super) struct ToTell {
    /// Milliseconds for which messages are collected; below 0: nobody is told anything.
    collect: i64,
    handles: BTreeMap<u32, i64>,
    workers: BTreeMap<Uuid, i64>,
}

impl ToTell {
    pub(super) fn new(collect: i64) -> Self {
        Self { collect, handles: BTreeMap::new(), workers: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, handle: u32, now: Moment) {
        if self.collect >= 0 {
            self.handles.entry(handle).or_insert(now.ms());
        }
    }

    pub(super) fn add_worker(&mut self, worker: Uuid, now: Moment) {
        if self.collect >= 0 {
            self.workers.entry(worker).or_insert(now.ms());
        }
    }

    /// Makes them due, in the order of their handles. Who is due already stays so, and
    /// is remembered to have more to hear than may have been read meanwhile.
    pub(super) fn write(&mut self, s: &mut dyn Sql) -> Result<(), StoreError> {
        static HANDLES: Bulk = Bulk::keys("SELECT handle, id FROM workers WHERE id IN {list}", 0);
        static DUE: Bulk = Bulk::rows(
            "INSERT INTO notices (state, handle, asked_at, due_at) VALUES {list} ON CONFLICT (handle) DO UPDATE SET
               again_at = CASE WHEN notices.state = 'due' THEN excluded.asked_at END,
               asked_at = CASE WHEN notices.state = 'idle' THEN excluded.asked_at ELSE notices.asked_at END,
               due_at = CASE WHEN notices.state = 'due' THEN notices.due_at ELSE excluded.due_at END,
               channel = CASE WHEN notices.state = 'due' THEN notices.channel ELSE 0 END,
               tries = CASE WHEN notices.state = 'due' THEN notices.tries ELSE 0 END,
               state = 'due'
             WHERE notices.state <> 'due' OR notices.again_at IS NULL",
            0,
            "'due', ",
            3,
        );
        let ids: Vec<Val> = self.workers.keys().copied().map(Val::from).collect();
        for row in HANDLES.query(s, &[], &ids)? {
            let at = self.workers.get(&row.uuid(1)?).copied().unwrap_or_default();
            self.handles.entry(row.count(0)?).or_insert(at);
        }
        let mut rows = Vec::with_capacity(self.handles.len() * 3);
        for (handle, asked) in &self.handles {
            rows.extend_from_slice(params![*handle, *asked, asked.saturating_add(self.collect)]);
        }
        DUE.insert(s, &[], &rows, |_, _| Ok(()))
    }
}

/// Whoever could not be reached is tried once more: their phone is another one.
pub(super) fn try_again(tx: &mut Tx<'_>, handle: u32, now: Moment) -> Result<(), StoreError> {
    let sql = "UPDATE notices SET state = 'due', due_at = $2, channel = 0, tries = 0 WHERE handle = $1 AND state = 'unreachable'";
    tx.exec(sql, params![handle, now.ms()]).map(drop)
}

/// What messages are made by.
#[derive(Clone, Debug)]
pub struct NoticeTerms {
    pub per_day: u32,
    pub lease: Duration,
    pub link_lifetime: Duration,
}

/// A worker whose message is to be sent now.
pub struct Due {
    pub handle: u32,
    pub fence: i64,
    /// The same on every try.
    pub message: Uuid,
    pub phone: Phone,
    /// Which channel it has come to, and how often that was tried.
    pub channel: usize,
    pub tries: u32,
    /// Unanswered, the first to expire first, each with its code.
    pub offers: Vec<(String, Offer, Posting)>,
    /// Accepted by the worker, and gone since.
    pub gone: Vec<(Offer, Posting)>,
    /// Of the link in it.
    pub token: String,
}

/// What came of sending.
#[derive(Clone, Debug)]
pub struct Tried {
    pub handle: u32,
    pub fence: i64,
    pub message: Uuid,
    pub channel: String,
    pub at: Moment,
    pub status: Option<u16>,
    /// Holds nothing of the person.
    pub error: Option<String>,
    pub next: Next,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Sent {
        collect: Duration,
    },
    RetryAt(Moment),
    /// This channel was tried often enough.
    NextChannel,
    GiveUp,
}

/// Somebody who could not be reached.
#[derive(Clone, Debug)]
pub struct Unreachable {
    pub worker: WorkerFile,
    pub since: Moment,
    /// `no_phone` or `failed`.
    pub reason: String,
}

/// One try of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageAttempt {
    pub message: Uuid,
    pub channel: String,
    pub at: Moment,
    pub status: Option<i64>,
    pub error: Option<String>,
}

impl Vault {
    /// Finds whom a phone belongs to, as far as they were written to.
    pub(super) fn phone_mac(&self, phone: &Phone) -> Vec<u8> {
        self.mac("phone", phone.dialled().as_bytes()).to_vec()
    }

    /// The token of a message's link: short, since it stands in a short message, and
    /// the same on every try.
    fn message_token(&self, message: Uuid) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&self.mac("message-link", message.as_bytes())[..16])
    }
}

/// The phone of a worker.
pub(super) fn phone_of(s: &mut dyn Sql, vault: &Vault, handle: u32) -> Result<Option<(WorkerId, Phone)>, StoreError> {
    let row = s.one("SELECT id, phone_sealed FROM workers WHERE handle = $1 AND erased_at IS NULL", params![handle])?;
    let Some(row) = row else { return Ok(None) };
    let id = row.uuid(0)?;
    Ok(open(vault, &row, 1, id, "phone")?.map(|phone| (WorkerId::new(id), Phone::from_sealed(phone))))
}

/// What a worker has to hear now: unanswered offers, and what is gone that they had
/// accepted. Nothing where neither holds news since `asked`.
fn news(s: &mut dyn Sql, handle: u32, asked: i64, now: Moment) -> Result<(Vec<Offer>, Vec<Offer>), StoreError> {
    let sql = offers::columns!(
        "WHERE o.handle = $1 AND ((o.state IN ('offered', 'seen') AND o.expires_at > $2)
           OR (o.state IN ('withdrawn', 'not_selected') AND o.answered_at IS NOT NULL AND o.updated_at >= $3)) ORDER BY o.expires_at, o.id"
    );
    let all: Vec<Offer> = s.query(sql, params![handle, now.ms(), asked])?.iter().map(offer).collect::<Result<_, _>>()?;
    let (open, gone): (Vec<Offer>, Vec<Offer>) = all.into_iter().partition(|o| o.state.unanswered());
    // Who has looked at an offer knows of it.
    let fresh =
        "SELECT 1 FROM offers WHERE handle = $1 AND closed = 0 AND state = 'offered' AND expires_at > $2 AND updated_at >= $3 LIMIT 1";
    let fresh = s.one(fresh, params![handle, now.ms(), asked])?.is_some();
    Ok(if fresh || !gone.is_empty() { (open, gone) } else { (Vec::new(), Vec::new()) })
}

/// The code of an offer, which no other open one behind this phone has.
fn code(tx: &mut Tx<'_>, phone: &[u8], handle: u32, o: &Offer, now: Moment) -> Result<String, StoreError> {
    let had = tx.one("SELECT phone_mac, code FROM reply_codes WHERE offer = $1", params![o.id.uuid()])?;
    if let Some(row) = had {
        if row.blob(0)? == phone {
            return Ok(row.text(1)?.to_owned());
        }
        tx.exec("DELETE FROM reply_codes WHERE offer = $1", params![o.id.uuid()])?;
    }
    tx.exec("DELETE FROM reply_codes WHERE phone_mac = $1 AND expires_at < $2", params![phone, now.minus(REMEMBERED).ms()])?;
    let taken = tx.query("SELECT code FROM reply_codes WHERE phone_mac = $1", params![phone])?;
    let taken: HashSet<&str> = taken.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    loop {
        let (least, most) = (10u64.pow(CODE as u32 - 1), 10u64.pow(CODE as u32));
        let code = (least + u64::from_be_bytes(tx.ids.bytes()) % (most - least)).to_string();
        if !taken.contains(code.as_str()) {
            tx.exec(
                "INSERT INTO reply_codes (phone_mac, code, handle, offer, expires_at) VALUES ($1, $2, $3, $4, $5)",
                params![phone, code.as_str(), handle, o.id.uuid(), o.expires_at.ms()],
            )?;
            return Ok(code);
        }
    }
}

fn set_idle(tx: &mut Tx<'_>, handle: u32) -> Result<(), StoreError> {
    let sql = "UPDATE notices SET state = 'idle', again_at = NULL, message = NULL, channel = 0, tries = 0, reason = NULL, since = NULL WHERE handle = $1";
    tx.exec(sql, params![handle]).map(drop)
}

/// Gives a worker up, and tells the home's office once a day how many there are.
fn give_up(tx: &mut Tx<'_>, handle: u32, reason: &str, now: Moment) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE notices SET state = 'unreachable', again_at = NULL, message = NULL, reason = $2, since = COALESCE(since, $3) WHERE handle = $1",
        params![handle, reason, now.ms()],
    )?;
    let Some(row) = tx.one("SELECT home FROM workers WHERE handle = $1 AND erased_at IS NULL", params![handle])? else { return Ok(()) };
    let home = super::region(row.int(0)?)?;
    let day = now.day();
    let sql = "SELECT id, facts FROM alerts WHERE region = $1 AND kind = 'unreachable' AND resolved_at IS NULL AND at >= $2 ORDER BY id";
    let mut known = None;
    for row in tx.query(sql, params![i64::from(home.code()), Moment::start_of(day).ms()])? {
        // One of before there were facts counts on its own.
        if let Some(Facts::Unreachable { people, .. }) = Facts::read("unreachable", row.text(1)?) {
            known = Some((row.uuid(0)?, people));
            break;
        }
    }
    match known {
        Some((id, people)) => {
            let facts = Facts::Unreachable { day, people: people + 1 }.object().to_string();
            tx.exec("UPDATE alerts SET facts = $2 WHERE id = $1", params![id, facts]).map(drop)
        }
        None => access::alert(tx, &Facts::Unreachable { day, people: 1 }, home, Raised::default(), now).map(drop),
    }
}

fn take_one(tx: &mut Tx<'_>, vault: &Vault, row: &Row, terms: &NoticeTerms, now: Moment) -> Result<Option<Due>, StoreError> {
    let handle = row.count(0)?;
    if row.int(5)? == day_number(now.day()) && row.int(6)? >= i64::from(terms.per_day) {
        let tomorrow = Moment::start_of(now.day().saturating_add(1.day()));
        tx.exec("UPDATE notices SET due_at = $2 WHERE handle = $1", params![handle, tomorrow.ms()])?;
        return Ok(None);
    }
    let willing =
        tx.one("SELECT paused FROM workers WHERE handle = $1 AND consent_on IS NOT NULL AND erased_at IS NULL", params![handle])?;
    let Some(willing) = willing else {
        set_idle(tx, handle)?;
        return Ok(None);
    };
    let (mut open, gone) = news(tx, handle, row.int(1)?, now)?;
    if willing.flag(0)? {
        // Who wants a rest is told only of what they had accepted.
        open.clear();
    }
    if open.is_empty() && gone.is_empty() {
        set_idle(tx, handle)?;
        return Ok(None);
    }
    let Some((worker, phone)) = phone_of(tx, vault, handle)? else {
        give_up(tx, handle, "no_phone", now)?;
        return Ok(None);
    };
    let message = row.opt_uuid(7)?.unwrap_or_else(|| tx.ids.v7(now));
    let fence = row.int(2)? + 1;
    tx.exec(
        "UPDATE notices SET fence = $2, due_at = $3, message = $4, again_at = NULL WHERE handle = $1",
        params![handle, fence, now.plus(terms.lease).ms(), message],
    )?;
    let (mac, token) = (vault.phone_mac(&phone), vault.message_token(message));
    let mut offers = Vec::with_capacity(open.len());
    for o in open {
        if let Some(p) = postings::by_id(tx, o.posting)? {
            offers.push((code(tx, &mac, handle, &o, now)?, o, p));
        }
    }
    let mut left = Vec::with_capacity(gone.len());
    for o in gone {
        if let Some(p) = postings::by_id(tx, o.posting)? {
            left.push((o, p));
        }
    }
    tx.exec(
        "INSERT INTO links (hash, worker, created_at, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at",
        params![vault.mac("link", token.as_bytes()).as_slice(), worker.uuid(), now.ms(), now.plus(terms.link_lifetime).ms()],
    )?;
    let channel = usize::try_from(row.int(3)?).unwrap_or(0);
    Ok(Some(Due { handle, fence, message, phone, channel, tries: row.count(4)?, offers, gone: left, token }))
}

fn tried(tx: &mut Tx<'_>, t: &Tried) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO message_attempts (message, handle, channel, at, status, error) VALUES ($1, $2, $3, $4, $5, $6)",
        params![t.message, t.handle, t.channel.as_str(), t.at.ms(), t.status.map(i64::from), t.error.as_deref()],
    )?;
    let ours = "SELECT again_at FROM notices WHERE handle = $1 AND fence = $2 AND message = $3 AND state = 'due' {for_update}";
    let Some(row) = tx.one(ours, params![t.handle, t.fence, t.message])? else { return Ok(()) };
    match t.next {
        Next::Sent { collect } => {
            let sql = "UPDATE notices SET sent = CASE WHEN day = $2 THEN sent + 1 ELSE 1 END, day = $2 WHERE handle = $1";
            tx.exec(sql, params![t.handle, day_number(t.at.day())])?;
            set_idle(tx, t.handle)?;
            if let Some(again) = row.opt_int(0)? {
                let due = Moment::from_ms(again).plus(collect);
                tx.exec(
                    "UPDATE notices SET state = 'due', asked_at = $2, due_at = $3 WHERE handle = $1",
                    params![t.handle, again, due.ms()],
                )?;
            }
            Ok(())
        }
        Next::RetryAt(at) => {
            tx.exec("UPDATE notices SET tries = tries + 1, due_at = $2 WHERE handle = $1", params![t.handle, at.ms()]).map(drop)
        }
        Next::NextChannel => {
            let sql = "UPDATE notices SET channel = channel + 1, tries = 0, due_at = $2 WHERE handle = $1";
            tx.exec(sql, params![t.handle, t.at.ms()]).map(drop)
        }
        Next::GiveUp => give_up(tx, t.handle, "failed", t.at),
    }
}

impl Store {
    /// Takes workers who are due, under a lease, with what they have to hear; and how
    /// many were looked at: some need not be told any more, or not today.
    pub async fn take_notices(&self, limit: i64, terms: NoticeTerms, now: Moment) -> Result<(Vec<Due>, usize), StoreError> {
        // Mostly there are none, and whoever writes need not wait to hear that.
        let any = "SELECT 1 FROM notices WHERE state = 'due' AND due_at <= $1 LIMIT 1";
        if self.read(move |s| s.one(any, params![now.ms()])).await?.is_none() {
            return Ok((Vec::new(), 0));
        }
        let vault = self.vault.clone();
        self.write(move |tx| {
            let sql = "SELECT handle, asked_at, fence, channel, tries, day, sent, message FROM notices
                       WHERE state = 'due' AND due_at <= $1 ORDER BY due_at, handle LIMIT $2 {skip_locked}";
            let rows = tx.query(sql, params![now.ms(), limit])?;
            let mut due = Vec::new();
            for row in &rows {
                due.extend(take_one(tx, &vault, row, &terms, now)?);
            }
            Ok((due, rows.len()))
        })
        .await
    }

    /// Stores what came of a try.
    pub async fn message_tried(&self, tried_now: Tried) -> Result<(), StoreError> {
        self.write(move |tx| tried(tx, &tried_now)).await
    }

    /// The tries of messages to a worker, oldest first.
    pub async fn message_attempts(&self, worker: WorkerId) -> Result<Vec<MessageAttempt>, StoreError> {
        self.read(move |s| {
            let sql = "SELECT message, channel, at, status, error FROM message_attempts
                       WHERE handle = (SELECT handle FROM workers WHERE id = $1) ORDER BY seq";
            let read = |r: &Row| {
                Ok(MessageAttempt {
                    message: r.uuid(0)?,
                    channel: r.text(1)?.to_owned(),
                    at: Moment::from_ms(r.int(2)?),
                    status: r.opt_int(3)?,
                    error: r.opt_text(4)?.map(str::to_owned),
                })
            };
            s.query(sql, params![worker.uuid()])?.iter().map(read).collect()
        })
        .await
    }

    /// How many workers are due, could not be reached, and have nothing to hear.
    pub async fn notice_counts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.read(|s| {
            let rows = s.query("SELECT state, COUNT(*) FROM notices GROUP BY state ORDER BY state", &[])?;
            rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?))).collect()
        })
        .await
    }

    /// One page of a region's workers who could not be reached, masked, and how many
    /// there are.
    pub async fn unreachable(&self, region: Region, after: Option<WorkerId>, limit: i64) -> Result<(Vec<Unreachable>, i64), StoreError> {
        let vault = self.vault.clone();
        self.read(move |s| {
            let sql = "SELECT w.home, COUNT(*) FROM notices n CROSS JOIN workers w
                       WHERE n.state = 'unreachable' AND w.handle = n.handle AND w.erased_at IS NULL GROUP BY w.home";
            let mut total = 0;
            for row in s.query(sql, &[])? {
                total += if super::region(row.int(0)?)?.is_within(region) { row.int(1)? } else { 0 };
            }
            let (mut page, mut after) = (Vec::new(), access::after(after.map(WorkerId::uuid)));
            while (page.len() as i64) < limit {
                let sql = "SELECT w.id, w.home, n.since, n.reason FROM notices n CROSS JOIN workers w
                           WHERE n.state = 'unreachable' AND w.handle = n.handle AND w.erased_at IS NULL AND w.id > $1 ORDER BY w.id LIMIT $2";
                let rows = s.query(sql, params![after.clone(), 1000])?;
                for row in &rows {
                    after = row.0[0].clone();
                    if super::region(row.int(1)?)?.is_within(region)
                        && (page.len() as i64) < limit
                        && let Some(worker) = workers::file_of(s, &vault, WorkerId::new(row.uuid(0)?))?
                    {
                        let since = Moment::from_ms(row.opt_int(2)?.unwrap_or_default());
                        page.push(Unreachable { worker, since, reason: row.opt_text(3)?.unwrap_or_default().to_owned() });
                    }
                }
                if rows.len() < 1000 {
                    break;
                }
            }
            Ok((page, total))
        })
        .await
    }

    /// Forgets some codes, replies and tries of long ago; says how many.
    pub async fn forget_messages(&self, now: Moment) -> Result<u64, StoreError> {
        let codes =
            "DELETE FROM reply_codes WHERE offer IN (SELECT offer FROM reply_codes WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        let replies = "DELETE FROM replies WHERE id IN (SELECT id FROM replies WHERE at < $1 ORDER BY at LIMIT $2)";
        // Numbers follow time closely enough that the first ones are the oldest.
        let tries = "DELETE FROM message_attempts WHERE at < $1 AND seq IN (SELECT seq FROM message_attempts ORDER BY seq LIMIT $2)";
        self.write(move |tx| {
            let kept = now.minus(KEPT).ms();
            let gone = tx.exec(codes, params![now.minus(REMEMBERED).ms(), SLICE])?;
            Ok(gone + tx.exec(replies, params![kept, SLICE])? + tx.exec(tries, params![kept, SLICE])?)
        })
        .await
    }
}
