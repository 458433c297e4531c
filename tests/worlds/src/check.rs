//! The promises, as code: checked at every write, at every call that costs money, when an execution ends, and at the end.
//!
//! ActionKind is true is asked of the model of S3 and CloudFront, never of thaw.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use thaw_core::{
    Batch, Call, Candidate, Counts, Decision, FailureCode, How, News, ObjectId, Place, RestoreAnswer, RestoreId, Row,
    Source, State, Status, Tier, Usd,
};
use thaw_sim::model::ObjectRef;
use thaw_steps::Step;
use thaw_steps::api::get_restores;
use thaw_steps::ledger::chunks::{ChunkEntry, ChunkRecord, chunk_name};
use thaw_steps::ledger::readiness::NewsRecord;
use thaw_steps::ledger::restores::RestoreRecord;
use thaw_steps::ports::{Ledger, WorkFiles};

use crate::runtime::{add, block_on};
use crate::stack::{Asked, BUCKET, DISTRIBUTION, Finished, Stack};
use crate::wire::Lambda;
use crate::workflow::{StateEvent, StateEventKind};
use crate::world::{CallFaultKind, EventFaultKind, InvocationFaultKind, RestoreRequest};

/// History events of an execution: a tenth of what Step Functions takes (25,000).
const EVENTS: u64 = 2_500;

/// ActionKind thaw knows of an object may be so old when it invalidates: between a look and the call others may do anything.
const GLANCE: SignedDuration = SignedDuration::from_mins(15);

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The promise.
    pub promise: &'static str,
    /// How it was broken.
    pub says: String,
}

/// ActionKind happened, and what must be true of it.
#[derive(Debug, Default)]
pub struct Checker {
    /// Broken promises, in order.
    pub broken: Vec<Broken>,
    /// ActionKind was reached, and how often: a suite that never meets a thing does not test it.
    pub reached: BTreeMap<String, u64>,
    /// The rows by restore, key and version.
    rows: BTreeMap<(String, String, Option<String>), Row>,
    /// When each of them was no longer merely planned.
    asked_at: BTreeMap<(String, String, Option<String>), Timestamp>,
    /// ActionKind was noted as accepted by S3 together with others: since when, and at which tier.
    accepted: BTreeMap<(String, String, Option<String>), State>,
    /// ActionKind S3 said of them that was noted together with others: while a row says no more than `planned`, this is true.
    news: BTreeMap<(String, String, Option<String>), News>,
    /// The batches, and when each was completed: from then on it says where the objects stand whose rows it has claimed.
    batches: BTreeMap<String, (Batch, Option<Timestamp>)>,
    /// ActionKind S3 answered to a restore for an object.
    asked: BTreeMap<(String, String), Vec<RestoreAnswer>>,
    /// When copies of an object's version became or will become readable.
    retrievals: BTreeMap<(String, Option<String>), Vec<Timestamp>>,
    /// When somebody else changed an object.
    touched: BTreeMap<String, Vec<Timestamp>>,
    /// Whether any version of an object was changed, and not only hidden by a newer one.
    moved: BTreeMap<String, bool>,
    /// When a copy would have gone away, had nobody else kept it longer. Past that moment thaw cannot know that it is still
    /// the copy that it paid for.
    kept_longer: BTreeMap<String, Vec<Timestamp>>,
    /// When a copy went away because others had cut its life short, and when it would have gone. In between thaw takes
    /// another copy for the one that it knew.
    cut_short: BTreeMap<String, Vec<(Timestamp, Timestamp)>>,
    /// The restores whose plans were looked at.
    planned: BTreeSet<RestoreId>,
    /// For which copies a path was paid.
    paid: BTreeMap<(String, String), Vec<Timestamp>>,
    lost_events: bool,
    /// By restore: which of its states were refused in a way that no retry mends.
    refused: BTreeMap<String, Vec<Step>>,
    /// Restores whose executions died of what nothing in them can catch.
    died: BTreeSet<String>,
}

impl Checker {
    fn break_promise(&mut self, promise: &'static str, says: String) {
        // One broken promise is enough to look at, and a thousand are no better.
        if self.broken.len() < 5 {
            self.broken.push(Broken { promise, says });
        }
    }

    pub(crate) fn reach(&mut self, what: String) {
        *self.reached.entry(what).or_default() += 1;
    }

    // ---- what happens

    pub(crate) fn struck(&mut self, step: Step, fate: CallFaultKind) {
        self.reach(format!("fault {fate:?}"));
        self.reach(format!("fault in {step:?}"));
    }

    /// A state of a restore fails for good.
    pub(crate) fn refused(&mut self, step: Step, restore: Option<&str>) {
        if let Some(restore) = restore {
            self.refused.entry(restore.to_owned()).or_default().push(step);
        }
    }

    /// Whether a restore's execution may have ended before all was done that it could do: it died, or its report failed, or
    /// more failed than what it goes on after.
    fn may_be_left(&self, restore: &str) -> bool {
        let refused = self.refused.get(restore).map_or(&[][..], Vec::as_slice);
        self.died.contains(restore) || refused.len() > 1 || refused.contains(&Step::ReportFailure)
    }

    pub(crate) fn is_said_to_run(&self, stack: &Stack, id: &str) -> bool {
        record(stack, id).is_some_and(|record| record.status == Status::Running)
    }

    pub(crate) fn missed(&mut self, miss: InvocationFaultKind) {
        self.reach(format!("invocation {miss:?}"));
    }

    pub(crate) fn event_sent(&mut self, stray: Option<EventFaultKind>) {
        let fate = match stray {
            None => "comes",
            Some(EventFaultKind::Lost) => {
                self.lost_events = true;
                "lost"
            }
            Some(EventFaultKind::Delayed(_)) => "late",
            Some(EventFaultKind::Duplicated(_)) => "twice",
        };
        self.reach(format!("event {fate}"));
    }

