//! How the world stands when a step runs, and what the step is called with.

use serde_json::{Value, json};
use thaw_core::{Confirmation, Execution, ExecutionStatus, RestoreId, Status};
use thaw_sim::Sim;
use thaw_sim::model::{
    AccessTier, BucketDocument, FaultRule, ObjectRef, RestoreRequest, RetrievalTier, SettingsChange, StorageClass,
};
use thaw_steps::Step;
use thaw_steps::ledger::bucket_events::BucketEvents;
use thaw_steps::ports::{Ledger, StartExecutions};

use crate::steps::preflight::parameters;
use crate::steps::world::{BUCKET, World, ask_with};

const HOUR: u64 = 3_600;

/// One of everything that S3 can have: archived in every way, readable, gone, and with a path that needs a wildcard.
pub const KEYS: [&str; 8] = ["cold", "other", "deep", "tiered", "copied", "warm", "gone", "dir/x~1"];

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
pub fn stories(step: Step) -> Vec<fn() -> (World, Value)> {
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
        Step::Preflight => vec![|| (everything(), parameters(json!({})).into())],
        Step::Attachment => vec![
            || (without_events(), attachment("Create")),
            // All of it is put back, and a restore that jobs ask for is ended.
            || {
                let world = asking_by_jobs();
                world.run(world.executions.start(&id_of("r"), &json!({}))).unwrap();
                world.aws.with(|sim, _| {
                    let xml = "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
                    sim.put_bucket_document(BUCKET, BucketDocument::Notification, xml.to_owned()).unwrap();
                });
                world.run(BucketEvents::add(BUCKET, &world.ledger, world.now())).unwrap();
                (world, attachment("Delete"))
            },
        ],
    }
}

/// A bucket whose events go nowhere.
fn without_events() -> World {
    let world = World::new();
    world.aws.with(|sim, _| {
        let xml = "<NotificationConfiguration/>".to_owned();
        sim.put_bucket_document(BUCKET, BucketDocument::Notification, xml).unwrap();
    });
    world
}

fn attachment(kind: &str) -> Value {
    json!({"RequestType": kind, "ResourceProperties": {"ManageBucketEvents": "true", "ArchiveBuckets": [BUCKET]}})
}

fn id_of(restore: &str) -> RestoreId {
    RestoreId::try_from(restore.to_owned()).unwrap()
}

fn died() -> Execution {
    let error = Some("States.Runtime".to_owned());
    Execution { status: ExecutionStatus::Failed, error, cause: None, redrives: 0 }
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
