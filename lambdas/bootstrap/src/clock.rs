//! The only clock of the steps.

use jiff::{SignedDuration, Timestamp};

/// The real time, or on the local stack a faster one, so that a retrieval of twelve hours can be watched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clock {
    /// The system's clock.
    Real,
    /// A clock that runs faster from an origin on.
    Scaled {
        /// When virtual and real time were the same.
        origin: Timestamp,
        /// Virtual seconds per real second.
        scale: f64,
    },
}

impl Clock {
    /// Reads `THAW_CLOCK`: `<origin in Unix seconds>,<scale>`. Only the local stack sets it.
    pub fn from_env() -> Result<Self, String> {
        match std::env::var("THAW_CLOCK") {
            Ok(text) if !text.is_empty() => {
                Self::read(&text).ok_or_else(|| format!("THAW_CLOCK is {text:?}, not <origin unix seconds>,<scale>"))
            }
            _ => Ok(Self::Real),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (origin, scale) = text.split_once(',')?;
        let origin = Timestamp::from_second(origin.trim().parse().ok()?).ok()?;
        let scale = scale.trim().parse().ok().filter(|scale: &f64| scale.is_finite() && *scale > 0.0)?;
        Some(Self::Scaled { origin, scale })
    }

    /// The time now, in whole milliseconds: people read it in answers and in the console.
    pub fn now(self) -> Timestamp {
        let now = self.at(Timestamp::now());
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Seconds of this clock in a real second.
    pub fn pace(self) -> f64 {
        match self {
            Self::Real => 1.0,
            Self::Scaled { scale, .. } => scale,
        }
    }

    fn at(self, real: Timestamp) -> Timestamp {
        match self {
            Self::Real => real,
            Self::Scaled { origin, scale } => {
                let passed = real.duration_since(origin).as_secs_f64() * scale;
                let passed = SignedDuration::try_from_secs_f64(passed).unwrap_or(SignedDuration::MAX);
                origin.checked_add(passed).unwrap_or(Timestamp::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_clock_runs_faster_from_its_origin_on() {
        let clock = Clock::read("1000000,3600").unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(clock.at(at(1_000_000)), at(1_000_000));
        assert_eq!(clock.at(at(1_000_012)), at(1_000_000 + 12 * 3_600));
        assert_eq!(clock.at(Timestamp::MAX), Timestamp::MAX);
        assert_eq!(Clock::Real.at(at(5)), at(5));
        assert!((clock.pace() - 3_600.0).abs() < f64::EPSILON && (Clock::Real.pace() - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_time_has_no_parts_of_a_millisecond() {
        let scaled = Clock::read("1000000,1.5").unwrap();
        for clock in [Clock::Real, scaled] {
            for _ in 0..100 {
                assert_eq!(clock.now().subsec_nanosecond() % 1_000_000, 0, "{clock:?}");
            }
        }
    }

    #[test]
    fn another_text_is_no_clock() {
        for text in ["", "1", "1,", "x,1", "1,0", "1,-1", "1,inf", "1,NaN", "99999999999999999,1"] {
            assert_eq!(Clock::read(text), None, "{text}");
        }
    }
}
