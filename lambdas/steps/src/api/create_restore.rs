//! `POST /v1/restores`, and `POST /v1/restores/{id}/retry`, `/expedite`, `/extend`: validates the request, starts an
//! execution and writes the restore's record. Price and S3 are left to the plan.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use thaw_core::{Problem, Request, RestoreId, Source, Status, Tier, hash};
use tracing::info;

use crate::api::http::{self, Response};
use crate::api::named_restore;
use crate::ledger::idempotency_keys::KeyRecord;
use crate::ledger::restores::RestoreRecord;
use crate::planning::accepting::{claim, read_request, start};
use crate::ports::{Ledger, Put, StartExecutions, WorkFiles};
use crate::views::restore_view::{RETRY_RUNNING_SECONDS, RestoreView};
use crate::{Settings, StepError};

/// Accepts a restore.
///
/// With an `Idempotency-Key`, the same request may come any number of times, concurrently or years apart. It makes one
/// restore and one execution, and each request completes what an earlier one left undone.
pub async fn run(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    settings: &Settings,
    now: Timestamp,
) -> Response {
    accept(request, ledger, files, executions, settings, now).await.into()
}

async fn accept(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
    executions: &impl StartExecutions,
    settings: &Settings,
    now: Timestamp,
) -> Result<Response, StepError> {
    let (asked, refusal) = match FollowUp::of(request) {
        None => (read_request(&request.body_bytes()?, settings)?, None),
        Some(follow_up) => {
            let record = named_restore(request, ledger).await?;
            (follow_up.read(request, &record)?, follow_up.refusal(&record))
        }
    };
    let (id, requested_at, new) = match idempotency_key(request)? {
        Some(key) => {
            let key_hash = hash(&["idempotency-key", key]);
            // A repeated request gets its first answer, whatever has become of the other restore.
            if let Some(problem) = refusal
                && ledger.get::<KeyRecord>(&KeyRecord::key_of(&key_hash)).await?.is_none()
            {
                return Err(problem.into());
            }
            let claim = claim(key_hash, &asked, ledger, now).await?;
            if claim.body_hash != asked.hash() {
                return Err(Problem::key_reused(key).into());
            }
            let new = start(&claim.id, &asked, claim.requested_at, ledger, files, executions).await?;
            (claim.id, claim.requested_at, new)
        }
        None => {
            if let Some(problem) = refusal {
                return Err(problem.into());
            }
            let id = RestoreId::new(now, &asked, &request.request_context.request_id);
            match start(&id, &asked, now, ledger, files, executions).await {
                Ok(new) => (id, now, new),
                Err(error) => return Err(abandon(&id, &asked, error, ledger, now).await),
            }
        }
    };
    if new {
        info!(restore = %id, objects = asked.source.count(), "accepted restore {id}");
    }
    // The body holds only what never changes. So equal requests get equal answers, byte for byte, at any time and any
    // concurrency. The Location shows the present state of the restore.
    let body = RestoreView::accepted(&id, &asked, requested_at);
    Ok(Response::json(if new { 202 } else { 200 }, &body)
        .with("location", &body.links.this)
        .with("retry-after", RETRY_RUNNING_SECONDS))
}

/// The routes of this function, as in the template.
pub const ROUTES: [&str; 4] = [
    "POST /v1/restores",
    "POST /v1/restores/{id}/retry",
    "POST /v1/restores/{id}/expedite",
    "POST /v1/restores/{id}/extend",
];

/// A follow-up request about the objects of another restore. It makes a new restore of some of them, which is planned,
/// priced, limited and watched like any other. Objects that both restores wait for are published once.
#[derive(Debug, Clone, Copy)]
enum FollowUp {
    /// Asks again for objects that failed or were cancelled.
    Retry,
    /// Asks for a faster tier for objects that S3 still fetches.
    Expedite,
    /// Keeps the copies longer.
    Extend,
}

impl FollowUp {
    fn of(request: &http::Request) -> Option<Self> {
        let [_, retry, expedite, extend] = ROUTES;
        match request.route_key.as_str() {
            route if route == retry => Some(Self::Retry),
            route if route == expedite => Some(Self::Expedite),
            route if route == extend => Some(Self::Extend),
            _ => None,
        }
    }

