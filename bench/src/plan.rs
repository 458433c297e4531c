//! Planning: time and memory of the Plan step for a prefix of ten thousand, a hundred thousand and a million objects, and of
//! reading a list of five million lines in each of its shapes.
//!
//! The bucket makes up its pages when they are listed, and the work bucket forgets what it is given, so that the memory is
//! the plan's own. Each size is measured in a process of its own; the time is that of the CPU, which answers are not
//! waited for.
//!
//! `cargo xtask bench plan` calls this program.

mod distribution;
mod memory;
mod report;

use std::cell::Cell;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use jiff::Timestamp;
use nix::time::ClockId;
use serde_json::json;
use thaw_core::{Facts, ManifestReader, Missing, ObjectId, S3Uri};
use thaw_steps::Settings;
use thaw_steps::ports::{
    Distributions, ListFrom, Listed, Page, Piece, PortError, ReadArchive, ReadDistributions, VersionMarker,
    VersionPage, WorkFiles,
};
use thaw_steps::testing::memory::{MemoryEvents, MemoryLedger};
use thaw_steps::workflow::plan;

use crate::distribution::distribution;
use crate::memory::memory;
use crate::report::{Aim, Mode, at_commit, print_aims};

/// Objects that are planned, in full and in a smoke run.
const COUNTS: ([usize; 3], [usize; 3]) = ([10_000, 100_000, 1_000_000], [100, 1_000, 2_000]);

/// Folders of so many objects.
const FOLDER: usize = 100;

/// Keys of a page, as S3 lists them.
const PAGE: usize = 1_000;

/// Aim for a million objects, in MB: the function has 512.
const MEGABYTES: f64 = 200.0;

/// An object among a million may take so many times what one of a hundred thousand takes, whose chunks are smaller and fit
/// into the CPU's caches.
const GROWTH: f64 = 1.5;

/// Lines of a list that is read, in full and in a smoke run.
const LINES: (usize, usize) = (5_000_000, 5_000);

/// Bytes of a piece of a list, as S3 hands it out.
const PIECE: usize = 256 * 1024;

/// Aim for a list in any shape, in MB: what it takes does not grow with the list.
const MEGABYTES_OF_A_LIST: f64 = 16.0;

/// Calls to S3 that a thousand rows side by side may take. One by one they take a thousand.
const CALLS: f64 = 2.5;

/// Aim for the plan of a list, in MB, which remembers each of its rows.
const MEGABYTES_OF_ROWS: f64 = 400.0;

/// A shape of a list.
struct Shape {
    what: &'static str,
    name: &'static str,
    begin: &'static str,
    line: fn(usize) -> String,
    between: &'static str,
    end: &'static str,
    is_utf16: bool,
}

const SHAPES: [Shape; 8] = [
    Shape { what: "bucket,key", name: "a.csv", line: |n| format!("archive,{}", Bucket::key(n)), ..KEYS },
    Shape {
        what: "inventory",
        name: "a.csv",
        begin: "Bucket,Key,VersionId,IsLatest,Size,StorageClass\n",
        line: inventory,
        ..KEYS
    },
    KEYS,
    Shape { what: "keys in UTF-16", begin: "\u{feff}", is_utf16: true, ..KEYS },
    Shape { what: "addresses", name: "a", line: |n| format!("s3://archive/{}", Bucket::key(n)), ..KEYS },
    Shape { what: "JSON lines", name: "a.jsonl", line: |n| format!("{{\"key\": \"{}\"}}", Bucket::key(n)), ..KEYS },
    Shape {
        what: "list-objects-v2",
        name: "a.json",
        begin: "{\n    \"Contents\": [\n",
        line: listed,
        between: ",\n",
        end: "    ],\n    \"RequestCharged\": null\n}\n",
        is_utf16: false,
    },
    Shape {
        what: "list-objects-v2 in one line",
        name: "a.json",
        begin: "{\"Contents\":[",
        line: |n| format!("{{\"Key\":\"{}\",\"Size\":1}}", Bucket::key(n)),
        between: ",",
        end: "]}",
        is_utf16: false,
    },
];

const KEYS: Shape =
    Shape { what: "keys", name: "a.txt", begin: "", line: Bucket::key, between: "\n", end: "", is_utf16: false };

fn inventory(number: usize) -> String {
    format!("\"archive\",\"{}\",\"L4kqtJlcpXroDTDmpUMLUo\",\"true\",\"1000000\",\"GLACIER\"", Bucket::key(number))
}

/// As `aws s3api list-objects-v2` writes it.
fn listed(number: usize) -> String {
    let key = Bucket::key(number);
    format!(
        "        {{\n            \"Key\": \"{key}\",\n            \"LastModified\": \"2019-07-01T12:30:00+00:00\",\n            \"ETag\": \"\\\"d41d8cd98f00b204e9800998ecf8427e\\\"\",\n            \"Size\": 1000000,\n            \"StorageClass\": \"GLACIER\",\n            \"RestoreStatus\": {{\n                \"IsRestoreInProgress\": false\n            }}\n        }}"
    )
}

