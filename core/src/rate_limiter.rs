//! A rate limiter for restores (S3) and invalidations (CloudFront). Nobody reports how much of an account's quota is
//! free, so [`RateLimiter`] adapts its rate to throttled answers.

use std::time::Duration;

use jiff::Timestamp;

/// Restore requests per second that S3 accepts from an account (S3 User Guide, "Restoring an archived object", read
/// 2026-11).
pub const RESTORES_PER_SECOND: u32 = 1_000;

/// Paths per second that CloudFront accepts from an account, from all callers together (Developer Guide, "Quotas on
/// invalidations", read 2026-11). Wildcards have a quota of their own: one per second.
pub const PATHS_PER_SECOND: u32 = 150;

/// The most paths per second that one function of thaw sends: three fifths of the quota. The rest is for the operator's
/// deployments: CloudFront throttles them as well, and neither the AWS CLI nor the SDKs retry a call that it throttled.
pub const OUR_PATHS_PER_SECOND: u32 = 90;

/// Functions of thaw that may invalidate at the same time: one Invalidate and two OnRestoreCompleted.
const INVALIDATING_FUNCTIONS: u32 = 3;

/// Lanes of a restore. A lane is one function that asks S3 for one chunk at a time; this is the workflow's `MaxConcurrency`.
pub const LANES: u32 = 4;

/// By how much the rate grows per second while the limiter makes callers wait, in calls per second.
const GAIN: f64 = 3.0;

/// By how much one throttled answer lowers the rate, in calls per second.
///
/// A lane keeps its rate at `GAIN / STEP` throttled answers a second: one in two seconds. That is 0.2 % of the answers of
/// four lanes that share 1,000 calls a second.
const STEP: f64 = 6.0;

/// In slow lanes a throttled answer takes only this share of the rate.
const STEP_SHARE: f64 = 1.0 / 64.0;

/// Slow lanes grow more slowly as well, so that they keep their rate at this share of throttled answers.
const THROTTLED_SHARE: f64 = 0.01;

/// After so many seconds without a throttled answer the rate grows twice as fast, and from then on with the square of the
/// time: another caller has probably stopped.
const QUIET_SECONDS: f64 = 3.0;

/// The most that the rate grows in a second, as a share of the rate.
const MOST_GAIN: f64 = 0.25;

/// Within this time the rate falls by no more than half: throttled answers to calls that were already sent are about the old
/// rate.
const SECOND: Duration = Duration::from_secs(1);

/// Calls that may start at once after a pause, in seconds of the rate: a 50th of a second, at least one call.
const BURST_SECONDS: f64 = 0.02;

/// The lowest rate, in calls per second. At a rate of zero the limiter would never learn that the quota is free again.
const SLOWEST: f64 = 1.0;

/// Limits the rate of calls to the part of a quota that other callers leave free.
///
/// S3 accepts [`RESTORES_PER_SECOND`] from all callers together, and refuses more with `SlowDown` or
/// `ThrottlingException`. Every lane has its own limiter and sees only its own answers. The rate grows a little every
/// second and falls a little with every throttled answer, and throttled answers come in proportion to the rate. So lanes
/// reach equal rates within minutes, without knowing of each other. Every step is small, so that together they stay just
/// under the quota.
///
/// Rejected: CUBIC, as in the SDK's adaptive mode. It lowers the rate by 30 % at every throttled answer and needs seconds to
/// recover, so it is below the quota most of the time.
///
/// ```
/// use std::time::Duration;
/// use thaw_core::RateLimiter;
/// let now = "2026-11-23T00:00:00Z".parse().unwrap();
/// let mut limiter = RateLimiter::new(50, 1_000, now);
/// // The first call starts at once, the second a 50th of a second later.
/// assert_eq!(limiter.admit(now, Duration::MAX), Ok(Duration::ZERO));
/// assert_eq!(limiter.admit(now, Duration::MAX), Ok(Duration::from_millis(20)));
/// // A caller without patience gets the time as an error, and takes no slot.
/// assert_eq!(limiter.admit(now, Duration::ZERO), Err(Duration::from_millis(40)));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimiter {
    /// Calls per second.
    rate: f64,
    /// The highest rate.
    ceiling: f64,
    /// Calls that may start at `at`. Below zero: slots that are already taken.
    free: f64,
    at: Timestamp,
    /// Whether the last call had to wait. Only then does the limiter hold calls back, and may the rate grow.
    limits: bool,
    /// The time of the last throttled answer, or of the start.
    throttled_at: Timestamp,
    /// The current second of throttled answers: its start, and the lowest rate in it.
    second: (Timestamp, f64),
}

