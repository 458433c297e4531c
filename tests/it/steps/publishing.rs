//! The two ways to the same publish, and what they pay.

use std::collections::BTreeSet;

use serde_json::json;
use thaw_core::{FailureCode, PathRules, PublishedReason, State, Status, Tier};
use thaw_sim::cdn::{DistributionConfig, Origin};
use thaw_sim::model::{FaultRule, RetrievalRule, StorageClass};
use thaw_steps::ports::Ledger;
use thaw_steps::ports::RequestRestores;

use super::world::{BUCKET, World, ask, ask_with, sorted};

/// The keys that other tools get wrong, and their paths.
const KEYS: [(&str, &[&str]); 16] = [
    ("photos/2019/cat.jpg", &["/photos/2019/cat.jpg"]),
    ("a b.jpg", &["/a%20b.jpg", "/a+b.jpg"]),
    ("a+b.jpg", &["/a%2Bb.jpg"]),
    ("a%2Bb.jpg", &["/a%252Bb.jpg"]),
    ("c d+e f.jpg", &["/c%20d%2Be%20f.jpg", "/c+d%2Be+f.jpg"]),
    ("my dir/~tilde", &["/my%20dir/*", "/my+dir/*"]),
    ("\u{fc}/\u{f1}and\u{fa}.jpg", &["/%C3%BC/%C3%B1and%C3%BA.jpg"]),
    ("u\u{308}/n\u{303}andu\u{301}.jpg", &["/u%CC%88/n%CC%83andu%CC%81.jpg"]),
    ("100%.txt", &["/100%25.txt"]),
    ("q?x=1.html", &["/q%3Fx=1.html"]),
    ("#tag.txt", &["/%23tag.txt"]),
    ("it's (1).png", &["/it's%20(1).png", "/it's+(1).png"]),
    ("dir/page.html", &["/dir/page.html"]),
    ("ends-with-*", &["/ends-with-%2A"]),
    ("a*b", &["/a*b"]),
    ("deep/~tilde", &["/deep/*"]),
];

fn put_all(world: &World, prefix: &str) -> Vec<String> {
    let keys: Vec<_> = KEYS.iter().map(|(key, _)| format!("{prefix}{key}")).collect();
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    // Nothing that begins like two of them may be covered.
    for stays in ["", "a", "a ", "a+", "c ", "d", "it's", "my"] {
        world.put(&format!("{prefix}{stays}0"), StorageClass::DeepArchive);
    }
    keys
}

fn expected() -> Vec<String> {
    sorted(KEYS.iter().flat_map(|(_, paths)| *paths).map(|path| (*path).to_owned()).collect())
}

#[test]
fn every_key_is_invalidated_under_its_path_once() {
    let world = World::new();
    let keys = put_all(&world, "");
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    world.restore("r", ask(&keys));
    assert_eq!(sorted(world.invalidated()), expected());
}

#[test]
fn the_same_with_an_origin_path() {
    let world = World::new();
    world.aws.with(|sim, now| {
        let config = DistributionConfig {
            id: Some("E1THAW".to_owned()),
            origins: vec![Origin {
                id: "s3".to_owned(),
                bucket: BUCKET.to_owned(),
                origin_path: "/public".to_owned(),
                ..Origin::default()
            }],
            ..DistributionConfig::default()
        };
        sim.put_distribution(config, now).unwrap();
    });
    let mut keys = put_all(&world, "public/");
    world.put("private", StorageClass::Glacier);
    keys.push("private".to_owned());
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let (report, _) = world.restore("r", ask(&keys));
    assert_eq!(report.status, Status::Succeeded);
    assert_eq!(sorted(world.invalidated()), expected());
    assert!(matches!(world.row("private", "r").state, State::Published { how: PublishedReason::NoPath, .. }));
}

