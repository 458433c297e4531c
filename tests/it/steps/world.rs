//! One bucket, one distribution, one ledger, and a clock.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use thaw_core::{RestoreId, Row, State};
use thaw_sim::Sim;
use thaw_sim::cdn::{CustomErrorResponse, DistributionConfig, Origin};
use thaw_sim::model::{AccessTier, ObjectRef, PutRequest, RestoreCalls, StorageClass};
use thaw_sim::ports::{Aws, WorkBucket};
use thaw_steps::api::http::{Request, Response};
use thaw_steps::api::{adopt, cancel_restore};
use thaw_steps::events::queue::{QueueBatch, QueueResponse};
use thaw_steps::events::{confirm_invalidations, on_inbox_file, on_restore_completed, on_restore_initiated};
use thaw_steps::ledger::chunks;
use thaw_steps::ledger::restores::RestoreRecord;
use thaw_steps::ports::Ledger;
use thaw_steps::testing::memory::{
    MemoryConfirmations, MemoryDeadLetters, MemoryEvents, MemoryExecutions, MemoryLedger, MemoryQueue,
};
use thaw_steps::workflow::{
    check_invalidations, check_jobs, check_restores, create_jobs, invalidate, plan, report, report_failure,
    start_restores,
};
use thaw_steps::{CurrentVersions, Settings, StepError};

pub const BUCKET: &str = "archive";
pub const WORK: &str = "work";
pub const DISTRIBUTION: &str = "E1THAW";

pub struct World {
    pub aws: Aws,
    pub ledger: MemoryLedger,
    pub files: WorkBucket,
    pub executions: MemoryExecutions,
    pub events: MemoryEvents,
    pub dead_letters: MemoryDeadLetters,
    /// What OnRestoreCompleted receives besides what it is handed.
    pub queue: MemoryQueue,
    pub confirmations: MemoryConfirmations,
    pub settings: Settings,
    runtime: tokio::runtime::Runtime,
}

/// What the walk knows between states.
pub struct Walk {
    pub looks: u32,
}

impl World {
    pub fn new() -> Self {
        let aws = Aws::new(Sim::default(), "2026-11-22T10:00:00Z".parse().unwrap());
        aws.with(|sim, now| {
            sim.create_bucket(BUCKET, false);
            sim.create_bucket(WORK, false);
            let config = DistributionConfig {
                id: Some(DISTRIBUTION.to_owned()),
                origins: vec![Origin { id: "s3".to_owned(), bucket: BUCKET.to_owned(), ..Origin::default() }],
                custom_error_responses: vec![CustomErrorResponse {
                    error_code: 403,
                    error_caching_min_ttl: Some(86_400 * 30),
                    ..CustomErrorResponse::default()
                }],
                ..DistributionConfig::default()
            };
            sim.put_distribution(config, now).unwrap();
        });
        Self::of(aws, WORK)
    }

    /// Another stack in the same account, with the same archive bucket.
    pub fn beside(&self) -> Self {
        const OTHER_WORK: &str = "other-work";
        self.aws.with(|sim, _| sim.create_bucket(OTHER_WORK, false));
        Self::of(self.aws.clone(), OTHER_WORK)
    }

    fn of(aws: Aws, work: &str) -> Self {
        Self {
            files: WorkBucket::new(&aws, work),
            aws,
            ledger: MemoryLedger::default(),
            executions: MemoryExecutions::default(),
            events: MemoryEvents::default(),
            dead_letters: MemoryDeadLetters::default(),
            queue: MemoryQueue::default(),
            confirmations: MemoryConfirmations::default(),
            settings: Settings {
                archive_buckets: vec![BUCKET.to_owned()],
                work_bucket: work.to_owned(),
                ..Settings::default()
            },
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.aws.clock().now()
    }

    pub fn pass(&self, seconds: u64) {
        self.aws.clock().advance(jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap()));
    }

    pub fn put(&self, key: &str, class: StorageClass) {
        self.aws.with(|sim, now| sim.put_object(PutRequest::new(BUCKET, key, class, key.to_owned()), now)).unwrap();
    }

    pub fn put_in_tier(&self, key: &str, tier: AccessTier) {
        let put = PutRequest::new(BUCKET, key, StorageClass::IntelligentTiering, key.to_owned()).in_tier(tier);
        self.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
    }

    /// The status that a viewer gets at the edge.
    pub fn view(&self, path: &str) -> u16 {
        self.aws.with(|sim, now| sim.serve(DISTRIBUTION, path, now)).unwrap().status
    }

