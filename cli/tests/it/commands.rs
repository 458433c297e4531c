//! Each command against an API with prepared answers: its calls, its output in every form, and its exit code.

use serde_json::{Value, json};

use crate::api::{self, Api, LocalStack, problem, seen, thaw};
use crate::snapshots::check;

const ID: &str = "2026-11-29_archive_cat-jpg_standard_0123456789ab";

fn plan() -> Value {
    json!({
        "bucket": "archive", "tier": "Standard", "days": 3,
        "counts": { "total": 4, "planned": 2, "available": 1, "restoring": 0, "restored": 0, "published": 0, "failed": 1, "cancelled": 0 },
        "by_kind": [{ "kind": "flexible", "objects": 2, "bytes": 1_610_612_736_u64 }],
        "cost": {
            "total_usd": 0.0215, "region": "us-east-1", "prices_of": "2026-11-22",
            "lines": [
                { "what": "retrieval requests", "amount": "2 at Standard", "usd": 0.0001 },
                { "what": "retrieval", "amount": "1.5 GiB", "usd": 0.015 },
                { "what": "temporary copies", "amount": "1.5 GiB for 3 days", "usd": 0.0034 },
                { "what": "invalidation", "amount": "2 paths, as if the month's 1,000 free ones were used up", "usd": 0.003 },
            ],
        },
        "over_max_cost": false, "ready_between": ["2026-11-29T13:00:00Z", "2026-11-29T15:00:00Z"], "hash": "h1",
        "batch_operations": false, "paths": 3, "billed_paths": 2,
        "alternatives": [{ "tier": "Bulk", "batch_operations": false, "total_usd": 0.0065, "ready_between": ["2026-11-29T15:00:00Z", "2026-11-29T22:00:00Z"], "says": "Bulk: $0.0065 instead of $0.02, typically ready 5 h to 12 h from now." }],
        "warnings": ["something to know"],
        "failures": [{ "key": "do\u{1b}g.jpg", "code": "NoSuchKey", "message": "there is no object with this key" }],
    })
}

fn restore(status: &str, stage: &str) -> Value {
    json!({
        "id": ID, "status": status, "stage": stage, "bucket": "archive", "tier": "Standard", "days": 3,
        "counts": { "total": 3, "planned": 0, "available": 0, "restoring": 2, "restored": 0, "published": 1, "failed": 0, "cancelled": 0 },
        "requested_at": "2026-11-29T10:00:00Z", "ready_between": ["2026-11-29T13:00:00Z", "2026-11-29T15:00:00Z"],
        "cost": plan()["cost"], "by_kind": [], "warnings": [], "failures": [], "invalidations": [],
        "says": "S3 fetches objects. Of 3 objects: 1 published, 2 still being restored.", "links": api::links(ID),
    })
}

