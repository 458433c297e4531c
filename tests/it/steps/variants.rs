//! Paths that CloudFront caches apart for each query string.

use serde_json::json;
use thaw_core::Status;
use thaw_sim::cdn::{Behavior, CustomErrorResponse, DistributionConfig, Origin};
use thaw_sim::model::{AccessTier, ObjectRef, StorageClass};

use super::world::{BUCKET, DISTRIBUTION, World, ask, ask_with};

/// A world whose distribution puts query strings into the cache key, everywhere or under one pattern only.
fn by_query_string(pattern: Option<&str>) -> World {
    let world = World::new();
    let behavior =
        |pattern: &str| Behavior { path_pattern: pattern.to_owned(), query_string: true, ..Behavior::default() };
    world.aws.with(|sim, now| {
        let config = DistributionConfig {
            id: Some(DISTRIBUTION.to_owned()),
            origins: vec![Origin { id: "s3".to_owned(), bucket: BUCKET.to_owned(), ..Origin::default() }],
            custom_error_responses: vec![CustomErrorResponse {
                error_code: 403,
                error_caching_min_ttl: Some(86_400 * 30),
                ..CustomErrorResponse::default()
            }],
            behaviors: pattern.map(behavior).into_iter().collect(),
            default_behavior: if pattern.is_none() { behavior("") } else { Behavior::default() },
            ..DistributionConfig::default()
        };
        sim.put_distribution(config, now).unwrap();
    });
    world
}

const QUERIES: [&str; 5] = ["", "?v=2", "?v=2&w=%20", "?a?b", "?~"];

/// Keys that are hostile to paths, and the paths under which viewers get them.
const KEYS: [(&str, &[&str]); 7] = [
    ("cat.jpg", &["/cat.jpg"]),
    ("a b", &["/a%20b", "/a+b"]),
    ("a+c", &["/a%2Bc"]),
    ("what?v=2", &["/what%3Fv=2"]),
    ("what", &["/what"]),
    ("star*", &["/star%2A"]),
    ("dir/~x", &["/dir/~x"]),
];

#[test]
fn every_variant_of_every_path_is_shown_after_the_restore() {
    let world = by_query_string(None);
    KEYS.iter().for_each(|(key, _)| world.put(key, StorageClass::Glacier));
    let urls = || {
        let paths = KEYS.iter().flat_map(|(_, paths)| paths.iter());
        paths.flat_map(|path| QUERIES.map(|query| format!("{path}{query}"))).collect::<Vec<_>>()
    };
    for url in urls() {
        assert_eq!(world.view(&url), 403, "{url}");
    }
    let (report, _) = world.restore("r", ask(&KEYS.map(|(key, _)| key)));
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, KEYS.len() as u64), "{}", report.says);
    for url in urls() {
        assert_eq!(world.view(&url), 200, "{url}");
    }
    // The wildcard for the `~` stands for its variants, too.
    assert!(world.invalidated().contains(&"/dir/*".to_owned()));
    assert!(!world.invalidated().contains(&"/dir/*?*".to_owned()));
}

#[test]
fn no_variant_of_an_archived_neighbour_is_touched() {
    let world = by_query_string(None);
    let neighbours = [("cat.jpg2", "/cat.jpg2"), ("cat.jpg?v=2", "/cat.jpg%3Fv=2"), ("cat", "/cat")];
    let urls = || neighbours.iter().flat_map(|(_, path)| QUERIES.map(|query| format!("{path}{query}")));
    for (key, _) in neighbours {
        world.put(key, StorageClass::Standard);
    }
    urls().for_each(|url| assert_eq!(world.view(&url), 200, "{url}"));
    for (key, _) in neighbours {
        let object = ObjectRef::new(BUCKET, key);
        world.aws.with(|sim, now| sim.transition(&object, StorageClass::Glacier, AccessTier::default(), now)).unwrap();
    }
    world.put("cat.jpg", StorageClass::Glacier);
    world.restore("r", ask_with(&["cat.jpg"], json!({"publish": {"when": "together"}})));
    assert_eq!(world.invalidated(), ["/cat.jpg", "/cat.jpg?*"]);
    urls().for_each(|url| assert_eq!(world.view(&url), 200, "{url} is shown from the cache"));
}

#[test]
fn a_wildcard_stands_for_all_variants_of_a_folder_as_its_plan_says() {
    let world = by_query_string(None);
    let keys: Vec<String> = (0..20).map(|n| format!("f/{n:02}.jpg")).collect();
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    world.put("g", StorageClass::Glacier);
    world.view("/f/07.jpg?v=2");
    let request = json!({"bucket": BUCKET, "prefix": "f/", "publish": {"when": "together"}});
    world.restore("r", request);
    let plan = world.record("r").plan.unwrap();
    assert_eq!(world.invalidated(), ["/f/*"]);
    assert_eq!((plan.paths, plan.billed_paths), (40, 1));
    assert_eq!(world.view("/f/07.jpg?v=2"), 200);
}

#[test]
fn a_plan_says_what_variants_cost_and_how_long_they_take() {
    let world = by_query_string(Some("img/*"));
    let keys: Vec<String> = (0..90).map(|n| format!("img/{n:02}.jpg")).chain(["doc.txt".to_owned()]).collect();
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    world.plan("r", json!({"bucket": BUCKET, "keys": keys})).unwrap();
    let plan = world.record("r").plan.unwrap();
    assert_eq!(plan.paths, 90 * 2 + 1);
    let says = "E1THAW caches by query string (img/*): a path is invalidated by itself and with any query string, which is two billed paths, one of them a wildcard (90 here). CloudFront takes one wildcard a second, so that takes about 2 minutes; with publish.when together, a folder that is restored whole takes one";
    assert!(plan.warnings.iter().any(|warning| warning == says), "{:?}", plan.warnings);
    world.plan("other", json!({"bucket": BUCKET, "keys": ["doc.txt"]})).unwrap();
    assert_eq!(world.record("other").plan.unwrap().warnings, [""; 0], "it is shown by another behaviour");
}
