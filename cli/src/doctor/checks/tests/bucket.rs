//! An archive bucket.

use super::*;

#[test]
fn a_bucket_that_is_not_there_is_the_only_thing_said_of_it() {
    let others = "jq --arg value 'second'";
    for (state, found) in
        [(BucketState::Missing, "there is no such bucket"), (BucketState::InAnotherRegion, "it is in another Region")]
    {
        let mut facts = healthy();
        archive(&mut facts).state = state;
        archive(&mut facts).events = Err(Unread::Failed("NoSuchBucket".to_owned()));
        let all = findings(&facts, now());
        let of_bucket: Vec<_> =
            all.iter().filter(|one| one.name == "archive" && one.check != "distributions").collect();
        assert_eq!(of_bucket.len(), 1, "{of_bucket:#?}");
        assert_eq!((of_bucket[0].verdict, of_bucket[0].found.as_str()), (Problem, found));
        assert!(of_bucket[0].mend.as_deref().is_some_and(|mend| mend.contains(others)), "{of_bucket:#?}");
        assert!(!all.iter().any(|one| one.check == "origin access"), "{all:#?}");
    }
    let foreign = |facts: &mut Facts| {
        archive(facts).of_stack = false;
        *seen(facts) = Seen::default();
    };
    check(foreign, "distributions", &[(Problem, "it is no archive bucket of the stack", "'archive,second,archive'")]);
}

#[test]
fn events_go_to_eventbridge_or_the_command_that_sends_them_keeps_the_others() {
    let put = "aws s3api put-bucket-notification-configuration --bucket archive --region eu-west-1";
    for elsewhere in [false, true] {
        let mut facts = healthy();
        archive(&mut facts).events = Ok(Events { to_eventbridge: false, elsewhere });
        let found = findings(&facts, now()).into_iter().find(|finding| finding.check == "events").unwrap();
        assert_eq!((found.verdict, found.found.as_str()), (Warning, "not sent to EventBridge"));
        let mend = found.mend.unwrap();
        assert_eq!((mend.contains(put), mend.contains("jq '. + {EventBridgeConfiguration: {}}'")), (true, elsewhere));
        assert_eq!(found.why.unwrap().contains("keeps where events go already"), elsewhere);
    }
    check(|facts| archive(facts).events = Ok(Events { to_eventbridge: true, elsewhere: true }), "events", &[]);
}

#[test]
fn deleted_keys_of_a_versioned_bucket_are_counted() {
    let markers = |hidden, more| Some(Ok(DeleteMarkers { looked_at: 1_000, hidden, more }));
    for (versioning, delete_markers, verdict, found) in [
        (Versioning::Never, None, Well, "not versioned"),
        (Versioning::Enabled, markers(0, false), Well, "versioned, no deleted keys"),
        (Versioning::Enabled, markers(0, true), Well, "versioned, no deleted keys in the first 1000"),
        (Versioning::Enabled, markers(2, true), Note, "versioned, 2 keys deleted in the first 1000 versions"),
        (Versioning::Suspended, markers(1, false), Note, "versioned until it was suspended, 1 key deleted"),
        (Versioning::Enabled, Some(Err(denied())), NotKnown, "you may not s3:GetBucketPolicy"),
    ] {
        let mut facts = healthy();
        archive(&mut facts).versioning = Ok(versioning);
        archive(&mut facts).delete_markers = delete_markers;
        let finding = findings(&facts, now()).into_iter().find(|finding| finding.check == "versions").unwrap();
        assert_eq!((finding.verdict, finding.found.as_str()), (verdict, found));
        assert_eq!(
            finding.mend.is_some_and(|mend| mend.contains("list-object-versions --bucket archive")),
            verdict == Note
        );
    }
}

