//! `thaw plan`: what a restore would do, take and cost.

use std::fmt::Write;

use jiff::tz::TimeZone;
use serde_json::Value;
use thaw_core::quantity;

use crate::answers::Plan;
use crate::api;
use crate::args::PlanArgs;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{self, printable, size, table, times};
use crate::selection;
use crate::shell::quoted;

/// Shows the plan. A plan over `--max-cost` is shown, and refused by its exit code.
pub fn run(args: &PlanArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let request = Value::from(selection::request(&args.which, &args.how)?);
    let answer = context.connect()?.post("/v1/plans", &request, None)?;
    let plan: Plan = api::read(&answer)?;
    output::one(context.form, &answer, || Ok(text(&plan, &context.zone)))?;
    if plan.over_max_cost {
        return Ok(Exit::Refused);
    }
    context.terminal.say(&format!("To start it: {}", as_restore(std::env::args().skip(1))));
    Ok(Exit::Done)
}

/// The plan as a person reads it.
pub fn text(plan: &Plan, zone: &TimeZone) -> String {
    let mut text = String::new();
    let counts = plan.counts;
    let left = counts.total - counts.planned - counts.failed;
    let _ = match plan.publish_only {
        true => writeln!(
            text,
            "{} of {}: {left} to invalidate, {} impossible. S3 is asked for nothing.",
            quantity(counts.total, "object", "objects"),
            plan.bucket,
            counts.failed,
        ),
        false => writeln!(
            text,
            "{} of {}, {}, copies for {}: {} to restore, {left} left as they are, {} impossible.",
            quantity(counts.total, "object", "objects"),
            plan.bucket,
            plan.tier.as_str(),
            quantity(u64::from(plan.days), "day", "days"),
            counts.planned,
            counts.failed,
        ),
    };
    for kind in &plan.by_kind {
        let _ = writeln!(text, "  {} in {}, {}", kind.objects, kind.kind.name(), size(kind.bytes));
    }
    let lines =
        plan.cost.lines.iter().map(|line| vec![line.what.clone(), line.amount.clone(), format!("${}", line.usd)]);
    let total = vec![
        "total".to_owned(),
        format!("prices of {}, {}", plan.cost.region, plan.cost.prices_of),
        format!("${}", plan.cost.total_usd),
    ];
    let _ = write!(text, "\n{}", table(&["PRICE", "FOR", "USD"], lines.chain([total])));
    let paths = quantity(plan.paths, "path", "paths");
    let _ = match plan.billed_paths == plan.paths {
        true => writeln!(text, "\n{paths} to invalidate."),
        false => writeln!(text, "\n{paths} to invalidate, {} of them billed.", plan.billed_paths),
    };
    if let Some(ready) = plan.ready_between {
        let _ = writeln!(text, "Typically readable {}.", times(ready, zone));
    }
    for alternative in &plan.alternatives {
        let _ = writeln!(text, "Or {}", alternative.says);
    }
    if let Some(limit) = plan.max_cost_usd.filter(|_| plan.over_max_cost) {
        let _ = writeln!(text, "Refused: it costs ${}, more than --max-cost {limit}.", plan.cost.total_usd);
    }
    for failure in &plan.failures {
        let _ = writeln!(text, "Impossible: {}: {}", printable(&failure.key), printable(&failure.message));
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "Warning: {}", printable(warning));
    }
    text
}

/// The command line with `restore` for `plan`, as a shell takes it.
fn as_restore(args: impl Iterator<Item = String>) -> String {
    let mut is_planned = false;
    let words = args.map(|arg| {
        if arg == "plan" && !is_planned {
            is_planned = true;
            return "restore".to_owned();
        }
        quoted(&arg)
    });
    format!("thaw {}", words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_can_be_pasted() {
        let args = ["--local", "plan", "s3://b/it's a plan", "--include", "*.jpg"].map(str::to_owned);
        assert_eq!(as_restore(args.into_iter()), r"thaw --local restore 's3://b/it'\''s a plan' --include '*.jpg'");
    }
}
