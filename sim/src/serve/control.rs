//! The control endpoint: sets the stage and looks behind it. Only a simulator has one; see `sim/README.md`.

use super::event_queues::Queues;
use super::http::reply;
use super::shared::Shared;
use crate::cdn::{ContinuousDeploymentPolicy, DistributionConfig};
use crate::model::{
    AccessTier, ApiError, EventFaults, FaultRule, ObjectRef, RetrievalRule, Series, SettingsChange, StorageClass,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBucket {
    name: String,
    #[serde(default)]
    versioned: bool,
    #[serde(default)]
    hide_missing: bool,
    #[serde(default)]
    region: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transition {
    bucket: String,
    key: String,
    #[serde(default)]
    version: Option<String>,
    storage_class: StorageClass,
    #[serde(default)]
    access_tier: AccessTier,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    bucket: String,
    objects: Vec<Series>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SummaryRequest {
    bucket: String,
    #[serde(default)]
    prefix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules<T> {
    rules: Vec<T>,
}

/// Answers `/_sim/<what>`.
pub(crate) fn call(shared: &Shared, method: &Method, what: &str, body: &Bytes) -> Response<Full<Bytes>> {
    let answer = match (method.as_str(), what) {
        ("GET", "state") => Ok(state(shared)),
        ("GET", "clock") => Ok(json!({ "now": shared.clock.now(), "scale": shared.clock.scale() })),
        ("POST", "summary") => summary(shared, body),
        ("POST", _) => change(shared, what, body),
        (_, _) => Err(unknown(what)),
    };
    // A change may make an event due.
    shared.changed.notify_one();
    match answer {
        Ok(value) => reply(200, "application/json", format!("{value}\n")),
        Err(api_error) => {
            let problem = json!({ "code": api_error.code(), "message": api_error.message() });
            reply(api_error.status(), "application/json", format!("{problem}\n"))
        }
    }
}

fn state(shared: &Shared) -> Value {
    let mut state = shared.sim().snapshot(shared.clock.now());
    state["events"]["delivery"] = shared.events.snapshot();
    state
}

fn summary(shared: &Shared, body: &Bytes) -> Result<Value, ApiError> {
    let SummaryRequest { bucket, prefix } = parse(body)?;
    let mut summary = shared.sim().summary(&bucket, &prefix, shared.clock.now())?;
    summary["events"]["delivery"] = shared.events.snapshot();
    Ok(summary)
}

fn change(shared: &Shared, what: &str, body: &Bytes) -> Result<Value, ApiError> {
    let now = shared.clock.now();
    let mut sim = shared.sim();
    match what {
        "buckets" => {
            let bucket: CreateBucket = parse(body)?;
            sim.create_bucket(&bucket.name, bucket.versioned);
            sim.hide_missing_keys(&bucket.name, bucket.hide_missing)?;
            if let Some(region) = &bucket.region {
                sim.set_bucket_region(&bucket.name, region)?;
            }
            Ok(json!({ "name": bucket.name, "versioned": bucket.versioned }))
        }
        "distributions" => {
            let config: DistributionConfig = parse(body)?;
            let id = sim.put_distribution(config, now)?;
            let distribution = sim.distribution(&id)?;
            Ok(json!({ "id": id, "domain_name": distribution.domain_name(), "config": distribution.config() }))
        }
        "policies" => {
            let policy: ContinuousDeploymentPolicy = parse(body)?;
            sim.put_continuous_deployment_policy(policy.clone());
            Ok(json!(policy))
        }
        "objects" => {
            let moved: Transition = parse(body)?;
            let object = ObjectRef::version(&moved.bucket, &moved.key, moved.version.as_deref());
            sim.transition(&object, moved.storage_class, moved.access_tier, now)?;
            Ok(json!({}))
        }
        "seed" => {
            let seed: Seed = parse(body)?;
            Ok(json!({ "objects": sim.seed(&seed.bucket, &seed.objects, now)? }))
        }
        "faults" => {
            let faults: Rules<FaultRule> = parse(body)?;
            sim.set_faults(faults.rules);
            Ok(json!({}))
        }
        "retrievals" => {
            let retrievals: Rules<RetrievalRule> = parse(body)?;
            sim.set_retrieval_rules(retrievals.rules);
            Ok(json!({}))
        }
        "events" => {
            let faults: EventFaults = parse(body)?;
            sim.set_event_faults(faults);
            Ok(json!({}))
        }
        "settings" => {
            let settings: SettingsChange = parse(body)?;
            sim.change_settings(&settings);
            Ok(json!(sim.settings()))
        }
        "queues" => {
            let queues: Queues = parse(body)?;
            shared.events.set_queues(queues);
            Ok(json!({}))
        }
        _ => Err(unknown(what)),
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::new("BadRequest", 400, error.to_string()))
}

fn unknown(what: &str) -> ApiError {
    ApiError::new("NotFound", 404, format!("there is no /_sim/{what}"))
}
