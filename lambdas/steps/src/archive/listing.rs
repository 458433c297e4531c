//! Lists the objects under a prefix in the order of keys, with several requests at a time.
//!
//! Each page of a listing says where the next one begins, so one listing has one request at a time. A long listing
//! therefore looks for folders ahead of it, and lists several of them concurrently. Pages that come before their turn
//! wait in memory, within a limit.

use std::collections::VecDeque;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::ports::{ListFrom, Listed, Page, ReadArchive, VersionMarker, VersionPage};

/// Pages before a listing looks for folders. A shorter one would gain nothing.
const PAGES_ALONE: u32 = 4;

/// Ranges that are listed concurrently.
const LANES: usize = 8;

/// Pages that a range may be ahead of its turn. All ranges together hold at most 80,000 objects. `cargo xtask bench
/// plan` shows how much memory that takes.
const AHEAD: usize = 10;

/// Pages from which the size of folders is estimated.
const SAMPLE: usize = 4;

/// Levels of folders that are searched. On each level, if there are fewer than `LANES` folders, one call for each looks
/// below it.
const LEVELS: usize = 4;

/// A kind of listing: of keys or of versions, of one bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pages {
    /// The bucket.
    pub bucket: String,
    /// Whether versions are listed. A listing of keys does not say which version it shows.
    pub versions: bool,
}

impl Pages {
    /// Reads one page from a place on.
    pub async fn after(
        &self,
        prefix: &str,
        place: &PageStart,
        archive: &impl ReadArchive,
    ) -> Result<ListingPage, StepError> {
        match (self.versions, place) {
            (false, PageStart::Keys(from)) => {
                let Page { objects, next } = archive.list(&self.bucket, prefix, from).await?;
                Ok(ListingPage { objects, next: next.map(PageStart::Keys) })
            }
            (true, PageStart::Keys(ListFrom::After(key))) => {
                self.versions_after(prefix, &VersionMarker { key: key.clone(), version: None }, archive).await
            }
            (true, PageStart::Versions(marker)) => self.versions_after(prefix, marker, archive).await,
            (true, PageStart::Keys(ListFrom::Token(_))) | (false, PageStart::Versions(_)) => {
                Err(StepError::Unexpected(format!("{place:?} is a place in another kind of listing")))
            }
        }
    }

    async fn versions_after(
        &self,
        prefix: &str,
        marker: &VersionMarker,
        archive: &impl ReadArchive,
    ) -> Result<ListingPage, StepError> {
        let after = Some(marker).filter(|marker| !marker.key.is_empty());
        let VersionPage { objects, next } = archive.list_versions(&self.bucket, prefix, after).await?;
        Ok(ListingPage { objects, next: next.map(PageStart::Versions) })
    }
}

/// A page of a listing of either kind.
#[derive(Debug)]
pub struct ListingPage {
    /// The objects in the order of keys. There may be none although more pages follow.
    pub objects: Vec<Listed>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<PageStart>,
}

/// A place in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageStart {
    /// A place in a listing of keys. A place after a key is valid in a listing of versions, too: after all versions of
    /// the key.
    Keys(ListFrom),
    /// A place in a listing of versions.
    Versions(VersionMarker),
}

impl PageStart {
    /// After a key and all of its versions. The empty key is the beginning.
    pub fn after(key: &str) -> Self {
        Self::Keys(ListFrom::after(key))
    }

    /// The key that the place is at or after, if it has one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Keys(from) => from.key(),
            Self::Versions(marker) => Some(&marker.key),
        }
    }
}

/// The objects under a prefix, in the order of keys.
#[derive(Debug)]
pub struct Listing<'a> {
    pages: Pages,
    prefix: &'a str,
    /// Where the listing goes on after the page that was returned last; `None` after the last page.
    place: Option<PageStart>,
    /// The rest of the prefix as ranges, in order. The last range has no end.
    ranges: VecDeque<Range>,
    /// The keys of the last pages of the last range, from which the number of folders in a page is estimated.
    sample: VecDeque<Vec<String>>,
    /// Pages to read before it looks for folders.
    alone: u32,
    /// What `alone` is set to after a search that found no folder; it grows with each such search.
    patience: u32,
}

