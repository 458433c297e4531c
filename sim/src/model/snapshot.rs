//! Everything at a glance, as JSON: for a person who wonders and for a test that asserts on outcomes.

use super::restore::RestoreState;
use super::{ApiError, ObjectRef, RestoreCalls, RestoreEvent, Sim};
use jiff::Timestamp;
use serde_json::{Value, json};

impl Sim {
    /// What came of the restore calls for an object. The version is needed in a bucket that keeps them.
    pub fn restore_calls(&self, object: &ObjectRef) -> RestoreCalls {
        self.restores.get(object).copied().unwrap_or_default()
    }

    /// What came of all restore calls, by object and version.
    pub fn all_restore_calls(&self) -> impl Iterator<Item = (&ObjectRef, &RestoreCalls)> {
        self.restores.iter()
    }

    /// The whole state: clock, objects, restore calls, distributions with their invalidations, calls per operation,
    /// events, and the rules that are set.
    pub fn snapshot(&self, now: Timestamp) -> Value {
        json!({
            "now": now,
            "settings": self.settings,
            "calls": self.calls,
            "objects": self.objects(now),
            "restore_calls": self.restore_ledger(),
            "distributions": self.distributions.values().map(|distribution| distribution.snapshot(now)).collect::<Vec<_>>(),
            "jobs": self.jobs().iter().map(|job| {
                let (succeeded, failed) = job.progress();
                json!({
                    "id": job.id, "description": job.request.description, "status": job.status, "created": job.created,
                    "manifest": job.request.manifest.key, "objects": job.tasks.len(), "succeeded": succeeded,
                    "failed": failed, "why": job.why,
                })
            }).collect::<Vec<_>>(),
            "events": { "sent": self.event_schedule.sent, "next_at": self.next_event_at(), "faults": self.event_schedule.faults },
            "faults": self.faults.rules(),
            "retrievals": self.retrieval_rules,
        })
    }

    /// The same in numbers, for a bucket with very many objects: of those whose keys begin with a prefix, how their
    /// restores stand and what came of the calls for them; of the rest how often.
    pub fn summary(&self, bucket: &str, prefix: &str, now: Timestamp) -> Result<Value, ApiError> {
        let (mut none, mut ongoing, mut copy) = (0, 0, 0);
        for (_, versions) in self.bucket(bucket)?.under(prefix) {
            for object in versions.iter().filter_map(|version| version.object.as_ref()) {
                match object.restore_at(now) {
                    RestoreState::None => none += 1,
                    RestoreState::Ongoing { .. } => ongoing += 1,
                    RestoreState::Copy { .. } => copy += 1,
                }
            }
        }
        let (mut sum, mut asked, mut twice) = (RestoreCalls::default(), 0, 0);
        let of_bucket = self.restores.range(ObjectRef::new(bucket, prefix)..);
        let of_prefix = of_bucket.take_while(|(object, _)| object.bucket == bucket && object.key.starts_with(prefix));
        for (_, calls) in of_prefix {
            asked += 1;
            twice += u32::from(calls.started > 1);
            sum.calls += calls.calls;
            sum.started += calls.started;
            sum.upgraded += calls.upgraded;
            sum.extended += calls.extended;
        }
        let sent = |kind| self.event_schedule.sent.iter().filter(|event| event.kind == kind).count();
        let distribution = |one: &crate::cdn::Distribution| {
            let items = one.invalidations().iter().flat_map(|one| &one.items);
            json!({
                "id": one.id(), "invalidations": one.invalidations().len(), "paths": items.clone().count(),
                "wildcards": items.filter(|item| item.ends_with('*')).count(),
            })
        };
        Ok(json!({
            "now": now,
            "calls": self.calls,
            "objects": { "none": none, "ongoing": ongoing, "copy": copy },
            "restore_calls": { "objects": asked, "started_more_than_once": twice, "sum": sum },
            "distributions": self.distributions.values().map(distribution).collect::<Vec<_>>(),
            "events": {
                "sent": {
                    "initiated": sent(RestoreEvent::Initiated), "completed": sent(RestoreEvent::Completed),
                    "expired": sent(RestoreEvent::Expired),
                },
                "next_at": self.next_event_at(),
            },
        }))
    }

    fn restore_ledger(&self) -> Vec<Value> {
        let entries = self.restores.iter();
        entries
            .map(|(object, calls)| {
                json!({
                    "bucket": object.bucket, "key": object.key, "version": object.version, "calls": calls.calls,
                    "started": calls.started, "upgraded": calls.upgraded, "extended": calls.extended,
                })
            })
            .collect()
    }

    fn objects(&self, now: Timestamp) -> Vec<Value> {
        let mut objects = Vec::new();
        for (bucket, content) in &self.buckets {
            for (key, versions) in &content.keys {
                for version in versions {
                    let Some(head) = version.head(now) else { continue };
                    let (restore, at) = match head.restore {
                        RestoreState::None => ("none", None),
                        RestoreState::Ongoing { ready_at } => ("ongoing", Some(ready_at)),
                        RestoreState::Copy { expires } => ("copy", Some(expires)),
                    };
                    objects.push(json!({
                        "bucket": bucket, "key": key, "version": head.version, "class": head.class,
                        "archive_status": head.archive_status, "readable": head.readable, "size": head.size,
                        "restore": { "state": restore, "until": at },
                    }));
                }
            }
        }
        objects
    }
}
