//! `cargo xtask demo`: thaw's main job on the local stack, told as it happens, from "403" to the bytes.
//!
//! It expects what it shows: the first thing that is not as it should be ends it with exit code 1.

mod cast;
mod timeline;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stack::{S3, Stack};
use crate::up::{self, up};
use cast::{Actor, Ending};
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
    let cast = cast::cast(stack.s3);

    heading("An archive behind a CDN");
    cast::put(stack, &cast)?;
    println!("{} holds:", stack.archive_bucket);
    for actor in &cast {
        println!("  {:<28} {}", actor.key, actor.lies);
    }

    heading("What a viewer gets today");
    for actor in &cast {
        look_through_edge(stack, actor, actor.before)?;
    }

    heading("What a restore would cost");
    show_plan(&post(stack, "/v1/plans", &cast, None, 200)?);
    // Now, because objects that were restored already cost less.
    let alone = cast.iter().map(|actor| price_alone(stack, actor)).collect::<Result<Vec<_>>>()?;

    heading("The restore is asked for, with one signed call");
    let started = Timestamp::now();
    let id = ask(stack, &cast, &format!("demo-{}", started.as_second()))?;

    heading("What happens, in virtual time");
    println!("One second here is {}.\n", timeline::hours(SignedDuration::from_secs(stack.time_scale.into())));
    let mut timeline = Timeline::new(stack, &id, started);
    let restore = follow(&mut timeline, PATIENCE + DONE_WITHIN / stack.time_scale)?;
    ensure!(restore["status"] != "failed", "the restore failed as a whole: {}", restore["says"]);

    heading("What a viewer gets now");
    for actor in &cast {
        look_through_edge(stack, actor, actor.after)?;
    }

    heading("The result");
    expect_objects(stack, &id, &cast, &alone)?;
    expect_ending(stack, &restore, &cast)?;
    expect_invalidations(stack, &cast)?;
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
fn look_through_edge(stack: &Stack, actor: &Actor, expected: u16) -> Result<()> {
    let path = format!("/{}", actor.key);
    let answer = stack.edge(&path)?;
    let body = answer.text();
    let says = if answer.status == 200 {
        body.clone()
    } else {
        crate::aws::xml_text(&body, "Code").unwrap_or_else(|| body.lines().next().unwrap_or_default().to_owned())
    };
    println!("  GET {path:<28} {}  {:<22} {}", answer.status, says, answer.header("x-cache").unwrap_or_default());
    ensure!(answer.status == expected, "GET {path} through the edge: expected {expected}, got {}", answer.status);
    ensure!(expected != 200 || body == actor.body, "GET {path} through the edge: expected the bytes, got {body}");
    Ok(())
}

fn body(stack: &Stack, cast: &[Actor]) -> Value {
    let keys: Vec<&str> = cast.iter().map(|actor| actor.key).collect();
    json!({ "bucket": stack.archive_bucket, "keys": keys, "tier": "Standard" })
}

fn post_any(stack: &Stack, path: &str, cast: &[Actor], key: Option<&str>) -> Result<(u16, Value)> {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let answer = stack.api("POST", path, &headers, body(stack, cast).to_string().as_bytes())?;
    Ok((answer.status, answer.json()?))
}

fn post(stack: &Stack, path: &str, cast: &[Actor], key: Option<&str>, expected: u16) -> Result<Value> {
    let (status, json) = post_any(stack, path, cast, key)?;
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
fn price_alone(stack: &Stack, actor: &Actor) -> Result<f64> {
    let plan = post(stack, "/v1/plans", std::slice::from_ref(actor), None, 200)?;
    plan["cost"]["total_usd"].as_f64().with_context(|| format!("no total_usd in {plan}"))
}

/// Asks for the restore, twice: the second call must not start, or cost, anything.
fn ask(stack: &Stack, cast: &[Actor], idempotency_key: &str) -> Result<String> {
    let asked = post(stack, "/v1/restores", cast, Some(idempotency_key), 202)?;
    let id = text(&asked, "id")?;
    println!("POST /v1/restores  202  {id}");
    let (status, again) = post_any(stack, "/v1/restores", cast, Some(idempotency_key))?;
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
fn expect_objects(stack: &Stack, id: &str, cast: &[Actor], alone: &[f64]) -> Result<()> {
    let objects = timeline::objects(stack, id)?;
    println!("  {:<28} {:<34} {:<20} {:>14}", "object", "lay in", "came to", "alone it costs");
    let mut wrong = Vec::new();
    for (actor, alone) in cast.iter().zip(alone) {
        let object = objects.iter().find(|object| object["key"] == actor.key);
        let word = |field: &str| object.and_then(|object| object[field].as_str()).unwrap_or_default();
        let came_to = format!("{} {}", word("state"), word("code"));
        let came_to = came_to.trim_end();
        println!("  {:<28} {:<34} {came_to:<20} {:>14}", actor.key, actor.lies, format!("${alone:.6}"));
        if word("state") != actor.ending.state() {
            wrong.push(format!("{}: expected {}, got {came_to:?}", actor.key, actor.ending.state()));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The missing object must make the whole a failure that is seen, and no more than that.
fn expect_ending(stack: &Stack, restore: &Value, cast: &[Actor]) -> Result<()> {
    let status = text(restore, "status")?;
    ensure!(status == "partly_failed", "expected the restore to be partly_failed, got {status}");
    let execution = timeline::execution(stack, &text(restore, "id")?)?;
    ensure!(execution["status"] == "FAILED", "expected a failed execution, got {}", execution["status"]);
    let missing = cast.iter().filter(|actor| actor.ending == Ending::Missing).count();
    println!("\nThe restore is {status} and its execution is red, as it must be with {missing} object missing:");
    println!("  {}", execution["cause"].as_str().unwrap_or_default());
    Ok(())
}

/// What was archived is invalidated, each path once; nothing else is.
fn expect_invalidations(stack: &Stack, cast: &[Actor]) -> Result<()> {
    if stack.s3 == S3::Ministack {
        println!("(MiniStack's CloudFront caches nothing, so there was no stale answer to be seen.)");
        return Ok(());
    }
    let state = stack.control().state()?;
    let mut paths: Vec<String> = timeline::invalidations(&state)
        .flat_map(|invalidation| invalidation["items"].as_array().into_iter().flatten())
        .filter_map(|path| path.as_str().map(str::to_owned))
        .collect();
    let published = cast.iter().filter(|actor| actor.ending == Ending::Published);
    let mut expected: Vec<String> = published.map(|actor| format!("/{}", actor.key)).collect();
    paths.sort();
    expected.sort();
    ensure!(paths == expected, "expected these paths to be invalidated: {expected:?}, got {paths:?}");
    println!("Only what had been archived was invalidated, each path once.");
    Ok(())
}

fn text(json: &Value, field: &str) -> Result<String> {
    json[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {json}"))
}
