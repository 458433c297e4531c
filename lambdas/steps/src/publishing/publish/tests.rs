use std::slice;

use thaw_core::{Behaviour, ErrorRule, Origin};

use super::*;
use crate::ledger::rows::rows_of;
use crate::testing::archive::{Bucket, nobody_near};
use crate::testing::cdn::Edge;
use crate::testing::stack::{Stack, batch_of, id, now, restored, row};

const SECOND: Duration = Duration::from_secs(1);

/// Objects with their rows.
async fn in_ledger(objects: &[ObjectId], stack: &Stack) -> Readable {
    let mut readable = Readable::new();
    for object in objects {
        let rows = rows_of(object, &stack.ledger).await.unwrap();
        readable
            .insert(object.clone(), rows.into_iter().map(|row| RowWithReadiness { row, readiness: None }).collect());
    }
    readable
}

/// A distribution that shows the keys under a prefix, and keeps errors for so many seconds.
fn showing(prefix: &str, error_ttl: u64) -> Distribution {
    let domain = "archive.s3.amazonaws.com".to_owned();
    let behaviour = Behaviour { pattern: "*".to_owned(), target: "s3".to_owned(), ..Behaviour::default() };
    Distribution {
        origins: vec![Origin { id: "s3".to_owned(), domain, path: prefix.to_owned() }],
        behaviours: vec![behaviour],
        errors: vec![ErrorRule { code: 403, min_ttl: error_ttl }],
        ..Distribution::default()
    }
}

#[test]
fn the_distribution_that_keeps_an_error_longest_decides_what_can_be_stale() {
    let object = row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", State::Planned).object;
    let stale = |distributions: &[Distribution]| stale(&object, now(), distributions, now() + 60 * SECOND);
    let until = |seconds: u32| Staleness::Until(now() + seconds * SECOND);
    let mut holding_page = showing("", 10);
    holding_page.behaviours[0].has_origin_function = true;
    assert_eq!(stale(&[]), Staleness::Impossible);
    assert_eq!(stale(&[showing("", 60), showing("/elsewhere", 90)]), Staleness::Impossible);
    assert_eq!(stale(&[showing("", 60), showing("", 90), showing("", 10)]), until(90));
    assert_eq!(stale(&[showing("", 120), showing("", 90)]), until(120));
    assert_eq!(stale(&[showing("", 90), holding_page.clone(), showing("", 90)]), Staleness::Possible);
}

#[tokio::test]
async fn what_s3_said_is_believed_for_ten_minutes_and_of_a_copy_until_it_expires() {
    let is_asked = async |row: &Row, is_newest: bool, seconds: u32| {
        let at = now() + seconds * SECOND;
        let archive = nobody_near();
        let heard = RowWithReadiness { row: row.clone(), readiness: None };
        let event = no_longer_shown(&row.object, &[(row, &heard)], is_newest, &archive, at).await.unwrap();
        // Whenever S3 is asked, it has nothing under this key.
        assert_eq!(event.is_some(), !archive.asked.borrow().is_empty());
        event.is_some()
    };
    let of = |at: u32, expires: Option<u32>| {
        let after = |seconds: u32| now() + seconds * SECOND;
        row(&id("r"), "gone", State::Restored { at: after(at), expires: expires.map(after), claim: None })
    };
    let version = || ObjectId { version: Some("v1".to_owned()), ..of(0, None).object };
    for (row, is_newest, believed_until) in [
        (of(0, None), false, 600),
        (of(300, None), false, 900),
        (of(300, Some(400)), false, 400),
        // Whether a version is the newest, S3 said when it was planned, and may have said since.
        (Row { object: version(), ..of(300, None) }, false, 600),
        (Row { object: version(), ..of(300, None) }, true, 900),
        (Row { object: version(), ..of(300, Some(400)) }, true, 400),
    ] {
        let asked =
            [is_asked(&row, is_newest, believed_until - 1).await, is_asked(&row, is_newest, believed_until).await];
        assert_eq!(asked, [false, true], "{row:?}");
    }
}

