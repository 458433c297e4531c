//! An archive bucket: its events, versions and encryption. Its lifecycle is in [`super::lifecycle`], and who may read it in
//! [`super::access`].

use jiff::Timestamp;
use thaw_core::{KmsKey, quantity};

use super::lifecycle;
use crate::doctor::facts::{Access, Bucket, BucketState, Encryption, Facts, Versioning};
use crate::doctor::finding::{Finding, Kind, Subject};
use crate::doctor::mend::{send_events, set_parameter};
use crate::shell::quoted;

pub fn findings(bucket: &Bucket, facts: &Facts, now: Timestamp) -> Vec<Finding> {
    let subject = Subject { kind: Kind::Bucket, name: &bucket.name };
    let wrong = match bucket.state {
        BucketState::There => None,
        BucketState::Missing => Some(("there is no such bucket", "Every restore of it fails.".to_owned())),
        BucketState::InAnotherRegion => Some((
            "it is in another Region",
            format!(
                "The stack is in {}, and restores only from buckets there. Every restore of it fails. Deploy a second stack in its Region.",
                facts.region
            ),
        )),
    };
    if let Some((found, why)) = wrong {
        let finding = subject.problem("bucket", found, why);
        return vec![match without(bucket, facts) {
            Some(others) => finding.mend(set_parameter(&facts.stack_name, &facts.region, "ArchiveBuckets", &others)),
            None => finding,
        }];
    }
    let mut out = vec![events(bucket, facts, subject), versions(bucket, facts, subject)];
    out.extend(lifecycle::findings(bucket, facts, subject, now));
    out.extend(encryption(bucket, facts, subject));
    out
}

/// The stack's other buckets, as the parameter is written.
fn without(bucket: &Bucket, facts: &Facts) -> Option<String> {
    let all = facts.stack.as_ref().ok()?.parameters.get("ArchiveBuckets")?;
    let others: Vec<_> = all.split(',').map(str::trim).filter(|name| *name != bucket.name).collect();
    Some(others.join(",")).filter(|others| !others.is_empty())
}

fn events(bucket: &Bucket, facts: &Facts, subject: Subject<'_>) -> Finding {
    match &bucket.events {
        Err(unread) => subject.unread("events", unread),
        Ok(events) if events.to_eventbridge => subject.ok("events", "sent to EventBridge"),
        Ok(events) => {
            let kept = if events.elsewhere { " The command keeps where events go already." } else { "" };
            let why = format!(
                "thaw is not told when S3 has restored an object, and finds it by polling: up to hours later. EventBridge charges for every event of the bucket, $1 per million.{kept}"
            );
            let finding = subject.warning("events", "not sent to EventBridge", why);
            finding.mend(send_events(&bucket.name, &facts.region, events.elsewhere))
        }
    }
}

fn versions(bucket: &Bucket, facts: &Facts, subject: Subject<'_>) -> Finding {
    let found = match &bucket.versioning {
        Err(unread) => return subject.unread("versions", unread),
        Ok(Versioning::Never) => return subject.ok("versions", "not versioned"),
        Ok(Versioning::Enabled) => "versioned",
        Ok(Versioning::Suspended) => "versioned until it was suspended",
    };
    match &bucket.delete_markers {
        None => subject.ok("versions", found),
        Some(Err(unread)) => subject.unread("versions", unread),
        Some(Ok(markers)) if markers.hidden == 0 => {
            let of = if markers.more { format!(" in the first {}", markers.looked_at) } else { String::new() };
            subject.ok("versions", format!("{found}, no deleted keys{of}"))
        }
        Some(Ok(markers)) => {
            let keys = quantity(u64::try_from(markers.hidden).unwrap_or(u64::MAX), "key", "keys");
            let of = if markers.more { format!(" in the first {} versions", markers.looked_at) } else { String::new() };
            let why = "The current version of these keys is a delete marker. thaw finds no object there, and viewers get an error, also after an older version was restored by its id. Deleting the marker brings the object back; the command lists them.";
            subject.note("versions", format!("{found}, {keys} deleted{of}"), why).mend(format!(
                "aws s3api list-object-versions --bucket {} --region {} --query 'DeleteMarkers[?IsLatest].[Key, VersionId]'",
                quoted(&bucket.name),
                facts.region
            ))
        }
    }
}

