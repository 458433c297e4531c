//! A batch: the objects whose paths are invalidated together. A batch claims the rows of its objects, so that no path
//! of one copy is ever paid for twice.

mod copies;
mod grouping;
mod packed;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wildcard::{Wildcard, covers};
use crate::{BatchId, Covered, Event, FailureCode, ObjectId, PublishedReason, Readiness, RestoreId, Row, advance};

pub use copies::of_the_same_copy;
pub use grouping::{batches, billed, folded};

/// Maximum of paths in one batch. The quota of an account is 150 paths a second since April 2026, and was 3,000 paths
/// in progress before (Developer Guide, "Quotas"). The maximum of one request is not documented. A request of 150 paths
/// needs a second in which nothing else is invalidated. A request of 100 fits into each second, even if others use a
/// third of the quota.
const PATHS_PER_BATCH: usize = 100;

/// Maximum of wildcards in one batch. The quota is one a second, and was 15 in progress before (same source).
const WILDCARDS_PER_BATCH: usize = 1;

/// An object whose paths are to be invalidated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The object.
    pub object: ObjectId,
    /// The restores that wait for it, in order. Their rows are claimed in this order. If one row cannot be claimed, the
    /// object belongs to another batch.
    pub restores: Vec<RestoreId>,
    /// The sum of the revisions of their rows when they were read.
    pub revisions: u64,
    /// The answer of S3 about the object, if the rows do not record it yet. It is written together with the claim.
    #[serde(rename = "news", default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
    /// Its paths by distribution id.
    pub paths: BTreeMap<String, BTreeSet<String>>,
    /// The objects that the wildcards among the paths cover. These wildcards replace paths with a `~`. Empty in batches
    /// of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub covers: BTreeSet<Covered>,
    /// The buckets and keys of objects that its other paths may also show. Empty in batches of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub namesakes: BTreeSet<(String, String)>,
}

impl Candidate {
    /// Whether both would publish the same object for the same restore. A candidate for an earlier copy of the object
    /// has other restores.
    pub fn shares_a_row_with(&self, other: &Self) -> bool {
        self.object == other.object && self.restores.iter().any(|restore| other.restores.contains(restore))
    }
}

/// Objects that are published together. A batch is written to the ledger before CloudFront is called.
///
/// CloudFront's result is recorded in the batch only, for all rows that it has claimed. A batch is written four times,
/// and DynamoDB charges writes by the kilobyte, so batches are stored packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// A hash over the rows.
    pub id: BatchId,
    /// The objects that it is to publish. An object that another batch claimed first is left out when the batch is
    /// sealed.
    pub candidates: Vec<Candidate>,
    /// The calls to CloudFront. `None` until the batch is sealed, when every candidate was claimed or lost to another
    /// batch. After that, only CloudFront's answers change them.
    pub calls: Option<Vec<Call>>,
    /// Wildcards that each replace the paths of several candidates.
    pub wildcards: Vec<Wildcard>,
    /// When the batch was written.
    pub created_at: Timestamp,
    /// When thaw read that all calls are completed or refused. `None` in batches of earlier versions.
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
    /// Makes the call idempotent: CloudFront answers a repeated call with the invalidation of the first.
    pub caller_reference: String,
    /// The id of the invalidation, once CloudFront accepted the call.
    pub invalidation: Option<String>,
    /// Whether CloudFront reports the invalidation as completed, in all edge locations.
    pub completed: bool,
    /// CloudFront's error message, if it refused the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// CloudFront's error message, if thaw may not invalidate this distribution, which nobody named. What other distributions
    /// show is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<String>,
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
            denied: None,
        }
    }

    /// Whether CloudFront has not answered it yet.
    pub fn is_open(&self) -> bool {
        self.invalidation.is_none() && self.refused.is_none() && self.denied.is_none()
    }

    /// Whether it is completed, or never will be.
    pub fn is_over(&self) -> bool {
        self.completed || self.refused.is_some() || self.denied.is_some()
    }

    /// Whether one of its items covers a path of the candidate.
    fn shows(&self, candidate: &Candidate) -> bool {
        let mut paths = candidate.paths.get(&self.distribution).into_iter().flatten();
        paths.any(|path| self.items.iter().any(|item| covers(item, path)))
    }
}