/// An object that can be invalidated, at a distribution with rules and at a staging one; and an archived one with a hostile key.
fn paths() -> Value {
    let path = |path: &str, reason: &str, invalidated_as: &[&str]| {
        json!({
            "path": path, "behaviour": "*", "origin": "archive.s3.us-east-1.amazonaws.com", "reason": reason,
            "query_strings": "none", "invalidated_as": invalidated_as, "curl": format!("curl -I 'https://d1.cloudfront.net{path}'"),
        })
    };
    let mut rule = path("/img/cat.jpg", "path_rule", &["/img/cat.jpg", "/img/cat.jpg?*"]);
    (rule["behaviour"], rule["query_strings"]) = (json!("/img/*"), json!("all"));
    rule["rule"] = json!("images/{path...} under /img/{path...}");
    let mut staged = path("/images/cat.jpg", "key", &["/images/cat.jpg"]);
    staged.as_object_mut().unwrap().remove("curl");
    json!({
        "bucket": "archive", "paths": 4, "usd": 0.02, "warnings": ["the distribution E9 is disabled"],
        "objects": [
            {
                "key": "images/cat.jpg", "current": true, "state": "copy", "kind": "flexible", "copy_expires": "2026-12-03T00:00:00Z",
                "says": "A copy of it can be read until 2026-12-03T00:00:00Z. It is archived in Glacier Flexible Retrieval.",
                "invalidation": { "possible": true, "paths": 4, "usd": 0.02 },
                "distributions": [
                    {
                        "id": "E1", "domain": "d1.cloudfront.net", "error_seconds": 10,
                        "paths": [path("/images/cat.jpg", "key", &["/images/cat.jpg"]), rule, path("/images/", "directory_index", &["/images/"])],
                        "invalidation_paths": ["/images/cat.jpg", "/img/cat.jpg", "/img/cat.jpg?*"],
                        "left_alone": [{ "path": "/images/", "why": "under one of its paths viewers may also get the archived object images/" }],
                        "says": "An edge keeps an error that it got while the object was archived for 10 seconds.",
                    },
                    { "id": "E2", "domain": "d2.cloudfront.net", "staging_of": "E1", "paths": [staged], "invalidation_paths": ["/images/cat.jpg"], "says": "A cached object stays." },
                ],
            },
            {
                "key": "do\u{1b}g.jpg", "version_id": "v1", "current": true, "state": "archived", "kind": "deep", "says": "It is archived in Glacier Deep Archive.",
                "invalidation": { "possible": false, "code": "NotReadable", "why_not": "it is archived (Glacier Deep Archive)", "paths": 0, "usd": 0.0 },
                "distributions": [{ "id": "E1", "domain": "d1.cloudfront.net", "paths": [], "invalidation_paths": [], "says": "It does not show the object: its origin path makes it show only keys that begin with images/." }],
            },
        ],
    })
}

fn ended(status: &str) -> Value {
    let mut ended = restore(status, "ended");
    ended["completed_at"] = json!("2026-11-29T14:00:00Z");
    ended["copies_expire"] = json!(["2026-12-03T00:00:00Z", "2026-12-03T00:00:00Z"]);
    ended["says"] = json!("Of 3 objects: 2 published, 1 failed.");
    ended["failures"] = json!([{ "key": "a.jpg", "code": "NoSuchKey", "message": "there is no object with this key" }]);
    ended
}

fn lines(api: &Api) -> Vec<String> {
    api.calls().iter().map(api::Call::line).collect()
}

#[test]
fn the_help_of_every_command_is_known() {
    let mut text = String::new();
    let commands = [
        "",
        "plan",
        "restore",
        "status",
        "wait",
        "ls",
        "objects",
        "cancel",
        "retry",
        "expedite",
        "extend",
        "paths",
        "invalidate",
        "open",
        "adopt",
        "console",
        "doctor",
        "completions",
        "man",
    ];
    for command in commands {
        let args: Vec<&str> = [command, "--help"].into_iter().filter(|arg| !arg.is_empty()).collect();
        let (code, stdout, stderr) = seen(&thaw(&args).output().unwrap());
        assert_eq!((code, stderr.as_str()), (0, ""), "{command}");
        text.push_str(&format!("$ thaw {}\n{stdout}\n", args.join(" ")));
    }
    check("help", &text);
}

