//! Answers CloudFormation, whatever happens.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use serde_json::Value;
use tracing::{error, info, warn};

use crate::answer::{Answer, MAX_ID_BYTES, NOT_MADE, Status};
use crate::request::{Asked, Kind, Request};
use crate::resource::{CustomResource, Event, Reply};
use crate::response_url::{Hosts, ResponseUrl};

/// The time that is kept for the answer: an attempt that hangs and one that does not. Of a shorter time, half.
const KEPT: Duration = Duration::from_secs(15);

/// An attempt to answer takes no longer.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);

/// Nor is it given up sooner, as long as there is time.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);

/// Lambda ends a function at its time: it has to have ended before.
const SPARE: Duration = Duration::from_millis(500);

/// The pauses between attempts double from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a resource is run again while its reply is not settled, and the pause before each time.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
const SETTLING: Duration = Duration::from_secs(5);

/// Answers that are remembered, so that an event that comes twice is answered once.
const REMEMBERED: usize = 100;

/// Sends an answer.
pub trait HttpClient {
    /// `PUT` of [`Put::body`] to [`Put::url`] with [`Put::HEADERS`] and a `content-length`, over a connection that fails
    /// in a few seconds if nobody listens. Follows no redirects and does not repeat the request.
    ///
    /// Answers the HTTP status, or why there is none.
    async fn put(&self, answer: &Put) -> Result<u16, String>;
}

/// Measures time and waits.
pub trait Clock {
    /// The time since any beginning.
    fn now(&self) -> Duration;

    /// Waits so long.
    async fn sleep(&self, duration: Duration);
}

/// A request that answers CloudFormation. `Debug` hides its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    url: ResponseUrl,
    body: Vec<u8>,
}

impl Put {
    /// The headers that CloudFormation wants. The URL is signed with an empty type of content.
    pub const HEADERS: [(&str, &str); 1] = [("content-type", "")];

    /// Where to send it: for the request and for nothing else, as anyone can answer with it.
    pub fn url(&self) -> &str {
        self.url.expose()
    }

    /// What to send.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// What became of an event.
#[must_use = "after `Undelivered` Lambda must get an error, so that it delivers the event again"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// CloudFormation has the answer.
    Answered(Status),
    /// CloudFormation has had the answer since this process got the event before.
    AnsweredBefore,
    /// There is no answer that CloudFormation could get. It would be the same the next time.
    Unanswerable(String),
    /// CloudFormation could not be reached. It may be another time: Lambda should deliver the event again.
    Undelivered(String),
}

/// Answers events. It lives as long as the function.
#[derive(Debug)]
pub struct Responder<H, C> {
    http: H,
    clock: C,
    hosts: Hosts,
    /// The ids of the last requests that were answered.
    answered: RefCell<VecDeque<String>>,
}

impl<H: HttpClient, C: Clock> Responder<H, C> {
    /// Answers through this client, by this clock, to these hosts.
    pub fn new(http: H, clock: C, hosts: Hosts) -> Self {
        Self { http, clock, hosts, answered: RefCell::default() }
    }

    /// Runs the resource for an event, and answers CloudFormation. `left` is the time until Lambda ends the function.
    ///
    /// It ends before that, and never panics.
    pub async fn respond(&self, event: &Value, resource: &impl CustomResource, left: Duration) -> Outcome {
        let left = left.saturating_sub(SPARE);
        let end = self.clock.now() + left;
        let outcome = match Request::read(event, self.hosts) {
            Ok(request) if self.has_answered(&request) => Outcome::AnsweredBefore,
            Ok(request) => {
                let until = end.saturating_sub(KEPT.min(left / 2));
                let answer = self.answer(&request, resource, until).await;
                self.deliver(&request, &answer, end).await
            }
            Err(unusable) => Outcome::Unanswerable(unusable.as_str().to_owned()),
        };
        match &outcome {
            Outcome::AnsweredBefore => info!("this event was answered before"),
            Outcome::Unanswerable(why) => {
                error!("CloudFormation cannot be answered, and waits until its time-out: {why}");
            }
            // Whoever called this returns the error to Lambda.
            Outcome::Undelivered(_) | Outcome::Answered(_) => {}
        }
        outcome
    }

    fn has_answered(&self, request: &Request) -> bool {
        !request.request_id.is_empty() && self.answered.borrow().contains(&request.request_id)
    }

    /// The answer, by this time.
    async fn answer(&self, request: &Request, resource: &impl CustomResource, until: Duration) -> Answer {
        // Unwinding also from a future that is dropped where it waits.
        let answer = AssertUnwindSafe(self.decide(request, resource, until)).catch_unwind().await;
        answer.unwrap_or_else(|_| failed(request, "The function panicked: this is a bug in it. Its log says where."))
    }

