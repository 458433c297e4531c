//! When and what a restore invalidates.

use serde::{Deserialize, Serialize};

/// When to make readable objects visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishWhen {
    /// Each object as soon as it can be read.
    Each,
    /// All of them when the last one can be read.
    Together,
    /// Not at all: the restore ends when the objects can be read.
    Never,
}

/// How a restore wants its objects published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// When.
    pub when: PublishWhen,
    /// Invalidate only where CloudFront may have cached an error, or a second origin's answer to an error. A cached older
    /// object of the same key then stays as long as its headers allow.
    pub only_if_stale: bool,
    /// How many readable neighbours the wildcards of one call to CloudFront may cover. CloudFront fetches those from S3
    /// again.
    pub max_over: u32,
}

impl Publish {
    /// Whether nothing is invalidated.
    pub fn never(self) -> bool {
        match self.when {
            PublishWhen::Never => true,
            PublishWhen::Each | PublishWhen::Together => false,
        }
    }
}

impl Default for Publish {
    fn default() -> Self {
        Self { when: PublishWhen::Each, only_if_stale: false, max_over: 0 }
    }
}
