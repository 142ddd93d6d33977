//! Where ids, tokens and salts come from: one generator, from the operating
//! system or from a seed that replays everything.

use crate::domain::id;
use crate::domain::time::Moment;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// A generator that threads may share.
pub struct Ids {
    state: Mutex<State>,
}

struct State {
    rng: StdRng,
    /// The last [`Ids::v7`].
    last: Uuid,
}

/// How far a clock may be behind the last id, in milliseconds, for ids to go on from that
/// one: callers that read it one after the other are served in another order.
const BEHIND: u64 = 1_000;

impl Ids {
    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        Self::of(StdRng::from_seed(crate::config::keys::random_bytes()))
    }

    /// The same ids in the same order for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self::of(StdRng::seed_from_u64(seed))
    }

    fn of(rng: StdRng) -> Self {
        Self { state: Mutex::new(State { rng, last: Uuid::nil() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.state().rng.fill_bytes(&mut bytes);
        bytes
    }

    /// A UUIDv7 of this moment, above the one before it of the same moment (RFC 9562 §6.2,
    /// method 2): rows under such keys are appended, where others would cut the last page
    /// of an index in two again and again.
    pub fn v7(&self, now: Moment) -> Uuid {
        let State { rng, last } = &mut *self.state();
        let mut random = [0; 16];
        rng.fill_bytes(&mut random);
        let ms = u64::try_from(now.ms()).unwrap_or(0);
        let goes_on = (ms..=ms.saturating_add(BEHIND)).contains(&id::ms_of(*last));
        let next = if goes_on { id::v7_after(*last, u128::from_be_bytes(random)) } else { None };
        *last = next.unwrap_or_else(|| id::v7(now.ms(), u128::from_be_bytes(random)));
        *last
    }

    /// A random UUID.
    pub fn v4(&self) -> Uuid {
        id::v4(u128::from_be_bytes(self.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_moment_grow_and_so_do_those_of_callers_a_little_behind() {
        let ids = Ids::seeded(3);
        let mut last = Uuid::nil();
        for ms in [5_000, 5_000, 5_001, 5_000, 4_999, 5_003].into_iter().cycle().take(600) {
            let next = ids.v7(Moment::from_ms(ms));
            assert!(next > last, "{next} after {last}");
            assert_eq!((next.get_version_num(), next.get_variant()), (7, uuid::Variant::RFC4122));
            assert!((5_000..=5_003).contains(&id::ms_of(next)), "{next}");
            last = next;
        }
    }

    #[test]
    fn a_moment_long_before_or_after_is_that_of_its_id() {
        let ids = Ids::seeded(3);
        for ms in [1_700_000_000_000, 1_600_000_000_000, 1_600_000_005_000, 0] {
            assert_eq!(id::ms_of(ids.v7(Moment::from_ms(ms))), ms as u64);
        }
    }
}
