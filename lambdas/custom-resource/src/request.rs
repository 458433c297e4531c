//! An event of CloudFormation, read tolerantly.

use serde_json::Value;

use crate::properties::{Properties, shortened};
use crate::response_url::{Hosts, ResponseUrl, UnusableUrl};

/// An event that can be answered: it has a response URL. All else may be missing or wrong, which `asked` says.
///
/// `Debug` hides the URL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// Where the answer is sent.
    pub response_url: ResponseUrl,
    /// `StackId`, which the answer repeats.
    pub stack_id: String,
    /// `RequestId`, which the answer repeats.
    pub request_id: String,
    /// `LogicalResourceId`, which the answer repeats.
    pub logical_resource_id: String,
    /// `PhysicalResourceId`; `None` at creation.
    pub physical_resource_id: Option<String>,
    /// What is asked for, or in words what is wrong with the event.
    pub asked: Result<Asked, String>,
}

/// What an event asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// `RequestType`.
    pub kind: Kind,
    /// `ResourceProperties`.
    pub properties: Properties,
    /// `OldResourceProperties`; empty unless it is an update.
    pub old_properties: Properties,
}

/// `RequestType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `Create`.
    Create,
    /// `Update`.
    Update,
    /// `Delete`.
    Delete,
}

impl Request {
    /// Reads an event.
    ///
    /// # Errors
    ///
    /// [`UnusableUrl`]: nobody can be answered.
    pub fn read(event: &Value, hosts: Hosts) -> Result<Self, UnusableUrl> {
        let response_url = match &event["ResponseURL"] {
            Value::Null => return Err(UnusableUrl::Missing),
            Value::String(url) => ResponseUrl::read(url, hosts)?,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => return Err(UnusableUrl::NoText),
        };
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            response_url,
            stack_id: text("StackId"),
            request_id: text("RequestId"),
            logical_resource_id: text("LogicalResourceId"),
            physical_resource_id: Some(text("PhysicalResourceId")).filter(|id| !id.is_empty()),
            asked: asked(event),
        })
    }
}

fn asked(event: &Value) -> Result<Asked, String> {
    let wrong =
        |name: &str, expected: &str| format!("{name}: {} in the event must be {expected}.", shortened(&event[name]));
    for name in ["StackId", "RequestId", "LogicalResourceId"] {
        if event[name].as_str().is_none_or(str::is_empty) {
            return Err(wrong(name, "a text"));
        }
    }
    let properties = |name: &str| match &event[name] {
        Value::Null => Ok(Properties::default()),
        Value::Object(properties) => Ok(Properties::from(properties.clone())),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(wrong(name, "an object")),
    };
    let kind = match event["RequestType"].as_str() {
        Some("Create") => Kind::Create,
        Some("Update") => Kind::Update,
        Some("Delete") => Kind::Delete,
        Some(_) | None => return Err(wrong("RequestType", "Create, Update or Delete")),
    };
    // A resource with such properties was never made, and nobody else can remove it from the stack.
    let or_none = |properties: Result<Properties, String>| match kind {
        Kind::Delete => Ok(properties.unwrap_or_default()),
        Kind::Create | Kind::Update => properties,
    };
    if kind == Kind::Update && event["PhysicalResourceId"].as_str().is_none_or(str::is_empty) {
        return Err(wrong("PhysicalResourceId", "a text"));
    }
    Ok(Asked {
        kind,
        properties: or_none(properties("ResourceProperties"))?,
        old_properties: or_none(properties("OldResourceProperties"))?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "RequestType": "Update", "RequestId": "r", "StackId": "s", "LogicalResourceId": "l", "PhysicalResourceId": "p",
            "ResourceType": "Custom::Thing", "ResponseURL": "https://b.s3.amazonaws.com/k?X-Amz-Signature=5ec2e7",
            "ResourceProperties": {"A": "1"}, "OldResourceProperties": {"A": "0"},
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut event = event();
        event[name] = value;
        event
    }

    #[test]
    fn an_event_is_read() {
        let read = Request::read(&event(), Hosts::Aws).unwrap();
        assert_eq!((read.stack_id.as_str(), read.request_id.as_str()), ("s", "r"));
        assert_eq!(read.logical_resource_id, "l");
        assert_eq!(read.physical_resource_id.as_deref(), Some("p"));
        let asked = read.asked.unwrap();
        assert_eq!(asked.kind, Kind::Update);
        assert_eq!(asked.properties.as_map(), json!({"A": "1"}).as_object().unwrap());
        assert_eq!(asked.old_properties.as_map(), json!({"A": "0"}).as_object().unwrap());
    }

    #[test]
    fn nobody_sees_the_response_url() {
        let read = Request::read(&event(), Hosts::Aws).unwrap();
        assert!(!format!("{read:?}").contains("5ec2e7") && !format!("{read:?}").contains("amazonaws"), "{read:?}");
    }

    #[test]
    fn without_a_response_url_there_is_no_request() {
        for (url, why) in [
            (Value::Null, UnusableUrl::Missing),
            (json!(7), UnusableUrl::NoText),
            (json!([]), UnusableUrl::NoText),
            (json!("no url"), UnusableUrl::NoUrl),
        ] {
            assert_eq!(Request::read(&with("ResponseURL", url), Hosts::Aws).map(drop), Err(why));
        }
        for event in [Value::Null, json!([]), json!("text"), json!({})] {
            assert_eq!(Request::read(&event, Hosts::Aws).map(drop), Err(UnusableUrl::Missing), "{event}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_event_is_said() {
        for (name, value, says) in [
            ("RequestType", json!("create"), r#"RequestType: "create" in the event must be Create, Update or Delete."#),
            ("RequestType", Value::Null, "RequestType: null in the event must be Create, Update or Delete."),
            ("RequestId", json!(7), "RequestId: 7 in the event must be a text."),
            ("StackId", json!(""), r#"StackId: "" in the event must be a text."#),
            ("LogicalResourceId", Value::Null, "LogicalResourceId: null in the event must be a text."),
            ("PhysicalResourceId", Value::Null, "PhysicalResourceId: null in the event must be a text."),
            ("ResourceProperties", json!("A"), r#"ResourceProperties: "A" in the event must be an object."#),
            ("OldResourceProperties", json!([]), "OldResourceProperties: [] in the event must be an object."),
        ] {
            let read = Request::read(&with(name, value), Hosts::Aws).unwrap();
            assert_eq!(read.asked.unwrap_err(), says);
        }
    }

    #[test]
    fn missing_properties_are_none_and_wrong_ones_do_not_keep_a_resource_from_being_deleted() {
        let asked = |event: Value| Request::read(&event, Hosts::Aws).unwrap().asked;
        assert_eq!(asked(with("ResourceProperties", Value::Null)).unwrap().properties, Properties::default());
        let mut delete = with("ResourceProperties", json!("A"));
        delete["RequestType"] = "Delete".into();
        assert_eq!(asked(delete).unwrap().properties, Properties::default());
    }
}
