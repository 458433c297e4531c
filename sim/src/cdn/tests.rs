//! CloudFront as documented, and the ways in which an edge is stale.

use super::*;
use crate::model::{
    AccessTier, ApiError, FaultRule, ObjectRef, PutRequest, QuotaAnswer, QuotaRegime, RestoreRequest, RetrievalTier,
    SettingsChange, Sim, StorageClass,
};
use jiff::{SignedDuration, Timestamp};

fn start() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().expect("it is a time")
}

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

/// Bucket `b` with one cold and one hot object, and distribution `E1` in front of it.
fn sim(config: DistributionConfig) -> Sim {
    let mut sim = Sim::default();
    sim.create_bucket("b", false);
    for (key, class) in [("cold", StorageClass::Glacier), ("hot", StorageClass::Standard)] {
        sim.put_object(PutRequest::new("b", key, class, format!("{key} content")), start()).expect("there is b");
    }
    sim.put_distribution(DistributionConfig { id: Some("E1".to_owned()), ..config }, start()).expect("it is valid");
    sim
}

fn bucket_origin() -> DistributionConfig {
    let origin = Origin { id: "bucket".to_owned(), bucket: "b".to_owned(), ..Origin::default() };
    DistributionConfig { origins: vec![origin], ..DistributionConfig::default() }
}

fn keep_forbidden(seconds: u32) -> DistributionConfig {
    let custom =
        CustomErrorResponse { error_code: 403, error_caching_min_ttl: Some(seconds), ..CustomErrorResponse::default() };
    DistributionConfig { custom_error_responses: vec![custom], ..bucket_origin() }
}

fn restore(sim: &mut Sim, now: Timestamp) {
    let request = RestoreRequest::new("b", "cold", Some(1), Some(RetrievalTier::Expedited));
    sim.restore_object(&request, now).expect("it is archived");
}

#[track_caller]
fn check(sim: &mut Sim, path: &str, now: Timestamp, status: u16, outcome: CacheOutcome) {
    let answer = sim.serve("E1", path, now).expect("there is E1");
    assert_eq!((answer.status, answer.outcome), (status, outcome), "{path} at {now}");
}

fn invalidate(sim: &mut Sim, reference: &str, items: &[&str], now: Timestamp) -> Result<Invalidation, ApiError> {
    sim.create_invalidation(&InvalidationRequest::new("E1", reference, items.iter().copied()), now)
}

use CacheOutcome::{Error, Hit, Miss};

#[test]
fn content_is_kept_for_a_day_and_an_age_is_told() {
    let mut sim = sim(bucket_origin());
    check(&mut sim, "/hot", start(), 200, Miss);
    assert_eq!(sim.serve("E1", "/hot", after(60)).expect("there is E1").age, 60);
    check(&mut sim, "/hot", after(86_399), 200, Hit);
    check(&mut sim, "/hot", after(86_400), 200, Miss);
}

#[test]
fn a_kept_403_outlives_the_restore_until_it_is_invalidated() {
    let mut sim = sim(keep_forbidden(86_400));
    check(&mut sim, "/cold", start(), 403, Error);
    restore(&mut sim, start());
    check(&mut sim, "/cold", after(600), 403, Error);
    let invalidation = invalidate(&mut sim, "r", &["/cold"], after(600)).expect("it is valid");
    assert_eq!(invalidation.status(after(619)), InvalidationStatus::InProgress);
    check(&mut sim, "/cold", after(619), 403, Error);
    assert_eq!(invalidation.status(after(620)), InvalidationStatus::Completed);
    check(&mut sim, "/cold", after(620), 200, Miss);
    check(&mut sim, "/cold", after(621), 200, Hit);
}

#[test]
fn a_403_that_nobody_configured_is_not_kept() {
    let mut sim = sim(bucket_origin());
    check(&mut sim, "/cold", start(), 403, Error);
    restore(&mut sim, start());
    check(&mut sim, "/cold", after(600), 200, Miss);
}

