//! Where ids, tokens and salts come from: one generator, from the operating
//! system or from a seed that replays everything.

use crate::domain::id;
use crate::domain::time::Moment;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Mutex;
use uuid::Uuid;

/// A generator that threads may share.
pub struct Ids {
    rng: Mutex<StdRng>,
}

impl Ids {
    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        Self { rng: Mutex::new(StdRng::from_seed(crate::config::keys::random_bytes())) }
    }

    /// The same ids in the same order for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self { rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.lock().unwrap_or_else(|e| e.into_inner()).fill_bytes(&mut bytes);
        bytes
    }

    /// A UUIDv7 of this moment.
    pub fn v7(&self, now: Moment) -> Uuid {
        id::v7(now.ms(), u128::from_be_bytes(self.bytes()))
    }

    /// A random UUID.
    pub fn v4(&self) -> Uuid {
        id::v4(u128::from_be_bytes(self.bytes()))
    }
}
