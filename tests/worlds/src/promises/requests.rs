//! Promises about requests: the responses to `POST /v1/restores`, and the plans.

use serde_json::Value;
use thaw_core::{Row, Source};
use thaw_steps::ledger::restores::RestoreRecord;

use super::Checker;
use crate::environment::{ClientRequest, Environment};
use crate::world::RestoreRequest;

impl Checker {
    /// Checks the response to a request.
    pub(crate) fn answered(&mut self, env: &Environment, request: &RestoreRequest, status: u16, body: &Value) {
        self.cover(format!("POST answers {status}"));
        let is_right = if request.is_invalid() { status == 400 } else { status == 202 || status == 200 };
        if !is_right {
            let details = format!("request {} is answered with {status}: {body}", request.id);
            self.violate("a request gets the right status code", details);
        }
        if let Some(id) = body["id"].as_str().filter(|_| status < 300)
            && !env.executions.borrow().contains_key(id)
        {
            let details = format!("{id} was accepted, and no execution was started");
            self.violate("an accepted restore has an execution", details);
        }
    }

    /// Checks the response to a repeated `Idempotency-Key`.
    pub(crate) fn answered_again(
        &mut self,
        request: &RestoreRequest,
        first: &ClientRequest,
        same_body: bool,
        (status, body): (u16, &str),
    ) {
        self.cover(format!("repeated POST answers {status}"));
        let is_right =
            if same_body { status == 200 && first.response_body.as_deref() == Some(body) } else { status == 422 };
        if !is_right {
            let details =
                format!("request {} ({same_body}) is answered with {status}: {body}, was {first:?}", request.id);
            self.violate("the same key and body are the same restore", details);
        }
    }

    /// Checks that the plan of a prefix has every object of the prefix exactly once.
    pub(super) fn check_prefix(&mut self, env: &Environment, record: &RestoreRecord, planned: &[Row]) {
        let Source::Prefix { prefix, .. } = &record.request.source else { return };
        for key in env.world.objects.iter().filter_map(|object| env.world.full_key(object.id)) {
            let count = planned.iter().filter(|row| row.object.key == key).count();
            let has_prefix = key.starts_with(prefix.as_str());
            if count != usize::from(has_prefix) && !self.objects.is_changed(&key) {
                let details = format!("{} of {prefix:?} has {key} {count} times", record.id);
                self.violate("a plan has every object of its prefix exactly once", details);
            }
        }
    }
}
