//! How long S3 takes to fetch an object ([`Window`]), and when thaw looks for it ([`look`]).

use std::time::Duration;

use jiff::Timestamp;

use crate::{ArchiveKind, Tier};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// When a retrieval typically completes, counted from the request. S3 guarantees no time; "typically" is its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Before this time a look finds nothing.
    pub earliest: Duration,
    /// By this time S3 is typically done; after it the retrieval is late.
    pub typical: Duration,
}

impl Window {
    /// The time after which the object counts as failed: three times the typical time and a day.
    ///
    /// Generous on purpose. An object that is given up too early was paid for and is not published; one that is given up
    /// too late costs a few looks.
    pub fn deadline(self) -> Duration {
        self.typical * 3 + Duration::from_secs(24 * HOUR)
    }
}

impl ArchiveKind {
    /// The retrieval times of this kind at this tier; `None` if S3 does not offer the tier for the kind.
    ///
    /// Source: S3 User Guide, "Understanding archive retrieval options" (read 2026-11). Where it names only an upper
    /// end ("within 12 hours", "within 48 hours"), the first look is at half of it.
    pub fn window(self, tier: Tier) -> Option<Window> {
        let window = |earliest, typical| {
            Some(Window { earliest: Duration::from_secs(earliest), typical: Duration::from_secs(typical) })
        };
        match (self, tier) {
            (Self::Flexible | Self::ItArchive, Tier::Expedited) => window(MINUTE, 5 * MINUTE),
            (Self::Flexible | Self::ItArchive, Tier::Standard) => window(3 * HOUR, 5 * HOUR),
            (Self::Flexible | Self::ItArchive, Tier::Bulk) => window(5 * HOUR, 12 * HOUR),
            (Self::Deep | Self::ItDeep, Tier::Expedited) => None,
            (Self::Deep | Self::ItDeep, Tier::Standard) => window(6 * HOUR, 12 * HOUR),
            (Self::Deep | Self::ItDeep, Tier::Bulk) => window(24 * HOUR, 48 * HOUR),
        }
    }

    /// The retrieval times for a request of S3 Batch Operations, counted from that request. At Standard they begin sooner.
    ///
    /// Source: as above, "Standard retrievals with S3 Batch Operations". Where it says "within minutes", this is five
    /// minutes.
    pub fn window_by_jobs(self, tier: Tier) -> Option<Window> {
        let window = |earliest, typical| {
            Some(Window { earliest: Duration::from_secs(earliest), typical: Duration::from_secs(typical) })
        };
        match (self, tier) {
            (_, Tier::Expedited) => None,
            (Self::Flexible | Self::ItArchive, Tier::Standard) => window(5 * MINUTE, 5 * HOUR),
            (Self::Deep | Self::ItDeep, Tier::Standard) => window(9 * HOUR, 12 * HOUR),
            (_, Tier::Bulk) => self.window(tier),
        }
    }
}

/// Whether to look at an object that S3 is still fetching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Too early.
    NotYet {
        /// Seconds until the first look.
        seconds: u64,
    },
    /// Look now. If it is not readable yet, look again.
    Due {
        /// Seconds until the next look.
        again: u64,
        /// Whether the typical time has passed.
        late: bool,
    },
    /// Look one last time. If it is not readable, give up.
    Last,
}

