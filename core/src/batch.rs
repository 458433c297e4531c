//! What is invalidated together, so that no path of one copy is ever paid twice.

mod copies;
mod grouping;
mod packed;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wildcard::{Wildcard, covers};
use crate::{BatchId, Covered, Event, FailureCode, How, ObjectId, RestoreId};

pub use copies::of_the_same_copy;
pub use grouping::{batches, billed, folded};

/// Paths in one batch. CloudFront takes 150 paths a second from an account since April 2026 and took 3,000 in progress before
/// (Developer Guide, "Quotas"). What one request may hold is not documented. A request of 150 would have to find a whole
/// second unused; one of 100 finds room in each second, also beside others who use a third of the quota.
const PATHS_PER_BATCH: usize = 100;

/// Wildcards in one batch: one a second is the quota (same source), 15 in progress the older one.
const WILDCARDS_PER_BATCH: usize = 1;

/// An object whose paths are to be invalidated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The object.
    pub object: ObjectId,
    /// The restores that wait for it, in order. Their rows are claimed in this order, and all of them, or the object is
    /// another batch's.
    pub restores: Vec<RestoreId>,
    /// The revisions of their rows when they were read, added up.
    pub revisions: u64,
    /// What S3 said of it, where rows do not say so yet: it is written down with the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub news: Option<News>,
    /// Its paths by distribution id.
    pub paths: BTreeMap<String, BTreeSet<String>>,
    /// What the wildcards among them cover, which stand for paths with a `~`. Batches of earlier versions do not say.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub covers: BTreeSet<Covered>,
}

/// That S3 said that an object can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// When thaw learned it.
    pub at: Timestamp,
    /// When the copy goes away, where known.
    pub expires: Option<Timestamp>,
}

impl From<News> for Event {
    fn from(News { at, expires }: News) -> Self {
        Self::Readable { at, expires }
    }
}

impl Candidate {
    /// Whether both want to publish the same object for the same restore. One of an earlier copy is for others.
    pub fn shares_a_row_with(&self, other: &Self) -> bool {
        self.object == other.object && self.restores.iter().any(|restore| other.restores.contains(restore))
    }
}

/// Objects that are published together. Written to the ledger before CloudFront is called.
///
/// It speaks for the rows that it has claimed: when CloudFront is done, it alone says so. It is written four times in its
/// life, and DynamoDB counts kilobytes, so it is kept packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// A hash over the rows.
    pub id: BatchId,
    /// What it wants to publish. An object that another batch claimed first is left out when the batch is sealed.
    pub candidates: Vec<Candidate>,
    /// What CloudFront is asked for. `None` until every candidate was claimed or lost; then it never changes but for
    /// what CloudFront answered.
    pub calls: Option<Vec<Call>>,
    /// What stands for the paths of several candidates.
    pub wildcards: Vec<Wildcard>,
    /// When the batch was written.
    pub created_at: Timestamp,
    /// When thaw learned that nothing more will come of it. Batches of earlier versions do not say.
    pub completed_at: Option<Timestamp>,
    /// Counts the changes. Every write is conditional on it.
    pub revision: u64,
}

/// One `CreateInvalidation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The distribution's id.
    pub distribution: String,
    /// The paths, sorted.
    pub items: Vec<String>,
    /// Makes CloudFront answer a repeated call with the first one's invalidation.
    pub caller_reference: String,
    /// CloudFront's id for it, once it answered.
    pub invalidation: Option<String>,
    /// Whether CloudFront says that it took effect everywhere.
    pub completed: bool,
    /// CloudFront's words when it would not take the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Call {
    fn new(batch: &BatchId, distribution: &str, items: Vec<String>) -> Self {
        Self {
            distribution: distribution.to_owned(),
            caller_reference: caller_reference(batch, distribution, &items),
            items,
            invalidation: None,
            completed: false,
            refused: None,
        }
    }

    /// Whether CloudFront has yet to take or refuse it.
    fn is_open(&self) -> bool {
        self.invalidation.is_none() && self.refused.is_none()
    }

    /// Whether one of its items covers a path of the candidate.
    fn shows(&self, candidate: &Candidate) -> bool {
        let mut paths = candidate.paths.get(&self.distribution).into_iter().flatten();
        paths.any(|path| self.items.iter().any(|item| covers(item, path)))
    }
}

impl Batch {
    fn of(candidates: Vec<Candidate>, wildcards: Vec<Wildcard>, now: Timestamp) -> Self {
        let mut parts = Vec::new();
        for candidate in &candidates {
            let ObjectId { bucket, key, version } = &candidate.object;
            parts.extend([bucket.as_str(), key, version.as_deref().unwrap_or_default()]);
            // Restore ids make the batch of one copy differ from that of the object's next copy.
            parts.extend(candidate.restores.iter().map(RestoreId::as_str));
        }
        // A batch that was sealed without an object never publishes it. But then a row of it had changed; so who finds the
        // object free again makes another batch.
        let revisions: Vec<String> = candidates.iter().map(|candidate| candidate.revisions.to_string()).collect();
        parts.extend(revisions.iter().map(String::as_str));
        let id = BatchId::over(&parts);
        Self { id, candidates, calls: None, wildcards, created_at: now, completed_at: None, revision: 0 }
    }

