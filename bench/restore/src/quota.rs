//! Four lanes that know nothing of each other, and an S3 that takes 1,000 restores a second from all of them.

use std::time::Duration;

use anyhow::{Result, ensure};

use thaw_core::{LANES, RESTORES_PER_SECOND};

use crate::process;
use crate::report::Mode;
use crate::server::Server;
use crate::tools::Tools;

/// Keys of a lane: 40 seconds' work at the quota.
const KEYS: u32 = 10_000;

/// What S3 takes to answer.
const LATENCY: Duration = Duration::from_millis(20);

/// What came of one way to go about it.
pub struct QuotaUse {
    pub name: &'static str,
    /// Of what S3 would have taken while all lanes worked.
    pub share_of_quota: f64,
    /// Of all answers.
    pub share_throttled: f64,
}

/// A client, its name in the table, and the keys of a lane in a smoke run: two seconds' work for thaw. The SDK's adaptive mode
/// takes most of a minute for any number that S3 throttles, so it gets as many as S3 takes at once.
const WAYS: [(&str, &str, u32); 2] = [
    ("thaw-under-a-quota", "thaw's StartRestores", 500),
    ("sdk-adaptive", "aws-sdk-s3 in a loop, with the SDK's adaptive retries", 10),
];

/// Runs all ways; the first is thaw's.
pub fn run(server: &Server, tools: &Tools, mode: Mode) -> Result<Vec<QuotaUse>> {
    let mut ways = Vec::new();
    for (client, name, few) in WAYS {
        let keys = mode.pick(KEYS, few);
        server.set(LATENCY, Some(RESTORES_PER_SECOND));
        let lane = |lane| tools.ours(client, lane * keys, keys, &server.plain);
        let lanes = (0..LANES).map(lane).collect::<Result<Vec<_>>>()?;
        let spent = process::run(&lanes)?;
        let counted = server.take();
        let came = u32::try_from(counted.keys.len())?;
        ensure!(came == LANES * keys, "{name}: {came} of {} keys came", LANES * keys);
        // Whole seconds in which all lanes worked; a smoke run may be over within its first.
        let least = mode.pick(0, 1);
        let seconds = (spent.first_end_seconds as usize).max(least).min(counted.by_second.len());
        ensure!(seconds > 0, "{name}: one lane was done before a second was over");
        let accepted: u32 = counted.by_second[..seconds].iter().sum();
        let answers = f64::from(counted.accepted + counted.throttled);
        ways.push(QuotaUse {
            name,
            share_of_quota: f64::from(accepted) / f64::from(RESTORES_PER_SECOND) / seconds as f64,
            share_throttled: f64::from(counted.throttled) / answers,
        });
    }
    Ok(ways)
}
