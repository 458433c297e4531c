//! The source of a restore's objects: the keys of the request, a listing, a manifest, or another restore. Objects are
//! read page by page, so that a million objects need no more memory than a thousand.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{
    CallError, Facts, Filter, INBOX, Inventory, MAX_INVENTORY_BYTES, ManifestPlace, ManifestReader, ObjectId,
    ObjectSelector, ObjectsOf, Problem, Readability, Request, RequestedObject, S3Uri, SecondReading, Source,
};

use crate::StepError;
use crate::archive::listing::{self, Listing, Pages};
use crate::ledger::chunks::{self, ChunkRecord};
use crate::ledger::progress::shown;
use crate::ledger::restores::RestoreRecord;
use crate::ports::{Ledger, Listed, Piece, PortError, ReadArchive, WorkFiles};

/// Number of keys of a request in a page.
const PAGE: usize = 1_000;

/// An object of the source, with its listed state if it was listed; or the key of a neighbour.
#[derive(Debug, Clone)]
pub enum SourceItem {
    /// Named by the request, a manifest or another restore.
    Asked(RequestedObject),
    /// Found in a listing.
    Listed(Listed),
    /// The key of an object in the same listing that does not belong to the restore.
    Beside(String),
    /// Named with a version, and a listing shows another version as the current one.
    OldVersion(RequestedObject),
}

/// A page of objects.
#[derive(Debug)]
pub struct FoundPage {
    /// The objects, in order.
    pub objects: Vec<SourceItem>,
    /// The state of the list, if the objects come from one.
    pub list: Option<ListPage>,
}

/// The state of a list after the page that was read last.
#[derive(Debug)]
pub struct ListPage {
    /// Its address.
    pub at: S3Uri,
    /// Whether each line, or each string in JSON, is just a key. Every text file is a valid list of that kind.
    pub is_of_keys: bool,
    /// Its first object whose key has a second reading, if it is on this page.
    pub second: Option<SecondReading>,
    /// Whether this is the last page of the file.
    pub is_last: bool,
}

impl FoundPage {
    fn of(objects: Vec<SourceItem>) -> Self {
        Self { objects, list: None }
    }
}

/// The objects of a request, in pages.
#[derive(Debug)]
pub struct Objects<'a> {
    bucket: &'a str,
    rest: Remaining<'a>,
}

#[derive(Debug)]
enum Remaining<'a> {
    Keys {
        keys: &'a [RequestedObject],
        /// How many of them were returned.
        returned: usize,
    },
    /// `listing` is `None` until it is known whether the bucket has versions. With versions, the listing is one of
    /// versions, because each object is then restored by its version id.
    Listing {
        prefix: &'a str,
        filter: &'a Filter,
        listing: Option<Listing<'a>>,
    },
    Manifest(Box<Manifest<'a>>),
    Restore {
        record: Box<RestoreRecord>,
        chunks: std::vec::IntoIter<ChunkRecord>,
        selector: ObjectSelector,
    },
}

/// The position between two pages of a request's objects, from which another call continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourcePlace {
    /// Before the first page.
    Beginning,
    /// After this number of keys of the request.
    Keys(usize),
    /// In a listing; `None` at its end.
    Listing {
        /// Whether it is a listing of versions.
        versions: bool,
        /// The start of the next page.
        place: Option<listing::PageStart>,
    },
    /// In the files that list the objects of a manifest.
    Manifest {
        /// The ETag of the manifest, if it is an inventory that was opened.
        inventory: Option<String>,
        /// The index of the current file; at the end, the number of files.
        file: usize,
        /// The ETag of the file, if a piece of it was read.
        etag: Option<String>,
        /// The position in the file; `None` at the end.
        place: Option<ManifestPlace>,
    },
    /// Before this chunk of another restore; `u32::MAX` at the end.
    Restore(u32),
}