    /// The batch with its calls settled: the paths of those candidates that it really claimed.
    pub fn sealed(&self, claimed: &BTreeSet<ObjectId>) -> Self {
        let mine = self.candidates.iter().filter(|candidate| claimed.contains(&candidate.object));
        let candidates: Vec<Candidate> = mine.cloned().collect();
        let is_worth_it = |wildcard: &&Wildcard| paths_under(wildcard, &candidates).nth(1).is_some();
        let wildcards: Vec<Wildcard> = self.wildcards.iter().filter(is_worth_it).cloned().collect();
        let mut items: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (distribution, paths) in candidates.iter().flat_map(|candidate| &candidate.paths) {
            // The outermost takes the others along.
            let instead = |path: &str| {
                let all = wildcards.iter().filter(|wildcard| wildcard.covers(distribution, path));
                all.min_by_key(|wildcard| wildcard.path.len())
            };
            let item = |path| instead(path).map_or(path, |wildcard| wildcard.path.as_str());
            items.entry(distribution).or_default().extend(paths.iter().map(|path| item(path)));
        }
        let calls = items.into_iter().flat_map(|(distribution, items)| self.calls_of(distribution, items)).collect();
        Self {
            calls: Some(calls),
            wildcards: wildcards.clone(),
            candidates: candidates.clone(),
            revision: self.revision + 1,
            ..self.clone()
        }
    }

    /// The same before it is sealed, without the wildcards that touch these objects.
    pub fn not_over(&self, archived: &BTreeSet<ObjectId>) -> Self {
        let is_over = |wildcard: &Wildcard| {
            let mut touched = self.candidates.iter().filter(|candidate| archived.contains(&candidate.object));
            touched.any(|candidate| is_under(wildcard, candidate))
        };
        let wildcards = self.wildcards.iter().filter(|wildcard| !is_over(wildcard)).cloned().collect();
        Self { wildcards, ..self.clone() }
    }

