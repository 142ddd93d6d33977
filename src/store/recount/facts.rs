//! What the facts in the tables come to, read beside the fold of the ledger that it is
//! compared with, and whether the rows of hires, which lists are made of, say the same.
//! Of each person a digest is kept, since there may be ten million.

use super::Recount;
use super::fold::Accounts;
use crate::domain::account::HireState;
use crate::domain::time::day_number;
use crate::store::StoreError;
use crate::store::books::{SHOWN, counted_beside, people_with_hires};
use crate::store::engine::{Row, Sql};
use jiff::civil::Date;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

type Hash = [u8; 32];

pub(super) struct Facts {
    /// The accounts that follow from the facts, of everybody who has one.
    accounts: HashMap<Uuid, Hash>,
    /// Hires of which lists show something else.
    shown_otherwise: BTreeSet<Uuid>,
}

fn digest(account: &[u8]) -> Hash {
    Sha256::digest(account).into()
}

impl Facts {
    pub fn read(s: &mut dyn Sql, stale_months: u32) -> Result<Self, StoreError> {
        let mut facts = Self { accounts: HashMap::new(), shown_otherwise: BTreeSet::new() };
        let mut after = i64::MIN;
        loop {
            let people = people_with_hires(s, after)?;
            let Some(last) = people.last() else { return Ok(facts) };
            after = last.handle;
            let now = counted_beside(s, &people, stale_months, &mut |state, row| {
                if !shows(row, state)? {
                    facts.shown_otherwise.insert(row.uuid(0)?);
                }
                Ok(())
            })?;
            facts.accounts.extend(now.into_iter().map(|(id, account)| (id, digest(&account.to_bytes()))));
        }
    }

    pub fn compare(mut self, accounts: &Accounts, out: &mut Recount) {
        let told = accounts.iter().filter(|(id, told)| self.accounts.remove(*id) != Some(digest(told.bytes()))).map(|(id, _)| *id);
        let mut differ: BTreeSet<Uuid> = told.collect();
        differ.extend(self.accounts.into_keys());
        for id in differ {
            out.differs(|| format!("person {id}: the facts come to something else than the ledger tells"));
        }
        for id in self.shown_otherwise {
            out.differs(|| format!("hire {id}: lists show another start, end or status than follows from its facts"));
        }
    }
}

/// Whether a hire's row says of its start and its end what follows from its facts.
fn shows(row: &Row, state: &HireState) -> Result<bool, StoreError> {
    let [started, ended, status] = SHOWN;
    let day = |on: Option<Date>| on.map(day_number);
    let statuses: &[&str] = match (state.started_on, state.over_on) {
        (_, Some(_)) => &["ENDED", "WITHDRAWN"],
        (Some(_), None) => &["ONBOARDED", "ACTIVE"],
        (None, None) => &["HIRED"],
    };
    let days = (row.opt_int(started)?, row.opt_int(ended)?) == (day(state.started_on), day(state.over_on));
    Ok(days && statuses.contains(&row.text(status)?))
}
