//! How long viewers wait for an object that S3 has restored: from S3's completion until every edge has forgotten what it
//! knew of its path. `cargo xtask bench delay` runs it.
//!
//! The real steps over the simulated S3 and CloudFront, in virtual time: with S3's events; without any, where only looks
//! tell; and beside it what one invalidation would do after a wait of as long as a retrieval typically takes at most.

#[path = "../cost/counted.rs"]
mod counted;
#[path = "../../bench/src/report.rs"]
mod report;
#[path = "../cost/stack.rs"]
#[allow(dead_code, reason = "the costs are counted along, and nobody looks")]
mod stack;
#[path = "../it/contracts/template.rs"]
#[allow(dead_code, reason = "the contracts need more of it")]
mod template;

use std::process::ExitCode;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use thaw_sim::cdn::Invalidation;
use thaw_sim::model::{RestoreEvent, RetrievalRule, StorageClass};

use crate::report::{Aim, Mode, at_commit, print_aims};
use crate::stack::{Archive, Stack};

/// How much is restored.
#[derive(Clone, Copy)]
struct Size {
    /// Objects of a restore.
    objects: u32,
    /// Paths of the restore that shares CloudFront's quota.
    bulk: u32,
}

/// In full and in a smoke run.
const SIZES: (Size, Size) = (Size { objects: 1_000, bulk: 100_000 }, Size { objects: 100, bulk: 2_000 });

/// With events, so many of a hundred objects are to be shown within so many seconds.
const OF_HUNDRED: usize = 99;
const SECONDS: i64 = 60;

/// Of a small restore, so many paths of a hundred are to be sent to CloudFront within so many seconds of S3's event.
const OF_HUNDRED_SMALL: usize = 95;
const SOON: f64 = 3.0;

/// The minutes in which all paths of the restore that shares CloudFront's quota are to be with CloudFront.
const BULK_MINUTES: i64 = 30;

/// Where the objects lie, how fast they are fetched, and hours until S3 is typically done (User Guide, "Archive retrieval
/// options").
const CASES: [(StorageClass, &str, i64); 4] = [
    (StorageClass::Glacier, "Standard", 5),
    (StorageClass::Glacier, "Bulk", 12),
    (StorageClass::DeepArchive, "Standard", 12),
    (StorageClass::DeepArchive, "Bulk", 48),
];

