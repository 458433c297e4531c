//! Objects: what is stored, where it lies, and how it is put, read and deleted.

use super::bucket::{NO_VERSION, Version};
use super::chance::hex;
use super::restore::{RestoreState, Retrieval};
use super::{ObjectRef, Refusal, Sim, name};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// The storage classes that the model knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StorageClass {
    /// S3 Standard.
    #[default]
    Standard,
    /// S3 Standard-Infrequent Access.
    StandardIa,
    /// S3 Glacier Instant Retrieval: readable at once, never restored.
    GlacierIr,
    /// S3 Glacier Flexible Retrieval.
    Glacier,
    /// S3 Glacier Deep Archive.
    DeepArchive,
    /// S3 Intelligent-Tiering; readable or not by its access tier.
    IntelligentTiering,
}

impl StorageClass {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::StandardIa => "STANDARD_IA",
            Self::GlacierIr => "GLACIER_IR",
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
            Self::IntelligentTiering => "INTELLIGENT_TIERING",
        }
    }
}

impl FromStr for StorageClass {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        const ALL: [StorageClass; 6] = [
            StorageClass::Standard,
            StorageClass::StandardIa,
            StorageClass::GlacierIr,
            StorageClass::Glacier,
            StorageClass::DeepArchive,
            StorageClass::IntelligentTiering,
        ];
        let known = ALL.into_iter().find(|class| class.as_str() == text);
        known.ok_or_else(|| {
            Refusal::new("InvalidStorageClass", 400, format!("The storage class you specified is not valid: {text}"))
        })
    }
}

/// The access tiers of Intelligent-Tiering, as far as readability differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccessTier {
    /// Frequent, infrequent or instant access: readable.
    #[default]
    Frequent,
    /// Archive Access.
    ArchiveAccess,
    /// Deep Archive Access.
    DeepArchiveAccess,
}

impl AccessTier {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Frequent => "FREQUENT",
            Self::ArchiveAccess => "ARCHIVE_ACCESS",
            Self::DeepArchiveAccess => "DEEP_ARCHIVE_ACCESS",
        }
    }
}

impl FromStr for AccessTier {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        const ALL: [AccessTier; 3] = [AccessTier::Frequent, AccessTier::ArchiveAccess, AccessTier::DeepArchiveAccess];
        let known = ALL.into_iter().find(|tier| tier.as_str() == text);
        known.ok_or_else(|| Refusal::new("InvalidArgument", 400, format!("there is no access tier {text}")))
    }
}

/// Where a cold object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveKind {
    /// `GLACIER`.
    Flexible,
    /// `DEEP_ARCHIVE`.
    Deep,
    /// Intelligent-Tiering, Archive Access.
    ItArchive,
    /// Intelligent-Tiering, Deep Archive Access.
    ItDeep,
}

