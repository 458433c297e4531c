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
mod tests;
