//! Promises about requests that cost money: RestoreObject, by a function or by a job of S3 Batch Operations.

use std::collections::BTreeMap;

use jiff::Timestamp;
use thaw_core::{Decision, ObjectId, RestoreAnswer, Tier, Usd};
use thaw_steps::ledger::restores::RestoreRecord;

use super::Checker;
use super::ledger_reader::restore_record;
use crate::environment::{Environment, Invocation};

impl Checker {
    /// A function sent RestoreObject. There is no answer if the call failed.
    pub(crate) fn restore_requested(
        &mut self,
        env: &Environment,
        invocation: &Invocation,
        object: &ObjectId,
        tier: Tier,
        answer: Option<&RestoreAnswer>,
    ) {
        let Some(answer) = answer.cloned() else { return };
        self.cover(format!("S3 {}", description(&answer)));
        let restore = invocation.restore.clone().unwrap_or_default();
        let row = (restore.clone(), object.key.clone(), object.version.clone());
        if self.requested_at.get(&row).is_some_and(|requested_at| *requested_at < invocation.started_at) {
            self.violate(
                "S3 is asked once unless the answer was lost",
                format!("{restore} asks S3 again for {object} at {tier:?}: {answer:?}"),
            );
        }
        self.check_request(env, &restore, invocation.started_at, object, tier, answer);
    }

    /// A job requested a restore of an object. There is no answer if S3 was too busy.
    pub(crate) fn restore_requested_by_job(
        &mut self,
        env: &Environment,
        restore: &str,
        object: &ObjectId,
        tier: Tier,
        answer: Option<&RestoreAnswer>,
    ) {
        let outcome = answer.map_or_else(|| "is busy".to_owned(), description);
        self.cover(format!("S3, to a job, {outcome}"));
        let Some(answer) = answer.cloned() else { return };
        self.check_request(env, restore, env.now(), object, tier, answer);
    }

    /// Checks a request by a function that started at `started_at`, or by a job.
    fn check_request(
        &mut self,
        env: &Environment,
        restore: &str,
        started_at: Timestamp,
        object: &ObjectId,
        tier: Tier,
        answer: RestoreAnswer,
    ) {
        match self.ledger.rows.get(&(restore.to_owned(), object.key.clone(), object.version.clone())) {
            None => self.violate(
                "the row is written before S3 is asked",
                format!("{restore} asks S3 for {object}, which the ledger does not know"),
            ),
            Some(row) if row.decision == Decision::Watch => {
                self.violate("a watched object is not requested", format!("{restore} asks S3 for {object}"));
            }
            Some(row) if row.decision == Decision::Publish => {
                self.violate("who only publishes asks S3 for nothing", format!("{restore} asks S3 for {object}"));
            }
            Some(_) => {}
        }
        let answers = self.s3_answers.entry((restore.to_owned(), object.key.clone())).or_default();
        // A function that is killed after S3 accepted Standard and before it is recorded requests Expedited again, and by
        // then S3 may have capacity. The client wanted Expedited, gets it, and pays for both.
        let is_upgrade = tier == Tier::Expedited && answers.contains(&RestoreAnswer::NoExpeditedCapacity);
        let is_paid_already = answers.contains(&RestoreAnswer::Accepted) && !is_upgrade;
        answers.push(answer.clone());
        if answer == RestoreAnswer::Accepted && is_paid_already && !self.objects.is_changed(&object.key) {
            self.violate(
                "no request is paid twice",
                format!("{restore} has S3 begin the restore of {object} again, at {tier:?}"),
            );
        }
        self.check_plan_and_price(env, restore, tier);
        let requests = env.requests.borrow();
        let request = requests.values().find(|request| request.restore.as_deref() == Some(restore));
        if let Some(at) = request.and_then(|request| request.cancelled_at).filter(|at| *at < started_at) {
            self.violate(
                "a cancelled restore requests nothing more",
                format!("{restore} was cancelled at {at} and asks S3 for {object}"),
            );
        }
    }

    /// Checks that the plan is written, that it does not exceed the price limit, and that the tier is the requested one.
    fn check_plan_and_price(&mut self, env: &Environment, restore: &str, tier: Tier) {
        let record = restore_record(env, restore);
        let requested = record.as_ref().map(|record| record.request.tier);
        let is_fallback = (requested, tier) == (Some(Tier::Expedited), Tier::Standard);
        if requested != Some(tier) && !is_fallback {
            let details = format!("{restore} wants {requested:?}, and S3 is asked at {tier:?}");
            self.violate("S3 is asked for the requested tier", details);
        }
        let Some(plan) = record.as_ref().and_then(|record| record.plan.as_ref()) else {
            let details = format!("{restore} asks S3 before its plan is written");
            return self.violate("nothing is spent before validation and price", details);
        };
        let limit = record.as_ref().and_then(|record| record.request.max_cost_usd);
        let price: Usd = plan.cost.total_usd;
        if limit.is_some_and(|limit| price > limit) {
            let details = format!("{restore} costs {price} and may cost {limit:?}");
            self.violate("nothing is spent before validation and price", details);
        }
    }

    /// Checks what the joined restores of each day cost.
    pub(super) fn check_joined_cost(&mut self, env: &Environment, records: &[RestoreRecord]) {
        if env.events.events().iter().any(|(name, _)| name == "Restores Not Joined") {
            self.cover("restores of others not joined");
        }
        let Some(limit) = env.world.joined_max_cost_usd.and_then(Usd::from_f64) else { return };
        let mut days: BTreeMap<String, Usd> = BTreeMap::new();
        for record in records.iter().filter(|record| record.request.join_only) {
            let price = record.plan.as_ref().map_or(Usd::default(), |plan| plan.cost.total_usd);
            let day = days.entry(record.requested_at.strftime("%Y-%m-%d").to_string()).or_default();
            *day = *day + price;
        }
        for (day, cost) in days.into_iter().filter(|(_, cost)| *cost > limit) {
            let details = format!("${cost} are planned for what others began on {day}, and ${limit} may be");
            self.violate("joined restores cost no more than the daily limit", details);
        }
    }
}

fn description(answer: &RestoreAnswer) -> String {
    match answer {
        RestoreAnswer::Refused { code, .. } => format!("refuses with {code}"),
        other => format!("answers {other:?}"),
    }
}
