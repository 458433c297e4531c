//! CreateJobs: have S3 Batch Operations ask for what is archived, one part of the objects after the other.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{JobEnd, JobGroup, ObjectId, Status, seconds_until_next_check};
use tracing::{info, warn};

use crate::jobs::{self, JobRecord};
use crate::ports::{CreateJobs, CreatedJob, Ledger, LongFiles, NewJob, Put, WorkFiles};
use crate::{RestoreRecord, StepError, chunks, ledger, plan};

/// Bytes of a list that are sent at a time. S3 takes 10,000 of those for a file, of 5 MiB at least.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// What the state hands over.
#[derive(Debug, Clone, Deserialize)]
pub struct Input {
    /// The restore's id.
    pub restore: String,
    /// The part to create the jobs of: what the call before said.
    #[serde(default)]
    pub part: usize,
}

/// What the next states decide on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// In words.
    pub says: String,
    /// The part that the next call creates the jobs of; 0 if there is none left.
    pub next_part: usize,
    /// Seconds until it makes sense to look at the jobs.
    pub wait_seconds: u64,
}

/// Creates the jobs of one part, one for each group of objects that may share one.
///
/// A list is written from the chunks' files and from nothing else, so whoever writes it again writes the same. It is noted in
/// the ledger before S3 is asked for the job, and the job's id after. None of the jobs runs: that takes a confirmation, and
/// only a job that the ledger knows by its id is confirmed. A job that S3 refuses is noted as one that will not ask.
pub async fn run(
    input: Input,
    s3: &impl CreateJobs,
    ledger: &impl Ledger,
    files: &(impl WorkFiles + LongFiles),
    now: Timestamp,
) -> Result<Output, StepError> {
    let record = ledger::record(ledger, &plan::restore_id(input.restore)?).await?;
    let plan = chunks::plan_of(&record)?;
    let done = |says: String, next_part| Output { says, next_part, wait_seconds: seconds_until_next_check(now, now) };
    let Some(first_chunk) = plan.jobs.get(input.part).copied().filter(|_| record.status == Status::Running) else {
        return Ok(done("No job is to be created.".to_owned(), 0));
    };
    let known = jobs::of_parts(ledger, &record, &[first_chunk]).await?;
    let mut lists = Lists::new(&record, plan.made_at, first_chunk, &known, files);
    for chunk in jobs::chunks_of(plan, first_chunk) {
        let chunk = chunks::record(ledger, &record, chunk).await?;
        for entry in chunks::entries(files, &record, &chunk).await? {
            let Some(group) = JobGroup::of(entry.decision, entry.kind, entry.version.as_deref()) else { continue };
            let object = ObjectId { bucket: record.request.bucket.clone(), key: entry.key, version: entry.version };
            lists.add(group, &object).await?;
        }
    }
    let mut created = known;
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

/// The lists of a part's jobs, written as they grow.
struct Lists<'a, F> {
    record: &'a RestoreRecord,
    made_at: Timestamp,
    first_chunk: u32,
    /// Those that are written already.
    written: Vec<JobGroup>,
    open: BTreeMap<JobGroup, List>,
    files: &'a F,
}

/// A list that is being written.
struct List {
    name: String,
    upload: String,
    objects: u64,
    waiting: Vec<u8>,
    parts: Vec<String>,
}

impl<'a, F: LongFiles> Lists<'a, F> {
    fn new(record: &'a RestoreRecord, made_at: Timestamp, first_chunk: u32, known: &[JobRecord], files: &'a F) -> Self {
        let written = known.iter().map(|job| job.group).collect();
        Self { record, made_at, first_chunk, written, open: BTreeMap::new(), files }
    }

    async fn add(&mut self, group: JobGroup, object: &ObjectId) -> Result<(), StepError> {
        if self.written.contains(&group) {
            return Ok(());
        }
        let list = match self.open.entry(group) {
            std::collections::btree_map::Entry::Occupied(list) => list.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
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

    /// The lists with their numbers of objects and their ETags.
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
        // Lines are cut anywhere: parts have the same bytes whoever sends them.
        let rest = self.waiting.split_off(self.waiting.len().min(PART_BYTES));
        let part = std::mem::replace(&mut self.waiting, rest);
        if !part.is_empty() {
            self.parts.push(files.add(&self.name, &self.upload, number, part).await?);
        }
        Ok(())
    }
}
