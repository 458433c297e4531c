//! The examples of the HTTP API: what its functions answer while a restore of three objects goes its way.

use serde_json::{Value, json};
use thaw_sim::model::StorageClass;
use thaw_steps::api::http::{Request, Response};
use thaw_steps::api::{adopt, create_plan, create_restore, get_distributions, get_paths, get_restores};

use crate::steps::world::{BUCKET, World, ask_with};

/// A call with its answer.
pub struct Example {
    /// The route, as in the template.
    pub route: &'static str,
    /// The restore that the path names; empty if it names none.
    pub id: String,
    /// The body; `null` if it has none.
    pub body: Value,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub answer: Value,
}

/// An example of each route, and of the problems that everybody meets.
pub fn all() -> Vec<Example> {
    let world = World::new();
    for (key, class) in [
        ("photos/2019/beach.jpg", StorageClass::Glacier),
        ("photos/2019/cat.jpg", StorageClass::Glacier),
        ("photos/2019/harbour.jpg", StorageClass::Glacier),
        ("photos/index.html", StorageClass::Standard),
    ] {
        world.put(key, class);
    }
    let request = ask_with(
        &["photos/2019/beach.jpg", "photos/2019/cat.jpg", "photos/index.html"],
        json!({"days": 7, "max_cost_usd": 1}),
    );
    let planned = call(&world, "POST /v1/plans", "", &request);
    let wrong = call(&world, "POST /v1/plans", "", &json!({"bucket": BUCKET, "keys": ["a"], "tier": "Fast"}));
    let (accepted, id, wait) = begin(&world, &request);
    world.pass(5 * 3_600);
    world.deliver(1);
    world.finish(&id, wait);
    let cancelled_too_late = call(&world, "DELETE /v1/restores/{id}", &id, &Value::Null);
    let missing = call(&world, "GET /v1/restores/{id}", "photos", &Value::Null);
    let looks = ["GET /v1/restores/{id}", "GET /v1/restores/{id}/objects", "GET /v1/restores"];
    let looks = looks.map(|route| call(&world, route, &id, &Value::Null));
    let distributions = call(&world, "GET /v1/distributions", "", &Value::Null);
    let paths = json!({"bucket": BUCKET, "keys": ["photos/2019/cat.jpg"]});
    let paths = call(&world, "POST /v1/paths", "", &paths);
    let adopted = call(&world, "POST /v1/adoptions", "", &json!({"bucket": BUCKET, "prefix": "photos/"}));
    let extended = call(&world, "POST /v1/restores/{id}/extend", &id, &json!({"days": 30}));
    let (_, running, _) = begin(&world, &ask_with(&["photos/2019/harbour.jpg"], json!({})));
    let expedited = call(&world, "POST /v1/restores/{id}/expedite", &running, &json!({"max_cost_usd": 1}));
    let cancelled = call(&world, "DELETE /v1/restores/{id}", &running, &Value::Null);
    let retried = call(&world, "POST /v1/restores/{id}/retry", &running, &json!({"tier": "Bulk"}));
    [planned, wrong, accepted, cancelled_too_late, missing, distributions]
        .into_iter()
        .chain(looks)
        .chain([paths, adopted, extended, expedited, cancelled, retried])
        .collect()
}

/// Accepts a restore, plans it and asks S3; answers its id, and how long to wait for S3.
fn begin(world: &World, request: &Value) -> (Example, String, u64) {
    let accepted = call(world, "POST /v1/restores", "", request);
    let id = accepted.answer["id"].as_str().expect("an id").to_owned();
    let (name, input) = world.executions.started().into_iter().next_back().expect("an execution");
    let wait = world.begin(name.as_str(), input);
    (accepted, id, wait)
}

fn call(world: &World, route: &'static str, id: &str, body: &Value) -> Example {
    let event = json!({
        "routeKey": route,
        "pathParameters": {"id": id},
        "body": if body.is_null() { Value::Null } else { Value::from(body.to_string()) },
        "requestContext": {"requestId": "example"},
    });
    let request: Request = serde_json::from_value(event).unwrap();
    let World { aws, ledger, files, executions, settings, .. } = world;
    let now = world.now();
    let answer: Response = match route {
        "POST /v1/plans" => world.run(create_plan::run(&request, aws, aws, ledger, files, settings, now)),
        "POST /v1/paths" => world.run(get_paths::run(&request, aws, aws, settings, now)),
        "POST /v1/adoptions" => world.run(adopt::run(&request, aws, ledger, files, executions, settings, now)),
        "DELETE /v1/restores/{id}" => world.cancel_raw(&request),
        "GET /v1/distributions" => world.run(get_distributions::run(&request, aws, settings)),
        route if route.starts_with("POST ") => {
            world.run(create_restore::run(&request, ledger, files, executions, settings, now))
        }
        _ => world.run(get_restores::run(&request, ledger, files)),
    };
    let status = answer.status_code;
    let (id, body) = (id.to_owned(), body.clone());
    Example { route, id, body, status, answer: serde_json::from_str(&answer.body).unwrap() }
}

/// Adds the examples to the document.
pub fn add_to(document: &mut Value) {
    for Example { route, id, body, status, answer } in all() {
        let (method, path) = route.split_once(' ').expect("a method and a path");
        let call = &mut document["paths"][path][method.to_lowercase()];
        if status < 300 {
            if !body.is_null() {
                call["requestBody"]["content"]["application/json"]["example"] = body;
            }
            let parameters = call.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
            parameters
                .filter(|parameter| parameter["name"] == "id")
                .for_each(|named| named["example"] = id.clone().into());
        }
        let kind = if status < 300 { "application/json" } else { "application/problem+json" };
        let content = call["responses"][status.to_string()]["content"].get_mut(kind);
        let content = content.unwrap_or_else(|| panic!("{route} does not say that it may answer {status}"));
        content["example"] = answer;
    }
}
