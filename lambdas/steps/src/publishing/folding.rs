//! Folding: finds wildcards that replace the paths of objects that are published together, and that cover no archived
//! object.
//!
//! One page of a listing costs a thousandth of the price of a path. So the folders that contain two or more of the
//! objects are listed, outer folders first, and large folders only from the first object to the last. The other keys of
//! these listings decide what a wildcard may cover. A plan lists its objects anyway, and predicts the number of billed
//! paths from that listing: [`Forecast`].

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{Candidate, Distribution, Folder, Neighbours, ObjectId, Readability, Wildcard, billed, fold};
use tracing::info;

use crate::StepError;
use crate::archive::FACTS_VALID_FOR;
use crate::ports::{IN_FLIGHT, ListFrom, Listed, Page, ReadArchive};
use crate::publishing::OBJECTS_PER_CALL;
use crate::publishing::path_safety::can_be_read;

/// Maximum of listing pages that one call reads: some twenty seconds, and cheaper than one path. A folder gets at most
/// half of the pages that are left, so that a large folder leaves some for the folders inside it.
const PAGES: usize = 200;

/// Pages that are listed of a folder at least, however few of the objects it contains.
const PAGES_AT_LEAST: usize = 4;

/// Pages before the first of the objects after which a listing skips ahead towards it.
const PAGES_WITHOUT: usize = 2;

/// Objects in a folder for each additional page of its listing.
const OBJECTS_PER_PAGE: usize = 50;

/// Maximum of neighbours in Intelligent-Tiering for which one call sends a `HeadObject`. A listing does not contain
/// their access tiers.
const HEADS: usize = 100;

/// Maximum of wildcards of one call. CloudFront's quota is one wildcard a second, and was 15 in progress before. Exact
/// paths have a higher quota.
const WILDCARDS: usize = 250;

/// A folder as its bucket and its prefix.
type FolderPlace = (String, String);

/// Wildcards that replace paths of the candidates, for the fewest billed paths (see [`fold()`]).
///
/// They cover no object that is or may be archived, and at most `max_over` readable objects that are not candidates.
pub async fn wildcards(
    candidates: &[Candidate],
    distributions: &BTreeMap<String, Vec<Distribution>>,
    max_over: u32,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Vec<Wildcard>, StepError> {
    if candidates.len() < 2 {
        return Ok(Vec::new());
    }
    let shown = shown(candidates, distributions);
    let listed = listed(candidates, &shown, archive).await?;
    let known = classified(&listed, max_over, archive, now).await?;
    let found = chosen(candidates, &shown, &known, max_over)?;
    if !found.is_empty() {
        info!(wildcards = found.len(), "{} wildcards are worth asking for", found.len());
    }
    Ok(found)
}

/// How many paths will be billed when these objects (their keys and paths) of a bucket are published together in one call.
///
/// This is what is billed if S3 restores all of them and no other object is put between them meanwhile.
pub async fn foretold(
    bucket: &str,
    objects: Vec<(String, BTreeMap<String, BTreeSet<String>>)>,
    distributions: &BTreeMap<String, Vec<Distribution>>,
    max_over: u32,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<u64, StepError> {
    let candidates: Vec<Candidate> = objects.into_iter().map(|(key, paths)| candidate(bucket, &key, paths)).collect();
    let wildcards = wildcards(&candidates, distributions, max_over, archive, now).await?;
    Ok(billed(candidates, wildcards))
}

fn candidate(bucket: &str, key: &str, paths: BTreeMap<String, BTreeSet<String>>) -> Candidate {
    let object = ObjectId { bucket: bucket.to_owned(), key: key.to_owned(), version: None };
    Candidate {
        object,
        restores: Vec::new(),
        revisions: 0,
        readiness: None,
        paths,
        covers: BTreeSet::new(),
        namesakes: BTreeSet::new(),
    }
}

/// The wildcards that save most, given the other keys in the candidates' folders.
fn chosen(
    candidates: &[Candidate],
    shown: &Shown,
    known: &KnownNeighbours,
    max_over: u32,
) -> Result<Vec<Wildcard>, StepError> {
    if candidates.len() < 2 {
        return Ok(Vec::new());
    }
    let (mut found, mut over_left): (Vec<(usize, Wildcard)>, u32) = (Vec::new(), max_over);
    for (distribution, folders) in shown {
        let whole: Vec<(&str, &Folder)> = outermost(folders, known);
        if whole.is_empty() {
            continue;
        }
        let (mut archived, mut readable) = (BTreeSet::new(), BTreeSet::new());
        for (bucket, folder) in &whole {
            for (key, is_readable) in under(known, bucket, &folder.prefix) {
                let paths = folder.paths_of(key);
                if is_readable {
                    readable.extend(paths);
                } else {
                    archived.extend(paths);
                }
            }
        }
        let archived: Vec<&str> = archived.iter().map(String::as_str).collect();
        let readable: Vec<&str> = readable.iter().map(String::as_str).collect();
        let prefixes: Vec<&str> = whole.iter().map(|(_, folder)| folder.path.as_str()).collect();
        let paths: BTreeSet<&str> = candidates
            .iter()
            .filter_map(|candidate| candidate.paths.get(distribution))
            .flatten()
            .map(String::as_str)
            .collect();
        let paths: Vec<&str> = paths.into_iter().collect();
        let neighbours = Neighbours { listed: &prefixes, archived: &archived, readable: &readable };
        let folded = fold(&paths, &neighbours, over_left).map_err(|error| StepError::Unexpected(error.to_string()))?;
        over_left = over_left.saturating_sub(u32::try_from(folded.over()).unwrap_or(u32::MAX));
        for item in folded.items().filter(|item| item.is_wildcard() && item.covers.len() > 1) {
            let path = item.to_string();
            let stem = path.trim_end_matches('*');
            // A wildcard that replaces a path with a `~` may lie in no listed folder.
            let before = whole.partition_point(|(_, folder)| folder.path.as_str() <= stem);
            let Some((bucket, folder)) = whole[..before].last().filter(|(_, folder)| stem.starts_with(&folder.path))
            else {
                continue;
            };
            let (prefix, endpoint) = (folder.prefix_of(stem), folder.endpoint);
            let (distribution, bucket) = (distribution.clone(), (*bucket).to_owned());
            let wildcard = Wildcard { distribution, bucket, prefix, path, endpoint, covers: BTreeSet::new() };
            found.push((item.covers.len(), wildcard));
        }
    }
    found.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.cmp(b)));
    found.truncate(WILDCARDS);
    Ok(found.into_iter().map(|(_, wildcard)| wildcard).collect())
}

