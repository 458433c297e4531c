//! The parameters of the template: which values CloudFormation refuses, and what a person then reads.

use std::collections::BTreeSet;

use regex_lite::Regex;
use serde_json::{Value, json};

use super::template::{Template, list, object, text};

/// The message of CloudFormation for a value that a parameter refuses; `None` if it takes it.
///
/// An element of a list is matched by itself, without the spaces around it (CloudFormation User Guide, "Parameters").
fn refusal(template: &Template, name: &str, value: &str) -> Option<String> {
    let declared = &template.parameters()[name];
    let is_list = declared["Type"] == "CommaDelimitedList";
    let matches = |value: &str| {
        let pattern = declared["AllowedPattern"].as_str();
        pattern.is_none_or(|pattern| Regex::new(&format!("^(?:{pattern})$")).expect("a pattern").is_match(value))
    };
    let length = |limit: &str| declared[limit].as_u64().map(|limit| limit as usize);
    let number = || value.parse::<f64>();
    let within = |limit: &str, holds: fn(f64, f64) -> bool| {
        declared[limit].as_f64().is_none_or(|limit| number().is_ok_and(|number| holds(number, limit)))
    };
    let allowed = list(&declared["AllowedValues"]);
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let is_taken = (if is_list { value.split(',').map(str::trim).all(matches) } else { matches(value) })
        && length("MaxLength").is_none_or(|most| value.chars().count() <= most)
        && length("MinLength").is_none_or(|least| value.chars().count() >= least)
        && (allowed.is_empty() || allowed.iter().any(|one| shown(one) == value))
        && (declared["Type"] != "Number" || number().is_ok())
        && within("MinValue", |number, least| number >= least)
        && within("MaxValue", |number, most| number <= most);
    let message = || match declared["ConstraintDescription"].as_str() {
        Some(words) => format!("Parameter {name} failed to satisfy constraint: {words}"),
        // CloudFormation lists the values itself.
        None => format!("Parameter {name} must be one of {}", allowed.iter().map(shown).collect::<Vec<_>>().join(", ")),
    };
    (!is_taken).then(message)
}

const BUCKET: &str = "must be the name of a bucket, 3 to 63 characters";
const BUCKETS: &str = "must be a list of bucket names with commas between them, not of ARNs";
const KEYS: &str = "must be a list of ARNs of keys, not of aliases";
const DISTRIBUTIONS: &str = "must be a list of distribution ids such as E2QWRUHEXAMPLE";
const USD: &str = "must be an amount of US dollars such as 25 or 0.5";
const ADDRESS: &str = "must be one e-mail address such as ops@example.com";

