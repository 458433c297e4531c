//! Promises about what viewers see.

use jiff::Timestamp;
use thaw_core::{PublishedReason, Row, State};
use thaw_sim::model::ObjectRef;

use super::Checker;
use super::ledger_reader::covers;
use crate::environment::{BUCKET, DISTRIBUTION, Environment};

impl Checker {
    /// Checks an object that is published: CloudFront has dropped what it cached before the object was readable.
    pub(super) fn check_published(
        &mut self,
        env: &Environment,
        row: &Row,
        how: &PublishedReason,
        readable_since: Timestamp,
    ) {
        let Some(object) = env.world.object_with_key(&row.object.key) else { return };
        if self.objects.is_changed(&row.object.key) {
            return;
        }
        match how {
            PublishedReason::Invalidated { .. } | PublishedReason::AlreadyPublished => {
                self.check_invalidation_completed(env, row, how, object, readable_since);
            }
            PublishedReason::NothingStale => {
                let readable =
                    env.aws.with(|sim, now| sim.head_uncounted(&ObjectRef::new(BUCKET, &row.object.key), now));
                if readable.is_ok_and(|head| head.readable) && env.view(object) != Some(200) {
                    let details = format!("{} of {}", row.object, row.restore);
                    self.violate("nothing stale means that a viewer sees it", details);
                }
            }
            PublishedReason::NoPath | PublishedReason::NotCurrent => {
                let details = format!("{} of {} is {how:?}", row.object, row.restore);
                self.violate("an object that a distribution shows is published", details);
            }
        }
    }

    /// Checks that CloudFront completed an invalidation of every path of an object, since the copy was readable. The copy
    /// may be an earlier one, of a restore that was cancelled before CloudFront confirmed it.
    fn check_invalidation_completed(
        &mut self,
        env: &Environment,
        row: &Row,
        how: &PublishedReason,
        object: u32,
        readable_since: Timestamp,
    ) {
        let key = &row.object.key;
        let copy = self.objects.latest_copy(key, row.object.version.as_deref(), readable_since);
        let Some(copy) = copy else { return };
        if *how == PublishedReason::AlreadyPublished
            && self.objects.is_mistaken_for_shortened(key, copy, row.planned_at)
        {
            return;
        }
        let now = env.now();
        let paths = env.world.cached_paths(object);
        let is_completed = env.aws.with(|sim, _| {
            let invalidations = sim.distribution(DISTRIBUTION).map_or(&[][..], |one| one.invalidations());
            paths.iter().all(|path| {
                invalidations.iter().any(|one| {
                    one.created >= copy && one.completed <= now && one.items.iter().any(|item| covers(item, path))
                })
            })
        });
        if !is_completed {
            let details = format!("{} of {} is said to be visible by {how:?}", row.object, row.restore);
            self.violate("published means that CloudFront has completed it", details);
        }
    }

    /// Checks that viewers see what a restore published.
    pub(super) fn check_viewers_see(&mut self, env: &Environment, restore: &str) {
        let rows = self.ledger.rows.values().filter(|row| row.restore.as_str() == restore).cloned();
        let rows: Vec<Row> = rows.map(|row| self.ledger.with_batch(row)).collect();
        for row in rows.iter().filter(|row| matches!(row.state, State::Published { .. })) {
            let Some(object) = env.world.object_with_key(&row.object.key) else { continue };
            let readable = env.aws.with(|sim, now| sim.head_uncounted(&ObjectRef::new(BUCKET, &row.object.key), now));
            // If it is readable after its copy expired, another tool restored it, and thaw may have missed that event.
            let is_expired = row.state.expires().is_some_and(|expires| expires <= env.now());
            if is_expired || self.objects.is_changed(&row.object.key) || !readable.is_ok_and(|head| head.readable) {
                continue;
            }
            let status = env.view(object);
            if status != Some(200) {
                let details = format!("{} of {restore} is published, and a viewer gets {status:?}", row.object);
                self.violate("viewers see what is published", details);
            }
        }
    }
}
