//! The environment of the function that `cargo xtask bench start` starts.
//!
//! `tests/it/contracts/environments.rs` includes this file and holds it against the template.

/// The handler. Lambda hands it over in `_HANDLER`.
pub const HANDLER: &str = "report-failure";

/// What the template gives the function of this handler.
pub const FROM_THE_TEMPLATE: [(&str, &str); 4] =
    [("RELEASE", "unpackaged"), ("LEDGER_TABLE", "ledger"), ("WORK_BUCKET", "work"), ("ACCOUNT_ID", "111122223333")];

/// What Lambda itself gives every function.
pub const FROM_LAMBDA: [(&str, &str); 9] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
];
