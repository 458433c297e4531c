//! Every step may run twice, and may die at any of its side effects and run again: it comes to the same as running once.
//!
//! Nothing here is told by hand but how the world stands when a step runs. Where it can die is found by counting: a run
//! is killed before its first write, after its first write, before its second, and so on until one lives.

mod mortal;
mod stories;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use thaw_core::{Batch, Row};
use thaw_custom_resource::{CustomResource, Event};
use thaw_sim::model::BucketDocument;
use thaw_steps::api::{
    adopt, cancel_restore, create_plan, create_restore, get_distributions, get_paths, get_restores, http,
};
use thaw_steps::deployment::attachment::Attachment;
use thaw_steps::deployment::preflight::Preflight;
use thaw_steps::events::queue::QueueBatch;
use thaw_steps::events::{
    announce_expiries, check_executions, confirm_invalidations, on_inbox_file, on_restore_completed,
    on_restore_initiated,
};
use thaw_steps::ports::{ItemKey, WorkFiles};
use thaw_steps::workflow::{
    check_invalidations, check_jobs, check_restores, create_jobs, invalidate, plan, report, report_failure,
    start_restores,
};
use thaw_steps::{CurrentVersions, Step};

use self::mortal::{Death, Mortal};
use self::stories::{KEYS, stories};
use super::preflight::LargeQuota;
use super::world::{BUCKET, DISTRIBUTION, World};

/// Seconds after which a function that died runs again.
const AGAIN: u64 = 7;

/// Whether a step writes anything at all: one that does not, cannot be killed at it.
fn writes(step: Step) -> bool {
    match step {
        Step::CreatePlan | Step::GetPaths | Step::GetRestores | Step::GetDistributions | Step::Preflight => false,
        Step::Plan
        | Step::StartRestores
        | Step::CreateJobs
        | Step::CheckJobs
        | Step::CheckRestores
        | Step::Invalidate
        | Step::CheckInvalidations
        | Step::Report
        | Step::ReportFailure
        | Step::CreateRestore
        | Step::CancelRestore
        | Step::Adopt
        | Step::OnRestoreCompleted
        | Step::OnRestoreInitiated
        | Step::ConfirmInvalidations
        | Step::OnInboxFile
        | Step::AnnounceExpiries
        | Step::CheckExecutions
        | Step::Attachment => true,
    }
}

fn read<T: DeserializeOwned>(payload: &Value) -> T {
    serde_json::from_value(payload.clone()).unwrap()
}

fn json_of(answer: &impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap()
}

