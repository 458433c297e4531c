//! The whole of thaw in one thread: the workflow, the functions, the queues and the doors, over the model of S3 and
//! CloudFront and a ledger in memory.

mod acts;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

use futures_util::future::{Either, select};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thaw_core::{Batch, Execution as Described, ExecutionStatus, ObjectId, RestoreAnswer, Row, Tier, Usd};
use thaw_sim::Sim;
use thaw_sim::cdn::{CustomErrorResponse, DistributionConfig, Origin};
use thaw_sim::model::{
    AccessTier, FaultRule, ObjectRef, PutRequest, RestoreEvent, RestoreState, RetrievalRule, RetrievalTier,
    StorageClass,
};
use thaw_sim::ports::{Aws, WorkBucket};
use thaw_steps::api::{adopt, cancel_restore, create_plan, create_restore, get_restores, http};
use thaw_steps::events::queue::QueueBatch;
use thaw_steps::events::{
    announce_expiries, check_executions, on_inbox_file, on_restore_completed, on_restore_initiated,
};
use thaw_steps::ledger::chunks::ChunkRecord;
use thaw_steps::ledger::readiness::NewsRecord;
use thaw_steps::ports::{CreateInvalidations, Invalidation, Item, ItemKey, Ledger, PortError, Put, RequestRestores};
use thaw_steps::testing::memory::{MemoryEvents, MemoryLedger};
use thaw_steps::workflow::{
    check_invalidations, check_jobs, check_restores, create_jobs, invalidate, plan, report, report_failure,
    start_restores,
};
use thaw_steps::{Newest, Settings, Step, StepError};

use crate::check::Checker;
use crate::deployment::{Deployment, EventSourceMapping};
use crate::known_bug::KnownBug;
use crate::rng::RandomSequence;
use crate::runtime::{Runtime, Signal, add};
use crate::wire::{Lambda, Wire};
use crate::workflow::{self, Outcome, StateEvent, StateEventKind, TaskError, Workflow};
use crate::world::{
    CallFaultKind, EventFaultKind, InvocationFaultKind, KillReason, Service, ServiceCall, StorageTier, World,
};

/// The archive.
pub const BUCKET: &str = "archive";
/// Where thaw keeps its files.
const WORK: &str = "work";
/// ActionKind shows it.
pub const DISTRIBUTION: &str = "E1THAW";
/// When every world begins.
pub const BEGINNING: &str = "2026-11-22T10:00:00Z";
/// Every restore is over by then, in seconds: the longest deadline is a week, after the last act.
const END: i64 = 40 * 86_400;

/// How long a peek may miss a write. AWS names no bound; this is long beside all that a function does.
const LAG: SignedDuration = SignedDuration::from_secs(2);

/// Seconds between two looks of the clock at executions: what the template says is read by a test of it.
const CLOCK: i64 = 6 * 3_600;

/// Paths that may be in progress.
const CROWD: usize = 30;

/// Paths that CloudFront takes in a second: more than any world's objects have.
const PATHS_PER_SECOND: u32 = 60;

/// The stack.
pub struct Stack {
    /// ActionKind it is told to be.
    pub world: World,
    /// ActionKind is true.
    pub check: RefCell<Checker>,
    pub(crate) deployed: Rc<Deployment>,
    pub(crate) runtime: Runtime,
    pub(crate) aws: Aws,
    pub(crate) ledger: MemoryLedger,
    written: RefCell<BTreeMap<ItemKey, Written>>,
    pub(crate) files: WorkBucket,
    pub(crate) events: MemoryEvents,
    pub(crate) executions: RefCell<BTreeMap<String, Execution>>,
    pub(crate) asked: RefCell<BTreeMap<u32, Asked>>,
    pub(crate) beginning: Timestamp,
    workflow: Rc<Workflow>,
    settings: Settings,
    /// ActionKind functions of OnRestoreCompleted that are warm and idle remember.
    newest: RefCell<Vec<Newest>>,
    queues: [Queue; 2],
    calls: RefCell<BTreeMap<(Step, ServiceCall), u32>>,
    invocations: RefCell<BTreeMap<Step, u32>>,
    random: RandomSequence,
    sent: Cell<u32>,
    /// By job, how many of its objects were looked at.
    jobs: RefCell<BTreeMap<String, usize>>,
    no_capacity_until: Cell<Timestamp>,
    journal: RefCell<Option<String>>,
}

/// The last write of a row. A peek may still show what it was before.
struct Written {
    at: Timestamp,
    row: Row,
    before: Option<Row>,
}

/// An execution of the workflow.
pub struct Execution {
    /// How it ended, if it has, and when.
    pub ended: Option<(Finished, Timestamp)>,
    /// Told to stop.
    stop: Rc<Signal>,
    /// About to die of this.
    killed: Rc<Cell<Option<KillReason>>>,
    /// The how many-th it is.
    nth: u32,
    /// States that it has entered.
    entered: Cell<u32>,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Finished {
    /// Green.
    Succeeded,
    /// Red.
    Failed {
        /// The name of the error.
        error: String,
        /// The words.
        cause: String,
    },
    /// By a cancel.
    Stopped,
    /// Of what nothing in it could catch.
    Died(KillReason),
}

/// ActionKind became of a request at the door.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The restore's id, if the door said it.
    pub id: Option<String>,
    /// The door's answer.
    pub body: Option<String>,
    /// When a cancel was accepted.
    pub cancelled: Option<Timestamp>,
}

struct Queue {
    source: fn(&Deployment) -> &EventSourceMapping,
    messages: RefCell<Vec<Message>>,
    arrived: Signal,
    dead: RefCell<Vec<String>>,
}

struct Message {
    id: u64,
    body: String,
    visible: Timestamp,
    receives: i64,
}

