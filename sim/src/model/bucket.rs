//! Buckets, and which version of a key is meant.

use super::api_error::ApiError;
use super::bucket_document::BucketDocument;
use super::object::{DeleteOutput, Head, Object};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A bucket. Keys sort by their UTF-8 bytes, as S3 lists them.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) versioned: bool,
    /// The caller lacks `s3:ListBucket`: a missing key answers 403 and not 404, so that nobody learns what is there.
    pub(crate) hide_missing: bool,
    /// The Region that it is in, if not that of the endpoint, which then answers with nothing but a redirect.
    pub(crate) region: Option<String>,
    /// Its configurations, as they were written.
    pub(crate) documents: BTreeMap<BucketDocument, String>,
    /// The versions of each key, oldest first; never empty.
    pub(crate) keys: BTreeMap<String, Vec<Version>>,
}

/// One version of a key: an object, or the marker that it was deleted.
#[derive(Debug)]
pub(crate) struct Version {
    /// `null` in a bucket that was never versioned.
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    /// `None` is a delete marker.
    pub(crate) object: Option<Object>,
}

/// The id of objects in buckets without versions, and of those from before their bucket had any (User Guide, "Working with
/// objects in a versioning-suspended bucket"). Whoever names it means them.
pub(crate) const NO_VERSION: &str = "null";

impl Bucket {
    /// Whether its events go to EventBridge.
    pub(crate) fn sends_events(&self) -> bool {
        let written = self.documents.get(&BucketDocument::Notification);
        written.is_none_or(|xml| xml.contains("<EventBridgeConfiguration"))
    }

    pub(crate) fn find(&self, key: &str, version: Option<&str>) -> Result<&Version, ApiError> {
        let index = self.index(key, version)?;
        self.keys.get(key).and_then(|versions| versions.get(index)).ok_or_else(|| self.missing(key))
    }

    pub(crate) fn find_mut(&mut self, key: &str, version: Option<&str>) -> Result<&mut Version, ApiError> {
        let index = self.index(key, version)?;
        let missing = self.missing(key);
        self.keys.get_mut(key).and_then(|versions| versions.get_mut(index)).ok_or(missing)
    }

    /// Where the meant version is. A delete marker as current version hides the key; asked for by its own id it is
    /// something on which no method of an object is allowed.
    fn index(&self, key: &str, version: Option<&str>) -> Result<usize, ApiError> {
        let versions = self.keys.get(key).ok_or_else(|| self.missing(key))?;
        match version {
            None => {
                let last = versions.len() - 1;
                if versions[last].object.is_some() { Ok(last) } else { Err(self.missing(key).of_marker()) }
            }
            Some(id) => {
                let index = versions.iter().position(|version| version.id == id).ok_or_else(|| no_such_version(id))?;
                if versions[index].object.is_some() { Ok(index) } else { Err(marker()) }
            }
        }
    }

    pub(super) fn put_version(&mut self, key: String, version: Version) {
        let versions = self.keys.entry(key).or_default();
        versions.retain(|old| old.id != version.id);
        versions.push(version);
    }

    pub(super) fn remove(&mut self, key: &str, id: &str) -> DeleteOutput {
        let Some(versions) = self.keys.get_mut(key) else {
            return DeleteOutput { version: Some(id.to_owned()), marker: false };
        };
        let marker = versions.iter().any(|version| version.id == id && version.object.is_none());
        versions.retain(|version| version.id != id);
        if versions.is_empty() {
            self.keys.remove(key);
        }
        DeleteOutput { version: Some(id.to_owned()), marker }
    }

    fn missing(&self, key: &str) -> ApiError {
        if self.hide_missing {
            ApiError::new("AccessDenied", 403, "Access Denied")
        } else {
            ApiError::new("NoSuchKey", 404, format!("The specified key does not exist: {key}"))
        }
    }
}

impl Version {
    pub(crate) fn head(&self, now: Timestamp) -> Option<Head> {
        let object = self.object.as_ref()?;
        Some(Head {
            version: Some(self.id.clone()),
            etag: object.etag.clone(),
            size: object.size(),
            last_modified: self.at,
            class: object.class,
            archive_status: object.archive_status(now),
            restore: object.restore_at(now),
            readable: object.readable(now),
            content: object.content.clone(),
        })
    }
}

fn no_such_version(id: &str) -> ApiError {
    ApiError::new("NoSuchVersion", 404, format!("The specified version does not exist: {id}"))
}

fn marker() -> ApiError {
    ApiError::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource.").of_marker()
}
