//! Objects of every kind, at every tier.

use serde_json::json;
use thaw_core::{ArchiveKind, FailureCode, PublishedReason, State, Status, Tier};
use thaw_sim::model::{AccessTier, StorageClass};

use super::world::{World, ask, ask_with};

fn everything(world: &World) -> Vec<&'static str> {
    world.put("flexible", StorageClass::Glacier);
    world.put("deep", StorageClass::DeepArchive);
    world.put_in_tier("it_archive", AccessTier::ArchiveAccess);
    world.put_in_tier("it_deep", AccessTier::DeepArchiveAccess);
    world.put("instant", StorageClass::GlacierIr);
    world.put("standard", StorageClass::Standard);
    vec!["flexible", "deep", "it_archive", "it_deep", "instant", "standard", "missing"]
}

#[test]
fn a_restore_of_every_kind_publishes_what_can_be_published_and_says_what_cannot() {
    let world = World::new();
    let keys = everything(&world);
    assert_eq!(world.view("/flexible"), 403, "this is what a viewer gets today");
    let (report, _) = world.restore("r", ask(&keys));
    assert_eq!(report.status, Status::PartlyFailed);
    assert_eq!((report.counts.published, report.counts.available, report.counts.failed), (4, 2, 1));
    assert!(report.says.contains("missing: there is no object with this key"), "{}", report.says);
    assert_eq!(world.view("/flexible"), 200);
    let mut paths = world.invalidated();
    paths.sort();
    assert_eq!(paths, ["/deep", "/flexible", "/it_archive", "/it_deep"]);
}

#[test]
fn each_object_takes_as_long_as_its_kind_and_tier_and_not_much_longer() {
    for kind in ArchiveKind::ALL {
        for tier in Tier::ALL {
            let Some(window) = kind.window(tier) else { continue };
            let world = World::new();
            everything(&world);
            let begun = world.now();
            let (report, walk) = world.restore("r", ask_with(&[kind.as_str()], json!({"tier": tier})));
            assert_eq!(report.status, Status::Succeeded, "{kind:?} {tier:?}");
            let took = u64::try_from((world.now() - begun).get_seconds()).unwrap();
            // A look after a third of the elapsed time, and the edges.
            let most = window.typical.as_secs() * 4 / 3 + 120;
            assert!(window.earliest.as_secs() <= took && took <= most, "{kind:?} {tier:?} took {took}");
            assert!(walk.looks <= 12, "{kind:?} {tier:?}: {} looks", walk.looks);
        }
    }
}

#[test]
fn expedited_is_refused_per_object_where_s3_does_not_offer_it() {
    let world = World::new();
    let keys = everything(&world);
    let (report, _) = world.restore("r", ask_with(&keys[..4], json!({"tier": "Expedited"})));
    assert_eq!((report.counts.published, report.counts.failed), (2, 2));
    for key in ["deep", "it_deep"] {
        let State::Failed { code, message, .. } = world.row(key, "r").state else { panic!("{key}") };
        assert_eq!(code, FailureCode::TierNotOffered);
        assert!(message.contains("it offers Bulk and Standard"), "{message}");
        assert_eq!(world.calls(key).calls, 0, "nothing was asked of S3");
    }
}

#[test]
fn days_are_never_sent_for_intelligent_tiering_and_refused_if_they_can_mean_nothing() {
    let world = World::new();
    everything(&world);
    // The simulated S3 refuses Days for Intelligent-Tiering, as AWS does, so that these are published shows it.
    let (report, _) = world.restore("mixed", ask_with(&["flexible", "it_archive"], json!({"days": 9})));
    assert_eq!(report.status, Status::Succeeded);
    let error = world.plan("only-it", ask_with(&["it_deep"], json!({"days": 9}))).unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    assert!(error.to_string().starts_with("days: "), "{error}");
    assert!(world.plan("only-it-default", ask(&["it_deep"])).is_ok());
}

