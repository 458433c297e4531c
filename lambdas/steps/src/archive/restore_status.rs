//! Looks: what S3 says of objects that are being restored, with as few calls as it takes.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use thaw_core::{
    ArchiveKind, Event, Facts, FailureCode, Look, Missing, ObjectId, PublishWhen, Reach, Row, State, look,
};

use crate::StepError;
use crate::archive::listing_lookup::tell;
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
    // An event may tell of a copy at any time, and it must not expire while it waits for the others.
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
pub struct Seen {
    /// The row as it was.
    pub row: Row,
    /// What S3 said; `None` if it is still fetching.
    pub event: Option<Event>,
}

/// What listings told of objects; of some, nothing.
pub type Told = BTreeMap<ObjectId, Option<ListedRestore>>;

/// What listings tell of these rows' objects, where they lie close together.
pub async fn listed(rows: impl Iterator<Item = &Row>, archive: &impl ReadArchive) -> Result<Told, StepError> {
    let objects = rows.filter(|row| is_listable(row)).map(|row| row.object.clone()).collect();
    let (told, unknown) = tell(objects, |object| object, |_, listed| listed.restore, archive).await?;
    let told = told.into_iter().map(|(object, restore)| (object, Some(restore)));
    Ok(told.chain(unknown.into_iter().map(|object| (object, None))).collect())
}

/// Whether S3 still fetches a row's object, as it was told, and nothing else is to be said of it.
pub fn is_still_fetched(row: &Row, told: &Told, now: Timestamp) -> bool {
    let told = told.get(&row.object).copied().flatten();
    told.is_some_and(|restore| said(row, restore, now) == Some(None))
}

