//! Planning: time and memory of the Plan step for a prefix of ten thousand, a hundred thousand and a million objects.
//!
//! The bucket makes up its pages when they are listed, and the work bucket forgets what it is given, so that the memory is
//! the plan's own. Each size is measured in a process of its own; the time is that of the CPU, which answers are not
//! waited for.
//!
//! `cargo xtask bench plan` calls this program.

mod distribution;
mod memory;

use std::cell::Cell;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use jiff::Timestamp;
use nix::time::ClockId;
use serde_json::json;
use thaw_core::{Facts, Missing, ObjectId, S3Uri};
use thaw_steps::Settings;
use thaw_steps::ports::{
    Distributions, ListFrom, Listed, Page, Piece, PortError, ReadArchive, ReadDistributions, VersionMarker,
    VersionPage, WorkFiles,
};
use thaw_steps::testing::memory::{MemoryEvents, MemoryLedger};
use thaw_steps::workflow::plan;

use crate::distribution::distribution;
use crate::memory::memory;

/// Objects that are planned.
const COUNTS: [usize; 3] = [10_000, 100_000, 1_000_000];

/// Folders of so many objects.
const FOLDER: usize = 100;

/// Keys of a page, as S3 lists them.
const PAGE: usize = 1_000;

/// Aim for a million objects, in MB: the function has 512.
const MEGABYTES: f64 = 200.0;

/// An object among a million may take so many times what one of a hundred thousand takes, whose chunks are smaller and fit
/// into the CPU's caches.
const GROWTH: f64 = 1.5;

/// Of so many runs the fastest is shown: what disturbs one only makes it slower.
const RUNS: usize = 3;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [] => measure_all(),
        [count] => measure(count.parse()?),
        _ => bail!("started with other arguments than `cargo xtask bench plan` does"),
    }
}

/// Prints one line's figures, parted by spaces.
fn measure(objects: usize) -> Result<()> {
    let bucket = Bucket { objects, pages: Cell::new(0) };
    let (ledger, events, files) = (MemoryLedger::default(), MemoryEvents::default(), Files::default());
    let settings = Settings { archive_buckets: vec!["archive".to_owned()], ..Settings::default() };
    let request = json!({"bucket": "archive", "prefix": "2019/", "publish": {"when": "together"}});
    let input = plan::Input { restore: "bench".to_owned(), request, cursor: String::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let now = Timestamp::now();
    let planned = plan::run(input, &bucket, &bucket, &ledger, &files, &events, &settings, now, || true);
    let planned = runtime.block_on(planned)?;
    ensure!(planned.counts.total == objects as u64, "{} objects were planned", planned.counts.total);
    let seconds = Duration::from(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?).as_secs_f64();
    let megabytes = memory("VmHWM:")?;
    let chunks = planned.chunks.len();
    println!("{} {chunks} {} {seconds} {megabytes}", bucket.pages.get(), files.bytes.get());
    Ok(())
}

/// The figures of a line.
fn run(count: usize) -> Result<[f64; 5]> {
    let output = Command::new(std::env::current_exe()?).arg(count.to_string()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout)?;
    let figures: Vec<f64> = output.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    figures.try_into().map_err(|_| anyhow!("a line has other figures: {output}"))
}

/// Prints the table and the aims. Fails if one is missed.
fn measure_all() -> Result<()> {
    println!("The fastest of {RUNS} runs, each in a process of its own; `cargo xtask bench plan`\n");
    println!("| objects | pages | chunks | MB of chunk files | CPU s | µs per object | MB at the peak |");
    println!("|{}", "---:|".repeat(7));
    let mut lines = Vec::new();
    for count in COUNTS {
        let runs = (0..RUNS).map(|_| run(count)).collect::<Result<Vec<_>>>()?;
        let fastest = runs.into_iter().min_by(|a, b| a[3].total_cmp(&b[3]));
        let Some([pages, chunks, bytes, seconds, megabytes]) = fastest else { bail!("nothing was run") };
        #[expect(clippy::cast_precision_loss, reason = "a million is exact")]
        let each = seconds * 1e6 / count as f64;
        let file_megabytes = bytes / 1_048_576.0;
        println!("| {count} | {pages} | {chunks} | {file_megabytes:.1} | {seconds:.2} | {each:.2} | {megabytes:.1} |");
        lines.push((each, megabytes));
    }
    let [_, (before, _), (each, megabytes)] = lines[..] else { bail!("there are three sizes") };
    let aims = [
        (format!("a million objects are planned in under {MEGABYTES} MB"), megabytes, MEGABYTES),
        (format!("an object takes at most {GROWTH} times as long among ten times as many"), each / before, GROWTH),
    ];
    println!("\n| aim | measured | |\n|---|---:|---|");
    for (says, measured, limit) in &aims {
        println!("| {says} | {measured:.2} | {} |", if measured <= limit { "PASS" } else { "FAIL" });
    }
    ensure!(aims.iter().all(|(_, measured, limit)| measured <= limit), "an aim is missed");
    Ok(())
}

/// A bucket of so many archived objects, and the distribution that shows them.
struct Bucket {
    objects: usize,
    pages: Cell<u64>,
}

impl Bucket {
    fn key(number: usize) -> String {
        format!("2019/event-{:05}/IMG_{:04}.jpg", number / FOLDER, number % FOLDER)
    }

    /// The number of the first object after a key or a folder: all have the same length, so their digits tell.
    fn after(key: &str) -> usize {
        let digits = |from: usize, to: usize| key.get(from..to).and_then(|digits| digits.parse::<usize>().ok());
        match (digits(11, 16), digits(21, 25)) {
            (Some(folder), Some(file)) => folder * FOLDER + file + 1,
            (Some(folder), None) => folder * FOLDER,
            (None, _) => 0,
        }
    }
}

impl ReadArchive for Bucket {
    async fn head(&self, _: &ObjectId) -> Result<Facts, PortError> {
        Ok(Facts::Missing(Missing::Key))
    }

    async fn list(&self, _: &str, _: &str, from: &ListFrom) -> Result<Page, PortError> {
        self.pages.set(self.pages.get() + 1);
        let start = Self::after(from.key().unwrap_or_default());
        let end = self.objects.min(start + PAGE);
        let listed = |number| Listed {
            key: Self::key(number),
            version: None,
            storage_class: "GLACIER".to_owned(),
            size: 1_000_000,
            modified: Timestamp::UNIX_EPOCH,
            restore: None,
        };
        Ok(Page::new((start..end).map(listed).collect(), (end < self.objects).then(String::new)))
    }

    async fn folders(&self, _: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError> {
        if prefix.len() > "2019/".len() {
            return Ok(Vec::new());
        }
        self.pages.set(self.pages.get() + 1);
        let (first, end) = (Self::after(after) / FOLDER, self.objects / FOLDER);
        Ok((first..end).take(PAGE).map(|folder| format!("2019/event-{folder:05}/")).collect())
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

impl ReadDistributions for Bucket {
    async fn distributions(&self, _: &str, _: &[String]) -> Result<Distributions, PortError> {
        Ok(Distributions { shown: vec![distribution(false)], ..Distributions::default() })
    }
}

/// A work bucket that only counts.
#[derive(Default)]
struct Files {
    bytes: Cell<usize>,
}

impl WorkFiles for Files {
    async fn put(&self, _: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.bytes.set(self.bytes.get() + bytes.len());
        Ok(())
    }

    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }
}
