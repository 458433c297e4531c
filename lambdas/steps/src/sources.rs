//! Where a restore's objects come from: the keys of its request, or a listing. Page by page, so that a million objects
//! need no more memory than a thousand.

use jiff::Timestamp;
use thaw_core::{ArchiveKind, Asked, Reach, Request, Source};

use crate::StepError;
use crate::ports::{Listed, ListedRestore, Page, ReadArchive};

/// Objects looked at together.
const PAGE: usize = 1_000;

/// An object that is meant, with what is known of it before it is looked at.
#[derive(Debug, Clone)]
pub enum Found {
    /// Named in the request.
    Asked(Asked),
    /// Seen in a listing.
    Listed(Listed),
}

/// The objects that a request means, in pages.
#[derive(Debug)]
pub struct Objects<'a> {
    bucket: &'a str,
    rest: Rest<'a>,
}

#[derive(Debug)]
enum Rest<'a> {
    Keys(std::slice::Chunks<'a, Asked>),
    Listing { prefix: &'a str, after: String },
    Done,
}

impl<'a> Objects<'a> {
    /// From the beginning.
    pub fn of(request: &'a Request) -> Self {
        let rest = match &request.source {
            Source::Keys { keys } => Rest::Keys(keys.chunks(PAGE)),
            Source::Prefix { prefix } => Rest::Listing { prefix, after: String::new() },
        };
        Self { bucket: &request.bucket, rest }
    }

    /// The next page; `None` after the last. A page may be empty.
    pub async fn next(&mut self, archive: &impl ReadArchive) -> Result<Option<Vec<Found>>, StepError> {
        match &mut self.rest {
            Rest::Keys(pages) => Ok(pages.next().map(|page| page.iter().cloned().map(Found::Asked).collect())),
            Rest::Listing { prefix, after } => {
                let Page { objects, more } = archive.list(self.bucket, prefix, after).await?;
                match objects.last() {
                    Some(last) if more => after.clone_from(&last.key),
                    Some(_) | None => self.rest = Rest::Done,
                }
                Ok(Some(objects.into_iter().map(Found::Listed).collect()))
            }
            Rest::Done => Ok(None),
        }
    }
}

impl Listed {
    /// Whether the object can be read, as far as a listing tells: it does not tell the access tiers of
    /// Intelligent-Tiering.
    pub fn reach(&self, now: Timestamp) -> Option<Reach> {
        let kind = match self.storage_class.as_str() {
            "GLACIER" => ArchiveKind::Flexible,
            "DEEP_ARCHIVE" => ArchiveKind::Deep,
            "INTELLIGENT_TIERING" => return None,
            _ => return Some(Reach::Readable),
        };
        Some(match self.restore {
            Some(ListedRestore::Ongoing) => Reach::Restoring(kind),
            Some(ListedRestore::Copy(expires)) if expires > now => Reach::Copy { kind, expires },
            Some(ListedRestore::Copy(_)) | None => Reach::Archived(kind),
        })
    }
}
