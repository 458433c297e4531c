//! The stack gets another release, goes back, and is removed and made again, each time in the middle of restores and under
//! attack. Nothing is lost, and nothing is paid twice.
//!
//! `cargo xtask test upgrade` boots a stack of the release before this one for these tests. They run one after the other in
//! the order of their names, because they share the stack: the last removes it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::attack::{MORTAL, archived, paid_once, stage};
use super::lambdas::Reaper;
use super::stack::{Stack, sim, until};

/// The place of the release before this one in `stack.json`.
const EARLIER: usize = 0;
/// That of this one.
const THIS: usize = 1;

#[test]
fn a_restore_outlives_upgrades_and_rollbacks_while_lambdas_die_and_events_get_lost() {
    let nobody = |key: &str| json!({ "kind": "completed", "key": key });
    let script =
        json!({ "drop": [nobody("upgrade*/0*"), nobody("upgrade*/2*")], "duplicate": 1, "jitter_seconds": 600 });
    let slow = json!([{ "operation": "RestoreObject", "code": "SlowDown", "status": 503, "times": 40 }]);
    let _stage = stage(&slow, &script);
    deploy(sim(), EARLIER, &[]);
    let reaper = Reaper::of(&MORTAL);

    // The emulator kills the functions that it updates, which AWS does not. It does so while these restores wait for S3, twelve
    // seconds, so that the reaper alone decides who dies. Each of them begins under one release and ends under another, or after two.
    let mut begun = Vec::new();
    for (round, release) in [THIS, EARLIER, THIS, EARLIER, THIS].into_iter().enumerate() {
        let keys = archived(&format!("upgrade{round}"), "DEEP_ARCHIVE", 120);
        let id = restore(sim(), &keys);
        waits(&id);
        let before = sim().look(&id)["status"].clone();
        deploy(sim(), release, &[]);
        assert_eq!(before, "running", "the restore was not in the middle of anything");
        begun.push((id, keys));
    }
    for (id, keys) in &begun {
        sim().succeeds(id);
        paid_once(keys);
    }
    reaper.stop();
    for (id, keys) in &begun {
        for function in ["Plan", "CheckRestores", "Report"] {
            let versions = versions(function, id);
            assert_eq!(versions.len(), 1, "{function} worked for {id} in {versions:?}");
        }
        assert_eq!(sim().look(id)["counts"]["published"], keys.len());
        assert_eq!(sim().objects(id).len(), keys.len());
    }
}

#[test]
fn a_restore_ends_with_the_settings_with_which_it_began() {
    let _stage = stage(&json!([]), &json!({}));
    deploy(sim(), THIS, &[]);
    let before = archived("settings-before", "DEEP_ARCHIVE", 2);
    let before = (restore(sim(), &before), before);
    waits(&before.0);
    deploy(sim(), THIS, &[("DailyBudgetUsd", "1000")]);
    let after = archived("settings-after", "DEEP_ARCHIVE", 2);
    let after = (restore(sim(), &after), after);
    for (id, keys) in [&before, &after] {
        sim().succeeds(id);
        paid_once(keys);
    }
    for function in ["Plan", "CheckRestores", "Report"] {
        let (before, after) = (versions(function, &before.0), versions(function, &after.0));
        assert!(before.len() == 1 && after.len() == 1 && before != after, "{function}: {before:?}, {after:?}");
    }
}