/// Predicts how many paths will be billed when objects are published together, while their listing is read.
///
/// It folds as [`wildcards`] will do, for as many objects at a time as one call publishes, with the other keys of the
/// listing as neighbours. The number is right if S3 restores all objects, no object is added between them meanwhile,
/// and CloudFront accepts every wildcard. Readable neighbours that `max_over` allows, and folders outside of the
/// prefix, can only reduce the number.
#[derive(Debug)]
pub struct Forecast {
    bucket: String,
    /// The prefix of the listing.
    prefix: String,
    distributions: BTreeMap<String, Vec<Distribution>>,
    /// The objects of the current call, at most [`OBJECTS_PER_CALL`].
    candidates: Vec<Candidate>,
    /// The keys of other objects, in order. Between two candidates only the first and the last such key are kept.
    beside: Vec<(String, bool)>,
    /// How many of these keys follow the last candidate (at most 2).
    behind: usize,
    billed: u64,
}

impl Forecast {
    /// A forecast for the listing of this prefix.
    pub fn new(bucket: &str, prefix: &str, distributions: &[Distribution]) -> Self {
        Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            distributions: [(bucket.to_owned(), distributions.to_vec())].into(),
            candidates: Vec::new(),
            beside: Vec::new(),
            behind: 0,
            billed: 0,
        }
    }

    /// Adds the next key of the listing, with the paths of its object by distribution. `paths` is empty if the object
    /// is not to be published.
    pub fn pass(&mut self, key: &str, paths: BTreeMap<String, BTreeSet<String>>) -> Result<(), StepError> {
        if paths.is_empty() {
            self.pass_beside(key);
            return Ok(());
        }
        if self.candidates.len() == OBJECTS_PER_CALL {
            // Objects of the next call are neighbours of this one, and objects of this call are neighbours of the next.
            let last = self.candidates.last().map(|last| last.object.key.clone());
            self.pass_beside(key);
            self.close()?;
            last.iter().for_each(|last| self.pass_beside(last));
        }
        self.candidates.push(candidate(&self.bucket, key, paths));
        self.behind = 0;
        Ok(())
    }

    /// Continues from the state of an earlier call. The paths of its keys are computed again.
    #[must_use]
    pub fn from(self, so_far: ForecastState, paths_of: impl Fn(&str) -> BTreeMap<String, BTreeSet<String>>) -> Self {
        let ForecastState { candidates, beside, behind, billed } = so_far;
        let candidates = candidates.iter().map(|key| candidate(&self.bucket, key, paths_of(key))).collect();
        let beside = beside.into_iter().map(|key| (key, false)).collect();
        Self { candidates, beside, behind, billed, ..self }
    }

    /// The state from which another call continues.
    pub fn state(&self) -> ForecastState {
        ForecastState {
            candidates: self.candidates.iter().map(|candidate| candidate.object.key.clone()).collect(),
            beside: self.beside.iter().map(|(key, _)| key.clone()).collect(),
            behind: self.behind,
            billed: self.billed,
        }
    }

    fn pass_beside(&mut self, key: &str) {
        if self.behind == 2 {
            self.beside.pop();
        }
        self.beside.push((key.to_owned(), false));
        self.behind = 2.min(self.behind + 1);
    }

    /// Adds the billed paths of the current call's candidates, and starts the next call.
    fn close(&mut self) -> Result<(), StepError> {
        let candidates = std::mem::take(&mut self.candidates);
        let beside = std::mem::take(&mut self.beside);
        self.behind = 0;
        let shown = shown(&candidates, &self.distributions);
        let known = KnownNeighbours::from([((self.bucket.clone(), self.prefix.clone()), beside)]);
        let wildcards = chosen(&candidates, &shown, &known, 0)?;
        self.billed += billed(candidates, wildcards);
        Ok(())
    }

    /// The number of billed paths, after the last key was added.
    pub fn billed(mut self) -> Result<u64, StepError> {
        self.close()?;
        Ok(self.billed)
    }
}