    /// All paths of all invalidations, in order, repetitions included.
    pub fn invalidated(&self) -> Vec<String> {
        self.aws.with(|sim, _| {
            let distribution = sim.distribution(DISTRIBUTION).unwrap();
            distribution.invalidations().iter().flat_map(|invalidation| invalidation.items.clone()).collect()
        })
    }

    pub fn calls(&self, key: &str) -> RestoreCalls {
        self.aws.with(|sim, _| sim.restore_calls(&ObjectRef::new(BUCKET, key)))
    }

    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub fn plan(&self, restore: &str, request: Value) -> Result<plan::Output, StepError> {
        self.plan_from("", restore, request, || true)
    }

    /// A call of Plan that goes on at a cursor.
    pub fn plan_from(
        &self,
        cursor: &str,
        restore: &str,
        request: Value,
        is_time_left: impl Fn() -> bool,
    ) -> Result<plan::Output, StepError> {
        let input = plan::Input { restore: restore.to_owned(), request, cursor: cursor.to_owned() };
        let Self { aws, ledger, files, events, settings, .. } = self;
        self.run(plan::run(input, aws, aws, ledger, files, events, settings, self.now(), is_time_left))
    }

    pub fn start_restores(&self, restore: &str, chunk: u32) -> Result<start_restores::Output, StepError> {
        let input = start_restores::Input { restore: restore.to_owned(), chunk };
        self.run(start_restores::run(input, &self.aws, &self.ledger, &self.files, self.now()))
    }

    pub fn create_jobs(&self, restore: &str, part: usize) -> Result<create_jobs::Output, StepError> {
        let input = create_jobs::Input { restore: restore.to_owned(), part };
        let Self { ledger, files, .. } = self;
        self.run(create_jobs::run(input, files, ledger, files, self.now()))
    }

    pub fn check_jobs(&self, restore: &str) -> Result<check_jobs::Output, StepError> {
        let input = check_jobs::Input { restore: restore.to_owned(), from_chunk: 0 };
        let Self { ledger, files, settings, .. } = self;
        self.run(check_jobs::run(input, files, ledger, files, settings, self.now()))
    }

    pub fn check_restores(&self, restore: &str) -> Result<check_restores::Output, StepError> {
        let input = check_restores::Input { restore: restore.to_owned(), from_chunk: 0 };
        self.run(check_restores::run(input, &self.aws, &self.ledger, &self.files, &self.events, self.now()))
    }

    pub fn invalidate(&self, restore: &str) -> Result<invalidate::Output, StepError> {
        let input = invalidate::Input { restore: restore.to_owned() };
        let Self { aws, ledger, files, settings, .. } = self;
        self.run(invalidate::run(input, aws, aws, ledger, files, settings, self.now()))
    }

    pub fn check_invalidations(&self, restore: &str) -> Result<check_invalidations::Output, StepError> {
        let input = check_invalidations::Input { restore: restore.to_owned(), from_chunk: 0, until_chunk: 0 };
        self.run(check_invalidations::run(input, &self.aws, &self.ledger, &self.files, self.now()))
    }

    pub fn report(&self, restore: &str) -> Result<report::Output, StepError> {
        let input = report::Input { restore: restore.to_owned() };
        self.run(report::run(input, &self.ledger, &self.executions, &self.events, self.now()))
    }

    /// Ends a restore that cannot go on.
    pub fn report_failure(&self, restore: &str) -> report_failure::Output {
        let input =
            report_failure::Input { restore: restore.to_owned(), error: "Unexpected".to_owned(), cause: String::new() };
        let step = report_failure::run(input, &self.ledger, &self.files, &self.events, &self.files, self.now());
        self.run(step).unwrap()
    }

    /// Runs a step as the state machine does: again, after a while, when time may mend the error.
    pub fn retried<T>(&self, step: impl Fn() -> Result<T, StepError>) -> T {
        for _ in 0..100 {
            match step() {
                Ok(output) => return output,
                Err(
                    StepError::Throttled(_) | StepError::Unavailable(_) | StepError::TooManyInvalidationsInProgress(_),
                ) => self.pass(5),
                Err(other) => panic!("{other}"),
            }
        }
        panic!("a hundred retries did not mend it");
    }

    /// Plan and StartRestores, and what jobs take until they are done.
    pub fn begin(&self, restore: &str, request: Value) -> u64 {
        let planned = self.retried(|| self.plan(restore, request.clone()));
        self.ask(restore, planned.chunks, None)
    }

