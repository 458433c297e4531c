//! Every branch of `statemachine/thaw.asl.json`.

use serde_json::json;

use super::super::{Outcome, Workflow};
use super::{Answer, Fails, FailsWithoutCause, Returns, failed, failed_with, script, succeeded};

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

fn plan_output(chunks: usize) -> Answer {
    let chunks: Vec<_> = (0..chunks).map(|number| format!("chunk-{number}")).collect();
    Returns(json!({ "chunks": chunks }))
}

fn check_restores_output(invalidate: bool, confirm: bool, all: bool) -> Answer {
    let said = json!({ "anything_to_invalidate": invalidate, "anything_to_confirm": confirm, "all_published": all, "wait_seconds": 900, "next_chunk": 0 });
    Returns(said)
}

fn check_invalidations_output(all: bool) -> Answer {
    check_invalidations_part(0, 0, all)
}

fn check_invalidations_part(next_chunk: u32, until_chunk: u32, all: bool) -> Answer {
    let more = next_chunk == 0 && until_chunk > 0;
    Returns(
        json!({ "anything_to_invalidate": more, "all_published": all, "wait_seconds": 900, "next_chunk": next_chunk, "until_chunk": until_chunk }),
    )
}

fn report_output(well: bool) -> Answer {
    let status = if well { "succeeded" } else { "partly_failed" };
    Returns(json!({ "succeeded": well, "status": status, "says": "1 of 2 failed" }))
}

fn wait_output(seconds: u64) -> Answer {
    Returns(json!({ "wait_seconds": seconds, "for_a_job": false }))
}

fn report_failure_output(anything_left: bool) -> Answer {
    Returns(json!({ "error": "Broken", "says": "in words", "anything_left": anything_left, "wait_seconds": 900 }))
}

