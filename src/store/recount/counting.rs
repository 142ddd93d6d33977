//! Pages that count accounts, kept while these change.

use crate::domain::account::Account;
use crate::domain::cells::Tally;
use std::collections::HashMap;

/// Pages that count accounts, kept while these change.
pub(super) struct Counting {
    pub tally: Tally,
    /// Platforms by their number, and the other way round; one without a number gets
    /// the next.
    platforms: Vec<String>,
    numbers: HashMap<String, u16>,
    /// Who changed, and how; not counted yet.
    waiting: Vec<(Account, Account)>,
}

/// Changes that are counted together.
const TOGETHER: usize = 50_000;

impl Counting {
    pub fn of(tally: Tally, platforms: Vec<String>) -> Self {
        let named = platforms.iter().enumerate().filter(|(_, name)| !name.is_empty());
        let numbers = named.map(|(at, name)| (name.clone(), u16::try_from(at).unwrap_or(u16::MAX))).collect();
        Self { tally, platforms, numbers, waiting: Vec::new() }
    }

    /// Gives those of an account's platforms a number that have none.
    fn number(&mut self, new: &Account) {
        for hire in new.hires.values() {
            if !self.numbers.contains_key(&hire.platform) {
                let next = self.platforms.len().max(1);
                self.platforms.resize(next, String::new());
                self.platforms.push(hire.platform.clone());
                self.numbers.insert(hire.platform.clone(), u16::try_from(next).unwrap_or(u16::MAX));
            }
        }
    }

    /// Somebody came to `old` and comes to `new`.
    pub fn turn(&mut self, old: Account, new: Account) {
        self.number(&new);
        self.waiting.push((old, new));
        if self.waiting.len() >= TOGETHER {
            self.count();
        }
    }

    fn count(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let changed: Vec<(&Account, &Account)> = waiting.iter().map(|(old, new)| (old, new)).collect();
        let numbers = &self.numbers;
        self.tally.add(&changed, &|platform: &str| numbers.get(platform).copied().unwrap_or(0));
    }

    /// The pages as they are by now.
    pub fn settled(&mut self) -> &Tally {
        self.count();
        self.tally.settle();
        &self.tally
    }
}

/// The pages that count these accounts; platforms that have no number get one here.
pub(in crate::store) fn tally(accounts: impl Iterator<Item = Account>, platforms: &mut Vec<String>) -> Tally {
    let mut counting = Counting::of(Tally::default(), std::mem::take(platforms));
    accounts.for_each(|account| counting.turn(Account::default(), account));
    counting.settled();
    *platforms = counting.platforms;
    counting.tally
}
