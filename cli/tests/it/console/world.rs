//! An API for the console: 1,000 restores that have ended, and a few that have something to show. The one that runs goes on
//! each time that it is asked for.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::api::{Api, Call, links, problem, text, without_nulls};

/// What its author would like to be run in the console.
pub const HOSTILE: &str =
    "\"><script>window.hacked = true</script><img src=x onerror=\"window.hacked = true\">'\u{1b}[2J";

pub const RUNNING: &str = "2026-11-29_my-archive_photos-2019_standard_0123456789ab";
pub const HOSTILE_ID: &str = "2026-11-29_my-archive_hostile_standard_0123456789ab";
pub const LARGE: &str = "2026-11-29_my-archive_ten-thousand_bulk_0123456789ab";
pub const FLAKY: &str = "2026-11-29_my-archive_flaky_standard_0123456789ab";
pub const STARTED: &str = "2026-11-29_my-archive_cat-jpg_standard_0123456789ab";

/// What CloudFormation says of the stack, as far as anybody asks.
const STACK: &str = "<r><Outputs><member><OutputKey>StateMachineArn</OutputKey><OutputValue>arn:aws:states:us-east-1:111122223333:stateMachine:thaw</OutputValue></member></Outputs></r>";

/// Restores that have ended, in the list.
const ENDED: usize = 1_000;

/// Objects of the largest restore.
const OBJECTS: u64 = 10_000;

/// The restores were requested so many minutes ago: S3 is typically done with some of the objects.
static REQUESTED: LazyLock<Timestamp> = LazyLock::new(|| Timestamp::now() - SignedDuration::from_mins(225));

/// So many minutes after the request.
fn after(minutes: u64) -> Timestamp {
    *REQUESTED + SignedDuration::from_mins(i64::try_from(minutes).unwrap())
}

/// A midnight in four days.
fn expiry() -> Timestamp {
    let days = REQUESTED.as_second() / 86_400 + 4;
    Timestamp::from_second(days * 86_400).unwrap()
}

/// When S3 is typically done.
fn ready() -> [Timestamp; 2] {
    [after(180), after(300)]
}

/// The API.
pub fn api() -> Api {
    let (mut looks, mut flaky) = (0, 0);
    Api::answering(move |call| {
        let (status, body) = answer(call, &mut looks, &mut flaky);
        (status, text(without_nulls(body)))
    })
}

fn answer(call: &Call, looks: &mut u64, flaky: &mut u64) -> (u16, Value) {
    let (path, query) = call.path.split_once('?').unwrap_or((call.path.as_str(), ""));
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    match (call.method.as_str(), parts.as_slice()) {
        // CloudFormation.
        ("POST", ["", ""]) => (200, Value::from(STACK)),
        ("GET", ["restores"]) => (200, list(parameter("status"), parameter("cursor"), parameter("limit"))),
        ("GET", ["restores", id]) if *id == RUNNING => {
            *looks += 1;
            (200, running(*looks))
        }
        // The API hangs up for a while: each call is tried three times.
        ("GET", ["restores", id]) if *id == FLAKY => {
            *flaky += 1;
            match flaky {
                2..5 => (0, Value::Null),
                _ => (200, view(id, "running", "waiting", counts(*flaky, 0, 0), "S3 fetches objects.")),
            }
        }
        ("GET", ["restores", id]) => one(id),
        ("GET", ["restores", id, "objects"]) => {
            (200, objects(id, *looks, parameter("state"), parameter("cursor"), parameter("limit")))
        }
        ("POST", ["plans"]) => plan(&call.body),
        ("POST", ["restores"]) => started(&call.body),
        ("POST", ["restores", _, "retry" | "expedite" | "extend"]) => (202, one(STARTED).1),
        ("DELETE", ["restores", id]) => (
            202,
            view(id, "cancelled", "ended", counts(0, 0, 0), "Cancelled. What S3 has begun goes on and is paid for."),
        ),
        _ => problem(404, "no-such-route", &format!("There is no {} {path}.", call.method)),
    }
}

fn counts(restoring: u64, published: u64, failed: u64) -> Value {
    json!({
        "total": restoring + published + failed, "planned": 0, "available": 0, "restoring": restoring, "restored": 0,
        "published": published, "failed": failed, "cancelled": 0,
    })
}

