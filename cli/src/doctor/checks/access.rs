//! Whether CloudFront may read a bucket, and whether it can tell a missing key from an archived one.

use serde_json::{Value, json};

use crate::doctor::facts::{Access, Bucket, BucketState, Config, Facts, Read, SeenDistribution, SeenOrigin};
use crate::doctor::finding::{Finding, Kind, Subject};
use crate::doctor::mend::add_to_policy;
use crate::doctor::policy::{Caller, Grant, allows};

pub fn findings(bucket: &Bucket, facts: &Facts) -> Vec<Finding> {
    let Ok(seen) = &bucket.seen else { return Vec::new() };
    if bucket.state != BucketState::There {
        return Vec::new();
    }
    let mut out = Vec::new();
    for distribution in &seen.distributions {
        let subject = Subject { kind: Kind::Distribution, name: &distribution.id };
        for origin in &distribution.origins {
            out.extend(of_origin(distribution, origin, bucket, facts, subject));
        }
    }
    out
}

fn of_origin(
    distribution: &SeenDistribution,
    origin: &SeenOrigin,
    bucket: &Bucket,
    facts: &Facts,
    subject: Subject<'_>,
) -> Vec<Finding> {
    let unread = Err(crate::doctor::facts::Unread::Failed("It was not read.".to_owned()));
    let config: &Read<Config> = facts.configs.get(&distribution.id).unwrap_or(&unread);
    let (config, policy) = match (config, &bucket.policy) {
        (Err(unread), _) | (_, Err(unread)) => return vec![subject.unread("origin access", unread)],
        (Ok(config), Ok(policy)) => (config, policy.as_ref()),
    };
    let caller = match config.access.get(&origin.id) {
        Some(Access::Unread(unread)) => return vec![subject.unread("origin access", unread)],
        Some(Access::Control) => Caller::Distribution(&config.arn),
        Some(Access::Identity(id)) => Caller::Identity(id),
        Some(Access::ControlThatNeverSigns | Access::Nobody) | None => Caller::Anyone,
    };
    let place = Place { bucket, facts, caller, policy, subject };
    let objects = format!("arn:aws:s3:::{}{}/*", bucket.name, origin.path);
    let read = place.check_read(&objects);
    match read.verdict {
        crate::doctor::finding::Verdict::Ok => vec![read, place.check_list()],
        // Who may not read need not be told apart from who may not list.
        _ => vec![read],
    }
}

/// A bucket and who asks it.
struct Place<'a> {
    bucket: &'a Bucket,
    facts: &'a Facts,
    caller: Caller<'a>,
    policy: Option<&'a Value>,
    subject: Subject<'a>,
}

impl Place<'_> {
    fn check_read(&self, objects: &str) -> Finding {
        let (subject, name) = (self.subject, &self.bucket.name);
        match allows(self.policy, self.caller, "s3:GetObject", objects) {
            Grant::Allowed => subject.ok("origin access", format!("may read {name} as {}", self.as_whom())),
            Grant::Unclear(why) => subject.not_known("origin access", format!("unclear for {name}"), format!("{why}.")),
            Grant::NotAllowed => {
                let found = format!("may not read {name}");
                let mend = self.grant("s3:GetObject", objects);
                match self.caller {
                    Caller::Anyone => {
                        let why = "CloudFront asks S3 without a signature, and the bucket policy allows that to nobody: viewers get 403, unless each object has a public ACL. Give the origin an origin access control, and then the bucket policy a statement for it.";
                        subject.warning("origin access", found, why).mend(format!(
                            "aws cloudfront create-origin-access-control --origin-access-control-config Name={},SigningProtocol=sigv4,SigningBehavior=always,OriginAccessControlOriginType=s3",
                            crate::shell::quoted(name)
                        ))
                    }
                    Caller::Distribution(_) | Caller::Identity(_) => {
                        let why =
                            "The bucket policy does not let CloudFront read objects: viewers get 403, restored or not.";
                        subject.problem("origin access", found, why).mend(mend)
                    }
                }
            }
        }
    }

    fn check_list(&self) -> Finding {
        let (subject, name) = (self.subject, &self.bucket.name);
        let arn = format!("arn:aws:s3:::{name}");
        match allows(self.policy, self.caller, "s3:ListBucket", &arn) {
            Grant::Allowed => subject.ok("missing keys", "answer 404"),
            Grant::Unclear(why) => subject.not_known("missing keys", "unclear whether 403 or 404", format!("{why}.")),
            Grant::NotAllowed => {
                let why = format!(
                    "Without s3:ListBucket on {name}, S3 answers 403 to a key that does not exist, as it does to an archived object. Viewers, error pages and the caching of errors cannot tell them apart."
                );
                let finding = subject.note("missing keys", "answer 403", why);
                match self.caller {
                    // To list is then allowed to everybody.
                    Caller::Anyone => finding,
                    Caller::Distribution(_) | Caller::Identity(_) => finding.mend(self.grant("s3:ListBucket", &arn)),
                }
            }
        }
    }

    fn as_whom(&self) -> &'static str {
        match self.caller {
            Caller::Distribution(_) => "itself",
            Caller::Identity(_) => "an origin access identity",
            Caller::Anyone => "anyone",
        }
    }

    /// The command that adds the missing statement (Developer Guide, "Restrict access to an Amazon S3 origin").
    fn grant(&self, action: &str, resource: &str) -> String {
        let mut statement = match self.caller {
            Caller::Distribution(arn) => json!({
                "Effect": "Allow", "Principal": { "Service": "cloudfront.amazonaws.com" },
                "Condition": { "StringEquals": { "AWS:SourceArn": arn } },
            }),
            Caller::Identity(id) => json!({
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity {id}") },
            }),
            Caller::Anyone => json!({ "Effect": "Allow", "Principal": "*" }),
        };
        statement["Action"] = action.into();
        statement["Resource"] = resource.into();
        add_to_policy(&self.bucket.name, &self.facts.region, &statement)
    }
}
