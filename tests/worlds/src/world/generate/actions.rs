//! Generates the actions of a world.

use thaw_core::Tier;

use super::times::{HOUR, MINUTE, random_time};
use crate::rng::Rng;
use crate::world::{Action, ActionKind, Object, RestoreRequest, StorageTier};

/// Requests for restores, then other actions, then views before the first request; in the order of their times.
pub(super) fn actions(rng: &mut Rng, objects: &[Object], is_eventful: bool) -> Vec<Action> {
    let object = |rng: &mut Rng| objects[rng.below(u32::try_from(objects.len()).unwrap_or(1)) as usize].id;
    let requests = rng.choose(&[1, 1, 1, 2, 2, 3, 4]);
    let mut actions: Vec<Action> = (0..requests)
        .map(|id| {
            let quarters = rng.choose(&[1, 2, 4, 4]);
            let mut requested: Vec<u32> =
                objects.iter().filter(|_| rng.below(4) < quarters).map(|object| object.id).collect();
            if requested.is_empty() {
                requested.push(object(rng));
            }
            let at = if rng.one_in(2) { rng.below(30) } else { random_time(rng) };
            Action { at, kind: ActionKind::Request(request(rng, id, requested)) }
        })
        .collect();
    let others = if is_eventful { rng.below(12) } else { rng.below(6) };
    for _ in 0..others {
        let kind = match rng.below(17) {
            0 => ActionKind::RepeatRequest { request: rng.below(requests), same_body: !rng.one_in(3) },
            1 | 2 => ActionKind::CancelRequest { request: rng.below(requests) },
            3 | 4 => ActionKind::RestoreByOtherTool { object: object(rng), tier: tier(rng), days: 1 + rng.below(4) },
            5 => ActionKind::DeleteObject { object: object(rng) },
            6 => ActionKind::OverwriteObject { object: object(rng), storage_tier: storage_tier(rng) },
            7 => ActionKind::TransitionObject { object: object(rng), storage_tier: storage_tier(rng) },
            8 => ActionKind::UseUpInvalidationQuota { seconds: 10 * MINUTE + rng.below(6 * HOUR) },
            9 => ActionKind::ExpeditedUnavailable { seconds: rng.below(2 * HOUR) },
            10 => ActionKind::MalformedMessage { form: rng.below(5) },
            11 => ActionKind::CancelBatchJobs,
            _ => ActionKind::ViewObject { object: object(rng) },
        };
        let at = match kind {
            // Later than most requests it would have no effect.
            ActionKind::ExpeditedUnavailable { .. } => 0,
            _ => random_time(rng),
        };
        actions.push(Action { at, kind });
    }
    // A viewer has requested most objects before their restore, so the edge has a stale error.
    for object in objects {
        if !rng.one_in(3) {
            actions.push(Action { at: 0, kind: ActionKind::ViewObject { object: object.id } });
        }
    }
    actions.sort_by_key(|action| action.at);
    actions
}

/// A request that invalidates again some of what can be read by then, and its time.
pub(super) fn publish_again(rng: &mut Rng, id: u32, objects: &[Object]) -> Action {
    let mut wanted: Vec<u32> = objects.iter().filter(|_| !rng.one_in(3)).map(|object| object.id).collect();
    if wanted.is_empty() {
        wanted.extend(objects.first().map(|object| object.id));
    }
    let request = RestoreRequest {
        publish_only: true,
        only_if_stale: false,
        publish_when: rng.choose(&["each", "together"]),
        malformed: false,
        ..request(rng, id, wanted)
    };
    // Later than most objects are readable, or at once, when only some are.
    let at = if rng.one_in(4) { rng.below(30) } else { random_time(rng) + rng.below(3) * 12 * HOUR };
    Action { at, kind: ActionKind::Request(request) }
}

fn request(rng: &mut Rng, id: u32, objects: Vec<u32>) -> RestoreRequest {
    RestoreRequest {
        id,
        objects,
        tier: tier(rng),
        days: rng.one_in(2).then(|| 1 + rng.below(5)),
        publish_when: rng.choose(&["each", "each", "each", "together", "together", "never"]),
        only_if_stale: rng.one_in(5),
        max_over: rng.choose(&[0, 0, 1, 20]),
        max_cost_usd: rng.one_in(8).then(|| rng.choose(&[0.0, 0.000_01, 0.01, 5.0])),
        has_idempotency_key: !rng.one_in(3),
        fail_without_capacity: rng.one_in(4),
        malformed: rng.one_in(25),
        prefix: rng.one_in(4).then(|| rng.choose(&["", "", "2019/", "t/", "d", "nothing/"])),
        dry_run: rng.one_in(20),
        batch_operations: rng.choose(&[None, None, Some(true), Some(true), Some(false)]),
        publish_only: false,
    }
}

fn tier(rng: &mut Rng) -> Tier {
    rng.choose(&[Tier::Standard, Tier::Standard, Tier::Bulk, Tier::Bulk, Tier::Expedited])
}

/// The storage tier of an object that was overwritten or moved.
fn storage_tier(rng: &mut Rng) -> StorageTier {
    rng.choose(&[
        StorageTier::Standard,
        StorageTier::GlacierFlexibleRetrieval,
        StorageTier::GlacierFlexibleRetrieval,
        StorageTier::GlacierDeepArchive,
        StorageTier::IntelligentTieringArchive,
    ])
}
