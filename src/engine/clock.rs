//! The time, handed in: the system's, or a hand-driven one in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::domain::time::Time;

/// Where the engine reads the time.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// Stands still until it is moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that shows `start` until [`Clock::advance`] moves it.
    pub fn manual(start: Time) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.micros())))
    }

    /// Now, in whole milliseconds: what is stored is what is shown and hashed.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Time {
        match self {
            Self::System => Time(jiff::Timestamp::now().as_microsecond()).to_millis(),
            Self::Manual(micros) => Time(micros.load(Ordering::SeqCst)),
        }
    }

    /// Waits so many microseconds; a manual clock is moved by them instead.
    pub async fn sleep(&self, micros: i64) {
        match self {
            Self::System => tokio::time::sleep(Duration::from_micros(micros.max(0).unsigned_abs())).await,
            Self::Manual(_) => self.advance(micros.max(0)),
        }
    }

    /// Moves a manual clock by `micros`; the system's clock stays as it is.
    pub fn advance(&self, micros: i64) {
        if let Self::Manual(now) = self {
            now.fetch_add(micros, Ordering::SeqCst);
        }
    }
}
