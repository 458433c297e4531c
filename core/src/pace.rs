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
/// use thaw_core::Pace;
/// let now = "2026-11-23T00:00:00Z".parse().unwrap();
/// let mut pace = Pace::new(50, 1_000, now);
/// // The first call starts at once, the second a 50th of a second later.
/// assert_eq!(pace.admit(now, Duration::MAX), Ok(Duration::ZERO));
/// assert_eq!(pace.admit(now, Duration::MAX), Ok(Duration::from_millis(20)));
/// // Who cannot wait is told how long it would have been, and no slot is taken.
/// assert_eq!(pace.admit(now, Duration::ZERO), Err(Duration::from_millis(40)));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
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

impl Pace {
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

/// The slots of a `CreateInvalidation` in [`Pace::of_invalidations`]: its paths, or a second of the quota for each wildcard,
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
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;

    /// How S3 may count its quota: nobody says.
    #[derive(Clone, Copy, Debug)]
    enum Counts {
        /// A bucket that holds this many seconds of the quota.
        Bucket(f64),
        /// So many in each second of the clock.
        Seconds,
    }

    const EVERY_WAY: [Counts; 4] = [Counts::Bucket(0.05), Counts::Bucket(1.0), Counts::Bucket(5.0), Counts::Seconds];

    /// S3 in virtual time, in microseconds.
    struct S3 {
        counts: Counts,
        quota: f64,
        free: f64,
        at: u64,
    }

    impl S3 {
        fn takes(&mut self, at: u64) -> bool {
            match self.counts {
                Counts::Bucket(seconds) => {
                    let passed = (at - self.at) as f64 / 1e6;
                    self.free = (self.free + passed * self.quota).min(seconds * self.quota);
                }
                Counts::Seconds if at / 1_000_000 > self.at / 1_000_000 || self.at == 0 => self.free = self.quota,
                Counts::Seconds => {}
            }
            self.at = at;
            let takes = self.free >= 1.0;
            self.free -= f64::from(u8::from(takes));
            takes
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Step {
        Answered(bool),
        Arrives,
    }

    /// One lane: 64 callers, each asks again as soon as it has its answer.
    struct Lane {
        pace: Pace,
        /// Seconds in which it works.
        works: std::ops::Range<u64>,
        accepted: u32,
        throttled: u32,
    }

    struct Run {
        s3: S3,
        lanes: Vec<Lane>,
        latency: u64,
        steps: BinaryHeap<Reverse<(u64, usize, Step)>>,
    }

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_microsecond(i64::try_from(micros).unwrap()).unwrap()
    }

    impl Run {
        /// Lanes that begin with `start` calls per second each.
        fn new(counts: Counts, quota: f64, latency_ms: u64, start: u32, works: &[std::ops::Range<u64>]) -> Self {
            let lane = |works: &std::ops::Range<u64>| Lane {
                pace: Pace::new(start, 1_000, at(works.start * 1_000_000)),
                works: works.clone(),
                accepted: 0,
                throttled: 0,
            };
            let s3 = S3 { counts, quota, free: quota / 20.0, at: 0 };
            let lanes: Vec<Lane> = works.iter().map(lane).collect();
            let mut run = Self { s3, lanes, latency: latency_ms * 1_000, steps: BinaryHeap::new() };
            for (lane, works) in works.iter().enumerate() {
                // Callers do not come to the same microsecond.
                (0..64).for_each(|caller| run.ask(lane, works.start * 1_000_000 + caller * 101));
            }
            run
        }

        fn ask(&mut self, lane: usize, now: u64) {
            if now < self.lanes[lane].works.end * 1_000_000 {
                let wait = self.lanes[lane].pace.admit(at(now), Duration::MAX).unwrap();
                let arrives = now + u64::try_from(wait.as_micros()).unwrap() + self.latency / 2;
                self.steps.push(Reverse((arrives, lane, Step::Arrives)));
            }
        }

        /// Goes on to this second; counts anew.
        fn until(&mut self, second: u64) -> Counted {
            for lane in &mut self.lanes {
                (lane.accepted, lane.throttled) = (0, 0);
            }
            while let Some(Reverse((now, lane, step))) = self.steps.pop() {
                if now >= second * 1_000_000 {
                    self.steps.push(Reverse((now, lane, step)));
                    break;
                }
                match step {
                    Step::Arrives => {
                        let takes = self.s3.takes(now);
                        self.steps.push(Reverse((now + self.latency / 2, lane, Step::Answered(!takes))));
                    }
                    Step::Answered(throttled) => {
                        let one = &mut self.lanes[lane];
                        one.pace.answered(at(now), throttled);
                        *if throttled { &mut one.throttled } else { &mut one.accepted } += 1;
                        self.ask(lane, now);
                    }
                }
            }
            Counted(self.lanes.iter().map(|lane| (lane.accepted, lane.throttled)).collect())
        }
    }

