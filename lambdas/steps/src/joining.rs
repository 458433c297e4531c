//! Restores that S3 runs without thaw having asked for them: others began them, or thaw's own memory of them is lost.

use thaw_core::{Asked, ExpeditedFallback, ObjectId, Publish, Request, Source, Tier};

/// A request that follows running restores and publishes what they bring, and never asks S3 for one.
pub fn join_only<'a>(bucket: &str, objects: impl IntoIterator<Item = &'a ObjectId>) -> Request {
    let asked = |object: &ObjectId| Asked { key: object.key.clone(), version_id: object.version.clone() };
    Request {
        bucket: bucket.to_owned(),
        source: Source::Keys { keys: objects.into_iter().map(asked).collect() },
        // What others asked for is not known; Bulk is what can take longest.
        tier: Tier::Bulk,
        days: None,
        on_expedited_unavailable: ExpeditedFallback::Standard,
        max_cost_usd: None,
        publish: Publish::default(),
        notify: Vec::new(),
        // Nothing is asked for.
        batch_operations: None,
        join_only: true,
        dry_run: false,
        confirm: None,
    }
}
