//! Generates the world of a seed.
//!
//! The order of the random draws is part of the meaning of a seed. New draws go to the end.

mod actions;
mod distributions;
mod faults;
mod times;

use thaw_sim::model::{QuotaAnswer, QuotaRegime};

use self::actions::{actions, publish_again};
use self::distributions::{function, second, staging};
use self::faults::{call_faults, confirmation_faults, event_faults, execution_kills, invocation_faults, outages};
use self::times::{HOUR, MINUTE};
use super::{ActionKind, BatchOperations, Object, Rule, StorageTier, World};
use crate::rng::Rng;

/// The keys that objects can have. They have what is special in paths: directories, blanks, `+`, `%`, `?` and other letters.
const KEYS: [&str; 21] = [
    "a.jpg",
    "2019/cat.jpg",
    "2019/dog.jpg",
    "dir/index.html",
    "index.html",
    "b c+d.jpg",
    "x+1",
    "x+2",
    "x 9",
    "q",
    "q?1",
    "x 9 z+.mp4",
    "my dir/my index.html",
    "p%2Bq.bin",
    "üben/ß.pdf",
    "it's.mp4",
    "t/x~1.txt",
    "t/xylophone.txt",
    "t/plain.txt",
    "100%25.bin",
    "deep/er/and/deeper.tar",
];

impl World {
    /// The world of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let is_eventful = rng.one_in(8);
        let is_fault_free = !is_eventful && rng.one_in(6);
        let objects = objects(&mut rng);
        let actions = actions(&mut rng, &objects, is_eventful);
        let (call_faults, invocation_faults, outages, event_faults, execution_kills) = if is_fault_free {
            Default::default()
        } else {
            let call_faults = call_faults(&mut rng, is_eventful);
            let invocation_faults = invocation_faults(&mut rng, is_eventful);
            let outages = outages(&mut rng);
            let event_faults = event_faults(&mut rng, is_eventful);
            (call_faults, invocation_faults, outages, event_faults, execution_kills(&mut rng))
        };
        let mut world = Self {
            seed,
            versioned: rng.one_in(3),
            origin_path: if rng.one_in(4) { "/public" } else { "" },
            directory_index: if rng.one_in(3) { "index.html" } else { "" },
            caches_errors: !rng.one_in(4),
            quota_regime: rng.choose(&[QuotaRegime::InProgress, QuotaRegime::Rate, QuotaRegime::Both]),
            event_rules_disabled: rng.one_in(7),
            objects_per_chunk: rng.choose(&[1_000, 1_000, 1, 2, 3]),
            batch_operations: batch_operations(&mut rng, is_fault_free),
            objects,
            actions,
            call_faults,
            invocation_faults,
            execution_kills,
            outages,
            event_faults,
            keys_per_page: rng.choose(&[1_000, 1_000, 1, 2, 3]),
            empty_page_percent: rng.choose(&[0, 0, 0, 30]),
            pages_per_plan_call: rng.choose(&[1_000, 1_000, 1, 2]),
            known_bug: None,
            quota_answer: rng.choose(&[
                QuotaAnswer::TooManyInvalidations,
                QuotaAnswer::Throttling,
                QuotaAnswer::Either,
            ]),
            joined_max_cost_usd: rng.choose(&[None, Some(5.0), Some(0.02), Some(0.006), Some(0.0)]),
            caches_by_query_string: rng.one_in(4),
            confirmation_faults: if is_fault_free { Vec::new() } else { confirmation_faults(&mut rng) },
            names_distributions: false,
            function: None,
            second: None,
            staging: None,
        };
        world.second = rng.one_in(3).then(|| second(&mut rng, world.origin_path));
        world.staging = rng.one_in(5).then(|| staging(&mut rng));
        world.function = rng.one_in(4).then(|| function(&mut rng, world.second.is_none()));
        // A rule for all distributions would also be one of the second.
        let may_have_function = world.function.is_none_or(|function| function.rule != Rule::OfAllDistributions);
        if let Some(second) = world.second.as_mut().filter(|_| may_have_function && rng.one_in(2)) {
            let index = rng.below(u32::try_from(second.behaviours.len()).unwrap_or(1)) as usize;
            second.behaviours[index].function = Some(function(&mut rng, false));
        }
        world.names_distributions = rng.one_in(3);
        if rng.one_in(8) {
            let id = world.actions.iter().filter(|action| matches!(action.kind, ActionKind::Request(_))).count();
            let id = u32::try_from(id).unwrap_or(u32::MAX);
            world.actions.push(publish_again(&mut rng, id, &world.objects));
            world.actions.sort_by_key(|action| action.at);
        }
        world
    }
}

fn objects(rng: &mut Rng) -> Vec<Object> {
    let count = if rng.one_in(10) { rng.below(12) + 1 } else { rng.below(5) + 1 };
    let mut keys = KEYS.to_vec();
    let storage_tiers = [
        StorageTier::GlacierFlexibleRetrieval,
        StorageTier::GlacierFlexibleRetrieval,
        StorageTier::GlacierFlexibleRetrieval,
        StorageTier::GlacierDeepArchive,
        StorageTier::GlacierDeepArchive,
        StorageTier::IntelligentTieringArchive,
        StorageTier::IntelligentTieringDeepArchive,
        StorageTier::Standard,
        StorageTier::GlacierInstantRetrieval,
        StorageTier::IntelligentTiering,
    ];
    (0..count)
        .map(|id| {
            let key = keys.swap_remove(rng.below(u32::try_from(keys.len()).unwrap_or(1)) as usize);
            let retrieval_seconds = match rng.below(12) {
                // Fast, slow, slower than typical, and later than every deadline.
                0 => Some(rng.below(20 * MINUTE)),
                1 => Some(12 * HOUR + rng.below(24 * HOUR)),
                2 => Some(40 * HOUR + rng.below(60 * HOUR)),
                3 => Some(170 * HOUR + rng.below(100 * HOUR)),
                _ => None,
            };
            Object {
                id,
                key: key.to_owned(),
                storage_tier: rng.choose(&storage_tiers),
                retrieval_seconds,
                head_fails: rng.one_in(16),
            }
        })
        .collect()
}

fn batch_operations(rng: &mut Rng, is_fault_free: bool) -> BatchOperations {
    BatchOperations {
        objects_per_job: rng.choose(&[1_000, 1_000, 1, 2]),
        prepare_seconds: rng.choose(&[30, 300, HOUR]),
        task_millis: rng.choose(&[1, 1_000, 900_000]),
        job_failure_percent: if is_fault_free { 0 } else { rng.choose(&[0, 0, 0, 20]) },
        busy_percent: if is_fault_free { 0 } else { rng.choose(&[0, 0, 0, 20]) },
        refused_percent: if is_fault_free { 0 } else { rng.choose(&[0, 0, 0, 50]) },
    }
}
