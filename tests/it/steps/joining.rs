//! Restores that other tools began.

use serde_json::{Value, json};
use thaw_core::{PublishedReason, State, Status};
use thaw_sim::model::{FaultRule, ObjectRef, RestoreRequest, RetrievalTier, StorageClass};

use super::world::{BUCKET, World, ask, ask_with};

fn by_hand(world: &World, key: &str, days: u32, tier: RetrievalTier) {
    let request = RestoreRequest::new(BUCKET, key, Some(days), Some(tier));
    world.aws.with(|sim, now| sim.restore_object(&request, now)).unwrap();
}

fn the_one_execution(world: &World) -> (String, Value) {
    let started = world.executions.started();
    assert_eq!(started.len(), 1, "one execution per batch: {started:?}");
    let (id, input) = started.into_iter().next().unwrap();
    (id.as_str().to_owned(), input)
}

#[test]
fn restores_begun_by_hand_are_joined_in_one_execution_and_published() {
    let world = World::new();
    world.put("stays", StorageClass::Glacier);
    for key in ["a", "b", "c"] {
        world.put(key, StorageClass::Glacier);
        by_hand(&world, key, 5, RetrievalTier::Bulk);
    }
    world.deliver(2);
    let (id, input) = the_one_execution(&world);
    assert_eq!(input["join_only"], json!(true));
    let wait = world.begin(&id, input);
    let (report, _) = world.finish(&id, wait);
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 3));
    assert!(["a", "b", "c"].iter().all(|key| world.calls(key).calls == 1), "S3 is asked for nothing");
    let paths: std::collections::BTreeSet<_> = world.invalidated().into_iter().collect();
    assert_eq!(paths, ["/a", "/b", "/c"].map(str::to_owned).into());
}

#[test]
fn the_same_messages_again_start_nothing_more() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    by_hand(&world, "a", 5, RetrievalTier::Bulk);
    let event = world.aws.with(thaw_sim::Sim::take_events)[0].to_json().to_string();
    let batch = json!({"Records": [{"messageId": "1", "body": event}]});
    world.initiated(batch.clone());
    world.initiated(batch);
    the_one_execution(&world);
}

#[test]
fn what_another_stack_restores_is_a_restore_of_somebody_else() {
    let first = World::new();
    let second = first.beside();
    first.put("a", StorageClass::Glacier);
    let wait = first.begin("r", ask(&["a"]));
    // S3 tells both stacks.
    let event = first.aws.with(thaw_sim::Sim::take_events)[0].to_json().to_string();
    let batch = json!({"Records": [{"messageId": "1", "body": event}]});
    first.initiated(batch.clone());
    assert!(first.executions.started().is_empty(), "its own");
    second.initiated(batch.clone());
    let (id, input) = the_one_execution(&second);
    let joined = second.begin(&id, input);

    let ((report, _), (other, _)) = (first.finish("r", wait), second.finish(&id, joined));
    for report in [report, other] {
        assert_eq!((report.status, report.counts.published), (Status::Succeeded, 1));
    }
    assert_eq!(first.calls("a").calls, 1, "S3 is asked once");
    assert_eq!(first.invalidated(), ["/a", "/a"], "and CloudFront by each stack");

    let mut third = first.beside();
    third.settings.joined_max_cost = thaw_core::Usd::from_f64(0.0);
    third.initiated(batch);
    assert!(third.executions.started().is_empty(), "JoinedMaxCostUsd is 0");
}

/// What one object costs that others restored: its path and thaw's part.
fn price_of_one() -> thaw_core::Usd {
    thaw_core::PriceList::US_EAST_1.invalidation(1)
        + thaw_core::PriceList::US_EAST_1.overhead(thaw_core::Overhead::expected(1))
}

