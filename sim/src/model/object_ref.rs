//! Which object is meant.

use serde::Serialize;

/// A bucket, a key and, if one is meant in particular, a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectRef {
    /// The bucket.
    pub bucket: String,
    /// The key, raw.
    pub key: String,
    /// The version; absent is the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl ObjectRef {
    /// The current version of a key.
    pub fn new(bucket: &str, key: &str) -> Self {
        Self { bucket: bucket.to_owned(), key: key.to_owned(), version: None }
    }

    /// One version of a key.
    pub fn version(bucket: &str, key: &str, version: Option<&str>) -> Self {
        Self { version: version.map(str::to_owned), ..Self::new(bucket, key) }
    }
}
