use std::time::Duration;

use thaw_core::{Candidate, RestoreId, batches};

use super::*;
use crate::ledger::rows::batch_key;
use crate::testing::archive::{near, nobody_near};
use crate::testing::cdn::Edge;
use crate::testing::stack::{Stack, batch_of, id, now, restored, row};

const SECOND: Duration = Duration::from_secs(1);

/// Seals a batch of one object that two restores wait for, with rows in these states. Answers whether it kept the
/// object, and the claims on the rows.
async fn sealed(one: State, two: State) -> (bool, Vec<Option<String>>) {
    let ids = ["one", "two"].map(|id| RestoreId::try_from(id.to_owned()).unwrap());
    let stack = Stack::default();
    stack.insert(&row(&ids[0], "a", one)).await;
    stack.insert(&row(&ids[1], "a", two)).await;
    let object = row(&ids[0], "a", State::Planned).object;
    let candidate = Candidate {
        object: object.clone(),
        restores: ids.to_vec(),
        revisions: 0,
        readiness: None,
        paths: BTreeMap::new(),
        covers: BTreeSet::new(),
        namesakes: BTreeSet::new(),
    };
    let batch = Batch { id: BatchId::from("ours".to_owned()), ..batches(vec![candidate], now()).remove(0) };
    stack.insert(&batch).await;
    let sealed = seal(batch, &Rows::new(), &stack.ledger, now()).await.unwrap();
    let rows = stack.rows_of(&object).await;
    let claims = rows.iter().map(|row| row.state.claim().map(|id| id.as_str().to_owned()));
    (!sealed.candidates.is_empty(), claims.collect())
}

#[tokio::test]
async fn a_batch_has_an_object_if_no_other_has_any_of_its_rows() {
    let claims = |claims: [Option<&str>; 2]| claims.map(|claim| claim.map(str::to_owned)).to_vec();
    let theirs = || restored(Some("theirs"));
    let ours = || restored(Some("ours"));
    assert_eq!(sealed(restored(None), restored(None)).await, (true, claims([Some("ours"), Some("ours")])));
    // An attempt of the same batch that died had claimed the first row already.
    assert_eq!(sealed(ours(), restored(None)).await, (true, claims([Some("ours"), Some("ours")])));
    assert_eq!(sealed(theirs(), restored(None)).await, (false, claims([Some("theirs"), None])));
    // A claim that was made before the other batch was found is released.
    assert_eq!(sealed(restored(None), theirs()).await, (false, claims([None, Some("theirs")])));
    assert_eq!(sealed(ours(), theirs()).await, (false, claims([None, Some("theirs")])));
    let published = |how| State::Published { at: now(), readable: now(), expires: None, how };
    let by_them = published(PublishedReason::Invalidated { batch: BatchId::from("theirs".to_owned()) });
    assert_eq!(sealed(restored(None), by_them).await, (false, claims([None, None])));
    // Settled rows need no publication.
    let cancelled = || State::Cancelled { at: now() };
    for settled in [cancelled(), published(PublishedReason::NothingStale)] {
        assert_eq!(sealed(settled.clone(), restored(None)).await, (true, claims([None, Some("ours")])));
        assert_eq!(sealed(restored(None), settled).await, (true, claims([Some("ours"), None])));
    }
    assert_eq!(sealed(cancelled(), cancelled()).await, (false, claims([None, None])));
}

#[tokio::test]
async fn a_batch_keeps_the_readiness_for_the_function_that_finishes_it() {
    let id = RestoreId::try_from("r".to_owned()).unwrap();
    let stack = Stack::default();
    let row = row(&id, "a", State::Planned);
    stack.insert(&row).await;
    let candidate = |readiness| Candidate {
        object: row.object.clone(),
        restores: vec![id.clone()],
        revisions: 0,
        readiness,
        paths: BTreeMap::new(),
        covers: BTreeSet::new(),
        namesakes: BTreeSet::new(),
    };
    let batch = |readiness| batches(vec![candidate(readiness)], now()).remove(0);
    let later = now() + SECOND;
    let sealed = async |readiness| {
        let batch = batch(readiness);
        stack.ledger.insert(&batch).await.unwrap();
        seal(batch, &Rows::new(), &stack.ledger, now()).await.unwrap().candidates.len()
    };
    assert_eq!(sealed(Some(Readiness { at: now(), expires: Some(later) })).await, 1);
    let claimed = stack.rows_of(&row.object).await.remove(0);
    let claim = Some(batch(None).id);
    assert_eq!(claimed, Row { state: State::Restored { at: now(), expires: Some(later), claim }, revision: 1, ..row });
}

/// A claim without an object in its batch would keep the object from ever being published.
#[tokio::test]
async fn a_claim_that_a_dead_function_left_is_given_back_by_the_next() {
    let id = RestoreId::try_from("r".to_owned()).unwrap();
    let stack = Stack::default();
    let row = row(&id, "a", restored(Some("ours")));
    stack.insert(&row).await;
    let of = |calls| Batch {
        id: BatchId::from("ours".to_owned()),
        candidates: Vec::new(),
        calls,
        wildcards: Vec::new(),
        created_at: now(),
        completed_at: None,
        revision: 0,
    };
    let objects = BTreeSet::from([row.object.clone()]);
    release(&of(None), &objects, &stack.ledger).await.unwrap();
    assert_eq!(stack.rows_of(&row.object).await[0].state, restored(Some("ours")), "it may be sealed yet");
    release(&of(Some(Vec::new())), &objects, &stack.ledger).await.unwrap();
    assert_eq!(stack.rows_of(&row.object).await[0].state, restored(None));
}

