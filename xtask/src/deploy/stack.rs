//! The stack as CloudFormation describes it (API Reference, `DescribeStacks`), and what may be done with it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::aws_cli::{AwsCli, refusal};

/// A stack that is there.
#[derive(Debug, PartialEq, Eq)]
pub struct Deployed {
    pub id: String,
    pub status: String,
    /// Whether termination protection is on: CloudFormation then refuses to delete it.
    pub is_protected: bool,
    pub parameters: BTreeMap<String, String>,
    pub outputs: BTreeMap<String, String>,
}

impl Deployed {
    /// The stack of this name or id; none if there is none.
    pub fn find(cli: &AwsCli, name: &str) -> Result<Option<Self>> {
        match cli.json(&["cloudformation", "describe-stacks", "--stack-name", name]) {
            Ok(described) => Self::read(&described).map(Some),
            Err(error) => match refusal(&error) {
                Some(refused) if refused.words().contains("does not exist") => Ok(None),
                Some(_) | None => Err(error),
            },
        }
    }

    fn read(described: &Value) -> Result<Self> {
        let stack = &described["Stacks"][0];
        let field =
            |name: &str| stack[name].as_str().map(str::to_owned).with_context(|| format!("the stack has no {name}"));
        let pairs = |list: &str, key: &str, value: &str| {
            let pair = |one: &Value| Some((one[key].as_str()?.to_owned(), one[value].as_str()?.to_owned()));
            stack[list].as_array().into_iter().flatten().filter_map(pair).collect()
        };
        Ok(Self {
            id: field("StackId")?,
            status: field("StackStatus")?,
            is_protected: stack["EnableTerminationProtection"] == true,
            parameters: pairs("Parameters", "ParameterKey", "ParameterValue"),
            outputs: pairs("Outputs", "OutputKey", "OutputValue"),
        })
    }

    /// An output of the stack.
    pub fn output(&self, name: &str) -> Result<&str> {
        self.outputs.get(name).map(String::as_str).with_context(|| format!("the stack has no output {name}"))
    }

    /// Fails for a stack that is not one of thaw. Parameters tell, because a stack that was never whole has no outputs.
    pub fn is_of_thaw(&self, name: &str) -> Result<()> {
        let has = |parameter: &str| self.parameters.contains_key(parameter);
        ensure!(
            has("ArchiveBuckets") && has("DistributionIds"),
            "the stack {name} is not one of thaw: it has no parameters ArchiveBuckets and DistributionIds. Choose another name with --stack-name"
        );
        Ok(())
    }
}

/// What a deployment does with what is there.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Create,
    Update,
    /// It cannot begin, for this reason.
    Refuse(String),
}

/// Decides it by the stack's status; none if there is no stack.
pub fn next(name: &str, status: Option<&str>) -> Next {
    let refuse = |why: &str| Next::Refuse(format!("the stack {name} is {}: {why}", status.unwrap_or_default()));
    match status {
        // A change set that nobody executed leaves a stack without resources.
        None | Some("REVIEW_IN_PROGRESS" | "DELETE_COMPLETE") => Next::Create,
        Some(
            "CREATE_COMPLETE"
            | "UPDATE_COMPLETE"
            | "UPDATE_ROLLBACK_COMPLETE"
            | "UPDATE_FAILED"
            | "IMPORT_COMPLETE"
            | "IMPORT_ROLLBACK_COMPLETE",
        ) => Next::Update,
        Some("CREATE_FAILED" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED") => refuse(&format!(
            "its creation failed, and nothing in it works. Delete it, and deploy again: aws cloudformation delete-stack --stack-name {name}"
        )),
        Some("DELETE_FAILED") => refuse("its deletion failed. Delete it again: cargo xtask remove"),
        Some("UPDATE_ROLLBACK_FAILED") => refuse(&format!(
            "CloudFormation could not go back to what was there. Mend what its events name, then: aws cloudformation continue-update-rollback --stack-name {name}"
        )),
        Some(busy) if busy.ends_with("_IN_PROGRESS") => {
            refuse("somebody else is changing it. Wait until that has ended")
        }
        Some(_) => refuse("this command does not know that status"),
    }
}

