//! Groups candidates into batches. Candidates that share a wildcard go into the same batch; the others fill batches up
//! to the limits of CloudFront and DynamoDB.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Batch, Candidate, PATHS_PER_BATCH, WILDCARDS_PER_BATCH};
use crate::wildcard::Wildcard;
use crate::{Endpoint, ObjectId, is_any_query_string};

/// Maximum of candidates that one wildcard covers. All their rows are claimed before CloudFront is called, which takes
/// some seconds.
const CANDIDATES_PER_WILDCARD: usize = 2_000;

/// Maximum of bytes of paths and keys in one batch. A DynamoDB item holds 400 KB. A batch lists its paths twice, but is
/// packed: even random keys take hardly more room in the item than is counted here.
const BYTES_PER_BATCH: usize = 250_000;

/// Sorts candidates into batches. The same candidates always make the same batches, with the same ids.
pub fn batches(candidates: Vec<Candidate>, now: Timestamp) -> Vec<Batch> {
    folded(candidates, Vec::new(), now)
}

/// Sorts candidates into batches as [`batches`] does, with wildcards that replace the paths of several candidates. The
/// candidates of a wildcard go into a batch of their own. A wildcard that covers too many candidates is split.
pub fn folded(mut candidates: Vec<Candidate>, mut wildcards: Vec<Wildcard>, now: Timestamp) -> Vec<Batch> {
    candidates.sort_by(|a, b| a.object.cmp(&b.object));
    wildcards.extend(candidates.iter().flat_map(wildcards_of));
    let groups = Groups::of(&candidates, wildcards);
    let mut grouped: BTreeMap<usize, Vec<Candidate>> = BTreeMap::new();
    let mut batches = Vec::new();
    let mut current: Vec<Candidate> = Vec::new();
    let mut size = Size::default();
    for (candidate, group) in candidates.into_iter().zip(groups.of) {
        if let Some(group) = group {
            grouped.entry(group).or_default().push(candidate);
            continue;
        }
        let with = size.plus(&candidate);
        if !current.is_empty() && !with.fits() {
            batches.push(Batch::of(std::mem::take(&mut current), Vec::new(), now));
            size = Size::default();
        }
        size = size.plus(&candidate);
        current.push(candidate);
    }
    let mut wildcards = groups.wildcards;
    let of_group = |(group, candidates)| Batch::of(candidates, wildcards.remove(&group).unwrap_or_default(), now);
    batches.extend(grouped.into_iter().map(of_group));
    if !current.is_empty() {
        batches.push(Batch::of(current, Vec::new(), now));
    }
    batches
}

/// How many paths CloudFront bills for these candidates, if it accepts every call of their batches.
pub fn billed(candidates: Vec<Candidate>, wildcards: Vec<Wildcard>) -> u64 {
    let billed = |batch: &Batch| {
        let all = batch.candidates.iter().map(|candidate| candidate.object.clone()).collect();
        batch.sealed(&all).calls.iter().flatten().map(|call| call.items.len() as u64).sum::<u64>()
    };
    folded(candidates, wildcards, Timestamp::UNIX_EPOCH).iter().map(billed).sum()
}

/// The wildcards among a candidate's own paths, which replace paths with a `~` because CloudFront accepts none. They
/// also cover paths of other candidates, which must not be paid for again.
fn wildcards_of(candidate: &Candidate) -> impl Iterator<Item = Wildcard> {
    let ObjectId { bucket, key, .. } = &candidate.object;
    let prefix = key.split('~').next().unwrap_or_default();
    let paths =
        candidate.paths.iter().flat_map(|(distribution, paths)| paths.iter().map(move |path| (distribution, path)));
    let is_for_a_tilde = |path: &str| path.ends_with('*') && !is_any_query_string(path);
    paths.filter(move |(_, path)| is_for_a_tilde(path)).map(|(distribution, path)| Wildcard {
        distribution: distribution.clone(),
        path: path.clone(),
        bucket: bucket.clone(),
        prefix: prefix.to_owned(),
        endpoint: Endpoint::Rest,
        covers: candidate.covers.clone(),
    })
}

/// Groups of candidates that have to be in one batch, because a wildcard covers them together.
struct Groups {
    /// The group of each candidate, by its index; `None` if it is in no group.
    of: Vec<Option<usize>>,
    /// The wildcards of each group: one, unless its candidates have paths under several wildcards.
    wildcards: BTreeMap<usize, Vec<Wildcard>>,
}

impl Groups {
    fn of(candidates: &[Candidate], mut wildcards: Vec<Wildcard>) -> Self {
        let mut groups = Self { of: vec![None; candidates.len()], wildcards: BTreeMap::new() };
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut paths: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (place, candidate) in candidates.iter().enumerate() {
            for (distribution, of_distribution) in &candidate.paths {
                for path in of_distribution {
                    paths.entry((distribution, path)).or_default().push(place);
                }
            }
        }
        wildcards.reverse();
        let mut next_group = 0;
        while let Some(wildcard) = wildcards.pop() {
            let stem = wildcard.path.trim_end_matches('*');
            let from = (wildcard.distribution.as_str(), stem);
            let covered: Vec<(&str, &Vec<usize>)> = paths
                .range(from..)
                .take_while(|((distribution, path), _)| wildcard.covers(distribution, path))
                .map(|((_, path), places)| (*path, places))
                .collect();
            let mut places: BTreeSet<usize> = covered.iter().flat_map(|(_, places)| places.iter().copied()).collect();
            let own = places.len();
            if covered.len().max(own) < 2 {
                continue;
            }
            let joined: BTreeSet<usize> = places.iter().filter_map(|place| groups.of[*place]).collect();
            places.extend(joined.iter().flat_map(|group| members[group].iter().copied()));
            let bytes: usize = places.iter().map(|place| Size::default().plus(&candidates[*place]).bytes).sum();
            if places.len() > CANDIDATES_PER_WILDCARD || bytes > BYTES_PER_BATCH {
                // Existing groups stay as they are, without this wildcard. If it joins no group, it is split.
                if own == places.len() {
                    let covered: Vec<&str> = covered.into_iter().map(|(path, _)| path).collect();
                    wildcards.extend(wildcard.narrower(&covered));
                }
                continue;
            }
            let mut all = vec![wildcard];
            for group in joined {
                members.remove(&group);
                all.extend(groups.wildcards.remove(&group).unwrap_or_default());
            }
            places.iter().for_each(|place| groups.of[*place] = Some(next_group));
            members.insert(next_group, places.into_iter().collect());
            groups.wildcards.insert(next_group, all);
            next_group += 1;
        }
        groups
    }
}

#[derive(Clone, Copy, Default)]
struct Size {
    paths: usize,
    wildcards: usize,
    bytes: usize,
}

impl Size {
    fn plus(self, candidate: &Candidate) -> Self {
        let paths = || candidate.paths.values().flatten();
        Self {
            paths: self.paths + paths().count(),
            wildcards: self.wildcards
                + paths().filter(|path| path.ends_with('*') && !is_any_query_string(path)).count(),
            bytes: self.bytes + candidate.object.key.len() + paths().map(String::len).sum::<usize>(),
        }
    }

    fn fits(self) -> bool {
        self.paths <= PATHS_PER_BATCH && self.wildcards <= WILDCARDS_PER_BATCH && self.bytes <= BYTES_PER_BATCH
    }
}
