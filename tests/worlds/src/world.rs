//! A world: what there is, what people do, and what goes wrong, as data. One number decides all of it.
//!
//! Everything in it can be left out on its own, which is how a failing world is made small.

use serde::Serialize;
use thaw_core::Tier;
use thaw_sim::model::{QuotaAnswer, QuotaRegime};
use thaw_steps::Step;

use crate::bug::Bug;
use crate::rng::Rng;

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;

/// A world.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct World {
    /// Decides what is not written here: how long calls and retrievals take.
    pub seed: u64,
    /// Whether the bucket keeps versions.
    pub versioned: bool,
    /// The path under which the distribution finds the bucket's objects.
    pub origin_path: &'static str,
    /// The index document of directories, or nothing.
    pub directory_index: &'static str,
    /// Whether the edge keeps a 403 for a month, or does not keep it.
    pub keeps_errors: bool,
    /// CloudFront's quotas.
    #[serde(serialize_with = "as_debug")]
    pub regime: QuotaRegime,
    /// Whether the rules that tell of S3's events are off.
    pub rules_off: bool,
    /// How many objects a chunk has.
    pub objects_per_chunk: usize,
    /// How many keys a page of a listing has at most.
    pub keys_per_page: usize,
    /// Of a hundred pages, how many hold no key although more follow.
    pub empty_pages: u32,
    /// How many pages a call of Plan has time for.
    pub pages_per_call: u32,
    /// How S3 Batch Operations does.
    pub jobs: Jobs,
    /// The objects.
    pub objects: Vec<Object>,
    /// What people and other tools do, in order.
    pub acts: Vec<Act>,
    /// What CloudFront says when a quota does not allow something.
    #[serde(serialize_with = "as_debug")]
    pub quota_answer: QuotaAnswer,
    /// What may be spent on a day on what others restore, in dollars, if there is a limit.
    pub joined_max_cost_usd: Option<f64>,
    /// Calls that fail.
    pub faults: Vec<Fault>,
    /// Invocations that fail as a whole.
    pub misses: Vec<Miss>,
    /// Executions that nothing in them can save.
    pub deaths: Vec<Death>,
    /// Times at which a service is not well.
    pub storms: Vec<Storm>,
    /// Events that do not come as they should.
    pub strays: Vec<Stray>,
    /// A known bug to be found.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_debug")]
    pub bug: Option<Bug>,
}

fn as_debug<S: serde::Serializer>(value: &impl std::fmt::Debug, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:?}"))
}

/// How S3 Batch Operations does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Jobs {
    /// Objects in a job at most.
    pub objects: u64,
    /// Seconds that a job is being prepared.
    pub prepared_after: u32,
    /// Milliseconds that it takes for an object.
    pub task_millis: u32,
    /// Of a hundred objects, at how many its job is given up.
    pub fails: u32,
    /// Of a hundred objects, how many S3 is too busy for.
    pub busy: u32,
    /// Of a hundred jobs, how many S3 refuses.
    pub refused: u32,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Object {
    /// Names it in this world.
    pub id: u32,
    /// Its key.
    pub key: String,
    /// Where it lies.
    pub place: Place,
    /// Seconds that its retrieval takes, if not what is typical.
    pub takes: Option<u32>,
    /// Whether S3 answers 400 whenever it is asked to describe it.
    pub head_refused: bool,
}

/// Where an object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Place {
    /// Readable.
    Standard,
    /// Readable.
    InstantRetrieval,
    /// `GLACIER`.
    Flexible,
    /// `DEEP_ARCHIVE`.
    Deep,
    /// Intelligent-Tiering, readable.
    Intelligent,
    /// Intelligent-Tiering, Archive Access.
    ItArchive,
    /// Intelligent-Tiering, Deep Archive Access.
    ItDeep,
}