impl<'a> Objects<'a> {
    /// The objects of a request from a position on.
    ///
    /// Fails if they are those of a restore that does not exist or is in another bucket, or if the position is one of
    /// another source.
    pub async fn from(place: SourcePlace, request: &'a Request, ledger: &impl Ledger) -> Result<Self, StepError> {
        let rest = match (&request.source, place) {
            (Source::Keys { keys }, SourcePlace::Beginning) => Remaining::Keys { keys, returned: 0 },
            (Source::Keys { keys }, SourcePlace::Keys(returned)) => Remaining::Keys { keys, returned },
            (Source::Prefix { prefix, filter }, SourcePlace::Beginning) => {
                Remaining::Listing { prefix, filter, listing: None }
            }
            (Source::Prefix { prefix, filter }, SourcePlace::Listing { versions, place }) => {
                let pages = Pages { bucket: request.bucket.clone(), versions };
                Remaining::Listing { prefix, filter, listing: Some(Listing::from(place, pages, prefix)) }
            }
            (Source::Manifest { manifest, manifest_etag }, SourcePlace::Beginning) => {
                Remaining::Manifest(Box::new(Manifest::new(manifest, manifest_etag.clone(), &request.bucket)))
            }
            (Source::Manifest { manifest, manifest_etag }, SourcePlace::Manifest { inventory, file, etag, place }) => {
                let manifest = Manifest::new(manifest, inventory.or_else(|| manifest_etag.clone()), &request.bucket);
                Remaining::Manifest(Box::new(manifest.from(file, etag, place)))
            }
            (Source::Restore { objects_of }, SourcePlace::Beginning) => {
                Self::of_restore(objects_of, 0, request, ledger).await?
            }
            (Source::Restore { objects_of }, SourcePlace::Restore(chunk)) => {
                Self::of_restore(objects_of, chunk, request, ledger).await?
            }
            (
                Source::Keys { .. } | Source::Prefix { .. } | Source::Manifest { .. } | Source::Restore { .. },
                place @ (SourcePlace::Keys(_)
                | SourcePlace::Listing { .. }
                | SourcePlace::Manifest { .. }
                | SourcePlace::Restore(_)),
            ) => return Err(StepError::Unexpected(format!("{place:?} is a place in the objects of another request"))),
        };
        Ok(Self { bucket: &request.bucket, rest })
    }

