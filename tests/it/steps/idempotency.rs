//! Every step may run twice, and may die at any of its side effects and run again: it comes to the same as running once.
//!
//! Nothing here is told by hand but how the world stands when a step runs. Where it can die is found by counting: a run
//! is killed before its first write, after its first write, before its second, and so on until one lives.

mod mortal;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thaw_core::{Batch, Confirmation, Execution, ExecutionStatus, RestoreId, Row, Status};
use thaw_sim::Sim;
use thaw_sim::model::{AccessTier, FaultRule, ObjectRef, RestoreRequest, RetrievalTier, SettingsChange, StorageClass};
use thaw_steps::api::{
    adopt, cancel_restore, create_plan, create_restore, get_distributions, get_paths, get_restores, http,
};
use thaw_steps::events::queue::QueueBatch;
use thaw_steps::events::{
    announce_expiries, check_executions, confirm_invalidations, on_inbox_file, on_restore_completed,
    on_restore_initiated,
};
use thaw_steps::ports::{ItemKey, Ledger, StartExecutions, WorkFiles};
use thaw_steps::workflow::{
    check_invalidations, check_jobs, check_restores, create_jobs, invalidate, plan, report, report_failure,
    start_restores,
};
use thaw_steps::{CurrentVersions, Step};

use self::mortal::{Death, Mortal};
use super::world::{BUCKET, DISTRIBUTION, World, ask_with};

const HOUR: u64 = 3_600;

/// Seconds after which a function that died runs again.
const AGAIN: u64 = 7;

/// One of everything that S3 can have: archived in every way, readable, gone, and with a path that needs a wildcard.
const KEYS: [&str; 8] = ["cold", "other", "deep", "tiered", "copied", "warm", "gone", "dir/x~1"];

fn everything() -> World {
    let world = World::new();
    for key in ["cold", "other", "copied", "dir/x~1"] {
        world.put(key, StorageClass::Glacier);
    }
    world.put("deep", StorageClass::DeepArchive);
    world.put_in_tier("tiered", AccessTier::ArchiveAccess);
    world.put("warm", StorageClass::Standard);
    // A copy that another tool made, and that does not live for long.
    elsewhere(&world, "copied", 1);
    world.pass(12 * HOUR);
    world.aws.with(Sim::take_events);
    world
}

/// Another tool asks S3.
fn elsewhere(world: &World, key: &str, days: u32) {
    let object = ObjectRef::new(BUCKET, key);
    let request = RestoreRequest { object, days: Some(days), tier: Some(RetrievalTier::Standard) };
    world.aws.with(|sim, now| sim.restore_object(&request, now)).unwrap();
}

fn asked() -> Value {
    ask_with(&KEYS, json!({"days": 3}))
}

/// Two restores of much the same objects, in which S3 is done with what takes hours; nobody has told.
fn restored() -> World {
    let world = everything();
    world.begin("r", asked());
    world.begin("s", ask_with(&["cold", "other", "deep"], json!({"publish": {"when": "together"}})));
    world.pass(6 * HOUR);
    world
}

/// A restore that invalidates again what is readable, also for another that waits for it.
fn to_publish() -> World {
    let world = restored();
    world.plan("p", ask_with(&KEYS, json!({"publish_only": true}))).unwrap();
    world
}

/// The same, with an archived neighbour of an object with a `~` that a third restore brings later.
fn beside_a_slow_neighbour() -> World {
    let world = restored();
    world.put("dir/xylophone", StorageClass::DeepArchive);
    world.begin("t", ask_with(&["dir/xylophone"], json!({})));
    world.check_restores("r").unwrap();
    world
}

/// The same by S3 Batch Operations.
fn asked_by_jobs() -> Value {
    ask_with(&KEYS, json!({"days": 3, "batch_operations": true}))
}

/// A restore whose jobs are asking.
fn asking_by_jobs() -> World {
    let world = for_jobs();
    slowly(&world);
    world.create_all_jobs("r");
    world.pass(60);
    assert!(!world.check_jobs("r").unwrap().jobs_done);
    world
}

/// A restore whose archived objects wait for their jobs.
fn for_jobs() -> World {
    let world = everything();
    world.plan("r", asked_by_jobs()).unwrap();
    assert!(world.start_restores("r", 0).unwrap().for_a_job);
    world
}

/// Jobs take an hour for an object: they have not asked for any when a step runs again.
fn slowly(world: &World) {
    let slow = SettingsChange { job_task_millis: Some(3_600_000), ..SettingsChange::default() };
    world.aws.with(|sim, _| sim.change_settings(&slow));
}

/// Its jobs, created and let run, and over by now.
fn asking(world: &World) {
    world.create_all_jobs("r");
    world.pass(60);
    assert!(!world.check_jobs("r").unwrap().jobs_done);
    world.pass(60);
}