/// A parameter, a value that somebody may type, and words of the message.
pub const WRONG: &[(&str, &str, &str)] = &[
    ("CodeBucket", "", BUCKET),
    ("CodeBucket", "ab", BUCKET),
    ("CodeBucket", "s3://code", BUCKET),
    ("CodeBucket", "arn:aws:s3:::code", BUCKET),
    ("CodeBucket", "My-Code", BUCKET),
    ("CodeBucket", "code/", BUCKET),
    ("Architecture", "ARM64", "must be one of arm64, x86_64"),
    ("Architecture", "aarch64", "must be one of arm64, x86_64"),
    ("ArchiveBuckets", "", BUCKETS),
    ("ArchiveBuckets", "one,", BUCKETS),
    ("ArchiveBuckets", "one;two", BUCKETS),
    ("ArchiveBuckets", "arn:aws:s3:::one", BUCKETS),
    ("ArchiveBuckets", "one/photos", BUCKETS),
    ("ArchiveBuckets", "*", BUCKETS),
    ("ArchiveKmsKeys", "alias/archive", KEYS),
    ("ArchiveKmsKeys", "arn:aws:kms:us-east-1:123456789012:alias/archive", KEYS),
    ("ArchiveKmsKeys", "1234abcd-12ab-34cd-56ef-1234567890ab", KEYS),
    ("ArchiveKmsKeys", "*", KEYS),
    ("DistributionIds", "e2qwruhexample", DISTRIBUTIONS),
    ("DistributionIds", "d111111abcdef8.cloudfront.net", DISTRIBUTIONS),
    ("DistributionIds", "arn:aws:cloudfront::123456789012:distribution/E2QWRUHEXAMPLE", DISTRIBUTIONS),
    ("DistributionIds", "E2QWRUHEXAMPLE E3QWRUHEXAMPLE", DISTRIBUTIONS),
    ("DistributionIds", "*", DISTRIBUTIONS),
    ("StagingDistributions", "none", "must be one of found, named"),
    ("DirectoryIndex", "/index.html", "must be the name of a file such as index.html"),
    ("DirectoryIndex", "index.html ", "must be the name of a file such as index.html"),
    ("PathRules", "{\"keys\": \"a\"}", "must be a JSON list of objects"),
    ("PathRules", "images/*", "must be a JSON list of objects"),
    ("DailyBudgetUsd", "$25", USD),
    ("DailyBudgetUsd", "1,000", USD),
    ("DailyBudgetUsd", "-1", USD),
    ("DailyBudgetUsd", "1e9", USD),
    ("DailyBudgetUsd", "none", USD),
    ("DailyBudgetUsd", "9999999999", USD),
    ("InboxMaxCostUsd", "10 USD", USD),
    ("JoinedMaxCostUsd", "unlimited", USD),
    ("RestoresPerSecond", "0", "must be a number of requests a second from 1 to 100000"),
    ("BatchOperationsOver", "-1", "must be a number of objects from 0 to 12000000"),
    ("BatchOperationsOver", "12000001", "must be a number of objects from 0 to 12000000"),
    ("EventRules", "enabled", "must be one of ENABLED, DISABLED"),
    ("ManageBucketEvents", "yes", "must be one of true, false"),
    ("Dashboard", "true", "must be one of ENABLED, DISABLED"),
    ("NoticeEmail", "ops", ADDRESS),
    ("NoticeEmail", "ops@example", ADDRESS),
    ("NoticeEmail", "a@example.com, b@example.com", ADDRESS),
    ("LogRetentionDays", "45", "must be one of 1, 3, 5, 7, 14, 30"),
    ("PermissionsBoundary", "boundary", "must be the ARN of a managed policy"),
    ("PermissionsBoundary", "arn:aws:iam::123456789012:role/admin", "must be the ARN of a managed policy"),
    ("ExistingLedger", "arn:aws:dynamodb:us-east-1:123456789012:table/ledger", "must be the name of a DynamoDB table"),
    ("ExistingWorkBucket", "s3://work", BUCKET),
];

/// Values that must be taken, beside the defaults.
pub const RIGHT: &[(&str, &str)] = &[
    ("CodeBucket", "code"),
    ("ArchiveBuckets", "my-archive,media.example.com"),
    ("ArchiveKmsKeys", "arn:aws:kms:us-east-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"),
    ("ArchiveBuckets", "one, two"),
    ("DistributionIds", "E2QWRUHEXAMPLE,EDFDVBD6EXAMPLE"),
    ("DirectoryIndex", "index.html"),
    ("PathRules", " [{\"keys\": \"images/{path...}\",\n \"paths\": [\"/img/{path...}\"]}]\n"),
    ("PathRules", "[]"),
    ("DailyBudgetUsd", "0"),
    ("DailyBudgetUsd", "0.000000001"),
    ("DailyBudgetUsd", "999999999"),
    ("InboxMaxCostUsd", ""),
    ("JoinedMaxCostUsd", ""),
    ("RestoresPerSecond", "1"),
    ("BatchOperationsOver", "0"),
    ("NoticeEmail", "ops+thaw@mail.example.com"),
    ("PermissionsBoundary", "arn:aws:iam::123456789012:policy/teams/boundary"),
    ("ExistingLedger", "thaw-Ledger-1ABCDEFGHIJKL"),
    ("ExistingWorkBucket", "thaw-workbucket-1abcdefghijkl"),
];

