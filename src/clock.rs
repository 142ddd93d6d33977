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
    /// Began at a moment and runs on; may be moved ahead.
    Running {
        start: Moment,
        began: Instant,
        ahead: Arc<AtomicI64>,
    },
    /// Stands until it is moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn starting_at(start: Moment) -> Self {
        Clock::Running { start, began: Instant::now(), ahead: Arc::default() }
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
            Clock::Running { start, began, ahead } => Moment::from_ms(start.plus(began.elapsed()).ms() + ahead.load(Ordering::SeqCst)),
            Clock::Manual(ms) => Moment::from_ms(ms.load(Ordering::SeqCst)),
        }
    }

    /// Moves a clock to a moment; the machine's goes its own way.
    pub fn set(&self, to: Moment) {
        match self {
            Clock::System => {}
            Clock::Running { ahead, .. } => drop(ahead.fetch_add(to.ms() - self.now().ms(), Ordering::SeqCst)),
            Clock::Manual(ms) => ms.store(to.ms(), Ordering::SeqCst),
        }
    }
}