/// Everything, in pages of three keys and chunks of two objects.
fn in_pages() -> World {
    let mut world = everything();
    world.settings.objects_per_chunk = 2;
    let small = SettingsChange { keys_per_page: Some(3), ..SettingsChange::default() };
    world.aws.with(|sim, _| sim.change_settings(&small));
    world
}

fn under_a_prefix() -> Value {
    json!({"bucket": BUCKET, "prefix": "", "max_cost_usd": 100, "days": 3})
}

/// The cursor of a call that has time for one page.
fn handed_over(world: &World, cursor: &str) -> String {
    let output = world.plan_from(cursor, "r", under_a_prefix(), || false).unwrap();
    assert!(!output.cursor.is_empty() && output.chunks.is_empty(), "{output:?}");
    world.pass(60);
    output.cursor
}

fn messages(world: &World) -> Value {
    let events = world.aws.with(Sim::take_events);
    let records = events.iter().enumerate();
    let records =
        records.map(|(index, event)| json!({"messageId": index.to_string(), "body": event.to_json().to_string()}));
    json!({"Records": records.collect::<Vec<_>>()})
}

/// Objects that an event published a moment ago, and the message that was sent about them.
fn published_by_an_event() -> (World, Value) {
    let world = restored();
    let messages = messages(&world);
    world.completed(messages);
    let sent = world.confirmations.sent().into_iter().enumerate();
    let records =
        sent.map(|(id, (message, _))| json!({"messageId": id.to_string(), "body": json!(message).to_string()}));
    let records = json!({"Records": records.collect::<Vec<_>>()});
    (world, records)
}

