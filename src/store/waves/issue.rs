//! Making the offers of a transaction: everything is asked and written for all of its
//! waves at once.
//!
//! Promises: locks are taken work first, then postings, then workers, each in the
//! order of their keys; what is counted is counted after its row is locked.

use super::{Candidate, Issued, Wave, WaveTerms, keys, live};
use crate::domain::cells::Offered;
use crate::domain::id::OfferId;
use crate::domain::posting::Status;
use crate::domain::region::Region;
use crate::domain::time::Moment;
use crate::store::engine::bulk::Bulk;
use crate::store::engine::{Row, Sql, StoreError, Val, params};
use crate::store::log::ChangeKind;
use crate::store::region;
use crate::store::seats;
use crate::store::wants::{Counted, Wants};
use crate::store::work;
use crate::store::writer::Tx;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// How long a posting waits whose candidates were all refused: the index must catch
/// up first.
const CATCH_UP: Duration = Duration::from_secs(1);

/// A wave whose posting is open and whose lease is held.
struct Open<'a> {
    /// Its place in the transaction.
    at: usize,
    wave: &'a Wave,
    posting: &'a Row,
    number: i64,
    candidates: std::slice::Iter<'a, Candidate>,
    wants: Wants,
    /// Somebody was passed over since their county wanted nobody more.
    passed: bool,
    issued: Issued,
}

/// The columns of an open posting's row.
const OPENINGS: usize = 2;
const TAKEN: usize = 3;
const LAST_WAVE: usize = 4;
const GROUP: usize = 5;
const PLATFORM: usize = 6;
const PER_COUNTY: usize = 8;
const CATEGORY: usize = 9;

pub(super) fn all(tx: &mut Tx<'_>, waves: &[Wave], terms: &WaveTerms, now: Moment) -> Result<Vec<Issued>, StoreError> {
    let leases: Vec<_> = waves.iter().filter_map(|wave| wave.lease).collect();
    let held = work::held(tx, &leases)?;
    let ours = |wave: &Wave| wave.lease.is_none_or(|lease| held.contains(&lease.key));
    let postings = open_postings(tx, waves.iter().filter(|wave| ours(wave)), now)?;
    let ids = keys(postings.keys().copied());
    let (live, begun) = (live(tx, &ids)?, begun(tx, &ids, now)?);
    let mut open = Vec::with_capacity(postings.len());
    for (at, wave) in waves.iter().enumerate().filter(|(_, wave)| ours(wave)) {
        let id = wave.posting.uuid();
        let Some(posting) = postings.get(&id) else { continue };
        let last = posting.int(LAST_WAVE)?;
        // Parts of a wave are made at one moment.
        let number = if begun.contains(&(id, last)) { last } else { last + 1 };
        let free = posting.count(OPENINGS)?.saturating_sub(posting.count(TAKEN)?);
        let counted = if posting.count(PER_COUNTY)? > 0 { Counted::read(tx, wave.posting)? } else { None };
        let wants = match counted {
            Some(counted) => counted.wants(tx, wave.posting, free, terms)?,
            None => Wants::of_posting(terms.wanted(free, live.get(&id).copied().unwrap_or(0))),
        };
        let issued = Issued { wanted: wants.offers, ..Issued::default() };
        open.push(Open { at, wave, posting, number, candidates: wave.candidates.iter(), wants, passed: false, issued });
    }
    let mut room = room(tx, &open, terms.cap, now)?;
    while fill(tx, &mut open, &mut room, terms, now)? {}
    finish(tx, waves, open, &held, terms, now)
}

/// Locks the postings of these waves; the rows of those that are open.
fn open_postings<'a>(tx: &mut Tx<'_>, waves: impl Iterator<Item = &'a Wave>, now: Moment) -> Result<HashMap<Uuid, Row>, StoreError> {
    static POSTINGS: Bulk = Bulk::keys(
        "SELECT id, status, openings, taken, wave, group_key, platform, closes_at, per_county, category FROM postings WHERE id IN {list} ORDER BY id {for_update}",
        0,
    );
    let mut ids: Vec<Uuid> = waves.map(|wave| wave.posting.uuid()).collect();
    ids.sort_unstable();
    let mut open = HashMap::with_capacity(ids.len());
    for row in POSTINGS.query(tx, &[], &keys(ids.into_iter()))? {
        if row.text(1)? == Status::Open.code() && row.int(7)? > now.ms() {
            open.insert(row.uuid(0)?, row);
        }
    }
    Ok(open)
}

