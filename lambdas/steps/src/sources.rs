//! Where a restore's objects come from: the keys of its request, a listing, a manifest, or another restore. Page by page, so that a
//! million objects need no more memory than a thousand.

use std::collections::VecDeque;

use thaw_core::{
    Asked, Filter, Inventory, MAX_INVENTORY_BYTES, ManifestReader, ObjectsOf, Problem, Request, S3Uri, Source,
    Standing, Trouble,
};

use crate::chunks::{self, ChunkRecord};
use crate::listing::{Listing, Pages};
use crate::ports::{Ledger, Listed, Piece, PortError, ReadArchive, WorkFiles};
use crate::restore_view::shown;
use crate::{RestoreRecord, StepError};

/// Objects looked at together.
const PAGE: usize = 1_000;

/// An object that is meant, with what is known of it before it is looked at; or one beside it.
#[derive(Debug, Clone)]
pub enum Found {
    /// Named in the request.
    Asked(Asked),
    /// Seen in a listing.
    Listed(Listed),
    /// The key of one that is not meant, seen in the same listing.
    Beside(String),
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
    /// `None` until it is known whether the bucket has versions: each must be asked for by its id.
    Listing {
        prefix: &'a str,
        filter: &'a Filter,
        listing: Option<Listing<'a>>,
    },
    Manifest(Box<Manifest>),
    Restore {
        record: Box<RestoreRecord>,
        chunks: std::vec::IntoIter<ChunkRecord>,
        standing: Standing,
    },
}

impl<'a> Objects<'a> {
    /// From the beginning.
    ///
    /// Fails if they are those of a restore that there is not, or of another bucket.
    pub async fn of(request: &'a Request, ledger: &impl Ledger) -> Result<Self, StepError> {
        let rest = match &request.source {
            Source::Keys { keys } => Rest::Keys(keys.chunks(PAGE)),
            Source::Prefix { prefix, filter } => Rest::Listing { prefix, filter, listing: None },
            Source::Manifest { manifest, manifest_etag } => {
                let file = File::new(ManifestReader::new(manifest.clone(), &request.bucket), manifest);
                Rest::Manifest(Box::new(Manifest {
                    inventory: manifest.names_an_inventory(),
                    file: Some(File { pinned: manifest_etag.clone(), ..file }),
                    files: VecDeque::new(),
                }))
            }
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
            Rest::Listing { prefix, filter, listing } => {
                let listing = match listing {
                    Some(listing) => listing,
                    None => {
                        let versions = archive.has_versions(self.bucket).await?;
                        listing.insert(Listing::new(Pages { bucket: self.bucket.to_owned(), versions }, prefix))
                    }
                };
                let found = |listed: Listed| {
                    let is_meant = filter.matches(&listed.key, listed.size, listed.modified);
                    if is_meant { Found::Listed(listed) } else { Found::Beside(listed.key) }
                };
                Ok(listing.next(archive).await?.map(|page| page.into_iter().map(found).collect()))
            }
            Rest::Manifest(manifest) => {
                let page = manifest.next(self.bucket, archive).await?;
                Ok(page.map(|page| page.into_iter().map(Found::Asked).collect()))
            }
            Rest::Restore { record, chunks, standing } => {
                let Some(known) = chunks.next() else { return Ok(None) };
                let rows = chunks::objects(ledger, files, record, &known).await?.into_iter();
                let rows = rows.map(|known| shown(record, known.row));
                let asked = rows.filter(|row| standing.means(record.status, &row.state, row.kind));
                let asked = asked.map(|row| Asked { key: row.object.key, version_id: row.object.version });
                Ok(Some(asked.map(Found::Asked).collect()))
            }
        }
    }
}

/// A manifest that is being read.
#[derive(Debug)]
struct Manifest {
    /// Whether it names the files that list the objects.
    inventory: bool,
    /// The file that is being read.
    file: Option<File>,
    /// Those that follow.
    files: VecDeque<File>,
}

#[derive(Debug)]
struct File {
    at: S3Uri,
    reader: ManifestReader,
    from: u64,
    etag: Option<String>,
    /// The ETag that the request names.
    pinned: Option<String>,
}

impl File {
    fn new(reader: ManifestReader, at: &S3Uri) -> Self {
        Self { at: at.clone(), reader, from: 0, etag: None, pinned: None }
    }

    /// The next piece, and whether more follows.
    async fn piece(&mut self, archive: &impl ReadArchive) -> Result<Piece, StepError> {
        let piece = match archive.read(&self.at, self.from, self.etag.as_deref()).await {
            Ok(piece) => piece,
            Err(PortError { says, trouble: Some(Trouble::KeyDenied), .. }) => {
                let why = format!(
                    "it is encrypted with a KMS key that thaw may not use ({says}). Add the key's ARN to the stack's ArchiveKmsKeys parameter, and let the key's policy allow it."
                );
                return Err(Problem::manifest(&self.at, None, why).into());
            }
            Err(error) => return Err(error.into()),
        };
        let why = "there is no such file, or thaw may not read it. It must lie in one of the stack's archive buckets, or in its inbox.";
        let piece = piece.ok_or_else(|| Problem::manifest(&self.at, None, why))?;
        // All pieces are of the same content as the first.
        if let Some(pinned) = self.pinned.take().filter(|pinned| piece.etag.trim_matches('"') != pinned) {
            let why = format!("its ETag is {} by now, and not {pinned}. Ask for the manifest as it is.", piece.etag);
            return Err(Problem::manifest(&self.at, None, why).into());
        }
        self.from += piece.bytes.len() as u64;
        self.etag = Some(piece.etag.clone());
        Ok(piece)
    }
}

