//! Jobs of S3 Batch Operations: which objects they request, the lines of a job's list and of its report, and what thaw
//! does next about a job ([`next_move`]).

use std::str::Utf8Error;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::{ArchiveKind, CallError, Decision, ObjectId, RestoreAnswer, Tier};

/// The default limit for a restore without jobs: a restore of more archived objects uses S3 Batch Operations. thaw itself
/// requests so many objects in an hour and a half.
pub const BATCH_OPERATIONS_OVER: u64 = 5_000_000;

/// The most objects in a job. S3 allows four billion (User Guide, "S3 Batch Operations"). But one function writes a job's
/// list: it reads 200 chunks in some of its fifteen minutes, and with the longest keys it writes 31 GB, of the 84 GB that
/// an upload of 10,000 parts of 8 MiB holds.
pub const OBJECTS_PER_JOB: u64 = 10_000_000;

/// The rate that a job has at least, in objects per second: a tenth of the 1,000 restores per second that S3 accepts from an
/// account.
const SLOWEST: u64 = 100;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// Whether S3 Batch Operations offers this tier (API reference, `S3InitiateRestoreObjectOperation`).
pub(crate) fn is_offered(tier: Tier) -> bool {
    match tier {
        Tier::Bulk | Tier::Standard => true,
        Tier::Expedited => false,
    }
}

/// Whether jobs request the archived objects: if the request says so, and if it says nothing, for more than `over` objects.
///
/// At Expedited thaw always requests them itself.
pub fn is_asked_by_jobs(tier: Tier, requested: Option<bool>, archived: u64, over: u64) -> bool {
    is_offered(tier) && archived > 0 && requested.unwrap_or(archived > over)
}

/// Which objects may share a job.
///
/// A job has one number of days for all of its objects, and S3 refuses days for Intelligent-Tiering. A list has the
/// versions of all its objects or of none (User Guide, "Specifying a manifest").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobGroup {
    /// Whether restoring them makes copies, which have days.
    pub copies: bool,
    /// Whether the list has their versions.
    pub versions: bool,
}

impl JobGroup {
    /// Every group.
    pub const ALL: [Self; 4] = [
        Self { copies: true, versions: false },
        Self { copies: true, versions: true },
        Self { copies: false, versions: false },
        Self { copies: false, versions: true },
    ];

    /// The group of an object; `None` if no job requests it.
    ///
    /// Jobs request archived objects only. Objects that S3 is fetching already, or that have a copy, are requested by thaw
    /// itself: S3 has several answers for them, and the report of a job has failures only.
    pub fn of(decision: Decision, kind: Option<ArchiveKind>, version: Option<&str>) -> Option<Self> {
        match decision {
            Decision::Restore => {
                let copies = kind.is_none_or(ArchiveKind::has_copy);
                Some(Self { copies, versions: version.is_some() })
            }
            Decision::Extend | Decision::Join | Decision::Watch | Decision::Publish | Decision::Nothing => None,
        }
    }

    /// Its name in files and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self { copies: true, versions: false } => "copies",
            Self { copies: true, versions: true } => "copies-of-versions",
            Self { copies: false, versions: false } => "intelligent",
            Self { copies: false, versions: true } => "intelligent-versions",
        }
    }

    /// An object's line in a job's list. Characters with a meaning in CSV are percent-encoded. A space is `%20`, which is
    /// a space with form decoding and without.
    pub fn line(self, object: &ObjectId) -> String {
        /// All characters but those that S3 leaves unencoded in the keys of its listings.
        const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/');
        let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let version = object.version.as_deref().filter(|_| self.versions);
        let version = version.map_or_else(String::new, |version| format!(",{}", encoded(version)));
        format!("{},{}{version}\n", object.bucket, encoded(&object.key))
    }
}

/// Splits a plan's chunks, given as their numbers of objects, into parts of at most `most` objects. Returns the number of
/// the first chunk of each part.
pub fn parts(chunks: impl IntoIterator<Item = u64>, most: u64) -> Vec<u32> {
    let (mut starts, mut objects) = (Vec::new(), 0);
    for (number, count) in (0..).zip(chunks) {
        if starts.is_empty() || objects + count > most {
            starts.push(number);
            objects = 0;
        }
        objects += count;
    }
    starts
}