#[test]
fn a_404_is_kept_for_ten_seconds() {
    let mut sim = sim(bucket_origin());
    check(&mut sim, "/new", start(), 404, Error);
    sim.put_object(PutRequest::new("b", "new", StorageClass::Standard, ""), start()).expect("there is b");
    check(&mut sim, "/new", after(9), 404, Error);
    check(&mut sim, "/new", after(10), 200, Miss);
}

#[test]
fn a_holding_page_is_kept_under_the_real_path() {
    let holding = Origin { id: "hold".to_owned(), holding_page: Some(HoldingPage::default()), ..Origin::default() };
    let group = OriginGroup {
        id: "group".to_owned(),
        failover_statuses: vec![403],
        members: vec!["bucket".to_owned(), "hold".to_owned()],
    };
    let mut config = bucket_origin();
    config.origins.push(holding);
    config.origin_groups.push(group);
    config.default_behavior.target_origin_id = "group".to_owned();
    let mut sim = sim(config);
    check(&mut sim, "/cold", start(), 200, Miss);
    restore(&mut sim, start());
    let held = sim.serve("E1", "/cold", after(3_600)).expect("there is E1");
    assert_eq!((held.body, held.outcome), (HoldingPage::default().body.into(), Hit), "it looks like content");
    invalidate(&mut sim, "r", &["/c*"], after(3_600)).expect("it is valid");
    let real = sim.serve("E1", "/cold", after(3_620)).expect("there is E1");
    assert_eq!((real.body.as_ref(), real.outcome), ("cold content".as_bytes(), Miss));
}

#[test]
fn an_archived_object_that_is_still_kept_breaks_when_it_is_invalidated() {
    let mut sim = sim(bucket_origin());
    check(&mut sim, "/hot", start(), 200, Miss);
    let hot = ObjectRef::new("b", "hot");
    sim.transition(&hot, StorageClass::DeepArchive, AccessTier::Frequent, after(60)).expect("there is hot");
    check(&mut sim, "/hot", after(60), 200, Hit);
    invalidate(&mut sim, "r", &["/hot"], after(60)).expect("it is valid");
    check(&mut sim, "/hot", after(90), 403, Error);
}

#[test]
fn expired_content_gives_way_to_a_4xx_and_not_to_a_5xx() {
    let mut sim = sim(bucket_origin());
    check(&mut sim, "/hot", start(), 200, Miss);
    sim.set_faults(vec![FaultRule::new("OriginGetObject", "SlowDown").times(1)]);
    check(&mut sim, "/hot", after(90_000), 200, Hit);
    let hot = ObjectRef::new("b", "hot");
    sim.transition(&hot, StorageClass::Glacier, AccessTier::Frequent, after(90_000)).expect("there is hot");
    check(&mut sim, "/hot", after(90_001), 403, Error);
}

#[test]
fn a_wildcard_is_the_last_character_and_case_and_encoding_matter() {
    // What was invalidated, the path in the cache, and whether it went.
    let cases = [
        ("/dir*", "/dir/a", true),
        ("/dir*", "/directory", true),
        ("/dir/*", "/dir", false),
        ("/dir/*", "/dir/sub/a", true),
        ("/*", "/anything", true),
        ("/d*r", "/dir", false),
        ("/d*r", "/d*r", true),
        ("/Dir", "/dir", false),
        ("/a%20b", "/a%20b", true),
        ("/a%2Bb", "/a+b", false),
        ("/%c3%a4", "/%C3%A4", false),
        ("/a%7Eb", "/a%7Eb", false),
        ("/a*", "/a~b", true),
    ];
    for (item, path, gone) in cases {
        let mut sim = sim(bucket_origin());
        let key = to_key("b.s3.amazonaws.com", "", path);
        sim.put_object(PutRequest::new("b", &key, StorageClass::Standard, ""), start()).expect("there is b");
        check(&mut sim, path, start(), 200, Miss);
        invalidate(&mut sim, "r", &[item], start()).expect("it is valid");
        let answer = sim.serve("E1", path, after(20)).expect("there is E1");
        assert_eq!(answer.outcome == Miss, gone, "{item} and {path}");
    }
}

