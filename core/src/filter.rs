//! The filter of a request with a prefix: which of the listed objects belong to the restore, by key, size and time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::whole_number::{MAX_WHOLE, whole};
use crate::{Glob, Problem};

/// The most patterns in `include`, and in `exclude`. A request with more should list its keys.
pub(crate) const MAX_PATTERNS: usize = 20;

/// Conditions for the objects of a listing. An object has to meet all of them; the default has none.
///
/// Serialises to its canonical form: without empty conditions, and with patterns sorted and without duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// The key matches one of these; if there are none, every key does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    include: Vec<Glob>,
    /// The key matches none of these, even if `include` has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<Glob>,
    /// The last modification was at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_after: Option<Timestamp>,
    /// The last modification was before this time. The time itself is excluded, so that consecutive ranges share no object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_before: Option<Timestamp>,
    /// The least size, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_size: Option<u64>,
    /// The largest size, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_size: Option<u64>,
}

impl Filter {
    /// The fields of a filter in a request's body.
    pub const FIELDS: [&str; 6] = ["include", "exclude", "modified_after", "modified_before", "min_size", "max_size"];

    /// Reads the filter from a request's body. Fails with the field that the caller must correct. That a filter needs a
    /// prefix is checked by the caller of this function.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, Problem> {
        let filter = Self {
            include: patterns(body, "include")?,
            exclude: patterns(body, "exclude")?,
            modified_after: time(body, "modified_after")?,
            modified_before: time(body, "modified_before")?,
            min_size: bytes(body, "min_size")?.filter(|bytes| *bytes > 0),
            max_size: bytes(body, "max_size")?,
        };
        if let (Some(after), Some(before)) = (filter.modified_after, filter.modified_before)
            && after >= before
        {
            let why = format!("must be later than modified_after, {after}, or it leaves no time between them.");
            return Err(Problem::field("modified_before", &Value::from(before.to_string()), why));
        }
        if let (Some(min), Some(max)) = (filter.min_size, filter.max_size)
            && min > max
        {
            let why = format!("must be at least min_size, {min}, or no object has such a size.");
            return Err(Problem::field("max_size", &Value::from(max), why));
        }
        Ok(filter)
    }

    /// Whether an object of a listing meets the conditions. `size` is in bytes, `modified` the time of its last
    /// modification.
    pub fn matches(&self, key: &str, size: u64, modified: Timestamp) -> bool {
        self.min_size.is_none_or(|min| size >= min)
            && self.max_size.is_none_or(|max| size <= max)
            && self.modified_after.is_none_or(|after| modified >= after)
            && self.modified_before.is_none_or(|before| modified < before)
            && (self.include.is_empty() || self.include.iter().any(|glob| glob.matches(key)))
            && !self.exclude.iter().any(|glob| glob.matches(key))
    }
}

fn patterns(body: &Map<String, Value>, field: &str) -> Result<Vec<Glob>, Problem> {
    let patterns = match body.get(field) {
        None => return Ok(Vec::new()),
        Some(Value::Array(patterns)) if (1..=MAX_PATTERNS).contains(&patterns.len()) => patterns,
        Some(other) => {
            let why = format!("must be a list of 1 to {MAX_PATTERNS} patterns over keys. Without any, leave it out.");
            return Err(Problem::field(field, other, why));
        }
    };
    let pattern = |(index, value): (usize, &Value)| {
        let refused = |why: &dyn std::fmt::Display| Problem::field(format!("{field}[{index}]"), value, why);
        let text = value.as_str().ok_or_else(|| refused(&"must be a pattern over keys, as a text."))?;
        Glob::try_from(text.to_owned()).map_err(|why| refused(&why))
    };
    let mut patterns = patterns.iter().enumerate().map(pattern).collect::<Result<Vec<_>, _>>()?;
    patterns.sort();
    patterns.dedup();
    Ok(patterns)
}

fn time(body: &Map<String, Value>, field: &str) -> Result<Option<Timestamp>, Problem> {
    let Some(value) = body.get(field) else { return Ok(None) };
    value.as_str().and_then(|text| text.parse().ok()).map(Some).ok_or_else(|| {
        Problem::field(
            field,
            value,
            "must be a time with its offset, as in RFC 3339, such as \"2019-07-01T00:00:00Z\".",
        )
    })
}

