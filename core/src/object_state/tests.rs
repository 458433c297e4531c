use super::*;
use crate::Counts;

fn at() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn batch(name: &str) -> BatchId {
    BatchId::from(name.to_owned())
}

fn restored(claim: Option<&str>) -> State {
    State::Restored { at: at(), expires: None, claim: claim.map(batch) }
}

fn failed(code: FailureCode) -> State {
    State::Failed { at: at(), code, message: String::new() }
}

fn states() -> Vec<State> {
    vec![
        State::Planned,
        State::Available,
        State::Restoring { since: at(), tier: Tier::Standard, joined: false },
        restored(None),
        restored(Some("a")),
        State::Published { at: at(), readable: at(), expires: None, how: PublishedReason::NoPath },
        failed(FailureCode::NoSuchKey),
        failed(FailureCode::RetrievalTimedOut),
        State::Cancelled { at: at() },
    ]
}

fn events() -> Vec<Event> {
    vec![
        Event::Requested { at: at(), tier: Tier::Standard },
        Event::Joined { at: at(), tier: Tier::Standard },
        Event::Readable { at: at(), expires: None },
        Event::NotArchived,
        Event::Claimed { batch: batch("a") },
        Event::Claimed { batch: batch("b") },
        Event::Released { batch: batch("a") },
        Event::Published { at: at(), how: PublishedReason::NoPath },
        Event::Published { at: at(), how: PublishedReason::Invalidated { batch: batch("a") } },
        Event::Failed { at: at(), code: FailureCode::NoSuchKey, message: String::new() },
        Event::Cancelled { at: at() },
    ]
}

#[test]
fn an_object_that_s3_may_still_deliver_is_not_final() {
    let is_final = |state| row(state, PublishWhen::Each).is_final();
    let final_ones: Vec<bool> = states().into_iter().map(is_final).collect();
    assert_eq!(final_ones, [false, true, false, false, false, true, true, false, true]);
}

#[test]
fn any_event_twice_is_as_good_as_once() {
    for state in states() {
        for event in events() {
            if let Ok(Some(once)) = advance(&state, &event) {
                assert_eq!(advance(&once, &event), Ok(None), "{state:?} {event:?}");
            }
        }
    }
}

#[test]
fn a_published_object_stays_published_whatever_comes() {
    for event in events() {
        assert_eq!(advance(&states()[5], &event), Ok(None));
    }
}

#[test]
fn a_request_that_is_recorded_after_the_completion_changes_nothing() {
    let event = Event::Readable { at: at(), expires: None };
    let state = advance(&State::Planned, &event).unwrap().unwrap();
    assert_eq!(advance(&state, &Event::Requested { at: at(), tier: Tier::Bulk }), Ok(None));
}

#[test]
fn only_one_batch_can_claim_an_object() {
    assert!(advance(&restored(Some("a")), &Event::Claimed { batch: batch("b") }).is_err());
    let by_b = Event::Published { at: at(), how: PublishedReason::Invalidated { batch: batch("b") } };
    assert!(advance(&restored(Some("a")), &by_b).is_err());
    assert!(advance(&restored(None), &by_b).is_err());
}

#[test]
fn events_written_together_are_one_revision() {
    let events =
        [Event::Readable { at: at(), expires: None }, Event::Claimed { batch: batch("a") }, Event::NotArchived];
    for state in [State::Planned, states()[2].clone(), failed(FailureCode::RetrievalTimedOut)] {
        let after = row(state.clone(), PublishWhen::Each).after_all(&events).unwrap().unwrap();
        assert_eq!((&after.state, after.revision), (&restored(Some("a")), 8), "{state:?}");
        assert_eq!(after.after_all(&events), Ok(None));
    }
    assert_eq!(row(State::Cancelled { at: at() }, PublishWhen::Each).after_all(&events), Ok(None));
    let taken = row(restored(Some("b")), PublishWhen::Each);
    assert!(taken.after_all(&events).is_err(), "another batch has it");
}

#[test]
fn only_the_batch_that_holds_a_claim_releases_it() {
    let released = |by: &str| Event::Released { batch: batch(by) };
    assert_eq!(advance(&restored(Some("a")), &released("a")), Ok(Some(restored(None))));
    assert_eq!(advance(&restored(Some("a")), &released("b")), Ok(None));
    assert_eq!(advance(&restored(None), &released("a")), Ok(None));
}

#[test]
fn an_object_that_was_given_up_is_still_shown_when_s3_delivers() {
    let event = Event::Readable { at: at(), expires: None };
    assert_eq!(advance(&failed(FailureCode::RetrievalTimedOut), &event), Ok(Some(restored(None))));
    assert_eq!(advance(&failed(FailureCode::NoSuchKey), &event), Ok(None));
}

fn row(state: State, when: PublishWhen) -> Row {
    Row {
        object: ObjectId { bucket: "archive".to_owned(), key: "a".to_owned(), version: None },
        restore: RestoreId::try_from("r".to_owned()).unwrap(),
        size: 1,
        kind: Some(ArchiveKind::Flexible),
        decision: Decision::Restore,
        publish: Publish { when, ..Publish::default() },
        current: true,
        planned_at: at(),
        place: None,
        held_until: None,
        state,
        revision: 7,
    }
}

