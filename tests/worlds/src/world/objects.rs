//! The objects of a world.

use serde::Serialize;

/// An object in the bucket.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Object {
    /// Identifies it in this world.
    pub id: u32,
    /// Its key without the origin path.
    pub key: String,
    /// Its storage class and access tier.
    pub storage_tier: StorageTier,
    /// The duration of its retrieval, if that is not the typical one.
    pub retrieval_seconds: Option<u32>,
    /// Whether every HeadObject of it fails with 400.
    pub head_fails: bool,
}

/// A storage class, with the access tier of Intelligent-Tiering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "they are S3's names")]
pub enum StorageTier {
    Standard,
    GlacierInstantRetrieval,
    GlacierFlexibleRetrieval,
    GlacierDeepArchive,
    IntelligentTiering,
    IntelligentTieringArchive,
    IntelligentTieringDeepArchive,
}