#[test]
fn a_wildcard_never_covers_an_archived_neighbour() {
    let world = World::new();
    world.put("~user/x", StorageClass::Glacier);
    world.put("neighbour", StorageClass::DeepArchive);
    let (report, _) = world.restore("r", ask(&["~user/x"]));
    assert!(world.invalidated().is_empty());
    assert_eq!(report.status, Status::Failed);
    let State::Failed { code, message, .. } = world.row("~user/x", "r").state else { panic!() };
    assert_eq!(code, FailureCode::PathCannotBeInvalidated);
    assert!(message.contains("neighbour"), "{message}");
}

/// Clients ask for `b` where they are told `a/../b`, and CloudFront may do so, too.
#[test]
fn a_path_with_dot_segments_is_left_alone_where_an_archived_object_has_the_other_path() {
    let restored = |beside: Option<&str>| {
        let world = World::new();
        world.put("a/../b", StorageClass::Glacier);
        beside.into_iter().for_each(|key| world.put(key, StorageClass::Glacier));
        let (report, _) = world.restore("r", ask(&["a/../b"]));
        (report.counts.published, report.says, world.invalidated())
    };
    let (published, _, invalidated) = restored(None);
    assert_eq!((published, invalidated), (1, vec!["/a/../b".to_owned()]));
    let (published, says, invalidated) = restored(Some("b"));
    assert_eq!((published, invalidated), (0, vec![]));
    assert!(says.contains("the archived object b, which would then answer 403"), "{says}");
}

/// `/x+*` is also how viewers get what begins with `x` and a blank.
#[test]
fn a_wildcard_over_a_plus_never_covers_an_archived_blank_and_the_other_way_round() {
    let restored = |keys: &[&str], archived: &str| {
        let world = World::new();
        keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
        world.put(archived, StorageClass::DeepArchive);
        let together = json!({"bucket": BUCKET, "keys": keys, "publish": {"when": "together"}});
        assert_eq!(world.restore("r", together).0.status, Status::Succeeded);
        sorted(world.invalidated())
    };
    assert_eq!(restored(&["x+1", "x+2"], "x 9"), ["/x%2B*"]);
    assert_eq!(restored(&["x 1", "x 2"], "x+9"), ["/x%20*", "/x+*"]);
    assert_eq!(restored(&["x 1", "x 2"], "x 9"), ["/x%201", "/x%202", "/x+1", "/x+2"]);
    assert_eq!(restored(&["x 1", "x 2"], "y"), ["/x*"]);
}

#[test]
fn a_directorys_path_is_left_alone_where_an_archived_object_has_its_name() {
    let mut world = World::new();
    world.settings.path_rules = PathRules::of_index("index.html");
    for key in ["plain/index.html", "plain/other", "plains", "taken/index.html", "taken/other", "taken"] {
        world.put(key, StorageClass::Glacier);
    }
    world.restore("r", ask(&["plain/index.html", "taken/index.html"]));
    let paths = ["/plain", "/plain/", "/plain/index.html", "/taken/", "/taken/index.html"];
    assert_eq!(sorted(world.invalidated()), paths);
}

#[test]
fn without_events_the_execution_publishes_everything() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let (report, _) = world.restore("r", ask(&["a"]));
    assert_eq!(report.status, Status::Succeeded);
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn an_event_publishes_at_once_and_the_execution_finds_it_done() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let wait = world.begin("r", ask(&["a"]));
    world.pass(5 * 3600);
    world.deliver(1);
    assert_eq!(world.invalidated(), ["/a"]);
    world.finish("r", wait.saturating_sub(5 * 3600));
    assert_eq!(world.invalidated(), ["/a"]);
    assert_eq!(world.published_keys(), ["a".to_owned()].into());
}

#[test]
fn that_an_object_can_be_read_is_written_down_with_the_claim_and_then_its_row_is_left_alone() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let wait = world.begin("r", ask(&["a"]));
    let before = world.row("a", "r").revision;
    world.pass(5 * 3600);
    world.deliver(1);
    let row = world.row("a", "r");
    assert!(matches!(row.state, State::Restored { claim: Some(_), .. }), "{row:?}");
    assert_eq!(row.revision, before + 1);
    world.finish("r", wait.saturating_sub(5 * 3600));
    let row = world.row("a", "r");
    assert!(matches!(row.state, State::Published { how: PublishedReason::Invalidated { .. }, .. }), "{row:?}");
    assert_eq!(row.revision, before + 1, "its batch says it");
}