    async fn of_restore(
        ObjectsOf { restore, selector }: &ObjectsOf,
        from_chunk: u32,
        request: &Request,
        ledger: &impl Ledger,
    ) -> Result<Remaining<'a>, StepError> {
        let found = ledger.get::<RestoreRecord>(&RestoreRecord::key_of(restore)).await?;
        let record = found.ok_or_else(|| Problem::no_such_restore(restore.as_str()))?;
        if record.request.bucket != request.bucket {
            let why = format!("must be that of the restore, {}.", record.request.bucket);
            return Err(Problem::field("bucket", &request.bucket.as_str().into(), why).into());
        }
        let mut chunks = chunks::records(ledger, &record).await?;
        chunks.retain(|known| known.chunk >= from_chunk);
        Ok(Remaining::Restore { record: Box::new(record), chunks: chunks.into_iter(), selector: *selector })
    }

    /// The position after the page that was returned last.
    pub fn place(&self) -> SourcePlace {
        match &self.rest {
            Remaining::Keys { returned, .. } => SourcePlace::Keys(*returned),
            Remaining::Listing { listing: None, .. } => SourcePlace::Beginning,
            Remaining::Listing { listing: Some(listing), .. } => {
                SourcePlace::Listing { versions: listing.pages().versions, place: listing.place().cloned() }
            }
            Remaining::Manifest(manifest) => manifest.place(),
            Remaining::Restore { chunks, .. } => {
                SourcePlace::Restore(chunks.as_slice().first().map_or(u32::MAX, |known| known.chunk))
            }
        }
    }

    /// The next page; `None` after the last. A page may be empty.
    pub async fn next(
        &mut self,
        archive: &impl ReadArchive,
        ledger: &impl Ledger,
        files: &impl WorkFiles,
    ) -> Result<Option<FoundPage>, StepError> {
        match &mut self.rest {
            Remaining::Keys { keys, returned } => {
                let page = &keys[(*returned).min(keys.len())..keys.len().min(*returned + PAGE)];
                *returned += page.len();
                Ok(Some(page)
                    .filter(|page| !page.is_empty())
                    .map(|page| FoundPage::of(page.iter().cloned().map(SourceItem::Asked).collect())))
            }
            Remaining::Listing { prefix, filter, listing } => {
                let listing = match listing {
                    Some(listing) => listing,
                    None => {
                        let versions = archive.has_versions(self.bucket).await?;
                        let pages = Pages { bucket: self.bucket.to_owned(), versions };
                        listing.insert(Listing::from(Some(listing::PageStart::after("")), pages, prefix))
                    }
                };
                let found = |listed: Listed| {
                    let is_meant = filter.matches(&listed.key, listed.size, listed.modified);
                    if is_meant { SourceItem::Listed(listed) } else { SourceItem::Beside(listed.key) }
                };
                Ok(listing.next(archive).await?.map(|page| FoundPage::of(page.into_iter().map(found).collect())))
            }
            Remaining::Manifest(manifest) => {
                let Some((asked, list)) = manifest.next(archive).await? else { return Ok(None) };
                Ok(Some(FoundPage { objects: asked.into_iter().map(SourceItem::Asked).collect(), list: Some(list) }))
            }
            Remaining::Restore { record, chunks, selector } => {
                let Some(known) = chunks.next() else { return Ok(None) };
                let rows = chunks::objects(ledger, files, record, &known).await?.into_iter();
                let rows = rows.map(|known| shown(record, known.row));
                let asked = rows.filter(|row| selector.means(record.status, &row.state, row.kind));
                let asked = asked.map(|row| RequestedObject { key: row.object.key, version_id: row.object.version });
                Ok(Some(FoundPage::of(asked.map(SourceItem::Asked).collect())))
            }
        }
    }
}

/// A manifest that is being read.
#[derive(Debug)]
struct Manifest<'a> {
    bucket: &'a str,
    /// The `manifest.json` of an inventory, which names the data files, until it is read.
    unopened: Option<File>,
    /// The ETag of the `manifest.json`, once it was read.
    inventory: Option<String>,
    /// The current file, and those that follow.
    files: VecDeque<File>,
    /// The index of the current file.
    number: usize,
    /// The ETag of the current file and the position in it, until the files are known.
    place: Option<(Option<String>, ManifestPlace)>,
}

#[derive(Debug)]
struct File {
    at: S3Uri,
    reader: ManifestReader,
    from: u64,
    etag: Option<String>,
    /// The required ETag: the one in the request, or the one that an earlier call read.
    pinned: Option<String>,
}

impl File {
    fn new(reader: ManifestReader, at: &S3Uri) -> Self {
        Self { at: at.clone(), reader, from: 0, etag: None, pinned: None }
    }

    /// Continues at a position of the file with this ETag.
    fn from(self, etag: Option<String>, place: ManifestPlace) -> Self {
        let from = place.first_byte();
        Self { reader: self.reader.from(place), from, pinned: etag.or(self.pinned), ..self }
    }