    /// Accepted and throttled answers of each lane.
    #[derive(Debug)]
    struct Counted(Vec<(u32, u32)>);

    impl Counted {
        fn accepted(&self) -> f64 {
            self.0.iter().map(|lane| f64::from(lane.0)).sum()
        }

        fn throttled_share(&self) -> f64 {
            let throttled: f64 = self.0.iter().map(|lane| f64::from(lane.1)).sum();
            throttled / (throttled + self.accepted())
        }
    }

    #[track_caller]
    fn check(counted: &Counted, quota: f64, seconds: f64, of: &str) {
        let used = counted.accepted() / quota / seconds;
        let share = counted.throttled_share();
        assert!(used > 0.95 && share < 0.02, "{of}: {used:.3} of the quota, {share:.4} throttled");
    }

    #[test]
    fn lanes_that_know_nothing_of_each_other_use_the_whole_quota() {
        for counts in EVERY_WAY {
            for (lanes, start) in [(1, 1_000), (2, 500), (4, 250), (8, 125)] {
                let mut run = Run::new(counts, 1_000.0, 20, start, &vec![0..60; lanes]);
                check(&run.until(60), 1_000.0, 60.0, &format!("{counts:?}, {lanes} lanes"));
            }
        }
    }

    #[test]
    fn a_distant_s3_makes_no_difference() {
        let mut run = Run::new(Counts::Bucket(1.0), 1_000.0, 200, 250, &vec![0..60; 4]);
        check(&run.until(60), 1_000.0, 60.0, "200 ms");
    }

    #[test]
    fn a_quota_that_others_use_most_of_is_found() {
        for counts in EVERY_WAY {
            let mut run = Run::new(counts, 300.0, 20, 250, &vec![0..90; 4]);
            run.until(30);
            check(&run.until(90), 300.0, 60.0, &format!("{counts:?}"));
        }
    }

    #[test]
    fn who_stays_takes_what_others_leave() {
        for counts in EVERY_WAY {
            let mut run = Run::new(counts, 1_000.0, 20, 250, &[0..90, 0..30, 0..30, 0..30]);
            check(&run.until(30), 1_000.0, 30.0, "together");
            run.until(55);
            check(&run.until(90), 1_000.0, 35.0, &format!("{counts:?}, alone"));
        }
    }

    #[test]
    fn who_comes_later_gets_a_fair_part() {
        for counts in EVERY_WAY {
            let mut run = Run::new(counts, 1_000.0, 20, 250, &[0..400, 30..400]);
            run.until(300);
            let counted = run.until(400);
            let [first, second] = counted.0.as_slice() else { panic!("two lanes") };
            let share = f64::from(second.0) / f64::from(first.0 + second.0);
            assert!((0.3..0.7).contains(&share), "{counts:?}: the second has {share:.2}");
        }
    }

    #[test]
    fn who_asks_for_less_does_not_learn_that_more_is_free() {
        let mut pace = Pace::new(100, 1_000, at(0));
        for call in 1..1_000 {
            let now = at(call * 20_000);
            assert_eq!(pace.admit(now, Duration::MAX), Ok(Duration::ZERO));
            pace.answered(now, false);
        }
        assert!(pace.rate() <= 100.0, "{}", pace.rate());
    }

    #[test]
    fn answers_that_were_on_their_way_take_half_at_most() {
        let mut pace = Pace::new(1_000, 1_000, at(0));
        for answer in 0..500 {
            pace.answered(at(1_000_000 + answer * 1_000), true);
        }
        assert_eq!(pace.rate(), 500.0);
        // What is refused a second later is news.
        pace.answered(at(2_000_000), true);
        assert!(pace.rate() < 500.0);
    }

