//! A stack's events as lines, and what failed first (CloudFormation API Reference, `StackEvent`).

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::kinds::kind;

/// What happened to one resource.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    event_id: String,
    logical_resource_id: String,
    #[serde(default)]
    resource_type: String,
    resource_status: String,
    #[serde(default)]
    resource_status_reason: String,
}

/// The events of one deployment, oldest first, as far as they were seen.
#[derive(Debug, Default)]
pub struct Progress {
    seen: BTreeSet<String>,
    events: Vec<Event>,
}

impl Progress {
    /// Events of the past do not count.
    pub fn after(described: &Value) -> Self {
        let seen = read(described).into_iter().map(|event| event.event_id).collect();
        Self { seen, events: Vec::new() }
    }

    /// Takes what `describe-stack-events` says, newest first; answers a line for each resource whose change has ended.
    pub fn take(&mut self, described: &Value) -> Vec<String> {
        let mut news: Vec<Event> = read(described);
        news.reverse();
        news.retain(|event| self.seen.insert(event.event_id.clone()));
        let lines = news.iter().filter_map(line).collect();
        self.events.extend(news);
        lines
    }

    /// What failed, the first failure first; without resources that were only given up because of another.
    pub fn failures(&self) -> Vec<String> {
        let failed = self.events.iter().filter(|event| event.resource_status.ends_with("_FAILED"));
        let causes = failed.filter(|event| !event.resource_status_reason.contains("cancelled"));
        causes.map(|event| format!("  {}: {}", named(event), event.resource_status_reason)).collect()
    }
}

fn read(described: &Value) -> Vec<Event> {
    let events = described["StackEvents"].as_array().cloned().unwrap_or_default();
    events.into_iter().filter_map(|event| serde_json::from_value(event).ok()).collect()
}

fn named(event: &Event) -> String {
    format!("{} {}", kind(&event.resource_type).noun, event.logical_resource_id)
}

fn line(event: &Event) -> Option<String> {
    if event.resource_type == "AWS::CloudFormation::Stack" {
        return None;
    }
    let what = match event.resource_status.as_str() {
        "CREATE_COMPLETE" => "created",
        "UPDATE_COMPLETE" => "changed",
        "DELETE_COMPLETE" => "removed",
        "DELETE_SKIPPED" => "kept",
        "IMPORT_COMPLETE" => "taken in",
        failed if failed.ends_with("_FAILED") => {
            return Some(format!("  FAILED    {}: {}", named(event), event.resource_status_reason));
        }
        _ => return None,
    };
    Some(format!("  {what:<9} {}", named(event)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(id: u32, resource: &str, kind: &str, status: &str, reason: &str) -> Value {
        json!({
            "EventId": id.to_string(), "StackName": "thaw", "LogicalResourceId": resource, "ResourceType": kind,
            "ResourceStatus": status, "ResourceStatusReason": reason, "Timestamp": "2026-11-30T15:00:00Z",
        })
    }

    #[test]
    fn each_event_is_told_once_and_in_its_order() {
        let (table, stack) = ("AWS::DynamoDB::Table", "AWS::CloudFormation::Stack");
        let old = event(1, "Ledger", table, "CREATE_COMPLETE", "");
        let mut progress = Progress::after(&json!({"StackEvents": [old.clone()]}));
        let begun = event(2, "thaw", stack, "UPDATE_IN_PROGRESS", "User Initiated");
        let doing = event(3, "Ledger", table, "UPDATE_IN_PROGRESS", "");
        let done = event(4, "Ledger", table, "UPDATE_COMPLETE", "");
        let first = json!({"StackEvents": [done, doing, begun, old]});
        assert_eq!(progress.take(&first), ["  changed   table Ledger"]);
        assert_eq!(progress.take(&first), Vec::<String>::new());
        let queue = "AWS::SQS::Queue";
        let later = json!({"StackEvents": [
            event(7, "thaw", stack, "UPDATE_COMPLETE", ""),
            event(6, "Kept", queue, "DELETE_SKIPPED", ""),
            event(5, "Old", queue, "DELETE_COMPLETE", ""),
        ]});
        assert_eq!(progress.take(&later), ["  removed   queue Old", "  kept      queue Kept"]);
        assert_eq!(progress.failures(), Vec::<String>::new());
    }

    #[test]
    fn the_first_failure_comes_first_and_what_was_only_cancelled_is_left_out() {
        let (queue, role) = ("AWS::SQS::Queue", "AWS::IAM::Role");
        let mut progress = Progress::default();
        let lines = progress.take(&json!({"StackEvents": [
            event(5, "thaw", "AWS::CloudFormation::Stack", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed"),
            event(4, "PlanRole", role, "CREATE_FAILED", "not authorized to perform: iam:CreateRole"),
            event(3, "Inbox", queue, "CREATE_FAILED", "Resource creation cancelled"),
            event(2, "Queue", queue, "CREATE_FAILED", "Value 361 is invalid"),
            event(1, "Queue", queue, "CREATE_IN_PROGRESS", ""),
        ]}));
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "  FAILED    queue Queue: Value 361 is invalid");
        assert_eq!(
            progress.failures(),
            ["  queue Queue: Value 361 is invalid", "  role PlanRole: not authorized to perform: iam:CreateRole"]
        );
    }
}
