use super::copies::tests::{ELEVEN, TEN, restored, row};
use super::*;
use crate::{Decision, Row, State};

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn candidate(key: &str, restore: &str, paths: &[&str]) -> Candidate {
    Candidate {
        object: ObjectId { bucket: "archive".to_owned(), key: key.to_owned(), version: None },
        restores: vec![RestoreId::try_from(restore.to_owned()).unwrap()],
        revisions: 0,
        readiness: None,
        paths: [("E1".to_owned(), paths.iter().map(|path| (*path).to_owned()).collect())].into(),
        covers: BTreeSet::new(),
        namesakes: BTreeSet::new(),
    }
}

fn many(count: usize) -> Vec<Candidate> {
    (0..count).map(|n| candidate(&format!("{n:04}"), "r", &[&format!("/{n:04}")])).collect()
}

fn all(batch: &Batch) -> BTreeSet<ObjectId> {
    batch.candidates.iter().map(|candidate| candidate.object.clone()).collect()
}

#[test]
fn batches_hold_so_many_paths_at_most_and_lose_none() {
    let made = batches(many(1_000), now());
    assert_eq!(made.len(), 1_000_usize.div_ceil(PATHS_PER_BATCH));
    assert_eq!(made.iter().map(|batch| batch.candidates.len()).sum::<usize>(), 1_000);
    assert!(made.iter().all(|batch| batch.candidates.len() <= PATHS_PER_BATCH));
}

#[test]
fn candidates_share_a_row_if_object_and_restore_are_the_same() {
    let both = Candidate {
        restores: ["r", "s"].map(|id| RestoreId::try_from(id.to_owned()).unwrap()).into(),
        ..candidate("a", "r", &[])
    };
    for (other, shares) in [("r", true), ("s", true), ("t", false)] {
        assert_eq!(both.shares_a_row_with(&candidate("a", other, &[])), shares, "{other}");
        assert!(!both.shares_a_row_with(&candidate("b", other, &[])));
    }
}

#[test]
fn a_batch_has_one_wildcard_at_most() {
    let made = batches(vec![candidate("a~", "r", &["/a*"]), candidate("b~", "r", &["/b*"])], now());
    assert_eq!(made.len(), 2);
}

#[test]
fn long_keys_make_smaller_batches() {
    let of = |bytes: usize| {
        let key = |n| format!("{n:04}{}", "k".repeat(bytes - 4));
        let of_a_batch = (0..PATHS_PER_BATCH).map(|n| candidate(&key(n), "r", &[&format!("/{}", key(n))]));
        batches(of_a_batch.collect(), now()).len()
    };
    // Key and path count, 250,000 bytes in all.
    let longest = 250_000 / PATHS_PER_BATCH / 2;
    assert_eq!((of(longest - 1), of(longest + 1)), (1, 2));
}

/// Bytes that a batch takes in its item when it is sealed.
fn packed(candidates: Vec<Candidate>) -> usize {
    let sealed = sealed(candidates);
    let json = serde_json::to_value(&sealed).unwrap();
    assert_eq!(serde_json::from_value::<Batch>(json.clone()).unwrap(), sealed);
    json["packed"].as_array().unwrap().len()
}

fn wildcard(path: &str) -> Wildcard {
    Wildcard {
        endpoint: crate::Endpoint::Rest,
        distribution: "E1".to_owned(),
        path: path.to_owned(),
        bucket: "archive".to_owned(),
        prefix: path[1..path.len() - 1].to_owned(),
        covers: BTreeSet::new(),
    }
}

fn items(batch: &Batch) -> Vec<Vec<String>> {
    batch.calls.iter().flatten().map(|call| call.items.clone()).collect()
}

/// Three objects under `/a/`, and one beside it, sealed.
fn with_wildcard() -> Batch {
    let of = |key: &str| candidate(key, "r", &[&format!("/{key}")]);
    let made = folded(vec![of("a/1"), of("a/2"), of("b"), of("a/3")], vec![wildcard("/a/*")], now());
    assert_eq!(made.len(), 2, "what a wildcard stands for is a batch of its own");
    made[0].sealed(&all(&made[0]))
}

