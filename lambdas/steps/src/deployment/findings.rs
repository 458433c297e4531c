//! What the facts of an account mean for the parameters of the stack: what is wrong, and what is doubtful.

use thaw_core::{CallError, Distribution, Encryption, FEW_FUNCTIONS, KmsKey, Serving, size};

use crate::InvalidSetting;
use crate::ports::{FoundBucket, LambdaQuota, PortError};

/// Lambda stores each function's code. With less room than this a deployment may fail.
const LITTLE_ROOM_FOR_CODE: u64 = 500 * 1024 * 1024;

/// What was read.
#[derive(Debug)]
pub(super) struct Facts {
    pub region: String,
    /// `ArchiveBuckets`, with what S3 says of each.
    pub buckets: Vec<Bucket>,
    /// `ArchiveKmsKeys`.
    pub kms_keys: Vec<String>,
    /// `DistributionIds`, with what CloudFront says of each.
    pub distributions: Vec<(String, Read<Described>)>,
    /// Whether S3's events of restores are used (`EventRules`), and turned on by the stack (`ManageBucketEvents`).
    pub uses_events: bool,
    pub manages_events: bool,
    /// Why the settings of the functions cannot be read.
    pub settings: Result<(), InvalidSetting>,
    /// `Architecture`, and that for which the code was compiled.
    pub architecture: [String; 2],
    pub lambda: Read<LambdaQuota>,
}

/// An archive bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    pub name: String,
    pub found: Read<FoundBucket>,
    /// The rest is only read of a bucket that is there.
    pub more: Option<MoreOfBucket>,
}

/// The configurations of a bucket.
#[derive(Debug)]
pub(super) struct MoreOfBucket {
    pub encryption: Read<Encryption>,
    /// Whether its events go to EventBridge.
    pub sends_events: Read<bool>,
    /// The distributions that have it as an origin; `None` if `DistributionIds` names some.
    pub distributions: Option<Read<Vec<String>>>,
}

pub(super) type Read<T> = Result<T, PortError>;

/// A distribution; `None` if there is none with the id.
pub(super) type Described = Option<(Distribution, Serving)>;

/// What was found, in sentences that begin with a parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// thaw could not work so.
    pub wrong: Vec<String>,
    /// It may be meant so, or could not be checked.
    pub doubtful: Vec<String>,
    /// Whether a read failed for a reason that may pass within seconds, as a permission does that is new.
    pub may_pass: bool,
}

/// All findings.
pub(super) fn findings(facts: &Facts) -> Findings {
    let mut out = Findings::default();
    if facts.buckets.is_empty() {
        out.wrong.push("ArchiveBuckets: it is empty. Name the buckets that thaw restores from.".to_owned());
    }
    for bucket in &facts.buckets {
        of_bucket(bucket, facts, &mut out);
    }
    for (id, read) in &facts.distributions {
        of_distribution(id, read, facts, &mut out);
    }
    if let Err(wrong) = &facts.settings {
        out.wrong.push(wrong.to_string());
    }
    let [parameter, compiled] = &facts.architecture;
    if parameter != compiled {
        out.wrong.push(format!("Architecture: it is {parameter}, and the code is for {compiled}. Write {compiled}."));
    }
    of_lambda(&facts.lambda, facts, &mut out);
    out
}

fn of_bucket(bucket: &Bucket, facts: &Facts, out: &mut Findings) {
    let (name, region) = (&bucket.name, &facts.region);
    let wrong = match &bucket.found {
        Ok(FoundBucket::Ours) => None,
        Ok(FoundBucket::Missing) => Some(format!("there is no bucket {name}. Correct the name, or make the bucket.")),
        Ok(FoundBucket::Elsewhere { region: other }) => {
            let other = if other.is_empty() { "another Region" } else { other };
            Some(format!(
                "{name} is in {other}, and the stack in {region}. Leave it out, and deploy a stack in its Region."
            ))
        }
        Ok(FoundBucket::OfAnotherAccount) => {
            Some(format!("{name} is a bucket of another account. Leave it out, and deploy a stack in its account."))
        }
        Err(error) => Some(out.unread(name, error, "s3:GetBucketVersioning")),
    };
    out.wrong.extend(wrong.map(|wrong| format!("ArchiveBuckets: {wrong}")));
    let Some(more) = &bucket.more else { return };
    match &more.encryption {
        Ok(encryption) => match encryption.key_in(&facts.kms_keys) {
            KmsKey::None | KmsKey::Named => {}
            KmsKey::Missing(key) => out.wrong.push(format!(
                "ArchiveKmsKeys: {name} encrypts new objects with the KMS key {key}, which is not named. Add its ARN."
            )),
            KmsKey::Alias(alias) => out.doubtful.push(format!(
                "ArchiveKmsKeys: {name} encrypts new objects with the KMS key of {alias}. See that its ARN is named."
            )),
            KmsKey::OfAws => out.doubtful.push(format!(
                "ArchiveBuckets: {name} encrypts new objects with the KMS key aws/s3, which CloudFront cannot use: viewers do not get them."
            )),
        },
        Err(error) => {
            let says = out.unread(name, error, "s3:GetEncryptionConfiguration");
            out.doubtful.push(format!("ArchiveKmsKeys: {says}"));
        }
    }
    if facts.uses_events && !facts.manages_events {
        match &more.sends_events {
            Ok(true) => {}
            Ok(false) => out.doubtful.push(format!(
                "EventRules: {name} does not send its events to EventBridge, so objects are published up to hours after S3 has restored them. Set ManageBucketEvents to true, or turn that on yourself."
            )),
            Err(error) => {
                let says = out.unread(name, error, "s3:GetBucketNotification");
                out.doubtful.push(format!("EventRules: {says}"));
            }
        }
    }
    match &more.distributions {
        None => {}
        Some(Ok(found)) if !found.is_empty() => {}
        Some(Ok(_)) => out.doubtful.push(format!(
            "DistributionIds: it is empty, and no distribution of the account has {name} as an origin: what thaw restores there it publishes nowhere."
        )),
        Some(Err(error)) => {
            let says = out.unread("the account's distributions", error, "cloudfront:ListDistributions");
            out.wrong.push(format!("DistributionIds: {says}"));
        }
    }
}

