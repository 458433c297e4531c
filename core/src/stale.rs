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
mod tests {
    use super::*;
    use crate::{Behaviour, ErrorRule, Origin, OriginGroup};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn distribution() -> Distribution {
        let behaviour = Behaviour { pattern: "*".to_owned(), target: "s3".to_owned(), ..Behaviour::default() };
        let domain = "archive.s3.amazonaws.com".to_owned();
        let origin = Origin { id: "s3".to_owned(), domain, path: "/public".to_owned() };
        Distribution { origins: vec![origin], behaviours: vec![behaviour], ..Distribution::default() }
    }

    fn staleness(distribution: &Distribution, key: &str, readable: Timestamp, now: Timestamp) -> Staleness {
        super::staleness(distribution, "archive", key, "", readable, now)
    }

    #[test]
    fn an_error_is_gone_after_ten_seconds_by_default() {
        assert_eq!(staleness(&distribution(), "public/a", at(0), at(9)), Staleness::Until(at(10)));
        assert_eq!(staleness(&distribution(), "public/a", at(0), at(10)), Staleness::Impossible);
    }

    #[test]
    fn a_raised_error_ttl_counts() {
        let errors = vec![ErrorRule { code: 404, min_ttl: 5 }, ErrorRule { code: 403, min_ttl: 3600 }];
        let distribution = Distribution { errors, ..distribution() };
        assert_eq!(staleness(&distribution, "public/a", at(0), at(60)), Staleness::Until(at(3600)));
    }

    #[test]
    fn a_holding_page_can_be_stale_for_ever() {
        let group = |codes: &[u16]| OriginGroup {
            id: "both".to_owned(),
            members: vec!["s3".to_owned(), "page".to_owned()],
            fails_over_on: codes.to_vec(),
        };
        let behaviours = vec![Behaviour { target: "both".to_owned(), ..distribution().behaviours[0].clone() }];
        let with = |codes: &[u16]| Distribution {
            groups: vec![group(codes)],
            behaviours: behaviours.clone(),
            ..distribution()
        };
        assert_eq!(staleness(&with(&[403, 404]), "public/a", at(0), at(1_000_000)), Staleness::Possible);
        assert_eq!(staleness(&with(&[500]), "public/a", at(0), at(1_000_000)), Staleness::Impossible);
    }

    #[test]
    fn the_behaviour_is_that_of_the_path_and_not_of_the_key() {
        let edge = Behaviour {
            pattern: "films/*".to_owned(),
            has_origin_function: true,
            target: "s3".to_owned(),
            ..Behaviour::default()
        };
        let behaviours = [vec![edge], distribution().behaviours].concat();
        let distribution = Distribution { behaviours, ..distribution() };
        let later = at(1_000_000);
        assert_eq!(staleness(&distribution, "public/films/a", at(0), later), Staleness::Possible);
        assert_eq!(staleness(&distribution, "public/a", at(0), later), Staleness::Impossible);
        // Not shown at all.
        assert_eq!(staleness(&distribution, "films/a", at(0), later), Staleness::Impossible);
    }

    #[test]
    fn what_a_function_made_of_an_error_can_be_stale_for_ever() {
        let mut distribution = distribution();
        distribution.behaviours[0].has_origin_function = true;
        assert_eq!(staleness(&distribution, "public/a", at(0), at(1_000_000)), Staleness::Possible);
    }
}