fn main() -> ExitCode {
    let (mode, _) = Mode::from_args(std::env::args().skip(1));
    let Size { objects, bulk: paths } = mode.pick(SIZES.0, SIZES.1);
    println!(
        "From S3's completion to a clean edge, {objects} objects each; `cargo xtask bench delay`, {}\n",
        at_commit()
    );
    println!("| class and tier | told by | half within | 99 of 100 within | all within |\n|---|---|---:|---:|---:|");
    // With events the slowest of 99 in 100; by looks alone how much later than by a fixed wait.
    let (mut slowest, mut later) = (SignedDuration::ZERO, SignedDuration::MIN);
    for (class, tier, hours) in CASES {
        let name = format!("{}, {tier}", if class == StorageClass::Glacier { "Flexible" } else { "Deep" });
        let (events, _) = delays(objects, class, tier, true);
        let (looks, ready_after) = delays(objects, class, tier, false);
        let wait = SignedDuration::from_hours(hours);
        let fixed = ready_after.iter().map(|ready| wait - *ready + CLOUDFRONT).collect();
        let fixed = sorted(fixed);
        slowest = slowest.max(within(&events, OF_HUNDRED));
        later = looks.iter().zip(&fixed).map(|(looks, fixed)| *looks - *fixed).fold(later, SignedDuration::max);
        for (way, delays) in [("S3's events", events), ("looks alone", looks), ("a fixed wait", fixed)] {
            let [half, most, all] = [50, OF_HUNDRED, 100].map(|of| shown(within(&delays, of)));
            println!("| {name} | {way} | {half} | {most} | {all} |");
        }
    }
    let small = small_restores(mode.pick(200, 2));
    let bulk = beside_a_stranger(paths);
    println!(
        "\n{paths} paths of one restore, published together without wildcards, while somebody else sends CloudFront a third of the \
         150 paths that it takes in a second: all are with CloudFront after {}, {:.0} a second; of the other's {} calls {} were \
         refused, and {} of the workflow's states were tried again.",
        shown(bulk.took),
        f64::from(paths) / bulk.took.as_secs_f64(),
        bulk.sent,
        bulk.refused,
        bulk.retries,
    );
    let aims = [
        Aim::new(
            format!(
                "a small restore's paths are sent to CloudFront {SOON} seconds after S3's event, {OF_HUNDRED_SMALL} of 100"
            ),
            format!("{:.1} s", small.to_the_call.as_secs_f64()),
            small.to_the_call.as_secs_f64() <= SOON,
        ),
        Aim::new(
            "its status says so within a minute of CloudFront's completion",
            shown(small.to_the_status),
            small.to_the_status <= SignedDuration::from_mins(1),
        ),
        Aim::new(
            format!("with S3's events, {OF_HUNDRED} of 100 within {SECONDS} seconds"),
            shown(slowest),
            slowest.as_secs() <= SECONDS,
        ),
        Aim::new("by looks alone, no later than by a fixed wait", format!("{:+} s", later.as_secs()), later <= A_STATE),
        Aim::new(
            format!("{paths} paths beside a stranger within {BULK_MINUTES} minutes"),
            shown(bulk.took),
            bulk.took <= SignedDuration::from_mins(BULK_MINUTES),
        ),
        Aim::new(
            "of whose calls one in a hundred is refused at most",
            format!("{} of {}", bulk.refused, bulk.sent),
            bulk.refused * 100 <= bulk.sent,
        ),
    ];
    if print_aims(&aims, mode) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Of small restores with S3's events, the slowest of any size.
struct Small {
    /// From S3's event to the call of CloudFront, the slowest of 95 in 100.
    to_the_call: Duration,
    /// From CloudFront's completion until the status says so, the slowest.
    to_the_status: SignedDuration,
}

/// Restores of few objects, so many of each size. Of each object's delay the parts are those of `cost/stack.rs`.
fn small_restores(restores: u32) -> Small {
    println!(
        "\nFrom S3's event to the call of CloudFront, restores of Flexible at Standard. CloudFront's own seconds come on \
         top: {} s here, and less than 25 s for 95 of 100 on AWS; {}.\n",
        CLOUDFRONT.as_secs(),
        at_commit()
    );
    println!(
        "| objects | restores | S3 completes them | half within | {OF_HUNDRED_SMALL} of 100 within | all within | \
         CloudFront | then the status within |\n|---:|---:|---|---:|---:|---:|---:|---:|"
    );
    let mut slowest = Small { to_the_call: Duration::ZERO, to_the_status: SignedDuration::ZERO };
    for (objects, at_once) in [(1, false), (10, false), (10, true), (100, false), (100, true)] {
        // As many objects of each size, but of a few restores at least.
        let restores = (restores / objects).max(restores.min(20));
        let (mut delays, mut status) = (Vec::new(), SignedDuration::ZERO);
        for number in 0..restores {
            let (to_the_call, to_the_status) = small_restore(objects, at_once, number);
            delays.extend(to_the_call);
            status = status.max(to_the_status);
        }
        delays.sort();
        let of = |hundred: usize| delays[(delays.len() * hundred).div_ceil(100) - 1];
        let how = if at_once { "at once" } else { "one by one" };
        let [half, most, all] =
            [50, OF_HUNDRED_SMALL, 100].map(|hundred| format!("{:.1} s", of(hundred).as_secs_f64()));
        let (edges, status_after) = (shown(CLOUDFRONT), shown(status));
        println!("| {objects} | {restores} | {how} | {half} | {most} | {all} | {edges} | {status_after} |");
        slowest.to_the_call = slowest.to_the_call.max(of(OF_HUNDRED_SMALL));
        slowest.to_the_status = slowest.to_the_status.max(status);
    }
    slowest
}

/// One restore: how long after its event each object's path was sent, and how long after CloudFront's completion the
/// ledger had all.
fn small_restore(objects: u32, at_once: bool, number: u32) -> (Vec<Duration>, SignedDuration) {
    let keys: Vec<String> = (0..objects).map(|number| format!("2019/IMG_{number:06}.jpg")).collect();
    let archive =
        Archive { class: StorageClass::Glacier, tier: "Standard", publish: "each", versioned: false, events: true };
    let mut stack = Stack::new(keys, archive).with_chance(number.into());
    if at_once {
        let rule = RetrievalRule { key: "2019/*".to_owned(), seconds: 4 * 3_600 + 1_800 };
        stack.aws.with(|sim, _| sim.set_retrieval_rules(vec![rule]));
    }
    stack::run(stack.restore_all());
    let sent = stack.readers.sent.borrow();
    let told = stack.told.borrow();
    assert_eq!(told.len(), objects as usize, "each is told once");
    let to_the_call: Vec<_> = told
        .iter()
        .filter_map(|(key, told)| {
            let path = format!("/{key}");
            let sent = sent.iter().find(|(_, paths)| paths.contains(&path));
            sent.map(|(at, _)| at.duration_since(*told))
        })
        .collect();
    // What a look sent in the same moment did not wait for its event.
    let by_looks = objects as usize - to_the_call.len();
    assert!(by_looks * 20 <= objects as usize, "{by_looks} of {objects} objects were not published by their events");
    (to_the_call, stack.confirmed_after().into_iter().max().expect("something was confirmed"))
}

/// Within which delay so many of a hundred are shown.
fn within(delays: &[SignedDuration], of_hundred: usize) -> SignedDuration {
    delays[delays.len() * of_hundred / 100 - 1]
}

/// A fixed wait goes straight to its invalidation; a look comes a state or two later.
const A_STATE: SignedDuration = SignedDuration::from_secs(60);

/// What an invalidation takes in the simulator: CloudFront says that 95 of 100 take less than 25 seconds.
const CLOUDFRONT: SignedDuration = SignedDuration::from_secs(20);

/// Of one restore, from the shortest: how long each object was readable before its path was clean. And how long after the
/// request each was readable.
fn delays(
    objects: u32,
    class: StorageClass,
    tier: &'static str,
    events: bool,
) -> (Vec<SignedDuration>, Vec<SignedDuration>) {
    let keys = (0..objects).map(|number| format!("2019/{}/IMG_{number:06}.jpg", number % 40)).collect();
    let mut stack = Stack::new(keys, Archive { class, tier, publish: "each", versioned: false, events });
    let begun = stack.aws.clock().now();
    stack::run(stack.restore_all());
    stack.aws.with(|sim, _| {
        let completed = sim.sent_events().iter().filter(|event| event.kind == RestoreEvent::Completed);
        let readable: Vec<(&str, Timestamp)> = completed.map(|event| (event.object.key.as_str(), event.time)).collect();
        assert_eq!(readable.len(), objects as usize, "S3 restores each once");
        let invalidations: Vec<&Invalidation> =
            sim.distributions().flat_map(thaw_sim::cdn::Distribution::invalidations).collect();
        let delays = readable.iter().map(|(key, at)| first_clean(&invalidations, key, *at).duration_since(*at));
        (sorted(delays.collect()), readable.iter().map(|(_, at)| at.duration_since(begun)).collect())
    })
}

/// What became of very many paths, and of whoever shares the quota.
struct Bulk {
    /// From the first call to the last.
    took: SignedDuration,
    sent: u32,
    refused: u32,
    retries: u32,
}

fn beside_a_stranger(bulk: u32) -> Bulk {
    let keys = (0..bulk).map(|number| format!("2019/{}/IMG_{number:06}.jpg", number % 400)).collect();
    let class = StorageClass::Glacier;
    let archive = Archive { class, tier: "Standard", publish: "together", versioned: false, events: false };
    let mut stack = Stack::new(keys, archive);
    stack.beside_a_stranger();
    stack::run(stack.restore_all());
    let stranger = stack.workflow.stranger.take().expect("there is one");
    stack.aws.with(|sim, _| {
        let all = sim.distributions().flat_map(thaw_sim::cdn::Distribution::invalidations);
        let ours: Vec<&Invalidation> = all.filter(|one| !one.caller_reference.starts_with("others-")).collect();
        let paths: usize = ours.iter().map(|one| one.items.len()).sum();
        assert_eq!(paths, bulk as usize, "each path is sent once");
        let times = || ours.iter().map(|one| one.created);
        let took = times().max().zip(times().min()).map(|(last, first)| last.duration_since(first));
        Bulk {
            took: took.expect("there are some"),
            sent: stranger.sent,
            refused: stranger.refused,
            retries: stack.retries,
        }
    })
}

/// When an edge had forgotten a key's path that had become readable then.
fn first_clean(invalidations: &[&Invalidation], key: &str, readable: Timestamp) -> Timestamp {
    let path = format!("/{key}");
    let covers = |item: &String| item.strip_suffix('*').map_or(*item == path, |start| path.starts_with(start));
    let later = invalidations.iter().filter(|one| one.created >= readable && one.items.iter().any(covers));
    later.map(|one| one.completed).min().unwrap_or_else(|| panic!("{key} was never shown"))
}

fn sorted(mut delays: Vec<SignedDuration>) -> Vec<SignedDuration> {
    delays.sort();
    delays
}

fn shown(delay: SignedDuration) -> String {
    match delay.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}
