//! The errors of the API, as RFC 9457 problem details. Each says what is wrong and what the caller can do about it.

use serde::Serialize;
use serde_json::Value;

/// A problem with a request: the field, its value and how to correct it. Serialises as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{detail}")]
pub struct Problem {
    /// The stable name of the kind of problem, as a URN.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words, the same for every problem of the kind.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// This problem in words: the field, its value and how to correct it.
    pub detail: String,
    /// The wrong field, as a path in the body (`keys[3].key`), or the wrong header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The field's value, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

impl Problem {
    fn new(name: &str, title: &'static str, status: u16, detail: String) -> Self {
        Self { kind: format!("urn:thaw:problem:{name}"), title, status, detail, field: None, value: None }
    }

    /// 400: the body is not JSON, or not UTF-8.
    pub fn not_json(why: impl std::fmt::Display) -> Self {
        let detail = format!(
            "The body is not JSON in UTF-8 ({why}). Send one JSON object, for example {{\"bucket\": \"my-archive\", \"keys\": [\"2019/cat.jpg\"]}}."
        );
        Self { field: Some("body".to_owned()), ..Self::new("not-json", "The body is not JSON", 400, detail) }
    }

    /// 413: the body is over the limit.
    pub fn too_large(bytes: usize, limit: usize) -> Self {
        let detail = format!("The body has {bytes} bytes; the limit is {limit}. Split the keys over several restores.");
        Self { field: Some("body".to_owned()), ..Self::new("too-large", "The body is too large", 413, detail) }
    }

    /// 400: a field is wrong.
    pub fn field(field: impl Into<String>, value: &Value, why: impl std::fmt::Display) -> Self {
        // The name of an unknown field comes from the caller, so it may have any length.
        let field = cut(field.into());
        let value = shorten(value);
        let detail = format!("{field}: {why} It was {value}.");
        Self {
            field: Some(field),
            value: Some(value),
            ..Self::new("invalid-field", "A field of the request is wrong", 400, detail)
        }
    }

    /// 400: a field is missing.
    pub fn missing(field: &str, why: impl std::fmt::Display) -> Self {
        let detail = format!("{field}: missing. {why}");
        Self {
            field: Some(field.to_owned()),
            ..Self::new("missing-field", "A field of the request is missing", 400, detail)
        }
    }

    /// 400: a field that thaw does not support yet.
    pub fn not_yet(field: &str, instead: &str) -> Self {
        let detail = format!("{field}: thaw does not support this yet. {instead}");
        Self { field: Some(field.to_owned()), ..Self::new("not-yet", "thaw does not support this yet", 400, detail) }
    }

    /// 403: a bucket that is not in the stack's `ArchiveBuckets`.
    pub fn foreign_bucket(bucket: &str, ours: &[String]) -> Self {
        let detail = format!(
            "bucket: this stack may not restore from {bucket:?}. It looks after {}. Add the bucket to the stack's ArchiveBuckets parameter, or ask the stack that has it.",
            ours.join(", ")
        );
        Self {
            field: Some("bucket".to_owned()),
            value: Some(Value::from(bucket)),
            ..Self::new("foreign-bucket", "The bucket is not one of this stack's", 403, detail)
        }
    }

    /// 422: there is no such bucket, or it is in another Region.
    pub fn wrong_bucket(says: impl std::fmt::Display) -> Self {
        let detail = format!(
            "bucket: {says}. A stack restores from buckets of its own Region and account. Correct the name, or deploy thaw in the bucket's Region with the bucket in ArchiveBuckets."
        );
        Self {
            field: Some("bucket".to_owned()),
            ..Self::new("wrong-bucket", "The bucket is not there, or in another Region", 422, detail)
        }
    }

    /// 422: the idempotency key was used before, with another body.
    pub fn key_reused(key: &str) -> Self {
        let detail = "Idempotency-Key: this key was used before with another body. Send the same body to get the same restore, or take a new key for a new one.".to_owned();
        Self {
            field: Some("Idempotency-Key".to_owned()),
            value: Some(shorten(&Value::from(key))),
            ..Self::new("idempotency-key-reused", "The Idempotency-Key belongs to another body", 422, detail)
        }
    }