#[test]
fn every_answer_has_a_form_for_people_and_three_for_programs() {
    let list = json!({ "restores": [
        { "id": ID, "status": "running", "bucket": "archive", "tier": "Bulk", "objects": 2, "requested_at": "2026-11-29T10:00:00Z", "ready_between": ["2026-11-29T15:00:00Z", "2026-11-29T22:00:00Z"], "links": api::links(ID) },
        { "id": "older", "status": "partly_failed", "bucket": "archive", "tier": "Standard", "objects": 1, "requested_at": "2026-11-28T10:00:00Z", "completed_at": "2026-11-28T14:00:00Z", "says": "Of 1 object, \"quoted\"", "links": api::links("older") },
    ] });
    let objects = json!({ "objects": [
        { "key": "cat.jpg", "version_id": "v1", "size": 1536, "kind": "flexible", "state": "published", "since": "2026-11-29T14:00:00Z", "copy_expires": "2026-12-03T00:00:00Z", "how": "invalidated", "paths": ["/cat.jpg", "/a,b"] },
        { "key": "\u{1b}[2Jdog.jpg", "size": 0, "state": "failed", "since": "2026-11-29T14:00:00Z", "code": "NoSuchKey", "message": "there is no object with this key" },
    ] });
    let adoption = json!({ "bucket": "archive", "prefix": "p", "looked_at": 10, "known": 1, "adopted": 2, "restores": [{ "id": ID, "objects": 2, "href": "/" }], "says": "Of 10 objects …" });
    for (name, args, status, answer, code) in [
        ("plan", &["plan", "s3://archive/cat.jpg"][..], 200, plan(), 0),
        ("status", &["status", ID], 200, restore("running", "waiting"), 3),
        ("ended", &["status", ID], 200, ended("partly_failed"), 4),
        ("ls", &["ls"], 200, list, 0),
        ("objects", &["objects", ID], 200, objects, 0),
        ("cancel", &["cancel", ID], 202, ended("cancelled"), 0),
        ("adopt", &["adopt", "s3://archive/p"], 200, adoption, 0),
        ("paths", &["paths", "s3://archive/images/cat.jpg", "s3://archive/dog.jpg"], 200, paths(), 0),
    ] {
        let mut text = String::new();
        for form in ["table", "json", "ndjson", "csv"] {
            let api = Api::with(vec![(status, answer.clone())]);
            let (exit, stdout, stderr) = seen(&api.run(&[args, &["--output", form]].concat()));
            assert_eq!((exit, api.calls().len()), (code, 1), "{name}: {stderr}");
            text.push_str(&format!("$ thaw {} --output {form}\n{stdout}{stderr}\n", args.join(" ")));
            match form {
                "json" => drop(serde_json::from_str::<Value>(&stdout).unwrap()),
                "ndjson" => stdout.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap())),
                _ => assert!(!stdout.contains('\u{1b}') || form == "csv", "{stdout}"),
            }
        }
        check(name, &text);
    }
}

#[test]
fn a_request_is_signed_with_the_credentials_of_the_environment() {
    let api = Api::with(vec![(200, restore("running", "waiting"))]);
    let (code, _, stderr) = seen(&api.run(&["status", ID, "-v"]));
    let call = &api.calls()[0];
    let signature = call.header("authorization").unwrap();
    assert_eq!((code, call.line()), (3, format!("GET /v1/restores/{ID}")), "{stderr}");
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signature}");
    assert!(signature.contains("/us-east-1/execute-api/aws4_request"), "{signature}");
    assert_eq!(call.header("x-amz-security-token"), Some("token"));
    assert!(stderr.contains(&format!("GET {}/v1/restores/{ID}: 200", api.url())), "{stderr}");
    assert!(!stderr.contains("secret") && !stderr.contains("token"), "{stderr}");
}

#[test]
fn a_restore_is_two_calls_and_starts_exactly_what_was_shown() {
    let api = Api::with(vec![(200, plan()), (202, restore("running", "planning"))]);
    let output = api.run(&["restore", "s3://archive/cat.jpg", "--yes", "--idempotency-key", "key-1", "--tier", "bulk"]);
    let (code, stdout, stderr) = seen(&output);
    assert_eq!((code, stdout.trim()), (3, ID), "{stderr}");
    assert!(stderr.contains("total") && stderr.contains(&format!("thaw wait {ID}")), "{stderr}");
    let calls = api.calls();
    assert_eq!(lines(&api), ["POST /v1/plans", "POST /v1/restores"]);
    assert_eq!(calls[0].body, json!({ "bucket": "archive", "keys": ["cat.jpg"], "tier": "Bulk" }));
    assert_eq!(calls[1].body, json!({ "bucket": "archive", "keys": ["cat.jpg"], "tier": "Bulk", "confirm": "h1" }));
    assert_eq!((calls[0].header("idempotency-key"), calls[1].header("idempotency-key")), (None, Some("key-1")));
}

