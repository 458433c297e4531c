//! What thaw itself uses of AWS for a restore: the real steps over the simulated S3 and CloudFront, every call counted
//! and priced. `cargo xtask bench cost` runs it.
//!
//! Retrieval, temporary copies and invalidation paths are not in it: those are what the user asks for, and the plan names
//! them.

mod counted;
mod stack;
#[path = "../it/contracts/template.rs"]
#[allow(dead_code, reason = "the contracts need more of it")]
mod template;

use std::process::ExitCode;

use thaw_core::{Book, Overhead, Usd};

use crate::stack::Stack;

/// Aims: what one object, and what a million objects may cost at most, in dollars.
const ONE: f64 = 0.0005;
const MILLION: f64 = 6.0;

/// Objects in a request at most.
const THOUSAND: usize = 1_000;

fn main() -> ExitCode {
    let mut met = true;
    for versioned in [false, true] {
        let one = restore(1, versioned);
        let thousand = restore(THOUSAND, versioned);
        let readers = restore_in_a_crowd(THOUSAND, versioned);
        let million = times(plus(thousand.workflow, readers), 1_000);
        println!(
            "Own overhead of a restore, {} bucket, Glacier Flexible Retrieval, Standard; prices of {} in {}; `cargo xtask bench cost`\n",
            if versioned { "versioned" } else { "unversioned" },
            Book::US_EAST_1.region,
            Book::US_EAST_1.read,
        );
        print(&[
            ("1 object", plus(one.workflow, one.readers)),
            ("1,000 objects", plus(thousand.workflow, thousand.readers)),
            ("1,000,000 objects", million),
        ]);
        println!("\n{} and {} looks. A million is 1,000 restores of 1,000 at once: S3's events come in full batches.\n", one.looks, thousand.looks);
        println!("| aim | measured | |\n|---|---:|---|");
        for (says, used, limit) in [
            ("one object below $0.0005", plus(one.workflow, one.readers), ONE),
            ("a million objects below $6", million, MILLION),
        ] {
            let usd = Book::US_EAST_1.overhead(used).as_f64();
            met &= usd < limit;
            println!("| {says} | ${usd:.6} | {} |", if usd < limit { "PASS" } else { "FAIL" });
        }
        for objects in [1, 1_000] {
            let expected = Book::US_EAST_1.overhead(Overhead::expected(objects)).as_f64();
            println!("| the plan's estimate of {objects} | ${expected:.6} | |");
        }
        println!();
    }
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Used {
    workflow: Overhead,
    readers: Overhead,
    looks: u64,
}

fn restore(objects: usize, versioned: bool) -> Used {
    let mut stack = Stack::new(objects, versioned);
    run(stack.restore_all(objects));
    Used { workflow: *stack.workflow.used.borrow(), readers: *stack.readers.used.borrow(), looks: stack.looks.get() }
}

fn restore_in_a_crowd(objects: usize, versioned: bool) -> Overhead {
    let mut stack = Stack::new(objects, versioned);
    run(stack.restore_all_in_a_crowd(objects));
    *stack.readers.used.borrow()
}

/// Runs in a time that passes only where a call takes some.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// A line of the price: its name and its part of what was used.
type Line = (&'static str, fn(&Overhead) -> u64, fn(&mut Overhead) -> &mut u64);

const LINES: [Line; 10] = [
    ("state transitions", |used| used.state_transitions, |used| &mut used.state_transitions),
    ("Lambda requests", |used| used.lambda_requests, |used| &mut used.lambda_requests),
    ("Lambda MB-ms", |used| used.lambda_mb_ms, |used| &mut used.lambda_mb_ms),
    ("DynamoDB write units", |used| used.ledger_writes, |used| &mut used.ledger_writes),
    ("DynamoDB read units", |used| used.ledger_reads, |used| &mut used.ledger_reads),
    ("SQS requests", |used| used.queue_requests, |used| &mut used.queue_requests),
    ("S3 GET, HEAD", |used| used.s3_gets, |used| &mut used.s3_gets),
    ("S3 PUT, LIST", |used| used.s3_puts, |used| &mut used.s3_puts),
    ("HTTP API calls", |used| used.api_calls, |used| &mut used.api_calls),
    ("EventBridge events", |used| used.bus_events, |used| &mut used.bus_events),
];

fn print(columns: &[(&str, Overhead); 3]) {
    print!("| line |");
    for (name, _) in columns {
        print!(" {name} | USD |");
    }
    println!("\n|---|{}", "---:|".repeat(2 * columns.len()));
    for (name, of, part) in LINES {
        print!("| {name} |");
        for (_, used) in columns {
            let mut alone = Overhead::default();
            *part(&mut alone) = of(used);
            print!(" {} | {} |", of(used), shown(Book::US_EAST_1.overhead(alone)));
        }
        println!();
    }
    print!("| **sum** |");
    for (_, used) in columns {
        print!(" | **{}** |", shown(Book::US_EAST_1.overhead(*used)));
    }
    println!();
}

fn shown(usd: Usd) -> String {
    format!("{:.6}", usd.as_f64())
}

fn plus(mut a: Overhead, b: Overhead) -> Overhead {
    for (_, of, part) in LINES {
        *part(&mut a) += of(&b);
    }
    a
}

fn times(mut used: Overhead, by: u64) -> Overhead {
    for (_, _, part) in LINES {
        *part(&mut used) *= by;
    }
    used
}
