//! How fast S3 is asked for restores, and CloudFront for invalidations, when nobody says how much of the account's quota is
//! free.

use std::time::Duration;

use jiff::Timestamp;

/// Restores that S3 takes per second from an account (S3 User Guide, "Restoring an archived object", read 2026-11).
pub const RESTORES_PER_SECOND: u32 = 1_000;

/// Paths that CloudFront takes per second from an account, whoever sends them (Developer Guide, "Quotas on invalidations",
/// read 2026-11). A wildcard has a quota of its own: one per second.
pub const PATHS_PER_SECOND: u32 = 150;

/// Of those, what one function of thaw uses at most: three fifths. CloudFront refuses an operator's deployment as it refuses
/// thaw, and neither the AWS CLI nor the SDKs repeat a call that was refused so.
pub const OUR_PATHS_PER_SECOND: u32 = 90;

/// Functions of thaw that may invalidate at the same time: Invalidate, and two of OnRestoreCompleted.
const INVALIDATING_FUNCTIONS: u32 = 3;

/// Chunks of a restore that are asked for at once, each by a function of its own: the workflow's `MaxConcurrency`.
pub const LANES: u32 = 4;

/// What a pace gains in a second in which it is the limit, in calls per second.
const GAIN: f64 = 3.0;

/// What a throttled answer takes away, in calls per second.
///
/// A lane stays where it is when it sees `GAIN / STEP` throttled answers: one in two seconds. That is 0.2 % of the answers
/// of four lanes that share 1,000 calls a second.
const STEP: f64 = 6.0;

/// And of slow lanes this share of the rate.
const STEP_SHARE: f64 = 1.0 / 64.0;

/// Slow lanes gain less, so that they stay where they are with this share of throttled answers.
const THROTTLED_SHARE: f64 = 0.01;

/// When there was no throttled answer for so long, a pace gains twice as much, and from then on with the square of the
/// time: somebody else has probably left.
const QUIET_SECONDS: f64 = 3.0;

/// The most that a pace gains in a second, as a share of the rate.
const MOST_GAIN: f64 = 0.25;

/// No second takes away more than half of the rate that it began with: answers to calls that were on their way tell of
/// the old rate.
const SECOND: Duration = Duration::from_secs(1);

/// Calls that may start at once after a pause: those of a 50th of a second, one at least.
const BURST_SECONDS: f64 = 0.02;

/// The slowest, in calls per second: a pace that stood still would never learn that the quota is free again.
const SLOWEST: f64 = 1.0;

/// A rate of calls that finds the quota which is left for it, and gives way to others.
///
/// S3 takes [`RESTORES_PER_SECOND`], whoever sends them, and refuses more with `SlowDown` or `ThrottlingException`. Every
/// lane (one process that asks S3) has a pace of its own and sees only its own answers. It adds a little per second and takes a little per
/// throttled answer, and throttled answers come in proportion to the rate: so lanes that know nothing of each other come
/// to equal rates, in minutes. Every step is small, so that together they stay just under the quota.
///
/// Rejected: what the SDK's adaptive mode does (CUBIC). It takes 30 % for every throttled answer and needs seconds to come
/// back, so it is below the quota most of the time.
///
/// ```
/// use std::time::Duration;
/// use thaw_core::RateLimiter;
/// let now = "2026-11-23T00:00:00Z".parse().unwrap();
/// let mut pace = RateLimiter::new(50, 1_000, now);
/// // The first call starts at once, the second a 50th of a second later.
/// assert_eq!(pace.admit(now, Duration::MAX), Ok(Duration::ZERO));
/// assert_eq!(pace.admit(now, Duration::MAX), Ok(Duration::from_millis(20)));
/// // Who cannot wait is told how long it would have been, and no slot is taken.
/// assert_eq!(pace.admit(now, Duration::ZERO), Err(Duration::from_millis(40)));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimiter {
    /// Calls per second.
    rate: f64,
    /// The rate is never above it.
    ceiling: f64,
    /// Calls that may start at `at`. Below zero: slots that are given away already.
    free: f64,
    at: Timestamp,
    /// Whether the last call had to wait: only then the pace is what limits, and may gain.
    limits: bool,
    /// The last throttled answer, or the beginning.
    throttled_at: Timestamp,
    /// The second of the last throttled answer: its beginning, and how far it may fall.
    second: (Timestamp, f64),
}

impl RateLimiter {
    /// A pace that begins with `start` calls per second and never has more than `ceiling`; both at least one.
    ///
    /// Begin with the lane's share of the quota (1,000 by the number of lanes), and let the quota be the ceiling:
    /// when others leave, one lane may have all of it.
    pub fn new(start: u32, ceiling: u32, now: Timestamp) -> Self {
        let ceiling = f64::from(ceiling).max(SLOWEST);
        let rate = f64::from(start).clamp(SLOWEST, ceiling);
        Self { rate, ceiling, free: 1.0, at: now, limits: false, throttled_at: now, second: (now, SLOWEST) }
    }

    /// Calls per second, as far as is known.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Takes the next slot: the call may start after that time.
    ///
    /// If that is longer than `patience`, no slot is taken, and the time comes back as an error. Slots are given away
    /// in the order of the calls, so any number of callers can wait at once, each for its own.
    pub fn admit(&mut self, now: Timestamp, patience: Duration) -> Result<Duration, Duration> {
        self.admit_many(1, now, patience)
    }

    /// The same for a call that takes so many slots at once. It may start when those before it have passed; whoever comes next
    /// waits for all of its slots.
    pub fn admit_many(&mut self, slots: u32, now: Timestamp, patience: Duration) -> Result<Duration, Duration> {
        let passed = since(self.at, now).as_secs_f64();
        let burst = (self.rate * BURST_SECONDS).max(1.0);
        self.free = (self.free + passed * self.rate).min(burst);
        // A clock that was set back stands still until it has caught up.
        self.at = self.at.max(now);
        let wait = Duration::from_secs_f64(((1.0 - self.free) / self.rate).max(0.0));
        self.limits = !wait.is_zero();
        if wait > patience {
            return Err(wait);
        }
        self.free -= f64::from(slots);
        Ok(wait)
    }

    /// A pace for invalidations, whose slots are paths.
    pub fn of_invalidations(now: Timestamp) -> Self {
        Self::new(OUR_PATHS_PER_SECOND / INVALIDATING_FUNCTIONS, OUR_PATHS_PER_SECOND, now)
    }

    fn step(&self) -> f64 {
        STEP.min(self.rate * STEP_SHARE)
    }

    /// Learns from an answer. Every answer counts, refusals of single objects too: they were not throttled.
    pub fn answered(&mut self, now: Timestamp, throttled: bool) {
        self.answered_many(1, now, throttled);
    }

    /// The same for a call that took so many slots.
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
            // Answers come at the rate, so a second of them adds up to the gain.
            self.rate = (self.rate + slots * (gain / self.rate).min(MOST_GAIN)).min(self.ceiling);
        }
    }
}

/// The slots of a `CreateInvalidation` in [`RateLimiter::of_invalidations`]: its paths, or a second of the quota for each wildcard,
/// whichever is more. CloudFront counts paths and wildcards apart.
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

/// Nothing, if the clock was set back.
fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
