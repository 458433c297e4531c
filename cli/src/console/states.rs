//! The states of objects, as the API names them, with their words and their place in the pictures.

use thaw_core::Counts;

/// The state of an object, in the order in which pictures show them: what is seen first, what needs somebody last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectState {
    Published,
    Restored,
    Restoring,
    Planned,
    Available,
    Cancelled,
    Failed,
}

impl ObjectState {
    pub const ALL: [Self; 7] = [
        Self::Published,
        Self::Restored,
        Self::Restoring,
        Self::Planned,
        Self::Available,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The API's word; also the class of its color.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Restored => "restored",
            Self::Restoring => "restoring",
            Self::Planned => "planned",
            Self::Available => "available",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// The state with this word. `None` for one that a newer API has.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// What the word means.
    pub fn says(self) -> &'static str {
        match self {
            Self::Published => "viewers get them",
            Self::Restored => "readable, not yet known to be visible",
            Self::Restoring => "S3 is fetching them",
            Self::Planned => "S3 has not been asked yet",
            Self::Available => "never archived, left alone",
            Self::Cancelled => "not asked for, or not published",
            Self::Failed => "given up",
        }
    }

    /// How many objects are in it.
    pub fn count(self, counts: Counts) -> u64 {
        match self {
            Self::Published => counts.published,
            Self::Restored => counts.restored,
            Self::Restoring => counts.restoring,
            Self::Planned => counts.planned,
            Self::Available => counts.available,
            Self::Cancelled => counts.cancelled,
            Self::Failed => counts.failed,
        }
    }
}