    /// 422: the plan costs more than the request allows.
    pub fn over_price(cost: crate::Usd, limit: crate::Usd) -> Self {
        let detail = format!(
            "max_cost_usd: this restore is estimated at ${cost}, over the limit of ${limit}. Nothing was spent. Raise max_cost_usd, choose a slower tier, or ask for fewer keys."
        );
        Self {
            field: Some("max_cost_usd".to_owned()),
            value: Some(Value::from(limit.as_f64())),
            ..Self::new("over-price", "The restore costs more than max_cost_usd", 422, detail)
        }
    }

    /// 422: the objects are too many for a plan within the time limit of an HTTP response.
    pub fn too_many_to_wait_for(most: u64) -> Self {
        let detail = format!(
            "There are too many objects to plan while you wait: {most} of a listing at most, or a tenth of that where S3 must be asked for each. Send the request to /v1/restores with dry_run: its execution makes the plan, asks S3 for nothing, and its status has the price."
        );
        Self::new("too-many-to-wait-for", "Too many objects to plan while you wait", 422, detail)
    }

    /// 422: the plan took longer than the time limit of an HTTP response.
    pub fn too_long_to_wait_for(seconds: u64) -> Self {
        let detail = format!(
            "The plan was not made within the {seconds} seconds that an answer may take. Nothing was asked of S3 but to look. Send the request to /v1/restores with dry_run: its execution takes the time that it needs, asks S3 for nothing, and its status has the price. Or ask for fewer objects, by a longer prefix."
        );
        Self::new("too-long-to-wait-for", "The plan takes too long to wait for", 422, detail)
    }

    /// 422: S3 or CloudFront took too long to say what a question about paths takes.
    pub fn paths_take_too_long(seconds: u64) -> Self {
        let detail = format!(
            "The paths were not found within the {seconds} seconds that an answer may take. Nothing was changed. Ask about fewer keys."
        );
        Self::new("too-long-to-wait-for", "The answer takes too long to wait for", 422, detail)
    }

    /// 422: more objects than a restore may have.
    pub fn too_many_objects(most: u64) -> Self {
        let detail = format!(
            "The request means more than {most} objects, which is as many as one restore can have. Nothing was spent. Split it, by longer prefixes or into several manifests."
        );
        Self::new("too-many-objects", "The request means too many objects", 422, detail)
    }

    /// 409: the plan has changed since the one that the request confirms.
    pub fn plan_changed(confirmed: &str, hash: &str, cost: crate::Usd) -> Self {
        let detail = format!(
            "confirm: the plan has changed since {confirmed}: it is {hash} now, at ${cost}. Nothing was asked of S3. Look at the new plan, and confirm that."
        );
        Self {
            field: Some("confirm".to_owned()),
            value: Some(Value::from(confirmed)),
            ..Self::new("plan-changed", "The plan has changed", 409, detail)
        }
    }

    /// 422: the restore would exceed the stack's budget for the day.
    pub fn over_budget(cost: crate::Usd, spent: crate::Usd, budget: crate::Usd) -> Self {
        let detail = format!(
            "This restore is estimated at ${cost}. The stack may spend ${budget} a day, and ${spent} are planned for today already. Nothing was spent. Ask tomorrow, for less, or have the parameter DailyBudgetUsd raised."
        );
        Self::new("over-budget", "The stack's budget for the day is used up", 422, detail)
    }

    /// 422: there is nothing to restore.
    pub(crate) fn nothing_matches(what: &str) -> Self {
        let detail =
            format!("{what}: nothing was asked of S3. Check the bucket and the spelling; keys are case-sensitive.");
        Self::new("nothing-matches", "Nothing matches the request", 422, detail)
    }

    /// 422: a manifest is wrong, in this line if it is known. The first line is 1.
    pub fn manifest(at: &impl std::fmt::Display, line: Option<u64>, why: impl std::fmt::Display) -> Self {
        let file = cut(at.to_string());
        let place = line.map_or_else(String::new, |line| format!(", line {line}"));
        let detail = format!("manifest: {file}{place}: {why}");
        Self {
            field: Some("manifest".to_owned()),
            value: Some(Value::from(file)),
            ..Self::new("broken-manifest", "The manifest is broken", 422, detail)
        }
    }

    /// 422: a file in the inbox from which no restore can be started.
    pub fn no_order(at: &impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        let file = cut(at.to_string());
        let detail = format!("{file}: {why} Nothing was started.");
        Self { value: Some(Value::from(file)), ..Self::new("no-order", "The file is no order", 422, detail) }
    }