    /// Calls for these items, as many as CloudFront's quotas ask for.
    fn calls_of<'a>(&self, distribution: &str, items: impl IntoIterator<Item = &'a str>) -> Vec<Call> {
        let mut calls: Vec<Vec<String>> = Vec::new();
        let mut wildcards = 0;
        for item in items {
            let is_wildcard = usize::from(item.ends_with('*'));
            match calls.last_mut() {
                Some(last) if last.len() < PATHS_PER_BATCH && wildcards + is_wildcard <= WILDCARDS_PER_BATCH => {
                    last.push(item.to_owned());
                    wildcards += is_wildcard;
                }
                Some(_) | None => {
                    calls.push(vec![item.to_owned()]);
                    wildcards = is_wildcard;
                }
            }
        }
        calls.into_iter().map(|items| Call::new(&self.id, distribution, items)).collect()
    }

    /// Whether the claims that the batch has on this object's rows mean something: it publishes the object, or may still.
    /// One that was sealed without it never will.
    pub fn has(&self, object: &ObjectId) -> bool {
        self.calls.is_none() || self.candidates.iter().any(|candidate| &candidate.object == object)
    }

    /// Whether it publishes the object, and CloudFront has taken or refused each of its calls.
    pub fn is_with_cloudfront(&self, object: &ObjectId) -> bool {
        self.has(object) && self.calls.is_some() && !self.is_open()
    }

    /// Whether CloudFront has yet to take or refuse one of its calls.
    pub fn is_open(&self) -> bool {
        self.calls.iter().flatten().any(Call::is_open)
    }

    /// Whether a call that CloudFront has not answered yet is to show an object of the batch.
    pub fn waits(&self, object: &ObjectId) -> bool {
        let mut open = self.calls.iter().flatten().filter(|call| call.is_open());
        let candidate = self.candidates.iter().find(|candidate| &candidate.object == object);
        candidate.is_some_and(|candidate| open.any(|call| call.shows(candidate)))
    }

    /// The batch without these objects, and without their paths in what CloudFront has not taken yet. Nor is it asked for
    /// wildcards that touch them, or that are named: the exact paths of the others take their place.
    pub fn without(&self, gone: &BTreeSet<ObjectId>, unfolded: &BTreeSet<Wildcard>) -> Self {
        let candidates: Vec<Candidate> =
            self.candidates.iter().filter(|candidate| !gone.contains(&candidate.object)).cloned().collect();
        let left = self.not_over(gone).wildcards.into_iter().filter(|wildcard| !unfolded.contains(wildcard));
        let wildcards: Vec<Wildcard> = left.collect();
        let paths = |distribution: &str| -> BTreeSet<&str> {
            candidates
                .iter()
                .filter_map(|candidate| candidate.paths.get(distribution))
                .flatten()
                .map(String::as_str)
                .collect()
        };
        let left = |call: &Call| {
            if !call.is_open() {
                return vec![call.clone()];
            }
            let paths = paths(&call.distribution);
            let is_kept = |item: &String| {
                let mut kept = wildcards.iter().filter(|wildcard| wildcard.distribution == call.distribution);
                kept.any(|wildcard| wildcard.path == *item && paths.iter().any(|path| covers(item, path)))
            };
            let was_wildcard = |item: &String| self.is_folded(&call.distribution, item);
            let mut items: BTreeSet<&str> = BTreeSet::new();
            for item in &call.items {
                if is_kept(item) || paths.contains(item.as_str()) {
                    items.insert(item);
                } else if was_wildcard(item) {
                    items.extend(paths.iter().filter(|path| covers(item, path)));
                }
            }
            let all: Vec<&str> = call.items.iter().map(String::as_str).collect();
            if items.iter().copied().eq(all) { vec![call.clone()] } else { self.calls_of(&call.distribution, items) }
        };
        let calls = self.calls.as_ref().map(|calls| calls.iter().flat_map(left).collect());
        Self {
            calls,
            wildcards: wildcards.clone(),
            candidates: candidates.clone(),
            revision: self.revision + 1,
            ..self.clone()
        }
    }

    /// Whether an item is a wildcard that stands for exact paths.
    pub fn is_folded(&self, distribution: &str, item: &str) -> bool {
        self.wildcards.iter().any(|wildcard| wildcard.distribution == distribution && wildcard.path == item)
    }

    /// Whether nothing more will come of it: each call took effect or was refused.
    pub fn is_completed(&self) -> bool {
        self.calls.as_ref().is_some_and(|calls| calls.iter().all(|call| call.completed || call.refused.is_some()))
    }

    /// The batch as it is written down at a time: when it was completed is noted once.
    pub fn noted(self, now: Timestamp) -> Self {
        let completed_at = self.completed_at.or(self.is_completed().then_some(now));
        Self { completed_at, ..self }
    }

    /// What CloudFront's answers mean for the rows of an object that the batch has claimed; `None` as long as it is not
    /// done, and if the object is not the batch's.
    pub fn outcome(&self, object: &ObjectId) -> Option<Event> {
        let candidate = self.candidates.iter().find(|candidate| &candidate.object == object);
        let candidate = candidate.filter(|_| self.is_completed())?;
        let at = self.completed_at.unwrap_or(self.created_at);
        Some(match self.refusal(candidate) {
            None => Event::Published { at, how: How::Invalidated { batch: self.id.clone() } },
            Some(says) => {
                let message = format!("CloudFront refused to invalidate its path: {says}");
                Event::Failed { at, code: FailureCode::RefusedByCloudFront, message }
            }
        })
    }

    /// Why CloudFront would not invalidate one of the candidate's paths.
    fn refusal(&self, candidate: &Candidate) -> Option<&str> {
        let mut refused = self.calls.iter().flatten().filter(|call| call.refused.is_some());
        refused.find(|call| call.shows(candidate)).and_then(|call| call.refused.as_deref())
    }

    /// The batch with a refused call taken apart into one call per path, so that one bad path does not stop the others. A
    /// wildcard that stands alone already makes place for the paths that it stands for.
    pub fn with_call_split(&self, index: usize) -> Self {
        let mut batch = Self { revision: self.revision + 1, ..self.clone() };
        if let Some(calls) = batch.calls.as_mut()
            && index < calls.len()
        {
            let whole = calls.remove(index);
            match whole.items.as_slice() {
                [one] if self.is_folded(&whole.distribution, one) => {
                    batch
                        .wildcards
                        .retain(|wildcard| !(wildcard.distribution == whole.distribution && wildcard.path == *one));
                    let of_candidates =
                        self.candidates.iter().filter_map(|candidate| candidate.paths.get(&whole.distribution));
                    let paths: BTreeSet<&str> =
                        of_candidates.flatten().filter(|path| covers(one, path)).map(String::as_str).collect();
                    calls.extend(self.calls_of(&whole.distribution, paths));
                }
                items => {
                    calls.extend(items.iter().map(|item| Call::new(&self.id, &whole.distribution, vec![item.clone()])));
                }
            }
        }
        batch
    }

    /// The batch with one call changed.
    pub fn with_call(&self, index: usize, change: impl FnOnce(&mut Call)) -> Self {
        let mut batch = Self { revision: self.revision + 1, ..self.clone() };
        if let Some(call) = batch.calls.as_mut().and_then(|calls| calls.get_mut(index)) {
            change(call);
        }
        batch
    }
}

/// Whether a wildcard takes one of a candidate's paths along.
fn is_under(wildcard: &Wildcard, candidate: &Candidate) -> bool {
    candidate
        .paths
        .get(&wildcard.distribution)
        .is_some_and(|paths| paths.iter().any(|path| covers(&wildcard.path, path)))
}

/// The paths that a wildcard stands for.
fn paths_under<'a>(wildcard: &'a Wildcard, candidates: &'a [Candidate]) -> impl Iterator<Item = &'a String> {
    let paths = candidates.iter().filter_map(|candidate| candidate.paths.get(&wildcard.distribution)).flatten();
    paths.filter(|path| covers(&wildcard.path, path))
}