fn cost() -> Value {
    json!({
        "total_usd": 0.0215, "region": "us-east-1", "prices_of": "2026-11-22",
        "lines": [
            { "what": "retrieval requests", "amount": "120 at Standard", "usd": 0.006 },
            { "what": "retrieval", "amount": "1.031 GiB", "usd": 0.0103 },
            { "what": "temporary copies", "amount": "1.031 GiB for 3 days", "usd": 0.0022 },
            { "what": "invalidation", "amount": "1 path, as if the month's 1,000 free ones were used up", "usd": 0.003 },
        ],
    })
}

fn view(id: &str, status: &str, stage: &str, counts: Value, says: &str) -> Value {
    let total = counts["total"].clone();
    json!({
        "id": id, "status": status, "stage": stage, "bucket": "my-archive", "tier": "Standard", "days": 3, "counts": counts,
        "requested_at": after(0), "planned_at": after(2), "ready_between": ready(),
        "cost": cost(), "plan_hash": "h1", "by_kind": [{ "kind": "flexible", "objects": total, "bytes": 1_107_296_256_u64 }],
        "batch_operations": false, "paths": 1, "billed_paths": 1, "warnings": [], "failures": [], "invalidations": [],
        "says": says, "links": links(id),
    })
}

/// A restore that is published in ten steps.
fn running(looks: u64) -> Value {
    let published = (looks.saturating_sub(2) * 12).min(120);
    let counts = counts(120 - published, published, 0);
    if published == 120 {
        return ended(view(RUNNING, "succeeded", "ended", counts, "Of 120 objects: 120 published."));
    }
    let says =
        format!("S3 fetches objects. Of 120 objects: {published} published, {} still being restored.", 120 - published);
    let mut view = view(RUNNING, "running", "waiting", counts, &says);
    if published > 0 {
        view["invalidations"] = invalidations();
    }
    view
}

fn ended(mut view: Value) -> Value {
    view["completed_at"] = json!(after(222));
    view["copies_expire"] = json!([expiry(), expiry()]);
    view["invalidations"] = invalidations();
    view
}

fn invalidations() -> Value {
    let one = |id: &str, from: u64, status: &str, to: Option<u64>| {
        json!({
            "distribution": "E2EXAMPLE", "id": id, "status": status, "paths": 12, "requested_at": after(from),
            "completed_at": to.map(after),
        })
    };
    json!([one("I3EXAMPLE", 182, "completed", Some(184)), one("I4EXAMPLE", 196, "completed", Some(199))])
}

fn one(id: &str) -> (u16, Value) {
    if id == HOSTILE_ID {
        let mut view = ended(view(id, "partly_failed", "ended", counts(0, 1, 2), &format!("Of 3 objects: {HOSTILE}")));
        view["failures"] = json!([
            { "key": HOSTILE, "code": "NoSuchKey", "message": format!("there is no {HOSTILE}") },
            { "key": "photos/2019/dog.jpg", "code": "DeleteMarker", "message": "the current version is a delete marker" },
        ]);
        view["warnings"] = json!([HOSTILE]);
        view["invalidations"][0]["message"] = json!(HOSTILE);
        return (200, view);
    }
    if id == LARGE {
        let says = "S3 fetches objects. Of 10000 objects: 6000 published, 3990 still being restored, 10 failed.";
        return (200, view(id, "running", "waiting", counts(3_990, 6_000, 10), says));
    }
    if id == STARTED {
        return (200, view(id, "running", "planning", counts(1, 0, 0), "thaw looks at the objects."));
    }
    if id.starts_with("ended-") {
        return (200, ended(view(id, "succeeded", "ended", counts(0, 1, 0), "Of 1 object: 1 published.")));
    }
    problem(404, "no-such-restore", &format!("There is no restore {id}."))
}

