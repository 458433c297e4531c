//! Buckets, and which version of a key is meant.

use super::object::Object;
use super::{Refusal, Sim};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

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

/// A bucket. Keys sort by their UTF-8 bytes, as S3 lists them.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) versioned: bool,
    /// The caller lacks `s3:ListBucket`: a missing key answers 403 and not 404, so that nobody learns what is there.
    pub(crate) hide_missing: bool,
    /// The Region that it is in, if not that of the endpoint, which then answers with nothing but a redirect.
    pub(crate) region: Option<String>,
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
    pub(crate) fn find(&self, key: &str, version: Option<&str>) -> Result<&Version, Refusal> {
        let index = self.index(key, version)?;
        self.keys.get(key).and_then(|versions| versions.get(index)).ok_or_else(|| self.missing(key))
    }

    pub(crate) fn find_mut(&mut self, key: &str, version: Option<&str>) -> Result<&mut Version, Refusal> {
        let index = self.index(key, version)?;
        let missing = self.missing(key);
        self.keys.get_mut(key).and_then(|versions| versions.get_mut(index)).ok_or(missing)
    }

    /// Where the meant version is. A delete marker as current version hides the key; asked for by its own id it is
    /// something on which no method of an object is allowed.
    fn index(&self, key: &str, version: Option<&str>) -> Result<usize, Refusal> {
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

    fn missing(&self, key: &str) -> Refusal {
        if self.hide_missing {
            Refusal::new("AccessDenied", 403, "Access Denied")
        } else {
            Refusal::new("NoSuchKey", 404, format!("The specified key does not exist: {key}"))
        }
    }
}

fn no_such_version(id: &str) -> Refusal {
    Refusal::new("NoSuchVersion", 404, format!("The specified version does not exist: {id}"))
}

fn marker() -> Refusal {
    Refusal::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource.").of_marker()
}

impl Sim {
    /// Makes a bucket; making it again changes whether it keeps versions.
    pub fn create_bucket(&mut self, name: &str, versioned: bool) {
        self.buckets.entry(name.to_owned()).or_default().versioned = versioned;
    }

    /// Is there such a bucket, and does it keep versions?
    pub fn bucket_versioning(&self, name: &str) -> Result<bool, Refusal> {
        self.bucket(name).map(|bucket| bucket.versioned)
    }

    /// The names of all buckets.
    pub fn bucket_names(&self) -> impl Iterator<Item = &str> {
        self.buckets.keys().map(String::as_str)
    }

    /// Takes the permission to list away from callers: a missing key then answers 403 instead of 404.
    pub fn hide_missing_keys(&mut self, bucket: &str, hide: bool) -> Result<(), Refusal> {
        self.bucket_mut(bucket).map(|bucket| bucket.hide_missing = hide)
    }

    /// Removes an empty bucket.
    pub fn delete_bucket(&mut self, name: &str) -> Result<(), Refusal> {
        if !self.bucket(name)?.keys.is_empty() {
            return Err(Refusal::new("BucketNotEmpty", 409, "The bucket you tried to delete is not empty"));
        }
        self.buckets.remove(name);
        Ok(())
    }

    /// Says in which Region a bucket is: in another one than the endpoint asks for, nothing else is told of it.
    pub fn put_in_region(&mut self, bucket: &str, region: &str) -> Result<(), Refusal> {
        self.bucket_mut(bucket).map(|bucket| bucket.region = Some(region.to_owned()))
    }

    pub(crate) fn bucket(&self, name: &str) -> Result<&Bucket, Refusal> {
        let bucket = self.buckets.get(name).ok_or_else(|| no_such_bucket(name))?;
        match &bucket.region {
            Some(region) if *region != self.settings.region => Err(elsewhere(region)),
            Some(_) | None => Ok(bucket),
        }
    }

    pub(crate) fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, Refusal> {
        self.buckets.get_mut(name).ok_or_else(|| no_such_bucket(name))
    }
}

/// API Reference, "Error responses".
fn elsewhere(region: &str) -> Refusal {
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
    Refusal::new("PermanentRedirect", 301, message).of_region(region)
}

fn no_such_bucket(name: &str) -> Refusal {
    Refusal::new("NoSuchBucket", 404, format!("The specified bucket does not exist: {name}"))
}