/// CloudFront's guard against repeated calls: the same reference with the same items answers the first invalidation and
/// costs nothing.
///
/// The items alone would not do: a copy restored next year has the same paths, and would be answered with this year's
/// invalidation. The batch's id differs, because its restores do.
pub fn caller_reference(batch: &BatchId, distribution: &str, items: &[String]) -> String {
    let parts: Vec<_> = [batch.as_str(), distribution].into_iter().chain(items.iter().map(String::as_str)).collect();
    format!("thaw-{}", &crate::hash(&parts)[..40])
}

#[cfg(test)]
mod tests {
    use super::copies::tests::{ELEVEN, TEN, restored, row};
    use super::*;
    use crate::{Decision, Row, State};

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn candidate(key: &str, restore: &str, paths: &[&str]) -> Candidate {
        Candidate {
            object: ObjectId { bucket: "archive".to_owned(), key: key.to_owned(), version: None },
            restores: vec![RestoreId::try_from(restore.to_owned()).unwrap()],
            revisions: 0,
            news: None,
            paths: [("E1".to_owned(), paths.iter().map(|path| (*path).to_owned()).collect())].into(),
            covers: BTreeSet::new(),
        }
    }

    fn many(count: usize) -> Vec<Candidate> {
        (0..count).map(|n| candidate(&format!("{n:04}"), "r", &[&format!("/{n:04}")])).collect()
    }

    fn all(batch: &Batch) -> BTreeSet<ObjectId> {
        batch.candidates.iter().map(|candidate| candidate.object.clone()).collect()
    }

    #[test]
    fn batches_hold_so_many_paths_at_most_and_lose_none() {
        let made = batches(many(1_000), now());
        assert_eq!(made.len(), 1_000_usize.div_ceil(PATHS_PER_BATCH));
        assert_eq!(made.iter().map(|batch| batch.candidates.len()).sum::<usize>(), 1_000);
        assert!(made.iter().all(|batch| batch.candidates.len() <= PATHS_PER_BATCH));
    }

    #[test]
    fn candidates_share_a_row_if_object_and_restore_are_the_same() {
        let both = Candidate {
            restores: ["r", "s"].map(|id| RestoreId::try_from(id.to_owned()).unwrap()).into(),
            ..candidate("a", "r", &[])
        };
        for (other, shares) in [("r", true), ("s", true), ("t", false)] {
            assert_eq!(both.shares_a_row_with(&candidate("a", other, &[])), shares, "{other}");
            assert!(!both.shares_a_row_with(&candidate("b", other, &[])));
        }
    }

    #[test]
    fn a_batch_has_one_wildcard_at_most() {
        let made = batches(vec![candidate("a~", "r", &["/a*"]), candidate("b~", "r", &["/b*"])], now());
        assert_eq!(made.len(), 2);
    }

    #[test]
    fn long_keys_make_smaller_batches() {
        let of = |bytes: usize| {
            let key = |n| format!("{n:04}{}", "k".repeat(bytes - 4));
            let of_a_batch = (0..PATHS_PER_BATCH).map(|n| candidate(&key(n), "r", &[&format!("/{}", key(n))]));
            batches(of_a_batch.collect(), now()).len()
        };
        // Key and path count, 250,000 bytes in all.
        let longest = 250_000 / PATHS_PER_BATCH / 2;
        assert_eq!((of(longest - 1), of(longest + 1)), (1, 2));
    }

    /// Bytes that a batch takes in its item when it is sealed.
    fn packed(candidates: Vec<Candidate>) -> usize {
        let sealed = sealed(candidates);
        let json = serde_json::to_value(&sealed).unwrap();
        assert_eq!(serde_json::from_value::<Batch>(json.clone()).unwrap(), sealed);
        json["packed"].as_array().unwrap().len()
    }

    fn wildcard(path: &str) -> Wildcard {
        Wildcard {
            endpoint: crate::Endpoint::Rest,
            distribution: "E1".to_owned(),
            path: path.to_owned(),
            bucket: "archive".to_owned(),
            prefix: path[1..path.len() - 1].to_owned(),
            covers: BTreeSet::new(),
        }
    }

    fn items(batch: &Batch) -> Vec<Vec<String>> {
        batch.calls.iter().flatten().map(|call| call.items.clone()).collect()
    }

    /// Three objects under `/a/`, and one beside it, sealed.
    fn with_wildcard() -> Batch {
        let of = |key: &str| candidate(key, "r", &[&format!("/{key}")]);
        let made = folded(vec![of("a/1"), of("a/2"), of("b"), of("a/3")], vec![wildcard("/a/*")], now());
        assert_eq!(made.len(), 2, "what a wildcard stands for is a batch of its own");
        made[0].sealed(&all(&made[0]))
    }

