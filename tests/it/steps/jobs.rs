//! Restores for which S3 Batch Operations asks.

use serde_json::{Value, json};
use thaw_core::{FailureCode, State, Status, Tier};
use thaw_sim::Sim;
use thaw_sim::model::{
    AccessTier, FaultRule, JobStatus, ObjectRef, PutRequest, RestoreRequest, RetrievalRule, RetrievalTier,
    SettingsChange, StorageClass,
};
use thaw_steps::ports::WorkFiles;

use super::world::{BUCKET, World, ask, ask_with};

const HOUR: u64 = 3_600;

fn by_jobs(keys: &[&str]) -> Value {
    ask_with(keys, json!({"batch_operations": true}))
}

fn archived(keys: &[&str]) -> World {
    let world = World::new();
    for key in keys {
        world.put(key, StorageClass::Glacier);
    }
    world
}

/// Plans a restore, and has its jobs created and prepared.
fn prepared(world: &World, restore: &str, request: Value) {
    for chunk in world.plan(restore, request).unwrap().chunks {
        assert!(world.start_restores(restore, chunk).unwrap().for_a_job);
    }
    world.create_all_jobs(restore);
    world.pass(60);
}

fn faults(world: &World, rules: Vec<FaultRule>) {
    world.aws.with(|sim, _| sim.set_faults(rules));
}

fn slowly(world: &World) {
    let change = SettingsChange { job_task_millis: Some(3_600_000), ..SettingsChange::default() };
    world.aws.with(|sim, _| sim.change_settings(&change));
}

/// The jobs: their lists, and where they stand.
fn jobs(world: &World) -> Vec<(String, JobStatus)> {
    let name = |key: &str| key.rsplit('/').next().unwrap_or_default().to_owned();
    world.aws.with(|sim, _| {
        let jobs = sim.jobs().iter();
        jobs.map(|job| (name(&job.request.manifest.key), job.status)).collect()
    })
}

fn asked_by_thaw(world: &World) -> u64 {
    world.aws.with(|sim, _| sim.calls("RestoreObject"))
}

/// S3 has begun each restore once, whoever asked.
#[track_caller]
fn begun_once(world: &World, keys: &[&str]) {
    for key in keys {
        let calls = world.calls(key);
        assert_eq!((calls.started, calls.upgraded, calls.extended), (1, 0, 0), "{key}");
    }
}

#[test]
fn a_restore_by_jobs_ends_published_and_thaw_asks_for_nothing() {
    let world = archived(&["flexible", "a b+c,\"d\"%.jpg", "üben/ß"]);
    world.put("deep", StorageClass::DeepArchive);
    world.put_in_tier("tiered", AccessTier::ArchiveAccess);
    world.put("warm", StorageClass::Standard);
    let cold = ["flexible", "a b+c,\"d\"%.jpg", "üben/ß", "deep", "tiered"];
    let (report, _) = world.restore("r", by_jobs(&[&cold[..], &["warm"]].concat()));
    assert_eq!(report.status, Status::Succeeded, "{}", report.says);
    assert_eq!((report.counts.published, report.counts.available), (5, 1));
    assert_eq!(asked_by_thaw(&world), 0);
    begun_once(&world, &cold);
    // Those without copies have a job of their own, which says no days.
    let expected = [("00000-intelligent.csv", JobStatus::Complete), ("00000-copies.csv", JobStatus::Complete)];
    assert_eq!(jobs(&world), expected.map(|(name, status)| (name.to_owned(), status)));
    assert_eq!(world.view("/flexible"), 200);
    let plan = world.record("r").plan.unwrap();
    let line = plan.cost.lines.iter().find(|line| line.what == "S3 Batch Operations").unwrap();
    assert_eq!((line.amount.as_str(), line.usd.to_string().as_str()), ("2 jobs of 5 objects", "0.50"));
}

#[test]
fn jobs_ask_over_the_stacks_threshold_unless_the_request_says_no_or_is_in_a_hurry() {
    for (request, expected) in [
        (json!({}), true),
        (json!({"tier": "Bulk"}), true),
        (json!({"batch_operations": false}), false),
        (json!({"tier": "Expedited"}), false),
    ] {
        let mut world = archived(&["a", "b", "c"]);
        world.settings.batch_operations_over = 2;
        let (report, _) = world.restore("r", ask_with(&["a", "b", "c"], request.clone()));
        assert_eq!(report.status, Status::Succeeded, "{request}");
        assert_eq!((asked_by_thaw(&world) == 0, jobs(&world).len()), (expected, usize::from(expected)), "{request}");
    }
    let mut world = archived(&["a", "b"]);
    world.settings.batch_operations_over = 2;
    world.restore("r", ask(&["a", "b"]));
    assert!(jobs(&world).is_empty());
}

