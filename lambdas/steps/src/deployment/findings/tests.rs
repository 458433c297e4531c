use thaw_core::{Origin, PathRules};

use super::*;

/// An account in which all is well.
fn facts() -> Facts {
    Facts {
        region: "us-east-1".to_owned(),
        buckets: vec![bucket("archive"), bucket("media")],
        kms_keys: Vec::new(),
        distributions: vec![of_origin("E1", "archive")],
        uses_events: true,
        manages_events: false,
        settings: Ok(()),
        architecture: ["arm64", "arm64"].map(str::to_owned),
        lambda: Ok(LambdaQuota { functions_at_a_time: 1_000, bytes_of_code: 80_000_000_000 }),
    }
}

fn bucket(name: &str) -> Bucket {
    let more = MoreOfBucket { encryption: Ok(Encryption::S3), sends_events: Ok(true), distributions: None };
    Bucket { name: name.to_owned(), found: Ok(FoundBucket::Ours), more: Some(more) }
}

fn of_origin(id: &str, bucket: &str) -> (String, Read<Described>) {
    let domain = format!("{bucket}.s3.us-east-1.amazonaws.com");
    let origins = vec![Origin { domain, ..Origin::default() }];
    let serving = Serving { enabled: true, ..Serving::default() };
    (id.to_owned(), Ok(Some((Distribution { id: id.to_owned(), origins, ..Distribution::default() }, serving))))
}

fn failed<T>(trouble: Option<CallError>) -> Read<T> {
    Err(PortError { what: "Call".to_owned(), says: "AccessDenied (HTTP 403)".to_owned(), trouble })
}

fn more(facts: &mut Facts) -> &mut MoreOfBucket {
    facts.buckets[0].more.as_mut().unwrap()
}

/// With this change, these are wrong and these are doubtful, by how they begin.
#[track_caller]
fn check(change: impl FnOnce(&mut Facts), wrong: &[&str], doubtful: &[&str]) -> Findings {
    let mut facts = facts();
    change(&mut facts);
    let found = findings(&facts);
    for (found, expected) in [(&found.wrong, wrong), (&found.doubtful, doubtful)] {
        assert_eq!(found.len(), expected.len(), "{found:?} instead of {expected:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found:?} instead of {expected:?}");
        }
    }
    found
}

#[test]
fn an_account_in_which_all_is_well_has_no_findings() {
    assert_eq!(check(|_| {}, &[], &[]), Findings::default());
}

#[test]
fn a_bucket_must_be_there_in_this_account_and_region() {
    let found = |found| move |facts: &mut Facts| facts.buckets[0] = Bucket { found, more: None, ..bucket("archive") };
    check(found(Ok(FoundBucket::Missing)), &["ArchiveBuckets: there is no bucket archive. Correct the name"], &[]);
    let elsewhere = |region: &str| Ok(FoundBucket::Elsewhere { region: region.to_owned() });
    check(
        found(elsewhere("eu-west-1")),
        &["ArchiveBuckets: archive is in eu-west-1, and the stack in us-east-1."],
        &[],
    );
    check(found(elsewhere("")), &["ArchiveBuckets: archive is in another Region, and the stack in us-east-1."], &[]);
    check(found(Ok(FoundBucket::OfAnotherAccount)), &["ArchiveBuckets: archive is a bucket of another account."], &[]);
    check(
        found(failed(Some(CallError::Denied))),
        &[
            "ArchiveBuckets: archive could not be checked, because a policy denies s3:GetBucketVersioning: Call: AccessDenied",
        ],
        &[],
    );
    check(|facts| facts.buckets.clear(), &["ArchiveBuckets: it is empty.", "DistributionIds: E1 has none of"], &[]);
}

#[test]
fn the_key_of_a_bucket_must_be_named() {
    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/k";
    let key = |key: Option<&str>| Ok(Encryption::Kms(key.map(str::to_owned)));
    let wrong = format!("ArchiveKmsKeys: archive encrypts new objects with the KMS key {KEY}, which is not named.");
    check(|facts| more(facts).encryption = key(Some(KEY)), &[&wrong], &[]);
    check(
        |facts| {
            more(facts).encryption = key(Some(KEY));
            facts.kms_keys = vec![KEY.to_owned()];
        },
        &[],
        &[],
    );
    check(
        |facts| more(facts).encryption = key(Some("alias/a")),
        &[],
        &["ArchiveKmsKeys: archive encrypts new objects with the KMS key of alias/a."],
    );
    check(
        |facts| more(facts).encryption = key(None),
        &[],
        &["ArchiveBuckets: archive encrypts new objects with the KMS key aws/s3"],
    );
}

#[test]
fn what_only_a_check_reads_may_be_denied() {
    const DENIED: Option<CallError> = Some(CallError::Denied);
    let found = check(
        |facts| {
            more(facts).encryption = failed(DENIED);
            more(facts).sends_events = failed(DENIED);
            facts.lambda = failed(DENIED);
        },
        &[],
        &[
            "ArchiveKmsKeys: archive could not be checked, because a policy denies s3:GetEncryptionConfiguration",
            "EventRules: archive could not be checked, because a policy denies s3:GetBucketNotification",
            "Lambda: the quota of functions could not be checked, because a policy denies lambda:GetAccountSettings",
        ],
    );
    assert!(found.may_pass, "a permission that is new takes seconds");
}