/// The waves of these postings that were begun at this moment.
fn begun(tx: &mut Tx<'_>, ids: &[Val], now: Moment) -> Result<HashSet<(Uuid, i64)>, StoreError> {
    static BEGUN: Bulk = Bulk::keys("SELECT posting, wave FROM waves WHERE at = $1 AND posting IN {list}", 1);
    BEGUN.query(tx, params![now.ms()], ids)?.iter().map(|row| Ok((row.uuid(0)?, row.int(1)?))).collect()
}

/// The candidates of one transaction who may have an offer: their ids, how many more
/// they may hold, and their homes.
type Room = HashMap<u32, (Uuid, u32, Region)>;

/// Locks the candidates, in the order of their handles, whoever routes what, and counts
/// their open offers.
fn room(tx: &mut Tx<'_>, open: &[Open<'_>], cap: u32, now: Moment) -> Result<Room, StoreError> {
    static WORKERS: Bulk = Bulk::keys(
        "SELECT handle, id, home FROM workers WHERE handle IN {list} AND consent_on IS NOT NULL AND paused = 0 AND looking = 1
         AND cooling_until <= $1 ORDER BY handle {for_update}",
        1,
    );
    // After the lock, so that it counts what another node has committed meanwhile.
    static HOLDING: Bulk = Bulk::keys(
        "SELECT o.handle, COUNT(*) FROM offers o CROSS JOIN postings p WHERE o.handle IN {list} AND o.closed = 0 AND o.state IN ('offered', 'seen')
         AND p.id = o.posting AND p.status <> 'filled' GROUP BY o.handle",
        0,
    );
    let wanting = open.iter().filter(|o| o.issued.wanted > 0);
    let mut handles: Vec<u32> = wanting.flat_map(|o| &o.wave.candidates).map(|c| c.handle).collect();
    handles.sort_unstable();
    handles.dedup();
    let handles: Vec<Val> = handles.into_iter().map(Val::from).collect();
    let mut room = Room::with_capacity(handles.len());
    for row in WORKERS.query(tx, params![now.ms()], &handles)? {
        room.insert(row.count(0)?, (row.uuid(1)?, cap, region(row.int(2)?)?));
    }
    for row in HOLDING.query(tx, &[], &handles)? {
        if let Some((_, left, _)) = room.get_mut(&row.count(0)?) {
            *left = cap.saturating_sub(row.count(1)?);
        }
    }
    Ok(room)
}

