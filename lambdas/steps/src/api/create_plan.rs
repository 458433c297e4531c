//! `POST /v1/plans`: what a restore would do and cost, and how long it would take. Nothing is written and nothing is
//! started.

use jiff::Timestamp;
use serde::Serialize;
use thaw_core::{Alternative, Cost, Counts, Failure, KindTotal, Problem, Request, Tier, Usd};

use crate::api::http::{self, Response};
use crate::planning::accepting::read_request;
use crate::planning::survey::Survey;
use crate::ports::{Ledger, ReadArchive, ReadDistributions, WorkFiles};
use crate::{Settings, StepError};

/// The most objects of a listing that are planned within one HTTP answer. An HTTP API waits 30 seconds, enough for 200
/// pages one after the other.
const MOST_OBJECTS_OVER_HTTP: u64 = 100_000;

/// Plans a restore. The body and its checks are the same as for a restore.
pub async fn run(
    request: &http::Request,
    archive: &impl ReadArchive,
    cdn: &impl ReadDistributions,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    settings: &Settings,
    now: Timestamp,
) -> Response {
    plan(request, archive, cdn, ledger, files, settings, now).await.into()
}

/// The answer when planning took too long.
pub fn too_late(seconds: u64) -> Response {
    Response::problem(&Problem::too_long_to_wait_for(seconds))
}

async fn plan(
    request: &http::Request,
    archive: &impl ReadArchive,
    cdn: &impl ReadDistributions,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    settings: &Settings,
    now: Timestamp,
) -> Result<Response, StepError> {
    let asked = read_request(&request.body_bytes()?, settings)?;
    let survey = Survey::of(&asked, MOST_OBJECTS_OVER_HTTP, archive, cdn, ledger, files, settings, now).await?;
    Ok(Response::json(200, &PlanView::of(asked, survey)))
}

/// A plan: what a restore would do and cost, and how long it would take.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanView {
    /// The bucket the objects are in.
    pub bucket: String,
    /// The requested tier.
    pub tier: Tier,
    /// Whether it would only invalidate what viewers can read. Tier and days mean nothing then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub publish_only: bool,
    /// How many days copies would stay.
    pub days: u32,
    /// The states of the objects now. Objects that S3 would be asked for count as planned.
    pub counts: Counts,
    /// Objects and bytes by kind of archive.
    pub by_kind: Vec<KindTotal>,
    /// The price, line by line.
    pub cost: Cost,
    /// The limit of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<Usd>,
    /// Whether the cost is over that limit, so that the restore would be refused.
    pub over_max_cost: bool,
    /// When the first and the last object would typically be readable; absent if no object has to be waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 2))]
    pub ready_between: Option<[Timestamp; 2]>,
    /// The hash that names the plan. A request with this hash as `confirm` is only carried out if its plan is the same.
    pub hash: String,
    /// Whether S3 Batch Operations would ask for the archived objects.
    pub batch_operations: bool,
    /// Prices and times of other tiers, cheapest first.
    pub alternatives: Vec<Alternative>,
    /// How many paths would be invalidated.
    pub paths: u64,
    /// How many paths are expected to be billed: fewer than `paths` where a wildcard stands for several, for a prefix that
    /// is published together.
    pub billed_paths: u64,
    /// Warnings for the requester.
    pub warnings: Vec<String>,
    /// The first 20 objects that cannot be restored, and why.
    pub failures: Vec<Failure>,
}

