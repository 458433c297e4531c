//! CreateJobs: creates jobs of S3 Batch Operations that ask for the archived objects, one part of the objects per call.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{JobEnd, JobGroup, ObjectId, Status, seconds_until_next_check};
use tracing::{info, warn};

use crate::StepError;
use crate::ledger::chunks;
use crate::ledger::jobs::{self, JobRecord};
use crate::ledger::restores::{self, RestoreRecord};
use crate::ports::{CreateJobs, CreatedJob, Ledger, LongFiles, NewJob, Put, WorkFiles};
use crate::workflow::restore_id;

/// Bytes of a list that are uploaded at a time. S3 takes 10,000 parts for a file, of at least 5 MiB each.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// The input of the state.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
    /// The part whose jobs are created: `next_part` of the call before.
    #[serde(default)]
    pub part: usize,
}

/// The output, on which the next states decide.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// A summary in words.
    pub says: String,
    /// The part whose jobs the next call creates; 0 if none is left.
    pub next_part: usize,
    /// Seconds until the first look at the jobs.
    pub wait_seconds: u64,
}

/// Creates the jobs of one part, one for each group of objects that may share a job.
///
/// A list is made from the chunks' files alone, so a second attempt writes the same list. The job is recorded in the
/// ledger before S3 is asked for it, and its id afterwards. No job runs yet: it has to be confirmed, and only a job
/// whose id is in the ledger is. A job that S3 refuses is recorded as abandoned.
pub async fn run(
    input: Input,
    s3: &impl CreateJobs,
    ledger: &impl Ledger,
    files: &(impl WorkFiles + LongFiles),
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = restores::record(ledger, &restore_id(input.restore)?).await?;
    let plan = chunks::plan_of(&record)?;
    let done = |says: String, next_part| Output { says, next_part, wait_seconds: seconds_until_next_check(now, now) };
    let Some(first_chunk) = plan.jobs.get(input.part).copied().filter(|_| record.status == Status::Running) else {
        return Ok(done("No job is to be created.".to_owned(), 0));
    };
    let existing = jobs::of_parts(ledger, &record, &[first_chunk]).await?;
    let mut lists = Lists::new(&record, plan.made_at, first_chunk, &existing, files);
    for chunk in jobs::chunks_of(plan, first_chunk) {
        let chunk = chunks::record(ledger, &record, chunk).await?;
        for entry in chunks::entries(files, &record, &chunk).await? {
            let Some(group) = JobGroup::of(entry.decision, entry.kind, entry.version.as_deref()) else { continue };
            let object = ObjectId { bucket: record.request.bucket.clone(), key: entry.key, version: entry.version };
            lists.add(group, &object).await?;
        }
    }
    let mut created = existing;
    for (group, objects, etag) in lists.finish().await? {
        let job = JobRecord {
            restore: record.id.clone(),
            made_at: plan.made_at,
            first_chunk,
            group,
            objects,
            etag,
            created_at: now,
            id: None,
            confirmed: false,
            end: None,
            revision: 0,
        };
        created.push(match ledger.insert(&job).await? {
            Put::Done => job,
            Put::Lost(existing) => existing,
        });
    }
    let (mut count, mut objects) = (0, 0);
    for job in created {
        let job = create(&record, job, s3, ledger).await?;
        count += u64::from(job.is_open());
        objects += if job.is_open() { job.objects } else { 0 };
    }
    let next_part = if input.part + 1 < plan.jobs.len() { input.part + 1 } else { 0 };
    let says = format!("S3 Batch Operations has {count} new jobs for {objects} objects.");
    info!(restore = %record.id, part = input.part, "{says}");
    Ok(done(says, next_part))
}