#[test]
fn a_row_counts_its_changes() {
    let row = row(State::Planned, PublishWhen::Each);
    let cancelled = row.after(&Event::Cancelled { at: at() }).unwrap().unwrap();
    assert_eq!((&cancelled.state, cancelled.revision), (&State::Cancelled { at: at() }, 8));
    assert_eq!(cancelled.after(&Event::NotArchived), Ok(None));
}

#[test]
fn the_batch_that_holds_a_claim_publishes() {
    let how = PublishedReason::Invalidated { batch: batch("a") };
    let published = State::Published { at: at(), readable: at(), expires: None, how: how.clone() };
    assert_eq!(advance(&restored(Some("a")), &Event::Published { at: at(), how }), Ok(Some(published)));
    assert_eq!(restored(Some("a")).claim(), Some(&batch("a")));
}

#[test]
fn a_retrieval_that_already_ran_may_complete_in_the_second_of_the_plan() {
    let planned: Timestamp = "2026-11-22T10:00:00.777Z".parse().unwrap();
    let concerned = |decision, time: &str| {
        let row = Row { decision, planned_at: planned, ..row(State::Planned, PublishWhen::Each) };
        row.is_concerned_by(time.parse().unwrap())
    };
    for (decision, in_that_second) in [
        (Decision::Watch, true),
        (Decision::Join, true),
        (Decision::Restore, false),
        (Decision::Extend, false),
        (Decision::Nothing, false),
    ] {
        let times = ["2026-11-22T09:59:59Z", "2026-11-22T10:00:00Z", "2026-11-22T10:00:01Z"];
        assert_eq!(times.map(|time| concerned(decision, time)), [false, in_that_second, true], "{decision:?}");
    }
}

#[test]
fn a_cancel_ends_what_is_open_and_claimed_by_no_batch() {
    let ends: Vec<_> =
        states().into_iter().filter(|state| row((*state).clone(), PublishWhen::Each).ends_with_a_cancel()).collect();
    let open = [State::Planned, State::Restoring { since: at(), tier: Tier::Standard, joined: false }];
    assert_eq!(ends, [&open[..], &[restored(None)]].concat());
}

#[test]
fn a_cancel_leaves_what_a_batch_has_claimed() {
    let cancelled = Event::Cancelled { at: at() };
    assert_eq!(advance(&restored(Some("a")), &cancelled), Ok(None));
    assert_eq!(advance(&restored(None), &cancelled), Ok(Some(State::Cancelled { at: at() })));
}

#[test]
fn a_state_is_serialised_under_its_word() {
    for state in states() {
        assert_eq!(serde_json::to_value(&state).unwrap()["state"], state.as_str());
    }
}

#[test]
fn a_readable_object_is_settled_only_where_nothing_is_to_be_published() {
    for state in states() {
        let open = matches!(state, State::Planned | State::Restoring { .. } | State::Restored { .. });
        let readable = matches!(state, State::Restored { .. });
        assert_eq!(row(state.clone(), PublishWhen::Each).is_settled(), !open, "{state:?}");
        assert_eq!(row(state.clone(), PublishWhen::Never).is_settled(), !open || readable, "{state:?}");
    }
}

#[test]
fn publishing_together_waits_for_objects_on_their_way() {
    for state in states() {
        let readable = matches!(state, State::Restored { .. });
        let on_its_way = matches!(state, State::Planned | State::Restoring { .. });
        for others in [false, true] {
            let is_due = |when| row(state.clone(), when).is_to_publish(others, at());
            assert_eq!([PublishWhen::Each, PublishWhen::Never].map(is_due), [readable, false], "{state:?}");
            assert_eq!(is_due(PublishWhen::Together), readable && !others, "{state:?}");
        }
        assert_eq!(Counts::of(&[row(state.clone(), PublishWhen::Together)]).on_their_way() > 0, on_its_way);
    }
}

fn after_hours(hours: u64) -> Timestamp {
    at() + Duration::from_secs(hours * 3_600)
}

#[test]
fn an_object_waits_for_a_neighbour_until_its_next_look_and_no_longer_than_its_copy_lives() {
    let copy = State::Restored { at: at(), expires: Some(after_hours(36)), claim: None };
    let copy = row(copy, PublishWhen::Each);
    let held = copy.waiting_for_neighbour(3 * 3_600, at()).unwrap();
    assert_eq!((held.held_until, held.revision), (Some(after_hours(3)), copy.revision + 1));
    // The look that finds the neighbour is a little earlier.
    let second = Duration::from_secs(1);
    let early = after_hours(3) - Duration::from_secs(60);
    let is_due = |now| held.is_to_publish(true, now);
    assert_eq!([early - second, early].map(is_due), [false, true]);
    assert!(held.is_held_back(true, at()) && !held.is_held_back(true, early));
    let last = copy.waiting_for_neighbour(3_600, after_hours(23) + second).unwrap();
    assert_eq!(last.held_until, Some(after_hours(24)));
    assert_eq!(copy.waiting_for_neighbour(3_600, after_hours(24)), None);
    // What has no copy waits as long as any retrieval may take.
    let for_good = row(restored(None), PublishWhen::Each);
    let week = after_hours(7 * 24);
    assert!(for_good.waiting_for_neighbour(60, week - second).is_some());
    assert_eq!(for_good.waiting_for_neighbour(60, week), None);
    let longest = ArchiveKind::ALL.into_iter().flat_map(|kind| Tier::ALL.map(|tier| kind.window(tier)));
    assert_eq!(longest.flatten().map(crate::Window::deadline).max(), Some(LONGEST_WAIT));
}

