//! Folding: wildcards for objects that are published together, over nothing that must stay.
//!
//! A page of a listing costs a thousandth of a path. So the folders that hold two of the objects or more are listed, outer
//! ones first and large ones only from the first object to the last, and what is found beside the objects decides what a
//! wildcard may cover. A plan, which lists anyway, folds on paper what passes by: [`Forecast`].

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

/// Pages of listings that one call reads in all: some twenty seconds, and less than what one path costs. No folder gets
/// more than half of those that are left, so that a large one leaves some for those inside it.
const PAGES: usize = 200;

/// Pages that are tried of a folder however few of the objects lie in it.
const PAGES_AT_LEAST: usize = 4;

/// Pages without any of the objects after which a listing goes on nearer to the first of them.
const PAGES_WITHOUT: usize = 2;

/// Objects that pay for one more page: a page with a dozen of them among a thousand others is worth it.
const OBJECTS_PER_PAGE: usize = 50;

/// Neighbours in Intelligent-Tiering that S3 is asked about one by one: a listing does not tell their access tiers.
const HEADS: usize = 100;

/// Wildcards that one call asks for. CloudFront takes one a second, or had 15 in progress; exact paths are faster.
const WILDCARDS: usize = 250;

/// A folder's place in its bucket.
type FolderPlace = (String, String);

/// Wildcards that stand for paths of the candidates: the fewest billed paths, as [`fold()`] has it.
///
/// They cover no object that is archived or might be, and at most `max_over` readable ones that are not published here.
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
/// It is what is billed if S3 restores all of them and nothing is put between them meanwhile.
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
    Candidate { object, restores: Vec::new(), revisions: 0, readiness: None, paths, covers: BTreeSet::new() }
}

/// The wildcards that save most, given what lies beside the candidates.
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
            // Some stand for a path with a `~`, and lie in no folder that was listed.
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

/// How many paths will be billed when objects are published together, told while their listing passes by.
///
/// It folds as [`wildcards`] will, object by object as many as one call publishes, with what the listing shows beside them.
/// So it is what is billed if S3 restores all of them, nothing is put between them meanwhile, and CloudFront takes every
/// wildcard. What may go along by `max_over`, and what lies outside of the prefix, can only make it less.
#[derive(Debug)]
pub struct Forecast {
    bucket: String,
    /// What was listed: everything that begins so.
    prefix: String,
    distributions: BTreeMap<String, Vec<Distribution>>,
    /// Objects that one call publishes.
    candidates: Vec<Candidate>,
    /// Keys beside them, in order. Only the first and the last between two of them matter.
    beside: Vec<(String, bool)>,
    /// How many of those stand behind the last candidate.
    behind: usize,
    billed: u64,
}

impl Forecast {
    /// Of what lies under a prefix.
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

    /// The next key of the listing, and the paths of its object by distribution; none if it is not to be published.
    pub fn pass(&mut self, key: &str, paths: BTreeMap<String, BTreeSet<String>>) -> Result<(), StepError> {
        if paths.is_empty() {
            self.pass_beside(key);
            return Ok(());
        }
        if self.candidates.len() == OBJECTS_PER_CALL {
            // Those of the next call are not published by this one, and the other way round.
            let last = self.candidates.last().map(|last| last.object.key.clone());
            self.pass_beside(key);
            self.close()?;
            last.iter().for_each(|last| self.pass_beside(last));
        }
        self.candidates.push(candidate(&self.bucket, key, paths));
        self.behind = 0;
        Ok(())
    }

    /// Goes on where another call stopped. What the distributions show of a key is looked up anew.
    #[must_use]
    pub fn from(self, so_far: ForecastState, paths_of: impl Fn(&str) -> BTreeMap<String, BTreeSet<String>>) -> Self {
        let ForecastState { candidates, beside, behind, billed } = so_far;
        let candidates = candidates.iter().map(|key| candidate(&self.bucket, key, paths_of(key))).collect();
        let beside = beside.into_iter().map(|key| (key, false)).collect();
        Self { candidates, beside, behind, billed, ..self }
    }

    /// What another call goes on with.
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

    /// Counts what one call publishes.
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

    /// The sum, after the last key.
    pub fn billed(mut self) -> Result<u64, StepError> {
        self.close()?;
        Ok(self.billed)
    }
}

/// What a forecast knows when it is handed over to another call: the keys of what one call of Invalidate publishes, and of
/// what lies beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastState {
    candidates: Vec<String>,
    beside: Vec<String>,
    behind: usize,
    billed: u64,
}

/// The folders that hold candidates, by distribution and bucket, as far as a wildcard in them touches nothing else.
type Shown = BTreeMap<String, BTreeSet<(String, Folder)>>;

