//! Looking: the memory of the states that see a whole chunk, for the largest chunk there is, beside what their functions have.
//!
//! The ledger makes up its items when they are read and forgets what is written, and so do S3 and CloudFront, so that the
//! memory is the step's own. Each line is measured in a process of its own.
//!
//! `cargo xtask bench look` calls this program.

mod distribution;
mod memory;
mod report;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use thaw_core::{
    ArchiveKind, Batch, BatchId, Call, Candidate, ChunkPosition, Cost, Counts, Decision, Facts, Missing, ObjectId,
    PriceList, Readiness, Request, RestoreId, Row, S3Uri, State,
};
use thaw_steps::Settings;
use thaw_steps::ledger::chunks::{Accepted, ChunkEntry, ChunkRecord};
use thaw_steps::ledger::readiness::ReadinessRecord;
use thaw_steps::ledger::restores::{Planned, RestoreRecord};
use thaw_steps::ports::{
    CreateInvalidations, Distributions, Invalidation, InvalidationStatus, Item, ItemKey, Ledger, ListFrom, Listed,
    ListedRestore, Page, Piece, PortError, Put, ReadArchive, ReadDistributions, ReadInvalidations, VersionMarker,
    VersionPage, WorkFiles,
};
use thaw_steps::testing::memory::MemoryEvents;
use thaw_steps::workflow::{check_invalidations, check_restores, invalidate};

use crate::distribution::distribution;
use crate::memory::memory;
use crate::report::{Mode, at_commit};

/// The chunk that is looked at.
#[derive(Debug, Clone, Copy)]
struct Size {
    objects: u32,
    /// How many batches have claimed them: each has a few of them, and others.
    batches: u32,
}

/// The largest chunk (DESIGN, "Why do chunks grow?"), and that of a smoke run.
const SIZES: (Size, Size) = (Size { objects: 50_000, batches: 5_000 }, Size { objects: 1_000, batches: 100 });

/// Paths that one call of Invalidate takes. It stops in the chunk if the chunk has more.
const TAKEN: u32 = 20_000;

/// Objects of a batch.
const OF_A_BATCH: u32 = 150;

/// What the runtime, the clients and their connections take, in MB: `cargo xtask bench start` measures ten at the peak.
const RUNTIME_MB: f64 = 16.0;

const TEMPLATE: &str = include_str!("../../infra/template.yaml");

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    Fetched,
    Readable,
    Told,
    Claimed,
    Taken,
    Confirmed,
}

const SITUATIONS: [(Situation, &str, &str); 6] = [
    (Situation::Fetched, "CheckRestores", "S3 still fetches all"),
    (Situation::Readable, "CheckRestores", "all can be read, and no event told"),
    (Situation::Told, "CheckRestores", "all wait for another: events told, some at a time, that they can be read"),
    (Situation::Claimed, "CheckRestores", "events have published all, in thousands of batches"),
    (Situation::Taken, "Invalidate", "all can be read: it takes 20,000, path by path"),
    (Situation::Confirmed, "CheckInvalidations", "events have published all, in thousands of batches"),
];

fn main() -> Result<()> {
    let (mode, args) = Mode::from_args(std::env::args().skip(1));
    let size = mode.pick(SIZES.0, SIZES.1);
    match args.as_slice() {
        [] => measure_all(mode, size),
        [dir, situation] => measure(Path::new(dir), size, SITUATIONS[situation.parse::<usize>()?].0),
        _ => bail!("started with other arguments than `cargo xtask bench look` does"),
    }
}

