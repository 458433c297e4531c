use std::time::Duration;

use thaw_core::{Head, Publish, PublishWhen, RestoreId, Tier};

use super::*;
use crate::testing::archive::Bucket;
use crate::testing::stack::{now, restored, restoring, row};

const HOUR: u64 = 3_600;
const SECOND: Duration = Duration::from_secs(1);

/// When a look at an object that was asked for at `now()` is due.
fn later() -> Timestamp {
    now() + Duration::from_secs(4 * HOUR)
}

fn waiting(key: &str) -> Row {
    row(&RestoreId::try_from("r".to_owned()).unwrap(), key, restoring())
}

/// How many lists and how many heads it takes to look at these rows; none may stay unseen.
async fn calls(bucket: &Bucket, rows: Vec<Row>) -> (usize, usize) {
    let mut keys: Vec<_> = rows.iter().map(|row| row.object.key.clone()).collect();
    let seen = look_at(rows.clone(), &ListedStatuses::new(), true, bucket, later()).await.unwrap();
    let mut seen: Vec<_> = seen.into_iter().map(|seen| seen.row.object.key).collect();
    keys.sort();
    seen.sort();
    assert_eq!(seen, keys);
    (bucket.lists.borrow().len(), bucket.heads.borrow().len())
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
    assert_eq!(calls(&Bucket::of(keys(0..12), ONGOING, 1_000), rows(0..12)).await, (0, 12));
    assert_eq!(calls(&Bucket::of(keys(0..13), ONGOING, 1_000), rows(0..13)).await, (1, 0));
}

#[tokio::test]
async fn a_listing_goes_on_while_its_pages_pay() {
    assert_eq!(calls(&Bucket::of(keys(0..39), ONGOING, 13), rows(0..39)).await, (3, 0));
    // A page shows twelve objects. The rest is asked about one by one.
    assert_eq!(calls(&Bucket::of(keys(0..39), ONGOING, 12), rows(0..39)).await, (1, 27));
    // Only every tenth key is asked about.
    let sparse = || keys(0..300).iter().step_by(10).map(|key| waiting(key)).collect();
    assert_eq!(calls(&Bucket::of(keys(0..300), ONGOING, 100), sparse()).await, (1, 20));
}

#[tokio::test]
async fn a_listing_begins_at_the_first_key_and_skips_other_objects() {
    let bucket = Bucket::of(keys(0..2_000), ONGOING, 20);
    let far_apart = [rows(1_000..1_020), rows(1_500..1_520)].concat();
    assert_eq!(calls(&bucket, far_apart).await.1, 0);
    let asked = bucket.lists.borrow();
    assert!(asked.iter().all(|(prefix, _)| prefix == "dir/1"), "{asked:?}");
    let after: Vec<_> = asked.iter().map(|(_, after)| after.as_str()).collect();
    assert_eq!(after, ["dir/100", "dir/150"]);
}

#[tokio::test]
async fn objects_that_a_listing_does_not_show_are_asked_about_one_by_one() {
    assert_eq!(calls(&Bucket::of(keys(0..20), None, 1_000), rows(0..20)).await, (1, 20));
    assert_eq!(calls(&Bucket::of(keys(0..15), ONGOING, 1_000), rows(0..20)).await, (1, 5));
    let gone = Some(ListedRestore::Copy(later()));
    assert_eq!(calls(&Bucket::of(keys(0..20), gone, 1_000), rows(0..20)).await, (1, 20));
}

fn changed(change: fn(&mut Row)) -> Vec<Row> {
    let mut rows = rows(0..40);
    rows.iter_mut().for_each(change);
    rows
}