/// The serialised state of a [`Forecast`] between two calls: the keys of the objects that one call of Invalidate
/// publishes, and the keys of their neighbours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastState {
    candidates: Vec<String>,
    beside: Vec<String>,
    behind: usize,
    billed: u64,
}

/// The folders that contain candidates and that a distribution shows as a whole, with their buckets, by distribution.
type Shown = BTreeMap<String, BTreeSet<(String, Folder)>>;

fn shown(candidates: &[Candidate], distributions: &BTreeMap<String, Vec<Distribution>>) -> Shown {
    let mut shown = Shown::new();
    // All objects of one parent folder lie in the same folders.
    let parents: BTreeSet<(&str, &str)> =
        candidates.iter().map(|candidate| (candidate.object.bucket.as_str(), parent(&candidate.object.key))).collect();
    for (bucket, parent) in parents {
        for distribution in distributions.get(bucket).into_iter().flatten() {
            let folders = distribution.folders_of(bucket, parent).into_iter();
            let all = shown.entry(distribution.id.clone()).or_default();
            all.extend(folders.map(|folder| (bucket.to_owned(), folder)));
        }
    }
    shown
}

/// The innermost folder of a key.
fn parent(key: &str) -> &str {
    key.rfind('/').map_or("", |slash| &key[..=slash])
}

/// The neighbours in each folder whose listing is complete around the candidates.
type Neighbourhoods = BTreeMap<FolderPlace, Neighbourhood>;

/// The other keys around the candidates in a folder.
#[derive(Debug, Default)]
struct Neighbourhood {
    /// The listed objects that are not candidates, in order.
    listed: Vec<Listed>,
    /// Keys at which the listing skipped a range or stopped. The objects there are unknown, so no wildcard may cover
    /// these keys.
    edges: Vec<String>,
}

async fn listed(
    candidates: &[Candidate],
    shown: &Shown,
    archive: &impl ReadArchive,
) -> Result<Neighbourhoods, StepError> {
    let ours: HashSet<(&str, &str)> =
        candidates.iter().map(|candidate| (candidate.object.bucket.as_str(), candidate.object.key.as_str())).collect();
    let mut keys: Vec<(&str, &str)> = ours.iter().copied().collect();
    keys.sort_unstable();
    // By depth: inner folders are listed only where the outer one was too large.
    let mut depths: BTreeMap<usize, BTreeSet<FolderPlace>> = BTreeMap::new();
    for (bucket, folder) in shown.values().flatten() {
        let depth = folder.prefix.matches('/').count();
        depths.entry(depth).or_default().insert((bucket.clone(), folder.prefix.clone()));
    }
    let pages_left = Cell::new(PAGES);
    let mut complete = Neighbourhoods::new();
    for places in depths.into_values() {
        let is_known = |place: &FolderPlace| {
            let mut outer = complete.keys().filter(|(bucket, _)| *bucket == place.0);
            outer.any(|(_, prefix)| place.1.starts_with(prefix.as_str()))
        };
        let unlisted =
            places.into_iter().filter(|place| held(&keys, place).len() > 1 && !is_known(place)).collect::<Vec<_>>();
        let found: Vec<(FolderPlace, Neighbourhood)> = stream::iter(unlisted)
            .map(|place| async {
                let found = everything(&place, &keys[held(&keys, &place)], &pages_left, &ours, archive).await?;
                Ok::<_, StepError>(found.map(|found| (place, found)))
            })
            .buffer_unordered(IN_FLIGHT)
            .try_filter_map(|found| async { Ok(found) })
            .try_collect()
            .await?;
        complete.extend(found);
    }
    Ok(complete)
}