/// Something done at a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Act {
    /// Seconds from the beginning of the world.
    pub at: u32,
    /// What.
    pub what: What,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum What {
    /// `POST /v1/restores`.
    Ask(Ask),
    /// The same request with the same `Idempotency-Key`, or the key with another body.
    AskAgain {
        /// Which.
        ask: u32,
        /// Whether the body is the same.
        same: bool,
    },
    /// `DELETE /v1/restores/{id}`.
    Cancel {
        /// Which.
        ask: u32,
    },
    /// Another tool asks S3.
    Foreign {
        /// For which object.
        object: u32,
        /// How fast.
        tier: Tier,
        /// For how many days.
        days: u32,
    },
    /// The object is deleted.
    Delete {
        /// Which.
        object: u32,
    },
    /// Another object is put under the key.
    Overwrite {
        /// Which.
        object: u32,
        /// Where it lies.
        place: Place,
    },
    /// A lifecycle rule moves it, and drops its copy.
    Move {
        /// Which.
        object: u32,
        /// Where to.
        place: Place,
    },
    /// A viewer asks for it.
    View {
        /// Which.
        object: u32,
    },
    /// Somebody else invalidates much, again and again.
    Crowd {
        /// For how many seconds.
        seconds: u32,
    },
    /// S3 has no capacity for Expedited.
    NoCapacity {
        /// For how many seconds.
        seconds: u32,
    },
    /// Somebody cancels all jobs of S3 Batch Operations that there are.
    CancelJobs,
    /// S3's message comes in a form that nobody can read.
    Poison {
        /// Which form.
        form: u32,
    },
}

/// A request for a restore.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ask {
    /// Names it in this world.
    pub id: u32,
    /// For which objects.
    pub objects: Vec<u32>,
    /// How fast.
    pub tier: Tier,
    /// For how many days, if it says.
    pub days: Option<u32>,
    /// `each`, `together` or `never`.
    pub when: &'static str,
    /// Only what can be stale.
    pub only_if_stale: bool,
    /// How many readable neighbours wildcards may cover.
    pub max_over: u32,
    /// What it may cost at most, in dollars.
    pub max_cost_usd: Option<f64>,
    /// Whether it has an `Idempotency-Key`.
    pub keyed: bool,
    /// Whether to fail when Expedited is not to be had.
    pub fail_without_capacity: bool,
    /// Whether something in it is wrong.
    pub malformed: bool,
    /// Whatever begins so, instead of the objects.
    pub prefix: Option<&'static str>,
    /// Only what it would do and cost.
    pub dry_run: bool,
    /// Whether S3 Batch Operations is to ask, if it says.
    pub batch_operations: Option<bool>,
}

impl Ask {
    /// Whether a door must refuse it.
    pub fn is_wrong(&self) -> bool {
        self.malformed || (self.batch_operations == Some(true) && self.tier == Tier::Expedited)
    }
}

/// A call of a function that fails.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// Whose call.
    #[serde(serialize_with = "as_debug")]
    pub step: Step,
    /// Which call.
    pub call: Call,
    /// The how many-th of those, from 0.
    pub nth: u32,
    /// How it fails.
    pub fate: Fate,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Fate {
    /// The function dies before the call.
    DieBefore,
    /// The function dies after the call took effect.
    DieAfter,
    /// The call is never answered, and did nothing: the function runs into its timeout.
    HangBefore,
    /// The call is never answered, and took effect.
    HangAfter,
    /// The service asks to be called more slowly.
    Throttled,
    /// The service fails.
    Unavailable,
    /// The service fails after the call took effect.
    LostAnswer,
    /// The answer gets lost, and the SDK calls again.
    Repeated,
    /// The service refuses, in a way that no retry mends: the state fails.
    Refused,
}

/// The calls that functions make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[allow(missing_docs, reason = "they are the ports' methods")]
pub enum Call {
    HeadObject,
    ListObjects,
    GetBucketVersioning,
    RestoreObject,
    PutFile,
    GetFile,
    CreateJob,
    DescribeJob,
    UpdateJobStatus,
    ReadDistributions,
    CreateInvalidation,
    GetInvalidation,
    GetItem,
    GetItems,
    Insert,
    Replace,
    Query,
    StartExecution,
    StopExecution,
    DescribeExecution,
    PutEvents,
    PutAside,
}

impl Call {
    /// Who answers it.
    pub fn service(self) -> Service {
        match self {
            Self::HeadObject
            | Self::ListObjects
            | Self::GetBucketVersioning
            | Self::RestoreObject
            | Self::PutFile
            | Self::GetFile
            | Self::CreateJob
            | Self::DescribeJob
            | Self::UpdateJobStatus => Service::S3,
            Self::ReadDistributions | Self::CreateInvalidation | Self::GetInvalidation => Service::CloudFront,
            Self::GetItem | Self::GetItems | Self::Insert | Self::Replace | Self::Query => Service::DynamoDb,
            Self::StartExecution | Self::StopExecution | Self::DescribeExecution => Service::StepFunctions,
            Self::PutEvents => Service::EventBridge,
            Self::PutAside => Service::Sqs,
        }
    }
}

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "they are AWS's names")]
pub enum Service {
    S3,
    CloudFront,
    DynamoDb,
    StepFunctions,
    EventBridge,
    Sqs,
    Lambda,
}

