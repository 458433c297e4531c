//! How objects are put, read, deleted and moved.

use super::bucket::{NO_VERSION, Version};
use super::object::{DeleteOutput, Head, Object, PutOutput, PutRequest, Series};
use super::random::{hash, hex, name};
use super::restore::RestoreState;
use super::storage_class::{AccessTier, StorageClass};
use super::{ApiError, ObjectRef, Sim};
use jiff::Timestamp;

impl Sim {
    /// `PutObject`. Without versions it replaces what was there, a restore in progress included.
    pub fn put_object(&mut self, put: PutRequest, now: Timestamp) -> Result<PutOutput, ApiError> {
        self.send_due_events(now);
        let key = put.key.clone();
        self.call("PutObject", &[&key], |sim| sim.store(put, now))
    }

    /// Lays down many small objects that nobody put: nothing is counted, and no fault is injected. Answers how many.
    pub fn seed(&mut self, bucket: &str, series: &[Series], now: Timestamp) -> Result<u64, ApiError> {
        self.send_due_events(now);
        let mut laid = 0;
        for series in series {
            for key in series.keys() {
                let mut put = PutRequest::new(bucket, &key, series.storage_class, key.clone());
                (put.tier, put.content.claimed_size) = (series.access_tier, series.size);
                self.store(put, now)?;
                laid += 1;
            }
        }
        Ok(laid)
    }

    fn store(&mut self, put: PutRequest, now: Timestamp) -> Result<PutOutput, ApiError> {
        let number = self.next_hash(&put.key);
        let etag = hex(hash(0, &[&String::from_utf8_lossy(&put.content.body)]), 32);
        let bucket = self.bucket_mut(&put.bucket)?;
        let id = if bucket.versioned { name(number, 32) } else { NO_VERSION.to_owned() };
        let tier = if put.class == StorageClass::IntelligentTiering { put.tier } else { AccessTier::Frequent };
        let object = Object { content: put.content, etag: etag.clone(), class: put.class, tier, retrieval: None };
        bucket.put_version(put.key, Version { id: id.clone(), at: now, object: Some(object) });
        Ok(PutOutput { etag, version: Some(id).filter(|id| id != NO_VERSION) })
    }

    /// `HeadObject`.
    pub fn head_object(&mut self, object: &ObjectRef, now: Timestamp) -> Result<Head, ApiError> {
        self.call("HeadObject", &[&object.key], |sim| sim.head_uncounted(object, now).and_then(without_key))
    }

    /// `GetObject`: 403 `InvalidObjectState` while archived, in progress of a restore or not.
    pub fn get_object(&mut self, object: &ObjectRef, now: Timestamp) -> Result<Head, ApiError> {
        self.call("GetObject", &[&object.key], |sim| sim.read(object, now))
    }

    /// `DeleteObject`: lays a marker in a bucket with versions, unless a version is named.
    pub fn delete_object(&mut self, object: &ObjectRef, now: Timestamp) -> Result<DeleteOutput, ApiError> {
        self.send_due_events(now);
        self.call("DeleteObject", &[&object.key], |sim| {
            let id = name(sim.next_hash(&object.key), 32);
            let bucket = sim.bucket_mut(&object.bucket)?;
            match &object.version {
                None if bucket.versioned => {
                    bucket.put_version(object.key.clone(), Version { id: id.clone(), at: now, object: None });
                    Ok(DeleteOutput { version: Some(id), marker: true })
                }
                None => {
                    bucket.keys.remove(&object.key);
                    Ok(DeleteOutput::default())
                }
                Some(version) => Ok(bucket.remove(&object.key, version)),
            }
        })
    }

    /// What a lifecycle rule or Intelligent-Tiering does by itself: moves an object to another class or tier.
    /// A copy and a restore in progress are gone with it.
    pub fn transition(
        &mut self,
        object: &ObjectRef,
        class: StorageClass,
        tier: AccessTier,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        self.send_due_events(now);
        let bucket = self.bucket_mut(&object.bucket)?;
        let version = bucket.find_mut(&object.key, object.version.as_deref())?;
        if let Some(object) = &mut version.object {
            (object.class, object.tier, object.retrieval) = (class, tier, None);
        }
        Ok(())
    }

    /// A look that nobody counts.
    pub fn head_uncounted(&self, object: &ObjectRef, now: Timestamp) -> Result<Head, ApiError> {
        let bucket = self.bucket(&object.bucket)?;
        let version = bucket.find(&object.key, object.version.as_deref())?;
        let head = version
            .head(now)
            .ok_or_else(|| ApiError::new("MethodNotAllowed", 405, "a delete marker has no content"))?;
        Ok(Head { version: head.version.filter(|_| bucket.versioned), ..head })
    }

    /// When the copy of an object goes away, without being asked; `None` if it has none.
    pub fn copy_until(&self, object: &ObjectRef, now: Timestamp) -> Option<Timestamp> {
        match self.head_uncounted(object, now).ok()?.restore {
            RestoreState::Copy { expires } => Some(expires),
            RestoreState::None | RestoreState::Ongoing { .. } => None,
        }
    }

    /// A read that nobody counts.
    pub(crate) fn read(&self, object: &ObjectRef, now: Timestamp) -> Result<Head, ApiError> {
        let head = self.head_uncounted(object, now).and_then(without_key)?;
        if head.readable { Ok(head) } else { Err(ApiError::archived(head.class, head.archive_status)) }
    }
}

/// What S3 says of an object of which nobody has sent the key. Whether it looks at the class first, for a GET, is not documented.
fn without_key(head: Head) -> Result<Head, ApiError> {
    if head.content.customer_key {
        let message = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.";
        return Err(ApiError::new("InvalidRequest", 400, message));
    }
    Ok(head)
}
