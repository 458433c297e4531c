//! S3 Batch Operations: which objects its jobs ask for, what a job's list and its report say, and when it is over.

use std::str::Utf8Error;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::{ArchiveKind, CallError, Decision, ObjectId, RestoreAnswer, Tier};

/// Archived objects of a restore above which S3 Batch Operations asks for them, unless a parameter or the request says
/// otherwise. By itself thaw asks for so many in an hour and a half.
pub const BATCH_OPERATIONS_OVER: u64 = 5_000_000;

/// Objects in a job at most. S3 takes four billion (User Guide, "S3 Batch Operations"), but a list is written by one
/// function, which reads 200 chunks in some minutes of the fifteen that it has; and with the longest keys it has 31 GB, where an
/// upload of 10,000 parts of 8 MiB holds 84.
pub const OBJECTS_PER_JOB: u64 = 10_000_000;

/// What S3 takes at least from a job: a tenth of the 1,000 restores a second that it takes from an account.
const SLOWEST: u64 = 100;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// Whether jobs can ask at this tier (API reference, `S3InitiateRestoreObjectOperation`).
pub(crate) fn is_offered(tier: Tier) -> bool {
    match tier {
        Tier::Bulk | Tier::Standard => true,
        Tier::Expedited => false,
    }
}

/// Whether jobs ask for archived objects at a tier: if they are `wanted`, and where the request does not say, if there are more
/// than `over`.
///
/// At Expedited thaw asks by itself, however many there are.
pub fn is_asked_by_jobs(tier: Tier, wanted: Option<bool>, archived: u64, over: u64) -> bool {
    is_offered(tier) && archived > 0 && wanted.unwrap_or(archived > over)
}

/// Objects that may share a job.
///
/// S3 refuses the days of copies for Intelligent-Tiering, and a job says them once for all. A list names the versions of all
/// its objects or of none (User Guide, "Specifying a manifest").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobGroup {
    /// Whether a restore makes copies of them, for some days.
    pub copies: bool,
    /// Whether they are named with their versions.
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

    /// The group of an object; `None` if no job asks for it.
    ///
    /// A job asks for what is archived. What is on its way already, or has a copy, thaw asks for by itself: S3 has other
    /// answers than yes for those, which the report of a job's failures does not tell.
    pub fn of(decision: Decision, kind: Option<ArchiveKind>, version: Option<&str>) -> Option<Self> {
        match decision {
            Decision::Restore => {
                let copies = kind.is_none_or(ArchiveKind::has_copy);
                Some(Self { copies, versions: version.is_some() })
            }
            Decision::Extend | Decision::Join | Decision::Watch | Decision::Nothing => None,
        }
    }

    /// Names it in files and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self { copies: true, versions: false } => "copies",
            Self { copies: true, versions: true } => "copies-of-versions",
            Self { copies: false, versions: false } => "intelligent",
            Self { copies: false, versions: true } => "intelligent-versions",
        }
    }

    /// The line of a job's list that means an object. Whatever could mean something in CSV is encoded; a blank is `%20`,
    /// which is one to whoever decodes as forms do and to whoever does not.
    pub fn line(self, object: &ObjectId) -> String {
        /// What S3 leaves as it is in the keys of its listings.
        const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/');
        let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let version = object.version.as_deref().filter(|_| self.versions);
        let version = version.map_or_else(String::new, |version| format!(",{}", encoded(version)));
        format!("{},{}{version}\n", object.bucket, encoded(&object.key))
    }
}

/// Cuts a plan's chunks, of which the counts are known, into parts with a job's objects each: the first chunk of each.
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

/// Where a job stands, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// It waits to be confirmed.
    Suspended,
    /// It is being prepared, runs, or is about to end in some way.
    Underway,
    /// It has asked for every object of its list. That is not to say that any of them is restored.
    Complete,
    /// S3 has given it up.
    Failed,
    /// Somebody has cancelled it.
    Cancelled,
}

impl JobStatus {
    /// From S3's word (API reference, `JobDescriptor`). One that is new is waited for like any other that is no end.
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

/// What S3 says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Where it stands.
    pub status: JobStatus,
    /// Objects that S3 has begun to restore, or keeps longer, for it.
    pub succeeded: u64,
    /// Objects for which S3 said no.
    pub failed: u64,
    /// Why it failed or was cancelled, as far as S3 says.
    pub why: String,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEnd {
    /// It has asked for all of its objects, and so many were refused.
    Asked {
        /// Those in its report.
        refused: u64,
    },
    /// It has asked for some, nobody knows which. thaw asks for the rest by itself.
    Abandoned {
        /// Why, in words.
        why: String,
    },
}

/// What to do about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobMove {
    /// Let it run.
    Confirm,
    /// Look again later.
    Wait,
    /// Cancel it: it takes too long.
    Cancel,
    /// It is over.
    Over(JobEnd),
}

