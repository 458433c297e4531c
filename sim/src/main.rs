//! `thaw-sim`: the simulator as a process of the local stack.

use jiff::Timestamp;
use std::process::ExitCode;
use thaw_sim::Clock;
use thaw_sim::model::Settings;
use thaw_sim::serve::{Options, Server};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
thaw-sim: S3's restores and CloudFront's cache, simulated

  --s3-port N            S3 (default 4601)
  --cloudfront-port N    CloudFront's API, and the control endpoint /_sim (default 4602)
  --edge-port N          the edge (default 4603)
  --time-scale X         how many times faster than real the clock runs (default 1)
  --origin SECONDS       the Unix time at which simulated and real time meet (default now)
  --sqs-endpoint URL     where S3's events are put on queues (default nowhere)
  --region NAME          the Region of the buckets (default us-east-1)
  --retrieval-seed N     decides how long retrievals take (default 0)

Listens on 127.0.0.1 only, prints `ready` when it does, ends on SIGTERM or SIGINT.";

#[tokio::main]
async fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("thaw-sim: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("thaw-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(options).await?;
    println!("ready");
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server.until(stop).await;
    Ok(())
}

/// `None` is a cry for help.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let (mut s3_port, mut cloudfront_port, mut edge_port) = (4601, 4602, 4603);
    let (mut scale, mut origin, mut sqs_endpoint) = (1.0, Timestamp::now(), None);
    let mut settings = Settings::default();
    while let Some(flag) = arguments.next() {
        if matches!(flag.as_str(), "--help" | "-h") {
            return Ok(None);
        }
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--s3-port" => s3_port = number(&flag, &value)?,
            "--cloudfront-port" => cloudfront_port = number(&flag, &value)?,
            "--edge-port" => edge_port = number(&flag, &value)?,
            "--time-scale" => scale = number(&flag, &value)?,
            "--origin" => {
                let seconds = number(&flag, &value)?;
                origin = Timestamp::from_second(seconds).map_err(|error| format!("{flag}: {error}"))?;
            }
            "--sqs-endpoint" => sqs_endpoint = Some(value),
            "--region" => settings.region = value,
            "--retrieval-seed" => settings.seed = number(&flag, &value)?,
            _ => return Err(format!("{flag} is no flag")),
        }
    }
    if !(scale > 0.0 && f64::is_finite(scale)) {
        return Err("--time-scale must be above 0".to_owned());
    }
    let clock = Clock::scaled(origin, scale);
    Ok(Some(Options { s3_port, cloudfront_port, edge_port, clock, sqs_endpoint, settings }))
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} {value}: not a number that fits"))
}