    pub(crate) fn entered(&mut self, state: &str, what: &StateEvent<'_>) {
        match what.kind {
            StateEventKind::Entered => self.reach(format!("state {state}")),
            StateEventKind::Retried { error, .. } => self.reach(format!("retry {error}")),
            StateEventKind::Caught { error, .. } => self.reach(format!("catch {error}")),
        }
    }

    pub(crate) fn touched(&mut self, key: &str, hides: bool, now: Timestamp) {
        *self.moved.entry(key.to_owned()).or_default() |= !hides;
        self.touched.entry(key.to_owned()).or_default().push(now);
    }

    fn is_touched(&self, key: &str) -> bool {
        self.touched.contains_key(key)
    }

    fn is_touched_since(&self, key: &str, since: Timestamp) -> bool {
        self.touched.get(key).is_some_and(|times| times.iter().any(|time| *time >= since))
    }

    /// A retrieval that S3 has begun, or made faster.
    pub(crate) fn retrieval(&mut self, key: &str, version: Option<&str>, ready_at: Timestamp, now: Timestamp) {
        let known = self.retrievals.entry((key.to_owned(), version.map(str::to_owned))).or_default();
        known.retain(|ready| *ready <= now);
        known.push(ready_at);
    }

    /// Another tool, or a job that could not know of it, changed how long a copy lives, which would have been until then.
    pub(crate) fn kept_by_others(&mut self, key: &str, was: Timestamp, is: Timestamp) {
        self.kept_longer.entry(key.to_owned()).or_default().push(was);
        if is < was {
            self.cut_short.entry(key.to_owned()).or_default().push((is, was));
        }
    }

    /// The last retrieval of a version that is done.
    fn copy(&self, key: &str, version: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        let known = self.retrievals.get(&(key.to_owned(), version.map(str::to_owned)))?;
        known.iter().filter(|ready| **ready <= now).max().copied()
    }

    // ---- what costs money

    pub(crate) fn restore_asked(
        &mut self,
        stack: &Stack,
        lambda: &Lambda,
        object: &ObjectId,
        tier: Tier,
        answer: Option<&RestoreAnswer>,
    ) {
        let Some(answer) = answer.cloned() else { return };
        self.reach(format!("S3 {}", answer_word(&answer)));
        let restore = lambda.restore.clone().unwrap_or_default();
        let place = (restore.clone(), object.key.clone(), object.version.clone());
        if self.asked_at.get(&place).is_some_and(|settled| *settled < lambda.begun) {
            self.break_promise(
                "S3 is asked once unless the answer was lost",
                format!("{restore} asks S3 again for {object} at {tier:?}: {answer:?}"),
            );
        }
        self.asked(stack, &restore, lambda.begun, object, tier, answer);
    }

    /// A job has asked for an object.
    pub(crate) fn asked_by_job(
        &mut self,
        stack: &Stack,
        restore: &str,
        object: &ObjectId,
        tier: Tier,
        answer: Option<&RestoreAnswer>,
    ) {
        let word = answer.map_or_else(|| "is busy".to_owned(), answer_word);
        self.reach(format!("S3, to a job, {word}"));
        let Some(answer) = answer.cloned() else { return };
        self.asked(stack, restore, stack.runtime.now(), object, tier, answer);
    }

    /// S3 was asked for an object, by whoever had begun to do so at a moment.
    fn asked(
        &mut self,
        stack: &Stack,
        restore: &str,
        begun: Timestamp,
        object: &ObjectId,
        tier: Tier,
        answer: RestoreAnswer,
    ) {
        let place = (restore.to_owned(), object.key.clone(), object.version.clone());
        match self.rows.get(&place) {
            None => self.break_promise(
                "the row is written before S3 is asked",
                format!("{restore} asks S3 for {object}, which the ledger does not know"),
            ),
            Some(row) if row.decision == Decision::Watch => {
                self.break_promise("what is only watched is not asked for", format!("{restore} asks S3 for {object}"));
            }
            Some(_) => {}
        }
        let before = self.asked.entry((restore.to_owned(), object.key.clone())).or_default();
        // A function that dies between S3's yes at Standard and its note asks for Expedited again, and S3 may have capacity
        // by then. Who asked for Expedited gets it, and has paid for both.
        let is_upgrade = tier == Tier::Expedited && before.contains(&RestoreAnswer::NoExpeditedCapacity);
        let paid_before = before.contains(&RestoreAnswer::Accepted) && !is_upgrade;
        before.push(answer.clone());
        if answer == RestoreAnswer::Accepted && paid_before && !self.is_touched(&object.key) {
            self.break_promise(
                "no request is paid twice",
                format!("{restore} has S3 begin the restore of {object} again, at {tier:?}"),
            );
        }
        self.check_spending(stack, restore, tier);
        let asked = stack.asked.borrow();
        let cancelled = asked.values().find(|asked| asked.id.as_deref() == Some(restore));
        if let Some(at) = cancelled.and_then(|asked| asked.cancelled).filter(|at| *at < begun) {
            self.break_promise(
                "a cancelled restore asks for nothing more",
                format!("{restore} was cancelled at {at} and asks S3 for {object}"),
            );
        }
    }

    /// Nothing is spent before the plan is written, nor if it costs more than was allowed.
    fn check_spending(&mut self, stack: &Stack, restore: &str, tier: Tier) {
        let record = record(stack, restore);
        let wanted = record.as_ref().map(|record| record.request.tier);
        if wanted != Some(tier) && (wanted, tier) != (Some(Tier::Expedited), Tier::Standard) {
            let says = format!("{restore} wants {wanted:?}, and S3 is asked at {tier:?}");
            self.break_promise("S3 is asked for what was asked for", says);
        }
        let Some(plan) = record.as_ref().and_then(|record| record.plan.as_ref()) else {
            let says = format!("{restore} asks S3 before its plan is written");
            return self.break_promise("nothing is spent before validation and price", says);
        };
        let limit = record.as_ref().and_then(|record| record.request.max_cost_usd);
        let price: Usd = plan.cost.total_usd;
        if limit.is_some_and(|limit| price > limit) {
            let says = format!("{restore} costs {price} and may cost {limit:?}");
            self.break_promise("nothing is spent before validation and price", says);
        }
    }