/// The status of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// It waits to be confirmed.
    Suspended,
    /// It is being prepared, runs, or is about to end.
    Underway,
    /// It has requested every object of its list. S3 may still be fetching them.
    Complete,
    /// S3 has given up the job.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl JobStatus {
    /// Reads S3's word (API reference, `JobDescriptor`). An unknown word counts as a job that has not ended.
    pub fn read(word: &str) -> Self {
        match word {
            "Suspended" => Self::Suspended,
            "Complete" => Self::Complete,
            "Failed" => Self::Failed,
            "Cancelled" => Self::Cancelled,
            _ => Self::Underway,
        }
    }
}

/// S3's description of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its status.
    pub status: JobStatus,
    /// The number of objects for which S3 accepted the job's request.
    pub succeeded: u64,
    /// The number of objects for which S3 refused it.
    pub failed: u64,
    /// Why it failed or was cancelled, if S3 says.
    pub why: String,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEnd {
    /// It has requested all of its objects.
    Asked {
        /// The number of objects that S3 refused. They are in its report.
        refused: u64,
    },
    /// It has requested some of its objects, and it is unknown which. thaw requests the rest itself.
    Abandoned {
        /// Why, in words.
        why: String,
    },
}

/// What thaw does next about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobMove {
    /// Confirm it, so that it runs.
    Confirm,
    /// Poll it again later.
    Wait,
    /// Cancel it: it takes too long.
    Cancel,
    /// It has ended.
    Over(JobEnd),
}

/// What thaw does next about a job with `listed` objects in its list. `job` is `None` if S3 does not know the job.
///
/// `ahead` is the number of objects of all jobs that were created with it: they share one quota.
pub fn next_move(job: Option<&Job>, listed: u64, ahead: u64, created: Timestamp, now: Timestamp) -> JobMove {
    let age = age(created, now);
    let abandoned = |why: &str| JobMove::Over(JobEnd::Abandoned { why: why.to_owned() });
    let patience = DAY + ahead.max(listed) / SLOWEST;
    let Some(job) = job else {
        // S3 may not find a job shortly after it was created (User Guide, "Troubleshooting S3 Batch Operations").
        return if age < HOUR { JobMove::Wait } else { abandoned("S3 does not know the job any more") };
    };
    match job.status {
        JobStatus::Complete if job.succeeded + job.failed == listed => {
            JobMove::Over(JobEnd::Asked { refused: job.failed })
        }
        JobStatus::Complete => {
            let done = job.succeeded + job.failed;
            abandoned(&format!("S3 says that the job is complete after {done} of its {listed} objects"))
        }
        JobStatus::Failed => abandoned(&format!("S3 gave the job up: {}", job.why)),
        JobStatus::Cancelled => abandoned(&format!("the job was cancelled: {}", job.why)),
        JobStatus::Suspended | JobStatus::Underway if age >= patience + DAY => abandoned("the job does not end"),
        JobStatus::Suspended | JobStatus::Underway if age >= patience => JobMove::Cancel,
        JobStatus::Suspended => JobMove::Confirm,
        JobStatus::Underway => JobMove::Wait,
    }
}

/// Seconds until the next poll of jobs: a third of the elapsed time, at least a minute and at most six hours.
pub fn seconds_until_next_check(created: Timestamp, now: Timestamp) -> u64 {
    (age(created, now) / 3).clamp(60, 6 * HOUR)
}

fn age(created: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_second() - created.as_second()).unwrap_or(0)
}

/// thaw cannot read a job's report. It does not guess, because a wrong guess could lose an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the job's report is unreadable: {0}")]
pub struct UnreadableReport(String);

impl From<Utf8Error> for UnreadableReport {
    fn from(error: Utf8Error) -> Self {
        Self(error.to_string())
    }
}

/// The keys of the files with a job's failed tasks, from the `manifest.json` of its report (User Guide, "Examples: S3 Batch
/// Operations completion reports"). Fails if one is not in `bucket` under `prefix`, which the job was given for its report.
pub fn failed_reports(manifest: &[u8], bucket: &str, prefix: &str) -> Result<Vec<String>, UnreadableReport> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Manifest {
        results: Vec<File>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct File {
        task_execution_status: String,
        bucket: String,
        key: String,
    }
    let manifest: Manifest =
        serde_json::from_slice(manifest).map_err(|error| UnreadableReport(format!("manifest.json: {error}")))?;
    let failed = manifest.results.into_iter().filter(|file| file.task_execution_status == "failed");
    failed
        .map(|file| {
            let is_ours = file.bucket == bucket && file.key.starts_with(prefix);
            let elsewhere = || UnreadableReport(format!("it lies in s3://{}/{}", file.bucket, file.key));
            is_ours.then(|| file.key.clone()).ok_or_else(elsewhere)
        })
        .collect()
}

