//! How jobs of S3 Batch Operations are created, confirmed and cancelled, and what they do meanwhile.

use super::fault::FaultTiming;
use super::job::{Job, JobRequest, JobStatus, JobTask};
use super::object::PutRequest;
use super::random::{hash, name};
use super::restore::{RestoreRequest, RetrievalTier};
use super::storage_class::StorageClass;
use super::{ApiError, ObjectRef, Sim};
use jiff::Timestamp;
use serde_json::json;
use std::fmt::Write;

impl Sim {
    /// `CreateJob`. The same token with the same request answers the same job.
    pub fn create_job(&mut self, request: JobRequest, now: Timestamp) -> Result<String, ApiError> {
        self.run_jobs(now);
        let list = request.manifest.key.clone();
        self.call("CreateJob", &[&list], |sim| {
            if request.tier == RetrievalTier::Expedited {
                // User Guide, "Restore objects with Batch Operations". Its words are not documented.
                return Err(bad_request("S3 Batch Operations does not support the EXPEDITED retrieval tier"));
            }
            if let Some(job) = sim.jobs.iter().find(|job| job.request.token == request.token) {
                let other = || ApiError::new("IdempotencyException", 400, "The token belongs to another request");
                return if job.request == request { Ok(job.id.clone()) } else { Err(other()) };
            }
            sim.bucket(&request.manifest.bucket).map_err(|_| bad_request("There is no such bucket for a manifest"))?;
            let id = name(hash(sim.settings.seed, &[&request.token]), 32).to_lowercase();
            sim.jobs.push(Job {
                id: id.clone(),
                request,
                status: JobStatus::Preparing,
                created: now,
                why: String::new(),
                tasks: Vec::new(),
                active_since: None,
                asked: 0,
            });
            Ok(id)
        })
    }

    /// `DescribeJob`.
    pub fn describe_job(&mut self, id: &str, now: Timestamp) -> Result<Job, ApiError> {
        self.run_jobs(now);
        self.call("DescribeJob", &[id], |sim| sim.jobs.iter().find(|job| job.id == id).cloned().ok_or_else(no_such_job))
    }

    /// `UpdateJobStatus`, to `Ready` or `Cancelled`.
    pub fn update_job_status(&mut self, id: &str, wanted: &str, now: Timestamp) -> Result<(), ApiError> {
        self.run_jobs(now);
        self.call("UpdateJobStatus", &[id], |sim| {
            let index = sim.jobs.iter().position(|job| job.id == id).ok_or_else(no_such_job)?;
            let job = &mut sim.jobs[index];
            match (wanted, job.status) {
                ("Ready", JobStatus::Suspended) => {
                    (job.status, job.active_since) = (JobStatus::Active, Some(now));
                    Ok(())
                }
                ("Cancelled", JobStatus::Preparing | JobStatus::Suspended | JobStatus::Active) => {
                    job.status = JobStatus::Cancelled;
                    "on request".clone_into(&mut job.why);
                    let job = job.clone();
                    sim.report(&job, now);
                    Ok(())
                }
                (_, status) => {
                    let message = format!("A job that is {} cannot become {wanted}", status.as_str());
                    Err(ApiError::new("JobStatusException", 400, message))
                }
            }
        })
    }

    /// All jobs, in the order of their creation.
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// Lets jobs do what they do by now. Whoever reads or changes what a job may have changed calls this first.
    pub fn run_jobs(&mut self, now: Timestamp) {
        let mut jobs = std::mem::take(&mut self.jobs);
        for job in &mut jobs {
            while let Some(at) = self.job_next_at(job).filter(|at| *at <= now) {
                match job.status {
                    JobStatus::Preparing => self.prepare(job, at),
                    JobStatus::Active => self.run_tasks(job, now),
                    JobStatus::Suspended | JobStatus::Complete | JobStatus::Failed | JobStatus::Cancelled => break,
                }
                if job.status.is_over() {
                    self.report(job, at);
                }
            }
        }
        self.jobs = jobs;
    }

    /// When a job does something next.
    pub(crate) fn next_job_at(&self) -> Option<Timestamp> {
        self.jobs.iter().filter_map(|job| self.job_next_at(job)).min()
    }

    fn job_next_at(&self, job: &Job) -> Option<Timestamp> {
        job.next_at(self.settings.job_prepare_seconds, self.settings.job_task_millis)
    }

    fn prepare(&mut self, job: &mut Job, at: Timestamp) {
        let failure = match self.faults.inject("RunJob", &[&job.request.manifest.key]) {
            Some((_, api_error)) => Err(api_error),
            None => self.tasks_of(&job.request, at),
        };
        match failure {
            Ok(tasks) => {
                job.tasks = tasks;
                if job.request.confirmation_required {
                    job.status = JobStatus::Suspended;
                } else {
                    (job.status, job.active_since) = (JobStatus::Active, Some(at));
                }
            }
            Err(api_error) => (job.status, job.why) = (JobStatus::Failed, api_error.to_string()),
        }
    }

