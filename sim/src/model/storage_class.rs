//! Storage classes, access tiers, and which of them are archives.

use serde::{Deserialize, Serialize};

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