/// An object for which S3 refused a job's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTask {
    /// The object.
    pub object: ObjectId,
    /// S3's answer; an error is an answer that a retry may change.
    pub answer: Result<RestoreAnswer, CallError>,
}

/// Reads a report's file of failed tasks, in pieces of any length.
#[derive(Debug, Default)]
pub struct ReportReader {
    record: Vec<u8>,
    is_quoted: bool,
}

/// The most bytes of a report's line, which has an encoded key and S3's message.
const MAX_RECORD_BYTES: usize = 64 * 1024;

impl ReportReader {
    /// The next task that ends in these bytes. Removes the bytes it has read from `bytes`: all of them if it returns `None`.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<FailedTask>, UnreadableReport> {
        while let [first, rest @ ..] = *bytes {
            *bytes = rest;
            if *first == b'\n' && !self.is_quoted {
                if let Some(task) = self.finish()? {
                    return Ok(Some(task));
                }
                continue;
            }
            // Two quotation marks in a row are an escaped one: the second undoes the first.
            self.is_quoted ^= *first == b'"';
            if self.record.len() == MAX_RECORD_BYTES {
                return Err(UnreadableReport(format!("a line is longer than {MAX_RECORD_BYTES} bytes")));
            }
            self.record.push(*first);
        }
        Ok(None)
    }

    /// The last task, if its line has no line break.
    pub fn finish(&mut self) -> Result<Option<FailedTask>, UnreadableReport> {
        let record = std::mem::take(&mut self.record);
        let record = std::str::from_utf8(&record)?.trim_end_matches('\r');
        if record.is_empty() { Ok(None) } else { task(&fields(record)).map(Some) }
    }
}

