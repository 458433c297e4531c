//! Random points in time.

use crate::rng::Rng;

pub(super) const MINUTE: u32 = 60;
pub(super) const HOUR: u32 = 60 * MINUTE;

/// Seconds from the start of the simulation: often the first minutes, at most 80 hours.
pub(super) fn random_time(rng: &mut Rng) -> u32 {
    match rng.below(4) {
        0 => rng.below(2 * MINUTE),
        1 => rng.below(HOUR),
        2 => rng.below(14 * HOUR),
        _ => rng.below(80 * HOUR),
    }
}
