//! How the hosts of feeds stand: a pace, a circuit breaker, and the peace that a
//! source asked for. In this process' memory: losing it costs a few requests.

use crate::domain::time::Moment;
use crate::store::feeds::Standing;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest peace that a source is granted.
pub const PEACE: Duration = Duration::from_secs(86_400);

/// Keeps from asking a host that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Asked freely, after so many failures in a row.
    Closed { failures: u32 },
    /// Not asked before.
    Open { until: Moment },
    /// One request tries it; if nothing is heard of that, another may after a while.
    HalfOpen { until: Moment },
}

impl Breaker {
    /// Whether the host may be asked; else when. Whoever is let through a breaker
    /// that was open is alone: the others wait for how it goes.
    pub fn ask(&mut self, now: Moment, open: Duration) -> Result<(), Moment> {
        match *self {
            Breaker::Closed { .. } => Ok(()),
            Breaker::Open { until } | Breaker::HalfOpen { until } if until > now => Err(until),
            Breaker::Open { .. } | Breaker::HalfOpen { .. } => {
                *self = Breaker::HalfOpen { until: now.plus(open) };
                Ok(())
            }
        }
    }

    /// The host has answered, whatever it said of this feed.
    pub fn good(&mut self) {
        *self = Breaker::Closed { failures: 0 };
    }

    pub fn bad(&mut self, now: Moment, most: u32, open: Duration) {
        *self = match *self {
            Breaker::Closed { failures } if failures.saturating_add(1) < most => Breaker::Closed { failures: failures + 1 },
            _ => Breaker::Open { until: now.plus(open) },
        };
    }

    fn code(self) -> (&'static str, f64) {
        match self {
            Breaker::Closed { .. } => ("closed", 0.0),
            Breaker::HalfOpen { .. } => ("half_open", 1.0),
            Breaker::Open { .. } => ("open", 2.0),
        }
    }
}

/// One host.
#[derive(Clone, Copy, Debug)]
struct Host {
    breaker: Breaker,
    /// It asked for peace until then.
    quiet_until: Option<Moment>,
    /// The pace: no request before.
    free_at: Option<Instant>,
}

impl Default for Host {
    fn default() -> Self {
        Self { breaker: Breaker::Closed { failures: 0 }, quiet_until: None, free_at: None }
    }
}

/// The hosts that this process asks.
#[derive(Clone, Debug)]
pub struct Hosts {
    hosts: Arc<Mutex<HashMap<String, Host>>>,
    interval: Duration,
    failures: u32,
    open: Duration,
}

impl Hosts {
    /// At most one request in each `interval`; open for `open` after `failures`.
    pub fn new(interval: Duration, failures: u32, open: Duration) -> Self {
        Self { hosts: Arc::default(), interval, failures, open }
    }

    fn act<T>(&self, name: &str, act: impl FnOnce(&mut Host) -> T) -> T {
        let mut hosts = self.hosts.lock().unwrap_or_else(|e| e.into_inner());
        let host = hosts.entry(name.to_owned()).or_default();
        let done = act(host);
        metrics::gauge!("doorstep_poll_breaker", "host" => name.to_owned()).set(host.breaker.code().1);
        done
    }

    /// How long to wait for the host's pace; or until when it is left in peace.
    pub fn ask(&self, name: &str, now: Moment) -> Result<Duration, Moment> {
        self.act(name, |host| {
            if let Some(until) = host.quiet_until.filter(|until| *until > now) {
                return Err(until);
            }
            host.breaker.ask(now, self.open)?;
            let at = host.free_at.unwrap_or_else(Instant::now).max(Instant::now());
            host.free_at = Some(at + self.interval);
            Ok(at - Instant::now())
        })
    }

    /// It answered.
    pub fn good(&self, name: &str) {
        self.act(name, |host| host.breaker.good());
    }

    /// It failed, and may have asked for peace.
    pub fn bad(&self, name: &str, peace: Option<Duration>, now: Moment) {
        self.act(name, |host| {
            host.breaker.bad(now, self.failures, self.open);
            host.quiet_until = peace.map(|span| now.plus(span.min(PEACE)));
        });
    }

    /// How it stands, for the operator.
    pub fn standing(&self, name: &str, now: Moment) -> Standing {
        self.act(name, |host| {
            let until = match host.breaker {
                Breaker::Closed { .. } => None,
                Breaker::Open { until } | Breaker::HalfOpen { until } => Some(until),
            };
            Standing { breaker: host.breaker.code().0, quiet_until: until.max(host.quiet_until).filter(|until| *until > now) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Moment {
        Moment::from_ms(seconds * 1000)
    }

    #[test]
    fn a_breaker_opens_lets_one_try_and_closes_again() {
        let mut b = Breaker::Closed { failures: 0 };
        for n in 0..3 {
            assert_eq!(b.ask(at(n), OPEN), Ok(()));
            b.bad(at(n), 3, OPEN);
        }
        assert_eq!((b, b.ask(at(5), OPEN)), (Breaker::Open { until: at(12) }, Err(at(12))));
        assert_eq!(b.ask(at(12), OPEN), Ok(()), "one may try");
        assert_eq!(b.ask(at(12), OPEN), Err(at(22)), "and nobody else meanwhile");
        b.bad(at(13), 3, OPEN);
        assert_eq!((b, b.ask(at(14), OPEN)), (Breaker::Open { until: at(23) }, Err(at(23))));
        assert_eq!(b.ask(at(23), OPEN), Ok(()));
        assert_eq!(b.ask(at(33), OPEN), Ok(()), "nothing was heard of the one that tried");
        b.good();
        assert_eq!((b.ask(at(34), OPEN), b), (Ok(()), Breaker::Closed { failures: 0 }));
    }

    #[test]
    fn failures_in_a_row_are_those_without_an_answer_between_them() {
        let mut b = Breaker::Closed { failures: 0 };
        for n in 0..20 {
            b.bad(at(n), 2, OPEN);
            assert_eq!(b.ask(at(n), OPEN), Ok(()), "{n}");
            b.good();
        }
    }

    #[test]
    fn a_host_that_asks_for_peace_has_it_at_once_and_not_for_ever() {
        let hosts = Hosts::new(Duration::ZERO, 5, OPEN);
        hosts.bad("a", Some(Duration::from_secs(100)), at(0));
        assert_eq!(hosts.ask("a", at(99)), Err(at(100)));
        assert_eq!(hosts.standing("a", at(99)), Standing { breaker: "closed", quiet_until: Some(at(100)) });
        assert!(hosts.ask("b", at(99)).is_ok(), "another host is not meant");
        assert!(hosts.ask("a", at(100)).is_ok());
        hosts.bad("a", Some(PEACE * 400), at(0));
        assert_eq!(hosts.ask("a", at(1)), Err(at(86_400)));
    }
}