/// What the function does and answers.
async fn work(step: Step, payload: &Value, wire: &Mortal<'_>, now: Timestamp) -> Value {
    let settings = &wire.world.settings;
    match step {
        Step::Plan => {
            let has_time = || payload["cursor"].is_null();
            json_of(&plan::run(read(payload), wire, wire, wire, wire, wire, settings, now, has_time).await.unwrap())
        }
        Step::StartRestores => json_of(&start_restores::run(read(payload), wire, wire, wire, now).await.unwrap()),
        Step::CreateJobs => json_of(&create_jobs::run(read(payload), wire, wire, wire, now).await.unwrap()),
        Step::CheckJobs => json_of(&check_jobs::run(read(payload), wire, wire, wire, settings, now).await.unwrap()),
        Step::CheckRestores => json_of(&check_restores::run(read(payload), wire, wire, wire, wire, now).await.unwrap()),
        Step::Invalidate => {
            json_of(&invalidate::run(read(payload), wire, wire, wire, wire, settings, now).await.unwrap())
        }
        Step::CheckInvalidations => {
            json_of(&check_invalidations::run(read(payload), wire, wire, wire, now).await.unwrap())
        }
        Step::Report => json_of(&report::run(read(payload), wire, wire, wire, now).await.unwrap()),
        Step::ReportFailure => json_of(&report_failure::run(read(payload), wire, wire, wire, wire, now).await.unwrap()),
        Step::CreateRestore => body(&create_restore::run(&read(payload), wire, wire, wire, settings, now).await),
        Step::CreatePlan => body(&create_plan::run(&read(payload), wire, wire, wire, wire, settings, now).await),
        Step::GetPaths => body(&get_paths::run(&read(payload), wire, wire, settings, now).await),
        Step::GetDistributions => body(&get_distributions::run(&read(payload), wire, settings).await),
        Step::GetRestores => body(&get_restores::run(&read(payload), wire, wire).await),
        Step::CancelRestore => body(&cancel_restore::run(&read(payload), wire, wire, wire, wire, now).await),
        Step::Adopt => body(&adopt::run(&read(payload), wire, wire, wire, wire, settings, now).await),
        Step::OnRestoreCompleted => {
            let batch: QueueBatch = read(payload);
            let newest = &mut CurrentVersions::default();
            let clock = || now;
            let run =
                on_restore_completed::run(batch, newest, wire, wire, wire, wire, wire, wire, settings, clock).await;
            json_of(&run.unwrap())
        }
        Step::OnRestoreInitiated => {
            let batch: QueueBatch = read(payload);
            json_of(&on_restore_initiated::run(batch, wire, wire, wire, wire, wire, wire, settings, now).await.unwrap())
        }
        Step::ConfirmInvalidations => {
            json_of(&confirm_invalidations::run(read(payload), wire, wire, wire, wire, now).await.unwrap())
        }
        Step::OnInboxFile => {
            let batch: QueueBatch = read(payload);
            json_of(&on_inbox_file::run(batch, wire, wire, wire, wire, wire, settings, now).await.unwrap())
        }
        Step::AnnounceExpiries => json_of(&announce_expiries::run(read(payload), wire, wire, wire, now).await.unwrap()),
        Step::CheckExecutions => {
            // How many it ended is its own.
            let event: Value = read(payload);
            check_executions::run(event, wire, wire, wire, wire, wire, now).await.unwrap();
            Value::Null
        }
        Step::Preflight => {
            let aws = &wire.world.aws;
            let preflight =
                Preflight { buckets: aws, cdn: aws, lambda: &LargeQuota, region: "us-east-1", architecture: "x86_64" };
            let properties = read::<Map<String, Value>>(payload).into();
            let reply = preflight.handle(&Event::Create { properties: &properties }).await;
            json!([reply.result.unwrap(), reply.is_settled])
        }
        Step::Attachment => {
            let properties = read::<Map<String, Value>>(&payload["ResourceProperties"]).into();
            let attachment = Attachment {
                stack: wire,
                buckets: wire,
                ledger: wire,
                files: wire,
                executions: wire,
                events: wire,
                jobs: wire,
                now: || now,
            };
            let event = match payload["RequestType"].as_str() {
                Some("Create") => Event::Create { properties: &properties },
                Some(_) | None => Event::Delete { physical_id: Some("attachment"), properties: &properties },
            };
            let reply = attachment.handle(&event).await;
            json!([reply.result.unwrap(), reply.is_settled])
        }
    }
}

/// A door's answer. That the first is a 202 and those after it are 200 is right.
fn body(response: &http::Response) -> Value {
    assert!(response.status_code < 300, "{response:?}");
    serde_json::from_str(&response.body).unwrap()
}

/// Runs a step once: what it answers, unless it dies, and how much it writes.
fn run(step: Step, world: &World, payload: &Value, death: Option<Death>) -> (Option<Value>, usize) {
    world.queue.come_again();
    let wire = Mortal { world, death, writes: Cell::default(), dead: Cell::default() };
    let now = world.now();
    let answer = world.run(async {
        let mut work = pin!(work(step, payload, &wire, now));
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if wire.dead.get() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    });
    (answer, wire.writes.get())
}

