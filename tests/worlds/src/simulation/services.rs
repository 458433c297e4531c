//! Calls of the simulated services whose effects are recorded and checked.

use thaw_core::{Batch, ObjectId, RestoreAnswer, Row, State, Tier};
use thaw_sim::model::{ObjectRef, RestoreState, RetrievalTier};
use thaw_steps::ledger::chunks::ChunkRecord;
use thaw_steps::ledger::readiness::ReadinessRecord;
use thaw_steps::ports::{CreateInvalidations, Invalidation, Item, Ledger, PortError, Put, RequestRestores};

use super::simulator::Simulator;
use crate::environment::{BUCKET, Environment, Invocation};
use crate::ledger_item::{as_row, convert, is_row};

/// Sends RestoreObject to S3.
pub(super) async fn restore_object(
    simulator: &Simulator,
    invocation: &Invocation,
    object: &ObjectId,
    days: Option<u32>,
    tier: Tier,
) -> Result<RestoreAnswer, PortError> {
    let env = &simulator.env;
    let answer = if tier == Tier::Expedited && env.now() < simulator.expedited_unavailable_until.get() {
        Ok(RestoreAnswer::NoExpeditedCapacity)
    } else {
        env.aws.restore(object, days, tier).await
    };
    env.log(|| format!("    RestoreObject {object} {tier:?}, {days:?} days: {answer:?}"));
    simulator.checker.borrow_mut().restore_requested(env, invocation, object, tier, answer.as_ref().ok());
    observe_retrieval(simulator, object.key.as_str(), object.version.as_deref());
    answer
}

/// Records when the copy of an object will be readable, if S3 retrieves one.
pub(super) fn observe_retrieval(simulator: &Simulator, key: &str, version: Option<&str>) {
    let env = &simulator.env;
    let object = ObjectRef::version(BUCKET, key, version);
    let state = env.aws.with(|sim, now| sim.head_uncounted(&object, now)).ok().map(|head| (head.version, head.restore));
    if let Some((version, RestoreState::Ongoing { ready_at })) = state {
        let mut checker = simulator.checker.borrow_mut();
        checker.objects.retrieval_started(key, version.as_deref(), ready_at, env.now());
    }
}

/// Records and checks what the jobs of S3 Batch Operations requested since the last call.
pub(super) fn observe_batch_jobs(simulator: &Simulator) {
    let env = &simulator.env;
    let tasks = env.aws.with(|sim, _| {
        let mut observed = simulator.observed_tasks.borrow_mut();
        let mut new = Vec::new();
        for job in sim.jobs() {
            let count = observed.entry(job.id.clone()).or_default();
            let answered = job.tasks.iter().skip(*count).map_while(|task| Some((task, task.said.clone()?)));
            for (task, (_, answer)) in answered {
                *count += 1;
                let restore = job.request.description.to_owned();
                new.push((restore, job.request.tier, task.object.clone(), task.before, answer));
            }
        }
        new
    });
    for (restore, tier, object, expiry_before, response) in tasks {
        let tier = match tier {
            RetrievalTier::Bulk => Tier::Bulk,
            RetrievalTier::Standard => Tier::Standard,
            RetrievalTier::Expedited => Tier::Expedited,
        };
        let answer = match &response {
            Ok(answer) => RestoreAnswer::read(answer.status(), "", ""),
            Err(refusal) => RestoreAnswer::read(refusal.status(), refusal.code(), refusal.message()),
        };
        env.log(|| format!("    a job of {restore} requests {}: {answer:?}", object.key));
        let expiry_after = env.aws.with(|sim, now| sim.copy_until(&object, now));
        let ObjectRef { bucket, key, version } = object;
        let object = ObjectId { bucket, key, version };
        let mut checker = simulator.checker.borrow_mut();
        checker.restore_requested_by_job(env, &restore, &object, tier, answer.as_ref().ok());
        if response.is_ok() {
            // The report of a job does not say that there was a copy already, whose lifetime it changed.
            if let (Some(before), Some(after)) = (expiry_before, expiry_after) {
                checker.objects.expiry_changed(&object.key, before, after);
            }
            drop(checker);
            observe_retrieval(simulator, &object.key, object.version.as_deref());
        }
    }
}

