//! `thaw wait`: polls a restore until it has ended.

use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use thaw_core::{Status, quantity};

use crate::answers::Restore;
use crate::api::{self, Api};
use crate::args::WaitArgs;
use crate::commands::status;
use crate::context::{Context, restore_path};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::times;
use crate::terminal::{is_interrupted, note_interrupts};

/// Seconds between polls if the API does not say.
const POLL_SECONDS: u64 = 60;

/// How long it takes at most to notice Ctrl-C.
const TICK: Duration = Duration::from_millis(100);

/// Waits for a restore that was started before.
pub fn run(args: &WaitArgs, context: &Context<'_>) -> Result<Exit, Error> {
    restore_path(&args.id)?;
    until_ended(&mut context.connect()?, &args.id, args.timeout, context)
}

/// Waits until a restore has ended, prints it, and answers how it ended. The restore goes on if the wait ends earlier.
pub fn until_ended(api: &mut Api<'_>, id: &str, timeout: SignedDuration, context: &Context<'_>) -> Result<Exit, Error> {
    note_interrupts();
    let path = restore_path(id)?;
    let started = Instant::now();
    let timeout = Duration::try_from(timeout).unwrap_or_default();
    let progress = context.terminal.progress();
    let (mut last, mut poll_seconds) = (None, POLL_SECONDS);
    loop {
        match api.get(&path) {
            Ok((answer, retry_after)) => {
                let restore: Restore = api::read(&answer)?;
                if restore.status != Status::Running {
                    progress.finish_and_clear();
                    return status::show(&answer, context);
                }
                progress.set_message(line(&restore, context));
                last = Some(answer);
                poll_seconds = retry_after.unwrap_or(POLL_SECONDS);
            }
            // A wait of two days outlives a lost connection. The first call must succeed: the address may be wrong.
            Err(Error::NoAnswer(why)) if last.is_some() => progress.set_message(why),
            Err(error) => return Err(error),
        }
        // A local stack's clock runs faster, and so does what is waited for.
        let poll = Duration::from_secs(poll_seconds) / api.time_scale();
        let until = Instant::now() + poll.max(Duration::from_secs(1));
        while Instant::now() < until {
            if is_interrupted() {
                progress.finish_and_clear();
                return Err(Error::Interrupted(format!(
                    "Interrupted. The restore goes on. To wait for it again: thaw wait {id}"
                )));
            }
            if started.elapsed() >= timeout {
                progress.finish_and_clear();
                if let Some(answer) = &last {
                    status::show(answer, context)?;
                }
                return Ok(Exit::TimedOut);
            }
            sleep(TICK.min(until.saturating_duration_since(Instant::now())));
        }
    }
}

/// What a running restore is doing, on one line: counts, and what is typical. No percentage, because nobody knows it.
fn line(restore: &Restore, context: &Context<'_>) -> String {
    let counts = restore.counts;
    let mut parts: Vec<String> = [
        (counts.published, "published"),
        (counts.restored, "readable"),
        (counts.restoring, "being restored"),
        (counts.planned, "not asked for yet"),
        (counts.failed, "failed"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    if parts.is_empty() {
        parts.push("planning".to_owned());
    }
    let ready = restore.ready_between.map(|ready| format!("; typically readable {}", times(ready, &context.zone)));
    let total = quantity(counts.total, "object", "objects");
    format!("{total}: {}{}", parts.join(", "), ready.unwrap_or_default())
}
