//! S3's events on their way to SQS.
//!
//! On AWS they go to EventBridge, whose rules feed the queues. The local emulator refuses events of `aws.s3`, as AWS
//! does, so they are put on the queues as the rules would put them: the whole event as message body.

use super::World;
use crate::model::{Event, RestoreEvent};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

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
pub(crate) struct Delivery {
    endpoint: Option<String>,
    queues: Mutex<Queues>,
    client: Client<HttpConnector, Full<Bytes>>,
    delivered: AtomicU64,
    undeliverable: AtomicU64,
}

impl Delivery {
    pub(crate) fn new(endpoint: Option<String>) -> Self {
        Self {
            endpoint: endpoint.map(|url| format!("{}/", url.trim_end_matches('/'))),
            queues: Mutex::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            delivered: AtomicU64::default(),
            undeliverable: AtomicU64::default(),
        }
    }

    pub(crate) fn set_queues(&self, queues: Queues) {
        *self.queues.lock().unwrap_or_else(PoisonError::into_inner) = queues;
    }

    pub(crate) fn snapshot(&self) -> serde_json::Value {
        json!({
            "queues": *self.queues.lock().unwrap_or_else(PoisonError::into_inner),
            "delivered": self.delivered.load(Ordering::Relaxed),
            "undeliverable": self.undeliverable.load(Ordering::Relaxed),
        })
    }

    /// Where an event goes, if anywhere.
    fn target(&self, event: &Event) -> Option<(String, String)> {
        let queue = self.queues.lock().unwrap_or_else(PoisonError::into_inner).of(event.kind)?;
        Some((self.endpoint.clone()?, queue))
    }

    /// One `SendMessage`. Any credentials do for the emulator; it wants to see the form of a signature.
    async fn send(&self, endpoint: &str, body: Bytes) -> bool {
        const ANYBODY: &str =
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0";
        let request = Request::builder()
            .method(Method::POST)
            .uri(endpoint)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .header("authorization", ANYBODY)
            .body(Full::new(body));
        match request {
            Ok(request) => self.client.request(request).await.is_ok_and(|answer| answer.status().is_success()),
            Err(_) => false,
        }
    }
}

/// Delivers events when they are due, for as long as the task lives. Wakes when the next one is due by the clock, or
/// when told that this may have changed.
pub(crate) async fn deliver(world: Arc<World>) {
    loop {
        let (events, next) = {
            let mut sim = world.sim();
            (sim.take_events(world.clock.now()), sim.next_event_at())
        };
        if !events.is_empty() {
            deliver_all(&world, events).await;
            continue;
        }
        let due = async {
            match next {
                Some(next) => tokio::time::sleep(world.clock.until(next)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = world.changed.notified() => {}
        }
    }
}

async fn deliver_all(world: &Arc<World>, events: Vec<Event>) {
    /// As many as an emulator in one process can use.
    const AT_ONCE: usize = 16;
    let mut sending = JoinSet::new();
    for event in events {
        if sending.len() >= AT_ONCE {
            sending.join_next().await;
        }
        let Some((endpoint, queue)) = world.events.target(&event) else { continue };
        let body = json!({ "QueueUrl": queue, "MessageBody": event.to_json().to_string() });
        let world = world.clone();
        sending.spawn(async move { deliver_one(&world, &endpoint, body.to_string().into()).await });
    }
    sending.join_all().await;
}

/// EventBridge delivers at least once and tries for a day; we try for a few seconds.
async fn deliver_one(world: &World, endpoint: &str, body: Bytes) {
    const PAUSES: [u64; 5] = [0, 100, 400, 1_000, 2_000];
    for pause in PAUSES {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if world.events.send(endpoint, body.clone()).await {
            world.events.delivered.fetch_add(1, Ordering::Relaxed);
            return;
        }
    }
    world.events.undeliverable.fetch_add(1, Ordering::Relaxed);
}
