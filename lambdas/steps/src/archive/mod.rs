//! What S3 says of objects, with as few calls as it takes.

use std::time::Duration;

pub mod current_versions;
pub mod listing;
pub mod listing_lookup;
pub mod restore_status;

/// What S3 said of an object is believed for so long when its paths are invalidated. Somebody may archive it in between,
/// so it is little; a look, and the call that follows from it, are seconds apart.
pub const FACTS_VALID_FOR: Duration = Duration::from_secs(10 * 60);
