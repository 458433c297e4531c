//! `thaw status` and `thaw cancel`.

use std::fmt::Write;

use jiff::tz::TimeZone;
use serde_json::Value;
use thaw_core::Status;

use crate::answers::Restore;
use crate::api;
use crate::context::{Context, restore_path};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{self, printable, table, time, times};

/// Shows how a restore stands, with one call.
pub fn run(id: &str, context: &Context<'_>) -> Result<Exit, Error> {
    let path = restore_path(id)?;
    let (answer, _) = context.connect()?.get(&path)?;
    show(&answer, context)
}

/// Cancels a restore.
pub fn cancel(id: &str, context: &Context<'_>) -> Result<Exit, Error> {
    let path = restore_path(id)?;
    let answer = context.connect()?.delete(&path)?;
    show(&answer, context)?;
    Ok(Exit::Done)
}

/// Prints a restore, and says what can be done next.
pub fn show(answer: &Value, context: &Context<'_>) -> Result<Exit, Error> {
    let restore: Restore = api::read(answer)?;
    output::one(context.form, answer, || Ok(text(&restore, &context.zone)))?;
    if let Some(next) = next(&restore) {
        context.terminal.say(&next);
    }
    Ok(Exit::of(restore.status, restore.problem.as_deref()))
}

/// A restore as a person reads it.
fn text(restore: &Restore, zone: &TimeZone) -> String {
    let mut rows = vec![("id", restore.id.clone()), ("status", standing(restore))];
    rows.extend(restore.says.as_ref().map(|says| ("", says.clone())));
    rows.push(("objects", format!("{} in {}", restore.counts.total, restore.bucket)));
    let how = if restore.publish_only { "publishing only" } else { restore.tier.as_str() };
    rows.push(("requested", format!("{}, {how}", time(restore.requested_at, zone))));
    if restore.status == Status::Running {
        rows.extend(restore.ready_between.map(|ready| ("typically readable", times(ready, zone))));
    }
    rows.extend(restore.counted_at.map(|at| ("counted", time(at, zone))));
    rows.extend(restore.completed_at.map(|at| ("ended", time(at, zone))));
    match restore.copies_expire {
        Some(expire) => rows.push(("copies until", times(expire, zone))),
        None if restore.publish_only => {}
        None => rows.push(("copies for", thaw_core::quantity(u64::from(restore.days), "day", "days"))),
    }
    rows.extend(restore.cost.as_ref().map(|cost| ("price", format!("${}", cost.total_usd))));
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:width$}  {}", printable(&value));
    }
    if !restore.failures.is_empty() {
        let failures = restore.failures.iter().map(|one| vec![one.key.clone(), one.message.clone()]);
        let _ = write!(text, "\n{}", table(&["FAILED", "WHY"], failures));
    }
    for warning in &restore.warnings {
        let _ = writeln!(text, "Warning: {}", printable(warning));
    }
    text
}

/// The status in words, with what a running restore is doing.
fn standing(restore: &Restore) -> String {
    let status = restore.status.as_str().replace('_', " ");
    match (restore.status, serde_json::to_value(restore.stage)) {
        (Status::Running, Ok(Value::String(stage))) => format!("{status}, {stage}"),
        _ => status,
    }
}

fn next(restore: &Restore) -> Option<String> {
    let id = &restore.id;
    match restore.status {
        Status::Running => Some(format!("To wait for it: thaw wait {id}")),
        Status::Succeeded => None,
        Status::PartlyFailed => Some(format!("To ask again for what failed: thaw retry {id}")),
        Status::Failed if restore.problem.is_some() => None,
        Status::Failed | Status::Cancelled => Some(format!("To ask again: thaw retry {id}")),
    }
}