    /// CloudFront accepted an invalidation that it did not have.
    pub(crate) fn invalidated(&mut self, stack: &Stack, items: &[String]) {
        let now = stack.runtime.now();
        for item in items {
            self.reach(format!("invalidated {}", if item.ends_with('*') { "wildcard" } else { "path" }));
            let asking = asking_for(stack, item);
            if asking.iter().any(|batch| batch.is_folded(DISTRIBUTION, item)) {
                self.reach("invalidated many paths by a wildcard".to_owned());
            }
            for object in &stack.world.objects {
                let Some(key) = stack.world.full_key(object.id) else { continue };
                let names = stack.world.cached_paths(object.id);
                // A viewer may spell each blank in another way.
                let in_any_spelling = item.strip_suffix('*').is_some_and(|stem| {
                    let stem = percent_decode_str(&stem.replace('+', " ")).decode_utf8_lossy().into_owned();
                    format!("/{}", object.key).starts_with(&stem)
                });
                if !in_any_spelling && !names.iter().any(|name| covers(item, name)) {
                    continue;
                }
                let looked = stack.aws.with(|sim, now| sim.look(&ObjectRef::new(BUCKET, &key), now));
                let Ok(head) = looked else { continue };
                let before = add(now, -GLANCE);
                let was_readable = stack
                    .aws
                    .with(|sim, _| sim.look(&ObjectRef::new(BUCKET, &key), before))
                    .is_ok_and(|head| head.readable);
                if !head.readable && !was_readable && !self.is_touched_since(&key, before) {
                    self.break_promise(
                        "no archived object is ever invalidated",
                        format!("{item} covers {key}, which is archived"),
                    );
                }
                let wanted = asking.iter().flat_map(|batch| &batch.candidates);
                let wanted: Vec<&Candidate> = wanted.filter(|candidate| candidate.object.key == key).collect();
                // ActionKind a wildcard covers besides those that it is asked for was not paid for.
                if item.ends_with('*') && wanted.is_empty() {
                    continue;
                }
                let Some(copy) = self.copy(&key, head.version.as_deref(), now) else { continue };
                if self.is_for_an_earlier_copy(&wanted, copy) {
                    continue;
                }
                let paths = names.iter().filter(|name| covers(item, name)).cloned();
                let paths: Vec<String> = if item.ends_with('*') { paths.collect() } else { vec![item.clone()] };
                for path in paths {
                    self.pay(&path, &key, copy, now);
                }
            }
        }
    }

    /// All that is known of the object is older than what others put or moved there, and this copy is of that: the restore
    /// that has asked for this copy pays for it when it learns of it.
    fn is_for_an_earlier_copy(&self, candidates: &[&Candidate], copy: Timestamp) -> bool {
        let known = candidates.iter().flat_map(|candidate| {
            let place = |restore: &RestoreId| {
                (restore.to_string(), candidate.object.key.clone(), candidate.object.version.clone())
            };
            candidate.restores.iter().filter_map(move |restore| match &self.rows.get(&place(restore))?.state {
                State::Restored { at, .. } => Some(*at),
                _ => None,
            })
        });
        let Some(known) = known.max() else { return false };
        candidates
            .first()
            .and_then(|candidate| self.touched.get(&candidate.object.key))
            .is_some_and(|times| times.iter().any(|time| known < *time && *time < copy))
    }

    /// A path was paid for, for the copy of an object that is readable since a moment.
    fn pay(&mut self, path: &str, key: &str, copy: Timestamp, now: Timestamp) {
        let is_glance_old = self.is_touched_since(key, add(now, -GLANCE));
        // ActionKind others put or moved there since is no copy of what was paid for.
        let is_copy = self.touched.get(key).is_none_or(|times| times.iter().all(|time| *time < copy));
        let is_known = self.kept_longer.get(key).is_none_or(|ends| ends.iter().all(|end| *end <= copy || *end > now));
        let paid = self.paid.entry((path.to_owned(), key.to_owned())).or_default();
        if is_glance_old {
            // It was paid for what was there a moment ago.
        } else if is_copy && is_known && paid.contains(&copy) {
            self.break_promise(
                "no path is paid twice for one copy",
                format!("{path} is invalidated again for the copy of {key} that is readable since {copy}"),
            );
        } else {
            paid.push(copy);
        }
    }

    // ---- what the ledger says

    /// A row was written. Without a function it was inserted.
    pub(crate) fn row(&mut self, stack: &Stack, replaced: Option<&Lambda>, row: Row) {
        self.reach(format!("row {}", row.state.word()));
        let place = (row.restore.to_string(), row.object.key.clone(), row.object.version.clone());
        let now = stack.runtime.now();
        let old = self.rows.get(&place).cloned().map(|row| self.told_by_batch(row));
        match (&old, replaced) {
            (None, None) if row.revision == 0 => {}
            (Some(old), Some(_)) => {
                let same = Row { state: old.state.clone(), revision: old.revision, ..row.clone() };
                if same != *old || row.revision != old.revision + 1 || !is_legal(&old.state, &row.state) {
                    self.break_promise(
                        "a row's history is a legal life",
                        format!("{place:?} goes from {:?} to {:?}", old.state, row.state),
                    );
                }
            }
            _ => self.break_promise("a row's history is a legal life", format!("{place:?} is written anew")),
        }
        if !matches!(row.state, State::Planned) {
            self.asked_at.entry(place.clone()).or_insert(now);
        }
        let old = old.map(|row| self.as_heard(row));
        let was_readable = old.as_ref().is_some_and(|old| matches!(old.state, State::Restored { .. }));
        match &row.state {
            State::Cancelled { .. } => self.forgets_how_long(&row.object.key, old.as_ref()),
            State::Restored { claim: Some(_), .. } if was_readable => {}
            State::Available | State::Restored { .. } => self.check_readable(stack, &row),
            _ => {}
        }
        self.stands(stack, old.as_ref(), &row);
        // It rides along with a batch that was completed before.
        let now = self.told_by_batch(row.clone());
        if now.state != row.state {
            self.stands(stack, Some(&row), &now);
        }
        self.rows.insert(place, row);
    }

