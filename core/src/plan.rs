//! The parts of a plan that its requester sees besides the price: totals by archive kind, and alternative tiers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ArchiveKind, Tier, Usd};

/// The archived objects of one kind in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KindTotal {
    /// The kind.
    pub kind: ArchiveKind,
    /// The number of objects.
    pub objects: u64,
    /// Their total size, in bytes.
    pub bytes: u64,
}

/// The price and the time of the same objects at another tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alternative {
    /// The tier.
    pub tier: Tier,
    /// Whether S3 Batch Operations would request the objects.
    #[serde(default)]
    pub batch_operations: bool,
    /// The total price.
    pub total_usd: Usd,
    /// When the first and the last object would typically be readable.
    #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 2))]
    pub ready_between: [Timestamp; 2],
    /// The alternative as a text.
    pub says: String,
}