/// The worlds in which a step is tried, each with what the step is handed there.
fn stories(step: Step) -> Vec<fn() -> (World, Value)> {
    match step {
        Step::Plan => vec![
            || (everything(), json!({"restore": "r", "request": asked()})),
            || (everything(), json!({"restore": "r", "request": ask_with(&KEYS, json!({"publish_only": true}))})),
            // A call that has time for one page begins, goes on, and ends a plan of three.
            || (in_pages(), json!({"restore": "r", "request": under_a_prefix(), "cursor": ""})),
            || {
                let world = in_pages();
                let cursor = handed_over(&world, "");
                (world, json!({"restore": "r", "request": under_a_prefix(), "cursor": cursor}))
            },
            || {
                let world = in_pages();
                let cursor = handed_over(&world, &handed_over(&world, &handed_over(&world, "")));
                (world, json!({"restore": "r", "request": under_a_prefix(), "cursor": cursor}))
            },
        ],
        Step::StartRestores => vec![
            || {
                let world = everything();
                elsewhere(&world, "other", 3);
                world.plan("r", asked()).unwrap();
                (world, json!({"restore": "r", "chunk": 0}))
            },
            // Nothing is asked of S3.
            || (to_publish(), json!({"restore": "p", "chunk": 0})),
            // What is archived is left to jobs.
            || {
                let world = everything();
                elsewhere(&world, "other", 3);
                world.plan("r", asked_by_jobs()).unwrap();
                (world, json!({"restore": "r", "chunk": 0}))
            },
            // A job has failed half-way.
            || {
                let world = for_jobs();
                let fault = FaultRule::new("JobTask", "JobFailed").on("other");
                world.aws.with(|sim, _| sim.set_faults(vec![fault]));
                asking(&world);
                assert_eq!(world.check_jobs("r").unwrap().chunks, [0]);
                (world, json!({"restore": "r", "chunk": 0}))
            },
            // The restore was cancelled meanwhile.
            || {
                let world = everything();
                world.plan("r", asked()).unwrap();
                end(&world, "r", Status::Cancelled);
                (world, json!({"restore": "r", "chunk": 0}))
            },
        ],
        Step::CreateJobs => vec![
            || {
                let world = for_jobs();
                (world, json!({"restore": "r"}))
            },
            // S3 takes no jobs.
            || {
                let world = for_jobs();
                world.aws.with(|sim, _| sim.set_faults(vec![FaultRule::new("CreateJob", "BadRequestException")]));
                (world, json!({"restore": "r"}))
            },
        ],
        Step::CheckJobs => vec![
            // They wait to be confirmed.
            || {
                let world = for_jobs();
                slowly(&world);
                world.create_all_jobs("r");
                world.pass(60);
                (world, json!({"restore": "r"}))
            },
            // They are done, and an object was refused.
            || {
                let world = for_jobs();
                elsewhere(&world, "other", 3);
                asking(&world);
                (world, json!({"restore": "r"}))
            },
            // One has failed.
            || {
                let world = for_jobs();
                let fault = FaultRule::new("JobTask", "JobFailed").on("other");
                world.aws.with(|sim, _| sim.set_faults(vec![fault]));
                asking(&world);
                (world, json!({"restore": "r"}))
            },
            // The restore was cancelled meanwhile.
            || {
                let world = for_jobs();
                world.create_all_jobs("r");
                end(&world, "r", Status::Cancelled);
                (world, json!({"restore": "r"}))
            },
        ],
        Step::CheckRestores => vec![
            || (restored(), json!({"restore": "r"})),
            || (restored(), json!({"restore": "s"})),
            || {
                let world = restored();
                end(&world, "r", Status::Cancelled);
                (world, json!({"restore": "r"}))
            },
            // An object waits for a neighbour.
            || {
                let world = beside_a_slow_neighbour();
                world.invalidate("r").unwrap();
                world.pass(HOUR);
                (world, json!({"restore": "r"}))
            },
        ],
        Step::Invalidate => vec![
            || {
                let world = restored();
                world.check_restores("r").unwrap();
                (world, json!({"restore": "r"}))
            },
            // An object waits for a neighbour.
            || (beside_a_slow_neighbour(), json!({"restore": "r"})),
            // What is readable is published again.
            || {
                let world = to_publish();
                world.start_restores("p", 0).unwrap();
                world.check_restores("p").unwrap();
                (world, json!({"restore": "p"}))
            },
            // Another restore's objects are claimed along with its own.
            || {
                let world = restored();
                world.pass(24 * HOUR);
                world.check_restores("s").unwrap();
                world.check_restores("r").unwrap();
                (world, json!({"restore": "s"}))
            },
        ],
        Step::CheckInvalidations => vec![|| {
            let world = restored();
            world.check_restores("r").unwrap();
            world.check_restores("s").unwrap();
            world.invalidate("r").unwrap();
            world.pass(HOUR);
            (world, json!({"restore": "r"}))
        }],
        Step::Report => vec![
            || {
                let world = restored();
                world.pass(48 * HOUR);
                world.check_restores("r").unwrap();
                (world, json!({"restore": "r"}))
            },
            // Another restore is to keep the copies longer.
            || {
                let world = everything();
                world.plan("r", ask_with(&["cold"], json!({"days": 30}))).unwrap();
                elsewhere(&world, "cold", 1);
                let wait = world.start_restores("r", 0).unwrap().wait_seconds;
                world.settle("r", wait);
                (world, json!({"restore": "r"}))
            },
        ],
        Step::ReportFailure => {
            vec![|| (restored(), json!({"restore": "r", "error": "Denied", "cause": "S3 says no."})), || {
                (asking_by_jobs(), json!({"restore": "r", "error": "Denied", "cause": "S3 says no."}))
            }]
        }
        Step::CreateRestore => vec![
            || (everything(), post("POST /v1/restores", &asked())),
            // Too large for an execution's input.
            || {
                let keys: Vec<_> = (0..1_000).map(|n| format!("{n:0>300}")).collect();
                (everything(), post("POST /v1/restores", &json!({"bucket": BUCKET, "keys": keys})))
            },
        ],
        Step::CreatePlan => vec![|| (everything(), post("POST /v1/plans", &asked()))],
        Step::GetPaths => {
            vec![|| (everything(), post("POST /v1/paths", &json!({"bucket": BUCKET, "keys": ["cold", "deep"]})))]
        }
        Step::GetDistributions => vec![|| (everything(), json!({"routeKey": "GET /v1/distributions"}))],
        Step::GetRestores => vec![
            || (restored(), json!({"routeKey": "GET /v1/restores"})),
            || (restored(), json!({"routeKey": "GET /v1/restores/{id}", "pathParameters": {"id": "r"}})),
            || (restored(), json!({"routeKey": "GET /v1/restores/{id}/objects", "pathParameters": {"id": "r"}})),
        ],
        Step::CancelRestore => vec![
            || {
                let world = asking_by_jobs();
                world.run(world.executions.start(&RestoreId::try_from("r".to_owned()).unwrap(), &json!({}))).unwrap();
                (world, json!({"routeKey": "DELETE /v1/restores/{id}", "pathParameters": {"id": "r"}}))
            },
            || {
                let world = restored();
                world.check_restores("r").unwrap();
                let id = "r";
                world.run(world.executions.start(&RestoreId::try_from(id.to_owned()).unwrap(), &json!({}))).unwrap();
                (world, json!({"routeKey": "DELETE /v1/restores/{id}", "pathParameters": {"id": id}}))
            },
        ],
        Step::Adopt => vec![|| {
            let world = everything();
            elsewhere(&world, "deep", 3);
            (world, post("POST /v1/adoptions", &json!({"bucket": BUCKET})))
        }],
        Step::OnRestoreCompleted => vec![
            || {
                let world = restored();
                let messages = with_poison(messages(&world));
                (world, messages)
            },
            // The function receives the other messages of its queue itself.
            || {
                let world = restored();
                let mut messages = with_poison(messages(&world));
                let records = messages["Records"].as_array_mut().unwrap();
                for record in records.split_off(1) {
                    let text = |field: &str| record[field].as_str().unwrap().to_owned();
                    world.queue.send(&text("messageId"), &text("body"));
                }
                (world, messages)
            },
            // S3 was slower than thaw waits, and the restore has ended.
            || {
                let world = everything();
                world.begin("r", asked());
                world.pass(6 * HOUR);
                let messages = messages(&world);
                end(&world, "r", Status::Failed);
                (world, messages)
            },
        ],
        Step::OnRestoreInitiated => vec![|| {
            let world = everything();
            world.begin("r", ask_with(&["cold"], json!({})));
            elsewhere(&world, "other", 3);
            elsewhere(&world, "deep", 3);
            let messages = with_poison(messages(&world));
            (world, messages)
        }],
        Step::ConfirmInvalidations => vec![
            // CloudFront is done.
            || {
                let (world, messages) = published_by_an_event();
                world.pass(HOUR);
                (world, with_poison(messages))
            },
            // CloudFront is not done.
            published_by_an_event,
            // CloudFront is not done for a day.
            || {
                let (world, _) = published_by_an_event();
                let batches = world.confirmations.sent().remove(0).0.batches;
                let last = json!(Confirmation { batches, asked: 171 }).to_string();
                (world, json!({"Records": [{"messageId": "1", "body": last}]}))
            },
        ],
        Step::OnInboxFile => vec![|| {
            let world = everything();
            let large: Vec<_> = (0..1_000).map(|n| format!("{n:0>300}")).collect();
            let files = [
                world.drop("inbox/request.json", &asked().to_string(), 1),
                world.drop("inbox/large.json", &json!({"bucket": BUCKET, "keys": large}).to_string(), 2),
                world.drop("inbox/list.csv", &format!("{BUCKET},cold\n{BUCKET},deep\n"), 3),
                world.drop("inbox/wrong.json", "no request", 4),
            ];
            let records = files.iter().enumerate();
            let records = records.map(|(id, event)| json!({"messageId": id.to_string(), "body": event.to_string()}));
            (world, with_poison(json!({"Records": records.collect::<Vec<_>>()})))
        }],
        // Two restores have copies that expire at the next midnight.
        Step::AnnounceExpiries => vec![|| {
            let world = World::new();
            for (id, key) in [("r", "cold"), ("s", "other")] {
                world.put(key, StorageClass::Glacier);
                world.restore(id, ask_with(&[key], json!({"days": 1})));
            }
            world.pass(24 * HOUR);
            (world, json!({"source": "aws.events", "detail-type": "Scheduled Event"}))
        }],
        Step::CheckExecutions => vec![
            // Two executions died, and one runs.
            || {
                let world = restored();
                world.begin("t", ask_with(&["deep"], json!({})));
                for id in ["r", "s", "t"] {
                    world.run(world.executions.start(&id_of(id), &json!({}))).unwrap();
                }
                for id in ["r", "s"] {
                    world.executions.end(&id_of(id), died());
                }
                world.pass(HOUR);
                (world, json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}))
            },
            // One died while jobs were asking for it.
            || {
                let world = asking_by_jobs();
                world.executions.end(&id_of("r"), died());
                (world, json!({"source": "aws.states", "detail": {"name": "r", "status": "FAILED"}}))
            },
        ],
    }
}

fn id_of(restore: &str) -> RestoreId {
    RestoreId::try_from(restore.to_owned()).unwrap()
}

fn died() -> Execution {
    let error = Some("States.Runtime".to_owned());
    Execution { status: ExecutionStatus::Failed, error, cause: None, redrives: 0 }
}

/// Whether a step writes anything at all: one that does not, cannot be killed at it.
fn writes(step: Step) -> bool {
    match step {
        Step::CreatePlan | Step::GetPaths | Step::GetRestores | Step::GetDistributions => false,
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
        | Step::CheckExecutions => true,
    }
}

fn post(route: &str, body: &Value) -> Value {
    json!({
        "routeKey": route, "body": body.to_string(), "headers": {"idempotency-key": "k"},
        "requestContext": {"requestId": "q"},
    })
}

fn with_poison(mut messages: Value) -> Value {
    messages["Records"].as_array_mut().unwrap().push(json!({"messageId": "poison", "body": "not JSON"}));
    messages
}

fn end(world: &World, restore: &str, status: Status) {
    let ended = world.record(restore).with(|record| {
        record.status = status;
        record.completed_at = Some(world.now());
        record.says = Some("It ended.".to_owned());
    });
    world.run(world.ledger.replace(&ended)).unwrap();
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