#[tokio::test]
async fn a_status_that_is_known_is_not_asked_for_again() {
    let bucket = Bucket::of(keys(0..20), ONGOING, 1_000);
    let rows = rows(0..21);
    let (fresh, readable) = (now() + Duration::from_secs(1), Some(ListedRestore::Copy(later() + SECOND)));
    let mut listing = listed(rows.iter(), &bucket).await.unwrap();
    assert_eq!((listing.len(), listing.values().filter(|status| **status == ONGOING).count()), (21, 20));
    for (restore, still_fetched) in [(ONGOING, [true, true]), (readable, [false; 2]), (None, [false; 2])] {
        listing.insert(rows[0].object.clone(), restore);
        assert_eq!([fresh, later()].map(|at| is_still_fetched(&rows[0], &listing, at)), still_fetched, "{restore:?}");
    }
    assert!(!is_still_fetched(&rows[0], &ListedStatuses::new(), later()));
    assert!(!is_still_fetched(&rows[1], &listing, now() + Duration::from_secs(39 * HOUR)), "it is given up");
    listing.insert(rows[1].object.clone(), readable);
    // The listing does not show the first and the last. S3 is asked about them when a look is due.
    for (at, events, heads) in [(fresh, 1, vec![]), (later(), 1, vec![&rows[0], &rows[20]])] {
        let seen = look_at(rows.clone(), &listing, true, &bucket, at).await.unwrap();
        assert_eq!(seen.iter().filter(|seen| seen.event.is_some()).count(), events);
        let mut asked = bucket.heads.take();
        asked.sort();
        assert_eq!(asked, heads.iter().map(|row| row.object.key.clone()).collect::<Vec<_>>());
    }
    assert_eq!(bucket.lists.borrow().len(), 1);
    // A row that nobody waits for stays as it is.
    let published = Row { state: restored(Some("b")), ..rows[1].clone() };
    assert!(look_at(vec![published], &listing, true, &bucket, later()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_object_without_a_copy_is_not_listed() {
    let tiered = changed(|row| row.kind = Some(ArchiveKind::ItArchive));
    let unknown = changed(|row| row.kind = None);
    for rows in [tiered, unknown] {
        assert_eq!(calls(&Bucket::of(keys(0..40), ONGOING, 1_000), rows).await, (0, 40));
    }
}

#[tokio::test]
async fn current_versions_are_listed_and_older_ones_are_asked_about() {
    let current = || changed(|row| row.object.version = Some("v2".to_owned()));
    assert_eq!(calls(&Bucket::of(keys(0..40), ONGOING, 1_000), current()).await, (1, 0));
    assert_eq!(calls(&Bucket::of(keys(0..40), ONGOING, 40), current()).await, (2, 0));
    let old = changed(|row| row.object.version = Some("v1".to_owned()));
    assert_eq!(calls(&Bucket::of(keys(0..40), ONGOING, 1_000), old).await, (1, 40));
    // Some are pinned to a version and some are not: two listings.
    let both = [current(), changed(|row| row.object.key.push('b'))].concat();
    let keys = keys(0..40).into_iter().flat_map(|key| [key.clone(), key + "b"]);
    assert_eq!(calls(&Bucket::of(keys, ONGOING, 1_000), both).await, (2, 0));
}

#[tokio::test]
async fn a_live_copy_in_a_listing_can_be_read() {
    let expires = later() + Duration::from_secs(1);
    let bucket = Bucket::of(keys(0..13), Some(ListedRestore::Copy(expires)), 1_000);
    let seen = look_at(rows(0..13), &ListedStatuses::new(), true, &bucket, later()).await.unwrap();
    let readable = Event::Readable { at: later(), expires: Some(expires) };
    assert_eq!(seen.iter().filter(|seen| seen.event.as_ref() == Some(&readable)).count(), 13);
}

#[tokio::test]
async fn s3_is_not_asked_before_a_look_is_due() {
    let bucket = Bucket::of([], None, 1_000);
    let fresh = Row { state: State::Restoring { since: later(), tier: Tier::Standard, joined: false }, ..waiting("a") };
    let planned = Row { state: State::Planned, ..waiting("b") };
    let readable = Row { state: restored(None), ..waiting("c") };
    assert!(
        look_at(vec![fresh, planned, readable], &ListedStatuses::new(), true, &bucket, later())
            .await
            .unwrap()
            .is_empty()
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
    let seen = look_at(rows.clone(), &ListedStatuses::new(), true, &bucket, later()).await.unwrap();
    let shorter = Some(Event::Readable { at: later(), expires: until(30) });
    assert_eq!(seen.iter().map(|seen| seen.event.clone()).collect::<Vec<_>>(), vec![shorter; 13]);
    // The failure is recorded when it is published.
    assert_eq!(readiness(&held_back("a"), &Facts::Missing(Missing::Key), later()), None);
}

#[test]
fn the_next_look_is_when_the_first_object_is_due_or_can_be_published() {
    let seconds = |rows: &[Row]| seconds_until_next_look(rows.iter(), true, now());
    let slow = Row { kind: Some(ArchiveKind::Deep), ..waiting("slow") };
    let readable =
        |when| Row { state: restored(None), publish: Publish { when, ..Publish::default() }, ..waiting("b") };
    assert_eq!(seconds(&[slow.clone(), waiting("a")]), 3 * HOUR);
    assert_eq!(seconds(&[slow.clone(), readable(PublishWhen::Each)]), 0);
    // The copy expires before the others come; then one without expiry.
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
fn every_description_of_an_object_has_a_meaning_for_its_row() {
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
    // S3 still fetches it: given up at the deadline, not before.
    let ongoing = head("GLACIER", Some(r#"ongoing-request="true""#));
    assert_eq!(meaning(&waiting("a"), &ongoing, later()), None);
    let deadline = now() + Duration::from_secs(39 * HOUR);
    assert_eq!(failure(&ongoing, deadline), Some(FailureCode::RetrievalTimedOut));
}
