//! `cargo xtask demo`: thaw's main job on the local stack, told as it happens, from "403" to the bytes.
//!
//! It expects what it shows: the first thing that is not as it should be ends it with exit code 1.

pub mod objects;
mod timeline;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stack::{S3, Stack};
use crate::up::{self, up};
use objects::{DemoObject, ExpectedState};
use timeline::Timeline;

/// What `demo` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    #[command(flatten)]
    up: up::Options,
    /// Leave the local stack running at the end
    #[arg(long)]
    keep: bool,
}

/// Deep Archive takes twelve hours of virtual time, and looks come with some delay.
const DONE_WITHIN: Duration = Duration::from_hours(36);

/// What a busy machine may need on top, in real time.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often we look for news.
const POLL: Duration = Duration::from_millis(100);

/// Boots a stack, shows the main job on it, and takes it down again.
pub fn run(options: &Options) -> Result<()> {
    let (stack, teardown) = up(&options.up)?;
    let shown = show(&stack);
    if options.keep {
        teardown.disarm();
        println!("the local stack is left running, see {}", options.up.which.dir().join("stack.json").display());
        return shown;
    }
    drop(teardown);
    println!("the local stack is down");
    shown.context("the demo did not go as it must; with --keep the local stack and its logs stay to be looked at")
}

fn show(stack: &Stack) -> Result<()> {
    let demo_objects = objects::all(stack.s3);

    heading("An archive behind a CDN");
    objects::put(stack, &demo_objects)?;
    println!("{} holds:", stack.archive_bucket);
    for demo_object in &demo_objects {
        println!("  {:<28} {}", demo_object.key, demo_object.stored_in);
    }

    heading("What a viewer gets today");
    for demo_object in &demo_objects {
        look_through_edge(stack, demo_object, demo_object.before)?;
    }

    heading("What a restore would cost");
    show_plan(&post(stack, "/v1/plans", &demo_objects, None, 200)?);
    // Now, because objects that were restored already cost less.
    let alone = demo_objects.iter().map(|demo_object| price_alone(stack, demo_object)).collect::<Result<Vec<_>>>()?;

    heading("The restore is asked for, with one signed call");
    let started = Timestamp::now();
    let id = ask(stack, &demo_objects, &format!("demo-{}", started.as_second()))?;

    heading("What happens, in virtual time");
    println!("One second here is {}.\n", timeline::hours(SignedDuration::from_secs(stack.time_scale.into())));
    let mut timeline = Timeline::new(stack, &id, started);
    let restore = follow(&mut timeline, PATIENCE + DONE_WITHIN / stack.time_scale)?;
    ensure!(restore["status"] != "failed", "the restore failed as a whole: {}", restore["says"]);

    heading("What a viewer gets now");
    for demo_object in &demo_objects {
        look_through_edge(stack, demo_object, demo_object.after)?;
    }

    heading("The result");
    expect_objects(stack, &id, &demo_objects, &alone)?;
    expect_final_state(stack, &restore, &demo_objects)?;
    expect_invalidations(stack, &demo_objects)?;
    if let Some(took) = timeline.took() {
        let spent = took.as_secs_f64() / f64::from(stack.time_scale);
        println!("\nFrom the call to the end: {} of virtual time, in {spent:.0} s.", timeline::hours(took));
    }
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}

/// One viewer's request; the first line of the answer is enough to tell an error from the bytes.
fn look_through_edge(stack: &Stack, demo_object: &DemoObject, expected: u16) -> Result<()> {
    let path = format!("/{}", demo_object.key);
    let answer = stack.edge(&path)?;
    let body = answer.text();
    let says = if answer.status == 200 {
        body.clone()
    } else {
        crate::aws::xml_text(&body, "Code").unwrap_or_else(|| body.lines().next().unwrap_or_default().to_owned())
    };
    println!("  GET {path:<28} {}  {:<22} {}", answer.status, says, answer.header("x-cache").unwrap_or_default());
    ensure!(answer.status == expected, "GET {path} through the edge: expected {expected}, got {}", answer.status);
    ensure!(expected != 200 || body == demo_object.body, "GET {path} through the edge: expected the bytes, got {body}");
    Ok(())
}

fn body(stack: &Stack, demo_objects: &[DemoObject]) -> Value {
    let keys: Vec<&str> = demo_objects.iter().map(|demo_object| demo_object.key).collect();
    json!({ "bucket": stack.archive_bucket, "keys": keys, "tier": "Standard" })
}

fn post_any(stack: &Stack, path: &str, demo_objects: &[DemoObject], key: Option<&str>) -> Result<(u16, Value)> {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let answer = stack.api("POST", path, &headers, body(stack, demo_objects).to_string().as_bytes())?;
    Ok((answer.status, answer.json()?))
}

fn post(stack: &Stack, path: &str, demo_objects: &[DemoObject], key: Option<&str>, expected: u16) -> Result<Value> {
    let (status, json) = post_any(stack, path, demo_objects, key)?;
    ensure!(status == expected, "POST {path}: expected {expected}, got {status} {json}");
    Ok(json)
}

