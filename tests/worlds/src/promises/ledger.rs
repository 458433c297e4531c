//! Promises about writes into the ledger. What a written item claims is checked too: that an object is readable, published,
//! or not coming.

use jiff::Timestamp;
use thaw_core::{Batch, Call, Decision, FailureCode, PublishedReason, Readiness, Row, State, Tier};
use thaw_steps::ledger::chunks::ChunkRecord;
use thaw_steps::ledger::readiness::ReadinessRecord;
use thaw_steps::ledger::restores::RestoreRecord;

use super::ledger_model::row_id;
use super::ledger_reader::{planned_rows, restore_record};
use super::{Checker, MAX_CONFIRMATION, MAX_STALENESS};
use crate::environment::Environment;
use crate::runtime::add;

impl Checker {
    /// A row was inserted, or replaced if `is_replaced`.
    pub(crate) fn row_written(&mut self, env: &Environment, row: Row, is_replaced: bool) {
        self.cover(format!("row {}", row.state.as_str()));
        let id = row_id(&row);
        let old = self.ledger.rows.get(&id).cloned().map(|row| self.ledger.with_batch(row));
        match (&old, is_replaced) {
            (None, false) if row.revision == 0 => {}
            (Some(old), true) => {
                let (state, revision) = (old.state.clone(), old.revision);
                let with_old_state = Row { state, held_until: old.held_until, revision, ..row.clone() };
                let is_same_row = with_old_state == *old && row.revision == old.revision + 1;
                // The function's clock stands still while it runs.
                let is_held = row.held_until.is_some_and(|until| until > add(env.now(), -MAX_STALENESS));
                let waits = is_held && matches!(row.state, State::Restored { claim: None, .. });
                let is_legal = (waits && old.state == row.state)
                    || (waits || row.held_until.is_none()) && is_legal(&old.state, &row.state);
                if !is_same_row || !is_legal {
                    self.violate(
                        "a row changes only in legal ways",
                        format!("{id:?} goes from {:?} to {:?}", old.state, row.state),
                    );
                }
            }
            _ => self.violate("a row changes only in legal ways", format!("{id:?} is written anew")),
        }
        if row.held_until.is_some() {
            self.cover("row waits for a neighbour");
        }
        if !matches!(row.state, State::Planned) {
            self.requested_at.entry(id.clone()).or_insert(env.now());
        }
        let old = old.map(|row| self.ledger.with_readiness(row));
        let was_readable = old.as_ref().is_some_and(|old| matches!(old.state, State::Restored { .. }));
        match &row.state {
            State::Cancelled { .. } => self.forget_expiry(&row.object.key, old.as_ref()),
            State::Restored { claim: Some(_), .. } if was_readable => {}
            State::Available | State::Restored { .. } => self.check_readable(env, &row),
            _ => {}
        }
        self.state_reached(env, old.as_ref(), &row);
        // Its batch may be completed already.
        let with_batch = self.ledger.with_batch(row.clone());
        if with_batch.state != row.state {
            self.state_reached(env, Some(&row), &with_batch);
        }
        self.ledger.rows.insert(id, row);
    }

    /// A cancelled row loses the expiry of its copy. For the other restores of the object, the copy expires when their own
    /// rows say.
    fn forget_expiry(&mut self, key: &str, cancelled: Option<&Row>) {
        let Some(forgotten) = cancelled.and_then(|row| row.state.expires()) else { return };
        let rows = self.ledger.rows.values().filter(|row| row.object.key == key);
        let expiries = rows.filter_map(|row| row.state.expires()).filter(|expiry| *expiry < forgotten);
        self.objects.forget_expiries(key, expiries);
    }

