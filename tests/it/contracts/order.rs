//! What CloudFormation makes first and last.

use std::collections::{BTreeMap, BTreeSet};

use super::template::{TEXT, Template};

/// What Preflight itself needs.
const BEFORE: [&str; 3] = ["Preflight", "PreflightLogs", "PreflightRole"];

/// All that a resource waits for, over however many others.
fn all(waits_for: &BTreeMap<String, BTreeSet<String>>, id: &str) -> BTreeSet<String> {
    let (mut found, mut left) = (BTreeSet::new(), vec![id.to_owned()]);
    while let Some(next) = left.pop() {
        for other in &waits_for[&next] {
            if found.insert(other.clone()) {
                left.push(other.clone());
            }
        }
    }
    found
}

/// The resources that do not wait for Preflight.
fn too_early(template: &Template) -> Vec<String> {
    let waits_for = template.waits_for(true);
    let ids = waits_for.keys().filter(|id| *id != "PreflightPassed" && !BEFORE.contains(&id.as_str()));
    ids.filter(|id| !all(&waits_for, id).contains("PreflightPassed")).cloned().collect()
}

#[test]
fn nothing_is_made_before_preflight_has_passed() {
    let template = Template::load();
    assert_eq!(too_early(&template), Vec::<String>::new());
    // Of the rest nobody waits for anything else, or Preflight could wait for itself.
    let waits_for = template.waits_for(true);
    assert_eq!(all(&waits_for, "PreflightPassed"), BEFORE.map(str::to_owned).into());
    // This looks at something.
    let opened = TEXT.replacen(
        "    Condition: MakesLedger\n    DependsOn: PreflightPassed\n",
        "    Condition: MakesLedger\n",
        1,
    );
    assert_eq!(too_early(&Template::of(&opened, &[])), ["Ledger"]);
}

/// The resources for which Attached does not wait, if they are there.
fn too_late(template: &Template) -> Vec<String> {
    let conditional = template.conditional();
    let always = all(&template.waits_for(true), "Attached");
    let sometimes = all(&template.waits_for(false), "Attached");
    let is_waited_for =
        |id: &String| if conditional.contains(id) { sometimes.contains(id) } else { always.contains(id) };
    template.waits_for(false).into_keys().filter(|id| id != "Attached" && !is_waited_for(id)).collect()
}

/// CloudFormation deletes in the opposite order: what Attached does at the end it does in a stack that is whole.
#[test]
fn attached_is_made_last_and_deleted_first() {
    assert_eq!(too_late(&Template::load()), Vec::<String>::new());
    // This looks at something.
    let without = |name: &str| too_late(&Template::of(&TEXT.replacen(&format!("{name}, "), "", 1), &[]));
    assert_eq!(without("WorkBucketPolicy"), ["WorkBucketPolicy"]);
    let without = |text: &str| too_late(&Template::of(&TEXT.replacen(text, "", 1), &[]));
    assert_eq!(without(", !If [HasNoticeEmail, !Ref NoticesEmail, \"\"]"), ["NoticesEmail"]);
}

/// So a change of any of them is checked, and is another release.
#[test]
fn preflight_gets_every_parameter_under_its_name() {
    let template = Template::load();
    let mut properties = template.property_names("PreflightPassed");
    for own in ["ServiceToken", "ServiceTimeout", "Package"] {
        assert!(properties.remove(own), "{own}");
    }
    assert_eq!(properties, template.parameter_names());
    let properties = template.resource("PreflightPassed");
    assert_eq!(properties["ArchiveBuckets"], serde_json::json!(["one", "two"]), "a list stays a list");
}

/// CloudFormation waits so long for an answer. Lambda calls a function that failed again after one and two minutes (Developer
/// Guide, "How Lambda handles errors and retries with asynchronous invocation").
#[test]
fn a_custom_resource_has_the_time_of_three_attempts_and_fails_in_minutes() {
    let template = Template::load();
    for (resource, function, most) in [("PreflightPassed", "Preflight", 600), ("Attached", "Attachment", 1_200)] {
        let timeout = template.resource(function)["Timeout"].as_u64().unwrap();
        let waits = template.resource(resource)["ServiceTimeout"].as_u64().unwrap();
        assert!((3 * timeout + 60 + 120..=most).contains(&waits), "{resource}: {waits}");
    }
}