/// Runs a world to its end, and answers its stack with all that was found.
pub fn run(world: &World, workflow: &Rc<Workflow>, deployed: &Rc<Deployment>, tell: bool) -> Rc<Stack> {
    let stack = Rc::new(Stack::new(world, workflow, deployed, tell));
    for index in 0..stack.queues.len() {
        for _ in 0..(stack.queues[index].source)(deployed).maximum_concurrency {
            stack.runtime.spawn(Rc::clone(&stack).read_queue(index));
        }
    }
    for act in &world.actions {
        let (stack_, act) = (Rc::clone(&stack), act.clone());
        stack.runtime.spawn(async move {
            stack_.runtime.sleep_until(stack_.at(act.at)).await;
            stack_.act(act).await;
        });
    }
    let end = add(stack.beginning, SignedDuration::from_secs(END));
    loop {
        let timer = stack.runtime.run_until_idle();
        let event = stack.aws.with(|sim, _| sim.next_event_at());
        let Some(next) = [timer, event].into_iter().flatten().min() else { break };
        if next > end {
            break;
        }
        stack.runtime.advance_to(next.max(stack.runtime.now()));
        stack.send_events();
    }
    stack.check.borrow_mut().at_the_end(&stack);
    // Tasks hold the stack, and the stack holds the tasks: let go.
    stack.runtime.clear();
    stack
}

impl Stack {
    fn new(world: &World, workflow: &Rc<Workflow>, deployed: &Rc<Deployment>, tell: bool) -> Self {
        let beginning: Timestamp = BEGINNING.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let settings = thaw_sim::model::Settings { seed: world.seed, ..thaw_sim::model::Settings::default() };
        let mut sim = Sim::new(settings);
        // Small quotas, so that others can use them up without thousands of paths.
        sim.change_settings(&thaw_sim::model::SettingsChange {
            regime: Some(world.quota_regime),
            paths_in_progress: Some(CROWD),
            wildcards_in_progress: Some(2),
            paths_per_second: Some(PATHS_PER_SECOND),
            quota_answer: Some(world.quota_answer),
            job_prepare_seconds: Some(world.batch_operations.prepare_seconds),
            job_task_millis: Some(world.batch_operations.task_millis),
            keys_per_page: Some(world.keys_per_page),
            ..Default::default()
        });
        sim.create_bucket(BUCKET, world.versioned);
        sim.create_bucket(WORK, false);
        let sometimes = |operation: &str, code: &str, percent: u32| {
            (percent > 0).then(|| FaultRule::new(operation, code).sometimes(f64::from(percent) / 100.0))
        };
        let undescribed = world.objects.iter().filter(|object| object.head_fails);
        let undescribed = undescribed.filter_map(|object| world.full_key(object.id));
        let faults = [
            sometimes("JobTask", "JobFailed", world.batch_operations.job_failure_percent),
            sometimes("JobTask", "SlowDown", world.batch_operations.busy_percent),
            sometimes("CreateJob", "BadRequestException", world.batch_operations.refused_percent),
            sometimes("ListObjectsV2", "EmptyPage", world.empty_page_percent),
            sometimes("ListObjectVersions", "EmptyPage", world.empty_page_percent),
        ];
        let faults = faults.into_iter().flatten();
        sim.set_faults(
            faults.chain(undescribed.map(|key| FaultRule::new("HeadObject", "BadRequest").on(&key))).collect(),
        );
        let errors = CustomErrorResponse {
            error_code: 403,
            error_caching_min_ttl: Some(86_400 * 30),
            ..CustomErrorResponse::default()
        };
        let config = DistributionConfig {
            id: Some(DISTRIBUTION.to_owned()),
            origins: vec![Origin {
                id: "s3".to_owned(),
                bucket: BUCKET.to_owned(),
                origin_path: world.origin_path.to_owned(),
                ..Origin::default()
            }],
            directory_index: Some(world.directory_index.to_owned()).filter(|index| !index.is_empty()),
            default_root_object: "index.html".to_owned(),
            custom_error_responses: if world.caches_errors { vec![errors] } else { Vec::new() },
            ..DistributionConfig::default()
        };
        sim.put_distribution(config, beginning).unwrap_or_else(|error| panic!("{error:?}"));
        let rules = world.objects.iter().filter_map(|object| {
            let key = world.full_key(object.id)?;
            Some(RetrievalRule { key, seconds: object.retrieval_seconds? })
        });
        sim.set_retrieval_rules(rules.collect());
        for object in &world.objects {
            let Some(key) = world.full_key(object.id) else { continue };
            sim.put_object(put(&key, object.storage_tier), beginning).unwrap_or_else(|error| panic!("{error:?}"));
        }
        let aws = Aws::new(sim, beginning);
        let queue = |source| Queue {
            source,
            messages: RefCell::default(),
            arrived: Signal::default(),
            dead: RefCell::default(),
        };
        Self {
            check: RefCell::new(Checker::default()),
            runtime: Runtime::new(aws.clock().clone()),
            files: WorkBucket::new(&aws, WORK),
            aws,
            ledger: MemoryLedger::default(),
            written: RefCell::default(),
            events: MemoryEvents::default(),
            executions: RefCell::default(),
            asked: RefCell::default(),
            beginning,
            workflow: Rc::clone(workflow),
            deployed: Rc::clone(deployed),
            settings: Settings {
                archive_buckets: vec![BUCKET.to_owned()],
                directory_index: world.directory_index.to_owned(),
                objects_per_chunk: world.objects_per_chunk,
                objects_per_job: world.batch_operations.objects_per_job,
                work_bucket: WORK.to_owned(),
                ..Settings::default()
            },
            newest: RefCell::default(),
            queues: [queue(|deployed| &deployed.restore_initiated), queue(|deployed| &deployed.restore_completed)],
            calls: RefCell::default(),
            invocations: RefCell::default(),
            random: RandomSequence::new(world.seed),
            sent: Cell::new(0),
            jobs: RefCell::default(),
            no_capacity_until: Cell::new(Timestamp::MIN),
            journal: RefCell::new(tell.then(String::new)),
            world: world.clone(),
        }
    }