#[test]
fn what_an_event_said_is_written_down_also_when_cloudfront_is_in_trouble() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask(&["a"]));
    world.pass(5 * 3600);
    world.aws.with(|sim, _| sim.set_faults(vec![FaultRule::new("ListDistributions", "ServiceUnavailable")]));
    let (completed, _) = world.deliver(1);
    assert_eq!(completed.batch_item_failures.len(), 1, "it comes again");
    assert!(matches!(world.row("a", "r").state, State::Restored { claim: None, .. }));
}

#[test]
fn every_event_three_times_invalidates_nothing_twice() {
    let world = World::new();
    let keys = put_all(&world, "");
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let wait = world.begin("r", ask(&keys));
    world.pass(4 * 3600);
    world.deliver(3);
    world.pass(3600);
    let (completed, initiated) = world.deliver(3);
    assert!(completed.batch_item_failures.is_empty() && initiated.batch_item_failures.is_empty());
    world.finish("r", wait.saturating_sub(5 * 3600));
    assert_eq!(sorted(world.invalidated()), expected());
    assert!(world.executions.started().is_empty(), "our own restores are not foreign");
}

#[test]
fn a_completion_that_comes_before_our_own_note_is_not_lost() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.plan("r", ask(&["a"])).unwrap();
    // S3 is asked by the Lambda that wrote the row, and died before it could note the answer.
    world.run(world.ledger.insert(&world.row("a", "r"))).unwrap();
    world.aws.with(|sim, now| {
        let request = thaw_sim::model::RestoreRequest::new(BUCKET, "a", Some(3), None);
        sim.restore_object(&request, now).unwrap();
    });
    world.pass(5 * 3600);
    world.deliver(1);
    assert_eq!(world.invalidated(), ["/a"]);
    world.start_restores("r", 0).unwrap();
    assert_eq!(world.calls("a").calls, 1, "what is restored is not asked for again");
}

#[test]
fn restores_of_the_same_object_pay_its_path_once_and_advance_together() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let first = world.begin("one", ask(&["a"]));
    let second = world.begin("two", ask(&["a"]));
    assert_eq!(first, second);
    world.finish("one", first);
    let (report, _) = world.finish("two", 0);
    assert_eq!(report.status, Status::Succeeded);
    // A third one comes while the copy is live and clean.
    let (report, _) = world.restore("three", ask(&["a"]));
    assert_eq!(report.status, Status::Succeeded);
    assert_eq!(world.invalidated(), ["/a"]);
    assert!(matches!(world.row("a", "three").state, State::Published { how: PublishedReason::AlreadyPublished, .. }));
}

#[test]
fn the_next_copy_is_invalidated_again() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.restore("one", ask_with(&["a"], json!({"days": 1})));
    assert_eq!(world.view("/a"), 200);
    world.pass(6 * 86_400);
    assert_eq!(world.view("/a"), 403, "the copy is gone, and so is what the edge had");
    let (report, _) = world.restore("two", ask_with(&["a"], json!({"days": 1})));
    assert_eq!(report.status, Status::Succeeded);
    assert_eq!(world.invalidated(), ["/a", "/a"]);
    assert_eq!(world.view("/a"), 200);
}

#[test]
fn together_waits_for_the_last_object() {
    let world = World::new();
    world.put("quick", StorageClass::Glacier);
    world.put("slow", StorageClass::DeepArchive);
    world.put("stays", StorageClass::DeepArchive);
    let begun = world.now();
    let wait = world.begin("r", ask_with(&["quick", "slow"], json!({"publish": {"when": "together"}})));
    world.pass(5 * 3600);
    world.deliver(1);
    assert!(world.invalidated().is_empty(), "the quick one waits");
    world.finish("r", wait.saturating_sub(5 * 3600));
    assert_eq!(world.invalidated(), ["/quick", "/slow"]);
    let took = (world.now() - begun).get_seconds();
    assert!(took < 13 * 3600, "{took} seconds: the look that finds the slow one publishes both");
    let one_batch = world.aws.with(|sim, _| sim.distribution("E1THAW").unwrap().invalidations().len());
    assert_eq!(one_batch, 1);
}

