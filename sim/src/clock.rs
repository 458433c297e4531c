//! The time that the model is told: moved by hand in a test, or running faster than real in a server.

use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Manual(Arc<Mutex<Timestamp>>),
    Scaled { origin: f64, scale: f64 },
}

impl Clock {
    /// A clock that stands still until it is moved.
    pub fn manual(start: Timestamp) -> Self {
        Self(Kind::Manual(Arc::new(Mutex::new(start))))
    }

    /// A clock that shows `origin + (real time - origin) * scale`, the formula of `THAW_CLOCK`: everybody who knows
    /// both numbers sees the same time.
    pub fn scaled(origin: Timestamp, scale: f64) -> Self {
        Self(Kind::Scaled { origin: origin.as_duration().as_secs_f64(), scale })
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::Manual(time) => *time.lock().unwrap_or_else(PoisonError::into_inner),
            Kind::Scaled { origin, scale } => at(origin + (real_seconds() - origin) * scale),
        }
    }

    /// How many times faster than real time this clock runs.
    pub fn scale(&self) -> f64 {
        match &self.0 {
            Kind::Manual(_) => 1.0,
            Kind::Scaled { scale, .. } => *scale,
        }
    }

    /// The real time until a moment of this clock: zero if it has passed. A manual clock knows of no real time.
    pub fn until(&self, time: Timestamp) -> Duration {
        let left = time.duration_since(self.now()).as_secs_f64().max(0.0);
        Duration::try_from_secs_f64(left / self.scale()).unwrap_or(Duration::MAX)
    }

    /// Moves a manual clock on. A scaled one goes by itself and ignores it.
    pub fn advance(&self, by: SignedDuration) {
        if let Kind::Manual(time) = &self.0 {
            let mut time = time.lock().unwrap_or_else(PoisonError::into_inner);
            *time = time.checked_add(by).unwrap_or(Timestamp::MAX);
        }
    }

    /// Sets a manual clock. A scaled one ignores it.
    pub fn set(&self, to: Timestamp) {
        if let Kind::Manual(time) = &self.0 {
            *time.lock().unwrap_or_else(PoisonError::into_inner) = to;
        }
    }
}

fn real_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn at(seconds: f64) -> Timestamp {
    SignedDuration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|d| Timestamp::from_duration(d).ok())
        .unwrap_or(Timestamp::MAX)
}
