//! Paths that a function of CloudFront rewrites, and what the rules of `PathRules` make of them.

use serde_json::json;
use thaw_core::{PathRules, Status};
use thaw_sim::cdn::{Behavior, CustomErrorResponse, DistributionConfig, Function, Origin, Rewrite};
use thaw_sim::model::{AccessTier, ObjectRef, StorageClass};

use super::world::{BUCKET, DISTRIBUTION, World, ask, ask_with};

/// What the functions of these tests do.
const RULES: &str = r#"[{"keys": "images/{path...}", "paths": ["/img/{path...}"]}]"#;

fn function(from: &str, to: &str) -> Option<Function> {
    let rewrites = vec![Rewrite { from: from.to_owned(), to: to.to_owned() }];
    Some(Function { name: "shorten".to_owned(), rewrites })
}

/// `/img/…` shows what lies in `images/`, by a function that runs before the cache lookup.
fn before_the_cache() -> Behavior {
    Behavior { viewer_request: function("/img/*", "/images/*"), ..of("/img/*") }
}

/// The same, by a function that runs after it.
fn behind_the_cache() -> Behavior {
    Behavior { origin_request: function("/img/*", "/images/*"), ..of("/img/*") }
}

fn of(pattern: &str) -> Behavior {
    Behavior { path_pattern: pattern.to_owned(), ..Behavior::default() }
}

fn world(behavior: Behavior, rules: &str) -> World {
    let mut world = World::new();
    world.settings.path_rules = PathRules::new("", rules).unwrap();
    world.aws.with(|sim, now| {
        let config = DistributionConfig {
            id: Some(DISTRIBUTION.to_owned()),
            origins: vec![Origin { id: "s3".to_owned(), bucket: BUCKET.to_owned(), ..Origin::default() }],
            custom_error_responses: vec![CustomErrorResponse {
                error_code: 403,
                error_caching_min_ttl: Some(86_400 * 30),
                ..CustomErrorResponse::default()
            }],
            behaviors: vec![behavior],
            ..DistributionConfig::default()
        };
        sim.put_distribution(config, now).unwrap();
    });
    world
}

/// Puts an object that viewers have seen under these paths, and that is archived since.
fn put_seen(world: &World, key: &str, paths: &[&str]) {
    world.put(key, StorageClass::Standard);
    paths.iter().for_each(|path| assert_eq!(world.view(path), 200, "{path}"));
    let object = ObjectRef::new(BUCKET, key);
    world.aws.with(|sim, now| sim.transition(&object, StorageClass::Glacier, AccessTier::default(), now)).unwrap();
}

fn invalidated(world: &World) -> Vec<String> {
    let mut paths = world.invalidated();
    paths.sort();
    paths
}

#[test]
fn a_key_is_shown_again_under_every_path_that_a_rule_names() {
    for behavior in [before_the_cache(), behind_the_cache()] {
        let world = world(behavior, RULES);
        world.put("images/a b.jpg", StorageClass::Glacier);
        let seen = ["/img/a%20b.jpg", "/img/a+b.jpg", "/images/a%20b.jpg", "/images/a+b.jpg"];
        seen.iter().for_each(|path| assert_eq!(world.view(path), 403, "{path}"));
        let (report, _) = world.restore("r", ask(&["images/a b.jpg"]));
        assert_eq!(report.status, Status::Succeeded, "{}", report.says);
        seen.iter().for_each(|path| assert_eq!(world.view(path), 200, "{path}"));
        assert_eq!(invalidated(&world), ["/images/a%20b.jpg", "/images/a+b.jpg", "/img/a%20b.jpg", "/img/a+b.jpg"]);
        let plan = world.record("r").plan.unwrap();
        assert_eq!((plan.paths, plan.warnings), (4, Vec::new()));
    }
}

#[test]
fn a_function_of_which_no_rule_speaks_is_named_in_the_plan_and_its_paths_stay_stale() {
    let elsewhere = r#"[{"distribution": "E2", "keys": "images/{path...}", "paths": ["/img/{path...}"]}]"#;
    let other_behaviour = r#"[{"behaviour": "/raw/*", "keys": "images/{path...}", "paths": ["/img/{path...}"]}]"#;
    for rules in ["", elsewhere, other_behaviour] {
        for (behavior, says) in [
            (before_the_cache(), "the function shorten sees the requests of the behaviour /img/* of E1THAW and"),
            (
                behind_the_cache(),
                "the function shorten:1 sees, on their way to the origin, the requests of the behaviour /img/* of E1THAW and",
            ),
        ] {
            let world = world(behavior, rules);
            world.put("images/cat.jpg", StorageClass::Glacier);
            assert_eq!(world.view("/img/cat.jpg"), 403);
            world.restore("r", ask(&["images/cat.jpg"]));
            assert_eq!((world.view("/img/cat.jpg"), invalidated(&world)), (403, vec!["/images/cat.jpg".to_owned()]));
            let warnings = world.record("r").plan.unwrap().warnings;
            assert!(warnings.len() == 1 && warnings[0].starts_with(says), "{warnings:?}");
        }
    }
}

#[test]
fn a_path_that_is_rewritten_is_left_alone_where_it_shows_an_archived_object() {
    let world = world(before_the_cache(), RULES);
    put_seen(&world, "images/cat.jpg", &["/img/cat.jpg"]);
    world.put("img/cat.jpg", StorageClass::Glacier);
    world.put("img/dog.jpg", StorageClass::Glacier);
    let (report, _) = world.restore("r", ask(&["img/cat.jpg", "img/dog.jpg"]));
    assert!(report.says.contains("images/cat.jpg, which would then answer 403"), "{}", report.says);
    assert_eq!((report.counts.published, report.counts.failed), (1, 1));
    assert_eq!(invalidated(&world), ["/img/dog.jpg"]);
    assert_eq!(world.view("/img/cat.jpg"), 200, "it is shown from the cache");
}

