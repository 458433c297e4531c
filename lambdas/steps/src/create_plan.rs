//! `POST /v1/plans`: what a restore would do, take and cost. Nothing is written and nothing is started.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{Cost, Counts, Failure, Request, Tier, Usd};

use crate::create_restore::read_request;
use crate::http::{self, Response};
use crate::ports::{ReadArchive, ReadDistributions};
use crate::survey::{KindTotal, Survey};
use crate::{Settings, StepError};

/// Failures in a plan; a caller mends those and asks again.
const FAILURES_SHOWN: usize = 20;

/// Plans a restore: the same body, checked in the same way, as for a real one.
pub async fn run(
    request: &http::Request,
    archive: &impl ReadArchive,
    cdn: &impl ReadDistributions,
    settings: &Settings,
    now: Timestamp,
) -> Response {
    plan(request, archive, cdn, settings, now).await.into()
}

async fn plan(
    request: &http::Request,
    archive: &impl ReadArchive,
    cdn: &impl ReadDistributions,
    settings: &Settings,
    now: Timestamp,
) -> Result<Response, StepError> {
    let asked = read_request(request, settings)?;
    let survey = Survey::of(&asked, archive, cdn, settings, now).await?;
    Ok(Response::json(200, &PlanView::of(asked, survey)))
}

/// What a restore would do, take and cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    /// The bucket the objects are in.
    pub bucket: String,
    /// How fast, as asked.
    pub tier: Tier,
    /// How many days copies would stay.
    pub days: u32,
    /// Where the objects stand now. What would be asked of S3 counts as planned.
    pub counts: Counts,
    /// How much lies where.
    pub by_kind: Vec<KindTotal>,
    /// What it would cost, by line.
    pub cost: Cost,
    /// The limit that was sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<Usd>,
    /// Whether the cost is over that limit, so that the restore would be refused.
    pub over_max_cost: bool,
    /// When the first and the last object would typically be readable; absent if nothing needs to be waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_between: Option<[Timestamp; 2]>,
    /// How many paths would be invalidated.
    pub paths: u64,
    /// What the requester should know.
    pub warnings: Vec<String>,
    /// The first 20 objects that cannot be restored, and why.
    pub failures: Vec<Failure>,
}

impl PlanView {
    fn of(asked: Request, survey: Survey) -> Self {
        Self {
            tier: asked.tier,
            days: asked.copy_days(),
            bucket: asked.bucket,
            counts: survey.counts,
            by_kind: survey.by_kind,
            max_cost_usd: asked.max_cost_usd,
            over_max_cost: asked.max_cost_usd.is_some_and(|limit| survey.cost.total_usd > limit),
            cost: survey.cost,
            ready_between: survey.ready_between,
            paths: survey.paths,
            warnings: survey.warnings,
            failures: survey.failures.into_iter().take(FAILURES_SHOWN).collect(),
        }
    }
}