    /// A row that is cancelled forgets how long it kept a copy: to the other restores of the object the copy goes away when
    /// they say.
    fn forgets_how_long(&mut self, key: &str, cancelled: Option<&Row>) {
        let Some(kept) = cancelled.and_then(|row| row.state.expires()) else { return };
        let others = self.rows.values().filter(|row| row.object.key == key).filter_map(|row| row.state.expires());
        let ends: Vec<Timestamp> = others.filter(|end| *end < kept).collect();
        self.kept_longer.entry(key.to_owned()).or_default().extend(ends);
    }

    /// An object has come to stand so, by its row or by its batch.
    fn stands(&mut self, stack: &Stack, old: Option<&Row>, row: &Row) {
        match &row.state {
            State::Published { how, .. } => {
                self.reach(format!("published {}", how_word(how)));
                let readable_since = match old.map(|old| &old.state) {
                    Some(State::Restored { at, .. }) => *at,
                    _ => stack.runtime.now(),
                };
                self.check_visible(stack, row, how, readable_since);
            }
            State::Failed { code, .. } => {
                self.reach(format!("failed {code:?}"));
                if *code == FailureCode::RetrievalTimedOut && !self.is_touched(&row.object.key) {
                    self.check_gave_up(stack, old, row);
                }
            }
            _ => {}
        }
    }

    /// A batch was written.
    pub(crate) fn batch(&mut self, stack: &Stack, batch: Batch) {
        let id = batch.id.as_str().to_owned();
        let before = self.batches.get(&id);
        if let Some((done, Some(_))) = before
            && (&done.candidates, &done.calls) != (&batch.candidates, &batch.calls)
        {
            let says = format!("batch {id} was completed as {:?}, and is {:?}", done.calls, batch.calls);
            self.break_promise("what a batch says of its objects at last, it says for ever", says);
            return;
        }
        let was_completed = before.and_then(|(_, at)| *at);
        let is_over = |call: &Call| call.completed || call.refused.is_some();
        let is_completed = batch.calls.as_ref().is_some_and(|calls| calls.iter().all(is_over));
        let completed_at = was_completed.or(is_completed.then(|| stack.runtime.now()));
        self.batches.insert(id.clone(), (batch, completed_at));
        if was_completed.is_some() || completed_at.is_none() {
            return;
        }
        let claimed = |row: &&Row| row.state.claim().is_some_and(|claim| claim.as_str() == id);
        let rows: Vec<Row> = self.rows.values().filter(claimed).cloned().collect();
        for row in rows {
            let now = self.told_by_batch(row.clone());
            if now.state != row.state {
                self.reach(format!("row {}", now.state.word()));
                self.stands(stack, Some(&row), &now);
            }
        }
    }

    /// A row as it stands given its batch: written down here once more, on purpose.
    fn told_by_batch(&self, row: Row) -> Row {
        let State::Restored { at: readable, expires, claim: Some(claim) } = &row.state else { return row };
        let Some((batch, Some(at))) = self.batches.get(claim.as_str()) else { return row };
        let mut own = batch.candidates.iter().filter(|candidate| candidate.object == row.object);
        let Some(candidate) = own.next() else { return row };
        let names = |call: &Call| {
            let mut paths = candidate.paths.get(&call.distribution).into_iter().flatten();
            paths.any(|path| call.items.iter().any(|item| covers(item, path)))
        };
        let refused = batch.calls.iter().flatten().any(|call| call.refused.is_some() && names(call));
        let state = if refused {
            let code = FailureCode::RefusedByCloudFront;
            State::Failed { at: *at, code, message: "CloudFront refused it".to_owned() }
        } else {
            let how = How::Invalidated { batch: claim.clone() };
            State::Published { at: *at, readable: *readable, expires: *expires, how }
        };
        Row { state, ..row }
    }

    /// A row as it stands given the news of its object: written down here once more, on purpose.
    fn as_heard(&self, row: Row) -> Row {
        let place = (row.restore.to_string(), row.object.key.clone(), row.object.version.clone());
        match (&row.state, self.news.get(&place)) {
            (State::Planned, Some(News { at, expires })) => {
                Row { state: State::Restored { at: *at, expires: *expires, claim: None }, ..row }
            }
            _ => row,
        }
    }

    /// News of a chunk's entries were written.
    pub(crate) fn news(&mut self, stack: &Stack, said: &NewsRecord) {
        let Some(record) = record(stack, said.restore.as_str()) else { return };
        self.reach(if said.entries.len() > 1 { "news of many" } else { "news of one" }.to_owned());
        let Some(plan) = &record.plan else { return };
        for (index, row) in (0..).zip(planned_rows(stack, &record, plan.written_at(said.chunk), said.chunk)) {
            if !said.entries.contains(&index) {
                continue;
            }
            let place = (row.restore.to_string(), row.object.key.clone(), row.object.version.clone());
            let last = self.news.entry(place).or_insert(said.news);
            if last.at <= said.news.at {
                *last = said.news;
            }
            self.check_readable(stack, &row);
        }
    }

    /// ActionKind is known of a chunk as a whole was written.
    pub(crate) fn chunk(&mut self, stack: &Stack, chunk: &ChunkRecord) {
        let Some(record) = record(stack, chunk.restore.as_str()) else { return };
        if chunk.chunk > 0 {
            self.reach("second chunk".to_owned());
        }
        for (index, row) in (0..).zip(planned_rows(stack, &record, chunk.written_at(), chunk.chunk)) {
            let place = (row.restore.to_string(), row.object.key.clone(), row.object.version.clone());
            if chunk.revision == 0 && row.state == State::Available {
                self.check_readable(stack, &row);
            }
            if let Some(at) = chunk.accepted_at(index) {
                self.reach("accepted with others".to_owned());
                self.asked_at.entry(place.clone()).or_insert(stack.runtime.now());
                let Row { kind, decision, .. } = row;
                let joined = decision == Decision::Watch;
                let wanted = record.request.tier;
                let is_offered = kind.is_none_or(|kind| kind.window(wanted).is_some());
                let tier = if joined && !is_offered { Tier::Standard } else { wanted };
                self.accepted.entry(place).or_insert(State::Restoring { since: at, tier, joined });
            }
        }
    }

