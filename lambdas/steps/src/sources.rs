//! Where a restore's objects come from: the keys of its request, a listing, or another restore. Page by page, so that a
//! million objects need no more memory than a thousand.

use jiff::Timestamp;
use thaw_core::{ArchiveKind, Asked, Filter, ObjectsOf, Problem, Reach, Request, Source, Standing};

use crate::chunks::{self, ChunkRecord};
use crate::ports::{Ledger, Listed, ListedRestore, Page, ReadArchive, WorkFiles};
use crate::restore_view::shown;
use crate::{RestoreRecord, StepError};

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
    Listing { prefix: &'a str, filter: &'a Filter, after: String },
    Restore { record: Box<RestoreRecord>, chunks: std::vec::IntoIter<ChunkRecord>, standing: Standing },
    Done,
}

impl<'a> Objects<'a> {
    /// From the beginning.
    ///
    /// Fails if they are those of a restore that there is not, or of another bucket.
    pub async fn of(request: &'a Request, ledger: &impl Ledger) -> Result<Self, StepError> {
        let rest = match &request.source {
            Source::Keys { keys } => Rest::Keys(keys.chunks(PAGE)),
            Source::Prefix { prefix, filter } => Rest::Listing { prefix, filter, after: String::new() },
            Source::Restore { objects_of: ObjectsOf { restore, standing } } => {
                let found = ledger.get::<RestoreRecord>(&RestoreRecord::key_of(restore)).await?;
                let record = found.ok_or_else(|| Problem::no_such_restore(restore.as_str()))?;
                if record.request.bucket != request.bucket {
                    let why = format!("must be that of the restore, {}.", record.request.bucket);
                    return Err(Problem::field("bucket", &request.bucket.as_str().into(), why).into());
                }
                let chunks = chunks::records(ledger, &record).await?.into_iter();
                Rest::Restore { record: Box::new(record), chunks, standing: *standing }
            }
        };
        Ok(Self { bucket: &request.bucket, rest })
    }

    /// The next page; `None` after the last. A page may be empty.
    pub async fn next(
        &mut self,
        archive: &impl ReadArchive,
        ledger: &impl Ledger,
        files: &impl WorkFiles,
    ) -> Result<Option<Vec<Found>>, StepError> {
        match &mut self.rest {
            Rest::Keys(pages) => Ok(pages.next().map(|page| page.iter().cloned().map(Found::Asked).collect())),
            Rest::Listing { prefix, filter, after } => {
                let filter = *filter;
                let Page { objects, more } = archive.list(self.bucket, prefix, after).await?;
                match objects.last() {
                    Some(last) if more => after.clone_from(&last.key),
                    Some(_) | None => self.rest = Rest::Done,
                }
                let is_meant = |listed: &Listed| filter.matches(&listed.key, listed.size, listed.modified);
                Ok(Some(objects.into_iter().filter(is_meant).map(Found::Listed).collect()))
            }
            Rest::Restore { record, chunks, standing } => {
                let Some(known) = chunks.next() else { return Ok(None) };
                let rows = chunks::objects(ledger, files, record, &known).await?.into_iter();
                let rows = rows.map(|known| shown(record, known.row));
                let asked = rows.filter(|row| standing.means(&row.state, row.kind));
                let asked = asked.map(|row| Asked { key: row.object.key, version_id: row.object.version });
                Ok(Some(asked.map(Found::Asked).collect()))
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