#[test]
fn a_lifecycle_that_deletes_objects_before_their_copies_end_is_a_problem() {
    let put = "aws s3api put-bucket-lifecycle-configuration --bucket archive --region eu-west-1";
    let deletes = |days: &str| format!("\"old\" deletes after {days}");
    check(|facts| rule(facts, expires(2)), "lifecycle", &[(Problem, &deletes("2 days"), put)]);
    check(|facts| rule(facts, expires(3)), "lifecycle", &[(Note, &deletes("3 days"), "")]);
    check(|facts| rule(facts, expires(365)), "lifecycle", &[(Note, &deletes("365 days"), "")]);
    let archived_first: Change = |facts| rule(facts, LifecycleRule { archives_after: Some(90), ..expires(91) });
    check(archived_first, "lifecycle", &[(Problem, &deletes("91 days"), "then .Expiration = {Days: 96}")]);
    let archived_elsewhere: Change = |facts| {
        rule(facts, LifecycleRule { archives_after: Some(90), prefix: "img/".to_owned(), ..LifecycleRule::default() });
        rule(facts, LifecycleRule { prefix: "doc/".to_owned(), ..expires(91) });
    };
    check(archived_elsewhere, "lifecycle", &[(Note, &deletes("91 days"), "")]);
    let archived_in_a_folder_of_it: Change = |facts| {
        rule(facts, LifecycleRule { archives_after: Some(90), prefix: "img/".to_owned(), ..LifecycleRule::default() });
        rule(facts, expires(91));
    };
    check(archived_in_a_folder_of_it, "lifecycle", &[(Problem, &deletes("91 days"), put)]);
    check(
        |facts| rule(facts, LifecycleRule { has_filter: true, ..expires(1) }),
        "lifecycle",
        &[(Warning, &deletes("1 day"), put)],
    );
    let longer: Change = |facts| {
        facts.days = 30;
        rule(facts, expires(20));
    };
    check(longer, "lifecycle", &[(Problem, &deletes("20 days"), put)]);
    let disabled: Change = |facts| {
        rule(facts, expires(1));
        archive(facts).lifecycle.as_mut().unwrap()[0].enabled = false;
    };
    check(disabled, "lifecycle", &[]);
    check(|facts| rule(facts, LifecycleRule { archives_after: Some(1), ..LifecycleRule::default() }), "lifecycle", &[]);
}

#[test]
fn a_lifecycle_rule_with_a_date_is_compared_with_the_end_of_a_copy_of_today() {
    let on = |facts: &mut Facts, date: &str| {
        let expiration = Some(Expiration::Date(date.parse().unwrap()));
        rule(facts, LifecycleRule { expiration, ..LifecycleRule::default() });
    };
    let put = "put-bucket-lifecycle-configuration";
    check(|facts| rule(facts, LifecycleRule::default()), "lifecycle", &[]);
    for (date, verdict, day, command) in [
        ("2026-11-01T00:00:00Z", Problem, "2026-11-01", put),
        ("2026-12-03T00:00:00Z", Problem, "2026-12-03", put),
        ("2026-12-04T00:00:00Z", Note, "2026-12-04", ""),
    ] {
        let mut facts = healthy();
        on(&mut facts, date);
        let finding = findings(&facts, now()).into_iter().find(|finding| finding.check == "lifecycle").unwrap();
        assert_eq!((finding.verdict, finding.found), (verdict, format!("\"old\" deletes on {day}")));
        assert!(finding.mend.unwrap_or_default().contains(command));
    }
}

#[test]
fn a_key_of_kms_is_one_that_thaw_and_cloudfront_may_use() {
    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/k1";
    let kms = |facts: &mut Facts, key: &str| archive(facts).encryption = Ok(Encryption::Kms(Some(key.to_owned())));
    let set_keys = format!("jq --arg value '{KEY}'");
    let mut facts = healthy();
    kms(&mut facts, KEY);
    let found = |facts: &Facts| -> Vec<_> {
        let all = findings(facts, now()).into_iter().filter(|finding| finding.check == "encryption");
        all.map(|finding| (finding.verdict, finding.mend.unwrap_or_default())).collect()
    };
    let first = found(&facts);
    assert!(matches!(first.as_slice(), [(Warning, mend)] if mend.contains(&set_keys)), "{first:?}");
    set(&mut facts, "ArchiveKmsKeys", &format!("arn:aws:kms:eu-west-1:111122223333:key/k0,{KEY}"));
    assert_eq!(found(&facts), [(Well, String::new())]);
    kms(&mut facts, "alias/mine");
    assert!(found(&facts)[0].1.starts_with("aws kms describe-key --key-id alias/mine"));
    archive(&mut facts).encryption = Ok(Encryption::Kms(None));
    assert!(found(&facts)[0].1.starts_with("aws s3api put-bucket-encryption --bucket archive"));
    kms(&mut facts, KEY);
    access(&mut facts, Access::Identity("EI".to_owned()));
    let both = found(&facts);
    assert_eq!(both.iter().map(|(verdict, _)| *verdict).collect::<Vec<_>>(), [Warning, Well]);
    assert!(both[0].1.starts_with("aws cloudfront create-origin-access-control"), "{both:?}");
    // An identity for another origin is none of this bucket's.
    shown(&mut facts).origins[0].id = "other".to_owned();
    assert_eq!(found(&facts).len(), 1);
}
