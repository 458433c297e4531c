//! What `POST /v1/paths` says of an object is what publishing it does: over keys that are hard to spell, and distributions that
//! show them in different ways.

use serde_json::{Value, json};
use thaw_core::{PathRules, Status};
use thaw_sim::cdn::{
    Behavior, ContinuousDeploymentPolicy, CustomErrorResponse, DistributionConfig, Function, Origin, Rewrite,
};
use thaw_sim::model::{ObjectRef, StorageClass};
use thaw_steps::api::get_paths;

use super::world::{BUCKET, DISTRIBUTION, World, ask_with};

/// Keys that people and tools spell in different ways. Behind an origin path they begin with `public/`.
const KEYS: [&str; 20] = [
    "photos/2019/cat.jpg",
    "a b.jpg",
    "a+b.jpg",
    "a%2Bb.jpg",
    "c d+e f.jpg",
    "my dir/my file",
    "\u{fc}/\u{f1}and\u{fa}.jpg",
    "u\u{308}/n\u{303}andu\u{301}.jpg",
    "100%.txt",
    "q?x=1.html",
    "#tag.txt",
    "it's (1).png",
    "ends-with-*",
    "dir/index.html",
    "index.html",
    "home/~user/x",
    "a//b",
    "img/cat.jpg",
    "images/cat.jpg",
    "{[<|>]}^`\\\"",
];

const RULES: &str = r#"[{"keys": "images/{path...}", "paths": ["/img/{path...}"]}]"#;

fn origin(path: &str) -> Vec<Origin> {
    let bucket = BUCKET.to_owned();
    vec![Origin { id: "s3".to_owned(), bucket, origin_path: path.to_owned(), ..Origin::default() }]
}

fn config(id: &str) -> DistributionConfig {
    DistributionConfig {
        id: Some(id.to_owned()),
        origins: origin(""),
        custom_error_responses: vec![CustomErrorResponse {
            error_code: 403,
            error_caching_min_ttl: Some(86_400),
            ..CustomErrorResponse::default()
        }],
        ..DistributionConfig::default()
    }
}

/// Six distributions of one bucket: a plain one, one behind an origin path, one that caches by query string, one with a
/// function that rewrites paths, a staging distribution with viewers, and one with a default root object. Directories have
/// an index everywhere.
fn six_distributions() -> World {
    let mut world = World::new();
    world.settings.path_rules = PathRules::new("index.html", RULES).unwrap();
    world.aws.with(|sim, now| {
        let rewrites = vec![Rewrite { from: "/img/*".to_owned(), to: "/images/*".to_owned() }];
        let function = Some(Function { name: "shorten".to_owned(), rewrites });
        let behaviors =
            vec![Behavior { path_pattern: "/img/*".to_owned(), viewer_request: function, ..Behavior::default() }];
        let policy = "policy".to_owned();
        let all = [
            DistributionConfig { continuous_deployment_policy_id: Some(policy.clone()), ..config(DISTRIBUTION) },
            DistributionConfig { origins: origin("/public"), ..config("E2PATH") },
            DistributionConfig {
                default_behavior: Behavior { query_string: true, ..Behavior::default() },
                ..config("E3QUERY")
            },
            DistributionConfig { behaviors, ..config("E4RULE") },
            DistributionConfig { staging: true, ..config("E5STAGING") },
            DistributionConfig { default_root_object: "index.html".to_owned(), ..config("E6INDEX") },
        ];
        for one in all {
            sim.put_distribution(one, now).unwrap();
        }
        let staging_distributions = vec![sim.distribution("E5STAGING").unwrap().domain_name()];
        let policy =
            ContinuousDeploymentPolicy { id: policy, enabled: true, staging_distributions, ..Default::default() };
        sim.put_continuous_deployment_policy(policy);
    });
    world
}

