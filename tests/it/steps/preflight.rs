//! Preflight over the simulated S3 and CloudFront.

use serde_json::{Map, Value, json};
use thaw_custom_resource::{CustomResource, Event, Reply};
use thaw_sim::cdn::{DistributionConfig, Origin};
use thaw_sim::model::BucketDocument;
use thaw_steps::deployment::preflight::Preflight;
use thaw_steps::ports::{LambdaQuota, PortError, ReadLambdaQuota};

use super::world::{BUCKET, DISTRIBUTION, World};

/// An account in which Lambda may run as many functions as anybody could want.
pub struct LargeQuota;

impl ReadLambdaQuota for LargeQuota {
    async fn lambda_quota(&self) -> Result<LambdaQuota, PortError> {
        Ok(LambdaQuota { functions_at_a_time: 1_000, bytes_of_code: u64::MAX })
    }
}

/// The parameters of a stack for the world's bucket and distribution, with these changed.
pub fn parameters(changes: Value) -> Map<String, Value> {
    let mut parameters = json!({
        "ServiceToken": "arn", "ArchiveBuckets": [BUCKET], "DistributionIds": [DISTRIBUTION], "ArchiveKmsKeys": [""],
        "Architecture": "x86_64", "EventRules": "ENABLED", "PathRules": "", "DirectoryIndex": "index.html",
    });
    let parameters = parameters.as_object_mut().unwrap();
    parameters.extend(changes.as_object().unwrap().clone());
    parameters.clone()
}

fn check(world: &World, changes: Value) -> Reply {
    let aws = &world.aws;
    let preflight =
        Preflight { buckets: aws, cdn: aws, lambda: &LargeQuota, region: "us-east-1", architecture: "x86_64" };
    world.run(preflight.handle(&Event::Create { properties: &parameters(changes).into() }))
}

fn document(world: &World, which: BucketDocument, body: &str) {
    world.aws.with(|sim, _| sim.put_bucket_document(BUCKET, which, body.to_owned())).unwrap();
}

#[test]
fn the_worlds_bucket_and_distribution_pass() {
    let reply = check(&World::new(), json!({}));
    assert_eq!(reply.result.unwrap()["Warnings"], "none");
    assert!(reply.is_settled);
    let found = check(&World::new(), json!({"DistributionIds": [""]}));
    assert_eq!(found.result.unwrap()["Warnings"], "none");
}

#[test]
fn what_is_wrong_in_s3_and_cloudfront_is_found_at_once() {
    let world = World::new();
    world.aws.with(|sim, now| {
        sim.create_bucket("abroad", false);
        sim.set_bucket_region("abroad", "eu-west-1").unwrap();
        let origins = vec![Origin { id: "s3".to_owned(), bucket: "another".to_owned(), ..Origin::default() }];
        let config = DistributionConfig { id: Some("E2".to_owned()), origins, ..DistributionConfig::default() };
        sim.put_distribution(config, now).unwrap();
    });
    let key = "arn:aws:kms:us-east-1:111122223333:key/k";
    document(
        &world,
        BucketDocument::Encryption,
        &format!(
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{key}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
        ),
    );
    let wrong =
        json!({"ArchiveBuckets": [BUCKET, "gone", "abroad"], "DistributionIds": ["E0", "E2"], "PathRules": "{}"});
    let reason = check(&world, wrong).result.unwrap_err();
    for part in [
        "encrypts new objects with the KMS key arn:aws:kms:us-east-1:111122223333:key/k, which is not named",
        "there is no bucket gone",
        "abroad is in eu-west-1, and the stack in us-east-1",
        "there is no distribution E0",
        "E2 has none of archive, gone, abroad as an origin",
        "(6) PathRules: ",
    ] {
        assert!(reason.contains(part), "{part} is not in {reason}");
    }
    let named = check(&world, json!({"ArchiveKmsKeys": [key]}));
    assert_eq!(named.result.unwrap()["Warnings"], "none");
}

#[test]
fn a_bucket_that_does_not_send_its_events_is_a_warning() {
    let world = World::new();
    document(&world, BucketDocument::Notification, "<NotificationConfiguration/>");
    let warnings = check(&world, json!({})).result.unwrap()["Warnings"].clone();
    assert!(warnings.starts_with("EventRules: archive does not send its events to EventBridge"), "{warnings}");
    assert_eq!(check(&world, json!({"EventRules": "DISABLED"})).result.unwrap()["Warnings"], "none");
}