/// An invocation that fails as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Miss {
    /// Of which function.
    #[serde(serialize_with = "as_debug")]
    pub step: Step,
    /// The how many-th of its invocations, from 0.
    pub nth: u32,
    /// How.
    pub how: Missed,
}

/// How an invocation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Missed {
    /// Lambda does not begin it.
    NotBegun,
    /// It does all its work, and nobody hears of it.
    AnswerLost,
    /// The client of Step Functions gives the call up, while it goes on.
    GoesOn,
    /// It does all its work, and its answer is more than a state can carry.
    TooMuchData,
}

/// An execution that dies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Death {
    /// The how many-th execution, from 0.
    pub execution: u32,
    /// When it has entered so many states.
    pub entered: u32,
    /// And so many milliseconds have passed.
    pub millis: u32,
    /// Of what.
    pub how: Killed,
}

/// What ends an execution, and nothing in it can catch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Killed {
    /// `States.Runtime`.
    Runtime,
    /// It runs longer than Step Functions lets it.
    TimedOut,
    /// An operator stops it in the console, without a word.
    Stopped,
}

/// A time at which a service is not well.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Storm {
    /// Which.
    pub service: Service,
    /// From when, in seconds.
    pub from: u32,
    /// For how many seconds.
    pub seconds: u32,
    /// How many of a hundred calls fail.
    pub percent: u32,
    /// How they fail.
    pub fate: Fate,
}

/// An event of S3 that does not come as it should.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stray {
    /// The how many-th event, from 0.
    pub nth: u32,
    /// What becomes of it.
    pub fate: StrayFate,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum StrayFate {
    /// It does not come.
    Lost,
    /// It comes so many seconds late.
    Late(u32),
    /// It comes twice, the second time so many seconds later.
    Twice(u32),
}

const KEYS: [&str; 19] = [
    "a.jpg",
    "2019/cat.jpg",
    "2019/dog.jpg",
    "dir/index.html",
    "index.html",
    "b c+d.jpg",
    "x+1",
    "x+2",
    "x 9",
    "x 9 z+.mp4",
    "my dir/my index.html",
    "p%2Bq.bin",
    "üben/ß.pdf",
    "it's.mp4",
    "t/x~1.txt",
    "t/xylophone.txt",
    "t/plain.txt",
    "100%25.bin",
    "deep/er/and/deeper.tar",
];

impl World {
    /// The world of this seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let rough = rng.one_in(8);
        let calm = !rough && rng.one_in(6);
        let objects = objects(&mut rng);
        let acts = acts(&mut rng, &objects, rough);
        let (faults, misses, storms, strays, deaths) = if calm {
            Default::default()
        } else {
            let (faults, misses) = (faults(&mut rng, rough), misses(&mut rng, rough));
            (faults, misses, storms(&mut rng), strays(&mut rng, rough), deaths(&mut rng))
        };
        Self {
            seed,
            versioned: rng.one_in(3),
            origin_path: if rng.one_in(4) { "/public" } else { "" },
            directory_index: if rng.one_in(3) { "index.html" } else { "" },
            keeps_errors: !rng.one_in(4),
            regime: rng.choose(&[QuotaRegime::InProgress, QuotaRegime::Rate, QuotaRegime::Both]),
            rules_off: rng.one_in(7),
            objects_per_chunk: rng.choose(&[1_000, 1_000, 1, 2, 3]),
            jobs: jobs(&mut rng, calm),
            objects,
            acts,
            faults,
            misses,
            deaths,
            storms,
            strays,
            keys_per_page: rng.choose(&[1_000, 1_000, 1, 2, 3]),
            empty_pages: rng.choose(&[0, 0, 0, 30]),
            pages_per_call: rng.choose(&[1_000, 1_000, 1, 2]),
            bug: None,
            // Last, so that all else stays as it is.
            quota_answer: rng.choose(&[
                QuotaAnswer::TooManyInvalidations,
                QuotaAnswer::Throttling,
                QuotaAnswer::Either,
            ]),
            joined_max_cost_usd: rng.choose(&[None, Some(5.0), Some(0.02), Some(0.006), Some(0.0)]),
        }
    }
}