impl Row {
    /// The row with its current state, given the batch that has claimed it. CloudFront's result is recorded in the
    /// batch only. The revision stays that of the ledger. A row with such a result is settled and is never written
    /// again.
    pub fn with_batch(self, batch: &Batch) -> Self {
        let claimed = (self.state.claim() == Some(&batch.id)).then(|| batch.outcome(&self.object)).flatten();
        match claimed.and_then(|event| advance(&self.state, &event).ok()).flatten() {
            Some(state) => Self { state, ..self },
            None => self,
        }
    }
}

impl Batch {
    fn of(candidates: Vec<Candidate>, wildcards: Vec<Wildcard>, now: Timestamp) -> Self {
        let mut parts = Vec::new();
        for candidate in &candidates {
            let ObjectId { bucket, key, version } = &candidate.object;
            parts.extend([bucket.as_str(), key, version.as_deref().unwrap_or_default()]);
            // The restore ids distinguish the batch of one copy from the batch of the object's next copy.
            parts.extend(candidate.restores.iter().map(RestoreId::as_str));
        }
        // A batch that was sealed without an object never publishes it, so the object needs a batch with another id
        // later. The revisions give it one: an object is left out only if one of its rows has changed.
        let revisions: Vec<String> = candidates.iter().map(|candidate| candidate.revisions.to_string()).collect();
        parts.extend(revisions.iter().map(String::as_str));
        let id = BatchId::over(&parts);
        Self { id, candidates, calls: None, wildcards, created_at: now, completed_at: None, revision: 0 }
    }