    /// The word in the route.
    fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Expedite => "expedite",
            Self::Extend => "extend",
        }
    }

    /// Why the other restore has no objects for this, as far as its status says. The plan finds out the rest.
    fn refusal(self, record: &RestoreRecord) -> Option<Problem> {
        let why = match (self, record.status, record.plan.is_some()) {
            (Self::Retry | Self::Expedite | Self::Extend, Status::Running, false) => {
                "It is still being planned. Send this when it has a plan."
            }
            (
                Self::Retry | Self::Expedite | Self::Extend,
                Status::Succeeded | Status::PartlyFailed | Status::Failed | Status::Cancelled,
                false,
            ) => "It ended before it had a plan. Send its request again, corrected, to /v1/restores.",
            // A dry run succeeds whatever its plan found.
            (Self::Retry, Status::Succeeded, true) if !record.request.dry_run => {
                "None of its objects failed or was cancelled."
            }
            (Self::Expedite, Status::Succeeded | Status::PartlyFailed, true) => {
                "It has ended, and S3 fetches none of its objects any more."
            }
            (Self::Expedite, Status::Cancelled, true) => {
                "It was cancelled. Send retry with the tier Expedited to ask for its objects again."
            }
            (
                Self::Retry,
                Status::Running | Status::Succeeded | Status::PartlyFailed | Status::Failed | Status::Cancelled,
                true,
            )
            | (Self::Expedite, Status::Running | Status::Failed, true)
            | (
                Self::Extend,
                Status::Running | Status::Succeeded | Status::PartlyFailed | Status::Failed | Status::Cancelled,
                true,
            ) => return None,
        };
        Some(Problem::wrong_state(self.as_str(), record.id.as_str(), why))
    }

    /// The fields that the body may have. A field that is left out keeps the other restore's value.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Retry => &[
                "tier",
                "days",
                "on_expedited_unavailable",
                "max_cost_usd",
                "publish",
                "notify",
                "batch_operations",
                "dry_run",
                "confirm",
            ],
            Self::Expedite => &["tier", "on_expedited_unavailable", "max_cost_usd", "notify", "dry_run", "confirm"],
            Self::Extend => &["days", "max_cost_usd", "notify", "dry_run", "confirm"],
        }
    }

    /// The schema of the body: that of a restore, with these fields only.
    #[cfg(feature = "openapi")]
    fn schema(self) -> Value {
        let restore = Request::schema();
        let field = |name: &&str| {
            let mut field = restore["properties"][name].clone();
            // What is left out is as in the other restore, and not as in a new one.
            field.as_object_mut().into_iter().for_each(|field| drop(field.remove("default")));
            ((*name).to_owned(), field)
        };
        let is_field = |name: &Value| self.fields().iter().any(|field| name == field);
        let is_about_these = |rule: &&Value| rule["if"]["required"].as_array().into_iter().flatten().all(is_field);
        let rules: Vec<_> = restore["allOf"].as_array().into_iter().flatten().filter(is_about_these).collect();
        let fields: Map<_, _> = self.fields().iter().map(field).collect();
        let mut schema = json!({
            "type": "object", "additionalProperties": false, "properties": fields,
            "description": "What is to be otherwise than in the other restore. Unknown fields are refused.",
        });
        if !rules.is_empty() {
            schema["allOf"] = json!(rules);
        }
        match self {
            Self::Retry => {}
            Self::Expedite => schema["properties"]["tier"]["default"] = json!(Tier::Expedited),
            Self::Extend => schema["required"] = json!(["days"]),
        }
        schema
    }

    /// Makes the request of the new restore: that of the other restore, for some of its objects, with the changes of
    /// the body.
    fn read(self, request: &http::Request, record: &RestoreRecord) -> Result<Request, StepError> {
        let body = request.body_bytes()?;
        let changes = if body.is_empty() {
            Value::Object(Map::new())
        } else {
            serde_json::from_slice(&body).map_err(Problem::not_json)?
        };
        let Value::Object(changes) = changes else {
            return Err(Problem::field("body", &changes, "must be a JSON object, or empty.").into());
        };
        if let Some((name, value)) = changes.iter().find(|(name, _)| !self.fields().contains(&name.as_str())) {
            let why = format!("is not a field of this call. Fields here: {}.", self.fields().join(", "));
            return Err(Problem::field(name.as_str(), value, why).into());
        }
        let selector = match self {
            Self::Retry => "failed",
            Self::Expedite => "restoring",
            Self::Extend => "published",
        };
        let source = Source::Keys { keys: Vec::new() };
        let same = Request {
            source,
            max_cost_usd: None,
            confirm: None,
            dry_run: false,
            join_only: false,
            // What these ask of S3 goes beyond publishing.
            publish_only: matches!(self, Self::Retry) && record.request.publish_only,
            // Not offered at every tier.
            batch_operations: None,
            ..record.request.clone()
        };
        let Value::Object(mut asked) = serde_json::to_value(same)? else {
            return Err(StepError::Unexpected("a request is no JSON object".to_owned()));
        };
        asked.remove("keys");
        asked.insert("objects_of".to_owned(), json!({"restore": record.id, "in": selector}));
        match self {
            Self::Retry => {}
            Self::Expedite => {
                asked.insert("tier".to_owned(), json!(Tier::Expedited));
            }
            // The days must be given, because any default would be a guess.
            Self::Extend if !changes.contains_key("days") => {
                return Err(Problem::missing("days", "Say how many days from now the copies are to stay.").into());
            }
            Self::Extend => {}
        }
        asked.extend(changes);
        let asked = Request::parse(&Value::Object(asked))?;
        if matches!(self, Self::Expedite) && asked.tier <= record.request.tier {
            let why = format!("must be faster than that of the restore, {}.", record.request.tier.as_str());
            return Err(Problem::field("tier", &json!(asked.tier), why).into());
        }
        Ok(asked)
    }
}