    fn ask(&self, restore: &str, chunks: Vec<u32>, before: Option<u64>) -> u64 {
        let asked: Vec<_> = chunks.iter().map(|chunk| self.retried(|| self.start_restores(restore, *chunk))).collect();
        if !asked.iter().any(|asked| asked.for_a_job) {
            return asked.iter().map(|asked| asked.wait_seconds).chain(before).min().unwrap_or(0);
        }
        let mut wait = self.create_all_jobs(restore);
        for _ in 0..200 {
            self.pass(wait);
            let checked = self.retried(|| self.check_jobs(restore));
            wait = checked.wait_seconds;
            if checked.jobs_done && checked.chunks.is_empty() {
                return wait;
            }
            if checked.jobs_done {
                return self.ask(restore, checked.chunks, Some(wait));
            }
        }
        panic!("the jobs do not end");
    }

    /// CreateJobs, as often as it takes.
    pub fn create_all_jobs(&self, restore: &str) -> u64 {
        let mut part = 0;
        loop {
            let created = self.retried(|| self.create_jobs(restore, part));
            part = created.next_part;
            if part == 0 {
                return created.wait_seconds;
            }
        }
    }

    /// `DELETE /v1/restores/{id}`.
    #[track_caller]
    pub fn cancel_raw(&self, request: &Request) -> Response {
        let Self { ledger, files, executions, .. } = self;
        self.run(cancel_restore::run(request, ledger, files, executions, files, self.now()))
    }

    pub fn cancel(&self, restore: &str) -> Value {
        let event = json!({"routeKey": "DELETE /v1/restores/{id}", "pathParameters": {"id": restore}});
        let response = self.cancel_raw(&serde_json::from_value(event).unwrap());
        assert_eq!(response.status_code, 202, "{}", response.body);
        serde_json::from_str(&response.body).unwrap()
    }

    /// The loop of looks, and the report.
    pub fn finish(&self, restore: &str, first_wait: u64) -> (report::Output, Walk) {
        let walk = self.settle(restore, first_wait);
        (self.retried(|| self.report(restore)), walk)
    }

    /// The loop of looks, to the report.
    pub fn settle(&self, restore: &str, first_wait: u64) -> Walk {
        let mut walk = Walk { looks: 0 };
        let mut wait = first_wait;
        loop {
            self.pass(wait);
            let look = self.retried(|| self.check_restores(restore));
            walk.looks += 1;
            assert!(walk.looks < 200, "the restore does not end: {}", look.says);
            let (done, next) = if look.anything_to_confirm {
                if look.anything_to_invalidate {
                    let invalidated = self.retried(|| self.invalidate(restore));
                    self.pass(invalidated.wait_seconds);
                }
                let checked = self.retried(|| self.check_invalidations(restore));
                (checked.all_published, checked.wait_seconds)
            } else {
                (look.all_published, look.wait_seconds)
            };
            if done {
                return walk;
            }
            wait = next;
        }
    }

    /// A whole restore.
    pub fn restore(&self, restore: &str, request: Value) -> (report::Output, Walk) {
        let wait = self.begin(restore, request);
        self.finish(restore, wait)
    }

    /// Everything that S3 has told by now, as the queue hands it over.
    pub fn deliver(&self, times: usize) -> (QueueResponse, QueueResponse) {
        let events = self.aws.with(Sim::take_events);
        let records: Vec<Value> = events
            .iter()
            .flat_map(|event| std::iter::repeat_n(event, times))
            .enumerate()
            .map(|(index, event)| json!({"messageId": index.to_string(), "body": event.to_json().to_string()}))
            .collect();
        let of = |kind: &str| {
            let records = records.iter().filter(|record| record["body"].as_str().unwrap().contains(kind)).cloned();
            json!({"Records": records.collect::<Vec<_>>()})
        };
        (self.completed(of("Object Restore Completed")), self.initiated(of("Object Restore Initiated")))
    }

    pub fn completed(&self, batch: Value) -> QueueResponse {
        let batch: QueueBatch = serde_json::from_value(batch).unwrap();
        let Self { aws, ledger, queue, confirmations, dead_letters, settings, .. } = self;
        let newest = &mut CurrentVersions::default();
        let now = || self.now();
        let run = on_restore_completed::run(
            batch,
            newest,
            aws,
            aws,
            ledger,
            queue,
            confirmations,
            dead_letters,
            settings,
            now,
        );
        self.run(run).unwrap()
    }

