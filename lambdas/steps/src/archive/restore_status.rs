//! Polls S3 for the state of objects that are being restored, with few calls: listings where keys lie close together,
//! and `HeadObject` for the rest.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{
    ArchiveKind, Event, Facts, FailureCode, Look, Missing, ObjectId, PublishWhen, Readability, Row, State, look,
};

use crate::StepError;
use crate::archive::listing_lookup::look_up;
use crate::ports::{IN_FLIGHT, Listed, ListedRestore, ReadArchive};

/// Seconds until the next look at these rows may find something new; 0 if one of them can be published now.
pub fn seconds_until_next_look<'a>(
    rows: impl Iterator<Item = &'a Row> + Clone,
    others_on_their_way: bool,
    now: Timestamp,
) -> u64 {
    let wait = |row: &Row| match &row.state {
        State::Restoring { since, tier, .. } => Some(match row.kind.map(|kind| look(kind, *tier, *since, now)) {
            Some(Look::NotYet { seconds }) => seconds,
            Some(Look::Due { again, .. }) => again,
            Some(Look::Last) | None => 0,
        }),
        State::Restored { .. } if row.is_to_publish(others_on_their_way, now) => Some(0),
        // The object waits for the others of its restore or for a neighbour, but not for longer than its copy lives.
        State::Restored { .. } if !row.publish.never() => {
            row.held(now).into_iter().chain(row.waits_until()).min().map(|until| seconds_from(now, until))
        }
        State::Planned
        | State::Available
        | State::Restored { .. }
        | State::Published { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => None,
    };
    let seconds = rows.clone().filter_map(wait).min();
    // Events make objects readable between looks, and a copy must not expire while it waits for the others.
    let together = rows.into_iter().any(|row| row.publish.when == PublishWhen::Together && !row.is_settled());
    if together { seconds.unwrap_or(TOGETHER).min(TOGETHER) } else { seconds.unwrap_or(0) }
}

/// The most seconds between two looks if objects wait for each other: half of what a copy has left when it stops
/// waiting.
const TOGETHER: u64 = 6 * 3_600;

fn seconds_from(now: Timestamp, until: Timestamp) -> u64 {
    u64::try_from(until.as_second() - now.as_second()).unwrap_or(0)
}

/// The whole second that is this many seconds away. A wait of so many seconds never ends before it.
pub fn after(now: Timestamp, seconds: u64) -> Timestamp {
    let second = now.as_second().saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// The result of a look at one row.
pub struct Polled {
    /// The row before the look.
    pub row: Row,
    /// What happened to it; `None` if S3 is still fetching it.
    pub event: Option<Event>,
}

/// The restore status of objects in listings; `None` if the listings do not show it.
pub type ListedStatuses = BTreeMap<ObjectId, Option<ListedRestore>>;

/// The restore status of these rows' objects in listings, where they lie close together.
pub async fn listed(rows: impl Iterator<Item = &Row>, archive: &impl ReadArchive) -> Result<ListedStatuses, StepError> {
    let objects = rows.filter(|row| is_listable(row)).map(|row| row.object.clone()).collect();
    let (known, unknown) = look_up(objects, |object| object, |_, listed| listed.restore, archive).await?;
    let known = known.into_iter().map(|(object, restore)| (object, Some(restore)));
    Ok(known.chain(unknown.into_iter().map(|object| (object, None))).collect())
}

/// Whether S3 still fetches a row's object, according to a listing, and there is nothing to record.
pub fn is_still_fetched(row: &Row, listing: &ListedStatuses, now: Timestamp) -> bool {
    let status = listing.get(&row.object).copied().flatten();
    status.is_some_and(|restore| event_of(row, restore, now) == Some(None))
}

/// Looks at all rows that are due, and at those that wait for others, because their copies may have been shortened.
/// Objects whose status `listing` has are not asked about again.
pub async fn look_at(
    rows: Vec<Row>,
    listing: &ListedStatuses,
    others_on_their_way: bool,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Vec<Polled>, StepError> {
    let (mut seen, mut listable, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let is_of_interest = is_due(&row, now) || row.is_held_back(others_on_their_way, now);
        let is_waited_for = is_of_interest || matches!(row.state, State::Restoring { .. });
        match listing.get(&row.object).map(|status| status.and_then(|restore| event_of(&row, restore, now))) {
            // A status that is known counts before the row is due, too.
            Some(Some(event)) if is_waited_for => seen.push(Polled { row, event }),
            None if is_of_interest && is_listable(&row) => listable.push(row),
            Some(_) | None if is_of_interest => rest.push(row),
            Some(_) | None => {}
        }
    }
    let what = |row: &Row, listed: &Listed| event_of(row, listed.restore?, now);
    let (listed, unknown) = look_up(listable, |row| &row.object, what, archive).await?;
    seen.extend(listed.into_iter().map(|(row, event)| Polled { row, event }));
    rest.extend(unknown);
    let headed: Vec<Polled> = stream::iter(rest)
        .map(|row| async {
            let facts = archive.head(&row.object).await?;
            let event = readiness(&row, &facts, now);
            Ok::<_, StepError>(Polled { row, event })
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    seen.extend(headed);
    Ok(seen)
}

fn is_due(row: &Row, now: Timestamp) -> bool {
    let State::Restoring { since, tier, .. } = &row.state else { return false };
    match row.kind.map(|kind| look(kind, *tier, *since, now)) {
        Some(Look::NotYet { .. }) => false,
        Some(Look::Due { .. } | Look::Last) | None => true,
    }
}

/// No listing shows the access tiers of Intelligent-Tiering.
fn is_listable(row: &Row) -> bool {
    row.kind.is_some_and(ArchiveKind::has_copy)
}

/// What a listing's restore status means for a row: `None` if it says too little, `Some(None)` if S3 is still fetching,
/// else the event.
#[expect(clippy::option_option, reason = "too little is known, nothing happened, or this happened")]
fn event_of(row: &Row, restore: ListedRestore, now: Timestamp) -> Option<Option<Event>> {
    match restore {
        ListedRestore::Copy(expires) if expires > now => {
            Some(Some(Event::Readable { at: now, expires: Some(expires) }))
        }
        ListedRestore::Ongoing => Some(still_fetching(row, now)),
        ListedRestore::Copy(_) => None,
    }
}

/// What S3's description of an object means for a row that is being restored.
pub fn meaning(row: &Row, facts: &Facts, now: Timestamp) -> Option<Event> {
    let fail = |code, message: &str| Some(Event::Failed { at: now, code, message: message.to_owned() });
    match facts {
        Facts::Found(head) => match head.readability(now) {
            Ok(Readability::Readable) => Some(Event::Readable { at: now, expires: None }),
            Ok(Readability::Copy { expires, .. }) => Some(Event::Readable { at: now, expires: Some(expires) }),
            Ok(Readability::Restoring(_)) => still_fetching(row, now),
            Ok(Readability::Archived(_)) => fail(
                FailureCode::NotBeingRestored,
                "S3 no longer restores it: it was overwritten or archived again, or its copy expired before it was published",
            ),
            Err(unreadable) => fail(FailureCode::Unreadable, &unreadable.to_string()),
        },
        Facts::Missing(missing) => match missing {
            Missing::Key => fail(FailureCode::NoSuchKey, "it was deleted while it was being restored"),
            Missing::Version => fail(FailureCode::NoSuchVersion, "its version was deleted while it was being restored"),
            Missing::DeleteMarker => fail(FailureCode::DeleteMarker, "it was deleted while it was being restored"),
            Missing::Denied => {
                fail(FailureCode::AccessDenied, "S3 answers 403: thaw may no longer read it, or it is gone")
            }
            Missing::Refused { .. } | Missing::Unreadable { .. } => {
                missing.undescribed().map(|(code, message)| Event::Failed { at: now, code, message })
            }
        },
    }
}

fn still_fetching(row: &Row, now: Timestamp) -> Option<Event> {
    let State::Restoring { since, tier, .. } = &row.state else { return None };
    match row.kind.map(|kind| look(kind, *tier, *since, now)) {
        Some(Look::Last) | None => {
            let message = format!(
                "S3 has not restored it since {since:.0}; thaw stopped looking, and will still publish it when S3 says that it is done"
            );
            Some(Event::Failed { at: now, code: FailureCode::RetrievalTimedOut, message })
        }
        Some(Look::NotYet { .. } | Look::Due { .. }) => None,
    }
}

/// What S3's description means for a row that is looked at. If a copy that waits for others cannot be read any more,
/// the reason is found when it is published.
fn readiness(row: &Row, facts: &Facts, now: Timestamp) -> Option<Event> {
    let was_readable = matches!(row.state, State::Restored { .. });
    meaning(row, facts, now).filter(|event| !was_readable || matches!(event, Event::Readable { .. }))
}

#[cfg(test)]
mod tests;