/// The keys after a place, up to an end.
#[derive(Debug)]
struct Range {
    /// Where its next page begins; `None` after the last.
    next: Option<PageStart>,
    /// The last key that the range may have; `None` if it has no end.
    end: Option<String>,
    /// Pages that wait for their turn.
    pages: VecDeque<ListingPage>,
}

impl Range {
    fn new(from: PageStart, end: Option<&String>) -> Self {
        Self { next: Some(from), end: end.cloned(), pages: VecDeque::new() }
    }

    fn take(&mut self, ListingPage { mut objects, next }: ListingPage) {
        let is_past = |key: &str| self.end.as_ref().is_some_and(|end| key > end.as_str());
        objects.retain(|listed| !is_past(&listed.key));
        let next = next.filter(|next| !next.key().is_some_and(is_past));
        self.next.clone_from(&next);
        self.pages.push_back(ListingPage { objects, next });
    }

    /// The place where the range ends and the next one begins.
    fn end(&self) -> Option<PageStart> {
        self.end.as_deref().map(PageStart::after)
    }
}

impl<'a> Listing<'a> {
    /// A listing from a place of another listing of the same pages on; `None` if that has ended.
    pub fn from(place: Option<PageStart>, pages: Pages, prefix: &'a str) -> Self {
        let ranges = place.iter().map(|place| Range::new(place.clone(), None)).collect();
        Self { pages, prefix, place, ranges, sample: VecDeque::new(), alone: PAGES_ALONE, patience: PAGES_ALONE }
    }

    /// The kind of listing.
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Where the listing goes on after the page that was returned last; `None` after the last. Pages that were read
    /// ahead are read again by a listing that goes on from there.
    pub fn place(&self) -> Option<&PageStart> {
        self.place.as_ref()
    }

    /// The next page; `None` after the last. A page may be empty.
    pub async fn next(&mut self, archive: &impl ReadArchive) -> Result<Option<Vec<Listed>>, StepError> {
        loop {
            let Some(first) = self.ranges.front_mut() else { return Ok(None) };
            if let Some(ListingPage { objects, next }) = first.pages.pop_front() {
                self.place = next.or_else(|| first.end());
                return Ok(Some(objects));
            }
            match first.next.clone() {
                None => {
                    self.ranges.pop_front();
                }
                Some(place) => {
                    if self.ranges.len() == 1 {
                        self.look_ahead(&place, archive).await?;
                    }
                    self.list(archive).await?;
                }
            }
        }
    }

    /// Reads one page of the first range, and of as many further ranges as there are lanes and room for.
    async fn list(&mut self, archive: &impl ReadArchive) -> Result<(), StepError> {
        let mut room = LANES * AHEAD - self.ranges.iter().map(|range| range.pages.len()).sum::<usize>();
        let is_listed = |(at, range): &(usize, &Range)| {
            let is_listed = range.next.is_some() && (*at == 0 || (range.pages.len() < AHEAD && room > 0));
            room = room.saturating_sub(usize::from(is_listed));
            is_listed
        };
        let ranges = self.ranges.iter().enumerate().filter(is_listed).take(LANES);
        let places: Vec<_> = ranges.filter_map(|(at, range)| Some((at, range.next.clone()?))).collect();
        let pages = places.iter().map(|(_, place)| self.pages.after(self.prefix, place, archive));
        for ((at, _), page) in places.iter().zip(try_join_all(pages).await?) {
            if self.ranges[*at].end.is_none() {
                self.sample.truncate(SAMPLE - 1);
                self.sample.push_front(page.objects.iter().map(|listed| listed.key.clone()).collect());
            }
            self.ranges[*at].take(page);
        }
        Ok(())
    }

