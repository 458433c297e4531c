//! Decides whether CloudFront can still have a stale answer cached under a path of an object that became readable.

use jiff::Timestamp;

use crate::{Behaviour, Distribution};

/// How long CloudFront keeps an error when the distribution does not say (Developer Guide, "Control how long CloudFront
/// caches errors").
const DEFAULT_ERROR_TTL: u64 = 10;

/// The status of S3's answer for an archived object: 403 `InvalidObjectState`.
const ARCHIVED: u16 = 403;

/// Whether a viewer may still get what CloudFront cached while the object was archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// A holding page, or a function's answer in place of the error, may be cached for as long as its headers allow.
    Possible,
    /// A cached error expires by this time.
    Until(Timestamp),
    /// No cached error can be left.
    Impossible,
}

/// Whether something stale can be cached under a path of an object that has been readable since `readable`.
///
/// A restore does not change the bytes of an object, so only an answer that was not the object can be stale: the 403
/// itself, which is cached for the distribution's error TTL, or the answer of the second origin of an origin group that
/// failed over, which is cached like any other answer.
pub fn staleness(
    distribution: &Distribution,
    bucket: &str,
    key: &str,
    readable: Timestamp,
    now: Timestamp,
) -> Staleness {
    let behaviours = distribution.behaviours_of(bucket, key);
    if behaviours.is_empty() {
        return Staleness::Impossible;
    }
    let fails_over =
        |behaviour| distribution.group(behaviour).is_some_and(|group| group.fails_over_on.contains(&ARCHIVED));
    // An origin-request function may answer in place of S3, also one of which a rule says how it rewrites paths.
    let has_function = |behaviour: &Behaviour| {
        behaviour.has_origin_function || distribution.origin_functions.contains_key(&behaviour.pattern)
    };
    if behaviours.into_iter().any(|behaviour| has_function(behaviour) || fails_over(behaviour)) {
        return Staleness::Possible;
    }
    let ttl =
        distribution.errors.iter().find(|rule| rule.code == ARCHIVED).map_or(DEFAULT_ERROR_TTL, |rule| rule.min_ttl);
    // With a TTL of 0, CloudFront still caches an error for a second.
    let gone = readable + std::time::Duration::from_secs(ttl.clamp(1, 31_536_000));
    if gone > now { Staleness::Until(gone) } else { Staleness::Impossible }
}

#[cfg(test)]
mod tests;