fn jobs(rng: &mut Rng, calm: bool) -> Jobs {
    Jobs {
        objects: rng.choose(&[1_000, 1_000, 1, 2]),
        prepared_after: rng.choose(&[30, 300, HOUR]),
        task_millis: rng.choose(&[1, 1_000, 900_000]),
        fails: if calm { 0 } else { rng.choose(&[0, 0, 0, 20]) },
        busy: if calm { 0 } else { rng.choose(&[0, 0, 0, 20]) },
        refused: if calm { 0 } else { rng.choose(&[0, 0, 0, 50]) },
    }
}

fn objects(rng: &mut Rng) -> Vec<Object> {
    let count = if rng.one_in(10) { rng.below(12) + 1 } else { rng.below(5) + 1 };
    let mut keys = KEYS.to_vec();
    let places = [
        Place::Flexible,
        Place::Flexible,
        Place::Flexible,
        Place::Deep,
        Place::Deep,
        Place::ItArchive,
        Place::ItDeep,
        Place::Standard,
        Place::InstantRetrieval,
        Place::Intelligent,
    ];
    (0..count)
        .map(|id| {
            let key = keys.swap_remove(rng.below(u32::try_from(keys.len()).unwrap_or(1)) as usize);
            let takes = match rng.below(12) {
                // Quick, slow, slower than typical, and past every deadline.
                0 => Some(rng.below(20 * MINUTE)),
                1 => Some(12 * HOUR + rng.below(24 * HOUR)),
                2 => Some(40 * HOUR + rng.below(60 * HOUR)),
                3 => Some(170 * HOUR + rng.below(100 * HOUR)),
                _ => None,
            };
            Object { id, key: key.to_owned(), place: rng.choose(&places), takes, head_refused: rng.one_in(16) }
        })
        .collect()
}

fn place(rng: &mut Rng) -> Place {
    rng.choose(&[Place::Standard, Place::Flexible, Place::Flexible, Place::Deep, Place::ItArchive])
}

fn moment(rng: &mut Rng) -> u32 {
    match rng.below(4) {
        0 => rng.below(2 * MINUTE),
        1 => rng.below(HOUR),
        2 => rng.below(14 * HOUR),
        _ => rng.below(80 * HOUR),
    }
}

fn acts(rng: &mut Rng, objects: &[Object], rough: bool) -> Vec<Act> {
    let object = |rng: &mut Rng| objects[rng.below(u32::try_from(objects.len()).unwrap_or(1)) as usize].id;
    let asks = rng.choose(&[1, 1, 1, 2, 2, 3, 4]);
    let mut acts: Vec<Act> = (0..asks)
        .map(|id| {
            let share = rng.choose(&[1, 2, 4, 4]);
            let mut wanted: Vec<u32> =
                objects.iter().filter(|_| rng.below(4) < share).map(|object| object.id).collect();
            if wanted.is_empty() {
                wanted.push(object(rng));
            }
            let at = if rng.one_in(2) { rng.below(30) } else { moment(rng) };
            Act { at, what: What::Ask(ask(rng, id, wanted)) }
        })
        .collect();
    let others = if rough { rng.below(12) } else { rng.below(6) };
    for _ in 0..others {
        let what = match rng.below(17) {
            0 => What::AskAgain { ask: rng.below(asks), same: !rng.one_in(3) },
            1 | 2 => What::Cancel { ask: rng.below(asks) },
            3 | 4 => What::Foreign { object: object(rng), tier: tier(rng), days: 1 + rng.below(4) },
            5 => What::Delete { object: object(rng) },
            6 => What::Overwrite { object: object(rng), place: place(rng) },
            7 => What::Move { object: object(rng), place: place(rng) },
            8 => What::Crowd { seconds: 10 * MINUTE + rng.below(6 * HOUR) },
            9 => What::NoCapacity { seconds: rng.below(2 * HOUR) },
            10 => What::Poison { form: rng.below(5) },
            11 => What::CancelJobs,
            _ => What::View { object: object(rng) },
        };
        let at = match what {
            // Before most requests, or nobody would miss it.
            What::NoCapacity { .. } => 0,
            _ => moment(rng),
        };
        acts.push(Act { at, what });
    }
    // Most objects were looked at before anybody asked for them: that is what makes an edge stale.
    for object in objects {
        if !rng.one_in(3) {
            acts.push(Act { at: 0, what: What::View { object: object.id } });
        }
    }
    acts.sort_by_key(|act| act.at);
    acts
}

