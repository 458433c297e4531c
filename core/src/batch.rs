//! What is invalidated together, so that no path of one copy is ever paid twice.

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
    #[serde(rename = "news", default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
    /// Its paths by distribution id.
    pub paths: BTreeMap<String, BTreeSet<String>>,
    /// What the wildcards among them cover, which stand for paths with a `~`. Batches of earlier versions do not say.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub covers: BTreeSet<Covered>,
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

impl Row {
    /// The row's current state, given the batch that has claimed it: only the batch records CloudFront's result. The
    /// revision stays that of the ledger. The row is never written again, because it is settled then.
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
            None => Event::Published { at, how: PublishedReason::Invalidated { batch: self.id.clone() } },
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
mod tests;
