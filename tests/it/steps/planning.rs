//! What a plan begins, and what it leaves alone.

use serde_json::json;
use thaw_core::{Request, RestoreId, State, Status};
use thaw_sim::model::{FaultRule, PutRequest, SettingsChange, StorageClass};
use thaw_steps::StepError;
use thaw_steps::ledger::restores::RestoreRecord;
use thaw_steps::ports::Ledger;

use super::world::{BUCKET, World, ask, ask_with};

#[test]
fn only_chunks_with_something_to_ask_are_asked_for() {
    let world = World::new();
    world.put("cold", StorageClass::Glacier);
    world.put("warm", StorageClass::Standard);
    let planned = world.plan("warm", ask(&["warm"])).unwrap();
    assert_eq!(planned.chunks, [0; 0]);
    let planned = world.plan("both", ask(&["cold", "warm"])).unwrap();
    assert_eq!(planned.chunks, [0]);
    let says = "Of 2 objects: 1 to restore at Standard, 1 readable already, 0 that cannot be restored. Estimated $";
    assert!(planned.says.starts_with(says), "{}", planned.says);
}

#[test]
fn a_restore_that_was_cancelled_before_it_was_planned_asks_for_nothing() {
    let world = World::new();
    world.put("cold", StorageClass::Glacier);
    let id = RestoreId::try_from("r".to_owned()).unwrap();
    let asked = Request::parse(&ask(&["cold"])).unwrap();
    let cancelled = RestoreRecord { status: Status::Cancelled, ..RestoreRecord::new(id, &asked, world.now()) };
    world.run(world.ledger.insert(&cancelled)).unwrap();
    let planned = world.plan("r", ask(&["cold"])).unwrap();
    assert_eq!(planned.chunks, [0; 0]);
    assert!(world.rows().is_empty());
}

#[test]
fn a_cancel_that_died_before_it_reached_the_rows_is_finished_by_the_plans_next_try() {
    let world = World::new();
    world.put("cold", StorageClass::Glacier);
    world.plan("r", ask(&["cold"])).unwrap();
    let cancelled = world.record("r").with(|record| record.status = Status::Cancelled);
    world.run(world.ledger.replace(&cancelled)).unwrap();
    assert_eq!(world.plan("r", ask(&["cold"])).unwrap().chunks, [0; 0]);
    assert!(matches!(world.row("cold", "r").state, State::Cancelled { .. }));
}

#[test]
fn what_costs_as_much_as_it_may_is_planned() {
    let world = World::new();
    world.put("cold", StorageClass::Glacier);
    let cost = world.plan("one", ask(&["cold"])).unwrap().cost.total_usd;
    assert!(world.plan("two", ask_with(&["cold"], json!({"max_cost_usd": cost}))).is_ok());
}

/// Twenty keys in pages of one.
fn twenty_pages() -> World {
    let world = World::new();
    (0..20).for_each(|n| world.put(&format!("{n:02}"), StorageClass::Glacier));
    let small = SettingsChange { keys_per_page: Some(1), ..SettingsChange::default() };
    world.aws.with(|sim, _| sim.change_settings(&small));
    world
}

#[test]
fn a_call_that_meets_trouble_after_some_pages_hands_over_what_it_has() {
    let under = || json!({"bucket": BUCKET, "prefix": "", "max_cost_usd": 100});
    let world = twenty_pages();
    let fails_at = |page| vec![FaultRule::new("ListObjectsV2", "SlowDown").skip(page).times(1)];
    world.aws.with(|sim, _| sim.set_faults(fails_at(3)));
    assert!(matches!(world.plan("r", under()), Err(StepError::Throttled(_))), "little is lost, and it should wait");
    world.aws.with(|sim, _| sim.set_faults(fails_at(12)));
    let handed_over = world.plan("r", under()).unwrap();
    assert!(!handed_over.cursor.is_empty() && (8..15).contains(&handed_over.counts.total), "{handed_over:?}");
    world.pass(1);
    let planned = world.plan_from(&handed_over.cursor, "r", under(), || true).unwrap();
    assert_eq!((planned.cursor.as_str(), planned.counts.total, planned.chunks.as_slice()), ("", 20, &[0][..]));
}

#[test]
fn a_cancel_between_two_calls_ends_the_plan() {
    let under = || json!({"bucket": BUCKET, "prefix": "", "max_cost_usd": 100});
    let world = twenty_pages();
    let first = world.plan_from("", "r", under(), || false).unwrap();
    let cancelled = world.record("r").with(|record| record.status = Status::Cancelled);
    world.run(world.ledger.replace(&cancelled)).unwrap();
    let next = world.plan_from(&first.cursor, "r", under(), || false).unwrap();
    assert!(next.cursor.is_empty() && next.chunks.is_empty(), "{next:?}");
}

#[test]
fn of_two_chains_of_calls_the_one_that_ends_first_is_the_plan() {
    let under = || json!({"bucket": BUCKET, "prefix": "", "max_cost_usd": 100});
    let world = twenty_pages();
    let first = world.plan_from("", "r", under(), || false).unwrap();
    world.pass(1);
    // A call that was thought dead goes on, beside its second try.
    let second = world.plan_from("", "r", under(), || false).unwrap();
    world.put("99", StorageClass::Glacier);
    let planned = world.plan_from(&second.cursor, "r", under(), || true).unwrap();
    world.put("98", StorageClass::Glacier);
    let late = world.plan_from(&first.cursor, "r", under(), || true).unwrap();
    assert_eq!((planned.counts.total, planned.hash), (21, late.hash));
    assert_eq!(world.objects("r").len(), 21);
}

#[test]
fn a_manifest_that_is_changed_between_two_calls_ends_the_plan_in_words() {
    let world = World::new();
    let list = |keys: usize| {
        let lines: String = (0..keys).map(|n| format!("{BUCKET},{n:02}\n")).collect();
        let put = PutRequest::new(BUCKET, "list.csv", StorageClass::Standard, lines);
        world.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
    };
    list(20);
    let listed = || json!({"bucket": BUCKET, "manifest": format!("s3://{BUCKET}/list.csv")});
    let first = world.plan_from("", "r", listed(), || false).unwrap();
    list(21);
    let error = world.plan_from(&first.cursor, "r", listed(), || true).unwrap_err();
    assert!(matches!(error, StepError::InvalidRequest(_)) && error.to_string().contains("its ETag is"), "{error}");
}

#[test]
fn what_may_cost_too_much_is_refused_only_when_all_of_it_is_priced() {
    let world = twenty_pages();
    let under = || json!({"bucket": BUCKET, "prefix": "", "max_cost_usd": 0.000_01});
    let first = world.plan_from("", "r", under(), || false).unwrap();
    let error = world.plan_from(&first.cursor, "r", under(), || true).unwrap_err();
    assert!(error.to_string().contains("Nothing was spent"), "{error}");
    assert_eq!(world.aws.with(|sim, _| sim.calls("RestoreObject")), 0);
    assert!(world.record("r").plan.is_none() && world.rows().is_empty());
}
