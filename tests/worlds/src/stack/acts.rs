//! ActionKind people and other tools do in a world.

use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use thaw_core::{ObjectId, RestoreAnswer, Tier};
use thaw_sim::Sim;
use thaw_sim::model::ObjectRef;
use thaw_steps::Step;
use thaw_steps::ports::RequestRestores;

use super::{BUCKET, CROWD, DISTRIBUTION, PATHS_PER_SECOND, Stack, class, put, response};
use crate::runtime::add;
use crate::world::{Action, ActionKind, RestoreRequest};

impl Stack {
    pub(super) async fn act(self: &Rc<Self>, act: Action) {
        self.tell(|| match &act.kind {
            ActionKind::ViewObject { object } => format!("* a viewer asks for {:?}", self.world.full_key(*object)),
            what => format!("* {what:?}"),
        });
        match act.kind {
            ActionKind::Request(ask) => self.ask(&ask).await,
            ActionKind::RepeatRequest { request, same_body } => self.ask_again(request, same_body).await,
            ActionKind::CancelRequest { request } => self.cancel(request).await,
            ActionKind::RestoreByOtherTool { object, tier, days } => self.foreign(object, tier, days).await,
            ActionKind::DeleteObject { object } => self.touch(object, self.world.versioned, |sim, key, now| {
                let _ = sim.delete_object(&ObjectRef::new(BUCKET, key), now);
            }),
            ActionKind::OverwriteObject { object, storage_tier } => {
                self.touch(object, self.world.versioned, |sim, key, now| {
                    let _ = sim.put_object(put(key, storage_tier), now);
                });
            }
            ActionKind::TransitionObject { object, storage_tier } => self.touch(object, false, |sim, key, now| {
                let (class, tier) = class(storage_tier);
                let _ = sim.transition(&ObjectRef::new(BUCKET, key), class, tier, now);
            }),
            ActionKind::ViewObject { object } => {
                self.view(object);
            }
            ActionKind::UseUpInvalidationQuota { seconds } => self.crowd(seconds).await,
            ActionKind::ExpeditedUnavailable { seconds } => {
                self.no_capacity_until.set(add(self.runtime.now(), SignedDuration::from_secs(i64::from(seconds))));
            }
            ActionKind::CancelBatchJobs => self.aws.with(|sim, now| {
                let ids: Vec<String> = sim.jobs().iter().map(|job| job.id.clone()).collect();
                for id in ids {
                    let _is_over = sim.update_job_status(&id, "Cancelled", now);
                }
            }),
            ActionKind::MalformedMessage { form } => self.poison(form),
        }
    }

    async fn ask(self: &Rc<Self>, ask: &RestoreRequest) {
        let body = self.body(ask);
        for attempt in 0..6 {
            let (status, said) = self.post(ask, &body, attempt).await;
            if status < 500 {
                let json: Value = serde_json::from_str(&said).unwrap_or_default();
                self.check.borrow_mut().answered(self, ask, status, &json);
                if status < 300 {
                    let mut asked = self.asked.borrow_mut();
                    let asked = asked.entry(ask.id).or_default();
                    asked.id = json["id"].as_str().map(str::to_owned);
                    asked.body = Some(said);
                }
                return;
            }
            if !ask.has_idempotency_key {
                return;
            }
            self.runtime.sleep(SignedDuration::from_secs(20 << attempt)).await;
        }
    }

    async fn post(self: &Rc<Self>, ask: &RestoreRequest, body: &str, attempt: u32) -> (u16, String) {
        let mut request = json!({
            "routeKey": "POST /v1/restores", "body": body,
            "requestContext": {"requestId": format!("request {} {attempt}", ask.id)},
        });
        if ask.has_idempotency_key {
            request["headers"] = json!({"idempotency-key": format!("key-{}", ask.id)});
        }
        let response = response(self.invoke(Step::CreateRestore, request).await);
        self.tell(|| format!("  POST answers {response:?}"));
        response
    }

    fn body(&self, ask: &RestoreRequest) -> String {
        let keys: Vec<String> = ask.objects.iter().filter_map(|object| self.world.full_key(*object)).collect();
        let mut body = json!({
            "bucket": BUCKET, "keys": keys, "tier": ask.tier,
            "publish": {"when": ask.publish_when, "only_if_stale": ask.only_if_stale, "max_over": ask.max_over},
        });
        if let (Some(prefix), Some(body)) = (ask.prefix, body.as_object_mut()) {
            let origin_path = self.world.origin_path.trim_start_matches('/');
            let prefix = if origin_path.is_empty() { prefix.to_owned() } else { format!("{origin_path}/{prefix}") };
            body.remove("keys");
            // The whole bucket is only taken with a limit.
            if prefix.is_empty() && ask.max_cost_usd.is_none() {
                body.insert("max_cost_usd".to_owned(), json!(1_000));
            }
            body.insert("prefix".to_owned(), json!(prefix));
        }
        if ask.dry_run {
            body["dry_run"] = json!(true);
        }
        if let Some(days) = ask.days {
            body["days"] = json!(days);
        }
        if let Some(limit) = ask.max_cost_usd {
            body["max_cost_usd"] = json!(limit);
        }
        if ask.fail_without_capacity {
            body["on_expedited_unavailable"] = json!("fail");
        }
        if let Some(batch_operations) = ask.batch_operations {
            body["batch_operations"] = json!(batch_operations);
        }
        if ask.malformed {
            body["colour"] = json!("red");
        }
        body.to_string()
    }

