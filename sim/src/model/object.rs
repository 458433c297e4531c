//! Objects: what is stored, where it lies, and what is known of it.

use super::restore::{RestoreState, Retrieval};
use super::storage_class::{AccessTier, ArchiveKind, StorageClass};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

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
    pub(super) fn keys(&self) -> impl Iterator<Item = String> {
        let Self { prefix, suffix, from, count, digits, .. } = self;
        (*from..from.saturating_add(*count)).map(move |number| format!("{prefix}{number:0digits$}{suffix}"))
    }
}

/// What a put answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOutput {
    /// The entity tag, without quotes.
    pub etag: String,
    /// The version, in a bucket that keeps them.
    pub version: Option<String>,
}

/// What a delete answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOutput {
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
    pub(crate) fn restore_at(&self, now: Timestamp) -> RestoreState {
        match self.retrieval {
            None => RestoreState::None,
            Some(retrieval) if now < retrieval.ready_at => RestoreState::Ongoing { ready_at: retrieval.ready_at },
            Some(retrieval) => match retrieval.expires {
                Some(expires) if now < expires => RestoreState::Copy { expires },
                Some(_) | None => RestoreState::None,
            },
        }
    }

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
