//! The clients in Rust. Each runs in a process of its own, on one thread.

mod hyper;
mod sdk;
mod thaw;

use std::ops::Range;

use anyhow::{Context, Result, bail};

pub use hyper::raw;
pub use sdk::{LANES, QUOTA, loop_of, paced};
pub use thaw::start_restores;

/// Requests that are on their way at once.
pub const IN_FLIGHT: usize = 64;

/// What a client is asked to do.
pub struct Job {
    pub endpoint: String,
    pub bucket: String,
    pub keys: Range<u32>,
}

/// Runs the client of that name.
pub async fn run(name: &str, bucket: &str, from: &str, keys: &str) -> Result<()> {
    let from: u32 = from.parse()?;
    let job = Job {
        endpoint: std::env::var("AWS_ENDPOINT_URL_S3").context("no endpoint")?,
        bucket: bucket.to_owned(),
        keys: from..from + keys.parse::<u32>()?,
    };
    match name {
        "thaw" => start_restores(job, thaw::Rows::Nowhere).await,
        "thaw-with-ledger" => start_restores(job, thaw::Rows::DynamoDb).await,
        "thaw-in-memory" => start_restores(job, thaw::Rows::Memory).await,
        "sdk" => loop_of(job, sdk::standard()).await,
        "sdk-adaptive" => loop_of(job, sdk::adaptive()).await,
        "sdk-paced" => paced(job).await,
        "hyper" => raw(job).await,
        other => bail!("no client is called {other}"),
    }
}