/// Makes offers for the next candidates of each wave, up to what it wants; true where
/// some of them had one of the posting or its group, so that others may take their
/// place.
fn fill(tx: &mut Tx<'_>, open: &mut [Open<'_>], room: &mut Room, terms: &WaveTerms, now: Moment) -> Result<bool, StoreError> {
    static OFFERS: Bulk = Bulk::rows(
        "INSERT INTO offers (offered_at, updated_at, expires_at, state, room, id, posting, handle, worker, platform, wave, reasons, group_key, home)
         VALUES {list} ON CONFLICT DO NOTHING",
        2,
        "$1, $1, $2, 'offered', {room}, ",
        9,
    );
    static MADE: Bulk = Bulk::keys("SELECT id FROM offers WHERE id IN {list}", 0);
    // Which wave, whom, and as which offer.
    let mut chosen: Vec<(usize, u32, Uuid)> = Vec::new();
    let mut rows = Vec::new();
    for (which, o) in open.iter_mut().enumerate() {
        let mut lacking = (o.issued.wanted as usize).saturating_sub(o.issued.offered.len());
        while lacking > 0
            && let Some(candidate) = o.candidates.next()
        {
            let Some((worker, left, home)) = room.get_mut(&candidate.handle).filter(|(_, left, _)| *left > 0) else {
                o.issued.refused.push(candidate.handle);
                continue;
            };
            if !o.wants.of(*home) {
                o.passed = true;
                continue;
            }
            o.wants.count(*home);
            *left -= 1;
            lacking -= 1;
            let id = tx.ids.v7(now);
            chosen.push((which, candidate.handle, id));
            rows.extend_from_slice(params![
                id,
                o.wave.posting.uuid(),
                candidate.handle,
                *worker,
                o.posting.text(PLATFORM)?,
                o.number,
                candidate.grounds.stored(),
                o.posting.blob(GROUP)?,
                i64::from(home.code()),
            ]);
        }
    }
    let mut had_one = HashSet::new();
    OFFERS.insert(tx, params![now.ms(), now.plus(terms.answer_within).ms()], &rows, |s, piece| {
        let ids = keys(chosen[piece.clone()].iter().map(|(_, _, id)| *id));
        let made = MADE.query(s, &[], &ids)?.iter().map(|row| row.uuid(0)).collect::<Result<HashSet<_>, _>>()?;
        had_one.extend(chosen[piece].iter().map(|(_, _, id)| *id).filter(|id| !made.contains(id)));
        Ok(())
    })?;
    for (which, handle, id) in chosen {
        let Open { issued, wants, posting, .. } = &mut open[which];
        if had_one.contains(&id) {
            issued.refused.push(handle);
            room.entry(handle).and_modify(|(_, left, home)| {
                *left += 1;
                wants.uncount(*home);
            });
        } else {
            issued.offered.push((OfferId::new(id), handle));
            if let Some((_, _, home)) = room.get(&handle) {
                tx.books.offer(*home, posting.text(PLATFORM)?, seats::category(posting.int(CATEGORY)?), Offered::Made, now);
            }
            tx.to_tell.add(handle, now);
        }
    }
    Ok(!had_one.is_empty())
}

/// Writes down what each wave came to, and ends its lease or says when the posting is
/// due again.
fn finish(
    tx: &mut Tx<'_>,
    waves: &[Wave],
    open: Vec<Open<'_>>,
    held: &HashSet<Uuid>,
    terms: &WaveTerms,
    now: Moment,
) -> Result<Vec<Issued>, StoreError> {
    static WAVES: Bulk = Bulk::rows(
        "INSERT INTO waves (at, posting, wave, wanted, offered) VALUES {list}
         ON CONFLICT (posting, wave) DO UPDATE SET offered = waves.offered + excluded.offered",
        1,
        "$1, ",
        4,
    );
    let mut out = vec![Issued::default(); waves.len()];
    let (mut made, mut short) = (Vec::new(), HashSet::new());
    for Open { at, wave, posting, number, passed, mut issued, .. } in open {
        let (id, offered) = (wave.posting.uuid(), issued.offered.len());
        let lacks = offered < issued.wanted as usize;
        issued.again = lacks && (wave.more || !wave.exhausted || passed);
        if lacks {
            short.insert(at);
        }
        if offered > 0 {
            made.extend_from_slice(params![id, number, issued.wanted, offered as i64]);
            seats::expires(tx, wave.posting, now.plus(terms.answer_within))?;
            tx.log.change(ChangeKind::Wave, id, number, now);
        }
        let last = if offered > 0 { number } else { posting.int(LAST_WAVE)? };
        tx.exec("UPDATE postings SET short = $2, wave = $3 WHERE id = $1", params![id, lacks, last])?;
        out[at] = issued;
    }
    WAVES.insert(tx, params![now.ms()], &made, |_, _| Ok(()))?;
    let (mut over, mut later) = (Vec::new(), HashMap::<Moment, Vec<Val>>::new());
    for (at, wave) in waves.iter().enumerate().filter(|(_, wave)| !wave.more) {
        let Some(lease) = wave.lease.filter(|lease| held.contains(&lease.key)) else { continue };
        let due = match &out[at] {
            issued if issued.again && issued.offered.is_empty() => now.plus(CATCH_UP),
            issued if issued.again => now,
            _ if short.contains(&at) => now.plus(terms.recheck),
            _ => {
                over.push(lease.key.into());
                continue;
            }
        };
        later.entry(due).or_default().push(lease.key.into());
    }
    work::all_done(tx, &over)?;
    later.iter().try_for_each(|(due, keys)| work::all_later(tx, keys, *due))?;
    Ok(out)
}
