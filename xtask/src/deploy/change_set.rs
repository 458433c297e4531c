//! What a change set would do, in words (CloudFormation API Reference, `DescribeChangeSet`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::kinds::{Group, kind};

/// A change set as CloudFormation describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ChangeSet {
    pub status: Status,
    #[serde(default)]
    status_reason: String,
    #[serde(default)]
    changes: Vec<Change>,
}

/// How far CloudFormation is with finding out what would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    CreatePending,
    CreateInProgress,
    CreateComplete,
    Failed,
    #[serde(other)]
    Deleted,
}

/// One change; none of a resource if it is about something that this command does not know.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    resource_change: Option<ResourceChange>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceChange {
    action: Action,
    logical_resource_id: String,
    #[serde(default)]
    physical_resource_id: String,
    resource_type: String,
    replacement: Option<Replacement>,
    policy_action: Option<PolicyAction>,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Action {
    Add,
    Modify,
    Remove,
    Import,
    /// CloudFormation cannot tell before it executes the change set.
    Dynamic,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Replacement {
    True,
    False,
    Conditional,
}

/// What becomes of the resource that leaves the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum PolicyAction {
    Delete,
    Retain,
    Snapshot,
    ReplaceAndDelete,
    ReplaceAndRetain,
    ReplaceAndSnapshot,
}

/// Why a property changes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Detail {
    target: Option<Target>,
    #[serde(default)]
    evaluation: String,
    #[serde(default)]
    change_source: String,
    /// Such as `Plan.Arn`.
    #[serde(default)]
    causing_entity: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    #[serde(default)]
    attribute: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    requires_recreation: String,
}

impl Detail {
    /// The resource to whose name or ARN this property refers, if it changes only when that one is another resource.
    /// CloudFormation lists such a property as soon as anything of that resource changes. `Static` means that it is another one.
    fn refers_to(&self) -> Option<&str> {
        let (id, attribute) = self.causing_entity.split_once('.').unwrap_or((&self.causing_entity, ""));
        let is_identity = match self.change_source.as_str() {
            "ResourceReference" => true,
            "ResourceAttribute" => ["Arn", "Name", "QueueName", "ApiEndpoint"].contains(&attribute),
            _ => false,
        };
        (is_identity && self.evaluation == "Dynamic").then_some(id)
    }

    fn may_replace(&self) -> bool {
        self.target.as_ref().is_none_or(|target| target.requires_recreation != "Never")
    }
}

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Replaced,
    MayBeReplaced,
    Removed,
    /// It leaves the stack and goes on existing.
    Released,
    Unknown,
    Changed,
    /// A version of a function is never changed: a new one is made, and the old one stays.
    NewVersion,
    /// It only refers to what is changed in place.
    Same,
    Imported,
    Created,
}

impl Fate {
    const ALL: [Self; 10] = [
        Self::Replaced,
        Self::MayBeReplaced,
        Self::Removed,
        Self::Released,
        Self::Unknown,
        Self::Changed,
        Self::NewVersion,
        Self::Imported,
        Self::Created,
        Self::Same,
    ];

    fn heading(self) -> &'static str {
        match self {
            Self::Replaced => "REPLACED by new ones",
            Self::MayBeReplaced => "MAY BE REPLACED, which CloudFormation cannot tell before",
            Self::Removed => "REMOVED",
            Self::Released => "leave the stack, and stay in the account",
            Self::Unknown => "changed in a way that CloudFormation does not tell",
            Self::Changed => "changed in place",
            Self::NewVersion => "published anew; the old ones stay for the restores that run",
            Self::Same => "listed by CloudFormation, and stay as they are: they refer to what is changed in place",
            Self::Imported => "taken into the stack as they are",
            Self::Created => "created",
        }
    }

    /// Whether what was stored is in the stack afterwards.
    fn keeps_storage(self) -> bool {
        match self {
            Self::Replaced | Self::MayBeReplaced | Self::Removed | Self::Released | Self::Unknown => false,
            Self::Changed | Self::NewVersion | Self::Same | Self::Imported | Self::Created => true,
        }
    }
}

