//! The stack's parameters: what `--set` says, what the stack has already, and what the template falls back to.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::template::Template;

/// The parameter that `--code-bucket` sets.
pub const CODE_BUCKET: &str = "CodeBucket";

/// Names are taken for one another up to this similarity (Jaro-Winkler; 1 is the same name).
const NEAR: f64 = 0.8;

/// One `--set Name=Value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    name: String,
    value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("write Name=Value, for example DailyBudgetUsd=20")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// A parameter of the template.
#[derive(Debug)]
struct Definition<'a> {
    name: &'a str,
    is_list: bool,
    default: Option<String>,
    description: &'a str,
}

fn definitions(template: &Template) -> Vec<Definition<'_>> {
    let definitions = template.parameters().iter();
    let read = definitions.map(|(name, definition)| Definition {
        name,
        is_list: definition["Type"] == "CommaDelimitedList",
        default: match &definition["Default"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        },
        description: definition["Description"].as_str().unwrap_or_default(),
    });
    read.collect()
}

/// The values of all parameters of one deployment.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, Chosen>);

/// A parameter's value, and why it has it.
#[derive(Debug, PartialEq, Eq)]
struct Chosen {
    value: String,
    is_list: bool,
    from: From,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// It was named.
    Setting,
    /// The stack has it.
    Stack,
    /// The template.
    Default,
}

impl Parameters {
    /// What is set, else what the stack has, else the default. Fails on a name that the template does not have or that is
    /// set twice, and on a parameter that has no value.
    pub fn decide(
        template: &Template,
        settings: &[Setting],
        code_bucket: &str,
        stack: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let definitions = definitions(template);
        check(settings, &definitions)?;
        let mut chosen = BTreeMap::new();
        let mut missing = Vec::new();
        for Definition { name, is_list, default, description } in definitions {
            let set = match name == CODE_BUCKET {
                true => Some(code_bucket),
                false => settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.as_str()),
            };
            let (value, from) = match (set, stack.get(name), default) {
                (Some(value), _, _) => (value.to_owned(), From::Setting),
                (None, Some(value), _) => (value.clone(), From::Stack),
                (None, None, Some(value)) => (value, From::Default),
                (None, None, None) => {
                    missing.push(format!("\n  --set {name}=…  {description}"));
                    continue;
                }
            };
            chosen.insert(name.to_owned(), Chosen { value, is_list, from });
        }
        ensure!(missing.is_empty(), "these parameters have no default and must be set:{}", missing.concat());
        Ok(Self(chosen))
    }

    /// A parameter's value; empty if the template has no such parameter.
    pub fn value(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |chosen| chosen.value.as_str())
    }

    /// The elements of a parameter that is a list.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.value(name).split(',').map(str::trim).filter(|element| !element.is_empty()).collect()
    }

    /// For `create-change-set --parameters`. Defaults are left to CloudFormation, so that it keeps them apart from values that
    /// somebody chose.
    pub fn submitted(&self) -> Value {
        let one = |(name, chosen): (&String, &Chosen)| match chosen.from {
            From::Setting => Some(json!({"ParameterKey": name, "ParameterValue": chosen.value})),
            From::Stack => Some(json!({"ParameterKey": name, "UsePreviousValue": true})),
            From::Default => None,
        };
        self.0.iter().filter_map(one).collect()
    }

    /// The template with these values. Fails if they break a rule of it.
    pub fn rendered(&self, text: &str) -> Result<Template> {
        let value = |chosen: &Chosen| match chosen.is_list {
            true => chosen.value.split(',').map(str::trim).collect(),
            false => json!(chosen.value),
        };
        let values: Vec<_> = self.0.iter().map(|(name, chosen)| (name.as_str(), value(chosen))).collect();
        let template = Template::of(text, &values);
        let broken = template.broken_rules();
        ensure!(broken.is_empty(), "{}", broken.join("\n"));
        Ok(template)
    }

    /// A line for each parameter that the stack has with another value.
    pub fn changes(&self, stack: &BTreeMap<String, String>) -> Vec<String> {
        let change = |(name, chosen): (&String, &Chosen)| {
            let before = stack.get(name).filter(|before| **before != chosen.value)?;
            Some(format!("  {name}: {before:?} becomes {:?}", chosen.value))
        };
        self.0.iter().filter_map(change).collect()
    }
}