/// Of so many runs the fastest is shown, in full and in a smoke run: what disturbs one only makes it slower.
const RUNS: (usize, usize) = (3, 1);

fn main() -> Result<()> {
    let (mode, args) = Mode::from_args(std::env::args().skip(1));
    match args.as_slice() {
        [] => measure_all(mode),
        [count] => measure(count.parse()?),
        [rows, count] if rows == "rows" => measure_rows(count.parse()?),
        [list, shape, count] if list == "list" => measure_list(&SHAPES[shape.parse::<usize>()?], count.parse()?),
        _ => bail!("started with other arguments than `cargo xtask bench plan` does"),
    }
}

/// Prints one line's figures, parted by spaces.
fn measure(objects: usize) -> Result<()> {
    let bucket = Bucket { objects, pages: Cell::new(0), questions: Cell::new(0) };
    let request = json!({"bucket": "archive", "prefix": "2019/", "publish": {"when": "together"}});
    let (chunks, bytes) = plan(objects, request, &bucket)?;
    let seconds = Duration::from(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?).as_secs_f64();
    println!("{} {chunks} {bytes} {seconds} {}", bucket.pages.get(), memory("VmHWM:")?);
    Ok(())
}

/// Plans what a list has, and prints one line's figures.
fn measure_rows(rows: usize) -> Result<()> {
    let bucket = Bucket { objects: rows, pages: Cell::new(0), questions: Cell::new(0) };
    plan(rows, json!({"bucket": "archive", "manifest": "s3://archive/list.csv"}), &bucket)?;
    let seconds = Duration::from(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?).as_secs_f64();
    println!("{} {} {seconds} {}", bucket.pages.get(), bucket.questions.get(), memory("VmHWM:")?);
    Ok(())
}

/// Plans; answers how many chunks there are, and the bytes of their files.
fn plan(objects: usize, request: serde_json::Value, bucket: &Bucket) -> Result<(usize, usize)> {
    let (ledger, events, files) = (MemoryLedger::default(), MemoryEvents::default(), Files::default());
    let settings = Settings { archive_buckets: vec!["archive".to_owned()], ..Settings::default() };
    let input = plan::Input { restore: "bench".to_owned(), request, cursor: String::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let now = Timestamp::now();
    let planned = plan::run(input, bucket, bucket, &ledger, &files, &events, &settings, now, || true);
    let planned = runtime.block_on(planned)?;
    ensure!(planned.counts.total == objects as u64, "{} objects were planned", planned.counts.total);
    Ok((planned.chunks.len(), files.bytes.get()))
}

/// Reads a list, and prints one line's figures.
fn measure_list(shape: &Shape, lines: usize) -> Result<()> {
    let mut reader = ManifestReader::new(S3Uri::parse(&format!("s3://archive/{}", shape.name))?, "archive");
    let (mut piece, mut bytes, mut count, mut reading) = (Vec::new(), 0, 0, Duration::ZERO);
    let now = || ClockId::CLOCK_PROCESS_CPUTIME_ID.now().map(Duration::from);
    for number in 0..=lines {
        let text = match number {
            0 => format!("{}{}", shape.begin, (shape.line)(0)),
            last if last == lines => shape.end.to_owned(),
            _ => format!("{}{}", shape.between, (shape.line)(number)),
        };
        if shape.is_utf16 {
            piece.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        } else {
            piece.extend_from_slice(text.as_bytes());
        }
        if piece.len() >= PIECE || number == lines {
            let began = now()?;
            for asked in reader.push(&piece) {
                asked?;
                count += 1;
            }
            reading += now()?.saturating_sub(began);
            bytes += piece.len();
            piece.clear();
        }
    }
    count += usize::from(reader.finish()?.is_some());
    ensure!(count == lines, "{count} objects were read");
    println!("{bytes} {} {}", reading.as_secs_f64(), memory("VmHWM:")?);
    Ok(())
}

/// Prints a line for each shape of a list; answers what the largest took, in MB.
fn measure_lists(lines: usize, commit: &str) -> Result<f64> {
    println!("\nA list of {lines} lines is read, in pieces of {PIECE} bytes, {commit}:\n");
    println!("| list | MB | CPU s | MB at the peak |\n|---|---:|---:|---:|");
    let mut most = 0_f64;
    for (number, shape) in SHAPES.iter().enumerate() {
        let [bytes, seconds, megabytes] = figures(&["list", &number.to_string(), &lines.to_string()])?;
        println!("| {} | {:.0} | {seconds:.2} | {megabytes:.1} |", shape.what, bytes / 1_048_576.0);
        most = most.max(megabytes);
    }
    Ok(most)
}

/// The figures of a line.
fn figures<const COUNT: usize>(args: &[&str]) -> Result<[f64; COUNT]> {
    let output = Command::new(std::env::current_exe()?).args(args).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout)?;
    let figures: Vec<f64> = output.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    figures.try_into().map_err(|_| anyhow!("a line has other figures: {output}"))
}

