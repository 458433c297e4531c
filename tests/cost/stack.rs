//! A stack with meters: the doors, the workflow as its definition says, and the queues with their readers.

use std::cell::RefCell;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use thaw_sim::Sim;
use thaw_sim::cdn::{Behavior, DistributionConfig, HoldingPage, Origin};
use thaw_sim::model::{PutRequest, QuotaRegime, RestoreEvent, SettingsChange, StorageClass};
use thaw_sim::ports::Aws;
use thaw_steps::api::{create_restore, http};
use thaw_steps::events::{on_restore_completed, on_restore_initiated};
use thaw_steps::testing::memory::{MemoryDeadLetters, MemoryEvents, MemoryExecutions, MemoryFiles, MemoryLedger};
use thaw_steps::workflow::{check_invalidations, check_restores, invalidate, plan, report, start_restores};
use thaw_steps::{CurrentVersions, Settings, StepError};
use tokio::time::Instant;

use crate::counted::{Counted, Meter, Stranger};
use crate::template::Template;

const BUCKET: &str = "archive";
const DISTRIBUTION: &str = "E1THAW";

/// The workflow's definition.
const WORKFLOW: &str = include_str!("../../statemachine/thaw.asl.json");

/// CPU of one AWS call, in milliseconds of a whole CPU: what `cargo xtask bench start` measures on a busy machine for an
/// invocation with one call, rounded up.
const CALL_CPU_MS: f64 = 0.5;

/// A Lambda has a whole CPU at this memory and its share below it (Lambda Developer Guide, "Configuring memory").
const MB_OF_A_CPU: f64 = 1_769.0;

/// Every invocation is billed as a cold one: 14 ms until a Rust function in 128 MB listens (maxday/lambda-perf, 2026-08),
/// and as long again for the TLS connections that its first call makes on a share of a CPU.
const COLD_MS: f64 = 28.0;

/// How closely the simulated time is followed.
const TICK: SignedDuration = SignedDuration::from_secs(10);

/// Runs in a time that passes only where a call takes some.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// What lies in the archive, and what is known of it.
pub struct Archive {
    /// Where the objects lie.
    pub class: StorageClass,
    /// At which tier they are asked for.
    pub tier: &'static str,
    /// When a prefix is published: each object when it can be read, or all together.
    pub publish: &'static str,
    /// Whether the bucket keeps versions.
    pub versioned: bool,
    /// Whether S3's events come.
    pub events: bool,
}

/// The stack, and what it used.
pub struct Stack {
    /// S3 and CloudFront.
    pub aws: Aws,
    ledger: MemoryLedger,
    files: MemoryFiles,
    executions: MemoryExecutions,
    events: MemoryEvents,
    settings: Settings,
    template: Template,
    /// The doors and the workflow.
    pub workflow: Meter,
    /// The queues and their readers.
    pub readers: Meter,
    /// How often the workflow looked.
    pub looks: u32,
    /// How often it tried a state again.
    pub retries: u32,
    queues: Vec<Queue>,
    /// What the function that hears of completed restores remembers.
    newest: RefCell<CurrentVersions>,
    keys: Vec<String>,
    archive: Archive,
}

struct Queue {
    reader: &'static str,
    tells: RestoreEvent,
    batch: usize,
    window: SignedDuration,
    messages: Vec<(Timestamp, Value)>,
}