fn list(status: Option<&str>, cursor: Option<&str>, limit: Option<&str>) -> Value {
    let summary = |id: &str, status: &str, objects: u64, says: Option<&str>| {
        json!({
            "id": id, "status": status, "bucket": "my-archive", "tier": "Standard", "objects": objects,
            "requested_at": after(0), "ready_between": ready(),
            "completed_at": (status != "running").then(|| after(222)), "says": says, "links": links(id),
        })
    };
    let mut all = vec![
        summary(RUNNING, "running", 120, None),
        summary(LARGE, "running", OBJECTS, None),
        summary(HOSTILE_ID, "partly_failed", 3, Some(HOSTILE)),
    ];
    all.extend((0..ENDED).map(|number| {
        let (status, says) = match number % 25 {
            3 => ("cancelled", "Cancelled. Of 1 object: 1 cancelled."),
            11 => ("failed", "The plan costs $12.40, more than max_cost_usd 5."),
            _ => ("succeeded", "Of 1 object: 1 published."),
        };
        summary(&format!("ended-{number:04}"), status, 1, Some(says))
    }));
    all.retain(|restore| status.is_none_or(|status| restore["status"] == status));
    let from = cursor.map_or(0, |cursor| cursor.parse().unwrap());
    let to = (from + limit.unwrap().parse::<usize>().unwrap()).min(all.len());
    json!({ "restores": &all[from..to], "next_cursor": (to < all.len()).then(|| to.to_string()) })
}

fn objects(id: &str, looks: u64, state: Option<&str>, cursor: Option<&str>, limit: Option<&str>) -> Value {
    let total = if id == LARGE { OBJECTS } else { 120 };
    let from: u64 = cursor.map_or(0, |cursor| cursor.trim_start_matches("0.").parse().unwrap());
    let to = (from + limit.unwrap().parse::<u64>().unwrap()).min(total);
    let published = if id == LARGE { 6_000 } else { (looks.saturating_sub(2) * 12).min(120) };
    let object = |number: u64| {
        let key = if id == HOSTILE_ID { format!("{HOSTILE}{number}") } else { format!("photos/2019/{number:05}.jpg") };
        // Most come early.
        let minute = 180 + number * number * 40 / total / total;
        match number {
            _ if number < published => json!({
                "key": key, "size": 9_227_468, "kind": "flexible", "state": "published", "since": after(minute),
                "copy_expires": expiry(), "how": "invalidated", "paths": [format!("/{key}")],
            }),
            _ if id == LARGE && number >= 9_990 => json!({
                "key": key, "size": 0, "state": "failed", "since": after(1), "code": "NoSuchKey",
                "message": "there is no object with this key",
            }),
            _ => json!({ "key": key, "size": 9_227_468, "kind": "flexible", "state": "restoring", "since": after(1) }),
        }
    };
    let page: Vec<Value> =
        (from..to).map(object).filter(|object| state.is_none_or(|state| object["state"] == state)).collect();
    json!({ "objects": page, "next_cursor": (to < total).then(|| format!("0.{to}")) })
}

fn plan(body: &Value) -> (u16, Value) {
    if body["keys"][0] == "missing.jpg" {
        let mut answer = problem(400, "invalid-field", "keys[0] names no object: there is no missing.jpg.");
        answer.1["field"] = json!("keys[0]");
        return answer;
    }
    let is_dear = body["max_cost_usd"].as_f64().is_some_and(|limit| limit < 0.0215);
    let bulk = json!({
        "tier": "Bulk", "batch_operations": false, "total_usd": 0.0065, "says": "Bulk: $0.006500 instead of $0.02.",
        "ready_between": [after(300), after(720)],
    });
    (
        200,
        json!({
            "bucket": body["bucket"], "tier": body["tier"], "days": body["days"], "cost": cost(), "hash": "h1",
            "counts": { "total": 1, "planned": 1, "available": 0, "restoring": 0, "restored": 0, "published": 0, "failed": 0, "cancelled": 0 },
            "by_kind": [{ "kind": "flexible", "objects": 1, "bytes": 9_227_468 }], "max_cost_usd": body["max_cost_usd"],
            "over_max_cost": is_dear, "ready_between": ready(), "paths": 1,
            "billed_paths": 1, "alternatives": [bulk], "batch_operations": false, "warnings": [HOSTILE], "failures": [],
        }),
    )
}

/// A restore of `changed.jpg` is another one by the time that it is started.
fn started(body: &Value) -> (u16, Value) {
    if body["keys"][0] == "changed.jpg" {
        return problem(409, "plan-changed", "The plan is another one now. Plan it again.");
    }
    if body["confirm"] != "h1" {
        return problem(409, "plan-changed", "The hash is not that of the plan.");
    }
    (202, one(STARTED).1)
}
