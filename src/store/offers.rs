//! Offers as they stand: read, listed, looked at. Waves make them (`waves`), and
//! workers answer them (`answers`).

use super::engine::{Row, Sql, StoreError, params};
use super::postings::Posting;
use super::seats;
use super::writer::Tx;
use super::{Store, access, postings};
use crate::domain::grounds::Grounds;
use crate::domain::id::{OfferId, PostingId, Pseudonym, WorkerId};
use crate::domain::offer::{OfferState, Reason};
use crate::domain::region::Region;
use crate::domain::time::Moment;
use serde_json::json;
use sha2::{Digest, Sha256};

/// An offer as the store has it.
#[derive(Clone, Debug)]
pub struct Offer {
    pub id: OfferId,
    pub posting: PostingId,
    pub worker: WorkerId,
    pub platform: String,
    pub title: String,
    pub state: OfferState,
    pub wave: i64,
    /// As stored: what [`Offer::reasons`] reads when somebody is shown them.
    pub grounds: String,
    pub offered_at: Moment,
    pub expires_at: Moment,
    pub promoted: bool,
    pub share_contact: bool,
    /// When it first took a seat.
    pub accepted_at: Option<Moment>,
    /// Place in the waitlist, from 1.
    pub position: Option<i64>,
    /// Who answered for the worker, and how.
    pub answered_by: Option<String>,
    pub method: Option<String>,
    /// Why it was declined or is gone, as far as somebody said so.
    pub reason: Option<String>,
}

impl Offer {
    /// Why this worker; empty where the stored text says nothing.
    pub fn reasons(&self) -> Vec<Reason> {
        // Offers that were made before grounds were stored as figures hold the words.
        let words = self.grounds.starts_with('[').then(|| serde_json::from_str(&self.grounds).ok());
        words.unwrap_or_else(|| Grounds::parse(&self.grounds).map(|g| g.reasons())).unwrap_or_default()
    }

    /// Holds one of the posting's seats: taken, or kept for them until they answer.
    pub(super) fn holds_seat(&self) -> bool {
        self.state.seated() || (self.promoted && self.state.unanswered())
    }

    /// Accepted, with a seat or in the waitlist.
    pub(super) fn sits_or_waits(&self) -> bool {
        matches!(self.state, OfferState::Accepted | OfferState::Waitlisted)
    }
}

/// The columns that [`offer`] reads, more of them where some are named, and what follows.
macro_rules! columns {
    ($tail:literal) => {
        $crate::store::offers::columns!("", $tail)
    };
    ($more:literal, $tail:literal) => {
        concat!(
            "SELECT o.id, o.posting, o.worker, o.platform, o.state, o.wave, o.reasons, o.offered_at, o.expires_at, o.promoted,
               o.share_contact, o.answered_by, o.method, p.title,
               CASE WHEN o.state = 'waitlisted' THEN
                 (SELECT COUNT(*) FROM offers q WHERE q.posting = o.posting AND q.state = 'waitlisted' AND q.waiting <= o.waiting) END, o.accepted_at, o.reason",
            $more,
            " FROM offers o JOIN postings p ON p.id = o.posting ",
            $tail
        )
    };
}
pub(super) use columns;

pub(super) fn state(text: &str) -> Result<OfferState, StoreError> {
    OfferState::parse(text).ok_or_else(|| StoreError::Corrupt("an offer's state".to_owned()))
}

/// How many columns [`offer`] reads.
pub(super) const COLUMNS: usize = 17;

/// Reads the first [`COLUMNS`] of a row.
pub(super) fn offer(row: &Row) -> Result<Offer, StoreError> {
    Ok(Offer {
        id: OfferId::new(row.uuid(0)?),
        posting: PostingId::new(row.uuid(1)?),
        worker: WorkerId::new(row.uuid(2)?),
        platform: row.text(3)?.to_owned(),
        title: row.text(13)?.to_owned(),
        state: state(row.text(4)?)?,
        wave: row.int(5)?,
        grounds: row.text(6)?.to_owned(),
        offered_at: Moment::from_ms(row.int(7)?),
        expires_at: Moment::from_ms(row.int(8)?),
        promoted: row.flag(9)?,
        share_contact: row.flag(10)?,
        accepted_at: row.opt_int(15)?.map(Moment::from_ms),
        position: row.opt_int(14)?,
        answered_by: row.opt_text(11)?.map(str::to_owned),
        method: row.opt_text(12)?.map(str::to_owned),
        reason: row.opt_text(16)?.map(str::to_owned),
    })
}