#[test]
fn a_live_copy_is_kept_longer_and_published_at_once() {
    let world = World::new();
    everything(&world);
    world.restore("first", ask_with(&["flexible"], json!({"publish": {"when": "never"}})));
    let wait = world.begin("second", ask_with(&["flexible"], json!({"days": 20})));
    assert_eq!(wait, 0, "nothing to wait for");
    world.finish("second", wait);
    assert_eq!(world.calls("flexible").extended, 1);
    let State::Published { expires, .. } = world.row("flexible", "second").state else { panic!() };
    assert!(expires.unwrap() > world.now() + jiff::SignedDuration::from_hours(24 * 19));
}

#[test]
fn a_copy_that_lives_long_enough_is_left_as_it_is() {
    let world = World::new();
    everything(&world);
    world.restore("first", ask_with(&["flexible"], json!({"days": 20, "publish": {"when": "never"}})));
    let (report, _) = world.restore("second", ask_with(&["flexible"], json!({"days": 1})));
    assert_eq!((report.counts.published, world.calls("flexible").extended), (1, 0));
    let expires = |restore: &str| match world.row("flexible", restore).state {
        State::Restored { expires, .. } | State::Published { expires, .. } => expires.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(expires("second"), expires("first"));
    assert!(expires("first") > world.now() + jiff::SignedDuration::from_hours(24 * 19));
}

#[test]
fn a_price_over_the_limit_is_refused_before_anything_is_spent() {
    let world = World::new();
    let keys = everything(&world);
    let error = world.plan("r", ask_with(&keys[..4], json!({"tier": "Standard", "max_cost_usd": 0.001}))).unwrap_err();
    assert_eq!(error.name(), "InvalidRequest");
    assert!(error.to_string().contains("Nothing was spent"), "{error}");
    assert!(keys.iter().all(|key| world.calls(key).calls == 0));
    assert!(world.rows().is_empty());
}

#[test]
fn an_old_version_is_restored_but_the_path_of_the_current_one_left_alone() {
    let world = World::new();
    world.aws.with(|sim, now| {
        sim.create_bucket("versioned", true);
        let put =
            |body: &str| thaw_sim::model::PutRequest::new("versioned", "a", StorageClass::Glacier, body.to_owned());
        sim.put_object(put("old"), now).unwrap();
        sim.put_object(put("new"), now).unwrap();
    });
    let version = world.aws.with(|sim, now| {
        let versions = sim.list_versions("versioned", "", None, now).unwrap().versions;
        versions.into_iter().find(|version| !version.latest).unwrap().version
    });
    let mut world = world;
    world.settings.archive_buckets.push("versioned".to_owned());
    let (report, _) = world.restore("r", json!({"bucket": "versioned", "keys": [{"key": "a", "version_id": version}]}));
    assert_eq!(report.status, Status::Succeeded);
    assert!(world.invalidated().is_empty());
    assert!(matches!(&world.rows()[0].state, State::Published { how: PublishedReason::NotCurrent, .. }));
}

#[test]
fn a_key_and_its_current_version_by_name_are_one_object() {
    let mut world = World::new();
    let version = world.aws.with(|sim, now| {
        sim.create_bucket("versioned", true);
        let put = thaw_sim::model::PutRequest::new("versioned", "a", StorageClass::Glacier, "body".to_owned());
        sim.put_object(put, now).unwrap().version.unwrap()
    });
    world.settings.archive_buckets.push("versioned".to_owned());
    let keys = json!(["a", {"key": "a", "version_id": version}]);
    let (report, _) = world.restore("r", json!({"bucket": "versioned", "keys": keys}));
    assert_eq!((report.counts.total, report.status), (1, Status::Succeeded));
}

#[test]
fn a_restore_without_publishing_ends_when_the_objects_can_be_read() {
    let world = World::new();
    everything(&world);
    let (report, _) = world.restore("r", ask_with(&["flexible"], json!({"publish": {"when": "never"}})));
    assert_eq!((report.status, report.counts.restored), (Status::Succeeded, 1));
    assert!(world.invalidated().is_empty());
}
