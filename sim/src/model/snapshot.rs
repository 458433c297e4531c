//! Everything at a glance, as JSON: for a person who wonders and for a test that asserts on outcomes.

use super::restore::RestoreState;
use super::{ObjectRef, RestoreCalls, Sim};
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
            "events": { "sent": self.outbox.sent, "next_at": self.next_event_at(), "faults": self.outbox.faults },
            "faults": self.faults.rules(),
            "retrievals": self.retrieval_rules,
        })
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