    /// A restore's record was written.
    pub(crate) fn restore(&mut self, stack: &Stack, record: &RestoreRecord) {
        if record.plan.is_some() && self.planned.insert(record.id.clone()) {
            let planned = self.standing(stack, record);
            self.check_prefix(stack, record, &planned);
        }
    }

    /// ActionKind a restore of a prefix has planned is all that is there, each once.
    fn check_prefix(&mut self, stack: &Stack, record: &RestoreRecord, planned: &[Row]) {
        let Source::Prefix { prefix, .. } = &record.request.source else { return };
        for key in stack.world.objects.iter().filter_map(|object| stack.world.full_key(object.id)) {
            let times = planned.iter().filter(|row| row.object.key == key).count();
            let is_there = key.starts_with(prefix.as_str());
            if times != usize::from(is_there) && !self.is_touched(&key) {
                let says = format!("{} of {prefix:?} has {key} {times} times", record.id);
                self.break_promise("a plan has all that is under its prefix, once", says);
            }
        }
    }

    /// Where every object of a restore stands, put together from its files and from what was written of it, its chunk and its
    /// batch.
    fn standing(&self, stack: &Stack, record: &RestoreRecord) -> Vec<Row> {
        let Some(plan) = &record.plan else { return Vec::new() };
        let planned = (0..plan.chunks).flat_map(|chunk| planned_rows(stack, record, plan.written_at(chunk), chunk));
        let now = |planned: Row| {
            let place = (planned.restore.to_string(), planned.object.key.clone(), planned.object.version.clone());
            let row = match self.rows.get(&place) {
                Some(row) => row.clone(),
                // A restore that was cancelled before it did anything wants nothing of what was readable already.
                None if record.status == Status::Cancelled && matches!(planned.state, State::Restored { .. }) => {
                    Row { state: State::Cancelled { at: record.requested_at }, ..planned }
                }
                // One that could not go on did nothing about it.
                None if record.status == Status::Failed
                    && matches!(planned.state, State::Restored { .. })
                    && !planned.publish.never() =>
                {
                    Row { state: State::Planned, ..planned }
                }
                None => planned,
            };
            match (&row.state, self.accepted.get(&place)) {
                (State::Planned, _) if self.news.contains_key(&place) => self.as_heard(row),
                (State::Planned, Some(accepted)) => Row { state: accepted.clone(), ..row },
                _ => self.told_by_batch(row),
            }
        };
        planned.map(now).collect()
    }

    /// ActionKind is said to be readable is.
    fn check_readable(&mut self, stack: &Stack, row: &Row) {
        let touched = match &row.object.version {
            None => self.is_touched(&row.object.key),
            Some(_) => self.moved.get(&row.object.key) == Some(&true),
        };
        if touched {
            return;
        }
        let object = ObjectRef::version(BUCKET, &row.object.key, row.object.version.as_deref());
        let readable = stack.aws.with(|sim, now| sim.look(&object, now)).is_ok_and(|head| head.readable);
        if !readable {
            let says = format!("{} of {} is said to be readable", row.object, row.restore);
            self.break_promise("a status never says more than is known", says);
        }
    }

    /// ActionKind is given up was waited for to its deadline.
    fn check_gave_up(&mut self, stack: &Stack, old: Option<&Row>, row: &Row) {
        let now = stack.runtime.now();
        let place = (row.restore.to_string(), row.object.key.clone(), row.object.version.clone());
        let known = match old.map(|old| &old.state) {
            Some(State::Planned) => self.accepted.get(&place),
            other => other,
        };
        let waited = match known {
            Some(State::Restoring { since, tier, .. }) => {
                let deadline = row.kind.and_then(|kind| kind.window(*tier)).map(thaw_core::Window::deadline);
                // Whole seconds are counted.
                deadline.is_some_and(|deadline| *since + deadline <= add(now, SignedDuration::from_secs(1)))
            }
            _ => false,
        };
        let object = ObjectRef::version(BUCKET, &row.object.key, row.object.version.as_deref());
        let readable = stack.aws.with(|sim, now| sim.look(&object, add(now, -GLANCE))).is_ok_and(|head| head.readable);
        if !waited || readable {
            let says = format!("{} of {} was given up, {:?}, readable: {readable}", row.object, row.restore, old);
            self.break_promise("an object that S3 restored is published", says);
        }
    }

    /// ActionKind is said to be visible is: CloudFront has forgotten what it knew of it before it was readable. It may be about an
    /// earlier copy, of a restore that was cancelled before CloudFront had confirmed it.
    fn check_visible(&mut self, stack: &Stack, row: &Row, how: &How, readable_since: Timestamp) {
        let now = stack.runtime.now();
        let Some(object) = stack.world.object_with_key(&row.object.key) else { return };
        if self.is_touched(&row.object.key) {
            return;
        }
        match how {
            How::Invalidated { .. } | How::AlreadyPublished => {
                let copy = self.copy(&row.object.key, row.object.version.as_deref(), readable_since);
                let Some(copy) = copy else { return };
                let mut cut = self.cut_short.get(&row.object.key).into_iter().flatten();
                if *how == How::AlreadyPublished && cut.any(|(is, was)| *is <= copy && row.planned_at < *was) {
                    return;
                }
                let names = stack.world.cached_paths(object);
                let clean = stack.aws.with(|sim, _| {
                    let invalidations = sim.distribution(DISTRIBUTION).map_or(&[][..], |one| one.invalidations());
                    names.iter().all(|name| {
                        invalidations.iter().any(|one| {
                            one.created >= copy && one.completed <= now && one.items.iter().any(|i| covers(i, name))
                        })
                    })
                });
                if !clean {
                    let says = format!("{} of {} is said to be visible by {how:?}", row.object, row.restore);
                    self.break_promise("published means that CloudFront has completed it", says);
                }
            }
            How::NothingStale => {
                let readable = stack.aws.with(|sim, now| sim.look(&ObjectRef::new(BUCKET, &row.object.key), now));
                if readable.is_ok_and(|head| head.readable) && stack.view(object) != Some(200) {
                    let says = format!("{} of {}", row.object, row.restore);
                    self.break_promise("nothing stale means that a viewer sees it", says);
                }
            }
            How::NoPath | How::NotCurrent => {
                let says = format!("{} of {} is {how:?}", row.object, row.restore);
                self.break_promise("what a distribution shows is published", says);
            }
        }
    }

