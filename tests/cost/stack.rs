//! A stack with meters: the doors, the workflow as its definition says, and the queues with their readers.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Deref, Range};
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use thaw_core::{Batch, Confirmation};
use thaw_sim::Sim;
use thaw_sim::cdn::{Behavior, DistributionConfig, HoldingPage, Origin};
use thaw_sim::model::{PutRequest, QuotaRegime, RestoreEvent, SettingsChange, StorageClass};
use thaw_sim::ports::Aws;
use thaw_steps::api::{create_restore, http};
use thaw_steps::events::{confirm_invalidations, on_restore_completed, on_restore_initiated};
use thaw_steps::ports::{PortError, ReceiveMessages, ReceivedMessage, SendConfirmations};
use thaw_steps::testing::memory::{MemoryDeadLetters, MemoryEvents, MemoryExecutions, MemoryFiles, MemoryLedger};
use thaw_steps::workflow::{check_invalidations, check_restores, invalidate, plan, report, start_restores};
use thaw_steps::{CurrentVersions, Settings, StepError};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
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
const TICK: SignedDuration = SignedDuration::from_millis(10);

/// How long a state that failed waits before it is tried again.
const TRY_AGAIN: i64 = 10;

/// What the way from S3's event to the function takes, in milliseconds.
///
/// Assumed: EventBridge's guide names no figure, and people measure less than half a second.
const EVENTBRIDGE_MS: Range<u64> = 100..500;
/// "Typical latencies for SendMessage, ReceiveMessage, and DeleteMessage API requests are in the tens or low hundreds of
/// milliseconds" (SQS FAQ). A message is sent by EventBridge, received by Lambda, and further ones by the function.
const SQS_MS: Range<u64> = 10..200;
/// "The duration of a cold start varies from under 100 ms to over 1 second" (Lambda Developer Guide, "Execution
/// environment lifecycle"). What of it is billed is `COLD_MS`.
const COLD_START_MS: Range<u64> = 100..1_000;
/// Assumed: a function that has rested for so long is gone. Lambda does not say.
const KEEPS_WARM: Duration = Duration::from_secs(300);

/// Messages that a call of SQS receives or deletes at most, and how many calls thaw-aws makes at once.
const MESSAGES_PER_CALL: usize = 10;
const CALLS_AT_ONCE: usize = 8;

/// Runs in a time that passes only where a call takes some.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    // Dropped with the readers of the queues that it runs.
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, future)
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
    shared: Rc<Shared>,
    /// The doors and the workflow.
    pub workflow: Meter,
    /// How often the workflow looked.
    pub looks: u32,
    /// How often it tried a state again.
    pub retries: u32,
    keys: Vec<String>,
}

/// What the workflow and the readers of the queues use.
pub struct Shared {
    /// S3 and CloudFront.
    pub aws: Aws,
    ledger: MemoryLedger,
    files: MemoryFiles,
    executions: MemoryExecutions,
    events: MemoryEvents,
    settings: Settings,
    template: Template,
    /// The queues and their readers.
    pub readers: Meter,
    queues: Vec<Queue>,
    archive: Archive,
    random: Cell<u64>,
    /// When S3's events came, by key.
    pub told: RefCell<BTreeMap<String, Instant>>,
}

impl Deref for Stack {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

struct Queue {
    reader: Reader,
    batch: usize,
    window: Duration,
    concurrency: i64,
    messages: RefCell<VecDeque<(String, String)>>,
    arrived: Notify,
    /// How many messages ever were on it.
    sent: Cell<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Initiated,
    Completed,
    Confirmations,
}

impl Reader {
    const ALL: [Self; 3] = [Self::Initiated, Self::Completed, Self::Confirmations];