/// Whether CloudFront reads the bucket as an origin access identity.
fn is_read_by_an_identity(bucket: &Bucket, facts: &Facts) -> bool {
    let distributions = bucket.seen.iter().flat_map(|seen| &seen.distributions);
    distributions.into_iter().any(|distribution| {
        let config = facts.configs.get(&distribution.id).and_then(|config| config.as_ref().ok());
        let access = distribution.origins.iter().filter_map(|origin| config?.access.get(&origin.id));
        access.into_iter().any(|access| matches!(access, Access::Identity(_)))
    })
}

/// User Guide, "Protecting data with SSE-KMS"; Developer Guide, "Restrict access to an Amazon S3 origin", on SSE-KMS.
fn encryption(bucket: &Bucket, facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let encryption = match &bucket.encryption {
        Err(unread) => return vec![subject.unread("encryption", unread)],
        Ok(encryption) => encryption,
    };
    let name = match encryption {
        Encryption::S3 => return vec![subject.ok("encryption", "S3's own keys")],
        Encryption::Kms(key) => key.as_deref().unwrap_or("aws/s3"),
    };
    let found = format!("new objects with KMS, {name}");
    let mut out = Vec::new();
    if is_read_by_an_identity(bucket, facts) {
        let why =
            "An origin access identity cannot read objects that are encrypted with KMS. Use an origin access control.";
        out.push(subject.warning("encryption", found.clone(), why).mend(format!(
            "aws cloudfront create-origin-access-control --origin-access-control-config Name={},SigningProtocol=sigv4,SigningBehavior=always,OriginAccessControlOriginType=s3",
            quoted(&bucket.name)
        )));
    }
    if encryption.key_in(&[""]) == KmsKey::OfAws {
        let why = "Nobody can allow CloudFront to use the key aws/s3, so it cannot show these objects. With the command, new objects are encrypted with S3's own keys; those that are there must be copied.";
        let own = r#"{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}"#;
        out.push(subject.warning("encryption", found, why).mend(format!(
            "aws s3api put-bucket-encryption --bucket {} --region {} --server-side-encryption-configuration {}",
            quoted(&bucket.name),
            facts.region,
            quoted(own)
        )));
        return out;
    }
    let allowed = match &facts.stack {
        Err(unread) => {
            out.push(subject.unread("encryption", unread));
            return out;
        }
        Ok(stack) => stack.parameters.get("ArchiveKmsKeys").map(String::as_str).unwrap_or_default(),
    };
    let key = match encryption.key_in(&allowed.split(',').collect::<Vec<_>>()) {
        KmsKey::None | KmsKey::OfAws | KmsKey::Named => {
            out.push(subject.ok("encryption", found));
            return out;
        }
        KmsKey::Alias(key) | KmsKey::Missing(key) => key,
    };
    let why = "The stack's parameter ArchiveKmsKeys does not name this key: thaw cannot read manifests and inventories that are encrypted with it. The key's own policy must also allow CloudFront to decrypt with it.";
    let arns = [allowed, key].into_iter().filter(|arn| !arn.is_empty()).collect::<Vec<_>>().join(",");
    let mend = match key.starts_with("arn:") && key.contains(":key/") {
        true => set_parameter(&facts.stack_name, &facts.region, "ArchiveKmsKeys", &arns),
        // The parameter takes no aliases.
        false => {
            format!("aws kms describe-key --key-id {} --region {} --query KeyMetadata.Arn", quoted(key), facts.region)
        }
    };
    out.push(subject.warning("encryption", found, why).mend(mend));
    out
}