#[tokio::test]
async fn of_versions_that_events_tell_of_a_page_says_which_are_the_newest_and_s3_is_asked_about_the_others() {
    let hour = 3_600 * SECOND;
    let waits = |key: &str, version: Option<&str>, since: Duration| {
        let state = State::Restored { at: now() + hour, expires: None, claim: None };
        let row = row(&id("r"), key, state);
        let object = ObjectId { version: version.map(str::to_owned), ..row.object };
        Row { object, planned_at: now() + hour - since, ..row }
    };
    let over = Row { state: State::Cancelled { at: now() }, ..waits("3", Some("v2"), hour) };
    let taken = Row { state: restored(Some("gone")), ..waits("4", Some("v2"), hour) };
    let old = Row { current: false, ..waits("5", Some("v2"), hour) };
    // Which page is listed, and about what S3 is asked.
    for (row, lists, heads) in [
        (waits("1", Some("v2"), hour), 1, 0),
        (waits("2", Some("v1"), hour), 1, 1),
        (waits("1", Some("v2"), FACTS_VALID_FOR), 1, 0),
        (waits("1", Some("v2"), FACTS_VALID_FOR - SECOND), 0, 0),
        (waits("1", None, hour), 0, 0),
        (over, 0, 0),
        (taken, 0, 0),
        (old, 0, 0),
    ] {
        let stack = Stack::default();
        stack.insert(&row).await;
        let archive = Bucket::of((0..9).map(|n| n.to_string()), None, 1_000);
        let edge = Edge { shows: vec![showing("", 10)], ..Edge::default() };
        let heard = RowWithReadiness { row: row.clone(), readiness: None };
        let mut newest = CurrentVersions::patient(0);
        let wanted = PublishRequest {
            objects: [(row.object.clone(), vec![heard])].into(),
            trigger: Trigger::Events(&mut newest),
            ..PublishRequest::default()
        };
        publish(wanted, &edge, &archive, &stack.ledger, &Settings::default(), now() + hour).await.unwrap();
        let calls = (archive.lists.borrow().len(), archive.heads.borrow().len());
        assert_eq!(calls, (lists, heads), "{row:?}");
        // What is not the newest is no longer shown.
        let is_shown = row.is_to_publish(false, now()) && row.state.claim().is_none() && row.current && heads == 0;
        assert_eq!(edge.asked.borrow().len(), usize::from(is_shown), "{row:?}");
    }
}

#[tokio::test]
async fn what_is_with_cloudfront_is_counted_whoever_asked() {
    let (stack, edge) = (Stack::default(), Edge { shows: vec![showing("", 10)], ..Edge::default() });
    let begun = batch_of(&["a", "b", "c"], &stack).await;
    let fresh = row(&id("r"), "d", State::Restored { at: now(), expires: None, claim: None });
    stack.insert(&fresh).await;
    let objects = begun.candidates.iter().map(|candidate| candidate.object.clone()).chain([fresh.object.clone()]);
    let objects: Vec<ObjectId> = objects.collect();
    let again = async || {
        let wanted = PublishRequest { objects: in_ledger(&objects, &stack).await, ..PublishRequest::default() };
        publish(wanted, &edge, &nobody_near(), &stack.ledger, &Settings::default(), now()).await.unwrap()
    };
    for _ in 0..2 {
        let Published { invalidations, paths, in_progress } = again().await;
        assert_eq!((invalidations, paths, in_progress.len()), (2, 4, 2));
    }
    assert_eq!(*edge.asked.borrow(), [vec!["/a", "/b", "/c"], vec!["/d"]]);
}

#[tokio::test]
async fn an_error_that_is_gone_within_a_minute_is_waited_out_where_only_what_is_stale_is_paid_for() {
    for (error_ttl, seconds, is_asked, is_published) in
        [(60, 0, false, false), (61, 0, true, false), (61, 1, false, false), (61, 61, false, true)]
    {
        let (stack, edge) = (Stack::default(), Edge { shows: vec![showing("", error_ttl)], ..Edge::default() });
        let mut row = row(&id("r"), "a", State::Restored { at: now(), expires: None, claim: None });
        row.publish.only_if_stale = true;
        stack.insert(&row).await;
        let objects = in_ledger(slice::from_ref(&row.object), &stack).await;
        let wanted = PublishRequest { objects, ..PublishRequest::default() };
        let at = now() + seconds * SECOND;
        publish(wanted, &edge, &nobody_near(), &stack.ledger, &Settings::default(), at).await.unwrap();
        let published = matches!(stack.rows_of(&row.object).await[0].state, State::Published { .. });
        let answer = (!edge.asked.borrow().is_empty(), published);
        assert_eq!(answer, (is_asked, is_published), "{error_ttl} s, {seconds} s later");
    }
}
