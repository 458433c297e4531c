//! S3 Batch Operations: jobs that ask S3 for many restores.

use aws_sdk_s3control::Client;
use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_s3control::error::BuildError;
use aws_sdk_s3control::operation::describe_job::DescribeJobOutput;
use aws_sdk_s3control::types::{
    JobManifest, JobManifestFieldName, JobManifestFormat, JobManifestLocation, JobManifestSpec, JobOperation,
    JobProgressSummary, JobReport, JobReportFormat, JobReportScope, RequestedJobStatus, S3GlacierJobTier,
    S3InitiateRestoreObjectOperation,
};
use thaw_core::{Job, JobStatus, Tier};
use thaw_steps::ports::{CreateJobs, CreatedJob, NewJob, PortError, ReadJobs, UpdateJobs};

use crate::error::{Answer, answer, port_error, unexpected};

/// Existing jobs.
#[derive(Debug, Clone)]
pub struct Jobs {
    client: Client,
    account: String,
}

impl Jobs {
    pub(crate) fn new(client: Client, account: String) -> Self {
        Self { client, account }
    }

    async fn update(&self, id: &str, status: RequestedJobStatus) -> Result<(), PortError> {
        let call = self.client.update_job_status().account_id(&self.account).job_id(id);
        match call.requested_job_status(status).send().await {
            Ok(_) => Ok(()),
            Err(error) => match answer(&error) {
                // The job is in no state that allows the change, or does not exist any more.
                Some(answer) if answer.code == "JobStatusException" || is_gone(&answer) => Ok(()),
                Some(_) | None => Err(port_error(format!("UpdateJobStatus of {id}"), &error)),
            },
        }
    }
}

impl ReadJobs for Jobs {
    async fn job(&self, id: &str) -> Result<Option<Job>, PortError> {
        match self.client.describe_job().account_id(&self.account).job_id(id).send().await {
            Ok(output) => Ok(read_job(&output)),
            Err(error) => match answer(&error) {
                Some(answer) if is_gone(&answer) => Ok(None),
                Some(_) | None => Err(port_error(format!("DescribeJob of {id}"), &error)),
            },
        }
    }
}

impl UpdateJobs for Jobs {
    async fn confirm_job(&self, id: &str) -> Result<(), PortError> {
        self.update(id, RequestedJobStatus::Ready).await
    }

    async fn cancel_job(&self, id: &str) -> Result<(), PortError> {
        self.update(id, RequestedJobStatus::Cancelled).await
    }
}

/// Whether S3 does not know the job. The service model names the error without an HTTP status (botocore, `s3control`,
/// "NotFoundException"), and S3's own name for it differs.
fn is_gone(answer: &Answer<'_>) -> bool {
    answer.status == 404 || matches!(answer.code, "NoSuchJob" | "NoSuchJobException" | "NotFoundException")
}

/// Creates jobs.
#[derive(Debug, Clone)]
pub struct NewJobs {
    jobs: Jobs,
    /// The role in which S3 works on the jobs.
    role: String,
    /// The bucket of their lists and reports.
    work_bucket: String,
}

impl NewJobs {
    pub(crate) fn new(jobs: Jobs, role: String, work_bucket: String) -> Self {
        Self { jobs, role, work_bucket }
    }
}

impl CreateJobs for NewJobs {
    async fn create_job(&self, job: &NewJob<'_>) -> Result<CreatedJob, PortError> {
        let what = || format!("CreateJob for s3://{}/{}", self.work_bucket, job.manifest);
        let manifest = manifest(job, &self.work_bucket).map_err(|error| unexpected(what(), error))?;
        let report = JobReport::builder()
            .bucket(format!("arn:aws:s3:::{}", self.work_bucket))
            .format(JobReportFormat::ReportCsv20180820)
            .enabled(true)
            .prefix(job.report)
            .report_scope(JobReportScope::FailedTasksOnly)
            .build();
        let sent = self
            .jobs
            .client
            .create_job()
            .account_id(&self.jobs.account)
            .client_request_token(job.token)
            .confirmation_required(true)
            .description(job.restore.as_str())
            .operation(JobOperation::builder().s3_initiate_restore_object(operation(job.days, job.tier)).build())
            .manifest(manifest)
            .report(report)
            .priority(PRIORITY)
            .role_arn(&self.role)
            .send()
            .await;
        match sent {
            Ok(output) => match output.job_id {
                Some(id) => Ok(CreatedJob::Accepted { id }),
                None => Err(unexpected(what(), "the answer has no job id")),
            },
            Err(error) => match answer(&error) {
                Some(answer) if answer.status >= 400 && answer.trouble().is_none() => {
                    Ok(CreatedJob::Refused { says: answer.to_string() })
                }
                Some(_) | None => Err(port_error(what(), &error)),
            },
        }
    }
}

/// The priority of the jobs. S3 prefers higher ones, and this leaves room on both sides for the jobs of others.
const PRIORITY: i32 = 10;

