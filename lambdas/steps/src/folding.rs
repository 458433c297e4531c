//! Folding: wildcards for objects that are published together, over nothing that must stay.
//!
//! A page of a listing costs a thousandth of a path. So the folders that hold two of the objects or more are listed, outer
//! ones first, and what is found beside the objects decides what a wildcard may cover.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use thaw_core::{Candidate, Distribution, Folder, Neighbours, ObjectId, Reach, Wildcard, encode_path, fold};
use tracing::info;

use crate::ports::{Listed, ReadArchive};
use crate::visible::{NEWS, can_be_read};
use crate::{IN_FLIGHT, StepError};

/// Pages of listings that one call reads in all: some ten seconds, and less than what one path costs.
const PAGES: usize = 100;

/// Pages that are tried of a folder however few of the objects lie in it.
const PAGES_AT_LEAST: usize = 4;

/// Objects that pay for one more page: a page with a dozen of them among a thousand others is worth it.
const OBJECTS_PER_PAGE: usize = 50;

/// Neighbours in Intelligent-Tiering that S3 is asked about one by one: a listing does not tell their access tiers.
const HEADS: usize = 100;

/// Wildcards that one call asks for. CloudFront takes one a second, or had 15 in progress; exact paths are faster.
const WILDCARDS: usize = 250;

/// A folder's place in its bucket.
type Place = (String, String);

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
    let (mut found, mut over_left): (Vec<(usize, Wildcard)>, u32) = (Vec::new(), max_over);
    for (distribution, folders) in &shown {
        let whole: Vec<(&str, &Folder)> = outermost(folders, &known);
        if whole.is_empty() {
            continue;
        }
        let (mut archived, mut readable) = (BTreeSet::new(), BTreeSet::new());
        for (bucket, folder) in &whole {
            for (key, is_readable) in under(&known, bucket, &folder.prefix) {
                let path = format!("{}{}", folder.path, encode_path(&key[folder.prefix.len()..]));
                if is_readable {
                    readable.insert(path)
                } else {
                    archived.insert(path)
                };
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
            let Some((bucket, folder)) = whole.iter().find(|(_, folder)| stem.starts_with(&folder.path)) else {
                continue;
            };
            let more = percent_decode_str(&stem[folder.path.len()..]).decode_utf8_lossy();
            let prefix = format!("{}{more}", folder.prefix);
            let wildcard = Wildcard { distribution: distribution.clone(), bucket: (*bucket).to_owned(), prefix, path };
            found.push((item.covers.len(), wildcard));
        }
    }
    found.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.cmp(b)));
    found.truncate(WILDCARDS);
    if !found.is_empty() {
        let paths: usize = found.iter().map(|(paths, _)| paths).sum();
        info!(wildcards = found.len(), paths, "{} wildcards stand for {paths} paths", found.len());
    }
    Ok(found.into_iter().map(|(_, wildcard)| wildcard).collect())
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

/// What lies in the folders that could be listed completely, without what is published.
type Complete = BTreeMap<Place, Vec<Listed>>;