    async fn ask_again(self: &Rc<Self>, id: u32, same: bool) {
        let Some(ask) = self.find_ask(id) else { return };
        let before = self.asked.borrow().get(&id).cloned().unwrap_or_default();
        if !ask.has_idempotency_key || before.id.is_none() {
            return;
        }
        let body = if same { self.body(&ask) } else { json!({"bucket": BUCKET, "keys": ["another"]}).to_string() };
        let said = self.post(&ask, &body, 100).await;
        if said.0 < 500 {
            self.check.borrow_mut().answered_again(self, &ask, &before, same, &said);
        }
    }

    async fn cancel(self: &Rc<Self>, id: u32) {
        let asked = self.asked.borrow().get(&id).and_then(|asked| asked.id.clone());
        let Some(restore) = asked else { return };
        let request = json!({"routeKey": "DELETE /v1/restores/{id}", "pathParameters": {"id": restore}});
        for attempt in 0..8 {
            let (status, said) = response(self.invoke(Step::CancelRestore, request.clone()).await);
            self.tell(|| format!("  DELETE answers {status}: {said}"));
            if status < 500 {
                if status == 202 {
                    let mut asked = self.asked.borrow_mut();
                    asked.entry(id).or_default().cancelled = Some(self.runtime.now());
                }
                return;
            }
            self.runtime.sleep(SignedDuration::from_secs(20 << attempt)).await;
        }
    }

    async fn foreign(&self, object: u32, tier: Tier, days: u32) {
        let Some(key) = self.world.full_key(object) else { return };
        let id = ObjectId { bucket: BUCKET.to_owned(), key, version: None };
        let expires = || self.aws.with(|sim, now| sim.copy_until(&ObjectRef::new(BUCKET, &id.key), now));
        let before = expires();
        let answer = self.aws.restore(&id, Some(days), tier).await;
        let answer = match answer {
            Ok(RestoreAnswer::Refused { .. }) => self.aws.restore(&id, None, tier).await,
            other => other,
        };
        self.tell(|| format!("    S3 answers the other tool: {answer:?}"));
        if let (Some(was), Some(is)) = (before, expires()) {
            self.check.borrow_mut().kept_by_others(&id.key, was, is);
        }
        self.note_retrieval(&id.key, None);
    }

    fn touch(&self, object: u32, hides: bool, act: impl FnOnce(&mut Sim, &str, Timestamp)) {
        let Some(key) = self.world.full_key(object) else { return };
        self.check.borrow_mut().touched(&key, hides, self.runtime.now());
        self.aws.with(|sim, now| act(sim, &key, now));
    }

    /// ActionKind viewers get who ask for an object in every spelling of its path: the worst of the answers.
    pub(crate) fn view(&self, object: u32) -> Option<u16> {
        let view = |path: String| {
            let answer = self.aws.with(|sim, now| sim.serve(DISTRIBUTION, &path, now)).ok()?;
            self.tell(|| format!("    the edge answers {}, {:?} to {path}", answer.status, answer.outcome));
            Some(answer.status)
        };
        self.world.viewer_paths(object).into_iter().filter_map(view).max()
    }

    /// Other people's invalidations, as many as the quotas allow.
    async fn crowd(&self, seconds: u32) {
        let until = add(self.runtime.now(), SignedDuration::from_secs(i64::from(seconds)));
        let mut count = 0;
        while self.runtime.now() < until {
            let items: Vec<String> = (0..CROWD).map(|n| format!("/others/{n}")).collect();
            let wild: Vec<String> = (0..2).map(|n| format!("/others/{n}/*")).collect();
            for items in [items, wild] {
                count += 1;
                let reference = format!("others-{count}-{until}");
                self.aws.with(|sim, now| {
                    let request = thaw_sim::cdn::InvalidationRequest::new(DISTRIBUTION, &reference, items);
                    let _ = sim.create_invalidation(&request, now);
                });
            }
            // At first also somebody who uses a third of what CloudFront takes in a second.
            let seconds = if count == 2 { 60 } else { 0 };
            for second in 0..seconds {
                let items: Vec<String> = (0..PATHS_PER_SECOND / 3).map(|n| format!("/another/{n}")).collect();
                self.aws.with(|sim, now| {
                    let reference = format!("another-{second}-{until}");
                    let request = thaw_sim::cdn::InvalidationRequest::new(DISTRIBUTION, &reference, items);
                    let _ = sim.create_invalidation(&request, now);
                });
                self.runtime.sleep(SignedDuration::from_secs(1)).await;
            }
            self.runtime.sleep(SignedDuration::from_secs(120 - seconds)).await;
        }
    }

    fn poison(self: &Rc<Self>, form: u32) {
        let body = match form {
            0 => "not JSON".to_owned(),
            1 => r#"{"version":"0","detail-type":"Object Restore Comp"#.to_owned(),
            2 => json!({"Type": "Notification", "Message": "hello"}).to_string(),
            3 => json!({"source": "aws.s3", "detail-type": "Object Restore Completed", "detail": {}}).to_string(),
            _ => "[]".to_owned(),
        };
        for queue in 0..2 {
            self.send(queue, body.clone(), SignedDuration::ZERO);
        }
    }

    pub(crate) fn find_ask(&self, id: u32) -> Option<RestoreRequest> {
        self.world.actions.iter().find_map(|act| match &act.kind {
            ActionKind::Request(ask) if ask.id == id => Some(ask.clone()),
            _ => None,
        })
    }
}
