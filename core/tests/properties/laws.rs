//! Laws: what holds for every input. The property tests here and the targets in `fuzz/` call them with generated inputs.
//!
//! A law panics when it is broken. The rules that it checks are written here a second time, from AWS's documents and not
//! from the code.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use thaw_core::{Head, MAX_BODY_BYTES, MAX_KEYS, Readability, Request, RestoreId, S3Event, Source, read_s3_events};

/// The most bytes of the answer to a refused request, or of the log line about a refused message. So an answer never
/// repeats a large input.
const ANSWER_BYTES: usize = 2_048;

/// A body is refused with a short problem, or it is a request that AWS would accept and that survives serialisation
/// unchanged.
pub fn request(body: &[u8]) {
    let request = match Request::read(body) {
        Ok(request) => request,
        Err(problem) => {
            assert!((400..500).contains(&problem.status), "{problem:?}");
            let answer = serde_json::to_string(&problem).unwrap();
            assert!(answer.len() <= ANSWER_BYTES, "an answer of {} bytes", answer.len());
            return;
        }
    };
    assert!(body.len() <= MAX_BODY_BYTES);
    assert!(is_bucket(&request.bucket), "{:?} is no bucket's name", request.bucket);
    match &request.source {
        Source::Keys { keys } => {
            assert!((1..=MAX_KEYS).contains(&keys.len()));
            assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "an object stands twice");
            for object in keys {
                assert!((1..=1_024).contains(&object.key.len()), "S3 has no such key: {:?}", object.key);
                assert!(object.version_id.as_ref().is_none_or(|version| (1..=1_024).contains(&version.len())));
            }
        }
        Source::Restore { .. } | Source::Manifest { .. } => {}
        Source::Prefix { prefix, .. } => {
            assert!(prefix.len() <= 1_024, "no key begins with {prefix:?}");
            assert!(!prefix.is_empty() || request.max_cost_usd.is_some(), "a whole bucket without a limit");
        }
    }
    assert_ne!(request.days, Some(0), "S3 takes no 0 days");
    let Ok(Value::Object(json)) = serde_json::from_slice(body) else { panic!("a request that is no object") };
    for name in json.keys() {
        assert!(FIELDS.contains(&name.as_str()), "{name} was overlooked");
    }
    let tier = json.get("tier").map_or(Some("Standard"), Value::as_str);
    assert_eq!(tier, Some(request.tier.as_str()), "tiers are S3's words");

    // The ledger, an execution's input and the work bucket have it in serialised form.
    let kept = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<Request>(&kept).unwrap(), request, "the ledger changes it");
    assert_eq!(Request::read(kept.as_bytes()).as_ref(), Ok(&request), "its canonical form means something else");
    // JSON objects have no order.
    let backwards: Vec<_> =
        json.iter().rev().map(|(name, value)| format!("{}:{value}", Value::from(&**name))).collect();
    let backwards = Request::read(format!("{{{}}}", backwards.join(",")).as_bytes()).unwrap();
    assert_eq!(backwards.hash(), request.hash(), "the order of the fields counts");

    execution_name(&request, "2026-11-22T10:00:00Z".parse().unwrap());
}

/// The id of a restore is a name that Step Functions accepts and that can be parsed again.
fn execution_name(request: &Request, at: Timestamp) {
    let name = RestoreId::new(at, request, "seed").to_string();
    assert!(RestoreId::try_from(name.clone()).is_ok(), "{name:?} is no execution's name");
}

/// The fields of a request.
const FIELDS: [&str; 22] = [
    "bucket",
    "keys",
    "prefix",
    "include",
    "exclude",
    "modified_after",
    "modified_before",
    "min_size",
    "max_size",
    "objects_of",
    "manifest",
    "tier",
    "days",
    "on_expedited_unavailable",
    "max_cost_usd",
    "publish",
    "notify",
    "batch_operations",
    "join_only",
    "publish_only",
    "dry_run",
    "confirm",
];

