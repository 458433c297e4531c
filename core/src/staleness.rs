//! Whether something stale can be cached under a path.

use jiff::Timestamp;

use crate::Distribution;

/// How long CloudFront keeps an error when the distribution does not say (Developer Guide, "Control how long CloudFront
/// caches errors").
const DEFAULT_ERROR_TTL: u64 = 10;

/// What S3 answers for an archived object: 403 `InvalidObjectState`.
const ARCHIVED: u16 = 403;

/// Whether a viewer may still get what CloudFront cached while the object was archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// A holding page, or whatever a function made of the error, may be cached for as long as its headers said.
    Possible,
    /// A cached error is gone by this moment.
    Until(Timestamp),
    /// No cached error can be left.
    Impossible,
}

/// Whether something stale can be cached under a path of an object that has been readable since `readable`.
///
/// The bytes of an object do not change when it is restored, so only an answer that was not the object can be stale:
/// the 403 itself, which is kept for the distribution's error TTL, or the answer of a second origin that an origin group
/// fell over to, which is cached like any other.
pub fn staleness(
    distribution: &Distribution,
    bucket: &str,
    key: &str,
    directory_index: &str,
    readable: Timestamp,
    now: Timestamp,
) -> Staleness {
    let behaviours = distribution.behaviours_of(bucket, key, directory_index);
    if behaviours.is_empty() {
        return Staleness::Impossible;
    }
    let falls_over =
        |behaviour| distribution.group(behaviour).is_some_and(|group| group.fails_over_on.contains(&ARCHIVED));
    if behaviours.into_iter().any(|behaviour| behaviour.has_origin_function || falls_over(behaviour)) {
        return Staleness::Possible;
    }
    let ttl =
        distribution.errors.iter().find(|rule| rule.code == ARCHIVED).map_or(DEFAULT_ERROR_TTL, |rule| rule.min_ttl);
    // The TTL of 0 still keeps an error for a second.
    let gone = readable + std::time::Duration::from_secs(ttl.clamp(1, 31_536_000));
    if gone > now { Staleness::Until(gone) } else { Staleness::Impossible }
}

#[cfg(test)]
mod tests;