fn of_distribution(id: &str, read: &Read<Described>, facts: &Facts, out: &mut Findings) {
    let names: Vec<_> = facts.buckets.iter().map(|bucket| bucket.name.as_str()).collect();
    let (distribution, serving) = match read {
        Ok(Some(read)) => read,
        Ok(None) => {
            let says = format!(
                "DistributionIds: there is no distribution {id} in this account. Correct the id, or leave it out."
            );
            return out.wrong.push(says);
        }
        Err(error) => {
            let says = out.unread(id, error, "cloudfront:GetDistribution");
            return out.wrong.push(format!("DistributionIds: {says}"));
        }
    };
    let any = |is: &dyn Fn(&str) -> bool| names.iter().any(|name| is(name));
    if any(&|name| distribution.has_origin(name)) {
        if serving.tenant_only {
            out.doubtful.push(format!(
                "DistributionIds: only tenants of {id} answer viewers, and thaw does not invalidate for tenants."
            ));
        } else if !serving.enabled {
            out.doubtful.push(format!("DistributionIds: {id} is disabled, and thaw invalidates nothing there."));
        }
    } else if any(&|name| distribution.may_have_origin(name) || distribution.tenants_may_have_origin(name)) {
        out.doubtful.push(format!(
            "DistributionIds: {id} has none of the buckets as an origin by name; whether its access point or its tenants have, thaw cannot see."
        ));
    } else {
        let origins: Vec<_> = distribution.origins.iter().map(|origin| origin.domain.as_str()).collect();
        out.wrong.push(format!(
            "DistributionIds: {id} has none of {} as an origin (but {}). Leave it out, or name its bucket in ArchiveBuckets.",
            names.join(", "),
            origins.join(", ")
        ));
    }
}

fn of_lambda(lambda: &Read<LambdaQuota>, facts: &Facts, out: &mut Findings) {
    match lambda {
        Ok(LambdaQuota { functions_at_a_time, bytes_of_code }) => {
            let region = &facts.region;
            if *functions_at_a_time < FEW_FUNCTIONS {
                out.doubtful.push(format!(
                    "Lambda: this account may run {functions_at_a_time} functions at a time in {region}. thaw uses ten, and the API answers with errors while they are taken. Request a higher quota \"Concurrent executions\"."
                ));
            }
            if *bytes_of_code < LITTLE_ROOM_FOR_CODE {
                out.doubtful.push(format!(
                    "Lambda: this account may store {} more of code in {region}. Delete old functions or versions before the next deployments.",
                    size(*bytes_of_code)
                ));
            }
        }
        Err(error) => {
            let says = out.unread("the quota of functions", error, "lambda:GetAccountSettings");
            out.doubtful.push(format!("Lambda: {says}"));
        }
    }
}

impl Findings {
    /// A read that failed.
    fn unread(&mut self, what: &str, error: &PortError, action: &str) -> String {
        let says: String = error.to_string().chars().take(200).collect();
        match error.trouble {
            Some(CallError::Denied | CallError::KeyDenied) => {
                self.may_pass = true;
                format!("{what} could not be checked, because a policy denies {action}: {says}.")
            }
            Some(CallError::Throttled | CallError::TooManyInvalidations | CallError::Unavailable) => {
                self.may_pass = true;
                format!("{what} could not be checked: {says}. Deploy again.")
            }
            Some(CallError::WrongBucket) | None => format!("{what} could not be checked: {says}."),
        }
    }
}

/// Sentences in at most so many bytes, with the number of those that are left out. Several are numbered.
pub(super) fn listed(sentences: &[String], bytes: usize) -> String {
    if let [one] = sentences {
        return one.clone();
    }
    let mut out = String::new();
    for (at, sentence) in sentences.iter().enumerate() {
        let next = format!("{}({}) {sentence}", if at == 0 { "" } else { " " }, at + 1);
        if out.len() + next.len() > bytes {
            return format!("{out} And {} more.", sentences.len() - at);
        }
        out.push_str(&next);
    }
    out
}

#[cfg(test)]
mod tests;
