//! Listings: keys in byte order, a page at a time, with how their restores stand if asked for.

use super::bucket::{Bucket, Version};
use super::{ApiError, Head, Sim};
use jiff::Timestamp;
use std::ops::Bound;

/// The code of a scripted fault that makes a page end before it holds a key. S3 answers such pages where it passes over much
/// that is not shown (TileDB-Inc/TileDB#1218 reproduced it on AWS; s3ql/s3ql#166 met one after thirty seconds).
const EMPTY_PAGE: &str = "EmptyPage";

/// What `ListObjectsV2` is asked.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// The bucket.
    pub bucket: String,
    /// Only keys that begin so.
    pub prefix: String,
    /// Only keys after this one.
    pub start_after: Option<String>,
    /// Where the page before ended.
    pub continuation_token: Option<String>,
    /// How many at most; never more than 1,000.
    pub max_keys: Option<usize>,
    /// Rolls keys up to the next occurrence of this.
    pub delimiter: Option<String>,
}

/// A page of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The objects.
    pub objects: Vec<Listed>,
    /// What keys were rolled up to.
    pub common_prefixes: Vec<String>,
    /// How to ask for the next page; absent on the last.
    pub next: Option<String>,
}

/// One key of a page. A listing gives `RestoreStatus` from `head.restore`, and never the archive tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// What is known of its current version.
    pub head: Head,
}

/// A page of versions: 1,000 at most, delete markers included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// Keys in order, the newest version of each first.
    pub versions: Vec<ListedVersion>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<ListMarker>,
}

/// A place in a listing of versions: after this version of this key, or after all of its versions if it names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMarker {
    /// The key (`KeyMarker`).
    pub key: String,
    /// The version (`VersionIdMarker`).
    pub version: Option<String>,
}

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// The key.
    pub key: String,
    /// The version; `null` in a bucket without.
    pub version: String,
    /// When it was put, or deleted.
    pub last_modified: Timestamp,
    /// Is it the current one?
    pub latest: bool,
    /// What is known of it; absent for a delete marker.
    pub head: Option<Head>,
}

impl Sim {
    /// `ListObjectsV2`.
    pub fn list_objects(&mut self, request: &ListRequest, now: Timestamp) -> Result<Page, ApiError> {
        let page = self.call("ListObjectsV2", &[&request.prefix], |sim| {
            let bucket = sim.bucket(&request.bucket)?;
            if bucket.hide_missing {
                return Err(ApiError::new("AccessDenied", 403, "Access Denied"));
            }
            bucket.page(request, sim.settings.keys_per_page, now)
        });
        match page {
            Err(api_error) if api_error.code() == EMPTY_PAGE => {
                let start = || to_token(request.start_after.as_deref().unwrap_or_default());
                let next = request.continuation_token.clone().unwrap_or_else(start);
                Ok(Page { next: Some(next), ..Page::default() })
            }
            page => page,
        }
    }

    /// `ListObjectVersions`.
    pub fn list_versions(
        &mut self,
        bucket: &str,
        prefix: &str,
        after: Option<&ListMarker>,
        now: Timestamp,
    ) -> Result<VersionPage, ApiError> {
        let page = self.call("ListObjectVersions", &[prefix], |sim| {
            let most = sim.settings.keys_per_page;
            let listed = |(key, versions): (&String, &Vec<Version>)| {
                let newest_first = versions.iter().enumerate().rev();
                let all = newest_first.map(|(index, version)| ListedVersion {
                    key: key.clone(),
                    version: version.id.clone(),
                    last_modified: version.at,
                    latest: index + 1 == versions.len(),
                    head: version.head(now),
                });
                match after {
                    Some(after) if after.key == *key => {
                        let is_before = |version: &ListedVersion| Some(&version.version) != after.version.as_ref();
                        all.skip_while(is_before).skip(1).collect()
                    }
                    _ => all.collect::<Vec<_>>(),
                }
            };
            let keys = sim.bucket(bucket)?.under(prefix);
            let keys = keys.skip_while(|(key, _)| after.is_some_and(|after| **key < after.key));
            let mut versions: Vec<_> = keys.flat_map(listed).take(most + 1).collect();
            let more = versions.len() > most;
            versions.truncate(most);
            let last = versions.last().filter(|_| more);
            let next = last.map(|last| ListMarker { key: last.key.clone(), version: Some(last.version.clone()) });
            Ok(VersionPage { versions, next })
        });
        match page {
            Err(api_error) if api_error.code() == EMPTY_PAGE => {
                let next = after.cloned().unwrap_or_else(|| before(prefix));
                Ok(VersionPage { versions: Vec::new(), next: Some(next) })
            }
            page => page,
        }
    }
}

/// A place before all keys that begin so.
fn before(prefix: &str) -> ListMarker {
    let mut key = prefix.to_owned();
    key.pop();
    ListMarker { key: if key.is_empty() { "\u{1}".to_owned() } else { key }, version: None }
}

impl Bucket {
    /// The keys that begin so, in order, and their versions.
    pub(crate) fn under(&self, prefix: &str) -> impl Iterator<Item = (&String, &Vec<Version>)> {
        let from = self.keys.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn page(&self, request: &ListRequest, most: usize, now: Timestamp) -> Result<Page, ApiError> {
        let limit = request.max_keys.unwrap_or(most).min(most);
        let mut from = request.first()?;
        let mut page = Page::default();
        if limit == 0 {
            return Ok(page);
        }
        let mut last = String::new();
        loop {
            let mut keys = self.keys.range::<str, _>((from.as_ref().map(String::as_str), Bound::Unbounded));
            let visible = keys
                .find_map(|(key, versions)| {
                    let done = !key.starts_with(&request.prefix);
                    if done {
                        Some(None)
                    } else {
                        versions.last().and_then(|v| v.head(now)).map(|head| Some((key, head)))
                    }
                })
                .flatten();
            let Some((key, head)) = visible else { return Ok(page) };
            if page.objects.len() + page.common_prefixes.len() == limit {
                page.next = Some(to_token(&last));
                return Ok(page);
            }
            match request.rolled_up(key) {
                Some(common) => {
                    // No key that begins so sorts after this: U+10FFFF is the last character there is.
                    last = format!("{common}\u{10FFFF}");
                    page.common_prefixes.push(common);
                }
                None => {
                    last.clone_from(key);
                    page.objects.push(Listed { key: key.clone(), head });
                }
            }
            from = Bound::Excluded(last.clone());
        }
    }
}

impl ListRequest {
    /// Where the page begins. A token wins over `start-after`, as the client sends both on the second page.
    fn first(&self) -> Result<Bound<String>, ApiError> {
        let after = match &self.continuation_token {
            Some(token) => Some(from_token(token)?),
            None => self.start_after.clone(),
        };
        Ok(match after {
            Some(after) if after.as_str() >= self.prefix.as_str() => Bound::Excluded(after),
            Some(_) | None => Bound::Included(self.prefix.clone()),
        })
    }

    fn rolled_up(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
        let rest = &key[self.prefix.len()..];
        let end = rest.find(delimiter)? + delimiter.len();
        Some(key[..self.prefix.len() + end].to_owned())
    }
}

/// A token is the last key in hexadecimal: opaque enough, and free of characters that need encoding.
fn to_token(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn from_token(token: &str) -> Result<String, ApiError> {
    let wrong = || ApiError::new("InvalidArgument", 400, "The continuation token provided is incorrect");
    if !token.is_ascii() {
        return Err(wrong());
    }
    let bytes: Option<Vec<u8>> =
        (0..token.len()).step_by(2).map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok()).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)
}
