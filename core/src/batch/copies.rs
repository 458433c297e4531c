//! Finds the rows of an object that wait for the same copy. A publication for one of these rows counts for all of them.

use crate::{Decision, Row, State};

/// The rows of the object in other restores that are about the same copy as `row`. The relation is transitive: if a
/// third restore kept the copy of the first alive for the second, all three are about the same copy.
pub fn of_the_same_copy<'a>(row: &Row, rows: &'a [Row]) -> Vec<&'a Row> {
    let mut rest: Vec<&'a Row> = rows.iter().filter(|other| other.restore != row.restore).collect();
    let (mut found, mut open) = (Vec::new(), vec![row]);
    while let Some(next) = open.pop() {
        let (same, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|other| same_copy(next, other));
        rest = others;
        found.extend(&same);
        open.extend(same);
    }
    found
}

/// Whether `other` is directly about the copy that `row` waits for.
fn same_copy(row: &Row, other: &Row) -> bool {
    let (readable, expires) = match &other.state {
        State::Restored { at: readable, expires, .. } | State::Published { readable, expires, .. } => {
            (*readable, *expires)
        }
        State::Planned
        | State::Available
        | State::Restoring { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => {
            return false;
        }
    };
    // It is the same copy if it became readable while this row waited, or if it was live when this row was planned and
    // S3 only extended it. If S3 received the request after the copy expired, it made a new copy. And a row whose events
    // were lost may have waited through a whole copy for the next one.
    let since = match &row.state {
        State::Restored { at: readable, .. } | State::Published { readable, .. } => *readable,
        State::Planned
        | State::Available
        | State::Restoring { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => row.planned_at,
    };
    match row.decision {
        // Somebody asks by hand. What was invalidated before may have been cached again since, with other content.
        Decision::Publish => return false,
        Decision::Restore | Decision::Extend | Decision::Join | Decision::Watch | Decision::Nothing => {}
    }
    readable >= row.planned_at && expires.is_none_or(|expires| expires > since)
        || match row.decision {
            Decision::Extend => expires.is_some_and(|expires| expires > since),
            // The row watches a copy that was live when it was planned.
            Decision::Watch => {
                matches!(&row.state, State::Restored { at, .. } if *at == row.planned_at)
                    && expires.is_some_and(|expires| expires > row.planned_at)
            }
            Decision::Restore | Decision::Join | Decision::Publish | Decision::Nothing => false,
        }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{ObjectId, PublishedReason, RestoreId};

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    /// A row of the same object that was planned at ten.
    pub fn row(decision: Decision, state: State) -> Row {
        Row {
            object: ObjectId { bucket: "archive".to_owned(), key: "a".to_owned(), version: None },
            restore: RestoreId::try_from("r".to_owned()).unwrap(),
            size: 1,
            kind: None,
            decision,
            publish: crate::Publish::default(),
            current: true,
            planned_at: now(),
            place: None,
            held_until: None,
            state,
            revision: 0,
        }
    }

    /// A state that is readable from `at` until `until`.
    pub fn restored(at: &str, until: &str) -> State {
        State::Restored { at: at.parse().unwrap(), expires: Some(until.parse().unwrap()), claim: None }
    }

    const NINE: &str = "2026-11-22T09:00:00Z";
    pub const TEN: &str = "2026-11-22T10:00:00Z";
    pub const ELEVEN: &str = "2026-11-22T11:00:00Z";

    #[test]
    fn a_copy_that_became_readable_while_a_row_waited_is_its_copy() {
        let waiting = row(Decision::Restore, State::Planned);
        let [nine, ten, eleven] = [NINE, TEN, ELEVEN].map(|at| at.parse().unwrap());
        // A restore was cancelled before CloudFront completed the invalidation, so `at` is much later than `readable`.
        let published =
            |readable| State::Published { at: eleven, readable, expires: None, how: PublishedReason::NoPath };
        for (other, same) in [
            (published(nine), false),
            (published(ten), true),
            (restored(TEN, ELEVEN), true),
            (restored(ELEVEN, ELEVEN), true),
            (restored(NINE, ELEVEN), false),
            (State::Planned, false),
            (State::Cancelled { at: ELEVEN.parse().unwrap() }, false),
        ] {
            assert_eq!(same_copy(&waiting, &row(Decision::Restore, other.clone())), same, "{other:?}");
        }
        // It learned of a copy when the other one had expired.
        let late = row(Decision::Restore, restored(ELEVEN, "2026-11-22T12:00:00Z"));
        for (other, same) in [(restored(TEN, ELEVEN), false), (restored(TEN, "2026-11-22T11:00:01Z"), true)] {
            assert_eq!(same_copy(&late, &row(Decision::Restore, other.clone())), same, "{other:?}");
        }
    }

    #[test]
    fn a_copy_that_was_live_at_planning_is_the_same_for_rows_that_extend_or_watch_it() {
        let live = row(Decision::Restore, restored(NINE, ELEVEN));
        let gone = row(Decision::Restore, restored(NINE, TEN));
        let watching_it = row(Decision::Watch, restored(TEN, ELEVEN));
        for (waiting, same) in [
            (row(Decision::Extend, State::Planned), true),
            (watching_it, true),
            (row(Decision::Extend, restored(TEN, ELEVEN)), true),
            // S3 received the request after the copy expired, and made another.
            (row(Decision::Extend, restored(ELEVEN, ELEVEN)), false),
            // It watched a restore that was still running.
            (row(Decision::Watch, restored(ELEVEN, ELEVEN)), false),
            (row(Decision::Join, State::Planned), false),
            (row(Decision::Publish, restored(TEN, ELEVEN)), false),
        ] {
            assert_eq!(same_copy(&waiting, &live), same, "{waiting:?}");
            assert!(!same_copy(&waiting, &gone), "{waiting:?}");
        }
    }

    #[test]
    fn rows_of_the_same_copy_are_found_transitively_and_each_once() {
        let of = |restore: &str, decision, planned_at: &str, readable: &str, until: &str| Row {
            restore: RestoreId::try_from(restore.to_owned()).unwrap(),
            planned_at: planned_at.parse().unwrap(),
            ..row(decision, restored(readable, until))
        };
        const TWELVE: &str = "2026-11-22T12:00:00Z";
        let rows = [
            of("before", Decision::Restore, "2026-11-20T00:00:00Z", "2026-11-20T05:00:00Z", "2026-11-22T00:00:00Z"),
            of("first", Decision::Restore, "2026-11-22T08:00:00Z", NINE, ELEVEN),
            of("second", Decision::Extend, TEN, TEN, TWELVE),
            of("third", Decision::Extend, "2026-11-22T11:30:00Z", "2026-11-22T11:30:00Z", "2026-11-23T00:00:00Z"),
        ];
        let found = |row: &Row| -> Vec<String> {
            of_the_same_copy(row, &rows).into_iter().map(|other| other.restore.to_string()).collect()
        };
        // Without the second restore, the copy of the first would have expired by then.
        assert!(!same_copy(&rows[3], &rows[1]));
        assert_eq!(found(&rows[3]), ["second", "first"]);
        assert_eq!(found(&rows[1]), ["second", "third"]);
    }
}