    async fn decide(&self, request: &Request, resource: &impl CustomResource, until: Duration) -> Answer {
        let Asked { kind, properties, old_properties } = match &request.asked {
            Ok(asked) => asked,
            Err(wrong) => return failed(request, wrong.clone()),
        };
        let current = request.physical_resource_id.as_deref();
        let physical_id = match kind {
            Kind::Delete => current.unwrap_or(NOT_MADE).to_owned(),
            Kind::Create => resource.physical_id(properties, None),
            Kind::Update => resource.physical_id(properties, current),
        };
        if *kind != Kind::Delete && !(1..=MAX_ID_BYTES).contains(&physical_id.len()) {
            let bytes = physical_id.len();
            return failed(request, format!("The physical id has {bytes} bytes and must have 1 to {MAX_ID_BYTES}."));
        }
        let event = match (kind, current) {
            (Kind::Delete, current) => Event::Delete { physical_id: current.filter(|id| *id != NOT_MADE), properties },
            (Kind::Update, Some(current)) if current == physical_id => {
                Event::Update { physical_id: current, properties, old_properties }
            }
            (Kind::Update, Some(current)) => Event::Replace { old_physical_id: current, properties, old_properties },
            (Kind::Create, _) | (Kind::Update, None) => Event::Create { properties },
        };
        match self.settled(resource, &event, until).await {
            Some(Reply { result: Ok(data), .. }) => Answer { physical_id, result: Ok(data) },
            Some(Reply { result: Err(reason), .. }) => failed(request, reason),
            None => failed(
                request,
                "The function ran out of time before it was done. Its log may say what it waited for; run the operation again.",
            ),
        }
    }

    /// The reply of the resource: the first that is settled, or the last one. `None` if there was not even one in time.
    async fn settled(&self, resource: &impl CustomResource, event: &Event<'_>, until: Duration) -> Option<Reply> {
        let begun = self.clock.now();
        let mut last = None;
        loop {
            match self.within(until, resource.handle(event)).await {
                None => return last,
                Some(reply) if reply.is_settled => return Some(reply),
                Some(reply) => last = Some(reply),
            }
            let next = self.clock.now() + SETTLING;
            if next >= until || next > begun + SETTLED_WITHIN {
                return last;
            }
            info!("what the function read may change within seconds: it looks again");
            self.clock.sleep(SETTLING).await;
        }
    }

    /// Sends the answer until CloudFormation has it, or until the end.
    async fn deliver(&self, request: &Request, answer: &Answer, end: Duration) -> Outcome {
        let Some((status, body)) = answer.body(request) else {
            return Outcome::Unanswerable(
                "what the answer must repeat of the event is longer than an answer".to_owned(),
            );
        };
        let put = Put { url: request.response_url.clone(), body };
        let mut pause = FIRST_PAUSE;
        loop {
            let left = end.saturating_sub(self.clock.now());
            // Half of it, so that there is another attempt.
            let attempt = (left / 2).clamp(SHORTEST_ATTEMPT, LONGEST_ATTEMPT).min(left);
            let why = match self.within(self.clock.now() + attempt, self.put(&put)).await {
                Some(Ok(200..300)) => {
                    info!(status = ?status, "CloudFormation is answered");
                    self.remember(request);
                    return Outcome::Answered(status);
                }
                Some(Ok(again @ (408 | 429 | 500..))) => format!("HTTP {again}"),
                // The URL has expired, or is not CloudFormation's.
                Some(Ok(refused)) => return Outcome::Unanswerable(format!("the response URL answers HTTP {refused}")),
                Some(Err(why)) => why,
                None => format!("no answer in {} ms", attempt.as_millis()),
            };
            if self.clock.now() + pause >= end {
                return Outcome::Undelivered(why);
            }
            warn!("CloudFormation is answered again in {} ms: {why}", pause.as_millis());
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One attempt. A panic of the client is an attempt that failed.
    async fn put(&self, put: &Put) -> Result<u16, String> {
        let sent = AssertUnwindSafe(self.http.put(put)).catch_unwind().await;
        let sent = sent.unwrap_or_else(|_| Err("the HTTP client panicked".to_owned()));
        sent.map_err(|why| put.url.redacted(&why))
    }

    fn remember(&self, request: &Request) {
        let mut answered = self.answered.borrow_mut();
        answered.push_back(request.request_id.clone());
        if answered.len() > REMEMBERED {
            answered.pop_front();
        }
    }

    /// What comes of some work by this time.
    async fn within<T>(&self, until: Duration, work: impl Future<Output = T>) -> Option<T> {
        let left = until.saturating_sub(self.clock.now());
        match select(pin!(work), pin!(self.clock.sleep(left))).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }
}

/// A failure. What there was keeps its id, so that CloudFormation neither replaces nor forgets it.
fn failed(request: &Request, reason: impl Into<String>) -> Answer {
    let physical_id = request.physical_resource_id.clone().unwrap_or_else(|| NOT_MADE.to_owned());
    Answer { physical_id, result: Err(reason.into()) }
}
