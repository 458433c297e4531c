//! Promises about what viewers see.

use jiff::Timestamp;
use thaw_core::{ObjectId, PublishedReason, Row, State};
use thaw_sim::model::ObjectRef;

use super::Checker;
use super::ledger_reader::covers;
use crate::environment::{BUCKET, Environment, WrongAnswer};
use crate::world::{Distribution, SECOND};

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
                if readable.is_ok_and(|head| head.readable)
                    && let Err(answer) = env.view_everywhere(object)
                {
                    let details = format!("{} of {}: {}", row.object, row.restore, answer.says);
                    self.violate("nothing stale means that a viewer sees it", details);
                }
            }
            PublishedReason::NoPath if !env.world.is_shown(object) => {}
            PublishedReason::NoPath | PublishedReason::NotCurrent => {
                let details = format!("{} of {} is {how:?}", row.object, row.restore);
                self.violate("an object that a distribution shows is published", details);
            }
        }
    }

    /// Checks that CloudFront completed an invalidation of every path of an object in every distribution with viewers, since
    /// the copy was readable. The copy may be an earlier one, of a restore that was cancelled before CloudFront confirmed it.
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
        let is_completed = |distribution: &Distribution| {
            let paths = env.world.cached_paths(distribution, object);
            env.aws.with(|sim, _| {
                let invalidations = sim.distribution(distribution.id).map_or(&[][..], |one| one.invalidations());
                paths.iter().all(|path| {
                    invalidations.iter().any(|one| {
                        one.created >= copy && one.completed <= now && one.items.iter().any(|item| covers(item, path))
                    })
                })
            })
        };
        if let Some(distribution) = env.world.viewed_distributions().find(|one| !is_completed(one)) {
            let details =
                format!("{} of {} is said to be visible in {} by {how:?}", row.object, row.restore, distribution.id);
            self.violate("published means that CloudFront has completed it", details);
        }
    }

    /// A viewer requested an object and got these wrong answers. Checks that there were none if a restore had published it.
    pub(crate) fn viewed(&mut self, env: &Environment, object: u32, wrong: &[WrongAnswer], has_staging_viewer: bool) {
        if wrong.iter().any(|answer| answer.status == 200) {
            self.cover("viewer gets a holding page");
        }
        self.cover(if wrong.is_empty() { "viewer sees the object" } else { "viewer sees an error" });
        if let Some(second) = env.world.distribution(SECOND) {
            let is_shown = !env.world.viewer_paths(&second, object).is_empty();
            self.cover(format!("second distribution {} an object", if is_shown { "shows" } else { "does not show" }));
        }
        if has_staging_viewer {
            self.cover("viewer is sent to staging");
        }
        let (Some(answer), Some(key)) = (wrong.first(), env.world.full_key(object)) else { return };
        let rows = self.ledger.rows.values().filter(|row| row.object.key == key).cloned();
        let rows: Vec<Row> = rows.map(|row| self.ledger.with_batch(row)).collect();
        if let Some(row) = rows.iter().find(|row| self.is_visible(env, row)) {
            let details = format!("{} of {} is published, and {}", row.object, row.restore, answer.says);
            self.violate("viewers see what is published", details);
        }
    }

    /// Whether the copy that a row published is still there, and nobody else changed it.
    fn is_visible(&self, env: &Environment, row: &Row) -> bool {
        let State::Published { readable, expires, .. } = &row.state else { return false };
        let ObjectId { key, version, .. } = &row.object;
        let head = env.aws.with(|sim, now| sim.head_uncounted(&ObjectRef::new(BUCKET, key), now));
        // If it is readable after its copy expired, another tool restored it, and thaw may have missed that event.
        let is_expired = expires.is_some_and(|expires| expires <= env.now());
        let is_same_copy =
            self.objects.latest_copy(key, version.as_deref(), env.now()).is_none_or(|copy| copy <= *readable);
        !is_expired && is_same_copy && !self.objects.is_changed(key) && head.is_ok_and(|head| head.readable)
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
            if let Err(answer) = env.view_everywhere(object) {
                let details = format!("{} of {restore} is published, and {}", row.object, answer.says);
                self.violate("viewers see what is published", details);
            }
        }
    }
}
