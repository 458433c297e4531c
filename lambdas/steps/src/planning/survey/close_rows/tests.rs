use std::cell::RefCell;

use jiff::Timestamp;
use thaw_core::{Facts, Missing, ObjectId, S3Uri};

use super::*;
use crate::ports::{ListFrom, Page, Piece, PortError, VersionMarker, VersionPage};

/// A bucket of so many keys, `k00000000` and on, of which it shows ten a page; every second one in a bucket with versions has
/// the current version `v2`.
struct Bucket {
    keys: usize,
    versions: bool,
    lists: RefCell<Vec<String>>,
}

const PAGE: usize = 100;

impl Bucket {
    fn page(&self, after: &str) -> Vec<Listed> {
        self.lists.borrow_mut().push(after.to_owned());
        let listed = |number: usize| Listed {
            key: format!("k{number:08}"),
            version: self.versions.then(|| "v2".to_owned()),
            storage_class: "GLACIER".to_owned(),
            size: 1,
            modified: Timestamp::UNIX_EPOCH,
            restore: None,
        };
        (0..self.keys).map(listed).filter(|listed| listed.key.as_str() > after).take(PAGE).collect()
    }
}

impl ReadArchive for Bucket {
    async fn head(&self, _: &ObjectId) -> Result<Facts, PortError> {
        Ok(Facts::Missing(Missing::Key))
    }

    async fn list(&self, _: &str, _: &str, from: &ListFrom) -> Result<Page, PortError> {
        let page = self.page(from.key().unwrap());
        let more = page.len() == PAGE;
        Ok(Page::new(page, more.then(String::new)))
    }

    async fn folders(&self, _: &str, _: &str, _: &str) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }

    async fn list_versions(&self, _: &str, _: &str, after: Option<&VersionMarker>) -> Result<VersionPage, PortError> {
        let objects = self.page(after.map_or("", |after| &after.key));
        let last = objects.last().filter(|_| objects.len() == PAGE);
        let next = last.map(|last| VersionMarker { key: last.key.clone(), version: last.version.clone() });
        Ok(VersionPage { objects, next })
    }

    async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
        Ok(None)
    }

    async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
        Ok(self.versions)
    }
}

fn bucket(keys: usize, versions: bool) -> Bucket {
    Bucket { keys, versions, lists: RefCell::default() }
}

/// How many rows a listing answers, and with how many pages.
async fn shown(bucket: &Bucket, rows: impl Iterator<Item = (usize, Option<&str>)>) -> (usize, usize, usize) {
    let asked = |(number, version): (usize, Option<&str>)| {
        SourceItem::Asked(RequestedObject { key: format!("k{number:08}"), version_id: version.map(str::to_owned) })
    };
    let mut objects: Vec<_> = rows.map(asked).collect();
    let before: Vec<_> = objects.iter().map(|found| super::asked(found).unwrap().key.clone()).collect();
    look_up(&mut objects, &mut None, "archive", bucket).await.unwrap();
    let (mut listed, mut old) = (0, 0);
    for (found, before) in objects.iter().zip(before) {
        let key = match found {
            SourceItem::Listed(found) => {
                listed += 1;
                &found.key
            }
            SourceItem::OldVersion(asked) => {
                old += 1;
                &asked.key
            }
            SourceItem::Asked(asked) => &asked.key,
            SourceItem::Beside(key) => panic!("{key}"),
        };
        assert_eq!(*key, before, "each stays in its place");
    }
    (listed, old, bucket.lists.borrow().len())
}

#[tokio::test]
async fn rows_side_by_side_are_listed_in_whatever_order_they_come() {
    for versions in [false, true] {
        let rows = (0..2_000).rev().map(|number| (number, None));
        let (listed, _, pages) = shown(&bucket(2_000, versions), rows).await;
        assert_eq!(listed, 2_000);
        assert!((20..=8 * 4).contains(&pages), "{pages} pages");
    }
}

#[tokio::test]
async fn rows_far_apart_are_left_to_be_asked_for_one_by_one() {
    let rows = (0..2_000).map(|number| (number * 50, None));
    let (_, _, pages) = shown(&bucket(100_000, false), rows).await;
    assert!(pages <= 8 * 3, "{pages} pages");
    let (listed, _, pages) = shown(&bucket(2_000, false), (0..FEW - 1).map(|number| (number, None))).await;
    assert_eq!((listed, pages), (0, 0), "few rows are no matter");
}

#[tokio::test]
async fn what_is_not_there_is_left_and_so_is_a_version_that_no_listing_shows() {
    let rows = (500..1_500).map(|number| (number, None));
    assert_eq!(shown(&bucket(1_000, false), rows).await.0, 500);
    let versions = |number| if number % 2 == 0 { Some("v1") } else { Some("v2") };
    let rows = || (0..1_000).map(|number| (number, versions(number)));
    let (listed, old, _) = shown(&bucket(1_000, true), rows()).await;
    assert_eq!((listed, old), (500, 500));
    let (listed, old, _) = shown(&bucket(1_000, false), rows()).await;
    assert_eq!((listed, old), (0, 0));
}

#[test]
fn a_listing_begins_right_before_a_key() {
    for key in ["a", "b/c", "k00000100", "\u{0}", " ", "!", "ü", "\u{e000}", &"k".repeat(1_024)] {
        let before = just_before(key);
        assert!(before.as_str() < key && before.len() <= 1_024, "{key:?} {before:?}");
    }
    assert!(just_before("k00000100").as_str() > "k00000099");
}
