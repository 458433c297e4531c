//! Every finding in both directions: a healthy stack, and the same with one thing changed.

mod bucket;
mod distribution;
mod stack;

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::doctor::facts::{
    Access, Alarm, Bucket, BucketState, Config, DeleteMarkers, Encryption, ErrorCaching, Events, Expiration, Facts,
    Invalidated, LeftOut, LifecycleRule, Listed, Seen, SeenBehaviour, SeenDistribution, SeenFunction, SeenOrigin,
    Stack, Unread, Versioning,
};
use crate::doctor::finding::Verdict::{self, NotKnown, Note, Ok as Well, Problem, Warning};

const ARN: &str = "arn:aws:cloudfront::111122223333:distribution/E1";
const DOMAIN: &str = "archive.s3.eu-west-1.amazonaws.com";

fn now() -> Timestamp {
    "2026-11-30T10:00:00Z".parse().unwrap()
}

fn policy() -> serde_json::Value {
    let statement = |action: &str, resource: &str| {
        json!({
            "Effect": "Allow", "Principal": { "Service": "cloudfront.amazonaws.com" }, "Action": action,
            "Resource": resource, "Condition": { "StringEquals": { "AWS:SourceArn": ARN } },
        })
    };
    let statements =
        [statement("s3:GetObject", "arn:aws:s3:::archive/*"), statement("s3:ListBucket", "arn:aws:s3:::archive")];
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// A stack with a bucket and a distribution of which nothing is to be said.
fn healthy() -> Facts {
    let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let parameters = [
        parameter("ArchiveBuckets", "archive,second"),
        parameter("DistributionIds", "E1"),
        parameter("EventRules", "ENABLED"),
        parameter("DailyBudgetUsd", "20"),
        parameter("InboxMaxCostUsd", "10"),
        parameter("JoinedMaxCostUsd", "1"),
        parameter("ArchiveKmsKeys", ""),
        parameter("PathRules", ""),
    ];
    let stack = Stack { status: "UPDATE_COMPLETE".to_owned(), parameters: parameters.into(), outputs: BTreeMap::new() };
    let behaviour = SeenBehaviour {
        path_pattern: "*".to_owned(),
        query_strings: "none".to_owned(),
        functions: vec![SeenFunction { name: "index".to_owned(), event: "viewer_request".to_owned(), has_rule: true }],
        ..SeenBehaviour::default()
    };
    let distribution = SeenDistribution {
        id: "E1".to_owned(),
        origins: vec![SeenOrigin { id: "s3".to_owned(), domain: DOMAIN.to_owned(), path: String::new() }],
        behaviours: vec![behaviour],
        error_caching: vec![ErrorCaching { status: 403, seconds: 60 }],
    };
    let bucket = Bucket {
        name: "archive".to_owned(),
        state: BucketState::There,
        events: Ok(Events { to_eventbridge: true, elsewhere: false }),
        versioning: Ok(Versioning::Never),
        delete_markers: None,
        lifecycle: Ok(Vec::new()),
        encryption: Ok(Encryption::S3),
        policy: Ok(Some(policy())),
        seen: Ok(Seen {
            bucket: "archive".to_owned(),
            archive_buckets: vec!["archive".to_owned(), "second".to_owned()],
            distribution_ids: vec!["E1".to_owned()],
            distributions: vec![distribution],
            left_out: Vec::new(),
        }),
        of_stack: true,
    };
    let config = Config {
        arn: ARN.to_owned(),
        domain: "d1.cloudfront.net".to_owned(),
        aliases: vec!["www.example.com".to_owned()],
        access: [("s3".to_owned(), Access::Control)].into(),
    };
    Facts {
        stack_name: "thaw".to_owned(),
        region: "eu-west-1".to_owned(),
        days: 3,
        stack: Ok(stack),
        alarms: Ok(vec![alarm("OK")]),
        concurrency: Ok(1_000),
        buckets: Ok(vec![bucket]),
        account_distributions: Ok(vec![listed("E1")]),
        configs: [("E1".to_owned(), Ok(config))].into(),
        invalidated: Ok(Invalidated { paths: 12, at_least: false }),
    }
}

fn alarm(state: &str) -> Alarm {
    Alarm {
        name: "thaw-InboxFileAlarm-1A".to_owned(),
        state: state.to_owned(),
        description: "Files in the inbox could not be handled.".to_owned(),
    }
}

fn listed(id: &str) -> Listed {
    Listed {
        id: id.to_owned(),
        domain: format!("{}.cloudfront.net", id.to_lowercase()),
        enabled: true,
        staging: false,
        origins: vec![(DOMAIN.to_owned(), String::new())],
    }
}

/// A statement that lets somebody read all objects.
fn allow_get(principal: &serde_json::Value) -> serde_json::Value {
    json!({ "Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::archive/*" })
}

/// A change of the healthy stack.
type Change = fn(&mut Facts);

fn archive(facts: &mut Facts) -> &mut Bucket {
    &mut facts.buckets.as_mut().unwrap()[0]
}

fn seen(facts: &mut Facts) -> &mut Seen {
    archive(facts).seen.as_mut().unwrap()
}

fn shown(facts: &mut Facts) -> &mut SeenDistribution {
    &mut seen(facts).distributions[0]
}

fn behaviour(facts: &mut Facts) -> &mut SeenBehaviour {
    &mut shown(facts).behaviours[0]
}

fn set(facts: &mut Facts, parameter: &str, value: &str) {
    facts.stack.as_mut().unwrap().parameters.insert(parameter.to_owned(), value.to_owned());
}

fn access(facts: &mut Facts, access: Access) {
    let config = facts.configs.get_mut("E1").unwrap().as_mut().unwrap();
    config.access.insert("s3".to_owned(), access);
}

fn grant(facts: &mut Facts, change: impl FnOnce(&mut Vec<serde_json::Value>)) {
    let policy = archive(facts).policy.as_mut().unwrap().as_mut().unwrap();
    change(policy["Statement"].as_array_mut().unwrap());
}

fn rule(facts: &mut Facts, rule: LifecycleRule) {
    let whole = LifecycleRule { id: "old".to_owned(), enabled: true, ..rule };
    archive(facts).lifecycle.as_mut().unwrap().push(whole);
}

fn expires(days: u32) -> LifecycleRule {
    LifecycleRule { expiration: Some(Expiration::Days(days)), ..LifecycleRule::default() }
}

fn leave_out(facts: &mut Facts, reason: &str) {
    let says = "It is left out. Do something.".to_owned();
    seen(facts).left_out.push(LeftOut { distribution: "E7".to_owned(), reason: reason.to_owned(), says });
}

fn denied() -> Unread {
    Unread::Denied { action: "s3:GetBucketPolicy", resource: "arn:aws:s3:::archive".to_owned() }
}

/// What a change makes of the checks with this name, as verdict, what was found, and what is in the command that mends it.
#[track_caller]
fn check(change: Change, check: &str, expected: &[(Verdict, &str, &str)]) {
    let mut facts = healthy();
    change(&mut facts);
    let all = findings(&facts, now());
    let found: Vec<_> = all.iter().filter(|finding| finding.check == check && finding.verdict != Well).collect();
    assert_eq!(found.len(), expected.len(), "{check}: {found:#?}");
    for (finding, (verdict, words, command)) in found.iter().zip(expected) {
        assert_eq!((finding.verdict, finding.found.as_str()), (*verdict, *words), "{finding:#?}");
        assert!(finding.why.as_ref().is_some_and(|why| why.ends_with(['.', '}', 's'])), "{finding:#?}");
        let mend = finding.mend.as_deref().unwrap_or_default();
        assert_eq!(mend.is_empty(), command.is_empty(), "{finding:#?}");
        assert!(mend.contains(command), "{command}: {finding:#?}");
    }
    // What else is found follows from it at most; the healthy stack itself has nothing.
    let others = all.iter().filter(|finding| finding.check != check && finding.verdict == Problem);
    assert_eq!(others.count(), 0, "{all:#?}");
}

#[test]
fn a_healthy_stack_has_nothing_to_be_said_of() {
    let all = findings(&healthy(), now());
    let bad: Vec<_> = all.iter().filter(|finding| finding.verdict != Well).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let checks: Vec<_> = all.iter().map(|finding| finding.check).collect();
    let expected = [
        "status",
        "event rules",
        "limits",
        "alarms",
        "functions at a time",
        "free paths",
        "events",
        "versions",
        "lifecycle",
        "encryption",
        "distributions",
        "error caching",
        "query strings",
        "functions",
        "origin access",
        "missing keys",
    ];
    assert_eq!(checks, expected);
}

#[test]
fn a_denied_read_is_one_line_with_the_policy_that_allows_it_and_stops_no_other_check() {
    let changes: [(Change, &str); 14] = [
        (|facts| facts.buckets = Err(denied()), "buckets"),
        (|facts| facts.stack = Err(denied()), "status"),
        (|facts| facts.alarms = Err(denied()), "alarms"),
        (|facts| facts.concurrency = Err(denied()), "functions at a time"),
        (|facts| facts.invalidated = Err(denied()), "free paths"),
        (|facts| archive(facts).events = Err(denied()), "events"),
        (|facts| archive(facts).versioning = Err(denied()), "versions"),
        (|facts| archive(facts).lifecycle = Err(denied()), "lifecycle"),
        (|facts| archive(facts).encryption = Err(denied()), "encryption"),
        (|facts| archive(facts).policy = Err(denied()), "origin access"),
        (|facts| access(facts, Access::Unread(denied())), "origin access"),
        (|facts| drop(facts.configs.insert("E1".to_owned(), Err(denied()))), "origin access"),
        (|facts| facts.account_distributions = Err(denied()), "other distributions"),
        (|facts| archive(facts).seen = Err(denied()), "distributions"),
    ];
    for (change, name) in changes {
        check(change, name, &[(NotKnown, "you may not s3:GetBucketPolicy", "")]);
        let mut facts = healthy();
        change(&mut facts);
        let all = findings(&facts, now());
        assert_eq!(all.iter().filter(|finding| finding.verdict != Well).count(), 1, "{name}: {all:#?}");
        let why = all.iter().find(|finding| finding.check == name).and_then(|finding| finding.why.clone()).unwrap();
        let policy = r#"{"Effect": "Allow", "Action": "s3:GetBucketPolicy", "Resource": "arn:aws:s3:::archive"}"#;
        assert!(why.ends_with(policy), "{why}");
    }
}

#[test]
fn what_two_buckets_have_in_common_is_said_once() {
    let mut facts = healthy();
    leave_out(&mut facts, "disabled");
    let second = Bucket { name: "second".to_owned(), ..archive(&mut facts).clone() };
    facts.buckets.as_mut().unwrap().push(second);
    let all = findings(&facts, now());
    assert_eq!(all.iter().filter(|finding| finding.name == "E7").count(), 1, "{all:#?}");
    assert_eq!(all.iter().filter(|finding| finding.check == "events").count(), 2);
}