#[tokio::test]
async fn a_refused_path_is_found_by_asking_for_each_alone_and_nothing_is_asked_twice() {
    let (stack, edge) = (Stack::default(), Edge::default());
    let batch = batch_of(&["a", "bad", "c"], &stack).await;
    let done = carry_out(batch, &Rows::new(), &edge, &nobody_near(), &stack.ledger, &Settings::default(), now())
        .await
        .unwrap();
    let asked = [vec!["/a", "/bad", "/c"], vec!["/a"], vec!["/bad"], vec!["/c"]];
    assert_eq!(*edge.asked.borrow(), asked);
    let refused: Vec<_> = done.calls.iter().flatten().map(|call| call.refused.as_deref()).collect();
    assert_eq!(refused, [None, Some("bad path"), None]);
    assert_eq!(stack.ledger.get::<Batch>(&batch_key(&done.id)).await.unwrap().as_ref(), Some(&done));
    carry_out(done, &Rows::new(), &edge, &nobody_near(), &stack.ledger, &Settings::default(), now()).await.unwrap();
    assert_eq!(edge.asked.borrow().len(), 4);
}

#[tokio::test]
async fn a_batch_that_cloudfront_did_not_take_for_ten_minutes_is_checked_again() {
    for (seconds, asked) in [(599, vec![vec!["/a", "/gone"]]), (600, vec![vec!["/a"]])] {
        let (stack, edge) = (Stack::default(), Edge::default());
        let batch = batch_of(&["a", "gone"], &stack).await;
        let theirs = row(&id("another"), "gone", restored(Some("theirs")));
        stack.insert(&theirs).await;
        carry_out(
            batch,
            &Rows::new(),
            &edge,
            &nobody_near(),
            &stack.ledger,
            &Settings::default(),
            now() + seconds * SECOND,
        )
        .await
        .unwrap();
        assert_eq!(*edge.asked.borrow(), asked);
        let rows = stack.rows_of(&theirs.object).await;
        let failed: Vec<_> = rows.iter().map(|row| matches!(row.state, State::Failed { .. })).collect();
        assert_eq!(failed, [false, seconds == 600], "in the ledger, and not another batch's");
    }
}

#[tokio::test]
async fn a_slower_function_drops_objects_that_are_gone_and_keeps_those_that_cloudfront_took() {
    for (taken, left) in [(None, vec!["a"]), (Some("I1".to_owned()), vec!["a", "gone"])] {
        let (stack, edge) = (Stack::default(), Edge::default());
        let seen = batch_of(&["a", "gone"], &stack).await;
        let theirs = match taken {
            Some(id) => seen.with_call(0, |call| call.invalidation = Some(id)),
            None => Batch { revision: seen.revision + 1, ..seen.clone() },
        };
        assert_eq!(stack.ledger.replace(&theirs).await.unwrap(), Put::Done);
        let late = now() + 600 * SECOND;
        let done = carry_out(seen, &Rows::new(), &edge, &nobody_near(), &stack.ledger, &Settings::default(), late)
            .await
            .unwrap();
        let keys: Vec<_> = done.candidates.iter().map(|candidate| candidate.object.key.as_str()).collect();
        assert_eq!(keys, left);
        let asked = if left.len() == 1 { vec![vec!["/a".to_owned()]] } else { vec![] };
        assert_eq!(*edge.asked.borrow(), asked);
    }
}

/// A batch of an earlier version does not say what its wildcards cover.
#[tokio::test]
async fn a_wildcard_is_checked_again_even_if_the_batch_does_not_say_what_it_covers() {
    let archive = near(&[("t/cold", "GLACIER", None)]);
    let other = Covered { domain: "other.s3.amazonaws.com".to_owned(), prefix: "t/".to_owned() };
    for (path, covers, found) in [
        ("/t/*", BTreeSet::new(), Some("such as t/cold, ")),
        ("/t/*", [other].into(), Some("such as t/cold in other, ")),
        ("/t/x", BTreeSet::new(), None),
    ] {
        let candidate = Candidate {
            object: row(&id("r"), "t/~x", State::Planned).object,
            restores: vec![id("r")],
            revisions: 0,
            readiness: None,
            paths: [("E1".to_owned(), [path.to_owned()].into())].into(),
            covers,
            namesakes: BTreeSet::new(),
        };
        let why = why_not_covered(&candidate, &archive, now()).await.unwrap();
        let says = why.map(|why| format!("{why:?}"));
        assert_eq!(says.is_some(), found.is_some(), "{path}: {says:?}");
        assert!(found.is_none_or(|found| says.is_some_and(|says| says.contains(found))), "{path}");
    }
}

#[tokio::test]
async fn the_current_version_of_a_key_decides_about_an_object_with_a_version() {
    let stack = Stack::default();
    let mut batch = batch_of(&["gone"], &stack).await;
    batch.candidates[0].object.version = Some("v1".to_owned());
    let left = without_what_is_gone(batch, &nobody_near(), &stack.ledger, now()).await.unwrap();
    assert!(left.candidates.is_empty());
}