impl Stack {
    /// A stack with these objects in its archive.
    pub fn new(keys: Vec<String>, archive: Archive) -> Self {
        let aws = Aws::new(Sim::default(), "2026-11-22T10:00:00Z".parse().expect("a time"));
        aws.with(|sim, now| {
            sim.create_bucket(BUCKET, archive.versioned);
            let config = DistributionConfig {
                id: Some(DISTRIBUTION.to_owned()),
                origins: vec![Origin { id: "s3".to_owned(), bucket: BUCKET.to_owned(), ..Origin::default() }],
                ..DistributionConfig::default()
            };
            sim.put_distribution(config, now).expect("CloudFront takes it");
            for key in &keys {
                sim.put_object(PutRequest::new(BUCKET, key, archive.class, "cold"), now).expect("S3 takes it");
            }
        });
        let template = Template::load();
        let queue = |reader, source, tells| {
            let source = template.resource(source);
            let number = |name: &str| source[name].as_i64().expect("the template says");
            Queue {
                reader,
                tells,
                batch: usize::try_from(number("BatchSize")).expect("a batch is small"),
                window: SignedDuration::from_secs(number("MaximumBatchingWindowInSeconds")),
                messages: Vec::new(),
            }
        };
        let queues = vec![
            queue("OnRestoreInitiated", "RestoreInitiatedSource", RestoreEvent::Initiated),
            queue("OnRestoreCompleted", "RestoreCompletedSource", RestoreEvent::Completed),
        ];
        Self {
            aws,
            ledger: MemoryLedger::default(),
            files: MemoryFiles::default(),
            executions: MemoryExecutions::default(),
            events: MemoryEvents::default(),
            settings: Settings {
                archive_buckets: vec![BUCKET.to_owned()],
                distribution_ids: vec![DISTRIBUTION.to_owned()],
                ..Settings::default()
            },
            template,
            workflow: Meter::default(),
            readers: Meter::default(),
            looks: 0,
            retries: 0,
            queues,
            newest: RefCell::default(),
            keys,
            archive,
        }
    }

    /// The distribution has a path of its own origin in each folder, so that no wildcard stands for any; CloudFront counts
    /// paths by the second; and somebody else sends it 25 every half second, a third of what it takes.
    pub fn beside_a_stranger(&self) {
        self.aws.with(|sim, now| {
            let origin = |id: &str| Origin { id: id.to_owned(), ..Origin::default() };
            let page = Origin { holding_page: Some(HoldingPage::default()), ..origin("page") };
            let behavior = |pattern: &str, to: &str| Behavior {
                path_pattern: pattern.to_owned(),
                target_origin_id: to.to_owned(),
                ..Behavior::default()
            };
            let config = DistributionConfig {
                id: Some(DISTRIBUTION.to_owned()),
                origins: vec![Origin { bucket: BUCKET.to_owned(), ..origin("s3") }, page],
                behaviors: vec![behavior("*.txt", "page")],
                ..DistributionConfig::default()
            };
            sim.put_distribution(config, now).expect("CloudFront takes it");
            sim.change_settings(&SettingsChange { regime: Some(QuotaRegime::Rate), ..SettingsChange::default() });
        });
        let every = SignedDuration::from_millis(500);
        let stranger = Stranger { paths: 25, every, next: Timestamp::MAX, sent: 0, refused: 0 };
        self.workflow.stranger.replace(Some(stranger));
    }

    /// A restore of everything, from the request to the report, with S3's events as they come.
    pub async fn restore_all(&mut self) {
        let (name, input) = self.ask().await;
        self.execute(&name, input).await;
    }

    fn now(&self) -> Timestamp {
        self.aws.clock().now()
    }

    /// The request at the door. Answers the execution that it began: its name and its input.
    async fn ask(&self) -> (String, Value) {
        let body = match self.keys.len() {
            // As many as a request takes; more are asked for by what they have in common.
            0..=1_000 => json!({"bucket": BUCKET, "keys": self.keys, "tier": self.archive.tier}),
            _ => {
                let publish = json!({"when": self.archive.publish});
                json!({"bucket": BUCKET, "prefix": "2019/", "tier": self.archive.tier, "publish": publish})
            }
        };
        let request =
            json!({"routeKey": "POST /v1/restores", "body": body.to_string(), "requestContext": {"requestId": "r"}});
        let request: http::Request = serde_json::from_value(request).expect("a request");
        let meter = &self.workflow;
        meter.used.borrow_mut().api_calls += 1;
        let (ledger, files) = (&Counted { port: &self.ledger, meter }, &Counted { port: &self.files, meter });
        let executions = &Counted { port: &self.executions, meter };
        let run = create_restore::run(&request, ledger, files, executions, &self.settings, self.now());
        let answer = self.invoke("CreateRestore", meter, run).await;
        assert_eq!(answer.status_code, 202, "{answer:?}");
        let (id, input) = self.executions.started().pop_first().expect("an execution was started");
        (id.to_string(), input)
    }