    /// Checks the state that an object has reached, by its row or by its batch.
    fn state_reached(&mut self, env: &Environment, old: Option<&Row>, row: &Row) {
        match &row.state {
            State::Published { how, .. } => {
                self.cover(format!("published {}", description(how)));
                let readable_since = match old.map(|old| &old.state) {
                    Some(State::Restored { at, .. }) => *at,
                    _ => env.now(),
                };
                self.check_published(env, row, how, readable_since);
            }
            State::Failed { code, message, .. } => {
                self.cover(format!("failed {code:?}"));
                if *code == FailureCode::PathCannotBeInvalidated {
                    self.check_neighbour(env, old, row, message);
                }
                if *code == FailureCode::RetrievalTimedOut && !self.objects.is_changed(&row.object.key) {
                    self.check_timed_out(env, old, row);
                }
            }
            _ => {}
        }
    }

    /// A batch was written.
    pub(crate) fn batch_written(&mut self, env: &Environment, batch: Batch) {
        let id = batch.id.as_str().to_owned();
        let known = self.ledger.batches.get(&id);
        if let Some((old, Some(_))) = known
            && (&old.candidates, &old.calls) != (&batch.candidates, &batch.calls)
        {
            let details = format!("batch {id} was completed as {:?}, and is {:?}", old.calls, batch.calls);
            self.violate("a completed batch does not change", details);
            return;
        }
        let was_completed = known.and_then(|(_, at)| *at);
        let is_completed = batch.calls.as_ref().is_some_and(|calls| calls.iter().all(Call::is_over));
        let completed_at = was_completed.or(is_completed.then(|| env.now()));
        if was_completed.is_none() && is_completed {
            self.check_confirmation(env, &batch);
        }
        self.ledger.batches.insert(id.clone(), (batch, completed_at));
        if was_completed.is_some() || completed_at.is_none() {
            return;
        }
        for row in self.ledger.claimed_by(&id) {
            let with_batch = self.ledger.with_batch(row.clone());
            if with_batch.state != row.state {
                self.cover(format!("row {}", with_batch.state.as_str()));
                self.state_reached(env, Some(&row), &with_batch);
            }
        }
    }

    /// Checks that the ledger learned in time that CloudFront is done with what an event published, if nothing failed.
    fn check_confirmation(&mut self, env: &Environment, batch: &Batch) {
        let calls = || batch.calls.iter().flatten();
        if !env.world.is_without_faults()
            || !calls().all(|call| self.published_by_events.contains(&call.caller_reference))
        {
            return;
        }
        let completed = env.aws.with(|sim, _| {
            let invalidation = |call: &Call| {
                let all = sim.distribution(&call.distribution).ok()?.invalidations();
                all.iter().find(|one| call.invalidation.as_ref() == Some(&one.id)).map(|one| one.completed)
            };
            calls().filter_map(invalidation).max()
        });
        let Some(completed) = completed else { return };
        self.cover("confirmed in a world without faults");
        let delay = env.now().duration_since(completed);
        if delay > MAX_CONFIRMATION {
            let details = format!("batch {} was completed {delay:#} before the ledger said so", batch.id.as_str());
            self.violate("what an event published is confirmed within a minute", details);
        }
    }

    /// A readiness record was written: some objects of a chunk can be read.
    pub(crate) fn readiness_written(&mut self, env: &Environment, written: &ReadinessRecord) {
        let Some(record) = restore_record(env, written.restore.as_str()) else { return };
        self.cover(if written.entries.len() > 1 { "readiness of many" } else { "readiness of one" });
        let Some(plan) = &record.plan else { return };
        let rows = planned_rows(env, &record, plan.written_at(written.chunk), written.chunk);
        for (_, row) in (0..).zip(rows).filter(|(entry, _)| written.entries.contains(entry)) {
            let latest: &mut Readiness = self.ledger.readiness.entry(row_id(&row)).or_insert(written.readiness);
            if latest.at <= written.readiness.at {
                *latest = written.readiness;
            }
            self.check_readable(env, &row);
        }
    }