/// Prints the table. Fails if a function has less memory than it needs.
fn measure_all(mode: Mode, size: Size) -> Result<()> {
    let dir = std::env::temp_dir().join(format!("thaw-bench-look-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let lines = SITUATIONS.iter().enumerate().map(|(number, situation)| line(&dir, mode, size, number, situation));
    let lines = lines.collect::<Result<Vec<_>>>();
    std::fs::remove_dir_all(&dir)?;
    println!(
        "A chunk of {} objects, each line in a process of its own; `cargo xtask bench look`, {}\n",
        size.objects,
        at_commit()
    );
    println!(
        "| state | | MB at the peak | with {RUNTIME_MB} for the rest, of the function's | |\n|---|---|---:|---:|---|"
    );
    let mut fits = true;
    for (state, says, megabytes, of) in lines? {
        let does = megabytes + RUNTIME_MB <= of;
        fits &= does;
        let with_the_rest = megabytes + RUNTIME_MB;
        let action = mode.action(does);
        println!("| {state} | {says} | {megabytes:.0} | {with_the_rest:.0} of {of:.0} MB | {action} |");
    }
    ensure!(fits || mode == Mode::Smoke, "a function has too little memory");
    Ok(())
}

type Line = (&'static str, &'static str, f64, f64);

fn line(
    dir: &Path,
    mode: Mode,
    size: Size,
    number: usize,
    (situation, state, says): &(Situation, &'static str, &'static str),
) -> Result<Line> {
    prepare(dir, size, *situation)?;
    let smoke = mode.pick(None, Some(Mode::SMOKE));
    let output = Command::new(std::env::current_exe()?).arg(dir).arg(number.to_string()).args(smoke).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let of = TEMPLATE.split_once(&format!("-{state}\n")).and_then(|(_, function)| function.split_once("MemorySize: "));
    let of = of.and_then(|(_, of)| of.split_whitespace().next()).context("the template does not say")?;
    Ok((state, says, String::from_utf8(output.stdout)?.trim().parse()?, of.parse()?))
}

fn begun() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000)
}

fn now() -> Timestamp {
    begun() + SignedDuration::from_hours(4)
}

fn key(number: u32) -> String {
    format!("2019/08/wedding-of-anna/originals/IMG_20190817_{number:06}.jpg")
}

/// The number in a key.
fn number(key: &str) -> u32 {
    key[key.len() - 10..key.len() - 4].parse().unwrap_or(u32::MAX)
}

/// Writes the files and items that are not made up.
fn prepare(dir: &Path, Size { objects, .. }: Size, situation: Situation) -> Result<()> {
    let id = RestoreId::try_from("look".to_owned()).ok().context("an id")?;
    let when = if situation == Situation::Told { "together" } else { "each" };
    let request = json!({"bucket": "archive", "prefix": "2019/", "publish": {"when": when}});
    let request = Request::parse(&request).map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
    let counts = Counts { total: objects.into(), restoring: objects.into(), ..Counts::default() };
    let plan = Planned {
        made_at: begun(),
        written: Vec::new(),
        hash: String::new(),
        chunks: 1,
        counts,
        by_kind: Vec::new(),
        ready_between: None,
        cost: Cost::of(Vec::new(), PriceList::US_EAST_1),
        alternatives: Vec::new(),
        jobs: Vec::new(),
        paths: 0,
        billed_paths: 0,
        copied_bytes: 0,
        warnings: Vec::new(),
    };
    let record = RestoreRecord { plan: Some(plan), ..RestoreRecord::new(id, &request, begun()) };
    let entry = |number| ChunkEntry {
        key: key(number),
        version: None,
        size: 1_000_000,
        kind: Some(ArchiveKind::Flexible),
        decision: Decision::Restore,
        old: false,
        state: State::Planned,
    };
    let entries: Vec<ChunkEntry> = (0..objects).map(entry).collect();
    let file = serde_json::to_vec(&entries)?;
    let new = ChunkRecord::new(&record, begun(), 0, &entries, &file);
    let all = || (0..objects).collect();
    let mut known = ChunkRecord { counts, accepted: vec![Accepted { from: 0, to: objects, at: begun() }], ..new };
    match situation {
        Situation::Fetched | Situation::Readable => known.fetching = all(),
        Situation::Told => known.counts = Counts { restoring: 1, ..restored(objects) },
        Situation::Claimed | Situation::Confirmed => known.counts = restored(objects),
        Situation::Taken => (known.counts, known.readable) = (restored(objects), all()),
    }
    std::fs::write(dir.join("chunk.json"), file)?;
    std::fs::write(dir.join("record.json"), serde_json::to_vec(&record)?)?;
    Ok(std::fs::write(dir.join("known.json"), serde_json::to_vec(&known)?)?)
}

fn restored(objects: u32) -> Counts {
    Counts { total: objects.into(), restored: objects.into(), ..Counts::default() }
}