fn manifest(job: &NewJob<'_>, bucket: &str) -> Result<JobManifest, BuildError> {
    let spec = JobManifestSpec::builder()
        .format(JobManifestFormat::S3BatchOperationsCsv20180820)
        .fields(JobManifestFieldName::Bucket)
        .fields(JobManifestFieldName::Key);
    let spec = if job.group.versions { spec.fields(JobManifestFieldName::VersionId) } else { spec };
    let location = JobManifestLocation::builder()
        .object_arn(format!("arn:aws:s3:::{bucket}/{}", job.manifest))
        .e_tag(job.etag)
        .build()?;
    Ok(JobManifest::builder().spec(spec.build()?).location(location).build())
}

fn operation(days: Option<u32>, tier: Tier) -> S3InitiateRestoreObjectOperation {
    // The API refuses Expedited for jobs, and so does S3.
    let tier = match tier {
        Tier::Bulk => S3GlacierJobTier::Bulk,
        Tier::Standard => S3GlacierJobTier::Standard,
        Tier::Expedited => S3GlacierJobTier::from("EXPEDITED"),
    };
    let days = days.map(|days| i32::try_from(days).unwrap_or(i32::MAX));
    S3InitiateRestoreObjectOperation::builder().set_expiration_in_days(days).glacier_job_tier(tier).build()
}

/// The job of a `DescribeJob`; `None` if it describes none.
fn read_job(output: &DescribeJobOutput) -> Option<Job> {
    let job = output.job()?;
    let tasks = job.progress_summary();
    let count = |count: Option<i64>| count.and_then(|count| count.try_into().ok()).unwrap_or_default();
    let failures = job.failure_reasons().iter().filter_map(|failure| failure.failure_reason());
    let why: Vec<&str> = failures.chain(job.status_update_reason()).collect();
    Some(Job {
        status: JobStatus::read(job.status().map_or("", |status| status.as_str())),
        succeeded: count(tasks.and_then(JobProgressSummary::number_of_tasks_succeeded)),
        failed: count(tasks.and_then(JobProgressSummary::number_of_tasks_failed)),
        why: why.join("; "),
    })
}

/// Uses the endpoint without changes. The SDK puts the account's id in front of the host of a custom endpoint, which
/// does not resolve on this machine. This can go when the SDK leaves IP addresses and `localhost` alone.
#[derive(Debug)]
pub(crate) struct AsItIs(pub String);

impl ResolveEndpoint for AsItIs {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3control::types::{JobDescriptor, JobFailure, JobStatus as Status};
    use thaw_core::{JobGroup, RestoreId};

    use super::*;

    #[test]
    fn a_job_that_is_gone_is_known_by_its_code_whatever_the_status() {
        let gone = |status, code| is_gone(&Answer { status, code, message: "", region: "" });
        for code in ["NoSuchJob", "NoSuchJobException", "NotFoundException"] {
            assert!(gone(400, code) && gone(404, code), "{code}");
        }
        assert!(gone(404, "") && !gone(400, "") && !gone(400, "JobStatusException") && !gone(403, "AccessDenied"));
    }

    #[test]
    fn a_job_is_read_as_far_as_it_matters() {
        assert_eq!(read_job(&DescribeJobOutput::builder().build()), None);
        let tasks = JobProgressSummary::builder().number_of_tasks_succeeded(7).number_of_tasks_failed(2).build();
        let failure = JobFailure::builder().failure_code("C").failure_reason("no manifest").build();
        let job = JobDescriptor::builder().status(Status::Failed).progress_summary(tasks).failure_reasons(failure);
        let output = DescribeJobOutput::builder().job(job.build()).build();
        let expected = Job { status: JobStatus::Failed, succeeded: 7, failed: 2, why: "no manifest".to_owned() };
        assert_eq!(read_job(&output), Some(expected));
        // A job has no numbers before it is prepared.
        let job = JobDescriptor::builder().status(Status::Preparing).build();
        let output = DescribeJobOutput::builder().job(job).build();
        let expected = Job { status: JobStatus::Underway, succeeded: 0, failed: 0, why: String::new() };
        assert_eq!(read_job(&output), Some(expected));
    }

    #[test]
    fn jobs_without_copies_have_no_days_and_lists_name_versions_only_if_there_are_any() {
        assert_eq!(operation(None, Tier::Bulk).expiration_in_days(), None);
        let standard = operation(Some(3), Tier::Standard);
        assert_eq!(standard.expiration_in_days(), Some(3));
        assert_eq!(standard.glacier_job_tier().map(S3GlacierJobTier::as_str), Some("STANDARD"));
        let restore = RestoreId::try_from("r".to_owned()).unwrap();
        for (group, fields) in JobGroup::ALL.into_iter().zip([2, 3, 2, 3]) {
            let (token, list, etag, report) = ("t", "restores/r/jobs/1/list.csv", "e", "restores/r/jobs/1");
            let days = None;
            let job = NewJob { token, restore: &restore, manifest: list, etag, group, days, tier: Tier::Bulk, report };
            let manifest = manifest(&job, "work").unwrap();
            assert_eq!(manifest.spec().unwrap().fields().len(), fields);
            let location = manifest.location().unwrap();
            assert_eq!(
                (location.object_arn(), location.e_tag()),
                ("arn:aws:s3:::work/restores/r/jobs/1/list.csv", "e")
            );
        }
    }
}