    /// The execution, state by state, to its end.
    async fn execute(&mut self, name: &str, input: Value) {
        let workflow: Value = serde_json::from_str(WORKFLOW).expect("the workflow is JSON");
        // The start of an execution is a transition too.
        self.transition();
        let (mut at, mut input) = (workflow["StartAt"].clone(), input);
        loop {
            self.transition();
            let state = &workflow["States"][at.as_str().expect("a name")];
            let mut next = &state["Next"];
            match state["Type"].as_str().expect("a type") {
                "Task" if at == "Plan" => {
                    input = self.task("Plan", json!({"restore": name, "request": input})).await;
                }
                "Task" => {
                    let chunk = |field: &str| input[field].as_u64().unwrap_or(0);
                    let (from, until) = (chunk("next_chunk"), chunk("until_chunk"));
                    let payload = json!({"restore": name, "from_chunk": from, "until_chunk": until});
                    input = self.task(at.as_str().expect("a name"), payload).await;
                }
                "Choice" => {
                    let mut choices = state["Choices"].as_array().expect("choices").iter();
                    next = choices
                        .find(|choice| holds(choice, &input))
                        .map_or(&state["Default"], |choice| &choice["Next"]);
                }
                "Map" => {
                    let (mut waits, mut jobs) = (Vec::new(), false);
                    for chunk in input["chunks"].as_array().expect("chunks") {
                        self.transition();
                        let asked = json!({"restore": name, "chunk": chunk});
                        let output = self.task("StartRestores", asked).await;
                        waits.push(output["wait_seconds"].as_i64().expect("seconds"));
                        jobs |= output["for_a_job"].as_bool().expect("the output says");
                    }
                    input = json!({"wait_seconds": waits.iter().min(), "anything_to_wait_for": !waits.is_empty(), "jobs": jobs});
                }
                "Wait" => self.wait(input["wait_seconds"].as_i64().expect("seconds")).await,
                "Succeed" => return,
                other => panic!("the execution is at {at}, a {other}: {input}"),
            }
            at = next.clone();
        }
    }

    fn transition(&self) {
        self.workflow.used.borrow_mut().state_transitions += 1;
    }

    /// A state that is a Lambda, with its retries. Each of those is a transition.
    async fn task(&mut self, state: &str, input: Value) -> Value {
        if state == "CheckRestores" {
            self.looks += 1;
        }
        loop {
            match self.step(state, input.clone()).await {
                Ok(output) => return output,
                Err(
                    StepError::Throttled(_) | StepError::Unavailable(_) | StepError::TooManyInvalidationsInProgress(_),
                ) => {
                    self.transition();
                    self.retries += 1;
                    self.wait(TICK.as_secs()).await;
                }
                Err(error) => panic!("{state}: {error}"),
            }
        }
    }

    async fn step(&self, state: &str, input: Value) -> Result<Value, StepError> {
        let (now, meter, settings) = (self.now(), &self.workflow, &self.settings);
        let (aws, ledger) = (&Counted { port: &self.aws, meter }, &Counted { port: &self.ledger, meter });
        let (files, events) = (&Counted { port: &self.files, meter }, &Counted { port: &self.events, meter });
        macro_rules! run {
            ($module:ident, $($port:expr),+) => {{
                let input = $module::Input::deserialize(input)?;
                json_of(self.invoke(state, meter, $module::run(input, $($port),+)).await)
            }};
        }
        use serde::Deserialize;
        match state {
            "Plan" => run!(plan, aws, aws, ledger, files, events, settings, now, || true),
            "StartRestores" => run!(start_restores, aws, ledger, files, now),
            "CheckRestores" => run!(check_restores, aws, ledger, files, events, now),
            "Invalidate" => run!(invalidate, aws, aws, ledger, files, settings, now),
            "CheckInvalidations" => run!(check_invalidations, aws, ledger, files, now),
            "Report" => run!(report, ledger, &self.executions, events, now),
            other => panic!("the workflow has a state that this bench does not know: {other}"),
        }
    }

    /// Runs a function and bills its time: what its calls take, as many at once as it makes at once, and its CPU.
    async fn invoke<T>(&self, function: &str, meter: &Meter, run: impl Future<Output = T>) -> T {
        let (begun, before) = (Instant::now(), meter.calls.get());
        let output = run.await;
        let memory = self.template.resource(function)["MemorySize"].as_u64().expect("the template says");
        #[expect(clippy::cast_precision_loss, reason = "a call or a megabyte more is nothing")]
        let cpu = CALL_CPU_MS * (1 + meter.calls.get() - before) as f64 * MB_OF_A_CPU / memory as f64;
        let took = begun.elapsed().as_secs_f64() * 1_000.0 + cpu + COLD_MS;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds of a step")]
        let billed = took.ceil() as u64;
        let used = &mut meter.used.borrow_mut();
        used.lambda_requests += 1;
        used.lambda_mb_ms += memory * billed;
        output
    }

