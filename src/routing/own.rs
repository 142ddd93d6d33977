//! The offers of this node's own making. Its index counted them when they were chosen,
//! so that it need not read them again when it hears of them; whoever was chosen and
//! got none, or got one without having been counted, is noted.
//!
//! A count that is too low is corrected by the store's refusal, which is noted here;
//! one that is too high by what is noted here alone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use uuid::Uuid;

#[derive(Default)]
pub(super) struct Own(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    /// Waves of each posting of which the change log will tell.
    expected: HashMap<Uuid, u32>,
    /// Handles whose open offers the index may count wrongly.
    miscounted: Vec<u32>,
}

impl Own {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A wave of each of these postings is about to be made.
    pub fn expect(&self, postings: &[Uuid]) {
        let mut noted = self.noted();
        postings.iter().for_each(|posting| *noted.expected.entry(*posting).or_default() += 1);
    }

    /// One that was expected was not made.
    pub fn forget(&self, postings: impl Iterator<Item = Uuid>) {
        for posting in postings {
            self.is_one(posting);
        }
    }

    /// Whether a wave that the log tells of was made here; each counts once.
    pub fn is_one(&self, posting: Uuid) -> bool {
        let mut noted = self.noted();
        let Some(left) = noted.expected.get_mut(&posting) else { return false };
        *left -= 1;
        if *left == 0 {
            noted.expected.remove(&posting);
        }
        true
    }

    /// The index may count these people's offers wrongly.
    pub fn miscount(&self, handles: Vec<u32>) {
        self.noted().miscounted.extend(handles);
    }

    /// Those who were noted since this was asked last.
    pub fn miscounted(&self) -> Vec<u32> {
        std::mem::take(&mut self.noted().miscounted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_made_here_is_known_once() {
        let (own, [a, b]) = (Own::default(), [1, 2].map(Uuid::from_u128));
        own.expect(&[a, b, a]);
        own.forget([b].into_iter());
        assert_eq!([a, a, a, b].map(|posting| own.is_one(posting)), [true, true, false, false]);
        own.miscount(vec![1, 2]);
        own.miscount(vec![3]);
        assert_eq!(own.miscounted(), [1, 2, 3]);
        assert!(own.miscounted().is_empty());
    }
}
