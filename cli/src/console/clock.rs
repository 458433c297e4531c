//! The stack's clock. That of AWS is the real one; that of a local stack may run faster, so that hours can be watched.

use jiff::{SignedDuration, Timestamp};

use crate::address::Address;

/// The stack's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Real,
    Faster {
        /// When both clocks were the same.
        origin: Timestamp,
        /// How many of its seconds pass in a real one.
        scale: u32,
    },
}

impl Clock {
    /// The clock of the stack at this address.
    pub fn of(address: &Address) -> Self {
        match address.origin {
            Some(origin) if address.time_scale > 1 => Self::Faster { origin, scale: address.time_scale },
            Some(_) | None => Self::Real,
        }
    }

    /// What it shows at this real time.
    pub fn at(self, real: Timestamp) -> Timestamp {
        match self {
            Self::Real => real,
            Self::Faster { origin, scale } => {
                let millis = real.duration_since(origin).as_millis() * i128::from(scale);
                let since = SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
                origin.checked_add(since).unwrap_or(Timestamp::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_the_local_stack_is_a_second() {
        let origin: Timestamp = "2026-11-29T10:00:00Z".parse().unwrap();
        let real = origin + SignedDuration::from_millis(1_500);
        assert_eq!(Clock::Real.at(real), real);
        let faster = Clock::Faster { origin, scale: 3_600 };
        assert_eq!(faster.at(real).to_string(), "2026-11-29T11:30:00Z");
        assert_eq!(faster.at(Timestamp::MAX), Timestamp::MAX);
    }
}