impl RateLimiter {
    /// A limiter that starts with `start` calls per second and never exceeds `ceiling`; both at least one.
    ///
    /// `start` should be the lane's share of the quota (1,000 divided by the number of lanes), and `ceiling` the whole
    /// quota, which one lane may use when the others have finished.
    pub fn new(start: u32, ceiling: u32, now: Timestamp) -> Self {
        let ceiling = f64::from(ceiling).max(SLOWEST);
        let rate = f64::from(start).clamp(SLOWEST, ceiling);
        Self { rate, ceiling, free: 1.0, at: now, limits: false, throttled_at: now, second: (now, SLOWEST) }
    }

    /// The current rate, in calls per second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Takes the next slot and returns how long the caller has to wait before it starts its call.
    ///
    /// If that is longer than `patience`, no slot is taken, and the time is returned as an error. Slots are taken in the
    /// order of the calls, so any number of callers can wait at once, each for its own slot.
    pub fn admit(&mut self, now: Timestamp, patience: Duration) -> Result<Duration, Duration> {
        self.admit_many(1, now, patience)
    }

    /// [`RateLimiter::admit`] for a call that takes several slots. The call waits for the slots before its own; the next
    /// call waits for all slots of this one.
    pub fn admit_many(&mut self, slots: u32, now: Timestamp, patience: Duration) -> Result<Duration, Duration> {
        let passed = since(self.at, now).as_secs_f64();
        let burst = (self.rate * BURST_SECONDS).max(1.0);
        self.free = (self.free + passed * self.rate).min(burst);
        // If the clock was set back, no time passes until it has caught up.
        self.at = self.at.max(now);
        let wait = Duration::from_secs_f64(((1.0 - self.free) / self.rate).max(0.0));
        self.limits = !wait.is_zero();
        if wait > patience {
            return Err(wait);
        }
        self.free -= f64::from(slots);
        Ok(wait)
    }

    /// A limiter for invalidations. Its slots are paths ([`paths_counted`]).
    pub fn of_invalidations(now: Timestamp) -> Self {
        Self::new(OUR_PATHS_PER_SECOND / INVALIDATING_FUNCTIONS, OUR_PATHS_PER_SECOND, now)
    }

    fn step(&self) -> f64 {
        STEP.min(self.rate * STEP_SHARE)
    }

    /// Adapts the rate to an answer. Every answer counts: also the refusal of a single object, which was not throttled.
    pub fn answered(&mut self, now: Timestamp, throttled: bool) {
        self.answered_many(1, now, throttled);
    }

    /// [`RateLimiter::answered`] for a call that took several slots.
    pub fn answered_many(&mut self, slots: u32, now: Timestamp, throttled: bool) {
        let slots = f64::from(slots);
        if throttled {
            if since(self.second.0, now) >= SECOND {
                self.second = (now, self.rate / 2.0);
            }
            self.rate = (self.rate - slots * self.step()).max(self.second.1).max(SLOWEST);
            self.throttled_at = now;
        } else if self.limits {
            let quiet = since(self.throttled_at, now).as_secs_f64() / QUIET_SECONDS;
            let most = THROTTLED_SHARE * self.rate * self.step();
            let gain = GAIN.min(most) * (1.0 + quiet * quiet);
            // Answers come at the rate, so the answers of one second add up to the gain.
            self.rate = (self.rate + slots * (gain / self.rate).min(MOST_GAIN)).min(self.ceiling);
        }
    }
}

/// The slots that a `CreateInvalidation` takes in [`RateLimiter::of_invalidations`]: its paths, or a second of the quota
/// for each wildcard, whichever is more. CloudFront has separate quotas for paths and wildcards.
///
/// ```
/// use thaw_core::paths_counted;
/// assert_eq!(paths_counted(&["/a".to_owned(), "/b".to_owned()]), 2);
/// assert_eq!(paths_counted(&["/a".to_owned(), "/b/*".to_owned()]), 150);
/// ```
pub fn paths_counted(items: &[String]) -> u32 {
    let count = |items: usize| u32::try_from(items).unwrap_or(u32::MAX);
    let wildcards = items.iter().filter(|item| item.ends_with('*')).count();
    count(items.len() - wildcards).max(count(wildcards).saturating_mul(PATHS_PER_SECOND))
}

/// The time from `then` to `now`; zero if the clock was set back.
fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