    /// Reads the next piece. Fails if the file is missing, archived, or not the one with the required ETag.
    async fn piece(&mut self, archive: &impl ReadArchive) -> Result<Piece, StepError> {
        let piece = match archive.read(&self.at, self.from, self.etag.as_deref()).await {
            Ok(piece) => piece,
            Err(PortError { says, trouble: Some(CallError::KeyDenied), .. }) => {
                let why = format!(
                    "it is encrypted with a KMS key that thaw may not use ({says}). Add the key's ARN to the stack's ArchiveKmsKeys parameter, and let the key's policy allow it."
                );
                return Err(Problem::manifest(&self.at, None, why).into());
            }
            Err(error) => return Err(error.into()),
        };
        let Some(piece) = piece else {
            let why = match is_archived(&self.at, archive).await? {
                Some(archived) => archived.says(&self.at),
                None => "there is no such file, or thaw may not read it. It must lie in one of the stack's archive buckets, or in its inbox.".to_owned(),
            };
            return Err(Problem::manifest(&self.at, None, why).into());
        };
        // Only the first piece is compared. Later reads are conditional on its ETag.
        if let Some(pinned) =
            self.pinned.take().filter(|pinned| piece.etag.trim_matches('"') != pinned.trim_matches('"'))
        {
            let why = format!("its ETag is {} by now, and not {pinned}. Ask for the manifest as it is.", piece.etag);
            return Err(Problem::manifest(&self.at, None, why).into());
        }
        self.from += piece.bytes.len() as u64;
        self.etag = Some(piece.etag.clone());
        Ok(piece)
    }
}

/// A file that cannot be read because it is archived.
pub struct Archived {
    storage_class: String,
    is_being_restored: bool,
}

impl Archived {
    /// The sentence for the user: what to do about it.
    fn says(&self, at: &S3Uri) -> String {
        let Self { storage_class, is_being_restored } = self;
        if *is_being_restored {
            return format!(
                "the list is archived itself ({storage_class}), and S3 is fetching it. Send the request again when it can be read."
            );
        }
        if at.key.starts_with(INBOX) {
            return format!(
                "the list is archived itself ({storage_class}). Drop it again in the storage class STANDARD."
            );
        }
        let body = serde_json::json!({"bucket": at.bucket, "keys": [at.key], "max_cost_usd": 1});
        format!(
            "the list is archived itself ({storage_class}). Restore it first, with {body}, and send this request again when that restore has succeeded."
        )
    }
}

/// Whether a file that S3 refuses to return is archived; `None` if it is not, or does not exist.
pub async fn is_archived(at: &S3Uri, archive: &impl ReadArchive) -> Result<Option<Archived>, StepError> {
    let S3Uri { bucket, key } = at.clone();
    let Facts::Found(head) = archive.head(&ObjectId { bucket, key, version: None }).await? else {
        return Ok(None);
    };
    // The time is in the past for every copy, so a restored copy counts as readable: it was refused for another reason.
    let is_being_restored = match head.readability(Timestamp::UNIX_EPOCH) {
        Ok(Readability::Archived(_)) => false,
        Ok(Readability::Restoring(_)) => true,
        Ok(Readability::Readable | Readability::Copy { .. }) | Err(_) => return Ok(None),
    };
    Ok(Some(Archived { storage_class: head.storage_class.unwrap_or_default(), is_being_restored }))
}

impl<'a> Manifest<'a> {
    /// A manifest from its beginning. `etag` is the required ETag.
    fn new(at: &S3Uri, etag: Option<String>, bucket: &'a str) -> Self {
        let file = File { pinned: etag, ..File::new(ManifestReader::new(at.clone(), bucket), at) };
        let (unopened, files) =
            if at.names_an_inventory() { (Some(file), VecDeque::new()) } else { (None, [file].into()) };
        Self { bucket, unopened, inventory: None, files, number: 0, place: None }
    }

    /// Continues at a position of the file with this index; at the end if there is no position.
    fn from(mut self, number: usize, etag: Option<String>, place: Option<ManifestPlace>) -> Self {
        self.number = number;
        self.place = place.map(|place| (etag, place));
        if self.unopened.is_none() {
            self.find_place();
        }
        self
    }

    fn find_place(&mut self) {
        self.files.drain(..self.number.min(self.files.len()));
        if let Some((etag, place)) = self.place.take()
            && let Some(file) = self.files.pop_front()
        {
            self.files.push_front(file.from(etag, place));
        }
    }