/// Lists the neighbours of the candidates (`held`) in a folder: all of them, or in a large folder those between the
/// first candidate and the last. `None` if that takes too many pages.
async fn everything(
    (bucket, prefix): &FolderPlace,
    held: &[(&str, &str)],
    pages_left: &Cell<usize>,
    ours: &HashSet<(&str, &str)>,
    archive: &impl ReadArchive,
) -> Result<Option<Neighbourhood>, StepError> {
    let (Some((_, first)), Some((_, last))) = (held.first(), held.last()) else { return Ok(None) };
    let pages = (PAGES_AT_LEAST + held.len() / OBJECTS_PER_PAGE).min(pages_left.get() / 2);
    // If the first candidate is far from the beginning, the listing skips to its own folder, then to the candidate
    // itself.
    let mut nearer = vec![just_before(first), just_before(parent(first))];
    let (mut found, mut from, mut without_ours) = (Neighbourhood::default(), ListFrom::after(""), 0);
    for page in 1..=pages {
        let Some(left) = pages_left.get().checked_sub(1) else { return Ok(None) };
        pages_left.set(left);
        let Page { objects, next } = archive.list(bucket, prefix, &from).await?;
        found.listed.extend(objects.into_iter().filter(|listed| !ours.contains(&(bucket, &listed.key))));
        let end = match next {
            None => return Ok(Some(found)),
            Some(ListFrom::After(end)) => end,
            // A page without a key does not show up to which key it goes.
            Some(token @ ListFrom::Token(_)) => {
                from = token;
                continue;
            }
        };
        if end.as_str() > *last && page >= PAGES_AT_LEAST {
            found.edges.push(end);
            return Ok(Some(found));
        }
        without_ours += usize::from(end.as_str() < *first);
        from = ListFrom::After(match nearer.pop_if(|_| end.as_str() < *first && without_ours >= PAGES_WITHOUT) {
            Some(start) if start > end => {
                found.edges.push(start.clone());
                start
            }
            Some(_) | None => end,
        });
    }
    Ok(None)
}

/// A text that sorts before a key or a folder's prefix, with almost no possible keys in between.
fn just_before(key: &str) -> String {
    let mut before = key.to_owned();
    if before.pop() == Some('/') {
        // The character before the slash is the dot, and U+10FFFF is the last character of all.
        before.push_str(".\u{10FFFF}");
    }
    before
}

/// The neighbours of each folder in order, each with whether it can be read, and stays so until CloudFront is called.
type KnownNeighbours = BTreeMap<FolderPlace, Vec<(String, bool)>>;