fn fields(record: &str) -> Vec<String> {
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = record.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

/// The task of a line. The schema is Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage, but
/// the User Guide's examples have the status before the code. So the field that is a number is read as the status.
fn task(fields: &[String]) -> Result<FailedTask, UnreadableReport> {
    let [bucket, key, version, _, fifth, sixth, message @ ..] = fields else {
        return Err(UnreadableReport(format!("a line has {} fields", fields.len())));
    };
    let (code, status) = match (fifth.parse::<u16>(), sixth.parse::<u16>()) {
        (Ok(status), Err(_)) => (sixth, status),
        (_, Ok(status)) => (fifth, status),
        (Err(_), Err(_)) => (fifth, 0),
    };
    // The task has failed, even if its HTTP status is a success.
    let status = if status < 300 { 0 } else { status };
    let message = message.join(",");
    let code = code_in(&message).filter(|_| code.is_empty() || code == "PermanentFailure").unwrap_or(code);
    let key = percent_decode_str(&key.replace('+', " ")).decode_utf8()?.into_owned();
    let version = Some(percent_decode_str(version).decode_utf8()?.into_owned()).filter(|version| !version.is_empty());
    let object = ObjectId { bucket: bucket.clone(), key, version };
    Ok(FailedTask { object, answer: RestoreAnswer::read(status, code, &message) })
}

/// S3's error code in a message of the AWS SDK for Java, with which S3 Batch Operations is written.
fn code_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("Error Code: ")?;
    Some(rest.split([';', ')', ',']).next().unwrap_or(rest).trim())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(key: &str, version: Option<&str>) -> ObjectId {
        ObjectId { bucket: "b".to_owned(), key: key.to_owned(), version: version.map(str::to_owned) }
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::from_second(i64::try_from(second).unwrap()).unwrap()
    }

    #[test]
    fn jobs_are_used_if_the_request_says_so_or_for_many_objects() {
        for (tier, requested, archived, expected) in [
            (Tier::Standard, None, 10, false),
            (Tier::Standard, None, 11, true),
            (Tier::Standard, Some(true), 1, true),
            (Tier::Standard, Some(true), 0, false),
            (Tier::Standard, Some(false), 11, false),
            (Tier::Bulk, None, 11, true),
            (Tier::Expedited, None, 11, false),
            (Tier::Expedited, Some(false), 11, false),
        ] {
            assert_eq!(is_asked_by_jobs(tier, requested, archived, 10), expected, "{tier:?} {requested:?} {archived}");
        }
    }

    #[test]
    fn jobs_request_archived_objects_only_and_every_group_has_its_name() {
        let of = |decision, kind, version| JobGroup::of(decision, kind, version).map(JobGroup::as_str);
        let flexible = Some(ArchiveKind::Flexible);
        for (kind, version, word) in [
            (flexible, None, "copies"),
            (Some(ArchiveKind::Deep), Some("v"), "copies-of-versions"),
            (Some(ArchiveKind::ItArchive), None, "intelligent"),
            (Some(ArchiveKind::ItDeep), Some("v"), "intelligent-versions"),
        ] {
            assert_eq!(of(Decision::Restore, kind, version), Some(word));
        }
        for decision in [Decision::Extend, Decision::Join, Decision::Watch, Decision::Publish, Decision::Nothing] {
            assert_eq!(of(decision, flexible, None), None, "{decision:?}");
        }
    }

    #[test]
    fn a_line_has_no_character_with_a_meaning_in_csv_or_in_forms() {
        let [copies, versions, ..] = JobGroup::ALL;
        for (key, line) in [
            ("2019/cat.jpg", "b,2019/cat.jpg\n"),
            ("a b+c,\"d\"%\n", "b,a%20b%2Bc%2C%22d%22%25%0A\n"),
            ("ü", "b,%C3%BC\n"),
        ] {
            assert_eq!(copies.line(&object(key, None)), line);
        }
        assert_eq!(versions.line(&object("k", Some("v.1_2"))), "b,k,v.1_2\n");
    }

    #[test]
    fn a_part_has_at_most_the_objects_of_a_job_and_at_least_one_chunk() {
        assert_eq!(parts([], 10), [0_u32; 0]);
        assert_eq!(parts([4, 4, 4, 2, 11, 1], 10), [0, 2, 4, 5]);
        assert_eq!(parts([5, 5], 10), [0]);
    }

    #[test]
    fn every_status_of_a_job_has_its_move() {
        let job = |word: &str, succeeded, failed| {
            Some(Job { status: JobStatus::read(word), succeeded, failed, why: "why".to_owned() })
        };
        let moved = |job: Option<Job>, seconds| next_move(job.as_ref(), 10, 1_000, at(0), at(seconds));
        let abandoned = |why: &str| JobMove::Over(JobEnd::Abandoned { why: why.to_owned() });
        let patience = DAY + 10;
        for (job, seconds, expected) in [
            (None, HOUR - 1, JobMove::Wait),
            (None, HOUR, abandoned("S3 does not know the job any more")),
            (job("New", 0, 0), 0, JobMove::Wait),
            (job("Preparing", 0, 0), 0, JobMove::Wait),
            (job("A status of next year", 0, 0), 0, JobMove::Wait),
            (job("Suspended", 0, 0), patience - 1, JobMove::Confirm),
            (job("Active", 3, 1), patience - 1, JobMove::Wait),
            (job("Active", 3, 1), patience, JobMove::Cancel),
            (job("Suspended", 0, 0), patience, JobMove::Cancel),
            (job("Cancelling", 0, 0), patience + DAY, abandoned("the job does not end")),
            (job("Complete", 8, 2), DAY * 9, JobMove::Over(JobEnd::Asked { refused: 2 })),
            (job("Complete", 8, 1), 0, abandoned("S3 says that the job is complete after 9 of its 10 objects")),
            (job("Failed", 0, 0), 0, abandoned("S3 gave the job up: why")),
            (job("Cancelled", 0, 0), 0, abandoned("the job was cancelled: why")),
        ] {
            assert_eq!(moved(job.clone(), seconds), expected, "{job:?} after {seconds} s");
        }
    }

    #[test]
    fn jobs_are_polled_after_a_third_of_the_elapsed_time() {
        for (seconds, next) in [(0, 60), (180, 60), (1_800, 600), (DAY, 6 * HOUR)] {
            assert_eq!(seconds_until_next_check(at(0), at(seconds)), next);
        }
        assert_eq!(seconds_until_next_check(at(100), at(0)), 60, "a clock that runs behind");
        // The checks of a job with a million objects, until thaw gives it up.
        let (mut now, mut checks) = (0, 0);
        while now < 2 * DAY + 1_000_000 / SLOWEST {
            now += seconds_until_next_check(at(0), at(now));
            checks += 1;
        }
        assert!(checks < 40, "{checks}");
    }

    #[test]
    fn files_of_a_report_outside_its_prefix_are_an_error() {
        let manifest = |bucket: &str| {
            let file = |status: &str, key: &str| json!({"TaskExecutionStatus": status, "Bucket": bucket, "Key": key});
            let results = [file("succeeded", "p/1.csv"), file("failed", "p/2.csv")];
            json!({"Format": "Report_CSV_20180820", "Results": results}).to_string()
        };
        assert_eq!(failed_reports(manifest("w").as_bytes(), "w", "p/"), Ok(vec!["p/2.csv".to_owned()]));
        for (manifest, bucket, prefix) in
            [(manifest("w"), "x", "p/"), (manifest("w"), "w", "q/"), (String::new(), "w", "p/")]
        {
            assert!(failed_reports(manifest.as_bytes(), bucket, prefix).is_err());
        }
    }

    fn read(report: &str, piece: usize) -> Result<Vec<FailedTask>, UnreadableReport> {
        let (mut reader, mut tasks) = (ReportReader::default(), Vec::new());
        for mut bytes in report.as_bytes().chunks(piece) {
            while let Some(task) = reader.next(&mut bytes)? {
                tasks.push(task);
            }
        }
        tasks.extend(reader.finish()?);
        Ok(tasks)
    }

    #[test]
    fn failed_tasks_are_read_whatever_pieces_they_come_in() {
        let report = "b,a%20b,v1,failed,RestoreAlreadyInProgress,409,Object restore is already in progress\n\
            b,c+d,,failed,404,NoSuchKey,\"He said \"\"no\"\",\nthen left\"\r\n\n\
            b,e,,failed,503,SlowDown,";
        let refused = |code: &str, message: &str| {
            Ok(RestoreAnswer::Refused { code: code.to_owned(), message: message.to_owned() })
        };
        let expected = [
            FailedTask { object: object("a b", Some("v1")), answer: Ok(RestoreAnswer::InProgress) },
            FailedTask { object: object("c d", None), answer: refused("NoSuchKey", "He said \"no\",\nthen left") },
            FailedTask { object: object("e", None), answer: Err(CallError::Throttled) },
        ];
        for piece in [1, 7, 1_000] {
            assert_eq!(read(report, piece).unwrap(), expected, "{piece}");
        }
    }

    #[test]
    fn every_field_of_a_report_may_be_quoted_and_keys_may_have_the_full_length() {
        let key = "ü".repeat(512);
        let encoded = "%C3%BC".repeat(512);
        let line = format!("\"b\",\"{encoded}\",\"v\",\"failed\",\"400\",\"This, that\",\"why\"\n");
        let answer = RestoreAnswer::Refused { code: "This, that".to_owned(), message: "why".to_owned() };
        assert_eq!(read(&line, 7).unwrap(), [FailedTask { object: object(&key, Some("v")), answer: Ok(answer) }]);
    }

    #[test]
    fn a_failed_task_with_a_success_status_has_failed_and_its_message_may_have_the_code() {
        let answer = |line: &str| read(line, 9).unwrap().remove(0).answer;
        let line = "b,k,,failed,200,PermanentFailure,(Service: Amazon S3; Status Code: 403; Error Code: InvalidObjectState; Request ID: 1)";
        assert_eq!(answer(line), Ok(RestoreAnswer::NotArchived));
        let Ok(RestoreAnswer::Refused { code, .. }) = answer("b,k,,failed,200,PermanentFailure,odd") else { panic!() };
        assert_eq!(code, "PermanentFailure");
        let Ok(RestoreAnswer::Refused { code, .. }) = answer("b,k,,failed,,202,odd") else { panic!() };
        assert_eq!(code, "");
    }

    #[test]
    fn an_unreadable_report_is_an_error() {
        for report in ["b,k,,failed", "b,%FF,,failed,1,2,3", &"x".repeat(MAX_RECORD_BYTES + 1)] {
            assert!(read(report, 1_000).is_err(), "{report:.20}");
        }
    }
}
