//! Clients of the API: `POST` and `DELETE /v1/restores`.

use std::rc::Rc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use thaw_steps::Step;

use super::functions::invoke;
use super::simulator::Simulator;
use crate::environment::{BUCKET, Environment};
use crate::workflow::TaskError;
use crate::world::{ActionKind, RestoreRequest};

/// Sends a request. With an `Idempotency-Key` the client retries after a server error.
pub(super) async fn request(simulator: &Rc<Simulator>, request: &RestoreRequest) {
    let env = &simulator.env;
    let body = request_body(env, request);
    for attempt in 0..6 {
        let (status, response) = post(simulator, request, &body, attempt).await;
        if status < 500 {
            let json: Value = serde_json::from_str(&response).unwrap_or_default();
            simulator.checker.borrow_mut().answered(env, request, status, &json);
            if status < 300 {
                let mut requests = env.requests.borrow_mut();
                let sent = requests.entry(request.id).or_default();
                sent.restore = json["id"].as_str().map(str::to_owned);
                sent.response_body = Some(response);
            }
            return;
        }
        if !request.has_idempotency_key {
            return;
        }
        wait_before_retry(env, attempt).await;
    }
}

/// Sends the `Idempotency-Key` of an accepted request again.
pub(super) async fn repeat_request(simulator: &Rc<Simulator>, id: u32, same_body: bool) {
    let env = &simulator.env;
    let Some(request) = find_request(env, id) else { return };
    let first = env.requests.borrow().get(&id).cloned().unwrap_or_default();
    if !request.has_idempotency_key || first.restore.is_none() {
        return;
    }
    let body = if same_body {
        request_body(env, &request)
    } else {
        json!({"bucket": BUCKET, "keys": ["another"]}).to_string()
    };
    let (status, response) = post(simulator, &request, &body, 100).await;
    if status < 500 {
        simulator.checker.borrow_mut().answered_again(&request, &first, same_body, (status, &response));
    }
}

/// Cancels the restore of an accepted request. The client retries after a server error.
pub(super) async fn cancel_request(simulator: &Rc<Simulator>, id: u32) {
    let env = &simulator.env;
    let restore = env.requests.borrow().get(&id).and_then(|request| request.restore.clone());
    let Some(restore) = restore else { return };
    let event = json!({"routeKey": "DELETE /v1/restores/{id}", "pathParameters": {"id": restore}});
    for attempt in 0..8 {
        let (status, body) = http_response(invoke(simulator, Step::CancelRestore, event.clone()).await);
        env.log(|| format!("  DELETE answers {status}: {body}"));
        if status < 500 {
            if status == 202 {
                let mut requests = env.requests.borrow_mut();
                requests.entry(id).or_default().cancelled_at = Some(env.now());
            }
            return;
        }
        wait_before_retry(env, attempt).await;
    }
}

async fn post(simulator: &Rc<Simulator>, request: &RestoreRequest, body: &str, attempt: u32) -> (u16, String) {
    let mut event = json!({
        "routeKey": "POST /v1/restores", "body": body,
        "requestContext": {"requestId": format!("request {} {attempt}", request.id)},
    });
    if request.has_idempotency_key {
        event["headers"] = json!({"idempotency-key": format!("key-{}", request.id)});
    }
    let response = http_response(invoke(simulator, Step::CreateRestore, event).await);
    simulator.env.log(|| format!("  POST answers {response:?}"));
    response
}

/// The HTTP status and body that API Gateway returns for a function's response.
fn http_response(response: Result<Value, TaskError>) -> (u16, String) {
    let Ok(response) = response else { return (500, String::new()) };
    let status = response["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    (status.unwrap_or(500), response["body"].as_str().unwrap_or_default().to_owned())
}

/// The body of a request.
fn request_body(env: &Environment, request: &RestoreRequest) -> String {
    let keys: Vec<String> = request.objects.iter().filter_map(|object| env.world.full_key(*object)).collect();
    let mut body = json!({
        "bucket": BUCKET, "keys": keys, "tier": request.tier,
        "publish": {
            "when": request.publish_when, "only_if_stale": request.only_if_stale, "max_over": request.max_over,
        },
    });
    if let (Some(prefix), Some(body)) = (request.prefix, body.as_object_mut()) {
        let origin_path = env.world.origin_path.trim_start_matches('/');
        let prefix = if origin_path.is_empty() { prefix.to_owned() } else { format!("{origin_path}/{prefix}") };
        body.remove("keys");
        // thaw accepts the whole bucket only with a price limit.
        if prefix.is_empty() && request.max_cost_usd.is_none() {
            body.insert("max_cost_usd".to_owned(), json!(1_000));
        }
        body.insert("prefix".to_owned(), json!(prefix));
    }
    if request.dry_run {
        body["dry_run"] = json!(true);
    }
    if let Some(days) = request.days {
        body["days"] = json!(days);
    }
    if let Some(limit) = request.max_cost_usd {
        body["max_cost_usd"] = json!(limit);
    }
    if request.fail_without_capacity {
        body["on_expedited_unavailable"] = json!("fail");
    }
    if let Some(batch_operations) = request.batch_operations {
        body["batch_operations"] = json!(batch_operations);
    }
    if request.publish_only {
        body["publish_only"] = json!(true);
        let of_s3 = ["tier", "days", "on_expedited_unavailable", "batch_operations"];
        body.as_object_mut().into_iter().for_each(|body| body.retain(|field, _| !of_s3.contains(&field.as_str())));
    }
    if request.malformed {
        body["colour"] = json!("red");
    }
    body.to_string()
}

async fn wait_before_retry(env: &Environment, attempt: u32) {
    env.runtime.sleep(SignedDuration::from_secs(20 << attempt)).await;
}

fn find_request(env: &Environment, id: u32) -> Option<RestoreRequest> {
    env.world.actions.iter().find_map(|action| match &action.kind {
        ActionKind::Request(request) if request.id == id => Some(request.clone()),
        _ => None,
    })
}