fn check(settings: &[Setting], definitions: &[Definition]) -> Result<()> {
    let mut names = BTreeSet::new();
    for Setting { name, .. } in settings {
        ensure!(
            name != CODE_BUCKET,
            "{CODE_BUCKET} is set by --code-bucket, or chosen: the files of the release must be in it"
        );
        ensure!(names.insert(name), "--set names {name} twice");
        if definitions.iter().all(|definition| definition.name != name) {
            let all = definitions.iter().map(|definition| definition.name).filter(|name| *name != CODE_BUCKET);
            let nearest =
                all.clone().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
            let meant = nearest.filter(|nearest| strsim::jaro_winkler(nearest, name) >= NEAR);
            let meant = meant.map_or_else(String::new, |nearest| format!(" Did you mean {nearest}?"));
            bail!("the template has no parameter {name:?}.{meant} It has {}", all.collect::<Vec<_>>().join(", "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(settings: &[&str], stack: &[(&str, &str)]) -> Result<Parameters> {
        let settings: Vec<Setting> = settings.iter().map(|text| text.parse().unwrap()).collect();
        let stack = stack.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Parameters::decide(&Template::load(), &settings, "code", &stack)
    }

    #[test]
    fn an_update_keeps_what_is_not_named_and_leaves_defaults_to_cloudformation() {
        let stack =
            [("ArchiveBuckets", "one,two"), ("DailyBudgetUsd", "5"), ("CodeBucket", "old"), ("GoneBefore", "x")];
        let parameters = decide(&["DailyBudgetUsd=20", "PathRules=[{\"keys\": \"a=b\"}]"], &stack).unwrap();
        assert_eq!(
            parameters.submitted(),
            json!([
                {"ParameterKey": "ArchiveBuckets", "UsePreviousValue": true},
                {"ParameterKey": "CodeBucket", "ParameterValue": "code"},
                {"ParameterKey": "DailyBudgetUsd", "ParameterValue": "20"},
                {"ParameterKey": "PathRules", "ParameterValue": "[{\"keys\": \"a=b\"}]"},
            ])
        );
        assert_eq!(parameters.value("Architecture"), "arm64");
        assert_eq!(parameters.value("RestoresPerSecond"), "1000");
        assert_eq!(parameters.list("ArchiveBuckets"), ["one", "two"]);
        assert_eq!(parameters.list("DistributionIds"), [""; 0]);
    }

    #[test]
    fn the_rendered_template_has_the_values() {
        let parameters = decide(&["ArchiveBuckets=mine,yours", "Architecture=x86_64"], &[]).unwrap();
        let plan = parameters.rendered(crate::template::TEXT).unwrap().resource("Plan");
        assert_eq!(plan["Environment"]["Variables"]["ARCHIVE_BUCKETS"], "mine,yours");
        assert_eq!(plan["Architectures"], json!(["x86_64"]));
    }

    #[test]
    fn what_breaks_a_rule_of_the_template_is_refused_before_anything_is_uploaded() {
        let parameters = decide(&["ExistingLedger=old-ledger"], &[("ArchiveBuckets", "one")]).unwrap();
        let refused = parameters.rendered(crate::template::TEXT).unwrap_err().to_string();
        assert!(refused.contains("ExistingLedger and ExistingWorkBucket belong together"), "{refused}");
    }

    #[test]
    fn what_changes_is_told_with_what_it_was() {
        let stack = [("ArchiveBuckets", "one"), ("DailyBudgetUsd", ""), ("EventRules", "ENABLED")];
        let parameters = decide(&["DailyBudgetUsd=20", "EventRules=ENABLED", "NoticeEmail=a@b.c"], &stack).unwrap();
        let stack = stack.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(parameters.changes(&stack), ["  DailyBudgetUsd: \"\" becomes \"20\""]);
    }

    #[test]
    fn a_wrong_name_is_refused_with_the_one_that_was_meant_and_all_others() {
        let refused = |settings: &[&str]| decide(settings, &[("ArchiveBuckets", "one")]).unwrap_err().to_string();
        let misspelled = refused(&["DailyBudgetUSD=5"]);
        assert!(
            misspelled.starts_with("the template has no parameter \"DailyBudgetUSD\". Did you mean DailyBudgetUsd?")
        );
        assert!(misspelled.contains("ArchiveBuckets, ") && !misspelled.contains("CodeBucket"), "{misspelled}");
        assert!(!refused(&["Xyz=5"]).contains("Did you mean"));
        assert!(refused(&["CodeBucket=mine"]).contains("--code-bucket"));
        assert!(refused(&["EventRules=ENABLED", "EventRules=DISABLED"]).contains("twice"));
    }

    #[test]
    fn a_parameter_without_a_value_is_asked_for_with_what_it_means() {
        let missing = decide(&[], &[]).unwrap_err().to_string();
        assert!(missing.contains("\n  --set ArchiveBuckets=…  Buckets to restore from"), "{missing}");
        assert!(!missing.contains("EventRules"), "{missing}");
    }

    #[test]
    fn a_setting_is_a_name_and_a_value() {
        assert!("EventRules".parse::<Setting>().unwrap_err().contains("Name=Value"));
        assert_eq!("A=".parse(), Ok(Setting { name: String::from("A"), value: String::new() }));
    }
}