#[test]
fn what_s3_says_no_to_is_noted_object_by_object() {
    let world = archived(&["good", "taken", "bad", "back"]);
    let taken = RestoreRequest::new(BUCKET, "taken", Some(3), Some(RetrievalTier::Standard));
    prepared(&world, "r", by_jobs(&["good", "taken", "bad", "back"]));
    world.aws.with(|sim, now| sim.restore_object(&taken, now)).unwrap();
    world.aws.with(|sim, now| {
        let put = PutRequest::new(BUCKET, "back", StorageClass::Standard, "back".to_owned());
        sim.put_object(put, now).unwrap();
    });
    faults(&world, vec![FaultRule::new("JobTask", "NoSuchKey").on("bad")]);
    assert!(!world.check_jobs("r").unwrap().jobs_done, "it was let run");
    world.pass(60);
    let checked = world.check_jobs("r").unwrap();
    assert!(checked.jobs_done && checked.chunks.is_empty(), "{checked:?}");
    assert_eq!((checked.counts.restoring, checked.counts.failed, checked.counts.restored), (2, 1, 1));
    assert!(matches!(world.row("taken", "r").state, State::Restoring { joined: true, .. }));
    assert!(matches!(world.row("bad", "r").state, State::Failed { code: FailureCode::NoSuchKey, .. }));
    let (report, _) = world.finish("r", checked.wait_seconds);
    assert_eq!((report.status, report.counts.published), (Status::PartlyFailed, 3));
    assert_eq!(asked_by_thaw(&world), 1, "that was the other tool");
}

#[test]
fn what_a_jobs_role_may_not_do_thaw_asks_for_in_its_own() {
    let world = archived(&["good", "key", "gone"]);
    prepared(&world, "r", by_jobs(&["good", "key", "gone"]));
    let denied = FaultRule::new("JobTask", "AccessDenied").on("key");
    faults(&world, vec![denied, FaultRule::new("JobTask", "NoSuchKey").on("gone")]);
    world.check_jobs("r").unwrap();
    world.pass(60);
    let checked = world.check_jobs("r").unwrap();
    assert_eq!(
        (checked.jobs_done, checked.chunks.as_slice(), checked.counts.failed),
        (true, &[0][..], 0),
        "{checked:?}"
    );
    world.start_restores("r", 0).unwrap();
    let (report, _) = world.finish("r", 0);
    assert_eq!((report.counts.published, report.counts.failed), (2, 1), "{}", report.says);
    assert!(matches!(world.row("gone", "r").state, State::Failed { code: FailureCode::NoSuchKey, .. }));
    assert_eq!(asked_by_thaw(&world), 1, "what the job had asked for is not asked for again");
}

/// What ends a job before its time, besides faults of S3's.
#[derive(Debug, PartialEq)]
enum Meanwhile {
    Nothing,
    SomebodyCancelsIt,
    ItsReportIsGarbled,
}

fn first_job(world: &World) -> (String, String) {
    world.aws.with(|sim, _| (sim.jobs()[0].id.clone(), sim.jobs()[0].request.report_prefix.clone()))
}

impl Meanwhile {
    fn happens(&self, world: &World) {
        match self {
            Self::Nothing => {}
            Self::SomebodyCancelsIt => {
                let (id, _) = first_job(world);
                // It is over by the second time.
                let _is_over = world.aws.with(|sim, now| sim.update_job_status(&id, "Cancelled", now));
            }
            Self::ItsReportIsGarbled => {
                let (id, folder) = first_job(world);
                let report = format!("{folder}/job-{id}/manifest.json");
                world.run(world.files.put(&report, b"no report".to_vec())).unwrap();
            }
        }
    }
}