    #[test]
    fn a_wildcard_for_a_tilde_says_what_it_covers_also_where_it_stands_for_others() {
        let covers = BTreeSet::from([Covered { domain: "other.s3.amazonaws.com".to_owned(), prefix: "a/".to_owned() }]);
        let with_tilde = Candidate { covers: covers.clone(), ..candidate("a/~1", "r", &["/a/*"]) };
        let candidates = vec![candidate("a/1", "r", &["/a/1"]), with_tilde];
        let made = batches(candidates.clone(), now()).remove(0);
        assert_eq!(made.wildcards, [Wildcard { covers, ..wildcard("/a/*") }]);
        let sealed = made.sealed(&all(&made));
        assert_eq!(serde_json::from_value::<Batch>(serde_json::to_value(&sealed).unwrap()).unwrap(), sealed);
        // As earlier versions wrote it.
        let mut old = serde_json::to_value(&candidates[1]).unwrap();
        old.as_object_mut().unwrap().remove("covers");
        assert!(serde_json::from_value::<Candidate>(old).unwrap().covers.is_empty());
    }

    #[test]
    fn a_wildcard_stands_for_the_paths_of_its_objects() {
        let batch = with_wildcard();
        assert_eq!(items(&batch), [["/a/*"]]);
        assert_eq!(all(&batch).len(), 3);
        let refused = batch.with_call(0, |call| call.refused = Some("no".to_owned()));
        assert!(refused.candidates.iter().all(|candidate| refused.refusal(candidate) == Some("no")));
        assert_eq!(packed_again(&batch), batch);
    }

    #[test]
    fn a_batch_has_what_it_was_sealed_with_and_may_get_all_before() {
        let batch = &batches(many(2), now())[0];
        let [first, second] = [0, 1].map(|number| batch.candidates[number].object.clone());
        let sealed = batch.sealed(&[first.clone()].into());
        assert!(batch.has(&first) && batch.has(&second));
        assert!(sealed.has(&first) && !sealed.has(&second));
    }

    #[test]
    fn an_item_is_folded_where_its_wildcard_was_found() {
        let batch = with_wildcard();
        let is_folded = [("E1", "/a/*"), ("E2", "/a/*"), ("E1", "/a/1")].map(|(id, item)| batch.is_folded(id, item));
        assert_eq!(is_folded, [true, false, false]);
    }

    #[test]
    fn where_one_path_is_left_no_wildcard_is_asked_for() {
        let of = |key: &str| candidate(key, "r", &[&format!("/{key}")]);
        let batch = folded(vec![of("a/1"), of("a/2")], vec![wildcard("/a/*")], now()).remove(0);
        let first = [batch.candidates[0].object.clone()].into();
        assert_eq!(items(&batch.sealed(&first)), [["/a/1"]]);
    }

    #[test]
    fn what_becomes_of_one_wildcard_leaves_the_others_alone() {
        let of = |key: &str| candidate(key, "r", &[&format!("/{key}")]);
        let all_keys = ["a/1", "a/2", "b/1", "b/2"].map(of).to_vec();
        let made = Batch::of(all_keys, vec![wildcard("/a/*"), wildcard("/b/*")], now());
        let batch = made.sealed(&all(&made));
        assert_eq!(items(&batch), [["/a/*"], ["/b/*"]]);
        let paths = |batch: &Batch| batch.wildcards.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
        let first = BTreeSet::from([of("a/1").object]);
        let left = batch.without(&first, &BTreeSet::new());
        assert_eq!(
            (paths(&left), items(&left)),
            (vec!["/b/*".to_owned()], vec![vec!["/a/2".into()], vec!["/b/*".into()]])
        );
        let unfolded = batch.without(&BTreeSet::new(), &[wildcard("/a/*")].into());
        assert_eq!(items(&unfolded), [vec!["/a/1", "/a/2"], vec!["/b/*"]]);
        let split = batch.with_call_split(0);
        assert_eq!(
            (paths(&split), items(&split)),
            (vec!["/b/*".to_owned()], vec![vec!["/b/*".into()], vec!["/a/1".into(), "/a/2".into()]])
        );
        // A wildcard over objects that the batch did not get is none of its.
        assert_eq!(paths(&made.sealed(&[of("b/1").object, of("b/2").object].into())), ["/b/*"]);
        let elsewhere = Wildcard { distribution: "E2".to_owned(), ..wildcard("/a/*") };
        let two = Batch { wildcards: vec![elsewhere.clone(), wildcard("/a/*")], ..batch };
        assert_eq!(two.with_call_split(0).wildcards, [elsewhere]);
    }

    #[test]
    fn a_refused_wildcard_makes_place_for_the_paths_it_stands_for() {
        let unfolded = with_wildcard().with_call_split(0);
        assert_eq!(items(&unfolded), [["/a/1", "/a/2", "/a/3"]]);
        assert_eq!(items(&unfolded.with_call_split(0)), [["/a/1"], ["/a/2"], ["/a/3"]]);
    }