    /// The objects of a list.
    fn tasks_of(&self, request: &JobRequest, at: Timestamp) -> Result<Vec<JobTask>, ApiError> {
        let head = self.read(&request.manifest, at)?;
        if head.etag != request.etag.trim_matches('"') {
            return Err(ApiError::new("ManifestReadFailed", 400, "The manifest has another ETag"));
        }
        let text = String::from_utf8_lossy(&head.content.body).into_owned();
        text.lines().map(|line| task_of(line, request.versions)).collect()
    }

    fn run_tasks(&mut self, job: &mut Job, now: Timestamp) {
        while let Some(at) = job.next_at(0, self.settings.job_task_millis).filter(|at| *at <= now) {
            let Some(object) = job.tasks.get(job.asked).map(|task| task.object.clone()) else {
                job.status = JobStatus::Complete;
                return;
            };
            let fault = self.faults.inject("JobTask", &[&object.key]);
            if let Some((FaultTiming::Before, api_error)) = &fault
                && api_error.code() == "JobFailed"
            {
                (job.status, job.why) = (JobStatus::Failed, api_error.to_string());
                return;
            }
            let said = match fault {
                Some((FaultTiming::Before, api_error)) => Err(api_error),
                other => {
                    job.tasks[job.asked].before = self.copy_until(&object, at);
                    let restore = RestoreRequest { object, days: job.request.days, tier: Some(job.request.tier) };
                    let said = self.restore_for_job(&restore, at);
                    other.map_or(said, |(_, api_error)| Err(api_error))
                }
            };
            job.tasks[job.asked].said = Some((at, said));
            job.asked += 1;
        }
    }

    /// Writes the report. There is none of a job that has not asked for anything.
    fn report(&mut self, job: &Job, at: Timestamp) {
        if job.tasks.iter().all(|task| task.said.is_none()) {
            return;
        }
        let mut lines = String::new();
        for task in &job.tasks {
            let Some((_, Err(api_error))) = &task.said else { continue };
            let version = task.object.version.as_deref().unwrap_or_default();
            let message = api_error.message().replace('"', "\"\"");
            let (bucket, key) = (&task.object.bucket, &task.line_key);
            let (code, status) = (api_error.code(), api_error.status());
            let _ = writeln!(lines, "{bucket},{key},{version},failed,{code},{status},\"{message}\"");
        }
        let folder = format!("{}/job-{}", job.request.report_prefix, job.id);
        let mut results = Vec::new();
        if !lines.is_empty() {
            let key = format!("{folder}/results/{:x}.csv", hash(0, &[&lines]));
            results.push(json!({"TaskExecutionStatus": "failed", "Bucket": job.request.report_bucket, "MD5Checksum": "", "Key": key}));
            self.write(&job.request.report_bucket, &key, lines, at);
        }
        let manifest = json!({
            "Format": "Report_CSV_20180820", "ReportCreationDate": at.to_string(), "Results": results,
            "ReportSchema": "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage",
        });
        self.write(&job.request.report_bucket, &format!("{folder}/manifest.json"), manifest.to_string(), at);
    }

    fn write(&mut self, bucket: &str, key: &str, body: String, at: Timestamp) {
        // Nobody is told of a report whose bucket is gone.
        let _no_bucket = self.put_object(PutRequest::new(bucket, key, StorageClass::Standard, body), at);
    }
}

fn task_of(line: &str, versions: bool) -> Result<JobTask, ApiError> {
    let unreadable = || ApiError::new("InvalidManifest", 400, format!("The manifest has the line {line:?}"));
    let mut fields = line.split(',');
    let (bucket, key) = (fields.next().ok_or_else(unreadable)?, fields.next().ok_or_else(unreadable)?);
    let version = if versions { Some(fields.next().ok_or_else(unreadable)?) } else { None };
    if fields.next().is_some() {
        return Err(unreadable());
    }
    let object = ObjectRef::version(bucket, &decoded(key).ok_or_else(unreadable)?, version);
    Ok(JobTask { object, line_key: key.to_owned(), before: None, said: None })
}

/// Text without its percent encoding.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(if byte == b'+' { b' ' } else { byte });
        }
    }
    String::from_utf8(bytes).ok()
}

fn bad_request(message: &'static str) -> ApiError {
    ApiError::new("BadRequestException", 400, message)
}

fn no_such_job() -> ApiError {
    // As the service model names it; it says no status, and a client's error without one is a 400.
    ApiError::new("NotFoundException", 400, "The specified job does not exist")
}