/// All that a step can leave behind.
#[derive(Debug, PartialEq)]
struct Left {
    /// Restores, batches and idempotency keys.
    ledger: Vec<(ItemKey, Value)>,
    /// By restore, the objects as they stand: whether that is written in a row or of its chunk is all the same.
    objects: Vec<Value>,
    /// Requests, and answers to files. A plan that died leaves chunks that nobody reads.
    files: Vec<(String, Value)>,
    executions: Value,
    /// By key: how many restores S3 began and made faster.
    paid_to_s3: Vec<(&'static str, u32, u32)>,
    /// The jobs, by their lists, and how far they are.
    jobs: Vec<(String, &'static str)>,
    /// The invalidations and their references.
    paid_to_cloudfront: Vec<(Vec<String>, String)>,
    /// What may be told more than once, but is always told.
    told: BTreeSet<String>,
    /// The receipts of messages that are done.
    done: BTreeSet<String>,
    /// Where the bucket's events go.
    notifications: String,
}

impl Left {
    fn by(world: &World) -> Self {
        let files =
            world.files.names().into_iter().filter(|name| !name.contains("/chunks/") && !name.contains("/plan/"));
        let items = world.ledger.items().into_iter();
        let (restores, others): (Vec<_>, Vec<_>) = items.partition(|(key, _)| key.sk == "restore");
        let of_objects = ["chunk#", "news#"];
        let is_whole = |(key, _): &(ItemKey, Value)| {
            !key.pk.contains('/') && !of_objects.iter().any(|begin| key.sk.starts_with(begin))
        };
        let ids =
            restores.iter().filter(|(_, item)| !item["plan"].is_null()).filter_map(|(_, item)| item["id"].as_str());
        let objects =
            ids.flat_map(|id| world.objects(id)).map(|row| masked(json!(Row { revision: 0, ..row }))).collect();
        let ledger = restores.iter().chain(others.iter().filter(|item| is_whole(item))).cloned();
        let calls = |key: &'static str| (key, world.calls(key).started, world.calls(key).upgraded);
        let events = world.events.events().into_iter().map(|(name, detail)| format!("{name} {}", masked(detail)));
        let letters = world.dead_letters.letters().into_iter().map(|(message, reason)| format!("{message}: {reason}"));
        let sent =
            world.confirmations.sent().into_iter().map(|(message, delay)| format!("{} {delay:?}", json!(message)));
        Self {
            ledger: ledger.map(|(key, item)| (key.clone(), masked(unpacked(&key, item)))).collect(),
            objects,
            files: files.map(|name| (name.clone(), content(world, &name))).collect(),
            executions: json!([world.executions.started(), world.executions.stopped()]),
            paid_to_s3: KEYS.map(calls).to_vec(),
            jobs: world.aws.with(|sim, _| {
                let jobs = sim.jobs().iter();
                jobs.map(|job| (job.request.manifest.key.clone(), job.status.as_str())).collect()
            }),
            paid_to_cloudfront: world.aws.with(|sim, _| {
                let made = sim.distribution(DISTRIBUTION).unwrap().invalidations().iter();
                made.map(|one| (one.items.clone(), one.caller_reference.clone())).collect()
            }),
            told: events.chain(letters).chain(sent).collect(),
            done: world.queue.deleted().into_iter().collect(),
            notifications: world.aws.with(|sim, _| sim.bucket_document(BUCKET, BucketDocument::Notification)).unwrap(),
        }
    }
}

fn content(world: &World, name: &str) -> Value {
    let bytes = world.run(world.files.get(name)).unwrap().unwrap();
    masked(serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8(bytes).unwrap().into()))
}

/// A batch is kept packed.
fn unpacked(key: &ItemKey, item: Value) -> Value {
    if key.sk != "batch" {
        return item;
    }
    let batch: Batch = serde_json::from_value(item).unwrap();
    json!({"id": batch.id, "candidates": batch.candidates, "calls": batch.calls})
}

/// JSON without what a function cannot know when it runs again: at what moment it ran first, which a cursor names, and
/// whether it was its own call that S3 is busy with.
fn masked(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let known =
                members.into_iter().filter(|(name, _)| !matches!(name.as_str(), "joined" | "wait_seconds" | "cursor"));
            known.map(|(name, value)| (name, masked(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(masked).collect(),
        Value::String(text) => Value::String(without_times(&text)),
        other => other,
    }
}

/// A text with every moment in it replaced by the word.
fn without_times(text: &str) -> String {
    let words = text.split_inclusive([' ', ';', ',']);
    let word = |word: &str| match word.trim_end_matches([' ', ';', ',', '.']).parse::<Timestamp>() {
        Ok(_) => "a moment ".to_owned(),
        Err(_) => word.to_owned(),
    };
    words.map(word).collect()
}

#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(one: &T, other: &T, step: Step, when: &str) {
    assert!(one == other, "{step:?} {when}:\nonce:  {one:#?}\nagain: {other:#?}");
}

fn for_every_story(law: impl Fn(Step, &dyn Fn() -> (World, Value))) {
    for step in Step::ALL {
        for story in stories(step) {
            law(step, &story);
        }
    }
}

#[test]
fn every_step_that_runs_twice_has_run_once() {
    for_every_story(|step, story| {
        let (world, payload) = story();
        let (answer, count) = run(step, &world, &payload, None);
        assert_eq!(count > 0, writes(step), "{step:?}");
        let once = Left::by(&world);
        // At this very moment, and a while later.
        for seconds in [0, AGAIN] {
            world.pass(seconds);
            let (again, _) = run(step, &world, &payload, None);
            same(&once, &Left::by(&world), step, "twice");
            same(&answer.clone().map(masked), &again.map(masked), step, "twice");
        }
    });
}

#[test]
fn every_step_that_is_killed_at_a_side_effect_and_runs_again_has_run_once() {
    for_every_story(|step, story| {
        let (world, payload) = story();
        let (answer, count) = run(step, &world, &payload, None);
        let once = Left::by(&world);
        for death in (0..count).flat_map(|nth| [Death::Before(nth), Death::After(nth)]) {
            let when = format!("{death:?}");
            let (world, payload) = story();
            assert_eq!(run(step, &world, &payload, Some(death)).0, None, "{step:?} {when} lives");
            world.pass(AGAIN);
            let (again, _) = run(step, &world, &payload, None);
            same(&once, &Left::by(&world), step, &when);
            same(&answer.clone().map(masked), &again.map(masked), step, &when);
        }
    });
}
