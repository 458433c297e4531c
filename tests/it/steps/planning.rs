//! What a plan begins, and what it leaves alone.

use serde_json::json;
use thaw_core::{Request, RestoreId, State, Status};
use thaw_sim::model::StorageClass;
use thaw_steps::RestoreRecord;
use thaw_steps::ports::Ledger;

use super::world::{World, ask, ask_with};

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
