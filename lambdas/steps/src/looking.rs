//! Looks: what S3 says of objects that are being restored, with as few calls as it takes.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{ArchiveKind, Event, Facts, FailureCode, Look, Missing, Reach, Row, State, look};

use crate::ports::{Listed, ListedRestore, ReadArchive};
use crate::{IN_FLIGHT, StepError};

/// A listing costs as much as 12.5 `HeadObject` calls ($0.005 against $0.0004 per 1,000), so a page pays off when it
/// answers for more objects than that.
const OBJECTS_PER_PAGE_THAT_PAY: usize = 13;

/// When the next look at these rows makes sense, in seconds; 0 if one of them can be published now.
pub fn seconds_until_next_look(rows: &[Row], now: Timestamp) -> u64 {
    let wait = |row: &Row| match &row.state {
        State::Restoring { since, tier, .. } => Some(match row.kind.map(|kind| look(kind, *tier, *since, now)) {
            Some(Look::NotYet { seconds }) => seconds,
            Some(Look::Due { again, .. }) => again,
            Some(Look::Last) | None => 0,
        }),
        State::Restored { .. } if row.is_to_publish(rows) => Some(0),
        State::Planned
        | State::Available
        | State::Restored { .. }
        | State::Published { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => None,
    };
    rows.iter().filter_map(wait).min().unwrap_or(0)
}

/// What a look learned: the row and what happened to it.
pub struct Seen {
    /// The row as it was.
    pub row: Row,
    /// What S3 said; `None` if it is still fetching.
    pub event: Option<Event>,
}

/// Looks at all rows whose time has come.
pub async fn look_at(rows: Vec<Row>, archive: &impl ReadArchive, now: Timestamp) -> Result<Vec<Seen>, StepError> {
    let mut due: Vec<Row> = rows.into_iter().filter(|row| is_due(row, now)).collect();
    due.sort_by(|a, b| a.object.cmp(&b.object));
    let (listable, mut rest): (Vec<_>, Vec<_>) = due.into_iter().partition(is_listable);
    let mut seen = Vec::new();
    for (bucket, rows) in by_bucket(listable) {
        let (found, unknown) = list(&bucket, rows, archive, now).await?;
        seen.extend(found);
        rest.extend(unknown);
    }
    let headed: Vec<Seen> = stream::iter(rest)
        .map(|row| async {
            let facts = archive.head(&row.object).await?;
            let event = meaning(&row, &facts, now);
            Ok::<_, StepError>(Seen { row, event })
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    seen.extend(headed);
    Ok(seen)
}

fn is_due(row: &Row, now: Timestamp) -> bool {
    match (&row.state, row.kind) {
        (State::Restoring { since, tier, .. }, Some(kind)) => match look(kind, *tier, *since, now) {
            Look::NotYet { .. } => false,
            Look::Due { .. } | Look::Last => true,
        },
        (State::Restoring { .. }, None) => true,
        _ => false,
    }
}

/// A listing shows current versions only, without their ids, and no Intelligent-Tiering access tiers.
fn is_listable(row: &Row) -> bool {
    row.object.version.is_none() && row.kind.is_some_and(ArchiveKind::has_copy)
}

fn by_bucket(rows: Vec<Row>) -> BTreeMap<String, Vec<Row>> {
    let mut buckets: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        buckets.entry(row.object.bucket.clone()).or_default().push(row);
    }
    buckets
}

/// Lists where keys are dense. Answers what the listing told, and the rows it did not tell enough about.
///
/// One page is tried at the first key; while pages answer for enough objects to pay, the listing goes on.
async fn list(
    bucket: &str,
    rows: Vec<Row>,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<(Vec<Seen>, Vec<Row>), StepError> {
    if rows.len() < OBJECTS_PER_PAGE_THAT_PAY {
        return Ok((Vec::new(), rows));
    }
    let prefix = common_prefix(&rows);
    let (mut seen, mut unknown) = (Vec::new(), Vec::new());
    let mut rows = rows.into_iter().peekable();
    let mut after = String::new();
    while let Some(first) = rows.peek() {
        // S3 lists keys after a key; the key before ours is ours without its last character, or something smaller.
        let mut before = first.object.key.clone();
        before.pop();
        if before > after {
            after = before;
        }
        let page = archive.list(bucket, &prefix, &after).await?;
        let last = page.objects.last().map(|listed| listed.key.clone());
        let listed: BTreeMap<&str, &Listed> = page.objects.iter().map(|listed| (listed.key.as_str(), listed)).collect();
        let mut answered = 0;
        while let Some(row) =
            rows.next_if(|row| !page.more || last.as_ref().is_some_and(|last| row.object.key <= *last))
        {
            match listed.get(row.object.key.as_str()).and_then(|listed| said(&row, listed, now)) {
                Some(event) => {
                    answered += 1;
                    seen.push(Seen { row, event });
                }
                None => unknown.push(row),
            }
        }
        match last {
            Some(last) if page.more && answered >= OBJECTS_PER_PAGE_THAT_PAY => after = last,
            _ => break,
        }
    }
    unknown.extend(rows);
    Ok((seen, unknown))
}

fn common_prefix(rows: &[Row]) -> String {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return String::new() };
    let pairs = first.object.key.chars().zip(last.object.key.chars());
    pairs.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

/// What a listing says of a row: `None` if it does not say enough, else the event or that S3 is still fetching.
#[expect(clippy::option_option, reason = "not told, told that nothing happened, told what happened")]
fn said(row: &Row, listed: &Listed, now: Timestamp) -> Option<Option<Event>> {
    match listed.restore? {
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
        Facts::Found(head) => match head.reach(now) {
            Ok(Reach::Readable) => Some(Event::Readable { at: now, expires: None }),
            Ok(Reach::Copy { expires, .. }) => Some(Event::Readable { at: now, expires: Some(expires) }),
            Ok(Reach::Restoring(_)) => still_fetching(row, now),
            Ok(Reach::Archived(_)) => fail(
                FailureCode::NotBeingRestored,
                "S3 no longer restores it: it was overwritten or archived again, or its copy expired before it was published",
            ),
            Err(unreadable) => fail(FailureCode::Unreadable, &unreadable.to_string()),
        },
        Facts::Missing(Missing::Key) => fail(FailureCode::NoSuchKey, "it was deleted while it was being restored"),
        Facts::Missing(Missing::Version) => {
            fail(FailureCode::NoSuchVersion, "its version was deleted while it was being restored")
        }
        Facts::Missing(Missing::DeleteMarker) => {
            fail(FailureCode::DeleteMarker, "it was deleted while it was being restored")
        }
        Facts::Missing(Missing::Denied) => {
            fail(FailureCode::AccessDenied, "S3 answers 403: thaw may no longer read it, or it is gone")
        }
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