    /// Splits the rest of the listing at folders, if it is long and has some.
    async fn look_ahead(&mut self, place: &PageStart, archive: &impl ReadArchive) -> Result<(), StepError> {
        if self.alone > 0 {
            self.alone -= 1;
            return Ok(());
        }
        // After a page without a key the place does not say which folders are ahead. The next page with a key will.
        let Some(after) = place.key() else { return Ok(()) };
        let folders = self.folders_after(after, archive).await?;
        let Some(first) = folders.first() else {
            self.patience *= 4;
            self.alone = self.patience;
            return Ok(());
        };
        self.patience = PAGES_ALONE;
        // So many folders a range that they fill the pages that a range may be ahead. A folder that fills the whole
        // sample is of unknown size.
        let in_sample = folders_in(self.sample.iter().rev().flatten(), first.matches('/').count());
        let together = if in_sample > 1 { in_sample * AHEAD / self.sample.len() } else { 1 };
        // At least two ranges a lane, so that no lane waits long for the last one.
        let together = together.clamp(1, folders.len().div_ceil(2 * LANES));
        let cuts: Vec<&String> = folders.iter().step_by(together).collect();
        if let Some(open) = self.ranges.front_mut() {
            open.end = cuts.first().map(|end| (*end).clone());
        }
        // A key that is exactly a folder's name is the last key of the range before it.
        let ends = cuts.iter().skip(1).map(|end| Some(*end)).chain([None]);
        self.ranges.extend(cuts.iter().zip(ends).map(|(begin, end)| Range::new(PageStart::after(begin), end)));
        Ok(())
    }

    /// The next thousand folders after a key, from the level on which there are enough.
    async fn folders_after(&self, after: &str, archive: &impl ReadArchive) -> Result<Vec<String>, StepError> {
        let (mut parents, mut found) = (vec![self.prefix.to_owned()], Vec::new());
        for _ in 0..LEVELS {
            let children = parents.iter().map(|parent| archive.folders(&self.pages.bucket, parent, after));
            parents = try_join_all(children).await?.concat();
            let ahead: Vec<String> = parents.iter().filter(|folder| folder.as_str() > after).cloned().collect();
            if ahead.len() >= found.len() {
                found = ahead;
            }
            if parents.is_empty() || found.len() >= LANES {
                break;
            }
        }
        Ok(found)
    }
}