#[tokio::test(start_paused = true)]
async fn a_restore_passes_every_state_of_the_real_definition() {
    let host = script([
        (PLAN, vec![plan_output(2)]),
        (START, vec![wait_output(20_000), wait_output(10_000)]),
        (CHECK, vec![check_restores_output(false, false, false), check_restores_output(true, false, false)]),
        (INVALIDATE, vec![wait_output(30)]),
        (CONFIRM, vec![check_invalidations_output(true)]),
        (REPORT, vec![report_output(true)]),
    ]);
    let input = json!({ "bucket": "b", "keys": ["k"] });
    let ended = Workflow::load(THAW).unwrap().run("r-1", input.clone(), &host).await;
    // 6 tasks, 2 iterations of one task each, 5 choices, 3 waits, and the end.
    let events = 2 + 6 * 5 + (4 + 2 * 7) + 5 * 2 + 3 * 2 + 2;
    assert_eq!(ended, succeeded(json!({ "succeeded": true, "status": "succeeded", "says": "1 of 2 failed" }), events));
    host.assert_events(&[
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

fn left_to_job_output(seconds: u64) -> Answer {
    Returns(json!({ "wait_seconds": seconds, "for_a_job": true }))
}

fn create_jobs_output(next_part: u64) -> Answer {
    Returns(json!({ "wait_seconds": 60, "next_part": next_part }))
}

fn check_jobs_output(done: bool, chunks: &[u32], next_chunk: u32) -> Answer {
    Returns(json!({ "jobs_done": done, "chunks": chunks, "wait_seconds": 100, "next_chunk": next_chunk }))
}

#[tokio::test(start_paused = true)]
async fn jobs_are_created_part_by_part_and_the_objects_they_leave_are_requested() {
    let host = script([
        (PLAN, vec![plan_output(2)]),
        (
            START,
            vec![left_to_job_output(0), Returns(json!({ "wait_seconds": 7, "for_a_job": false })), wait_output(9_000)],
        ),
        (CREATE_JOBS, vec![create_jobs_output(1), create_jobs_output(0)]),
        (
            CHECK_JOBS,
            vec![check_jobs_output(false, &[], 0), check_jobs_output(true, &[1], 5), check_jobs_output(true, &[1], 0)],
        ),
        (CHECK, vec![check_restores_output(false, false, true)]),
        (REPORT, vec![report_output(true)]),
    ]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &host).await;
    assert!(matches!(ended.outcome, Outcome::Succeeded(_)), "{ended:?}");
    let seen = host.events.borrow();
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
            // The objects of the jobs are due before those that are requested now.
            "160 enter WaitForRetrieval",
            "260 enter CheckRestores",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_real_definition_takes_every_branch() {
    let workflow = Workflow::load(THAW).unwrap();
    let table = [
        // Nothing to restore, and a failed end.
        (
            vec![(PLAN, vec![plan_output(0)]), (REPORT, vec![report_output(false)])],
            vec![],
            Some(("SomeObjectsFailed", "1 of 2 failed")),
        ),
        // An event handler has invalidated everything already.
        (vec![(CHECK, vec![check_restores_output(false, true, false)])], vec![CHECK, CONFIRM], None),
        (vec![(CHECK, vec![check_restores_output(false, false, true)])], vec![CHECK], None),
        // Very many objects are invalidated and confirmed in parts.
        (
            vec![
                (CHECK, vec![check_restores_output(true, true, false)]),
                (INVALIDATE, vec![Returns(json!({ "wait_seconds": 5, "until_chunk": 7 })), wait_output(5)]),
                (
                    CONFIRM,
                    vec![
                        check_invalidations_part(3, 7, false),
                        check_invalidations_part(0, 7, false),
                        check_invalidations_output(true),
                    ],
                ),
            ],
            vec![CHECK, INVALIDATE, CONFIRM, CONFIRM, INVALIDATE, CONFIRM],
            None,
        ),
        // Another round, because not all objects are published.
        (
            vec![
                (CHECK, vec![check_restores_output(true, true, true)]),
                (CONFIRM, vec![check_invalidations_output(false), check_invalidations_output(true)]),
            ],
            vec![CHECK, INVALIDATE, CONFIRM, CHECK, INVALIDATE, CONFIRM],
            None,
        ),
    ];
    for (answers, middle, ends) in table {
        let host = script([
            (PLAN, vec![plan_output(1)]),
            (START, vec![wait_output(7)]),
            (INVALIDATE, vec![wait_output(5)]),
            (CONFIRM, vec![check_invalidations_output(true)]),
            (REPORT, vec![report_output(true)]),
        ]);
        let begins = if middle.is_empty() { vec![PLAN] } else { vec![PLAN, "StartRestores[0]"] };
        host.answers.borrow_mut().extend(answers.into_iter().map(|(name, all)| (name, all.into())));
        let ended = workflow.run("r", json!({}), &host).await;
        let functions: Vec<_> = [begins, middle, vec![REPORT]].concat();
        let called: Vec<_> = host.path().into_iter().filter(|state| functions.contains(&state.as_str())).collect();
        assert_eq!(called, functions, "{:?}", host.path());
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
        let host = script([
            (PLAN, vec![plan_output(2)]),
            (START, vec![left_to_job_output(7)]),
            (CREATE_JOBS, vec![create_jobs_output(0)]),
            (CHECK_JOBS, vec![check_jobs_output(true, &[], 0)]),
            (CHECK, vec![check_restores_output(true, false, false)]),
            (INVALIDATE, vec![wait_output(5)]),
            (CONFIRM, vec![check_invalidations_output(true)]),
            (REPORT, vec![report_output(true)]),
            (REPORT_FAILURE, vec![Fails("Throttled"), report_failure_output(false)]),
        ]);
        host.answers.borrow_mut().insert(broken, vec![Fails("Broken")].into());
        let ended = workflow.run("r", json!({}), &host).await;
        assert_eq!(ended, failed("Broken", "in words", ended.events), "{broken}");
        let expected = r#"ReportFailure {"restore":"r","error":"Broken","cause":"Broken it is"} within 310"#;
        assert_eq!(host.events.borrow().iter().filter(|line| line.ends_with(expected)).count(), 2, "{broken}");
    }
}

/// Step Functions Developer Guide, "Handling errors": `States.ALL` catches all but these two, and the second nothing catches.
#[tokio::test(start_paused = true)]
async fn too_much_data_is_reported_and_a_runtime_error_ends_the_execution() {
    let workflow = Workflow::load(THAW).unwrap();
    for (error, reports) in [("States.DataLimitExceeded", 1), ("States.Runtime", 0)] {
        let host = script([(PLAN, vec![Fails(error)]), (REPORT_FAILURE, vec![report_failure_output(false)])]);
        let ended = workflow.run("r", json!({}), &host).await;
        assert_eq!(host.path().iter().filter(|state| *state == REPORT_FAILURE).count(), reports, "{error}");
        assert_eq!(failed_with(&ended).error, if reports == 1 { "Broken" } else { error });
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_without_a_cause_is_reported_like_any_other() {
    let host =
        script([(PLAN, vec![FailsWithoutCause("Sandbox.Odd")]), (REPORT_FAILURE, vec![report_failure_output(false)])]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &host).await;
    assert_eq!(ended, failed("Broken", "in words", ended.events));
    let expected = r#"ReportFailure {"restore":"r","error":"Sandbox.Odd","cause":""} within 310"#;
    assert!(host.events.borrow().iter().any(|line| line.ends_with(expected)), "{:?}", host.events.borrow());
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_cannot_go_on_publishes_what_s3_was_asked_for_and_then_ends_in_the_words_of_its_failure() {
    let host = script([
        (PLAN, vec![plan_output(2)]),
        (START, vec![wait_output(7), Fails("Broken")]),
        (REPORT_FAILURE, vec![report_failure_output(true)]),
        (CHECK, vec![check_restores_output(false, false, false), check_restores_output(true, true, false)]),
        (INVALIDATE, vec![wait_output(5)]),
        (CONFIRM, vec![check_invalidations_output(true)]),
    ]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &host).await;
    assert_eq!(ended, failed("Broken", "in words", ended.events));
    let path = host.path();
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
    // Functions that still request objects go on for a quarter of an hour at most.
    assert!(host.events.borrow().contains(&"900 enter CheckRestores".to_owned()), "{:?}", host.events.borrow());
}

#[tokio::test(start_paused = true)]
async fn what_fails_after_a_failure_ends_the_execution_in_the_words_of_the_first() {
    let workflow = Workflow::load(THAW).unwrap();
    for broken in [CHECK, INVALIDATE, CONFIRM] {
        let host = script([
            (PLAN, vec![plan_output(1)]),
            (START, vec![Fails("Denied")]),
            (REPORT_FAILURE, vec![report_failure_output(true)]),
            (CHECK, vec![check_restores_output(true, true, false)]),
            (INVALIDATE, vec![wait_output(5)]),
            (CONFIRM, vec![check_invalidations_output(true)]),
        ]);
        host.answers.borrow_mut().insert(broken, vec![Fails("Unexpected")].into());
        let ended = workflow.run("r", json!({}), &host).await;
        assert_eq!(ended, failed("Broken", "in words", ended.events), "{broken}");
        let path = host.path();
        assert_eq!(path.iter().filter(|state| *state == REPORT_FAILURE).count(), 1, "{broken}: {path:?}");
        assert_eq!(path[path.len() - 3..], [broken, "FirstFailure?", "Failed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_real_definition_waits_no_longer_than_its_retriers_say() {
    // Plan is throttled until its retries are used up. No delay is longer than its MaxDelaySeconds.
    let host = script([
        (PLAN, vec![Fails("Throttled")]),
        (REPORT_FAILURE, vec![Returns(json!({ "error": "Throttled", "says": "", "anything_left": false }))]),
    ]);
    let ended = Workflow::load(THAW).unwrap().run("r", json!({}), &host).await;
    assert_eq!(failed_with(&ended).error, "Throttled");
    assert_eq!(host.begun.elapsed().as_secs(), 5 + 10 + 20 + 40 + 80 + 160 + 320 + 640 + 392 * 900);
}