#[test]
fn an_invalidation_is_a_restore_that_only_publishes_with_the_same_question() {
    let mut publishing = plan();
    publishing["publish_only"] = json!(true);
    publishing["cost"]["lines"] = json!([{ "what": "invalidation", "amount": "2 paths", "usd": 0.0215 }]);
    (publishing["counts"]["planned"], publishing["counts"]["restored"]) = (json!(0), json!(3));
    publishing["counts"]["available"] = json!(0);
    publishing.as_object_mut().unwrap().remove("ready_between");
    publishing["alternatives"] = json!([]);
    let api = Api::with(vec![
        (200, publishing.clone()),
        (202, restore("running", "planning")),
        (200, ended("partly_failed")),
    ]);
    let args = ["invalidate", "s3://archive/p/", "-r", "--exclude", "*.tmp", "--max-cost", "1", "--yes", "--wait=1m"];
    let (code, stdout, stderr) = seen(&api.run(&args));
    assert_eq!((code, stdout.contains("partly failed")), (4, true), "{stderr}");
    assert!(
        stderr.contains("4 objects of archive: 3 to invalidate, 1 impossible. S3 is asked for nothing."),
        "{stderr}"
    );
    let asked =
        json!({ "bucket": "archive", "prefix": "p/", "exclude": ["*.tmp"], "publish_only": true, "max_cost_usd": 1.0 });
    let mut confirmed = asked.clone();
    confirmed["confirm"] = json!("h1");
    let calls = api.calls();
    assert_eq!((&calls[0].body, &calls[1].body), (&asked, &confirmed));
    assert!(calls[1].header("idempotency-key").is_some());

    let api = Api::with(vec![(200, publishing.clone())]);
    let (code, _, stderr) = seen(&api.run(&["invalidate", "s3://archive/cat.jpg"]));
    assert_eq!((code, api.calls().len()), (5, 1));
    assert!(stderr.contains("Invalidate 3 objects for $0.02? Nobody can be asked here."), "{stderr}");
    let api = Api::with(vec![(200, publishing)]);
    let (code, stdout, _) = seen(&api.run(&["invalidate", "s3://archive/cat.jpg", "--dry-run"]));
    assert_eq!((code, stdout.starts_with("(dry-run) Nothing is started.\n4 objects")), (0, true), "{stdout}");
}

#[test]
fn a_restore_that_only_publishes_says_so_and_is_retried_as_one() {
    let publishing = |status: &str| {
        let mut restore = ended(status);
        restore["publish_only"] = json!(true);
        restore.as_object_mut().unwrap().remove("copies_expire");
        restore
    };
    let api = Api::with(vec![(200, publishing("partly_failed"))]);
    let (_, stdout, _) = seen(&api.run(&["status", ID]));
    assert!(stdout.contains("UTC, publishing only\n") && !stdout.contains("copies"), "{stdout}");
    let api = Api::with(vec![(200, publishing("partly_failed")), (200, plan()), (202, restore("running", "planning"))]);
    let (code, _, stderr) = seen(&api.run(&["retry", ID, "--yes"]));
    assert_eq!(code, 3, "{stderr}");
    let planned = json!({ "bucket": "archive", "objects_of": { "restore": ID, "in": "failed" }, "publish_only": true });
    assert_eq!(api.calls()[1].body, planned);
}

