//! Limits in this process, by `governor` (GCRA).

use super::{Meter, Quota, Verdict};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota as Governed, RateLimiter};
use std::num::NonZeroU32;
use std::time::Duration;

type Keyed = RateLimiter<String, DashMapStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// Keys beyond which the whole table is swept before a new one is taken.
const KEYS_MAX: usize = 200_000;

/// One keyed limiter for each meter.
pub struct LocalLimits {
    meters: [Keyed; 3],
    clock: DefaultClock,
}

fn governed(quota: Quota) -> Governed {
    let nonzero = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Governed::per_second(nonzero(quota.per_second)).allow_burst(nonzero(quota.burst))
}

impl LocalLimits {
    pub fn new(quotas: [Quota; 3]) -> Self {
        let keyed = |q| RateLimiter::dashmap(governed(q)).with_middleware::<StateInformationMiddleware>();
        Self { meters: quotas.map(keyed), clock: DefaultClock::default() }
    }

    /// Takes `n`, at most the burst, from the key's quota.
    pub fn take(&self, meter: Meter, key: &str, n: u32, quota: Quota) -> Verdict {
        let limiter = &self.meters[meter as usize];
        if limiter.len() > KEYS_MAX {
            limiter.retain_recent();
        }
        let refused = |retry_after, never| Verdict { allowed: false, remaining: 0, retry_after, quota, never };
        let Some(n) = NonZeroU32::new(n) else {
            return Verdict { allowed: true, remaining: quota.burst, retry_after: Duration::ZERO, quota, never: false };
        };
        match limiter.check_key_n(&key.to_owned(), n) {
            Ok(Ok(state)) => {
                Verdict { allowed: true, remaining: state.remaining_burst_capacity(), retry_after: Duration::ZERO, quota, never: false }
            }
            Ok(Err(not_until)) => refused(not_until.wait_time_from(self.clock.now()), false),
            Err(_) => refused(Duration::ZERO, true),
        }
    }

    /// Forgets keys that have their whole quota back.
    pub fn sweep(&self) {
        for limiter in &self.meters {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Quota = Quota { per_second: 1, burst: 3 };

    #[test]
    fn a_burst_passes_and_what_is_over_it_waits() {
        let limits = LocalLimits::new([SMALL; 3]);
        let taken: Vec<bool> = (0..4).map(|_| limits.take(Meter::Requests, "a", 1, SMALL).allowed).collect();
        assert_eq!(taken, [true, true, true, false]);
        assert!(limits.take(Meter::Requests, "a", 1, SMALL).retry_after > Duration::ZERO);
        assert!(limits.take(Meter::Requests, "b", 1, SMALL).allowed, "each key has its own quota");
        assert!(limits.take(Meter::Records, "a", 3, SMALL).allowed, "each meter counts for itself");
    }

    #[test]
    fn a_batch_is_billed_by_its_records() {
        let limits = LocalLimits::new([SMALL; 3]);
        assert_eq!(limits.take(Meter::Records, "a", 2, SMALL).remaining, 1);
        assert!(!limits.take(Meter::Records, "a", 2, SMALL).allowed);
    }
}