impl ResourceChange {
    /// By itself, without regard to what it refers to.
    fn own_fate(&self) -> Fate {
        match (self.action, self.replacement) {
            (Action::Add, _) => Fate::Created,
            (Action::Import, _) => Fate::Imported,
            (Action::Remove, _) => match self.policy_action {
                Some(PolicyAction::Retain | PolicyAction::ReplaceAndRetain) => Fate::Released,
                Some(
                    PolicyAction::Delete
                    | PolicyAction::Snapshot
                    | PolicyAction::ReplaceAndDelete
                    | PolicyAction::ReplaceAndSnapshot,
                )
                | None => Fate::Removed,
            },
            (Action::Modify, Some(Replacement::True | Replacement::Conditional)) if self.is_kept_version() => {
                Fate::NewVersion
            }
            // A resource of a function of the stack decides by itself, and stores nothing.
            (Action::Modify, Some(Replacement::Conditional)) if self.resource_type.starts_with("Custom::") => {
                Fate::Changed
            }
            (Action::Modify, Some(Replacement::True)) => Fate::Replaced,
            (Action::Modify, Some(Replacement::Conditional)) => Fate::MayBeReplaced,
            (Action::Modify, Some(Replacement::False) | None) => Fate::Changed,
            (Action::Dynamic | Action::Unknown, _) => Fate::Unknown,
        }
    }

    fn is_kept_version(&self) -> bool {
        self.resource_type == "AWS::Lambda::Version" && self.policy_action == Some(PolicyAction::ReplaceAndRetain)
    }

    /// Knowing what becomes of others.
    fn fate_among(&self, fates: &BTreeMap<&str, Fate>) -> Fate {
        let own = self.own_fate();
        if !matches!(own, Fate::Changed | Fate::MayBeReplaced) || self.details.is_empty() {
            return own;
        }
        let stays = |detail: &&Detail| {
            let other = detail.refers_to().and_then(|id| fates.get(id));
            matches!(other, Some(Fate::Changed | Fate::Same))
        };
        let (same, changing): (Vec<_>, Vec<_>) = self.details.iter().partition(stays);
        let only_same_may_replace =
            same.iter().any(|detail| detail.may_replace()) && !changing.iter().any(|detail| detail.may_replace());
        match own {
            _ if changing.is_empty() => Fate::Same,
            Fate::MayBeReplaced if only_same_may_replace => Fate::Changed,
            own => own,
        }
    }

    /// The names of the properties and attributes that change, separated by commas.
    fn properties(&self) -> String {
        let targets = self.details.iter().filter_map(|detail| detail.target.as_ref());
        let names: BTreeSet<&str> = targets
            .map(|target| if target.name.is_empty() { target.attribute.as_str() } else { &target.name })
            .collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    fn old_one(&self) -> &'static str {
        match self.policy_action {
            Some(PolicyAction::Retain | PolicyAction::ReplaceAndRetain) => "The old one stays in the account",
            Some(PolicyAction::Snapshot | PolicyAction::ReplaceAndSnapshot) => "Of the old one only a snapshot stays",
            Some(PolicyAction::Delete | PolicyAction::ReplaceAndDelete) | None => {
                "The old one is DELETED with what is in it"
            }
        }
    }
}

impl ChangeSet {
    /// Adds what CloudFormation leaves out where it cannot tell yet whether a resource is replaced: that the template keeps the old
    /// one of these.
    pub fn with_kept(mut self, kept: &BTreeSet<String>) -> Self {
        for change in self.changes.iter_mut().filter_map(|change| change.resource_change.as_mut()) {
            let may_be_replaced = matches!(change.replacement, Some(Replacement::True | Replacement::Conditional));
            if may_be_replaced && change.policy_action.is_none() && kept.contains(&change.logical_resource_id) {
                change.policy_action = Some(PolicyAction::ReplaceAndRetain);
            }
        }
        self
    }

    /// Why CloudFormation could not make it.
    pub fn reason(&self) -> &str {
        &self.status_reason
    }

    /// Whether it failed only because nothing would change.
    pub fn is_empty(&self) -> bool {
        let reasons = ["didn't contain changes", "No updates are to be performed"];
        self.status == Status::Failed && reasons.iter().any(|reason| self.status_reason.contains(reason))
    }

    fn resources(&self) -> impl Iterator<Item = &ResourceChange> {
        self.changes.iter().filter_map(|change| change.resource_change.as_ref())
    }

