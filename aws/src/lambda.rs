//! Lambda: the account's quotas. One signed GET, for which the SDK's client would be the largest part of the program.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::Value;
use thaw_core::{CallError, trouble};
use thaw_steps::ports::{LambdaQuota, PortError, ReadLambdaQuota};

use crate::error::unexpected;
use crate::https::Https;

/// Lambda's API.
#[derive(Debug, Clone)]
pub struct Lambda {
    https: Https,
    endpoint: String,
    region: String,
    credentials: Credentials,
}

impl Lambda {
    /// `endpoint` is a URL without a slash at its end.
    pub(crate) fn new(endpoint: String, region: String, credentials: Credentials) -> Self {
        Self { https: Https::answering_within(Duration::from_secs(15)), endpoint, region, credentials }
    }

    /// A signed `GET`: the status and the body.
    async fn get(&self, path: &str) -> Result<(u16, Vec<u8>), String> {
        let url = format!("{}{path}", self.endpoint);
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("lambda")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?;
        let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]));
        let signed =
            request.and_then(|request| sign(request, &parameters.into())).map_err(|error| error.to_string())?;
        let (headers, _) = signed.into_parts().0.into_parts();
        self.https.get(&url, headers.iter().map(|header| (header.name(), header.value()))).await
    }
}

impl ReadLambdaQuota for Lambda {
    async fn lambda_quota(&self) -> Result<LambdaQuota, PortError> {
        const WHAT: &str = "GetAccountSettings";
        // The path ends in a slash (API Reference, "GetAccountSettings").
        let (status, body) = self.get("/2016-08-19/account-settings/").await.map_err(|says| PortError {
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
