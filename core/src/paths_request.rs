//! The request of `POST /v1/paths`: the objects whose paths are asked about.

#[cfg(any(feature = "openapi", test))]
use serde_json::Value;

use crate::request::{bucket, keys, read_object, refuse_unknown};
use crate::{Problem, RequestedObject};

/// The most keys in a request. Each may take some calls of S3 while the caller waits.
pub const MAX_PATHS_KEYS: usize = 100;

/// A question about the paths of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathsRequest {
    /// The bucket.
    pub bucket: String,
    /// The objects, each once, in the order of the request.
    pub keys: Vec<RequestedObject>,
}

const KNOWN_FIELDS: [&str; 2] = ["bucket", "keys"];

impl PathsRequest {
    /// Reads a body. Fails with the field that the caller must correct.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        let body = read_object(body)?;
        refuse_unknown(&body, "", &KNOWN_FIELDS)?;
        let Some(list) = body.get("keys") else {
            return Err(Problem::missing("keys", format!("List 1 to {MAX_PATHS_KEYS} keys.")));
        };
        let keys = keys(list, MAX_PATHS_KEYS, "Split the keys over several calls.")?;
        Ok(Self { bucket: bucket(&body)?, keys })
    }

    /// The JSON Schema of a body that [`PathsRequest::read`] accepts. A schema cannot express that limits are in bytes of
    /// UTF-8: its lengths are in characters.
    #[cfg(feature = "openapi")]
    pub fn schema() -> Value {
        let mut keys = crate::Request::schema()["properties"]["keys"].take();
        keys["maxItems"] = MAX_PATHS_KEYS.into();
        serde_json::json!({
            "type": "object", "additionalProperties": false, "required": ["bucket", "keys"],
            "description": "Which objects. Unknown fields are refused.",
            "properties": {
                "bucket": crate::request_schema::bucket("The bucket the objects are in: one of the stack's archive buckets."),
                "keys": keys,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<PathsRequest, Problem> {
        PathsRequest::read(body.to_string().as_bytes())
    }

    #[test]
    fn keys_are_named_as_in_a_restore() {
        let asked = read(&json!({"bucket": "archive", "keys": ["a", {"key": "a", "version_id": "v1"}]})).unwrap();
        let versions: Vec<Option<&str>> = asked.keys.iter().map(|object| object.version_id.as_deref()).collect();
        assert_eq!((asked.bucket.as_str(), versions), ("archive", vec![None, Some("v1")]));
        let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert!(read(&json!({"bucket": "archive", "keys": many(MAX_PATHS_KEYS)})).is_ok());
        for (body, field) in [
            (json!({"bucket": "archive"}), "keys"),
            (json!({"bucket": "archive", "keys": []}), "keys"),
            (json!({"bucket": "archive", "keys": many(MAX_PATHS_KEYS + 1)}), "keys"),
            (json!({"bucket": "archive", "keys": ["a", "a"]}), "keys[1]"),
            (json!({"bucket": "archive", "keys": ["s3://archive/a"]}), "keys[0]"),
            (json!({"keys": ["a"]}), "bucket"),
            (json!({"bucket": "archive", "keys": ["a"], "prefix": "a"}), "prefix"),
            (json!([]), "body"),
        ] {
            let problem = read(&body).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some(field)), "{problem:?}");
        }
        let says = read(&json!({"bucket": "archive", "keys": many(101)})).unwrap_err().detail;
        assert!(says.contains("1 to 100") && says.contains("several calls"), "{says}");
    }

    #[cfg(feature = "openapi")]
    #[test]
    fn the_schema_has_the_limits_of_the_reader() {
        let schema = PathsRequest::schema();
        let keys = &schema["properties"]["keys"];
        assert_eq!((&keys["minItems"], &keys["maxItems"]), (&json!(1), &json!(MAX_PATHS_KEYS)));
        let known: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(known, KNOWN_FIELDS);
    }
}
