//! A cache of which versions are the newest of their keys. It asks S3 for a page of versions at a time, where events
//! report many objects that lie close together.
//!
//! Each call gets events of a few objects of a large restore, scattered over all of its keys. A page costs too much for
//! these alone, but it stays valid for some minutes ([`FACTS_VALID_FOR`]) and answers for many in that time. So a
//! function keeps it from call to call. If the function dies, S3 is asked again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;
use thaw_core::ObjectId;

use crate::StepError;
use crate::archive::FACTS_VALID_FOR;
use crate::archive::listing::{PageStart, Pages};
use crate::archive::listing_lookup::OBJECTS_PER_PAGE_THAT_PAY;
use crate::ports::ReadArchive;

/// The most objects between two pages where pages do not pay off. The pages then add a sixty-fourth to the cost.
const MOST_PATIENT: usize = 64 * OBJECTS_PER_PAGE_THAT_PAY;

/// What a function remembers of S3's listings of versions.
#[derive(Debug)]
pub struct CurrentVersions {
    /// The pages by bucket and the key after which they begin.
    pages: BTreeMap<(String, String), Page>,
    /// Objects since the last page that no page answers for. They are asked about one by one.
    alone: usize,
    /// How many of those there are before the next page is listed. A page that has paid off halves it, and one that has
    /// not doubles it.
    patience: usize,
    hasher: RandomState,
}

/// A page of a listing of versions.
#[derive(Debug)]
struct Page {
    at: Timestamp,
    /// The last key that the page covers; `None` if it covers all that follow.
    last: Option<String>,
    /// Keys with their newest versions, hashed: a thousand of them take sixteen kilobytes.
    newest: HashSet<u64>,
    /// The number of objects that it has answered for.
    answered: usize,
}

impl Default for CurrentVersions {
    fn default() -> Self {
        Self::patient(OBJECTS_PER_PAGE_THAT_PAY)
    }
}

impl CurrentVersions {
    /// An empty cache. The first page is listed after this many objects were asked about one by one.
    pub fn patient(patience: usize) -> Self {
        Self { pages: BTreeMap::new(), alone: 0, patience, hasher: RandomState::new() }
    }

    /// The objects among these whose version is the newest of its key, as far as pages say.
    pub async fn of(
        &mut self,
        versions: impl Iterator<Item = &ObjectId>,
        archive: &impl ReadArchive,
        now: Timestamp,
    ) -> Result<BTreeSet<ObjectId>, StepError> {
        self.forget(now);
        let mut newest = BTreeSet::new();
        for object in versions {
            if self.page_of(object).is_none() {
                if self.alone < self.patience {
                    self.alone += 1;
                    continue;
                }
                self.alone = 0;
                self.list(object, archive, now).await?;
            }
            let hash = self.hash(&object.key, object.version.as_deref());
            if let Some(page) = self.page_of(object).filter(|page| page.newest.contains(&hash)) {
                page.answered += 1;
                newest.insert(object.clone());
            }
        }
        Ok(newest)
    }

    /// Drops pages that are too old.
    fn forget(&mut self, now: Timestamp) {
        let patience = &mut self.patience;
        self.pages.retain(|_, page| {
            let is_valid = now < page.at + FACTS_VALID_FOR;
            if !is_valid {
                let has_paid = page.answered >= OBJECTS_PER_PAGE_THAT_PAY;
                let next = if has_paid { *patience / 2 } else { 2 * *patience };
                *patience = next.clamp(OBJECTS_PER_PAGE_THAT_PAY, MOST_PATIENT);
            }
            is_valid
        });
    }

    /// The page that covers a key.
    fn page_of(&mut self, object: &ObjectId) -> Option<&mut Page> {
        let place = (object.bucket.clone(), object.key.clone());
        let ((bucket, _), page) = self.pages.range_mut(..place).next_back()?;
        let is_here = *bucket == object.bucket && page.last.as_ref().is_none_or(|last| object.key <= *last);
        is_here.then_some(page)
    }

    /// Lists the page that begins with an object.
    async fn list(&mut self, object: &ObjectId, archive: &impl ReadArchive, now: Timestamp) -> Result<(), StepError> {
        // S3 lists the keys after a key. The key without its last character comes before it.
        let mut before = object.key.clone();
        before.pop();
        let pages = Pages { bucket: object.bucket.clone(), versions: true };
        let page = pages.after("", &PageStart::after(&before), archive).await?;
        let listed = page.objects.iter().map(|listed| self.hash(&listed.key, listed.version.as_deref()));
        // The current version of a key comes first, so a page has it even if it ends among the versions of that key.
        let last = page.next.as_ref().and_then(PageStart::key).map(str::to_owned);
        let page = Page { at: now, last, newest: listed.collect(), answered: 0 };
        self.pages.insert((object.bucket.clone(), before), page);
        Ok(())
    }

