//! The events of restores: when they are due, what they look like, and what may happen to them on the way.

use super::bucket::NO_VERSION;
use super::fault::matches;
use super::object_ref::ObjectRef;
use super::random::{between, hash, hex};
use super::restore::later;
use super::storage_class::StorageClass;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a restore event announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreEvent {
    /// The restore was accepted.
    Initiated,
    /// The object is readable.
    Completed,
    /// The copy is gone; never of Intelligent-Tiering.
    Expired,
}

impl RestoreEvent {
    /// EventBridge's `detail-type`.
    pub fn detail_type(self) -> &'static str {
        match self {
            Self::Initiated => "Object Restore Initiated",
            Self::Completed => "Object Restore Completed",
            Self::Expired => "Object Restore Expired",
        }
    }
}

/// An event as it leaves S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it announces.
    pub kind: RestoreEvent,
    /// The object; the version is there in buckets that keep them.
    pub object: ObjectRef,
    /// When it happened. It may arrive later.
    pub time: Timestamp,
    /// Unique per event; a duplicate has the same.
    pub id: String,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) class: StorageClass,
    pub(super) expires: Option<Timestamp>,
    pub(super) region: String,
    pub(super) account: String,
}

impl Event {
    /// The event as EventBridge delivers it (S3 User Guide, "EventBridge event message structure").
    /// The key is raw: only S3's own notifications encode it.
    pub fn to_json(&self) -> Value {
        let mut object = json!({ "key": self.object.key, "size": self.size, "etag": self.etag });
        // Whether S3 names the null version is not documented, and its notifications leave it out.
        if let Some(version) = self.object.version.as_deref().filter(|version| *version != NO_VERSION) {
            object["version-id"] = json!(version);
        }
        let mut detail = json!({
            "version": "0",
            "event-version": "1.2",
            "bucket": { "name": self.object.bucket },
            "object": object,
            "request-id": hex(hash(1, &[&self.id]), 16).to_uppercase(),
            "source-storage-class": self.class.as_str(),
        });
        match self.kind {
            RestoreEvent::Initiated => {
                detail["requester"] = json!(self.account);
                detail["source-ip-address"] = json!("127.0.0.1");
            }
            RestoreEvent::Completed | RestoreEvent::Expired => detail["requester"] = json!("s3.amazonaws.com"),
        }
        if let (RestoreEvent::Completed, Some(expires)) = (self.kind, self.expires) {
            detail["restore-expiry-time"] = json!(to_seconds(expires));
        }
        json!({
            "version": "0",
            "id": self.id,
            "detail-type": self.kind.detail_type(),
            "source": "aws.s3",
            "account": self.account,
            "time": to_seconds(self.time),
            "region": self.region,
            "resources": [format!("arn:aws:s3:::{}", self.object.bucket)],
            "detail": detail,
        })
    }
}

/// RFC 3339 with whole seconds, as EventBridge writes times.
fn to_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What happens to events on their way: they may get lost, come twice, come late, and overtake each other.
/// The faults that hold when an event happens are its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventFaults {
    /// These are lost.
    pub drop: Vec<DropRule>,
    /// Every event comes so many times more.
    pub duplicate: u32,
    /// Every event comes so many model seconds later than it happened.
    pub delay_seconds: u32,
    /// Every event and every duplicate comes up to so many model seconds later still, each its own.
    pub jitter_seconds: u32,
}

/// Which events get lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DropRule {
    /// What they announce; absent is anything.
    pub kind: Option<RestoreEvent>,
    /// Of which keys: a glob when it has `*` or `?`, otherwise a part of the key. Absent is any.
    pub key: Option<String>,
    /// How many are lost before the rule is used up; absent is all.
    pub times: Option<u32>,
}

/// An event that happened, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentEvent {
    /// What it announced.
    pub kind: RestoreEvent,
    /// The object.
    #[serde(flatten)]
    pub object: ObjectRef,
    /// When it happened.
    pub time: Timestamp,
    /// How often it arrives; 0 is lost.
    pub copies: u32,
}

/// Events by the time at which they will happen, then by the time at which they arrive, and what became of all.
#[derive(Debug, Default)]
pub(crate) struct EventSchedule {
    pub(super) pending: BTreeMap<(Timestamp, u64), Pending>,
    pub(super) on_the_way: BTreeMap<(Timestamp, u64), Event>,
    serial: u64,
    pub(crate) faults: EventFaults,
    pub(crate) sent: Vec<SentEvent>,
}

/// An event that will happen, unless the object has another fate until then.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) kind: RestoreEvent,
    pub(super) object: ObjectRef,
    /// The id inside the bucket: an object that was put anew is another one.
    pub(super) version_id: String,
}

impl EventSchedule {
    pub(crate) fn schedule(&mut self, kind: RestoreEvent, object: &ObjectRef, version_id: &str, at: Timestamp) {
        self.serial += 1;
        let pending = Pending { kind, object: object.clone(), version_id: version_id.to_owned() };
        self.pending.insert((at, self.serial), pending);
    }

    /// When something is to be done for events next: one happens, or one arrives.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let happens = self.pending.first_key_value().map(|((at, _), _)| *at);
        let arrives = self.on_the_way.first_key_value().map(|((at, _), _)| *at);
        [happens, arrives].into_iter().flatten().min()
    }

    /// Sends an event on its way, as often and as late as the faults want it.
    pub(super) fn send(&mut self, event: &Event) {
        let copies = if self.is_lost(event.kind, &event.object.key) { 0 } else { 1 + self.faults.duplicate };
        for copy in 0..copies {
            let jitter = between(hash(u64::from(copy), &[&event.id]), 0, i64::from(self.faults.jitter_seconds));
            let arrives = later(event.time, i64::from(self.faults.delay_seconds) + jitter);
            self.serial += 1;
            self.on_the_way.insert((arrives, self.serial), event.clone());
        }
        let object = event.object.clone();
        self.sent.push(SentEvent { kind: event.kind, object, time: event.time, copies });
    }

    fn is_lost(&mut self, kind: RestoreEvent, key: &str) -> bool {
        let rule = self.faults.drop.iter_mut().find(|rule| {
            rule.times != Some(0)
                && rule.kind.is_none_or(|wanted| wanted == kind)
                && rule.key.as_deref().is_none_or(|pattern| matches(pattern, key))
        });
        let Some(rule) = rule else { return false };
        rule.times = rule.times.map(|times| times - 1);
        true
    }
}