fn shown(candidates: &[Candidate], distributions: &BTreeMap<String, Vec<Distribution>>) -> Shown {
    let mut shown = Shown::new();
    // Objects of one folder lie in the same folders.
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

/// The folder that a key lies in.
fn parent(key: &str) -> &str {
    key.rfind('/').map_or("", |slash| &key[..=slash])
}

/// What was found in the folders that could be listed as far as it matters.
type Neighbourhoods = BTreeMap<FolderPlace, Neighbourhood>;

/// What lies beside the candidates in a folder.
#[derive(Debug, Default)]
struct Neighbourhood {
    /// What is not published, in order.
    listed: Vec<Listed>,
    /// Where it was not looked further: what lies there is not known, so no wildcard may cover these.
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
    let held = |(bucket, prefix): &FolderPlace| -> Range<usize> {
        let start = keys.partition_point(|key| *key < (bucket, prefix));
        let of_bucket = |(of, key): &(&str, &str)| *of == bucket.as_str() && key.starts_with(prefix.as_str());
        start..start + keys[start..].partition_point(of_bucket)
    };
    // By depth: inner folders are listed where the outer one was too large.
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
        let wanted = places.into_iter().filter(|place| held(place).len() > 1 && !is_known(place)).collect::<Vec<_>>();
        let found: Vec<(FolderPlace, Neighbourhood)> = stream::iter(wanted)
            .map(|place| async {
                let found = everything(&place, &keys[held(&place)], &pages_left, &ours, archive).await?;
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

/// What lies in a folder beside those of ours that it holds: everything, or in a large one what lies between the first of
/// ours and the last. `None` if it is too much.
async fn everything(
    (bucket, prefix): &FolderPlace,
    held: &[(&str, &str)],
    pages_left: &Cell<usize>,
    ours: &HashSet<(&str, &str)>,
    archive: &impl ReadArchive,
) -> Result<Option<Neighbourhood>, StepError> {
    let (Some((_, first)), Some((_, last))) = (held.first(), held.last()) else { return Ok(None) };
    let pages = (PAGES_AT_LEAST + held.len() / OBJECTS_PER_PAGE).min(pages_left.get() / 2);
    // Where the first of ours is far from the folder's beginning: from that of its own folder, then from itself.
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
            // A page without a key tells nothing of where it ends.
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

/// Something that sorts before a key or a folder's prefix, with next to nothing in between.
fn just_before(key: &str) -> String {
    let mut before = key.to_owned();
    if before.pop() == Some('/') {
        // What sorts before a slash is a dot; and U+10FFFF is the last character there is.
        before.push_str(".\u{10FFFF}");
    }
    before
}

/// Which keys of the folders can be read, and stay so until CloudFront is called. In order.
type KnownNeighbours = BTreeMap<FolderPlace, Vec<(String, bool)>>;

/// Without `max_over` no neighbour may be covered, whatever it is, so nobody is asked.
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

/// Whether a listing says that an object can be read, for as long as a batch may wait before its neighbours are looked at
/// again; `None` if it does not say.
fn is_readable(listed: &Listed, now: Timestamp) -> Option<bool> {
    listed.readability(now + FACTS_VALID_FOR).map(|reach| match reach {
        Readability::Readable | Readability::Copy { .. } => true,
        Readability::Archived(_) | Readability::Restoring(_) => false,
    })
}

/// Those of a distribution's folders that were listed completely, without those that lie in another.
fn outermost<'a>(folders: &'a BTreeSet<(String, Folder)>, known: &KnownNeighbours) -> Vec<(&'a str, &'a Folder)> {
    let is_known = |bucket: &str, folder: &Folder| {
        known.keys().any(|(of, prefix)| of == bucket && folder.prefix.starts_with(prefix.as_str()))
    };
    let mut known: Vec<_> = folders.iter().filter(|(bucket, folder)| is_known(bucket, folder)).collect();
    known.sort_unstable_by(|(_, a), (_, b)| a.path.cmp(&b.path));
    let mut found: Vec<(&str, &Folder)> = Vec::new();
    for (bucket, folder) in known {
        // Those inside a folder follow upon it.
        if !found.last().is_some_and(|(_, outer)| folder.path.starts_with(&outer.path)) {
            found.push((bucket, folder));
        }
    }
    found
}

/// What is known of the keys in a folder.
fn under<'a>(known: &'a KnownNeighbours, bucket: &str, prefix: &str) -> Vec<(&'a str, bool)> {
    let outer = known.iter().filter(|((of, outer), _)| of == bucket && prefix.starts_with(outer.as_str()));
    let inside = |keys: &'a Vec<(String, bool)>| {
        let start = keys.partition_point(|(key, _)| key.as_str() < prefix);
        keys[start..].iter().take_while(|(key, _)| key.starts_with(prefix))
    };
    outer.flat_map(|(_, keys)| inside(keys)).map(|(key, is_readable)| (key.as_str(), *is_readable)).collect()
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

    /// A bucket that lists so many keys a page. What says `cold` in its key is archived.
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

    /// The wildcards for objects under these keys, and what they cover in the bucket.
    async fn found(keys: &[&str], max_over: u32, bucket: &impl ReadArchive) -> Vec<(String, String)> {
        let distribution = distribution();
        let candidate = |key: &&str| Candidate {
            object: ObjectId { bucket: "archive".to_owned(), key: (*key).to_owned(), version: None },
            restores: Vec::new(),
            revisions: 0,
            readiness: None,
            paths: paths_of(key),
            covers: BTreeSet::new(),
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
        [("E1".to_owned(), distribution().paths_of("archive", key, "").paths)].into()
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

    /// Small buckets of keys that are each other's paths in another spelling, and each way to have some of them archived.
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
                // S3 reads whatever begins so as a key that begins so, and the other way round.
                let stem = path.trim_end_matches('*').replace("%2B", "?").replace("%20", " ").replace('+', " ");
                assert_eq!(format!("pub{}", stem.replace('?', "+")), *prefix);
                let covered = archived.iter().find(|place| keys[**place].starts_with(prefix.as_str()));
                assert_eq!(covered, None, "{path} covers what is archived of {keys:?}, {chosen:b}");
            }
        }
        assert!(folded > 200, "{folded}");
    }

    #[tokio::test]
    async fn what_lies_behind_a_page_without_a_key_is_not_covered() {
        let bucket = Bucket { others: vec![("pub/a/2", "GLACIER", None)], ..Bucket::default() };
        let keys = ["pub/a/1x", "pub/a/1y", "pub/a/3x", "pub/a/3y"];
        let folded = found(&keys, 0, &Sparse(&bucket)).await;
        assert_eq!(folded, found(&keys, 0, &bucket).await);
        let paths: Vec<_> = folded.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/a/1*", "/a/3*"]);
    }

    #[tokio::test]
    async fn so_many_readable_neighbours_may_be_covered_and_no_more() {
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
    async fn what_is_archived_or_may_be_soon_is_never_covered() {
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

    /// Archived keys that nobody asks for.
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
    async fn of_a_large_folder_only_what_lies_between_ours_is_listed() {
        // Before ours, among them, and after them.
        let all = [others("pub/a/", 50), vec![("pub/m/1y", "GLACIER", None)], others("pub/z/", 50)].concat();
        let bucket = Bucket { others: all, ..Bucket::default() };
        let folded = found(&["pub/m/1x1", "pub/m/1x2", "pub/m/1z1", "pub/m/1z2"], 0, &bucket).await;
        let paths: Vec<_> = folded.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/m/1x*", "/m/1z*"]);
        assert_eq!(bucket.pages.borrow().len(), PAGES_AT_LEAST);
        // Also where their own folder is large. What lies before the first is not known then, and no wildcard goes there.
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
        // Each of the folders has an archived neighbour that begins like it.
        all.extend((0..6).map(|n| (&*format!("pub/e{n}").leak(), "GLACIER", None)));
        all.extend(ours.iter().map(|key| (&*key.clone().leak(), "STANDARD", None)));
        all.sort_unstable_by_key(|(key, ..)| *key);
        let bucket = Bucket { others: all, page: 1_000, ..Bucket::default() };
        let folded = found(&keys, 0, &bucket).await;
        assert_eq!(folded.len(), 6, "{folded:?}");
        assert!(bucket.pages.borrow().len() < 20, "{}", bucket.pages.borrow().len());
    }

    /// What is foretold for keys that a listing shows in this order. What says `ours` is to be published.
    fn foretold(prefix: &str, keys: &[String]) -> u64 {
        let mut forecast = Forecast::new("archive", prefix, &[distribution()]);
        for key in keys {
            let paths = if key.contains("ours") { paths_of(key) } else { BTreeMap::new() };
            forecast.pass(key, paths).unwrap();
        }
        forecast.billed().unwrap()
    }

    #[tokio::test]
    async fn what_is_foretold_is_what_is_folded() {
        let names = ["a/ours1", "a/ours2", "a/x", "ä ours1", "ä ours~", "b/ours", "b/ours/", "b/ours/1", "b/y", "z"];
        // Each way to have some of them.
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
            };
            let candidates: Vec<Candidate> = ours.iter().map(candidates).collect();
            let distributions = [("archive".to_owned(), vec![distribution()])].into();
            let wildcards = wildcards(&candidates, &distributions, 0, &bucket, now()).await.unwrap();
            assert_eq!(foretold("pub/", &all), billed(candidates, wildcards), "{all:?}");
        }
    }

    #[test]
    fn many_neighbours_and_calls_are_foretold_without_being_kept() {
        let folder = |n: usize| (0..100).map(move |m| format!("pub/{n:03}/ours{m:02}"));
        let with_neighbours = |n| [format!("pub/{n:03}.old")].into_iter().chain(folder(n));
        // Three calls of 200 folders: none of them touches an object of another.
        let keys: Vec<String> = (0..600).flat_map(with_neighbours).collect();
        assert_eq!(foretold("pub/", &keys), 600);
        // A folder that two calls share.
        let keys: Vec<String> = (0..30_000).map(|n| format!("pub/one/ours{n:05}")).collect();
        let billed = foretold("pub/", &keys);
        assert!((15..=40).contains(&billed), "{billed}: a batch holds two thousand objects");
        let mut forecast = Forecast::new("archive", "pub/", &[distribution()]);
        (0..1_000).for_each(|n| forecast.pass(&format!("pub/{n:04}"), BTreeMap::new()).unwrap());
        assert_eq!(forecast.beside.len(), 2);
    }
}
