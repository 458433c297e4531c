//! The examples of the HTTP API: what its functions answer while a restore of three objects goes its way.

use serde_json::{Value, json};
use thaw_sim::model::StorageClass;
use thaw_steps::api::http::{Request, Response};
use thaw_steps::api::{create_plan, create_restore, get_distributions, get_restores};

use crate::steps::world::{BUCKET, World, ask_with};

/// A call with its answer.
pub struct Example {
    /// The route, as in the template.
    pub route: &'static str,
    /// The body; `null` if it has none.
    pub body: Value,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub answer: Value,
}

/// An example of each route at which one looks first, and of the problems that everybody meets.
pub fn all() -> Vec<Example> {
    let world = World::new();
    for (key, class) in [
        ("photos/2019/beach.jpg", StorageClass::Glacier),
        ("photos/2019/cat.jpg", StorageClass::Glacier),
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
    let accepted = call(&world, "POST /v1/restores", "", &request);
    let id = accepted.answer["id"].as_str().expect("an id").to_owned();
    let (name, input) = world.executions.started().into_iter().next_back().expect("an execution");
    let wait = world.begin(name.as_str(), input);
    world.pass(5 * 3_600);
    world.deliver(1);
    world.finish(&id, wait);
    let cancelled = call(&world, "DELETE /v1/restores/{id}", &id, &Value::Null);
    let missing = call(&world, "GET /v1/restores/{id}", "photos", &Value::Null);
    let looks = ["GET /v1/restores/{id}", "GET /v1/restores/{id}/objects", "GET /v1/restores"];
    let looks = looks.map(|route| call(&world, route, &id, &Value::Null));
    let distributions = call(&world, "GET /v1/distributions", "", &Value::Null);
    [planned, wrong, accepted, cancelled, missing, distributions].into_iter().chain(looks).collect()
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
        "POST /v1/restores" => world.run(create_restore::run(&request, ledger, files, executions, settings, now)),
        "DELETE /v1/restores/{id}" => world.cancel_raw(&request),
        "GET /v1/distributions" => world.run(get_distributions::run(&request, aws, settings)),
        _ => world.run(get_restores::run(&request, ledger, files)),
    };
    let status = answer.status_code;
    Example { route, body: body.clone(), status, answer: serde_json::from_str(&answer.body).unwrap() }
}

/// Adds the examples to the document.
pub fn add_to(document: &mut Value) {
    for Example { route, body, status, answer } in all() {
        let (method, path) = route.split_once(' ').expect("a method and a path");
        let call = &mut document["paths"][path][method.to_lowercase()];
        if status < 300 && !body.is_null() {
            call["requestBody"]["content"]["application/json"]["example"] = body;
        }
        let content = call["responses"][status.to_string()]["content"].as_object_mut();
        let content = content.unwrap_or_else(|| panic!("{route} does not say that it may answer {status}"));
        content.values_mut().for_each(|content| content["example"] = answer.clone());
    }
}