/// Prints the table and the aims. Fails if one is missed.
fn measure_all(mode: Mode) -> Result<()> {
    let (counts, runs) = (mode.pick(COUNTS.0, COUNTS.1), mode.pick(RUNS.0, RUNS.1));
    let commit = at_commit();
    println!("The fastest of {runs} runs, each in a process of its own; `cargo xtask bench plan`, {commit}\n");
    println!("| objects | pages | chunks | MB of chunk files | CPU s | µs per object | MB at the peak |");
    println!("|{}", "---:|".repeat(7));
    let mut lines = Vec::new();
    for count in counts {
        let runs = (0..runs).map(|_| figures(&[&count.to_string()])).collect::<Result<Vec<_>>>()?;
        let fastest = runs.into_iter().min_by(|a: &[f64; 5], b| a[3].total_cmp(&b[3]));
        let Some([pages, chunks, bytes, seconds, megabytes]) = fastest else { bail!("nothing was run") };
        ensure!(
            pages > 0.0 && chunks > 0.0 && bytes > 0.0,
            "{count} objects: {pages} pages, {chunks} chunks, {bytes} bytes"
        );
        #[expect(clippy::cast_precision_loss, reason = "a million is exact")]
        let each = seconds * 1e6 / count as f64;
        let file_megabytes = bytes / 1_048_576.0;
        println!("| {count} | {pages} | {chunks} | {file_megabytes:.1} | {seconds:.2} | {each:.2} | {megabytes:.1} |");
        lines.push((each, megabytes));
    }
    let lines_of_list = mode.pick(LINES.0, LINES.1);
    let of_a_list = measure_lists(lines_of_list, &commit)?;
    let [listed, questions, seconds, of_rows] = figures(&["rows", &lines_of_list.to_string()])?;
    println!(
        "\nA list of {lines_of_list} lines is planned, {commit}:\n\n| pages listed | objects asked for one by one | CPU s | MB at the peak |"
    );
    println!("|---:|---:|---:|---:|\n| {listed} | {questions} | {seconds:.2} | {of_rows:.1} |");
    let [_, (before, _), (each, megabytes)] = lines[..] else { bail!("there are three sizes") };
    let aims = [
        Aim::at_most(format!("a million objects are planned in under {MEGABYTES} MB"), megabytes, MEGABYTES),
        Aim::at_most(
            format!("an object takes at most {GROWTH} times as long among ten times as many"),
            each / before,
            GROWTH,
        ),
        Aim::at_most(
            format!("a list in any shape is read in under {MEGABYTES_OF_A_LIST} MB"),
            of_a_list,
            MEGABYTES_OF_A_LIST,
        ),
        Aim::at_most(
            format!("a thousand rows of a list take at most {CALLS} calls"),
            (listed + questions) * 1_000.0 / lines_of_list as f64,
            CALLS,
        ),
        Aim::at_most(
            format!("a list of {lines_of_list} lines is planned in under {MEGABYTES_OF_ROWS} MB"),
            of_rows,
            MEGABYTES_OF_ROWS,
        ),
    ];
    ensure!(print_aims(&aims, mode), "an aim is missed");
    Ok(())
}

/// A bucket of so many archived objects, a list of them, and the distribution that shows them.
struct Bucket {
    objects: usize,
    /// Pages that were listed, and objects that were asked for one by one.
    pages: Cell<u64>,
    questions: Cell<u64>,
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
        self.questions.set(self.questions.get() + 1);
        Ok(Facts::Missing(Missing::Key))
    }

    async fn list(&self, _: &str, _: &str, from: &ListFrom) -> Result<Page, PortError> {
        self.pages.set(self.pages.get() + 1);
        let key = from.key().unwrap_or_default();
        // The digits are those of a key that may come right after it.
        let start = Self::after(key);
        let start = if start > 0 && *Self::key(start - 1) > *key { start - 1 } else { start };
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

    async fn read(&self, _: &S3Uri, from: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
        // All lines have the same length.
        let line = |number| format!("archive,{}\n", Self::key(number));
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let (first, skip) = (from / line(0).len(), from % line(0).len());
        let last = self.objects.min(first + PIECE / line(0).len());
        let bytes = (first..last).map(line).collect::<String>().split_off(skip).into_bytes();
        Ok(Some(Piece { bytes, etag: "list".to_owned(), more: last < self.objects }))
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
