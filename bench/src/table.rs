//! The result, as a table for the README, and whether it is good enough.

use crate::invoke::{Sample, WARM_CALLS, median};
use crate::report::{Aim, at_commit};

/// thaw may take at most so many times the CPU of the least possible function, until its first event and for it.
const TIMES_LEAN: f64 = 2.0;

/// boto3 takes at least so many times thaw's CPU until its first event.
const TIMES_LESS_THAN_BOTO3: f64 = 40.0;

/// Memory at the peak, in MB.
const PEAK: f64 = 12.0;

type Column = (&'static str, fn(&Sample) -> f64);

const COLUMNS: [Column; 8] = [
    ("init CPU ms", |sample| sample.init.cpu),
    ("init ms", |sample| sample.init.wall),
    ("first call CPU ms", |sample| sample.first.cpu),
    ("first call ms", |sample| sample.first.wall),
    ("warm call CPU ms", |sample| sample.warm.cpu),
    ("warm call ms", |sample| sample.warm.wall),
    ("MB at init", |sample| sample.memory_at_init),
    ("MB peak", |sample| sample.memory_peak),
];

/// Prints the medians.
pub fn print(names: &[&str; 4], samples: &[Vec<Sample>; 4], runs: usize) {
    println!(
        "One GetItem over TLS per event; medians of {runs} runs taken in turns, {WARM_CALLS} warm calls in each; `cargo xtask bench start`, {}\n",
        at_commit()
    );
    print!("| function |");
    for (title, _) in COLUMNS {
        print!(" {title} |");
    }
    println!("\n|---|{}", "---:|".repeat(COLUMNS.len()));
    for (name, samples) in names.iter().zip(samples) {
        print!("| {name} |");
        for (_, of) in COLUMNS {
            print!(" {} |", shown(middle(samples, of)));
        }
        println!();
    }
}

/// What the medians are held to.
pub fn aims([thaw, lean, boto3, _]: &[Vec<Sample>; 4]) -> [Aim; 4] {
    let init = |samples: &[Sample]| middle(samples, |sample| sample.init.cpu);
    let first = |samples: &[Sample]| middle(samples, |sample| sample.first.cpu);
    let at_most = |says: String, measured: f64, limit: f64| Aim::new(says, shown(measured), measured <= limit);
    let times_less = init(boto3) / init(thaw);
    let peak = middle(thaw, |sample| sample.memory_peak);
    [
        at_most(format!("init CPU at most {TIMES_LEAN} times the least possible"), init(thaw) / init(lean), TIMES_LEAN),
        at_most(
            format!("first call's CPU at most {TIMES_LEAN} times the least possible"),
            first(thaw) / first(lean),
            TIMES_LEAN,
        ),
        Aim::new(
            format!("boto3's init CPU at least {TIMES_LESS_THAN_BOTO3} times thaw's"),
            shown(times_less),
            times_less >= TIMES_LESS_THAN_BOTO3,
        ),
        at_most(format!("peak memory below {PEAK} MB"), peak, PEAK),
    ]
}

fn middle(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    median(samples.iter().map(of))
}

/// Three digits that matter.
fn shown(value: f64) -> String {
    let digits = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}
