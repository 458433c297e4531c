//! What thaw itself uses of AWS for a restore: the real steps over the simulated S3 and CloudFront, every call counted
//! and priced. `cargo xtask bench cost` runs it.
//!
//! Retrieval, temporary copies and invalidation paths are not in it: those are what the user asks for, and the plan names
//! them. Nor are logs, nor the idle polling of the queues, nor anything free.

mod counted;
#[allow(dead_code, reason = "how long viewers wait needs more of it")]
mod stack;
#[path = "../it/contracts/template.rs"]
#[allow(dead_code, reason = "the contracts need more of it")]
mod template;

use std::process::ExitCode;

use thaw_core::{Overhead, PriceList};
use thaw_sim::model::StorageClass;

use crate::stack::{Archive, Stack};

/// Aims: what one object, and what a million objects may cost at most, in dollars.
const ONE: f64 = 0.0005;
const MILLION: f64 = 4.0;

/// The plan's estimate may be off by so much.
const OFF: f64 = 0.2;

/// Restores of one object each, of which the mean is shown: S3 takes its time with some.
const SINGLES: u32 = 20;

/// Objects of the prefixes whose restores are counted, and as often as makes a million.
const WHOLE: u32 = 100_000;

/// Transitions of the least workflow for one object: its start, RestoreObject, Wait, HeadObject, Choice, CreateInvalidation.
const LEAST_TRANSITIONS: u64 = 6;

/// Objects in a request at most.
const THOUSAND: u32 = 1_000;

