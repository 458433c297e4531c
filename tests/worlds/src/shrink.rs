//! Shrinks a failing world: removes what can be removed while the same promise stays broken.

use crate::world::{ActionKind, World};

/// Worlds to try at most. Each takes milliseconds.
const MAX_TRIES: u32 = 4_000;

/// The smallest world found that breaks the same promise as `world`. `first_violation` runs a world and returns the first
/// promise that it breaks.
pub fn shrink(world: &World, first_violation: impl Fn(&World) -> Option<&'static str>) -> World {
    let Some(promise) = first_violation(world) else { return world.clone() };
    let mut smallest = world.clone();
    let mut tries = 0;
    loop {
        let smaller = smaller_worlds(&smallest).into_iter().find(|world| {
            tries += 1;
            tries < MAX_TRIES && first_violation(world) == Some(promise)
        });
        match smaller {
            Some(world) => smallest = world,
            None => return smallest,
        }
    }
}

/// Worlds with one thing less. Those with the largest change come first.
fn smaller_worlds(world: &World) -> Vec<World> {
    let mut worlds = Vec::new();
    let mut try_change = |change: &dyn Fn(&mut World)| {
        let mut smaller = world.clone();
        change(&mut smaller);
        if smaller != *world {
            worlds.push(smaller);
        }
    };
    try_change(&|world| world.call_faults.clear());
    try_change(&|world| world.invocation_faults.clear());
    try_change(&|world| world.execution_kills.clear());
    try_change(&|world| world.outages.clear());
    try_change(&|world| world.event_faults.clear());
    try_change(&|world| world.confirmation_faults.clear());
    try_change(&|world| world.actions.retain(|action| !matches!(action.kind, ActionKind::ViewObject { .. })));
    for object in &world.objects {
        try_change(&|world| remove_object(world, object.id));
    }
    for index in 0..world.actions.len() {
        try_change(&|world| remove(&mut world.actions, index));
    }
    for index in 0..world.call_faults.len() {
        try_change(&|world| remove(&mut world.call_faults, index));
    }
    for index in 0..world.invocation_faults.len() {
        try_change(&|world| remove(&mut world.invocation_faults, index));
    }
    for index in 0..world.execution_kills.len() {
        try_change(&|world| remove(&mut world.execution_kills, index));
    }
    for index in 0..world.outages.len() {
        try_change(&|world| remove(&mut world.outages, index));
        try_change(&|world| world.outages[index].seconds /= 2);
    }
    for index in 0..world.event_faults.len() {
        try_change(&|world| remove(&mut world.event_faults, index));
    }
    for index in 0..world.confirmation_faults.len() {
        try_change(&|world| remove(&mut world.confirmation_faults, index));
    }
    try_change(&|world| world.second = None);
    try_change(&|world| world.staging = None);
    try_change(&|world| world.function = None);
    try_change(&|world| world.names_distributions = false);
    for index in 0..world.second.as_ref().map_or(0, |second| second.behaviours.len()) {
        try_change(&|world| world.second.iter_mut().for_each(|second| second.behaviours[index].function = None));
    }
    for index in 0..world.second.as_ref().map_or(0, |second| second.behaviours.len() - 1) {
        try_change(&|world| world.second.iter_mut().for_each(|second| remove(&mut second.behaviours, index)));
    }
    try_change(&|world| {
        let origin_path = world.origin_path;
        world.second.iter_mut().for_each(|second| second.origin_path = origin_path);
    });
    try_change(&|world| world.second.iter_mut().for_each(|second| second.has_holding_page = false));
    try_change(&|world| world.caches_by_query_string = false);
    try_change(&|world| world.versioned = false);
    try_change(&|world| {
        let origin_path = std::mem::take(&mut world.origin_path);
        if let Some(second) = &mut world.second {
            second.origin_path = second.origin_path.strip_prefix(origin_path).unwrap_or_default();
        }
    });
    try_change(&|world| world.directory_index = "");
    try_change(&|world| world.event_rules_disabled = false);
    try_change(&|world| world.objects_per_chunk = 1_000);
    try_change(&|world| world.keys_per_page = 1_000);
    try_change(&|world| world.empty_page_percent = 0);
    try_change(&|world| world.pages_per_plan_call = 1_000);
    for index in 0..world.objects.len() {
        try_change(&|world| world.objects[index].retrieval_seconds = None);
    }
    worlds
}

fn remove<T>(items: &mut Vec<T>, index: usize) {
    items.remove(index);
}

/// Removes an object and the actions that need it.
fn remove_object(world: &mut World, id: u32) {
    world.objects.retain(|object| object.id != id);
    world.actions.retain_mut(|action| match &mut action.kind {
        ActionKind::Request(request) => {
            request.objects.retain(|object| *object != id);
            !request.objects.is_empty()
        }
        ActionKind::RestoreByOtherTool { object, .. }
        | ActionKind::DeleteObject { object }
        | ActionKind::OverwriteObject { object, .. }
        | ActionKind::TransitionObject { object, .. }
        | ActionKind::ViewObject { object } => *object != id,
        ActionKind::RepeatRequest { .. }
        | ActionKind::CancelRequest { .. }
        | ActionKind::UseUpInvalidationQuota { .. }
        | ActionKind::ExpeditedUnavailable { .. }
        | ActionKind::CancelBatchJobs
        | ActionKind::MalformedMessage { .. } => true,
    });
}
