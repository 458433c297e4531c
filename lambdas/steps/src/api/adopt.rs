//! `POST /v1/adoptions`: finds objects that S3 restores, or has copies of, without thaw knowing, and follows them.
//!
//! If the ledger, the stack, an event or an execution was lost, S3 still knows what it restores. Such objects are found
//! by a listing, and followed and published like restores that another tool began. So nothing that was paid for is
//! lost.

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use thaw_core::{
    Adoption, Facts, MAX_KEYS, Missing, ObjectId, Problem, Readability, RestoreId, Row, State, Status, hash,
};
use tracing::info;

use crate::api::http::{self, Response};
use crate::planning::accepting::{join_only, start};
use crate::ports::{IN_FLIGHT, Ledger, ListFrom, Listed, ListedRestore, ReadArchive, StartExecutions, WorkFiles};
use crate::{Settings, StepError};

/// Pages of a thousand keys in one call. An HTTP API waits 30 seconds.
const PAGES: usize = 20;

/// No page is begun after so many requests about single objects to S3 and the ledger. A page needs at most three for
/// each object, so a call sends at most 6,000. With the function's share of a CPU that takes half of the time that it
/// has.
const QUESTIONS: usize = 3_000;

/// Ids that are tried for restores of the same objects on the same day. Earlier ones may have ended without taking care
/// of the objects.
const TRIES: usize = 100;

/// Adopts restores that thaw does not know. Idempotent: a second call knows what the first one adopted.
pub async fn run(
    request: &http::Request,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    settings: &Settings,
    now: Timestamp,
) -> Response {
    adopt(request, archive, ledger, files, executions, settings, now).await.into()
}

async fn adopt(
    request: &http::Request,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    settings: &Settings,
    now: Timestamp,
) -> Result<Response, StepError> {
    let asked = Adoption::read(&request.body_bytes()?)?;
    if !settings.archive_buckets.contains(&asked.bucket) {
        return Err(Problem::foreign_bucket(&asked.bucket, &settings.archive_buckets).into());
    }
    let search = search(&asked, archive, ledger, now).await?;
    let mut restores = Vec::new();
    for objects in search.unknown.chunks(MAX_KEYS) {
        let id = take_on(&asked.bucket, objects, ledger, files, executions, now).await?;
        restores.push(AdoptedRestore { href: format!("/v1/restores/{id}"), id, objects: objects.len() as u64 });
    }
    Ok(Response::json(200, &AdoptionView::of(asked, search, restores)))
}

/// The result of one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdoptionView {
    /// The bucket that was searched.
    pub bucket: String,
    /// The prefix of the keys.
    pub prefix: String,
    /// Keys that were searched.
    pub looked_at: u64,
    /// Objects that are being restored, or have a copy, and that thaw takes care of already.
    pub known: u64,
    /// Objects that are being restored, or have a copy, and that thaw did not know: it takes care of them now.
    pub adopted: u64,
    /// The restores that take care of those.
    pub restores: Vec<AdoptedRestore>,
    /// A summary in words.
    pub says: String,
    /// The cursor of the next call, if not all keys were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A restore that takes care of adopted objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AdoptedRestore {
    /// Its id.
    pub id: RestoreId,
    /// How many objects it has.
    pub objects: u64,
    /// Its address.
    pub href: String,
}

impl AdoptionView {
    fn of(asked: Adoption, search: Search, restores: Vec<AdoptedRestore>) -> Self {
        let Search { looked_at, known, unknown, next_cursor } = search;
        let adopted = unknown.len() as u64;
        let mut says = format!("Of {looked_at} objects: {adopted} adopted, {known} that thaw takes care of already.");
        if next_cursor.is_some() {
            says.push_str(" There are more: ask again, with this next_cursor as cursor.");
        }
        info!(looked_at, known, adopted, "adoption in s3://{}/{}: {says}", asked.bucket, asked.prefix);
        Self { bucket: asked.bucket, prefix: asked.prefix, looked_at, known, adopted, restores, says, next_cursor }
    }
}

/// The result of a search.
#[derive(Default)]
struct Search {
    looked_at: u64,
    known: u64,
    /// In the order of keys.
    unknown: Vec<ObjectId>,
    next_cursor: Option<String>,
}

