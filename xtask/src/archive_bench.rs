//! `cargo xtask bench archive`: a prefix of a hundred thousand objects of every kind, restored on the local stack while
//! one call in a hundred of S3's and CloudFront's fails.
//!
//! What it shows is that nothing is lost and nothing is paid twice; the time is the emulator's.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::report::{Aim, Mode, at_commit, print_aims};
use crate::stack::{Stack, StackLocation};
use crate::up::{self, up};

/// How many objects there are of each kind.
struct Size {
    flexible: u64,
    deep: u64,
    tiered: u64,
    standard: u64,
    /// How many seconds of waiting pass in one real second.
    time_scale: u32,
}

/// Deep Archive's twelve hours are five minutes, and nothing is given up before the emulator has had its time.
const FULL: Size = Size { flexible: 70_000, deep: 20_000, tiered: 5_000, standard: 5_000, time_scale: 150 };

/// Deep Archive's twelve hours are twelve seconds, as in the tests on the local stack.
const SMOKE: Size = Size { flexible: 14, deep: 4, tiered: 1, standard: 1, time_scale: 14_400 };

/// The aim.
const WITHIN: Duration = Duration::from_secs(15 * 60);

/// Boots a stack at these ports, restores the archive, and takes the stack down again.
pub fn run(mode: Mode, port: u16) -> Result<()> {
    let Size { flexible, deep, tiered, standard, time_scale } = mode.pick(FULL, SMOKE);
    let which = StackLocation { port, dir: None };
    let release = mode == Mode::Full;
    let (stack, _teardown) = up(&up::Options { time_scale, release, ..up::Options::at(&which) })?;
    let control = stack.control();
    let series = |name: &str, count: u64, class: &str| {
        json!({
            "prefix": format!("whole/{name}/"), "suffix": ".jpg", "from": 0, "count": count, "digits": 6,
            "storage_class": class, "size": 5_000_000,
        })
    };
    let mut in_tiers = series("tiered", tiered, "INTELLIGENT_TIERING");
    in_tiers["access_tier"] = json!("ARCHIVE_ACCESS");
    let objects = [
        series("flexible", flexible, "GLACIER"),
        series("deep", deep, "DEEP_ARCHIVE"),
        in_tiers,
        series("standard", standard, "STANDARD"),
    ];
    control.post("seed", &json!({"bucket": stack.archive_bucket, "objects": objects}))?;
    let fails = |operation: &str, code: &str| json!({"operation": operation, "code": code, "probability": 0.01});
    let rules = [
        fails("RestoreObject", "SlowDown"),
        fails("HeadObject", "InternalError"),
        fails("ListObjectsV2", "InternalError"),
        fails("CreateInvalidation", "Throttling"),
        fails("GetInvalidation", "ServiceUnavailable"),
    ];
    control.post("faults", &json!({"rules": rules}))?;

    let begun = Instant::now();
    let body = json!({
        "bucket": stack.archive_bucket, "prefix": "whole/", "days": 365, "publish": {"when": "together"},
    });
    let answer =
        stack.api("POST", "/v1/restores", &[("content-type", "application/json")], body.to_string().as_bytes())?;
    let accepted = answer.json()?;
    ensure!(answer.status == 202, "POST /v1/restores: {accepted}");
    let restore = follow(&stack, accepted["id"].as_str().unwrap_or_default(), begun)?;
    let took = begun.elapsed();

    let archived = flexible + deep + tiered;
    let summary = control.post("summary", &json!({"bucket": stack.archive_bucket, "prefix": "whole/"}))?;
    let cdn = summary["distributions"].as_array().into_iter().flatten();
    let billed = cdn.filter(|one| one["id"] == stack.distribution_id.as_str()).filter_map(|one| one["paths"].as_u64());
    let billed: u64 = billed.sum();
    println!("\n`cargo xtask bench archive`, {}\n", at_commit());
    println!("| whole archive on the local stack | |\n|---|---:|");
    println!("| objects under the prefix | {} |", archived + standard);
    println!("| of them archived, and published | {} |", restore["counts"]["published"]);
    println!("| seconds from the call to the report | {:.0} |", took.as_secs_f64());
    println!("| calls of RestoreObject | {} |", summary["restore_calls"]["sum"]["calls"]);
    println!("| restores that S3 began twice | {} |", summary["restore_calls"]["started_more_than_once"]);
    println!("| billed paths | {billed} |");
    ensure!(restore["status"] == "succeeded", "the restore ended as {}: {}", restore["status"], restore["says"]);
    ensure!(
        restore["counts"]["published"] == archived && restore["counts"]["available"] == standard,
        "{}",
        restore["counts"]
    );
    ensure!(summary["restore_calls"]["objects"] == archived, "S3 was asked for {}", summary["restore_calls"]);
    ensure!(summary["restore_calls"]["started_more_than_once"] == 0, "S3 began restores twice");
    for (kind, number) in [("flexible", 0), ("flexible", flexible - 1), ("deep", deep / 2), ("tiered", tiered - 1)] {
        let key = format!("whole/{kind}/{number:06}.jpg");
        let seen = stack.edge(&format!("/{key}"))?.status;
        ensure!(seen == 200, "a viewer gets {seen} for {key}");
    }
    let minutes = WITHIN.as_secs() / 60;
    let aim = Aim::new(
        format!("nothing lost, nothing asked twice, within {minutes} minutes"),
        format!("{:.0} s", took.as_secs_f64()),
        took <= WITHIN,
    );
    ensure!(print_aims(&[aim], mode), "an aim is missed");
    Ok(())
}

/// Tells where the restore stands until it has ended.
fn follow(stack: &Stack, id: &str, begun: Instant) -> Result<Value> {
    let mut told = Value::Null;
    loop {
        let restore = stack.api("GET", &format!("/v1/restores/{id}"), &[], &[])?.json()?;
        if restore["counts"] != told {
            told = restore["counts"].clone();
            eprintln!(
                "{:>4.0} s  {:<11} {told}",
                begun.elapsed().as_secs_f64(),
                restore["stage"].as_str().unwrap_or_default()
            );
        }
        if restore["status"] != "running" {
            return Ok(restore);
        }
        ensure!(begun.elapsed() < 2 * WITHIN, "the restore has not ended: {restore}");
        std::thread::sleep(Duration::from_secs(2));
    }
}
