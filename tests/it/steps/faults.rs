//! What S3 answers when it does not simply say yes, and Lambdas that die.

use serde_json::json;
use thaw_core::{Event, FailureCode, State, Status};
use thaw_sim::model::{FaultRule, RetrievalRule, StorageClass};
use thaw_steps::StepError;
use thaw_steps::ports::Ledger;

use super::world::{World, ask, ask_with};

fn faults(world: &World, rules: Vec<FaultRule>) {
    world.aws.with(|sim, _| sim.set_faults(rules));
}

fn put_many(world: &World, count: usize) -> Vec<String> {
    let keys: Vec<_> = (0..count).map(|n| format!("dir/{n:04}")).collect();
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    keys
}

#[test]
fn without_expedited_capacity_standard_is_asked_for_or_the_object_fails() {
    for (choice, status) in [("standard", Status::Succeeded), ("fail", Status::Failed)] {
        let world = World::new();
        world.put("a", StorageClass::Glacier);
        faults(&world, vec![FaultRule::new("RestoreObject", "GlacierExpeditedRetrievalNotAvailable").times(1)]);
        let more = json!({"tier": "Expedited", "on_expedited_unavailable": choice});
        let (report, _) = world.restore("r", ask_with(&["a"], more));
        assert_eq!(report.status, status);
        if status == Status::Failed {
            let State::Failed { code, .. } = world.row("a", "r").state else { panic!() };
            assert_eq!(code, FailureCode::ExpeditedNotAvailable);
        }
    }
}

#[test]
fn every_refusal_is_one_objects_own() {
    for (code, http, failure) in [
        ("AccessDenied", 403, FailureCode::AccessDenied),
        ("NoSuchKey", 404, FailureCode::NoSuchKey),
        ("MethodNotAllowed", 405, FailureCode::DeleteMarker),
        ("MalformedXML", 400, FailureCode::RefusedByS3),
    ] {
        let world = World::new();
        let keys = put_many(&world, 5);
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        faults(&world, vec![FaultRule { status: Some(http), ..FaultRule::new("RestoreObject", code).on("0002") }]);
        let (report, _) = world.restore("r", ask(&keys));
        assert_eq!((report.counts.published, report.counts.failed), (4, 1), "{code}");
        let State::Failed { code, .. } = world.row("dir/0002", "r").state else { panic!() };
        assert_eq!(code, failure);
    }
}

#[test]
fn throttles_and_failures_of_s3_are_waited_out_and_asked_again_only_where_needed() {
    for code in ["SlowDown", "ThrottlingException", "InternalError", "ServiceUnavailable"] {
        let world = World::new();
        let keys = put_many(&world, 300);
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        faults(&world, vec![FaultRule::new("RestoreObject", code).times(100)]);
        let (report, _) = world.restore("r", ask(&keys));
        assert_eq!((report.status, report.counts.published), (Status::Succeeded, 300), "{code}");
        assert!(keys.iter().all(|key| world.calls(key).started == 1), "{code}");
    }
}

#[test]
fn answers_that_got_lost_lead_to_a_join_not_to_a_second_restore() {
    let world = World::new();
    let keys = put_many(&world, 20);
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    faults(&world, vec![FaultRule::new("RestoreObject", "InternalError").times(10).after()]);
    let (report, _) = world.restore("r", ask(&keys));
    assert_eq!(report.status, Status::Succeeded);
    assert!(keys.iter().all(|key| world.calls(key).started == 1));
    let joined = world.rows().iter().filter(|row| row.revision > 0).count();
    assert_eq!(joined, 20);
}

#[test]
fn an_object_that_came_back_while_the_answer_got_lost_is_published() {
    let world = World::new();
    world.put_in_tier("a", thaw_sim::model::AccessTier::ArchiveAccess);
    world.plan("r", ask_with(&["a"], json!({"tier": "Expedited"}))).unwrap();
    faults(&world, vec![FaultRule::new("RestoreObject", "InternalError").times(1).after()]);
    assert!(world.start_restores("r", 0).is_err());
    // The retry comes when S3 is done already, and says that there is nothing to restore.
    world.pass(3600);
    let wait = world.start_restores("r", 0).unwrap().wait_seconds;
    let (report, _) = world.finish("r", wait);
    assert_eq!((report.counts.published, world.invalidated()), (1, vec!["/a".to_owned()]));
}

#[test]
fn a_chunk_that_died_half_way_goes_on_where_it_died() {
    let world = World::new();
    let keys = put_many(&world, 250);
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    world.plan("r", ask(&keys)).unwrap();
    // A hundred objects are asked for; then the Lambda is gone, with what it had not written yet.
    faults(&world, vec![FaultRule::new("RestoreObject", "InternalError").skip(100)]);
    assert!(world.start_restores("r", 0).is_err());
    let noted = world.rows().iter().filter(|row| matches!(row.state, State::Restoring { .. })).count();
    assert_eq!(noted, 100);
    faults(&world, Vec::new());
    let wait = world.start_restores("r", 0).unwrap().wait_seconds;
    let (report, _) = world.finish("r", wait);
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 250));
    assert!(keys.iter().all(|key| world.calls(key).calls >= 1 && world.calls(key).started == 1));
}

