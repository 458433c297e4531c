//! The clients in Rust. Each runs in a process of its own, on one thread.

mod hyper;
mod job;
mod sdk;
mod thaw;

use anyhow::{Context, Result, bail};
use thaw_core::RESTORES_PER_SECOND;

pub use job::IN_FLIGHT;

use hyper::restore_all;
use job::Job;
use sdk::restore_in_a_loop;
use thaw::start_restores;

/// A quota that is out of reach: the client is the limit.
const ANY: u32 = 1_000_000;

/// Runs the client of that name.
pub async fn run(name: &str, bucket: &str, from: &str, keys: &str) -> Result<()> {
    let from: u32 = from.parse()?;
    let job = Job {
        endpoint: std::env::var("AWS_ENDPOINT_URL_S3").context("no endpoint")?,
        bucket: bucket.to_owned(),
        keys: from..from + keys.parse::<u32>()?,
    };
    match name {
        "thaw" => start_restores(job, thaw::Rows::Nowhere, ANY).await,
        "thaw-with-ledger" => start_restores(job, thaw::Rows::DynamoDb, ANY).await,
        "thaw-under-a-quota" => start_restores(job, thaw::Rows::Memory, RESTORES_PER_SECOND).await,
        "sdk" => restore_in_a_loop(job, sdk::standard()).await,
        "sdk-adaptive" => restore_in_a_loop(job, sdk::adaptive()).await,
        "hyper" => restore_all(job).await,
        other => bail!("no client is called {other}"),
    }
}