#[test]
fn a_wildcard_for_a_tilde_says_what_it_covers_also_where_it_stands_for_others() {
    let covers = BTreeSet::from([Covered { domain: "other.s3.amazonaws.com".to_owned(), prefix: "a/".to_owned() }]);
    let with_tilde = Candidate { covers: covers.clone(), ..candidate("a/~1", "r", &["/a/*"]) };
    let candidates = vec![candidate("a/1", "r", &["/a/1"]), with_tilde];
    let made = batches(candidates.clone(), now()).remove(0);
    assert_eq!(made.wildcards, [Wildcard { covers, ..wildcard("/a/*") }]);
    let sealed = made.sealed(&all(&made));
    assert_eq!(serde_json::from_value::<Batch>(serde_json::to_value(&sealed).unwrap()).unwrap(), sealed);
    // As earlier versions wrote it.
    let mut old = serde_json::to_value(&candidates[1]).unwrap();
    old.as_object_mut().unwrap().remove("covers");
    assert!(serde_json::from_value::<Candidate>(old).unwrap().covers.is_empty());
}

#[test]
fn a_wildcard_stands_for_the_paths_of_its_objects() {
    let batch = with_wildcard();
    assert_eq!(items(&batch), [["/a/*"]]);
    assert_eq!(all(&batch).len(), 3);
    let refused = batch.with_call(0, |call| call.refused = Some("no".to_owned()));
    assert!(refused.candidates.iter().all(|candidate| refused.refusal(candidate) == Some("no")));
    assert_eq!(packed_again(&batch), batch);
}

#[test]
fn a_batch_has_what_it_was_sealed_with_and_may_get_all_before() {
    let batch = &batches(many(2), now())[0];
    let [first, second] = [0, 1].map(|number| batch.candidates[number].object.clone());
    let sealed = batch.sealed(&[first.clone()].into());
    assert!(batch.has(&first) && batch.has(&second));
    assert!(sealed.has(&first) && !sealed.has(&second));
}

#[test]
fn an_item_is_folded_where_its_wildcard_was_found() {
    let batch = with_wildcard();
    let is_folded = [("E1", "/a/*"), ("E2", "/a/*"), ("E1", "/a/1")].map(|(id, item)| batch.is_folded(id, item));
    assert_eq!(is_folded, [true, false, false]);
}

#[test]
fn where_one_path_is_left_no_wildcard_is_asked_for() {
    let of = |key: &str| candidate(key, "r", &[&format!("/{key}")]);
    let batch = folded(vec![of("a/1"), of("a/2")], vec![wildcard("/a/*")], now()).remove(0);
    let first = [batch.candidates[0].object.clone()].into();
    assert_eq!(items(&batch.sealed(&first)), [["/a/1"]]);
}

#[test]
fn what_becomes_of_one_wildcard_leaves_the_others_alone() {
    let of = |key: &str| candidate(key, "r", &[&format!("/{key}")]);
    let all_keys = ["a/1", "a/2", "b/1", "b/2"].map(of).to_vec();
    let made = Batch::of(all_keys, vec![wildcard("/a/*"), wildcard("/b/*")], now());
    let batch = made.sealed(&all(&made));
    assert_eq!(items(&batch), [["/a/*"], ["/b/*"]]);
    let paths = |batch: &Batch| batch.wildcards.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
    let first = BTreeSet::from([of("a/1").object]);
    let left = batch.without(&first, &BTreeSet::new());
    assert_eq!((paths(&left), items(&left)), (vec!["/b/*".to_owned()], vec![vec!["/a/2".into()], vec!["/b/*".into()]]));
    let unfolded = batch.without(&BTreeSet::new(), &[wildcard("/a/*")].into());
    assert_eq!(items(&unfolded), [vec!["/a/1", "/a/2"], vec!["/b/*"]]);
    let split = batch.with_call_split(0);
    assert_eq!(
        (paths(&split), items(&split)),
        (vec!["/b/*".to_owned()], vec![vec!["/b/*".into()], vec!["/a/1".into(), "/a/2".into()]])
    );
    // A wildcard over objects that the batch did not get is none of its.
    assert_eq!(paths(&made.sealed(&[of("b/1").object, of("b/2").object].into())), ["/b/*"]);
    let elsewhere = Wildcard { distribution: "E2".to_owned(), ..wildcard("/a/*") };
    let two = Batch { wildcards: vec![elsewhere.clone(), wildcard("/a/*")], ..batch };
    assert_eq!(two.with_call_split(0).wildcards, [elsewhere]);
}