    #[test]
    fn no_wildcard_touches_what_went_away_meanwhile() {
        let batch = with_wildcard();
        let one = BTreeSet::from([batch.candidates[0].object.clone()]);
        let left = batch.without(&one, &BTreeSet::new());
        assert_eq!(
            (items(&left), left.wildcards.len(), left.revision),
            (vec![vec!["/a/2".to_owned(), "/a/3".to_owned()]], 0, 2)
        );
        let unfolded = batch.without(&BTreeSet::new(), &[wildcard("/a/*")].into());
        assert_eq!(items(&unfolded), [["/a/1", "/a/2", "/a/3"]]);
        assert_eq!(batch.without(&BTreeSet::new(), &BTreeSet::new()).calls, batch.calls);
        // What CloudFront has taken is taken.
        let taken = batch.with_call(0, |call| call.invalidation = Some("I1".to_owned()));
        assert_eq!(items(&taken.without(&one, &BTreeSet::new())), [["/a/*"]]);
        let refused = batch.with_call(0, |call| call.refused = Some("no".to_owned()));
        let waits = |batch: &Batch| one.iter().all(|object| batch.waits(object));
        assert_eq!([&batch, &left, &taken, &refused].map(waits), [true, false, false, false]);
        let unsealed = Batch { calls: None, ..batch };
        assert_eq!(
            (unsealed.not_over(&one).wildcards.len(), unsealed.not_over(&BTreeSet::new()).wildcards.len()),
            (0, 1)
        );
    }

    #[test]
    fn a_wildcard_over_too_many_objects_is_taken_apart() {
        let of = |n: usize| candidate(&format!("a/{n:05}"), "r", &[&format!("/a/{n:05}")]);
        let made = folded((0..2_500).map(of).collect(), vec![wildcard("/a/0*")], now());
        let wildcards: Vec<_> = made.iter().flat_map(|batch| &batch.wildcards).map(|one| one.path.as_str()).collect();
        assert_eq!(wildcards, ["/a/02*", "/a/01*", "/a/00*"]);
        assert_eq!(made.iter().map(|batch| batch.candidates.len()).collect::<Vec<_>>(), [500, 1_000, 1_000]);
        let just_enough = folded((0..2_000).map(of).collect(), vec![wildcard("/a/0*")], now());
        assert_eq!(just_enough.iter().map(|batch| batch.wildcards.len()).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_is_shown_in_two_places_is_in_one_batch_with_both_wildcards() {
        let of = |key: &str| {
            let mut both = candidate(key, "r", &[&format!("/{key}")]);
            both.paths.insert("E2".to_owned(), [format!("/{key}")].into());
            both
        };
        let there = |path: &str| Wildcard { distribution: "E2".to_owned(), ..wildcard(path) };
        let made = folded(vec![of("a/1"), of("a/2"), of("b/1")], vec![wildcard("/a/*"), there("/*")], now());
        assert_eq!(made.len(), 1);
        let sealed = made[0].sealed(&all(&made[0]));
        assert_eq!(items(&sealed), [vec!["/a/*", "/b/1"], vec!["/*"]]);
    }

    #[test]
    fn what_the_wildcard_for_a_tilde_takes_along_is_not_paid_for_once_more() {
        let tilde = |key: &str, path: &str| candidate(key, "r", &[path]);
        let of = |key: &str| candidate(key, "r", &[&format!("/{key}")]);
        let all_items = |candidates: Vec<Candidate>, wildcards: Vec<Wildcard>| {
            let made = folded(candidates, wildcards, now());
            made.iter().flat_map(|batch| items(&batch.sealed(&all(batch)))).collect::<Vec<_>>()
        };
        let both = || vec![tilde("t/x~1", "/t/x*"), of("t/xylophone"), of("t/y")];
        assert_eq!(all_items(both(), Vec::new()), [["/t/x*"], ["/t/y"]]);
        assert_eq!(all_items(vec![tilde("t/x~1", "/t/x*"), tilde("t/x~2", "/t/x*")], Vec::new()), [["/t/x*"]]);
        // Of wildcards inside each other the outermost is asked for, whichever of them is a path of its own.
        let more = || [both(), vec![of("t/xylem")]].concat();
        assert_eq!(all_items(more(), vec![wildcard("/t/xyl*")]), [["/t/x*"], ["/t/y"]]);
        assert_eq!(all_items(more(), vec![wildcard("/t/*")]), [["/t/*"]]);
        // Alone it is as any path.
        let alone = folded(vec![tilde("t/x~1", "/t/x*"), of("t/y")], Vec::new(), now());
        assert_eq!((alone.len(), alone[0].wildcards.len()), (1, 0));
        // Where the object with the `~` is gone, the others' own paths are asked for.
        let batch = folded(both(), Vec::new(), now()).into_iter().find(|batch| !batch.wildcards.is_empty()).unwrap();
        assert_eq!(batch.wildcards, [wildcard("/t/x*")]);
        let gone = BTreeSet::from([tilde("t/x~1", "").object]);
        assert_eq!(items(&batch.sealed(&all(&batch)).without(&gone, &BTreeSet::new())), [["/t/xylophone"]]);
    }

    #[test]
    fn a_call_has_one_wildcard_and_no_more_paths_than_a_batch() {
        let batch = with_wildcard();
        let many: Vec<String> =
            (0..PATHS_PER_BATCH + 50).map(|n| format!("/{n:03}")).chain(["/x*".to_owned(), "/y*".to_owned()]).collect();
        let calls = batch.calls_of("E1", many.iter().map(String::as_str));
        assert_eq!(calls.iter().map(|call| call.items.len()).collect::<Vec<_>>(), [PATHS_PER_BATCH, 51, 1]);
    }

    fn packed_again(batch: &Batch) -> Batch {
        serde_json::from_value(serde_json::to_value(batch).unwrap()).unwrap()
    }

    #[test]
    fn a_batch_of_typical_objects_takes_four_kilobytes_at_most() {
        let restore = "2026-11-22_photos_weddings-2019_standard_0123456789ab";
        let key = |n| format!("weddings/2019/06-{:02}/IMG_{:04}.CR2", n / 40, 2_000 + n * 7);
        let unversioned = || (0..PATHS_PER_BATCH).map(|n| candidate(&key(n), restore, &[&format!("/{}", key(n))]));
        let taken = packed(unversioned().collect());
        assert!(taken < 4_096, "{taken}");
        let versioned = unversioned().map(|mut candidate| {
            candidate.object.version = Some(crate::hash(&[&candidate.object.key])[..32].to_owned());
            candidate
        });
        let taken = packed(versioned.collect());
        assert!(taken < 4_096, "{taken}");
    }

    #[test]
    fn a_batch_of_keys_without_a_pattern_fits_into_an_item() {
        // Every printable character of ASCII, and then others: a third of the path's length is not the key's.
        for alphabet in [(32..127).map(char::from).collect::<Vec<_>>(), ('\u{4e00}'..'\u{9fff}').collect()] {
            let mut state = 7_u64;
            let mut random = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()]
            };
            let mut key = || {
                let mut key = String::new();
                while key.len() < 1_000 {
                    key.push(random());
                }
                key
            };
            let all = (0..PATHS_PER_BATCH)
                .map(|_| key())
                .map(|key| candidate(&key, "r", &[&format!("/{}", crate::encode_path(&key))]));
            let first = batches(all.collect(), now()).remove(0);
            let taken = packed(first.candidates);
            assert!(taken < 300_000, "{taken}");
        }
    }

