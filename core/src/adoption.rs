//! The request of an adoption: the bucket and prefix in which to look for retrievals that thaw does not know.

use serde_json::{Map, Value};

use crate::Problem;
use crate::bucket_name::MAX_KEY_BYTES;
use crate::request::{bucket, read_object, refuse_unknown};

/// A request for one page of adoptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The bucket.
    pub bucket: String,
    /// The beginning of the keys; empty is all keys.
    pub prefix: String,
    /// The last key of the previous page; `None` for the first page.
    pub cursor: Option<String>,
}

const KNOWN_FIELDS: [&str; 3] = ["bucket", "prefix", "cursor"];

impl Adoption {
    /// Reads a body. Fails with the field that the caller must correct.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        let body = read_object(body)?;
        refuse_unknown(&body, "", &KNOWN_FIELDS)?;
        let prefix = text(&body, "prefix")?.unwrap_or_default();
        let cursor = text(&body, "cursor")?.filter(|cursor| !cursor.is_empty());
        if let Some(cursor) = cursor.as_ref().filter(|cursor| !cursor.starts_with(&prefix)) {
            let why = "must be the next_cursor of an answer for the same prefix. Leave it out to begin.";
            return Err(Problem::field("cursor", &Value::from(cursor.as_str()), why));
        }
        Ok(Self { bucket: bucket(&body)?, prefix, cursor })
    }

    /// The JSON Schema of a body that [`Adoption::read`] accepts. A schema cannot express that limits are in bytes of
    /// UTF-8: its lengths are in characters.
    #[cfg(feature = "openapi")]
    pub fn schema() -> Value {
        let text = |says: &str| serde_json::json!({"type": ["string", "null"], "maxLength": MAX_KEY_BYTES, "description": says});
        serde_json::json!({
            "type": "object", "additionalProperties": false, "required": ["bucket"],
            "description": "Where to look. Unknown fields are refused.",
            "properties": {
                "bucket": crate::request_schema::bucket("The bucket to look in: one of the stack's archive buckets."),
                "prefix": text("Look only at keys that begin so; all if it is left out."),
                "cursor": text("The next_cursor of the answer before, for the same prefix; left out at first."),
            },
        })
    }
}

/// Reads a text of at most a key's length; `None` if the field is missing or null.
fn text(body: &Map<String, Value>, field: &str) -> Result<Option<String>, Problem> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_KEY_BYTES => Ok(Some(text.clone())),
        Some(other) => {
            Err(Problem::field(field, other, format!("must be a text of at most {MAX_KEY_BYTES} bytes in UTF-8.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Adoption, Problem> {
        Adoption::read(body.to_string().as_bytes())
    }

    #[test]
    fn a_bucket_is_enough() {
        let all = Adoption { bucket: "archive".to_owned(), prefix: String::new(), cursor: None };
        assert_eq!(read(json!({"bucket": "archive"})).unwrap(), all);
        assert_eq!(read(json!({"bucket": "archive", "prefix": "", "cursor": ""})).unwrap(), all);
        assert_eq!(read(json!({"bucket": "archive", "prefix": null, "cursor": null})).unwrap(), all);
        let more = read(json!({"bucket": "archive", "prefix": "2019/", "cursor": "2019/ü"})).unwrap();
        assert_eq!((more.prefix.as_str(), more.cursor.as_deref()), ("2019/", Some("2019/ü")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (more, field) in [
            (json!({"colour": "red"}), "colour"),
            (json!({"keys": ["a"]}), "keys"),
            (json!({"bucket": "UPPER"}), "bucket"),
            (json!({"bucket": null}), "bucket"),
            (json!({"prefix": 1}), "prefix"),
            (json!({"prefix": "p".repeat(1_025)}), "prefix"),
            (json!({"cursor": "ü".repeat(513)}), "cursor"),
            (json!({"prefix": "2019/", "cursor": "2020/a"}), "cursor"),
        ] {
            let mut body = json!({"bucket": "archive"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let problem = read(body).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some(field)), "{problem:?}");
        }
        assert_eq!(read(json!({})).unwrap_err().field.as_deref(), Some("bucket"));
        assert_eq!(read(json!([])).unwrap_err().field.as_deref(), Some("body"));
        assert_eq!(Adoption::read(b"{").unwrap_err().status, 400);
        assert_eq!(Adoption::read(&vec![b' '; crate::MAX_BODY_BYTES + 1]).unwrap_err().status, 413);
    }

    #[cfg(feature = "openapi")]
    #[test]
    fn the_schema_and_the_reader_agree() {
        let schema = Adoption::schema();
        let properties = schema["properties"].as_object().unwrap();
        let known: std::collections::BTreeSet<_> = KNOWN_FIELDS.into();
        assert_eq!(properties.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), known);
        for field in ["prefix", "cursor"] {
            let most = usize::try_from(properties[field]["maxLength"].as_u64().unwrap()).unwrap();
            let with = |length| read(json!({"bucket": "archive", field: "p".repeat(length)}));
            assert!(with(most).is_ok() && with(most + 1).is_err(), "{field}");
        }
    }
}
