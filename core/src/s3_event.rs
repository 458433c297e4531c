//! Reads S3's events: restores that began, completed or expired (from EventBridge or S3 notifications), and files that
//! were written to the inbox (from EventBridge).

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::bucket_name::MAX_KEY_BYTES;
use crate::inbox::ANSWER;
use crate::request::MAX_VERSION_BYTES;
use crate::{InboxFile, ObjectId, S3Uri};

/// The kinds of events about restores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3EventKind {
    /// S3 accepted a request for a restore.
    Initiated,
    /// The object can be read.
    Completed,
    /// The copy has expired.
    Expired,
}

/// One event about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Event {
    /// What happened.
    pub kind: S3EventKind,
    /// The object, with its key decoded.
    pub object: ObjectId,
    /// The time of the event, by S3's clock.
    pub at: Timestamp,
    /// When the copy expires. Only in completions, and not for Intelligent-Tiering.
    pub expires: Option<Timestamp>,
}

/// Why a message is none that thaw reads. A retry would fail again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message that is read here: {0}")]
pub struct UnreadableEvent(String);

/// The most characters of a reason. It may quote a message of a megabyte, and people have to read it.
const REASON: usize = 200;

impl UnreadableEvent {
    pub(crate) fn because(why: impl std::fmt::Display) -> Self {
        let why = why.to_string();
        match why.char_indices().nth(REASON) {
            None => Self(why),
            Some((end, _)) => Self(format!("{}…", &why[..end])),
        }
    }
}

/// Reads a message: an EventBridge event (its key is raw) or an S3 notification (its keys are form-encoded).
///
/// Unknown fields are skipped without being held in memory, because a message may have a megabyte. The test message of a
/// notification has no events.
pub fn read_s3_events(message: &str) -> Result<Vec<S3Event>, UnreadableEvent> {
    // serde would also read a JSON array as a struct, field by field.
    if !message.trim_start().starts_with('{') {
        return Err(UnreadableEvent::because("it is no JSON object"));
    }
    let shape: Shape = parse(message)?;
    if shape.detail_type.is_some() {
        return Ok(vec![parse::<Bridge>(message)?.read()?]);
    }
    if shape.records.is_some() {
        return parse::<Notification>(message)?.records.into_iter().map(Record::read).collect();
    }
    if shape.event.is_some() && parse::<Test>(message)?.event == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    Err(UnreadableEvent::because("it is neither an EventBridge event nor an S3 notification"))
}

/// Reads a message about a file that was written to the inbox: an EventBridge event (its key is raw).
///
/// `None` for an event that [`read_s3_events`] reads. Any other message is an error, and so is a file whose key is too
/// long for the key of its answer.
pub fn read_inbox_file(message: &str) -> Result<Option<InboxFile>, UnreadableEvent> {
    let is_object = message.trim_start().starts_with('{');
    match parse::<EventType>(message) {
        Ok(event) if is_object && event.detail_type == "Object Created" => parse::<Created>(message)?.read().map(Some),
        Ok(_) | Err(_) => read_s3_events(message).map(|_| None),
    }
}

fn parse<T: DeserializeOwned>(message: &str) -> Result<T, UnreadableEvent> {
    serde_json::from_str(message).map_err(UnreadableEvent::because)
}

/// The fields by which the kinds of messages are distinguished.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "detail-type")]
    detail_type: Option<IgnoredAny>,
    #[serde(rename = "Records")]
    records: Option<IgnoredAny>,
    #[serde(rename = "Event")]
    event: Option<IgnoredAny>,
}

/// The message that S3 sends once when a notification is configured.
#[derive(Deserialize)]
struct Test {
    #[serde(rename = "Event")]
    event: String,
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
            return Err(UnreadableEvent::because(format!("its source is {:?}", self.source)));
        }
        let kind = match self.detail_type.as_str() {
            "Object Restore Initiated" => S3EventKind::Initiated,
            "Object Restore Completed" => S3EventKind::Completed,
            "Object Restore Expired" => S3EventKind::Expired,
            other => return Err(UnreadableEvent::because(format!("its detail-type is {other:?}"))),
        };
        let BridgeObject { key, version_id } = self.detail.object;
        let object = object(self.detail.bucket.name, key, version_id)?;
        Ok(S3Event { kind, object, at: self.time, expires: self.detail.restore_expiry_time })
    }
}

