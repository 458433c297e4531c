//! S3's events on their way to SQS.
//!
//! On AWS they go to EventBridge, whose rules feed the queues. The local emulator refuses events of `aws.s3`, as AWS
//! does, so they are put on the queues as the rules would put them: the whole event as message body.

use super::http::read;
use crate::model::{Event, RestoreEvent};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The queue URLs; an event without a queue goes nowhere, as without a rule.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queues {
    /// For `Object Restore Initiated`.
    pub initiated: Option<String>,
    /// For `Object Restore Completed`.
    pub completed: Option<String>,
    /// For `Object Restore Expired`.
    pub expired: Option<String>,
    /// For `Object Created`.
    pub created: Option<CreatedRule>,
}

/// Which files' `Object Created` goes where.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatedRule {
    /// The queue's URL.
    pub queue: String,
    /// Of this bucket.
    pub bucket: String,
    /// Whose keys begin so.
    pub prefix: String,
}

impl Queues {
    fn of(&self, kind: RestoreEvent) -> Option<String> {
        match kind {
            RestoreEvent::Initiated => self.initiated.clone(),
            RestoreEvent::Completed => self.completed.clone(),
            RestoreEvent::Expired => self.expired.clone(),
        }
    }
}

/// Where events go and how many got there.
#[derive(Debug)]
pub(crate) struct EventQueues {
    endpoint: Option<String>,
    queues: Mutex<Queues>,
    /// Messages about files that were written, with their queues, and how many there ever were.
    written: Mutex<(Vec<(String, String)>, u64)>,
    client: Client<HttpConnector, Full<Bytes>>,
    delivered: AtomicU64,
    undeliverable: AtomicU64,
}

impl EventQueues {
    pub(crate) fn new(endpoint: Option<String>) -> Self {
        Self {
            endpoint: endpoint.map(|url| format!("{}/", url.trim_end_matches('/'))),
            queues: Mutex::default(),
            written: Mutex::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            delivered: AtomicU64::default(),
            undeliverable: AtomicU64::default(),
        }
    }

    pub(crate) fn set_queues(&self, queues: Queues) {
        *self.queues.lock().unwrap_or_else(PoisonError::into_inner) = queues;
    }

    pub(crate) fn snapshot(&self) -> Value {
        json!({
            "queues": *self.queues.lock().unwrap_or_else(PoisonError::into_inner),
            "delivered": self.delivered.load(Ordering::Relaxed),
            "undeliverable": self.undeliverable.load(Ordering::Relaxed),
        })
    }

    /// Tells of a file that was written, if anybody wants to know (S3 User Guide, "EventBridge event message structure").
    pub(crate) fn file_written(&self, bucket: &str, key: &str, size: usize, etag: &str, now: Timestamp) {
        let rule = self.queues.lock().unwrap_or_else(PoisonError::into_inner).created.clone();
        let Some(rule) = rule.filter(|rule| rule.bucket == bucket && key.starts_with(&rule.prefix)) else { return };
        let (waiting, count) = &mut *self.written.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        let sequencer = format!("{count:018X}");
        let event = json!({
            "version": "0", "id": format!("00000000-0000-4000-8000-{count:012x}"), "detail-type": "Object Created",
            "source": "aws.s3", "account": "000000000000", "time": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": "us-east-1", "resources": [format!("arn:aws:s3:::{bucket}")],
            "detail": {
                "version": "0", "bucket": { "name": bucket },
                "object": { "key": key, "size": size, "etag": etag, "sequencer": sequencer }, "reason": "PutObject",
            },
        });
        waiting.push((rule.queue, event.to_string()));
    }

    pub(super) fn take_written(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Where an event goes, if anywhere.
    pub(super) fn queue_of(&self, event: &Event) -> Option<String> {
        self.endpoint.as_ref()?;
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).of(event.kind)
    }

    /// One call of SQS; nothing if it does not answer, or answers with an error. Any credentials do for the emulator; it
    /// wants to see the form of a signature.
    async fn call(&self, operation: &str, body: &Value) -> Option<Value> {
        const ANYBODY: &str =
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0";
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.endpoint.as_ref()?)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .header("authorization", ANYBODY)
            .body(Full::new(body.to_string().into()))
            .ok()?;
        let answer = self.client.request(request).await.ok().filter(|answer| answer.status().is_success())?;
        serde_json::from_slice(&read(answer.into_body()).await).ok()
    }

    /// Puts messages on a queue. EventBridge delivers at least once and tries for a day; we try for a few seconds.
    pub(super) async fn send(&self, queue: &str, messages: &[String]) {
        const PAUSES: [u64; 5] = [0, 100, 400, 1_000, 2_000];
        let mut left: Vec<(usize, &String)> = messages.iter().enumerate().collect();
        for pause in PAUSES {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let entries: Vec<Value> =
                left.iter().map(|(id, body)| json!({ "Id": id.to_string(), "MessageBody": body })).collect();
            let Some(answer) = self.call("SendMessageBatch", &json!({ "QueueUrl": queue, "Entries": entries })).await
            else {
                continue;
            };
            let failed = answer["Failed"].as_array().cloned().unwrap_or_default();
            let before = left.len();
            left.retain(|(id, _)| {
                failed.iter().any(|entry| entry["Id"].as_str().and_then(|text| text.parse().ok()) == Some(*id))
            });
            self.delivered.fetch_add((before - left.len()) as u64, Ordering::Relaxed);
            if left.is_empty() {
                return;
            }
        }
        self.undeliverable.fetch_add(left.len() as u64, Ordering::Relaxed);
    }

    /// Messages that are on a queue, those that somebody is reading included.
    pub(super) async fn depth(&self, queue: &str) -> usize {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let answer = self.call("GetQueueAttributes", &json!({ "QueueUrl": queue, "AttributeNames": names })).await;
        let number = |name| answer.as_ref()?["Attributes"][name].as_str()?.parse::<usize>().ok();
        names.into_iter().filter_map(number).sum()
    }
}
