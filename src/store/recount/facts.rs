//! What the facts in the tables come to, read beside the fold of the ledger that it is
//! compared with. Of each person a digest is kept, since there may be ten million.

use super::Recount;
use super::fold::Accounts;
use crate::store::StoreError;
use crate::store::books::{counted, people_with_hires};
use crate::store::engine::Sql;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

type Hash = [u8; 32];

/// The accounts that follow from the facts, of everybody who has one.
pub(super) struct Facts(HashMap<Uuid, Hash>);

fn digest(account: &[u8]) -> Hash {
    Sha256::digest(account).into()
}

impl Facts {
    pub fn read(s: &mut dyn Sql, stale_months: u32) -> Result<Self, StoreError> {
        let (mut facts, mut after) = (HashMap::new(), i64::MIN);
        loop {
            let people = people_with_hires(s, after)?;
            let Some(last) = people.last() else { return Ok(Self(facts)) };
            after = last.handle;
            let now = counted(s, &people, stale_months)?;
            facts.extend(now.into_iter().map(|(id, account)| (id, digest(&account.to_bytes()))));
        }
    }

    pub fn compare(mut self, accounts: &Accounts, out: &mut Recount) {
        let told = accounts.iter().filter(|(id, told)| self.0.remove(*id) != Some(digest(told.bytes()))).map(|(id, _)| *id);
        let mut differ: BTreeSet<Uuid> = told.collect();
        differ.extend(self.0.into_keys());
        for id in differ {
            out.differs(|| format!("person {id}: the facts come to something else than the ledger tells"));
        }
    }
}
