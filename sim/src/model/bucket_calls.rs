//! How buckets are made, changed and removed.

use super::bucket::Bucket;
use super::{ApiError, BucketDocument, Sim};

impl Sim {
    /// Makes a bucket; making it again changes whether it keeps versions.
    pub fn create_bucket(&mut self, name: &str, versioned: bool) {
        self.buckets.entry(name.to_owned()).or_default().versioned = versioned;
    }

    /// Is there such a bucket, and does it keep versions?
    pub fn bucket_versioning(&self, name: &str) -> Result<bool, ApiError> {
        self.bucket(name).map(|bucket| bucket.versioned)
    }

    /// The names of all buckets.
    pub fn bucket_names(&self) -> impl Iterator<Item = &str> {
        self.buckets.keys().map(String::as_str)
    }

    /// Takes the permission to list away from callers: a missing key then answers 403 instead of 404.
    pub fn hide_missing_keys(&mut self, bucket: &str, hide: bool) -> Result<(), ApiError> {
        self.bucket_mut(bucket).map(|bucket| bucket.hide_missing = hide)
    }

    /// Refuses a call that expects the buckets of another account (`x-amz-expected-bucket-owner`).
    pub fn expect_owner(&self, account: Option<&str>) -> Result<(), ApiError> {
        match account {
            Some(account) if account != self.settings.account => {
                Err(ApiError::new("AccessDenied", 403, "Access Denied"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Removes an empty bucket.
    pub fn delete_bucket(&mut self, name: &str) -> Result<(), ApiError> {
        if !self.bucket(name)?.keys.is_empty() {
            return Err(ApiError::new("BucketNotEmpty", 409, "The bucket you tried to delete is not empty"));
        }
        self.buckets.remove(name);
        Ok(())
    }

    /// Says in which Region a bucket is: in another one than the endpoint asks for, nothing else is told of it.
    pub fn set_bucket_region(&mut self, bucket: &str, region: &str) -> Result<(), ApiError> {
        self.bucket_mut(bucket).map(|bucket| bucket.region = Some(region.to_owned()))
    }

    /// `GetBucketPolicy` and the like.
    pub fn bucket_document(&mut self, bucket: &str, which: BucketDocument) -> Result<String, ApiError> {
        let [get, ..] = which.operations();
        self.call(get, &[bucket], |sim| match sim.bucket(bucket)?.documents.get(&which) {
            Some(written) => Ok(written.clone()),
            None => which.absent(),
        })
    }

    /// `PutBucketPolicy` and the like.
    pub fn put_bucket_document(&mut self, bucket: &str, which: BucketDocument, body: String) -> Result<(), ApiError> {
        let [_, put, _] = which.operations();
        self.call(put, &[bucket], |sim| {
            sim.bucket(bucket)?;
            sim.bucket_mut(bucket)?.documents.insert(which, body);
            Ok(())
        })
    }

    /// `DeleteBucketPolicy` and the like. Deleting what is not there is no error.
    pub fn delete_bucket_document(&mut self, bucket: &str, which: BucketDocument) -> Result<(), ApiError> {
        let [.., delete] = which.operations();
        self.call(delete, &[bucket], |sim| {
            sim.bucket(bucket)?;
            sim.bucket_mut(bucket)?.documents.remove(&which);
            Ok(())
        })
    }

    pub(crate) fn bucket(&self, name: &str) -> Result<&Bucket, ApiError> {
        let bucket = self.buckets.get(name).ok_or_else(|| no_such_bucket(name))?;
        match &bucket.region {
            Some(region) if *region != self.settings.region => Err(permanent_redirect(region)),
            Some(_) | None => Ok(bucket),
        }
    }

    pub(crate) fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, ApiError> {
        self.buckets.get_mut(name).ok_or_else(|| no_such_bucket(name))
    }
}

/// API Reference, "Error responses".
fn permanent_redirect(region: &str) -> ApiError {
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
    ApiError::new("PermanentRedirect", 301, message).of_region(region)
}

fn no_such_bucket(name: &str) -> ApiError {
    ApiError::new("NoSuchBucket", 404, format!("The specified bucket does not exist: {name}"))
}