#[test]
fn a_stack_that_is_removed_in_the_middle_of_restores_leaves_everything_as_it_was_and_the_next_one_goes_on() {
    let _stage = stage(&json!([]), &json!({}));
    deploy(sim(), THIS, &[]);
    let events = || {
        let events = |bucket: &str| {
            let configuration =
                sim().aws("s3", "get_bucket_notification_configuration", json!({ "Bucket": sim().entry(bucket) }));
            configuration.get("EventBridgeConfiguration").is_some()
        };
        ["archive_bucket", "media_bucket"].map(events)
    };
    let distributions = || {
        ["distribution_id", "media_distribution_id"]
            .map(|name| sim().aws("cloudfront", "get_distribution_config", json!({ "Id": sim().entry(name) })))
    };
    assert_eq!(events(), [true, true], "the stack has turned them on");
    let before = distributions();
    let published = archived("removed-before", "GLACIER", 20);
    let done = restore(sim(), &published);
    sim().succeeds(&done);
    let keys = archived("removed-amid", "DEEP_ARCHIVE", 60);
    let running = restore(sim(), &keys);
    waits(&running);

    // The order that the guide gives: stop what runs, wait until no execution runs, delete.
    sim().api("DELETE", &format!("/v1/restores/{running}"), &Value::Null).json(202);
    sim().ended(&running);
    sim().aws("cloudformation", "delete_stack", json!({ "StackName": "thaw" }));
    until("the stack is gone", || is_gone().then_some(()));
    // As they were before there was a stack.
    assert_eq!((events(), distributions()), ([false, false], before));
    restores_by_hand();

    let next =
        create(&[("ExistingLedger", sim().entry("ledger_table")), ("ExistingWorkBucket", sim().entry("work_bucket"))]);
    assert_eq!(next.look(&done)["status"], "succeeded");
    assert_eq!(next.objects(&done).len(), published.len());
    assert_eq!(next.look(&running)["status"], "cancelled");
    // S3 went on with what was asked for. The next stack follows it, and pays nothing twice.
    let body = json!({ "bucket": next.bucket(), "prefix": "removed-" });
    let adopted = next.api("POST", "/v1/adoptions", &body).json(200);
    assert_eq!((&adopted["adopted"], &adopted["known"]), (&json!(keys.len()), &json!(published.len())), "{adopted}");
    for restore in adopted["restores"].as_array().expect("adopted objects have restores") {
        next.succeeds(restore["id"].as_str().expect("a restore has an id"));
    }
    paid_once(&published);
    paid_once(&keys);
}

/// What the page for those without thaw says, typed line by line while there is no stack.
fn restores_by_hand() {
    const PAGE: &str = include_str!("../../../docs/RESTORE-BY-HAND.md");
    let key = "by hand/cat.jpg";
    sim().put("GLACIER", [key]);
    assert_eq!(sim().view("/by%20hand/cat.jpg").status, 403);
    let blocks = PAGE.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let script: String = blocks.collect();
    let mut typed = script.clone();
    for (ours, theirs) in [
        ("bucket=my-archive", format!("bucket={}", sim().bucket())),
        ("key=photos/2019/cat.jpg", format!("key='{key}'")),
        ("every=300 ", "every=0.2 ".to_owned()),
        // As the page says: the path is what viewers use.
        ("--paths \"/$key\"", "--paths \"/${key// /%20}\"".to_owned()),
        ("restored-object", "/dev/stdout".to_owned()),
    ] {
        assert!(typed.contains(ours), "the page has no {ours}");
        typed = typed.replace(ours, &theirs);
    }
    let printed = sim().bash(&typed);
    assert!(printed.contains("GLACIER") && printed.contains(key), "{printed}");
    let seen = sim().view("/by%20hand/cat.jpg");
    assert_eq!((seen.status, seen.text.as_str()), (200, key));
}

/// Which versions of a function of the workflow worked for a restore: their log streams have the version in brackets. (The
/// emulator's history does not say which function a state called.)
fn versions(function: &str, id: &str) -> BTreeSet<String> {
    let group = json!({ "logGroupName": format!("/aws/lambda/thaw-{function}") });
    let lines = sim().aws("logs", "filter_log_events", group)["events"].clone();
    let ours = lines.as_array().expect("a list of lines").iter().filter(|line| {
        let line: Value = line["message"].as_str().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        line["restore"] == id
    });
    let stream = |line: &Value| line["logStreamName"].as_str().expect("a line has a stream").to_owned();
    let version = |stream: String| stream.split(['[', ']']).nth(1).expect("a stream has a version").to_owned();
    ours.map(|line| version(stream(line))).collect()
}