    /// The function and its mapping.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Initiated => ("OnRestoreInitiated", "RestoreInitiatedSource"),
            Self::Completed => ("OnRestoreCompleted", "RestoreCompletedSource"),
            Self::Confirmations => ("ConfirmInvalidations", "ConfirmInvalidationsSource"),
        }
    }
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
        let queue = |reader: Reader| {
            let source = template.resource(reader.names().1);
            let number = |name: &str| source[name].as_i64().expect("the template says");
            Queue {
                reader,
                batch: usize::try_from(number("BatchSize")).expect("a batch is small"),
                window: Duration::from_secs(number("MaximumBatchingWindowInSeconds").unsigned_abs()),
                concurrency: source["ScalingConfig"]["MaximumConcurrency"].as_i64().expect("the template says"),
                messages: RefCell::default(),
                arrived: Notify::new(),
                sent: Cell::default(),
            }
        };
        let queues = Reader::ALL.map(queue).into();
        let shared = Shared {
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
            readers: Meter::beside_a_clock(),
            queues,
            archive,
            random: Cell::new(keys.len() as u64 + 1),
            told: RefCell::default(),
        };
        Self { shared: Rc::new(shared), workflow: Meter::default(), looks: 0, retries: 0, keys }
    }

    /// Another order of chance.
    pub fn with_chance(self, number: u64) -> Self {
        self.random.set(self.random.get() + (number << 20));
        self
    }

    /// For each batch that CloudFront completed, how long after that the ledger said so.
    pub fn confirmed_after(&self) -> Vec<SignedDuration> {
        let items = self.ledger.items().into_iter().filter(|(key, _)| key.sk == "batch");
        let batches: Vec<Batch> = items.map(|(_, item)| serde_json::from_value(item).expect("a batch")).collect();
        self.aws.with(|sim, _| {
            let all = || sim.distributions().flat_map(thaw_sim::cdn::Distribution::invalidations);
            let completed = |id: &String| all().find(|one| one.id == *id).map(|one| one.completed);
            let delays = batches.iter().filter_map(|batch| {
                let ids = batch.calls.iter().flatten().filter_map(|call| call.invalidation.as_ref());
                // A batch that lost all of its objects to others sends nothing.
                let completed = ids.filter_map(completed).max()?;
                let known = batch.completed_at.expect("the ledger knows that CloudFront is done");
                Some(known.duration_since(completed))
            });
            delays.collect()
        })
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
        for index in 0..self.queues.len() {
            for _ in 0..self.queues[index].concurrency {
                spawn_local(consume(Rc::clone(&self.shared), index));
            }
        }
        let (name, input) = self.ask().await;
        self.execute(&name, input).await;
        // What is on its way when the execution ends.
        self.wait(120).await;
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
                    self.wait(TRY_AGAIN).await;
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

    /// Lets time pass. S3's events come meanwhile, and the readers of the queues work.
    async fn wait(&mut self, seconds: i64) {
        let end = self.now() + SignedDuration::from_secs(seconds);
        while self.now() < end {
            // To the next event of S3.
            let next = self.aws.with(|sim, _| sim.next_event_at()).unwrap_or(end).min(end);
            let next = next.max(self.now() + TICK);
            let step = next.duration_since(self.now());
            self.readers.begun.set(Some((Instant::now(), self.now())));
            tokio::time::sleep(step.try_into().expect("time goes on")).await;
            self.readers.begun.set(None);
            let left = next.duration_since(self.now());
            self.workflow.pass(&self.aws, DISTRIBUTION, left.max(SignedDuration::ZERO));
            self.tell();
        }
    }

    /// S3's new events go to EventBridge, which sends them to the queues.
    fn tell(&self) {
        for event in self.aws.with(Sim::take_events).into_iter().filter(|_| self.archive.events) {
            let reader = match event.kind {
                RestoreEvent::Initiated => Reader::Initiated,
                RestoreEvent::Completed => Reader::Completed,
                RestoreEvent::Expired => continue,
            };
            if reader == Reader::Completed {
                self.told.borrow_mut().insert(event.object.key.clone(), Instant::now());
            }
            let delay = self.chance(EVENTBRIDGE_MS) + self.chance(SQS_MS);
            self.readers.used.borrow_mut().queue_requests += 1;
            deliver(&self.shared, reader, event.to_json().to_string(), delay);
        }
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.aws.clock().now()
    }

    /// So many milliseconds.
    fn chance(&self, of: Range<u64>) -> Duration {
        // Knuth's linear congruential generator, whose upper bits are good enough.
        let next = self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random.set(next);
        Duration::from_millis(of.start + (next >> 33) % (of.end - of.start))
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

    /// The next batch of a queue, as a mapping without provisioned pollers hands it over.
    async fn next_batch(&self, index: usize) -> Vec<(String, String)> {
        let queue = &self.queues[index];
        while queue.messages.borrow().is_empty() {
            queue.arrived.notified().await;
        }
        tokio::time::sleep(queue.window + self.chance(SQS_MS)).await;
        let mut messages = queue.messages.borrow_mut();
        let taken = queue.batch.min(messages.len());
        let batch: Vec<_> = messages.drain(..taken).collect();
        let count = batch.len() as u64;
        // Without a window Lambda hands over what one call received; with one it asks all the time, so each message is
        // received alone. Ten are deleted at once.
        let receives = if queue.window.is_zero() { count.min(1) } else { count };
        self.readers.used.borrow_mut().queue_requests += receives + count.div_ceil(10);
        batch
    }

    /// One invocation of a queue's reader.
    async fn read(self: &Rc<Self>, index: usize, batch: Vec<(String, String)>, environment: &mut Environment) {
        let queue = &self.queues[index];
        let records = batch.iter().map(|(id, body)| json!({"messageId": id, "body": body}));
        let batch = serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()})).expect("a batch");
        let meter = &environment.meter.of_invocation();
        meter.sync(&self.aws);
        let (now, settings) = (self.now(), &self.settings);
        let (aws, ledger) = (&Counted { port: &self.aws, meter }, &Counted { port: &self.ledger, meter });
        let queues = &Queues { shared: self, meter };
        let dead_letters = &MemoryDeadLetters::default();
        let name = queue.reader.names().0;
        let done = match queue.reader {
            Reader::Initiated => {
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
                self.invoke(name, meter, run).await
            }
            Reader::Completed => {
                let run = on_restore_completed::run(
                    batch,
                    &mut environment.newest,
                    aws,
                    aws,
                    ledger,
                    queues,
                    queues,
                    dead_letters,
                    settings,
                    || {
                        self.readers.sync(&self.aws);
                        self.now()
                    },
                );
                self.invoke(name, meter, run).await
            }
            Reader::Confirmations => {
                let run = confirm_invalidations::run(batch, aws, ledger, queues, dead_letters, now);
                self.invoke(name, meter, run).await
            }
        };
        let failures = done.expect("a reader answers").batch_item_failures;
        assert!(failures.is_empty() && dead_letters.letters().is_empty(), "{failures:?}");
    }
}