    /// 404: no such restore.
    pub fn no_such_restore(id: &str) -> Self {
        let detail = format!(
            "id: there is no restore {id:?}. GET /v1/restores lists them. An execution of this name that was started by hand has begun no restore: its Cause says why."
        );
        Self { field: Some("id".to_owned()), ..Self::new("no-such-restore", "There is no such restore", 404, detail) }
    }

    /// 404: no such address.
    pub fn no_such_route(route: &str) -> Self {
        Self::new("no-such-route", "There is no such address", 404, format!("Nothing answers {route:?}."))
    }

    /// 409: the restore has already ended.
    pub fn already_ended(id: &str, status: &str) -> Self {
        let detail = format!("Restore {id} has already ended ({status}); there is nothing to cancel.");
        Self::new("already-ended", "The restore has already ended", 409, detail)
    }

    /// 409: the restore has no objects for this follow-up request. `why` is a sentence.
    pub fn wrong_state(action: &str, id: &str, why: &str) -> Self {
        let detail = format!("{action} of {id}: {why} Nothing was asked of S3.");
        Self::new("wrong-state", "The restore has no objects for this", 409, detail)
    }

    /// 500: a permission is missing, or thaw has a bug. The operator has to look into it.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        Self::new("internal", "thaw could not do this", 500, format!("{why}. The log of the function has more."))
    }

    /// 503: an AWS service throttled the call, or did not answer.
    pub fn busy(why: impl std::fmt::Display) -> Self {
        let detail = format!("{why}. Nothing was lost: send the same request again, with the same Idempotency-Key.");
        Self::new("busy", "An AWS service is busy", 503, detail)
    }
}

/// A value for an answer or a log, with long texts cut off.
pub(crate) fn shorten(value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) => return value.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if text.chars().count() <= SHOWN { value.clone() } else { Value::from(cut(text)) }
}

/// The most characters of a caller's text in an answer or a log.
const SHOWN: usize = 80;

/// A text for an answer or a log, cut off after [`SHOWN`] characters.
pub(crate) fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Usd;

    #[test]
    fn a_problem_has_a_status_and_the_wrong_field_with_its_value() {
        let usd = |usd| Usd::from_f64(usd).unwrap();
        let uri = crate::S3Uri::parse("s3://lists/a").unwrap();
        for (problem, status, field, value) in [
            (Problem::not_json("why"), 400, Some("body"), None),
            (Problem::too_large(2, 1), 413, Some("body"), None),
            (Problem::field("days", &7.into(), "why"), 400, Some("days"), Some(Value::from(7))),
            (Problem::missing("keys", "why"), 400, Some("keys"), None),
            (Problem::not_yet("prefix", "why"), 400, Some("prefix"), None),
            (Problem::foreign_bucket("theirs", &["ours".to_owned()]), 403, Some("bucket"), Some("theirs".into())),
            (Problem::wrong_bucket("ListObjectsV2: NoSuchBucket"), 422, Some("bucket"), None),
            (Problem::plan_changed("h", "i", usd(2.0)), 409, Some("confirm"), Some("h".into())),
            (Problem::key_reused("k"), 422, Some("Idempotency-Key"), Some("k".into())),
            (Problem::over_price(usd(2.0), usd(1.5)), 422, Some("max_cost_usd"), Some(Value::from(1.5))),
            (Problem::manifest(&uri, Some(7), "why"), 422, Some("manifest"), Some("s3://lists/a".into())),
            (Problem::no_order(&uri, "why"), 422, None, Some("s3://lists/a".into())),
            (Problem::no_such_restore("r"), 404, Some("id"), None),
            (Problem::no_such_route("GET /"), 404, None, None),
            (Problem::already_ended("r", "failed"), 409, None, None),
            (Problem::wrong_state("retry", "r", "Why."), 409, None, None),
            (Problem::internal("why"), 500, None, None),
            (Problem::busy("why"), 503, None, None),
        ] {
            let actual = (problem.status, problem.field.as_deref(), problem.value.clone());
            assert_eq!(actual, (status, field, value), "{problem:?}");
        }
    }

    #[test]
    fn a_long_value_is_cut_off() {
        let shown = |value: Value| Problem::field("f", &value, "why").value.unwrap();
        let fits = Value::from("ü".repeat(80));
        assert_eq!(shown(fits.clone()), fits);
        assert_eq!(shown("ü".repeat(81).into()), format!("{}… (162 bytes)", "ü".repeat(80)));
        assert_eq!(
            shown(Value::from(vec![1; 100])).as_str().unwrap().chars().count(),
            80 + "… (201 bytes)".chars().count()
        );
    }
}