async fn listed(candidates: &[Candidate], shown: &Shown, archive: &impl ReadArchive) -> Result<Complete, StepError> {
    let ours: HashSet<(&str, &str)> =
        candidates.iter().map(|candidate| (candidate.object.bucket.as_str(), candidate.object.key.as_str())).collect();
    let mut keys: Vec<(&str, &str)> = ours.iter().copied().collect();
    keys.sort_unstable();
    let held = |(bucket, prefix): &Place| {
        let start = keys.partition_point(|key| *key < (bucket, prefix));
        keys[start..].partition_point(|(of, key)| *of == bucket.as_str() && key.starts_with(prefix.as_str()))
    };
    // By depth: inner folders are listed where the outer one was too large.
    let mut depths: BTreeMap<usize, BTreeSet<Place>> = BTreeMap::new();
    for (bucket, folder) in shown.values().flatten() {
        let depth = folder.prefix.matches('/').count();
        depths.entry(depth).or_default().insert((bucket.clone(), folder.prefix.clone()));
    }
    let pages_left = Cell::new(PAGES);
    let mut complete = Complete::new();
    for places in depths.into_values() {
        let is_known = |place: &Place| {
            let mut outer = complete.keys().filter(|(bucket, _)| *bucket == place.0);
            outer.any(|(_, prefix)| place.1.starts_with(prefix.as_str()))
        };
        let wanted = places.into_iter().filter(|place| held(place) > 1 && !is_known(place)).collect::<Vec<_>>();
        let found: Vec<(Place, Vec<Listed>)> = stream::iter(wanted)
            .map(|place| async {
                let pages = PAGES_AT_LEAST + held(&place) / OBJECTS_PER_PAGE;
                let found = everything(&place, pages, &pages_left, &ours, archive).await?;
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

/// Everything in a folder but what is published; `None` if it is too much.
async fn everything(
    (bucket, prefix): &Place,
    pages: usize,
    pages_left: &Cell<usize>,
    ours: &HashSet<(&str, &str)>,
    archive: &impl ReadArchive,
) -> Result<Option<Vec<Listed>>, StepError> {
    let (mut found, mut after) = (Vec::new(), String::new());
    for _ in 0..pages {
        let Some(left) = pages_left.get().checked_sub(1) else { return Ok(None) };
        pages_left.set(left);
        let page = archive.list(bucket, prefix, &after).await?;
        let last = page.objects.last().map(|listed| listed.key.clone());
        found.extend(page.objects.into_iter().filter(|listed| !ours.contains(&(bucket, &listed.key))));
        match last {
            Some(last) if page.more => after = last,
            Some(_) | None => return Ok(Some(found)),
        }
    }
    Ok(None)
}

/// Which keys of the complete folders can be read, and stay so until CloudFront is called.
type Known = BTreeMap<Place, Vec<(String, bool)>>;

/// Without `max_over` no neighbour may be covered, whatever it is, so nobody is asked.
async fn classified(
    complete: &Complete,
    max_over: u32,
    archive: &impl ReadArchive,
    now: Timestamp,
) -> Result<Known, StepError> {
    let mut readable: HashMap<(&str, &str), bool> = HashMap::new();
    let mut doubtful: Vec<(&str, &str)> = Vec::new();
    if max_over > 0 {
        for ((bucket, _), listed) in complete {
            for one in listed {
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
    let of = |((bucket, prefix), listed): (&Place, &Vec<Listed>)| {
        let is_readable = |key: &str| readable.get(&(bucket.as_str(), key)).copied().unwrap_or(false);
        let keys = listed.iter().map(|one| (one.key.clone(), is_readable(&one.key)));
        ((bucket.clone(), prefix.clone()), keys.collect())
    };
    Ok(complete.iter().map(of).collect())
}

/// Whether a listing says that an object can be read, for as long as a batch may wait before its neighbours are looked at
/// again; `None` if it does not say.
fn is_readable(listed: &Listed, now: Timestamp) -> Option<bool> {
    listed.reach(now + NEWS).map(|reach| match reach {
        Reach::Readable | Reach::Copy { .. } => true,
        Reach::Archived(_) | Reach::Restoring(_) => false,
    })
}

/// Those of a distribution's folders that were listed completely, without those that lie in another.
fn outermost<'a>(folders: &'a BTreeSet<(String, Folder)>, known: &Known) -> Vec<(&'a str, &'a Folder)> {
    let is_known = |bucket: &str, folder: &Folder| {
        known.keys().any(|(of, prefix)| of == bucket && folder.prefix.starts_with(prefix.as_str()))
    };
    let mut found: Vec<(&str, &Folder)> = Vec::new();
    for (bucket, folder) in folders.iter().filter(|(bucket, folder)| is_known(bucket, folder)) {
        if !found.iter().any(|(_, outer)| folder.path.starts_with(&outer.path)) {
            found.retain(|(_, inner)| !inner.path.starts_with(&folder.path));
            found.push((bucket, folder));
        }
    }
    found
}

/// What is known of the keys in a folder.
fn under<'a>(known: &'a Known, bucket: &str, prefix: &str) -> Vec<(&'a str, bool)> {
    let outer = known.iter().filter(|((of, outer), _)| of == bucket && prefix.starts_with(outer.as_str()));
    let keys = outer.flat_map(|(_, keys)| keys).filter(|(key, _)| key.starts_with(prefix));
    keys.map(|(key, is_readable)| (key.as_str(), *is_readable)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::now;
    use crate::ports::{ListedRestore, Page, Piece, PortError};
    use std::cell::RefCell;
    use std::time::Duration;
    use thaw_core::{Behaviour, Facts, Head, Origin, S3Uri};

    /// A bucket that lists two keys a page. What says `cold` in its key is archived.
    #[derive(Default)]
    struct Bucket {
        others: Vec<(&'static str, &'static str, Option<ListedRestore>)>,
        pages: RefCell<Vec<String>>,
        heads: RefCell<Vec<String>>,
    }

    impl ReadArchive for Bucket {
        async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
            self.heads.borrow_mut().push(object.key.clone());
            let class = if object.key.contains("cold") { "GLACIER" } else { "STANDARD" };
            Ok(Facts::Found(Head { storage_class: Some(class.to_owned()), ..Head::default() }))
        }

        async fn list(&self, _: &str, prefix: &str, start_after: &str) -> Result<Page, PortError> {
            self.pages.borrow_mut().push(prefix.to_owned());
            let mut keys: Vec<_> =
                self.others.iter().filter(|(key, ..)| key.starts_with(prefix) && *key > start_after).collect();
            keys.sort_by_key(|(key, ..)| *key);
            let listed = keys.iter().take(2).map(|(key, class, restore)| Listed {
                key: (*key).to_owned(),
                storage_class: (*class).to_owned(),
                size: 1,
                modified: now(),
                restore: *restore,
            });
            Ok(Page { objects: listed.collect(), more: keys.len() > 2 })
        }

        async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
            Ok(None)
        }

        async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
            Ok(false)
        }
    }

    /// The wildcards for objects under these keys, and what they cover in the bucket.
    async fn found(keys: &[&str], max_over: u32, bucket: &Bucket) -> Vec<(String, String)> {
        let behaviour = Behaviour { pattern: "*".to_owned(), target: "s3".to_owned(), has_origin_function: false };
        let domain = "archive.s3.amazonaws.com".to_owned();
        let distribution = Distribution {
            id: "E1".to_owned(),
            origins: vec![Origin { id: "s3".to_owned(), domain, path: "/pub".to_owned() }],
            behaviours: vec![behaviour],
            ..Distribution::default()
        };
        let candidate = |key: &&str| Candidate {
            object: ObjectId { bucket: "archive".to_owned(), key: (*key).to_owned(), version: None },
            restores: Vec::new(),
            revisions: 0,
            news: None,
            paths: [("E1".to_owned(), distribution.paths_of("archive", key, "").paths)].into(),
        };
        let candidates: Vec<Candidate> = keys.iter().map(candidate).collect();
        let all = [("archive".to_owned(), vec![distribution.clone()])].into();
        let found = wildcards(&candidates, &all, max_over, bucket, now()).await.unwrap();
        found.into_iter().map(|wildcard| (wildcard.path, wildcard.prefix)).collect()
    }

    fn one(path: &str, prefix: &str) -> Vec<(String, String)> {
        vec![(path.to_owned(), prefix.to_owned())]
    }

    #[tokio::test]
    async fn one_object_is_no_folder() {
        let bucket = Bucket::default();
        assert_eq!(found(&["pub/a b/1"], 0, &bucket).await, []);
        assert_eq!(*bucket.pages.borrow(), [""; 0]);
        assert_eq!(found(&["pub/a b/1x", "pub/a b/1y"], 0, &bucket).await, one("/a%20b/1*", "pub/a b/1"));
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

    #[tokio::test]
    async fn a_folder_with_too_many_others_is_left_for_those_in_it() {
        let mut others = vec![("pub/a/other/2", "GLACIER", None)];
        let keys = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"].map(|n| format!("pub/z{n}"));
        others.extend(keys.into_iter().map(|key| (&*key.leak(), "GLACIER", None)));
        let bucket = Bucket { others, ..Bucket::default() };
        assert_eq!(found(&["pub/a/1", "pub/a/3"], 0, &bucket).await, []);
        let pages = bucket.pages.borrow();
        let of = |prefix: &str| pages.iter().filter(|page| *page == prefix).count();
        assert_eq!((of("pub/"), of("pub/a/"), pages.len()), (PAGES_AT_LEAST, 1, PAGES_AT_LEAST + 1));
    }
}
