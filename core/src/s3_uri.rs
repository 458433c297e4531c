//! The address of a file in S3, `s3://bucket/key`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Problem;
use crate::bucket_name::{MAX_KEY_BYTES, is_bucket_name};

/// The address of a manifest or another file: `s3://bucket/key`, the key without URL encoding.
///
/// ```
/// use thaw_core::S3Uri;
/// let uri = S3Uri::parse("s3://my-lists/2019/july 4.csv").unwrap();
/// assert_eq!((uri.bucket.as_str(), uri.key.as_str()), ("my-lists", "2019/july 4.csv"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct S3Uri {
    /// The bucket's name.
    pub bucket: String,
    /// The key.
    pub key: String,
}

impl S3Uri {
    /// Reads the field `manifest` of a request. The problem says how to correct it.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let parts = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        match parts {
            Some((_, key)) if !key.is_empty() && key.trim().is_empty() => {
                let why = "has a key of white space only, which thaw cannot read. Copy the file to another key.";
                Err(Problem::field("manifest", &Value::from(text), why))
            }
            Some((bucket, key)) if is_bucket_name(bucket) && (1..=MAX_KEY_BYTES).contains(&key.len()) => {
                Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            Some(_) | None => {
                let why = "must be the address of an object in S3, such as \"s3://my-lists/2019.csv\", its key as it is, without URL encoding.";
                Err(Problem::field("manifest", &Value::from(text), why))
            }
        }
    }

    /// Whether the file has the name that S3 Inventory gives to the list of its data files. That file is read by
    /// [`Inventory::parse`](crate::Inventory::parse), every other manifest by a [`ManifestReader`](crate::ManifestReader).
    pub fn names_an_inventory(&self) -> bool {
        self.key.rsplit('/').next() == Some("manifest.json")
    }
}

impl TryFrom<String> for S3Uri {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        Self::parse(&text)
    }
}

impl From<S3Uri> for String {
    fn from(uri: S3Uri) -> Self {
        uri.to_string()
    }
}

impl std::fmt::Display for S3Uri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_after_the_bucket_is_the_key() {
        for key in ["a", "a/b c+d%20ü", "/", "/a", &"k".repeat(1_024)] {
            let uri = S3Uri::parse(&format!("s3://my-lists/{key}")).unwrap();
            assert_eq!((&*uri.bucket, &*uri.key), ("my-lists", key));
            let kept = serde_json::to_string(&uri).unwrap();
            assert_eq!(kept, format!("\"s3://my-lists/{key}\""));
            assert_eq!(serde_json::from_str::<S3Uri>(&kept).unwrap(), uri);
        }
    }

    #[test]
    fn a_key_of_white_space_is_refused_as_what_it_is() {
        for text in ["s3://my-lists/ ", "s3://my-lists/\r\n", "s3://my-lists/\u{2003}"] {
            let problem = S3Uri::parse(text).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("manifest"), "{text}");
            assert!(problem.detail.contains("white space"), "{problem}");
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        let long = format!("s3://my-lists/{}", "k".repeat(1_025));
        for text in
            ["", "my-lists/a", "s3://my-lists", "s3://my-lists/", "s3:///a", "s3://A/a", "https://my-lists/a", &long]
        {
            let problem = S3Uri::parse(text).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("manifest"), "{text}");
            assert!(problem.detail.contains("s3://my-lists/2019.csv"), "{text}: {problem}");
            assert!(serde_json::from_value::<S3Uri>(text.into()).is_err());
        }
    }

    #[test]
    fn an_inventory_is_recognised_by_its_name() {
        let names = |key: &str| S3Uri::parse(&format!("s3://my-lists/{key}")).unwrap().names_an_inventory();
        assert!(names("manifest.json") && names("inventory/archive/all/2026-11-22T01-00Z/manifest.json"));
        assert!(!names("my-manifest.json") && !names("manifest.json/a") && !names("manifest.jsonl"));
    }
}
