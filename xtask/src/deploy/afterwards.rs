//! What is said when a deployment has ended: where the API is, what is not set yet, and what to try first.

use serde_json::Value;

use super::parameters::Parameters;

/// Whether a bucket sends its events to EventBridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    Sent,
    NotSent,
    /// The caller may not read the setting, or S3 did not answer.
    Unknown,
}

impl Events {
    /// From what `get-bucket-notification-configuration` prints: nothing at all for a bucket that never had a setting.
    pub fn of(configuration: Option<&Value>) -> Self {
        match configuration {
            None => Self::Unknown,
            Some(configuration) if configuration.get("EventBridgeConfiguration").is_some() => Self::Sent,
            Some(_) => Self::NotSent,
        }
    }
}

/// What to do for a bucket of which S3's events do not come; nothing for others.
pub fn unset(bucket: &str, events: Events) -> Vec<String> {
    let doubt = match events {
        Events::Sent => return Vec::new(),
        Events::NotSent => format!("The bucket {bucket} does not send its events to EventBridge."),
        Events::Unknown => format!("Whether the bucket {bucket} sends its events to EventBridge could not be read."),
    };
    vec![
        format!(
            "{doubt} Without them thaw works, but objects are published hours late: when it polls S3. To send them: --set ManageBucketEvents=true, or by hand:"
        ),
        format!("  aws s3api get-bucket-notification-configuration --bucket {bucket} > before.json"),
        "  jq --slurp '(.[0] // {}) + {EventBridgeConfiguration: {}}' before.json > after.json".to_owned(),
        format!(
            "  aws s3api put-bucket-notification-configuration --bucket {bucket} --notification-configuration file://after.json"
        ),
    ]
}

/// What else is not set, for people.
pub fn unset_parameters(parameters: &Parameters, is_new: bool) -> Vec<String> {
    let mut lines = Vec::new();
    match parameters.value("NoticeEmail") {
        "" => lines.push(
            "Nobody gets the notices and alarms: subscribe to the topic, or --set NoticeEmail=you@example.com."
                .to_owned(),
        ),
        email if is_new => {
            lines.push(format!("AWS sends {email} a mail with a link: notices come once it is confirmed."));
        }
        _ => {}
    }
    if parameters.value("DailyBudgetUsd").is_empty() {
        lines.push("What restores of a day may cost has no limit: --set DailyBudgetUsd=20 sets one.".to_owned());
    }
    lines
}

/// The first commands to try, with what they need to find this stack.
pub fn first_commands(bucket: &str, address: &str) -> Vec<String> {
    vec![format!("  thaw doctor{address}"), format!("  thaw plan{address} s3://{bucket}/a/key")]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::template::Template;

    #[test]
    fn a_bucket_without_the_setting_is_told_with_the_commands_that_set_it() {
        assert_eq!(Events::of(Some(&json!({"EventBridgeConfiguration": {}}))), Events::Sent);
        // S3 answers a bucket without any setting with nothing.
        assert_eq!(Events::of(Some(&Value::Null)), Events::NotSent);
        assert_eq!(Events::of(Some(&json!({"QueueConfigurations": []}))), Events::NotSent);
        assert_eq!(Events::of(None), Events::Unknown);
        assert_eq!(unset("b", Events::Sent), Vec::<String>::new());
        let said = unset("b", Events::NotSent).join("\n");
        assert!(
            said.contains("hours late") && said.contains("put-bucket-notification-configuration --bucket b"),
            "{said}"
        );
        assert!(unset("b", Events::Unknown)[0].contains("could not be read"));
    }

    /// So that the guide and the command do not drift apart.
    #[test]
    fn the_commands_are_those_of_the_guide() {
        let guide = include_str!("../../../infra/README.md").replace("$bucket", "my-archive");
        for command in &unset("my-archive", Events::NotSent)[1..] {
            assert!(guide.contains(command.trim()), "infra/README.md has no {command}");
        }
    }

    #[test]
    fn what_has_no_limit_and_what_nobody_hears_is_told() {
        let parameters = |settings: &[&str]| {
            let settings: Vec<_> = settings.iter().map(|text| text.parse().unwrap()).collect();
            let stack = BTreeMap::from([(String::from("ArchiveBuckets"), String::from("b"))]);
            Parameters::decide(&Template::load(), &settings, "code", &stack).unwrap()
        };
        assert_eq!(unset_parameters(&parameters(&[]), true).len(), 2);
        let set = parameters(&["NoticeEmail=a@b.c", "DailyBudgetUsd=1"]);
        assert!(unset_parameters(&set, true).concat().contains("confirmed"));
        assert_eq!(unset_parameters(&set, false), Vec::<String>::new());
    }
}
