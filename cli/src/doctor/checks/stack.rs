//! The stack itself: whether it is whole, what its alarms say, and what its parameters leave out.

use crate::doctor::facts::{Alarm, Facts, Stack};
use crate::doctor::finding::{Finding, Kind, Subject};
use crate::doctor::mend::set_parameter;
use crate::shell::quoted;

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let subject = Subject { kind: Kind::Stack, name: &facts.stack_name };
    let mut out = Vec::new();
    match &facts.stack {
        Ok(stack) => {
            out.push(status(stack, subject, facts));
            out.push(event_rules(stack, subject, facts));
            out.push(limits(stack, subject, facts));
        }
        Err(unread) => out.push(subject.unread("status", unread)),
    }
    match &facts.alarms {
        Ok(alarms) => out.extend(alarms_of(alarms, subject, facts)),
        Err(unread) => out.push(subject.unread("alarms", unread)),
    }
    out
}

/// CloudFormation User Guide, "Understand CloudFormation stack creation events", "Stack status codes".
fn status(stack: &Stack, subject: Subject<'_>, facts: &Facts) -> Finding {
    let status = stack.status.as_str();
    let events = || {
        format!(
            "aws cloudformation describe-stack-events --stack-name {} --region {} --query 'StackEvents[?contains(ResourceStatus, `FAILED`)].[LogicalResourceId, ResourceStatusReason]'",
            quoted(&facts.stack_name),
            facts.region
        )
    };
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" => {
            subject.ok("status", status)
        }
        "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => {
            let why = "The last update failed and was taken back: the stack is what it was before, without what the update was for. The command says what failed.";
            subject.warning("status", status, why).mend(events())
        }
        _ if status.ends_with("_IN_PROGRESS") => {
            let why = "CloudFormation is changing the stack now. Restores that run go on; look again when it is done.";
            subject.note("status", status, why)
        }
        _ => {
            let why = "The stack is not whole, so some of its functions or rules may be missing. The command says what failed.";
            subject.problem("status", status, why).mend(events())
        }
    }
}

fn event_rules(stack: &Stack, subject: Subject<'_>, facts: &Facts) -> Finding {
    match stack.parameters.get("EventRules").map(String::as_str) {
        Some("DISABLED") => {
            let why = "The stack ignores S3's events. Objects are found by polling alone: up to hours after S3 has restored them.";
            let finding = subject.warning("event rules", "EventRules is DISABLED", why);
            finding.mend(set_parameter(&facts.stack_name, &facts.region, "EventRules", "ENABLED"))
        }
        Some(_) | None => subject.ok("event rules", "enabled"),
    }
}

/// The parameters that limit what may be spent, if they are empty.
fn limits(stack: &Stack, subject: Subject<'_>, facts: &Facts) -> Finding {
    let limits = [
        ("DailyBudgetUsd", "all restores of a day", "20"),
        ("InboxMaxCostUsd", "a manifest in the inbox", "10"),
        ("JoinedMaxCostUsd", "publishing what others restore", "1"),
    ];
    let is_empty = |name: &str| stack.parameters.get(name).is_none_or(String::is_empty);
    let without: Vec<_> = limits.into_iter().filter(|(name, ..)| is_empty(name)).collect();
    match without.as_slice() {
        [] => subject.ok("limits", "all are set"),
        [(first, _, usd), ..] => {
            let names: Vec<_> = without.iter().map(|(name, ..)| *name).collect();
            let of: Vec<_> = without.iter().map(|(_, of, _)| *of).collect();
            let found = format!("{} not set", names.join(", "));
            let why = format!(
                "Nothing limits what may be spent on {}, except the limit of each request. The command sets the first one; choose the amount.",
                of.join(", or on ")
            );
            let finding = subject.note("limits", found, why);
            finding.mend(set_parameter(&facts.stack_name, &facts.region, first, usd))
        }
    }
}

fn alarms_of(alarms: &[Alarm], subject: Subject<'_>, facts: &Facts) -> Vec<Finding> {
    let ringing: Vec<_> = alarms.iter().filter(|alarm| alarm.state == "ALARM").collect();
    if ringing.is_empty() {
        return vec![match alarms.len() {
            0 => subject.not_known(
                "alarms",
                "none found",
                format!("CloudWatch knows no alarm of the stack {} in {}.", facts.stack_name, facts.region),
            ),
            count => subject.ok("alarms", format!("none of {count} in ALARM")),
        }];
    }
    let finding = |alarm: &&Alarm| {
        let says = Some(alarm.description.as_str()).filter(|says| !says.is_empty());
        let why = says.unwrap_or("Its description in the template says what it means.");
        let history = format!(
            "aws cloudwatch describe-alarm-history --alarm-name {} --region {} --history-item-type StateUpdate --max-items 5",
            quoted(&alarm.name),
            facts.region
        );
        subject.warning("alarms", format!("{} in ALARM", alarm.name), why).mend(history)
    };
    ringing.iter().map(finding).collect()
}
