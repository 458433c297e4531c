//! What each role may do, a line each, from the rendered policies.

use std::collections::{BTreeMap, BTreeSet};

use crate::template::{Template, list, text};

/// What an action does to a resource. The order is that of a line: what may spend money or change something comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Restores,
    Invalidates,
    CreatesJobs,
    ChangesJobs,
    Starts,
    Stops,
    Calls,
    Configures,
    Writes,
    SendsTo,
    SendsEvents,
    TakesFrom,
    Passes,
    Reads,
    Decrypts,
    DeliversLogs,
}

impl Verb {
    /// None for an action that nobody has given a verb yet.
    fn of(action: &str) -> Option<Self> {
        let verb = match action {
            "s3:RestoreObject" => Self::Restores,
            "cloudfront:CreateInvalidation" => Self::Invalidates,
            "s3:CreateJob" => Self::CreatesJobs,
            "s3:UpdateJobStatus" => Self::ChangesJobs,
            "states:StartExecution" => Self::Starts,
            "states:StopExecution" => Self::Stops,
            "lambda:InvokeFunction" => Self::Calls,
            "s3:PutBucketNotification" => Self::Configures,
            "s3:PutObject" | "dynamodb:PutItem" => Self::Writes,
            "sqs:SendMessage" => Self::SendsTo,
            "events:PutEvents" => Self::SendsEvents,
            "sqs:ReceiveMessage" | "sqs:DeleteMessage" | "sqs:GetQueueAttributes" => Self::TakesFrom,
            "iam:PassRole" => Self::Passes,
            "kms:Decrypt" => Self::Decrypts,
            _ => {
                let (service, call) = action.split_once(':')?;
                let reads = ["Get", "BatchGet", "List", "Describe", "Query"];
                match service {
                    "logs" => Self::DeliversLogs,
                    _ if reads.iter().any(|read| call.starts_with(read)) => Self::Reads,
                    _ => return None,
                }
            }
        };
        Some(verb)
    }

    /// With the names of what it is done to.
    fn says(self, names: &str) -> String {
        match self {
            Self::Restores => format!("restores objects of {names}"),
            Self::Invalidates => format!("invalidates paths of {names}"),
            Self::CreatesJobs => "creates jobs of S3 Batch Operations".to_owned(),
            Self::ChangesJobs => "confirms and cancels jobs of S3 Batch Operations".to_owned(),
            Self::Starts => format!("starts executions of {names}"),
            Self::Stops => format!("stops executions of {names}"),
            Self::Calls => format!("calls {names}"),
            Self::Configures => format!("sets the notifications of {names}"),
            Self::Writes => format!("writes {names}"),
            Self::SendsTo => format!("sends to {names}"),
            Self::SendsEvents => format!("sends events to {names}"),
            Self::TakesFrom => format!("takes from {names}"),
            Self::Passes => format!("passes on {names}"),
            Self::Reads => format!("reads {names}"),
            Self::Decrypts => format!("decrypts with {names}"),
            Self::DeliversLogs => "delivers logs".to_owned(),
        }
    }
}

/// A line for each role that is among the touched resources, or has a policy that is.
pub fn words(template: &Template, touched: &BTreeSet<&str>) -> Vec<String> {
    let roles = template.resources("AWS::IAM::Role");
    let is_touched = |(id, role): &(&String, &serde_json::Value)| {
        let policies = list(&role["ManagedPolicyArns"]);
        touched.contains(id.as_str())
            || policies.iter().any(|policy| touched.contains(text(policy).trim_matches(['{', '}'])))
    };
    let touched = roles.iter().filter(is_touched).map(|(id, _)| id);
    touched.map(|id| format!("  {:<21} {}", id.trim_end_matches("Role"), of_role(template, id))).collect()
}

/// What a role may do, without what every function may do: write its own log.
fn of_role(template: &Template, role: &str) -> String {
    let work_bucket = text(&template.resource("Plan")["Environment"]["Variables"]["WORK_BUCKET"]);
    let own_log = ["logs:CreateLogStream", "logs:PutLogEvents"];
    let mut verbs: BTreeMap<Verb, BTreeSet<String>> = BTreeMap::new();
    let mut others = BTreeSet::new();
    for (action, resources) in template.permissions(role) {
        if own_log.contains(&action.as_str()) {
            continue;
        }
        let named = resources.split(' ').map(|resource| name(&action, resource, &work_bucket));
        match Verb::of(&action) {
            Some(verb) => verbs.entry(verb).or_default().extend(named),
            None => {
                others.insert(format!("{action} on {}", named.collect::<Vec<_>>().join(", ")));
            }
        }
    }
    let mut parts: Vec<_> = others.into_iter().collect();
    parts.extend(verbs.into_iter().map(|(verb, names)| verb.says(&names.into_iter().collect::<Vec<_>>().join(", "))));
    if parts.is_empty() { "only writes its log".to_owned() } else { parts.join("; ") }
}

