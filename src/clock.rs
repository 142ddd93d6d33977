//! The clock that everything asks. Floor 1: it reads the machine's time, or is
//! moved by hand.

use crate::domain::time::Moment;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A source of the present moment, cheap to clone.
#[derive(Clone)]
pub enum Clock {
    System,
    /// Began at a moment and runs on.
    From {
        start: Moment,
        began: Instant,
    },
    /// Stands until it is moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn starting_at(start: Moment) -> Self {
        Clock::From { start, began: Instant::now() }
    }

    pub fn manual(at: Moment) -> Self {
        Clock::Manual(Arc::new(AtomicI64::new(at.ms())))
    }

    pub fn now(&self) -> Moment {
        match self {
            Clock::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Moment::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Clock::From { start, began } => start.plus(began.elapsed()),
            Clock::Manual(ms) => Moment::from_ms(ms.load(Ordering::SeqCst)),
        }
    }

    /// Moves a hand-moved clock; the others go their own way.
    pub fn set(&self, to: Moment) {
        if let Clock::Manual(ms) = self {
            ms.store(to.ms(), Ordering::SeqCst);
        }
    }
}
