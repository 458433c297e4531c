//! Makes a failing world small: whatever can be left out while the same promise stays broken is left out.

use crate::world::{Object, What, World};

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
    with(&|world| world.faults.clear());
    with(&|world| world.misses.clear());
    with(&|world| world.deaths.clear());
    with(&|world| world.storms.clear());
    with(&|world| world.strays.clear());
    with(&|world| world.acts.retain(|act| !matches!(act.what, What::View { .. })));
    for object in &world.objects {
        with(&|world| without(world, object.id));
    }
    for index in 0..world.acts.len() {
        with(&|world| {
            world.acts.remove(index);
        });
    }
    for index in 0..world.faults.len() {
        with(&|world| {
            world.faults.remove(index);
        });
    }
    for index in 0..world.misses.len() {
        with(&|world| {
            world.misses.remove(index);
        });
    }
    for index in 0..world.deaths.len() {
        with(&|world| {
            world.deaths.remove(index);
        });
    }
    for index in 0..world.storms.len() {
        with(&|world| {
            world.storms.remove(index);
        });
        with(&|world| world.storms[index].seconds /= 2);
    }
    for index in 0..world.strays.len() {
        with(&|world| {
            world.strays.remove(index);
        });
    }
    with(&|world| world.versioned = false);
    with(&|world| world.origin_path = "");
    with(&|world| world.directory_index = "");
    with(&|world| world.rules_off = false);
    with(&|world| world.objects_per_chunk = 1_000);
    with(&|world| world.keys_per_page = 1_000);
    with(&|world| world.empty_pages = 0);
    with(&|world| world.pages_per_call = 1_000);
    for index in 0..world.objects.len() {
        with(&|world| world.objects[index].takes = None);
    }
    worlds
}

fn without(world: &mut World, object: u32) {
    world.objects.retain(|one: &Object| one.id != object);
    world.acts.retain_mut(|act| match &mut act.what {
        What::Ask(ask) => {
            ask.objects.retain(|one| *one != object);
            !ask.objects.is_empty()
        }
        What::Foreign { object: one, .. }
        | What::Delete { object: one }
        | What::Overwrite { object: one, .. }
        | What::Move { object: one, .. }
        | What::View { object: one } => *one != object,
        What::AskAgain { .. }
        | What::Cancel { .. }
        | What::Crowd { .. }
        | What::NoCapacity { .. }
        | What::CancelJobs
        | What::Poison { .. } => true,
    });
}
