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