    #[test]
    fn a_pace_never_stands_still() {
        let mut pace = Pace::new(0, 0, at(0));
        for second in 1..100 {
            pace.answered(at(second * 1_000_000), true);
        }
        assert_eq!(pace.rate(), 1.0);
        assert_eq!(pace.admit(at(0), Duration::ZERO), Ok(Duration::ZERO));
        assert_eq!(pace.admit(at(0), Duration::MAX), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn a_second_of_answers_adds_up_to_the_gain_and_to_more_the_longer_nothing_was_throttled() {
        for (rate, quiet_seconds, gain) in
            [(800, 0, 3.0), (800, 3, 6.0), (800, 6, 15.0), (20, 0, 0.0625), (20, 3, 0.125), (20, 6, 0.3125)]
        {
            let mut pace = Pace { limits: true, ..Pace::new(rate, 1_000, at(0)) };
            (0..rate).for_each(|_| pace.answered(at(quiet_seconds * 1_000_000), false));
            let gained = pace.rate() - f64::from(rate);
            assert!(
                (gained - gain).abs() < 0.02 * gain,
                "{gained} a second at {rate}, {quiet_seconds} s after a throttle"
            );
        }
    }

    #[test]
    fn a_clock_that_was_set_back_gives_nothing_away() {
        let mut pace = Pace::new(10, 10, at(0));
        assert_eq!(pace.admit(at(9_000_000), Duration::MAX), Ok(Duration::ZERO));
        pace.answered(at(9_000_000), true);
        assert!(pace.admit(at(1_000_000), Duration::ZERO).is_err());
        pace.answered(at(1_000_000), false);
        assert!(pace.admit(at(9_000_000), Duration::ZERO).is_err());
        assert_eq!(pace.admit(at(10_000_000), Duration::ZERO), Ok(Duration::ZERO));
    }

    /// CloudFront in virtual time, which counts paths as S3 counts restores.
    struct CloudFront {
        counts: S3,
        refused: [u32; 2],
        taken: [f64; 2],
    }

    impl CloudFront {
        /// A call of so many paths, of ours (0) or somebody else's (1).
        fn asked(&mut self, whose: usize, paths: u32, at: u64) -> bool {
            let free = self.counts.free;
            let takes = self.counts.takes(at) && self.counts.free + 1.0 >= f64::from(paths);
            if takes {
                self.counts.free -= f64::from(paths) - 1.0;
                self.taken[whose] += f64::from(paths);
            } else {
                // What is refused takes nothing.
                self.counts.free = self.counts.free.max(free);
                self.refused[whose] += 1;
            }
            takes
        }
    }

    /// So many functions of ours send calls of 100 paths for so many seconds, half a second each, while somebody else sends 25
    /// paths every half second. Answers CloudFront afterwards.
    fn beside_a_stranger(counts: Counts, functions: usize, seconds: u64) -> CloudFront {
        let quota = f64::from(PATHS_PER_SECOND);
        let mut cdn = CloudFront { counts: S3 { counts, quota, free: quota, at: 1 }, refused: [0; 2], taken: [0.0; 2] };
        let mut paces = vec![Pace::of_invalidations(at(1)); functions];
        let mut steps: BinaryHeap<Reverse<(u64, usize)>> =
            (0..=functions).map(|who| Reverse((1 + who as u64 * 77_777, who))).collect();
        while let Some(Reverse((now, who))) = steps.pop().filter(|Reverse((now, _))| *now < seconds * 1_000_000) {
            match paces.get_mut(who) {
                None => {
                    cdn.asked(1, 25, now);
                    steps.push(Reverse((now + 500_000, who)));
                }
                Some(pace) => {
                    let takes = cdn.asked(0, 100, now);
                    let answered = now + 500_000;
                    pace.answered_many(100, at(answered), !takes);
                    let wait = pace.admit_many(100, at(answered), Duration::MAX).unwrap();
                    steps.push(Reverse((answered + u64::try_from(wait.as_micros()).unwrap(), who)));
                }
            }
        }
        cdn
    }

    #[test]
    fn a_stranger_who_uses_a_third_of_cloudfronts_quota_is_hardly_refused() {
        for counts in [Counts::Bucket(1.0), Counts::Seconds] {
            for functions in 1..=3 {
                let cdn = beside_a_stranger(counts, functions, 600);
                let refused = f64::from(cdn.refused[1]) / 1_200.0;
                let used = cdn.taken[0] / 600.0;
                assert!(
                    refused < 0.01 && used > 70.0,
                    "{counts:?} {functions}: {refused:.3}, {used:.1} paths a second"
                );
            }
        }
    }
}
