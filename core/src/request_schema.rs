//! The JSON Schema of a request's body. It uses the constants of the code that reads the body.

use serde_json::{Value, json};

use crate::bucket_name::MAX_KEY_BYTES;
use crate::filter::{Filter, MAX_PATTERNS};
use crate::glob::MAX_PATTERN_BYTES;
use crate::request::{
    DEFAULT_DAYS, MAX_DAYS, MAX_ETAG, MAX_NOTIFY, MAX_NOTIFY_BYTES, MAX_OVER, MAX_VERSION_BYTES, PLAN_HASH,
};
use crate::whole_number::MAX_WHOLE;
use crate::{MAX_KEYS, ObjectSelector, Request, Tier, Usd};

impl Request {
    /// The JSON Schema of a body that [`Request::read`] accepts. A schema cannot express that a key's limit is in bytes
    /// of UTF-8: its lengths are in characters.
    pub fn schema() -> Value {
        let object = |properties: Value, required: &[&str]| {
            let mut object = json!({"type": "object", "properties": properties, "additionalProperties": false});
            if !required.is_empty() {
                object["required"] = json!(required);
            }
            object
        };
        let key = json!({
            "type": "string", "minLength": 1, "maxLength": MAX_KEY_BYTES,
            "description": format!("The key: 1 to {MAX_KEY_BYTES} bytes in UTF-8."),
        });
        let version_id = json!({
            "type": ["string", "null"], "minLength": 1, "maxLength": MAX_VERSION_BYTES,
            "description": "The version; without one, the current one, pinned when the restore is planned.",
        });
        let patterns = |says: &str| {
            json!({
                "type": "array", "minItems": 1, "maxItems": MAX_PATTERNS, "description": says,
                "items": {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN_BYTES},
            })
        };
        let publish = object(
            json!({
                "when": {
                    "type": "string", "enum": ["each", "together", "never"], "default": "each",
                    "description": "Each object as soon as it can be read, all together when the last one can, or not at all.",
                },
                "only_if_stale": {
                    "type": "boolean", "default": false,
                    "description": "Invalidate only where a cached error, or a second origin's answer to one, can be stale. Older content of a key that was overwritten while it was archived is not looked for: it stays as long as its headers said.",
                },
                "max_over": {
                    "type": "integer", "minimum": 0, "maximum": MAX_OVER, "default": 0,
                    "description": "Readable neighbours that wildcards may cover, so that fewer paths are paid for. Archived ones are never covered.",
                },
            }),
            &[],
        );
        let mut request = object(
            json!({
                "bucket": bucket("The bucket the objects are in: one of the stack's archive buckets."),
                "keys": {
                    "type": "array", "minItems": 1, "maxItems": MAX_KEYS, "uniqueItems": true,
                    "items": {"oneOf": [key.clone(), object(json!({"key": key, "version_id": version_id}), &["key"])]},
                    "description": "The objects, each once.",
                },
                "prefix": {
                    "type": "string", "maxLength": MAX_KEY_BYTES,
                    "description": "Instead of keys: the current versions of all objects whose keys begin so. Empty is the whole bucket, and is taken only with max_cost_usd.",
                },
                "manifest": {
                    "type": "string", "pattern": r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[\s\S]*\S",
                    "description": "Instead of keys: the address of a file in one of the stack's archive buckets, or in its inbox, that lists the objects, as CSV, JSON lines, either packed with gzip, or the manifest.json of an S3 Inventory in CSV.",
                },
                "manifest_etag": {
                    "type": "string", "minLength": 1, "maxLength": MAX_ETAG, "pattern": "^[!-~]*[!#-~][!-~]*$",
                    "description": "Of a manifest: its ETag. If the file is another when the restore is planned, it is refused.",
                },
                "include": patterns("Of a prefix: only keys that match one of these patterns (* within a folder, ** across folders)."),
                "exclude": patterns("Of a prefix: no keys that match one of these patterns, whatever include says."),
                "modified_after": {"type": "string", "format": "date-time", "description": "Of a prefix: only what was last written then or later."},
                "modified_before": {"type": "string", "format": "date-time", "description": "Of a prefix: only what was last written earlier."},
                "min_size": {"type": "integer", "minimum": 0, "maximum": MAX_WHOLE, "description": "Of a prefix: only what has so many bytes or more."},
                "max_size": {"type": "integer", "minimum": 0, "maximum": MAX_WHOLE, "description": "Of a prefix: only what has so many bytes or fewer."},
                "objects_of": {
                    "type": "object", "additionalProperties": false, "required": ["restore", "in"],
                    "properties": {
                        "restore": {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,80}$", "description": "The restore's id."},
                        "in": {"type": "string", "enum": ObjectSelector::WORDS.map(|(word, _)| word), "description": "The state of the objects to take."},
                    },
                    "description": "Instead of keys: objects of another restore of the same bucket.",
                },
                "confirm": {
                    "type": "string", "pattern": format!("^[0-9a-fA-F]{{{PLAN_HASH}}}$"),
                    "description": "The hash of a plan. The restore is refused if its plan has another hash.",
                },
                "tier": {
                    "type": "string", "enum": Tier::ALL.map(Tier::as_str), "default": Tier::Standard.as_str(),
                    "description": "How fast.",
                },
                "days": {
                    "type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": DEFAULT_DAYS,
                    "description": "How long copies stay. Left out for objects of Intelligent-Tiering, which have none; refused if it is set and all objects are.",
                },
                "on_expedited_unavailable": {
                    "type": "string", "enum": ["standard", "fail"], "default": "standard",
                    "description": "What to do when S3 has no Expedited capacity.",
                },
                "max_cost_usd": {
                    "type": "number", "minimum": 0, "maximum": Usd::MOST,
                    "description": "Refuse before anything is spent if the plan costs more.",
                },
                "publish": publish,
                "notify": {
                    "type": "array", "maxItems": MAX_NOTIFY,
                    "items": {"type": "string", "minLength": 1, "maxLength": MAX_NOTIFY_BYTES},
                    "description": "Words that the notices of this restore carry, for subscribers to filter on.",
                },
                "batch_operations": {
                    "type": "boolean",
                    "description": "Whether S3 Batch Operations asks for what is archived, at Standard or Bulk: Standard begins sooner there, and a job costs $0.25. Left out, it does where more objects are archived than the stack's parameter BatchOperationsOver says.",
                },
                "join_only": {
                    "type": "boolean", "default": false,
                    "description": "Only take on restores that already run: S3 is never asked for one.",
                },
                "publish_only": {
                    "type": "boolean", "default": false,
                    "description": "Only invalidate, again and under the same rules, what viewers can read now: objects that were never archived, and readable copies. S3 is asked for nothing; what is archived fails as NotReadable. Not with tier, days, on_expedited_unavailable, batch_operations, join_only, publish.only_if_stale, or publish.when never.",
                },
                "dry_run": {
                    "type": "boolean", "default": false,
                    "description": "Only plan: the execution ends when the price is known, and S3 is asked for nothing.",
                },
            }),
            &["bucket"],
        );
        request["oneOf"] = json!([{"required": ["keys"]}, {"required": ["prefix"]}, {"required": ["manifest"]}, {"required": ["objects_of"]}]);
        request["dependentRequired"] = needs();
        request["allOf"] = rules();
        request["description"] = "What to restore. Unknown fields are refused.".into();
        request
    }
}