    /// Lets time pass. S3's events come meanwhile.
    async fn wait(&mut self, seconds: i64) {
        let end = self.now() + SignedDuration::from_secs(seconds);
        while self.now() < end {
            self.workflow.pass(&self.aws, DISTRIBUTION, TICK.min(end.duration_since(self.now())));
            self.collect_events();
            for index in 0..self.queues.len() {
                while self.queues[index].is_due(self.now()) {
                    self.read(index).await;
                }
            }
        }
    }

    fn collect_events(&mut self) {
        let now = self.now();
        for event in self.aws.with(Sim::take_events).into_iter().filter(|_| self.archive.events) {
            for queue in self.queues.iter_mut().filter(|queue| queue.tells == event.kind) {
                // EventBridge sends it.
                self.readers.used.borrow_mut().queue_requests += 1;
                let id = format!("{}", queue.messages.len());
                queue.messages.push((now, json!({"messageId": id, "body": event.to_json().to_string()})));
            }
        }
    }

    /// One invocation of a queue's reader.
    async fn read(&mut self, index: usize) {
        let queue = &mut self.queues[index];
        let messages: Vec<_> = queue.messages.drain(..queue.batch.min(queue.messages.len())).collect();
        let count = messages.len() as u64;
        // Lambda asks SQS all the time, so each message is received alone; ten are deleted at once.
        self.readers.used.borrow_mut().queue_requests += count + count.div_ceil(10);
        let batch: Vec<Value> = messages.into_iter().map(|(_, message)| message).collect();
        let batch = serde_json::from_value(json!({"Records": batch})).expect("a batch");

        let (now, meter, settings) = (self.now(), &self.readers, &self.settings);
        let (aws, ledger) = (&Counted { port: &self.aws, meter }, &Counted { port: &self.ledger, meter });
        let (reader, tells) = (self.queues[index].reader, self.queues[index].tells);
        let dead_letters = &MemoryDeadLetters::default();
        let done = match tells {
            RestoreEvent::Initiated => {
                let executions = &Counted { port: &self.executions, meter };
                let files = &Counted { port: &self.files, meter };
                let events = &Counted { port: &self.events, meter };
                let run = on_restore_initiated::run(
                    batch,
                    aws,
                    ledger,
                    files,
                    executions,
                    events,
                    dead_letters,
                    settings,
                    now,
                );
                self.invoke(reader, meter, run).await
            }
            RestoreEvent::Completed => {
                let mut newest = self.newest.take();
                let run = on_restore_completed::run(batch, &mut newest, aws, aws, ledger, dead_letters, settings, now);
                let done = self.invoke(reader, meter, run).await;
                self.newest.replace(newest);
                done
            }
            RestoreEvent::Expired => panic!("no queue is told of it"),
        };
        let failures = done.expect("a reader answers").batch_item_failures;
        assert!(failures.is_empty() && dead_letters.letters().is_empty(), "{failures:?}");
    }
}

impl Queue {
    fn is_due(&self, now: Timestamp) -> bool {
        let first = self.messages.first();
        self.messages.len() >= self.batch || first.is_some_and(|(at, _)| now.duration_since(*at) >= self.window)
    }
}

/// Whether a choice's condition holds: all of ours are a field of the input, or that it is over 0.
fn holds(choice: &Value, input: &Value) -> bool {
    let condition = choice["Condition"].as_str().expect("a condition");
    // No restore of a bench has failed, and each is planned in one call.
    if condition.contains("$failing") || condition.contains("cursor") {
        return false;
    }
    let field = condition.trim_start_matches("{% $states.input.").trim_end_matches(" %}");
    match field.strip_suffix(" > 0") {
        Some(number) => input[number].as_u64().expect("the input says") > 0,
        None => input[field].as_bool().expect("the input says"),
    }
}

fn json_of(output: Result<impl Serialize, StepError>) -> Result<Value, StepError> {
    Ok(serde_json::to_value(output?)?)
}
