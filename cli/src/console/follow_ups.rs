//! Restores of another restore's objects: which of them there can be, and the changes that they ask for.

use serde_json::{Map, Value, json};
use thaw_core::{Status, Tier};

use crate::answers::Restore;
use crate::commands::follow_up::FollowUp;
use crate::error::Error;

/// What of a restore can be asked for again. The API decides; this only leaves out what it would refuse.
pub fn possible(restore: &Restore) -> Vec<FollowUp> {
    let counts = restore.counts;
    let has_ended = restore.status != Status::Running;
    let mut possible = Vec::new();
    if has_ended && restore.problem.is_none() && counts.failed + counts.cancelled > 0 {
        possible.push(FollowUp::Retry);
    }
    if counts.restoring > 0 && restore.tier != Tier::Expedited {
        possible.push(FollowUp::Expedite);
    }
    if counts.published + counts.restored > 0 {
        possible.push(FollowUp::Extend);
    }
    possible
}

/// The follow-up with this word of a route.
pub fn named(call: &str) -> Option<FollowUp> {
    [FollowUp::Retry, FollowUp::Expedite, FollowUp::Extend].into_iter().find(|follow_up| follow_up.call() == call)
}

/// What it asks for otherwise than the other restore did.
pub fn changes(follow_up: FollowUp, days: Option<&str>) -> Result<Map<String, Value>, Error> {
    match follow_up {
        FollowUp::Retry => Ok(Map::new()),
        FollowUp::Expedite => Ok(Map::from_iter([("tier".to_owned(), json!(Tier::Expedited))])),
        FollowUp::Extend => {
            let days = days.unwrap_or_default();
            let number = days.trim().parse::<u32>();
            let number =
                number.map_err(|_| Error::Usage(format!("Days is {days:?}. Write a number of days, such as 30.")))?;
            Ok(Map::from_iter([("days".to_owned(), json!(number))]))
        }
    }
}