    // ---- what people are told

    pub(crate) fn answered(&mut self, stack: &Stack, ask: &RestoreRequest, status: u16, said: &Value) {
        self.reach(format!("POST answers {status}"));
        let right = if ask.is_invalid() { status == 400 } else { status == 202 || status == 200 };
        if !right {
            let says = format!("ask {} is answered with {status}: {said}", ask.id);
            self.break_promise("a request is answered as it deserves", says);
        }
        if let Some(id) = said["id"].as_str().filter(|_| status < 300)
            && !stack.executions.borrow().contains_key(id)
        {
            let says = format!("{id} was accepted, and no execution was started");
            self.break_promise("what is accepted runs", says);
        }
    }

    pub(crate) fn answered_again(
        &mut self,
        _: &Stack,
        ask: &RestoreRequest,
        before: &Asked,
        same: bool,
        said: &(u16, String),
    ) {
        self.reach(format!("POST again answers {}", said.0));
        let right = if same { said.0 == 200 && before.body.as_deref() == Some(said.1.as_str()) } else { said.0 == 422 };
        if !right {
            let says = format!("ask {} ({}) is answered with {said:?}, was {before:?}", ask.id, same);
            self.break_promise("the same key and body are the same restore", says);
        }
    }

    pub(crate) fn execution_ended(&mut self, stack: &Stack, id: &str, how: &Finished, events: u64) {
        if events > EVENTS {
            self.break_promise("an execution's history stays short", format!("{id} wrote {events} events"));
        }
        let status = record(stack, id).map(|record| record.status);
        match how {
            Finished::Stopped => self.reach("execution stopped".to_owned()),
            Finished::Died(how) => {
                self.reach(format!("execution died {how:?}"));
                self.died.insert(id.to_owned());
            }
            Finished::Succeeded => {
                self.reach("execution succeeded".to_owned());
                if status != Some(Status::Succeeded) {
                    let says = format!("{id} ended green, and its status is {status:?}");
                    self.break_promise("a status never says more than is known", says);
                }
                self.check_shown(stack, id);
            }
            Finished::Failed { error, cause } => {
                self.reach(format!("execution failed {error}"));
                let was_refused = self.refused.contains_key(id);
                if !matches!(error.as_str(), "ObjectsFailed" | "InvalidRequest") && !was_refused {
                    let says = format!("{id} gave up with {error}: {cause}");
                    self.break_promise("a restore goes on until all is settled", says);
                }
                let is_empty = cause.contains("No object that the request means");
                if let Some(record) = record(stack, id).filter(|_| is_empty) {
                    self.check_prefix(stack, &record, &[]);
                }
                if cause.trim().is_empty() {
                    self.break_promise("a red execution says why", format!("{id} ended with {error}"));
                }
                // Whoever could not report its failure is told of by Step Functions.
                let reported = self.refused.get(id).is_some_and(|steps| steps.contains(&Step::Report));
                let ended_well = reported && status == Some(Status::Succeeded);
                let is_known = !self.may_be_left(id) && !ended_well;
                if is_known && !matches!(status, Some(Status::Failed | Status::PartlyFailed | Status::Cancelled) | None)
                {
                    let says = format!("{id} ended red, and its status is {status:?}");
                    self.break_promise("a status never says more than is known", says);
                }
            }
        }
        self.check_view(stack, id);
    }

    /// ActionKind a restore published, a viewer sees.
    fn check_shown(&mut self, stack: &Stack, id: &str) {
        let mine = self.rows.values().filter(|row| row.restore.as_str() == id).cloned();
        let mine: Vec<Row> = mine.map(|row| self.told_by_batch(row)).collect();
        for row in mine.iter().filter(|row| matches!(row.state, State::Published { .. })) {
            let Some(object) = stack.world.object_with_key(&row.object.key) else { continue };
            let readable = stack.aws.with(|sim, now| sim.look(&ObjectRef::new(BUCKET, &row.object.key), now));
            // ActionKind is readable after its copy is gone was brought by somebody else, who may not have been heard.
            let is_gone = row.state.expires().is_some_and(|expires| expires <= stack.runtime.now());
            if is_gone || self.is_touched(&row.object.key) || !readable.is_ok_and(|head| head.readable) {
                continue;
            }
            let seen = stack.view(object);
            if seen != Some(200) {
                let says = format!("{} of {id} is published, and a viewer gets {seen:?}", row.object);
                self.break_promise("what is published is seen", says);
            }
        }
    }

    /// The counts of a status are those of the ledger.
    fn check_view(&mut self, stack: &Stack, id: &str) {
        let request = json!({"routeKey": "GET /v1/restores/{id}", "pathParameters": {"id": id}});
        let Ok(request) = serde_json::from_value(request) else { return };
        let response = block_on(get_restores::run(&request, &stack.ledger, &stack.files));
        let said: Value = serde_json::from_str(&response.body).unwrap_or_default();
        if response.status_code == 404 {
            return;
        }
        let Some(record) = record(stack, id) else { return };
        let planned = record.plan.is_some();
        let cancelled = said["status"] == "cancelled";
        let counts = serde_json::to_value(Counts::of(&self.standing(stack, &record))).unwrap_or_default();
        // A cancelled restore shows its open rows as cancelled already.
        if response.status_code != 200 || (planned && !cancelled && said["counts"] != counts) {
            let says = format!("{id} says {}, and the ledger {counts}", said["counts"]);
            self.break_promise("the counts of a status are those of the ledger", says);
        }
    }

