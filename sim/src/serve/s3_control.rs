//! The API of S3 Batch Operations (REST-XML, version 2018-08-20), as far as restores need it.

use super::shared::Shared;
use crate::model::{ApiError, Job, JobRequest, ObjectRef, RetrievalTier};
use hyper::Method;
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

const VERSION: &str = "/v20180820/jobs";

/// Whether a request is one to this API, which shares S3's port.
pub(super) fn is_jobs_path(path: &str) -> bool {
    path.starts_with(VERSION)
}

/// Answers a request: the XML of the answer.
pub(super) fn call(shared: &Shared, method: &Method, path: &str, query: &str, body: &[u8]) -> Result<String, ApiError> {
    let now = shared.clock.now();
    let path: Vec<&str> = path.trim_start_matches(VERSION).split('/').filter(|part| !part.is_empty()).collect();
    let answer = match (method.as_str(), path.as_slice()) {
        ("POST", []) => {
            let id = shared.sim().create_job(read(body)?, now)?;
            Ok(format!("<CreateJobResult><JobId>{id}</JobId></CreateJobResult>"))
        }
        ("GET", [id]) => {
            let job = shared.sim().describe_job(id, now)?;
            Ok(format!("<DescribeJobResult><Job>{}</Job></DescribeJobResult>", descriptor(&job)))
        }
        ("POST", [id, "status"]) => {
            let wanted = query.split('&').find_map(|pair| pair.strip_prefix("requestedJobStatus="));
            let wanted = wanted.unwrap_or_default();
            shared.sim().update_job_status(id, wanted, now)?;
            Ok(format!(
                "<UpdateJobStatusResult><JobId>{id}</JobId><Status>{}</Status></UpdateJobStatusResult>",
                escape(wanted)
            ))
        }
        (_, _) => {
            Err(ApiError::new("NoSuchOperation", 404, "the simulator does not know this operation of S3 Control"))
        }
    };
    shared.changed.notify_one();
    answer
}

/// How this API says no: its errors are wrapped once more than S3's.
pub(super) fn error(api_error: &ApiError, request_id: &str) -> String {
    let (code, message) = (escape(api_error.code()), escape(api_error.message()));
    format!(
        "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
}

fn descriptor(job: &Job) -> String {
    let (succeeded, failed) = job.progress();
    let why = escape(&job.why);
    let why = if job.why.is_empty() {
        String::new()
    } else {
        format!(
            "<FailureReasons><member><FailureCode>Scripted</FailureCode><FailureReason>{why}</FailureReason></member></FailureReasons>"
        )
    };
    format!(
        "<JobId>{}</JobId><Description>{}</Description><Status>{}</Status><ProgressSummary><TotalNumberOfTasks>{}</TotalNumberOfTasks><NumberOfTasksSucceeded>{succeeded}</NumberOfTasksSucceeded><NumberOfTasksFailed>{failed}</NumberOfTasksFailed></ProgressSummary>{why}",
        job.id,
        escape(&job.request.description),
        job.status.as_str(),
        job.tasks.len(),
    )
}

/// Reads the body of a `CreateJob`.
fn read(body: &[u8]) -> Result<JobRequest, ApiError> {
    let elements = elements(body)?;
    let all = |name: &str| {
        let name = name.to_owned();
        elements.iter().filter(move |(path, _)| path.ends_with(&name)).map(|(_, text)| text.as_str())
    };
    let text = |name: &str| all(name).next().map(str::to_owned);
    let need = |name: &str| text(name).ok_or_else(|| bad(format!("{name} is missing")));
    if !elements.iter().any(|(path, _)| path.contains("/S3InitiateRestoreObject")) {
        return Err(bad("the simulator's jobs only restore".to_owned()));
    }
    if text("/Report/ReportScope").as_deref() != Some("FailedTasksOnly") {
        return Err(bad("the simulator's reports are about failed tasks only".to_owned()));
    }
    need("/RoleArn")?;
    need("/Priority")?;
    let tier = match text("/GlacierJobTier").as_deref() {
        Some("BULK") => RetrievalTier::Bulk,
        Some("STANDARD") | None => RetrievalTier::Standard,
        Some(_) => RetrievalTier::Expedited,
    };
    let list = need("/Location/ObjectArn")?;
    let list = list.strip_prefix("arn:aws:s3:::").and_then(|rest| rest.split_once('/'));
    let (bucket, key) = list.ok_or_else(|| bad("the ARN of the manifest is none".to_owned()))?;
    let fields: Vec<&str> = all("/Fields/member").collect();
    if fields.first() != Some(&"Bucket") || fields.get(1) != Some(&"Key") {
        return Err(bad(format!("the simulator cannot read manifests with the fields {fields:?}")));
    }
    Ok(JobRequest {
        token: need("/ClientRequestToken")?,
        description: text("/Description").unwrap_or_default(),
        manifest: ObjectRef::new(bucket, key),
        etag: need("/Location/ETag")?,
        versions: fields.get(2) == Some(&"VersionId"),
        days: text("/ExpirationInDays").and_then(|days| days.parse().ok()),
        tier,
        report_bucket: need("/Report/Bucket")?.trim_start_matches("arn:aws:s3:::").to_owned(),
        report_prefix: text("/Report/Prefix").unwrap_or_default(),
        confirmation_required: text("/ConfirmationRequired").as_deref() == Some("true"),
    })
}

/// The elements that hold text, each with the path to it; empty ones too.
fn elements(body: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let malformed = |_: quick_xml::Error| bad("the body is no XML".to_owned());
    let mut reader = Reader::from_reader(body);
    let (mut path, mut content, mut found) = (Vec::new(), String::new(), Vec::new());
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(start) => {
                path.push(String::from_utf8_lossy(start.local_name().as_ref()).into_owned());
                content.clear();
            }
            Event::Text(piece) => content.push_str(&piece.decode().map_err(|error| malformed(error.into()))?),
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|error| malformed(error.into()))?;
                let whole = format!("&{name};");
                content.push_str(&quick_xml::escape::unescape(&whole).map_err(|error| malformed(error.into()))?);
            }
            Event::End(_) => {
                found.push((format!("/{}", path.join("/")), std::mem::take(&mut content)));
                path.pop();
            }
            Event::Eof => return Ok(found),
            Event::Empty(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
}

fn bad(message: String) -> ApiError {
    ApiError::new("BadRequestException", 400, message)
}