    /// ActionKind may be spent on what others restore.
    fn joined_max_cost(&self) -> Option<Usd> {
        let is_unlimited = self.world.known_bug == Some(KnownBug::JoinedWithoutLimit);
        self.world.joined_max_cost_usd.filter(|_| !is_unlimited).and_then(Usd::from_f64)
    }

    /// The moment so many seconds after the beginning.
    pub fn at(&self, seconds: u32) -> Timestamp {
        add(self.beginning, SignedDuration::from_secs(i64::from(seconds)))
    }

    /// ActionKind was told, line by line.
    pub fn journal(&self) -> String {
        self.journal.borrow().clone().unwrap_or_default()
    }

    /// Writes a line into the journal, if there is one.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        if let Some(journal) = self.journal.borrow_mut().as_mut() {
            let passed = self.runtime.now().duration_since(self.beginning).as_millis();
            let (seconds, millis) = (passed / 1_000, passed % 1_000);
            let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            let _ = writeln!(journal, "{hours:3}:{minutes:02}:{seconds:02}.{millis:03}  {}", line());
        }
    }

    fn number(&self) -> u64 {
        self.random.next()
    }

    /// A number of milliseconds, mostly at the lower end.
    fn millis(&self, low: u64, high: u64) -> SignedDuration {
        let number = self.number();
        let span = if number.is_multiple_of(64) { high * 20 } else { high - low };
        SignedDuration::from_millis(i64::try_from(low + (number >> 8) % span).unwrap_or(0))
    }

    // ---- calls

    /// ActionKind happens to the next call of this kind, and how long it takes.
    pub(crate) fn fate(&self, step: Step, call: ServiceCall) -> (Option<CallFaultKind>, SignedDuration) {
        let nth = {
            let mut calls = self.calls.borrow_mut();
            let nth = calls.entry((step, call)).or_default();
            *nth += 1;
            *nth - 1
        };
        let faults = &self.world.call_faults;
        let fault = faults.iter().find(|fault| (fault.step, fault.call, fault.nth) == (step, call, nth));
        let fate = fault.map(|fault| fault.kind).or_else(|| self.storm(call.service()));
        (fate, self.millis(4, 60))
    }

    fn storm(&self, service: Service) -> Option<CallFaultKind> {
        if self.world.outages.is_empty() {
            return None;
        }
        let passed = self.runtime.now().duration_since(self.beginning).as_secs();
        let raging = |storm: &&crate::world::ServiceOutage| {
            storm.service == service && (0..i64::from(storm.seconds)).contains(&(passed - i64::from(storm.start)))
        };
        let storm = self.world.outages.iter().find(raging)?;
        (self.number() % 100 < u64::from(storm.percent)).then_some(storm.kind)
    }

    pub(crate) fn struck(&self, lambda: &Lambda, call: ServiceCall, subject: &str, fate: CallFaultKind) {
        self.tell(|| format!("  ! {:?} #{}: {call:?} {subject}: {fate:?}", lambda.step, lambda.serial));
        let mut check = self.check.borrow_mut();
        check.struck(lambda.step, fate);
        if fate == CallFaultKind::PermanentError {
            check.refused(lambda.step, lambda.restore.as_deref());
        }
    }

    pub(crate) async fn restore_object(
        &self,
        lambda: &Lambda,
        object: &ObjectId,
        days: Option<u32>,
        tier: Tier,
    ) -> Result<RestoreAnswer, PortError> {
        let now = self.runtime.now();
        let answer = if tier == Tier::Expedited && now < self.no_capacity_until.get() {
            Ok(RestoreAnswer::NoExpeditedCapacity)
        } else {
            self.aws.restore(object, days, tier).await
        };
        self.tell(|| format!("    RestoreObject {object} {tier:?}, {days:?} days: {answer:?}"));
        self.check.borrow_mut().restore_asked(self, lambda, object, tier, answer.as_ref().ok());
        self.note_retrieval(object.key.as_str(), object.version.as_deref());
        answer
    }

    /// Remembers when the copy that is being made will be there.
    fn note_retrieval(&self, key: &str, version: Option<&str>) {
        let object = ObjectRef::version(BUCKET, key, version);
        let state = self.aws.with(|sim, now| sim.look(&object, now)).ok().map(|head| (head.version, head.restore));
        if let Some((version, RestoreState::Ongoing { ready_at })) = state {
            self.check.borrow_mut().retrieval(key, version.as_deref(), ready_at, self.runtime.now());
        }
    }

    pub(crate) async fn create_invalidation(
        &self,
        distribution: &str,
        items: &[String],
        reference: &str,
    ) -> Result<Invalidation, PortError> {
        let before = self.invalidations();
        let made = self.aws.invalidate(distribution, items, reference).await;
        let new = self.invalidations() > before;
        self.tell(|| {
            format!("    CreateInvalidation {items:?} {reference}: {made:?}{}", if new { ", new" } else { "" })
        });
        if new {
            self.check.borrow_mut().invalidated(self, items);
        }
        made
    }

    fn invalidations(&self) -> usize {
        self.aws.with(|sim, _| sim.distribution(DISTRIBUTION).map_or(0, |one| one.invalidations().len()))
    }

    pub(crate) async fn insert<T: Item>(&self, item: &T) -> Result<Put<T>, PortError> {
        let put = self.ledger.insert(item).await?;
        if matches!(put, Put::Done) && item.key().pk.contains('/') {
            let row = as_row(item);
            self.tell(|| format!("    {} {}: {}", row.restore, row.object.key, row.state.word()));
            self.wrote(item.key(), &row);
            self.check.borrow_mut().row(self, None, row);
        }
        self.not_a_row(&put, item);
        Ok(put)
    }

    pub(crate) async fn replace<T: Item>(&self, lambda: &Lambda, item: &T) -> Result<Put<T>, PortError> {
        let put = self.ledger.replace(item).await?;
        if matches!(put, Put::Done) && item.key().pk.contains('/') {
            let row = as_row(item);
            self.tell(|| format!("    {} {}: {}", row.restore, row.object.key, words(&row)));
            self.wrote(item.key(), &row);
            self.check.borrow_mut().row(self, Some(lambda), row);
        }
        self.not_a_row(&put, item);
        Ok(put)
    }

    fn wrote(&self, key: ItemKey, row: &Row) {
        let mut written = self.written.borrow_mut();
        let before = written.remove(&key).map(|written| written.row);
        written.insert(key, Written { at: self.runtime.now(), row: row.clone(), before });
    }

    /// ActionKind a peek shows of a row: now and then what it was a moment ago, which may be nothing.
    pub(crate) fn peeked<T: Item>(&self, item: T) -> Option<T> {
        let written = self.written.borrow();
        let Some(Written { at, before, .. }) = written.get(&item.key()) else { return Some(item) };
        if *at < add(self.runtime.now(), -LAG) || !self.number().is_multiple_of(4) {
            return Some(item);
        }
        let json = serde_json::to_value(before.as_ref()?).unwrap_or_default();
        self.tell(|| format!("  ! a peek at {} shows what it was before", item.key().pk));
        Some(T::deserialize(json).unwrap_or_else(|error| panic!("no row: {error}")))
    }

    /// ActionKind was noted of many objects at once, if that was written: of a chunk as a whole, as its news, or in a batch.
    fn not_a_row<T: Item>(&self, put: &Put<T>, item: &T) {
        if !matches!(put, Put::Done) {
            return;
        }
        let json = || serde_json::to_value(item).unwrap_or_default();
        if item.key().sk == "batch" {
            let batch: Batch = serde_json::from_value(json()).unwrap_or_else(|error| panic!("no batch: {error}"));
            if batch.is_completed() {
                self.tell(|| format!("    batch {} is completed: {:?}", batch.id.as_str(), batch.calls));
            }
            self.check.borrow_mut().batch(self, batch);
        }
        if item.key().sk.starts_with("chunk#") {
            let chunk: ChunkRecord = serde_json::from_value(json()).unwrap_or_else(|error| panic!("no chunk: {error}"));
            self.tell(|| format!("    {} chunk {}: {:?}", chunk.restore, chunk.chunk, chunk.accepted));
            self.check.borrow_mut().chunk(self, &chunk);
        }
        if item.key().sk == "restore" {
            let record = serde_json::from_value(json()).unwrap_or_else(|error| panic!("no restore: {error}"));
            self.check.borrow_mut().restore(self, &record);
        }
        if item.key().sk.starts_with("news#") {
            let news: NewsRecord = serde_json::from_value(json()).unwrap_or_else(|error| panic!("no news: {error}"));
            self.tell(|| {
                format!("    {} news of {:?} of chunk {}: {:?}", news.restore, news.entries, news.chunk, news.news)
            });
            self.check.borrow_mut().news(self, &news);
        }
    }

    // ---- functions

    /// Invokes a function.
    pub(crate) async fn invoke(self: &Rc<Self>, step: Step, payload: Value) -> Result<Value, TaskError> {
        let nth = {
            let mut invocations = self.invocations.borrow_mut();
            let nth = invocations.entry(step).or_default();
            *nth += 1;
            *nth - 1
        };
        let miss = self
            .world
            .invocation_faults
            .iter()
            .find(|miss| (miss.step, miss.nth) == (step, nth))
            .map(|fault| fault.kind);
        if let Some(miss) = miss {
            self.tell(|| format!("  ! {step:?}: {miss:?}"));
            self.check.borrow_mut().missed(miss);
        }
        if miss == Some(InvocationFaultKind::ResponseTooLarge) {
            self.check.borrow_mut().refused(step, payload["restore"].as_str());
        }
        let failed = |error: &str| TaskError { error: error.to_owned(), cause: "as the world wants it".to_owned() };
        self.runtime.sleep(self.millis(3, 200)).await;
        match (miss, self.storm(Service::Lambda)) {
            (Some(InvocationFaultKind::NotStarted), _) | (_, Some(CallFaultKind::Unavailable)) => {
                return Err(failed("Lambda.ServiceException"));
            }
            (_, Some(CallFaultKind::Throttled)) => return Err(failed("Lambda.TooManyRequestsException")),
            _ => {}
        }
        let serial = self.random.position();
        let lambda = Rc::new(Lambda {
            step,
            serial,
            begun: self.runtime.now(),
            restore: payload["restore"].as_str().map(str::to_owned),
            dead: Signal::default(),
        });
        let answer: Rc<Answer> = Rc::default();
        let (stack, lambda_, answer_) = (Rc::clone(self), Rc::clone(&lambda), Rc::clone(&answer));
        self.runtime.spawn(async move {
            let timeout = SignedDuration::from_secs(stack.deployed.timeout_seconds(step));
            let wire = Wire { stack: Rc::clone(&stack), lambda: Rc::clone(&lambda_), memory: RefCell::default() };
            let said = {
                let work = std::pin::pin!(work(step, payload, &wire, stack.runtime.now()));
                let late = std::pin::pin!(stack.runtime.sleep(timeout));
                let killed = std::pin::pin!(lambda_.dead.wait());
                match select(killed, select(work, late)).await {
                    Either::Left(_) => Err(TaskError { error: "Runtime.ExitError".to_owned(), cause: String::new() }),
                    Either::Right((Either::Left((said, _)), _)) => said,
                    Either::Right((Either::Right(_), _)) => {
                        Err(TaskError { error: "Sandbox.Timedout".to_owned(), cause: String::new() })
                    }
                }
            };
            lambda_.dead.set();
            answer_.said.replace(Some(said));
            answer_.there.set();
        });
        if miss == Some(InvocationFaultKind::ClientTimeout) {
            self.runtime.sleep(self.millis(1, 500)).await;
            return Err(failed("Lambda.ClientExecutionTimeoutException"));
        }
        answer.there.wait().await;
        let said = answer.said.take().unwrap_or_else(|| Err(failed("Lambda.Unknown")));
        match (miss, self.storm(Service::Lambda)) {
            (Some(InvocationFaultKind::ResponseLost), _) | (_, Some(CallFaultKind::ResponseLost)) => {
                Err(failed("Lambda.SdkClientException"))
            }
            (Some(InvocationFaultKind::ResponseTooLarge), _) => Err(failed("States.DataLimitExceeded")),
            _ => said,
        }
    }

    // ---- executions

    pub(crate) fn start_execution(self: &Rc<Self>, id: &str, input: &Value) {
        if self.executions.borrow().contains_key(id) {
            return;
        }
        let (stop, killed) = (Rc::new(Signal::default()), Rc::new(Cell::new(None)));
        let nth = u32::try_from(self.executions.borrow().len()).unwrap_or(u32::MAX);
        let (stop_, killed_) = (Rc::clone(&stop), Rc::clone(&killed));
        let execution = Execution { ended: None, stop: stop_, killed: killed_, nth, entered: Cell::new(0) };
        self.executions.borrow_mut().insert(id.to_owned(), execution);
        let (stack, id, input) = (Rc::clone(self), id.to_owned(), input.clone());
        self.runtime.spawn(async move {
            let services = Services { stack: Rc::clone(&stack) };
            let ended = {
                let run = std::pin::pin!(stack.workflow.run(&id, input, &services));
                let stopped = std::pin::pin!(stop.wait());
                match select(stopped, run).await {
                    Either::Left(_) => None,
                    Either::Right((ended, _)) => Some(ended),
                }
            };
            let finished = match &ended {
                None => killed.get().map_or(Finished::Stopped, Finished::Died),
                Some(ended) => match &ended.outcome {
                    Outcome::Succeeded(_) => Finished::Succeeded,
                    Outcome::Failed(TaskError { error, cause }) => {
                        Finished::Failed { error: error.clone(), cause: cause.clone() }
                    }
                },
            };
            stack.tell(|| format!("{id} ends: {finished:?}"));
            if let Some(execution) = stack.executions.borrow_mut().get_mut(&id) {
                execution.ended = Some((finished.clone(), stack.runtime.now()));
            }
            stack.check.borrow_mut().execution_ended(&stack, &id, &finished, ended.map_or(0, |ended| ended.events));
            stack.tell_of_end(&id, &finished).await;
        });
    }

    /// Step Functions tells by an event that an execution has ended, mostly; and the clock has executions looked at.
    async fn tell_of_end(self: &Rc<Self>, id: &str, how: &Finished) {
        let status = match how {
            Finished::Succeeded => return,
            Finished::Failed { .. } | Finished::Died(KillReason::RuntimeError) => "FAILED",
            Finished::Died(KillReason::TimedOut) => "TIMED_OUT",
            Finished::Stopped | Finished::Died(KillReason::Aborted) => "ABORTED",
        };
        if self.world.known_bug == Some(KnownBug::DeadSaidToRun) {
            return;
        }
        if self.number().is_multiple_of(6) {
            self.tell(|| format!("  ! the event that {id} is {status} is lost"));
        } else {
            self.runtime.sleep(self.millis(200, 3_000)).await;
            let detail = json!({"name": id, "status": status});
            self.call_and_forget(json!({"source": "aws.states", "detail": detail})).await;
        }
        if matches!(how, Finished::Died(_)) {
            // The door may be about to write it down.
            self.runtime.sleep(SignedDuration::from_mins(15)).await;
        }
        while self.check.borrow().is_said_to_run(self, id) {
            let passed = self.runtime.now().duration_since(self.beginning).as_secs();
            let next = (passed / CLOCK + 1) * CLOCK;
            self.runtime.sleep_until(add(self.beginning, SignedDuration::from_secs(next))).await;
            self.call_and_forget(json!({"source": "aws.events", "detail": {}})).await;
        }
    }

    /// Calls CheckExecutions as EventBridge does: Lambda tries a failed call twice again (Lambda Developer Guide, "How Lambda
    /// handles errors and retries with asynchronous invocation").
    async fn call_and_forget(self: &Rc<Self>, event: Value) {
        for seconds in [60, 120, 0] {
            if self.invoke(Step::CheckExecutions, event.clone()).await.is_ok() {
                return;
            }
            self.runtime.sleep(SignedDuration::from_secs(seconds)).await;
        }
    }

    /// ActionKind Step Functions says of an execution: in the first moments after its end it may still say that it runs.
    pub(crate) fn describe_execution(&self, id: &str) -> Option<Described> {
        let executions = self.executions.borrow();
        let execution = executions.get(id)?;
        let is_fresh = |at: Timestamp| at > add(self.runtime.now(), -LAG) && self.number().is_multiple_of(4);
        let (status, error, cause) = match &execution.ended {
            Some((_, at)) if is_fresh(*at) => (ExecutionStatus::Running, None, None),
            None => (ExecutionStatus::Running, None, None),
            Some((Finished::Succeeded, _)) => (ExecutionStatus::Succeeded, None, None),
            Some((Finished::Failed { error, cause }, _)) => {
                (ExecutionStatus::Failed, Some(error.clone()), Some(cause.clone()))
            }
            Some((Finished::Stopped, _)) => (ExecutionStatus::Aborted, None, Some("by its requester".to_owned())),
            Some((Finished::Died(KillReason::RuntimeError), _)) => {
                (ExecutionStatus::Failed, Some("States.Runtime".to_owned()), None)
            }
            Some((Finished::Died(KillReason::TimedOut), _)) => (ExecutionStatus::TimedOut, None, Some(String::new())),
            Some((Finished::Died(KillReason::Aborted), _)) => (ExecutionStatus::Aborted, None, None),
        };
        Some(Described { status, error, cause, redrives: 0 })
    }

    /// Has an execution die where the world says so.
    fn kill_at(self: &Rc<Self>, id: &str) {
        let executions = self.executions.borrow();
        let Some(execution) = executions.get(id) else { return };
        execution.entered.set(execution.entered.get() + 1);
        let deaths = self.world.execution_kills.iter();
        let here = |death: &&crate::world::ExecutionKill| {
            (death.execution, death.states_entered) == (execution.nth, execution.entered.get())
        };
        for death in deaths.filter(here) {
            let (stack, stop, killed) = (Rc::clone(self), Rc::clone(&execution.stop), Rc::clone(&execution.killed));
            let (id, how) = (id.to_owned(), death.reason);
            let after = SignedDuration::from_millis(i64::from(death.delay_millis));
            self.runtime.spawn(async move {
                stack.runtime.sleep(after).await;
                let runs = stack.executions.borrow().get(&id).is_some_and(|execution| execution.ended.is_none());
                // A cancel may have stopped it in this very moment.
                if runs && !stop.is_set() {
                    stack.tell(|| format!("  ! {id} dies: {how:?}"));
                    killed.set(Some(how));
                    stop.set();
                }
            });
        }
    }

    pub(crate) fn stop_execution(&self, id: &str, _cause: &str) {
        if let Some(execution) = self.executions.borrow().get(id) {
            execution.stop.set();
        }
    }

    // ---- queues

    fn send_events(self: &Rc<Self>) {
        self.see_jobs();
        for event in self.aws.with(Sim::take_events) {
            let queue = match event.kind {
                RestoreEvent::Initiated => 0,
                RestoreEvent::Completed => 1,
                RestoreEvent::Expired => continue,
            };
            let nth = self.sent.get();
            self.sent.set(nth + 1);
            let stray = self.world.event_faults.iter().find(|stray| stray.nth == nth).map(|stray| stray.kind);
            let stray = if self.world.event_rules_disabled { Some(EventFaultKind::Lost) } else { stray };
            self.tell(|| {
                format!(
                    "S3 tells: {:?} {}{}",
                    event.kind,
                    event.object.key,
                    match stray {
                        None => String::new(),
                        Some(fate) => format!(" ({fate:?})"),
                    }
                )
            });
            self.check.borrow_mut().event_sent(stray);
            let body = event.to_json().to_string();
            let seconds = |seconds: u32| SignedDuration::from_secs(i64::from(seconds));
            let soon = self.millis(200, 3_000);
            match stray {
                None => self.send(queue, body, soon),
                Some(EventFaultKind::Lost) => {}
                Some(EventFaultKind::Delayed(late)) => self.send(queue, body, seconds(late)),
                Some(EventFaultKind::Duplicated(late)) => {
                    self.send(queue, body.clone(), soon);
                    self.send(queue, body, seconds(late));
                }
            }
        }
    }

    /// ActionKind jobs have asked for since the last look.
    fn see_jobs(&self) {
        let asked = self.aws.with(|sim, _| {
            let mut seen = self.jobs.borrow_mut();
            let mut new = Vec::new();
            for job in sim.jobs() {
                let count = seen.entry(job.id.clone()).or_default();
                let said = job.tasks.iter().skip(*count).map_while(|task| Some((task, task.said.clone()?)));
                for (task, (_, said)) in said {
                    *count += 1;
                    new.push((
                        job.request.description.to_owned(),
                        job.request.tier,
                        task.object.clone(),
                        task.before,
                        said,
                    ));
                }
            }
            new
        });
        for (restore, tier, object, before, said) in asked {
            let tier = match tier {
                RetrievalTier::Bulk => Tier::Bulk,
                RetrievalTier::Standard => Tier::Standard,
                RetrievalTier::Expedited => Tier::Expedited,
            };
            let answer = match &said {
                Ok(answer) => RestoreAnswer::read(answer.status(), "", ""),
                Err(refusal) => RestoreAnswer::read(refusal.status(), refusal.code(), refusal.message()),
            };
            self.tell(|| format!("    a job of {restore} asks for {}: {answer:?}", object.key));
            let is = self.aws.with(|sim, now| sim.copy_until(&object, now));
            let ObjectRef { bucket, key, version } = object;
            let object = ObjectId { bucket, key, version };
            self.check.borrow_mut().asked_by_job(self, &restore, &object, tier, answer.as_ref().ok());
            if said.is_ok() {
                // A report of failures does not tell that there was a copy already, which lives for another while now.
                if let (Some(was), Some(is)) = (before, is) {
                    self.check.borrow_mut().kept_by_others(&object.key, was, is);
                }
                self.note_retrieval(&object.key, object.version.as_deref());
            }
        }
    }

    fn send(self: &Rc<Self>, queue: usize, body: String, after: SignedDuration) {
        let stack = Rc::clone(self);
        self.runtime.spawn(async move {
            stack.runtime.sleep(after).await;
            let visible = stack.runtime.now();
            let id = stack.random.position();
            stack.number();
            stack.queues[queue].messages.borrow_mut().push(Message { id, body, visible, receives: 0 });
            stack.queues[queue].arrived.set();
        });
    }

    async fn read_queue(self: Rc<Self>, index: usize) {
        let deployed = Rc::clone(&self.deployed);
        let source = (self.queues[index].source)(&deployed);
        loop {
            self.visible(index).await;
            self.runtime.sleep(SignedDuration::from_secs(source.batching_window_seconds)).await;
            let batch = self.take(index, source);
            if batch.is_empty() {
                continue;
            }
            let records: Vec<Value> =
                batch.iter().map(|(id, body)| json!({"messageId": id.to_string(), "body": body})).collect();
            let said = self.invoke(source.function, json!({"Records": records})).await;
            let Ok(failures) = said.map(|said| said["batchItemFailures"].clone()) else { continue };
            let failing = |id: u64| {
                let failures = failures.as_array().into_iter().flatten();
                failures.clone().any(|failure| failure["itemIdentifier"].as_str() == Some(id.to_string().as_str()))
            };
            let done: Vec<u64> = batch.iter().map(|(id, _)| *id).filter(|id| !failing(*id)).collect();
            self.queues[index].messages.borrow_mut().retain(|message| !done.contains(&message.id));
        }
    }

    /// Waits until a message can be received.
    async fn visible(&self, index: usize) {
        let queue = &self.queues[index];
        loop {
            let next = queue.messages.borrow().iter().map(|message| message.visible).min();
            queue.arrived.reset();
            match next {
                Some(next) if next <= self.runtime.now() => return,
                Some(next) => {
                    let timer = std::pin::pin!(self.runtime.sleep_until(next));
                    let arrived = std::pin::pin!(queue.arrived.wait());
                    select(timer, arrived).await;
                }
                None => queue.arrived.wait().await,
            }
        }
    }

    fn take(&self, index: usize, source: &EventSourceMapping) -> Vec<(u64, String)> {
        let queue = &self.queues[index];
        let now = self.runtime.now();
        let mut messages = queue.messages.borrow_mut();
        let mut batch = Vec::new();
        let mut gone = Vec::new();
        for message in messages.iter_mut().filter(|message| message.visible <= now).take(source.batch_size) {
            if message.receives >= source.max_receive_count {
                gone.push(message.id);
                queue.dead.borrow_mut().push(message.body.clone());
                continue;
            }
            message.receives += 1;
            message.visible = add(now, SignedDuration::from_secs(source.visibility_timeout_seconds));
            batch.push((message.id, message.body.clone()));
        }
        messages.retain(|message| !gone.contains(&message.id));
        batch
    }

    /// A message that nobody can read.
    pub(crate) fn put_aside(&self, message: &str, reason: &str) {
        self.tell(|| format!("    to the dead letters: {reason}"));
        self.queues[0].dead.borrow_mut().push(message.to_owned());
    }

    /// Messages that were given up.
    pub(crate) fn dead_letters(&self) -> Vec<String> {
        self.queues.iter().flat_map(|queue| queue.dead.borrow().clone()).collect()
    }
}