    /// Messages to ConfirmInvalidations.
    pub fn confirm(&self, batch: Value) -> QueueResponse {
        let batch: QueueBatch = serde_json::from_value(batch).unwrap();
        let Self { aws, ledger, confirmations, dead_letters, .. } = self;
        self.run(confirm_invalidations::run(batch, aws, ledger, confirmations, dead_letters, self.now())).unwrap()
    }

    pub fn initiated(&self, batch: Value) -> QueueResponse {
        let batch: QueueBatch = serde_json::from_value(batch).unwrap();
        let Self { aws, ledger, files, executions, events, dead_letters, settings, .. } = self;
        let now = self.now();
        let run = on_restore_initiated::run(batch, aws, ledger, files, executions, events, dead_letters, settings, now);
        self.run(run).unwrap()
    }

    pub fn inbox(&self, batch: Value) -> QueueResponse {
        let batch: QueueBatch = serde_json::from_value(batch).unwrap();
        let Self { aws, ledger, files, executions, dead_letters, settings, .. } = self;
        let now = self.now();
        self.run(on_inbox_file::run(batch, aws, ledger, files, executions, dead_letters, settings, now)).unwrap()
    }

    /// Puts a file into the work bucket; answers what S3 tells of it. Each writing has a number of its own.
    pub fn drop(&self, key: &str, content: &str, sequencer: u32) -> Value {
        let put = PutRequest::new(WORK, key, StorageClass::Standard, content.to_owned());
        let stored = self.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
        let object =
            json!({"key": key, "size": content.len(), "etag": stored.etag, "sequencer": format!("{sequencer:016X}")});
        json!({
            "version": "0", "id": "1", "detail-type": "Object Created", "source": "aws.s3", "time": self.now(),
            "detail": {"version": "0", "bucket": {"name": WORK}, "object": object, "reason": "PutObject"},
        })
    }

    /// `POST /v1/adoptions`.
    pub fn adopt_raw(&self, body: &Value) -> Response {
        let request = serde_json::from_value(json!({"body": body.to_string()})).unwrap();
        let Self { aws, ledger, files, executions, settings, .. } = self;
        self.run(adopt::run(&request, aws, ledger, files, executions, settings, self.now()))
    }

    /// The same, when it must succeed.
    #[track_caller]
    pub fn adopt(&self, body: Value) -> Value {
        let response = self.adopt_raw(&body);
        assert_eq!(response.status_code, 200, "{}", response.body);
        serde_json::from_str(&response.body).unwrap()
    }

    /// All rows that are written, as they stand: with what their batches know.
    pub fn rows(&self) -> Vec<Row> {
        let items = self.ledger.items().into_iter();
        let rows = items.filter(|(key, _)| key.pk.contains('/')).map(|(_, item)| serde_json::from_value(item).unwrap());
        self.run(thaw_steps::ledger::rows::with_batches(rows.collect(), &self.ledger)).unwrap()
    }

    /// An object of a restore, as it stands: with what its plan, its chunk and its batch know.
    pub fn row(&self, key: &str, restore: &str) -> Row {
        let found = self.objects(restore).into_iter().find(|row| row.object.key == key);
        found.unwrap_or_else(|| panic!("no object {key} in {restore}"))
    }

    /// All objects of a restore, as they stand.
    pub fn objects(&self, restore: &str) -> Vec<Row> {
        let record = self.record(restore);
        self.run(async {
            let mut all = Vec::new();
            for known in chunks::records(&self.ledger, &record).await.unwrap() {
                all.extend(chunks::objects(&self.ledger, &self.files, &record, &known).await.unwrap());
            }
            all.into_iter().map(|known| known.row).collect()
        })
    }

    pub fn record(&self, restore: &str) -> RestoreRecord {
        let id = RestoreId::try_from(restore.to_owned()).unwrap();
        self.run(self.ledger.get(&RestoreRecord::key_of(&id))).unwrap().unwrap()
    }

    pub fn published_keys(&self) -> BTreeSet<String> {
        let rows = self.rows().into_iter();
        rows.filter(|row| matches!(row.state, State::Published { .. })).map(|row| row.object.key).collect()
    }
}

/// A request for these keys.
pub fn ask(keys: &[&str]) -> Value {
    json!({"bucket": BUCKET, "keys": keys})
}

/// The same with more fields.
pub fn ask_with(keys: &[&str], more: Value) -> Value {
    let mut body = ask(keys);
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Paths in order.
pub fn sorted(mut paths: Vec<String>) -> Vec<String> {
    paths.sort();
    paths
}