    #[test]
    fn the_order_of_candidates_does_not_matter() {
        let mut reversed = many(300);
        reversed.reverse();
        assert_eq!(batches(reversed, now()), batches(many(300), now()));
    }

    #[test]
    fn the_next_copy_of_the_same_object_has_another_caller_reference() {
        let reference = |restore| {
            let batch = &batches(vec![candidate("a", restore, &["/a"])], now())[0];
            batch.sealed(&all(batch)).calls.unwrap()[0].caller_reference.clone()
        };
        assert_eq!(reference("one"), reference("one"));
        assert_ne!(reference("one"), reference("two"));
        assert!(reference("one").len() <= 128);
    }

    #[test]
    fn an_object_whose_rows_changed_is_in_another_batch() {
        let of = |revisions| batches(vec![Candidate { revisions, ..many(1).remove(0) }], now()).remove(0).id;
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn what_another_batch_claimed_is_left_out() {
        let batch = &batches(many(3), now())[0];
        let mut claimed = all(batch);
        claimed.pop_first();
        let calls = batch.sealed(&claimed).calls.unwrap();
        assert_eq!(calls[0].items, ["/0001", "/0002"]);
        assert_eq!(all(&batch.sealed(&claimed)), claimed);
        assert!(batch.sealed(&BTreeSet::new()).calls.unwrap().is_empty());
    }

    fn sealed(candidates: Vec<Candidate>) -> Batch {
        let batch = &batches(candidates, now())[0];
        batch.sealed(&all(batch))
    }

    #[test]
    fn every_change_of_a_batch_counts() {
        let sealed = sealed(many(2));
        assert_eq!(sealed.revision, 1);
        assert_eq!(sealed.with_call(0, |call| call.completed = true).revision, 2);
        assert_eq!(sealed.with_call_split(0).revision, 2);
    }

    #[test]
    fn a_batch_is_completed_when_each_call_took_effect_or_was_refused() {
        assert!(!batches(many(1), now())[0].is_completed(), "it is not sealed");
        let split = sealed(many(2)).with_call_split(0);
        let completed = split.with_call(0, |call| call.completed = true);
        assert!(!split.is_completed() && !completed.is_completed());
        assert!(completed.with_call(1, |call| call.refused = Some("no".to_owned())).is_completed());
    }

    #[test]
    fn a_refused_call_is_taken_apart_path_by_path() {
        let whole = sealed(many(3));
        let split = whole.with_call_split(0);
        let calls = split.calls.as_ref().unwrap();
        let items: Vec<_> = calls.iter().map(|call| call.items.clone()).collect();
        assert_eq!(items, [["/0000"], ["/0001"], ["/0002"]]);
        let references: BTreeSet<_> = calls.iter().map(|call| &call.caller_reference).collect();
        assert_eq!(references.len(), 3);
        // There is no fourth call.
        assert_eq!(split.with_call_split(3).calls, split.calls);
    }

    #[test]
    fn a_claimed_row_stands_where_its_batch_says_once_cloudfront_is_done() {
        let later: Timestamp = ELEVEN.parse().unwrap();
        let split = sealed(many(2)).with_call_split(0);
        let one = split.with_call(0, |call| call.completed = true).noted(now());
        assert_eq!(one.completed_at, None, "it waits for the other call");
        let done = one.with_call(1, |call| call.refused = Some("no".to_owned())).noted(later);
        assert_eq!(done.clone().noted(now()), done, "when that was is noted once");
        let row =
            |number: usize, state| Row { object: many(2)[number].object.clone(), ..row(Decision::Restore, state) };
        let claimed = |by: &BatchId| State::Restored { at: now(), expires: Some(later), claim: Some(by.clone()) };
        let mine = |number| row(number, claimed(&done.id));
        let how = How::Invalidated { batch: done.id.clone() };
        let published = State::Published { at: later, readable: now(), expires: Some(later), how };
        assert_eq!(mine(0).as_told_by(&done), row(0, published), "and its revision is the ledger's");
        let refused = mine(1).as_told_by(&done).state;
        let State::Failed { at, code: FailureCode::RefusedByCloudFront, message } = refused else {
            panic!("{refused:?}")
        };
        assert!(at == later && message.ends_with(": no"), "{message}");
        // Nothing is known yet, or it is not the batch's to say.
        let without = done.without(&[mine(0).object].into(), &BTreeSet::new());
        for (row, batch) in [
            (mine(0), &one),
            (mine(0), &without),
            (row(0, claimed(&BatchId::from("theirs".to_owned()))), &done),
            (row(0, restored(TEN, ELEVEN)), &done),
            (row(0, State::Cancelled { at: later }), &done),
        ] {
            assert_eq!(row.clone().as_told_by(batch), row);
        }
    }

    #[test]
    fn a_batch_of_an_earlier_version_was_completed_at_some_time_after_it_was_made() {
        let old = sealed(many(1)).with_call(0, |call| call.completed = true);
        let mut json = serde_json::to_value(old.clone().noted(now())).unwrap();
        assert!(json.as_object_mut().unwrap().remove("completed_at").is_some());
        let read: Batch = serde_json::from_value(json).unwrap();
        assert_eq!(read, old);
        let Some(Event::Published { at, .. }) = read.outcome(&many(1)[0].object) else { panic!("{read:?}") };
        assert_eq!(at, old.created_at);
    }

    #[test]
    fn only_the_objects_of_a_refused_path_hear_of_the_refusal() {
        let batch = sealed(many(2)).with_call_split(0).with_call(1, |call| call.refused = Some("no".to_owned()));
        let refusals: Vec<_> = batch.candidates.iter().map(|candidate| batch.refusal(candidate)).collect();
        assert_eq!(refusals, [None, Some("no")]);
    }

    #[test]
    fn a_batch_is_open_until_cloudfront_took_or_refused_each_call() {
        assert!(!batches(many(1), now())[0].is_open(), "it has no calls yet");
        let split = sealed(many(2)).with_call_split(0);
        let taken = split.with_call(0, |call| call.invalidation = Some("I1".to_owned()));
        assert!(split.is_open() && taken.is_open());
        assert!(!taken.with_call(1, |call| call.refused = Some("no".to_owned())).is_open());
        assert!(!taken.with_call(1, |call| call.invalidation = Some("I2".to_owned())).is_open());
    }

    #[test]
    fn an_object_that_is_gone_takes_the_paths_along_that_nobody_else_wants() {
        let batch = sealed(vec![candidate("a", "r", &["/a", "/both"]), candidate("b", "r", &["/b", "/both"])]);
        let [a, b] = ["a", "b"].map(|key| candidate(key, "r", &[]).object);
        let left = batch.without(&[a.clone()].into(), &BTreeSet::new());
        assert_eq!((all(&left), left.revision), ([b.clone()].into(), batch.revision + 1));
        // What is asked for is another thing now, and no answer to the first may stand for it.
        assert_eq!(left.calls, Some(vec![Call::new(&batch.id, "E1", vec!["/b".to_owned(), "/both".to_owned()])]));
        let none = batch.without(&[a, b].into(), &BTreeSet::new());
        assert_eq!((none.candidates, none.calls), (Vec::new(), Some(Vec::new())));
        assert_eq!(batches(many(1), now())[0].without(&BTreeSet::new(), &BTreeSet::new()).calls, None);
    }

    #[test]
    fn what_cloudfront_took_or_refused_stays_whoever_is_gone() {
        let batch = sealed(many(3)).with_call_split(0);
        let batch = batch.with_call(0, |call| call.invalidation = Some("I1".to_owned()));
        let batch = batch.with_call(1, |call| call.refused = Some("no".to_owned()));
        let left = batch.without(&all(&batch), &BTreeSet::new());
        assert_eq!(left.calls.as_deref(), batch.calls.as_ref().map(|calls| &calls[..2]));
    }
}
