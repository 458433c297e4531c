//! The parts of requests and answers of an API Gateway HTTP API (payload format 2.0) that the functions use.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use thaw_core::{Problem, RestoreId};

use crate::StepError;

/// A request. API Gateway leaves out empty fields, and other senders use `null`. Both mean the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// The matching route, as in the template: `GET /v1/restores/{id}`.
    #[serde(deserialize_with = "or_nothing")]
    pub route_key: String,
    /// The path of the request.
    #[serde(deserialize_with = "or_nothing")]
    pub raw_path: String,
    /// The headers. API Gateway sends their names in lower case.
    #[serde(deserialize_with = "or_nothing")]
    pub headers: BTreeMap<String, String>,
    /// The query, decoded. API Gateway joins the values of a name that comes twice with a comma.
    #[serde(deserialize_with = "or_nothing")]
    pub query_string_parameters: BTreeMap<String, String>,
    /// The values of the path parameters.
    #[serde(deserialize_with = "or_nothing")]
    pub path_parameters: BTreeMap<String, String>,
    /// The body, as it came or in base64.
    pub body: Option<String>,
    /// Whether the body is in base64. API Gateway encodes every body whose content type is not text.
    #[serde(deserialize_with = "or_nothing")]
    pub is_base64_encoded: bool,
    /// API Gateway's data about the request.
    #[serde(deserialize_with = "or_nothing")]
    pub request_context: RequestContext,
}

/// API Gateway's data about a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestContext {
    /// The id of the request, which is unique.
    #[serde(deserialize_with = "or_nothing")]
    pub request_id: String,
}

fn or_nothing<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Request {
    /// A header by its name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The bytes of the body, which must be UTF-8. A missing body is empty.
    pub fn body_bytes(&self) -> Result<Vec<u8>, Problem> {
        let body = self.body.as_deref().unwrap_or_default();
        if !self.is_base64_encoded {
            return Ok(body.as_bytes().to_vec());
        }
        let bytes = STANDARD.decode(body).map_err(|error| Problem::not_json(format!("bad base64: {error}")))?;
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(Problem::not_json(error)),
        }
    }

    /// The restore that the path names. A name that cannot be an id is that of no restore.
    pub(crate) fn restore_id(&self) -> Result<RestoreId, Problem> {
        let id = self.path_parameters.get("id").cloned().unwrap_or_default();
        RestoreId::try_from(id.clone()).map_err(|_| Problem::no_such_restore(&id.chars().take(80).collect::<String>()))
    }

    /// A query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query_string_parameters.get(name).map(String::as_str)
    }

    /// A query parameter with any text. An empty one counts as missing.
    pub(crate) fn text_query(&self, name: &str) -> Option<&str> {
        self.query(name).filter(|value| !value.is_empty())
    }

    /// Refuses unknown query parameters: a misspelt filter must not be ignored and answer everything.
    pub(crate) fn expect_queries(&self, known: &[&str]) -> Result<(), Problem> {
        let unknown = self.query_string_parameters.iter().find(|(name, _)| !known.contains(&name.as_str()));
        let Some((name, value)) = unknown else { return Ok(()) };
        let why = if known.is_empty() {
            "is not a query parameter here: this address knows none.".to_owned()
        } else {
            format!("is not a query parameter thaw knows. Known here: {}.", known.join(", "))
        };
        Err(Problem::field(name, &Value::from(value.as_str()), why))
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<String, String>,
    /// The body: JSON, as text.
    pub body: String,
}

impl Response {
    /// An answer in JSON. It is only valid at this moment, so no cache may keep it.
    pub fn json(status_code: u16, body: &impl Serialize) -> Self {
        Self::new(status_code, "application/json", body)
    }

    /// A problem (RFC 9457).
    pub fn problem(problem: &Problem) -> Self {
        let response = Self::new(problem.status, "application/problem+json", problem);
        if problem.status == 503 { response.with("retry-after", RETRY_BUSY_SECONDS) } else { response }
    }