#[test]
fn restores_of_others_are_joined_for_as_much_as_may_be_spent_on_a_day_and_then_left_alone() {
    let mut world = World::new();
    // Two of them, and some cents.
    world.settings.joined_max_cost = thaw_core::Usd::from_f64(price_of_one().as_f64() * 2.5);
    for n in 0..5 {
        let key = format!("a{n}");
        world.put(&key, StorageClass::Glacier);
        by_hand(&world, &key, 5, RetrievalTier::Bulk);
        // Each by itself, and twice.
        let event = world.aws.with(thaw_sim::Sim::take_events)[0].to_json().to_string();
        let batch = json!({"Records": [{"messageId": "1", "body": event}]});
        for _ in 0..2 {
            assert!(world.initiated(batch.clone()).batch_item_failures.is_empty());
        }
        world.pass(60);
    }
    assert_eq!(world.executions.started().len(), 2);
    let limits: Vec<_> = world.executions.started().values().map(|input| input["max_cost_usd"].clone()).collect();
    assert_eq!(limits, [json!(price_of_one()), json!(price_of_one())], "and their plans may find nothing dearer");
    let notices = || world.events.events().into_iter().filter(|(name, _)| name == "Restores Not Joined");
    let (_, notice) = notices().next().unwrap();
    assert_eq!((notices().count(), &notice["objects"]), (1, &json!(1)), "the day's first is told of");
    let says = notice["says"].as_str().unwrap();
    assert!(says.contains("POST /v1/adoptions") && says.contains("JoinedMaxCostUsd"), "{says}");
    assert!(world.rows().is_empty(), "nothing is written for what is left alone");
    // The next day has a limit of its own, and a notice.
    world.pass(86_400);
    for n in 5..8 {
        let key = format!("a{n}");
        world.put(&key, StorageClass::Glacier);
        by_hand(&world, &key, 5, RetrievalTier::Bulk);
        let event = world
            .aws
            .with(thaw_sim::Sim::take_events)
            .iter()
            .rev()
            .find(|event| event.object.key == key)
            .unwrap()
            .to_json();
        world.initiated(json!({"Records": [{"messageId": "1", "body": event.to_string()}]}));
    }
    assert_eq!((world.executions.started().len(), notices().count()), (4, 2));
}

#[test]
fn what_others_restore_is_published_for_what_it_was_priced_at() {
    let mut world = World::new();
    world.settings.joined_max_cost = Some(price_of_one());
    world.put("a", StorageClass::Glacier);
    by_hand(&world, "a", 5, RetrievalTier::Bulk);
    world.deliver(2);
    let (id, input) = the_one_execution(&world);
    let wait = world.begin(&id, input);
    let (report, _) = world.finish(&id, wait);
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 1));
}

#[test]
fn a_running_restore_is_joined_and_made_faster_where_the_days_agree() {
    let world = World::new();
    world.put("same", StorageClass::Glacier);
    world.put("other", StorageClass::Glacier);
    by_hand(&world, "same", 3, RetrievalTier::Bulk);
    by_hand(&world, "other", 9, RetrievalTier::Bulk);
    let (report, _) = world.restore("r", ask(&["same", "other"]));
    assert_eq!(report.counts.published, 2);
    assert_eq!((world.calls("same").upgraded, world.calls("other").upgraded), (1, 0));
}

#[test]
fn whatever_s3_refuses_of_a_join_it_goes_on_fetching() {
    for (status, code) in [(400, "InvalidRequest"), (403, "AccessDenied"), (409, "RestoreAlreadyInProgress")] {
        let world = World::new();
        world.put("a", StorageClass::Glacier);
        by_hand(&world, "a", 9, RetrievalTier::Bulk);
        world.plan("r", ask(&["a"])).unwrap();
        let refused = FaultRule { status: Some(status), ..FaultRule::new("RestoreObject", code) };
        world.aws.with(|sim, _| sim.set_faults(vec![refused]));
        let asked = world.start_restores("r", 0).unwrap();
        assert!(matches!(world.row("a", "r").state, State::Restoring { joined: true, .. }), "{code}");
        let (report, _) = world.finish("r", asked.wait_seconds);
        assert_eq!((report.status, report.counts.published), (Status::Succeeded, 1), "{code}");
    }
    // Unless there is nothing to fetch any more.
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    by_hand(&world, "a", 9, RetrievalTier::Bulk);
    world.plan("r", ask(&["a"])).unwrap();
    world.aws.with(|sim, now| sim.delete_object(&ObjectRef::new(BUCKET, "a"), now)).unwrap();
    assert_eq!(world.start_restores("r", 0).unwrap().counts.failed, 1);
}

#[test]
fn who_hurries_up_a_restore_of_thaws_repeats_its_days_and_says_that_the_copy_ends_early() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let wait = world.begin("slow", ask_with(&["a"], json!({"tier": "Bulk", "days": 1})));
    let (report, _) = world.restore("fast", ask_with(&["a"], json!({"tier": "Standard", "days": 30})));
    assert_eq!((report.status, world.calls("a").upgraded), (Status::Succeeded, 1), "S3 refuses other days than those");
    assert!(report.says.contains("before the 30 days are over") && report.says.contains("/extend"), "{}", report.says);
    let (report, _) = world.finish("slow", wait);
    assert!(!report.says.contains("days are over"), "{}", report.says);
}

