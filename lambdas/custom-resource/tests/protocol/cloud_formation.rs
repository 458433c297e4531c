//! A hostile CloudFormation: an HTTP server that answers late, wrongly or not at all, and a client that reaches it over
//! streams in memory. So all of it runs in virtual time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thaw_custom_resource::{Clock, HttpClient, Put};
use tokio::time::{Instant, sleep};

/// Where CloudFormation has its answers sent, with the words of a signature.
pub const URL: &str = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/arn%3Aaws%3Acloudformation%3Aus-east-1%3A111122223333%3Astack/thaw/5ec2e7-guid%7CThing%7C5ec2e7-request?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=7200&X-Amz-Signature=5ec2e7-signature";

/// What every part of the URL that is a secret has in it.
pub const SECRET: &str = "5ec2e7";

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reaction {
    /// It is answered with this status.
    Status(u16),
    /// The same after a while.
    Slowly(Duration, u16),
    /// Nobody listens.
    Refuse,
    /// Nobody answers.
    Hang,
    /// It is read, and the connection breaks off.
    BreakOff,
    /// The client itself panics.
    Panic,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub uri: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the client learned that it was accepted.
    pub is_accepted: bool,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The server with its client.
#[derive(Debug, Clone, Default)]
pub struct CloudFormation {
    /// What becomes of the next requests; the others are accepted.
    reactions: Arc<Mutex<VecDeque<Reaction>>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl CloudFormation {
    pub fn new(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        Self { reactions: Arc::new(Mutex::new(reactions.into_iter().collect())), received: Arc::default() }
    }

    /// All requests that arrived.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The one answer that it accepted. Requests whose answers it lost had the same body.
    #[track_caller]
    pub fn answer(&self) -> Value {
        let received = self.received();
        let accepted: Vec<_> = received.iter().filter(|one| one.is_accepted).collect();
        assert_eq!(accepted.len(), 1, "answered once: {received:?}");
        assert!(received.iter().all(|one| one.body == accepted[0].body), "with the same each time: {received:?}");
        accepted[0].json()
    }
}

impl HttpClient for CloudFormation {
    async fn put(&self, put: &Put) -> Result<u16, String> {
        let reaction = self.reactions.lock().unwrap().pop_front().unwrap_or(Reaction::Status(200));
        match reaction {
            Reaction::Refuse => return Err(format!("connection refused: {}", put.url())),
            Reaction::Panic => panic!("a client with a bug"),
            Reaction::Status(_) | Reaction::Slowly(..) | Reaction::Hang | Reaction::BreakOff => {}
        }
        let (near, far) = tokio::io::duplex(1024);
        let received = Arc::clone(&self.received);
        tokio::spawn(async move {
            let service = service_fn(move |request| serve(request, reaction, Arc::clone(&received)));
            let mut server = hyper::server::conn::http1::Builder::new();
            // A client that goes away is none of the server's business.
            let _ = server.header_read_timeout(None).serve_connection(TokioIo::new(far), service).await;
        });
        let says = |error: hyper::Error| format!("{error} at {}", put.url());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.map_err(says)?;
        tokio::spawn(connection);
        let (host, path) = put.url().strip_prefix("https://").unwrap().split_once('/').unwrap();
        let mut request = Request::put(format!("/{path}")).header("host", host);
        for (name, value) in Put::HEADERS {
            request = request.header(name, value);
        }
        let request = request.body(Full::<Bytes>::from(put.body().to_vec())).unwrap();
        sender.send_request(request).await.map(|answer| answer.status().as_u16()).map_err(says)
    }
}

async fn serve(
    request: Request<Incoming>,
    reaction: Reaction,
    received: Arc<Mutex<Vec<Received>>>,
) -> Result<Response<Empty<Bytes>>, String> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes().to_vec();
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let place = {
        let mut received = received.lock().unwrap();
        received.push(Received {
            method: parts.method.to_string(),
            uri: parts.uri.to_string(),
            headers: parts.headers.iter().map(header).collect(),
            body,
            is_accepted: false,
        });
        received.len() - 1
    };
    let status = match reaction {
        Reaction::Status(status) => status,
        Reaction::Slowly(time, status) => {
            sleep(time).await;
            status
        }
        Reaction::Hang => std::future::pending().await,
        Reaction::BreakOff | Reaction::Refuse | Reaction::Panic => return Err("the connection breaks off".to_owned()),
    };
    received.lock().unwrap()[place].is_accepted = (200..300).contains(&status);
    Ok(Response::builder().status(status).body(Empty::new()).unwrap())
}

/// Virtual time.
#[derive(Debug, Clone)]
pub struct VirtualTime(Instant);

impl VirtualTime {
    pub fn begin() -> Self {
        Self(Instant::now())
    }
}

impl Clock for VirtualTime {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        sleep(duration).await;
    }
}

/// Runs something in a time that passes only while everything waits.
pub fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What is logged on this thread while something runs.
pub fn logged<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    LINES.take();
    let done = tracing::subscriber::with_default(Lines, work);
    (done, LINES.take())
}

struct Lines;

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!(" {}={value:?}", field.name()));
            }
        }
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        LINES.with_borrow_mut(|lines| lines.push(text.0));
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
