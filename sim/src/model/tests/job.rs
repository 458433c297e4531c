use super::*;

fn job(token: &str, lines: &str, sim: &mut Sim) -> JobRequest {
    sim.create_bucket("work", false);
    let list = format!("lists/{token}.csv");
    let stored = sim.put_object(PutRequest::new("work", &list, StorageClass::Standard, lines.to_owned()), start());
    JobRequest {
        token: token.to_owned(),
        description: "r".to_owned(),
        manifest: ObjectRef::new("work", &list),
        etag: stored.expect("the bucket is there").etag,
        versions: false,
        days: Some(3),
        tier: RetrievalTier::Standard,
        report_bucket: "work".to_owned(),
        report_prefix: "reports".to_owned(),
        confirmation_required: true,
    }
}

fn seconds(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn status(sim: &mut Sim, id: &str, now: Timestamp) -> JobStatus {
    sim.describe_job(id, now).expect("there is such a job").status
}

fn text(sim: &Sim, key: &str) -> String {
    let head = sim.head_uncounted(&ObjectRef::new("work", key), seconds(999)).expect("the file is there");
    String::from_utf8_lossy(&head.content.body).into_owned()
}

#[test]
fn a_job_is_prepared_confirmed_and_asks_one_after_the_other() {
    let mut sim = sim();
    sim.change_settings(&SettingsChange { job_task_millis: Some(1_000), ..SettingsChange::default() });
    let request = job("t", "b,flexible\nb,deep\n", &mut sim);
    let id = sim.create_job(request, start()).expect("it is a job");
    assert_eq!(status(&mut sim, &id, seconds(59)), JobStatus::Preparing);
    assert_eq!(sim.update_job_status(&id, "Ready", seconds(59)).unwrap_err().code(), "JobStatusException");
    assert_eq!(status(&mut sim, &id, seconds(60)), JobStatus::Suspended);
    assert_eq!(status(&mut sim, &id, seconds(900)), JobStatus::Suspended, "it waits for ever");
    sim.update_job_status(&id, "Ready", seconds(900)).expect("it waits for that");
    assert_eq!(sim.next_event_at(), Some(seconds(901)));
    let running = sim.describe_job(&id, seconds(901)).expect("there is such a job");
    assert_eq!((running.status, running.progress()), (JobStatus::Active, (1, 0)));
    assert_eq!(status(&mut sim, &id, seconds(903)), JobStatus::Complete);
    // That is not to say that anything is restored.
    let restore = |key: &str| sim.head_uncounted(&ObjectRef::new("b", key), seconds(903)).expect("it is there").restore;
    assert!(matches!(
        (restore("flexible"), restore("deep")),
        (RestoreState::Ongoing { .. }, RestoreState::Ongoing { .. })
    ));
    assert_eq!(sim.calls("RestoreObject"), 0);
}

#[test]
fn standard_begins_sooner_when_a_job_asks() {
    use ArchiveKind::{Deep, Flexible, ItArchive};
    for (kind, tier, window) in [
        (Flexible, RetrievalTier::Standard, Some((300, 5 * 3_600))),
        (ItArchive, RetrievalTier::Standard, Some((300, 5 * 3_600))),
        (Deep, RetrievalTier::Standard, retrieval_window(Deep, RetrievalTier::Standard)),
        (Flexible, RetrievalTier::Bulk, retrieval_window(Flexible, RetrievalTier::Bulk)),
        (Flexible, RetrievalTier::Expedited, None),
    ] {
        assert_eq!(retrieval_window_by_jobs(kind, tier), window, "{kind:?} {tier:?}");
    }
}

#[test]
fn a_report_tells_what_was_refused_and_nothing_else() {
    let mut sim = sim();
    let mut request = job("t", "b,flexible\nb,standard\nb,not%20there\n", &mut sim);
    request.confirmation_required = false;
    let id = sim.create_job(request, start()).expect("it is a job");
    let done = sim.describe_job(&id, seconds(61)).expect("there is such a job");
    assert_eq!((done.status, done.progress()), (JobStatus::Complete, (1, 2)));
    let manifest: serde_json::Value =
        serde_json::from_str(&text(&sim, &format!("reports/job-{id}/manifest.json"))).expect("it is JSON");
    assert_eq!(manifest["Results"].as_array().map(Vec::len), Some(1));
    let failed = text(&sim, manifest["Results"][0]["Key"].as_str().expect("a result has a key"));
    let lines: Vec<_> = failed.lines().map(|line| line.split(',').take(6).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(lines, ["b,standard,,failed,InvalidObjectState,403", "b,not%20there,,failed,NoSuchKey,404"]);
}

#[test]
fn days_and_kinds_that_do_not_go_together_fail_task_by_task() {
    let mut sim = sim();
    let mut request = job("t", "b,flexible\nb,it_archive\n", &mut sim);
    (request.confirmation_required, request.days) = (false, None);
    let id = sim.create_job(request, start()).expect("it is a job");
    assert_eq!(sim.describe_job(&id, seconds(61)).expect("there is such a job").progress(), (1, 1));
}

#[test]
fn a_token_means_one_job_and_expedited_none() {
    let mut sim = sim();
    let request = job("t", "b,flexible\n", &mut sim);
    let id = sim.create_job(request.clone(), start()).expect("it is a job");
    assert_eq!(sim.create_job(request.clone(), seconds(9)), Ok(id));
    let other = JobRequest { days: Some(4), ..request.clone() };
    assert_eq!(sim.create_job(other, start()).unwrap_err().code(), "IdempotencyException");
    let fast = JobRequest { token: "u".to_owned(), tier: RetrievalTier::Expedited, ..request };
    assert_eq!(sim.create_job(fast, start()).unwrap_err().status(), 400);
    assert_eq!(sim.jobs().len(), 1);
    assert_eq!(sim.describe_job("another", start()).unwrap_err().code(), "NotFoundException");
}

#[test]
fn a_list_that_is_another_or_unreadable_fails_the_job_before_it_asks() {
    for (lines, etag) in
        [("b,flexible\n", Some("another")), ("b,flexible,v,more\n", None), ("b,%zz\n", None), ("b\n", None)]
    {
        let mut sim = sim();
        let mut request = job("t", lines, &mut sim);
        if let Some(etag) = etag {
            etag.clone_into(&mut request.etag);
        }
        let id = sim.create_job(request, start()).expect("it is a job so far");
        let failed = sim.describe_job(&id, seconds(60)).expect("there is such a job");
        assert_eq!((failed.status, failed.tasks.len()), (JobStatus::Failed, 0), "{lines:?}");
        assert!(
            sim.head_uncounted(&ObjectRef::new("work", &format!("reports/job-{id}/manifest.json")), seconds(60))
                .is_err()
        );
    }
}

#[test]
fn a_job_that_is_cancelled_or_given_up_asks_for_no_more_and_reports_what_it_did() {
    let mut sim = sim();
    sim.change_settings(&SettingsChange { job_task_millis: Some(1_000), ..SettingsChange::default() });
    let mut first = job("t", "b,flexible\nb,deep\n", &mut sim);
    first.confirmation_required = false;
    let id = sim.create_job(first, start()).expect("it is a job");
    sim.update_job_status(&id, "Cancelled", seconds(61)).expect("it can be cancelled");
    assert_eq!(sim.update_job_status(&id, "Cancelled", seconds(62)).unwrap_err().code(), "JobStatusException");
    let cancelled = sim.describe_job(&id, seconds(900)).expect("there is such a job");
    assert_eq!((cancelled.status, cancelled.progress()), (JobStatus::Cancelled, (1, 0)));
    text(&sim, &format!("reports/job-{id}/manifest.json"));

    sim.set_faults(vec![FaultRule::new("JobTask", "JobFailed").on("?eep")]);
    let mut second = job("u", "b,it_deep\nb,deep\n", &mut sim);
    (second.confirmation_required, second.days) = (false, None);
    let id = sim.create_job(second, start()).expect("it is a job");
    let failed = sim.describe_job(&id, seconds(900)).expect("there is such a job");
    assert_eq!((failed.status, failed.progress()), (JobStatus::Failed, (1, 0)));
}
