use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use thaw_core::{Alternative, Batch, BatchId, Call, Candidate, FailureCode, PublishedReason, State, Tier, Usd};

use super::*;
use crate::ledger::restores::Refusal;
use crate::testing::stack::{Stack, body, done, is_problem, now, restored, restoring, row};

fn failed() -> State {
    State::Failed { at: now(), code: FailureCode::NoSuchKey, message: "there is no such key".to_owned() }
}

fn published(how: PublishedReason) -> State {
    State::Published { at: now(), readable: now(), expires: Some(now()), how }
}

fn by_batch() -> PublishedReason {
    PublishedReason::Invalidated { batch: BatchId::from("batch".to_owned()) }
}

fn alternative() -> Alternative {
    let says = "Bulk: cheaper".to_owned();
    Alternative {
        tier: Tier::Bulk,
        batch_operations: false,
        total_usd: Usd::default(),
        ready_between: [now(); 2],
        says,
    }
}

/// A batch of one object with a call in every state.
fn batch(id: &RestoreId, key: &str) -> Batch {
    let call = |invalidation: Option<&str>, completed, refused: Option<&str>| Call {
        distribution: "E1".to_owned(),
        items: vec!["/a".to_owned(), "/b".to_owned()],
        caller_reference: "reference".to_owned(),
        invalidation: invalidation.map(str::to_owned),
        completed,
        refused: refused.map(str::to_owned),
        denied: None,
    };
    let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<BTreeSet<_>>();
    Batch {
        id: BatchId::from("batch".to_owned()),
        candidates: vec![Candidate {
            object: row(id, key, State::Planned).object,
            restores: vec![id.clone()],
            revisions: 0,
            readiness: None,
            paths: BTreeMap::from([("E1".to_owned(), paths(&["/b", "/a"])), ("E2".to_owned(), paths(&["/a"]))]),
            covers: BTreeSet::new(),
            namesakes: BTreeSet::new(),
        }],
        calls: Some(vec![
            call(Some("I1"), true, None),
            call(Some("I2"), false, None),
            call(None, false, None),
            call(None, false, Some("InvalidArgument")),
        ]),
        wildcards: Vec::new(),
        created_at: now(),
        completed_at: None,
        revision: 0,
    }
}

#[tokio::test]
async fn before_it_is_planned_only_the_total_is_known() {
    let stack = Stack::default();
    let id = stack.accepted(&["a", "b"]).await;
    let response = stack.restore(&id).await;
    let answer = body(&response);
    assert_eq!((response.status_code, response.headers["retry-after"].as_str()), (200, "60"));
    assert_eq!((&answer["stage"], &answer["counts"]["total"]), (&json!("planning"), &json!(2)));
    assert_eq!((answer.get("cost"), answer.get("ready_between")), (None, None));
    assert_eq!(answer["says"], "thaw looks at the objects. S3 was not asked for any of them yet.");
    assert_eq!(body(&stack.objects(&id, json!({})).await), json!({"objects": []}));
}

#[tokio::test]
async fn a_restore_is_counted_from_its_rows() {
    let stack = Stack::default();
    let objects = [("a", State::Planned), ("b", restoring()), ("c", restored(None)), ("d", failed())];
    let more = [("e", published(PublishedReason::NoPath)), ("f", State::Available)];
    let id = stack.planned(&[objects.as_slice(), &more].concat(), 4).await;
    let answer = body(&stack.restore(&id).await);
    let counts = json!({
        "total": 6, "planned": 1, "available": 1, "restoring": 1, "restored": 1, "published": 1, "failed": 1,
        "cancelled": 0,
    });
    assert_eq!((&answer["counts"], &answer["stage"]), (&counts, &json!("requesting")));
    let failure = json!({"key": "d", "code": "NoSuchKey", "message": "there is no such key"});
    assert_eq!(answer["failures"], json!([failure]));
    assert_eq!(answer["warnings"], json!(["mind the gap"]));
    assert_eq!(answer["cost"]["lines"][0]["what"], "everything");
    assert_eq!((&answer["ready_between"], &answer["planned_at"]), (&json!([now(), now()]), &json!(now())));
    assert_eq!(answer["links"]["objects"], format!("/v1/restores/{id}/objects"));
    assert!(answer["says"].as_str().unwrap().starts_with("thaw asks S3 for the objects. Of 6 objects: "), "{answer}");
    assert_eq!(answer["copies_expire"], json!([now(), now()]), "of the published object; the others have none");
}

