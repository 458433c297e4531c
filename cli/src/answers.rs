//! The API's answers, as far as the command shows them. The JSON output is the API's own, whole.

use jiff::Timestamp;
use serde::Deserialize;
use thaw_core::{Alternative, ArchiveKind, Cost, Counts, Failure, KindTotal, Stage, Status, Tier, Usd};

/// `POST /v1/plans`.
#[derive(Debug, Deserialize)]
pub struct Plan {
    pub bucket: String,
    pub tier: Tier,
    #[serde(default)]
    pub publish_only: bool,
    pub days: u32,
    pub counts: Counts,
    pub by_kind: Vec<KindTotal>,
    pub cost: Cost,
    #[serde(default)]
    pub max_cost_usd: Option<Usd>,
    pub over_max_cost: bool,
    #[serde(default)]
    pub ready_between: Option<[Timestamp; 2]>,
    pub hash: String,
    pub alternatives: Vec<Alternative>,
    pub paths: u64,
    pub billed_paths: u64,
    pub warnings: Vec<String>,
    pub failures: Vec<Failure>,
}

/// `GET /v1/restores/{id}`, and the answer to whatever starts a restore.
#[derive(Debug, Deserialize)]
pub struct Restore {
    pub id: String,
    pub status: Status,
    pub stage: Stage,
    pub bucket: String,
    pub tier: Tier,
    #[serde(default)]
    pub publish_only: bool,
    pub days: u32,
    pub counts: Counts,
    #[serde(default)]
    pub counted_at: Option<Timestamp>,
    pub requested_at: Timestamp,
    #[serde(default)]
    pub planned_at: Option<Timestamp>,
    #[serde(default)]
    pub ready_between: Option<[Timestamp; 2]>,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    #[serde(default)]
    pub copies_expire: Option<[Timestamp; 2]>,
    #[serde(default)]
    pub problem: Option<String>,
    #[serde(default)]
    pub cost: Option<Cost>,
    #[serde(default)]
    pub failures: Vec<Failure>,
    #[serde(default)]
    pub warnings: Vec<String>,
    #[serde(default)]
    pub says: Option<String>,
    #[serde(default)]
    pub by_kind: Vec<KindTotal>,
    #[serde(default)]
    pub batch_operations: bool,
    #[serde(default)]
    pub paths: Option<u64>,
    #[serde(default)]
    pub billed_paths: Option<u64>,
    #[serde(default)]
    pub invalidations: Vec<Invalidation>,
}

/// A CloudFront invalidation that publishes objects of a restore.
#[derive(Debug, Deserialize)]
pub struct Invalidation {
    pub distribution: String,
    /// Absent before CloudFront has accepted it.
    #[serde(default)]
    pub id: Option<String>,
    pub status: String,
    pub paths: u64,
    #[serde(default)]
    pub requested_at: Option<Timestamp>,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    #[serde(default)]
    pub message: Option<String>,
}

/// A restore in `GET /v1/restores`.
#[derive(Debug, Deserialize)]
pub struct Listed {
    pub id: String,
    pub status: Status,
    pub bucket: String,
    pub tier: Tier,
    #[serde(default)]
    pub publish_only: bool,
    #[serde(default)]
    pub objects: u64,
    pub requested_at: Timestamp,
    #[serde(default)]
    pub ready_between: Option<[Timestamp; 2]>,
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    #[serde(default)]
    pub says: Option<String>,
}

/// A page of `GET /v1/restores`.
#[derive(Debug, Deserialize)]
pub struct ListedPage {
    pub restores: Vec<Listed>,
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// A page of `GET /v1/restores/{id}/objects`.
#[derive(Debug, Deserialize)]
pub struct ObjectPage {
    pub objects: Vec<Object>,
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// An object in `GET /v1/restores/{id}/objects`.
#[derive(Debug, Deserialize)]
pub struct Object {
    pub key: String,
    #[serde(default)]
    pub version_id: Option<String>,
    pub size: u64,
    #[serde(default)]
    pub kind: Option<ArchiveKind>,
    pub state: String,
    pub since: Timestamp,
    #[serde(default)]
    pub copy_expires: Option<Timestamp>,
    #[serde(default)]
    pub how: Option<String>,
    #[serde(default)]
    pub paths: Vec<String>,
    #[serde(default)]
    pub message: Option<String>,
}

/// `POST /v1/paths`.
#[derive(Debug, Deserialize)]
pub struct Paths {
    pub bucket: String,
    pub objects: Vec<ObjectPaths>,
    pub paths: u64,
    pub usd: Usd,
    pub warnings: Vec<String>,
}

/// The paths of one object.
#[derive(Debug, Deserialize)]
pub struct ObjectPaths {
    pub key: String,
    #[serde(default)]
    pub version_id: Option<String>,
    #[serde(default)]
    pub copy_expires: Option<Timestamp>,
    pub says: String,
    pub invalidation: InvalidationOutlook,
    pub distributions: Vec<DistributionPaths>,
}

/// Whether an object's paths would be invalidated.
#[derive(Debug, Deserialize)]
pub struct InvalidationOutlook {
    pub possible: bool,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub why_not: Option<String>,
    pub paths: u64,
    pub usd: Usd,
}

/// What one distribution shows of an object.
#[derive(Debug, Deserialize)]
pub struct DistributionPaths {
    pub id: String,
    #[serde(default)]
    pub domain: String,
    #[serde(default)]
    pub staging_of: Option<String>,
    pub paths: Vec<ViewerPath>,
    #[serde(default)]
    pub left_alone: Vec<LeftAlone>,
    pub says: String,
}

/// A path under which viewers get an object.
#[derive(Debug, Deserialize)]
pub struct ViewerPath {
    pub path: String,
    pub behaviour: String,
    pub origin: String,
    pub reason: String,
    #[serde(default)]
    pub rule: Option<String>,
    pub invalidated_as: Vec<String>,
    #[serde(default)]
    pub curl: Option<String>,
}

/// A path that is left alone.
#[derive(Debug, Deserialize)]
pub struct LeftAlone {
    pub path: String,
    pub why: String,
}

/// An error of the API (RFC 9457).
#[derive(Debug, Deserialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub detail: String,
    #[serde(default)]
    pub field: Option<String>,
}