/// Looks at all rows whose time has come, and at those that wait for others: their copies may live shorter by now. What was
/// `told` of some just now is not asked again.
pub async fn look_at(
    rows: Vec<Row>,
    told: &Told,
    others_on_their_way: bool,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Vec<Seen>, StepError> {
    let (mut seen, mut listable, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let is_of_interest = is_due(&row, now) || row.is_held_back(others_on_their_way, now);
        let is_waited_for = is_of_interest || matches!(row.state, State::Restoring { .. });
        match told.get(&row.object).map(|told| told.and_then(|restore| said(&row, restore, now))) {
            // Also of what is not due: it is known now.
            Some(Some(event)) if is_waited_for => seen.push(Seen { row, event }),
            None if is_of_interest && is_listable(&row) => listable.push(row),
            Some(_) | None if is_of_interest => rest.push(row),
            Some(_) | None => {}
        }
    }
    let what = |row: &Row, listed: &Listed| said(row, listed.restore?, now);
    let (listed, unknown) = tell(listable, |row| &row.object, what, archive).await?;
    seen.extend(listed.into_iter().map(|(row, event)| Seen { row, event }));
    rest.extend(unknown);
    let headed: Vec<Seen> = stream::iter(rest)
        .map(|row| async {
            let facts = archive.head(&row.object).await?;
            let event = news(&row, &facts, now);
            Ok::<_, StepError>(Seen { row, event })
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
        Facts::Missing(missing) => match missing {
            Missing::Key => fail(FailureCode::NoSuchKey, "it was deleted while it was being restored"),
            Missing::Version => fail(FailureCode::NoSuchVersion, "its version was deleted while it was being restored"),
            Missing::DeleteMarker => fail(FailureCode::DeleteMarker, "it was deleted while it was being restored"),
            Missing::Denied => {
                fail(FailureCode::AccessDenied, "S3 answers 403: thaw may no longer read it, or it is gone")
            }
            Missing::Refused { .. } | Missing::Unreadable { .. } => {
                missing.no_look().map(|(code, message)| Event::Failed { at: now, code, message })
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
fn news(row: &Row, facts: &Facts, now: Timestamp) -> Option<Event> {
    let was_readable = matches!(row.state, State::Restored { .. });
    meaning(row, facts, now).filter(|event| !was_readable || matches!(event, Event::Readable { .. }))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use thaw_core::{Head, ObjectId, Publish, PublishWhen, RestoreId, S3Uri, Tier};

    use super::*;
    use crate::ports::{ListFrom, Page, Piece, PortError, VersionMarker, VersionPage};
    use crate::testing::stack::{now, restored, restoring, row};

    const HOUR: u64 = 3_600;
    const SECOND: Duration = Duration::from_secs(1);

    /// When a look at what was asked for at `now()` is due.
    fn later() -> Timestamp {
        now() + Duration::from_secs(4 * HOUR)
    }

    fn waiting(key: &str) -> Row {
        row(&RestoreId::try_from("r".to_owned()).unwrap(), key, restoring())
    }

    /// A bucket that lists so many keys a page, and remembers what it was asked. Every object is still being fetched.
    pub(crate) struct Bucket {
        listed: Vec<Listed>,
        page: usize,
        pub(crate) lists: RefCell<Vec<(String, String)>>,
        pub(crate) heads: RefCell<Vec<String>>,
    }

    impl Bucket {
        pub(crate) fn of(keys: impl IntoIterator<Item = String>, restore: Option<ListedRestore>, page: usize) -> Self {
            let listed = |key| Listed {
                key,
                version: None,
                storage_class: "GLACIER".to_owned(),
                size: 1,
                modified: now(),
                restore,
            };
            let listed = keys.into_iter().map(listed).collect();
            Self { listed, page, lists: RefCell::default(), heads: RefCell::default() }
        }

        /// How many lists and how many heads it takes to look at these rows; none may stay unseen.
        async fn calls(&self, rows: Vec<Row>) -> (usize, usize) {
            let mut keys: Vec<_> = rows.iter().map(|row| row.object.key.clone()).collect();
            let seen = look_at(rows.clone(), &Told::new(), true, self, later()).await.unwrap();
            let mut seen: Vec<_> = seen.into_iter().map(|seen| seen.row.object.key).collect();
            keys.sort();
            seen.sort();
            assert_eq!(seen, keys);
            (self.lists.borrow().len(), self.heads.borrow().len())
        }
    }

    impl ReadArchive for Bucket {
        async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
            self.heads.borrow_mut().push(object.key.clone());
            Ok(head("GLACIER", Some(r#"ongoing-request="true""#)))
        }

        async fn list(&self, _: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
            let start_after = from.key().unwrap_or_default();
            self.lists.borrow_mut().push((prefix.to_owned(), start_after.to_owned()));
            let matching = |listed: &&Listed| listed.key.starts_with(prefix) && listed.key.as_str() > start_after;
            let mut objects: Vec<_> = self.listed.iter().filter(matching).cloned().collect();
            let more = objects.len() > self.page;
            objects.truncate(self.page);
            Ok(Page::new(objects, more.then(String::new)))
        }

        async fn folders(&self, _: &str, _: &str, _: &str) -> Result<Vec<String>, PortError> {
            Ok(Vec::new())
        }

        /// Every key has an older version `v1`, so a page shows half as many keys.
        async fn list_versions(
            &self,
            bucket: &str,
            prefix: &str,
            after: Option<&VersionMarker>,
        ) -> Result<VersionPage, PortError> {
            let from = ListFrom::after(after.map_or("", |after| after.key.as_str()));
            let Page { mut objects, next } = self.list(bucket, prefix, &from).await?;
            let half = objects.len().min(self.page / 2);
            let more = next.is_some() || half < objects.len();
            objects.truncate(half);
            objects.iter_mut().for_each(|listed| listed.version = Some("v2".to_owned()));
            let next = objects.last().filter(|_| more);
            let next = next.map(|last| VersionMarker { key: last.key.clone(), version: Some("v1".to_owned()) });
            Ok(VersionPage { objects, next })
        }

        async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
            Ok(false)
        }

        async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
            Ok(None)
        }
    }

    fn head(class: &str, restore: Option<&str>) -> Facts {
        let restore = restore.map(str::to_owned);
        Facts::Found(Head { storage_class: Some(class.to_owned()), restore, ..Head::default() })
    }

    fn keys(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|n| format!("dir/{n:04}")).collect()
    }

    fn rows(range: std::ops::Range<usize>) -> Vec<Row> {
        keys(range).iter().map(|key| waiting(key)).collect()
    }

    const ONGOING: Option<ListedRestore> = Some(ListedRestore::Ongoing);

    #[tokio::test]
    async fn a_listing_is_tried_for_as_many_objects_as_it_costs() {
        assert_eq!(Bucket::of(keys(0..12), ONGOING, 1_000).calls(rows(0..12)).await, (0, 12));
        assert_eq!(Bucket::of(keys(0..13), ONGOING, 1_000).calls(rows(0..13)).await, (1, 0));
    }

    #[tokio::test]
    async fn a_listing_goes_on_while_its_pages_pay() {
        assert_eq!(Bucket::of(keys(0..39), ONGOING, 13).calls(rows(0..39)).await, (3, 0));
        // A page tells of twelve objects: the rest is asked one by one.
        assert_eq!(Bucket::of(keys(0..39), ONGOING, 12).calls(rows(0..39)).await, (1, 27));
        // Only every tenth key is ours.
        let sparse = || keys(0..300).iter().step_by(10).map(|key| waiting(key)).collect();
        assert_eq!(Bucket::of(keys(0..300), ONGOING, 100).calls(sparse()).await, (1, 20));
    }

    #[tokio::test]
    async fn a_listing_begins_at_the_first_key_and_skips_what_is_not_ours() {
        let bucket = Bucket::of(keys(0..2_000), ONGOING, 20);
        let far_apart = [rows(1_000..1_020), rows(1_500..1_520)].concat();
        assert_eq!(bucket.calls(far_apart).await.1, 0);
        let asked = bucket.lists.borrow();
        assert!(asked.iter().all(|(prefix, _)| prefix == "dir/1"), "{asked:?}");
        let after: Vec<_> = asked.iter().map(|(_, after)| after.as_str()).collect();
        assert_eq!(after, ["dir/100", "dir/150"]);
    }

    #[tokio::test]
    async fn what_a_listing_does_not_tell_is_asked_one_by_one() {
        assert_eq!(Bucket::of(keys(0..20), None, 1_000).calls(rows(0..20)).await, (1, 20));
        assert_eq!(Bucket::of(keys(0..15), ONGOING, 1_000).calls(rows(0..20)).await, (1, 5));
        let gone = Some(ListedRestore::Copy(later()));
        assert_eq!(Bucket::of(keys(0..20), gone, 1_000).calls(rows(0..20)).await, (1, 20));
    }

    fn changed(change: fn(&mut Row)) -> Vec<Row> {
        let mut rows = rows(0..40);
        rows.iter_mut().for_each(change);
        rows
    }

    #[tokio::test]
    async fn what_was_told_already_is_not_asked_again() {
        let bucket = Bucket::of(keys(0..20), ONGOING, 1_000);
        let rows = rows(0..21);
        let (fresh, readable) = (now() + Duration::from_secs(1), Some(ListedRestore::Copy(later() + SECOND)));
        let mut told = listed(rows.iter(), &bucket).await.unwrap();
        assert_eq!((told.len(), told.values().filter(|told| **told == ONGOING).count()), (21, 20));
        for (restore, still) in [(ONGOING, [true, true]), (readable, [false; 2]), (None, [false; 2])] {
            told.insert(rows[0].object.clone(), restore);
            assert_eq!([fresh, later()].map(|at| is_still_fetched(&rows[0], &told, at)), still, "{restore:?}");
        }
        assert!(!is_still_fetched(&rows[0], &Told::new(), later()));
        assert!(!is_still_fetched(&rows[1], &told, now() + Duration::from_secs(39 * HOUR)), "it is given up");
        told.insert(rows[1].object.clone(), readable);
        // Of the first and the last a listing told nothing; only when a look is due S3 is asked.
        for (at, events, heads) in [(fresh, 1, vec![]), (later(), 1, vec![&rows[0], &rows[20]])] {
            let seen = look_at(rows.clone(), &told, true, &bucket, at).await.unwrap();
            assert_eq!(seen.iter().filter(|seen| seen.event.is_some()).count(), events);
            let mut asked = bucket.heads.take();
            asked.sort();
            assert_eq!(asked, heads.iter().map(|row| row.object.key.clone()).collect::<Vec<_>>());
        }
        assert_eq!(bucket.lists.borrow().len(), 1);
        // What is no longer waited for stays as it is.
        let published = Row { state: restored(Some("b")), ..rows[1].clone() };
        assert!(look_at(vec![published], &told, true, &bucket, later()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_has_no_copy_is_not_listed() {
        let tiered = changed(|row| row.kind = Some(ArchiveKind::ItArchive));
        let unknown = changed(|row| row.kind = None);
        for rows in [tiered, unknown] {
            assert_eq!(Bucket::of(keys(0..40), ONGOING, 1_000).calls(rows).await, (0, 40));
        }
    }

    #[tokio::test]
    async fn versions_are_listed_and_of_another_version_a_listing_tells_nothing() {
        let current = || changed(|row| row.object.version = Some("v2".to_owned()));
        assert_eq!(Bucket::of(keys(0..40), ONGOING, 1_000).calls(current()).await, (1, 0));
        assert_eq!(Bucket::of(keys(0..40), ONGOING, 40).calls(current()).await, (2, 0));
        let old = changed(|row| row.object.version = Some("v1".to_owned()));
        assert_eq!(Bucket::of(keys(0..40), ONGOING, 1_000).calls(old).await, (1, 40));
        // Some were pinned and some not: two listings.
        let both = [current(), changed(|row| row.object.key.push('b'))].concat();
        let keys = keys(0..40).into_iter().flat_map(|key| [key.clone(), key + "b"]);
        assert_eq!(Bucket::of(keys, ONGOING, 1_000).calls(both).await, (2, 0));
    }

    #[tokio::test]
    async fn a_live_copy_in_a_listing_can_be_read() {
        let expires = later() + Duration::from_secs(1);
        let bucket = Bucket::of(keys(0..13), Some(ListedRestore::Copy(expires)), 1_000);
        let seen = look_at(rows(0..13), &Told::new(), true, &bucket, later()).await.unwrap();
        let readable = Event::Readable { at: later(), expires: Some(expires) };
        assert_eq!(seen.iter().filter(|seen| seen.event.as_ref() == Some(&readable)).count(), 13);
    }

    #[tokio::test]
    async fn nobody_is_asked_about_what_is_not_due() {
        let bucket = Bucket::of([], None, 1_000);
        let fresh =
            Row { state: State::Restoring { since: later(), tier: Tier::Standard, joined: false }, ..waiting("a") };
        let planned = Row { state: State::Planned, ..waiting("b") };
        let readable = Row { state: restored(None), ..waiting("c") };
        assert!(
            look_at(vec![fresh, planned, readable], &Told::new(), true, &bucket, later()).await.unwrap().is_empty()
        );
        assert!(bucket.heads.borrow().is_empty() && bucket.lists.borrow().is_empty());
    }

    #[tokio::test]
    async fn a_copy_that_waits_for_others_is_looked_at_again() {
        let until = |hours: u64| Some(now() + Duration::from_secs(hours * HOUR));
        let restored = |expires| State::Restored { at: now(), expires, claim: None };
        let together = Publish { when: PublishWhen::Together, ..Publish::default() };
        let held_back = |key: &str| Row { state: restored(until(72)), publish: together, ..waiting(key) };
        let slow = Row { kind: Some(ArchiveKind::Deep), publish: together, ..waiting("slow") };
        let rows: Vec<Row> = keys(0..13).iter().map(|key| held_back(key)).chain([slow]).collect();
        let bucket = Bucket::of(keys(0..13), until(30).map(ListedRestore::Copy), 1_000);
        let seen = look_at(rows.clone(), &Told::new(), true, &bucket, later()).await.unwrap();
        let shorter = Some(Event::Readable { at: later(), expires: until(30) });
        assert_eq!(seen.iter().map(|seen| seen.event.clone()).collect::<Vec<_>>(), vec![shorter; 13]);
        // What became of one that is gone is said when it is published.
        assert_eq!(news(&held_back("a"), &Facts::Missing(Missing::Key), later()), None);
    }

    #[test]
    fn the_next_look_is_when_the_first_object_is_due_or_can_be_published() {
        let seconds = |rows: &[Row]| seconds_until_next_look(rows.iter(), true, now());
        let slow = Row { kind: Some(ArchiveKind::Deep), ..waiting("slow") };
        let readable =
            |when| Row { state: restored(None), publish: Publish { when, ..Publish::default() }, ..waiting("b") };
        assert_eq!(seconds(&[slow.clone(), waiting("a")]), 3 * HOUR);
        assert_eq!(seconds(&[slow.clone(), readable(PublishWhen::Each)]), 0);
        // Its copy is gone before the others come; then one that stays.
        let short = readable(PublishWhen::Together);
        assert_eq!(seconds(&[slow.clone(), short.clone()]), 0);
        let lasting = State::Restored { at: now(), expires: None, claim: None };
        assert_eq!(seconds(&[slow.clone(), Row { state: lasting, ..short.clone() }]), 6 * HOUR);
        let half_a_day_and_two_hours = Some(now() + Duration::from_secs(14 * HOUR));
        let state = State::Restored { at: now(), expires: half_a_day_and_two_hours, claim: None };
        assert_eq!(seconds(&[slow.clone(), Row { state, ..short }]), 2 * HOUR);
        assert_eq!(seconds(&[readable(PublishWhen::Never)]), 0);
        assert_eq!(seconds(&[slow, Row { kind: None, ..waiting("unknown") }]), 0);
    }

    #[test]
    fn every_description_of_an_object_has_a_meaning_for_who_waits_for_it() {
        let done = r#"ongoing-request="false", expiry-date="Fri, 27 Nov 2026 00:00:00 GMT""#;
        let failure = |facts: &Facts, at| match meaning(&waiting("a"), facts, at) {
            Some(Event::Failed { code, .. }) => Some(code),
            _ => None,
        };
        for (facts, code) in [
            (head("GLACIER", None), FailureCode::NotBeingRestored),
            (head("GLACIER", Some("soon")), FailureCode::Unreadable),
            (Facts::Missing(Missing::Key), FailureCode::NoSuchKey),
            (Facts::Missing(Missing::Version), FailureCode::NoSuchVersion),
            (Facts::Missing(Missing::DeleteMarker), FailureCode::DeleteMarker),
            (Facts::Missing(Missing::Denied), FailureCode::AccessDenied),
        ] {
            assert_eq!(failure(&facts, later()), Some(code));
        }
        let expires = Some("2026-11-27T00:00:00Z".parse().unwrap());
        let readable = |expires| Some(Event::Readable { at: later(), expires });
        assert_eq!(meaning(&waiting("a"), &head("GLACIER", Some(done)), later()), readable(expires));
        assert_eq!(meaning(&waiting("a"), &head("STANDARD", None), later()), readable(None));
        // Still fetching: given up at the deadline, not before.
        let ongoing = head("GLACIER", Some(r#"ongoing-request="true""#));
        assert_eq!(meaning(&waiting("a"), &ongoing, later()), None);
        let deadline = now() + Duration::from_secs(39 * HOUR);
        assert_eq!(failure(&ongoing, deadline), Some(FailureCode::RetrievalTimedOut));
    }
}
