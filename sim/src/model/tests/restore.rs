use super::*;
use RetrievalTier::{Bulk, Expedited, Standard};

/// Restores a fresh object and says how it ends: the error, or the hours from first to last possible completion.
#[track_caller]
fn check(key: &str, days: Option<u32>, tier: RetrievalTier, expected: &str) {
    let mut sim = sim();
    assert_eq!(outcome(sim.restore_object(&request(key, days, tier), start())), expected, "{key} {days:?} {tier:?}");
}

#[test]
fn each_class_allows_its_tiers_and_no_others() {
    for tier in [Bulk, Standard, Expedited] {
        check("flexible", Some(3), tier, "202");
        check("it_archive", None, tier, "202");
        check("standard", Some(3), tier, "403 InvalidObjectState");
        check("standard_ia", Some(3), tier, "403 InvalidObjectState");
        check("instant", Some(3), tier, "403 InvalidObjectState");
        check("it_frequent", None, tier, "403 ObjectAlreadyInActiveTierError");
        check("missing", Some(3), tier, "404 NoSuchKey");
    }
    for tier in [Bulk, Standard] {
        check("deep", Some(3), tier, "202");
        check("it_deep", None, tier, "202");
    }
    check("deep", Some(3), Expedited, "400 InvalidArgument");
    check("it_deep", None, Expedited, "400 InvalidArgument");
}

#[test]
fn days_are_needed_for_a_copy_and_refused_without_one() {
    check("flexible", None, Standard, "400 MalformedXML");
    check("deep", None, Standard, "400 MalformedXML");
    check("flexible", Some(0), Standard, "400 MalformedXML");
    check("it_archive", Some(3), Standard, "400 InvalidArgument");
    check("it_deep", Some(3), Standard, "400 InvalidArgument");
}

#[test]
fn a_retrieval_takes_as_long_as_its_class_and_tier_say() {
    let kinds = [
        ("flexible", ArchiveKind::Flexible, Some(1)),
        ("deep", ArchiveKind::Deep, Some(1)),
        ("it_archive", ArchiveKind::ItArchive, None),
        ("it_deep", ArchiveKind::ItDeep, None),
    ];
    for (key, kind, days) in kinds {
        for tier in [Bulk, Standard, Expedited] {
            let Some((low, high)) = retrieval_window(kind, tier) else { continue };
            let mut sim = sim();
            sim.restore_object(&request(key, days, tier), start()).expect("the tier is offered");
            let RestoreState::Ongoing { ready_at } = head(&sim, key, start()).restore else { panic!("it has begun") };
            let seconds = ready_at.duration_since(start()).as_secs();
            assert!((low..=high).contains(&seconds), "{key} {tier:?}: {seconds} s");
            assert!(!head(&sim, key, ready_at - SignedDuration::from_secs(1)).readable);
            assert!(head(&sim, key, ready_at).readable);
        }
    }
}

#[test]
fn the_same_object_takes_the_same_time_and_another_seed_another() {
    let ready = |seed| {
        let mut sim = Sim::new(Settings { seed, ..Settings::default() });
        sim.create_bucket("b", false);
        sim.put_object(PutRequest::new("b", "k", StorageClass::Glacier, ""), start()).expect("the bucket is there");
        sim.restore_object(&request("k", Some(1), Standard), start()).expect("it is archived");
        head(&sim, "k", start()).restore
    };
    assert_eq!(ready(1), ready(1));
    assert_ne!(ready(1), ready(2));
}

#[test]
fn a_copy_ends_at_the_midnight_after_its_days() {
    // The example of the S3 User Guide.
    assert_eq!(next_midnight(at("2012-10-15T10:30:00Z"), 3), at("2012-10-19T00:00:00Z"));
    assert_eq!(next_midnight(at("2012-10-15T00:00:00Z"), 3), at("2012-10-18T00:00:00Z"));
    assert_eq!(next_midnight(at("2012-10-15T23:59:59Z"), 1), at("2012-10-17T00:00:00Z"));
    assert_eq!(next_midnight(at("2012-10-15T23:59:59Z"), u32::MAX), Timestamp::MAX);
}

#[test]
fn a_copy_is_readable_until_it_ends_and_the_class_stays() {
    let mut sim = sim();
    sim.restore_object(&request("flexible", Some(3), Standard), start()).expect("it is archived");
    let later = start() + hours(5);
    let expires = at("2026-03-06T00:00:00Z");
    let restored = sim.get_object(&ObjectRef::new("b", "flexible"), later).expect("a copy is live");
    assert_eq!((restored.class, restored.restore), (StorageClass::Glacier, RestoreState::Copy { expires }));
    let api_error = sim.get_object(&ObjectRef::new("b", "flexible"), expires).expect_err("the copy is gone");
    assert_eq!((api_error.code(), api_error.storage_class()), ("InvalidObjectState", Some(StorageClass::Glacier)));
    assert_eq!(outcome(sim.restore_object(&request("flexible", Some(1), Standard), expires)), "202");
}

