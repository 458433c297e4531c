//! The answer to CloudFormation, as long as it may be.

use serde::Serialize;

use crate::request::Request;
use crate::resource::Data;

/// The bytes that an answer may have (CloudFormation User Guide, "Custom resource response objects").
pub const MAX_BODY_BYTES: usize = 4_096;

/// The bytes that a physical id may have (the same).
pub(crate) const MAX_ID_BYTES: usize = 1_024;

/// The physical id of what was not made. CloudFormation wants one also of a creation that failed, and then deletes it.
pub(crate) const NOT_MADE: &str = "not-made";

/// How an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The resource is what the template says.
    Success,
    /// It is not.
    Failed,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub physical_id: String,
    pub result: Result<Data, String>,
}

/// An answer on the wire.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    status: Status,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Data::is_empty")]
    data: &'a Data,
}

impl Answer {
    /// The body of the answer to a request, and the status in it.
    ///
    /// A reason that is too long is cut between words. With attributes that are too long the resource has failed. `None`
    /// if what the answer must repeat leaves no room.
    pub fn body(&self, request: &Request) -> Option<(Status, Vec<u8>)> {
        let body = |status, reason: &str, data: &Data| {
            let body = Body {
                status,
                reason,
                physical_resource_id: &self.physical_id,
                stack_id: &request.stack_id,
                request_id: &request.request_id,
                logical_resource_id: &request.logical_resource_id,
                data,
            };
            serde_json::to_vec(&body).ok()
        };
        let failed = |reason: &str| {
            let reason = if reason.is_empty() { "It failed without a reason." } else { reason };
            let room = MAX_BODY_BYTES.checked_sub(body(Status::Failed, "x", &Data::new())?.len() - 1)?;
            Some((Status::Failed, body(Status::Failed, &cut(reason, room)?, &Data::new())?))
        };
        match &self.result {
            Err(reason) => failed(reason),
            Ok(data) => match body(Status::Success, "", data)? {
                whole if whole.len() <= MAX_BODY_BYTES => Some((Status::Success, whole)),
                whole => failed(&format!(
                    "The answer has {} bytes and may have {MAX_BODY_BYTES}: the attributes of the resource are too long.",
                    whole.len()
                )),
            },
        }
    }
}

/// A text of at most so many bytes in JSON, cut between words; `None` if not even the sign for that fits.
fn cut(text: &str, room: usize) -> Option<String> {
    const MORE: &str = " …";
    let length = |text: &str| serde_json::Value::from(text).to_string().len() - 2;
    if length(text) <= room {
        return Some(text.to_owned());
    }
    let room = room.checked_sub(MORE.len())?;
    let (mut used, mut end, mut word) = (0, 0, 0);
    for (at, char) in text.char_indices() {
        if char.is_whitespace() {
            word = at;
        }
        used += length(char.encode_utf8(&mut [0; 4]));
        if used > room {
            break;
        }
        end = at + char.len_utf8();
    }
    // A single word that is too long is cut in itself.
    let end = if word > 0 && word <= end { word } else { end };
    Some(format!("{}{MORE}", &text[..end]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::response_url::Hosts;

    fn request(stack_id: &str) -> Request {
        let event = json!({
            "RequestType": "Create", "RequestId": "r", "StackId": stack_id, "LogicalResourceId": "l",
            "ResponseURL": "https://b.s3.amazonaws.com/k",
        });
        Request::read(&event, Hosts::Aws).unwrap()
    }

    fn body(result: Result<Data, String>) -> Value {
        let answer = Answer { physical_id: "p".to_owned(), result };
        let (_, body) = answer.body(&request("s")).unwrap();
        assert!(body.len() <= MAX_BODY_BYTES, "{} bytes", body.len());
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn an_answer_repeats_what_was_asked() {
        let data = Data::from([("A".to_owned(), "1".to_owned())]);
        let same = json!({"PhysicalResourceId": "p", "StackId": "s", "RequestId": "r", "LogicalResourceId": "l"});
        let with = |more: Value| {
            let mut same = same.as_object().unwrap().clone();
            same.extend(more.as_object().unwrap().clone());
            Value::Object(same)
        };
        assert_eq!(body(Ok(data)), with(json!({"Status": "SUCCESS", "Data": {"A": "1"}})));
        assert_eq!(body(Ok(Data::new())), with(json!({"Status": "SUCCESS"})));
        assert_eq!(body(Err("no".to_owned())), with(json!({"Status": "FAILED", "Reason": "no"})));
        // CloudFormation requires a reason.
        assert_eq!(body(Err(String::new()))["Reason"], "It failed without a reason.");
    }

    #[test]
    fn a_long_reason_is_cut_between_words() {
        let long = "a bucket is missing. ".repeat(1_000);
        let reason = body(Err(long.clone()))["Reason"].as_str().unwrap().to_owned();
        let kept = reason.strip_suffix(" …").unwrap();
        assert!(long.starts_with(kept) && long[kept.len()..].starts_with(' '), "{reason}");
        assert!(reason.len() > MAX_BODY_BYTES - 200, "{} bytes", reason.len());
    }

    #[test]
    fn a_long_word_is_cut_in_itself_and_escapes_count() {
        for word in ["x", "ü", "\"", "\n", "\u{1}", "🧊"] {
            let reason = body(Err(word.repeat(10_000)))["Reason"].as_str().unwrap().to_owned();
            assert!(reason.starts_with(word) && reason.ends_with('…'), "{word}");
        }
    }

    #[test]
    fn attributes_that_are_too_long_are_a_failure() {
        let body = body(Ok(Data::from([("A".to_owned(), "x".repeat(5_000))])));
        assert_eq!(body["Status"], "FAILED");
        let reason = body["Reason"].as_str().unwrap();
        assert!(reason.contains("may have 4096: the attributes of the resource are too long"), "{reason}");
    }

    #[test]
    fn an_answer_that_has_no_room_for_itself_is_none() {
        for result in [Ok(Data::new()), Err("no".to_owned())] {
            let answer = Answer { physical_id: "p".to_owned(), result };
            assert_eq!(answer.body(&request(&"s".repeat(MAX_BODY_BYTES))), None);
        }
    }
}
