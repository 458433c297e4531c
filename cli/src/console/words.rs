//! Numbers and times as people write them, beyond those of the terminal.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use thaw_core::{Status, quantity};

use crate::output::time;

/// A number with commas: `12,345`.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// A length of time in its two largest units: `3 h 20 min`, `2 days`.
pub fn length(duration: SignedDuration) -> String {
    let minutes = duration.as_secs().unsigned_abs() / 60;
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    let days_text = quantity(days, "day", "days");
    match (days, hours, minutes) {
        (0, 0, 0) => "less than a minute".to_owned(),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (1..=2, 1.., _) => format!("{days_text} {hours} h"),
        (_, _, _) => days_text,
    }
}

/// A time, and how far away it is: `2026-11-29 14:30 CET (in 3 h)`.
pub fn time_from(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let away = at.duration_since(now);
    let away = if away.is_negative() { format!("{} ago", length(away)) } else { format!("in {}", length(away)) };
    format!("{} ({away})", time(at, zone))
}

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A value for the query of an address.
pub fn in_query(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

/// A status in words.
pub fn status(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Succeeded => "succeeded",
        Status::PartlyFailed => "partly failed",
        Status::Failed => "failed",
        Status::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn lengths_have_at_most_two_units() {
        for (seconds, text) in [
            (59, "less than a minute"),
            (60, "1 min"),
            (3_600, "1 h"),
            (-12_000, "3 h 20 min"),
            (86_400, "1 day"),
            (90_000, "1 day 1 h"),
            (950_400, "11 days"),
        ] {
            assert_eq!(length(SignedDuration::from_secs(seconds)), text);
        }
        let at: Timestamp = "2026-11-29T13:30:00Z".parse().unwrap();
        let early = at - SignedDuration::from_hours(3);
        assert_eq!(time_from(at, early, &TimeZone::UTC), "2026-11-29 13:30 UTC (in 3 h)");
        assert_eq!(time_from(early, at, &TimeZone::UTC), "2026-11-29 10:30 UTC (3 h ago)");
    }
}
