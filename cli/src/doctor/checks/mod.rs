//! What the facts mean: pure functions, one file for each kind of thing that is checked.

mod access;
mod account;
mod bucket;
mod distribution;
mod lifecycle;
mod stack;

use jiff::Timestamp;

use super::facts::Facts;
use super::finding::{Finding, Kind, Subject};

/// All findings: the stack, the account, then each bucket with its distributions. What two buckets have in common is said
/// once.
pub fn findings(facts: &Facts, now: Timestamp) -> Vec<Finding> {
    let mut all = stack::findings(facts);
    all.extend(account::findings(facts));
    let no_buckets = match &facts.buckets {
        Ok(_) => None,
        Err(unread) => Some(Subject { kind: Kind::Stack, name: &facts.stack_name }.unread("buckets", unread)),
    };
    all.extend(no_buckets);
    for one in facts.buckets.iter().flatten() {
        all.extend(bucket::findings(one, facts, now));
        all.extend(distribution::findings(one, facts));
        all.extend(access::findings(one, facts));
    }
    let mut said = Vec::new();
    for finding in all {
        if !said.contains(&finding) {
            said.push(finding);
        }
    }
    said
}

#[cfg(test)]
mod tests;
