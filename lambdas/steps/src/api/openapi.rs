//! The description of the HTTP API in OpenAPI 3.1, from the types of its requests and answers.
//!
//! The functions here only carry descriptions. The routes are served by [`crate::api::create_restore`] and its
//! siblings.

#![expect(dead_code, reason = "descriptions are never called")]

mod links;

use serde_json::{Value, json};
use thaw_core::{Adoption, PathsRequest, Problem, Request};
use utoipa::{IntoResponses, OpenApi};

use crate::api::adopt::AdoptionView;
use crate::api::create_plan::PlanView;
use crate::api::get_distributions::DistributionsView;
use crate::views::object_view::{ObjectPage, ObjectState};
use crate::views::paths_view::PathsView;
use crate::views::restore_view::{RestorePage, RestoreView};

/// The document as JSON.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Api::openapi()).expect("an OpenAPI document is JSON");
    document["components"]["securitySchemes"] = json!({"iam": {
        "type": "apiKey", "in": "header", "name": "Authorization",
        "x-amazon-apigateway-authtype": "awsSigv4",
        "description": "An AWS Signature Version 4 for the service execute-api, by a principal who may execute-api:Invoke.",
    }});
    document["security"] = json!([{"iam": []}]);
    tidy(&mut document);
    let requests = [
        ("RestoreRequest", Request::schema()),
        ("AdoptionRequest", Adoption::schema()),
        ("PathsRequest", PathsRequest::schema()),
    ];
    for (name, schema) in requests.into_iter().chain(crate::api::create_restore::schemas()) {
        document["components"]["schemas"][name] = schema;
    }
    require_bodies(&mut document);
    add_gateways_answers(&mut document);
    calls(&mut document).for_each(links::add_to);
    document
}

/// The calls of the document: by path and method.
fn calls(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    paths.flat_map(|(_, methods)| methods.as_object_mut().into_iter().flatten().map(|(_, call)| call))
}

/// A body is required where its schema requires a field.
fn require_bodies(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    for call in calls(document) {
        let schema = call["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
        let name = schema.and_then(|schema| schema.rsplit('/').next());
        if let Some(name) = name {
            let fields = schemas[name]["required"].as_array();
            call["requestBody"]["required"] = fields.is_some_and(|fields| !fields.is_empty()).into();
        }
    }
}

/// Adds the answers that API Gateway gives by itself, before a function is called or when it does not answer.
fn add_gateways_answers(document: &mut Value) {
    document["components"]["schemas"]["GatewayMessage"] = json!({
        "type": "object", "required": ["message"], "properties": {"message": {"type": "string"}},
        "description": "An answer of API Gateway itself.",
    });
    let answers = [
        ("403", "API Gateway: the signature is missing or wrong, or the caller may not execute-api:Invoke."),
        ("429", "API Gateway: more requests than the stack takes. The same request can be sent again."),
        ("500", "API Gateway: the function failed."),
        ("503", "API Gateway: the function did not answer in time."),
    ];
    for call in calls(document) {
        for (status, says) in answers {
            let answer = &mut call["responses"][status];
            let described = answer["description"].as_str().map(|by_thaw| format!("{by_thaw} Or {says}"));
            answer["description"] = described.unwrap_or_else(|| says.to_owned()).into();
            answer["content"]["application/json"] = json!({"schema": {"$ref": "#/components/schemas/GatewayMessage"}});
        }
    }
}

/// Completes what derived schemas cannot express. Answers leave out empty fields, so no field is ever null; and the
/// line breaks of a doc comment mean nothing.
fn tidy(part: &mut Value) {
    match part {
        Value::Object(fields) => {
            if let Some(kinds) = fields.get_mut("type").and_then(Value::as_array_mut) {
                kinds.retain(|kind| kind != "null");
                if let [kind] = kinds.as_mut_slice() {
                    let kind = kind.take();
                    fields.insert("type".to_owned(), kind);
                }
            }
            if let Some(shapes) = fields.get_mut("oneOf").and_then(Value::as_array_mut) {
                shapes.retain(|shape| shape["type"] != "null");
                if let [Value::Object(shape)] = shapes.as_mut_slice() {
                    let mut shape = std::mem::take(shape);
                    fields.remove("oneOf");
                    fields.append(&mut shape);
                }
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
                *text = paragraphs.collect::<Vec<_>>().join("\n\n");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "thaw",
        description = "Brings archived S3 objects back to CloudFront: asks S3 for them, publishes them the moment they can be read, and says at every moment where they stand. What a caller can mend is answered as a problem document (RFC 9457) that names the field, its value and the fix.",
        license(name = "MIT", identifier = "MIT"),
    ),
    servers((
        url = "https://{api}.execute-api.{region}.amazonaws.com",
        description = "The stack's ApiUrl output",
        variables(("api" = (default = "api")), ("region" = (default = "us-east-1"))),
    )),
    paths(create_restore, retry_restore, expedite_restore, extend_restore, create_plan, get_paths, get_restores, get_restore, get_objects, cancel_restore, get_distributions, adopt),
    components(schemas(Problem)),
)]
struct Api;

/// Answers that every route may give.
#[derive(IntoResponses)]
enum CallError {
    #[response(
        status = 500,
        description = "A permission is missing, or thaw has a bug.",
        content_type = "application/problem+json"
    )]
    Internal(Problem),
    #[response(
        status = 503, description = "An AWS service is busy. The same request can be sent again.", content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "Seconds after which it is worth another try.")),
    )]
    Busy(Problem),
}