/// A function's answer, once it is there.
#[derive(Default)]
struct Answer {
    said: RefCell<Option<Result<Value, TaskError>>>,
    there: Signal,
}

/// The workflow's way to the functions.
struct Services {
    stack: Rc<Stack>,
}

impl workflow::Host for Services {
    async fn invoke(&self, _: &str, function: &str, payload: Value, timeout: u64) -> Result<Value, TaskError> {
        let Some(step) = Step::ALL.into_iter().find(|step| step.name() == function) else {
            panic!("the workflow invokes {function}, which is no function");
        };
        let stack = &self.stack;
        let invoked = std::pin::pin!(stack.invoke(step, payload));
        let late = std::pin::pin!(stack.runtime.sleep(SignedDuration::from_secs(i64::try_from(timeout).unwrap_or(0))));
        match select(invoked, late).await {
            Either::Left((said, _)) => said,
            Either::Right(_) => Err(TaskError { error: "States.Timeout".to_owned(), cause: String::new() }),
        }
    }

    async fn wait(&self, seconds: u64) {
        self.stack.runtime.sleep(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0))).await;
    }

    #[expect(clippy::cast_precision_loss, reason = "a fraction of 53 bits")]
    fn jitter(&self) -> f64 {
        (self.stack.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn observe(&self, execution: &str, state: &str, what: StateEvent<'_>) {
        self.stack.tell(|| format!("{execution} {state}{}", entered(&what)));
        self.stack.check.borrow_mut().entered(state, &what);
        if what.kind == StateEventKind::Entered {
            self.stack.kill_at(execution);
        }
    }
}

/// Does what the function does.
async fn work(step: Step, payload: Value, wire: &Wire, now: Timestamp) -> Result<Value, TaskError> {
    let settings = &wire.stack.settings;
    let done = match step {
        Step::Plan => {
            let pages = Cell::new(wire.stack.world.pages_per_plan_call);
            let is_time_left = || {
                pages.set(pages.get().saturating_sub(1));
                pages.get() > 0
            };
            let planned = plan::run(input(payload), wire, wire, wire, wire, wire, settings, now, is_time_left).await;
            if planned.as_ref().is_ok_and(|planned| !planned.cursor.is_empty()) {
                wire.stack.check.borrow_mut().reach("plan goes on".to_owned());
            }
            json_of(planned)
        }
        Step::StartRestores => done(input(payload), |input| start_restores::run(input, wire, wire, wire, now)).await,
        Step::CreateJobs => done(input(payload), |input| create_jobs::run(input, wire, wire, wire, now)).await,
        Step::CheckJobs => done(input(payload), |input| check_jobs::run(input, wire, wire, wire, settings, now)).await,
        Step::CheckRestores => {
            done(input(payload), |input| check_restores::run(input, wire, wire, wire, wire, now)).await
        }
        Step::Invalidate => {
            done(input(payload), |input| invalidate::run(input, wire, wire, wire, wire, settings, now)).await
        }
        Step::CheckInvalidations => {
            done(input(payload), |input| check_invalidations::run(input, wire, wire, wire, now)).await
        }
        Step::Report => done(input(payload), |input| report::run(input, wire, wire, wire, now)).await,
        Step::ReportFailure => {
            done(input(payload), |input| report_failure::run(input, wire, wire, wire, wire, now)).await
        }
        Step::CreateRestore => {
            let request: http::Request = input(payload);
            json_of(Ok(create_restore::run(&request, wire, wire, wire, settings, now).await))
        }
        Step::CreatePlan => {
            let request: http::Request = input(payload);
            json_of(Ok(create_plan::run(&request, wire, wire, wire, wire, settings, now).await))
        }
        Step::GetRestores => {
            let request: http::Request = input(payload);
            json_of(Ok(get_restores::run(&request, wire, wire).await))
        }
        Step::CancelRestore => {
            let request: http::Request = input(payload);
            json_of(Ok(cancel_restore::run(&request, wire, wire, wire, wire, now).await))
        }
        Step::Adopt => {
            let request: http::Request = input(payload);
            json_of(Ok(adopt::run(&request, wire, wire, wire, wire, settings, now).await))
        }
        Step::OnRestoreCompleted => {
            let batch: QueueBatch = input(payload);
            // Some functions live on with what they remember, others are new and ask for a page sooner or later.
            let is_new = wire.lambda.serial.is_multiple_of(2);
            let kept = if is_new { None } else { wire.stack.newest.borrow_mut().pop() };
            let patience = usize::try_from(wire.lambda.serial % 3).unwrap_or(0);
            let mut newest = kept.unwrap_or_else(|| Newest::patient(patience));
            let done = on_restore_completed::run(batch, &mut newest, wire, wire, wire, wire, settings, now).await;
            wire.stack.newest.borrow_mut().push(newest);
            json_of(done)
        }
        Step::OnRestoreInitiated => {
            let batch: QueueBatch = input(payload);
            let limited = Settings { joined_max_cost: wire.stack.joined_max_cost(), ..settings.clone() };
            json_of(on_restore_initiated::run(batch, wire, wire, wire, wire, wire, wire, &limited, now).await)
        }
        Step::OnInboxFile => {
            let batch: QueueBatch = input(payload);
            json_of(on_inbox_file::run(batch, wire, wire, wire, wire, wire, settings, now).await)
        }
        Step::AnnounceExpiries => json_of(announce_expiries::run(payload, wire, wire, wire, now).await),
        Step::CheckExecutions => json_of(check_executions::run(payload, wire, wire, wire, wire, wire, now).await),
    };
    done.map_err(|error| {
        let cause = json!({"errorType": error.name(), "errorMessage": error.to_string()}).to_string();
        TaskError { error: error.name().to_owned(), cause }
    })
}

async fn done<I, O: serde::Serialize, F: Future<Output = Result<O, StepError>>>(
    input: I,
    run: impl FnOnce(I) -> F,
) -> Result<Value, StepError> {
    json_of(run(input).await)
}

fn input<T: DeserializeOwned>(payload: Value) -> T {
    serde_json::from_value(payload).unwrap_or_else(|error| panic!("a function was handed what it cannot read: {error}"))
}

fn json_of(output: Result<impl serde::Serialize, StepError>) -> Result<Value, StepError> {
    Ok(serde_json::to_value(output?)?)
}

/// ActionKind API Gateway answers when a function said this, or nothing.
fn response(said: Result<Value, TaskError>) -> (u16, String) {
    let Ok(said) = said else { return (500, String::new()) };
    let status = said["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    (status.unwrap_or(500), said["body"].as_str().unwrap_or_default().to_owned())
}

pub(crate) fn as_row<T: Item>(item: &T) -> Row {
    let json = serde_json::to_value(item).unwrap_or_default();
    serde_json::from_value(json).unwrap_or_else(|error| panic!("an item under an object's key is no row: {error}"))
}

fn entered(what: &StateEvent<'_>) -> String {
    let storage_tier = what.iteration.map_or_else(String::new, |iteration| format!(" #{iteration}"));
    match what.kind {
        StateEventKind::Entered => storage_tier,
        StateEventKind::Retried { error, seconds } => format!("{storage_tier}: {error}, again in {seconds} s"),
        StateEventKind::Caught { error, next } => format!("{storage_tier}: {error}, so {next}"),
    }
}

fn words(row: &Row) -> String {
    match &row.state {
        thaw_core::State::Failed { code, message, .. } => format!("failed, {code:?}: {message}"),
        thaw_core::State::Published { how, .. } => format!("published, {how:?}"),
        thaw_core::State::Restored { claim, expires, .. } => {
            format!("restored until {expires:?}, claimed by {claim:?}")
        }
        other => other.word().to_owned(),
    }
}

fn class(storage_tier: StorageTier) -> (StorageClass, AccessTier) {
    match storage_tier {
        StorageTier::Standard => (StorageClass::Standard, AccessTier::Frequent),
        StorageTier::GlacierInstantRetrieval => (StorageClass::GlacierIr, AccessTier::Frequent),
        StorageTier::GlacierFlexibleRetrieval => (StorageClass::Glacier, AccessTier::Frequent),
        StorageTier::GlacierDeepArchive => (StorageClass::DeepArchive, AccessTier::Frequent),
        StorageTier::IntelligentTiering => (StorageClass::IntelligentTiering, AccessTier::Frequent),
        StorageTier::IntelligentTieringArchive => (StorageClass::IntelligentTiering, AccessTier::ArchiveAccess),
        StorageTier::IntelligentTieringDeepArchive => (StorageClass::IntelligentTiering, AccessTier::DeepArchiveAccess),
    }
}

fn put(key: &str, storage_tier: StorageTier) -> PutRequest {
    let (class, tier) = class(storage_tier);
    PutRequest { tier, ..PutRequest::new(BUCKET, key, class, key.to_owned()) }
}