/// Where a worker who has not been erased is at home.
pub(super) fn home_of(s: &mut dyn Sql, worker: WorkerId) -> Result<Option<Region>, StoreError> {
    let row = s.one("SELECT home FROM workers WHERE id = $1 AND erased_at IS NULL", params![worker.uuid()])?;
    row.map(|r| super::region(r.int(0)?)).transpose()
}

/// Tells the platform that an offer it counted on is gone.
pub(super) fn withdrawn(tx: &mut Tx<'_>, o: &Offer, by: &str, now: Moment) -> Result<(), StoreError> {
    let pseudonym = pseudonym(tx, &o.platform, o.worker)?;
    seats::tell(tx, o.posting, "offer.withdrawn", json!({"offer": o.id, "worker": pseudonym, "by": by}), now)
}

/// The name under which a platform knows a worker.
pub(super) fn pseudonym(tx: &mut Tx<'_>, platform: &str, worker: WorkerId) -> Result<Pseudonym, StoreError> {
    let names = tx.names;
    names.of(tx, platform, worker)
}

/// An offer by id.
pub(super) fn by_id(s: &mut dyn Sql, id: OfferId) -> Result<Option<Offer>, StoreError> {
    s.one(columns!("WHERE o.id = $1"), params![id.uuid()])?.as_ref().map(offer).transpose()
}

/// A worker's offer of one posting.
pub(super) fn of_pair(s: &mut dyn Sql, posting: PostingId, worker: WorkerId) -> Result<Option<Offer>, StoreError> {
    s.one(
        columns!("WHERE o.posting = $1 AND o.handle = (SELECT handle FROM workers WHERE id = $2)"),
        params![posting.uuid(), worker.uuid()],
    )?
    .as_ref()
    .map(offer)
    .transpose()
}

/// A worker's offers that hold a seat or wait for one.
pub(super) fn held_by(s: &mut dyn Sql, worker: WorkerId) -> Result<Vec<Offer>, StoreError> {
    let sql = columns!(
        "WHERE o.handle = (SELECT handle FROM workers WHERE id = $1) AND o.closed = 0 AND o.state IN ('accepted', 'waitlisted') ORDER BY o.id"
    );
    s.query(sql, params![worker.uuid()])?.iter().map(offer).collect()
}

/// How a list of offers is narrowed; each caller sets what they may see.
#[derive(Clone, Debug, Default)]
pub struct OfferFilter {
    pub platform: Option<String>,
    pub region: Option<Region>,
    pub posting: Option<PostingId>,
    pub worker: Option<WorkerId>,
    pub state: Option<OfferState>,
    pub after: Option<OfferId>,
    pub limit: i64,
}

/// An offer in a list, with the worker as its platform knows them.
#[derive(Clone, Debug)]
pub struct ListedOffer {
    pub offer: Offer,
    pub home: Region,
}