fn ask(rng: &mut Rng, id: u32, objects: Vec<u32>) -> Ask {
    Ask {
        id,
        objects,
        tier: tier(rng),
        days: rng.one_in(2).then(|| 1 + rng.below(5)),
        when: rng.choose(&["each", "each", "each", "together", "together", "never"]),
        only_if_stale: rng.one_in(5),
        max_over: rng.choose(&[0, 0, 1, 20]),
        max_cost_usd: rng.one_in(8).then(|| rng.choose(&[0.0, 0.000_01, 0.01, 5.0])),
        keyed: !rng.one_in(3),
        fail_without_capacity: rng.one_in(4),
        malformed: rng.one_in(25),
        prefix: rng.one_in(4).then(|| rng.choose(&["", "", "2019/", "t/", "d", "nothing/"])),
        dry_run: rng.one_in(20),
        batch_operations: rng.choose(&[None, None, Some(true), Some(true), Some(false)]),
    }
}

fn tier(rng: &mut Rng) -> Tier {
    rng.choose(&[Tier::Standard, Tier::Standard, Tier::Bulk, Tier::Bulk, Tier::Expedited])
}

fn step(rng: &mut Rng) -> Step {
    // Nobody drops a file into the inbox of a world, and its copies expire without notice.
    let is_reached = |step: &Step| !matches!(step, Step::OnInboxFile | Step::AnnounceExpiries);
    let reached: Vec<Step> = Step::ALL.into_iter().filter(is_reached).collect();
    rng.choose(&reached)
}

fn fate(rng: &mut Rng) -> Fate {
    rng.choose(&[
        Fate::DieBefore,
        Fate::DieAfter,
        Fate::HangBefore,
        Fate::HangAfter,
        Fate::Throttled,
        Fate::Unavailable,
        Fate::LostAnswer,
        Fate::Repeated,
    ])
}

fn faults(rng: &mut Rng, rough: bool) -> Vec<Fault> {
    let count = if rough { rng.below(14) } else { rng.below(6) };
    (0..count)
        .map(|_| {
            let step = step(rng);
            let call = rng.choose(calls_of(step));
            let nth = if rng.one_in(2) { rng.below(2) } else { rng.below(12) };
            // A door, or what an event or the clock calls, comes again by itself or tells its caller.
            let fate = if step.is_in_the_workflow() && rng.one_in(12) { Fate::Refused } else { fate(rng) };
            Fault { step, call, nth, fate }
        })
        .collect()
}

