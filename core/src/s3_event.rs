//! The two shapes in which S3 tells that a restore began or ended.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use crate::ObjectId;
use crate::problem::cut;
use crate::request::{MAX_KEY_BYTES, MAX_VERSION_BYTES};

/// What S3 says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3EventKind {
    /// Somebody asked for a restore, and S3 accepted.
    Initiated,
    /// The object can be read.
    Completed,
    /// The copy is gone.
    Expired,
}

/// One event about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Event {
    /// What happened.
    pub kind: S3EventKind,
    /// To which object, its key decoded.
    pub object: ObjectId,
    /// When, by S3's clock.
    pub at: Timestamp,
    /// When the copy goes away. Only on completions, and not for Intelligent-Tiering.
    pub expires: Option<Timestamp>,
}

/// A message that is not an event of S3 that thaw knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an S3 restore event: {0}")]
pub struct UnreadableEvent(String);

/// The reason goes into a log, so it is not as long as a sender may make it.
fn unreadable(why: impl ToString) -> UnreadableEvent {
    UnreadableEvent(cut(why.to_string()))
}

/// Reads a message: an EventBridge event (its key is raw) or an S3 notification (its keys are form-encoded).
///
/// Unknown fields are ignored. A notification's test message holds no events.
pub fn read_s3_events(message: &str) -> Result<Vec<S3Event>, UnreadableEvent> {
    let value: Value = serde_json::from_str(message).map_err(unreadable)?;
    if value.get("detail-type").is_some() {
        let event: Bridge = serde_json::from_value(value).map_err(unreadable)?;
        return Ok(vec![event.read()?]);
    }
    if value.get("Records").is_some() {
        let event: Notification = serde_json::from_value(value).map_err(unreadable)?;
        return event.records.into_iter().map(Record::read).collect();
    }
    if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    Err(UnreadableEvent("neither an EventBridge event nor an S3 notification".to_owned()))
}

#[derive(Deserialize)]
struct Bridge {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    time: Timestamp,
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    bucket: Bucket,
    object: BridgeObject,
    restore_expiry_time: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BridgeObject {
    key: String,
    version_id: Option<String>,
}

impl Bridge {
    fn read(self) -> Result<S3Event, UnreadableEvent> {
        if self.source != "aws.s3" {
            return Err(unreadable(format!("its source is {:?}", self.source)));
        }
        let kind = match self.detail_type.as_str() {
            "Object Restore Initiated" => S3EventKind::Initiated,
            "Object Restore Completed" => S3EventKind::Completed,
            "Object Restore Expired" => S3EventKind::Expired,
            other => return Err(unreadable(format!("its detail-type is {other:?}"))),
        };
        let BridgeObject { key, version_id } = self.detail.object;
        let object = object(self.detail.bucket.name, key, version_id)?;
        Ok(S3Event { kind, object, at: self.time, expires: self.detail.restore_expiry_time })
    }
}

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_source: String,
    event_name: String,
    event_time: Timestamp,
    s3: S3,
    glacier_event_data: Option<GlacierEventData>,
}

