//! S3 for the tests of single steps.

use std::cell::RefCell;

use thaw_core::{Facts, Head, Missing, ObjectId, S3Uri};

use crate::ports::{ListFrom, Listed, ListedRestore, Page, Piece, PortError, ReadArchive, VersionMarker, VersionPage};
use crate::testing::stack::now;

/// A bucket that lists so many keys a page and records its requests. Every object is still being fetched.
pub(crate) struct Bucket {
    pub(crate) listed: Vec<Listed>,
    page: usize,
    pub(crate) lists: RefCell<Vec<(String, String)>>,
    pub(crate) heads: RefCell<Vec<String>>,
}

impl Bucket {
    pub(crate) fn of(keys: impl IntoIterator<Item = String>, restore: Option<ListedRestore>, page: usize) -> Self {
        let listed =
            |key| Listed { key, version: None, storage_class: "GLACIER".to_owned(), size: 1, modified: now(), restore };
        let listed = keys.into_iter().map(listed).collect();
        Self { listed, page, lists: RefCell::default(), heads: RefCell::default() }
    }
}

impl ReadArchive for Bucket {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        self.heads.borrow_mut().push(object.key.clone());
        let restore = Some(r#"ongoing-request="true""#.to_owned());
        Ok(Facts::Found(Head { storage_class: Some("GLACIER".to_owned()), restore, ..Head::default() }))
    }

    async fn list(&self, _: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
        let start_after = from.key().unwrap_or_default();
        self.lists.borrow_mut().push((prefix.to_owned(), start_after.to_owned()));
        let matching = |listed: &&Listed| listed.key.starts_with(prefix) && listed.key.as_str() > start_after;
        let mut objects: Vec<_> = self.listed.iter().filter(matching).cloned().collect();
        let more = objects.len() > self.page;
        objects.truncate(self.page);
        Ok(Page::new(objects, more.then(String::new)))
    }

    async fn folders(&self, _: &str, _: &str, _: &str) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }

    /// Every key has an older version `v1`, so a page shows half as many keys.
    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        let from = ListFrom::after(after.map_or("", |after| after.key.as_str()));
        let Page { mut objects, next } = self.list(bucket, prefix, &from).await?;
        let half = objects.len().min(self.page / 2);
        let more = next.is_some() || half < objects.len();
        objects.truncate(half);
        objects.iter_mut().for_each(|listed| listed.version = Some("v2".to_owned()));
        let next = objects.last().filter(|_| more);
        let next = next.map(|last| VersionMarker { key: last.key.clone(), version: Some("v1".to_owned()) });
        Ok(VersionPage { objects, next })
    }

    async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
        Ok(false)
    }

    async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
        Ok(None)
    }
}

/// What lies beside an object under a prefix, listed two a page. A HEAD answers by the key: archived, or missing. A
/// version always exists.
pub(crate) struct Neighbours {
    pub(crate) listed: Vec<Listed>,
    pub(crate) asked: RefCell<Vec<String>>,
}

/// The same bucket with an empty page before each page.
pub(crate) struct Sparse<'a, A>(pub(crate) &'a A);

impl<A: ReadArchive> ReadArchive for Sparse<'_, A> {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        self.0.head(object).await
    }

    async fn list(&self, bucket: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
        match from {
            ListFrom::After(key) => Ok(Page::new(Vec::new(), Some(key.clone()))),
            ListFrom::Token(key) => self.0.list(bucket, prefix, &ListFrom::after(key)).await,
        }
    }

    async fn folders(&self, bucket: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError> {
        self.0.folders(bucket, prefix, after).await
    }

    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        self.0.list_versions(bucket, prefix, after).await
    }

    async fn has_versions(&self, bucket: &str) -> Result<bool, PortError> {
        self.0.has_versions(bucket).await
    }

    async fn read(&self, manifest: &S3Uri, from: u64, etag: Option<&str>) -> Result<Option<Piece>, PortError> {
        self.0.read(manifest, from, etag).await
    }
}

impl ReadArchive for Neighbours {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        self.asked.borrow_mut().push(object.key.clone());
        if object.key.contains("gone") && object.version.is_none() {
            return Ok(Facts::Missing(Missing::Key));
        }
        if object.key.contains("sealed") {
            return Ok(Facts::Missing(Missing::Refused { says: "HTTP 400".to_owned() }));
        }
        let class = if object.key.contains("cold") { "GLACIER" } else { "STANDARD" };
        let version = object.version.clone();
        Ok(Facts::Found(Head { storage_class: Some(class.to_owned()), version, ..Head::default() }))
    }

    async fn list(&self, _: &str, _: &str, from: &ListFrom) -> Result<Page, PortError> {
        let after = from.key().unwrap_or_default();
        let rest: Vec<_> = self.listed.iter().filter(|listed| listed.key.as_str() > after).cloned().collect();
        let token = (rest.len() > 2).then(String::new);
        Ok(Page::new(rest.into_iter().take(2).collect(), token))
    }

    async fn folders(&self, _: &str, _: &str, _: &str) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }

    async fn list_versions(&self, _: &str, _: &str, _: Option<&VersionMarker>) -> Result<VersionPage, PortError> {
        Ok(VersionPage::default())
    }

    async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
        Ok(false)
    }

    async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
        Ok(None)
    }
}

pub(crate) fn near(listed: &[(&str, &str, Option<ListedRestore>)]) -> Neighbours {
    let listed = listed.iter().map(|(key, class, restore)| Listed {
        key: (*key).to_owned(),
        version: None,
        storage_class: (*class).to_owned(),
        size: 1,
        modified: now(),
        restore: *restore,
    });
    Neighbours { listed: listed.collect(), asked: RefCell::default() }
}

pub(crate) fn nobody_near() -> Neighbours {
    near(&[])
}
