//! The environment of a simulation: the clock, the simulated services, and what clients and executions did.
//!
//! The promises are checked against it, so nothing here comes from thaw's own view, except the ledger and the work files.

mod records;
mod setup;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use thaw_sim::ports::{Aws, WorkBucket};
use thaw_steps::testing::memory::{MemoryEvents, MemoryLedger};

pub(crate) use records::{ClientRequest, ExecutionEnd, Invocation, QueueName, WrongAnswer};
pub(crate) use setup::{
    BUCKET, MAX_PATHS_IN_PROGRESS, MAX_WILDCARDS_IN_PROGRESS, PATHS_PER_SECOND, WORK_BUCKET, put_request, s3_storage,
};

use crate::rng::RandomSequence;
use crate::runtime::{Runtime, add};
use crate::world::{STAGING, World};

/// When every simulation starts.
const START: &str = "2026-11-22T10:00:00Z";

/// The environment.
pub(crate) struct Environment {
    pub world: World,
    pub start: Timestamp,
    pub runtime: Runtime,
    pub random: RandomSequence,
    /// S3 and CloudFront.
    pub aws: Aws,
    pub work_files: WorkBucket,
    pub ledger: MemoryLedger,
    /// The events that thaw put on its bus.
    pub events: MemoryEvents,
    /// Every execution by its name, and when and how it ended, if it has.
    pub executions: RefCell<BTreeMap<String, Option<(ExecutionEnd, Timestamp)>>>,
    /// The accepted requests, by the id of the request in the world.
    pub requests: RefCell<BTreeMap<u32, ClientRequest>>,
    pub dead_letters: RefCell<BTreeMap<QueueName, Vec<String>>>,
    timeline: RefCell<Option<String>>,
}

impl Environment {
    /// The environment at the start of a world. It writes a timeline if `with_timeline`.
    pub(crate) fn new(world: &World, with_timeline: bool) -> Self {
        let start: Timestamp = START.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let aws = Aws::new(setup::simulated_aws(world, start), start);
        Self {
            world: world.clone(),
            start,
            runtime: Runtime::new(aws.clock().clone()),
            random: RandomSequence::new(world.seed),
            work_files: WorkBucket::new(&aws, WORK_BUCKET),
            aws,
            ledger: MemoryLedger::default(),
            events: MemoryEvents::default(),
            executions: RefCell::default(),
            requests: RefCell::default(),
            dead_letters: RefCell::default(),
            timeline: RefCell::new(with_timeline.then(String::new)),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.runtime.now()
    }

    /// The time so many seconds after the start.
    pub(crate) fn at(&self, seconds: u32) -> Timestamp {
        add(self.start, SignedDuration::from_secs(i64::from(seconds)))
    }

    /// A random latency between `low` and `high` milliseconds. One in 64 is up to 20 times as long as `high`.
    pub(crate) fn latency(&self, low: u64, high: u64) -> SignedDuration {
        let number = self.random.next();
        let range = if number.is_multiple_of(64) { high * 20 } else { high - low };
        SignedDuration::from_millis(i64::try_from(low + (number >> 8) % range).unwrap_or(0))
    }

    /// How many messages SQS hands over at once: one at least, and often fewer than there are (SQS Developer Guide,
    /// "Short polling").
    pub(crate) fn messages_at_once(&self, most: usize) -> usize {
        match self.random.next() {
            number if number.is_multiple_of(4) => 1,
            _ => most,
        }
    }

    /// Requests an object by every path that shows it, of every distribution that viewers ask. Returns the first answer that
    /// is not the object.
    pub(crate) fn view_everywhere(&self, object: u32) -> Result<(), WrongAnswer> {
        let paths = self.world.viewed_distributions().flat_map(|distribution| {
            let paths = self.world.viewer_paths(&distribution, object);
            paths.into_iter().map(move |path| (distribution.id, path))
        });
        let views: Vec<Result<(), WrongAnswer>> = paths.map(|(id, path)| self.view(object, id, &path)).collect();
        views.into_iter().collect()
    }

    /// A viewer requests an object by each of its paths. CloudFront sends some viewers of the primary distribution to the
    /// staging distribution. Returns the answers that are not the object, and whether a viewer was sent to staging.
    pub(crate) fn view_as_viewer(&self, object: u32) -> (Vec<WrongAnswer>, bool) {
        let (mut wrong, mut has_staging_viewer) = (Vec::new(), false);
        for asked in self.world.distributions().iter().filter(|distribution| distribution.id != STAGING) {
            let sent_to = self.aws.with(|sim, _| sim.routed(asked.id, &[]));
            has_staging_viewer |= sent_to == STAGING;
            let Some(sent_to) = self.world.distribution(&sent_to) else { continue };
            for path in self.world.viewer_paths(&sent_to, object) {
                wrong.extend(self.view(object, sent_to.id, &path).err());
            }
        }
        (wrong, has_staging_viewer)
    }

    /// Requests a path of an object. An error is an answer that is not the object.
    fn view(&self, object: u32, distribution: &str, path: &str) -> Result<(), WrongAnswer> {
        let answer = self.aws.with(|sim, now| sim.serve(distribution, path, now));
        let wrong =
            |status, what: &str| WrongAnswer { status, says: format!("{distribution} answers {what} to {path}") };
        let answer = answer.map_err(|error| wrong(error.status(), &format!("{error:?}")))?;
        let is_object = self.world.full_key(object).is_some_and(|key| answer.body == key.as_bytes());
        let what = if answer.status == 200 && !is_object { " with another body" } else { "" };
        self.log(|| format!("    {distribution} answers {}{what}, {:?} to {path}", answer.status, answer.outcome));
        if answer.status == 200 && is_object {
            return Ok(());
        }
        Err(wrong(answer.status, &format!("{}{what}", answer.status)))
    }

    /// Writes a line into the timeline, if there is one.
    pub(crate) fn log(&self, line: impl FnOnce() -> String) {
        if let Some(timeline) = self.timeline.borrow_mut().as_mut() {
            let elapsed = self.now().duration_since(self.start).as_millis();
            let (seconds, millis) = (elapsed / 1_000, elapsed % 1_000);
            let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            let _ = writeln!(timeline, "{hours:3}:{minutes:02}:{seconds:02}.{millis:03}  {}", line());
        }
    }

    /// What happened, line by line.
    pub(crate) fn timeline(&self) -> String {
        self.timeline.borrow().clone().unwrap_or_default()
    }
}
