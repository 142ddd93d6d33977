//! What is counted lightly: limits of requests and records. Never the truth:
//! losing all of it costs the precision of limits and nothing else.

pub mod memory;
pub mod redis;

use crate::config::Config;
use memory::LocalLimits;
use redis::SharedLimits;
use std::time::Duration;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meter {
    /// Requests of a client.
    Requests,
    /// Records in a client's batches.
    Records,
    /// Requests of an address without a token.
    Anonymous,
}

impl Meter {
    /// The policy's name in the headers.
    pub fn name(self) -> &'static str {
        match self {
            Meter::Requests => "requests",
            Meter::Records => "records",
            Meter::Anonymous => "anonymous",
        }
    }
}

/// So many a second, so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub per_second: u32,
    pub burst: u32,
}

impl Quota {
    /// Seconds in which an empty quota is full again, at least 1.
    pub fn window(self) -> u32 {
        self.burst.div_ceil(self.per_second).max(1)
    }
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// What is left of the burst, where it is known.
    pub remaining: u32,
    /// When to come again, if refused.
    pub retry_after: Duration,
    pub quota: Quota,
    /// More was asked for than the burst can ever hold.
    pub never: bool,
}

/// Counts what each key uses.
pub struct Limits {
    local: LocalLimits,
    shared: Option<SharedLimits>,
    quotas: [Quota; 3],
}

impl Limits {
    /// Limits by configuration: in this process, or shared through Redis with
    /// this process' own behind them.
    pub fn new(config: &Config) -> Result<Self, String> {
        let l = &config.limits;
        let quotas = [
            Quota { per_second: l.requests, burst: l.requests_burst },
            Quota { per_second: l.records, burst: l.records_burst },
            Quota { per_second: l.anonymous, burst: l.anonymous_burst },
        ];
        let shared = match config.cache.url.as_str() {
            "memory:" => None,
            url => Some(SharedLimits::new(url)?),
        };
        Ok(Self { local: LocalLimits::new(quotas), shared, quotas })
    }

    /// The quota of a meter.
    pub fn quota(&self, meter: Meter) -> Quota {
        self.quotas[meter as usize]
    }

    /// Takes `n` from the key's quota.
    pub async fn take(&self, meter: Meter, key: &str, n: u32) -> Verdict {
        let quota = self.quota(meter);
        if n > quota.burst {
            return Verdict { allowed: false, remaining: 0, retry_after: Duration::ZERO, quota, never: true };
        }
        // The process' own limiter stands in front: what it refuses needs no round trip.
        let local = self.local.take(meter, key, n, quota);
        match &self.shared {
            Some(shared) if local.allowed => shared.take(meter, key, n, quota).await.unwrap_or(local),
            _ => local,
        }
    }

    /// Forgets keys that have their whole quota back.
    pub fn sweep(&self) {
        self.local.sweep();
    }

    /// Whether the shared cache answers; none where there is none.
    pub async fn ping(&self) -> Option<Result<(), String>> {
        match &self.shared {
            Some(shared) => Some(shared.ping().await),
            None => None,
        }
    }
}