/// The schema of a bucket's name. It cannot express that two dots do not stand together and that a name is no IP address.
pub(crate) fn bucket(says: &str) -> Value {
    json!({
        "type": "string", "minLength": 3, "maxLength": 63, "pattern": "^[a-z0-9][a-z0-9.-]*[a-z0-9]$",
        "description": says,
    })
}

/// The fields that only go with another one.
fn needs() -> Value {
    let of_a_prefix = Filter::FIELDS.map(|field| (field, "prefix"));
    let needs = of_a_prefix.into_iter().chain([("manifest_etag", "manifest")]);
    needs.map(|(field, needed)| (field.to_owned(), json!([needed]))).collect::<serde_json::Map<_, _>>().into()
}

/// The values that only go with those of other fields.
fn rules() -> Value {
    let rule = |field: &str, value: Value, then: Value| {
        let is = json!({"properties": {(field): {"const": value}}, "required": [field]});
        json!({"if": is, "then": then})
    };
    let is_offered = |tier: &&Tier| crate::job::is_offered(**tier);
    let tiers: Vec<_> = Tier::ALL.iter().filter(is_offered).map(|tier| tier.as_str()).collect();
    let only_published = json!({
        "tier": {"const": Tier::Standard.as_str()},
        "days": false,
        "on_expedited_unavailable": {"const": "standard"},
        "batch_operations": false,
        "join_only": {"const": false},
        "publish": {"properties": {"when": {"enum": ["each", "together"]}, "only_if_stale": {"const": false}}},
    });
    json!([
        rule("prefix", "".into(), json!({"required": ["max_cost_usd"]})),
        rule("batch_operations", true.into(), json!({"properties": {"tier": {"enum": tiers}}})),
        rule("publish_only", true.into(), json!({"properties": only_published})),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    /// A body in which the field at `path` has this value.
    fn with(path: &[&str], value: Value) -> Value {
        let mut body = match path {
            ["prefix"] => json!({"bucket": "archive"}),
            ["manifest_etag"] => json!({"bucket": "archive", "manifest": "s3://archive/a.csv"}),
            ["objects_of", ..] => json!({"bucket": "archive", "objects_of": {"restore": "r", "in": "failed"}}),
            ["include" | "exclude" | "modified_after" | "modified_before" | "min_size" | "max_size"] => {
                json!({"bucket": "archive", "prefix": "a"})
            }
            _ => json!({"bucket": "archive", "keys": ["a"]}),
        };
        let mut at = &mut body;
        for name in path {
            at = &mut at[*name];
        }
        *at = value;
        body
    }

    #[track_caller]
    fn check(path: &[&str], value: Value, accepted: bool) {
        let short: String = value.to_string().chars().take(60).collect();
        assert_eq!(Request::parse(&with(path, value)).is_ok(), accepted, "{} = {short}", path.join("."));
    }

    /// Compares every limit of the schema with the reader: a value at the limit is accepted, one just outside it is refused.
    fn compare(path: &[&str], schema: &Value) {
        let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
        let text = |length: u64| Value::from("a".repeat(usize::try_from(length).unwrap()));
        for word in schema["enum"].as_array().into_iter().flatten() {
            check(path, word.clone(), true);
            check(path, Value::from(format!("{}!", word.as_str().unwrap())), false);
        }
        match schema["type"].as_str() {
            Some("integer" | "number") => {
                let least = limit("minimum").unwrap();
                check(path, least.into(), true);
                check(path, (i64::try_from(least).unwrap() - 1).into(), false);
                if let Some(most) = limit("maximum") {
                    check(path, most.into(), true);
                    check(path, (most + 1).into(), false);
                }
            }
            // Texts with a pattern or a format are not checked by their lengths.
            Some("string") if schema.get("enum").is_none() && schema.get("maxLength").is_some() => {
                for (name, outside) in [("minLength", -1), ("maxLength", 1)] {
                    let Some(length) = limit(name) else { continue };
                    check(path, text(length), true);
                    check(path, text(length.checked_add_signed(outside).unwrap()), false);
                }
            }
            Some("array") => {
                let items = |count: u64| (0..count).map(|n| Value::from(format!("k{n}"))).collect::<Vec<_>>();
                for (name, outside) in [("minItems", -1), ("maxItems", 1)] {
                    let Some(count) = limit(name) else { continue };
                    check(path, items(count).into(), true);
                    check(path, items(count.checked_add_signed(outside).unwrap()).into(), false);
                }
                let item = schema["items"].get("oneOf").map_or(&schema["items"], |shapes| &shapes[0]);
                for (name, outside) in [("minLength", -1), ("maxLength", 1)] {
                    let length = item[name].as_u64().unwrap();
                    check(path, vec![text(length)].into(), true);
                    check(path, vec![text(length.checked_add_signed(outside).unwrap())].into(), false);
                }
            }
            Some("boolean") => {
                check(path, true.into(), true);
                check(path, "yes".into(), false);
            }
            Some("object") => {
                for (name, schema) in properties(schema) {
                    compare(&[path, &[name.as_str()]].concat(), schema);
                }
                if let [.., _] = path {
                    check(path, json!({"colour": "red"}), schema["additionalProperties"] != false);
                }
            }
            Some(_) | None => {}
        }
        if let Some(default) = schema.get("default") {
            check(path, default.clone(), true);
        }
    }

    fn properties(schema: &Value) -> &Map<String, Value> {
        schema["properties"].as_object().unwrap()
    }

    #[test]
    fn the_schema_and_the_reader_agree_on_every_limit() {
        compare(&[], &Request::schema());
    }

    #[test]
    fn the_schema_knows_every_field_that_can_be_used() {
        let mut known = crate::request::KNOWN_FIELDS.to_vec();
        known.sort_unstable();
        let schema = Request::schema();
        let mut described: Vec<_> = properties(&schema).keys().map(String::as_str).collect();
        described.sort_unstable();
        assert_eq!(described, known);
    }

    #[test]
    fn the_schema_has_the_defaults_of_the_reader() {
        let schema = Request::schema();
        let read = Request::parse(&json!({"bucket": "archive", "keys": ["a"]})).unwrap();
        assert_eq!(schema["properties"]["days"]["default"], read.copy_days());
        let written = serde_json::to_value(&read).unwrap();
        for field in ["tier", "on_expedited_unavailable"] {
            assert_eq!(schema["properties"][field]["default"], written[field], "{field}");
        }
        for (field, schema) in properties(&schema["properties"]["publish"]) {
            assert_eq!(schema["default"], written["publish"][field], "{field}");
        }
    }

    #[test]
    fn a_versioned_key_is_limited_as_the_schema_says() {
        let shape = &Request::schema()["properties"]["keys"]["items"]["oneOf"][1];
        assert_eq!(shape["required"], json!(["key"]));
        let most = usize::try_from(shape["properties"]["version_id"]["maxLength"].as_u64().unwrap()).unwrap();
        let versioned = |version: Value| json!([{"key": "a", "version_id": version}]);
        check(&["keys"], versioned("v".repeat(most).into()), true);
        check(&["keys"], versioned(Value::Null), true);
        check(&["keys"], versioned("v".repeat(most + 1).into()), false);
        check(&["keys"], json!([{"key": "a", "colour": "red"}]), false);
    }
}