    fn hash(&self, key: &str, version: Option<&str>) -> u64 {
        self.hasher.hash_one((key, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::archive::Bucket;
    use crate::testing::stack::now;

    /// A bucket in which the newest version of each key is `v2`. A page covers `keys_per_page` keys.
    fn bucket(keys_per_page: usize) -> Bucket {
        Bucket::of((0..1_000).map(|n| format!("{n:03}")), None, 2 * keys_per_page)
    }

    fn object(key: usize, version: &str) -> ObjectId {
        ObjectId { bucket: "archive".to_owned(), key: format!("{key:03}"), version: Some(version.to_owned()) }
    }

    async fn newest_of(
        newest: &mut CurrentVersions,
        keys: impl Iterator<Item = usize>,
        bucket: &Bucket,
        at: Timestamp,
    ) -> usize {
        let versions: Vec<ObjectId> = keys.map(|key| object(key, "v2")).collect();
        newest.of(versions.iter(), bucket, at).await.unwrap().len()
    }

    #[tokio::test]
    async fn a_page_is_listed_after_as_many_requests_as_it_costs_and_answers_for_ten_minutes() {
        let (bucket, mut newest) = (bucket(500), CurrentVersions::default());
        assert_eq!(newest_of(&mut newest, 0..13, &bucket, now()).await, 0);
        assert!(bucket.lists.borrow().is_empty());
        // From the fourteenth object on a page answers, also for objects that come later and lie before it.
        assert_eq!(newest_of(&mut newest, 300..303, &bucket, now()).await, 3);
        let last = now() + FACTS_VALID_FOR - std::time::Duration::from_secs(1);
        assert_eq!(newest_of(&mut newest, [301, 799].into_iter(), &bucket, last).await, 2);
        assert_eq!(newest_of(&mut newest, 299..302, &bucket, now() + FACTS_VALID_FOR).await, 0);
        assert_eq!(*bucket.lists.borrow(), [(String::new(), "30".to_owned())]);
    }

    #[tokio::test]
    async fn a_page_answers_for_the_newest_versions_of_its_bucket_and_is_listed_once() {
        let (bucket, mut newest) = (bucket(100), CurrentVersions::patient(0));
        let elsewhere = ObjectId { bucket: "archive2".to_owned(), ..object(500, "v2") };
        let versions = [object(500, "v2"), object(500, "v1"), object(5_000, "v2"), elsewhere];
        assert_eq!(newest.of(versions[..2].iter(), &bucket, now()).await.unwrap(), [versions[0].clone()].into());
        assert_eq!(bucket.lists.borrow().len(), 1);
        // Before its first key, and after its last.
        for (key, after) in [(449, "44"), (600, "60")] {
            assert_eq!(newest_of(&mut newest, [key].into_iter(), &bucket, now()).await, 1);
            assert_eq!(bucket.lists.borrow().last().unwrap().1, after);
        }
        assert_eq!(newest.of(versions[2..].iter(), &bucket, now()).await.unwrap().len(), 1);
        assert_eq!(bucket.lists.borrow().len(), 4, "a page tells that there is no such key, too");
    }

    #[tokio::test]
    async fn fewer_pages_are_listed_where_they_do_not_pay_off() {
        let bucket = bucket(10);
        let mut newest = CurrentVersions::default();
        // Each call is ten minutes after the one before. A page covers ten keys, and ten answers do not pay off.
        let mut at = now();
        let mut listed = async |newest: &mut CurrentVersions, keys: &mut dyn Iterator<Item = usize>| {
            at += FACTS_VALID_FOR;
            let before = bucket.lists.borrow().len();
            newest_of(newest, keys, &bucket, at).await;
            bucket.lists.borrow().len() - before
        };
        assert_eq!(listed(&mut newest, &mut (0..1_000).step_by(10)).await, 7);
        assert_eq!(
            listed(&mut newest, &mut (0..1_000).step_by(10)).await,
            0,
            "13 doubled seven times is more than 832"
        );
        assert_eq!(newest.patience, MOST_PATIENT);
        // After one page that pays off, pages are tried more often.
        let mut newest = CurrentVersions { alone: MOST_PATIENT, ..newest };
        let keys = std::iter::repeat_n(500, 13);
        assert_eq!(
            (listed(&mut newest, &mut keys.clone()).await, listed(&mut newest, &mut [0; 0].into_iter()).await),
            (1, 0)
        );
        assert_eq!(newest.patience, MOST_PATIENT / 2);
    }
}
