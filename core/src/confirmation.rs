//! The message that makes thaw ask CloudFront whether it is done with batches.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{BatchId, UnreadableEvent};

/// Batches whose invalidations were in progress, and how often CloudFront was asked about them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The batches.
    pub batches: BTreeSet<BatchId>,
    /// How often CloudFront was asked for them by earlier messages.
    #[serde(default)]
    pub asked: u32,
}

impl Confirmation {
    /// How long the first message waits: 95 of 100 invalidations are complete within 25 seconds (AWS, What's New, April
    /// 2026).
    pub const FIRST_DELAY: Duration = Duration::from_secs(25);

    /// The first message about these batches.
    pub fn first(batches: BTreeSet<BatchId>) -> Self {
        Self { batches, asked: 0 }
    }

    /// Reads a message.
    pub fn read(message: &str) -> Result<Self, UnreadableEvent> {
        // serde would also read a JSON array as a struct, field by field.
        if !message.trim_start().starts_with('{') {
            return Err(UnreadableEvent::because("it is no JSON object"));
        }
        serde_json::from_str(message).map_err(UnreadableEvent::because)
    }

    /// The next message, about those batches that are still open.
    pub fn again(&self, open: BTreeSet<BatchId>) -> Self {
        Self { batches: open, asked: self.asked.saturating_add(1) }
    }

    /// How long the message waits before CloudFront is asked; `None` if CloudFront was asked for a day.
    ///
    /// For an hour the interval is less than a minute, so that a status is a minute behind CloudFront at most. After that
    /// something is wrong, and CloudFront is asked less often.
    pub fn delay(&self) -> Option<Duration> {
        let seconds = match self.asked {
            0 => return Some(Self::FIRST_DELAY),
            // Ten minutes.
            1..30 => 20,
            // An hour. The rest of each minute is for the message and the function.
            30..80 => 55,
            // A day.
            80..172 => 900,
            172.. => return None,
        };
        Some(Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(asked: u32) -> Confirmation {
        Confirmation { batches: BTreeSet::from(["a".to_owned().into()]), asked }
    }

    #[test]
    fn cloudfront_is_asked_every_minute_for_an_hour_and_for_a_day_at_most() {
        let delays: Vec<Duration> = (0..).map_while(|number| asked(number).delay()).collect();
        let so_far = |count: usize| delays[..count].iter().sum::<Duration>().as_secs();
        assert!(delays[1..].is_sorted(), "it is asked ever less often");
        let in_the_hour = delays.iter().filter(|delay| delay.as_secs() < 60).count();
        assert!(so_far(in_the_hour) >= 55 * 60, "{} s", so_far(in_the_hour));
        let all = so_far(delays.len());
        assert!((22 * 3_600..=24 * 3_600).contains(&all), "{all} s");
        // SQS keeps no message back for longer (API Reference, "SendMessage").
        assert!(delays.iter().all(|delay| delay.as_secs() <= 900));
        assert_eq!(asked(u32::MAX).again(BTreeSet::new()).delay(), None);
    }

    #[test]
    fn a_message_is_read_as_it_was_written_and_anything_else_says_why_it_is_not() {
        let message = asked(3);
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(text, r#"{"batches":["a"],"asked":3}"#);
        assert_eq!(Confirmation::read(&text), Ok(message));
        assert_eq!(Confirmation::read(r#"{"batches":["a"]}"#), Ok(asked(0)));
        for (text, why) in [
            ("no JSON", "it is no JSON object"),
            (r#"[["a"], 3]"#, "it is no JSON object"),
            ("{", "EOF"),
            ("{}", "missing field `batches`"),
            (r#"{"batches": "a"}"#, "invalid type"),
            (r#"{"batches": [], "asked": -1}"#, "invalid value"),
        ] {
            let error = Confirmation::read(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