/// Classifies the neighbours as readable or not. With a `max_over` of 0 no neighbour may be covered, so all count as
/// not readable and S3 is not called.
async fn classified(
    complete: &Neighbourhoods,
    max_over: u32,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<KnownNeighbours, StepError> {
    let mut readable: HashMap<(&str, &str), bool> = HashMap::new();
    let mut doubtful: Vec<(&str, &str)> = Vec::new();
    if max_over > 0 {
        for ((bucket, _), beside) in complete {
            for one in &beside.listed {
                match is_readable(one, now) {
                    Some(is_readable) => {
                        readable.insert((bucket, &one.key), is_readable);
                    }
                    None => doubtful.push((bucket, &one.key)),
                }
            }
        }
    }
    let asked: Vec<((&str, &str), bool)> = stream::iter(doubtful.into_iter().take(HEADS))
        .map(|(bucket, key)| async move {
            let object = ObjectId { bucket: bucket.to_owned(), key: key.to_owned(), version: None };
            let is_readable = can_be_read(&object, archive, now).await?.unwrap_or(true);
            Ok::<_, StepError>(((bucket, key), is_readable))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    readable.extend(asked);
    let of = |((bucket, prefix), beside): (&FolderPlace, &Neighbourhood)| {
        let is_readable = |key: &str| readable.get(&(bucket.as_str(), key)).copied().unwrap_or(false);
        let listed = beside.listed.iter().map(|one| (one.key.clone(), is_readable(&one.key)));
        let mut keys: Vec<(String, bool)> =
            listed.chain(beside.edges.iter().map(|edge| (edge.clone(), false))).collect();
        keys.sort_unstable();
        ((bucket.clone(), prefix.clone()), keys)
    };
    Ok(complete.iter().map(of).collect())
}

/// Whether an object can be read according to its listing, for as long as a batch may wait before its neighbours are
/// checked again. `None` if the listing does not contain that.
fn is_readable(listed: &Listed, now: Timestamp) -> Option<bool> {
    listed.readability(now + FACTS_VALID_FOR).map(|reach| match reach {
        Readability::Readable | Readability::Copy { .. } => true,
        Readability::Archived(_) | Readability::Restoring(_) => false,
    })
}

/// The folders of a distribution that were listed, without those that lie in another one.
fn outermost<'a>(folders: &'a BTreeSet<(String, Folder)>, known: &KnownNeighbours) -> Vec<(&'a str, &'a Folder)> {
    let is_known = |bucket: &str, folder: &Folder| {
        known.keys().any(|(of, prefix)| of == bucket && folder.prefix.starts_with(prefix.as_str()))
    };
    let mut known: Vec<_> = folders.iter().filter(|(bucket, folder)| is_known(bucket, folder)).collect();
    known.sort_unstable_by(|(_, a), (_, b)| a.path.cmp(&b.path));
    let mut found: Vec<(&str, &Folder)> = Vec::new();
    for (bucket, folder) in known {
        // The folders inside another one directly follow it.
        if !found.last().is_some_and(|(_, outer)| folder.path.starts_with(&outer.path)) {
            found.push((bucket, folder));
        }
    }
    found
}

/// The neighbours under a prefix, each with whether it can be read.
fn under<'a>(known: &'a KnownNeighbours, bucket: &str, prefix: &str) -> Vec<(&'a str, bool)> {
    let outer = known.iter().filter(|((of, outer), _)| of == bucket && prefix.starts_with(outer.as_str()));
    let inside = |keys: &'a Vec<(String, bool)>| {
        let start = keys.partition_point(|(key, _)| key.as_str() < prefix);
        keys[start..].iter().take_while(|(key, _)| key.starts_with(prefix))
    };
    outer.flat_map(|(_, keys)| inside(keys)).map(|(key, is_readable)| (key.as_str(), *is_readable)).collect()
}