#[test]
fn a_wrong_value_is_refused_in_words_that_say_what_to_write() {
    let template = Template::load();
    for (name, value, words) in WRONG {
        let refusal = refusal(&template, name, value);
        assert!(refusal.as_ref().is_some_and(|says| says.contains(words)), "{name}={value:?}: {refusal:?}");
    }
    let tried: BTreeSet<_> = WRONG.iter().map(|(name, ..)| *name).collect();
    let all: BTreeSet<_> = template.parameters().keys().map(String::as_str).collect();
    assert_eq!(tried, all, "parameters with a wrong value above (left), and all of them (right)");
}

#[test]
fn a_value_that_makes_sense_is_taken_and_so_is_every_default() {
    let template = Template::load();
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let with_default = template.parameters().iter().filter(|(_, declared)| declared.get("Default").is_some());
    let defaults = with_default.map(|(name, declared)| (name.clone(), shown(&declared["Default"])));
    let right = RIGHT.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    for (name, value) in defaults.chain(right) {
        assert_eq!(refusal(&template, &name, &value), None, "{name}={value:?}");
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let broken = |parameters: &[(&str, Value)]| Template::with(parameters).broken_rules();
    let (ledger, work) = (("ExistingLedger", json!("ledger")), ("ExistingWorkBucket", json!("work")));
    let named = ("StagingDistributions", json!("named"));
    let manages = ("ManageBucketEvents", json!("true"));
    let deaf = [manages.clone(), ("EventRules", json!("DISABLED"))];
    let wrong: [(&[(&str, Value)], &str); 5] = [
        (&deaf, "ManageBucketEvents is true, but EventRules is DISABLED"),
        (std::slice::from_ref(&named), "StagingDistributions is named, but DistributionIds names no distribution"),
        (std::slice::from_ref(&ledger), "ExistingLedger and ExistingWorkBucket belong together"),
        (std::slice::from_ref(&work), "ExistingLedger and ExistingWorkBucket belong together"),
        (&[ledger.clone(), ("ExistingWorkBucket", json!("one"))], "ExistingWorkBucket is one of ArchiveBuckets"),
    ];
    for (parameters, words) in wrong {
        let broken = broken(parameters);
        assert!(broken.len() == 1 && broken[0].starts_with(words), "{parameters:?}: {broken:?}");
    }
    let right: [&[(&str, Value)]; 4] =
        [&[], &[manages], &[ledger, work], &[named, ("DistributionIds", json!(["E2QWRUHEXAMPLE"]))]];
    for parameters in right {
        assert_eq!(broken(parameters), Vec::<String>::new(), "{parameters:?}");
    }
}

#[test]
fn the_console_shows_every_parameter_once_with_a_label() {
    let template = Template::load();
    let interface = template.interface();
    let groups = list(&interface["ParameterGroups"]);
    let shown: Vec<_> = groups.iter().flat_map(|group| list(&group["Parameters"])).map(|name| text(&name)).collect();
    let all: BTreeSet<_> = template.parameters().keys().cloned().collect();
    assert_eq!(shown.len(), all.len(), "a parameter is in two groups, or in none: {shown:?}");
    assert_eq!(shown.into_iter().collect::<BTreeSet<_>>(), all);
    assert_eq!(object(&interface["ParameterLabels"]).keys().cloned().collect::<BTreeSet<_>>(), all);
}

/// The guide's table of parameters has each with its default, and says what a later change does.
#[test]
fn the_guide_says_of_every_parameter_what_a_later_change_does() {
    let guide = include_str!("../../../infra/README.md");
    let template = Template::load();
    for (name, declared) in template.parameters() {
        let row = guide
            .lines()
            .find(|line| line.starts_with('|') && line[..line.find(" | ").unwrap_or(0)].contains(&format!("`{name}`")));
        let row = row.unwrap_or_else(|| panic!("infra/README.md has no row for {name}"));
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let default = match declared.get("Default") {
            None => "",
            Some(default) if *default == json!("") => "empty",
            Some(Value::String(default)) => &format!("`{default}`"),
            Some(default) => &format!("`{default}`"),
        };
        assert_eq!((cells.len(), cells[1]), (4, default), "{row}");
        assert!(!cells[3].is_empty(), "{row}");
    }
}