/// What to do about a job with so many objects in its list, from what S3 says of it; `None` if S3 does not know it.
///
/// `ahead` are the objects of all jobs that were created with it: S3 has one quota for all of them.
pub fn next_move(job: Option<&Job>, listed: u64, ahead: u64, created: Timestamp, now: Timestamp) -> JobMove {
    let age = age(created, now);
    let abandoned = |why: &str| JobMove::Over(JobEnd::Abandoned { why: why.to_owned() });
    let patience = DAY + ahead.max(listed) / SLOWEST;
    let Some(job) = job else {
        // S3 may not find a job that it made a moment ago (User Guide, "Troubleshooting S3 Batch Operations").
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

/// Seconds until it makes sense to ask about jobs again: a third of the time passed, a minute at least and six hours at most.
pub fn seconds_until_next_check(created: Timestamp, now: Timestamp) -> u64 {
    (age(created, now) / 3).clamp(60, 6 * HOUR)
}

fn age(created: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_second() - created.as_second()).unwrap_or(0)
}

/// A report says something that thaw cannot read. Guessing could lose an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the job's report is unreadable: {0}")]
pub struct UnreadableReport(String);

impl From<Utf8Error> for UnreadableReport {
    fn from(error: Utf8Error) -> Self {
        Self(error.to_string())
    }
}

/// The files with a job's failed tasks, from the `manifest.json` of its report (User Guide, "Examples: S3 Batch Operations
/// completion reports"). Files elsewhere than in `bucket` under `prefix`, where the job was told to report, are none of ours.
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

/// An object for which S3 said no to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTask {
    /// The object.
    pub object: ObjectId,
    /// What S3 answered; trouble is an answer that asking again may mend.
    pub answer: Result<RestoreAnswer, CallError>,
}

/// Reads a report's file of failed tasks, piece by piece.
#[derive(Debug, Default)]
pub struct ReportReader {
    record: Vec<u8>,
    is_quoted: bool,
}

/// Bytes of a report's line: a key, encoded, and S3's words.
const MAX_RECORD_BYTES: usize = 64 * 1024;

impl ReportReader {
    /// The next task that ends in these bytes. What is read of them is taken off; without a task, that is all.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<FailedTask>, UnreadableReport> {
        while let [first, rest @ ..] = *bytes {
            *bytes = rest;
            if *first == b'\n' && !self.is_quoted {
                if let Some(task) = self.finish()? {
                    return Ok(Some(task));
                }
                continue;
            }
            // Two of them in a row are one in the text, and change nothing.
            self.is_quoted ^= *first == b'"';
            if self.record.len() == MAX_RECORD_BYTES {
                return Err(UnreadableReport(format!("a line is longer than {MAX_RECORD_BYTES} bytes")));
            }
            self.record.push(*first);
        }
        Ok(None)
    }

    /// A last task whose line has no line break.
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

/// Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage: that is the schema, while the User Guide's
/// examples have the status before the code. So the number is the status.
fn task(fields: &[String]) -> Result<FailedTask, UnreadableReport> {
    let [bucket, key, version, _, one, other, message @ ..] = fields else {
        return Err(UnreadableReport(format!("a line has {} fields", fields.len())));
    };
    let (code, status) = match (one.parse::<u16>(), other.parse::<u16>()) {
        (Ok(status), Err(_)) => (other, status),
        (_, Ok(status)) => (one, status),
        (Err(_), Err(_)) => (one, 0),
    };
    // Whatever it says of HTTP, the task has failed.
    let status = if status < 300 { 0 } else { status };
    let message = message.join(",");
    let code = code_in(&message).filter(|_| code.is_empty() || code == "PermanentFailure").unwrap_or(code);
    let key = percent_decode_str(&key.replace('+', " ")).decode_utf8()?.into_owned();
    let version = Some(percent_decode_str(version).decode_utf8()?.into_owned()).filter(|version| !version.is_empty());
    let object = ObjectId { bucket: bucket.clone(), key, version };
    Ok(FailedTask { object, answer: RestoreAnswer::read(status, code, &message) })
}