#[test]
fn a_copy_of_anothers_request_that_won_is_kept_for_the_days_that_were_asked_for() {
    for (theirs, ends_early) in [(1, true), (9, false)] {
        let world = World::new();
        world.put("a", StorageClass::Glacier);
        world.plan("r", ask_with(&["a"], json!({"days": 9}))).unwrap();
        by_hand(&world, "a", theirs, RetrievalTier::Standard);
        let asked = world.start_restores("r", 0).unwrap();
        let (report, _) = world.finish("r", asked.wait_seconds);
        assert_eq!(report.status, Status::Succeeded);
        assert_eq!(report.says.contains("before the 9 days are over"), ends_early, "{}", report.says);
        assert_eq!(world.executions.started().is_empty(), !ends_early);
        if !ends_early {
            continue;
        }
        let (id, input) = the_one_execution(&world);
        assert!(report.says.contains(&format!("Restore {id} keeps them for 9 days from now")), "{}", report.says);
        let now = world.now();
        let (report, _) = world.restore(&id, input);
        assert_eq!((report.status, world.calls("a").extended), (Status::Succeeded, 1), "{}", report.says);
        assert_eq!((world.executions.started().len(), world.invalidated().len()), (1, 1), "one is enough");
        let State::Published { expires: Some(expires), .. } = world.row("a", &id).state else { panic!() };
        assert!(expires.duration_since(now).as_hours() >= 9 * 24, "{expires}");
    }
}

#[test]
fn keeping_copies_of_anothers_request_costs_no_more_than_was_planned() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.plan("r", ask_with(&["a"], json!({"days": 9}))).unwrap();
    by_hand(&world, "a", 1, RetrievalTier::Standard);
    let asked = world.start_restores("r", 0).unwrap();
    world.finish("r", asked.wait_seconds);
    let (_, input) = the_one_execution(&world);
    let planned = world.record("r").plan.unwrap().cost.total_usd;
    assert_eq!(input["max_cost_usd"], json!(planned));
}

#[test]
fn what_others_restored_between_the_plan_and_its_row_is_published_at_once() {
    let world = World::new();
    for key in ["soon", "later"] {
        world.put(key, StorageClass::Glacier);
        by_hand(&world, key, 3, RetrievalTier::Bulk);
    }
    let request = json!({"bucket": BUCKET, "keys": ["soon", "later"], "tier": "Bulk"});
    world.plan("r", request).unwrap();
    let faster = RestoreRequest::new(BUCKET, "soon", Some(3), Some(RetrievalTier::Expedited));
    world.aws.with(|sim, now| sim.restore_object(&faster, now)).unwrap();
    world.pass(600);
    // S3 tells of it, and nobody is there to listen.
    world.deliver(1);
    assert!(world.invalidated().is_empty());
    let output = world.start_restores("r", 0).unwrap();
    assert_eq!((output.wait_seconds, output.counts.restored, output.counts.restoring), (0, 1, 1));
    world.check_restores("r").unwrap();
    world.invalidate("r").unwrap();
    assert_eq!(world.invalidated(), ["/soon"]);
    assert_eq!(world.calls("soon").calls, 2, "S3 is asked for nothing");
}

#[test]
fn a_completion_joined_by_nobody_is_no_error() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    by_hand(&world, "a", 3, RetrievalTier::Expedited);
    world.pass(600);
    let events = world.aws.with(thaw_sim::Sim::take_events);
    let completed = events
        .iter()
        .map(thaw_sim::model::Event::to_json)
        .find(|event| event["detail-type"] == "Object Restore Completed");
    let response = world.completed(json!({"Records": [{"messageId": "1", "body": completed.unwrap().to_string()}]}));
    assert!(response.batch_item_failures.is_empty());
    assert!(world.invalidated().is_empty());
}

#[test]
fn messages_whose_invalidation_must_wait_come_again() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask(&["a"]));
    world.pass(5 * 3600);
    world.aws.with(|sim, _| sim.set_faults(vec![FaultRule::new("CreateInvalidation", "Throttling").times(1)]));
    let events = world.aws.with(thaw_sim::Sim::take_events);
    let batch = json!({"Records": [{"messageId": "1", "body": events.last().unwrap().to_json().to_string()}]});
    assert_eq!(world.completed(batch.clone()).batch_item_failures.len(), 1);
    assert!(world.completed(batch).batch_item_failures.is_empty());
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn joining_what_is_not_being_restored_costs_nothing_and_says_so() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let (report, _) = world.restore("r", ask_with(&["a"], json!({"join_only": true})));
    assert_eq!(report.status, Status::Failed);
    assert_eq!(world.calls("a").calls, 0);
    assert!(!matches!(world.row("a", "r").state, State::Published { how: PublishedReason::NoPath, .. }));
}