/// Has S3 create a job that has no id yet.
async fn create(
    record: &RestoreRecord,
    job: JobRecord,
    s3: &impl CreateJobs,
    ledger: &impl Ledger,
) -> Result<JobRecord, StepError> {
    if job.id.is_some() || !job.is_open() {
        return Ok(job);
    }
    let new = NewJob {
        token: &job.token(),
        restore: &job.restore,
        manifest: &JobRecord::list_name(&job.restore, job.made_at, job.first_chunk, job.group),
        etag: &job.etag,
        group: job.group,
        days: job.group.copies.then(|| record.request.copy_days()),
        tier: record.request.tier,
        report: &JobRecord::folder(&job.restore, job.made_at),
    };
    match s3.create_job(&new).await? {
        CreatedJob::Accepted { id } => {
            jobs::change(ledger, job, |job| {
                job.id.get_or_insert_with(|| id.clone());
            })
            .await
        }
        CreatedJob::Refused { says } => {
            warn!(restore = %record.id, "S3 refuses a job, so thaw asks by itself: {says}");
            let end = JobEnd::Abandoned { why: format!("S3 refused the job: {says}") };
            jobs::change(ledger, job, |job| {
                job.end.get_or_insert_with(|| end.clone());
            })
            .await
        }
    }
}

/// The lists of a part's jobs, uploaded as they grow.
struct Lists<'a, F> {
    record: &'a RestoreRecord,
    made_at: Timestamp,
    first_chunk: u32,
    /// Groups whose lists were written by an earlier call.
    written: Vec<JobGroup>,
    open: BTreeMap<JobGroup, List>,
    files: &'a F,
}

/// A list that is being uploaded.
struct List {
    name: String,
    upload: String,
    objects: u64,
    waiting: Vec<u8>,
    parts: Vec<String>,
}

impl<'a, F: LongFiles> Lists<'a, F> {
    fn new(
        record: &'a RestoreRecord,
        made_at: Timestamp,
        first_chunk: u32,
        existing: &[JobRecord],
        files: &'a F,
    ) -> Self {
        let written = existing.iter().map(|job| job.group).collect();
        Self { record, made_at, first_chunk, written, open: BTreeMap::new(), files }
    }

    async fn add(&mut self, group: JobGroup, object: &ObjectId) -> Result<(), StepError> {
        if self.written.contains(&group) {
            return Ok(());
        }
        let list = match self.open.entry(group) {
            Entry::Occupied(list) => list.into_mut(),
            Entry::Vacant(place) => {
                let name = JobRecord::list_name(&self.record.id, self.made_at, self.first_chunk, group);
                let upload = self.files.begin(&name).await?;
                place.insert(List { name, upload, objects: 0, waiting: Vec::new(), parts: Vec::new() })
            }
        };
        list.objects += 1;
        list.waiting.extend_from_slice(group.line(object).as_bytes());
        if list.waiting.len() >= PART_BYTES {
            list.send(self.files).await?;
        }
        Ok(())
    }

    /// Completes the lists. Answers each with its number of objects and its ETag.
    async fn finish(self) -> Result<Vec<(JobGroup, u64, String)>, StepError> {
        let mut finished = Vec::new();
        for (group, mut list) in self.open {
            list.send(self.files).await?;
            let etag = self.files.finish(&list.name, &list.upload, &list.parts).await?;
            finished.push((group, list.objects, etag));
        }
        Ok(finished)
    }
}