/// What an action is allowed on, for people.
fn name(action: &str, resource: &str, work_bucket: &str) -> String {
    match action {
        "cloudfront:ListDistributions" => return "the list of distributions".to_owned(),
        "cloudfront:GetCachePolicy" | "cloudfront:GetContinuousDeploymentPolicy" => {
            return "policies of distributions".to_owned();
        }
        _ => {}
    }
    if let Some(bucket) = resource.strip_prefix("arn:aws:s3:::") {
        let (bucket, path) = bucket.split_once('/').unwrap_or((bucket, ""));
        return match (bucket == work_bucket, path) {
            (false, _) => bucket.to_owned(),
            (true, "") => "the work bucket".to_owned(),
            (true, path) => format!("{path} in the work bucket"),
        };
    }
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    match (parts.get(2).copied().unwrap_or_default(), parts.get(5).copied().unwrap_or_default()) {
        ("cloudfront", "distribution/*") => "any distribution".to_owned(),
        ("cloudfront", rest) => rest.trim_start_matches("distribution/").to_owned(),
        ("dynamodb", _) => "the ledger".to_owned(),
        ("states", _) => "the state machine".to_owned(),
        ("events", rest) => format!("the {} bus", rest.trim_start_matches("event-bus/")),
        ("s3", _) => "jobs".to_owned(),
        ("kms", rest) => rest.to_owned(),
        (_, _) if resource == "{StateMachine}" => "the state machine".to_owned(),
        (_, _) if resource == "*" => "all of the account".to_owned(),
        (_, _) => resource.trim_end_matches(":*").trim_matches(['{', '}']).trim_end_matches(".Arn").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(template: &Template, role: &str) -> String {
        let lines = words(template, &[role].into());
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        line.clone()
    }

    #[test]
    fn a_role_reads_like_a_sentence() {
        let template = Template::load();
        assert_eq!(
            line(&template, "StartRestoresRole"),
            "  StartRestores         restores objects of one, two; writes the ledger; reads one, restores/* in the work bucket, the \
             ledger, the work bucket, two"
        );
        assert_eq!(
            line(&template, "ConfirmInvalidationsRole"),
            "  ConfirmInvalidations  writes the ledger; sends to ConfirmInvalidationsDeadLetters, ConfirmInvalidationsQueue; takes \
             from ConfirmInvalidationsQueue; reads any distribution, the ledger"
        );
        let named =
            Template::with(&[("DistributionIds", json!(["E1", "E2"])), ("StagingDistributions", json!("named"))]);
        assert!(line(&named, "InvalidateRole").contains("invalidates paths of E1, E2; "));
        assert!(!line(&named, "InvalidateRole").contains("any distribution"));
        let any = line(&template, "InvalidateRole");
        assert!(any.contains("invalidates paths of any distribution; "), "{any}");
        assert!(
            any.contains(
                "policies of distributions, restores/* in the work bucket, the ledger, the list of distributions"
            ),
            "{any}"
        );
    }

    #[test]
    fn a_shared_policy_concerns_every_role_that_has_it() {
        let lines = words(&Template::load(), &["CreateInvalidations"].into());
        let roles: Vec<_> = lines.iter().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(roles, ["Invalidate", "OnRestoreCompleted"]);
        assert_eq!(words(&Template::load(), &["Ledger"].into()), Vec::<String>::new());
    }

    #[test]
    fn every_action_of_the_template_has_a_verb() {
        let template = Template::with(&[("ArchiveKmsKeys", json!(["arn:aws:kms:us-east-1:111122223333:key/1"]))]);
        for role in template.resources("AWS::IAM::Role").keys() {
            for (action, _) in template.permissions(role) {
                assert!(Verb::of(&action).is_some() || action.starts_with("logs:"), "{role}: {action} has no verb");
            }
        }
        assert_eq!(Verb::of("s3:DeleteBucket"), None);
        assert!(line(&template, "StartRestoresRole").contains("decrypts with key/1"));
    }
}
