//! What of a plan its requester sees beside the price.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ArchiveKind, Tier, Usd};

/// How much lies where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KindTotal {
    /// Where.
    pub kind: ArchiveKind,
    /// How many objects.
    pub objects: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// The same objects at another tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alternative {
    /// The tier.
    pub tier: Tier,
    /// Whether S3 Batch Operations would ask for it.
    #[serde(default)]
    pub batch_operations: bool,
    /// What it would cost in all.
    pub total_usd: Usd,
    /// When the first and the last object would typically be readable.
    #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 2))]
    pub ready_between: [Timestamp; 2],
    /// In words.
    pub says: String,
}