#[test]
fn what_a_job_leaves_undone_thaw_asks_for_and_nothing_is_begun_twice() {
    let keys = ["a", "b", "c", "d", "e"];
    let fault = FaultRule::new;
    for (fault, meanwhile, asked) in [
        // It failed half-way, at once, and was not even taken.
        (Some(fault("JobTask", "JobFailed").on("d")), Meanwhile::Nothing, 2),
        (Some(fault("RunJob", "ManifestReadFailed")), Meanwhile::Nothing, 5),
        (Some(fault("CreateJob", "BadRequestException")), Meanwhile::Nothing, 5),
        (None, Meanwhile::SomebodyCancelsIt, 5),
        // S3 was too busy for one; and nobody can read which.
        (Some(fault("JobTask", "SlowDown").on("d")), Meanwhile::Nothing, 1),
        (Some(fault("JobTask", "SlowDown").on("d")), Meanwhile::ItsReportIsGarbled, 1),
    ] {
        let story = format!("{fault:?} {meanwhile:?}");
        let world = archived(&keys);
        faults(&world, fault.into_iter().collect());
        prepared(&world, "r", by_jobs(&keys));
        if meanwhile == Meanwhile::SomebodyCancelsIt {
            meanwhile.happens(&world);
        }
        while !world.check_jobs("r").unwrap().jobs_done {
            world.pass(60);
            meanwhile.happens(&world);
        }
        let checked = world.check_jobs("r").unwrap();
        assert_eq!(checked.chunks, [0], "{story}: {}", checked.says);
        faults(&world, vec![]);
        let started = world.start_restores("r", 0).unwrap();
        assert!(!started.for_a_job, "{story}");
        assert_eq!(asked_by_thaw(&world), asked, "{story}");
        let (report, _) = world.finish("r", started.wait_seconds);
        assert_eq!((report.status, report.counts.published), (Status::Succeeded, 5), "{story}");
        begun_once(&world, &keys);
    }
}

#[test]
fn only_the_parts_whose_jobs_were_given_up_are_asked_for_again() {
    let mut world = archived(&["a", "b", "c", "d"]);
    (world.settings.objects_per_chunk, world.settings.objects_per_job) = (1, 2);
    faults(&world, vec![FaultRule::new("RunJob", "ManifestReadFailed").on("00002-copies")]);
    let (report, _) = world.restore("r", by_jobs(&["a", "b", "c", "d"]));
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 4));
    assert_eq!(world.record("r").plan.unwrap().jobs, [0, 2]);
    let expected = [("00000-copies.csv", JobStatus::Complete), ("00002-copies.csv", JobStatus::Failed)];
    assert_eq!(jobs(&world), expected.map(|(name, status)| (name.to_owned(), status)));
    assert_eq!(asked_by_thaw(&world), 2);
    begun_once(&world, &["a", "b", "c", "d"]);
}

#[test]
fn versions_that_are_pinned_are_those_that_a_job_asks_for() {
    let world = World::new();
    world.aws.with(|sim, _| sim.create_bucket(BUCKET, true));
    world.put("a", StorageClass::Glacier);
    prepared(&world, "r", by_jobs(&["a"]));
    // Another version hides it before the job runs.
    let old = world.row("a", "r").object;
    world.put("a", StorageClass::Glacier);
    world.check_jobs("r").unwrap();
    world.pass(60);
    assert!(world.check_jobs("r").unwrap().jobs_done);
    assert_eq!(jobs(&world), [("00000-copies-of-versions.csv".to_owned(), JobStatus::Complete)]);
    let calls = |version| world.aws.with(|sim, _| sim.restore_calls(&ObjectRef::version(BUCKET, "a", version)));
    assert_eq!(calls(old.version.as_deref()).started, 1);
}

#[test]
fn an_event_that_comes_while_the_job_still_asks_publishes_its_object() {
    let world = archived(&["quick", "slow"]);
    world.aws.with(|sim, _| {
        sim.set_retrieval_rules(vec![RetrievalRule { key: "quick".to_owned(), seconds: 60 }]);
        sim.change_settings(&SettingsChange { job_task_millis: Some(600_000), ..SettingsChange::default() });
    });
    prepared(&world, "r", by_jobs(&["quick", "slow"]));
    world.check_jobs("r").unwrap();
    world.pass(900);
    world.deliver(1);
    assert!(!world.check_jobs("r").unwrap().jobs_done);
    assert_eq!(world.invalidated(), ["/quick"]);
    assert!(matches!(world.row("quick", "r").state, State::Restored { claim: Some(_), .. }));
    assert!(matches!(world.row("slow", "r").state, State::Planned));
}

