//! Every branch of `statemachine/thaw.asl.json`.

use serde_json::json;

use super::super::{Outcome, Workflow};
use super::{Answer, Fails, FailsInSilence, Says, failed, failed_with, script, succeeded};

const THAW: &str = include_str!("../../../../../statemachine/thaw.asl.json");
const PLAN: &str = "Plan";
const START: &str = "StartRestores";
const CHECK: &str = "CheckRestores";
const INVALIDATE: &str = "Invalidate";
const CONFIRM: &str = "CheckInvalidations";
const REPORT: &str = "Report";
const CREATE_JOBS: &str = "CreateJobs";
const CHECK_JOBS: &str = "CheckJobs";
const REPORT_FAILURE: &str = "ReportFailure";

fn planned(chunks: usize) -> Answer {
    let chunks: Vec<_> = (0..chunks).map(|number| format!("chunk-{number}")).collect();
    Says(json!({ "chunks": chunks }))
}

fn looked(invalidate: bool, confirm: bool, all: bool) -> Answer {
    let said = json!({ "anything_to_invalidate": invalidate, "anything_to_confirm": confirm, "all_published": all, "wait_seconds": 900, "next_chunk": 0 });
    Says(said)
}

fn confirmed(all: bool) -> Answer {
    confirmed_some(0, 0, all)
}

fn confirmed_some(next_chunk: u32, until_chunk: u32, all: bool) -> Answer {
    let more = next_chunk == 0 && until_chunk > 0;
    Says(
        json!({ "anything_to_invalidate": more, "all_published": all, "wait_seconds": 900, "next_chunk": next_chunk, "until_chunk": until_chunk }),
    )
}

fn reported(well: bool) -> Answer {
    Says(json!({ "succeeded": well, "says": "1 of 2 failed" }))
}

fn waits(seconds: u64) -> Answer {
    Says(json!({ "wait_seconds": seconds, "for_a_job": false }))
}

fn gave_up(anything_left: bool) -> Answer {
    Says(json!({ "error": "Broken", "says": "in words", "anything_left": anything_left, "wait_seconds": 900 }))
}