/// Switches termination protection on or off. Doing it twice is fine.
pub fn protect(cli: &AwsCli, name: &str, on: bool) -> Result<()> {
    let option = if on { "--enable-termination-protection" } else { "--no-enable-termination-protection" };
    cli.json(&["cloudformation", "update-termination-protection", "--stack-name", name, option]).map(drop)
}

/// Whether an operation on a stack has ended, and how. `None` while it goes on.
pub fn ended(status: &str) -> Option<bool> {
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "DELETE_COMPLETE" => Some(true),
        going if going.ends_with("_IN_PROGRESS") => None,
        _ => Some(false),
    }
}

/// Fails if a stack's name does not fit. It is the state machine's name, and begins the names of functions, which may have 64
/// characters.
pub fn check_name(name: &str) -> Result<()> {
    let fits = name.len() <= 43
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    ensure!(fits, "{name:?} is no name for the stack: up to 43 letters, digits and hyphens, with a letter first");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stack_is_read_with_its_parameters_and_outputs() {
        let described = json!({"Stacks": [{
            "StackId": "arn:aws:cloudformation:us-east-1:1:stack/thaw/x", "StackStatus": "CREATE_COMPLETE",
            "EnableTerminationProtection": true,
            "Parameters": [
                {"ParameterKey": "ArchiveBuckets", "ParameterValue": "one,two"},
                {"ParameterKey": "DistributionIds", "ParameterValue": ""},
            ],
            "Outputs": [
                {"OutputKey": "StateMachineArn", "OutputValue": "arn"},
                {"OutputKey": "LedgerTable", "OutputValue": "t"},
            ],
        }]});
        let stack = Deployed::read(&described).unwrap();
        assert_eq!(stack.parameters["ArchiveBuckets"], "one,two");
        assert!(stack.is_protected);
        assert_eq!(stack.output("LedgerTable").unwrap(), "t");
        assert!(stack.output("Other").unwrap_err().to_string().contains("no output Other"));
        stack.is_of_thaw("thaw").unwrap();
        let other = Deployed { parameters: BTreeMap::new(), ..stack };
        assert!(other.is_of_thaw("web").unwrap_err().to_string().contains("not one of thaw"));
        assert!(Deployed::read(&json!({"Stacks": []})).is_err());
    }

    /// The statuses that CloudFormation documents (API Reference, `Stack`).
    #[test]
    fn what_is_done_follows_from_the_status() {
        assert_eq!(next("thaw", None), Next::Create);
        for status in ["REVIEW_IN_PROGRESS", "DELETE_COMPLETE"] {
            assert_eq!(next("thaw", Some(status)), Next::Create, "{status}");
        }
        for status in
            ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "UPDATE_FAILED"]
        {
            assert_eq!(next("thaw", Some(status)), Next::Update, "{status}");
        }
        for (status, why) in [
            ("ROLLBACK_COMPLETE", "delete-stack --stack-name thaw"),
            ("CREATE_FAILED", "delete-stack"),
            ("DELETE_FAILED", "cargo xtask remove"),
            ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
            ("CREATE_IN_PROGRESS", "somebody else"),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "somebody else"),
            ("NEW_STATUS", "does not know"),
        ] {
            let Next::Refuse(said) = next("thaw", Some(status)) else { panic!("{status}") };
            assert!(said.contains(status) && said.contains(why), "{said}");
        }
    }

    #[test]
    fn an_operation_ends_well_or_not() {
        for (status, end) in [
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None),
            ("CREATE_IN_PROGRESS", None),
            ("CREATE_COMPLETE", Some(true)),
            ("DELETE_COMPLETE", Some(true)),
            ("ROLLBACK_COMPLETE", Some(false)),
            ("UPDATE_ROLLBACK_COMPLETE", Some(false)),
            ("DELETE_FAILED", Some(false)),
        ] {
            assert_eq!(ended(status), end, "{status}");
        }
    }

    #[test]
    fn a_stacks_name_fits_into_the_names_of_its_functions() {
        for name in ["thaw", "Thaw-2", &"t".repeat(43)] {
            check_name(name).unwrap();
        }
        for name in ["", "2thaw", "thaw_2", "-t", &"t".repeat(44)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
