//! Promises about invalidations: no archived object is invalidated, and no path is paid twice for one copy.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use thaw_core::{Batch, Candidate, RestoreId, State, is_any_query_string};
use thaw_sim::model::ObjectRef;

use super::ledger_reader::{batches_awaiting, covers, restore_record};
use super::{Checker, MAX_STALENESS};
use crate::environment::{BUCKET, Environment};
use crate::runtime::add;
use crate::world::{Distribution, Object, PRIMARY, SECOND};

impl Checker {
    /// CloudFront accepted a new invalidation of these paths of a distribution.
    pub(crate) fn invalidated(&mut self, env: &Environment, distribution: &str, invalidation_paths: &[String]) {
        let viewed = env.world.distribution(distribution).filter(|one| one.has_viewers);
        let Some(distribution) = &viewed else {
            let details = format!("{invalidation_paths:?} of {distribution}");
            return self.violate("only distributions with viewers are invalidated", details);
        };
        self.cover(match distribution.id {
            PRIMARY => "invalidation of the primary distribution",
            SECOND => "invalidation of the second distribution",
            _ => "invalidation of the staging distribution",
        });
        for path in invalidation_paths {
            if env.world.objects.iter().any(|object| env.world.is_rewritten_path(distribution, object.id, path)) {
                self.cover("invalidated rewritten path");
            }
            self.cover(match path.ends_with('*') {
                _ if is_any_query_string(path) => "invalidated any query string",
                true => "invalidated wildcard",
                false => "invalidated path",
            });
            let batches = batches_awaiting(env, distribution.id, path);
            if batches.iter().any(|batch| batch.is_folded(distribution.id, path)) {
                self.cover("invalidated folded paths");
            }
            for object in &env.world.objects {
                self.check_invalidated_object(env, distribution, path, object, &batches);
            }
        }
    }

    /// Checks one object that an invalidation path may cover.
    fn check_invalidated_object(
        &mut self,
        env: &Environment,
        distribution: &Distribution,
        invalidation_path: &str,
        object: &Object,
        batches: &[Batch],
    ) {
        let now = env.now();
        let Some(full_key) = env.world.full_key(object.id) else { return };
        let cached_paths = env.world.cached_paths(distribution, object.id);
        let key = distribution.shown_part(&full_key).filter(|_| !cached_paths.is_empty());
        if !key.is_some_and(|key| covers_some_spelling(invalidation_path, key))
            && !cached_paths.iter().any(|path| covers(invalidation_path, path))
            && !self.is_folded_over_undeclared(env, distribution, invalidation_path, object, batches)
        {
            return;
        }
        let current = ObjectRef::new(BUCKET, &full_key);
        let Ok(head) = env.aws.with(|sim, now| sim.head_uncounted(&current, now)) else { return };
        let recently = add(now, -MAX_STALENESS);
        let was_readable =
            env.aws.with(|sim, _| sim.head_uncounted(&current, recently)).is_ok_and(|head| head.readable);
        if !head.readable && !was_readable && !self.objects.is_changed_since(&full_key, recently) {
            self.violate(
                "no archived object is ever invalidated",
                format!("{invalidation_path} of {} covers {full_key}, which is archived", distribution.id),
            );
        }
        let candidates = batches.iter().flat_map(|batch| &batch.candidates);
        let candidates: Vec<&Candidate> = candidates.filter(|candidate| candidate.object.key == full_key).collect();
        let is_wildcard = invalidation_path.ends_with('*');
        // A wildcard may cover other objects too. They are not what it was paid for.
        if is_wildcard && candidates.is_empty() {
            return;
        }
        let Some(copy) = self.objects.latest_copy(&full_key, head.version.as_deref(), now) else { return };
        if self.is_for_earlier_copy(&candidates, copy) {
            return;
        }
        // Who asks by hand pays again.
        let restores = candidates.iter().flat_map(|candidate| &candidate.restores);
        let is_by_hand = |restore: &RestoreId| {
            restore_record(env, restore.as_str()).is_some_and(|record| record.request.publish_only)
        };
        if restores.clone().any(is_by_hand) {
            self.cover("invalidated by hand");
            return;
        }
        let covered = cached_paths.iter().filter(|path| covers(invalidation_path, path)).cloned();
        let paths = if is_wildcard { covered.collect() } else { vec![invalidation_path.to_owned()] };
        for path in paths {
            self.check_paid_once(&format!("{path} of {}", distribution.id), &full_key, copy, now);
        }
    }

    /// Whether a wildcard that replaces paths covers a path that a function rewrites to that of an object. No rule says so,
    /// and therefore no paths are folded there. thaw believes that a function adds the directory index only, if there is one.
    fn is_folded_over_undeclared(
        &mut self,
        env: &Environment,
        distribution: &Distribution,
        invalidation_path: &str,
        object: &Object,
        batches: &[Batch],
    ) -> bool {
        let undeclared = env.world.undeclared_paths(distribution, object.id);
        let is_covered = undeclared.iter().any(|path| covers(invalidation_path, path));
        if !undeclared.is_empty() {
            self.cover("invalidation beside a function without a rule");
        }
        is_covered
            && env.world.directory_index.is_empty()
            && batches.iter().any(|batch| batch.is_folded(distribution.id, invalidation_path))
    }

    /// Whether an invalidation is for an earlier copy than this one. Others have changed the object since, and this copy
    /// is of their object. The restore that requested this copy pays for it later.
    fn is_for_earlier_copy(&self, candidates: &[&Candidate], copy: Timestamp) -> bool {
        let readable_since = candidates.iter().flat_map(|candidate| {
            let id = |restore: &RestoreId| {
                (restore.to_string(), candidate.object.key.clone(), candidate.object.version.clone())
            };
            candidate.restores.iter().filter_map(move |restore| match &self.ledger.rows.get(&id(restore))?.state {
                State::Restored { at, .. } => Some(*at),
                _ => None,
            })
        });
        let Some(known) = readable_since.max() else { return false };
        candidates.first().is_some_and(|candidate| {
            self.objects.changes(&candidate.object.key).any(|changed| known < changed && changed < copy)
        })
    }

    /// Checks that a path was not paid before for the same copy of an object.
    fn check_paid_once(&mut self, path: &str, key: &str, copy: Timestamp, now: Timestamp) {
        // It may have been paid for what was there before the change.
        let is_changed_recently = self.objects.is_changed_since(key, add(now, -MAX_STALENESS));
        // What others put there after the copy is not the copy.
        let is_copy = self.objects.changes(key).all(|changed| changed < copy);
        let is_known = self.objects.is_copy_known(key, copy, now);
        let paid = self.paid_copies.entry((path.to_owned(), key.to_owned())).or_default();
        if is_changed_recently {
            return;
        }
        if is_copy && is_known && paid.contains(&copy) {
            self.violate(
                "no path is paid twice for one copy",
                format!("{path} is invalidated again for the copy of {key} that is readable since {copy}"),
            );
        } else {
            paid.push(copy);
        }
    }
}

/// Whether a wildcard covers a key in any spelling. A viewer may spell each blank in another way. After a `?` comes a query
/// string, which is no part of a key.
fn covers_some_spelling(invalidation_path: &str, key: &str) -> bool {
    invalidation_path.strip_suffix('*').filter(|stem| !stem.contains('?')).is_some_and(|stem| {
        let stem = percent_decode_str(&stem.replace('+', " ")).decode_utf8_lossy().into_owned();
        format!("/{key}").starts_with(&stem)
    })
}
