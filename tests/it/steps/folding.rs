//! What wildcards stand for folders: as few as can be, and over nothing that is archived.

use serde_json::json;
use thaw_core::{State, Status};
use thaw_sim::cdn::{Behavior, DistributionConfig, Origin};
use thaw_sim::model::{FaultRule, ObjectRef, PutRequest, SettingsChange, StorageClass};

use super::world::{BUCKET, World, ask_with, sorted};

/// So many keys in each of so many folders, all archived.
pub fn put_folders(world: &World, folders: usize, keys: usize) -> Vec<String> {
    let key = |n: usize| format!("f{:03}/{:04}.jpg", n / keys, n % keys);
    let all: Vec<String> = (0..folders * keys).map(key).collect();
    all.iter().for_each(|key| world.put(key, StorageClass::Glacier));
    all
}

fn keys(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

pub fn together(all: &[String]) -> serde_json::Value {
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
pub fn distribute(world: &World, behaviors: Vec<Behavior>) {
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