#[derive(Deserialize)]
struct EventType {
    #[serde(rename = "detail-type")]
    detail_type: String,
}

#[derive(Deserialize)]
struct Created {
    source: String,
    detail: CreatedDetail,
}

#[derive(Deserialize)]
struct CreatedDetail {
    bucket: Bucket,
    object: CreatedObject,
}

#[derive(Deserialize)]
struct CreatedObject {
    key: String,
    size: u64,
    etag: String,
    sequencer: String,
}

impl Created {
    fn read(self) -> Result<InboxFile, UnreadableEvent> {
        if self.source != "aws.s3" {
            return Err(UnreadableEvent::because(format!("its source is {:?}", self.source)));
        }
        let CreatedObject { key, size, etag, sequencer } = self.detail.object;
        let ObjectId { bucket, key, version: _ } = object(self.detail.bucket.name, key, None)?;
        if key.len() + ANSWER.len() > MAX_KEY_BYTES {
            return Err(UnreadableEvent::because("its key leaves no room for that of its answer"));
        }
        Ok(InboxFile { at: S3Uri { bucket, key }, size, etag: etag.trim_matches('"').to_owned(), sequencer })
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
            return Err(UnreadableEvent::because(format!("its eventSource is {:?}", self.event_source)));
        }
        let kind = match self.event_name.trim_start_matches("s3:") {
            "ObjectRestore:Post" => S3EventKind::Initiated,
            "ObjectRestore:Completed" => S3EventKind::Completed,
            "ObjectRestore:Delete" => S3EventKind::Expired,
            other => return Err(UnreadableEvent::because(format!("its eventName is {other:?}"))),
        };
        let NotificationObject { key, version_id } = self.s3.object;
        let spaced = key.replace('+', " ");
        let key = percent_decode_str(&spaced)
            .decode_utf8()
            .map_err(|_| UnreadableEvent::because("its key is not UTF-8"))?
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
    if bucket.is_empty() || key.is_empty() {
        return Err(UnreadableEvent::because("its bucket or key is empty"));
    }
    if key.len() > MAX_KEY_BYTES || version.as_ref().is_some_and(|version| version.len() > MAX_VERSION_BYTES) {
        return Err(UnreadableEvent::because("its key or version is longer than any of S3's"));
    }
    Ok(ObjectId { bucket, key, version })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
    fn an_unreadable_message_is_refused_with_the_reason() {
        #[track_caller]
        fn refused(message: &str, why: &str) {
            let says = read_s3_events(message).unwrap_err().to_string();
            assert!(says.contains(why) && says.starts_with("not a message that is read here: "), "{says}");
        }
        let good = bridge("Object Restore Completed", "a");
        let with = |pointer: &str, value: Value| {
            let mut event = good.clone();
            *event.pointer_mut(pointer).unwrap() = value;
            event.to_string()
        };
        refused("", "no JSON object");
        refused("no event at all", "no JSON object");
        refused("[]", "no JSON object");
        refused(r#"["x", {}, {}]"#, "no JSON object");
        refused("{", "EOF");
        let text = good.to_string();
        refused(&text[..text.len() / 2], "EOF");
        refused(&format!("{text}{text}"), "trailing characters");
        refused("{}", "neither an EventBridge event nor an S3 notification");
        refused(r#"{"Type": "Notification", "Message": "{}", "TopicArn": "t"}"#, "neither");
        refused(r#"{"Service": "Amazon S3", "Event": "s3:Other"}"#, "neither");
        refused(r#"{"Event": {}}"#, "expected a string");
        refused(&with("/source", json!("aws.ec2")), r#"its source is "aws.ec2""#);
        refused(&with("/detail-type", json!("Object Created")), r#"its detail-type is "Object Created""#);
        refused(&with("/detail-type", json!(1)), "expected a string");
        refused(&with("/time", json!("yesterday")), "as year");
        refused(&with("/detail/object", json!({})), "missing field `key`");
        refused(&with("/detail/object/key", json!("")), "empty");
        refused(&with("/detail/bucket/name", json!("")), "empty");
        refused(&with("/detail/object/key", json!("k".repeat(1_025))), "longer than any of S3's");
        refused(&with("/detail/object/version-id", json!("v".repeat(901))), "longer than any of S3's");
        refused(&notification("ObjectCreated:Put", "a").to_string(), r#"its eventName is "ObjectCreated:Put""#);
        refused(&notification("ObjectRestore:Completed", "%ff").to_string(), "its key is not UTF-8");
        refused(r#"{"Records": [{"eventSource": "aws:sqs", "body": "x"}]}"#, "missing field");
    }

    fn created(key: &str) -> Value {
        json!({
            "version": "0", "id": "1", "detail-type": "Object Created", "source": "aws.s3", "account": "123456789012",
            "time": "2026-11-22T10:00:00Z", "region": "us-east-1", "resources": ["arn:aws:s3:::work"],
            "detail": {
                "version": "0", "bucket": {"name": "work"},
                "object": {"key": key, "size": 7, "etag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "00617F08299329D189"},
                "request-id": "r", "requester": "123456789012", "source-ip-address": "1.2.3.4", "reason": "PutObject",
            },
        })
    }

    #[test]
    fn a_file_that_was_written_is_read_and_its_key_is_raw() {
        let file = read_inbox_file(&created("inbox/a+b %2B.csv").to_string()).unwrap().unwrap();
        assert_eq!(file.at.to_string(), "s3://work/inbox/a+b %2B.csv");
        assert_eq!(
            (file.size, &*file.etag, &*file.sequencer),
            (7, "b1946ac92492d2347c6235b4d2611184", "00617F08299329D189")
        );
    }

    #[test]
    fn other_events_of_s3_are_no_files() {
        let restored = bridge("Object Restore Completed", "a").to_string();
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#;
        for message in [&restored, test] {
            assert_eq!(read_inbox_file(message), Ok(None));
        }
    }

    #[test]
    fn an_unreadable_file_event_is_refused_with_the_reason() {
        #[track_caller]
        fn refused(message: &str, why: &str) {
            let says = read_inbox_file(message).unwrap_err().to_string();
            assert!(says.contains(why), "{says}");
        }
        let with = |pointer: &str, value: Value| {
            let mut event = created("inbox/a");
            *event.pointer_mut(pointer).unwrap() = value;
            event.to_string()
        };
        refused("", "no JSON object");
        refused(r#"["Object Created"]"#, "no JSON object");
        refused("{}", "neither");
        refused(&with("/detail-type", json!("Object Deleted")), r#"its detail-type is "Object Deleted""#);
        refused(&with("/source", json!("me")), r#"its source is "me""#);
        refused(&with("/detail/object", json!({"key": "inbox/a"})), "missing field");
        refused(&with("/detail/object/size", json!(-1)), "invalid value");
        refused(&with("/detail/object/key", json!("")), "empty");
        refused(&with("/detail/object/key", json!("k".repeat(1_025))), "longer than any of S3's");
        refused(&with("/detail/object/key", json!("k".repeat(1_013))), "no room for that of its answer");
        assert!(read_inbox_file(&with("/detail/object/key", json!("k".repeat(1_012)))).is_ok());
    }

    #[test]
    fn the_longest_key_and_version_of_s3_are_read() {
        let mut event = bridge("Object Restore Completed", &"k".repeat(1_024));
        event["detail"]["object"]["version-id"] = json!("v".repeat(900));
        let object = &read_s3_events(&event.to_string()).unwrap()[0].object;
        assert_eq!((object.key.len(), object.version.as_ref().map(String::len)), (1_024, Some(900)));
    }

    #[test]
    fn a_reason_is_short_however_much_it_could_quote() {
        let mut event = bridge("Object Restore Completed", "a");
        event["source"] = json!("ü".repeat(500_000));
        let says = read_s3_events(&event.to_string()).unwrap_err().to_string();
        assert_eq!(says.chars().count(), "not a message that is read here: ".len() + REASON + 1);
        assert!(
            says.starts_with("not a message that is read here: its source is \"üü") && says.ends_with('…'),
            "{says}"
        );
    }

    #[test]
    fn skipped_fields_may_be_as_large_and_deep_as_a_message_allows() {
        let deep = "[".repeat(400_000) + &"]".repeat(400_000);
        let event = bridge("Object Restore Completed", "a").to_string();
        let event = format!("{{\"more\": {deep}, {}", &event[1..]);
        assert_eq!(read_s3_events(&event).unwrap()[0].object.key, "a");
    }
}