#[test]
fn where_s3_takes_no_more_nothing_new_is_begun_and_what_it_took_is_noted() {
    let world = World::new();
    let keys = put_many(&world, 1_000);
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    world.plan("r", ask(&keys)).unwrap();
    faults(&world, vec![FaultRule::new("RestoreObject", "SlowDown").skip(300)]);
    assert!(matches!(world.start_restores("r", 0), Err(StepError::Throttled(_))));
    let rows = world.rows();
    // No more than are on their way at once.
    assert!(rows.len() < 400, "{} rows for 300 restores", rows.len());
    // The first 250 in their chunk, the other fifty in their rows.
    let noted = rows.iter().filter(|row| matches!(row.state, State::Restoring { .. })).count();
    assert_eq!(noted, 50);
    faults(&world, Vec::new());
    let wait = world.start_restores("r", 0).unwrap().wait_seconds;
    let (report, _) = world.finish("r", wait);
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 1_000));
    assert!(keys.iter().all(|key| world.calls(key).calls >= 1 && world.calls(key).started == 1));
}

#[test]
fn what_another_restore_began_and_left_is_finished_also_by_one_that_waits_for_others() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.put("deep", StorageClass::DeepArchive);
    world.begin("waits", ask_with(&["a", "deep"], json!({"publish": {"when": "together"}})));
    world.begin("dies", ask(&["a"]));
    world.pass(6 * 3600);
    for restore in ["waits", "dies"] {
        world.check_restores(restore).unwrap();
    }
    faults(
        &world,
        vec![FaultRule { status: Some(400), ..FaultRule::new("CreateInvalidation", "Throttling").times(1) }],
    );
    assert!(world.invalidate("dies").is_err(), "it has claimed both rows");
    assert!(world.check_restores("waits").unwrap().anything_to_invalidate);
    world.invalidate("waits").unwrap();
    assert_eq!(world.invalidated(), ["/a"]);
    assert!(!world.check_restores("waits").unwrap().anything_to_invalidate);
}

#[test]
fn a_step_that_runs_twice_does_what_it_does_once() {
    let world = World::new();
    let keys = put_many(&world, 10);
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let one = world.plan("r", ask(&keys)).unwrap();
    assert_eq!(world.plan("r", ask(&keys)).unwrap().counts, one.counts);
    world.start_restores("r", 0).unwrap();
    world.start_restores("r", 0).unwrap();
    world.pass(6 * 3600);
    world.check_restores("r").unwrap();
    world.check_restores("r").unwrap();
    world.invalidate("r").unwrap();
    world.invalidate("r").unwrap();
    world.pass(60);
    world.check_invalidations("r").unwrap();
    assert!(world.check_invalidations("r").unwrap().all_published);
    let report = world.report("r").unwrap();
    assert_eq!(world.report("r").unwrap(), report);
    assert!(keys.iter().all(|key| world.calls(key).calls == 1));
    assert_eq!(world.invalidated(), ["/dir/000*"]);
}

#[test]
fn what_s3_does_not_deliver_by_the_deadline_is_given_up_and_still_shown_when_it_comes() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let slow = RetrievalRule { key: "a".to_owned(), seconds: 60 * 3600 };
    world.aws.with(|sim, _| sim.set_retrieval_rules(vec![slow]));
    let (report, _) = world.restore("r", ask(&["a"]));
    assert_eq!(report.status, Status::Failed);
    let late = world.events.events().iter().filter(|(name, _)| name == "Restore Late").count();
    assert_eq!(late, 1, "said once");
    world.pass(24 * 3600);
    world.deliver(1);
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn an_object_that_is_deleted_meanwhile_fails_and_says_so() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let wait = world.begin("r", ask(&["a"]));
    world.aws.with(|sim, now| sim.delete_object(&thaw_sim::model::ObjectRef::new("archive", "a"), now).unwrap());
    let (report, _) = world.finish("r", wait);
    assert!(report.says.contains("deleted while it was being restored"), "{}", report.says);
}

#[test]
fn looks_list_where_keys_are_dense() {
    let world = World::new();
    let keys = put_many(&world, 1_000);
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let wait = world.begin("r", ask(&keys));
    let heads = world.aws.with(|sim, _| sim.calls("HeadObject"));
    world.finish("r", wait);
    let looked = world.aws.with(|sim, _| sim.calls("HeadObject")) - heads;
    assert!(looked < 100, "{looked} HEADs for a thousand objects of one prefix");
}

#[test]
fn a_cancelled_restore_asks_nothing_more_of_anybody() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.plan("r", ask(&["a"])).unwrap();
    let cancelled = world.record("r").with(|record| record.status = Status::Cancelled);
    world.run(world.ledger.replace(&cancelled)).unwrap();
    world.start_restores("r", 0).unwrap();
    assert_eq!(world.calls("a").calls, 0);
    assert!(matches!(world.row("a", "r").state, State::Cancelled { .. }));
    assert!(world.check_restores("r").unwrap().all_published);
    assert_eq!(world.report("r").unwrap().status, Status::Cancelled);
    let again = Event::Readable { at: world.now(), expires: None };
    assert_eq!(world.row("a", "r").after(&again), Ok(None));
}