/// S3's name for an error in the words of the SDK for Java, which S3 Batch Operations is written with.
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
    fn jobs_ask_where_the_request_says_so_or_where_the_objects_are_many() {
        for (tier, wanted, archived, expected) in [
            (Tier::Standard, None, 10, false),
            (Tier::Standard, None, 11, true),
            (Tier::Standard, Some(true), 1, true),
            (Tier::Standard, Some(true), 0, false),
            (Tier::Standard, Some(false), 11, false),
            (Tier::Bulk, None, 11, true),
            (Tier::Expedited, None, 11, false),
            (Tier::Expedited, Some(false), 11, false),
        ] {
            assert_eq!(is_asked_by_jobs(tier, wanted, archived, 10), expected, "{tier:?} {wanted:?} {archived}");
        }
    }

    #[test]
    fn a_job_asks_for_what_is_archived_and_groups_are_named_apart() {
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
        for decision in [Decision::Extend, Decision::Join, Decision::Watch, Decision::Nothing] {
            assert_eq!(of(decision, flexible, None), None, "{decision:?}");
        }
    }

    #[test]
    fn a_line_has_nothing_in_it_that_csv_or_forms_could_take_for_something_else() {
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
    fn a_part_has_a_jobs_objects_at_most_and_a_chunk_at_least() {
        assert_eq!(parts([], 10), [0_u32; 0]);
        assert_eq!(parts([4, 4, 4, 2, 11, 1], 10), [0, 2, 4, 5]);
        assert_eq!(parts([5, 5], 10), [0]);
    }

    #[test]
    fn every_standing_of_a_job_has_its_move() {
        let job = |word: &str, succeeded, failed| {
            Some(Job { status: JobStatus::read(word), succeeded, failed, why: "why".to_owned() })
        };
        let moved = |job: Option<Job>, seconds| next_move(job.as_ref(), 10, 1_000, at(0), at(seconds));
        let abandoned = |why: &str| JobMove::Over(JobEnd::Abandoned { why: why.to_owned() });
        let patience = DAY + 10;
        for (known, seconds, expected) in [
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
            assert_eq!(moved(known.clone(), seconds), expected, "{known:?} after {seconds} s");
        }
    }

    #[test]
    fn jobs_are_looked_at_after_a_third_of_the_time_passed() {
        for (seconds, next) in [(0, 60), (180, 60), (1_800, 600), (DAY, 6 * HOUR)] {
            assert_eq!(seconds_until_next_check(at(0), at(seconds)), next);
        }
        assert_eq!(seconds_until_next_check(at(100), at(0)), 60, "a clock that runs behind");
        // Of a million objects, until they are given up.
        let (mut now, mut checks) = (0, 0);
        while now < 2 * DAY + 1_000_000 / SLOWEST {
            now += seconds_until_next_check(at(0), at(now));
            checks += 1;
        }
        assert!(checks < 40, "{checks}");
    }

    #[test]
    fn a_report_names_its_files_and_only_ours_are_read() {
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
    fn every_field_of_a_report_may_be_quoted_and_a_key_as_long_as_any() {
        let key = "ü".repeat(512);
        let encoded = "%C3%BC".repeat(512);
        let line = format!("\"b\",\"{encoded}\",\"v\",\"failed\",\"400\",\"This, that\",\"why\"\n");
        let answer = RestoreAnswer::Refused { code: "This, that".to_owned(), message: "why".to_owned() };
        assert_eq!(read(&line, 7).unwrap(), [FailedTask { object: object(&key, Some("v")), answer: Ok(answer) }]);
    }

    #[test]
    fn a_failed_task_is_no_success_whatever_status_it_names_and_its_words_may_hold_the_code() {
        let answer = |line: &str| read(line, 9).unwrap().remove(0).answer;
        let line = "b,k,,failed,200,PermanentFailure,(Service: Amazon S3; Status Code: 403; Error Code: InvalidObjectState; Request ID: 1)";
        assert_eq!(answer(line), Ok(RestoreAnswer::NotArchived));
        let Ok(RestoreAnswer::Refused { code, .. }) = answer("b,k,,failed,200,PermanentFailure,odd") else { panic!() };
        assert_eq!(code, "PermanentFailure");
        let Ok(RestoreAnswer::Refused { code, .. }) = answer("b,k,,failed,,202,odd") else { panic!() };
        assert_eq!(code, "");
    }

    #[test]
    fn what_is_no_report_is_an_error_and_never_a_guess() {
        for report in ["b,k,,failed", "b,%FF,,failed,1,2,3", &"x".repeat(MAX_RECORD_BYTES + 1)] {
            assert!(read(report, 1_000).is_err(), "{report:.20}");
        }
    }
}