/// By event or by look: what the rows in the ledger say, where the objects stand, and how many items have their news.
fn written(world: &World) -> (Vec<&'static str>, Vec<&'static str>, usize) {
    let rows = world.rows().iter().map(|row| row.state.as_str()).collect();
    let readiness = world.ledger.items().iter().filter(|(key, _)| key.sk.starts_with("news#")).count();
    (rows, world.objects("r").iter().map(|row| row.state.as_str()).collect(), readiness)
}

#[test]
fn of_what_can_be_read_a_row_is_written_when_something_comes_of_it() {
    let waits = (vec!["planned"; 3], vec!["restored", "restored", "restoring"], 1);
    for by_event in [true, false] {
        let world = World::new();
        let more = json!({"publish": {"when": "together"}});
        world.put("a", StorageClass::Glacier);
        world.put("b", StorageClass::Glacier);
        world.put("slow", StorageClass::DeepArchive);
        let wait = world.begin("r", ask_with(&["a", "b", "slow"], more));
        world.pass(6 * 3600);
        if by_event {
            world.deliver(1);
        } else {
            world.check_restores("r").unwrap();
        }
        assert_eq!(written(&world), waits, "by event: {by_event}");
        // What is known is not told again.
        world.check_restores("r").unwrap();
        assert_eq!(written(&world), waits, "by event: {by_event}");
        world.finish("r", wait);
        let (rows, objects, _) = written(&world);
        assert_eq!((rows, objects), (vec!["published"; 3], vec!["published"; 3]));
        assert_eq!(world.invalidated(), ["/*"]);
    }
}

#[test]
fn what_waits_is_cancelled_also_if_only_news_say_that_it_can_be_read() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.put("slow", StorageClass::DeepArchive);
    world.begin("r", ask_with(&["a", "slow"], json!({"publish": {"when": "together"}})));
    world.pass(6 * 3600);
    world.deliver(1);
    world.cancel("r");
    assert_eq!(written(&world), (vec!["cancelled"; 2], vec!["cancelled"; 2], 1));
    assert!(world.invalidated().is_empty());
}

#[test]
fn what_is_never_published_is_written_into_its_row() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.begin("r", ask_with(&["a"], json!({"publish": {"when": "never"}})));
    world.pass(6 * 3600);
    world.check_restores("r").unwrap();
    assert_eq!(written(&world), (vec!["restored"], vec!["restored"], 0));
}

#[test]
fn two_restores_that_find_out_at_once_pay_an_objects_path_once() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    world.put("cold", StorageClass::Glacier);
    // Both wait with nothing but news; the third was cancelled before its object came, and wants nothing.
    for restore in ["one", "two", "gone"] {
        world.begin(restore, ask_with(&["a", "cold"], json!({"publish": {"when": "together"}})));
    }
    let gone = world.record("gone");
    let ended = gone.with(|record| record.status = Status::Cancelled);
    world.run(world.ledger.replace(&ended)).unwrap();
    world.pass(6 * 3600);
    for restore in ["one", "two"] {
        world.check_restores(restore).unwrap();
    }
    let words = |restore| world.objects(restore).iter().map(|row| row.state.as_str()).collect::<Vec<_>>();
    world.invalidate("two").unwrap();
    let ledger = world.rows();
    let claims = ledger.iter().filter_map(|row| Some((row.restore.as_str(), row.state.claim()?)));
    let claimed: BTreeSet<&str> = claims.map(|(restore, _)| restore).collect();
    assert_eq!(claimed, BTreeSet::from(["one", "two"]), "one batch has the rows of both");
    world.invalidate("one").unwrap();
    assert_eq!(world.invalidated(), ["/*"]);
    world.pass(60);
    for restore in ["one", "two"] {
        world.check_invalidations(restore).unwrap();
        assert_eq!(words(restore), ["published"; 2]);
    }
    assert_eq!(words("gone"), ["restoring"; 2], "nobody claims what nobody wants");
}