    /// The sealed batch: its candidates are those that it claimed, and its calls are for their paths.
    pub fn sealed(&self, claimed: &BTreeSet<ObjectId>) -> Self {
        let own = self.candidates.iter().filter(|candidate| claimed.contains(&candidate.object));
        let candidates: Vec<Candidate> = own.cloned().collect();
        let replaces_several = |wildcard: &&Wildcard| paths_under(wildcard, &candidates).nth(1).is_some();
        let wildcards: Vec<Wildcard> = self.wildcards.iter().filter(replaces_several).cloned().collect();
        let mut items: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (distribution, paths) in candidates.iter().flat_map(|candidate| &candidate.paths) {
            // The shortest wildcard covers all that the others cover.
            let replacement = |path: &str| {
                let all = wildcards.iter().filter(|wildcard| wildcard.covers(distribution, path));
                all.min_by_key(|wildcard| wildcard.path.len())
            };
            let item = |path| replacement(path).map_or(path, |wildcard| wildcard.path.as_str());
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

    /// The unsealed batch without the wildcards that cover a path of one of these objects.
    pub fn not_over(&self, archived: &BTreeSet<ObjectId>) -> Self {
        let is_over = |wildcard: &Wildcard| {
            let mut touched = self.candidates.iter().filter(|candidate| archived.contains(&candidate.object));
            touched.any(|candidate| is_under(wildcard, candidate))
        };
        let wildcards = self.wildcards.iter().filter(|wildcard| !is_over(wildcard)).cloned().collect();
        Self { wildcards, ..self.clone() }
    }

    /// Calls for these items, split to fit [`PATHS_PER_BATCH`] and [`WILDCARDS_PER_BATCH`].
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

    /// Whether the batch publishes the object or may still do so. Otherwise its claims on the object's rows are void: a
    /// batch that was sealed without an object never publishes it.
    pub fn has(&self, object: &ObjectId) -> bool {
        self.calls.is_none() || self.candidates.iter().any(|candidate| &candidate.object == object)
    }

    /// Whether it publishes the object, and CloudFront has accepted or refused each of its calls.
    pub fn is_with_cloudfront(&self, object: &ObjectId) -> bool {
        self.has(object) && self.calls.is_some() && !self.is_open()
    }

    /// Whether CloudFront has neither accepted nor refused one of its calls yet.
    pub fn is_open(&self) -> bool {
        self.calls.iter().flatten().any(Call::is_open)
    }

    /// Whether a call that CloudFront has not answered yet covers a path of this object.
    pub fn waits(&self, object: &ObjectId) -> bool {
        let mut open = self.calls.iter().flatten().filter(|call| call.is_open());
        let candidate = self.candidates.iter().find(|candidate| &candidate.object == object);
        candidate.is_some_and(|candidate| open.any(|call| call.shows(candidate)))
    }

    /// The batch without the objects `gone`, and without their paths in the calls that CloudFront has not answered yet.
    ///
    /// Wildcards that cover a path of these objects, and the wildcards `unfolded`, are removed from these calls as
    /// well. The exact paths of the other objects replace them.
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

    /// Whether an item is a wildcard that replaces exact paths.
    pub fn is_folded(&self, distribution: &str, item: &str) -> bool {
        self.wildcards.iter().any(|wildcard| wildcard.distribution == distribution && wildcard.path == item)
    }

    /// Whether each of its calls is completed or refused.
    pub fn is_completed(&self) -> bool {
        self.calls.as_ref().is_some_and(|calls| calls.iter().all(Call::is_over))
    }

    /// The batch with `completed_at` set to `now` if it is completed and has no such time yet.
    pub fn noted(self, now: Timestamp) -> Self {
        let completed_at = self.completed_at.or(self.is_completed().then_some(now));
        Self { completed_at, ..self }
    }

    /// The event that CloudFront's answers are for the claimed rows of an object. `None` until the batch is completed,
    /// and if the object is not in the batch.
    pub fn outcome(&self, object: &ObjectId) -> Option<Event> {
        let candidate = self.candidates.iter().find(|candidate| &candidate.object == object);
        let candidate = candidate.filter(|_| self.is_completed())?;
        let at = self.completed_at.unwrap_or(self.created_at);
        Some(match self.refusal(candidate) {
            None => Event::Published { at, how: PublishedReason::Invalidated { batch: self.id.clone() } },
            Some(says) => {
                let message = format!("CloudFront refused to invalidate its path: {says}");
                Event::Failed { at, code: FailureCode::RefusedByCloudFront, message }
            }
        })
    }

    /// CloudFront's error message for one of the candidate's paths; `None` if it refused none. A denial counts if no other
    /// distribution shows the candidate.
    fn refusal(&self, candidate: &Candidate) -> Option<&str> {
        let own = || self.calls.iter().flatten().filter(|call| call.shows(candidate));
        let denied = || own().find_map(|call| call.denied.as_deref());
        let is_only_denied = own().all(|call| call.denied.is_some());
        own().find_map(|call| call.refused.as_deref()).or_else(|| denied().filter(|_| is_only_denied))
    }

    /// The batch with a refused call split into one call per path, so that one bad path does not stop the others. If
    /// the only item of the call is a wildcard, it is replaced by the exact paths that it covers.
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

/// Whether a wildcard covers a path of a candidate.
fn is_under(wildcard: &Wildcard, candidate: &Candidate) -> bool {
    candidate
        .paths
        .get(&wildcard.distribution)
        .is_some_and(|paths| paths.iter().any(|path| covers(&wildcard.path, path)))
}

/// The paths of the candidates that a wildcard covers.
fn paths_under<'a>(wildcard: &'a Wildcard, candidates: &'a [Candidate]) -> impl Iterator<Item = &'a String> {
    let paths = candidates.iter().filter_map(|candidate| candidate.paths.get(&wildcard.distribution)).flatten();
    paths.filter(|path| covers(&wildcard.path, path))
}

/// The `CallerReference` of an invalidation, by which the call is idempotent: CloudFront answers a call with the same
/// reference and the same items with the first invalidation, and charges nothing.
///
/// A hash over the items alone is not enough: a copy restored next year has the same paths, and its call would be
/// answered with this year's invalidation. The batch's id differs, because its restores differ.
pub fn caller_reference(batch: &BatchId, distribution: &str, items: &[String]) -> String {
    let parts: Vec<_> = [batch.as_str(), distribution].into_iter().chain(items.iter().map(String::as_str)).collect();
    format!("thaw-{}", &crate::hash(&parts)[..40])
}

#[cfg(test)]
mod tests;