    // ---- at the end

    pub(crate) fn at_the_end(&mut self, stack: &Stack) {
        let running: Vec<String> = {
            let executions = stack.executions.borrow();
            executions.iter().filter(|(_, one)| one.ended.is_none()).map(|(id, _)| id.clone()).collect()
        };
        for id in running {
            self.break_promise("an execution ends", format!("{id} still runs"));
        }
        let records: Vec<RestoreRecord> = stack
            .ledger
            .items()
            .into_iter()
            .filter(|(key, _)| key.sk == "restore")
            .filter_map(|(_, item)| serde_json::from_value(item).ok())
            .collect();
        for record in &records {
            self.reach(format!("restore {}", record.status.word()));
            if record.status == Status::Running {
                let says = format!("{} is said to run, and does not", record.id);
                self.break_promise("a status never says more than is known", says);
            }
            let says = record.says.as_deref().unwrap_or_default().trim_matches(['.', ' ']);
            if record.status == Status::Failed && says.is_empty() {
                self.break_promise("a failed restore says why", record.id.to_string());
            }
            self.check_notice(stack, record);
            self.check_view(stack, record.id.as_str());
        }
        self.check_joined(stack, &records);
        // ActionKind was only planned is left as it was.
        for record in records.iter().filter(|record| !record.request.dry_run) {
            for row in self.standing(stack, record) {
                self.check_row_at_the_end(stack, &row, record);
            }
        }
        let rows: Vec<Row> = self.rows.values().cloned().collect();
        for row in rows {
            if !records.iter().any(|record| record.id == row.restore && record.plan.is_some()) {
                let says = format!("{} of {} has no restore", row.object, row.restore);
                self.break_promise("a row belongs to a restore", says);
            }
        }
        for body in stack.dead_letters() {
            if thaw_core::read_s3_events(&body).is_ok() {
                self.break_promise("only what nobody can read goes to the dead letters", body);
            }
        }
    }

    /// ActionKind others began and thaw joined, day by day.
    fn check_joined(&mut self, stack: &Stack, records: &[RestoreRecord]) {
        let left_alone = stack.events.events().iter().filter(|(name, _)| name == "Restores Not Joined").count();
        if left_alone > 0 {
            self.reach("restores of others left alone".to_owned());
        }
        let Some(limit) = stack.world.joined_max_cost_usd.and_then(Usd::from_f64) else { return };
        let mut days: BTreeMap<String, Usd> = BTreeMap::new();
        for record in records.iter().filter(|record| record.request.join_only) {
            let price = record.plan.as_ref().map_or(Usd::default(), |plan| plan.cost.total_usd);
            let day = days.entry(record.requested_at.strftime("%Y-%m-%d").to_string()).or_default();
            *day = *day + price;
        }
        for (day, spent) in days.into_iter().filter(|(_, spent)| *spent > limit) {
            let says = format!("${spent} are planned for what others began on {day}, and ${limit} may be");
            self.break_promise("what others began costs no more than may be spent on it", says);
        }
    }

    fn check_notice(&mut self, stack: &Stack, record: &RestoreRecord) {
        let ended = matches!(record.status, Status::Succeeded | Status::PartlyFailed | Status::Failed);
        let told = |(name, detail): &(String, Value)| {
            matches!(name.as_str(), "Restore Completed" | "Restore Failed") && detail["id"] == record.id.as_str()
        };
        let started = stack.executions.borrow().contains_key(record.id.as_str());
        // Who dies while it reports, when the ledger says already how it ended, tells nobody; nor does one whose door could not be
        // sure that it was started, and told its requester that it was not.
        let died = self.died.contains(record.id.as_str()) && (record.plan.is_none() || record.status != Status::Failed);
        if ended && started && !died && !record.request.dry_run && !stack.events.events().iter().any(told) {
            self.break_promise("whoever listens is told how it ended", record.id.to_string());
        }
    }

    fn check_row_at_the_end(&mut self, stack: &Stack, row: &Row, record: &RestoreRecord) {
        // ActionKind a cancelled restore left undone is shown as cancelled, and nobody waits for it.
        let is_left = record.status == Status::Cancelled || self.may_be_left(record.id.as_str());
        // One that has failed asks for nothing more: what S3 was not asked for stays as it was planned, and so does what a job
        // had asked for when others changed the object, which ended S3's restore.
        let asked = self.asked.get(&(record.id.to_string(), row.object.key.clone()));
        let is_asked = asked.is_some_and(|answers| answers.contains(&RestoreAnswer::Accepted));
        let untouched = !self.is_touched(&row.object.key);
        let is_unasked = self.refused.contains_key(record.id.as_str()) && !(is_asked && untouched);
        let says = || format!("{} of {} ended as {:?}", row.object, row.restore, row.state);
        match &row.state {
            State::Planned if is_unasked => {}
            State::Planned | State::Restoring { .. } if !is_left => {
                self.break_promise("an execution settles every object", says());
            }
            State::Planned | State::Restoring { .. } | State::Available | State::Published { .. } => {}
            State::Restored { .. } => {
                // ActionKind a batch had claimed when its restore was cancelled is left to whoever else wants it. A restore that was
                // refused, or given up by its door, before it was planned, wants nothing: that its rows had copies is known.
                let cancelled = record.status == Status::Cancelled && row.state.claim().is_some();
                let is_left = self.may_be_left(record.id.as_str());
                if !row.publish.never() && !cancelled && !is_left {
                    self.break_promise("an object that S3 restored is published", says());
                }
            }
            State::Cancelled { .. } => {
                // A restore that its door gave up before it was planned asks for nothing either.
                if record.status != Status::Cancelled && record.plan.is_some() {
                    self.break_promise("only what is cancelled is cancelled", says());
                }
            }
            State::Failed { code, .. } => {
                if untouched && !self.is_true(stack, row, *code, record) {
                    self.break_promise("an object that S3 restored is published", says());
                }
            }
        }
    }