    /// What becomes of each resource, by its logical id. Who refers to something that is only changed in place stays as it is, and
    /// so does who refers to that one.
    fn fates(&self) -> BTreeMap<&str, Fate> {
        let by_id = |fate: &dyn Fn(&ResourceChange) -> Fate| {
            self.resources().map(|change| (change.logical_resource_id.as_str(), fate(change))).collect()
        };
        let mut fates: BTreeMap<&str, Fate> = by_id(&ResourceChange::own_fate);
        loop {
            let better = by_id(&|change| change.fate_among(&fates));
            if better == fates {
                return fates;
            }
            fates = better;
        }
    }

    /// The ids of the resources that are created or changed.
    pub fn touched(&self) -> BTreeSet<&str> {
        let is_touched = |fate: Fate| !matches!(fate, Fate::Removed | Fate::Released | Fate::Same);
        self.fates().into_iter().filter(|(_, fate)| is_touched(*fate)).map(|(id, _)| id).collect()
    }

    /// A line for each table or bucket that would no longer be in the stack with what it stores.
    pub fn storage_at_stake(&self) -> Vec<String> {
        let fates = self.fates();
        let at_stake = self.resources().filter_map(|change| {
            let kind = kind(&change.resource_type);
            let fate = *fates.get(change.logical_resource_id.as_str())?;
            if kind.group != Group::Storage || fate.keeps_storage() {
                return None;
            }
            let ResourceChange { logical_resource_id: id, physical_resource_id: name, .. } = change;
            let what = match fate {
                Fate::Replaced => "is replaced by an empty one",
                Fate::MayBeReplaced => "may be replaced by an empty one",
                Fate::Removed | Fate::Released => "leaves the stack",
                Fate::Unknown => "changes in a way that CloudFormation does not tell",
                Fate::Changed | Fate::NewVersion | Fate::Same | Fate::Imported | Fate::Created => return None,
            };
            let why = change.properties();
            let why = if why.is_empty() { why } else { format!(", because of {why}") };
            Some(format!("{id} ({} {name}) {what}{why}. {}.", kind.noun, change.old_one()))
        });
        at_stake.collect()
    }

    /// What is replaced, removed, changed and created, in this order.
    pub fn words(&self) -> Vec<String> {
        let fates = self.fates();
        let fate_of = |change: &ResourceChange| fates.get(change.logical_resource_id.as_str()).copied();
        let mut lines = Vec::new();
        for fate in Fate::ALL {
            let of_fate: Vec<_> = self.resources().filter(|change| fate_of(change) == Some(fate)).collect();
            if of_fate.is_empty() {
                continue;
            }
            lines.push(format!("{}: {}", fate.heading(), counted(of_fate.len(), "resource")));
            match fate {
                Fate::Created => lines.extend(by_group(&of_fate)),
                Fate::Changed | Fate::NewVersion => lines.extend(by_property(&of_fate, 3)),
                Fate::Same => {}
                Fate::Replaced
                | Fate::MayBeReplaced
                | Fate::Removed
                | Fate::Released
                | Fate::Unknown
                | Fate::Imported => lines.extend(by_property(&of_fate, usize::MAX)),
            }
        }
        if self.resources().any(|change| change.resource_type == API && fate_of(change) == Some(Fate::Replaced)) {
            lines.push("The address of the HTTP API changes.".to_owned());
        }
        lines
    }
}

const API: &str = "AWS::ApiGatewayV2::Api";

/// Everything that is created: a line for each group, with names where they tell something.
fn by_group(changes: &[&ResourceChange]) -> Vec<String> {
    let mut groups: BTreeMap<Group, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for change in changes {
        let kind = kind(&change.resource_type);
        groups.entry(kind.group).or_default().entry(kind.noun).or_default().push(&change.logical_resource_id);
    }
    let line = |(group, nouns): (&Group, &BTreeMap<&str, Vec<&str>>)| {
        let parts = nouns.iter().map(|(noun, ids)| match group.names_matter() {
            true => format!("{} {}", plural(ids.len(), noun), ids.join(", ")),
            false => counted(ids.len(), noun),
        });
        format!("  {:<12} {}", group.name(), parts.collect::<Vec<_>>().join("; "))
    };
    groups.iter().map(line).collect()
}

