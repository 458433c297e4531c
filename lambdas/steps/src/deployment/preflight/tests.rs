use std::cell::Cell;

use futures_util::FutureExt;
use serde_json::{Value, json};
use thaw_core::{CallError, Distribution, Encryption, Origin, Serving};

use super::*;
use crate::ports::LambdaQuota;

const ON: &str = "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";

/// An account with a bucket `archive` and its distribution `E1`.
#[derive(Default)]
struct Account {
    /// Calls of S3 that are still denied.
    denied: Cell<u32>,
}

impl ReadBuckets for Account {
    async fn bucket(&self, bucket: &str) -> Result<FoundBucket, PortError> {
        if self.denied.get() > 0 {
            self.denied.set(self.denied.get() - 1);
            let says = "AccessDenied (HTTP 403)".to_owned();
            return Err(PortError { what: "GetBucketVersioning".to_owned(), says, trouble: Some(CallError::Denied) });
        }
        Ok(if bucket == "archive" { FoundBucket::Ours } else { FoundBucket::Missing })
    }
    async fn encryption(&self, _: &str) -> Result<Encryption, PortError> {
        Ok(Encryption::S3)
    }
    async fn notifications(&self, _: &str) -> Result<String, PortError> {
        Ok(ON.to_owned())
    }
}

impl DescribeDistributions for Account {
    async fn describe(&self, id: &str) -> Result<Option<(Distribution, Serving)>, PortError> {
        let domain = "archive.s3.us-east-1.amazonaws.com".to_owned();
        let origins = vec![Origin { domain, ..Origin::default() }];
        let serving = Serving { enabled: true, ..Serving::default() };
        Ok((id == "E1").then(|| (Distribution { origins, ..Distribution::default() }, serving)))
    }
    async fn with_origin(&self, _: &str) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }
}

impl ReadLambdaQuota for Account {
    async fn lambda_quota(&self) -> Result<LambdaQuota, PortError> {
        Ok(LambdaQuota { functions_at_a_time: 1_000, bytes_of_code: u64::MAX })
    }
}

fn preflight(account: &Account) -> Preflight<'_, Account, Account, Account> {
    Preflight { buckets: account, cdn: account, lambda: account, region: "us-east-1", architecture: "aarch64" }
}

/// The stack's parameters, with these changed.
fn properties(changes: Value) -> Properties {
    let mut properties = json!({
        "ServiceToken": "arn", "Release": "1", "ArchiveBuckets": ["archive"], "DistributionIds": ["E1"], "Architecture": "arm64",
        "EventRules": "ENABLED", "ManageBucketEvents": "false", "PathRules": "", "DirectoryIndex": "",
    });
    let members = properties.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    members.clone().into()
}

fn handle(event: &Event<'_>) -> Reply {
    preflight(&Account::default()).handle(event).now_or_never().expect("nothing in here waits")
}

fn create(properties: &Properties) -> Reply {
    handle(&Event::Create { properties })
}

#[test]
fn right_parameters_pass_with_their_release() {
    let properties = properties(json!({}));
    let expected = Reply::done([("Release", release(&properties)), ("Warnings", "none".to_owned())]);
    assert_eq!(create(&properties), expected);
    // Without distributions, none is found.
    let warnings = create(&self::properties(json!({"DistributionIds": [""]}))).result.unwrap()["Warnings"].clone();
    assert!(warnings.starts_with("DistributionIds: it is empty, and no distribution"), "{warnings}");
}

#[test]
fn wrong_parameters_are_refused_with_all_that_is_wrong() {
    let wrong = json!({
        "ArchiveBuckets": ["archive", "archve"], "DistributionIds": ["E2"], "PathRules": "[{}]", "Architecture": "x86_64",
    });
    let reason = create(&properties(wrong)).result.unwrap_err();
    for part in [
        "there is no bucket archve",
        "(2) DistributionIds: there is no distribution E2",
        "PathRules: rule 1",
        "Write arm64",
    ] {
        assert!(reason.contains(part), "{part} is not in {reason}");
    }
    let reason = create(&properties(json!({"ManageBucketEvents": "yes"}))).result.unwrap_err();
    assert_eq!(reason, r#"ManageBucketEvents: "yes" must be true or false."#);
}

#[test]
fn as_many_mistakes_as_there_can_be_fit_into_an_answer() {
    let names: Vec<_> = (0..60).map(|number| format!("{number:0>63}")).collect();
    let reason = create(&properties(json!({"ArchiveBuckets": names}))).result.unwrap_err();
    assert!(reason.len() < BYTES_OF_FINDINGS + 50 && reason.ends_with("more."), "{reason}");
}

#[test]
fn a_permission_that_is_new_is_waited_for() {
    let account = Account { denied: Cell::new(1) };
    let properties = properties(json!({}));
    let event = Event::Create { properties: &properties };
    let first = preflight(&account).handle(&event).now_or_never().unwrap();
    assert!(first.result.is_err() && !first.is_settled, "{first:?}");
    let second = preflight(&account).handle(&event).now_or_never().unwrap();
    assert!(second.result.is_ok() && second.is_settled, "{second:?}");
}

#[test]
fn deleting_it_succeeds_whatever_it_was() {
    for physical_id in [None, Some("preflight-1"), Some("of CloudFormation")] {
        let wrong = properties(json!({"ArchiveBuckets": {}}));
        assert_eq!(handle(&Event::Delete { physical_id, properties: &wrong }), Reply::done([]));
    }
}

/// CloudFormation updates to the new parameters, something fails, and it takes the update back. By then the old parameters
/// may be wrong, too: that was the reason for new ones.
#[test]
fn an_update_that_is_taken_back_is_not_refused() {
    let account = Account::default();
    let id = |properties: &Properties, current: Option<&str>| preflight(&account).physical_id(properties, current);
    let (old, new) = (properties(json!({"ArchiveBuckets": ["deleted"]})), properties(json!({})));
    let before = id(&old, None);
    let after = id(&new, Some(&before));
    assert_ne!(before, after);
    let back = id(&old, Some(&after));
    assert_ne!(back, after);

    assert!(create(&old).result.is_err(), "at creation it is refused");
    // As if the new resource had never been: the old id is still there.
    assert_eq!(id(&old, Some(&before)), before);
    let same = Event::Update { physical_id: &before, properties: &old, old_properties: &new };
    // With the new resource in place.
    let replaced = Event::Replace { old_physical_id: &after, properties: &old, old_properties: &new };
    for event in [same, replaced] {
        let data = handle(&event).result.unwrap();
        assert!(data["Warnings"].contains("ArchiveBuckets: there is no bucket deleted."), "{data:?}");
        assert_eq!(data["Release"], release(&old));
    }
    // An update to something else that is wrong is refused, also after that.
    let other = properties(json!({"ArchiveBuckets": ["deleted"], "Release": "2"}));
    for current in [&before, &after, &back] {
        let event = Event::Replace { old_physical_id: current, properties: &other, old_properties: &old };
        assert!(handle(&event).result.is_err(), "{current}");
    }
}

#[test]
fn an_id_stays_short_whatever_was_before() {
    let account = Account::default();
    let mut id = "an id of somebody else's".to_owned();
    for number in 0..10 {
        id = preflight(&account).physical_id(&properties(json!({"Release": number.to_string()})), Some(&id));
        assert!(id.starts_with(ID) && id.len() <= ID.len() + 12 + AFTER.len() + 12, "{id}");
    }
}
