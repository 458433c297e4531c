//! Lambda: the account's quotas.

use serde_json::Value;
use thaw_core::{CallError, trouble};
use thaw_steps::ports::{LambdaQuota, PortError, ReadLambdaQuota};

use crate::error::unexpected;
use crate::signed_get::SignedGet;

/// Lambda's API.
#[derive(Debug, Clone)]
pub struct Lambda(SignedGet);

impl Lambda {
    pub(crate) fn new(api: SignedGet) -> Self {
        Self(api)
    }
}

impl ReadLambdaQuota for Lambda {
    async fn lambda_quota(&self) -> Result<LambdaQuota, PortError> {
        const WHAT: &str = "GetAccountSettings";
        // The path ends in a slash (API Reference, "GetAccountSettings").
        let (status, body) = self.0.get("/2016-08-19/account-settings/").await.map_err(|says| PortError {
            what: WHAT.to_owned(),
            says,
            trouble: Some(CallError::Unavailable),
        })?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status != 200 {
            let text = |name: &str| answer[name].as_str().unwrap_or_default();
            let code = if text("Code").is_empty() { text("__type") } else { text("Code") };
            let message = if text("Message").is_empty() { text("message") } else { text("Message") };
            let says = format!("{code}: {message} (HTTP {status})");
            let denied = (status == 403).then_some(CallError::Denied);
            return Err(PortError { what: WHAT.to_owned(), says, trouble: trouble(status, code).or(denied) });
        }
        read_quota(&answer).ok_or_else(|| unexpected(WHAT, "the answer has no AccountLimit"))
    }
}

fn read_quota(answer: &Value) -> Option<LambdaQuota> {
    let limit = &answer["AccountLimit"];
    let functions = limit["UnreservedConcurrentExecutions"].as_u64().or(limit["ConcurrentExecutions"].as_u64())?;
    let used = answer["AccountUsage"]["TotalCodeSize"].as_u64().unwrap_or_default();
    let bytes_of_code = limit["TotalCodeSize"].as_u64()?.saturating_sub(used);
    Some(LambdaQuota { functions_at_a_time: functions, bytes_of_code })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_quota_is_what_is_left_of_it() {
        // API Reference, "GetAccountSettings".
        let answer = json!({
            "AccountLimit": {
                "CodeSizeUnzipped": 262_144_000, "CodeSizeZipped": 52_428_800, "ConcurrentExecutions": 1_000,
                "TotalCodeSize": 80_530_636_800_u64, "UnreservedConcurrentExecutions": 900,
            },
            "AccountUsage": {"FunctionCount": 4, "TotalCodeSize": 80_530_636_000_u64},
        });
        assert_eq!(read_quota(&answer), Some(LambdaQuota { functions_at_a_time: 900, bytes_of_code: 800 }));
        assert_eq!(read_quota(&json!({})), None);
    }
}