/// What an object holds and how it is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The bytes.
    pub body: Bytes,
    /// The size to report when it is not that of the bytes: an archive of terabytes needs none of them here.
    pub claimed_size: Option<u64>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`, which the edge obeys.
    pub cache_control: Option<String>,
    /// User metadata, without the `x-amz-meta-` prefix.
    pub metadata: BTreeMap<String, String>,
    /// Encrypted with a key that S3 does not keep (SSE-C): who does not send it, as nobody here does, gets 400 for a HEAD and a
    /// GET. Listings show it, and restores need no key (User Guide, "Using server-side encryption with customer-provided keys").
    pub customer_key: bool,
}

/// What to put.
#[derive(Debug, Clone)]
pub struct PutRequest {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The storage class.
    pub class: StorageClass,
    /// The access tier; it matters for Intelligent-Tiering only.
    pub tier: AccessTier,
    /// The content.
    pub content: Content,
}

impl PutRequest {
    /// A small object of a storage class.
    pub fn new(bucket: &str, key: &str, class: StorageClass, body: impl Into<Bytes>) -> Self {
        Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            class,
            tier: AccessTier::Frequent,
            content: Content { body: body.into(), ..Content::default() },
        }
    }

    /// An Intelligent-Tiering object in this access tier.
    #[must_use]
    pub fn in_tier(self, tier: AccessTier) -> Self {
        Self { class: StorageClass::IntelligentTiering, tier, ..self }
    }

    /// The same, encrypted with a key of its owner's (SSE-C).
    #[must_use]
    pub fn with_customer_key(self) -> Self {
        Self { content: Content { customer_key: true, ..self.content }, ..self }
    }
}

/// Many objects with keys that are counted up: `prefix`, the number with as many digits as asked for, `suffix`. The bytes
/// of each are its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// What the keys begin with.
    pub prefix: String,
    /// What they end with.
    #[serde(default)]
    pub suffix: String,
    /// The first number.
    #[serde(default)]
    pub from: u32,
    /// How many.
    pub count: u32,
    /// Digits of the number, with zeros in front.
    #[serde(default)]
    pub digits: usize,
    /// The storage class.
    #[serde(default)]
    pub storage_class: StorageClass,
    /// The access tier; it matters for Intelligent-Tiering only.
    #[serde(default)]
    pub access_tier: AccessTier,
    /// The size to claim, in bytes.
    #[serde(default)]
    pub size: Option<u64>,
}

impl Series {
    fn keys(&self) -> impl Iterator<Item = String> {
        let Self { prefix, suffix, from, count, digits, .. } = self;
        (*from..from.saturating_add(*count)).map(move |number| format!("{prefix}{number:0digits$}{suffix}"))
    }
}

/// What a put answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The entity tag, without quotes.
    pub etag: String,
    /// The version, in a bucket that keeps them.
    pub version: Option<String>,
}

/// What a delete answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The version that was removed, or the marker that was laid.
    pub version: Option<String>,
    /// Is that version a delete marker?
    pub marker: bool,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The version, in a bucket that keeps them; `null` for one from before that.
    pub version: Option<String>,
    /// The entity tag, without quotes.
    pub etag: String,
    /// The size in bytes.
    pub size: u64,
    /// When this version was put.
    pub last_modified: Timestamp,
    /// The storage class. It stays `GLACIER` while a copy is live.
    pub class: StorageClass,
    /// Where Intelligent-Tiering keeps it (`x-amz-archive-status`), while it is archived.
    pub archive_status: Option<AccessTier>,
    /// How its restore stands (`x-amz-restore`).
    pub restore: RestoreState,
    /// Can its bytes be read?
    pub readable: bool,
    /// The content; its bytes may be read only if `readable`.
    pub content: Content,
}

/// A stored object.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) content: Content,
    pub(crate) etag: String,
    pub(crate) class: StorageClass,
    pub(crate) tier: AccessTier,
    pub(crate) retrieval: Option<Retrieval>,
}

impl Object {
    pub(crate) fn size(&self) -> u64 {
        self.content.claimed_size.unwrap_or(self.content.body.len() as u64)
    }

    /// The access tier at a moment: a finished retrieval moves the object itself back.
    pub(crate) fn tier_at(&self, now: Timestamp) -> AccessTier {
        match &self.retrieval {
            Some(retrieval) if retrieval.ready_at <= now => AccessTier::Frequent,
            Some(_) | None => self.tier,
        }
    }

    /// Where it lies if it lies in an archive, whether or not a copy is live.
    pub(crate) fn kind_at(&self, now: Timestamp) -> Option<ArchiveKind> {
        match self.class {
            StorageClass::Standard | StorageClass::StandardIa | StorageClass::GlacierIr => None,
            StorageClass::Glacier => Some(ArchiveKind::Flexible),
            StorageClass::DeepArchive => Some(ArchiveKind::Deep),
            StorageClass::IntelligentTiering => match self.tier_at(now) {
                AccessTier::Frequent => None,
                AccessTier::ArchiveAccess => Some(ArchiveKind::ItArchive),
                AccessTier::DeepArchiveAccess => Some(ArchiveKind::ItDeep),
            },
        }
    }

    /// The archive tier to show, if the object is archived in Intelligent-Tiering.
    pub(crate) fn archive_status(&self, now: Timestamp) -> Option<AccessTier> {
        match self.kind_at(now)? {
            ArchiveKind::Flexible | ArchiveKind::Deep => None,
            ArchiveKind::ItArchive | ArchiveKind::ItDeep => Some(self.tier_at(now)),
        }
    }

    pub(crate) fn readable(&self, now: Timestamp) -> bool {
        match self.restore_at(now) {
            RestoreState::Copy { .. } => true,
            RestoreState::None | RestoreState::Ongoing { .. } => self.kind_at(now).is_none(),
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

impl Sim {
    /// `PutObject`. Without versions it replaces what was there, a restore in progress included.
    pub fn put_object(&mut self, put: PutRequest, now: Timestamp) -> Result<Stored, Refusal> {
        self.let_events_happen(now);
        let key = put.key.clone();
        self.call("PutObject", &[&key], |sim| sim.store(put, now))
    }

    /// Lays down many small objects that nobody put: nothing is counted, and no fault strikes. Answers how many.
    pub fn seed(&mut self, bucket: &str, series: &[Series], now: Timestamp) -> Result<u64, Refusal> {
        self.let_events_happen(now);
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

    fn store(&mut self, put: PutRequest, now: Timestamp) -> Result<Stored, Refusal> {
        let hash = self.next_hash(&put.key);
        let etag = hex(super::hash(0, &[&String::from_utf8_lossy(&put.content.body)]), 32);
        let bucket = self.bucket_mut(&put.bucket)?;
        let id = if bucket.versioned { name(hash, 32) } else { NO_VERSION.to_owned() };
        let tier = if put.class == StorageClass::IntelligentTiering { put.tier } else { AccessTier::Frequent };
        let object = Object { content: put.content, etag: etag.clone(), class: put.class, tier, retrieval: None };
        bucket.lay(put.key, Version { id: id.clone(), at: now, object: Some(object) });
        Ok(Stored { etag, version: Some(id).filter(|id| id != NO_VERSION) })
    }

    /// `HeadObject`.
    pub fn head_object(&mut self, object: &ObjectRef, now: Timestamp) -> Result<Head, Refusal> {
        self.call("HeadObject", &[&object.key], |sim| sim.look(object, now).and_then(without_key))
    }

    /// `GetObject`: 403 `InvalidObjectState` while archived, in progress of a restore or not.
    pub fn get_object(&mut self, object: &ObjectRef, now: Timestamp) -> Result<Head, Refusal> {
        self.call("GetObject", &[&object.key], |sim| sim.read(object, now))
    }

    /// `DeleteObject`: lays a marker in a bucket with versions, unless a version is named.
    pub fn delete_object(&mut self, object: &ObjectRef, now: Timestamp) -> Result<Deleted, Refusal> {
        self.let_events_happen(now);
        self.call("DeleteObject", &[&object.key], |sim| {
            let id = name(sim.next_hash(&object.key), 32);
            let bucket = sim.bucket_mut(&object.bucket)?;
            match &object.version {
                None if bucket.versioned => {
                    bucket.lay(object.key.clone(), Version { id: id.clone(), at: now, object: None });
                    Ok(Deleted { version: Some(id), marker: true })
                }
                None => {
                    bucket.keys.remove(&object.key);
                    Ok(Deleted::default())
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
    ) -> Result<(), Refusal> {
        self.let_events_happen(now);
        let bucket = self.bucket_mut(&object.bucket)?;
        let version = bucket.find_mut(&object.key, object.version.as_deref())?;
        if let Some(object) = &mut version.object {
            (object.class, object.tier, object.retrieval) = (class, tier, None);
        }
        Ok(())
    }

    /// A look that nobody counts.
    pub fn look(&self, object: &ObjectRef, now: Timestamp) -> Result<Head, Refusal> {
        let bucket = self.bucket(&object.bucket)?;
        let version = bucket.find(&object.key, object.version.as_deref())?;
        let head =
            version.head(now).ok_or_else(|| Refusal::new("MethodNotAllowed", 405, "a delete marker has no content"))?;
        Ok(Head { version: head.version.filter(|_| bucket.versioned), ..head })
    }

    /// When the copy of an object goes away, without being asked; `None` if it has none.
    pub fn copy_until(&self, object: &ObjectRef, now: Timestamp) -> Option<Timestamp> {
        match self.look(object, now).ok()?.restore {
            RestoreState::Copy { expires } => Some(expires),
            RestoreState::None | RestoreState::Ongoing { .. } => None,
        }
    }

    /// A read that nobody counts.
    pub(crate) fn read(&self, object: &ObjectRef, now: Timestamp) -> Result<Head, Refusal> {
        let head = self.look(object, now).and_then(without_key)?;
        if head.readable { Ok(head) } else { Err(Refusal::archived(head.class, head.archive_status)) }
    }
}

/// What S3 says of an object of which nobody has sent the key. Whether it looks at the class first, for a GET, is not documented.
fn without_key(head: Head) -> Result<Head, Refusal> {
    if head.content.customer_key {
        let message = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.";
        return Err(Refusal::new("InvalidRequest", 400, message));
    }
    Ok(head)
}

impl super::bucket::Bucket {
    fn lay(&mut self, key: String, version: Version) {
        let versions = self.keys.entry(key).or_default();
        versions.retain(|old| old.id != version.id);
        versions.push(version);
    }

    fn remove(&mut self, key: &str, id: &str) -> Deleted {
        let Some(versions) = self.keys.get_mut(key) else {
            return Deleted { version: Some(id.to_owned()), marker: false };
        };
        let marker = versions.iter().any(|version| version.id == id && version.object.is_none());
        versions.retain(|version| version.id != id);
        if versions.is_empty() {
            self.keys.remove(key);
        }
        Deleted { version: Some(id.to_owned()), marker }
    }
}