    /// Whether an object that nobody else touched could really not be restored or published.
    fn is_true(&self, stack: &Stack, row: &Row, code: FailureCode, record: &RestoreRecord) -> bool {
        let key = &row.object.key;
        match code {
            FailureCode::NoSuchKey
            | FailureCode::NoSuchVersion
            | FailureCode::DeleteMarker
            | FailureCode::AccessDenied
            | FailureCode::RefusedByS3
            | FailureCode::Unreadable
            | FailureCode::RefusedByCloudFront => false,
            FailureCode::TierNotOffered => row.kind.is_some_and(|kind| kind.window(record.request.tier).is_none()),
            FailureCode::ExpeditedNotAvailable => record.request.tier == Tier::Expedited,
            // Only what was to be joined, and was gone when it was planned.
            FailureCode::NotBeingRestored => record.request.join_only && row.revision == 0,
            FailureCode::PathCannotBeInvalidated => key.contains('~'),
            FailureCode::HeadRefused => {
                // A fault is about every key that has its key in it.
                let mut refused = stack.world.objects.iter().filter(|object| object.head_fails);
                refused.any(|object| stack.world.full_key(object.id).is_some_and(|part| key.contains(&part)))
            }
            // That the deadline had passed is checked when it is said. Afterwards only an event tells.
            FailureCode::RetrievalTimedOut => {
                let done = self.retrievals.get(&(key.clone(), row.object.version.clone()));
                let ready = done.and_then(|done| done.iter().min()).copied().unwrap_or(Timestamp::MAX);
                self.lost_events || ready > stack.runtime.now()
            }
        }
    }
}

/// A chunk's objects as they were planned.
fn planned_rows(stack: &Stack, record: &RestoreRecord, written_at: Timestamp, chunk: u32) -> Vec<Row> {
    let file = block_on(stack.files.get(&chunk_name(&record.id, written_at, chunk))).ok().flatten().unwrap_or_default();
    let entries: Vec<ChunkEntry> = serde_json::from_slice(&file).unwrap_or_default();
    let row = |(entry, planned): (u32, &ChunkEntry)| planned.row(record, written_at, Place { chunk, entry });
    (0..).zip(&entries).map(row).collect()
}

fn record(stack: &Stack, id: &str) -> Option<RestoreRecord> {
    let id = RestoreId::try_from(id.to_owned()).ok()?;
    block_on(stack.ledger.get(&RestoreRecord::key_of(&id))).ok()?
}

/// Which states may follow a state: written down here once more, on purpose.
fn is_legal(old: &State, new: &State) -> bool {
    match (old, new) {
        (State::Planned, State::Restoring { .. })
        // That it can be read is written down with what comes of it.
        | (
            State::Planned | State::Restoring { .. } | State::Failed { code: FailureCode::RetrievalTimedOut, .. },
            State::Restored { .. },
        )
        | (
            State::Planned | State::Restoring { .. } | State::Restored { .. },
            State::Failed { .. },
        )
        // ActionKind a batch has claimed may be paid for.
        | (
            State::Planned | State::Restoring { .. } | State::Restored { claim: None, .. },
            State::Cancelled { .. },
        ) => true,
        (
            State::Planned | State::Restoring { .. } | State::Failed { code: FailureCode::RetrievalTimedOut, .. },
            State::Published { how, .. },
        ) => match how {
            How::Invalidated { .. } => false,
            How::NothingStale | How::NoPath | How::NotCurrent | How::AlreadyPublished => true,
        },
        (State::Failed { code: FailureCode::RetrievalTimedOut, .. }, State::Failed { .. }) => true,
        (State::Restored { claim: None, expires, .. }, State::Restored { claim: Some(_), expires: kept, .. }) => {
            expires == kept
        }
        // The object is another batch's.
        (State::Restored { claim: Some(_), at, expires }, State::Restored { claim: None, at: kept, expires: same }) => {
            (at, expires) == (kept, same)
        }
        // S3 was asked again how long the copy lives.
        (State::Restored { claim: None, at, expires }, State::Restored { claim: None, at: kept, expires: new }) => {
            at == kept && expires != new
        }
        // That CloudFront is done with its paths, its batch says, and nobody writes it into the row.
        (State::Restored { claim, .. }, State::Published { how, .. }) => match how {
            How::Invalidated { .. } => false,
            // It went away while CloudFront would not listen, and its batch went on without it.
            How::NotCurrent => true,
            How::NothingStale | How::NoPath | How::AlreadyPublished => claim.is_none(),
        },
        _ => false,
    }
}

/// The batches that ask CloudFront for an item, and have no answer yet.
fn asking_for(stack: &Stack, item: &str) -> Vec<Batch> {
    let batches = stack.ledger.items().into_iter().filter(|(key, _)| key.sk == "batch");
    let batches = batches.filter_map(|(_, batch)| serde_json::from_value::<Batch>(batch).ok());
    let is_open = |call: &Call| call.invalidation.is_none() && call.items.iter().any(|one| one == item);
    batches.filter(|batch| batch.calls.iter().flatten().any(is_open)).collect()
}

fn covers(item: &str, path: &str) -> bool {
    match item.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => item == path,
    }
}

fn answer_word(answer: &RestoreAnswer) -> String {
    match answer {
        RestoreAnswer::Refused { code, .. } => format!("refuses with {code}"),
        other => format!("answers {other:?}"),
    }
}

fn how_word(how: &How) -> &'static str {
    match how {
        How::Invalidated { .. } => "invalidated",
        How::NothingStale => "nothing stale",
        How::NoPath => "no path",
        How::NotCurrent => "not current",
        How::AlreadyPublished => "already published",
    }
}