    /// A chunk was written: what is known of all its objects together.
    pub(crate) fn chunk_written(&mut self, env: &Environment, chunk: &ChunkRecord) {
        let Some(record) = restore_record(env, chunk.restore.as_str()) else { return };
        if chunk.chunk > 0 {
            self.cover("second chunk");
        }
        for (entry, row) in (0..).zip(planned_rows(env, &record, chunk.written_at(), chunk.chunk)) {
            if chunk.revision == 0 && row.state == State::Available {
                self.check_readable(env, &row);
            }
            if let Some(at) = chunk.accepted_at(entry) {
                self.accepted_in_chunk(env.now(), &record, row, at);
            }
        }
    }

    /// A chunk says that S3 accepted the request for an object.
    fn accepted_in_chunk(&mut self, now: Timestamp, record: &RestoreRecord, row: Row, since: Timestamp) {
        self.cover("accepted in a chunk");
        let id = row_id(&row);
        self.requested_at.entry(id.clone()).or_insert(now);
        let joined = row.decision == Decision::Watch;
        let requested = record.request.tier;
        let is_offered = row.kind.is_none_or(|kind| kind.window(requested).is_some());
        let tier = if joined && !is_offered { Tier::Standard } else { requested };
        self.ledger.accepted.entry(id).or_insert(State::Restoring { since, tier, joined });
    }

    /// The record of a restore was written.
    pub(crate) fn restore_written(&mut self, env: &Environment, record: &RestoreRecord) {
        if record.plan.is_some() && self.checked_plans.insert(record.id.clone()) {
            let planned = self.ledger.rows_of(env, record);
            self.check_prefix(env, record, &planned);
        }
    }
}

/// Whether a state may follow another. This is independent of thaw's code on purpose.
fn is_legal(old: &State, new: &State) -> bool {
    match (old, new) {
        (State::Planned, State::Restoring { .. })
        | (
            State::Planned | State::Restoring { .. } | State::Failed { code: FailureCode::RetrievalTimedOut, .. },
            State::Restored { .. },
        )
        | (
            State::Planned | State::Restoring { .. } | State::Restored { .. },
            State::Failed { .. },
        )
        // A row that a batch has claimed may be paid for, so it cannot be cancelled.
        | (
            State::Planned | State::Restoring { .. } | State::Restored { claim: None, .. },
            State::Cancelled { .. },
        ) => true,
        (
            State::Planned | State::Restoring { .. } | State::Failed { code: FailureCode::RetrievalTimedOut, .. },
            State::Published { how, .. },
        ) => match how {
            PublishedReason::Invalidated { .. } => false,
            PublishedReason::NothingStale | PublishedReason::NoPath | PublishedReason::NotCurrent | PublishedReason::AlreadyPublished => true,
        },
        (State::Failed { code: FailureCode::RetrievalTimedOut, .. }, State::Failed { .. }) => true,
        (State::Restored { claim: None, expires, .. }, State::Restored { claim: Some(_), expires: new, .. }) => {
            expires == new
        }
        // Another batch has the object.
        (State::Restored { claim: Some(_), at, expires }, State::Restored { claim: None, at: new, expires: same }) => {
            (at, expires) == (new, same)
        }
        // S3 was polled again, and the copy expires at another time.
        (State::Restored { claim: None, at, expires }, State::Restored { claim: None, at: same, expires: new }) => {
            at == same && expires != new
        }
        // The completion of its invalidation is written into the batch only, never into the row.
        (State::Restored { claim, .. }, State::Published { how, .. }) => match how {
            PublishedReason::Invalidated { .. } => false,
            // The object was replaced while CloudFront was not available, and its batch went on without it.
            PublishedReason::NotCurrent => true,
            PublishedReason::NothingStale | PublishedReason::NoPath | PublishedReason::AlreadyPublished => claim.is_none(),
        },
        _ => false,
    }
}

fn description(how: &PublishedReason) -> &'static str {
    match how {
        PublishedReason::Invalidated { .. } => "invalidated",
        PublishedReason::NothingStale => "nothing stale",
        PublishedReason::NoPath => "no path",
        PublishedReason::NotCurrent => "not current",
        PublishedReason::AlreadyPublished => "already published",
    }
}