/// Prints the peak of this process's memory, in MB.
fn measure(dir: &Path, size: Size, situation: Situation) -> Result<()> {
    let record = serde_json::from_slice(&std::fs::read(dir.join("record.json"))?)?;
    let known = serde_json::from_slice(&std::fs::read(dir.join("known.json"))?)?;
    let (aws, files) = (&FakeAws { size, record, known, situation }, &Files(dir.join("chunk.json")));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let restore = "look".to_owned();
    let settings = &Settings { archive_buckets: vec!["archive".to_owned()], ..Settings::default() };
    runtime.block_on(async {
        match situation {
            Situation::Fetched | Situation::Readable | Situation::Told | Situation::Claimed => {
                let input = check_restores::Input { restore, from_chunk: 0 };
                let events = &MemoryEvents::default();
                let looked = check_restores::run(input, aws, aws, files, events, now()).await?;
                let restoring = if situation == Situation::Fetched { u64::from(size.objects) } else { 0 };
                ensure!(looked.counts.restoring == restoring, "{looked:?}");
            }
            Situation::Taken => {
                let input = invalidate::Input { restore };
                let taken = invalidate::run(input, aws, aws, aws, files, settings, now()).await?;
                ensure!(taken.until_chunk == u32::from(size.objects > TAKEN), "{taken:?}");
            }
            Situation::Confirmed => {
                let input = check_invalidations::Input { restore, from_chunk: 0, until_chunk: 0 };
                let looked = check_invalidations::run(input, aws, aws, files, now()).await?;
                ensure!(looked.all_published, "{looked:?}");
            }
        }
        Ok(())
    })?;
    println!("{}", memory("VmHWM:")?);
    Ok(())
}

/// A ledger, S3 and CloudFront without a memory.
struct FakeAws {
    size: Size,
    record: RestoreRecord,
    known: ChunkRecord,
    situation: Situation,
}

impl FakeAws {
    fn item<T: Item>(&self, key: &ItemKey) -> T {
        let item = match key.pk.strip_prefix("I#") {
            Some(batch) => json_of(&batch_of(self.size, batch.parse().unwrap_or(0))),
            None if key.sk == "restore" => json_of(&self.record),
            None if key.sk.starts_with("chunk") => json_of(&self.known),
            None => json_of(&self.row(key.pk.trim_start_matches("archive/"))),
        };
        serde_json::from_value(item).expect("an item")
    }

    fn readiness<T: Item>(&self, entries: impl Iterator<Item = u32>) -> T {
        let readiness = Readiness { at: now(), expires: Some(expires()) };
        let (restore, entries) = (self.record.id.clone(), entries.collect());
        let record = ReadinessRecord { restore, made_at: begun(), chunk: 0, readiness, entries };
        serde_json::from_value(json_of(&record)).expect("an item")
    }

    fn row(&self, key: &str) -> Row {
        let claim = BatchId::from((number(key) % self.size.batches).to_string());
        let state = match self.situation {
            Situation::Fetched | Situation::Readable | Situation::Told | Situation::Taken => State::Planned,
            Situation::Claimed | Situation::Confirmed => {
                State::Restored { at: now(), expires: Some(expires()), claim: Some(claim) }
            }
        };
        Row {
            object: object(key.to_owned()),
            restore: self.record.id.clone(),
            size: 1_000_000,
            kind: Some(ArchiveKind::Flexible),
            decision: Decision::Restore,
            publish: self.record.request.publish,
            current: true,
            planned_at: begun(),
            place: Some(ChunkPosition { chunk: 0, entry: number(key) }),
            held_until: None,
            state,
            revision: 1,
        }
    }
}

fn expires() -> Timestamp {
    now() + SignedDuration::from_hours(72)
}

fn object(key: String) -> ObjectId {
    ObjectId { bucket: "archive".to_owned(), key, version: None }
}

fn json_of(item: &impl Item) -> Value {
    serde_json::to_value(item).expect("it is JSON")
}

/// A batch that CloudFront has taken: it has claimed a few objects of the chunk, and others.
fn batch_of(Size { objects, batches }: Size, number: u32) -> Batch {
    let of_chunk = (number..objects).step_by(batches as usize).map(key);
    let others = (0..OF_A_BATCH - objects / batches).map(|other| key(objects + number * OF_A_BATCH + other));
    let keys: Vec<String> = of_chunk.chain(others).collect();
    let path = |key: &String| format!("/{key}");
    let candidate = |key: &String| Candidate {
        object: object(key.clone()),
        restores: RestoreId::try_from("look".to_owned()).into_iter().collect(),
        revisions: 1,
        readiness: None,
        paths: [("E1".to_owned(), [path(key)].into())].into(),
        covers: BTreeSet::new(),
        namesakes: BTreeSet::new(),
    };
    let call = Call {
        distribution: "E1".to_owned(),
        items: keys.iter().map(path).collect(),
        caller_reference: number.to_string(),
        invalidation: Some(number.to_string()),
        completed: false,
        refused: None,
        denied: None,
    };
    Batch {
        id: BatchId::from(number.to_string()),
        candidates: keys.iter().map(candidate).collect(),
        calls: Some(vec![call]),
        wildcards: Vec::new(),
        created_at: now(),
        completed_at: None,
        revision: 3,
    }
}