/// What a function keeps from call to call.
struct Environment {
    newest: CurrentVersions,
    meter: Meter,
}

/// An environment of a reader's function: batch after batch, for as long as the stack lives.
async fn consume(shared: Rc<Shared>, index: usize) {
    let new = || Environment { newest: CurrentVersions::default(), meter: shared.readers.of_environment() };
    let (mut environment, mut rested) = (new(), None);
    loop {
        let batch = shared.next_batch(index).await;
        if batch.is_empty() {
            continue;
        }
        if rested.is_none_or(|since: Instant| since.elapsed() > KEEPS_WARM) {
            environment = new();
            tokio::time::sleep(shared.chance(COLD_START_MS)).await;
        }
        shared.read(index, batch, &mut environment).await;
        rested = Some(Instant::now());
    }
}

/// Puts a message on a queue after a delay.
fn deliver(shared: &Rc<Shared>, reader: Reader, body: String, delay: Duration) {
    let shared = Rc::clone(shared);
    spawn_local(async move {
        tokio::time::sleep(delay).await;
        shared.put(reader, body);
    });
}

impl Shared {
    fn put(&self, reader: Reader, body: String) {
        let queue = self.queues.iter().find(|queue| queue.reader == reader).expect("it has a queue");
        queue.sent.set(queue.sent.get() + 1);
        queue.messages.borrow_mut().push_back((queue.sent.get().to_string(), body));
        queue.arrived.notify_one();
    }
}

/// The queues as a function uses them.
struct Queues<'a> {
    shared: &'a Rc<Shared>,
    meter: &'a Meter,
}

impl ReceiveMessages for Queues<'_> {
    async fn receive(&self, wait: Duration, most: usize) -> Result<Vec<ReceivedMessage>, PortError> {
        tokio::time::sleep(wait).await;
        let queue = self.shared.queues.iter().find(|queue| queue.reader == Reader::Completed).expect("there is one");
        let (mut received, mut calls) = (Vec::new(), 1);
        loop {
            for _ in 0..calls {
                self.meter.call(Duration::ZERO, |used| used.queue_requests += 1).await;
            }
            tokio::time::sleep(self.shared.chance(SQS_MS)).await;
            let mut messages = queue.messages.borrow_mut();
            let taken = (MESSAGES_PER_CALL * calls).min(messages.len());
            received.extend(messages.drain(..taken));
            let left = most.saturating_sub(received.len()).div_ceil(MESSAGES_PER_CALL);
            if taken < MESSAGES_PER_CALL * calls || left == 0 {
                break;
            }
            calls = left.min(CALLS_AT_ONCE);
        }
        let message = |(id, body): (String, String)| ReceivedMessage { receipt: id.clone(), id, body };
        Ok(received.into_iter().map(message).collect())
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), PortError> {
        for _ in receipts.chunks(MESSAGES_PER_CALL) {
            self.meter.call(self.shared.chance(SQS_MS), |used| used.queue_requests += 1).await;
        }
        Ok(())
    }
}

impl SendConfirmations for Queues<'_> {
    async fn send_confirmation(&self, message: &Confirmation, delay: Duration) -> Result<(), PortError> {
        self.meter.call(self.shared.chance(SQS_MS), |used| used.queue_requests += 1).await;
        deliver(self.shared, Reader::Confirmations, json!(message).to_string(), delay);
        Ok(())
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