#[test]
fn a_refused_wildcard_makes_place_for_the_paths_it_stands_for() {
    let unfolded = with_wildcard().with_call_split(0);
    assert_eq!(items(&unfolded), [["/a/1", "/a/2", "/a/3"]]);
    assert_eq!(items(&unfolded.with_call_split(0)), [["/a/1"], ["/a/2"], ["/a/3"]]);
}

#[test]
fn no_wildcard_touches_what_went_away_meanwhile() {
    let batch = with_wildcard();
    let one = BTreeSet::from([batch.candidates[0].object.clone()]);
    let left = batch.without(&one, &BTreeSet::new());
    assert_eq!(
        (items(&left), left.wildcards.len(), left.revision),
        (vec![vec!["/a/2".to_owned(), "/a/3".to_owned()]], 0, 2)
    );
    let unfolded = batch.without(&BTreeSet::new(), &[wildcard("/a/*")].into());
    assert_eq!(items(&unfolded), [["/a/1", "/a/2", "/a/3"]]);
    assert_eq!(batch.without(&BTreeSet::new(), &BTreeSet::new()).calls, batch.calls);
    // What CloudFront has taken is taken.
    let taken = batch.with_call(0, |call| call.invalidation = Some("I1".to_owned()));
    assert_eq!(items(&taken.without(&one, &BTreeSet::new())), [["/a/*"]]);
    let refused = batch.with_call(0, |call| call.refused = Some("no".to_owned()));
    let waits = |batch: &Batch| one.iter().all(|object| batch.waits(object));
    assert_eq!([&batch, &left, &taken, &refused].map(waits), [true, false, false, false]);
    let unsealed = Batch { calls: None, ..batch };
    assert_eq!((unsealed.not_over(&one).wildcards.len(), unsealed.not_over(&BTreeSet::new()).wildcards.len()), (0, 1));
}