impl Store {
    /// A worker's offers were looked at by a person.
    pub async fn mark_seen(&self, worker: WorkerId, now: Moment) -> Result<u64, StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE offers SET state = 'seen', seen_at = $2, updated_at = $2
               WHERE handle = (SELECT handle FROM workers WHERE id = $1) AND closed = 0 AND state = 'offered' AND expires_at > $2";
            tx.exec(sql, params![worker.uuid(), now.ms()])
        })
        .await
    }

    /// A text that stays the same as long as nothing happened to a worker's offers but
    /// that they were looked at.
    pub async fn offers_version(&self, worker: WorkerId) -> Result<String, StoreError> {
        self.read(move |s| {
            let sql = "SELECT CASE WHEN state = 'seen' THEN 'offered' ELSE state END, expires_at FROM offers
               WHERE handle = (SELECT handle FROM workers WHERE id = $1) ORDER BY id";
            let mut hash = Sha256::new();
            for row in s.query(sql, params![worker.uuid()])? {
                hash.update(row.text(0)?);
                hash.update(row.int(1)?.to_be_bytes());
            }
            Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
        })
        .await
    }

    /// An offer, whoever's it is.
    pub async fn offer(&self, id: OfferId) -> Result<Option<Offer>, StoreError> {
        self.read(move |s| by_id(s, id)).await
    }

    /// A worker's offer of a posting, however it stands.
    pub async fn offer_of(&self, posting: PostingId, worker: WorkerId) -> Result<Option<Offer>, StoreError> {
        self.read(move |s| of_pair(s, posting, worker)).await
    }

    /// One page of offers, and how many there are in all.
    pub async fn offers(&self, f: OfferFilter) -> Result<(Vec<ListedOffer>, i64), StoreError> {
        // One text for the page and the count, so that they cannot differ.
        macro_rules! matching {
            () => {
                "JOIN workers w ON w.handle = o.handle
                 WHERE w.erased_at IS NULL AND (CAST($1 AS TEXT) IS NULL OR o.platform = $1) AND (CAST($2 AS {blob}) IS NULL OR o.posting = $2)
                 AND (CAST($3 AS {blob}) IS NULL OR o.handle = (SELECT handle FROM workers WHERE id = $3)) AND (CAST($4 AS TEXT) IS NULL OR o.state = $4)"
            };
        }
        let region = f.region;
        self.read(move |s| {
            let within = |home: i64| super::region(home).map(|h| region.is_none_or(|r| h.is_within(r)));
            let narrowed =
                params![f.platform.as_deref(), f.posting.map(PostingId::uuid), f.worker.map(WorkerId::uuid), f.state.map(OfferState::code)];
            let mut total = 0;
            let counts = s.query(concat!("SELECT w.home, COUNT(*) FROM offers o ", matching!(), " GROUP BY w.home"), narrowed)?;
            for row in &counts {
                total += if within(row.int(0)?)? { row.int(1)? } else { 0 };
            }
            let mut page = Vec::new();
            let mut after = access::after(f.after.map(OfferId::uuid));
            while (page.len() as i64) < f.limit {
                let mut all = narrowed.to_vec();
                all.extend_from_slice(params![after.clone(), f.limit]);
                let sql = concat!("SELECT o.id, w.home FROM offers o ", matching!(), " AND o.id > $5 ORDER BY o.id LIMIT $6");
                let rows = s.query(sql, &all)?;
                for row in &rows {
                    after = row.0[0].clone();
                    if within(row.int(1)?)? && (page.len() as i64) < f.limit {
                        let id = OfferId::new(row.uuid(0)?);
                        if let Some(offer) = by_id(s, id)? {
                            page.push(ListedOffer { offer, home: super::region(row.int(1)?)? });
                        }
                    }
                }
                if (rows.len() as i64) < f.limit {
                    break;
                }
            }
            Ok((page, total))
        })
        .await
    }

    /// A worker's offers, newest first, with their postings.
    pub async fn worker_offers(&self, worker: WorkerId, limit: i64) -> Result<Vec<(Offer, Posting)>, StoreError> {
        self.read(move |s| {
            let sql = columns!("WHERE o.handle = (SELECT handle FROM workers WHERE id = $1) ORDER BY o.id DESC LIMIT $2");
            let offers: Vec<Offer> = s.query(sql, params![worker.uuid(), limit])?.iter().map(offer).collect::<Result<_, _>>()?;
            let mut out = Vec::with_capacity(offers.len());
            for o in offers {
                if let Some(p) = postings::by_id(s, o.posting)? {
                    out.push((o, p));
                }
            }
            Ok(out)
        })
        .await
    }

    /// Offers by state over everything, for the demo's table.
    pub async fn offer_counts(&self) -> Result<Vec<(OfferState, i64)>, StoreError> {
        self.read(|s| {
            let rows = s.query("SELECT state, COUNT(*) FROM offers GROUP BY state ORDER BY state", &[])?;
            rows.iter().map(|r| Ok((state(r.text(0)?)?, r.int(1)?))).collect()
        })
        .await
    }
}
