//! What a client is asked to do.

use std::ops::Range;

/// Requests that are on their way at once.
pub const IN_FLIGHT: usize = 64;

/// What a client is asked to do.
pub struct Job {
    pub endpoint: String,
    pub bucket: String,
    pub keys: Range<u32>,
}