/// What changes alike is one line, with at most so many names.
fn by_property(changes: &[&ResourceChange], names: usize) -> Vec<String> {
    let mut alike: BTreeMap<(Group, &str, String), Vec<&str>> = BTreeMap::new();
    for change in changes {
        let kind = kind(&change.resource_type);
        alike.entry((kind.group, kind.noun, change.properties())).or_default().push(&change.logical_resource_id);
    }
    let line = |((_, noun, properties), ids): (&(Group, &str, String), &Vec<&str>)| {
        let shown = ids.iter().take(names).copied().collect::<Vec<_>>().join(", ");
        let more = ids.len().saturating_sub(names);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let properties = if properties.is_empty() { String::new() } else { format!(": {properties}") };
        format!("  {} {shown}{more}{properties}", plural(ids.len(), noun))
    };
    alike.iter().map(line).collect()
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {}", plural(count, noun))
}

fn plural(count: usize, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => noun.to_owned(),
        (_, Some(stem)) => format!("{stem}ies"),
        (_, None) => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn change(action: &str, id: &str, kind: &str, more: Value) -> Value {
        let mut change =
            json!({"Action": action, "LogicalResourceId": id, "ResourceType": kind, "Scope": [], "Details": []});
        change.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"Type": "Resource", "ResourceChange": change})
    }

    fn modified(id: &str, kind: &str, replacement: &str, properties: &[&str]) -> Value {
        let recreation = match replacement {
            "True" => "Always",
            "Conditional" => "Conditionally",
            _ => "Never",
        };
        let detail = |name: &&str| {
            let target = json!({"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation});
            json!({"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"})
        };
        let details: Vec<_> = properties.iter().map(detail).collect();
        let more = json!({"Replacement": replacement, "PhysicalResourceId": format!("my-{id}"), "Details": details});
        change("Modify", id, kind, more)
    }

    fn change_set(changes: &[Value]) -> ChangeSet {
        let described = json!({
            "ChangeSetName": "thaw-1", "StackName": "thaw", "Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE",
            "Capabilities": ["CAPABILITY_IAM"], "Changes": changes,
        });
        serde_json::from_value(described).unwrap()
    }

    #[test]
    fn a_first_deployment_is_told_by_groups() {
        let none = || json!({});
        let created = change_set(&[
            change("Add", "Ledger", "AWS::DynamoDB::Table", none()),
            change("Add", "WorkBucket", "AWS::S3::Bucket", none()),
            change("Add", "Plan", "AWS::Lambda::Function", none()),
            change("Add", "Report", "AWS::Lambda::Function", none()),
            change("Add", "ReadArchive", "AWS::IAM::ManagedPolicy", none()),
            change("Add", "ReadWork", "AWS::IAM::ManagedPolicy", none()),
            change("Add", "PlanRole", "AWS::IAM::Role", none()),
            change("Add", "Gadget", "AWS::New::Gadget", none()),
        ]);
        assert_eq!(
            created.words(),
            [
                "created: 8 resources",
                "  storage      bucket WorkBucket; table Ledger",
                "  functions    functions Plan, Report",
                "  permissions  2 policies; 1 role",
                "  others       AWS::New::Gadget Gadget",
            ]
        );
        assert_eq!(created.storage_at_stake(), Vec::<String>::new());
    }

    #[test]
    fn an_update_tells_what_changes_alike_in_one_line() {
        let functions = ["Adopt", "Plan", "Report", "StartRestores"];
        let mut changes: Vec<_> =
            functions.iter().map(|id| modified(id, "AWS::Lambda::Function", "False", &["Code"])).collect();
        changes.push(modified("Invalidate", "AWS::Lambda::Function", "False", &["Environment", "Code", "Code"]));
        let tags = json!({"Replacement": "False", "Details": [{"Target": {"Attribute": "Tags"}}, {}]});
        changes.push(change("Modify", "Api", "AWS::ApiGatewayV2::Api", tags));
        assert_eq!(
            change_set(&changes).words(),
            [
                "changed in place: 6 resources",
                "  functions Adopt, Plan, Report and 1 more: Code",
                "  function Invalidate: Code, Environment",
                "  HTTP API Api: Tags",
            ]
        );
    }

    #[test]
    fn what_is_replaced_or_removed_comes_first() {
        let changes = change_set(&[
            change("Add", "New", "AWS::SQS::Queue", json!({})),
            change("Remove", "Old", "AWS::SQS::Queue", json!({"PolicyAction": "Delete"})),
            modified("Api", "AWS::ApiGatewayV2::Api", "True", &["ProtocolType"]),
            modified("PlanRole", "AWS::IAM::Role", "Conditional", &["RoleName"]),
            change("Remove", "Kept", "AWS::SQS::Queue", json!({"PolicyAction": "Retain"})),
            change("Dynamic", "Nested", "AWS::CloudFormation::Stack", json!({})),
            change("SyncWithActual", "Drifted", "AWS::SQS::Queue", json!({})),
        ]);
        assert_eq!(
            changes.words(),
            [
                "REPLACED by new ones: 1 resource",
                "  HTTP API Api: ProtocolType",
                "MAY BE REPLACED, which CloudFormation cannot tell before: 1 resource",
                "  role PlanRole: RoleName",
                "REMOVED: 1 resource",
                "  queue Old",
                "leave the stack, and stay in the account: 1 resource",
                "  queue Kept",
                "changed in a way that CloudFormation does not tell: 2 resources",
                "  queue Drifted",
                "  AWS::CloudFormation::Stack Nested",
                "created: 1 resource",
                "  events       1 queue",
                "The address of the HTTP API changes.",
            ]
        );
        assert_eq!(changes.touched(), ["Api", "Drifted", "Nested", "New", "PlanRole"].into());
    }

    /// As AWS describes them: a detail of a reference to a resource that changes in place is `Dynamic`.
    fn refers(id: &str, kind: &str, recreation: &str, evaluation: &str, entities: &[&str]) -> Value {
        let detail = |entity: &&str| {
            let source = if entity.contains('.') { "ResourceAttribute" } else { "ResourceReference" };
            let target = json!({"Attribute": "Properties", "Name": "P", "RequiresRecreation": recreation});
            json!({"Target": target, "Evaluation": evaluation, "ChangeSource": source, "CausingEntity": entity})
        };
        let details: Vec<_> = entities.iter().map(detail).collect();
        let replacement = if recreation == "Never" { "False" } else { "Conditional" };
        change("Modify", id, kind, json!({"Replacement": replacement, "Details": details}))
    }

    #[test]
    fn who_refers_to_what_changes_in_place_stays_as_it_is() {
        let (function, permission, route) =
            ("AWS::Lambda::Function", "AWS::Lambda::Permission", "AWS::ApiGatewayV2::Route");
        let changes = change_set(&[
            modified("Plan", function, "False", &["Code"]),
            refers("PlanPermission", permission, "Always", "Dynamic", &["Plan"]),
            refers("PlanIntegration", "AWS::ApiGatewayV2::Integration", "Conditionally", "Dynamic", &["Plan.Arn"]),
            refers("PlanRoute", route, "Always", "Dynamic", &["PlanIntegration"]),
            // Attributes of a custom resource change without its being replaced.
            refers("Adopt", function, "Never", "Dynamic", &["Preflight.Release"]),
            modified("Preflight", "Custom::Preflight", "False", &["Release"]),
        ]);
        assert_eq!(
            changes.words(),
            [
                "changed in place: 3 resources",
                "  function Plan: Code",
                "  function Adopt: P",
                "  check Preflight: Release",
                "listed by CloudFormation, and stay as they are: they refer to what is changed in place: 3 resources",
            ]
        );
        assert_eq!(changes.touched(), ["Adopt", "Plan", "Preflight"].into());
    }

    #[test]
    fn a_new_version_of_a_function_is_no_loss_and_a_check_runs_again() {
        let mut version = modified("PlanVersion", "AWS::Lambda::Version", "Conditional", &["Description"]);
        let check = modified("PreflightPassed", "Custom::Preflight", "Conditional", &["DailyBudgetUsd"]);
        version["ResourceChange"]["PolicyAction"] = json!("ReplaceAndRetain");
        assert_eq!(
            change_set(&[version.clone(), check]).words(),
            [
                "changed in place: 1 resource",
                "  check PreflightPassed: DailyBudgetUsd",
                "published anew; the old ones stay for the restores that run: 1 resource",
                "  function version PlanVersion: Description",
            ]
        );
        version["ResourceChange"].as_object_mut().unwrap().remove("PolicyAction");
        let told = |kept: &str| change_set(&[version.clone()]).with_kept(&[kept.to_owned()].into()).words();
        assert!(told("PlanVersion")[0].starts_with("published anew"));
        assert!(told("OtherVersion")[0].starts_with("MAY BE REPLACED"));
        // Restores that run would lose it.
        version["ResourceChange"]["PolicyAction"] = json!("ReplaceAndDelete");
        assert!(change_set(&[version]).words()[0].starts_with("MAY BE REPLACED"));
    }

    #[test]
    fn who_refers_to_what_is_replaced_may_be_replaced_too() {
        let permission = "AWS::Lambda::Permission";
        let changes = change_set(&[
            modified("Plan", "AWS::Lambda::Function", "True", &["FunctionName"]),
            refers("One", permission, "Always", "Dynamic", &["Plan"]),
            refers("Two", permission, "Always", "Static", &["Queue.Arn"]),
            modified("Queue", "AWS::SQS::Queue", "False", &["DelaySeconds"]),
            refers("Three", permission, "Always", "Dynamic", &["Plan", "Queue.Arn"]),
            // A property that replaces nothing, beside a reference that does not change.
            {
                let mut four = refers("Four", permission, "Always", "Dynamic", &["Queue.Arn"]);
                let other = modified("Four", permission, "False", &["Tags"])["ResourceChange"]["Details"][0].clone();
                four["ResourceChange"]["Details"].as_array_mut().unwrap().push(other);
                four
            },
        ]);
        let fates = changes.fates();
        assert_eq!(fates["Plan"], Fate::Replaced);
        for id in ["One", "Two", "Three"] {
            assert_eq!(fates[id], Fate::MayBeReplaced, "{id}");
        }
        assert_eq!(fates["Four"], Fate::Changed);
    }

    #[test]
    fn storage_that_would_be_lost_to_the_stack_is_at_stake() {
        let (table, bucket) = ("AWS::DynamoDB::Table", "AWS::S3::Bucket");
        let mut replaced = modified("Ledger", table, "True", &["KeySchema"]);
        replaced["ResourceChange"]["PolicyAction"] = json!("ReplaceAndRetain");
        let at_stake = |change: &Value| change_set(std::slice::from_ref(change)).storage_at_stake().concat();
        assert_eq!(
            at_stake(&replaced),
            "Ledger (table my-Ledger) is replaced by an empty one, because of KeySchema. The old one stays in the account."
        );
        replaced["ResourceChange"]["PolicyAction"] = json!("ReplaceAndDelete");
        assert!(at_stake(&replaced).ends_with("The old one is DELETED with what is in it."));
        let removed = |policy: Value| {
            change("Remove", "WorkBucket", bucket, json!({"PhysicalResourceId": "b", "PolicyAction": policy}))
        };
        assert_eq!(
            at_stake(&removed(json!("Retain"))),
            "WorkBucket (bucket b) leaves the stack. The old one stays in the account."
        );
        // Without a policy CloudFormation deletes.
        let plain = change("Remove", "WorkBucket", bucket, json!({"PhysicalResourceId": "b"}));
        assert!(at_stake(&plain).contains("DELETED"));
        for dangerous in
            [modified("Ledger", table, "Conditional", &["X"]), change("Dynamic", "Ledger", table, json!({}))]
        {
            assert!(!at_stake(&dangerous).is_empty(), "{dangerous}");
        }
        for harmless in [
            modified("Ledger", table, "False", &["X"]),
            change("Add", "Ledger", table, json!({})),
            change("Import", "Ledger", table, json!({})),
            change("Remove", "Old", "AWS::SQS::Queue", json!({})),
        ] {
            assert_eq!(at_stake(&harmless), "", "{harmless}");
        }
    }

    #[test]
    fn a_change_set_without_changes_is_told_from_one_that_failed() {
        let failed = |reason: &str| -> ChangeSet {
            serde_json::from_value(json!({"Status": "FAILED", "StatusReason": reason})).unwrap()
        };
        assert!(
            failed(
                "The submitted information didn't contain changes. Submit different information to create a change set."
            )
            .is_empty()
        );
        assert!(failed("No updates are to be performed.").is_empty());
        assert!(!failed("Parameter ArchiveBuckets must be a list").is_empty());
        let ready: ChangeSet = serde_json::from_value(json!({"Status": "CREATE_COMPLETE"})).unwrap();
        assert!(!ready.is_empty());
        let going: ChangeSet = serde_json::from_value(json!({"Status": "CREATE_IN_PROGRESS"})).unwrap();
        assert_eq!(going.status, Status::CreateInProgress);
    }
}
