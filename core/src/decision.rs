//! What to do with an object, as far as the plan decides it.

use serde::{Deserialize, Serialize};

/// What the plan decided for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Ask S3 to restore it.
    Restore,
    /// A copy exists, but expires too early: ask S3 to keep it longer, then publish.
    Extend,
    /// S3 is fetching it already: join that retrieval, and ask S3 for the faster tier.
    Join,
    /// Wait for a retrieval, or publish a copy, that another request began; S3 is not asked for anything.
    Watch,
    /// Readable: publish it again, whatever was published before. S3 is not asked for anything.
    Publish,
    /// Nothing to do, or nothing that can be done.
    Nothing,
}

impl Decision {
    /// Its word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Extend => "extend",
            Self::Join => "join",
            Self::Watch => "watch",
            Self::Publish => "publish",
            Self::Nothing => "nothing",
        }
    }
}
