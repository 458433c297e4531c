//! Looks: what S3 says of objects that are being restored, with as few calls as it takes.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{
    ArchiveKind, Event, Facts, FailureCode, Look, Missing, ObjectId, PublishWhen, Readability, Row, State, look,
};

use crate::StepError;
use crate::archive::listing_lookup::look_up;
use crate::ports::{IN_FLIGHT, Listed, ListedRestore, ReadArchive};

/// When the next look at these rows makes sense, in seconds; 0 if one of them can be published now.
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
        // It waits for others, but not for longer than its copy lives.
        State::Restored { .. } if !row.publish.never() => row.waits_until().map(|until| seconds_from(now, until)),
        State::Planned
        | State::Available
        | State::Restored { .. }
        | State::Published { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => None,
    };
    let seconds = rows.clone().filter_map(wait).min();
    // An event may look_up of a copy at any time, and it must not expire while it waits for the others.
    let together = rows.into_iter().any(|row| row.publish.when == PublishWhen::Together && !row.is_settled());
    if together { seconds.unwrap_or(TOGETHER).min(TOGETHER) } else { seconds.unwrap_or(0) }
}

/// Seconds between looks at most where objects wait for each other: half of what a copy has left when it stops waiting.
const TOGETHER: u64 = 6 * 3_600;

fn seconds_from(now: Timestamp, until: Timestamp) -> u64 {
    u64::try_from(until.as_second() - now.as_second()).unwrap_or(0)
}

/// The whole second that is so many seconds away: whoever waits so long is there, and not a moment too early.
pub fn after(now: Timestamp, seconds: u64) -> Timestamp {
    let second = now.as_second().saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// What a look learned: the row and what happened to it.
pub struct Polled {
    /// The row as it was.
    pub row: Row,
    /// What S3 said; `None` if it is still fetching.
    pub event: Option<Event>,
}

/// What listings told of objects; of some, nothing.
pub type ListedStatuses = BTreeMap<ObjectId, Option<ListedRestore>>;

/// What listings look_up of these rows' objects, where they lie close together.
pub async fn listed(rows: impl Iterator<Item = &Row>, archive: &impl ReadArchive) -> Result<ListedStatuses, StepError> {
    let objects = rows.filter(|row| is_listable(row)).map(|row| row.object.clone()).collect();
    let (told, unknown) = look_up(objects, |object| object, |_, listed| listed.restore, archive).await?;
    let told = told.into_iter().map(|(object, restore)| (object, Some(restore)));
    Ok(told.chain(unknown.into_iter().map(|object| (object, None))).collect())
}

/// Whether S3 still fetches a row's object, as it was told, and nothing else is to be said of it.
pub fn is_still_fetched(row: &Row, told: &ListedStatuses, now: Timestamp) -> bool {
    let told = told.get(&row.object).copied().flatten();
    told.is_some_and(|restore| said(row, restore, now) == Some(None))
}

/// Looks at all rows whose time has come, and at those that wait for others: their copies may live shorter by now. What was
/// `told` of some just now is not asked again.
pub async fn look_at(
    rows: Vec<Row>,
    told: &ListedStatuses,
    others_on_their_way: bool,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Vec<Polled>, StepError> {
    let (mut seen, mut listable, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let is_of_interest = is_due(&row, now) || row.is_held_back(others_on_their_way, now);
        let is_waited_for = is_of_interest || matches!(row.state, State::Restoring { .. });
        match told.get(&row.object).map(|told| told.and_then(|restore| said(&row, restore, now))) {
            // Also of what is not due: it is known now.
            Some(Some(event)) if is_waited_for => seen.push(Polled { row, event }),
            None if is_of_interest && is_listable(&row) => listable.push(row),
            Some(_) | None if is_of_interest => rest.push(row),
            Some(_) | None => {}
        }
    }
    let what = |row: &Row, listed: &Listed| said(row, listed.restore?, now);
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

/// No listing shows Intelligent-Tiering access tiers.
fn is_listable(row: &Row) -> bool {
    row.kind.is_some_and(ArchiveKind::has_copy)
}

/// What a listing says of a row: `None` if it does not say enough, else the event or that S3 is still fetching.
#[expect(clippy::option_option, reason = "not told, told that nothing happened, told what happened")]
fn said(row: &Row, restore: ListedRestore, now: Timestamp) -> Option<Option<Event>> {
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

/// What S3's description means for a row that is looked at. Why one that waits for others can no longer be read is found
/// out when it is published.
fn readiness(row: &Row, facts: &Facts, now: Timestamp) -> Option<Event> {
    let was_readable = matches!(row.state, State::Restored { .. });
    meaning(row, facts, now).filter(|event| !was_readable || matches!(event, Event::Readable { .. }))
}

#[cfg(test)]
mod tests;