#[test]
fn a_copy_that_expired_while_it_waited_is_archived_again_and_not_invalidated() {
    let world = World::new();
    world.put("quick", StorageClass::Glacier);
    world.put("slow", StorageClass::DeepArchive);
    let more = json!({"tier": "Bulk", "days": 1, "publish": {"when": "together"}});
    let wait = world.begin("r", ask_with(&["quick", "slow"], more));
    world.pass(12 * 3600);
    world.deliver(1);
    let State::Restored { expires: Some(expires), .. } = world.row("quick", "r").state else { panic!() };
    world.pass(u64::try_from((expires - world.now()).get_seconds()).unwrap() + 1);
    let (report, _) = world.finish("r", wait);
    assert_eq!(world.invalidated(), ["/slow"]);
    assert!(report.says.contains("quick: its copy expired before it was published"), "{}", report.says);
}

#[test]
fn a_copy_that_others_shortened_is_published_before_it_expires() {
    let world = World::new();
    world.put("quick", StorageClass::Glacier);
    world.put("slow", StorageClass::DeepArchive);
    let never = RetrievalRule { key: "slow".to_owned(), seconds: 9 * 86_400 };
    world.aws.with(|sim, _| sim.set_retrieval_rules(vec![never]));
    let more = json!({"tier": "Bulk", "days": 5, "publish": {"when": "together"}});
    let wait = world.begin("r", ask_with(&["quick", "slow"], more));
    world.pass(12 * 3600);
    world.deliver(1);
    assert!(matches!(world.row("quick", "r").state, State::Restored { .. }));
    // Another tool wants it for a day, and S3 counts the days anew.
    let quick = world.row("quick", "r").object;
    world.run(world.aws.restore(&quick, Some(1), Tier::Bulk)).unwrap();
    let (report, _) = world.finish("r", wait);
    assert_eq!(world.invalidated(), ["/quick"]);
    assert_eq!((report.counts.published, report.counts.failed), (1, 1), "{}", report.says);
}

#[test]
fn while_one_is_published_early_those_that_wait_are_not_asked_about_all_the_time() {
    let world = World::new();
    ["quick", "other"].iter().for_each(|key| world.put(key, StorageClass::Glacier));
    world.put("slow", StorageClass::DeepArchive);
    let never = RetrievalRule { key: "slow".to_owned(), seconds: 9 * 86_400 };
    world.aws.with(|sim, _| sim.set_retrieval_rules(vec![never]));
    let more = json!({"tier": "Bulk", "days": 5, "publish": {"when": "together"}});
    world.begin("r", ask_with(&["quick", "other", "slow"], more));
    world.pass(12 * 3_600);
    world.deliver(2);
    let quick = world.row("quick", "r").object;
    world.run(world.aws.restore(&quick, Some(1), Tier::Bulk)).unwrap();
    let mut looked = world.check_restores("r").unwrap();
    while !looked.anything_to_invalidate {
        world.pass(looked.wait_seconds.max(60));
        looked = world.check_restores("r").unwrap();
    }
    world.invalidate("r").unwrap();
    world.pass(60);
    let checked = world.check_invalidations("r").unwrap();
    assert_eq!((world.invalidated(), checked.all_published), (vec!["/quick".to_owned()], false));
    assert!(checked.wait_seconds >= 3_600, "{} seconds", checked.wait_seconds);
}

