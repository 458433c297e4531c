//! A stretch of time, drawn from left to right at its true scale.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan};

/// The most ticks that fit beside each other on a phone.
const MOST_TICKS: i64 = 6;

/// The shortest stretch. A restore that ends at once is a point, and a point has no scale.
const SHORTEST: SignedDuration = SignedDuration::from_mins(2);

const MINUTES: [i64; 9] = [1, 2, 5, 10, 15, 30, 60, 120, 180];
const HOURS: [i64; 2] = [6, 12];
const DAYS: [i64; 9] = [1, 2, 4, 7, 14, 30, 91, 365, 3_650];

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// A time that the axis names.
#[derive(Debug, PartialEq)]
pub struct Tick {
    pub at: Timestamp,
    /// `14:00`, or `Nov 30` at midnight.
    pub label: String,
}

impl Axis {
    /// The stretch from the first of these times to the last, with some room after it.
    pub fn over(times: impl IntoIterator<Item = Timestamp>, from: Timestamp) -> Self {
        let last = times.into_iter().fold(from, Timestamp::max);
        let length = last.duration_since(from).max(SHORTEST);
        // Half of the room may be missing at the end of the calendar.
        let to = from.checked_add(length + length / 20).unwrap_or(last);
        Self { from, to }
    }

    /// Where a time is, in percent of the width; times outside are at the edge.
    pub fn percent(&self, at: Timestamp) -> f64 {
        let share = at.duration_since(self.from).as_secs_f64() / self.to.duration_since(self.from).as_secs_f64();
        (share * 100.0).clamp(0.0, 100.0)
    }

    /// Round times in this zone, at most six or seven.
    pub fn ticks(&self, zone: &TimeZone) -> Vec<Tick> {
        let seconds = self.to.duration_since(self.from).as_secs();
        let (step, has_hours) = step(seconds);
        let Ok(mut at) = self.from.to_zoned(zone.clone()).start_of_day() else { return Vec::new() };
        let mut ticks = Vec::new();
        while at.timestamp() <= self.to {
            if at.timestamp() >= self.from {
                let is_midnight = at.start_of_day().is_ok_and(|midnight| midnight == at);
                let label = if has_hours && !is_midnight { at.strftime("%H:%M") } else { at.strftime("%b %-d") };
                ticks.push(Tick { at: at.timestamp(), label: label.to_string() });
            }
            let Ok(next) = at.checked_add(step) else { break };
            at = next;
        }
        ticks
    }
}

/// The shortest round step that makes at most [`MOST_TICKS`] of so many seconds, and whether it is shorter than a day.
fn step(seconds: i64) -> (Span, bool) {
    let fits = |step: i64| seconds / step < MOST_TICKS;
    if let Some(minutes) = MINUTES.into_iter().find(|minutes| fits(minutes * 60)) {
        return (minutes.minutes(), true);
    }
    if let Some(hours) = HOURS.into_iter().find(|hours| fits(hours * 3_600)) {
        return (hours.hours(), true);
    }
    let days = DAYS.into_iter().find(|days| fits(days * 86_400)).unwrap_or(36_500);
    (days.days(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn labels(from: &str, to: &str, zone: &TimeZone) -> Vec<String> {
        let axis = Axis { from: at(from), to: at(to) };
        axis.ticks(zone).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn a_time_is_where_its_share_of_the_stretch_is() {
        let axis = Axis { from: at("2026-11-29T10:00:00Z"), to: at("2026-11-29T14:00:00Z") };
        for (time, percent) in [
            ("2026-11-29T10:00:00Z", 0.0),
            ("2026-11-29T11:00:00Z", 25.0),
            ("2026-11-29T14:00:00Z", 100.0),
            ("2026-11-28T10:00:00Z", 0.0),
            ("2026-11-30T10:00:00Z", 100.0),
        ] {
            assert_eq!(axis.percent(at(time)), percent, "{time}");
        }
    }

    #[test]
    fn a_restore_that_ended_at_once_has_an_axis_too() {
        let from = at("2026-11-29T10:00:00Z");
        let axis = Axis::over([from], from);
        assert_eq!((axis.percent(from), axis.to > from + SHORTEST), (0.0, true));
        let early = Axis::over([from - SHORTEST], from);
        assert_eq!(early, axis, "nothing is before the beginning");
    }

    #[test]
    fn ticks_are_round_times_in_the_zone_of_the_caller() {
        let (utc, india) = (TimeZone::UTC, TimeZone::posix("IST-5:30").unwrap());
        let (from, to) = ("2026-11-29T10:10:00Z", "2026-11-29T15:10:00Z");
        assert_eq!(labels(from, to, &utc), ["11:00", "12:00", "13:00", "14:00", "15:00"]);
        assert_eq!(labels(from, to, &india), ["16:00", "17:00", "18:00", "19:00", "20:00"]);
        assert_eq!(labels("2026-11-29T10:00:00Z", "2026-12-01T10:00:00Z", &utc), ["12:00", "Nov 30", "12:00", "Dec 1"]);
        assert_eq!(labels("2026-11-29T10:00:00Z", "2026-12-04T10:00:00Z", &utc).first().unwrap(), "Nov 30");
    }

    #[test]
    fn every_stretch_has_few_ticks() {
        let from = at("2026-11-29T10:07:03Z");
        for seconds in [120, 600, 3_000, 20_000, 90_000, 180_000, 1_000_000, 40_000_000, 3_153_600_000] {
            let axis = Axis { from, to: from + SignedDuration::from_secs(seconds) };
            let ticks = axis.ticks(&TimeZone::UTC).len();
            assert!((1..=7).contains(&ticks), "{seconds}: {ticks}");
        }
    }
}
