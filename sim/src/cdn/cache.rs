//! The cache of the edge: what it holds, and what an invalidation drops of it.

use super::invalidation::Invalidation;
use super::path::{covers, names_tilde};
use crate::model::ApiError;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the edge answers a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    /// `Content-Type`.
    pub content_type: String,
    /// `ETag`, without quotes, of what came from a bucket.
    pub etag: Option<String>,
    /// Where it came from.
    pub outcome: CacheOutcome,
    /// Seconds since the edge stored it.
    pub age: u64,
}

/// `X-Cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheOutcome {
    /// From the cache.
    Hit,
    /// From the origin.
    Miss,
    /// An error, from wherever.
    Error,
}

impl CacheOutcome {
    /// The value of the header.
    pub fn header(self) -> &'static str {
        match self {
            Self::Hit => "Hit from cloudfront",
            Self::Miss => "Miss from cloudfront",
            Self::Error => "Error from cloudfront",
        }
    }
}

/// What the edge holds, by the path it asked the origin for and the path the viewer asked for.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(super) entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// The names it is known by, viewer's and origin's, that no invalidation has covered yet. Where they differ (root
    /// object, directory index, a function on viewer-request) the guide wants both invalidated, so one alone does not remove the entry.
    pub(super) names: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) stored: Timestamp,
    pub(super) fresh_until: Timestamp,
    pub(super) response: OriginResponse,
}

/// What an origin said, or what is shown in its place.
#[derive(Debug, Clone)]
pub(super) struct OriginResponse {
    pub(super) status: u16,
    pub(super) body: Bytes,
    pub(super) content_type: String,
    pub(super) cache_control: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) tags: Vec<String>,
    /// A custom error page has a status of its own; it is an error all the same.
    pub(super) is_error: bool,
}

impl OriginResponse {
    pub(super) fn answer(&self, outcome: CacheOutcome, age: u64) -> EdgeResponse {
        EdgeResponse {
            status: self.status,
            body: self.body.clone(),
            content_type: self.content_type.clone(),
            etag: self.etag.clone(),
            outcome: if self.is_error { CacheOutcome::Error } else { outcome },
            age,
        }
    }

    pub(super) fn from_api_error(api_error: &ApiError) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>",
            api_error.code(),
            quick_escape(api_error.message()),
        );
        Self {
            status: api_error.status(),
            body: body.into(),
            content_type: "application/xml".to_owned(),
            cache_control: None,
            etag: None,
            tags: Vec::new(),
            is_error: true,
        }
    }
}

fn quick_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

impl Cache {
    /// Drops what an invalidation covers and what was stored before it took effect.
    pub(super) fn drop_covered(&mut self, invalidation: &Invalidation) {
        let items: Vec<&str> =
            invalidation.items.iter().map(String::as_str).filter(|item| !names_tilde(item)).collect();
        self.entries.retain(|_, entry| {
            if entry.stored >= invalidation.completed {
                return true;
            }
            entry.names.retain(|name| !items.iter().any(|item| covers(item, name)));
            let tagged =
                entry.tags.iter().any(|tag| items.iter().any(|item| item.eq_ignore_ascii_case(&format!("#{tag}"))));
            !entry.names.is_empty() && !tagged
        });
    }

    pub(crate) fn snapshot(&self, now: Timestamp) -> Vec<Value> {
        let entries = self.entries.iter();
        entries
            .map(|(key, entry)| {
                let path = key.split('\n').next();
                json!({
                    "path": path, "status": entry.response.status, "stored": entry.stored,
                    "fresh_until": entry.fresh_until, "fresh": now < entry.fresh_until,
                })
            })
            .collect()
    }
}
