//! The results, as tables for the README, and whether they are good enough.

use thaw_core::{LANES, RESTORES_PER_SECOND};

use crate::client::IN_FLIGHT;
use crate::comparison::{Comparison, ROUNDS, Sample};
use crate::quota::QuotaUse;
use crate::report::{Aim, Mode, at_commit};
use crate::tools::{Client, MOST_TURNS};

/// thaw has at least this share of the bare loop's keys per second, at 20 ms.
const OF_THE_LOOP: f64 = 0.9;

/// And takes at most so many times its CPU.
const TIMES_THE_LOOPS_CPU: f64 = 1.2;

/// boto3 with 64 threads takes at least so many times thaw's CPU.
const TIMES_LESS_THAN_BOTO3: f64 = 8.0;

/// Under a quota, thaw uses more of it than this, and sees fewer throttled answers than that.
const OF_THE_QUOTA: f64 = 0.95;
const THROTTLED: f64 = 0.02;

/// Prints one set of turns.
pub fn print(comparison: &Comparison, mode: Mode) {
    let rounds = mode.pick(ROUNDS.0, ROUNDS.1);
    let turns = mode.pick(MOST_TURNS, 1);
    let Comparison { tls, latency_ms, .. } = comparison;
    let over = if *tls { "TLS" } else { "plain HTTP" };
    println!(
        "RestoreObject over {over}, S3 answers after {latency_ms} ms; medians of {rounds} rounds taken in turns, {turns} turns a round of thaw and of the bare loop; `cargo xtask bench restore`, {}\n",
        at_commit()
    );
    println!("| client | at once | keys | keys/s | CPU s per 1,000 keys | MB peak | CPU, times thaw's |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let thaw = cpu(comparison, Client::Thaw);
    for client in Client::ALL {
        let samples = comparison.of(client);
        println!(
            "| {} | {:.0} | {} | {} | {} | {} | {} |",
            client.name(),
            middle(samples, |sample| sample.in_flight),
            client.keys(mode),
            shown(rate(comparison, client)),
            shown(cpu(comparison, client)),
            shown(middle(samples, |sample| sample.peak_mb)),
            shown(cpu(comparison, client) / thaw),
        );
    }
    println!();
}

/// Prints how the quota was used.
pub fn print_quotas(ways: &[QuotaUse]) {
    println!(
        "{LANES} processes, {IN_FLIGHT} requests at once in each, S3 answers after 20 ms and takes {RESTORES_PER_SECOND} a second; {}\n",
        at_commit()
    );
    println!("| client | of the quota | throttled answers |\n|---|---:|---:|");
    for way in ways {
        println!("| {} | {:.1} % | {:.2} % |", way.name, 100.0 * way.share_of_quota, 100.0 * way.share_throttled);
    }
}

/// What the results are held to.
pub fn aims(comparisons: &[Comparison], ways: &[QuotaUse]) -> Vec<Aim> {
    let mut aims = Vec::new();
    for comparison in comparisons.iter().filter(|comparison| comparison.latency_ms > 0) {
        let over = if comparison.tls { "over TLS" } else { "over plain HTTP" };
        let of_the_loop = rate(comparison, Client::Thaw) / rate(comparison, Client::Sdk);
        let loops_cpu = cpu(comparison, Client::Thaw) / cpu(comparison, Client::Sdk);
        let boto3 = cpu(comparison, Client::Boto3) / cpu(comparison, Client::Thaw);
        aims.extend([
            Aim::new(
                format!("{over}: keys/s at least {OF_THE_LOOP} times the bare loop's"),
                shown(of_the_loop),
                of_the_loop >= OF_THE_LOOP,
            ),
            Aim::new(
                format!("{over}: CPU at most {TIMES_THE_LOOPS_CPU} times the bare loop's"),
                shown(loops_cpu),
                loops_cpu <= TIMES_THE_LOOPS_CPU,
            ),
            Aim::new(
                format!("{over}: boto3 with 64 threads takes at least {TIMES_LESS_THAN_BOTO3} times the CPU"),
                shown(boto3),
                boto3 >= TIMES_LESS_THAN_BOTO3,
            ),
        ]);
    }
    if let Some(QuotaUse { share_of_quota, share_throttled, .. }) = ways.first() {
        aims.extend([
            Aim::new(
                format!("under a quota: more than {:.0} % of it used", 100.0 * OF_THE_QUOTA),
                format!("{:.1} %", 100.0 * share_of_quota),
                *share_of_quota > OF_THE_QUOTA,
            ),
            Aim::new(
                format!("under a quota: less than {:.0} % of answers throttled", 100.0 * THROTTLED),
                format!("{:.2} %", 100.0 * share_throttled),
                *share_throttled < THROTTLED,
            ),
        ]);
    }
    aims
}

fn rate(comparison: &Comparison, client: Client) -> f64 {
    middle(comparison.of(client), |sample| sample.keys_per_second)
}

fn cpu(comparison: &Comparison, client: Client) -> f64 {
    middle(comparison.of(client), |sample| sample.cpu_seconds_per_1000)
}

/// The middle one.
fn middle(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Three digits that matter.
fn shown(value: f64) -> String {
    let digits = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}