#[test]
fn what_is_not_readable_or_claimed_waits_for_no_neighbour_and_every_change_ends_the_waiting() {
    for state in states() {
        let waits = matches!(state, State::Restored { claim: None, .. });
        assert_eq!(row(state.clone(), PublishWhen::Each).waiting_for_neighbour(60, at()).is_some(), waits, "{state:?}");
    }
    let held = row(restored(None), PublishWhen::Each).waiting_for_neighbour(3_600, at()).unwrap();
    assert_eq!(held.held(at()), Some(after_hours(1)));
    for event in [
        Event::Claimed { batch: batch("a") },
        Event::Cancelled { at: at() },
        Event::Readable { at: at(), expires: Some(after_hours(48)) },
    ] {
        assert_eq!(held.after(&event).unwrap().unwrap().held_until, None, "{event:?}");
    }
}

/// `tests/it/steps/history.rs` counts on it.
#[test]
fn an_object_is_tried_few_times_even_in_a_year() {
    let copy = State::Restored { at: at(), expires: Some(after_hours(366 * 24)), claim: None };
    let copy = row(copy, PublishWhen::Each);
    let (mut now, mut tries) = (at(), 0);
    // Each neighbour is due at once, and then there is another.
    while let Some(held) = copy.waiting_for_neighbour(0, now) {
        now = held.held_until.unwrap();
        tries += 1;
    }
    assert!(tries <= 45, "{tries} tries");
}

#[test]
fn the_latest_expiry_from_s3_applies_until_a_batch_claims_the_object() {
    let until = |hours: u32, claim: Option<&str>| State::Restored {
        at: at(),
        expires: Some(at() + hours * Duration::from_secs(3_600)),
        claim: claim.map(batch),
    };
    let later = at() + Duration::from_secs(60);
    let event = |hours: u32| Event::Readable { at: later, expires: Some(at() + hours * Duration::from_secs(3_600)) };
    assert_eq!(advance(&until(72, None), &event(30)), Ok(Some(until(30, None))));
    assert_eq!(advance(&until(72, None), &event(72)), Ok(None));
    assert_eq!(advance(&until(72, Some("a")), &event(30)), Ok(None));
}

#[test]
fn only_a_copy_that_waits_for_others_is_held_back() {
    let day = Duration::from_secs(86_400);
    let copy = |claim: Option<&str>| State::Restored { at: at(), expires: Some(at() + day), claim: claim.map(batch) };
    let is_held_back =
        |state: State, when, hours: u32| row(state, when).is_held_back(true, at() + hours * Duration::from_secs(3_600));
    assert!(is_held_back(copy(None), PublishWhen::Together, 11));
    assert!(!is_held_back(copy(None), PublishWhen::Together, 12), "it waits no longer");
    assert!(!is_held_back(copy(Some("a")), PublishWhen::Together, 0), "a batch has it");
    assert!(!is_held_back(restored(None), PublishWhen::Together, 0), "it has no copy");
    assert!(!is_held_back(State::Planned, PublishWhen::Together, 0), "it is on its way itself");
    assert!(!is_held_back(copy(None), PublishWhen::Each, 0));
    assert!(!is_held_back(copy(None), PublishWhen::Never, 0));
    let alone = row(copy(None), PublishWhen::Together);
    assert!(!alone.is_held_back(false, at()), "nobody is left to wait for");
}

#[test]
fn nothing_waits_for_others_when_its_copy_has_half_a_day_left() {
    let expires: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
    let copy = State::Restored { at: at(), expires: Some(expires), claim: None };
    let noon: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let [copy, for_good] = [copy, restored(None)].map(|state| row(state, PublishWhen::Together));
    assert_eq!((copy.waits_until(), for_good.waits_until()), (Some(noon), None));
    assert_eq!(row(states()[2].clone(), PublishWhen::Together).waits_until(), None);
    let second = Duration::from_secs(1);
    assert_eq!([noon - second, noon, noon + second].map(|now| copy.is_to_publish(true, now)), [false, true, true]);
    assert!(!for_good.is_to_publish(true, expires));
}

#[test]
fn nothing_is_published_before_it_is_readable() {
    for state in [State::Planned, states()[2].clone()] {
        for how in [PublishedReason::NoPath, PublishedReason::NothingStale, PublishedReason::AlreadyPublished] {
            assert!(advance(&state, &Event::Published { at: at(), how }).is_err());
        }
    }
}