/// Where a folder's objects are among all, which are sorted: their buckets and keys.
fn held(keys: &[(&str, &str)], (bucket, prefix): &FolderPlace) -> Range<usize> {
    let start = keys.partition_point(|key| *key < (bucket, prefix));
    let is_in_folder = |(of, key): &(&str, &str)| *of == bucket.as_str() && key.starts_with(prefix.as_str());
    start..start + keys[start..].partition_point(is_in_folder)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use thaw_core::{Behaviour, Facts, Head, Origin, S3Uri};

    use super::*;
    use crate::ports::{ListedRestore, Page, Piece, PortError, VersionMarker, VersionPage};
    use crate::testing::archive::Sparse;
    use crate::testing::stack::now;

    /// A bucket with `page` keys per page. An object with `cold` in its key is archived.
    struct Bucket {
        /// In order.
        others: Vec<(&'static str, &'static str, Option<ListedRestore>)>,
        page: usize,
        pages: RefCell<Vec<String>>,
        heads: RefCell<Vec<String>>,
    }

    impl Default for Bucket {
        fn default() -> Self {
            Self { others: Vec::new(), page: 2, pages: RefCell::default(), heads: RefCell::default() }
        }
    }

    impl ReadArchive for Bucket {
        async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
            self.heads.borrow_mut().push(object.key.clone());
            let class = if object.key.contains("cold") { "GLACIER" } else { "STANDARD" };
            Ok(Facts::Found(Head { storage_class: Some(class.to_owned()), ..Head::default() }))
        }

        async fn list(&self, _: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
            let start_after = from.key().unwrap_or_default();
            self.pages.borrow_mut().push(prefix.to_owned());
            let start = self.others.partition_point(|(key, ..)| *key <= start_after || *key < prefix);
            let mut keys = self.others[start..].iter().take_while(|(key, ..)| key.starts_with(prefix));
            let listed = keys.by_ref().take(self.page).map(|(key, class, restore)| Listed {
                key: (*key).to_owned(),
                version: None,
                storage_class: (*class).to_owned(),
                size: 1,
                modified: now(),
                restore: *restore,
            });
            let objects = listed.collect();
            Ok(Page::new(objects, keys.next().map(|_| String::new())))
        }

        async fn folders(&self, _: &str, _: &str, _: &str) -> Result<Vec<String>, PortError> {
            Ok(Vec::new())
        }

        async fn list_versions(&self, _: &str, _: &str, _: Option<&VersionMarker>) -> Result<VersionPage, PortError> {
            Ok(VersionPage::default())
        }

        async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
            Ok(None)
        }

        async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
            Ok(false)
        }
    }

    /// The paths and prefixes of the wildcards for objects with these keys.
    async fn found(keys: &[&str], max_over: u32, bucket: &impl ReadArchive) -> Vec<(String, String)> {
        let distribution = distribution();
        let candidate = |key: &&str| Candidate {
            object: ObjectId { bucket: "archive".to_owned(), key: (*key).to_owned(), version: None },
            restores: Vec::new(),
            revisions: 0,
            readiness: None,
            paths: paths_of(key),
            covers: BTreeSet::new(),
            namesakes: BTreeSet::new(),
        };
        let candidates: Vec<Candidate> = keys.iter().map(candidate).collect();
        let all = [("archive".to_owned(), vec![distribution])].into();
        let found = wildcards(&candidates, &all, max_over, bucket, now()).await.unwrap();
        found.into_iter().map(|wildcard| (wildcard.path, wildcard.prefix)).collect()
    }

    fn distribution() -> Distribution {
        let behaviour = Behaviour { pattern: "*".to_owned(), target: "s3".to_owned(), ..Behaviour::default() };
        let domain = "archive.s3.amazonaws.com".to_owned();
        Distribution {
            id: "E1".to_owned(),
            origins: vec![Origin { id: "s3".to_owned(), domain, path: "/pub".to_owned() }],
            behaviours: vec![behaviour],
            ..Distribution::default()
        }
    }

    fn paths_of(key: &str) -> BTreeMap<String, BTreeSet<String>> {
        [("E1".to_owned(), distribution().paths_of("archive", key).paths)].into()
    }

    fn one(path: &str, prefix: &str) -> Vec<(String, String)> {
        vec![(path.to_owned(), prefix.to_owned())]
    }

    #[tokio::test]
    async fn one_object_is_no_folder() {
        let bucket = Bucket::default();
        assert_eq!(found(&["pub/a b/1"], 0, &bucket).await, []);
        assert_eq!(*bucket.pages.borrow(), [""; 0]);
        assert_eq!(found(&["pub/a/1x", "pub/a/1y"], 0, &bucket).await, one("/a/1*", "pub/a/1"));
    }

    /// Small buckets whose keys are each other's paths in another spelling, with every subset of them archived.
    #[tokio::test]
    async fn in_no_spelling_is_an_archived_neighbour_covered() {
        let names = ["x+1", "x+2", "x 1", "x 2", "x 9 z", "a b/x 1", "a b/x 2", "a+b/x"];
        let keys: Vec<&'static str> = names.iter().map(|name| &*format!("pub/{name}").leak()).collect();
        let mut folded = 0;
        for chosen in 0_u32..1 << keys.len() {
            let is_ours = |place: &usize| chosen >> place & 1 == 1;
            let (ours, archived): (Vec<usize>, Vec<usize>) = (0..keys.len()).partition(is_ours);
            let mut others: Vec<_> = archived.iter().map(|place| (keys[*place], "GLACIER", None)).collect();
            others.sort_unstable_by_key(|(key, ..)| *key);
            let bucket = Bucket { others, page: 1_000, ..Bucket::default() };
            let found = found(&ours.iter().map(|place| keys[*place]).collect::<Vec<_>>(), 0, &bucket).await;
            folded += found.len();
            for (path, prefix) in &found {
                // S3 decodes every path under the stem to a key under the prefix, and no other path.
                let stem = path.trim_end_matches('*').replace("%2B", "?").replace("%20", " ").replace('+', " ");
                assert_eq!(format!("pub{}", stem.replace('?', "+")), *prefix);
                let covered = archived.iter().find(|place| keys[**place].starts_with(prefix.as_str()));
                assert_eq!(covered, None, "{path} covers what is archived of {keys:?}, {chosen:b}");
            }
        }
        assert!(folded > 200, "{folded}");
    }

    #[tokio::test]
    async fn an_archived_key_after_a_page_without_keys_is_not_covered() {
        let bucket = Bucket { others: vec![("pub/a/2", "GLACIER", None)], ..Bucket::default() };
        let keys = ["pub/a/1x", "pub/a/1y", "pub/a/3x", "pub/a/3y"];
        let folded = found(&keys, 0, &Sparse(&bucket)).await;
        assert_eq!(folded, found(&keys, 0, &bucket).await);
        let paths: Vec<_> = folded.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/a/1*", "/a/3*"]);
    }

    #[tokio::test]
    async fn at_most_max_over_readable_neighbours_are_covered() {
        let keys = ["pub/a/1", "pub/a/3", "pub/b/1", "pub/b/3"];
        let bucket = || Bucket {
            others: vec![("pub/a/2", "STANDARD", None), ("pub/b/2", "STANDARD", None), ("pub/b/4", "STANDARD", None)],
            ..Bucket::default()
        };
        assert_eq!(found(&keys, 0, &bucket()).await, []);
        assert_eq!(found(&keys, 1, &bucket()).await, one("/a/*", "pub/a/"));
        assert_eq!(found(&keys, 2, &bucket()).await, one("/a/*", "pub/a/"), "/b/* alone saves no more");
        assert_eq!(found(&keys, 3, &bucket()).await, one("/*", "pub/"));
    }

    #[tokio::test]
    async fn an_object_that_is_or_may_soon_be_archived_is_never_covered() {
        let until = |seconds: u64| Some(ListedRestore::Copy(now() + Duration::from_secs(seconds)));
        for (key, class, restore, is_covered, is_asked) in [
            ("pub/a/2", "GLACIER_IR", None, true, false),
            ("pub/a/2", "GLACIER", None, false, false),
            ("pub/a/2", "GLACIER", Some(ListedRestore::Ongoing), false, false),
            ("pub/a/2", "DEEP_ARCHIVE", until(600), false, false),
            ("pub/a/2", "DEEP_ARCHIVE", until(601), true, false),
            ("pub/a/2", "INTELLIGENT_TIERING", None, true, true),
            ("pub/a/cold", "INTELLIGENT_TIERING", None, false, true),
        ] {
            let bucket = Bucket { others: vec![(key, class, restore)], ..Bucket::default() };
            let folded = found(&["pub/a/1", "pub/a/3"], 5, &bucket).await;
            let answer = (!folded.is_empty(), !bucket.heads.borrow().is_empty());
            assert_eq!(answer, (is_covered, is_asked), "{key} {class} {restore:?}");
        }
    }

    /// Archived keys that are not candidates.
    fn others(folder: &str, count: usize) -> Vec<(&'static str, &'static str, Option<ListedRestore>)> {
        (0..count).map(|n| (&*format!("{folder}{n:06}").leak(), "GLACIER", None)).collect()
    }

    #[tokio::test]
    async fn a_folder_with_too_many_others_among_ours_is_left_for_those_in_it() {
        let others = [others("pub/a/x/", 1), others("pub/m/", 10), others("pub/z/x/", 1)].concat();
        let bucket = Bucket { others, ..Bucket::default() };
        assert_eq!(found(&["pub/a/1", "pub/a/3", "pub/z/1", "pub/z/3"], 0, &bucket).await, []);
        let pages = bucket.pages.borrow();
        let of = |prefix: &str| pages.iter().filter(|page| *page == prefix).count();
        assert_eq!((of("pub/"), of("pub/a/"), of("pub/z/")), (PAGES_AT_LEAST, 1, 1));
    }

    #[tokio::test]
    async fn a_large_folder_is_listed_only_between_its_candidates() {
        // Other keys before the candidates, among them, and after them.
        let all = [others("pub/a/", 50), vec![("pub/m/1y", "GLACIER", None)], others("pub/z/", 50)].concat();
        let bucket = Bucket { others: all, ..Bucket::default() };
        let folded = found(&["pub/m/1x1", "pub/m/1x2", "pub/m/1z1", "pub/m/1z2"], 0, &bucket).await;
        let paths: Vec<_> = folded.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/m/1x*", "/m/1z*"]);
        assert_eq!(bucket.pages.borrow().len(), PAGES_AT_LEAST);
        // The candidates' own folder may be large too. Then the keys before the first candidate are unknown, and no
        // wildcard covers them.
        let bucket = Bucket { others: [others("pub/m/a", 50), others("pub/m/z", 50)].concat(), ..Bucket::default() };
        let folded = found(&["pub/m/bb1", "pub/m/bb2", "pub/m/bc1", "pub/m/bc2"], 100, &bucket).await;
        assert_eq!(folded, one("/m/bc*", "pub/m/bc"));
        assert_eq!(bucket.pages.borrow().len(), PAGES_AT_LEAST);
    }

    #[tokio::test]
    async fn thousands_of_objects_among_a_million_others_are_folded() {
        let ours: Vec<String> = (0..6).flat_map(|n| (0..1_000).map(move |m| format!("pub/e{n}/{m:04}"))).collect();
        let keys: Vec<&str> = ours.iter().map(String::as_str).collect();
        let mut all = [others("pub/a/", 300_000), others("pub/e", 6), others("pub/z/", 10)].concat();
        // Each folder has an archived neighbour whose key is a prefix of the folder's.
        all.extend((0..6).map(|n| (&*format!("pub/e{n}").leak(), "GLACIER", None)));
        all.extend(ours.iter().map(|key| (&*key.clone().leak(), "STANDARD", None)));
        all.sort_unstable_by_key(|(key, ..)| *key);
        let bucket = Bucket { others: all, page: 1_000, ..Bucket::default() };
        let folded = found(&keys, 0, &bucket).await;
        assert_eq!(folded.len(), 6, "{folded:?}");
        assert!(bucket.pages.borrow().len() < 20, "{}", bucket.pages.borrow().len());
    }

    /// The forecast for keys that a listing shows in this order. Keys that contain `ours` are to be published.
    fn forecast(prefix: &str, keys: &[String]) -> u64 {
        let mut forecast = Forecast::new("archive", prefix, &[distribution()]);
        for key in keys {
            let paths = if key.contains("ours") { paths_of(key) } else { BTreeMap::new() };
            forecast.pass(key, paths).unwrap();
        }
        forecast.billed().unwrap()
    }

    #[tokio::test]
    async fn the_forecast_equals_what_is_billed() {
        let names = ["a/ours1", "a/ours2", "a/x", "ä ours1", "ä ours~", "b/ours", "b/ours/", "b/ours/1", "b/y", "z"];
        // Every subset of the names.
        for chosen in 0_u32..1 << names.len() {
            let all: Vec<String> = (0..)
                .zip(names)
                .filter(|(place, _)| chosen >> place & 1 == 1)
                .map(|(_, name)| format!("pub/{name}"))
                .collect();
            let mut all = all;
            all.sort_unstable();
            let ours: Vec<&str> = all.iter().map(String::as_str).filter(|key| key.contains("ours")).collect();
            let others = all.iter().map(|key| (&*key.clone().leak(), "GLACIER", None)).collect();
            let bucket = Bucket { others, page: 1_000, ..Bucket::default() };
            let candidates = |key: &&str| Candidate {
                object: ObjectId { bucket: "archive".to_owned(), key: (*key).to_owned(), version: None },
                restores: Vec::new(),
                revisions: 0,
                readiness: None,
                paths: paths_of(key),
                covers: BTreeSet::new(),
                namesakes: BTreeSet::new(),
            };
            let candidates: Vec<Candidate> = ours.iter().map(candidates).collect();
            let distributions = [("archive".to_owned(), vec![distribution()])].into();
            let wildcards = wildcards(&candidates, &distributions, 0, &bucket, now()).await.unwrap();
            assert_eq!(forecast("pub/", &all), billed(candidates, wildcards), "{all:?}");
        }
    }

    #[test]
    fn a_forecast_over_many_calls_keeps_few_neighbours() {
        let folder = |n: usize| (0..100).map(move |m| format!("pub/{n:03}/ours{m:02}"));
        let with_neighbours = |n| [format!("pub/{n:03}.old")].into_iter().chain(folder(n));
        // Three calls of 200 folders each: no wildcard covers an object of another call.
        let keys: Vec<String> = (0..600).flat_map(with_neighbours).collect();
        assert_eq!(forecast("pub/", &keys), 600);
        // A folder whose objects are published by two calls.
        let keys: Vec<String> = (0..30_000).map(|n| format!("pub/one/ours{n:05}")).collect();
        let billed = forecast("pub/", &keys);
        assert!((15..=40).contains(&billed), "{billed}: a batch holds two thousand objects");
        let mut forecast = Forecast::new("archive", "pub/", &[distribution()]);
        (0..1_000).for_each(|n| forecast.pass(&format!("pub/{n:04}"), BTreeMap::new()).unwrap());
        assert_eq!(forecast.beside.len(), 2);
    }

    #[test]
    fn a_folder_holds_objects_of_its_own_bucket_only() {
        let keys = [("a", "x/1"), ("a", "y/1"), ("b", "x/1"), ("b", "x/2")];
        for (bucket, prefix, expected) in [("a", "x/", 0..1), ("b", "x/", 2..4), ("a", "y/", 1..2), ("b", "y/", 4..4)] {
            assert_eq!(held(&keys, &(bucket.to_owned(), prefix.to_owned())), expected, "{bucket}/{prefix}");
        }
    }

    #[test]
    fn an_object_with_the_folders_own_name_is_under_it() {
        let keys = ["a", "a/", "a/x", "b"].map(|key| (key.to_owned(), key == "a/"));
        let known = KnownNeighbours::from([(("bucket".to_owned(), String::new()), keys.to_vec())]);
        assert_eq!(under(&known, "bucket", "a/"), [("a/", true), ("a/x", false)]);
    }
}