#[tokio::test]
async fn a_refused_restore_says_for_programs_why_and_what_it_would_have_cost() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", State::Planned)], 1).await;
    let cost = stack.record(&id).await.plan.unwrap().cost;
    let id = stack.accepted(&["x", "y"]).await;
    stack
        .change(&id, |record| {
            record.status = Status::Failed;
            let problem = "urn:thaw:problem:over-price".to_owned();
            record.refusal = Some(Refusal { problem, cost: Some(cost.clone()) });
        })
        .await;
    let answer = body(&stack.restore(&id).await);
    assert_eq!((&answer["problem"], &answer["stage"]), (&json!("urn:thaw:problem:over-price"), &json!("ended")));
    assert_eq!((&answer["counts"]["total"], &answer["counts"]["failed"]), (&json!(2), &json!(2)));
    assert_eq!(answer["cost"], json!(cost));
    let listed = body(&stack.get("GET /v1/restores", "", json!({})).await);
    assert_eq!(
        listed["restores"].as_array().unwrap().iter().filter(|one| one["problem"] == answer["problem"]).count(),
        1
    );
}

#[tokio::test]
async fn the_other_tiers_are_in_the_status_of_a_dry_run_only() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", State::Planned)], 1).await;
    for (dry_run, count) in [(true, 1), (false, 0)] {
        stack
            .change(&id, |record| {
                record.request.dry_run = dry_run;
                record.plan.as_mut().unwrap().alternatives = vec![alternative()];
            })
            .await;
        let answer = body(&stack.restore(&id).await);
        assert_eq!(answer["alternatives"].as_array().map_or(0, Vec::len), count);
    }
}

#[tokio::test]
async fn a_page_has_as_many_items_as_were_asked_for() {
    let stack = Stack::default();
    let keys: Vec<String> = (0..5).map(|n| n.to_string()).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), State::Planned)).collect();
    let id = stack.planned(&objects, 3).await;
    let (mut sizes, mut cursor) = (Vec::new(), None::<Value>);
    loop {
        let query = match &cursor {
            None => json!({"limit": "2"}),
            Some(cursor) => json!({"limit": "2", "cursor": cursor}),
        };
        let page = body(&stack.objects(&id, query).await);
        sizes.push(page["objects"].as_array().unwrap().len());
        cursor = page.get("next_cursor").cloned();
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [2, 1, 2], "a page ends with its chunk");
    for limit in ["0", "1001", "-1", "two", ""] {
        is_problem(&stack.objects(&id, json!({"limit": limit})).await, 400, Some("limit"));
    }
    stack.accepted(&["other"]).await;
    let page = body(&stack.get("GET /v1/restores", "", json!({"limit": "1"})).await);
    assert_eq!(page["restores"].as_array().unwrap().len(), 1);
    assert!(page.get("next_cursor").is_some(), "{page}");
    is_problem(&stack.get("GET /v1/restores", "", json!({"limit": "101"})).await, 400, Some("limit"));
    // An empty cursor is the first page, and an empty filter a mistake.
    body(&stack.get("GET /v1/restores", "", json!({"cursor": ""})).await);
    is_problem(&stack.get("GET /v1/restores", "", json!({"status": ""})).await, 400, Some("status"));
    is_problem(&stack.objects(&id, json!({"state": ""})).await, 400, Some("state"));
}

#[tokio::test]
async fn an_accepted_restore_and_a_read_one_look_alike() {
    let stack = Stack::default();
    let accepted = stack.post(None, &json!({"bucket": "archive", "keys": ["a"]})).await;
    let id: RestoreId = serde_json::from_value(body(&accepted)["id"].clone()).unwrap();
    assert_eq!(stack.restore(&id).await.body, accepted.body);
}

#[tokio::test]
async fn an_ended_restore_says_how_it_ended_and_has_no_retry_after() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", failed())], 1).await;
    stack
        .change(&id, |record| {
            record.status = Status::Failed;
            record.completed_at = Some(now());
            record.says = Some("Of 1 object: 1 failed.".to_owned());
        })
        .await;
    let response = stack.restore(&id).await;
    let answer = body(&response);
    assert_eq!((&answer["status"], &answer["stage"]), (&json!("failed"), &json!("ended")));
    assert_eq!((&answer["says"], &answer["completed_at"]), (&json!("Of 1 object: 1 failed."), &json!(now())));
    assert!(!response.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn at_most_twenty_failures_are_shown() {
    let keys: Vec<_> = (0..30).map(|n| format!("{n:02}")).collect();
    let objects: Vec<_> = keys.iter().map(|key| (key.as_str(), failed())).collect();
    let stack = Stack::default();
    let id = stack.planned(&objects, 7).await;
    let answer = body(&stack.restore(&id).await);
    assert_eq!(answer["failures"].as_array().unwrap().len(), 20);
    assert_eq!((&answer["failures"][19]["key"], &answer["counts"]["failed"]), (&json!("19"), &json!(30)));
}

#[tokio::test]
async fn the_invalidations_of_a_restore_are_those_that_claimed_its_objects() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", published(by_batch())), ("b", restored(Some("batch")))], 1).await;
    let (requested, completed) = (now(), now() + std::time::Duration::from_secs(60));
    stack.insert(&Batch { created_at: requested, completed_at: Some(completed), ..batch(&id, "a") }).await;
    let call = |more: Value| {
        let mut call = json!({"distribution": "E1", "paths": 2, "requested_at": requested});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call
    };
    assert_eq!(
        body(&stack.restore(&id).await)["invalidations"],
        json!([
            call(json!({"id": "I1", "status": "completed", "completed_at": completed})),
            call(json!({"id": "I2", "status": "in_progress"})),
            call(json!({"status": "pending"})),
            call(json!({"status": "refused", "message": "InvalidArgument"})),
        ]),
    );
}