    fn place(&self) -> SourcePlace {
        let (etag, place) = match (&self.place, self.files.front()) {
            (Some((etag, place)), _) => (etag.clone(), Some(place.clone())),
            (None, Some(file)) => (file.etag.clone().or_else(|| file.pinned.clone()), Some(file.reader.place())),
            (None, None) if self.unopened.is_some() && self.number == 0 => return SourcePlace::Beginning,
            (None, None) => (None, None),
        };
        let inventory = self.unopened.as_ref().map_or(&self.inventory, |file| &file.pinned).clone();
        SourcePlace::Manifest { inventory, file: self.number, etag, place }
    }

    /// The objects of the next piece of the files; `None` after the last.
    async fn next(
        &mut self,
        archive: &impl ReadArchive,
    ) -> Result<Option<(Vec<RequestedObject>, ListPage)>, StepError> {
        if let Some(file) = self.unopened.take() {
            self.open_inventory(file, archive).await?;
            self.find_place();
        }
        let Some(file) = self.files.front_mut() else { return Ok(None) };
        // Reads at least one record, and past everything that an earlier call has read, so that each call makes
        // progress.
        let begin = file.reader.place();
        let (mut asked, more) = loop {
            let piece = file.piece(archive).await?;
            let asked = file.reader.push(&piece.bytes).collect::<Result<Vec<_>, _>>()?;
            if !piece.more || (!file.reader.is_before_its_place() && file.reader.place() != begin) {
                break (asked, piece.more);
            }
        };
        if !more {
            asked.extend(file.reader.end()?);
        }
        let (is_of_keys, second) = (file.reader.is_of_keys(), file.reader.take_second_reading());
        let list = ListPage { at: file.at.clone(), is_of_keys, second, is_last: !more };
        if !more {
            self.files.pop_front();
            self.number += 1;
        }
        Ok(Some((asked, list)))
    }