fn paths(world: &World, keys: &[&str]) -> Value {
    let body = json!({"bucket": BUCKET, "keys": keys}).to_string();
    let request = serde_json::from_value(json!({"routeKey": "POST /v1/paths", "body": body})).unwrap();
    let response = world.run(get_paths::run(&request, &world.aws, &world.aws, &world.settings, world.now()));
    assert_eq!(response.status_code, 200, "{}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

fn one(world: &World, key: &str) -> Value {
    paths(world, &[key])["objects"][0].clone()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn invalidated(world: &World, distribution: &str) -> Vec<String> {
    let mut paths: Vec<String> = world.aws.with(|sim, _| {
        let distribution = sim.distribution(distribution).unwrap();
        distribution.invalidations().iter().flat_map(|one| one.items.clone()).collect()
    });
    paths.sort();
    paths
}

#[test]
fn what_is_said_is_what_is_invalidated_for_each_key_and_each_of_six_distributions() {
    for key in KEYS.iter().map(|key| (*key).to_owned()).chain(KEYS.iter().map(|key| format!("public/{key}"))) {
        let world = six_distributions();
        world.put(&key, StorageClass::Standard);
        let said = one(&world, &key);
        assert_eq!(said["invalidation"]["possible"], true, "{key}: {said}");
        let distributions = said["distributions"].as_array().unwrap();
        assert_eq!(distributions.len(), 6);
        // Every path shows the object, at the distribution for which it is named.
        for distribution in distributions {
            let shown = distribution["paths"].as_array().unwrap();
            for path in shown.iter().filter(|path| path["reason"] == "key") {
                let (id, path) = (distribution["id"].as_str().unwrap(), path["path"].as_str().unwrap());
                // There a function shows another key under it. thaw does not count on that.
                if id == "E4RULE" && path.starts_with("/img/") {
                    continue;
                }
                let seen = world.aws.with(|sim, now| sim.serve(id, path, now)).unwrap();
                assert_eq!((seen.status, seen.body.to_vec()), (200, key.clone().into_bytes()), "{path} of {id}");
            }
            assert_eq!(shown.is_empty(), distribution["invalidation_paths"] == json!([]), "{key}: {distribution}");
        }
        let (report, _) = world.restore("r", ask_with(&[&key], json!({"publish_only": true})));
        assert_eq!(report.status, Status::Succeeded, "{key}: {}", report.says);
        let mut all = 0;
        for distribution in distributions {
            let named = texts(&distribution["invalidation_paths"]);
            all += named.len();
            assert_eq!(invalidated(&world, distribution["id"].as_str().unwrap()), named, "{key}");
        }
        let plan = world.record("r").plan.unwrap();
        assert_eq!((said["invalidation"]["paths"].as_u64().unwrap(), plan.paths), (all as u64, all as u64), "{key}");
    }
}

#[test]
fn every_reason_why_nothing_is_invalidated_is_the_one_that_publishing_gives() {
    let tenants = |world: &World| {
        world.aws.with(|sim, now| {
            sim.put_distribution(DistributionConfig { tenant_only: true, ..config(DISTRIBUTION) }, now).unwrap();
        });
    };
    let elsewhere = |world: &World| {
        world.aws.with(|sim, now| {
            sim.put_distribution(DistributionConfig { origins: origin("/public"), ..config(DISTRIBUTION) }, now)
                .unwrap();
        });
    };
    let nothing = |_: &World| {};
    /// The key, the objects, what is done before, and the code and the words of why it is not invalidated.
    type Case<'a> = (&'a str, &'a [(&'a str, StorageClass)], &'a dyn Fn(&World), Option<&'a str>, &'a str);
    let cases: [Case<'_>; 9] = [
        ("a", &[("a", StorageClass::Glacier)], &nothing, Some("NotReadable"), "it is archived (Glacier Flexible"),
        ("a", &[], &nothing, Some("NoSuchKey"), "there is no object with this key"),
        (
            "u/~me",
            &[("u/~me", StorageClass::Standard), ("u/cold", StorageClass::Glacier)],
            &nothing,
            Some("PathCannotBeInvalidated"),
            "it is readable, but it cannot be invalidated: CloudFront takes no path with a ~, and the wildcard that would cover it also covers archived objects such as u/cold",
        ),
        (
            "u/~me",
            &[("u/~me", StorageClass::Standard), ("u/warm", StorageClass::Standard)],
            &nothing,
            Some("PathCannotBeInvalidated"),
            "it is readable, but it cannot be invalidated: CloudFront takes no path with a ~, and the wildcard that would cover it also covers 1 other objects that viewers can get, and publish.max_over is 0",
        ),
        ("u/~me", &[("u/~me", StorageClass::Standard)], &nothing, None, ""),
        (
            "d/../b",
            &[("d/../b", StorageClass::Standard), ("b", StorageClass::Glacier)],
            &nothing,
            Some("PathCannotBeInvalidated"),
            "the archived object b, which would then answer 403",
        ),
        (
            "a",
            &[("a", StorageClass::Standard)],
            &tenants,
            Some("ShownByTenantsOnly"),
            "create-invalidation-for-distribution-tenant",
        ),
        ("a", &[("a", StorageClass::Standard)], &elsewhere, None, "no distribution that thaw invalidates shows it"),
        ("a", &[("a", StorageClass::Standard)], &nothing, None, ""),
    ];
    for (key, objects, change, code, why) in cases {
        let world = World::new();
        change(&world);
        objects.iter().for_each(|(key, class)| world.put(key, *class));
        let said = one(&world, key);
        let outlook = &said["invalidation"];
        assert_eq!((outlook["possible"] == true, outlook["code"].as_str()), (why.is_empty(), code), "{key}: {said}");
        let says = outlook["why_not"].as_str().unwrap_or_default();
        assert!(says.contains(why), "{key}: {says}");
        let (report, _) = world.restore("r", ask_with(&[key], json!({"publish_only": true})));
        assert_eq!(world.invalidated().is_empty(), !why.is_empty(), "{key}: {}", report.says);
        match code {
            Some(_) => assert!(report.says.contains(says), "{key}: {}\n{says}", report.says),
            None => assert_eq!(report.status, Status::Succeeded),
        }
    }
}

#[test]
fn an_answer_says_where_each_path_comes_from_and_how_to_see_it() {
    let world = six_distributions();
    world.put("images/a b.jpg", StorageClass::Glacier);
    let said = one(&world, "images/a b.jpg");
    assert_eq!((&said["state"], &said["kind"]), (&json!("archived"), &json!("flexible")));
    let distribution = |id: &str| {
        let all = said["distributions"].as_array().unwrap();
        all.iter().find(|distribution| distribution["id"] == id).unwrap().clone()
    };
    let rule = distribution("E4RULE");
    let reasons: Vec<(&str, &str)> = rule["paths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| (path["path"].as_str().unwrap(), path["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("/images/a%20b.jpg", "key"),
            ("/images/a+b.jpg", "key"),
            ("/img/a%20b.jpg", "path_rule"),
            ("/img/a+b.jpg", "path_rule"),
            ("/images/a%20b.jpg", "rewritten"),
            ("/images/a+b.jpg", "rewritten"),
        ]
    );
    assert_eq!(rule["paths"][2]["rule"], "images/{path...} under /img/{path...}");
    assert_eq!(rule["paths"][2]["curl"], "curl -I 'https://e4rule.cloudfront.net/img/a%20b.jpg'");
    assert_eq!((&rule["error_seconds"], &rule["domain"]), (&json!(86_400), &json!("e4rule.cloudfront.net")));
    assert!(
        rule["says"]
            .as_str()
            .unwrap()
            .starts_with("An edge keeps an error that it got while the object was archived for 1 day.")
    );
    let query = distribution("E3QUERY");
    assert_eq!(query["paths"][0]["invalidated_as"], json!(["/images/a%20b.jpg", "/images/a%20b.jpg?*"]));
    assert_eq!(query["paths"][0]["query_strings"], "all");
    let staging = distribution("E5STAGING");
    assert_eq!((&staging["staging_of"], staging["paths"][0].get("curl")), (&json!(DISTRIBUTION), None));
    let elsewhere = distribution("E2PATH");
    assert_eq!((&elsewhere["paths"], &elsewhere["invalidation_paths"]), (&json!([]), &json!([])));
    let says = "It does not show the object: its origin path makes it show only keys that begin with public/.";
    assert_eq!(elsewhere["says"], says);
}

