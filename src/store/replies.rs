//! What workers reply from their phones.
//!
//! Promises: a code counts only from the phone it was sent to, as it stands in the
//! registry now; a reply handed in again is answered as before and changes nothing; from
//! one phone only so many wrong codes are looked at in a day.

use super::Store;
use super::answers::{self, Answerer, Answering, Refusal};
use super::engine::{Row, Sql, StoreError, params};
use super::notices::phone_of;
use super::offers::{self, Offer};
use super::postings;
use super::vault::Vault;
use super::writer::Tx;
use crate::domain::category::Category;
use crate::domain::id::{OfferId, WorkerId};
use crate::domain::offer::OfferState;
use crate::domain::person::Phone;
use crate::domain::reply::Reply;
use crate::domain::time::Moment;
use std::time::Duration;

/// A reply that a gateway hands in.
pub struct Replying {
    /// Unique to it, whoever hands it in.
    pub id: String,
    pub from: Phone,
    /// None where its text says neither yes nor no.
    pub reply: Option<Reply>,
    pub wrong_codes: u32,
    pub promoted_within: Duration,
    pub cooldown: Duration,
}

/// What a reply came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replied {
    /// A state of the offer, or why there is none.
    pub result: String,
    pub code: Option<String>,
    pub offer: Option<RepliedOffer>,
}

/// The offer that was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepliedOffer {
    pub id: OfferId,
    pub trade: Category,
    pub platform: String,
    pub position: Option<i64>,
}

/// An offer that a code, or the want of one, may mean.
struct Meant {
    worker: WorkerId,
    offer: OfferId,
    code: String,
}

fn meant(tx: &mut Tx<'_>, vault: &Vault, mac: &[u8], row: &Row) -> Result<Option<Meant>, StoreError> {
    // The number may be somebody else's by now.
    let owner = phone_of(tx, vault, row.count(0)?)?.filter(|(_, phone)| vault.phone_mac(phone) == mac);
    let Some((worker, _)) = owner else { return Ok(None) };
    Ok(Some(Meant { worker, offer: OfferId::new(row.uuid(1)?), code: row.text(2)?.to_owned() }))
}

fn find(tx: &mut Tx<'_>, vault: &Vault, mac: &[u8], reply: &Reply, now: Moment) -> Result<Result<Meant, &'static str>, StoreError> {
    if let Some(code) = &reply.code {
        let sql = "SELECT handle, offer, code FROM reply_codes WHERE phone_mac = $1 AND code = $2";
        let row = tx.one(sql, params![mac, code.as_str()])?;
        let found = row.as_ref().map(|row| meant(tx, vault, mac, row)).transpose()?.flatten();
        return Ok(found.ok_or("unknown_code"));
    }
    let sql = "SELECT c.handle, c.offer, c.code FROM reply_codes c JOIN offers o ON o.id = c.offer
               WHERE c.phone_mac = $1 AND o.state IN ('offered', 'seen') AND o.expires_at > $2";
    let mut found = Vec::new();
    for row in tx.query(sql, params![mac, now.ms()])? {
        found.extend(meant(tx, vault, mac, &row)?);
    }
    Ok(match found.len() {
        0 => Err("nothing_open"),
        1 => Ok(found.remove(0)),
        _ => Err("code_needed"),
    })
}

fn replied_offer(s: &mut dyn Sql, id: OfferId) -> Result<Option<RepliedOffer>, StoreError> {
    let Some(o) = offers::by_id(s, id)? else { return Ok(None) };
    let trade = postings::by_id(s, o.posting)?.map_or(Category::Other, |p| p.content.category);
    Ok(Some(RepliedOffer { id, trade, platform: o.platform, position: o.position }))
}

fn answer(tx: &mut Tx<'_>, r: &Replying, m: &Meant, yes: bool, now: Moment) -> Result<&'static str, StoreError> {
    let answering = Answering {
        offer: m.offer,
        by: Answerer::Reply(m.worker),
        share_contact: yes,
        reason: None,
        promoted_within: r.promoted_within,
        cooldown: r.cooldown,
    };
    let outcome: Result<Offer, Refusal> = if yes { answers::accept(tx, &answering, now)? } else { answers::decline(tx, &answering, now)? };
    Ok(match outcome {
        Ok(o) => match o.state {
            OfferState::Waitlisted => "waitlisted",
            OfferState::Declined => "declined",
            _ => "accepted",
        },
        Err(Refusal::Over(OfferState::Expired)) => "expired",
        Err(Refusal::Over(OfferState::Withdrawn)) => "withdrawn",
        Err(Refusal::Over(_)) => "answered",
        Err(Refusal::NotFound) => "unknown_code",
    })
}

fn reply(tx: &mut Tx<'_>, vault: &Vault, r: &Replying, now: Moment) -> Result<Replied, StoreError> {
    let (id, mac) = (vault.mac("reply", r.id.as_bytes()), vault.phone_mac(&r.from));
    let fresh = tx.exec(
        "INSERT INTO replies (id, phone_mac, at, result, wrong) VALUES ($1, $2, $3, '', 0) ON CONFLICT (id) DO NOTHING",
        params![id.as_slice(), mac.as_slice(), now.ms()],
    )?;
    if fresh == 0 {
        let row = tx.one("SELECT result, offer, code FROM replies WHERE id = $1", params![id.as_slice()])?;
        let row = row.ok_or_else(|| StoreError::Corrupt("a reply that was there is not".to_owned()))?;
        let offer = row.opt_uuid(1)?.map(|o| replied_offer(tx, OfferId::new(o))).transpose()?.flatten();
        return Ok(Replied { result: row.text(0)?.to_owned(), code: row.opt_text(2)?.map(str::to_owned), offer });
    }
    let today = Moment::start_of(now.day()).ms();
    let wrong = tx.one("SELECT COUNT(*) FROM replies WHERE phone_mac = $1 AND wrong = 1 AND at >= $2", params![mac.as_slice(), today])?;
    let too_many = super::access::total(wrong)? >= i64::from(r.wrong_codes);
    let (result, m) = match &r.reply {
        _ if too_many => ("too_many", None),
        None => ("unreadable", None),
        Some(reply) => match find(tx, vault, &mac, reply, now)? {
            Err(why) => (why, None),
            Ok(m) => (answer(tx, r, &m, reply.yes, now)?, Some(m)),
        },
    };
    let offer = m.as_ref().map(|m| replied_offer(tx, m.offer)).transpose()?.flatten();
    let code = m.as_ref().map(|m| m.code.clone());
    tx.exec(
        "UPDATE replies SET result = $2, wrong = $3, offer = $4, code = $5 WHERE id = $1",
        params![id.as_slice(), result, result == "unknown_code", m.as_ref().map(|m| m.offer.uuid()), code.as_deref()],
    )?;
    Ok(Replied { result: result.to_owned(), code, offer })
}

impl Store {
    /// Takes in what somebody replied, once.
    pub async fn reply(&self, replying: Replying, now: Moment) -> Result<Replied, StoreError> {
        let vault = self.vault.clone();
        self.write(move |tx| reply(tx, &vault, &replying, now)).await
    }
}