impl Manifest {
    /// The objects of the next piece; `None` after the last.
    async fn next(&mut self, bucket: &str, archive: &impl ReadArchive) -> Result<Option<Vec<Asked>>, StepError> {
        if std::mem::take(&mut self.inventory) {
            self.open_inventory(bucket, archive).await?;
        }
        let Some(file) = &mut self.file else { return Ok(None) };
        let piece = file.piece(archive).await?;
        let mut asked = file.reader.push(&piece.bytes).collect::<Result<Vec<_>, _>>()?;
        if !piece.more {
            if let Some(done) = self.file.take() {
                asked.extend(done.reader.finish()?);
            }
            self.file = self.files.pop_front();
        }
        Ok(Some(asked))
    }

    /// Reads which files list the objects.
    async fn open_inventory(&mut self, bucket: &str, archive: &impl ReadArchive) -> Result<(), StepError> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
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
        let inventory = Inventory::parse(&file.at, bucket, &bytes)?;
        self.files = inventory.files.iter().map(|data| File::new(inventory.reader(data), &data.at)).collect();
        self.file = self.files.pop_front();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::{Stack, done, now, restored, restoring};
    use crate::joining::join_only;
    use crate::memory::{MemoryFiles, MemoryLedger};
    use crate::ports::{Page, VersionMarker, VersionPage};
    use crate::visible::tests::nobody_near;
    use serde_json::json;
    use thaw_core::{Facts, Missing, ObjectId, RestoreId, State, Status};

    /// A bucket with versions, two of them a page: of `a` one, of `b` five, of `c` two.
    struct Versions;

    impl ReadArchive for Versions {
        async fn head(&self, _: &ObjectId) -> Result<Facts, PortError> {
            Ok(Facts::Missing(Missing::Denied))
        }

        async fn list(&self, _: &str, _: &str, _: &str) -> Result<Page, PortError> {
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
    async fn a_listing_of_versions_goes_on_over_pages_of_old_ones() {
        let request = json!({"bucket": "archive", "prefix": "", "max_cost_usd": 1, "exclude": ["c"]});
        let request = Request::parse(&request).unwrap();
        let (ledger, files) = (MemoryLedger::default(), MemoryFiles::default());
        let mut objects = Objects::of(&request, &ledger).await.unwrap();
        let mut pages = Vec::new();
        while let Some(page) = objects.next(&Versions, &ledger, &files).await.unwrap() {
            let said = page.into_iter().map(|found| match found {
                Found::Listed(listed) => format!("{}{}", listed.key, listed.version.unwrap()),
                Found::Beside(key) => format!("beside {key}"),
                Found::Asked(asked) => panic!("{asked:?}"),
            });
            pages.push(said.collect::<Vec<_>>());
        }
        assert_eq!(pages, [vec!["a1", "b5"], vec![], vec![], vec!["beside c"]]);
    }

    async fn keys(of: &RestoreId, standing: Standing, stack: &Stack) -> Vec<String> {
        let source = Source::Restore { objects_of: ObjectsOf { restore: of.clone(), standing } };
        let request = Request { source, ..join_only("archive", []) };
        let mut objects = Objects::of(&request, &stack.ledger).await.unwrap();
        let mut keys = Vec::new();
        while let Some(page) = objects.next(&nobody_near(), &stack.ledger, &stack.files).await.unwrap() {
            keys.extend(page.into_iter().map(|found| match found {
                Found::Asked(asked) => asked.key,
                Found::Listed(listed) => listed.key,
                Found::Beside(key) => panic!("{key} was not asked for"),
            }));
        }
        keys
    }

    #[tokio::test]
    async fn of_a_restore_that_could_not_go_on_what_it_left_is_asked_for_once_more() {
        let stack = Stack::default();
        let states = [("a", restored(None)), ("b", restoring()), ("c", State::Planned)];
        let id = stack.planned(&states, 3).await;
        for (status, meant) in [(Status::Running, &[][..]), (Status::Cancelled, &[]), (Status::Failed, &["b", "c"])] {
            stack.change(&id, |record| record.status = status).await;
            assert_eq!(keys(&id, Standing::Failed, &stack).await, meant, "{status:?}");
        }
    }

    #[tokio::test]
    async fn what_cloudfront_refused_is_asked_for_once_more_and_not_kept_longer() {
        let stack = Stack::default();
        let id = stack.planned(&["a", "bad"].map(|key| (key, restored(Some("b")))), 2).await;
        stack.insert(&done("b", &["a", "bad"])).await;
        assert_eq!(keys(&id, Standing::Failed, &stack).await, ["bad"]);
        assert_eq!(keys(&id, Standing::Published, &stack).await, ["a"]);
    }
}