#[test]
fn a_service_in_trouble_may_be_out_of_it_within_seconds() {
    for (trouble, may_pass) in [
        (Some(CallError::Throttled), true),
        (Some(CallError::Unavailable), true),
        (Some(CallError::Denied), true),
        (None, false),
    ] {
        let found =
            check(|facts| facts.distributions[0].1 = failed(trouble), &["DistributionIds: E1 could not be"], &[]);
        assert_eq!(found.may_pass, may_pass, "{trouble:?}");
    }
}

#[test]
fn events_that_are_not_sent_are_a_warning_if_they_are_wanted() {
    let off = |facts: &mut Facts| more(facts).sends_events = Ok(false);
    check(off, &[], &["EventRules: archive does not send its events to EventBridge"]);
    for change in [|facts: &mut Facts| facts.uses_events = false, |facts: &mut Facts| facts.manages_events = true] {
        check(
            |facts| {
                off(facts);
                change(facts);
            },
            &[],
            &[],
        );
    }
}

#[test]
fn a_distribution_must_be_there_and_show_one_of_the_buckets() {
    check(|facts| facts.distributions[0].1 = Ok(None), &["DistributionIds: there is no distribution E1"], &[]);
    check(
        |facts| facts.distributions = vec![of_origin("E1", "archive"), of_origin("E2", "another")],
        &["DistributionIds: E2 has none of archive, media as an origin (but another.s3.us-east-1.amazonaws.com)."],
        &[],
    );
    // The second bucket has none of its own: nothing says that each must have one.
    check(|facts| facts.distributions = vec![of_origin("E2", "media")], &[], &[]);
}

#[test]
fn a_distribution_that_shows_nobody_a_bucket_is_a_warning() {
    fn change(facts: &mut Facts, of: impl FnOnce(&mut Distribution, &mut Serving)) {
        let Ok(Some((distribution, serving))) = &mut facts.distributions[0].1 else { panic!("it is there") };
        of(distribution, serving);
    }
    let access_point = "mine-111122223333.s3-accesspoint.us-east-1.amazonaws.com";
    check(|facts| change(facts, |_, serving| serving.enabled = false), &[], &["DistributionIds: E1 is disabled"]);
    check(
        |facts| change(facts, |_, serving| serving.tenant_only = true),
        &[],
        &["DistributionIds: only tenants of E1 answer viewers"],
    );
    check(
        |facts| change(facts, |distribution, _| distribution.origins[0].domain = access_point.to_owned()),
        &[],
        &["DistributionIds: E1 has none of the buckets as an origin by name"],
    );
}

#[test]
fn without_distributions_each_bucket_must_be_shown_by_one() {
    let none = |read: fn() -> Read<Vec<String>>| {
        move |facts: &mut Facts| {
            facts.distributions.clear();
            more(facts).distributions = Some(read());
        }
    };
    check(none(|| Ok(vec!["E1".to_owned()])), &[], &[]);
    check(
        none(|| Ok(Vec::new())),
        &[],
        &["DistributionIds: it is empty, and no distribution of the account has archive"],
    );
    check(
        none(|| failed(Some(CallError::Denied))),
        &["DistributionIds: the account's distributions could not be checked, because a policy denies"],
        &[],
    );
}

#[test]
fn rules_and_architecture_must_be_right() {
    let wrong = PathRules::new("", "[{}]").map(drop).map_err(InvalidSetting::from);
    check(|facts| facts.settings = wrong, &["PathRules: rule 1"], &[]);
    check(
        |facts| facts.architecture[0] = "x86_64".to_owned(),
        &["Architecture: it is x86_64, and the code is for arm64. Write arm64."],
        &[],
    );
}

#[test]
fn a_small_quota_is_a_warning() {
    let quota = |functions_at_a_time, bytes_of_code| {
        move |facts: &mut Facts| facts.lambda = Ok(LambdaQuota { functions_at_a_time, bytes_of_code })
    };
    check(quota(10, u64::MAX), &[], &["Lambda: this account may run 10 functions at a time in us-east-1."]);
    check(quota(FEW_FUNCTIONS, 1024 * 1024), &[], &["Lambda: this account may store 1.0 MiB more of code"]);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let change = |facts: &mut Facts| {
        facts.buckets[1] = Bucket { found: Ok(FoundBucket::Missing), more: None, ..bucket("media") };
        facts.distributions.push(("E2".to_owned(), Ok(None)));
        facts.settings = PathRules::new("", "{}").map(drop).map_err(InvalidSetting::from);
    };
    let begin =
        ["ArchiveBuckets: there is no bucket media", "DistributionIds: there is no distribution E2", "PathRules: "];
    let found = check(change, &begin, &[]);
    let all = listed(&found.wrong, 1_000);
    assert!(all.starts_with("(1) ArchiveBuckets:") && all.contains(" (3) PathRules:"), "{all}");
    assert_eq!(listed(&found.wrong, 150), format!("(1) {} And 2 more.", found.wrong[0]));
    assert_eq!(listed(&found.wrong[..1], 10), found.wrong[0]);
}