#[test]
fn what_paths_cannot_answer_is_said() {
    for (args, answers, words, code) in [
        (&["paths"][..], vec![], "required arguments were not provided", 2),
        (&["paths", "s3://archive/p/"], vec![], "names no object", 2),
        (
            &["paths", "s3://archive/a", "s3://other/a"],
            vec![],
            "The objects are in archive and in other. Use one command for each bucket.",
            2,
        ),
        (
            &["paths", "s3://other/a"],
            vec![problem(403, "foreign-bucket", "other is not one of the stack's buckets.")],
            "other is not one",
            5,
        ),
        (
            &["paths", "s3://archive/a"],
            vec![(404, json!({ "message": "Not Found" }))],
            "/v1/paths is not an address of thaw's API",
            1,
        ),
    ] {
        let api = Api::with(answers);
        let (exit, stdout, stderr) = seen(&api.run(args));
        assert_eq!((exit, stdout.as_str()), (code, ""), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    }
}

#[test]
fn the_page_of_an_execution_is_printed_and_off_a_terminal_not_opened() {
    let stack = |output: &str, value: &str| {
        Value::from(format!(
            "<r><Outputs><member><OutputKey>{output}</OutputKey><OutputValue>{value}</OutputValue></member></Outputs></r>"
        ))
    };
    let arn = "arn:aws:states:us-east-1:111122223333:stateMachine:thaw";
    let host = "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1#";
    let execution = format!("{host}/v2/executions/details/arn:aws:states:us-east-1:111122223333:execution:thaw:{ID}");
    let open = |args: &[&str], answer: (u16, Value)| {
        let api = Api::with(vec![answer]);
        seen(&thaw(&[&["open", "--endpoint-url", api.url()], args].concat()).output().unwrap())
    };
    let found = || (200, stack("StateMachineArn", arn));
    for (args, stdout) in [
        (&[ID][..], format!("{execution}\n")),
        (&[ID, "--print", "--output", "ndjson"], format!("{}\n", json!({ "url": execution }))),
        (&[], format!("{host}/statemachines/view/{arn}\n")),
    ] {
        assert_eq!(open(args, found()), (0, stdout, String::new()), "{args:?}");
    }
    for (args, answer, words, code) in [
        (&["no/id"][..], found(), "is not the id of a restore", 2),
        (
            &[ID],
            (200, stack("ApiUrl", "https://a.example")),
            "The stack thaw in us-east-1 has no output StateMachineArn",
            1,
        ),
        (
            &[ID],
            (200, stack("StateMachineArn", "arn:aws:sns:x")),
            "is not the ARN of a state machine: arn:aws:sns:x",
            1,
        ),
        (
            &[ID],
            (400, json!({ "Message": "Stack with id thaw does not exist" })),
            "There is no stack thaw in us-east-1.",
            1,
        ),
    ] {
        let (exit, stdout, stderr) = open(args, answer);
        assert_eq!((exit, stdout.as_str()), (code, ""), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn a_local_stack_has_addresses_of_its_own() {
    let stack = LocalStack::of("http://127.0.0.1:1/api", "open");
    let (code, stdout, stderr) = seen(&thaw(&["open", ID, &stack.option()]).output().unwrap());
    let expected = format!("http://127.0.0.1:1/api/v1/restores/{ID}\nhttp://127.0.0.1:2\n");
    assert_eq!((code, stdout), (0, expected));
    assert!(stderr.contains("A local stack has no AWS console.") && stderr.contains("thaw console"), "{stderr}");
}

#[test]
fn a_lost_answer_starts_nothing_twice() {
    let key = || {
        let api = Api::with(vec![(200, plan()), (0, Value::Null), (202, restore("running", "planning"))]);
        let (code, stdout, stderr) = seen(&api.run(&["restore", "s3://archive/cat.jpg", "--yes"]));
        assert_eq!((code, stdout.trim()), (3, ID), "{stderr}");
        let calls = api.calls();
        assert_eq!(lines(&api), ["POST /v1/plans", "POST /v1/restores", "POST /v1/restores"]);
        let keys: Vec<_> = calls[1..].iter().map(|call| call.header("idempotency-key").unwrap().to_owned()).collect();
        assert_eq!(keys[0], keys[1]);
        keys[0].clone()
    };
    assert_ne!(key(), key(), "another command is another restore");
}

#[test]
fn a_wait_outlives_a_lost_connection_but_not_a_wrong_address() {
    let lost = || (0, Value::Null);
    let running = || (200, restore("running", "waiting"));
    let api = Api::with(vec![running(), lost(), lost(), lost(), running(), (200, ended("succeeded"))]);
    let (code, stdout, stderr) = seen(&api.run(&["wait", ID]));
    assert_eq!((code, stdout.contains("succeeded")), (0, true), "{stderr}");
    let api = Api::with(vec![lost(), lost(), lost(), running()]);
    let (code, _, stderr) = seen(&api.run(&["wait", ID]));
    assert_eq!((code, api.calls().len()), (1, 3), "{stderr}");
    assert!(stderr.contains("does not answer"), "{stderr}");
}

#[test]
fn nothing_is_started_that_nobody_agreed_to() {
    let too_many = || problem(422, "too-many-to-wait-for", "Too many.");
    for (args, answers, words, code, calls) in [
        (
            &["restore", "s3://archive/cat.jpg"][..],
            vec![(200, plan())],
            "Restore 3 objects for $0.02? Nobody can be asked here.",
            5,
            1,
        ),
        (&["restore", "s3://archive/cat.jpg", "--no-input"], vec![(200, plan())], "Add --yes to agree.", 5, 1),
        (
            &["restore", "s3://archive/cat.jpg", "--yes", "--max-cost", "0.01"],
            vec![(200, plan())],
            "more than --max-cost 0.01. Nothing was started.",
            5,
            1,
        ),
        (&["restore", "s3://archive/p", "-r", "--yes"], vec![too_many()], "Say what it may cost with --max-cost", 5, 1),
        (
            &["restore", "s3://archive/p", "-r", "--yes", "--max-cost", "5"],
            vec![too_many(), (202, restore("running", "planning"))],
            "Started.",
            3,
            2,
        ),
        (
            &["restore", "s3://archive/cat.jpg", "--yes"],
            vec![(200, plan()), problem(409, "plan-changed", "The plan is another one now.")],
            "The plan is another one now.",
            5,
            2,
        ),
        (
            &["restore", "s3://archive/cat.jpg", "--yes"],
            vec![(200, plan()), problem(422, "over-budget", "The budget is spent.")],
            "The budget is spent.",
            5,
            2,
        ),
        (
            &["plan", "s3://other/cat.jpg"],
            vec![problem(403, "foreign-bucket", "other is not one of the stack's buckets.")],
            "other is not one",
            5,
            1,
        ),
        (&["retry", ID], vec![(200, ended("cancelled")), (200, plan())], "Ask again for 3 objects for $0.02?", 5, 2),
        (&["status", "no/id"], vec![], "is not the id of a restore", 2, 0),
        (
            &["status", ID],
            vec![problem(404, "no-such-restore", "There is no restore r.")],
            "There is no restore r.",
            1,
            1,
        ),
    ] {
        let api = Api::with(answers);
        let (exit, _, stderr) = seen(&api.run(args));
        assert_eq!((exit, api.calls().len()), (code, calls), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    }
    let mut over = plan();
    (over["over_max_cost"], over["max_cost_usd"]) = (json!(true), json!(0.01));
    let api = Api::with(vec![(200, over)]);
    let (exit, stdout, _) = seen(&api.run(&["plan", "s3://archive/cat.jpg", "--max-cost", "0.01"]));
    assert_eq!(exit, 5);
    assert!(stdout.contains("Refused: it costs $0.02, more than --max-cost 0.01."), "{stdout}");
}

#[test]
fn a_dry_run_says_that_it_is_one() {
    for spelling in ["--dry-run", "--dryrun"] {
        let api = Api::with(vec![(200, plan())]);
        let (code, stdout, stderr) = seen(&api.run(&["restore", "s3://archive/cat.jpg", spelling]));
        assert_eq!((code, lines(&api)), (0, vec!["POST /v1/plans".to_owned()]), "{stderr}");
        assert!(stdout.starts_with("(dry-run) Nothing is started.\n"), "{stdout}");
    }
    // A plan that one call cannot make is made by a restore that only plans.
    let api = Api::with(vec![problem(422, "too-long-to-wait-for", "Too long."), (202, restore("running", "planning"))]);
    let (code, _, stderr) = seen(&api.run(&["restore", "s3://archive/p", "-r", "--dry-run"]));
    assert_eq!((code, &api.calls()[1].body["dry_run"]), (3, &json!(true)), "{stderr}");
}

#[test]
fn a_follow_up_costs_no_more_than_was_shown() {
    for (args, selector, call, changes, tier, days) in [
        (
            &["retry", ID, "--days", "7"][..],
            "failed",
            "retry",
            json!({ "days": 7, "max_cost_usd": 0.0215 }),
            "Standard",
            7,
        ),
        (
            &["expedite", ID],
            "restoring",
            "expedite",
            json!({ "tier": "Expedited", "max_cost_usd": 0.0215 }),
            "Expedited",
            3,
        ),
        (
            &["extend", ID, "--days", "30", "--max-cost", "5"],
            "published",
            "extend",
            json!({ "days": 30, "max_cost_usd": 5.0 }),
            "Standard",
            30,
        ),
    ] {
        let api = Api::with(vec![(200, ended("partly_failed")), (200, plan()), (202, restore("running", "planning"))]);
        let (code, stdout, stderr) = seen(&api.run(&[args, &["--yes"]].concat()));
        assert_eq!((code, stdout.trim()), (3, ID), "{args:?}: {stderr}");
        assert_eq!(
            lines(&api),
            [format!("GET /v1/restores/{ID}"), "POST /v1/plans".to_owned(), format!("POST /v1/restores/{ID}/{call}")]
        );
        let calls = api.calls();
        let planned =
            json!({ "bucket": "archive", "objects_of": { "restore": ID, "in": selector }, "tier": tier, "days": days });
        assert_eq!((&calls[1].body, &calls[2].body), (&planned, &changes), "{args:?}");
    }
}

#[test]
fn waiting_ends_with_the_restore_or_with_the_time() {
    let running = || (200, restore("running", "waiting"));
    for (status, code) in [("succeeded", 0), ("partly_failed", 4), ("failed", 1), ("cancelled", 1)] {
        let api = Api::with(vec![running(), (200, ended(status))]);
        let (exit, stdout, stderr) = seen(&api.run(&["wait", ID]));
        assert_eq!((exit, api.calls().len()), (code, 2), "{stderr}");
        assert!(stdout.contains("Of 3 objects: 2 published, 1 failed."), "{stdout}");
        assert!(!stderr.contains("being restored"), "no progress off a terminal: {stderr}");
    }
    let mut refused = ended("failed");
    refused["problem"] = json!("urn:thaw:problem:over-price");
    let api = Api::with(vec![(200, refused)]);
    assert_eq!(seen(&api.run(&["wait", ID])).0, 5);
    let api = Api::with(vec![running()]);
    let (exit, stdout, _) = seen(&api.run(&["wait", ID, "--timeout", "100ms"]));
    assert_eq!((exit, stdout.contains("running, waiting")), (124, true), "{stdout}");
    let api =
        Api::with(vec![(200, plan()), (202, restore("running", "planning")), running(), (200, ended("succeeded"))]);
    let (exit, stdout, stderr) = seen(&api.run(&["restore", "s3://archive/cat.jpg", "--yes", "--wait=1m"]));
    assert_eq!((exit, stdout.contains("succeeded")), (0, true), "{stderr}");
}

#[test]
fn ctrl_c_leaves_the_restore_running_and_says_so() {
    let api = Api::with(vec![(200, restore("running", "waiting"))]);
    let mut child = api.command(&["wait", ID]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while api.calls().is_empty() {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    // The handler is set before the first call.
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    let (code, _, stderr) = seen(&child.wait_with_output().unwrap());
    assert_eq!(code, 130, "{stderr}");
    assert!(stderr.contains(&format!("The restore goes on. To wait for it again: thaw wait {ID}")), "{stderr}");
}

#[test]
fn lists_are_read_page_by_page() {
    let page = |from: usize, count: usize, next: Option<&str>| {
        let items: Vec<Value> = (from..from + count)
            .map(|number| json!({ "key": number.to_string(), "size": 1, "state": "failed", "since": "2026-11-29T10:00:00Z" }))
            .collect();
        (200, api::without_nulls(json!({ "objects": items, "next_cursor": next })))
    };
    let api = Api::with(vec![page(0, 1_000, Some("0.1000")), page(1_000, 1_000, Some("1.0"))]);
    let (code, stdout, stderr) =
        seen(&api.run(&["objects", ID, "--limit", "1500", "--output", "ndjson", "--state", "failed"]));
    assert_eq!(
        lines(&api),
        [
            format!("GET /v1/restores/{ID}/objects?limit=1000&state=failed"),
            format!("GET /v1/restores/{ID}/objects?limit=500&state=failed&cursor=0.1000"),
        ]
    );
    assert_eq!((code, stdout.lines().count()), (0, 2_000));
    assert!(stderr.contains("There are more"), "{stderr}");
    let api = Api::with(vec![page(0, 2, Some("x")), page(2, 1, None)]);
    assert_eq!(seen(&api.run(&["objects", ID, "--output", "ndjson"])).1.lines().count(), 3);
}

#[test]
fn what_keeps_a_call_from_arriving_is_said_with_its_fix() {
    let run = |change: &dyn Fn(&mut std::process::Command)| {
        let mut command = thaw(&["status", ID]);
        change(&mut command);
        seen(&command.output().unwrap())
    };
    let (code, _, stderr) = run(&|command| {
        command.env("THAW_API_URL", "http://127.0.0.1:1");
    });
    assert_eq!(code, 1);
    assert!(stderr.contains("127.0.0.1:1 does not answer") && stderr.contains("Check the network"), "{stderr}");
    let (code, _, stderr) = run(&|command| {
        command.env("THAW_API_URL", "http://127.0.0.1:1").env_remove("AWS_REGION");
    });
    assert_eq!(code, 1);
    assert!(stderr.contains("No Region is set."), "{stderr}");
    let (code, _, stderr) = run(&|command| {
        command
            .env("THAW_API_URL", "http://127.0.0.1:1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_ACCESS_KEY_ID");
    });
    assert_eq!(code, 1);
    assert!(stderr.contains("No AWS credentials were found. Run aws configure"), "{stderr}");
    let (code, _, stderr) = seen(&thaw(&["status", ID, "--local=/no/stack.json"]).output().unwrap());
    assert_eq!(code, 1);
    assert!(stderr.contains("Start one with cargo xtask up."), "{stderr}");
    let (code, _, stderr) = seen(&thaw(&["restore", "s3://b/k", "--tier", "fast"]).output().unwrap());
    assert_eq!(code, 2);
    assert!(stderr.contains("a tier is Expedited, Standard or Bulk"), "{stderr}");
}

#[test]
fn the_stack_is_found_by_its_name() {
    // CloudFormation and the API answer in XML and JSON; this one answers the first call with XML.
    let api = Api::with(vec![(400, json!({ "Message": "Stack with id nowhere does not exist" }))]);
    let mut command = thaw(&["status", ID, "--stack", "nowhere", "--endpoint-url", api.url()]);
    let (code, _, stderr) = seen(&command.output().unwrap());
    assert_eq!((code, lines(&api)), (1, vec!["POST /".to_owned()]));
    assert!(stderr.contains("There is no stack nowhere in us-east-1."), "{stderr}");
    assert!(api.calls()[0].header("authorization").unwrap().contains("/us-east-1/cloudformation/aws4_request"));
}

#[test]
fn completions_and_the_manual_need_no_stack() {
    for (args, words) in [
        (&["completions", "bash"][..], "_thaw()"),
        (&["completions", "zsh"], "#compdef thaw"),
        (&["man"], ".TH thaw 1"),
    ] {
        let (code, stdout, stderr) = seen(&thaw(args).env_clear().output().unwrap());
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert!(stdout.contains(words), "{stdout}");
    }
}