/// User Guide, "General purpose bucket naming rules": all rules about the form of a name, without the reserved words.
pub fn is_bucket(name: &str) -> bool {
    let end = |char: Option<char>| char.is_some_and(|char| char.is_ascii_lowercase() || char.is_ascii_digit());
    let octets = name.split('.').filter(|part| part.parse::<u8>().is_ok()).count();
    (3..=63).contains(&name.len())
        && name.chars().all(|char| end(Some(char)) || char == '.' || char == '-')
        && end(name.chars().next())
        && end(name.chars().last())
        && !name.contains("..")
        && !(octets == 4 && name.split('.').count() == 4)
}

/// A message is refused with a short reason, or it is about objects that S3 can have and that a request can name.
pub fn s3_events(message: &str) -> Vec<S3Event> {
    let events = match read_s3_events(message) {
        Ok(events) => events,
        Err(error) => {
            let says = error.to_string();
            assert!(says.len() <= ANSWER_BYTES, "{} bytes of log", says.len());
            return Vec::new();
        }
    };
    let json: Value = serde_json::from_str(message).unwrap();
    let records = json["Records"].as_array().map_or(0, Vec::len);
    let bridge = &json["detail"]["object"]["key"];
    assert_eq!(events.len(), if json.get("detail-type").is_some() { 1 } else { records });
    for event in &events {
        let object = &event.object;
        assert!((1..=1_024).contains(&object.key.len()), "S3 has no such key: {:?}", object.key);
        if json.get("detail-type").is_some() {
            assert_eq!(Some(object.key.as_str()), bridge.as_str(), "EventBridge's keys are as they are");
        }
        // A request can name the object of an event: thaw joins restores that others began.
        let key = serde_json::json!({"key": object.key, "version_id": object.version});
        let request = Request::parse(&serde_json::json!({"bucket": "archive", "keys": [key]}));
        let request = request.unwrap_or_else(|problem| panic!("{problem}"));
        execution_name(&request, event.at);
    }
    events
}

/// An object is readable only if the header says so in the grammar of S3's documents, and never while it says that a restore
/// is in progress.
///
/// ```text
/// header    = parameter *( "," parameter )        ; the documents show it in single quotes too
/// parameter = name "=" DQUOTE value DQUOTE        ; ongoing-request, expiry-date, and future ones
/// ```
pub fn readability(head: &Head, now: Timestamp) {
    let header = head.restore.as_deref();
    let parameter = |name: &str| header.map(|header| values(header, name)).unwrap_or_default();
    match head.readability(now) {
        Ok(Readability::Readable) => assert!(header.is_none() || parameter("ongoing-request") == ["false"], "{head:?}"),
        Ok(Readability::Copy { expires, .. }) => {
            assert!(expires > now, "{head:?}");
            assert_eq!(parameter("ongoing-request"), ["false"], "{head:?}");
            let dates = parameter("expiry-date");
            let [date] = dates[..] else { panic!("{} dates: {head:?}", dates.len()) };
            assert_eq!(jiff::fmt::rfc2822::parse(date).unwrap().timestamp(), expires, "{head:?}");
        }
        Ok(Readability::Restoring(_)) => assert_eq!(parameter("ongoing-request"), ["true"], "{head:?}"),
        Ok(Readability::Archived(_)) => assert!(!parameter("ongoing-request").contains(&"true"), "{head:?}"),
        Err(unreadable) => assert!(unreadable.to_string().len() <= ANSWER_BYTES),
    }
}

/// The values of a parameter in a header. Every second piece between quotation marks is a value, and the one before it
/// has the name.
fn values<'a>(header: &'a str, name: &str) -> Vec<&'a str> {
    let pieces: Vec<&str> = header.split('"').collect();
    let named = |pair: &&[&str]| pair[0].trim_start_matches([',', ' ', '\t', '\'']).strip_suffix('=') == Some(name);
    pieces.chunks_exact(2).filter(named).map(|pair| pair[1]).collect()
}