impl List {
    async fn send(&mut self, files: &impl LongFiles) -> Result<(), StepError> {
        let number = u32::try_from(self.parts.len() + 1).unwrap_or(u32::MAX);
        // Lines may be cut anywhere. Each attempt sends parts with the same bytes.
        let rest = self.waiting.split_off(self.waiting.len().min(PART_BYTES));
        let part = std::mem::replace(&mut self.waiting, rest);
        if !part.is_empty() {
            self.parts.push(files.add(&self.name, &self.upload, number, part).await?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use thaw_core::{RestoreId, State};

    use super::*;
    use crate::testing::stack::{Stack, now};

    /// A restore of these objects that is left to jobs, with one chunk in each part.
    async fn left_to_jobs(stack: &Stack, keys: &[&str]) -> RestoreId {
        let objects: Vec<_> = keys.iter().map(|key| (*key, State::Planned)).collect();
        let id = stack.planned(&objects, 1).await;
        stack
            .change(&id, |record| {
                let plan = record.plan.as_mut().unwrap();
                plan.jobs = (0..plan.chunks).collect();
            })
            .await;
        id
    }

    async fn create(stack: &Stack, id: &RestoreId, part: usize) -> Output {
        let input = Input { restore: id.to_string(), part };
        run(input, &stack.jobs, &stack.ledger, &stack.files, now()).await.unwrap()
    }

    #[tokio::test]
    async fn a_list_that_is_longer_than_a_part_is_sent_in_parts_and_holds_every_line_once() {
        // Each line has a little more than three thousand bytes: a character of two bytes has six when it is encoded.
        let keys: Vec<String> = (0..3_000).map(|n| format!("{n:04}{}", "ü".repeat(510))).collect();
        let stack = Stack::default();
        let record = stack.record(&stack.accepted(&["a"]).await).await;
        let group = JobGroup::ALL[0];
        let object = |key: &String| ObjectId { bucket: "archive".to_owned(), key: key.clone(), version: None };
        let mut lists = Lists::new(&record, now(), 0, &[], &stack.files);
        for key in &keys {
            lists.add(group, &object(key)).await.unwrap();
            assert!(lists.open[&group].waiting.len() < PART_BYTES);
        }
        assert_eq!(lists.open[&group].parts.len(), 1);
        let finished = lists.finish().await.unwrap();
        assert_eq!((finished.len(), finished[0].1), (1, 3_000));
        let written = stack.files.get(&JobRecord::list_name(&record.id, now(), 0, group)).await.unwrap().unwrap();
        let expected: String = keys.iter().map(|key| group.line(&object(key))).collect();
        assert!(written == expected.as_bytes(), "{} bytes", written.len());
    }

    #[tokio::test]
    async fn each_call_creates_the_jobs_of_a_part_and_says_which_is_next() {
        let stack = Stack::default();
        let id = left_to_jobs(&stack, &["a", "b", "c"]).await;
        let next = [create(&stack, &id, 0).await, create(&stack, &id, 1).await, create(&stack, &id, 2).await];
        assert_eq!(next[0].says, "S3 Batch Operations has 1 new jobs for 1 objects.");
        assert_eq!(next.map(|output| output.next_part), [1, 2, 0]);
        assert_eq!(stack.jobs.jobs().len(), 3);
        // A call again, and one past the end.
        assert_eq!((create(&stack, &id, 1).await.next_part, create(&stack, &id, 7).await.next_part), (2, 0));
        assert_eq!(stack.jobs.jobs().len(), 3);
    }

    #[tokio::test]
    async fn a_restore_that_was_cancelled_gets_no_jobs() {
        let stack = Stack::default();
        let id = left_to_jobs(&stack, &["a"]).await;
        stack.change(&id, |record| record.status = Status::Cancelled).await;
        assert_eq!(create(&stack, &id, 0).await.next_part, 0);
        assert!(stack.jobs.jobs().is_empty());
    }

    #[tokio::test]
    async fn a_list_that_is_written_is_not_written_again() {
        let stack = Stack::default();
        let id = left_to_jobs(&stack, &["a"]).await;
        create(&stack, &id, 0).await;
        let made_at = chunks::plan_of(&stack.record(&id).await).unwrap().made_at;
        let name = JobRecord::list_name(&id, made_at, 0, JobGroup::ALL[0]);
        stack.files.put(&name, b"as it was when S3 was told".to_vec()).await.unwrap();
        create(&stack, &id, 0).await;
        assert_eq!(stack.files.get(&name).await.unwrap().unwrap(), b"as it was when S3 was told");
    }
}
