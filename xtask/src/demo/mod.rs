//! `cargo xtask demo`: thaw's main job on the local stack, told as it happens, from "403" to the bytes.
//!
//! It expects what it shows: the first thing that is not as it should be ends it with exit code 1.

mod cast;
mod timeline;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use jiff::Timestamp;
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

/// Twelve hours of Deep Archive are twelve seconds here; a busy machine may need some more.
const DONE_WITHIN: Duration = Duration::from_secs(180);

/// How often we look for news.
const POLL: Duration = Duration::from_millis(100);

/// How long the copies are to stay, in days.
const DAYS: u32 = 3;

/// Boots a stack, shows the main job on it, and takes it down again.
pub fn run(options: &Options) -> Result<()> {
    let (stack, teardown) = up(&options.up)?;
    let shown = show(&stack);
    if options.keep {
        teardown.disarm();
        println!("the local stack is left running, see {}", options.up.which.dir().join("stack.json").display());
    } else {
        drop(teardown);
        println!("the local stack is down");
    }
    shown
}

fn show(stack: &Stack) -> Result<()> {
    let begun = Instant::now();
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
    let plan = post(stack, "/v1/plans", &cast, None, 200)?;
    show_plan(&plan);

    heading("The restore is asked for, with one signed call");
    let started = Timestamp::now();
    let key = format!("demo-{}", started.as_second());
    let asked = post(stack, "/v1/restores", &cast, Some(&key), 202)?;
    let id = text(&asked, "id")?;
    println!("POST /v1/restores  202  {id}");
    let again = post_any(stack, "/v1/restores", &cast, Some(&key))?;
    ensure!(
        again.0 < 300 && again.1["id"] == asked["id"],
        "asked twice with one Idempotency-Key: expected the same restore, got {} {}",
        again.0,
        again.1
    );
    println!("the same call again answers the same restore: nothing is asked or paid twice");

    heading("What happens, in virtual time");
    let ended = follow(stack, &id, started)?;

    heading("What a viewer gets now");
    for actor in &cast {
        look_through_edge(stack, actor, actor.after)?;
    }

    heading("The result");
    expect_ending(stack, &ended, &cast)?;
    let spent = begun.elapsed().as_secs_f64();
    let virtual_hours = (Timestamp::now().duration_since(started).as_secs_f64()) * f64::from(stack.time_scale) / 3600.0;
    println!("\nAll of it took {spent:.0} s, in which {virtual_hours:.0} hours of waiting passed.");
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
    json!({ "bucket": stack.archive_bucket, "keys": keys, "tier": "Standard", "days": DAYS })
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
        println!("  {:<34} {:<34} ${:.6}", word("what"), word("amount"), line["usd"].as_f64().unwrap_or_default());
    }
    println!("  {:<69} ${:.6}", "together", plan["cost"]["total_usd"].as_f64().unwrap_or_default());
    for warning in plan["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        println!("  {warning}");
    }
}

/// Tells the news until the restore has ended and its execution too; answers the restore as it is then.
fn follow(stack: &Stack, id: &str, started: Timestamp) -> Result<Value> {
    let mut timeline = Timeline::new(stack, id, started);
    let deadline = Instant::now() + DONE_WITHIN;
    loop {
        timeline.tell_news()?;
        if let Some(restore) = timeline.ended() {
            return Ok(restore.clone());
        }
        ensure!(Instant::now() < deadline, "the restore has not ended after {} s", DONE_WITHIN.as_secs());
        std::thread::sleep(POLL);
    }
}

/// Compares what the restore says of itself with what each object should have come to, and shows it as a table.
fn expect_ending(stack: &Stack, restore: &Value, cast: &[Actor]) -> Result<()> {
    let objects = timeline::objects(stack, &text(restore, "id")?)?;
    println!("  {:<28} {:<34} {:<24} {:>10}", "object", "lay in", "came to", "alone");
    let mut wrong = Vec::new();
    for actor in cast {
        let object = objects.iter().find(|object| object["key"] == actor.key);
        let state = object.and_then(|object| object["state"].as_str()).unwrap_or("nothing");
        let code = object.and_then(|object| object["code"].as_str()).unwrap_or_default();
        let alone = post(stack, "/v1/plans", std::slice::from_ref(actor), None, 200)?;
        println!(
            "  {:<28} {:<34} {:<24} {:>10}",
            actor.key,
            actor.lies,
            format!("{state} {code}").trim_end(),
            format!("${:.6}", alone["cost"]["total_usd"].as_f64().unwrap_or_default())
        );
        if state != actor.ending.state() {
            wrong.push(format!("{}: expected {}, got {state} {code}", actor.key, actor.ending.state()));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));

    // The missing object must make the whole a failure that is seen, and no more than that.
    let status = text(restore, "status")?;
    let missing = cast.iter().filter(|actor| actor.ending == Ending::Missing).count();
    ensure!(status == "partly_failed", "expected the restore to be partly_failed, got {status}");
    let execution = timeline::execution(stack, &text(restore, "id")?)?;
    ensure!(execution["status"] == "FAILED", "expected a failed execution, got {}", execution["status"]);
    println!("\nThe restore is {status} and its execution is red, as it must be with {missing} object missing:");
    println!("  {}", execution["cause"].as_str().unwrap_or_default());
    nothing_archived_was_invalidated(stack, cast)?;
    match stack.s3 {
        S3::Sim => println!("Only what had been archived was invalidated, each path once."),
        S3::Ministack => println!("(MiniStack's CloudFront keeps nothing, so no stale answer could be shown.)"),
    }
    Ok(())
}

fn nothing_archived_was_invalidated(stack: &Stack, cast: &[Actor]) -> Result<()> {
    if stack.s3 != S3::Sim {
        return Ok(());
    }
    let state = stack.control().state()?;
    let mut paths: Vec<String> = timeline::invalidations(&state)
        .flat_map(|invalidation| invalidation["items"].as_array().into_iter().flatten())
        .filter_map(|path| path.as_str().map(str::to_owned))
        .collect();
    let mut expected: Vec<String> =
        cast.iter().filter(|actor| actor.ending == Ending::Published).map(|actor| format!("/{}", actor.key)).collect();
    paths.sort();
    expected.sort();
    if paths != expected {
        bail!("expected these paths to be invalidated: {expected:?}, got {paths:?}");
    }
    Ok(())
}

fn text(json: &Value, field: &str) -> Result<String> {
    json[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {json}"))
}
