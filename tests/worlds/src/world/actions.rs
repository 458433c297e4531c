//! What clients, operators and other tools do in a world.

use serde::Serialize;
use thaw_core::Tier;

use super::objects::StorageTier;

/// An action at a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// Seconds from the start of the simulation.
    pub at: u32,
    /// The action.
    pub kind: ActionKind,
}

/// An action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum ActionKind {
    /// A client sends `POST /v1/restores`.
    Request(RestoreRequest),
    /// A client sends the `Idempotency-Key` of a request again.
    RepeatRequest {
        /// The id of the request.
        request: u32,
        /// Whether the body is the same too.
        same_body: bool,
    },
    /// A client sends `DELETE /v1/restores/{id}`.
    CancelRequest {
        /// The id of the request.
        request: u32,
    },
    /// Another tool sends RestoreObject to S3.
    RestoreByOtherTool {
        /// The object.
        object: u32,
        /// The retrieval tier.
        tier: Tier,
        /// How long the copy lives.
        days: u32,
    },
    /// Somebody deletes an object.
    DeleteObject {
        /// The object.
        object: u32,
    },
    /// Somebody puts another object under the same key.
    OverwriteObject {
        /// The object.
        object: u32,
        /// The storage tier of the new object.
        storage_tier: StorageTier,
    },
    /// A lifecycle rule moves an object to another storage tier and drops its restored copy.
    TransitionObject {
        /// The object.
        object: u32,
        /// The new storage tier.
        storage_tier: StorageTier,
    },
    /// A viewer requests an object from CloudFront.
    ViewObject {
        /// The object.
        object: u32,
    },
    /// Somebody else uses up CloudFront's invalidation quotas.
    UseUpInvalidationQuota {
        /// For how long.
        seconds: u32,
    },
    /// S3 has no capacity for Expedited retrievals.
    ExpeditedUnavailable {
        /// For how long.
        seconds: u32,
    },
    /// Somebody cancels all jobs of S3 Batch Operations.
    CancelBatchJobs,
    /// An unreadable message arrives in the event queues.
    MalformedMessage {
        /// Which of several forms.
        form: u32,
    },
}

/// A request for a restore.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestoreRequest {
    /// Identifies it in this world.
    pub id: u32,
    /// The ids of the objects.
    pub objects: Vec<u32>,
    /// The retrieval tier.
    pub tier: Tier,
    /// How long the copies live, if the request sets it.
    pub days: Option<u32>,
    /// `each`, `together` or `never`.
    pub publish_when: &'static str,
    /// Whether to invalidate only paths that can be stale.
    pub only_if_stale: bool,
    /// How many other readable objects a wildcard may cover.
    pub max_over: u32,
    /// The price limit in dollars.
    pub max_cost_usd: Option<f64>,
    /// Whether it has an `Idempotency-Key`.
    pub has_idempotency_key: bool,
    /// Whether to fail if S3 has no capacity for Expedited.
    pub fail_without_capacity: bool,
    /// Whether the body has an unknown field.
    pub malformed: bool,
    /// A prefix, which replaces the objects.
    pub prefix: Option<&'static str>,
    /// Whether to plan only.
    pub dry_run: bool,
    /// Whether to use S3 Batch Operations, if the request sets it.
    pub batch_operations: Option<bool>,
    /// Whether to invalidate only what can be read. What says how S3 is asked is left out then.
    pub publish_only: bool,
}

impl RestoreRequest {
    /// Whether the API must refuse it.
    pub fn is_invalid(&self) -> bool {
        let has_no_such_jobs = self.batch_operations == Some(true) && self.tier == Tier::Expedited;
        self.malformed || (has_no_such_jobs && !self.publish_only)
    }
}