/// The schemas of the follow-up requests, by their names in the OpenAPI document.
#[cfg(feature = "openapi")]
pub(crate) fn schemas() -> [(&'static str, Value); 3] {
    [
        ("RetryRequest", FollowUp::Retry.schema()),
        ("ExpediteRequest", FollowUp::Expedite.schema()),
        ("ExtendRequest", FollowUp::Extend.schema()),
    ]
}

/// The `Idempotency-Key`: 1 to 255 visible ASCII characters. The draft of the HTTP working group leaves the limit to
/// the server.
fn idempotency_key(request: &http::Request) -> Result<Option<&str>, Problem> {
    let Some(key) = request.header("idempotency-key") else { return Ok(None) };
    if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(key));
    }
    let why = "must be 1 to 255 visible ASCII characters, for example a UUID.";
    Err(Problem::field("Idempotency-Key", &Value::from(key), why))
}

/// Records a restore that may not have been started as failed, so that its plan stops. Without a key nobody can repeat
/// this very request. If the record cannot be written either, the first error is still the one to report.
async fn abandon(id: &RestoreId, asked: &Request, error: StepError, ledger: &impl Ledger, now: Timestamp) -> StepError {
    let says = format!("It could not be started, and nothing was asked of S3: {error}. Send the request again.");
    let end = |record: &mut RestoreRecord| {
        record.status = Status::Failed;
        record.completed_at = Some(now);
        record.says = Some(says.clone());
    };
    let ended = async {
        let mut failed = RestoreRecord::new(id.clone(), asked, now);
        end(&mut failed);
        let mut written = ledger.insert(&failed).await?;
        // A planned restore may have asked S3. It goes on, and is in the list of restores.
        while let Put::Lost(record) = &written
            && record.plan.is_none()
            && record.status == Status::Running
        {
            written = ledger.replace(&record.with(end)).await?;
        }
        Ok::<_, StepError>(())
    };
    if let Err(second) = ended.await {
        tracing::warn!(restore = %id, "restore {id} may run although its requester was told that it does not: {second}");
    }
    error
}

#[cfg(test)]
mod tests;
