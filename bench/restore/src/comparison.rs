//! All clients in turns: over HTTP and TLS, with an S3 that answers at once and one that takes its time.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{self, Spent};
use crate::report::Mode;
use crate::server::{RequestCounts, Server};
use crate::tools::{Client, MOST_TURNS, Tools};

/// What S3 takes to answer, in milliseconds, in full and in a smoke run.
const LATENCIES: (&[u64], &[u64]) = (&[0, 20], &[20]);

/// Rounds of turns, in full and in a smoke run.
pub const ROUNDS: (usize, usize) = (3, 1);

/// One set of turns.
pub struct Comparison {
    pub tls: bool,
    pub latency_ms: u64,
    /// In the order of [`Client::ALL`], a sample per round.
    pub samples: Vec<Vec<Sample>>,
}

/// What a client took in one round.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub keys_per_second: f64,
    pub cpu_seconds_per_1000: f64,
    pub peak_mb: f64,
    pub in_flight: f64,
}

impl Comparison {
    pub fn of(&self, client: Client) -> &[Sample] {
        let place = Client::ALL.iter().position(|other| *other == client).unwrap_or_default();
        &self.samples[place]
    }
}

/// Runs all sets. Each is handed over as soon as it is done.
pub fn run(server: &Server, tools: &Tools, mode: Mode, done: impl Fn(&Comparison)) -> Result<Vec<Comparison>> {
    let rounds = mode.pick(ROUNDS.0, ROUNDS.1);
    let mut comparisons = Vec::new();
    for tls in [false, true] {
        for &latency_ms in mode.pick(LATENCIES.0, LATENCIES.1) {
            let mut samples = vec![Vec::new(); Client::ALL.len()];
            for turn in 0..rounds * MOST_TURNS {
                for (client, samples) in Client::ALL.into_iter().zip(&mut samples) {
                    if turn % MOST_TURNS < client.turns(mode) {
                        let sample = once(server, tools, mode, client, tls, latency_ms);
                        samples.push(sample.with_context(|| format!("{} failed", client.name()))?);
                    }
                }
            }
            let comparison = Comparison { tls, latency_ms, samples };
            done(&comparison);
            comparisons.push(comparison);
        }
    }
    Ok(comparisons)
}

fn once(server: &Server, tools: &Tools, mode: Mode, client: Client, tls: bool, latency_ms: u64) -> Result<Sample> {
    let endpoint = if tls { &server.tls } else { &server.plain };
    let programs = tools.programs(client, mode, endpoint)?;
    server.set(Duration::from_millis(latency_ms), None);
    let mut spent = Spent::default();
    for program in &programs {
        let one = process::run(std::slice::from_ref(program))?;
        spent.wall_seconds += one.wall_seconds;
        spent.cpu_seconds += one.cpu_seconds;
        spent.peak_mb = spent.peak_mb.max(one.peak_mb);
    }
    let counted = server.take();
    check_all_keys_came(&counted, client.keys(mode))?;
    let keys = f64::from(client.keys(mode));
    // A program per key takes most of its time to start, which S3 does not see.
    let seconds = if programs.len() > 1 { spent.wall_seconds } else { counted.seconds() };
    Ok(Sample {
        keys_per_second: keys / seconds,
        cpu_seconds_per_1000: spent.cpu_seconds / keys * 1_000.0,
        peak_mb: spent.peak_mb,
        in_flight: counted.in_flight.into(),
    })
}

/// Each key once, and nothing else.
fn check_all_keys_came(counted: &RequestCounts, keys: u32) -> Result<()> {
    let came = u32::try_from(counted.keys.len())?;
    ensure!(came == keys && counted.accepted == keys, "{came} of {keys} keys came, with {} requests", counted.accepted);
    Ok(())
}