#[test]
fn only_if_stale_pays_nothing_where_nothing_can_be_stale() {
    let world = World::new();
    world.aws.with(|sim, now| {
        let config = DistributionConfig {
            id: Some("E1THAW".to_owned()),
            origins: vec![Origin { id: "s3".to_owned(), bucket: BUCKET.to_owned(), ..Origin::default() }],
            ..DistributionConfig::default()
        };
        sim.put_distribution(config, now).unwrap();
    });
    world.put("a", StorageClass::Glacier);
    let (report, _) = world.restore("r", ask_with(&["a"], json!({"publish": {"only_if_stale": true}})));
    assert_eq!(report.status, Status::Succeeded);
    assert!(world.invalidated().is_empty());
    assert!(matches!(world.row("a", "r").state, State::Published { how: PublishedReason::NothingStale, .. }));
}

#[test]
fn the_three_ways_in_which_cloudfront_says_later_are_obeyed() {
    for (code, name) in [
        ("Throttling", "Throttled"),
        ("TooManyInvalidationsInProgress", "TooManyInvalidationsInProgress"),
        ("ServiceUnavailable", "Unavailable"),
    ] {
        let world = World::new();
        world.put("a", StorageClass::Glacier);
        let wait = world.begin("r", ask(&["a"]));
        world.pass(wait.max(5 * 3600));
        world.check_restores("r").unwrap();
        world.aws.with(|sim, _| sim.set_faults(vec![FaultRule::new("CreateInvalidation", code).times(1)]));
        assert_eq!(world.invalidate("r").unwrap_err().name(), name);
        let (report, _) = world.finish("r", 0);
        assert_eq!(report.status, Status::Succeeded);
        assert_eq!(world.invalidated(), ["/a"]);
    }
}

#[test]
fn an_answer_that_got_lost_is_not_paid_twice() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let wait = world.begin("r", ask(&["a"]));
    world.pass(wait.max(5 * 3600));
    world.check_restores("r").unwrap();
    // CloudFront took the call, and nobody heard it say so.
    world.aws.with(|sim, _| {
        sim.set_faults(vec![FaultRule::new("CreateInvalidation", "ServiceUnavailable").times(1).after()]);
    });
    assert!(world.invalidate("r").is_err());
    world.finish("r", 0);
    assert_eq!(world.invalidated(), ["/a"]);
}

#[test]
fn one_refused_path_does_not_stop_the_others() {
    let world = World::new();
    let keys = ["bad", "good", "fine"];
    keys.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    let wait = world.begin("r", ask(&keys));
    let refuse = FaultRule { status: Some(400), ..FaultRule::new("CreateInvalidation", "InvalidArgument").on("/bad") };
    world.aws.with(|sim, _| sim.set_faults(vec![refuse]));
    let (report, _) = world.finish("r", wait);
    assert_eq!((report.counts.published, report.counts.failed), (2, 1));
    let State::Failed { code, .. } = world.row("bad", "r").state else { panic!() };
    assert_eq!(code, FailureCode::RefusedByCloudFront);
    assert_eq!(sorted(world.invalidated()), ["/fine", "/good"]);
}

/// Whether CloudFront takes the dots out of a path is not documented.
#[test]
fn an_object_that_shares_a_path_with_one_that_was_archived_while_cloudfront_would_not_listen_is_left_alone() {
    for (archived, status, says) in [
        (None, Status::Succeeded, ""),
        (Some("a/b"), Status::Failed, "the archived object a/b, which would then answer 403"),
        (Some("a/c"), Status::Succeeded, ""),
    ] {
        let world = World::new();
        world.put("a/x/../b", StorageClass::Glacier);
        let wait = world.begin("r", ask(&["a/x/../b"]));
        world.pass(wait.max(5 * 3600));
        world.check_restores("r").unwrap();
        let busy = FaultRule::new("CreateInvalidation", "ServiceUnavailable").times(1);
        world.aws.with(|sim, _| sim.set_faults(vec![busy]));
        assert!(world.invalidate("r").is_err());
        archived.iter().for_each(|key| world.put(key, StorageClass::Glacier));
        world.pass(600);
        let (report, _) = world.finish("r", 0);
        assert_eq!(report.status, status, "{archived:?}: {}", report.says);
        assert!(report.says.contains(says), "{}", report.says);
        assert_eq!(world.invalidated().is_empty(), status == Status::Failed);
    }
}
