//! Makes a failing world small: whatever can be left out while the same promise stays broken is left out.

use crate::world::{ActionKind, Object, World};

/// Worlds that are tried at most. Each takes milliseconds.
const TRIES: u32 = 4_000;

/// The smallest world found that still breaks what this one breaks. `broken` runs a world and names its first broken
/// promise.
pub fn shrunk(world: &World, broken: impl Fn(&World) -> Option<&'static str>) -> World {
    let Some(promise) = broken(world) else { return world.clone() };
    let mut smallest = world.clone();
    let mut tries = 0;
    loop {
        let smaller = simpler(&smallest).into_iter().find(|world| {
            tries += 1;
            tries < TRIES && broken(world) == Some(promise)
        });
        match smaller {
            Some(world) => smallest = world,
            None => return smallest,
        }
    }
}

/// Worlds with one thing less, the largest steps first.
fn simpler(world: &World) -> Vec<World> {
    let mut worlds = Vec::new();
    let mut with = |change: &dyn Fn(&mut World)| {
        let mut simpler = world.clone();
        change(&mut simpler);
        if simpler != *world {
            worlds.push(simpler);
        }
    };
    with(&|world| world.call_faults.clear());
    with(&|world| world.invocation_faults.clear());
    with(&|world| world.execution_kills.clear());
    with(&|world| world.outages.clear());
    with(&|world| world.event_faults.clear());
    with(&|world| world.actions.retain(|act| !matches!(act.kind, ActionKind::ViewObject { .. })));
    for object in &world.objects {
        with(&|world| without(world, object.id));
    }
    for index in 0..world.actions.len() {
        with(&|world| {
            world.actions.remove(index);
        });
    }
    for index in 0..world.call_faults.len() {
        with(&|world| {
            world.call_faults.remove(index);
        });
    }
    for index in 0..world.invocation_faults.len() {
        with(&|world| {
            world.invocation_faults.remove(index);
        });
    }
    for index in 0..world.execution_kills.len() {
        with(&|world| {
            world.execution_kills.remove(index);
        });
    }
    for index in 0..world.outages.len() {
        with(&|world| {
            world.outages.remove(index);
        });
        with(&|world| world.outages[index].seconds /= 2);
    }
    for index in 0..world.event_faults.len() {
        with(&|world| {
            world.event_faults.remove(index);
        });
    }
    with(&|world| world.versioned = false);
    with(&|world| world.origin_path = "");
    with(&|world| world.directory_index = "");
    with(&|world| world.event_rules_disabled = false);
    with(&|world| world.objects_per_chunk = 1_000);
    with(&|world| world.keys_per_page = 1_000);
    with(&|world| world.empty_page_percent = 0);
    with(&|world| world.pages_per_plan_call = 1_000);
    for index in 0..world.objects.len() {
        with(&|world| world.objects[index].retrieval_seconds = None);
    }
    worlds
}

fn without(world: &mut World, object: u32) {
    world.objects.retain(|one: &Object| one.id != object);
    world.actions.retain_mut(|act| match &mut act.kind {
        ActionKind::Request(ask) => {
            ask.objects.retain(|one| *one != object);
            !ask.objects.is_empty()
        }
        ActionKind::RestoreByOtherTool { object: one, .. }
        | ActionKind::DeleteObject { object: one }
        | ActionKind::OverwriteObject { object: one, .. }
        | ActionKind::TransitionObject { object: one, .. }
        | ActionKind::ViewObject { object: one } => *one != object,
        ActionKind::RepeatRequest { .. }
        | ActionKind::CancelRequest { .. }
        | ActionKind::UseUpInvalidationQuota { .. }
        | ActionKind::ExpeditedUnavailable { .. }
        | ActionKind::CancelBatchJobs
        | ActionKind::MalformedMessage { .. } => true,
    });
}
