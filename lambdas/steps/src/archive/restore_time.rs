//! How long S3 took for objects, for the metric `SecondsToRestore`.

use std::collections::BTreeMap;

use thaw_core::{ArchiveKind, Tier, quantity};
use tracing::info;

use crate::metrics::values;

/// How long S3 took for an object.
#[derive(Debug, Clone, Copy)]
pub struct RestoreTime {
    /// Its kind of archive.
    pub kind: ArchiveKind,
    /// The tier at which S3 was asked for it.
    pub tier: Tier,
    /// Seconds from the request until thaw learned that it can be read.
    pub seconds: f64,
}

/// Logs them, in a line for each kind and tier.
pub fn log_restored(objects: impl Iterator<Item = RestoreTime>) {
    let mut took: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for RestoreTime { kind, tier, seconds } in objects {
        took.entry((kind.as_str(), tier.as_str())).or_default().push(seconds);
    }
    for ((kind, tier), seconds) in took {
        let count = quantity(seconds.len() as u64, "object", "objects");
        info!(kind, tier, SecondsToRestore = values(seconds), "S3 has restored {count}");
    }
}