#[test]
fn a_job_that_does_not_end_is_cancelled_and_thaw_asks() {
    let world = archived(&["a", "b"]);
    let forever = SettingsChange { job_task_millis: Some(u32::MAX), ..SettingsChange::default() };
    world.aws.with(|sim, _| sim.change_settings(&forever));
    let (report, _) = world.restore("r", by_jobs(&["a", "b"]));
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 2));
    assert_eq!(jobs(&world)[0].1, JobStatus::Cancelled);
    begun_once(&world, &["a", "b"]);
}

#[test]
fn a_cancel_stops_the_jobs_and_says_so() {
    // While it asks.
    let world = archived(&["a", "b", "c"]);
    slowly(&world);
    prepared(&world, "r", by_jobs(&["a", "b", "c"]));
    world.check_jobs("r").unwrap();
    world.pass(HOUR + 60);
    let answer = world.cancel("r");
    let says = answer["says"].as_str().unwrap();
    assert!(says.contains("S3 Batch Operations was asking for 3 objects, and asks for no more"), "{says}");
    assert!(!says.contains("nothing more to pay"), "{says}");
    assert_eq!(jobs(&world)[0].1, JobStatus::Cancelled);
    world.pass(24 * HOUR);
    assert_eq!([1, 0, 0], ["a", "b", "c"].map(|key| world.calls(key).started));
    // Before it was let run.
    let world = archived(&["a"]);
    prepared(&world, "r", by_jobs(&["a"]));
    let says = world.cancel("r")["says"].as_str().unwrap().to_owned();
    assert!(says.contains("1 object had not been asked of S3 yet, and will not be."), "{says}");
    let checked = world.check_jobs("r").unwrap();
    assert!(checked.jobs_done && checked.chunks.is_empty());
    world.pass(24 * HOUR);
    assert_eq!((world.calls("a").calls, jobs(&world)[0].1), (0, JobStatus::Cancelled));
}

/// Its id was lost with the function that had it created, so nobody lets it run.
#[test]
fn a_job_that_the_ledger_does_not_know_asks_for_nothing() {
    let world = archived(&["a"]);
    prepared(&world, "r", by_jobs(&["a"]));
    world.pass(24 * HOUR);
    assert_eq!((world.calls("a").calls, jobs(&world)[0].1), (0, JobStatus::Suspended));
}

#[test]
fn what_is_on_its_way_or_has_a_copy_is_no_jobs_business() {
    let world = archived(&["cold", "running", "copied"]);
    let ask = |key: &str, days| {
        let request = RestoreRequest::new(BUCKET, key, Some(days), Some(RetrievalTier::Bulk));
        world.aws.with(|sim, now| sim.restore_object(&request, now)).unwrap();
    };
    ask("copied", 1);
    world.pass(13 * HOUR);
    ask("running", 3);
    world.aws.with(Sim::take_events);
    let (report, _) = world.restore("r", by_jobs(&["cold", "running", "copied"]));
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 3));
    let list =
        world.aws.with(|sim, _| sim.jobs()[0].tasks.iter().map(|task| task.object.key.clone()).collect::<Vec<_>>());
    assert_eq!(list, ["cold"]);
    let calls = ["running", "copied"].map(|key| (world.calls(key).upgraded, world.calls(key).extended));
    assert_eq!(calls, [(1, 0), (0, 1)]);
}

#[test]
fn a_job_asks_at_the_tier_and_for_the_days_of_its_request() {
    let world = archived(&["a"]);
    world.put_in_tier("it", AccessTier::DeepArchiveAccess);
    prepared(&world, "r", ask_with(&["a", "it"], json!({"batch_operations": true, "tier": "Bulk", "days": 7})));
    let asked = world.aws.with(|sim, _| {
        sim.jobs()
            .iter()
            .map(|job| (job.request.tier, job.request.days, job.request.description.clone()))
            .collect::<Vec<_>>()
    });
    let expected = [(RetrievalTier::Bulk, None, "r".to_owned()), (RetrievalTier::Bulk, Some(7), "r".to_owned())];
    assert_eq!(asked, expected);
    assert_eq!(world.record("r").request.tier, Tier::Bulk);
    let list = |name: &str| {
        let list = world.files.names().into_iter().find(|file| file.ends_with(name)).unwrap();
        String::from_utf8(world.run(world.files.get(&list)).unwrap().unwrap()).unwrap()
    };
    assert_eq!(
        (list("00000-copies.csv"), list("00000-intelligent.csv")),
        (format!("{BUCKET},a\n"), format!("{BUCKET},it\n"))
    );
}