impl PlanView {
    fn of(asked: Request, survey: Survey) -> Self {
        Self {
            tier: asked.tier,
            publish_only: asked.publish_only,
            days: asked.copy_days(),
            bucket: asked.bucket,
            counts: survey.counts,
            by_kind: survey.by_kind,
            max_cost_usd: asked.max_cost_usd,
            over_max_cost: asked.max_cost_usd.is_some_and(|limit| survey.cost.total_usd > limit),
            cost: survey.cost,
            ready_between: survey.ready_between,
            paths: survey.paths,
            billed_paths: survey.billed_paths,
            warnings: survey.warnings,
            failures: survey.failures,
            batch_operations: survey.batch_operations,
            alternatives: survey.alternatives,
            hash: survey.hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use thaw_core::{Facts, Head, Missing, ObjectId, S3Uri};

    use super::*;
    use crate::ports::{Distributions, ListFrom, Page, Piece, PortError, VersionMarker, VersionPage};
    use crate::testing::memory::{MemoryFiles, MemoryLedger};
    use crate::testing::stack::{body, is_problem, now, read, settings};

    /// A bucket where every object is in Flexible Retrieval, except keys that begin with `gone`.
    struct Archive;

    impl ReadArchive for Archive {
        async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
            if object.key.starts_with("gone") {
                return Ok(Facts::Missing(Missing::Key));
            }
            Ok(Facts::Found(Head { storage_class: Some("GLACIER".to_owned()), size: 1 << 30, ..Head::default() }))
        }

        async fn list(&self, _: &str, _: &str, _: &ListFrom) -> Result<Page, PortError> {
            Ok(Page::default())
        }

        async fn folders(&self, _: &str, _: &str, _: &str) -> Result<Vec<String>, PortError> {
            Ok(Vec::new())
        }

        async fn list_versions(&self, _: &str, _: &str, _: Option<&VersionMarker>) -> Result<VersionPage, PortError> {
            Ok(VersionPage::default())
        }

        async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
            Ok(false)
        }

        async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
            Ok(None)
        }
    }

    struct NoCdn;

    impl ReadDistributions for NoCdn {
        async fn distributions(&self, _: &str, _: &[String]) -> Result<Distributions, PortError> {
            Ok(Distributions::default())
        }
    }

    async fn post(body: &Value) -> Response {
        let event = json!({"routeKey": "POST /v1/plans", "body": body.to_string()});
        run(&read(event), &Archive, &NoCdn, &MemoryLedger::default(), &MemoryFiles::default(), &settings(), now()).await
    }

    #[tokio::test]
    async fn a_plan_says_what_a_restore_would_do_and_cost() {
        let response = post(&json!({"bucket": "archive", "keys": ["a", "b", "gone"], "days": 30})).await;
        let plan = body(&response);
        assert_eq!(response.status_code, 200);
        let counts = ["total", "planned", "failed"].map(|state| plan["counts"][state].as_u64().unwrap());
        assert_eq!(counts, [3, 2, 1]);
        assert_eq!(plan["by_kind"], json!([{"kind": "flexible", "objects": 2, "bytes": 2_u64 << 30}]));
        assert!(plan["cost"]["total_usd"].as_f64().unwrap() > 0.0);
        assert_eq!(plan["failures"][0]["code"], "NoSuchKey");
        assert!(plan["ready_between"].is_array());
        assert_eq!((&plan["over_max_cost"], &plan["days"]), (&json!(false), &json!(30)));
    }

    #[tokio::test]
    async fn a_plan_over_the_limit_is_shown_and_says_so() {
        let plan = body(&post(&json!({"bucket": "archive", "keys": ["a"], "max_cost_usd": 0.000_001})).await);
        assert_eq!((&plan["over_max_cost"], &plan["max_cost_usd"]), (&json!(true), &json!(0.000_001)));
        let plan = body(&post(&json!({"bucket": "archive", "keys": ["a"], "max_cost_usd": 1_000})).await);
        assert_eq!(plan["over_max_cost"], false);
        // A price that equals the limit is not over it.
        let limit = &plan["cost"]["total_usd"];
        let plan = body(&post(&json!({"bucket": "archive", "keys": ["a"], "max_cost_usd": limit})).await);
        assert_eq!(plan["over_max_cost"], false);
    }

    #[tokio::test]
    async fn a_plan_is_checked_like_a_restore() {
        is_problem(&post(&json!({"bucket": "archive", "keys": []})).await, 400, Some("keys"));
        is_problem(&post(&json!({"bucket": "archive", "keys": ["a"], "days": 0})).await, 400, Some("days"));
        is_problem(&post(&json!({"bucket": "not-ours", "keys": ["a"]})).await, 403, Some("bucket"));
    }
}