#[tokio::test]
async fn a_claimed_object_has_the_state_that_its_batch_says() {
    let stack = Stack::default();
    let id = stack.planned(&["a", "bad"].map(|key| (key, restored(Some("b")))), 1).await;
    let counts = async || {
        let answer = body(&stack.restore(&id).await);
        ["restored", "published", "failed"].map(|state| answer["counts"][state].as_u64().unwrap())
    };
    assert_eq!(counts().await, [2, 0, 0]);
    stack.insert(&done("b", &["a", "bad"])).await;
    assert_eq!(counts().await, [0, 1, 1]);
    assert_eq!(body(&stack.restore(&id).await)["failures"][0]["code"], "RefusedByCloudFront");
    let objects = body(&stack.objects(&id, json!({"state": "published"})).await);
    assert_eq!(
        (&objects["objects"][0]["how"], &objects["objects"][0]["paths"]),
        (&json!("invalidated"), &json!(["/a"]))
    );
}

#[tokio::test]
async fn an_object_shows_its_state() {
    let stack = Stack::default();
    let objects = [("a", published(by_batch())), ("b", failed()), ("c", restoring()), ("d", State::Planned)];
    let id = stack.planned(&objects, 9).await;
    stack.insert(&batch(&id, "a")).await;
    let base = |key, state| json!({"key": key, "size": 7, "kind": "flexible", "state": state, "since": now()});
    let mut expected = [base("a", "published"), base("b", "failed"), base("c", "restoring"), base("d", "planned")];
    expected[0]["copy_expires"] = json!(now());
    expected[0]["how"] = json!("invalidated");
    expected[0]["paths"] = json!(["/a", "/b"]);
    expected[1]["code"] = json!("NoSuchKey");
    expected[1]["message"] = json!("there is no such key");
    expected[2]["tier"] = json!("Standard");
    assert_eq!(body(&stack.objects(&id, json!({})).await), json!({"objects": expected}));
}

#[tokio::test]
async fn objects_come_chunk_by_chunk_and_by_state() {
    let stack = Stack::default();
    let objects = [("a", failed()), ("b", State::Planned), ("c", State::Planned), ("d", failed()), ("e", failed())];
    let id = stack.planned(&objects, 2).await;
    for (state, expected) in [(None, "abcde"), (Some("failed"), "ade"), (Some("planned"), "bc"), (Some("restored"), "")]
    {
        let query = state.map_or_else(|| json!({}), |state| json!({"state": state}));
        let (mut keys, mut pages, mut query) = (String::new(), 0, query);
        loop {
            let page = body(&stack.objects(&id, query.clone()).await);
            pages += 1;
            assert!(pages < 10, "the list does not end");
            for object in page["objects"].as_array().unwrap() {
                keys.push_str(object["key"].as_str().unwrap());
            }
            match page.get("next_cursor") {
                Some(cursor) => query["cursor"] = cursor.clone(),
                None => break,
            }
        }
        assert_eq!((keys.as_str(), pages), (expected, 3), "{state:?}");
    }
}

