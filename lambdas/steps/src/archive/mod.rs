//! Reads the state of objects from S3 with few calls.

use std::time::Duration;

pub mod current_versions;
pub mod described;
pub mod listing;
pub mod listing_lookup;
pub mod restore_status;
pub mod restore_time;

/// How old S3's answer about an object may be when its paths are invalidated. Short, because somebody may archive the
/// object in between. A look and the call that follows from it are seconds apart.
pub const FACTS_VALID_FOR: Duration = Duration::from_secs(10 * 60);
