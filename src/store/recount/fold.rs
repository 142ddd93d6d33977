//! The ledger folded: what the hires of each person came to, entry by entry.

use super::counting::Counting;
use crate::domain::account::{Account, HireState};
use crate::domain::region::Region;
use crate::domain::time::Moment;
use crate::domain::worker::Tier;
use crate::store::StoreError;
use crate::store::cells::Position;
use crate::store::engine::{Sql, params};
use crate::store::seals::{Entry, entry};
use foldhash::fast::RandomState;
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// An account as the store keeps it: a tenth of its size as a value, of which there are as
/// many as people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed(Box<[u8]>);

impl Packed {
    fn of(account: &Account) -> Self {
        Self(account.to_bytes().into())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn account(&self) -> Account {
        // It was packed here.
        Account::from_bytes(&self.0).unwrap_or_default()
    }
}

/// Accounts of people; a keyed hash, since who writes the ledger chooses the ids.
pub type Accounts = HashMap<Uuid, Packed, RandomState>;

/// What the ledger comes to at a position.
pub struct Folded {
    /// Of everybody who has a hire and was not erased.
    pub accounts: Accounts,
    pub position: Position,
}

#[derive(Deserialize)]
struct TierLeaf {
    tier: Tier,
    since: Date,
}

#[derive(Deserialize)]
struct HireLeaf {
    /// None: it never was.
    state: Option<Box<HireState>>,
}

/// The ledger folded so far.
#[derive(Default)]
pub(super) struct Fold {
    /// Of everybody registered.
    accounts: Accounts,
    erased: HashSet<Uuid>,
    position: Option<Position>,
    /// Where changes are counted: who changed since they were counted last, as they were then.
    changed: Option<Accounts>,
}

impl Fold {
    /// One whose changes are counted now and then.
    pub fn counted() -> Self {
        Self { changed: Some(Accounts::default()), ..Self::default() }
    }

    pub fn enter(&mut self, entry: &Entry<'_>) -> Result<(), StoreError> {
        let corrupt = || StoreError::Corrupt(format!("entry {} of the ledger", entry.seq));
        self.position = Some(Position { seq: entry.seq, at: Some(Moment::from_ms(entry.at)) });
        match entry.kind {
            "tier" => {
                let leaf: TierLeaf = serde_json::from_str(entry.leaf).map_err(|_| corrupt())?;
                self.change(entry.worker, |account| {
                    account.tiers.insert(leaf.since, leaf.tier);
                });
            }
            "erased" => {
                self.change(entry.worker, |account| *account = Account::default());
                self.erased.insert(entry.worker);
            }
            _ => {
                let Some(hire) = entry.hire.filter(|_| entry.leaf.contains("\"state\":")) else { return Ok(()) };
                let leaf: HireLeaf = serde_json::from_str(entry.leaf).map_err(|_| corrupt())?;
                self.change(entry.worker, |account| match leaf.state {
                    Some(state) => drop(account.hires.insert(hire, state)),
                    None => drop(account.hires.remove(&hire)),
                });
            }
        }
        Ok(())
    }

    /// Changes somebody's account; who was erased stays so.
    fn change(&mut self, worker: Uuid, change: impl FnOnce(&mut Account)) {
        if self.erased.contains(&worker) {
            return;
        }
        let kept = self.accounts.entry(worker).or_default();
        let mut account = kept.account();
        change(&mut account);
        let old = std::mem::replace(kept, Packed::of(&account));
        if let Some(changed) = &mut self.changed {
            changed.entry(worker).or_insert(old);
        }
    }

    /// Counts what changed since it was counted last: who changed more than once in
    /// between is counted once.
    pub fn count(&mut self, counting: &mut Counting) {
        let mut changed: Vec<(Option<Region>, Uuid, Packed)> = Vec::new();
        for (worker, old) in self.changed.replace(Accounts::default()).unwrap_or_default() {
            let now = self.accounts.get(&worker).filter(|now| **now != old);
            changed.extend(now.map(|now| (now.account().last_home(), worker, old)));
        }
        // Neighbours are counted in the same pages, which are put together once.
        changed.sort_unstable_by_key(|(home, worker, _)| (*home, *worker));
        for (_, worker, old) in changed {
            let (old, new) = (old.account(), self.accounts.get(&worker).map(Packed::account).unwrap_or_default());
            // Who has no hire comes to nothing.
            if !(old.hires.is_empty() && new.hires.is_empty()) {
                counting.turn(old, new);
            }
        }
    }

    pub fn done(mut self) -> Folded {
        self.accounts.retain(|_, kept| !kept.account().hires.is_empty());
        Folded { accounts: self.accounts, position: self.position.unwrap_or(Position { seq: 0, at: None }) }
    }
}

/// Folds the ledger up to an entry, or all of it.
pub(in crate::store) fn fold(s: &mut dyn Sql, upto: Option<i64>) -> Result<Folded, StoreError> {
    let mut fold = Fold::default();
    s.each(entry!("WHERE seq <= $1 ORDER BY seq"), params![upto.unwrap_or(i64::MAX)], &mut |row| fold.enter(&Entry::read(&row)?))?;
    Ok(fold.done())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hire_that_never_was_is_told_from_an_entry_that_says_nothing_of_it() {
        assert!(serde_json::from_str::<HireLeaf>(r#"{"state":null}"#).unwrap().state.is_none());
        assert!(serde_json::from_str::<HireLeaf>(r#"{"state":{"platform":"meituan"}}"#).is_err(), "half a state is none");
    }
}