#[test]
fn a_running_restore_can_only_be_made_faster() {
    let mut sim = sim();
    let mut again = |days, tier| outcome(sim.restore_object(&request("flexible", Some(days), tier), start()));
    assert_eq!(again(3, Bulk), "202");
    assert_eq!(again(3, Bulk), "409 RestoreAlreadyInProgress");
    assert_eq!(again(4, Standard), "409 RestoreAlreadyInProgress");
    assert_eq!(again(3, Standard), "202");
    assert_eq!(again(3, Bulk), "409 RestoreAlreadyInProgress");
    assert_eq!(again(3, Expedited), "202");
    let calls = sim.restore_calls(&ObjectRef::new("b", "flexible"));
    assert_eq!(calls, RestoreCalls { calls: 6, started: 1, upgraded: 2, extended: 0 });
    assert!(head(&sim, "flexible", start() + SignedDuration::from_mins(5)).readable);
}

#[test]
fn a_live_copy_is_extended_from_now() {
    let mut sim = sim();
    sim.restore_object(&request("deep", Some(1), Standard), start()).expect("it is archived");
    let later = start() + hours(13);
    assert_eq!(outcome(sim.restore_object(&request("deep", Some(7), Bulk), later)), "200");
    let expires = at("2026-03-11T00:00:00Z");
    assert_eq!(head(&sim, "deep", later).restore, RestoreState::Copy { expires });
}

#[test]
fn intelligent_tiering_comes_back_for_good() {
    let mut sim = sim();
    assert_eq!(head(&sim, "it_deep", start()).archive_status, Some(AccessTier::DeepArchiveAccess));
    let api_error = sim.get_object(&ObjectRef::new("b", "it_deep"), start()).expect_err("it is archived");
    assert_eq!(api_error.access_tier(), Some(AccessTier::DeepArchiveAccess));
    sim.restore_object(&request("it_deep", None, Standard), start()).expect("it is archived");
    let long_after = start() + hours(24 * 60);
    let back = head(&sim, "it_deep", long_after);
    assert_eq!((back.archive_status, back.restore, back.readable), (None, RestoreState::None, true));
    let again = sim.restore_object(&request("it_deep", None, Standard), long_after);
    assert_eq!(outcome(again), "403 ObjectAlreadyInActiveTierError");
}

#[test]
fn versions_are_restored_one_by_one() {
    let mut sim = Sim::default();
    sim.create_bucket("b", true);
    let mut put = || {
        let put = PutRequest::new("b", "k", StorageClass::Glacier, "v");
        sim.put_object(put, start()).expect("the bucket is there").version.expect("the bucket keeps versions")
    };
    let (old, new) = (put(), put());
    let of = |version: &str| ObjectRef::version("b", "k", Some(version));
    let restore = RestoreRequest { object: of(&old), days: Some(1), tier: None };
    assert_eq!(outcome(sim.restore_object(&restore, start())), "202");
    let later = start() + hours(6);
    assert!(sim.head_uncounted(&of(&old), later).expect("it is there").readable);
    assert!(!sim.head_uncounted(&of(&new), later).expect("it is there").readable);

    let marker = sim.delete_object(&ObjectRef::new("b", "k"), later).expect("the bucket is there");
    let mut code = |object| {
        sim.head_object(&object, later)
            .map_or_else(|api_error| (api_error.status(), api_error.is_delete_marker()), |_| (200, false))
    };
    assert_eq!(code(ObjectRef::new("b", "k")), (404, true));
    assert_eq!(code(of(&marker.version.expect("a marker has an id"))), (405, true));
    assert_eq!(code(of("nonsense")), (404, false));
    assert_eq!(code(of(&new)), (200, false));
}

#[test]
fn without_the_permission_to_list_a_missing_key_is_forbidden() {
    let mut sim = sim();
    sim.hide_missing_keys("b", true).expect("the bucket is there");
    assert_eq!(outcome(sim.restore_object(&request("missing", Some(1), Bulk), start())), "403 AccessDenied");
    sim.hide_missing_keys("b", false).expect("the bucket is there");
    assert_eq!(outcome(sim.restore_object(&request("missing", Some(1), Bulk), start())), "404 NoSuchKey");
    let elsewhere = RestoreRequest::new("nowhere", "k", Some(1), None);
    assert_eq!(outcome(sim.restore_object(&elsewhere, start())), "404 NoSuchBucket");
}

#[test]
fn a_rule_makes_a_retrieval_late() {
    let mut sim = sim();
    sim.set_retrieval_rules(vec![RetrievalRule { key: "flex*".to_owned(), seconds: 999_999 }]);
    sim.restore_object(&request("flexible", Some(1), Expedited), start()).expect("it is archived");
    let ready_at = start() + SignedDuration::from_secs(999_999);
    assert_eq!(head(&sim, "flexible", start()).restore, RestoreState::Ongoing { ready_at });
}

#[test]
fn an_account_begins_so_many_restores_a_second() {
    let mut sim = sim();
    sim.change_settings(&SettingsChange { restores_per_second: Some(2), ..SettingsChange::default() });
    let mut restore = |key, now| outcome(sim.restore_object(&request(key, None, Bulk), now));
    assert_eq!(restore("it_archive", start()), "202");
    assert_eq!(restore("it_archive", start()), "409 RestoreAlreadyInProgress");
    assert_eq!(restore("it_deep", start()), "503 ThrottlingException");
    assert_eq!(restore("it_deep", start() + SignedDuration::from_millis(500)), "202");
}

fn head(sim: &Sim, key: &str, now: Timestamp) -> Head {
    sim.head_uncounted(&ObjectRef::new("b", key), now).expect("it is there")
}
