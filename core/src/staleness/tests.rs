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
    super::staleness(distribution, "archive", key, readable, now)
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
    let with =
        |codes: &[u16]| Distribution { groups: vec![group(codes)], behaviours: behaviours.clone(), ..distribution() };
    assert_eq!(staleness(&with(&[403, 404]), "public/a", at(0), at(1_000_000)), Staleness::Possible);
    assert_eq!(staleness(&with(&[500]), "public/a", at(0), at(1_000_000)), Staleness::Impossible);
}

/// A rule says how it rewrites paths, and not what it answers itself.
#[test]
fn an_origin_request_function_may_have_answered_instead() {
    let functions = |pattern: &str| [(pattern.to_owned(), "f".to_owned())].into();
    for (pattern, expected) in [("*", Staleness::Possible), ("/img/*", Staleness::Impossible)] {
        let behind = Distribution { origin_functions: functions(pattern), ..distribution() };
        assert_eq!(staleness(&behind, "public/a", at(0), at(1_000_000)), expected);
        // What a viewer-request function answers is not cached.
        let before = Distribution { viewer_functions: functions(pattern), ..distribution() };
        assert_eq!(staleness(&before, "public/a", at(0), at(1_000_000)), Staleness::Impossible);
    }
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