/// Start a restore
///
/// Answers before S3 is asked and before anything is spent. The body holds what was accepted and never changes, so
/// equal requests get equal answers. Follow the Location to see the present state of the restore.
#[utoipa::path(
    post, path = "/v1/restores", operation_id = "CreateRestore", tag = "restores",
    params(
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
         description = "Makes the restore once, however often the same body is sent with the same key: at once, after a lost answer, or after the restore has ended."),
    ),
    request_body(content = ref("#/components/schemas/RestoreRequest"), content_type = "application/json", description = "At most 2 MiB."),
    responses(
        (status = 202, description = "Accepted just now.", body = RestoreView,
         headers(("Location" = String, description = "Where the restore stands."), ("Retry-After" = u32, description = "Seconds after which it is worth asking."))),
        (status = 200, description = "The restore of an earlier request with this key, as it was accepted then.", body = RestoreView,
         headers(("Location" = String, description = "Where the restore stands."), ("Retry-After" = u32, description = "Seconds after which it is worth asking."))),
        (status = 400, description = "The body or the key is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The bucket is not one of the stack's archive buckets.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key was used before with another body.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn create_restore() {}

/// Ask again for failed and cancelled objects
///
/// Starts a restore of the objects of another one that have failed or were cancelled. Settings that the body leaves out are those of the
/// other restore.
#[utoipa::path(
    post, path = "/v1/restores/{id}/retry", operation_id = "RetryRestore", tag = "restores",
    params(
        ("id" = thaw_core::RestoreId, Path, description = "The other restore's id."),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
         description = "Makes the restore once, however often the same body is sent with the same key."),
    ),
    request_body(content = ref("#/components/schemas/RetryRequest"), content_type = "application/json", description = "May be empty."),
    responses(
        (status = 202, description = "Accepted just now: the new restore.", body = RestoreView,
         headers(("Location" = String, description = "Where the restore stands."), ("Retry-After" = u32, description = "Seconds after which it is worth asking."))),
        (status = 200, description = "The restore of an earlier request with this key, as it was accepted then.", body = RestoreView,
         headers(("Location" = String, description = "Where the restore stands."), ("Retry-After" = u32, description = "Seconds after which it is worth asking."))),
        (status = 400, description = "The body or the key is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no restore with this id.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "None of its objects failed or was cancelled, or it has no plan.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key was used before with another body.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn retry_restore() {}

/// Ask for a faster tier
///
/// Starts a restore of the objects of another one that S3 still fetches, at a faster tier. S3 speeds them up if it can.
/// Each object is published once for both restores.
#[utoipa::path(
    post, path = "/v1/restores/{id}/expedite", operation_id = "ExpediteRestore", tag = "restores",
    params(
        ("id" = thaw_core::RestoreId, Path, description = "The other restore's id."),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
         description = "Makes the restore once, however often the same body is sent with the same key."),
    ),
    request_body(content = ref("#/components/schemas/ExpediteRequest"), content_type = "application/json", description = "May be empty. tier is Expedited if it is left out."),
    responses(
        (status = 202, description = "Accepted just now: the new restore.", body = RestoreView,
         headers(("Location" = String, description = "Where the restore stands."), ("Retry-After" = u32, description = "Seconds after which it is worth asking."))),
        (status = 200, description = "The restore of an earlier request with this key, as it was accepted then.", body = RestoreView,
         headers(("Location" = String, description = "Where the restore stands."), ("Retry-After" = u32, description = "Seconds after which it is worth asking."))),
        (status = 400, description = "The body or the key is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no restore with this id.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "S3 fetches none of its objects any more, or it has no plan.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key was used before with another body.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn expedite_restore() {}

/// Keep copies longer
///
/// Starts a restore of the readable objects of another one, which asks S3 to keep their copies longer. Nothing is
/// invalidated again.
#[utoipa::path(
    post, path = "/v1/restores/{id}/extend", operation_id = "ExtendRestore", tag = "restores",
    params(
        ("id" = thaw_core::RestoreId, Path, description = "The other restore's id."),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
         description = "Makes the restore once, however often the same body is sent with the same key."),
    ),
    request_body(content = ref("#/components/schemas/ExtendRequest"), content_type = "application/json", description = "days are counted from now."),
    responses(
        (status = 202, description = "Accepted just now: the new restore.", body = RestoreView,
         headers(("Location" = String, description = "Where the restore stands."), ("Retry-After" = u32, description = "Seconds after which it is worth asking."))),
        (status = 200, description = "The restore of an earlier request with this key, as it was accepted then.", body = RestoreView,
         headers(("Location" = String, description = "Where the restore stands."), ("Retry-After" = u32, description = "Seconds after which it is worth asking."))),
        (status = 400, description = "The body or the key is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no restore with this id.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has no plan.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key was used before with another body.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn extend_restore() {}

/// See what a restore would do, take and cost
///
/// Takes the same body as for a restore. The state of every object is read; nothing is written and nothing is started.
#[utoipa::path(
    post, path = "/v1/plans", operation_id = "CreatePlan", tag = "restores",
    request_body(content = ref("#/components/schemas/RestoreRequest"), content_type = "application/json", description = "At most 2 MiB."),
    responses(
        (status = 200, description = "The plan.", body = PlanView),
        (status = 400, description = "The body is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The bucket is not one of the stack's archive buckets.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no restore with the id in objects_of.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "That restore has no plan yet, or the plan is not the one that the body confirms.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "There is no such plan: the price is over a limit, nothing matches, the manifest is broken, or planning takes too long to wait for.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn create_plan() {}

/// See under which paths viewers get objects
///
/// Per distribution: the paths and the behaviours that answer, what makes each a path of the object, what an edge may hold and for
/// how long. Also whether thaw would invalidate the paths now, why not, and for what price. The answer is found as a restore with
/// `publish_only` would find it. Nothing is written and nothing is started.
#[utoipa::path(
    post, path = "/v1/paths", operation_id = "GetPaths", tag = "restores",
    request_body(content = ref("#/components/schemas/PathsRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "The paths.", body = PathsView),
        (status = 400, description = "The body is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The bucket is not one of the stack's archive buckets.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "S3 or CloudFront took too long, or the bucket is not there.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn get_paths() {}

/// List restores, newest first
#[utoipa::path(
    get, path = "/v1/restores", operation_id = "ListRestores", tag = "restores",
    params(
        ("status" = Option<thaw_core::Status>, Query, description = "Only restores with this status."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "How many restores a page has at most; 50 if it is absent."),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before."),
    ),
    responses(
        (status = 200, description = "A page of restores.", body = RestorePage),
        (status = 400, description = "A query parameter is wrong.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn get_restores() {}

/// See the state of a restore
#[utoipa::path(
    get, path = "/v1/restores/{id}", operation_id = "GetRestore", tag = "restores",
    params(("id" = thaw_core::RestoreId, Path, description = "The restore's id.")),
    responses(
        (status = 200, description = "The restore, counted from its objects at this moment.", body = RestoreView,
         headers(("Retry-After" = Option<u32>, description = "While it runs: seconds after which it is worth asking again."))),
        (status = 400, description = "There is a query parameter, and none is known here.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such restore.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn get_restore() {}

/// List the objects of a restore
///
/// There are none before it is planned.
#[utoipa::path(
    get, path = "/v1/restores/{id}/objects", operation_id = "ListObjects", tag = "restores",
    params(
        ("id" = thaw_core::RestoreId, Path, description = "The restore's id."),
        ("state" = Option<ObjectState>, Query, description = "Only objects in this state."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many objects a page has at most; 1,000 if it is absent."),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before."),
    ),
    responses(
        (status = 200, description = "A page of objects.", body = ObjectPage),
        (status = 400, description = "A query parameter is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such restore.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn get_objects() {}

/// Cancel a restore
///
/// Stops waiting, publishing, and all requests that were not yet sent to S3. Restores that S3 has begun cannot be
/// cancelled and are paid for: `says` tells how many objects these are. Idempotent.
#[utoipa::path(
    delete, path = "/v1/restores/{id}", operation_id = "CancelRestore", tag = "restores",
    params(("id" = thaw_core::RestoreId, Path, description = "The restore's id.")),
    responses(
        (status = 202, description = "It is cancelled.", body = RestoreView, headers(("Location" = String, description = "Where the restore stands."))),
        (status = 400, description = "There is a query parameter, and none is known here.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such restore.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The restore has already ended in another way.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn cancel_restore() {}

/// See the distributions in front of a bucket
///
/// What thaw sees of CloudFront when it publishes objects of the bucket: the distributions that it invalidates, and those that
/// it leaves out. Nothing is changed. May be some minutes old.
#[utoipa::path(
    get, path = "/v1/distributions", operation_id = "GetDistributions", tag = "distributions",
    params(("bucket" = Option<String>, Query, description = "One of the stack's archive buckets; the first if it is absent.")),
    responses(
        (status = 200, description = "The distributions.", body = DistributionsView),
        (status = 400, description = "A query parameter is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The bucket is not one of the stack's archive buckets.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn get_distributions() {}

/// Adopt restores that thaw does not know
///
/// Looks, page by page, for objects that S3 is restoring, or has copies of, without thaw knowing, because the ledger,
/// the stack or events were lost. These objects are followed and published like restores that another tool began; S3 is
/// asked for nothing. Idempotent. Only current versions are found. Objects of Intelligent-Tiering are only found while
/// they are being restored: afterwards they look like any other.
#[utoipa::path(
    post, path = "/v1/adoptions", operation_id = "Adopt", tag = "restores",
    request_body(content = ref("#/components/schemas/AdoptionRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "What was found, and the restores that take care of it now.", body = AdoptionView),
        (status = 400, description = "The body is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The bucket is not one of the stack's archive buckets.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The bucket is not there, or in another Region.", body = Problem, content_type = "application/problem+json"),
        CallError,
    ),
)]
fn adopt() {}