#[test]
fn warnings_name_distributions_that_are_left_out_and_functions_without_a_rule() {
    let mut world = six_distributions();
    world.settings.path_rules = PathRules::default();
    world.aws.with(|sim, now| {
        sim.put_distribution(DistributionConfig { disabled: true, ..config("E7OFF") }, now).unwrap();
    });
    world.put("a", StorageClass::Standard);
    let warnings = texts(&paths(&world, &["a"])["warnings"]);
    assert!(warnings[0].starts_with("the distribution E7OFF is disabled"), "{warnings:?}");
    assert!(
        warnings[1].starts_with("the function shorten sees the requests of the behaviour /img/* of E4RULE"),
        "{warnings:?}"
    );
    assert_eq!(warnings.len(), 2);
}

#[test]
fn an_old_version_is_named_as_one_that_no_path_shows() {
    let world = World::new();
    world.aws.with(|sim, _| sim.create_bucket(BUCKET, true));
    world.put("a", StorageClass::Standard);
    let old = world.aws.with(|sim, now| sim.head_uncounted(&ObjectRef::new(BUCKET, "a"), now)).unwrap().version;
    world.put("a", StorageClass::Standard);
    let body = json!({"bucket": BUCKET, "keys": [{"key": "a", "version_id": old}]}).to_string();
    let request = serde_json::from_value(json!({"body": body})).unwrap();
    let response = world.run(get_paths::run(&request, &world.aws, &world.aws, &world.settings, world.now()));
    let said: Value = serde_json::from_str(&response.body).unwrap();
    let object = &said["objects"][0];
    assert_eq!((&object["current"], &object["invalidation"]["possible"]), (&json!(false), &json!(false)));
    assert_eq!(object["invalidation"]["why_not"], "it is not the current version, and its paths show another one");
    assert_eq!((&said["paths"], &said["usd"]), (&json!(0), &json!(0.0)));
}

#[test]
fn what_is_wrong_with_a_question_is_named() {
    let world = World::new();
    for (body, status, field) in [
        (json!({"bucket": "somebody-elses", "keys": ["a"]}), 403, "bucket"),
        (json!({"bucket": BUCKET, "keys": []}), 400, "keys"),
        (json!({"bucket": BUCKET, "keys": ["a"], "tier": "Bulk"}), 400, "tier"),
    ] {
        let request = serde_json::from_value(json!({"body": body.to_string()})).unwrap();
        let response = world.run(get_paths::run(&request, &world.aws, &world.aws, &world.settings, world.now()));
        let problem: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!((response.status_code, problem["field"].as_str()), (status, Some(field)), "{problem}");
    }
}