/// When to look at an object of this kind whose restore S3 accepted at `since`.
///
/// The first look is at the earliest typical time. After that the interval is a third of the elapsed time, at least a
/// minute and at most half a day, and one look is at the typical time itself. That makes about three looks inside the
/// typical window, fewer and fewer after it, and under fifty before the deadline at every tier. Half a day at most,
/// because the shortest copy lives for a day: none appears and expires between two looks.
///
/// S3's events report the minute of completion. Looks are for lost events, and they are the largest cost of a small restore.
pub fn look(kind: ArchiveKind, tier: Tier, since: Timestamp, now: Timestamp) -> Look {
    // S3 refused the request if it does not offer the tier, so nothing is being fetched.
    let Some(window) = kind.window(tier) else { return Look::Last };
    let elapsed = u64::try_from(now.as_second() - since.as_second()).unwrap_or(0);
    let deadline = window.deadline().as_secs();
    if elapsed < window.earliest.as_secs() {
        Look::NotYet { seconds: window.earliest.as_secs() - elapsed }
    } else if elapsed < deadline {
        let typical = window.typical.as_secs();
        let next = if elapsed < typical { typical } else { deadline };
        let interval = (elapsed / 3).clamp(MINUTE, 12 * HOUR).min(next - elapsed);
        Look::Due { again: interval, late: elapsed > typical }
    } else {
        Look::Last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_second(i64::try_from(second).unwrap()).unwrap()
    }

    #[test]
    fn the_first_look_is_at_the_earliest_typical_time() {
        let look = |seconds| look(ArchiveKind::Flexible, Tier::Standard, at(0), at(seconds));
        assert_eq!(look(0), Look::NotYet { seconds: 3 * HOUR });
        assert_eq!(look(HOUR), Look::NotYet { seconds: 2 * HOUR });
        assert_eq!(look(3 * HOUR), Look::Due { again: HOUR, late: false });
        // Nearly all objects are readable by the typical time, so one look is exactly then.
        assert_eq!(look(4 * HOUR), Look::Due { again: HOUR, late: false });
        assert_eq!(look(5 * HOUR), Look::Due { again: HOUR + 40 * MINUTE, late: false });
        assert_eq!(look(6 * HOUR), Look::Due { again: 2 * HOUR, late: true });
        assert_eq!(look(39 * HOUR), Look::Last);
    }

    #[test]
    fn the_windows_are_those_of_the_user_guide() {
        let (minutes, hours) = (|n: u64| n * 60, |n: u64| n * 3_600);
        for (kind, tier, window) in [
            (ArchiveKind::Flexible, Tier::Expedited, Some((minutes(1), minutes(5)))),
            (ArchiveKind::Flexible, Tier::Standard, Some((hours(3), hours(5)))),
            (ArchiveKind::Flexible, Tier::Bulk, Some((hours(5), hours(12)))),
            (ArchiveKind::Deep, Tier::Expedited, None),
            (ArchiveKind::Deep, Tier::Standard, Some((hours(6), hours(12)))),
            (ArchiveKind::Deep, Tier::Bulk, Some((hours(24), hours(48)))),
        ] {
            let seconds = |window: Window| (window.earliest.as_secs(), window.typical.as_secs());
            assert_eq!(kind.window(tier).map(seconds), window, "{kind:?} {tier:?}");
        }
        for (kind, tier, window) in [
            (ArchiveKind::Flexible, Tier::Standard, Some((minutes(5), hours(5)))),
            (ArchiveKind::ItArchive, Tier::Bulk, Some((hours(5), hours(12)))),
            (ArchiveKind::Deep, Tier::Standard, Some((hours(9), hours(12)))),
            (ArchiveKind::ItDeep, Tier::Bulk, Some((hours(24), hours(48)))),
            (ArchiveKind::Flexible, Tier::Expedited, None),
        ] {
            let seconds = |window: Window| (window.earliest.as_secs(), window.typical.as_secs());
            assert_eq!(kind.window_by_jobs(tier).map(seconds), window, "{kind:?} {tier:?} by jobs");
        }
        for tier in Tier::ALL {
            assert_eq!(ArchiveKind::ItArchive.window(tier), ArchiveKind::Flexible.window(tier));
            assert_eq!(ArchiveKind::ItDeep.window(tier), ArchiveKind::Deep.window(tier));
        }
    }

    #[test]
    fn no_copy_appears_and_expires_between_two_looks() {
        let look = |seconds| look(ArchiveKind::Deep, Tier::Bulk, at(0), at(seconds));
        assert_eq!(look(36 * HOUR), Look::Due { again: 12 * HOUR, late: false });
        assert_eq!(look(126 * HOUR), Look::Due { again: 12 * HOUR, late: true });
        assert_eq!(look(160 * HOUR), Look::Due { again: 8 * HOUR, late: true });
    }

    #[test]
    fn an_object_is_given_up_after_three_times_the_typical_time_and_a_day() {
        let deadline = |tier| ArchiveKind::Flexible.window(tier).unwrap().deadline().as_secs();
        assert_eq!(deadline(Tier::Expedited), 86_400 + 15 * 60);
        assert_eq!(deadline(Tier::Standard), 86_400 + 15 * 3_600);
    }

    #[test]
    fn a_restore_is_late_once_the_typical_time_is_over() {
        let look = |seconds| look(ArchiveKind::Flexible, Tier::Standard, at(0), at(seconds));
        assert!(matches!(look(5 * HOUR), Look::Due { late: false, .. }));
        assert!(matches!(look(5 * HOUR + 1), Look::Due { late: true, .. }));
    }

    #[test]
    fn a_clock_that_runs_behind_does_not_underflow() {
        assert_eq!(look(ArchiveKind::Deep, Tier::Bulk, at(100), at(0)), Look::NotYet { seconds: 24 * HOUR });
    }

    #[test]
    fn every_kind_and_tier_reaches_its_deadline_in_under_fifty_looks() {
        for kind in ArchiveKind::ALL {
            for tier in Tier::ALL {
                let Some(window) = kind.window(tier) else { continue };
                let (mut now, mut looks) = (0, 0);
                loop {
                    match look(kind, tier, at(0), at(now)) {
                        Look::NotYet { seconds } => {
                            assert!(seconds > 0, "{kind:?} {tier:?} waits for ever");
                            now += seconds;
                        }
                        Look::Due { again, .. } => {
                            now += again;
                            looks += 1;
                        }
                        Look::Last => break,
                    }
                    let most = if tier == Tier::Expedited { 50 } else { 20 };
                    assert!(looks < most, "{kind:?} {tier:?}");
                }
                assert_eq!(now, window.deadline().as_secs(), "the last look is at the deadline itself");
            }
        }
    }
}