#[test]
fn items_that_cloudfront_cannot_take_are_refused() {
    let long = format!("/{}", "a".repeat(4_000));
    for item in ["no-slash", "", "/a~b", "/a b", "/ä", "/<", "/a#b", "#", "#tag*", &long] {
        let mut sim = sim(bucket_origin());
        let api_error = invalidate(&mut sim, "r", &[item], start()).expect_err("it is not valid");
        assert_eq!((api_error.status(), api_error.code()), (400, "InvalidArgument"), "{item}");
    }
    let mut sim = sim(bucket_origin());
    let request = InvalidationRequest { quantity: Some(2), ..InvalidationRequest::new("E1", "r", ["/a"]) };
    let api_error = sim.create_invalidation(&request, start()).expect_err("2 is not 1");
    assert_eq!(api_error.code(), "InconsistentQuantities");
    let elsewhere = InvalidationRequest::new("E2", "r", ["/a"]);
    assert_eq!(sim.create_invalidation(&elsewhere, start()).expect_err("there is no E2").status(), 404);
}

#[test]
fn a_reference_names_one_batch() {
    let mut sim = sim(bucket_origin());
    let first = invalidate(&mut sim, "r", &["/a", "/b"], start()).expect("it is valid");
    let again = invalidate(&mut sim, "r", &["/a", "/b"], after(3_600)).expect("it is the same");
    assert_eq!(again.id, first.id);
    let api_error = invalidate(&mut sim, "r", &["/a"], start()).expect_err("it is another");
    assert_eq!(api_error.code(), "InvalidArgument");
    assert!(api_error.message().contains("caller reference that was used for a previous invalidation batch"));
    assert_eq!(sim.distribution("E1").expect("there is E1").invalidations().len(), 1);
}

