//! What CloudFormation, CloudWatch and Lambda say of the stack and its account.

use std::collections::BTreeMap;

use roxmltree::Node;
use serde_json::Value;

use super::xml::{Page, child, children, parse, text};
use crate::doctor::facts::{Alarm, Stack};

/// `DescribeStacks` of one stack.
pub fn stack(xml: &str) -> Result<Stack, String> {
    let document = parse(xml)?;
    let is_status = |node: &Node<'_, '_>| node.tag_name().name() == "StackStatus";
    let status = document.descendants().find(is_status).ok_or("the answer has no StackStatus")?;
    let stack = status.parent().ok_or("the answer has no stack")?;
    let pairs = |list: &str, key: &str, value: &str| -> BTreeMap<String, String> {
        let members = child(stack, list).into_iter().flat_map(|list| children(list, "member"));
        members.map(|member| (text(member, &[key]), text(member, &[value]))).collect()
    };
    Ok(Stack {
        status: text(status, &[]),
        parameters: pairs("Parameters", "ParameterKey", "ParameterValue"),
        outputs: pairs("Outputs", "OutputKey", "OutputValue"),
    })
}

/// A page of `DescribeAlarms`: the alarms of the stack. CloudFormation names them `<stack>-<id in the template>-<random>`.
/// The prefix that was asked for is also that of stacks whose name goes on after a dash.
pub fn alarms(xml: &str, stack: &str) -> Result<Page<Alarm>, String> {
    let document = parse(xml)?;
    let named = |name: &str| document.descendants().find(|node| node.tag_name().name() == name);
    let members = named("MetricAlarms").into_iter().flat_map(|list| children(list, "member"));
    let read = members.map(|member| Alarm {
        name: text(member, &["AlarmName"]),
        state: text(member, &["StateValue"]),
        description: text(member, &["AlarmDescription"]),
    });
    let is_own = |alarm: &Alarm| {
        let rest = alarm.name.strip_prefix(stack).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
        rest.split('-').next().is_some_and(|id| id.ends_with("Alarm"))
    };
    let next = named("NextToken").map(|node| text(node, &[])).filter(|token| !token.is_empty());
    Ok((read.filter(is_own).collect(), next))
}

/// `GetAccountSettings` of Lambda: the functions that may run at a time.
pub fn concurrency(json: &str) -> Result<u64, String> {
    let answer: Value = serde_json::from_str(json).map_err(|error| format!("the answer is not JSON: {error}"))?;
    answer["AccountLimit"]["ConcurrentExecutions"]
        .as_u64()
        .ok_or_else(|| "the answer has no ConcurrentExecutions".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_has_its_status_its_parameters_and_its_outputs() {
        let xml = r#"<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>
            <StackName>thaw</StackName><StackStatus>UPDATE_COMPLETE</StackStatus>
            <Parameters><member><ParameterKey>EventRules</ParameterKey><ParameterValue>ENABLED</ParameterValue></member></Parameters>
            <Outputs><member><OutputKey>ApiUrl</OutputKey><OutputValue>https://a.example</OutputValue></member></Outputs>
            </member></Stacks></DescribeStacksResult></DescribeStacksResponse>"#;
        let expected = Stack {
            status: "UPDATE_COMPLETE".to_owned(),
            parameters: [("EventRules".to_owned(), "ENABLED".to_owned())].into(),
            outputs: [("ApiUrl".to_owned(), "https://a.example".to_owned())].into(),
        };
        assert_eq!(stack(xml), Ok(expected));
        assert!(stack("<a/>").is_err());
    }

    #[test]
    fn alarms_of_other_stacks_are_left_out() {
        let alarm = |name: &str| format!("<member><AlarmName>{name}</AlarmName><StateValue>OK</StateValue></member>");
        let xml = format!(
            "<R><X><MetricAlarms>{}{}{}</MetricAlarms><NextToken>n</NextToken></X></R>",
            alarm("thaw-InboxFileAlarm-1A"),
            alarm("thaw-test-InboxFileAlarm-1A"),
            alarm("thaw-cpu")
        );
        let (read, next) = alarms(&xml, "thaw").unwrap();
        assert_eq!(read.iter().map(|alarm| alarm.name.as_str()).collect::<Vec<_>>(), ["thaw-InboxFileAlarm-1A"]);
        assert_eq!(next.as_deref(), Some("n"));
    }

    #[test]
    fn the_concurrency_is_that_of_the_account() {
        assert_eq!(concurrency(r#"{"AccountLimit": {"ConcurrentExecutions": 10}}"#), Ok(10));
        assert!(concurrency("{}").is_err() && concurrency("").is_err());
    }
}