/// Sends CreateInvalidation to CloudFront.
pub(super) async fn create_invalidation(
    simulator: &Simulator,
    distribution: &str,
    items: &[String],
    caller_reference: &str,
) -> Result<Invalidation, PortError> {
    let env = &simulator.env;
    let before = invalidation_count(env, distribution);
    let answer = env.aws.invalidate(distribution, items, caller_reference).await;
    let is_new = invalidation_count(env, distribution) > before;
    env.log(|| {
        let new = if is_new { ", new" } else { "" };
        format!("    CreateInvalidation of {distribution} {items:?} {caller_reference}: {answer:?}{new}")
    });
    if is_new {
        simulator.checker.borrow_mut().invalidated(env, distribution, items);
    }
    answer
}

fn invalidation_count(env: &Environment, distribution: &str) -> usize {
    env.aws.with(|sim, _| sim.distribution(distribution).map_or(0, |one| one.invalidations().len()))
}

/// Inserts an item into the ledger.
pub(super) async fn insert<T: Item>(simulator: &Simulator, item: &T) -> Result<Put<T>, PortError> {
    let put = simulator.env.ledger.insert(item).await?;
    if matches!(put, Put::Done) {
        observe_write(simulator, item, false);
    }
    Ok(put)
}

/// Replaces an item of the ledger.
pub(super) async fn replace<T: Item>(simulator: &Simulator, item: &T) -> Result<Put<T>, PortError> {
    let put = simulator.env.ledger.replace(item).await?;
    if matches!(put, Put::Done) {
        observe_write(simulator, item, true);
    }
    Ok(put)
}

/// Records and checks an item that was written.
fn observe_write<T: Item>(simulator: &Simulator, item: &T, is_replaced: bool) {
    let env = &simulator.env;
    let key = item.key();
    if is_row(&key) {
        let row = as_row(item);
        env.log(|| {
            let state = if is_replaced { description(&row) } else { row.state.as_str().to_owned() };
            format!("    {} {}: {state}", row.restore, row.object.key)
        });
        simulator.recent_writes.borrow_mut().record(key.clone(), &row, env.now());
        simulator.checker.borrow_mut().row_written(env, row, is_replaced);
    }
    if key.sk == "batch" {
        let batch: Batch = convert(item);
        if batch.is_completed() {
            env.log(|| format!("    batch {} is completed: {:?}", batch.id.as_str(), batch.calls));
        }
        simulator.checker.borrow_mut().batch_written(env, batch);
    }
    if key.sk.starts_with("chunk#") {
        let chunk: ChunkRecord = convert(item);
        env.log(|| format!("    {} chunk {}: {:?}", chunk.restore, chunk.chunk, chunk.accepted));
        simulator.checker.borrow_mut().chunk_written(env, &chunk);
    }
    if key.sk == "restore" {
        simulator.checker.borrow_mut().restore_written(env, &convert(item));
    }
    if key.sk.starts_with("news#") {
        let readiness: ReadinessRecord = convert(item);
        env.log(|| {
            format!(
                "    {} readiness of {:?} of chunk {}: {:?}",
                readiness.restore, readiness.entries, readiness.chunk, readiness.readiness
            )
        });
        simulator.checker.borrow_mut().readiness_written(env, &readiness);
    }
}

/// A row's state in words.
fn description(row: &Row) -> String {
    match &row.state {
        State::Failed { code, message, .. } => format!("failed, {code:?}: {message}"),
        State::Published { how, .. } => format!("published, {how:?}"),
        State::Restored { claim, expires, .. } => format!("restored until {expires:?}, claimed by {claim:?}"),
        other => other.as_str().to_owned(),
    }
}