impl Ledger for FakeAws {
    async fn get<T: Item>(&self, key: &ItemKey) -> Result<Option<T>, PortError> {
        Ok(Some(self.item(key)))
    }

    async fn get_many<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        Ok(keys.iter().map(|key| self.item(key)).collect())
    }

    async fn get_many_eventually<T: Item>(&self, keys: &[ItemKey]) -> Result<Vec<T>, PortError> {
        self.get_many(keys).await
    }

    async fn insert<T: Item>(&self, _: &T) -> Result<Put<T>, PortError> {
        Ok(Put::Done)
    }

    async fn replace<T: Item>(&self, _: &T) -> Result<Put<T>, PortError> {
        Ok(Put::Done)
    }

    async fn query<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        if !begin.sk.starts_with("news") {
            return Ok(vec![self.item(begin)]);
        }
        let Size { objects, batches } = self.size;
        let readiness =
            |records: u32| (0..records).map(move |number| self.readiness((number..objects).step_by(records as usize)));
        Ok(match self.situation {
            Situation::Fetched | Situation::Readable | Situation::Claimed | Situation::Confirmed => Vec::new(),
            Situation::Told => readiness(batches).collect(),
            // A look found them all.
            Situation::Taken => readiness(objects / 1_000).collect(),
        })
    }

    async fn query_eventually<T: Item>(&self, begin: &ItemKey) -> Result<Vec<T>, PortError> {
        self.query(begin).await
    }
}

impl ReadArchive for FakeAws {
    async fn head(&self, _: &ObjectId) -> Result<Facts, PortError> {
        Ok(Facts::Missing(Missing::Key))
    }

    async fn list(&self, _: &str, _: &str, from: &ListFrom) -> Result<Page, PortError> {
        let start_after = from.key().unwrap_or_default();
        let objects = self.size.objects;
        let first = (0..objects).find(|number| key(*number).as_str() > start_after).unwrap_or(objects);
        let end = objects.min(first + 1_000);
        let restore = match self.situation {
            Situation::Fetched => ListedRestore::Ongoing,
            Situation::Readable | Situation::Told | Situation::Claimed | Situation::Taken | Situation::Confirmed => {
                ListedRestore::Copy(expires())
            }
        };
        let listed = |number| Listed {
            key: key(number),
            version: None,
            storage_class: "GLACIER".to_owned(),
            size: 1_000_000,
            modified: Timestamp::UNIX_EPOCH,
            restore: Some(restore),
        };
        Ok(Page::new((first..end).map(listed).collect(), (end < objects).then(String::new)))
    }

    async fn folders(&self, _: &str, _: &str, _: &str) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }

    async fn list_versions(&self, _: &str, _: &str, _: Option<&VersionMarker>) -> Result<VersionPage, PortError> {
        Ok(VersionPage::default())
    }

    async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
        Ok(None)
    }

    async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
        Ok(false)
    }
}

impl ReadDistributions for FakeAws {
    async fn distributions(&self, _: &str, _: &[String]) -> Result<Distributions, PortError> {
        Ok(Distributions { shown: vec![distribution(true)], ..Distributions::default() })
    }
}

impl CreateInvalidations for FakeAws {
    async fn invalidate(&self, _: &str, _: &[String], reference: &str) -> Result<Invalidation, PortError> {
        Ok(Invalidation::Accepted { id: reference.to_owned(), completed: false })
    }
}

impl ReadInvalidations for FakeAws {
    async fn invalidation(&self, _: &str, _: &str) -> Result<InvalidationStatus, PortError> {
        Ok(InvalidationStatus::Completed)
    }
}

/// The work bucket: the chunk's file.
struct Files(PathBuf);

impl WorkFiles for Files {
    async fn put(&self, _: &str, _: Vec<u8>) -> Result<(), PortError> {
        Ok(())
    }

    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, PortError> {
        Ok(std::fs::read(&self.0).ok())
    }
}
