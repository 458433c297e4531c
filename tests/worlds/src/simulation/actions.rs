//! Performs the actions of a world: clients of the API, viewers, operators and other tools.

use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use thaw_core::{ObjectId, RestoreAnswer, Tier};
use thaw_sim::Sim;
use thaw_sim::cdn::InvalidationRequest;
use thaw_sim::model::ObjectRef;
use thaw_steps::ports::RequestRestores;

use super::services::observe_retrieval;
use super::simulator::Simulator;
use super::{client, messages};
use crate::environment::{
    BUCKET, Environment, MAX_PATHS_IN_PROGRESS, MAX_WILDCARDS_IN_PROGRESS, PATHS_PER_SECOND, QueueName, put_request,
    s3_storage,
};
use crate::runtime::add;
use crate::world::ActionKind;

/// Performs an action.
pub(super) async fn perform(simulator: &Rc<Simulator>, action: ActionKind) {
    let env = &simulator.env;
    env.log(|| match &action {
        ActionKind::ViewObject { object } => format!("* a viewer requests {:?}", env.world.full_key(*object)),
        action => format!("* {action:?}"),
    });
    match action {
        ActionKind::Request(request) => client::request(simulator, &request).await,
        ActionKind::RepeatRequest { request, same_body } => {
            client::repeat_request(simulator, request, same_body).await;
        }
        ActionKind::CancelRequest { request } => client::cancel_request(simulator, request).await,
        ActionKind::RestoreByOtherTool { object, tier, days } => {
            restore_by_other_tool(simulator, object, tier, days).await;
        }
        ActionKind::DeleteObject { object } => {
            change_object(simulator, object, env.world.versioned, |sim, key, now| {
                let _ = sim.delete_object(&ObjectRef::new(BUCKET, key), now);
            });
        }
        ActionKind::OverwriteObject { object, storage_tier } => {
            change_object(simulator, object, env.world.versioned, |sim, key, now| {
                let _ = sim.put_object(put_request(key, storage_tier), now);
            });
        }
        ActionKind::TransitionObject { object, storage_tier } => {
            change_object(simulator, object, false, |sim, key, now| {
                let (class, tier) = s3_storage(storage_tier);
                let _ = sim.transition(&ObjectRef::new(BUCKET, key), class, tier, now);
            });
        }
        ActionKind::ViewObject { object } => {
            let (wrong, has_staging_viewer) = env.view_as_viewer(object);
            simulator.checker.borrow_mut().viewed(env, object, &wrong, has_staging_viewer);
        }
        ActionKind::UseUpInvalidationQuota { seconds } => use_up_invalidation_quota(env, seconds).await,
        ActionKind::ExpeditedUnavailable { seconds } => {
            let end = add(env.now(), SignedDuration::from_secs(i64::from(seconds)));
            simulator.expedited_unavailable_until.set(end);
        }
        ActionKind::CancelBatchJobs => cancel_batch_jobs(env),
        ActionKind::MalformedMessage { form } => send_malformed_message(simulator, form),
    }
}

async fn restore_by_other_tool(simulator: &Simulator, object: u32, tier: Tier, days: u32) {
    let env = &simulator.env;
    let Some(key) = env.world.full_key(object) else { return };
    let id = ObjectId { bucket: BUCKET.to_owned(), key, version: None };
    let expiry = || env.aws.with(|sim, now| sim.copy_until(&ObjectRef::new(BUCKET, &id.key), now));
    let before = expiry();
    let answer = match env.aws.restore(&id, Some(days), tier).await {
        // Intelligent-Tiering takes no days.
        Ok(RestoreAnswer::Refused { .. }) => env.aws.restore(&id, None, tier).await,
        other => other,
    };
    env.log(|| format!("    S3 answers the other tool: {answer:?}"));
    if let (Some(before), Some(after)) = (before, expiry()) {
        simulator.checker.borrow_mut().objects.expiry_changed(&id.key, before, after);
    }
    observe_retrieval(simulator, &id.key, None);
}

/// Changes an object in S3. With `keeps_versions` the change only adds a version.
fn change_object(
    simulator: &Simulator,
    object: u32,
    keeps_versions: bool,
    change: impl FnOnce(&mut Sim, &str, Timestamp),
) {
    let env = &simulator.env;
    let Some(key) = env.world.full_key(object) else { return };
    simulator.checker.borrow_mut().objects.changed(&key, keeps_versions, env.now());
    env.aws.with(|sim, now| change(sim, &key, now));
}

/// Creates as many invalidations as CloudFront's quotas allow, of every distribution, every two minutes.
async fn use_up_invalidation_quota(env: &Environment, seconds: u32) {
    let end = add(env.now(), SignedDuration::from_secs(i64::from(seconds)));
    let invalidate = |caller_reference: &str, paths: Vec<String>| {
        for distribution in env.world.distributions() {
            let request = InvalidationRequest::new(distribution.id, caller_reference, paths.clone());
            let _ = env.aws.with(|sim, now| sim.create_invalidation(&request, now));
        }
    };
    let mut count = 0;
    while env.now() < end {
        let paths: Vec<String> = (0..MAX_PATHS_IN_PROGRESS).map(|n| format!("/others/{n}")).collect();
        let wildcards: Vec<String> = (0..MAX_WILDCARDS_IN_PROGRESS).map(|n| format!("/others/{n}/*")).collect();
        for paths in [paths, wildcards] {
            count += 1;
            invalidate(&format!("others-{count}-{end}"), paths);
        }
        // In the first minute somebody else also uses a third of the paths per second.
        let busy_seconds = if count == 2 { 60 } else { 0 };
        for second in 0..busy_seconds {
            let paths = (0..PATHS_PER_SECOND / 3).map(|n| format!("/another/{n}")).collect();
            invalidate(&format!("another-{second}-{end}"), paths);
            env.runtime.sleep(SignedDuration::from_secs(1)).await;
        }
        env.runtime.sleep(SignedDuration::from_secs(120 - busy_seconds)).await;
    }
}

fn cancel_batch_jobs(env: &Environment) {
    env.aws.with(|sim, now| {
        let ids: Vec<String> = sim.jobs().iter().map(|job| job.id.clone()).collect();
        for id in ids {
            let _already_ended = sim.update_job_status(&id, "Cancelled", now);
        }
    });
}

/// Sends a message that is neither an S3 event nor a confirmation to all queues.
fn send_malformed_message(simulator: &Rc<Simulator>, form: u32) {
    let body = match form {
        0 => "not JSON".to_owned(),
        1 => r#"{"version":"0","detail-type":"Object Restore Comp"#.to_owned(),
        2 => json!({"Type": "Notification", "Message": "hello"}).to_string(),
        3 => json!({"source": "aws.s3", "detail-type": "Object Restore Completed", "detail": {}}).to_string(),
        _ => "[]".to_owned(),
    };
    for queue in QueueName::ALL {
        messages::send(simulator, queue, body.clone(), SignedDuration::ZERO);
    }
}
