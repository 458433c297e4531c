//! `POST /v1/paths`: under which paths viewers get objects, whether thaw would invalidate them now, and why not. Nothing is
//! written and nothing is started.
//!
//! The answer is found as a restore with `publish_only` would find it, by the same functions.

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde_json::json;
use thaw_core::{
    Decision, Distribution, Event, Facts, ObjectId, PathsRequest, PriceList, Problem, PublishedReason, Request,
    RequestedObject, decide, staleness,
};

use crate::api::http::{self, Response};
use crate::archive::described::{Described, described};
use crate::planning::accepting::refuse_foreign_bucket;
use crate::planning::survey::says_of_functions;
use crate::ports::{Distributions, IN_FLIGHT, ReadArchive, ReadDistributions};
use crate::publishing::path_safety::{Obstacle, SafePaths, cannot_be_invalidated, over_too_many, safe_paths};
use crate::publishing::publish::for_tenants_only;
use crate::views::paths_view::{
    DistributionPaths, InvalidationOutlook, LeftAlone, ObjectPaths, ObjectReadability, PathsView, ViewerPathView,
    at_the_edge,
};
use crate::{Settings, StepError};

/// Explains the paths of objects.
pub async fn run(
    request: &http::Request,
    archive: &impl ReadArchive,
    cdn: &impl ReadDistributions,
    settings: &Settings,
    now: Timestamp,
) -> Response {
    explain(request, archive, cdn, settings, now).await.into()
}

/// The answer when S3 or CloudFront took too long.
pub fn too_late(seconds: u64) -> Response {
    Response::problem(&Problem::paths_take_too_long(seconds))
}

async fn explain(
    request: &http::Request,
    archive: &impl ReadArchive,
    cdn: &impl ReadDistributions,
    settings: &Settings,
    now: Timestamp,
) -> Result<Response, StepError> {
    let PathsRequest { bucket, keys } = PathsRequest::read(&request.body_bytes()?)?;
    refuse_foreign_bucket(&bucket, settings)?;
    let read = crate::publishing::distributions::read(&bucket, cdn, settings).await?;
    let objects: Vec<ObjectPaths> = stream::iter(keys)
        .map(|asked| object_paths(&bucket, asked, &read, archive, settings, now))
        .buffered(IN_FLIGHT)
        .try_collect()
        .await?;
    let possible = objects.iter().filter(|object| object.invalidation.possible);
    let paths = possible.map(|object| object.invalidation.paths).sum();
    let left_out = read.left_out.iter().map(|(id, why)| why.says(id));
    let warnings = left_out.chain(read.shown.iter().flat_map(says_of_functions)).collect();
    let usd = PriceList::US_EAST_1.invalidation(paths);
    Ok(Response::json(200, &PathsView { bucket, objects, paths, usd, warnings }))
}

async fn object_paths(
    bucket: &str,
    asked: RequestedObject,
    read: &Distributions,
    archive: &impl ReadArchive,
    settings: &Settings,
    now: Timestamp,
) -> Result<ObjectPaths, StepError> {
    let object = ObjectId { bucket: bucket.to_owned(), key: asked.key, version: asked.version_id };
    let Described { object, current, facts } = described(object, archive).await?;
    let safe = safe_paths(&object, &read.shown, archive, settings, now).await?;
    let instead = instead(&object, current, &facts, &safe, read, now)?;
    let distributions =
        read.shown.iter().map(|distribution| distribution_paths(distribution, &object, &safe, read, now)).collect();
    let paths = safe.paths.values().map(|paths| paths.len() as u64).sum();
    let (state, kind, copy_expires, says) = ObjectReadability::of(&facts, now);
    let ObjectId { key, version: version_id, .. } = object;
    let invalidation = InvalidationOutlook::of(instead, paths);
    Ok(ObjectPaths { key, version_id, current, state, kind, copy_expires, says, invalidation, distributions })
}

/// What a restore with `publish_only` would record for an object without invalidating anything; `None` if it would
/// invalidate.
fn instead(
    object: &ObjectId,
    current: bool,
    facts: &Facts,
    safe: &SafePaths,
    read: &Distributions,
    now: Timestamp,
) -> Result<Option<Event>, StepError> {
    let request = Request::parse(&json!({"bucket": object.bucket, "keys": [object.key], "publish_only": true}))?;
    let planned = decide(facts, &request, now);
    if planned.decision != Decision::Publish {
        return Ok(planned.known);
    }
    let published = |how| Some(Event::Published { at: now, how });
    if !current {
        return Ok(published(PublishedReason::NotCurrent));
    }
    if let Some(event) = for_tenants_only(object, &read.shown, &read.of_tenants, now) {
        return Ok(Some(event));
    }
    if let Some(Obstacle { why, .. }) = &safe.obstacle {
        return Ok(Some(cannot_be_invalidated(why, now)));
    }
    if safe.paths.is_empty() {
        return Ok(published(PublishedReason::NoPath));
    }
    let is_object = |(bucket, key): &&(String, String)| *bucket == object.bucket && *key == object.key;
    Ok(match safe.covered.iter().filter(|one| !is_object(one)).count() {
        0 => None,
        over => Some(cannot_be_invalidated(&over_too_many(over, request.publish.max_over), now)),
    })
}

fn distribution_paths(
    distribution: &Distribution,
    object: &ObjectId,
    safe: &SafePaths,
    read: &Distributions,
    now: Timestamp,
) -> DistributionPaths {
    let ObjectId { bucket, key, .. } = object;
    let id = &distribution.id;
    let serving = read.serving.get(id);
    let shown = distribution.viewer_paths(bucket, key);
    let (error_seconds, says) = match shown.is_empty() {
        true => {
            (None, format!("It does not show the object: {}.", distribution.why_not_shown(bucket, key).says(bucket)))
        }
        false => at_the_edge(staleness(distribution, bucket, key, now, now), now),
    };
    let left_alone = safe.left_alone.get(id).into_iter().flatten();
    DistributionPaths {
        id: id.clone(),
        domain: serving.map(|serving| serving.domain.clone()).unwrap_or_default(),
        staging_of: distribution.primary.clone(),
        paths: shown.into_iter().map(|path| ViewerPathView::of(path, serving)).collect(),
        invalidation_paths: safe.paths.get(id).into_iter().flatten().cloned().collect(),
        left_alone: left_alone.map(|(path, why)| LeftAlone { path: path.clone(), why: why.clone() }).collect(),
        error_seconds,
        says,
    }
}