fn bytes(body: &Map<String, Value>, field: &str) -> Result<Option<u64>, Problem> {
    let Some(value) = body.get(field) else { return Ok(None) };
    let refused =
        || Problem::field(field, value, format!("must be a number of bytes: a whole number from 0 to {MAX_WHOLE}."));
    whole(value).map(Some).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: Value) -> Result<Filter, Problem> {
        let Value::Object(body) = body else { panic!("a body is an object") };
        Filter::parse(&body)
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[track_caller]
    fn check(body: Value, key: &str, size: u64, modified: &str, matches: bool) {
        let text = body.to_string();
        assert_eq!(parse(body).unwrap().matches(key, size, at(modified)), matches, "{text}: {key}, {size}, {modified}");
    }

    const DAY: &str = "2019-07-01T00:00:00Z";

    #[test]
    fn without_conditions_every_object_matches() {
        check(json!({}), "a", 0, DAY, true);
    }

    #[test]
    fn a_key_matches_if_one_pattern_includes_it_and_none_excludes_it() {
        let body = json!({"include": ["*.jpg", "*.png"], "exclude": ["tmp/", "old-*"]});
        for (key, matches) in
            [("a.jpg", true), ("b/a.png", true), ("a.gif", false), ("tmp/a.jpg", false), ("b/old-a.jpg", false)]
        {
            check(body.clone(), key, 0, DAY, matches);
        }
        check(json!({"exclude": ["*.tmp"]}), "a.jpg", 0, DAY, true);
        check(json!({"exclude": ["*.tmp"]}), "a.tmp", 0, DAY, false);
    }

    #[test]
    fn both_limits_of_the_size_are_included() {
        for (size, matches) in [(9, false), (10, true), (20, true), (21, false)] {
            check(json!({"min_size": 10, "max_size": 20}), "a", size, DAY, matches);
        }
        check(json!({"max_size": 0}), "folder/", 0, DAY, true);
        check(json!({"max_size": 0}), "a", 1, DAY, false);
    }

    #[test]
    fn the_first_of_two_times_is_included_and_the_second_is_not() {
        let body = json!({"modified_after": "2019-07-01T02:00:00+02:00", "modified_before": "2019-08-01T00:00:00Z"});
        for (modified, matches) in [
            ("2019-06-30T23:59:59.999Z", false),
            (DAY, true),
            ("2019-07-31T23:59:59Z", true),
            ("2019-08-01T00:00:00Z", false),
        ] {
            check(body.clone(), "a", 0, modified, matches);
        }
    }

    #[test]
    fn the_canonical_form_omits_empty_conditions() {
        let kept = |body| serde_json::to_value(parse(body).unwrap()).unwrap();
        assert_eq!(kept(json!({"min_size": 0, "tier": "Bulk"})), json!({}));
        assert_eq!(
            kept(json!({"include": ["b", "a", "b"], "modified_after": "2019-07-01T02:00:00+02:00", "max_size": 0})),
            json!({"include": ["a", "b"], "modified_after": DAY, "max_size": 0})
        );
        let all = json!({
            "include": ["a"], "exclude": ["b"], "min_size": 1, "max_size": 2,
            "modified_after": DAY, "modified_before": "2019-08-01T00:00:00Z",
        });
        assert_eq!(kept(all.clone()), all);
        assert_eq!(serde_json::from_value::<Filter>(all.clone()).unwrap(), parse(all.clone()).unwrap());
        assert!(all.as_object().unwrap().keys().all(|field| Filter::FIELDS.contains(&field.as_str())));
        assert_eq!(all.as_object().unwrap().len(), Filter::FIELDS.len());
    }

    #[test]
    fn a_problem_has_the_wrong_field_and_how_to_correct_it() {
        for (body, field, fix) in [
            (json!({"include": "*.jpg"}), "include", "list of 1 to 20"),
            (json!({"include": []}), "include", "leave it out"),
            (json!({"exclude": vec!["a"; 21]}), "exclude", "list of 1 to 20"),
            (json!({"include": ["a", 7]}), "include[1]", "as a text"),
            (json!({"exclude": ["a", "{b,c}"]}), "exclude[1]", "one pattern for each"),
            (json!({"modified_after": "2019-07-01"}), "modified_after", "RFC 3339"),
            (json!({"modified_before": 7}), "modified_before", "RFC 3339"),
            (json!({"modified_after": DAY, "modified_before": DAY}), "modified_before", "later than modified_after"),
            (json!({"min_size": -1}), "min_size", "number of bytes"),
            (json!({"max_size": "1 GB"}), "max_size", "number of bytes"),
            (json!({"min_size": 2, "max_size": 1}), "max_size", "at least min_size, 2"),
        ] {
            let problem = parse(body.clone()).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{body}");
            assert!(problem.detail.contains(fix), "{body}: {problem}");
        }
        assert!(parse(json!({"include": vec!["a"; 20], "min_size": 1, "max_size": 1})).is_ok());
    }
}
