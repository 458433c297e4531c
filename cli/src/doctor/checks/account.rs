//! The account: its quota of functions, and the free invalidation paths of the month.

use thaw_core::FEW_FUNCTIONS;

use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Kind, Subject};

/// Invalidation paths that are free in a month, for all distributions of an account together (Developer Guide, "Pay for file
/// invalidation").
const FREE_PATHS: u64 = 1_000;

pub fn findings(facts: &Facts) -> Vec<Finding> {
    vec![concurrency(facts), free_paths(facts)]
}

fn concurrency(facts: &Facts) -> Finding {
    let subject = Subject { kind: Kind::Account, name: &facts.region };
    let check = "functions at a time";
    match &facts.concurrency {
        Err(unread) => subject.unread(check, unread),
        Ok(count) if *count < FEW_FUNCTIONS => {
            let why = "thaw's queues and chunks alone use ten at a time. The workflow retries, but the HTTP API answers with an error now and then, and events wait.";
            subject.warning(check, count.to_string(), why).mend(format!(
                "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000 --region {}",
                facts.region
            ))
        }
        Ok(count) => subject.ok(check, count.to_string()),
    }
}

fn free_paths(facts: &Facts) -> Finding {
    const BILL: &str = "The bill has all of them: https://console.aws.amazon.com/billing/home#/bills";
    let subject = Subject { kind: Kind::Account, name: "CloudFront" };
    let check = "free paths";
    let invalidated = match &facts.invalidated {
        Err(unread) => return subject.unread(check, unread),
        Ok(invalidated) => invalidated,
    };
    let at_least = if invalidated.at_least { "at least " } else { "" };
    let found = format!("{at_least}{} of {FREE_PATHS} used this month", invalidated.paths);
    if invalidated.paths >= FREE_PATHS {
        let why = format!("Each further path of this month costs $0.005. {BILL}");
        return subject.note(check, found, why);
    }
    if invalidated.at_least {
        let why = format!(
            "There were too many invalidations this month to read each of them, so the paths were not all counted. {BILL}"
        );
        return subject.not_known(check, found, why);
    }
    let why = format!(
        "The free paths are for all distributions of the account together. Only those in front of the buckets above were counted. {BILL}"
    );
    Finding { why: Some(why), ..subject.ok(check, found) }
}