#[test]
fn so_many_paths_may_be_in_progress() {
    let mut sim = sim(bucket_origin());
    let paths: Vec<String> = (0..3_000).map(|n| format!("/{n}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let wild: Vec<String> = (0..15).map(|n| format!("/{n}*")).collect();
    let wild: Vec<&str> = wild.iter().map(String::as_str).collect();
    invalidate(&mut sim, "paths", &paths, start()).expect("3,000 fit");
    invalidate(&mut sim, "wild", &wild, start()).expect("15 fit besides");
    for item in ["/more", "/more*"] {
        let api_error = invalidate(&mut sim, item, &[item], after(19)).expect_err("that is one too many");
        assert_eq!((api_error.status(), api_error.code()), (400, "TooManyInvalidationsInProgress"));
        invalidate(&mut sim, item, &[item], after(20)).expect("the others are completed");
    }
}

#[test]
fn so_many_paths_fit_into_a_second() {
    let mut sim = sim(bucket_origin());
    sim.change_settings(&SettingsChange { regime: Some(QuotaRegime::Rate), ..SettingsChange::default() });
    let paths: Vec<String> = (0..150).map(|n| format!("/{n}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    invalidate(&mut sim, "1", &paths, start()).expect("150 fit");
    let api_error = invalidate(&mut sim, "2", &["/a"], start()).expect_err("that is one too many");
    assert_eq!((api_error.status(), api_error.code()), (400, "TooManyInvalidationsInProgress"));
    invalidate(&mut sim, "3", &["/a", "/w*"], after(1)).expect("a second later they fit");
    let with_wildcard: Vec<&str> = paths[..149].iter().copied().chain(["/v*"]).collect();
    invalidate(&mut sim, "4", &with_wildcard, after(1)).expect_err("one wildcard a second");
    invalidate(&mut sim, "5", &paths[..149], after(1)).expect("what was refused has taken no paths");
}

#[test]
fn either_code_answers_what_a_quota_does_not_allow() {
    let refusals = |regime, answer| {
        let mut sim = sim(bucket_origin());
        sim.change_settings(&SettingsChange {
            regime: Some(regime),
            quota_answer: Some(answer),
            paths_in_progress: Some(1),
            paths_per_second: Some(1),
            ..SettingsChange::default()
        });
        invalidate(&mut sim, "first", &["/a"], start()).expect("one fits");
        let refused = (0..20).map(|n| invalidate(&mut sim, &n.to_string(), &["/b"], start()).expect_err("and no more"));
        refused.map(|api_error| api_error.code().to_owned()).collect::<std::collections::BTreeSet<_>>().len()
    };
    for regime in [QuotaRegime::InProgress, QuotaRegime::Rate] {
        let [one, other, either] = [QuotaAnswer::TooManyInvalidations, QuotaAnswer::Throttling, QuotaAnswer::Either]
            .map(|a| refusals(regime, a));
        assert_eq!((one, other, either), (1, 1, 2), "{regime:?}");
    }
}

#[test]
fn an_origin_path_and_a_behavior_decide_the_key() {
    let mut config = bucket_origin();
    config.origins.push(Origin {
        id: "media".to_owned(),
        domain_name: "b.s3.us-east-1.amazonaws.com".to_owned(),
        origin_path: "/archive/2026".to_owned(),
        ..Origin::default()
    });
    config.behaviors.push(Behavior {
        path_pattern: "/media/*".to_owned(),
        target_origin_id: "media".to_owned(),
        ..Behavior::default()
    });
    let mut sim = sim(config);
    let put = PutRequest::new("b", "archive/2026/media/a b+c.jpg", StorageClass::Standard, "");
    sim.put_object(put, start()).expect("there is b");
    check(&mut sim, "/media/a%20b%2Bc.jpg", start(), 200, Miss);
    check(&mut sim, "/archive/2026/media/a+b%2Bc.jpg", start(), 200, Miss);
    check(&mut sim, "/media/a%20b+c.jpg", start(), 404, Error);
    check(&mut sim, "/Media/a%20b%2Bc.jpg", start(), 404, Error);
}

#[test]
fn a_root_object_is_known_by_two_names() {
    let config = DistributionConfig {
        default_root_object: "index.html".to_owned(),
        directory_index: Some("index.html".to_owned()),
        ..bucket_origin()
    };
    let mut sim = sim(config);
    for key in ["index.html", "docs/index.html"] {
        sim.put_object(PutRequest::new("b", key, StorageClass::Standard, ""), start()).expect("there is b");
    }
    for (path, names) in [("/", ["/", "/index.html"]), ("/docs/", ["/docs/", "/docs/index.html"])] {
        check(&mut sim, path, start(), 200, Miss);
        invalidate(&mut sim, names[0], &names[..1], start()).expect("it is valid");
        check(&mut sim, path, after(20), 200, Hit);
        invalidate(&mut sim, names[1], &names[1..], start()).expect("it is valid");
        check(&mut sim, path, after(20), 200, Miss);
    }
}

fn function(name: &str, rewrites: &[(&str, &str)]) -> Option<Function> {
    let rewrite = |(from, to): &(&str, &str)| Rewrite { from: (*from).to_owned(), to: (*to).to_owned() };
    Some(Function { name: name.to_owned(), rewrites: rewrites.iter().map(rewrite).collect() })
}

#[test]
fn a_function_before_the_cache_gives_a_path_two_names_and_one_behind_it_does_not() {
    let mut config = bucket_origin();
    config.behaviors = vec![Behavior {
        path_pattern: "/img/*".to_owned(),
        viewer_request: function("before", &[("/img/*.jpg", "/images/*.jpeg"), ("/img/*", "/*")]),
        origin_request: function("behind", &[("/images/*", "/pub/images/*")]),
        ..Behavior::default()
    }];
    let mut sim = sim(config);
    sim.put_object(PutRequest::new("b", "pub/images/a b.jpeg", StorageClass::Standard, ""), start())
        .expect("there is b");
    check(&mut sim, "/img/a%20b.jpg", start(), 200, Miss);
    // The default behaviour has no function.
    check(&mut sim, "/images/a%20b.jpeg", start(), 404, Error);
    check(&mut sim, "/img/hot", start(), 200, Miss);
    check(&mut sim, "/img/none", start(), 404, Error);
    invalidate(&mut sim, "1", &["/img/a%20b.jpg", "/pub/images/a%20b.jpeg", "/img/hot"], start()).expect("it is valid");
    check(&mut sim, "/img/a%20b.jpg", after(20), 200, Hit);
    check(&mut sim, "/img/hot", after(20), 200, Hit);
    invalidate(&mut sim, "2", &["/images/a%20b.jpeg", "/hot"], after(20)).expect("it is valid");
    check(&mut sim, "/img/a%20b.jpg", after(40), 200, Miss);
    check(&mut sim, "/img/hot", after(40), 200, Miss);
}

#[test]
fn a_query_string_counts_only_where_it_is_forwarded() {
    let mut plain = sim(bucket_origin());
    check(&mut plain, "/hot?w=1", start(), 200, Miss);
    check(&mut plain, "/hot?w=2", start(), 200, Hit);
    let mut config = bucket_origin();
    config.default_behavior.query_string = true;
    let mut sim = sim(config);
    check(&mut sim, "/hot?w=1", start(), 200, Miss);
    check(&mut sim, "/hot?w=2", start(), 200, Miss);
    invalidate(&mut sim, "r", &["/hot"], start()).expect("it is valid");
    check(&mut sim, "/hot?w=1", after(20), 200, Hit);
    invalidate(&mut sim, "s", &["/hot*"], start()).expect("it is valid");
    check(&mut sim, "/hot?w=1", after(20), 200, Miss);
}

#[test]
fn a_cache_policy_says_which_parameters_count() {
    let policy = |query_string_behavior, names: &[&str]| {
        let query_strings = names.iter().map(|name| (*name).to_owned()).collect();
        let mut config = bucket_origin();
        config.default_behavior.cache_policy =
            Some(CachePolicy { id: "p".to_owned(), query_string_behavior, query_strings });
        sim(config)
    };
    for (mut sim, w, v) in [
        (policy(QueryStringBehavior::None, &[]), Hit, Hit),
        (policy(QueryStringBehavior::Whitelist, &["v"]), Hit, Miss),
        (policy(QueryStringBehavior::AllExcept, &["v"]), Miss, Hit),
        (policy(QueryStringBehavior::All, &[]), Miss, Miss),
    ] {
        check(&mut sim, "/hot", start(), 200, Miss);
        check(&mut sim, "/hot?w=1", start(), 200, w);
        check(&mut sim, "/hot?v=1", start(), 200, v);
        invalidate(&mut sim, "r", &["/hot", "/hot?*"], start()).expect("it is valid");
        for path in ["/hot?w=1", "/hot?v=1"].iter().zip([w, v]).filter(|(_, outcome)| *outcome == Miss) {
            check(&mut sim, path.0, after(20), 200, Miss);
        }
    }
}

#[test]
fn an_error_page_takes_the_place_of_a_403_and_is_kept_like_it() {
    let custom = CustomErrorResponse {
        error_code: 403,
        error_caching_min_ttl: Some(300),
        response_page_path: Some("/hot".to_owned()),
        response_code: Some(503),
    };
    let mut sim = sim(DistributionConfig { custom_error_responses: vec![custom], ..bucket_origin() });
    let shown = sim.serve("E1", "/cold", start()).expect("there is E1");
    assert_eq!((shown.status, shown.body.as_ref(), shown.outcome), (503, "hot content".as_bytes(), Error));
    restore(&mut sim, start());
    check(&mut sim, "/cold", after(299), 503, Error);
    check(&mut sim, "/cold", after(300), 200, Miss);
}

#[test]
fn a_tag_finds_objects_that_say_so() {
    let mut sim = sim(bucket_origin());
    let mut put = PutRequest::new("b", "tagged", StorageClass::Standard, "");
    put.content.metadata.insert("cache-tag".to_owned(), "cats, dogs".to_owned());
    sim.put_object(put, start()).expect("there is b");
    for path in ["/tagged", "/hot"] {
        check(&mut sim, path, start(), 200, Miss);
    }
    invalidate(&mut sim, "r", &["#DOGS"], start()).expect("it is valid");
    check(&mut sim, "/tagged", after(20), 200, Miss);
    check(&mut sim, "/hot", after(20), 200, Hit);
}

#[test]
fn invalidations_are_listed_the_newest_first() {
    let mut sim = sim(bucket_origin());
    for reference in ["1", "2", "3"] {
        invalidate(&mut sim, reference, &["/a"], start()).expect("it is valid");
    }
    let first = sim.list_invalidations("E1", None, Some(2)).expect("there is E1");
    let references: Vec<_> = first.invalidations.iter().map(|one| one.caller_reference.as_str()).collect();
    assert_eq!(references, ["3", "2"]);
    let second = sim.list_invalidations("E1", first.next.as_deref(), Some(2)).expect("there is E1");
    assert_eq!((second.invalidations.len(), second.next), (1, None));
}

/// `E1` with the alias `www.example.com`, its staging distribution `E2`, and the policy that sends viewers there.
fn with_staging(traffic: Traffic) -> Sim {
    let policy = || Some("p".to_owned());
    let primary = DistributionConfig {
        continuous_deployment_policy_id: policy(),
        aliases: vec!["www.example.com".to_owned()],
        ..keep_forbidden(86_400)
    };
    let mut sim = sim(primary);
    let staging = DistributionConfig { id: Some("E2".to_owned()), staging: true, ..keep_forbidden(86_400) };
    sim.put_distribution(staging, start()).expect("it is valid");
    sim.put_continuous_deployment_policy(ContinuousDeploymentPolicy {
        id: "p".to_owned(),
        enabled: true,
        staging_distributions: vec!["e2.cloudfront.net".to_owned()],
        traffic,
    });
    sim
}

const SENT: [(&str, &str); 1] = [("Aws-Cf-Cd-Staging", "1")];

#[test]
fn who_is_sent_to_staging_has_another_cache() {
    let mut sim = with_staging(Traffic::default());
    let asked = sim.distribution_at("WWW.example.com").expect("it is an alias").id().to_owned();
    let (staging, itself) = (sim.routed(&asked, &SENT), sim.routed(&asked, &[("aws-cf-cd-staging", "2")]));
    assert_eq!((staging.as_str(), itself.as_str()), ("E2", "E1"));
    for id in ["E1", "E2"] {
        assert_eq!(sim.serve(id, "/cold", start()).expect("it is there").status, 403);
    }
    restore(&mut sim, start());
    invalidate(&mut sim, "r", &["/cold"], after(600)).expect("it is valid");
    check(&mut sim, "/cold", after(900), 200, Miss);
    let there = sim.serve("E2", "/cold", after(900)).expect("it is there");
    assert_eq!((there.status, there.outcome), (403, Error), "an invalidation of the one is none of the other");
}

#[test]
fn nobody_is_sent_to_staging_without_an_enabled_policy_and_distributions_that_answer() {
    let disabled = |id: &str, sim: &mut Sim| {
        let config = sim.distribution(id).expect("it is there").config().clone();
        sim.put_distribution(DistributionConfig { disabled: true, ..config }, start()).expect("it is valid");
    };
    let mut sim = with_staging(Traffic::default());
    let policy = sim.get_continuous_deployment_policy("p").expect("it is there");
    sim.put_continuous_deployment_policy(ContinuousDeploymentPolicy { enabled: false, ..policy });
    assert_eq!(sim.routed("E1", &SENT), "E1");
    for id in ["E1", "E2"] {
        let mut sim = with_staging(Traffic::default());
        disabled(id, &mut sim);
        assert_eq!(sim.routed("E1", &SENT), "E1");
        assert_eq!(sim.serve(id, "/hot", start()).expect_err("it answers nobody").code(), "DistributionDisabled");
    }
}

#[test]
fn a_share_of_the_viewers_is_sent_to_staging() {
    let sent = |percent| {
        let mut sim = with_staging(Traffic::Percent(percent));
        (0..1_000).filter(|_| sim.routed("E1", &[]) == "E2").count()
    };
    assert_eq!((sent(0), sent(100)), (0, 1_000));
    assert!((100..200).contains(&sent(15)), "{}", sent(15));
}
