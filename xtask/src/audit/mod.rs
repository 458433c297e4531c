//! `cargo xtask audit`: checks of what thaw lets others do, each by a tool that others keep.

mod api;

use anyhow::Result;
use clap::Subcommand;

pub use api::Options as ApiOptions;
pub use api::run as api;

/// What is audited.
#[derive(Subcommand, Clone, Debug)]
pub enum Audit {
    /// The HTTP API: thousands of calls of a local stack that the OpenAPI file describes or forbids
    ///
    /// schemathesis makes them up. No answer may be a 5xx, none may be one that the file does not describe, what the file
    /// forbids must be refused, and every restore that was begun must end in an end that its caller can understand.
    Api(ApiOptions),
}

/// Runs one.
pub fn run(audit: &Audit) -> Result<()> {
    match audit {
        Audit::Api(options) => api(options),
    }
}