async fn search(
    asked: &Adoption,
    archive: &impl ReadArchive,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<Search, StepError> {
    let mut search = Search::default();
    let mut after = asked.cursor.clone().unwrap_or_default();
    let mut questions = 0;
    let (mut from, mut pages) = (ListFrom::after(after.clone()), 0);
    while pages < PAGES {
        let page = archive.list(&asked.bucket, &asked.prefix, &from).await?;
        // The cursor is a key, so a call does not end with a page that has none.
        pages += usize::from(!page.objects.is_empty());
        search.looked_at += page.objects.len() as u64;
        if let Some(last) = page.objects.last() {
            after.clone_from(&last.key);
        }
        let likely: Vec<Listed> = page.objects.into_iter().filter(|listed| is_likely(listed, now)).collect();
        questions += likely.len();
        let found = look_at(&asked.bucket, likely, archive, now).await?;
        questions += 2 * found.len();
        for (object, known) in with_care(found, ledger).await? {
            if known {
                search.known += 1;
            } else {
                search.unknown.push(object);
            }
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(search),
        }
        if questions >= QUESTIONS {
            break;
        }
    }
    search.next_cursor = Some(after);
    Ok(search)
}

/// Whether an object in a listing may be in restoration or have a copy.
///
/// S3 leaves `RestoreStatus` out for objects that are not being restored and have no copy (API Reference,
/// "RestoreStatus"). But a listing does not show the access tiers of Intelligent-Tiering, and the reference does not
/// say whether it shows their restores.
fn is_likely(listed: &Listed, now: Timestamp) -> bool {
    match listed.restore {
        Some(ListedRestore::Ongoing) => true,
        Some(ListedRestore::Copy(expires)) => expires > now,
        None => listed.storage_class == "INTELLIGENT_TIERING",
    }
}

/// An object, and whether S3 restores it or has a copy.
type Found = (ObjectId, ListedRestore);

/// Asks S3 about likely objects. Answers those that are being restored or have a copy, with their versions: the listing
/// does not show versions, and the ledger needs them.
async fn look_at(
    bucket: &str,
    likely: Vec<Listed>,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Vec<Found>, StepError> {
    stream::iter(likely)
        .map(|listed| async move {
            let mut object = ObjectId { bucket: bucket.to_owned(), key: listed.key, version: None };
            let restore = match archive.head(&object).await? {
                Facts::Found(head) => {
                    object.version.clone_from(&head.version);
                    match head.readability(now) {
                        Ok(Readability::Restoring(_)) => Some(ListedRestore::Ongoing),
                        Ok(Readability::Copy { expires, .. }) => Some(ListedRestore::Copy(expires)),
                        Ok(Readability::Readable | Readability::Archived(_)) => None,
                        // The restore will report the problem in words.
                        Err(_) => listed.restore,
                    }
                }
                // The restore will report the problem in words.
                Facts::Missing(Missing::Denied | Missing::Refused { .. } | Missing::Unreadable { .. }) => {
                    listed.restore
                }
                Facts::Missing(Missing::Key | Missing::Version | Missing::DeleteMarker) => None,
            };
            Ok::<_, StepError>(restore.map(|restore| (object, restore)))
        })
        .buffered(IN_FLIGHT)
        .try_filter_map(|found| async { Ok(found) })
        .try_collect()
        .await
}

/// For each object, whether thaw takes care of it already.
async fn with_care(found: Vec<Found>, ledger: &impl Ledger) -> Result<Vec<(ObjectId, bool)>, StepError> {
    let with_rows: Vec<(Found, Vec<Row>)> = stream::iter(found)
        .map(|found| async {
            let rows = crate::ledger::rows::rows_of(&found.0, ledger).await?;
            Ok::<_, StepError>((found, rows))
        })
        .buffered(IN_FLIGHT)
        .try_collect()
        .await?;
    let waiting = with_rows.iter().flat_map(|(_, rows)| rows).filter(|row| !row.is_settled());
    let statuses = crate::ledger::restores::statuses(waiting.map(|row| &row.restore), ledger).await?;
    let runs = |row: &Row| statuses.get(&row.restore) == Some(&Status::Running);
    let answer = |(found, rows): &(Found, Vec<Row>)| {
        let (object, restore) = found;
        let known = rows.iter().any(|row| takes_care(row, runs(row), *restore));
        (object.clone(), known)
    };
    Ok(with_rows.iter().map(answer).collect())
}

/// Whether a row takes care of what S3 has or does for its object now: its restore runs and waits for the object, or it
/// has published this very copy, or it never publishes.
///
/// Failed and cancelled objects are adopted again: S3 continues anyway, and that is what an adoption is for. So are
/// objects of a restore that ended before they came.
fn takes_care(row: &Row, restore_runs: bool, now: ListedRestore) -> bool {
    let this_copy = |expires: Option<Timestamp>| match now {
        ListedRestore::Copy(until) => expires == Some(until),
        ListedRestore::Ongoing => false,
    };
    match row.state {
        State::Planned | State::Restoring { .. } => restore_runs,
        State::Restored { expires, .. } => restore_runs || (row.publish.never() && this_copy(expires)),
        State::Published { expires, .. } => this_copy(expires),
        State::Available | State::Failed { .. } | State::Cancelled { .. } => false,
    }
}

/// Starts a restore that follows these objects, or finds the running one of an equal call.
async fn take_on(
    bucket: &str,
    objects: &[ObjectId],
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    now: Timestamp,
) -> Result<RestoreId, StepError> {
    let request = join_only(bucket, objects);
    for tried in 0..TRIES {
        let id = RestoreId::new(now, &request, &hash(&["adoption", &request.hash(), &tried.to_string()]));
        // A restore that has ended takes care of nothing. Otherwise the ledger would know its objects.
        if start(&id, &request, now, ledger, files, executions).await?
            || crate::ledger::restores::record(ledger, &id).await?.status == Status::Running
        {
            return Ok(id);
        }
    }
    Err(StepError::Unexpected(format!("{TRIES} adoptions of the same {} objects have ended today", objects.len())))
}

#[cfg(test)]
mod tests {
    use thaw_core::{FailureCode, Publish, PublishWhen, PublishedReason};

    use super::*;
    use crate::testing::stack::{Stack, done, now, restored, restoring, row};

    fn listed(class: &str, restore: Option<ListedRestore>) -> Listed {
        Listed {
            key: "a".to_owned(),
            version: None,
            storage_class: class.to_owned(),
            size: 1,
            modified: now(),
            restore,
        }
    }

    fn later() -> Timestamp {
        now() + std::time::Duration::from_secs(1)
    }

    #[test]
    fn a_listing_rules_out_most() {
        for class in ["GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING"] {
            assert!(is_likely(&listed(class, Some(ListedRestore::Ongoing)), now()), "{class}");
            assert!(is_likely(&listed(class, Some(ListedRestore::Copy(later()))), now()), "{class}");
            assert!(!is_likely(&listed(class, Some(ListedRestore::Copy(now()))), now()), "{class}: expired");
        }
        for class in ["STANDARD", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"] {
            assert!(!is_likely(&listed(class, None), now()), "{class}");
        }
        assert!(is_likely(&listed("INTELLIGENT_TIERING", None), now()), "a listing does not tell its access tiers");
    }

    #[test]
    fn a_row_takes_care_of_what_it_waits_for_and_of_the_copy_it_has_dealt_with() {
        let (ongoing, copy, other) = (ListedRestore::Ongoing, ListedRestore::Copy(now()), ListedRestore::Copy(later()));
        let published =
            |expires| State::Published { at: now(), readable: now(), expires, how: PublishedReason::NoPath };
        let failed =
            State::Failed { at: now(), code: FailureCode::RetrievalTimedOut, message: "S3 was slow".to_owned() };
        // For each state, whether the row takes care of the object: while its restore runs and after it has ended, if
        // S3 is restoring, has the row's copy, or has another copy.
        for (state, runs, ended) in [
            (State::Planned, [true; 3], [false; 3]),
            (restoring(), [true; 3], [false; 3]),
            (restored(None), [true; 3], [false; 3]),
            (restored(Some("batch")), [true; 3], [false; 3]),
            (published(Some(now())), [false, true, false], [false, true, false]),
            (published(None), [false; 3], [false; 3]),
            (failed, [false; 3], [false; 3]),
            (State::Cancelled { at: now() }, [false; 3], [false; 3]),
            (State::Available, [false; 3], [false; 3]),
        ] {
            let row = row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", state.clone());
            let knows = |runs| [ongoing, copy, other].map(|shown| takes_care(&row, runs, shown));
            assert_eq!((knows(true), knows(false)), (runs, ended), "{state:?}");
        }
    }

    #[tokio::test]
    async fn a_copy_that_a_batch_has_published_is_known() {
        let stack = Stack::default();
        let row = row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", restored(Some("b")));
        stack.insert(&row).await;
        let is_known = async || {
            let found = vec![(row.object.clone(), ListedRestore::Copy(now()))];
            with_care(found, &stack.ledger).await.unwrap()[0].1
        };
        assert!(!is_known().await, "its restore does not run");
        stack.insert(&done("b", &["a"])).await;
        assert!(is_known().await);
    }

    #[test]
    fn a_copy_that_was_never_to_be_published_is_left_alone() {
        let mut row = row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", restored(None));
        row.publish = Publish { when: PublishWhen::Never, ..Publish::default() };
        assert!(takes_care(&row, false, ListedRestore::Copy(now())));
        assert!(!takes_care(&row, false, ListedRestore::Copy(later())));
    }
}