fn main() -> ExitCode {
    let reports = [("an unversioned", false), ("a versioned", true)].map(|(kind, versioned)| report(kind, versioned));
    if reports.iter().all(|met| *met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what restores of one kind of bucket cost. Answers whether the aims are met.
fn report(kind: &str, versioned: bool) -> bool {
    let book = PriceList::US_EAST_1;
    let (mut singles, mut looks) = (Overhead::default(), 0);
    for number in 0..SINGLES {
        let used = restore(keys(number..number + 1), "each", versioned);
        singles = plus(plus(singles, used.workflow), used.readers);
        looks += used.looks;
    }
    let alone = restore(keys(0..THOUSAND), "each", versioned);
    let [each, together] = ["each", "together"].map(|when| {
        let whole = restore(keys(0..WHOLE), when, versioned);
        times(plus(whole.workflow, whole.readers), u64::from(1_000_000 / WHOLE))
    });
    let columns = [
        Column { name: "1 object", used: singles, of: f64::from(SINGLES) },
        Column { name: "1,000 objects", used: plus(alone.workflow, alone.readers), of: 1.0 },
        Column { name: "1,000,000 objects", used: each, of: 1.0 },
        Column { name: "1,000,000 together", used: together, of: 1.0 },
    ];

    println!(
        "thaw's own part of a restore from {kind} bucket (Glacier Flexible Retrieval, Standard), at prices of {} in {}; `cargo xtask bench cost`\n",
        book.region, book.read,
    );
    print(&columns);
    println!(
        "\n1 object: the mean of {SINGLES} restores, {:.1} looks each. 1,000 objects: one restore, {} looks. 1,000,000 objects: a restore \
         of a prefix of {}, {} times; together: published when all can be read, under wildcards.\n",
        f64::from(looks) / f64::from(SINGLES),
        alone.looks,
        format_args!("{},000", WHOLE / 1_000),
        1_000_000 / WHOLE,
    );

    let [one, thousand, million, together] = columns.each_ref().map(Column::usd);
    let least = Overhead { state_transitions: LEAST_TRANSITIONS * 1_000_000, ..Overhead::default() };
    println!(
        "One execution per object, a million times: ${:.0} with thaw, ${} for its transitions alone in a workflow that only asks, \
         waits, looks and invalidates once; thaw's one execution for all: ${million:.2}.\n",
        one * 1e6,
        book.overhead(least),
    );
    let off = |objects: u64, counted: f64| book.overhead(Overhead::expected(objects)).as_f64() / counted - 1.0;
    let aims = [
        ("1 object below $0.0005", format!("${one:.6}"), one < ONE),
        ("1,000,000 objects below $4", format!("${million:.2}"), million < MILLION),
        ("1,000,000 objects together below $4", format!("${together:.2}"), together < MILLION),
        (
            "the plan's estimate of 1 object within 20 %",
            format!("{:+.0} %", 100.0 * off(1, one)),
            off(1, one).abs() < OFF,
        ),
        (
            "the plan's estimate of 1,000 objects within 20 %",
            format!("{:+.0} %", 100.0 * off(1_000, thousand)),
            off(1_000, thousand).abs() < OFF,
        ),
    ];
    println!("| aim | counted | |\n|---|---:|---|");
    for (says, counted, met) in &aims {
        println!("| {says} | {counted} | {} |", if *met { "PASS" } else { "FAIL" });
    }
    println!();
    aims.iter().all(|(_, _, met)| *met)
}

/// Keys as cameras make them.
fn keys(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("2019/08/wedding-of-anna/originals/IMG_20190817_{number:06}.jpg")).collect()
}

struct Used {
    workflow: Overhead,
    readers: Overhead,
    looks: u32,
}

fn restore(keys: Vec<String>, publish: &'static str, versioned: bool) -> Used {
    let archive = Archive { class: StorageClass::Glacier, tier: "Standard", publish, versioned, events: true };
    let mut stack = Stack::new(keys, archive);
    stack::run(stack.restore_all());
    Used { workflow: *stack.workflow.used.borrow(), readers: *stack.readers.used.borrow(), looks: stack.looks }
}

/// A line of the price: its name and its part of what was used.
type Line = (&'static str, fn(&mut Overhead) -> &mut u64);

const LINES: [Line; 10] = [
    ("Step Functions transitions", |used| &mut used.state_transitions),
    ("Lambda requests", |used| &mut used.lambda_requests),
    ("Lambda MB-ms", |used| &mut used.lambda_mb_ms),
    ("DynamoDB write units", |used| &mut used.ledger_writes),
    ("DynamoDB read units", |used| &mut used.ledger_reads),
    ("SQS requests", |used| &mut used.queue_requests),
    ("S3 GET and HEAD", |used| &mut used.s3_gets),
    ("S3 PUT and LIST", |used| &mut used.s3_puts),
    ("HTTP API calls", |used| &mut used.api_calls),
    ("EventBridge events", |used| &mut used.bus_events),
];

/// What so many equal restores used together.
struct Column {
    name: &'static str,
    used: Overhead,
    of: f64,
}

impl Column {
    fn usd(&self) -> f64 {
        PriceList::US_EAST_1.overhead(self.used).as_f64() / self.of
    }

    /// Only one line of it.
    fn only(&self, part: fn(&mut Overhead) -> &mut u64) -> (u64, Self) {
        let (mut used, mut alone) = (self.used, Overhead::default());
        let count = *part(&mut used);
        *part(&mut alone) = count;
        (count, Self { name: self.name, used: alone, of: self.of })
    }
}

fn print(columns: &[Column]) {
    print!("| |");
    for Column { name, .. } in columns {
        print!(" {name} | USD |");
    }
    println!("\n|---|{}", "---:|".repeat(2 * columns.len()));
    for (name, part) in LINES {
        print!("| {name} |");
        for column in columns {
            let (count, alone) = column.only(part);
            #[expect(clippy::cast_precision_loss, reason = "a count for people")]
            let count = count as f64 / column.of;
            print!(" {count:.0} | {:.6} |", alone.usd());
        }
        println!();
    }
    print!("| **sum** |");
    for column in columns {
        print!(" | **{:.6}** |", column.usd());
    }
    println!();
}

fn plus(mut a: Overhead, mut b: Overhead) -> Overhead {
    for (_, part) in LINES {
        *part(&mut a) += *part(&mut b);
    }
    a
}

fn times(mut used: Overhead, by: u64) -> Overhead {
    for (_, part) in LINES {
        *part(&mut used) *= by;
    }
    used
}