/// `/images/cat.jpg` may be invalidated, but viewers ask for `/img/cat.jpg`.
#[test]
fn an_object_is_not_published_while_the_path_that_viewers_ask_for_may_show_an_archived_one() {
    let world = world(before_the_cache(), RULES);
    ["images/cat.jpg", "img/cat.jpg"].iter().for_each(|key| world.put(key, StorageClass::Glacier));
    let (report, _) = world.restore("r", ask(&["images/cat.jpg"]));
    assert!(report.says.contains("the archived object img/cat.jpg, which would then answer 403"), "{}", report.says);
    assert_eq!((report.counts.failed, invalidated(&world).len()), (1, 0));
    // Restored together, the one waits for the other.
    let (report, _) = world.restore("both", ask(&["images/cat.jpg", "img/cat.jpg"]));
    assert_eq!((report.counts.published, world.view("/img/cat.jpg")), (2, 200), "{}", report.says);
}

#[test]
fn no_wildcard_covers_what_a_rule_shows_from_elsewhere() {
    let world = world(before_the_cache(), RULES);
    put_seen(&world, "images/z.jpg", &["/img/z.jpg"]);
    let keys: Vec<String> = (0..5).map(|n| format!("img/{n}.jpg")).collect();
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (report, _) = world.restore("r", ask_with(&keys, json!({"publish": {"when": "together"}})));
    assert_eq!(report.status, Status::Succeeded, "{}", report.says);
    assert_eq!(world.view("/img/z.jpg"), 200, "it is shown from the cache");
    assert!(invalidated(&world).iter().all(|path| !path.ends_with('*')), "{:?}", world.invalidated());
    assert_eq!(world.record("r").plan.unwrap().billed_paths, world.invalidated().len() as u64);
}

#[test]
fn a_folder_that_no_rule_shows_anything_in_has_its_wildcard_and_its_other_paths_are_sent_one_by_one() {
    let world = world(before_the_cache(), RULES);
    let keys: Vec<String> = (0..3).map(|n| format!("images/{n}.jpg")).collect();
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    world.put("imaginary", StorageClass::Glacier);
    let request = json!({"bucket": BUCKET, "prefix": "images/", "publish": {"when": "together"}});
    world.restore("r", request);
    assert_eq!(invalidated(&world), ["/images/*", "/img/0.jpg", "/img/1.jpg", "/img/2.jpg"]);
    assert_eq!(world.record("r").plan.unwrap().billed_paths, 4);
}

#[test]
fn a_rule_whose_paths_begin_their_keys_keeps_wildcards() {
    let clean = Behavior { viewer_request: function("/p/*", "/p/*.html"), ..of("/p/*") };
    let world = world(clean, r#"[{"keys": "{page...}.html", "paths": ["/{page...}"]}]"#);
    let keys: Vec<String> = (0..3).map(|n| format!("p/{n}.html")).collect();
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    assert_eq!(world.view("/p/1"), 403);
    world.put("q", StorageClass::Glacier);
    world.restore("r", json!({"bucket": BUCKET, "prefix": "p/", "publish": {"when": "together"}}));
    assert_eq!((invalidated(&world), world.view("/p/1")), (vec!["/p/*".to_owned()], 200));
}

#[test]
fn the_wildcard_for_a_tilde_covers_nothing_archived_that_a_rule_shows_there() {
    for (neighbour, seen, status) in
        [("images/z.jpg", "/img/z.jpg", Status::Failed), ("pictures/z.jpg", "/pictures/z.jpg", Status::Succeeded)]
    {
        let world = world(before_the_cache(), RULES);
        put_seen(&world, neighbour, &[seen]);
        world.put("img/~1", StorageClass::Glacier);
        let (report, _) = world.restore("r", ask(&["img/~1"]));
        assert_eq!((report.status, world.view(seen)), (status, 200), "{}", report.says);
        assert_eq!(world.invalidated().is_empty(), status == Status::Failed);
        assert_eq!(report.says.contains("archived objects such as images/z.jpg"), status == Status::Failed);
    }
    // What a function makes of a path is cached under the name of the key.
    let world = world(before_the_cache(), RULES);
    world.put("images/~1", StorageClass::Glacier);
    assert_eq!(world.view("/img/~1"), 403);
    world.restore("r", ask(&["images/~1"]));
    assert_eq!((invalidated(&world), world.view("/img/~1")), (vec!["/images/*".to_owned(), "/img/*".to_owned()], 200));
}

#[test]
fn each_path_has_the_variants_of_the_behaviour_that_serves_it() {
    let world = world(Behavior { query_string: true, ..before_the_cache() }, RULES);
    world.put("images/cat.jpg", StorageClass::Glacier);
    let seen = ["/img/cat.jpg", "/img/cat.jpg?w=1", "/images/cat.jpg", "/images/cat.jpg?w=1"];
    seen.iter().for_each(|path| assert_eq!(world.view(path), 403, "{path}"));
    world.restore("r", ask(&["images/cat.jpg"]));
    seen.iter().for_each(|path| assert_eq!(world.view(path), 200, "{path}"));
    // A variant of what the function makes of a path has a query string too.
    let paths = ["/images/cat.jpg", "/images/cat.jpg?*", "/img/cat.jpg", "/img/cat.jpg?*"];
    assert_eq!(invalidated(&world), paths);
}
