//! Invalidations: what may be asked, what the same reference means, and when it has taken effect.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// What `CreateInvalidation` is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidationRequest {
    /// The distribution.
    pub distribution: String,
    /// The caller's name for this batch: the same name and the same items are the same invalidation.
    pub caller_reference: String,
    /// Paths and `#tags`.
    pub items: Vec<String>,
    /// How many items the caller says there are; absent is as many as there are.
    pub quantity: Option<usize>,
}

impl InvalidationRequest {
    /// A batch of paths.
    pub fn new<T: Into<String>>(
        distribution: &str,
        caller_reference: &str,
        items: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            distribution: distribution.to_owned(),
            caller_reference: caller_reference.to_owned(),
            items: items.into_iter().map(Into::into).collect(),
            quantity: None,
        }
    }
}

/// An invalidation that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalidation {
    /// Its id, e.g. `I2J0I21PCUYOIK`.
    pub id: String,
    /// The caller's name for it.
    pub caller_reference: String,
    /// Paths and `#tags`, as they were given.
    pub items: Vec<String>,
    /// When it was accepted.
    pub created: Timestamp,
    /// When every edge knows of it.
    pub completed: Timestamp,
    /// Has the edge of this model dropped what it covers?
    pub(crate) applied: bool,
}

/// How an invalidation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum InvalidationStatus {
    /// Some edges may still serve what it covers.
    InProgress,
    /// None does.
    Completed,
}

impl InvalidationStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Completed => "Completed",
        }
    }
}

/// A page of invalidations, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvalidationPage {
    /// The invalidations.
    pub invalidations: Vec<Invalidation>,
    /// How to ask for the next page; absent on the last.
    pub next: Option<String>,
}

impl Invalidation {
    /// How it stands at a moment.
    pub fn status(&self, now: Timestamp) -> InvalidationStatus {
        if now < self.completed { InvalidationStatus::InProgress } else { InvalidationStatus::Completed }
    }

    pub(crate) fn snapshot(&self, now: Timestamp) -> Value {
        json!({
            "id": self.id,
            "caller_reference": self.caller_reference,
            "items": self.items,
            "status": self.status(now),
            "created": self.created,
            "completed": self.completed,
        })
    }

    pub(super) fn wildcards(&self) -> usize {
        wildcards(&self.items)
    }
}

pub(super) fn wildcards(items: &[String]) -> usize {
    items.iter().filter(|item| item.ends_with('*')).count()
}