/// The calls that a function makes: a fault of another would never strike.
fn calls_of(step: Step) -> &'static [Call] {
    use Call::{
        CreateInvalidation, CreateJob, DescribeJob, GetBucketVersioning, GetFile, GetInvalidation, GetItem, GetItems,
        HeadObject, Insert, ListObjects, PutAside, PutEvents, PutFile, Query, ReadDistributions, Replace,
        RestoreObject, StartExecution, StopExecution, UpdateJobStatus,
    };
    match step {
        Step::Plan => &[
            HeadObject,
            ReadDistributions,
            Insert,
            Insert,
            PutFile,
            Replace,
            PutEvents,
            ListObjects,
            GetBucketVersioning,
            GetItems,
        ],
        Step::StartRestores => &[
            GetItem,
            GetFile,
            GetItems,
            HeadObject,
            RestoreObject,
            RestoreObject,
            RestoreObject,
            Insert,
            Insert,
            Replace,
            Replace,
        ],
        Step::CreateJobs => {
            &[GetItem, GetItems, GetFile, PutFile, PutFile, Insert, Insert, CreateJob, CreateJob, CreateJob, Replace]
        }
        Step::CheckJobs => &[
            GetItem,
            GetItems,
            GetFile,
            Query,
            DescribeJob,
            DescribeJob,
            UpdateJobStatus,
            UpdateJobStatus,
            Replace,
            Replace,
        ],
        Step::CheckRestores => {
            &[GetItem, GetFile, GetItems, Query, HeadObject, HeadObject, Insert, Insert, Replace, PutEvents]
        }
        Step::Invalidate => &[
            GetItem,
            GetItems,
            ReadDistributions,
            Query,
            Insert,
            Query,
            Replace,
            Replace,
            CreateInvalidation,
            CreateInvalidation,
            HeadObject,
            ListObjects,
        ],
        Step::CheckInvalidations => &[GetItem, GetItems, GetInvalidation, Replace, Replace, Query],
        Step::Report => &[GetItem, GetFile, GetItems, StartExecution, Insert, Replace, PutEvents],
        Step::ReportFailure => &[GetItem, GetFile, GetItems, Replace, UpdateJobStatus, PutEvents],
        Step::CreateRestore => &[Insert, StartExecution],
        Step::CreatePlan => &[HeadObject, ReadDistributions],
        Step::GetRestores => &[GetItem, GetFile, GetItems, Query],
        Step::CancelRestore => &[GetItem, GetItems, Replace, UpdateJobStatus, StopExecution],
        Step::OnRestoreCompleted => &[
            Query,
            Replace,
            Replace,
            HeadObject,
            ReadDistributions,
            Insert,
            CreateInvalidation,
            CreateInvalidation,
            GetInvalidation,
            PutAside,
        ],
        Step::OnRestoreInitiated => {
            &[Query, ReadDistributions, GetItem, Insert, Insert, Replace, StartExecution, PutEvents, PutAside]
        }
        Step::OnInboxFile => &[Insert, StartExecution, PutFile, PutAside],
        Step::AnnounceExpiries => &[GetItem, GetItems, Query, Replace, PutEvents],
        Step::CheckExecutions => {
            &[GetItem, GetItems, Call::DescribeExecution, UpdateJobStatus, PutEvents, PutEvents, Replace, Replace]
        }
        Step::Adopt => &[ListObjects, HeadObject, Query, Insert, StartExecution],
    }
}

fn misses(rng: &mut Rng, rough: bool) -> Vec<Miss> {
    let count = if rough { rng.below(6) } else { rng.below(2) };
    (0..count)
        .map(|_| {
            let step = step(rng);
            let too_much = step.is_in_the_workflow() && rng.one_in(8);
            let how = rng.choose(&[Missed::NotBegun, Missed::AnswerLost, Missed::GoesOn]);
            Miss { step, nth: rng.below(4), how: if too_much { Missed::TooMuchData } else { how } }
        })
        .collect()
}

fn deaths(rng: &mut Rng) -> Vec<Death> {
    let count = if rng.one_in(5) { 1 + rng.below(2) } else { 0 };
    (0..count)
        .map(|_| Death {
            execution: rng.below(3),
            entered: 1 + rng.below(16),
            millis: rng.choose(&[0, 150, 2_000, 40_000]),
            how: rng.choose(&[Killed::Runtime, Killed::TimedOut, Killed::Stopped]),
        })
        .collect()
}

fn storms(rng: &mut Rng) -> Vec<Storm> {
    let count = rng.choose(&[0, 0, 0, 1, 1, 2]);
    (0..count)
        .map(|_| {
            let seconds = match rng.below(3) {
                0 => rng.below(5 * MINUTE),
                1 => rng.below(HOUR),
                _ => rng.below(6 * HOUR),
            };
            Storm {
                service: rng.choose(&[
                    Service::S3,
                    Service::CloudFront,
                    Service::DynamoDb,
                    Service::StepFunctions,
                    Service::EventBridge,
                    Service::Sqs,
                    Service::Lambda,
                ]),
                from: moment(rng),
                seconds,
                percent: rng.choose(&[20, 60, 100]),
                fate: rng.choose(&[Fate::Throttled, Fate::Unavailable, Fate::Unavailable, Fate::LostAnswer]),
            }
        })
        .collect()
}

fn strays(rng: &mut Rng, rough: bool) -> Vec<Stray> {
    let count = if rough { rng.below(8) } else { rng.below(4) };
    (0..count)
        .map(|_| {
            let fate = match rng.below(3) {
                0 => StrayFate::Lost,
                1 => StrayFate::Late(rng.below(10 * HOUR)),
                _ => StrayFate::Twice(rng.below(10 * HOUR)),
            };
            Stray { nth: rng.below(10), fate }
        })
        .collect()
}