fn show_plan(plan: &Value) {
    for line in plan["cost"]["lines"].as_array().into_iter().flatten() {
        let word = |name: &str| line[name].as_str().unwrap_or_default();
        println!("  {:<20} {:<58} ${:.6}", word("what"), word("amount"), line["usd"].as_f64().unwrap_or_default());
    }
    println!("  {:<79} ${:.6}", "together", plan["cost"]["total_usd"].as_f64().unwrap_or_default());
    for warning in plan["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        println!("  {warning}");
    }
}

/// What the object would cost if it were asked for alone.
fn price_alone(stack: &Stack, demo_object: &DemoObject) -> Result<f64> {
    let plan = post(stack, "/v1/plans", std::slice::from_ref(demo_object), None, 200)?;
    plan["cost"]["total_usd"].as_f64().with_context(|| format!("no total_usd in {plan}"))
}

/// Asks for the restore, twice: the second call must not start, or cost, anything.
fn ask(stack: &Stack, demo_objects: &[DemoObject], idempotency_key: &str) -> Result<String> {
    let asked = post(stack, "/v1/restores", demo_objects, Some(idempotency_key), 202)?;
    let id = text(&asked, "id")?;
    println!("POST /v1/restores  202  {id}");
    let (status, again) = post_any(stack, "/v1/restores", demo_objects, Some(idempotency_key))?;
    ensure!(
        (200..300).contains(&status) && again["id"] == asked["id"],
        "asked twice with one Idempotency-Key: expected the same restore, got {status} {again}"
    );
    println!("The same call with the same Idempotency-Key answers the same restore: nothing is asked or paid twice.");
    Ok(id)
}

/// Tells the news until the restore and its execution have ended; answers the restore as it is then.
fn follow(timeline: &mut Timeline, patience: Duration) -> Result<Value> {
    let deadline = Instant::now() + patience;
    loop {
        timeline.tell_news()?;
        if let Some(restore) = timeline.ended()? {
            return Ok(restore);
        }
        ensure!(Instant::now() < deadline, "the restore has not ended after {} s", patience.as_secs());
        std::thread::sleep(POLL);
    }
}

/// Shows what each object came to, and compares it with what it should have come to.
fn expect_objects(stack: &Stack, id: &str, demo_objects: &[DemoObject], alone: &[f64]) -> Result<()> {
    let objects = timeline::objects(stack, id)?;
    println!("  {:<28} {:<34} {:<20} {:>14}", "object", "lay in", "came to", "alone it costs");
    let mut wrong = Vec::new();
    for (demo_object, alone) in demo_objects.iter().zip(alone) {
        let object = objects.iter().find(|object| object["key"] == demo_object.key);
        let word = |field: &str| object.and_then(|object| object[field].as_str()).unwrap_or_default();
        let came_to = format!("{} {}", word("state"), word("code"));
        let came_to = came_to.trim_end();
        println!(
            "  {:<28} {:<34} {came_to:<20} {:>14}",
            demo_object.key,
            demo_object.stored_in,
            format!("${alone:.6}")
        );
        if word("state") != demo_object.expected_state.state() {
            wrong.push(format!(
                "{}: expected {}, got {came_to:?}",
                demo_object.key,
                demo_object.expected_state.state()
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The missing object must make the whole a failure that is seen, and no more than that.
fn expect_final_state(stack: &Stack, restore: &Value, demo_objects: &[DemoObject]) -> Result<()> {
    let status = text(restore, "status")?;
    ensure!(status == "partly_failed", "expected the restore to be partly_failed, got {status}");
    let execution = timeline::execution(stack, &text(restore, "id")?)?;
    ensure!(execution["status"] == "FAILED", "expected a failed execution, got {}", execution["status"]);
    let missing =
        demo_objects.iter().filter(|demo_object| demo_object.expected_state == ExpectedState::Missing).count();
    println!("\nThe restore is {status} and its execution is red, as it must be with {missing} object missing:");
    println!("  {}", execution["cause"].as_str().unwrap_or_default());
    Ok(())
}

/// What was archived is invalidated, each path once; nothing else is.
fn expect_invalidations(stack: &Stack, demo_objects: &[DemoObject]) -> Result<()> {
    if stack.s3 == S3::Ministack {
        println!("(MiniStack's CloudFront caches nothing, so there was no stale answer to be seen.)");
        return Ok(());
    }
    let state = stack.control().state()?;
    let mut paths: Vec<String> = timeline::invalidations(&state)
        .flat_map(|invalidation| invalidation["items"].as_array().into_iter().flatten())
        .filter_map(|path| path.as_str().map(str::to_owned))
        .collect();
    let published = demo_objects.iter().filter(|demo_object| demo_object.expected_state == ExpectedState::Published);
    let mut expected: Vec<String> = published.map(|demo_object| format!("/{}", demo_object.key)).collect();
    paths.sort();
    expected.sort();
    ensure!(paths == expected, "expected these paths to be invalidated: {expected:?}, got {paths:?}");
    println!("Only what had been archived was invalidated, each path once.");
    Ok(())
}

fn text(json: &Value, field: &str) -> Result<String> {
    json[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {json}"))
}