#[tokio::test]
async fn open_objects_of_a_cancelled_restore_look_cancelled_at_once() {
    let stack = Stack::default();
    let objects =
        [("a", restoring()), ("b", published(PublishedReason::NoPath)), ("c", failed()), ("d", restored(None))];
    let id = stack.planned(&objects, 9).await;
    stack.change(&id, |record| record.status = Status::Cancelled).await;
    let answer = body(&stack.restore(&id).await);
    let counts =
        ["cancelled", "published", "failed", "restoring"].map(|state| answer["counts"][state].as_u64().unwrap());
    assert_eq!((counts, &answer["stage"]), ([2, 1, 1, 0], &json!("ended")));
    let cancelled = body(&stack.objects(&id, json!({"state": "cancelled"})).await);
    assert_eq!(cancelled["objects"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn restores_are_listed_newest_first_page_by_page() {
    let stack = Stack::default();
    for hour in 0..120_i64 {
        let at = now() + std::time::Duration::from_secs(u64::try_from(hour).unwrap() * 1_800);
        stack.post_at(None, r#"{"bucket": "archive", "keys": ["a", "b"]}"#, at).await;
    }
    let (mut seen, mut sizes, mut query) = (Vec::new(), Vec::new(), json!({}));
    loop {
        let page = body(&stack.get(ROUTES[0], "", query.clone()).await);
        let restores = page["restores"].as_array().unwrap();
        sizes.push(restores.len());
        assert!(sizes.len() < 10, "the list does not end");
        seen.extend(restores.iter().map(|restore| restore["requested_at"].as_str().unwrap().to_owned()));
        match page.get("next_cursor") {
            Some(cursor) => query["cursor"] = cursor.clone(),
            None => break,
        }
    }
    assert_eq!(sizes, [50, 50, 20]);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
}

#[tokio::test]
async fn a_chunk_that_is_longer_than_a_page_takes_more_than_one() {
    let stack = Stack::default();
    let id = stack.planned(&[("0000", State::Available)], 1).await;
    let record = stack.record(&id).await;
    let chunk = chunks::record(&stack.ledger, &record, 0).await.unwrap();
    let entry = chunks::entries(&stack.files, &record, &chunk).await.unwrap().remove(0);
    let entries: Vec<_> = (0..1_001).map(|n| chunks::ChunkEntry { key: format!("{n:04}"), ..entry.clone() }).collect();
    let file = serde_json::to_vec(&entries).unwrap();
    let file_hash = thaw_core::hash_bytes(&file);
    stack.files.put(&chunks::chunk_name(&id, chunk.made_at, 0), file).await.unwrap();
    let longer = |chunk| chunks::ChunkRecord { file_hash: file_hash.clone(), ..chunk };
    chunks::change(&stack.ledger, chunk, longer).await.unwrap();
    let first = body(&stack.objects(&id, json!({})).await);
    assert_eq!((first["objects"].as_array().unwrap().len(), &first["next_cursor"]), (1_000, &json!("0.1000")));
    let last = body(&stack.objects(&id, json!({"cursor": "0.1000"})).await);
    assert_eq!((&last["objects"][0]["key"], last.get("next_cursor")), (&json!("1000"), None));
}

#[tokio::test]
async fn restores_are_listed_by_status() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", State::Available)], 1).await;
    stack.post_at(None, r#"{"bucket": "archive", "keys": ["b"]}"#, now() + std::time::Duration::from_secs(1)).await;
    stack.change(&id, |record| record.status = Status::Succeeded).await;
    let page = body(&stack.get(ROUTES[0], "", json!({"status": "succeeded"})).await);
    let summary = json!({
        "id": id, "status": "succeeded", "bucket": "archive", "tier": "Standard", "objects": 1, "requested_at": now(),
        "ready_between": [now(), now()],
        "links": {"self": format!("/v1/restores/{id}"), "objects": format!("/v1/restores/{id}/objects")},
    });
    assert_eq!(page, json!({"restores": [summary]}));
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_by_its_name() {
    let stack = Stack::default();
    let id = stack.planned(&[("a", State::Planned)], 1).await;
    let [all, one, objects] = ROUTES;
    for (route, query, field) in [
        (all, json!({"colour": "red"}), "colour"),
        (all, json!({"status": "Running"}), "status"),
        (all, json!({"status": "running,failed"}), "status"),
        (all, json!({"cursor": "yesterday"}), "cursor"),
        (all, json!({"cursor": "2026-11-22T10:00:00Z~"}), "cursor"),
        (one, json!({"state": "failed"}), "state"),
        (objects, json!({"status": "failed"}), "status"),
        (objects, json!({"state": "gone"}), "state"),
        (objects, json!({"cursor": "1"}), "cursor"),
        (objects, json!({"cursor": "-1"}), "cursor"),
        (objects, json!({"cursor": "x"}), "cursor"),
        (objects, json!({"cursor": "0.1"}), "cursor"),
        (objects, json!({"cursor": "1.0"}), "cursor"),
    ] {
        is_problem(&stack.get(route, id.as_str(), query).await, 400, Some(field));
    }
    is_problem(&stack.get(one, "no-such", json!({})).await, 404, Some("id"));
    is_problem(&stack.get(objects, "a b", json!({})).await, 404, Some("id"));
    is_problem(&stack.get("GET /v2", "", json!({})).await, 404, None);
}
