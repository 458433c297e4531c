//! CloudFormation: the stack to which the function belongs.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use thaw_core::{CallError, trouble};
use thaw_steps::ports::{PortError, ReadStack};

use crate::error::unexpected;
use crate::signed_get::SignedGet;

/// A stack.
#[derive(Debug, Clone)]
pub struct Stack {
    api: SignedGet,
    id: String,
}

impl Stack {
    /// `id` is the stack's ARN.
    pub(crate) fn new(api: SignedGet, id: String) -> Self {
        Self { api, id }
    }
}

impl ReadStack for Stack {
    async fn is_going(&self) -> Result<bool, PortError> {
        const WHAT: &str = "DescribeStacks";
        let name = utf8_percent_encode(&self.id, NON_ALPHANUMERIC);
        let path = format!("/?Action=DescribeStacks&StackName={name}&Version=2010-05-15");
        let unavailable = |says| PortError { what: WHAT.to_owned(), says, trouble: Some(CallError::Unavailable) };
        let (status, body) = self.api.get(&path).await.map_err(unavailable)?;
        let body = String::from_utf8_lossy(&body);
        if status != 200 {
            let code = element(&body, "Code").unwrap_or_default();
            let says = format!("{code}: {} (HTTP {status})", element(&body, "Message").unwrap_or_default());
            let denied = (status == 403).then_some(CallError::Denied);
            return Err(PortError { what: WHAT.to_owned(), says, trouble: trouble(status, code).or(denied) });
        }
        let status = element(&body, "StackStatus").ok_or_else(|| unexpected(WHAT, "the answer has no StackStatus"))?;
        Ok(is_going(status))
    }
}

/// Whether a stack with this status is being deleted, or its creation taken back. An update that is taken back leaves it.
fn is_going(status: &str) -> bool {
    status.starts_with("DELETE_") || status.starts_with("ROLLBACK_")
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once('<')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_goes_when_it_is_deleted_or_was_never_whole() {
        for (status, goes) in [
            ("DELETE_IN_PROGRESS", true),
            ("DELETE_FAILED", true),
            ("ROLLBACK_IN_PROGRESS", true),
            ("CREATE_IN_PROGRESS", false),
            ("UPDATE_IN_PROGRESS", false),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", false),
            ("UPDATE_ROLLBACK_IN_PROGRESS", false),
            ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", false),
        ] {
            assert_eq!(is_going(status), goes, "{status}");
        }
    }

    #[test]
    fn an_element_is_read_from_the_answer() {
        let xml = "<DescribeStacksResult><member><StackStatus>DELETE_IN_PROGRESS</StackStatus></member>";
        assert_eq!(element(xml, "StackStatus"), Some("DELETE_IN_PROGRESS"));
        assert_eq!(element(xml, "Code"), None);
    }
}
