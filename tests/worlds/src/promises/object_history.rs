//! What happened to the objects in S3: restored copies, and changes by others.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// The history of all objects, by key.
#[derive(Default)]
pub(crate) struct ObjectHistory {
    /// When the copies of a version became or will become readable.
    retrievals: BTreeMap<(String, Option<String>), Vec<Timestamp>>,
    /// When the latest retrieval of a version started.
    started: BTreeMap<(String, Option<String>), Timestamp>,
    /// When others changed the object.
    changes: BTreeMap<String, Vec<Timestamp>>,
    /// Whether others changed a version, and did not only hide it behind a newer one.
    has_changed_version: BTreeMap<String, bool>,
    /// When a copy would have expired if others had not changed its lifetime. After that, thaw cannot know that it is
    /// still the copy that it paid for.
    former_expiries: BTreeMap<String, Vec<Timestamp>>,
    /// When a copy expired because others had shortened its lifetime, and when it would have expired. In between, thaw
    /// takes a later copy for this one.
    shortened: BTreeMap<String, Vec<(Timestamp, Timestamp)>>,
}

impl ObjectHistory {
    /// Others changed an object. With `keeps_versions` its versions are the same as before.
    pub(crate) fn changed(&mut self, key: &str, keeps_versions: bool, now: Timestamp) {
        *self.has_changed_version.entry(key.to_owned()).or_default() |= !keeps_versions;
        self.changes.entry(key.to_owned()).or_default().push(now);
    }

    /// S3 started a retrieval, or upgraded it to a faster one.
    pub(crate) fn retrieval_started(&mut self, key: &str, version: Option<&str>, ready_at: Timestamp, now: Timestamp) {
        let id = (key.to_owned(), version.map(str::to_owned));
        let known = self.retrievals.entry(id.clone()).or_default();
        let before = known.len();
        known.retain(|ready| *ready <= now);
        if known.len() == before {
            self.started.insert(id, now);
        }
        known.push(ready_at);
    }

    /// Another tool, or a job that did not know of the copy, changed when a copy expires.
    pub(crate) fn expiry_changed(&mut self, key: &str, before: Timestamp, after: Timestamp) {
        self.former_expiries.entry(key.to_owned()).or_default().push(before);
        if after < before {
            self.shortened.entry(key.to_owned()).or_default().push((after, before));
        }
    }

    /// thaw no longer knows these expiries of an object's copy.
    pub(super) fn forget_expiries(&mut self, key: &str, expiries: impl IntoIterator<Item = Timestamp>) {
        self.former_expiries.entry(key.to_owned()).or_default().extend(expiries);
    }

    pub(super) fn is_changed(&self, key: &str) -> bool {
        self.changes.contains_key(key)
    }

    pub(super) fn is_changed_since(&self, key: &str, since: Timestamp) -> bool {
        self.changes(key).any(|time| time >= since)
    }

    /// When others changed an object.
    pub(super) fn changes(&self, key: &str) -> impl Iterator<Item = Timestamp> {
        self.changes.get(key).into_iter().flatten().copied()
    }

    /// Whether others may have changed this version of an object, or the object if there is no version.
    pub(super) fn is_version_changed(&self, key: &str, version: Option<&str>) -> bool {
        match version {
            None => self.is_changed(key),
            Some(_) => self.has_changed_version.get(key) == Some(&true),
        }
    }

    /// When the latest copy of a version became readable.
    pub(super) fn latest_copy(&self, key: &str, version: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        self.retrievals(key, version).filter(|ready| *ready <= now).max()
    }

    /// When the latest retrieval of a version started.
    pub(super) fn retrieval_start(&self, key: &str, version: Option<&str>) -> Option<Timestamp> {
        self.started.get(&(key.to_owned(), version.map(str::to_owned))).copied()
    }

    /// When the first copy of a version became or becomes readable.
    pub(super) fn first_copy(&self, key: &str, version: Option<&str>) -> Option<Timestamp> {
        self.retrievals(key, version).min()
    }

    fn retrievals(&self, key: &str, version: Option<&str>) -> impl Iterator<Item = Timestamp> {
        self.retrievals.get(&(key.to_owned(), version.map(str::to_owned))).into_iter().flatten().copied()
    }

    /// Whether thaw can know that this copy is still there: no former expiry lies between the copy and now.
    pub(super) fn is_copy_known(&self, key: &str, copy: Timestamp, now: Timestamp) -> bool {
        let mut expiries = self.former_expiries.get(key).into_iter().flatten();
        expiries.all(|expiry| *expiry <= copy || *expiry > now)
    }

    /// Whether a row that was planned then takes this copy for one whose lifetime was shortened.
    pub(super) fn is_mistaken_for_shortened(&self, key: &str, copy: Timestamp, planned_at: Timestamp) -> bool {
        let mut shortened = self.shortened.get(key).into_iter().flatten();
        shortened.any(|(expired, would_expire)| *expired <= copy && planned_at < *would_expire)
    }
}
