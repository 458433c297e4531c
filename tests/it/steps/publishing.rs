//! The two ways to the same publish, and what they pay.

use std::collections::BTreeSet;

use serde_json::json;
use thaw_core::{FailureCode, PathRules, PublishedReason, State, Status, Tier};
use thaw_sim::cdn::{Behavior, DistributionConfig, Origin};
use thaw_sim::model::{FaultRule, ObjectRef, PutRequest, RetrievalRule, SettingsChange, StorageClass};
use thaw_steps::ports::Ledger;
use thaw_steps::ports::RequestRestores;

use super::world::{BUCKET, World, ask, ask_with};

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

fn sorted(mut paths: Vec<String>) -> Vec<String> {
    paths.sort();
    paths
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

/// Such a file lies beside a document that Word has open. Only `/*` invalidates it.
#[test]
fn a_wildcard_for_a_tilde_covers_no_more_readable_neighbours_than_max_over_allows() {
    let restored = |asked: &[&str], max_over: u32| {
        let world = World::new();
        asked.iter().for_each(|key| world.put(key, StorageClass::Glacier));
        ["a", "b/c", "b/d"].iter().for_each(|key| world.put(key, StorageClass::Standard));
        let publish = json!({"when": "together", "max_over": max_over});
        let (report, _) = world.restore("r", json!({"bucket": BUCKET, "keys": asked, "publish": publish}));
        let message = match world.row("~$report.docx", "r").state {
            State::Failed { code: FailureCode::PathCannotBeInvalidated, message, .. } => message,
            State::Published { .. } => String::new(),
            other => panic!("{other:?}"),
        };
        (report.counts.published, world.invalidated(), message)
    };
    let (published, invalidated, message) = restored(&["~$report.docx"], 2);
    assert_eq!((published, invalidated), (0, vec![]));
    assert!(message.contains("3 other objects that viewers can get, and publish.max_over is 2"), "{message}");
    assert_eq!(restored(&["~$report.docx"], 3), (1, vec!["/*".to_owned()], String::new()));
    // What the same restore brings is not somebody else's.
    assert_eq!(restored(&["~$report.docx", "report.docx"], 3), (2, vec!["/*".to_owned()], String::new()));
    assert_eq!(restored(&["~$report.docx", "report.docx"], 2).0, 1);
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

/// So many keys in each of so many folders, all archived.
fn put_folders(world: &World, folders: usize, keys: usize) -> Vec<String> {
    let key = |n: usize| format!("f{:03}/{:04}.jpg", n / keys, n % keys);
    let all: Vec<String> = (0..folders * keys).map(key).collect();
    all.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    all
}

fn keys(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

fn together(all: &[String]) -> serde_json::Value {
    ask_with(&keys(all), json!({"publish": {"when": "together"}}))
}

#[test]
fn what_waited_is_looked_at_again_by_listing_and_what_viewers_no_longer_get_is_left_alone() {
    for versioned in [true, false] {
        let mut world = World::new();
        world.aws.with(|sim, _| sim.create_bucket("photos", versioned));
        world.settings.archive_buckets.push("photos".to_owned());
        world.aws.with(|sim, now| {
            let origins = vec![Origin { id: "s3".to_owned(), bucket: "photos".to_owned(), ..Origin::default() }];
            let config = DistributionConfig { id: Some("E1THAW".to_owned()), origins, ..DistributionConfig::default() };
            sim.put_distribution(config, now).unwrap();
        });
        let put = |key: &str, class| {
            let put = PutRequest::new("photos", key, class, "body".to_owned());
            world.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
        };
        let all: Vec<String> = (0..40).map(|n| format!("f/{n:02}")).collect();
        all.iter().for_each(|key| put(key, StorageClass::Glacier));
        let request = json!({"bucket": "photos", "prefix": "f/", "publish": {"when": "together"}});
        let wait = world.begin("r", request);
        world.pass(wait.max(5 * 3_600));
        assert_eq!(world.check_restores("r").unwrap().counts.restored, 40);
        // It could not be published at once, and the world went on.
        world.pass(3_600);
        put("f/01", StorageClass::Standard);
        put("f/02", StorageClass::Glacier);
        let third = ObjectRef { bucket: "photos".to_owned(), key: "f/03".to_owned(), version: None };
        world.aws.with(|sim, now| sim.delete_object(&third, now)).unwrap();
        let heads = || world.aws.with(|sim, _| sim.calls("HeadObject"));
        let before = heads();
        world.invalidate("r").unwrap();
        let overwritten = if versioned { "NotCurrent" } else { "shown" };
        let gone = if versioned { ["NotCurrent"; 2] } else { ["NotBeingRestored", "NoSuchKey"] };
        let ended = ["f/00", "f/01", "f/02", "f/03"].map(|key| match world.row(key, "r").state {
            State::Published { how, .. } => format!("{how:?}"),
            State::Failed { code, .. } => format!("{code:?}"),
            State::Restored { claim: Some(_), .. } => "shown".to_owned(),
            other => panic!("{other:?}"),
        });
        assert_eq!(ended.each_ref().map(String::as_str), ["shown", overwritten, gone[0], gone[1]]);
        // A listing does not vouch for these.
        assert_eq!(heads() - before, if versioned { 3 } else { 2 });
        // Nothing over what is archived now.
        let begins = |path: &str| "/f/02".starts_with(path.trim_end_matches('*'));
        assert!(world.invalidated().len() >= 4 && !world.invalidated().iter().any(|path| begins(path)));
    }
}

/// The distribution, with behaviours besides the default one, and a Lambda at its edge or none.
fn distribute(world: &World, behaviors: Vec<Behavior>) {
    world.aws.with(|sim, now| {
        let archive = Origin { id: "s3".to_owned(), bucket: BUCKET.to_owned(), ..Origin::default() };
        let api = Origin { id: "api".to_owned(), bucket: "other".to_owned(), ..Origin::default() };
        let config = DistributionConfig {
            id: Some("E1THAW".to_owned()),
            origins: vec![archive, api],
            behaviors,
            ..DistributionConfig::default()
        };
        sim.create_bucket("other", false);
        sim.put_distribution(config, now).unwrap();
    });
}

/// The same, each folder beside an archived object that begins like it: wildcards stay inside their folders.
fn put_folders_apart(world: &World, folders: usize, keys: usize) -> Vec<String> {
    (0..folders).for_each(|folder| world.put(&format!("f{folder:03}"), StorageClass::DeepArchive));
    put_folders(world, folders, keys)
}

#[test]
fn two_thousand_keys_in_twenty_folders_are_published_for_twenty_paths_or_fewer() {
    let world = World::new();
    let all = put_folders_apart(&world, 20, 100);
    let halves = all.chunks(1_000).map(together).collect::<Vec<_>>();
    for (name, half) in ["one", "two"].iter().zip(halves) {
        let (report, _) = world.restore(name, half);
        assert_eq!(report.status, Status::Succeeded);
    }
    let invalidated = world.invalidated();
    assert!(invalidated.len() <= 20, "{invalidated:?}");
    assert!(all.iter().all(|key| world.view(&format!("/{key}")) == 200));
}

#[test]
fn twenty_thousand_keys_in_two_hundred_folders_are_published_for_two_hundred_paths_as_their_plan_says() {
    let world = World::new();
    // Fifteen at a time would take fourteen calls, each with a look at what is left of the twenty thousand.
    let quota = SettingsChange { wildcards_in_progress: Some(200), ..SettingsChange::default() };
    world.aws.with(|sim, _| sim.change_settings(&quota));
    let all = put_folders_apart(&world, 200, 100);
    let request = json!({"bucket": BUCKET, "prefix": "f", "include": ["**.jpg"], "publish": {"when": "together"}});
    let (report, _) = world.restore("r", request);
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 20_000));
    let plan = world.record("r").plan.unwrap();
    assert_eq!((plan.paths, plan.billed_paths), (20_000, 200));
    let line = plan.cost.lines.iter().find(|line| line.what == "invalidation").unwrap();
    assert_eq!(line.usd.as_f64(), 1.0, "{}", line.amount);
    assert!(line.amount.starts_with("200 billed ones for 20000 paths"), "{}", line.amount);
    assert_eq!(world.invalidated().len(), 200);
    assert!(all.iter().step_by(97).all(|key| world.view(&format!("/{key}")) == 200));
}

#[test]
fn a_plan_of_keys_is_priced_as_it_is_billed_in_a_hundred_small_buckets() {
    // Small numbers of keys that share beginnings, some of them asked for, the others archived or readable beside them.
    let mut drawn = 1_u64;
    let mut draw = |below: u64| {
        drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (drawn >> 33) % below
    };
    let mut folded = 0;
    for case in 0..100 {
        let world = World::new();
        let (mut asked, max_over) = (Vec::new(), draw(3));
        for number in 0..27 {
            let key = ["a/", "a/b/", "c"][number / 9].to_owned()
                + ["x", "xy", "z"][number / 3 % 3]
                + ["1", "2", " 3"][number % 3];
            match draw(6) {
                0 => world.put(&key, StorageClass::DeepArchive),
                1 => world.put(&key, StorageClass::Standard),
                2 => {}
                _ => {
                    world.put(&key, StorageClass::Glacier);
                    asked.push(key);
                }
            }
        }
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        world.restore("r", ask_with(&asked, json!({"publish": {"when": "together", "max_over": max_over}})));
        let (plan, billed) = (world.record("r").plan.unwrap(), world.invalidated().len() as u64);
        assert_eq!(plan.billed_paths, billed, "case {case}: {asked:?} are {:?}", world.invalidated());
        folded += u64::from(billed < plan.paths);
    }
    assert!(folded > 50, "wildcards in {folded} cases");
}

#[test]
fn a_plan_tells_what_publishing_together_would_save() {
    let world = World::new();
    put_folders_apart(&world, 3, 100);
    let plan = |name: &str, when: &str| {
        let body = json!({"bucket": BUCKET, "prefix": "f", "include": ["**.jpg"], "publish": {"when": when}});
        world.plan(name, body).unwrap();
        world.record(name).plan.unwrap()
    };
    let (each, together, never) = (plan("e", "each"), plan("t", "together"), plan("n", "never"));
    assert_eq!([&each, &together, &never].map(|plan| plan.billed_paths), [300, 3, 0]);
    let says = "with publish.when together, wildcards are expected to make them 3, for $1.49 less";
    assert!(each.warnings.iter().any(|warning| warning.ends_with(says)), "{:?}", each.warnings);
    assert!(together.warnings.iter().any(|warning| warning.ends_with("it is up to $1.49 more")));
    assert_eq!(never.warnings, [""; 0]);
}

#[test]
fn a_folders_own_object_is_one_of_its_neighbours() {
    let world = World::new();
    put_folders(&world, 1, 12);
    // As consoles make folders.
    world.put("f000/", StorageClass::Glacier);
    let request = json!({"bucket": BUCKET, "prefix": "f", "include": ["**.jpg"], "publish": {"when": "together"}});
    world.restore("r", request);
    assert_eq!(world.published_keys().len(), 12);
    let covers = |path: &str| path.strip_suffix('*').is_some_and(|stem| "/f000/".starts_with(stem));
    assert!(!world.invalidated().iter().any(|path| covers(path)), "{:?}", world.invalidated());
    assert_eq!(world.record("r").plan.unwrap().billed_paths, world.invalidated().len() as u64);
}

#[test]
fn a_wildcard_stands_for_a_folder_that_was_restored_as_a_whole() {
    let world = World::new();
    let all = put_folders(&world, 2, 3);
    world.put("g/archived", StorageClass::Glacier);
    world.restore("r", together(&all));
    assert_eq!(world.invalidated(), ["/f00*"]);
    assert_eq!(world.published_keys().len(), 6);
}

#[test]
fn a_wildcard_stops_before_an_archived_neighbour_also_when_it_may_cover_readable_ones() {
    let world = World::new();
    let all = put_folders(&world, 2, 3);
    world.put("f000/0001.jpg.old", StorageClass::DeepArchive);
    world.put("f001/cover.jpg", StorageClass::Standard);
    world.restore("r", together(&all));
    assert_eq!(sorted(world.invalidated()), ["/f000/0000.jpg", "/f000/0001.jpg", "/f000/0002.jpg", "/f001/000*"]);
}

#[test]
fn a_behaviour_that_goes_elsewhere_keeps_wildcards_out_of_its_way() {
    let world = World::new();
    let all = put_folders(&world, 2, 3);
    distribute(
        &world,
        vec![Behavior {
            path_pattern: "f000/api/*".to_owned(),
            target_origin_id: "api".to_owned(),
            ..Behavior::default()
        }],
    );
    world.restore("r", together(&all));
    assert_eq!(
        sorted(world.invalidated()),
        ["/f000/0000.jpg", "/f000/0001.jpg", "/f000/0002.jpg", "/f001/000*"],
        "what lies under /f000/api/ is not known, and /f001/ is a folder of its own"
    );
}

#[test]
fn a_refused_wildcard_is_asked_for_path_by_path() {
    let world = World::new();
    let all = put_folders(&world, 1, 3);
    let wait = world.begin("r", together(&all));
    let refuse =
        FaultRule { status: Some(400), ..FaultRule::new("CreateInvalidation", "InvalidArgument").on("/f000/000?") };
    world.aws.with(|sim, _| sim.set_faults(vec![refuse]));
    let (report, _) = world.finish("r", wait);
    assert_eq!(report.status, Status::Succeeded);
    assert_eq!(world.invalidated(), ["/f000/0000.jpg", "/f000/0001.jpg", "/f000/0002.jpg"]);
}

#[test]
fn a_neighbour_that_was_archived_while_cloudfront_would_not_listen_is_not_covered() {
    let world = World::new();
    let all = put_folders(&world, 1, 3);
    let wait = world.begin("r", together(&all));
    world.pass(wait.max(5 * 3600));
    world.check_restores("r").unwrap();
    world.aws.with(|sim, _| sim.set_faults(vec![FaultRule::new("CreateInvalidation", "ServiceUnavailable").times(1)]));
    assert!(world.invalidate("r").is_err());
    world.put("f000/0005.jpg", StorageClass::Glacier);
    world.pass(600);
    let (report, _) = world.finish("r", 0);
    assert_eq!(report.status, Status::Succeeded);
    assert_eq!(world.invalidated(), ["/f000/0000.jpg", "/f000/0001.jpg", "/f000/0002.jpg"]);
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

/// A distribution that shows photographs from another bucket, `other`.
fn with_photographs_elsewhere() -> World {
    let world = World::new();
    let (path_pattern, target_origin_id) = ("*.jpg".to_owned(), "api".to_owned());
    distribute(&world, vec![Behavior { path_pattern, target_origin_id, ..Behavior::default() }]);
    world
}

fn put_elsewhere(world: &World, key: &str) {
    let put = PutRequest::new("other", key, StorageClass::Glacier, "body".to_owned());
    world.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
}

#[test]
fn a_wildcard_for_a_tilde_never_covers_an_archived_object_of_another_bucket() {
    for (is_ours, elsewhere, says) in [
        (true, "t/y.jpg", None),
        (true, "t/x.jpg", Some("such as t/x.jpg in other")),
        (false, "t/y.jpg", Some("what other.s3.us-east-1.amazonaws.com shows")),
    ] {
        let mut world = with_photographs_elsewhere();
        world.settings.archive_buckets.extend(is_ours.then(|| "other".to_owned()));
        world.put("t/x~1", StorageClass::Glacier);
        put_elsewhere(&world, elsewhere);
        let (report, _) = world.restore("r", ask(&["t/x~1"]));
        match says {
            None => assert_eq!((report.status, world.invalidated()), (Status::Succeeded, vec!["/t/x*".to_owned()])),
            Some(says) => {
                assert_eq!((report.status, world.invalidated()), (Status::Failed, Vec::new()));
                assert!(report.says.contains(says), "{}", report.says);
            }
        }
    }
}

/// Restores `t/x~1` while CloudFront does not listen for ten minutes, in which something else happens. What comes of it.
fn restored_late(world: &World, meanwhile: impl FnOnce(&World)) -> (Status, String) {
    world.put("t/x~1", StorageClass::Glacier);
    let wait = world.begin("r", ask(&["t/x~1"]));
    world.pass(wait.max(5 * 3600));
    world.check_restores("r").unwrap();
    let fault = FaultRule::new("CreateInvalidation", "ServiceUnavailable").times(1);
    world.aws.with(|sim, _| sim.set_faults(vec![fault]));
    assert!(world.invalidate("r").is_err());
    meanwhile(world);
    world.pass(600);
    let (report, _) = world.finish("r", 0);
    (report.status, report.says)
}

#[test]
fn the_wildcard_for_a_tilde_is_given_up_when_something_beneath_it_was_archived_meanwhile() {
    let ours = |key: &'static str| move |world: &World| world.put(key, StorageClass::Glacier);
    let world = World::new();
    let (status, _) = restored_late(&world, ours("t/other"));
    assert_eq!((status, world.invalidated()), (Status::Succeeded, vec!["/t/x*".to_owned()]));
    let world = World::new();
    let (status, says) = restored_late(&world, ours("t/xylophone"));
    assert_eq!((status, world.invalidated()), (Status::Failed, Vec::new()));
    assert!(says.contains("such as t/xylophone, "), "{says}");
}

#[test]
fn what_another_bucket_shows_under_the_wildcard_for_a_tilde_is_looked_at_again_too() {
    for (elsewhere, status) in [("t/y.jpg", Status::Succeeded), ("t/x.jpg", Status::Failed)] {
        let mut world = with_photographs_elsewhere();
        world.settings.archive_buckets.push("other".to_owned());
        let (came, says) = restored_late(&world, |world| put_elsewhere(world, elsewhere));
        assert_eq!((came, world.invalidated().is_empty()), (status, status == Status::Failed));
        assert_eq!(says.contains("such as t/x.jpg in other"), status == Status::Failed, "{says}");
    }
}

#[test]
fn a_path_with_a_tilde_costs_nothing_under_a_wildcard() {
    let world = World::new();
    let mut all = put_folders(&world, 1, 3);
    all.push("f000/~4".to_owned());
    world.put("f000/~4", StorageClass::Glacier);
    world.restore("r", together(&all));
    assert_eq!(world.invalidated(), ["/f000/*"]);
    assert_eq!(world.published_keys().len(), 4);
}
