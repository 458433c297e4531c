//! Lifecycle rules that delete objects, and with them their copies: an expiration of the lifecycle counts more than that of a
//! copy (API Reference, "RestoreObject").

use jiff::{SignedDuration, Timestamp};
use thaw_core::quantity;

use crate::doctor::facts::{Bucket, Expiration, Facts, LifecycleRule};
use crate::doctor::finding::{Finding, Subject};
use crate::doctor::mend::expire_after;

/// Days that a restore takes at most, at Bulk from Deep Archive.
const RETRIEVAL_DAYS: u32 = 2;

pub fn findings(bucket: &Bucket, facts: &Facts, subject: Subject<'_>, now: Timestamp) -> Vec<Finding> {
    let rules = match &bucket.lifecycle {
        Err(unread) => return vec![subject.unread("lifecycle", unread)],
        Ok(rules) => rules,
    };
    let active: Vec<_> = rules.iter().filter(|rule| rule.enabled).collect();
    let deleting = active.iter().filter_map(|rule| Some((*rule, rule.expiration?)));
    let findings: Vec<_> = deleting
        .map(|(rule, expiration)| match expiration {
            Expiration::Days(days) => after_days(rule, days, &active, bucket, facts, subject),
            Expiration::Date(date) => at_date(rule, date, bucket, facts, subject, now),
        })
        .collect();
    if findings.is_empty() { vec![subject.ok("lifecycle", "deletes no objects")] } else { findings }
}

/// A rule that deletes objects so many days after they were made.
fn after_days(
    rule: &LifecycleRule,
    deleted: u32,
    active: &[&LifecycleRule],
    bucket: &Bucket,
    facts: &Facts,
    subject: Subject<'_>,
) -> Finding {
    let overlaps =
        |other: &LifecycleRule| other.prefix.starts_with(&rule.prefix) || rule.prefix.starts_with(&other.prefix);
    let archived = active.iter().filter(|other| overlaps(other)).filter_map(|other| other.archives_after).min();
    let found = format!("{:?} deletes after {}", rule.id, days(deleted));
    let what = objects(rule);
    let left = deleted.saturating_sub(archived.unwrap_or_default());
    if left >= facts.days {
        let why = format!(
            "{what} are deleted {} after they were made, and their copies with them, however long a copy should stay.",
            days(deleted)
        );
        return subject.note("lifecycle", found, why);
    }
    let archived_words = match archived {
        Some(archived) => {
            format!("{what} are archived {} after they were made and deleted {}", days(archived), days(deleted))
        }
        None => format!("{what} are deleted {}", days(deleted)),
    };
    let why = format!(
        "{archived_words} after they were made: no copy stays for {}, because it is deleted with its object.",
        days(facts.days)
    );
    let later = archived.unwrap_or_default() + facts.days + RETRIEVAL_DAYS + 1;
    too_early(rule, found, why, subject).mend(expire_after(&bucket.name, &facts.region, &rule.id, later))
}

/// A rule that deletes objects from a day on.
fn at_date(
    rule: &LifecycleRule,
    date: Timestamp,
    bucket: &Bucket,
    facts: &Facts,
    subject: Subject<'_>,
    now: Timestamp,
) -> Finding {
    let day = date.strftime("%Y-%m-%d");
    let found = format!("{:?} deletes on {day}", rule.id);
    let what = objects(rule);
    let copy = SignedDuration::from_hours(24 * i64::from(facts.days));
    if date.duration_since(now) >= copy {
        let why = format!("{what} are deleted on {day}, and their copies with them, however long a copy should stay.");
        return subject.note("lifecycle", found, why);
    }
    let why = format!(
        "{what} are deleted from {day} on: no copy stays for {}, because it is deleted with its object.",
        days(facts.days)
    );
    let later = facts.days + RETRIEVAL_DAYS + 1;
    too_early(rule, found, why, subject).mend(expire_after(&bucket.name, &facts.region, &rule.id, later))
}

/// A rule with a filter is about some objects only.
fn too_early(rule: &LifecycleRule, found: String, why: String, subject: Subject<'_>) -> Finding {
    match rule.has_filter {
        true => subject.warning("lifecycle", found, why),
        false => subject.problem("lifecycle", found, why),
    }
}

/// The objects that a rule is about.
fn objects(rule: &LifecycleRule) -> String {
    let filter = if rule.has_filter { " that its filter by tags or sizes chooses" } else { "" };
    match rule.prefix.as_str() {
        "" => format!("Objects{filter}"),
        prefix => format!("Objects under {prefix}{filter}"),
    }
}

fn days(count: u32) -> String {
    quantity(u64::from(count), "day", "days")
}