#[test]
fn a_wildcard_over_too_many_objects_is_taken_apart() {
    let of = |n: usize| candidate(&format!("a/{n:05}"), "r", &[&format!("/a/{n:05}")]);
    let made = folded((0..2_500).map(of).collect(), vec![wildcard("/a/0*")], now());
    let wildcards: Vec<_> = made.iter().flat_map(|batch| &batch.wildcards).map(|one| one.path.as_str()).collect();
    assert_eq!(wildcards, ["/a/02*", "/a/01*", "/a/00*"]);
    assert_eq!(made.iter().map(|batch| batch.candidates.len()).collect::<Vec<_>>(), [500, 1_000, 1_000]);
    let just_enough = folded((0..2_000).map(of).collect(), vec![wildcard("/a/0*")], now());
    assert_eq!(just_enough.iter().map(|batch| batch.wildcards.len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn what_is_shown_in_two_places_is_in_one_batch_with_both_wildcards() {
    let of = |key: &str| {
        let mut both = candidate(key, "r", &[&format!("/{key}")]);
        both.paths.insert("E2".to_owned(), [format!("/{key}")].into());
        both
    };
    let there = |path: &str| Wildcard { distribution: "E2".to_owned(), ..wildcard(path) };
    let made = folded(vec![of("a/1"), of("a/2"), of("b/1")], vec![wildcard("/a/*"), there("/*")], now());
    assert_eq!(made.len(), 1);
    let sealed = made[0].sealed(&all(&made[0]));
    assert_eq!(items(&sealed), [vec!["/a/*", "/b/1"], vec!["/*"]]);
}

#[test]
fn what_the_wildcard_for_a_tilde_takes_along_is_not_paid_for_once_more() {
    let tilde = |key: &str, path: &str| candidate(key, "r", &[path]);
    let of = |key: &str| candidate(key, "r", &[&format!("/{key}")]);
    let all_items = |candidates: Vec<Candidate>, wildcards: Vec<Wildcard>| {
        let made = folded(candidates, wildcards, now());
        made.iter().flat_map(|batch| items(&batch.sealed(&all(batch)))).collect::<Vec<_>>()
    };
    let both = || vec![tilde("t/x~1", "/t/x*"), of("t/xylophone"), of("t/y")];
    assert_eq!(all_items(both(), Vec::new()), [["/t/x*"], ["/t/y"]]);
    assert_eq!(all_items(vec![tilde("t/x~1", "/t/x*"), tilde("t/x~2", "/t/x*")], Vec::new()), [["/t/x*"]]);
    // Of wildcards inside each other the outermost is asked for, whichever of them is a path of its own.
    let more = || [both(), vec![of("t/xylem")]].concat();
    assert_eq!(all_items(more(), vec![wildcard("/t/xyl*")]), [["/t/x*"], ["/t/y"]]);
    assert_eq!(all_items(more(), vec![wildcard("/t/*")]), [["/t/*"]]);
    // Alone it is as any path.
    let alone = folded(vec![tilde("t/x~1", "/t/x*"), of("t/y")], Vec::new(), now());
    assert_eq!((alone.len(), alone[0].wildcards.len()), (1, 0));
    // Where the object with the `~` is gone, the others' own paths are asked for.
    let batch = folded(both(), Vec::new(), now()).into_iter().find(|batch| !batch.wildcards.is_empty()).unwrap();
    assert_eq!(batch.wildcards, [wildcard("/t/x*")]);
    let gone = BTreeSet::from([tilde("t/x~1", "").object]);
    assert_eq!(items(&batch.sealed(&all(&batch)).without(&gone, &BTreeSet::new())), [["/t/xylophone"]]);
}

#[test]
fn a_call_has_one_wildcard_and_no_more_paths_than_a_batch() {
    let batch = with_wildcard();
    let many: Vec<String> =
        (0..PATHS_PER_BATCH + 50).map(|n| format!("/{n:03}")).chain(["/x*".to_owned(), "/y*".to_owned()]).collect();
    let calls = batch.calls_of("E1", many.iter().map(String::as_str));
    assert_eq!(calls.iter().map(|call| call.items.len()).collect::<Vec<_>>(), [PATHS_PER_BATCH, 51, 1]);
}

fn packed_again(batch: &Batch) -> Batch {
    serde_json::from_value(serde_json::to_value(batch).unwrap()).unwrap()
}

#[test]
fn a_batch_of_typical_objects_takes_four_kilobytes_at_most() {
    let restore = "2026-11-22_photos_weddings-2019_standard_0123456789ab";
    let key = |n| format!("weddings/2019/06-{:02}/IMG_{:04}.CR2", n / 40, 2_000 + n * 7);
    let unversioned = || (0..PATHS_PER_BATCH).map(|n| candidate(&key(n), restore, &[&format!("/{}", key(n))]));
    let taken = packed(unversioned().collect());
    assert!(taken < 4_096, "{taken}");
    let versioned = unversioned().map(|mut candidate| {
        candidate.object.version = Some(crate::hash(&[&candidate.object.key])[..32].to_owned());
        candidate
    });
    let taken = packed(versioned.collect());
    assert!(taken < 4_096, "{taken}");
}

#[test]
fn a_batch_of_keys_without_a_pattern_fits_into_an_item() {
    // Every printable character of ASCII, and then others: a third of the path's length is not the key's.
    for alphabet in [(32..127).map(char::from).collect::<Vec<_>>(), ('\u{4e00}'..'\u{9fff}').collect()] {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()]
        };
        let mut key = || {
            let mut key = String::new();
            while key.len() < 1_000 {
                key.push(random());
            }
            key
        };
        let all = (0..PATHS_PER_BATCH)
            .map(|_| key())
            .map(|key| candidate(&key, "r", &[&format!("/{}", crate::encode_path(&key))]));
        let first = batches(all.collect(), now()).remove(0);
        let taken = packed(first.candidates);
        assert!(taken < 300_000, "{taken}");
    }
}

#[test]
fn the_order_of_candidates_does_not_matter() {
    let mut reversed = many(300);
    reversed.reverse();
    assert_eq!(batches(reversed, now()), batches(many(300), now()));
}

#[test]
fn the_next_copy_of_the_same_object_has_another_caller_reference() {
    let reference = |restore| {
        let batch = &batches(vec![candidate("a", restore, &["/a"])], now())[0];
        batch.sealed(&all(batch)).calls.unwrap()[0].caller_reference.clone()
    };
    assert_eq!(reference("one"), reference("one"));
    assert_ne!(reference("one"), reference("two"));
    assert!(reference("one").len() <= 128);
}

#[test]
fn an_object_whose_rows_changed_is_in_another_batch() {
    let of = |revisions| batches(vec![Candidate { revisions, ..many(1).remove(0) }], now()).remove(0).id;
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn what_another_batch_claimed_is_left_out() {
    let batch = &batches(many(3), now())[0];
    let mut claimed = all(batch);
    claimed.pop_first();
    let calls = batch.sealed(&claimed).calls.unwrap();
    assert_eq!(calls[0].items, ["/0001", "/0002"]);
    assert_eq!(all(&batch.sealed(&claimed)), claimed);
    assert!(batch.sealed(&BTreeSet::new()).calls.unwrap().is_empty());
}

fn sealed(candidates: Vec<Candidate>) -> Batch {
    let batch = &batches(candidates, now())[0];
    batch.sealed(&all(batch))
}

#[test]
fn every_change_of_a_batch_counts() {
    let sealed = sealed(many(2));
    assert_eq!(sealed.revision, 1);
    assert_eq!(sealed.with_call(0, |call| call.completed = true).revision, 2);
    assert_eq!(sealed.with_call_split(0).revision, 2);
}

#[test]
fn a_batch_is_completed_when_each_call_took_effect_or_was_refused() {
    assert!(!batches(many(1), now())[0].is_completed(), "it is not sealed");
    let split = sealed(many(2)).with_call_split(0);
    let completed = split.with_call(0, |call| call.completed = true);
    assert!(!split.is_completed() && !completed.is_completed());
    assert!(completed.with_call(1, |call| call.refused = Some("no".to_owned())).is_completed());
}

#[test]
fn a_refused_call_is_taken_apart_path_by_path() {
    let whole = sealed(many(3));
    let split = whole.with_call_split(0);
    let calls = split.calls.as_ref().unwrap();
    let items: Vec<_> = calls.iter().map(|call| call.items.clone()).collect();
    assert_eq!(items, [["/0000"], ["/0001"], ["/0002"]]);
    let references: BTreeSet<_> = calls.iter().map(|call| &call.caller_reference).collect();
    assert_eq!(references.len(), 3);
    // There is no fourth call.
    assert_eq!(split.with_call_split(3).calls, split.calls);
}

#[test]
fn a_claimed_row_stands_where_its_batch_says_once_cloudfront_is_done() {
    let later: Timestamp = ELEVEN.parse().unwrap();
    let split = sealed(many(2)).with_call_split(0);
    let one = split.with_call(0, |call| call.completed = true).noted(now());
    assert_eq!(one.completed_at, None, "it waits for the other call");
    let done = one.with_call(1, |call| call.refused = Some("no".to_owned())).noted(later);
    assert_eq!(done.clone().noted(now()), done, "when that was is noted once");
    let row = |number: usize, state| Row { object: many(2)[number].object.clone(), ..row(Decision::Restore, state) };
    let claimed = |by: &BatchId| State::Restored { at: now(), expires: Some(later), claim: Some(by.clone()) };
    let mine = |number| row(number, claimed(&done.id));
    let how = PublishedReason::Invalidated { batch: done.id.clone() };
    let published = State::Published { at: later, readable: now(), expires: Some(later), how };
    assert_eq!(mine(0).with_batch(&done), row(0, published), "and its revision is the ledger's");
    let refused = mine(1).with_batch(&done).state;
    let State::Failed { at, code: FailureCode::RefusedByCloudFront, message } = refused else { panic!("{refused:?}") };
    assert!(at == later && message.ends_with(": no"), "{message}");
    // Nothing is known yet, or it is not the batch's to say.
    let without = done.without(&[mine(0).object].into(), &BTreeSet::new());
    for (row, batch) in [
        (mine(0), &one),
        (mine(0), &without),
        (row(0, claimed(&BatchId::from("theirs".to_owned()))), &done),
        (row(0, restored(TEN, ELEVEN)), &done),
        (row(0, State::Cancelled { at: later }), &done),
    ] {
        assert_eq!(row.clone().with_batch(batch), row);
    }
}

#[test]
fn a_batch_of_an_earlier_version_was_completed_at_some_time_after_it_was_made() {
    let old = sealed(many(1)).with_call(0, |call| call.completed = true);
    let mut json = serde_json::to_value(old.clone().noted(now())).unwrap();
    assert!(json.as_object_mut().unwrap().remove("completed_at").is_some());
    let read: Batch = serde_json::from_value(json).unwrap();
    assert_eq!(read, old);
    let Some(Event::Published { at, .. }) = read.outcome(&many(1)[0].object) else { panic!("{read:?}") };
    assert_eq!(at, old.created_at);
}

#[test]
fn only_the_objects_of_a_refused_path_hear_of_the_refusal() {
    let batch = sealed(many(2)).with_call_split(0).with_call(1, |call| call.refused = Some("no".to_owned()));
    let refusals: Vec<_> = batch.candidates.iter().map(|candidate| batch.refusal(candidate)).collect();
    assert_eq!(refusals, [None, Some("no")]);
}

#[test]
fn a_batch_is_open_until_cloudfront_took_or_refused_each_call() {
    assert!(!batches(many(1), now())[0].is_open(), "it has no calls yet");
    let split = sealed(many(2)).with_call_split(0);
    let taken = split.with_call(0, |call| call.invalidation = Some("I1".to_owned()));
    assert!(split.is_open() && taken.is_open());
    assert!(!taken.with_call(1, |call| call.refused = Some("no".to_owned())).is_open());
    assert!(!taken.with_call(1, |call| call.invalidation = Some("I2".to_owned())).is_open());
}

#[test]
fn an_object_that_is_gone_takes_the_paths_along_that_nobody_else_wants() {
    let batch = sealed(vec![candidate("a", "r", &["/a", "/both"]), candidate("b", "r", &["/b", "/both"])]);
    let [a, b] = ["a", "b"].map(|key| candidate(key, "r", &[]).object);
    let left = batch.without(&[a.clone()].into(), &BTreeSet::new());
    assert_eq!((all(&left), left.revision), ([b.clone()].into(), batch.revision + 1));
    // What is asked for is another thing now, and no answer to the first may stand for it.
    assert_eq!(left.calls, Some(vec![Call::new(&batch.id, "E1", vec!["/b".to_owned(), "/both".to_owned()])]));
    let none = batch.without(&[a, b].into(), &BTreeSet::new());
    assert_eq!((none.candidates, none.calls), (Vec::new(), Some(Vec::new())));
    assert_eq!(batches(many(1), now())[0].without(&BTreeSet::new(), &BTreeSet::new()).calls, None);
}

#[test]
fn what_cloudfront_took_or_refused_stays_whoever_is_gone() {
    let batch = sealed(many(3)).with_call_split(0);
    let batch = batch.with_call(0, |call| call.invalidation = Some("I1".to_owned()));
    let batch = batch.with_call(1, |call| call.refused = Some("no".to_owned()));
    let left = batch.without(&all(&batch), &BTreeSet::new());
    assert_eq!(left.calls.as_deref(), batch.calls.as_ref().map(|calls| &calls[..2]));
}

#[test]
fn a_denied_call_leaves_an_object_to_the_other_distributions_that_show_it() {
    let both: BTreeMap<String, BTreeSet<String>> =
        ["E1", "E2"].map(|id| (id.to_owned(), BTreeSet::from(["/a".to_owned()]))).into();
    let only = [("E2".to_owned(), BTreeSet::from(["/b".to_owned()]))].into();
    let mut two = many(2);
    (two[0].paths, two[1].paths) = (both, only);
    let batch = sealed(two.clone());
    let deny = |batch: Batch, index: usize| {
        let of = batch.calls.as_ref().unwrap()[index].distribution.clone();
        batch.with_call(index, |call| match of.as_str() {
            "E1" => (call.invalidation, call.completed) = (Some("I1".to_owned()), true),
            _ => call.denied = Some("not allowed".to_owned()),
        })
    };
    let count = batch.calls.as_ref().unwrap().len();
    let done = (0..count).fold(batch, deny).noted(now());
    assert!(!done.is_open() && done.is_completed());
    assert!(matches!(done.outcome(&two[0].object), Some(Event::Published { .. })));
    let Some(Event::Failed { code, message, .. }) = done.outcome(&two[1].object) else { panic!("{done:?}") };
    assert!(code == FailureCode::RefusedByCloudFront && message.ends_with("not allowed"), "{message}");
}
