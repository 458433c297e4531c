//! `cargo xtask audit`: checks of what thaw lets others do and of what it lets in, each by a tool that others keep.

mod api;

use anyhow::Result;
use clap::Subcommand;

use crate::dependencies;

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
    /// The crates that thaw builds with: whether RustSec has an advisory for one
    ///
    /// Fetches RustSec's advisory-db over the network, or from a clone on this machine. An advisory that does not concern thaw is
    /// explained in deny.toml.
    Advisories(dependencies::Options),
}

/// Runs one.
pub fn run(audit: &Audit) -> Result<()> {
    match audit {
        Audit::Api(options) => api(options),
        Audit::Advisories(options) => dependencies::advisories(options),
    }
}
