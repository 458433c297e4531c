use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// How S3 may count its quota. It is not documented.
#[derive(Clone, Copy, Debug)]
enum Counts {
    /// A bucket that holds this many seconds of the quota.
    Bucket(f64),
    /// A fixed number in each second of the clock.
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
    limiter: RateLimiter,
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
            limiter: RateLimiter::new(start, 1_000, at(works.start * 1_000_000)),
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
            let wait = self.lanes[lane].limiter.admit(at(now), Duration::MAX).unwrap();
            let arrives = now + u64::try_from(wait.as_micros()).unwrap() + self.latency / 2;
            self.steps.push(Reverse((arrives, lane, Step::Arrives)));
        }
    }

    /// Runs until this second, with counts that start at zero.
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
                    one.limiter.answered(at(now), throttled);
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
fn lanes_without_knowledge_of_each_other_use_the_whole_quota() {
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
fn a_quota_that_others_mostly_use_is_found() {
    for counts in EVERY_WAY {
        let mut run = Run::new(counts, 300.0, 20, 250, &vec![0..90; 4]);
        run.until(30);
        check(&run.until(90), 300.0, 60.0, &format!("{counts:?}"));
    }
}

#[test]
fn a_lane_takes_the_quota_that_finished_lanes_leave() {
    for counts in EVERY_WAY {
        let mut run = Run::new(counts, 1_000.0, 20, 250, &[0..90, 0..30, 0..30, 0..30]);
        check(&run.until(30), 1_000.0, 30.0, "together");
        run.until(55);
        check(&run.until(90), 1_000.0, 35.0, &format!("{counts:?}, alone"));
    }
}

#[test]
fn a_lane_that_starts_later_gets_a_fair_share() {
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
fn the_rate_does_not_grow_while_it_is_not_used() {
    let mut limiter = RateLimiter::new(100, 1_000, at(0));
    for call in 1..1_000 {
        let now = at(call * 20_000);
        assert_eq!(limiter.admit(now, Duration::MAX), Ok(Duration::ZERO));
        limiter.answered(now, false);
    }
    assert!(limiter.rate() <= 100.0, "{}", limiter.rate());
}

#[test]
fn throttled_answers_of_one_second_halve_the_rate_at_most() {
    let mut limiter = RateLimiter::new(1_000, 1_000, at(0));
    for answer in 0..500 {
        limiter.answered(at(1_000_000 + answer * 1_000), true);
    }
    assert_eq!(limiter.rate(), 500.0);
    // An answer that is throttled a second later is about the new rate.
    limiter.answered(at(2_000_000), true);
    assert!(limiter.rate() < 500.0);
}

#[test]
fn the_rate_never_falls_to_zero() {
    let mut limiter = RateLimiter::new(0, 0, at(0));
    for second in 1..100 {
        limiter.answered(at(second * 1_000_000), true);
    }
    assert_eq!(limiter.rate(), 1.0);
    assert_eq!(limiter.admit(at(0), Duration::ZERO), Ok(Duration::ZERO));
    assert_eq!(limiter.admit(at(0), Duration::MAX), Ok(Duration::from_secs(1)));
}

#[test]
fn the_rate_grows_by_the_gain_per_second_and_faster_the_longer_nothing_was_throttled() {
    for (rate, quiet_seconds, gain) in
        [(800, 0, 3.0), (800, 3, 6.0), (800, 6, 15.0), (20, 0, 0.0625), (20, 3, 0.125), (20, 6, 0.3125)]
    {
        let mut limiter = RateLimiter { limits: true, ..RateLimiter::new(rate, 1_000, at(0)) };
        (0..rate).for_each(|_| limiter.answered(at(quiet_seconds * 1_000_000), false));
        let gained = limiter.rate() - f64::from(rate);
        assert!((gained - gain).abs() < 0.02 * gain, "{gained} a second at {rate}, {quiet_seconds} s after a throttle");
    }
}

#[test]
fn a_clock_that_was_set_back_gives_no_slots() {
    let mut limiter = RateLimiter::new(10, 10, at(0));
    assert_eq!(limiter.admit(at(9_000_000), Duration::MAX), Ok(Duration::ZERO));
    limiter.answered(at(9_000_000), true);
    assert!(limiter.admit(at(1_000_000), Duration::ZERO).is_err());
    limiter.answered(at(1_000_000), false);
    assert!(limiter.admit(at(9_000_000), Duration::ZERO).is_err());
    assert_eq!(limiter.admit(at(10_000_000), Duration::ZERO), Ok(Duration::ZERO));
}

/// CloudFront in virtual time. It counts paths in the way S3 counts restores.
struct CloudFront {
    counts: S3,
    refused: [u32; 2],
    taken: [f64; 2],
}

impl CloudFront {
    /// Whether a call with so many paths is accepted. `whose` is 0 for thaw and 1 for another caller.
    fn asked(&mut self, whose: usize, paths: u32, at: u64) -> bool {
        let free = self.counts.free;
        let takes = self.counts.takes(at) && self.counts.free + 1.0 >= f64::from(paths);
        if takes {
            self.counts.free -= f64::from(paths) - 1.0;
            self.taken[whose] += f64::from(paths);
        } else {
            // A refused call uses nothing of the quota.
            self.counts.free = self.counts.free.max(free);
            self.refused[whose] += 1;
        }
        takes
    }
}

/// For so many seconds, so many functions of thaw send calls of 100 paths, each of which takes half a second, while
/// another caller sends 25 paths every half second. Returns CloudFront with its counts.
fn beside_another_caller(counts: Counts, functions: usize, seconds: u64) -> CloudFront {
    let quota = f64::from(PATHS_PER_SECOND);
    let mut cdn = CloudFront { counts: S3 { counts, quota, free: quota, at: 1 }, refused: [0; 2], taken: [0.0; 2] };
    let mut limiters = vec![RateLimiter::of_invalidations(at(1)); functions];
    let mut steps: BinaryHeap<Reverse<(u64, usize)>> =
        (0..=functions).map(|who| Reverse((1 + who as u64 * 77_777, who))).collect();
    while let Some(Reverse((now, who))) = steps.pop().filter(|Reverse((now, _))| *now < seconds * 1_000_000) {
        match limiters.get_mut(who) {
            None => {
                cdn.asked(1, 25, now);
                steps.push(Reverse((now + 500_000, who)));
            }
            Some(limiter) => {
                let takes = cdn.asked(0, 100, now);
                let answered = now + 500_000;
                limiter.answered_many(100, at(answered), !takes);
                let wait = limiter.admit_many(100, at(answered), Duration::MAX).unwrap();
                steps.push(Reverse((answered + u64::try_from(wait.as_micros()).unwrap(), who)));
            }
        }
    }
    cdn
}

#[test]
fn another_caller_with_a_third_of_cloudfronts_quota_is_hardly_throttled() {
    for counts in [Counts::Bucket(1.0), Counts::Seconds] {
        for functions in 1..=3 {
            let cdn = beside_another_caller(counts, functions, 600);
            let refused = f64::from(cdn.refused[1]) / 1_200.0;
            let used = cdn.taken[0] / 600.0;
            assert!(refused < 0.01 && used > 70.0, "{counts:?} {functions}: {refused:.3}, {used:.1} paths a second");
        }
    }
}