#[derive(Deserialize)]
struct S3 {
    bucket: Bucket,
    object: NotificationObject,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotificationObject {
    key: String,
    version_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GlacierEventData {
    restore_event_data: Option<RestoreEventData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RestoreEventData {
    lifecycle_restoration_expiry_time: Option<Timestamp>,
}

impl Record {
    fn read(self) -> Result<S3Event, UnreadableEvent> {
        if self.event_source != "aws:s3" {
            return Err(unreadable(format!("its eventSource is {:?}", self.event_source)));
        }
        let kind = match self.event_name.trim_start_matches("s3:") {
            "ObjectRestore:Post" => S3EventKind::Initiated,
            "ObjectRestore:Completed" => S3EventKind::Completed,
            "ObjectRestore:Delete" => S3EventKind::Expired,
            other => return Err(unreadable(format!("its eventName is {other:?}"))),
        };
        let NotificationObject { key, version_id } = self.s3.object;
        let spaced = key.replace('+', " ");
        let key = percent_decode_str(&spaced)
            .decode_utf8()
            .map_err(|_| UnreadableEvent("its key is not UTF-8".to_owned()))?
            .into_owned();
        let object = object(self.s3.bucket.name, key, version_id)?;
        let expires = self
            .glacier_event_data
            .and_then(|data| data.restore_event_data)
            .and_then(|data| data.lifecycle_restoration_expiry_time);
        Ok(S3Event { kind, object, at: self.event_time, expires })
    }
}

fn object(bucket: String, key: String, version: Option<String>) -> Result<ObjectId, UnreadableEvent> {
    let version = version.filter(|version| !version.is_empty());
    if bucket.is_empty()
        || !(1..=MAX_KEY_BYTES).contains(&key.len())
        || version.as_ref().is_some_and(|version| version.len() > MAX_VERSION_BYTES)
    {
        // What cannot be asked for cannot be joined, and would take the others of its batch down with it.
        return Err(UnreadableEvent("its bucket or key is empty, or its key or version too long".to_owned()));
    }
    Ok(ObjectId { bucket, key, version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bridge(detail_type: &str, key: &str) -> Value {
        json!({
            "version": "0", "id": "1", "detail-type": detail_type, "source": "aws.s3", "account": "123456789012",
            "time": "2026-11-22T10:00:00Z", "region": "us-east-1", "resources": ["arn:aws:s3:::archive"],
            "detail": {
                "version": "0", "event-version": "1.2", "bucket": {"name": "archive"},
                "object": {"key": key, "size": 1, "etag": "x", "version-id": "v1"},
                "request-id": "r", "requester": "s3.amazonaws.com",
                "restore-expiry-time": "2026-11-26T00:00:00Z", "source-storage-class": "GLACIER",
            },
        })
    }

    fn notification(name: &str, key: &str) -> Value {
        json!({"Records": [{
            "eventVersion": "2.6", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-11-22T10:00:00.000Z", "eventName": name,
            "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "archive"}, "object": {"key": key, "size": 1, "eTag": "x"}},
            "glacierEventData": {"restoreEventData": {
                "lifecycleRestorationExpiryTime": "2026-11-26T00:00:00.000Z", "lifecycleRestoreStorageClass": "GLACIER",
            }},
        }]})
    }

    #[test]
    fn eventbridge_keys_are_raw() {
        let event = &read_s3_events(&bridge("Object Restore Completed", "a+b %2B.jpg").to_string()).unwrap()[0];
        assert_eq!(event.object.key, "a+b %2B.jpg");
        assert_eq!(event.object.version.as_deref(), Some("v1"));
        assert_eq!(event.kind, S3EventKind::Completed);
        assert_eq!(event.expires, Some("2026-11-26T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn notification_keys_are_form_encoded() {
        let event =
            &read_s3_events(&notification("ObjectRestore:Post", "dir/a+b%2Bc%C3%BC.jpg").to_string()).unwrap()[0];
        assert_eq!(event.object.key, "dir/a b+cü.jpg");
        assert_eq!(event.kind, S3EventKind::Initiated);
    }

    #[test]
    fn an_intelligent_tiering_completion_has_no_expiry() {
        let mut event = bridge("Object Restore Completed", "a");
        event["detail"].as_object_mut().unwrap().remove("restore-expiry-time");
        assert_eq!(read_s3_events(&event.to_string()).unwrap()[0].expires, None);
    }

    #[test]
    fn the_test_message_of_a_notification_is_no_event() {
        assert_eq!(read_s3_events(r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#), Ok(Vec::new()));
    }

    #[test]
    fn a_log_line_is_short_whatever_the_sender_wrote() {
        let long = "x".repeat(100_000);
        let mut late = bridge("Object Restore Completed", "a");
        late["time"] = long.as_str().into();
        for message in [bridge(&long, "a"), notification(&long, "a"), late] {
            assert!(read_s3_events(&message.to_string()).unwrap_err().to_string().len() < 200);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let mut foreign = bridge("Object Restore Completed", "a");
        foreign["source"] = json!("aws.ec2");
        let mut keyless = bridge("Object Restore Completed", "a");
        keyless["detail"]["object"] = json!({});
        let mut versioned = bridge("Object Restore Completed", "a");
        versioned["detail"]["object"]["version-id"] = "v".repeat(901).into();
        for message in [
            "",
            "{",
            "[]",
            "{}",
            &foreign.to_string(),
            &keyless.to_string(),
            r#"{"Service":"Amazon S3","Event":"s3:Other"}"#,
            &notification("ObjectRestore:Completed", "a").to_string().replace("aws:s3", "aws:ec2"),
            &bridge("Object Restore Completed", "").to_string(),
            &bridge("Object Restore Completed", "a").to_string().replace("\"archive\"", "\"\""),
            &bridge("Object Created", "a").to_string(),
            &bridge("Object Restore Completed", &"k".repeat(1_025)).to_string(),
            &versioned.to_string(),
            &notification("ObjectRestore:Completed", "%ff").to_string(),
        ] {
            assert!(read_s3_events(message).is_err(), "{message}");
        }
    }

    #[test]
    fn the_longest_key_is_read_and_an_empty_version_is_none() {
        let key = "k".repeat(1_024);
        let message = bridge("Object Restore Completed", &key).to_string().replace("\"v1\"", "\"\"");
        let object = ObjectId { bucket: "archive".to_owned(), key, version: None };
        assert_eq!(read_s3_events(&message).unwrap()[0].object, object);
    }
}
