//! The checked-in description of the HTTP API is what the code says.
//!
//! After a change: `UPDATE_OPENAPI=1 cargo test --package thaw-tests openapi` writes it anew.

mod examples;
mod schema;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use thaw_steps::api::openapi::document;

#[test]
fn the_checked_in_description_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/openapi.json");
    let mut document = document();
    examples::add_to(&mut document);
    // Whether a map keeps its order is the choice of whichever crate is built along.
    document.sort_all_objects();
    let said = serde_json::to_string_pretty(&document).unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &said).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = said.lines().zip(written.lines()).position(|(said, written)| said != written);
    assert!(
        said == written,
        "infra/openapi.json differs from the code (first in line {}). UPDATE_OPENAPI=1 cargo test --package thaw-tests openapi",
        differs.map_or_else(|| said.lines().count().min(written.lines().count()) + 1, |line| line + 1),
    );
}

#[test]
fn every_route_of_the_template_is_described_and_no_other() {
    let template = include_str!("../../infra/template.yaml");
    let in_template: BTreeSet<_> =
        template.lines().filter_map(|line| line.trim().strip_prefix("RouteKey: ").map(str::to_owned)).collect();
    let document = document();
    let described: BTreeSet<_> = fields(&document["paths"])
        .flat_map(|(path, methods)| fields(methods).map(move |(method, _)| format!("{} {path}", method.to_uppercase())))
        .collect();
    assert_eq!(described, in_template);
}

#[test]
fn what_the_api_answers_is_what_the_document_describes() {
    let document = document();
    for example in examples::all() {
        let (method, path) = example.route.split_once(' ').unwrap();
        let schema = schema::of_answer(&document, method, path, example.status).expect("an answer that is described");
        let misfits = schema::misfits(&example.answer, schema, &document, "");
        assert_eq!(misfits, [""; 0], "{} {}", example.route, example.status);
    }
}

#[test]
fn every_answer_that_is_no_success_is_a_problem_or_api_gateways() {
    let document = document();
    for (path, methods) in fields(&document["paths"]) {
        for (method, call) in fields(methods) {
            for (status, response) in fields(&call["responses"]) {
                for (kind, content) in fields(&response["content"]) {
                    let schema = content["schema"]["$ref"].as_str().unwrap().rsplit_once('/').unwrap().1;
                    let place = format!("{method} {path} {status} {kind}");
                    match (status.as_str() >= "400", kind.as_str()) {
                        (false, "application/json") => {
                            assert!(schema.ends_with("View") || schema.ends_with("Page"), "{place}");
                        }
                        (true, "application/json") => assert_eq!(schema, "GatewayMessage", "{place}"),
                        (true, "application/problem+json") => assert_eq!(schema, "Problem", "{place}"),
                        (false | true, _) => panic!("{place}"),
                    }
                }
            }
        }
    }
}

#[test]
fn every_link_leads_to_an_operation_with_its_parameters() {
    let document = document();
    let calls = || fields(&document["paths"]).flat_map(|(_, methods)| fields(methods).map(|(_, call)| call));
    let parameters_of = |operation: &Value| -> BTreeSet<&str> {
        let call = calls().find(|call| &call["operationId"] == operation).expect("an operation of the document");
        call["parameters"].as_array().into_iter().flatten().filter_map(|parameter| parameter["name"].as_str()).collect()
    };
    let mut reached = BTreeSet::new();
    for call in calls() {
        for (status, response) in fields(&call["responses"]) {
            for (name, link) in response["links"].as_object().into_iter().flatten() {
                let known = parameters_of(&link["operationId"]);
                let named = link["parameters"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
                let place = format!("{} {status} {name}", call["operationId"]);
                assert!(named.into_iter().all(|name| known.contains(name)), "{place}: {link}");
                reached.insert(link["operationId"].as_str().unwrap());
            }
        }
    }
    // Every call about one restore is reached from the call that begins it.
    let about_a_restore = calls().filter(|call| parameters_of(&call["operationId"]).contains("id"));
    for call in about_a_restore {
        assert!(reached.contains(call["operationId"].as_str().unwrap()), "no link leads to {}", call["operationId"]);
    }
}

#[test]
fn every_schema_that_is_referred_to_is_there() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("references stay within the document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                fields.values().for_each(|value| check(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| check(value, document)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    check(&document, &document);
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().expect("an object").iter()
}