/// Asks for all of them; answers the restore's id. Copies live for a year: the clock is fast and the machine may be slow.
#[track_caller]
fn restore(stack: &Stack, keys: &[String]) -> String {
    let body = json!({ "bucket": stack.bucket(), "keys": keys, "days": 365 });
    let answer = stack.api("POST", "/v1/restores", &body).json(202);
    answer["id"].as_str().expect("a restore has an id").to_owned()
}

/// Waits until an execution has asked S3 for everything and waits.
#[track_caller]
fn waits(id: &str) {
    let waits = || sim().history(id, "stateEntered").contains(&"WaitForRetrieval".to_owned());
    until("the execution waits for S3", || waits().then_some(()));
}

/// Updates the stack to a release that lies in the code bucket, with more parameters, if anything changes.
fn deploy(stack: &Stack, release: usize, more: &[(&str, &str)]) {
    let release = &stack.book()["releases"][release];
    let update = json!({
        "StackName": "thaw", "TemplateURL": release["template_url"], "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": parameters(release, more),
    });
    let answer = stack.call("cloudformation", "update_stack", update);
    let is_there = answer["message"].as_str().is_some_and(|says| says.ends_with("No updates are to be performed."));
    assert!(is_there || answer.get("ok").is_some(), "{answer}");
    complete(if is_there { "CREATE_COMPLETE UPDATE_COMPLETE" } else { "UPDATE_COMPLETE" });
}

/// Creates the stack of this release with more parameters; answers it, which has another address.
fn create(more: &[(&str, &str)]) -> Stack {
    let release = &sim().book()["releases"][THIS];
    let creation = json!({ "StackName": "thaw", "TemplateURL": release["template_url"], "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": parameters(release, more) });
    sim().aws("cloudformation", "create_stack", creation);
    complete("CREATE_COMPLETE");
    let outputs = described()["Outputs"].clone();
    let output = |name: &str| {
        let mut outputs = outputs.as_array().expect("a stack has outputs").iter();
        let found = outputs.find(|output| output["OutputKey"] == name);
        found.and_then(|output| output["OutputValue"].as_str()).unwrap_or_else(|| panic!("no output {name}")).to_owned()
    };
    let (_, host) = sim().entry("api_url").rsplit_once("/_aws/").expect("the emulator's address of an API");
    let endpoint = sim().entry("api_url").trim_end_matches(host).trim_end_matches("/_aws/");
    let api = output("ApiUrl").split("://").nth(1).and_then(|host| host.split('.').next()).expect("an id").to_owned();
    sim().with(&[
        ("api_url", format!("{endpoint}/_aws/execute-api/{api}/$default")),
        ("state_machine_arn", output("StateMachineArn")),
    ])
}

fn parameters(release: &Value, more: &[(&str, &str)]) -> Value {
    let given = release["parameters"].as_object().expect("a release has parameters").iter();
    let given = given.map(|(name, value)| json!({ "ParameterKey": name, "ParameterValue": value }));
    let more = more.iter().map(|(name, value)| json!({ "ParameterKey": name, "ParameterValue": value }));
    given.chain(more).collect()
}

/// Waits until what was asked of the stack is done, and checks that it ended with one of these statuses.
#[track_caller]
fn complete(status: &str) {
    let now = until("the stack is done", || {
        let now = described()["StackStatus"].as_str().expect("a stack has a status").to_owned();
        (!now.ends_with("_IN_PROGRESS")).then_some(now)
    });
    assert!(status.contains(&now), "{now}: {}", described()["StackStatusReason"]);
}

fn described() -> Value {
    sim().aws("cloudformation", "describe_stacks", json!({ "StackName": "thaw" }))["Stacks"][0].clone()
}

fn is_gone() -> bool {
    let stacks = sim().aws(
        "cloudformation",
        "list_stacks",
        json!({ "StackStatusFilter": ["DELETE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_FAILED"] }),
    );
    let stacks = stacks["StackSummaries"].as_array().expect("a list").clone();
    assert!(!stacks.iter().any(|stack| stack["StackStatus"] == "DELETE_FAILED"), "{stacks:?}");
    !stacks.iter().any(|stack| stack["StackName"] == "thaw")
}
