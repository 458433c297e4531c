//! The values that the template's parameters must refuse, typed into another CloudFormation than the one of the contract test.

use serde_json::{Value, json};

use crate::contracts::parameters::WRONG;
use crate::local_stack::stack::stack;

#[test]
fn a_stack_with_a_wrong_parameter_is_refused_before_anything_is_made() {
    let stack = stack();
    let release = &stack.book()["releases"][0];
    let creation = |parameters: &Value| {
        let parameters = parameters.as_object().expect("parameters by name").iter();
        let parameters: Vec<_> =
            parameters.map(|(name, value)| json!({ "ParameterKey": name, "ParameterValue": value })).collect();
        json!({
            "StackName": "wrong", "TemplateURL": release["template_url"], "Capabilities": ["CAPABILITY_IAM"],
            "Parameters": parameters,
        })
    };
    for (name, value, words) in WRONG {
        let mut parameters = release["parameters"].clone();
        parameters[*name] = (*value).into();
        let answer = stack.call("cloudformation", "create_stack", creation(&parameters));
        let says = answer["message"].as_str().unwrap_or_default();
        // CloudFormation and the emulator list allowed values in words of their own.
        let says_so = says.contains(name) && (says.contains(words) || words.starts_with("must be one of"));
        assert!(answer["error"] == "ValidationError" && says_so, "{name}={value:?}: {answer} without {words}");
    }
    let mut alone = release["parameters"].clone();
    alone["ExistingLedger"] = "ledger".into();
    let answer = stack.call("cloudformation", "create_stack", creation(&alone));
    let says = answer["message"].as_str().unwrap_or_default();
    assert!(says.contains("ExistingLedger and ExistingWorkBucket belong together"), "{answer}");
}
