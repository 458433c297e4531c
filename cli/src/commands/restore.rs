//! `thaw restore`: shows the price, asks, and starts a restore.

use std::hash::{BuildHasher, Hasher, RandomState};

use serde_json::{Map, Value, json};
use thaw_core::{Usd, quantity};

use crate::answers::{Plan, Restore};
use crate::api::{self, Api};
use crate::args::{RestoreArgs, Start};
use crate::commands::{plan, wait};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output;
use crate::selection;

/// Restores objects.
pub fn run(args: &RestoreArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let request = selection::request(&args.which, &args.how)?;
    plan_and_start(request, args.how.max_cost, &args.start, "Restore", context)
}

/// Plans a request, asks, and starts exactly what was planned. `verb` begins the question.
pub fn plan_and_start(
    mut request: Map<String, Value>,
    max_cost: Option<Usd>,
    how: &Start,
    verb: &str,
    context: &Context<'_>,
) -> Result<Exit, Error> {
    let mut api = context.connect()?;
    let agreed = match api.post("/v1/plans", &Value::from(request.clone()), None) {
        Ok(answer) => planned(&answer, max_cost, how, verb, context)?,
        Err(Error::Problem(problem)) if is_too_large(&problem.kind) => {
            too_large(max_cost, how, verb, context)?;
            return start(&mut api, "/v1/restores", request, how, context);
        }
        Err(error) => return Err(error),
    };
    let Some(agreed) = agreed else { return Ok(Exit::Done) };
    request.insert("confirm".to_owned(), json!(agreed.hash));
    start(&mut api, "/v1/restores", request, how, context)
}

/// The plan that the caller has agreed to.
pub struct Agreed {
    pub hash: String,
    pub price: Usd,
}

/// Shows a plan and asks. `None` if only the plan was asked for.
pub fn planned(
    answer: &Value,
    limit: Option<Usd>,
    start: &Start,
    verb: &str,
    context: &Context<'_>,
) -> Result<Option<Agreed>, Error> {
    let plan: Plan = api::read(answer)?;
    let price = plan.cost.total_usd;
    if start.dry_run {
        output::one(context.form, answer, || {
            Ok(format!("(dry-run) Nothing is started.\n{}", plan::text(&plan, &context.zone)))
        })?;
    } else {
        context.terminal.say(&plan::text(&plan, &context.zone));
    }
    if let Some(limit) = limit.filter(|limit| price > *limit) {
        return Err(Error::Refused(format!("It costs ${price}, more than --max-cost {limit}. Nothing was started.")));
    }
    if start.dry_run {
        return Ok(None);
    }
    let objects = quantity(plan.counts.total - plan.counts.failed, "object", "objects");
    context.terminal.confirm(&format!("{verb} {objects} for ${price}?"))?;
    Ok(Some(Agreed { hash: plan.hash, price }))
}

fn is_too_large(problem: &str) -> bool {
    matches!(problem, "urn:thaw:problem:too-many-to-wait-for" | "urn:thaw:problem:too-long-to-wait-for")
}

/// So many objects that their plan takes longer than a call: the restore plans them itself, within `--max-cost`.
fn too_large(max_cost: Option<Usd>, how: &Start, verb: &str, context: &Context<'_>) -> Result<(), Error> {
    if how.dry_run {
        context.terminal.say("The plan takes too long for one call, so a restore is started that only plans.");
        return Ok(());
    }
    let Some(limit) = max_cost else {
        return Err(Error::Refused(
            "There are too many objects to plan them before the restore begins. Say what it may cost with --max-cost: a dearer restore ends before S3 is asked for anything. Or let thaw only plan it, with --dry-run. Nothing was started.".to_owned(),
        ));
    };
    context.terminal.confirm(&format!(
        "There are too many objects to plan them first. {verb} them if that costs no more than ${limit}?"
    ))
}

/// A key that no other request has: 128 random bits of the standard library's hash keys.
pub fn random_key() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

/// Starts a restore, prints it, and waits for it if that was asked for.
pub fn start(
    api: &mut Api<'_>,
    path: &str,
    mut request: Map<String, Value>,
    start: &Start,
    context: &Context<'_>,
) -> Result<Exit, Error> {
    if start.dry_run {
        request.insert("dry_run".to_owned(), json!(true));
    }
    // If an answer is lost, the call is repeated with its key, and starts nothing new.
    let key = start.idempotency_key.clone().unwrap_or_else(random_key);
    let answer = api.post(path, &Value::from(request), Some(&key))?;
    let restore: Restore = api::read(&answer)?;
    if let Some(timeout) = start.wait {
        context.terminal.say(&format!("Started {}", restore.id));
        return wait::until_ended(api, &restore.id, timeout, context);
    }
    output::one(context.form, &answer, || Ok(format!("{}\n", restore.id)))?;
    context.terminal.say(&format!("Started. To wait for it: thaw wait {}", restore.id));
    Ok(Exit::of(restore.status, restore.problem.as_deref()))
}