    /// Reads the `manifest.json` of an inventory, which names the data files.
    async fn open_inventory(&mut self, mut file: File, archive: &impl ReadArchive) -> Result<(), StepError> {
        let mut bytes = Vec::new();
        loop {
            let piece = file.piece(archive).await?;
            bytes.extend(piece.bytes);
            if bytes.len() > MAX_INVENTORY_BYTES {
                let why = format!("it has more than {MAX_INVENTORY_BYTES} bytes, which no inventory has.");
                return Err(Problem::manifest(&file.at, None, why).into());
            }
            if !piece.more {
                break;
            }
        }
        let inventory = Inventory::parse(&file.at, self.bucket, &bytes)?;
        self.files = inventory.files.iter().map(|data| File::new(inventory.reader(data), &data.at)).collect();
        self.inventory = file.etag;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use thaw_core::{Missing, RestoreId, State, Status};

    use super::*;
    use crate::planning::accepting::join_only;
    use crate::ports::{ListFrom, Page, VersionMarker, VersionPage};
    use crate::testing::archive::nobody_near;
    use crate::testing::memory::{MemoryFiles, MemoryLedger};
    use crate::testing::stack::{Stack, done, now, restored, restoring};

    /// A bucket with versions, two of them in a page: one of `a`, five of `b`, two of `c`.
    struct Versions;

    impl ReadArchive for Versions {
        async fn head(&self, _: &ObjectId) -> Result<Facts, PortError> {
            Ok(Facts::Missing(Missing::Denied))
        }

        async fn list(&self, _: &str, _: &str, _: &ListFrom) -> Result<Page, PortError> {
            Ok(Page::default())
        }

        async fn folders(&self, _: &str, _: &str, _: &str) -> Result<Vec<String>, PortError> {
            Ok(Vec::new())
        }

        async fn list_versions(
            &self,
            _: &str,
            _: &str,
            after: Option<&VersionMarker>,
        ) -> Result<VersionPage, PortError> {
            let all = ["a1", "b5", "b4", "b3", "b2", "b1", "c2", "c1"];
            let start = after.map_or(0, |after| {
                let last = format!("{}{}", after.key, after.version.as_deref().unwrap());
                all.iter().position(|version| *version == last).unwrap() + 1
            });
            let page = &all[start..all.len().min(start + 2)];
            let listed = |version: &&str| Listed {
                key: version[..1].to_owned(),
                version: Some(version[1..].to_owned()),
                storage_class: "GLACIER".to_owned(),
                size: 1,
                modified: now(),
                restore: None,
            };
            let current = page.iter().filter(|version| ["a1", "b5", "c2"].contains(*version));
            let next = page
                .last()
                .filter(|_| start + 2 < all.len())
                .map(|last| VersionMarker { key: last[..1].to_owned(), version: Some(last[1..].to_owned()) });
            Ok(VersionPage { objects: current.map(listed).collect(), next })
        }

        async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
            Ok(None)
        }

        async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
            Ok(true)
        }
    }

    #[tokio::test]
    async fn a_listing_of_versions_continues_after_pages_of_old_versions() {
        let request = json!({"bucket": "archive", "prefix": "", "max_cost_usd": 1, "exclude": ["c"]});
        let request = Request::parse(&request).unwrap();
        let (ledger, files) = (MemoryLedger::default(), MemoryFiles::default());
        let mut objects = Objects::from(SourcePlace::Beginning, &request, &ledger).await.unwrap();
        let mut pages = Vec::new();
        while let Some(page) = objects.next(&Versions, &ledger, &files).await.unwrap() {
            let found = page.objects.into_iter().map(|found| match found {
                SourceItem::Listed(listed) => format!("{}{}", listed.key, listed.version.unwrap()),
                SourceItem::Beside(key) => format!("beside {key}"),
                SourceItem::Asked(asked) | SourceItem::OldVersion(asked) => panic!("{asked:?}"),
            });
            pages.push(found.collect::<Vec<_>>());
        }
        assert_eq!(pages, [vec!["a1", "b5"], vec![], vec![], vec!["beside c"]]);
    }

    async fn keys(of: &RestoreId, selector: ObjectSelector, stack: &Stack) -> Vec<String> {
        let source = Source::Restore { objects_of: ObjectsOf { restore: of.clone(), selector } };
        let request = Request { source, ..join_only("archive", []) };
        let mut objects = Objects::from(SourcePlace::Beginning, &request, &stack.ledger).await.unwrap();
        let mut keys = Vec::new();
        while let Some(page) = objects.next(&nobody_near(), &stack.ledger, &stack.files).await.unwrap() {
            keys.extend(page.objects.into_iter().map(|found| match found {
                SourceItem::Asked(asked) | SourceItem::OldVersion(asked) => asked.key,
                SourceItem::Listed(listed) => listed.key,
                SourceItem::Beside(key) => panic!("{key} was not asked for"),
            }));
        }
        keys
    }

    #[tokio::test]
    async fn the_unfinished_objects_of_a_failed_or_cancelled_restore_can_be_requested_again() {
        let stack = Stack::default();
        let states = [("a", restored(None)), ("b", restoring()), ("c", State::Planned)];
        let id = stack.planned(&states, 3).await;
        for (status, meant) in
            [(Status::Running, &[][..]), (Status::Cancelled, &["a", "b", "c"]), (Status::Failed, &["b", "c"])]
        {
            stack.change(&id, |record| record.status = status).await;
            assert_eq!(keys(&id, ObjectSelector::Failed, &stack).await, meant, "{status:?}");
        }
    }

    #[tokio::test]
    async fn an_object_that_cloudfront_refused_counts_as_failed_not_as_published() {
        let stack = Stack::default();
        let id = stack.planned(&["a", "bad"].map(|key| (key, restored(Some("b")))), 2).await;
        stack.insert(&done("b", &["a", "bad"])).await;
        assert_eq!(keys(&id, ObjectSelector::Failed, &stack).await, ["bad"]);
        assert_eq!(keys(&id, ObjectSelector::Published, &stack).await, ["a"]);
    }
}