/// How many folders of this depth keys in order are in.
fn folders_in<'a>(keys: impl Iterator<Item = &'a String>, depth: usize) -> usize {
    let folder = |key: &'a String| key.match_indices('/').nth(depth.saturating_sub(1)).map(|(at, _)| &key[..at]);
    let mut folders: Vec<Option<&str>> = keys.map(folder).collect();
    folders.dedup();
    folders.len()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeSet;

    use thaw_core::{Facts, Missing, ObjectId, S3Uri};

    use super::*;
    use crate::ports::{Piece, PortError};
    use crate::testing::memory::yield_now;
    use crate::testing::stack::now;

    /// Keys of a page.
    const PAGE: usize = 10;

    /// A bucket that records its requests, and counts the rounds: requests that come while no other is being answered.
    #[derive(Default)]
    struct Bucket {
        keys: BTreeSet<String>,
        versions: usize,
        /// One of this many pages holds no key; 0 means none.
        empty: usize,
        asked: RefCell<Vec<String>>,
        being_answered: Cell<usize>,
        rounds: Cell<usize>,
    }

    impl Bucket {
        fn of(keys: impl IntoIterator<Item = String>) -> Self {
            Self { keys: keys.into_iter().collect(), versions: 1, ..Self::default() }
        }

        async fn answer(&self, asked: String) {
            self.asked.borrow_mut().push(asked);
            if self.being_answered.get() == 0 {
                self.rounds.set(self.rounds.get() + 1);
            }
            self.being_answered.set(self.being_answered.get() + 1);
            yield_now().await;
            self.being_answered.set(self.being_answered.get() - 1);
        }

        fn keys<'a>(&'a self, prefix: &'a str, after: &'a str) -> impl Iterator<Item = &'a String> {
            self.keys.iter().filter(move |key| key.starts_with(prefix) && key.as_str() > after)
        }

        /// All keys under a prefix in the order of the listing, the number of rounds, and the number of calls.
        async fn listed(&self, prefix: &str) -> (Vec<String>, usize, usize) {
            let pages = Pages { bucket: "archive".to_owned(), versions: self.versions > 1 };
            let mut listing = Listing::from(Some(PageStart::after("")), pages, prefix);
            let mut keys = Vec::new();
            while let Some(page) = listing.next(self).await.unwrap() {
                keys.extend(page.into_iter().map(|listed| listed.key));
                let ahead: usize = listing.ranges.iter().map(|range| range.pages.len()).sum();
                assert!(ahead <= LANES * AHEAD, "{ahead} pages wait");
            }
            (keys, self.rounds.get(), self.asked.borrow().len())
        }

        async fn keeps_the_order(&self, prefix: &str) -> (usize, usize) {
            let (keys, rounds, calls) = self.listed(prefix).await;
            let all: Vec<String> = self.keys(prefix, "").cloned().collect();
            assert_eq!(keys, all);
            (rounds, calls)
        }
    }

    fn listed(key: &str, version: Option<String>) -> Listed {
        let (storage_class, key) = ("GLACIER".to_owned(), key.to_owned());
        Listed { key, version, storage_class, size: 1, modified: now(), restore: None }
    }

    impl ReadArchive for Bucket {
        async fn head(&self, _: &ObjectId) -> Result<Facts, PortError> {
            Ok(Facts::Missing(Missing::Denied))
        }

        async fn list(&self, _: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
            // A token is a key, and a mark that the page before held no key.
            let (after, was_empty) = match from {
                ListFrom::After(key) => (key, false),
                ListFrom::Token(key) => (key, true),
            };
            self.answer(format!("list {after}")).await;
            if self.empty > 0 && !was_empty && self.asked.borrow().len().is_multiple_of(self.empty) {
                return Ok(Page::new(Vec::new(), Some(after.clone())));
            }
            let mut keys = self.keys(prefix, after);
            let objects = keys.by_ref().take(PAGE).map(|key| listed(key, None)).collect();
            Ok(Page::new(objects, keys.next().map(|_| String::new())))
        }

        async fn folders(&self, _: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError> {
            self.answer(format!("folders {prefix}")).await;
            let folder = |key: &String| key[prefix.len()..].find('/').map(|at| key[..=prefix.len() + at].to_owned());
            let folders: BTreeSet<String> = self.keys(prefix, after).filter_map(folder).collect();
            Ok(folders.into_iter().take(1_000).collect())
        }

        /// A page holds `PAGE` versions. The first of each key is the current one.
        async fn list_versions(
            &self,
            _: &str,
            prefix: &str,
            after: Option<&VersionMarker>,
        ) -> Result<VersionPage, PortError> {
            self.answer(format!("versions {after:?}")).await;
            let all = self.keys(prefix, "").flat_map(|key| (0..self.versions).map(move |number| (key, number)));
            let is_before = |(key, number): &(&String, usize)| {
                after.is_some_and(|after| {
                    let version = after.version.as_ref().map_or(usize::MAX, |version| version.parse().unwrap());
                    (key.as_str(), *number) <= (after.key.as_str(), version)
                })
            };
            let mut rest = all.skip_while(is_before);
            let page: Vec<_> = rest.by_ref().take(PAGE).collect();
            let more = rest.next().is_some();
            let objects = page.iter().filter(|(_, number)| *number == 0);
            let objects = objects.map(|(key, number)| listed(key, Some(number.to_string()))).collect();
            let next = page.last().filter(|_| more);
            let next =
                next.map(|(key, number)| VersionMarker { key: (*key).clone(), version: Some(number.to_string()) });
            Ok(VersionPage { objects, next })
        }

        async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
            Ok(None)
        }

        async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
            Ok(self.versions > 1)
        }
    }

    fn numbered(folder: &str, files: usize) -> impl Iterator<Item = String> + use<> {
        let folder = folder.to_owned();
        (0..files).map(move |file| format!("{folder}{file:06}"))
    }

    fn folders(folders: usize, files: usize) -> impl Iterator<Item = String> {
        (0..folders).flat_map(move |folder| numbered(&format!("a/{folder:06}/"), files))
    }

    #[tokio::test]
    async fn a_short_prefix_or_one_without_folders_is_listed_page_after_page() {
        assert_eq!(Bucket::of([]).keeps_the_order("a/").await, (1, 1));
        assert_eq!(Bucket::of(folders(4, PAGE)).keeps_the_order("a/").await, (4, 4));
        // A hundred pages of one folder: the listing looks for others after 4, 20 and 84 of them, and the first time on
        // four levels.
        let (rounds, calls) = Bucket::of(numbered("a/b/c/d/e/", 100 * PAGE)).keeps_the_order("a/").await;
        assert_eq!((rounds, calls), (112, 112));
    }

    #[tokio::test]
    async fn folders_are_listed_at_once_whatever_their_size() {
        for (count, files) in [(100, PAGE), (16, 10 * PAGE), (1_000, 1), (3_000, 3)] {
            let pages = count * files / PAGE;
            let (rounds, calls) = Bucket::of(folders(count, files)).keeps_the_order("a/").await;
            assert!(
                rounds <= pages * 5 / 4 / LANES + 10,
                "{count} folders of {files}: {pages} pages in {rounds} rounds"
            );
            assert!(calls <= pages * 5 / 4 + 20, "{count} folders of {files}: {calls} calls for {pages} pages");
        }
    }

    #[tokio::test]
    async fn folders_are_found_below_others_and_objects_beside_them_are_not_forgotten() {
        let deep = (0..60).flat_map(|day| numbered(&format!("a/2019/08/{day:02}/"), 2 * PAGE));
        let neighbours =
            numbered("a/2019/08/", PAGE).chain(numbered("a/2019/08/3", PAGE)).chain(numbered("a/z", 3 * PAGE));
        let named_like_folders = (0..60).step_by(7).map(|day| format!("a/2019/08/{day:02}/"));
        let bucket = Bucket::of(deep.chain(neighbours).chain(named_like_folders));
        let (rounds, _) = bucket.keeps_the_order("a/").await;
        assert!(rounds < 50, "{rounds}");
        // A prefix need not be a folder.
        bucket.keeps_the_order("a/2019/08/1").await;
    }

    #[tokio::test]
    async fn a_page_without_a_key_ends_no_listing() {
        for empty in [1, 2, 3, 7] {
            let keys = folders(40, PAGE).chain(numbered("a/z", 3 * PAGE));
            Bucket { empty, ..Bucket::of(keys) }.keeps_the_order("a/").await;
            Bucket { empty, ..Bucket::of(numbered("a/b/", 3)) }.keeps_the_order("a/").await;
            Bucket { empty, ..Bucket::of([]) }.keeps_the_order("a/").await;
        }
    }

    #[tokio::test]
    async fn a_listing_goes_on_at_the_place_of_another() {
        for (versions, empty) in [(1, 0), (1, 3), (2, 0), (25, 0)] {
            let keys = folders(20, 7).chain(numbered("a/000003/x/", 3 * PAGE)).chain(numbered("a/z", 3 * PAGE));
            let bucket = Bucket { versions, empty, ..Bucket::of(keys) };
            for pages_a_call in [1, 2, 9] {
                let (mut place, mut keys, mut calls) = (Some(PageStart::after("")), Vec::new(), 0);
                while place.is_some() {
                    let pages = Pages { bucket: "archive".to_owned(), versions: versions > 1 };
                    let mut listing = Listing::from(place, pages, "a/");
                    for _ in 0..pages_a_call {
                        let page = listing.next(&bucket).await.unwrap();
                        keys.extend(page.into_iter().flatten().map(|listed| listed.key));
                    }
                    place = listing.place().cloned();
                    calls += 1;
                }
                assert!(calls > 1);
                assert_eq!(keys, bucket.keys("a/", "").cloned().collect::<Vec<_>>(), "{versions} {pages_a_call}");
            }
        }
    }

    #[tokio::test]
    async fn versions_are_listed_at_once_too() {
        for versions in [2, 3, 25] {
            let bucket = Bucket { versions, ..Bucket::of(folders(60, 4)) };
            let pages = 60 * 4 * versions / PAGE;
            let (rounds, _) = bucket.keeps_the_order("a/").await;
            assert!(rounds < pages * 3 / 4, "{versions} versions: {rounds} rounds for {pages} pages");
        }
    }

    #[tokio::test]
    async fn the_pages_after_a_large_folder_do_not_fill_the_memory() {
        let large = numbered("a/000000/", 300 * PAGE);
        let rest = (1..300).flat_map(|folder| numbered(&format!("a/{folder:06}/"), 3 * PAGE));
        // `listed` checks the number of pages that wait.
        Bucket::of(large.chain(rest)).keeps_the_order("a/").await;
    }
}