#[tokio::test(start_paused = true)]
async fn a_restore_goes_every_step_of_the_real_definition() {
    let world = script([
        (PLAN, vec![planned(2)]),
        (START, vec![waits(20_000), waits(10_000)]),
        (CHECK, vec![looked(false, false, false), looked(true, false, false)]),
        (INVALIDATE, vec![waits(30)]),
        (CONFIRM, vec![confirmed(true)]),
        (REPORT, vec![reported(true)]),
    ]);
    let input = json!({ "bucket": "b", "keys": ["k"] });
    let ended = Workflow::load(THAW).unwrap().run("r-1", input.clone(), &world).await;
    // 6 tasks, 2 iterations of one each, 5 choices, 3 waits, and the end.
    let events = 2 + 6 * 5 + (4 + 2 * 7) + 5 * 2 + 3 * 2 + 2;
    assert_eq!(ended, succeeded(json!({ "succeeded": true, "says": "1 of 2 failed" }), events));
    world.saw(&[
        "  0 enter Plan",
        &format!(r#"  0 Plan {{"restore":"r-1","request":{input},"cursor":""}} within 910"#),
        "  0 enter ForEachChunk",
        "  0 enter StartRestores[0]",
        r#"  0 StartRestores {"restore":"r-1","chunk":"chunk-0"} within 910"#,
        "  0 enter StartRestores[1]",
        r#"  0 StartRestores {"restore":"r-1","chunk":"chunk-1"} within 910"#,
        "  0 enter AnythingToWaitFor?",
        "  0 enter WaitForRetrieval",
        "10000 enter CheckRestores",
        r#"10000 CheckRestores {"restore":"r-1","from_chunk":0} within 910"#,
        "10000 enter AnythingToInvalidate?",
        "10000 enter WaitForRetrieval",
        "10900 enter CheckRestores",
        r#"10900 CheckRestores {"restore":"r-1","from_chunk":0} within 910"#,
        "10900 enter AnythingToInvalidate?",
        "10900 enter Invalidate",
        r#"10900 Invalidate {"restore":"r-1"} within 910"#,
        "10900 enter WaitForEdges",
        "10930 enter CheckInvalidations",
        r#"10930 CheckInvalidations {"restore":"r-1","from_chunk":0,"until_chunk":0} within 910"#,
        "10930 enter AllPublished?",
        "10930 enter Report",
        r#"10930 Report {"restore":"r-1"} within 310"#,
        "10930 enter AllWell?",
        "10930 enter Done",
    ]);
}

fn left_to_a_job(seconds: u64) -> Answer {
    Says(json!({ "wait_seconds": seconds, "for_a_job": true }))
}

fn created(next_part: u64) -> Answer {
    Says(json!({ "wait_seconds": 60, "next_part": next_part }))
}

fn checked(done: bool, chunks: &[u32], next_chunk: u32) -> Answer {
    Says(json!({ "jobs_done": done, "chunks": chunks, "wait_seconds": 100, "next_chunk": next_chunk }))
}

#[tokio::test(start_paused = true)]
async fn jobs_are_created_part_by_part_and_what_they_leave_is_asked_for() {
    let world = script([
        (PLAN, vec![planned(2)]),
        (START, vec![left_to_a_job(0), Says(json!({ "wait_seconds": 7, "for_a_job": false })), waits(9_000)]),
        (CREATE_JOBS, vec![created(1), created(0)]),
        (CHECK_JOBS, vec![checked(false, &[], 0), checked(true, &[1], 5), checked(true, &[1], 0)]),
        (CHECK, vec![looked(false, false, true)]),
        (REPORT, vec![reported(true)]),
    ]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &world).await;
    assert!(matches!(ended.outcome, Outcome::Succeeded(_)), "{ended:?}");
    let seen = world.seen.borrow();
    let from = seen.iter().position(|line| line.ends_with("AnythingToWaitFor?")).unwrap();
    let to = seen.iter().position(|line| line.ends_with("enter CheckRestores")).unwrap();
    assert_eq!(
        seen[from..=to],
        [
            "  0 enter AnythingToWaitFor?",
            "  0 enter CreateJobs",
            r#"  0 CreateJobs {"restore":"r","part":0} within 910"#,
            "  0 enter AllJobsCreated?",
            "  0 enter CreateJobs",
            r#"  0 CreateJobs {"restore":"r","part":1} within 910"#,
            "  0 enter AllJobsCreated?",
            "  0 enter WaitForJobs",
            " 60 enter CheckJobs",
            r#" 60 CheckJobs {"restore":"r","from_chunk":0} within 910"#,
            " 60 enter JobsDone?",
            " 60 enter WaitForJobs",
            "160 enter CheckJobs",
            r#"160 CheckJobs {"restore":"r","from_chunk":0} within 910"#,
            "160 enter JobsDone?",
            "160 enter CheckJobs",
            r#"160 CheckJobs {"restore":"r","from_chunk":5} within 910"#,
            "160 enter JobsDone?",
            "160 enter ForEachChunk",
            "160 enter StartRestores[0]",
            r#"160 StartRestores {"restore":"r","chunk":1} within 910"#,
            "160 enter AnythingToWaitFor?",
            // The jobs' objects are due before those that were asked for now.
            "160 enter WaitForRetrieval",
            "260 enter CheckRestores",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_real_definition_takes_every_branch() {
    let workflow = Workflow::load(THAW).unwrap();
    let table = [
        // Nothing to restore, and the red end.
        (
            vec![(PLAN, vec![planned(0)]), (REPORT, vec![reported(false)])],
            vec![],
            Some(("ObjectsFailed", "1 of 2 failed")),
        ),
        // What came back is with CloudFront already: an event was first.
        (vec![(CHECK, vec![looked(false, true, false)])], vec![CHECK, CONFIRM], None),
        (vec![(CHECK, vec![looked(false, false, true)])], vec![CHECK], None),
        // Very many are invalidated some at a time, and looked at as far as that.
        (
            vec![
                (CHECK, vec![looked(true, true, false)]),
                (INVALIDATE, vec![Says(json!({ "wait_seconds": 5, "until_chunk": 7 })), waits(5)]),
                (CONFIRM, vec![confirmed_some(3, 7, false), confirmed_some(0, 7, false), confirmed(true)]),
            ],
            vec![CHECK, INVALIDATE, CONFIRM, CONFIRM, INVALIDATE, CONFIRM],
            None,
        ),
        // Another round, because not all was published.
        (
            vec![(CHECK, vec![looked(true, true, true)]), (CONFIRM, vec![confirmed(false), confirmed(true)])],
            vec![CHECK, INVALIDATE, CONFIRM, CHECK, INVALIDATE, CONFIRM],
            None,
        ),
    ];
    for (answers, middle, ends) in table {
        let world = script([
            (PLAN, vec![planned(1)]),
            (START, vec![waits(7)]),
            (INVALIDATE, vec![waits(5)]),
            (CONFIRM, vec![confirmed(true)]),
            (REPORT, vec![reported(true)]),
        ]);
        let begins = if middle.is_empty() { vec![PLAN] } else { vec![PLAN, "StartRestores[0]"] };
        world.answers.borrow_mut().extend(answers.into_iter().map(|(name, all)| (name, all.into())));
        let ended = workflow.run("r", json!({}), &world).await;
        let functions: Vec<_> = [begins, middle, vec![REPORT]].concat();
        let called: Vec<_> = world.path().into_iter().filter(|state| functions.contains(&state.as_str())).collect();
        assert_eq!(called, functions, "{:?}", world.path());
        match ends {
            Some((error, cause)) => assert_eq!(ended, failed(error, cause, ended.events)),
            None => assert!(matches!(ended.outcome, Outcome::Succeeded(_)), "{ended:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_of_the_real_definition_is_reported() {
    let workflow = Workflow::load(THAW).unwrap();
    for broken in [PLAN, START, CREATE_JOBS, CHECK_JOBS, CHECK, INVALIDATE, CONFIRM, REPORT] {
        let world = script([
            (PLAN, vec![planned(2)]),
            (START, vec![left_to_a_job(7)]),
            (CREATE_JOBS, vec![created(0)]),
            (CHECK_JOBS, vec![checked(true, &[], 0)]),
            (CHECK, vec![looked(true, false, false)]),
            (INVALIDATE, vec![waits(5)]),
            (CONFIRM, vec![confirmed(true)]),
            (REPORT, vec![reported(true)]),
            (REPORT_FAILURE, vec![Fails("Throttled"), gave_up(false)]),
        ]);
        world.answers.borrow_mut().insert(broken, vec![Fails("Broken")].into());
        let ended = workflow.run("r", json!({}), &world).await;
        assert_eq!(ended, failed("Broken", "in words", ended.events), "{broken}");
        let told = r#"ReportFailure {"restore":"r","error":"Broken","cause":"Broken it is"} within 310"#;
        assert_eq!(world.seen.borrow().iter().filter(|line| line.ends_with(told)).count(), 2, "{broken}");
    }
}

/// Step Functions Developer Guide, "Handling errors": `States.ALL` catches all but these two, and the second nothing catches.
#[tokio::test(start_paused = true)]
async fn too_much_data_is_reported_and_a_runtime_error_ends_the_execution() {
    let workflow = Workflow::load(THAW).unwrap();
    for (error, reports) in [("States.DataLimitExceeded", 1), ("States.Runtime", 0)] {
        let world = script([(PLAN, vec![Fails(error)]), (REPORT_FAILURE, vec![gave_up(false)])]);
        let ended = workflow.run("r", json!({}), &world).await;
        assert_eq!(world.path().iter().filter(|state| *state == REPORT_FAILURE).count(), reports, "{error}");
        assert_eq!(failed_with(&ended).error, if reports == 1 { "Broken" } else { error });
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_without_a_cause_is_reported_like_any_other() {
    let world = script([(PLAN, vec![FailsInSilence("Sandbox.Odd")]), (REPORT_FAILURE, vec![gave_up(false)])]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &world).await;
    assert_eq!(ended, failed("Broken", "in words", ended.events));
    let told = r#"ReportFailure {"restore":"r","error":"Sandbox.Odd","cause":""} within 310"#;
    assert!(world.seen.borrow().iter().any(|line| line.ends_with(told)), "{:?}", world.seen.borrow());
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_cannot_go_on_publishes_what_s3_was_asked_for_and_then_ends_in_the_words_of_its_failure() {
    let world = script([
        (PLAN, vec![planned(2)]),
        (START, vec![waits(7), Fails("Broken")]),
        (REPORT_FAILURE, vec![gave_up(true)]),
        (CHECK, vec![looked(false, false, false), looked(true, true, false)]),
        (INVALIDATE, vec![waits(5)]),
        (CONFIRM, vec![confirmed(true)]),
    ]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &world).await;
    assert_eq!(ended, failed("Broken", "in words", ended.events));
    let path = world.path();
    let from = path.iter().position(|state| state == REPORT_FAILURE).unwrap();
    let after = [
        REPORT_FAILURE,
        "AnythingLeft?",
        "WaitForRetrieval",
        CHECK,
        "AnythingToInvalidate?",
        "WaitForRetrieval",
        CHECK,
        "AnythingToInvalidate?",
        INVALIDATE,
        "WaitForEdges",
        CONFIRM,
        "AllPublished?",
        "Failed",
    ];
    assert_eq!(path[from..], after);
    // What was asking goes on for a quarter of an hour at most.
    assert!(world.seen.borrow().contains(&"900 enter CheckRestores".to_owned()), "{:?}", world.seen.borrow());
}

#[tokio::test(start_paused = true)]
async fn what_fails_after_a_failure_ends_the_execution_in_the_words_of_the_first() {
    let workflow = Workflow::load(THAW).unwrap();
    for broken in [CHECK, INVALIDATE, CONFIRM] {
        let world = script([
            (PLAN, vec![planned(1)]),
            (START, vec![Fails("Denied")]),
            (REPORT_FAILURE, vec![gave_up(true)]),
            (CHECK, vec![looked(true, true, false)]),
            (INVALIDATE, vec![waits(5)]),
            (CONFIRM, vec![confirmed(true)]),
        ]);
        world.answers.borrow_mut().insert(broken, vec![Fails("Unexpected")].into());
        let ended = workflow.run("r", json!({}), &world).await;
        assert_eq!(ended, failed("Broken", "in words", ended.events), "{broken}");
        let path = world.path();
        assert_eq!(path.iter().filter(|state| *state == REPORT_FAILURE).count(), 1, "{broken}: {path:?}");
        assert_eq!(path[path.len() - 3..], [broken, "FirstFailure?", "Failed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_real_definition_waits_no_longer_than_its_retriers_say() {
    // Throttled for as long as a step is tried: each delay at most its MaxDelaySeconds.
    let world = script([
        (PLAN, vec![Fails("Throttled")]),
        (REPORT_FAILURE, vec![Says(json!({ "error": "Throttled", "says": "", "anything_left": false }))]),
    ]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &world).await;
    assert_eq!(failed_with(&ended).error, "Throttled");
    assert_eq!(world.begun.elapsed().as_secs(), 5 + 10 + 20 + 40 + 80 + 160 + 320 + 640 + 392 * 900);
}
