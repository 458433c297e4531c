//! The links of the OpenAPI document: which call an answer makes possible, and where its parameters are in the answer.

use serde_json::{Value, json};

/// A link: its name, the operation that it leads to, and the operation's parameters or body in runtime expressions.
type Link = (&'static str, &'static str, Value);

/// Calls about a restore whose id is the field `id` of the answer.
fn about_the_restore() -> Vec<Link> {
    let calls = [
        ("state", "GetRestore"),
        ("objects", "ListObjects"),
        ("cancel", "CancelRestore"),
        ("retry", "RetryRestore"),
        ("expedite", "ExpediteRestore"),
        ("extend", "ExtendRestore"),
    ];
    calls.map(|(name, call)| (name, call, json!({"parameters": {"id": "$response.body#/id"}}))).into()
}

/// The links of each operation's successful answers.
fn links(operation: &str) -> Vec<Link> {
    let next_page = |more: &[(&str, &str)]| {
        let cursor = ("cursor", "$response.body#/next_cursor");
        let parameters: serde_json::Map<_, _> =
            more.iter().chain([&cursor]).map(|(name, from)| ((*name).to_owned(), Value::from(*from))).collect();
        json!({"parameters": parameters})
    };
    match operation {
        "CreateRestore" | "RetryRestore" | "ExpediteRestore" | "ExtendRestore" | "GetRestore" | "CancelRestore" => {
            about_the_restore()
        }
        "CreatePlan" => vec![("start", "CreateRestore", json!({"requestBody": "$request.body"}))],
        "ListRestores" => vec![
            ("newest", "GetRestore", json!({"parameters": {"id": "$response.body#/restores/0/id"}})),
            ("next", "ListRestores", next_page(&[])),
        ],
        "ListObjects" => vec![("next", "ListObjects", next_page(&[("id", "$request.path.id")]))],
        "Adopt" => vec![("first", "GetRestore", json!({"parameters": {"id": "$response.body#/restores/0/id"}}))],
        _ => Vec::new(),
    }
}

/// Adds the links to the successful answers of a call.
pub(super) fn add_to(call: &mut Value) {
    let links = links(call["operationId"].as_str().unwrap_or_default());
    let answers = call["responses"].as_object_mut().into_iter().flatten();
    for (_, answer) in answers.filter(|(status, _)| status.starts_with('2')) {
        for (name, operation, from) in &links {
            answer["links"][*name] = from.clone();
            answer["links"][*name]["operationId"] = (*operation).into();
        }
    }
}