    /// The answer with one more header.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.insert(name.to_owned(), value.to_string());
        self
    }

    fn new(status_code: u16, content_type: &str, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("our answers are structs with text keys, which JSON can hold");
        let headers = [("content-type", content_type), ("cache-control", "no-store")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { status_code, headers, body }
    }
}

/// Seconds after which a request is worth another try if a service was busy.
const RETRY_BUSY_SECONDS: u32 = 5;

impl From<Result<Self, StepError>> for Response {
    /// The API always answers. An error that the caller cannot fix is logged for the operator, and only here.
    fn from(result: Result<Self, StepError>) -> Self {
        result.unwrap_or_else(|error| {
            let name = error.name();
            let problem = error.problem();
            if problem.status >= 500 {
                tracing::error!(error.name = name, Errors = 1_u64, "answered {}: {}", problem.status, problem.detail);
            }
            Self::problem(&problem)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(event: Value) -> Request {
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn missing_and_null_fields_mean_the_same() {
        let nulls = json!({
            "version": "2.0", "routeKey": null, "rawPath": null, "headers": null, "queryStringParameters": null,
            "pathParameters": null, "body": null, "isBase64Encoded": null, "requestContext": null,
        });
        assert_eq!(read(nulls), Request::default());
        assert_eq!(read(json!({})), Request::default());
        assert_eq!(Request::default().body_bytes().unwrap(), b"");
    }

    #[test]
    fn an_event_as_api_gateway_sends_it_is_read() {
        let request = read(json!({
            "version": "2.0", "routeKey": "GET /v1/restores/{id}", "rawPath": "/v1/restores/r1", "rawQueryString": "",
            "headers": {"accept": "*/*", "idempotency-key": "k"}, "pathParameters": {"id": "r1"},
            "requestContext": {"requestId": "JKJaXmPLvHcESHA=", "http": {"method": "GET"}, "timeEpoch": 1},
            "isBase64Encoded": false,
        }));
        assert_eq!(request.restore_id().unwrap().as_str(), "r1");
        assert_eq!(request.header("Idempotency-Key"), Some("k"));
        assert_eq!(request.request_context.request_id, "JKJaXmPLvHcESHA=");
    }

    #[test]
    fn a_body_in_base64_is_decoded() {
        let request = read(json!({"body": "eyJhIjoiw7wifQ==", "isBase64Encoded": true}));
        assert_eq!(request.body_bytes().unwrap(), "{\"a\":\"ü\"}".as_bytes());
    }

    #[test]
    fn a_body_that_is_no_text_is_a_problem_of_the_body() {
        for body in ["/////w==", "not base64!"] {
            let problem = read(json!({"body": body, "isBase64Encoded": true})).body_bytes().unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some("body")), "{problem:?}");
        }
    }

    #[test]
    fn a_name_that_is_no_id_is_no_restore() {
        for id in ["", "a b", "../..", &"x".repeat(9_000)] {
            let problem = read(json!({"pathParameters": {"id": id}})).restore_id().unwrap_err();
            assert!(problem.status == 404 && problem.detail.len() < 300, "{problem:?}");
        }
    }

    #[test]
    fn an_answer_has_the_shape_api_gateway_reads() {
        let response = Response::json(202, &json!({"id": "r"})).with("location", "/v1/restores/r");
        let shape = json!({
            "statusCode": 202,
            "headers": {"content-type": "application/json", "cache-control": "no-store", "location": "/v1/restores/r"},
            "body": "{\"id\":\"r\"}",
        });
        assert_eq!(serde_json::to_value(response).unwrap(), shape);
    }

    #[test]
    fn a_busy_service_says_when_to_come_again() {
        let response = Response::from(Err(StepError::Throttled("GetItem: slow down".to_owned())));
        assert_eq!((response.status_code, response.headers["retry-after"].as_str()), (503, "5"));
        assert_eq!(response.headers["content-type"], "application/problem+json");
    }
}
