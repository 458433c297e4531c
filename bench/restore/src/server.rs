//! S3 as far as a restore needs it, and DynamoDB as far as a write does: one thread that is never what limits a client.
//!
//! A bucket `keys-<n>` has n objects in Glacier Flexible Retrieval. Nobody checks signatures. Every key is counted, and an
//! answer takes as long as it is told to.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

/// The name of the n-th key.
pub fn key(number: u32) -> String {
    format!("2019/08/IMG_{number:08}.jpg")
}

/// The running server.
pub struct Server {
    pub plain: String,
    pub tls: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    latency: Duration,
    quota: Option<Quota>,
    counted: RequestCounts,
}

/// What was asked for since somebody looked.
#[derive(Default)]
pub struct RequestCounts {
    /// Keys whose restore was accepted.
    pub keys: HashSet<u32>,
    /// Restores that were accepted, and those that were not because of the quota.
    pub accepted: u32,
    pub throttled: u32,
    /// Calls of DynamoDB.
    pub writes: u32,
    /// Restores at once, at most.
    pub in_flight: u32,
    now_in_flight: u32,
    first: Option<Instant>,
    last: Option<Instant>,
    /// Accepted restores by second since the first.
    pub by_second: Vec<u32>,
}

impl RequestCounts {
    /// Seconds from the first restore's arrival to the last one's answer.
    pub fn seconds(&self) -> f64 {
        self.first.zip(self.last).map_or(f64::NAN, |(first, last)| (last - first).as_secs_f64())
    }
}

/// Restores that are taken per second: a bucket of tokens that holds a 20th of a second.
struct Quota {
    per_second: f64,
    free: f64,
    at: Instant,
}

impl Quota {
    fn takes(&mut self, now: Instant) -> bool {
        let passed = (now - self.at).as_secs_f64();
        self.free = (self.free + passed * self.per_second).min(self.per_second / 20.0);
        self.at = now;
        let takes = self.free >= 1.0;
        self.free -= f64::from(u8::from(takes));
        takes
    }
}

impl Server {
    /// Starts it on two free ports.
    pub fn start(config: Arc<ServerConfig>) -> Result<Self> {
        let (plain, tls) = (listen()?, listen()?);
        let server = Self {
            plain: format!("http://127.0.0.1:{}", plain.local_addr()?.port()),
            tls: format!("https://127.0.0.1:{}", tls.local_addr()?.port()),
            state: Arc::default(),
        };
        let state = Arc::clone(&server.state);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // It ends with the process.
        thread::spawn(move || runtime.block_on(run(plain, tls, TlsAcceptor::from(config), state)));
        Ok(server)
    }

    /// Sets how long answers take and how many restores are taken per second, and counts anew.
    pub fn set(&self, latency: Duration, per_second: Option<u32>) {
        let quota = per_second.map(|per_second| {
            let per_second = f64::from(per_second);
            Quota { per_second, free: per_second / 20.0, at: Instant::now() }
        });
        *lock(&self.state) = State { latency, quota, counted: RequestCounts::default() };
    }

    /// What was counted since the last look.
    pub fn take(&self) -> RequestCounts {
        std::mem::take(&mut lock(&self.state).counted)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn run(plain: TcpListener, tls: TcpListener, acceptor: TlsAcceptor, state: Arc<Mutex<State>>) -> Result<()> {
    let (plain, tls) = (tokio::net::TcpListener::from_std(plain)?, tokio::net::TcpListener::from_std(tls)?);
    loop {
        tokio::select! {
            accepted = plain.accept() => {
                let (connection, _) = accepted?;
                connection.set_nodelay(true)?;
                tokio::spawn(serve(connection, Arc::clone(&state)));
            }
            accepted = tls.accept() => {
                let (connection, _) = accepted?;
                connection.set_nodelay(true)?;
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
                tokio::spawn(async move {
                    if let Ok(connection) = acceptor.accept(connection).await {
                        serve(connection, state).await;
                    }
                });
            }
        }
    }
}

async fn serve(connection: impl AsyncRead + AsyncWrite + Unpin, state: Arc<Mutex<State>>) {
    let service = service_fn(|request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(request, &state).await) }
    });
    // A client that goes away is not news.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}

async fn answer(request: Request<Incoming>, state: &Mutex<State>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let _ = body.collect().await;
    if parts.method == Method::POST && parts.headers.contains_key("x-amz-target") {
        lock(state).counted.writes += 1;
        wait(state).await;
        return reply(200, "application/x-amz-json-1.0", "{}");
    }
    if parts.method == Method::POST && query.split('&').any(|pair| pair == "restore" || pair.starts_with("restore=")) {
        let takes = begin(state, parts.uri.path());
        wait(state).await;
        end(state);
        return if takes { reply(202, "application/xml", "") } else { reply(503, "application/xml", SLOW_DOWN) };
    }
    wait(state).await;
    if let (&Method::HEAD, Some(number)) = (&parts.method, number_of(parts.uri.path())) {
        let mut response = reply(200, "image/jpeg", "");
        response.headers_mut().insert("x-amz-storage-class", HeaderValue::from_static("GLACIER"));
        if lock(state).counted.keys.contains(&number) {
            response.headers_mut().insert("x-amz-restore", HeaderValue::from_static("ongoing-request=\"true\""));
        }
        return response;
    }
    let bucket = parts.uri.path().trim_matches('/');
    match (&parts.method, bucket.strip_prefix("keys-").and_then(|keys| keys.parse().ok())) {
        (&Method::GET, Some(_)) if query.contains("location") => reply(200, "application/xml", LOCATION),
        (&Method::GET, Some(keys)) => reply(200, "application/xml", listing(bucket, keys, query)),
        (&Method::HEAD, Some(_)) => reply(200, "application/xml", ""),
        _ => reply(404, "application/xml", "<Error><Code>NoSuchKey</Code></Error>"),
    }
}

const SLOW_DOWN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";

const LOCATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";

async fn wait(state: &Mutex<State>) {
    let latency = lock(state).latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
}

/// The number in a key's name.
fn number_of(key: &str) -> Option<u32> {
    key.strip_suffix(".jpg")?.rsplit('_').next()?.parse().ok()
}

/// Counts a restore's arrival. Answers whether it is taken.
fn begin(state: &Mutex<State>, path: &str) -> bool {
    let number = number_of(path);
    let now = Instant::now();
    let mut state = lock(state);
    let takes = state.quota.as_mut().is_none_or(|quota| quota.takes(now));
    let counted = &mut state.counted;
    let first = *counted.first.get_or_insert(now);
    counted.now_in_flight += 1;
    counted.in_flight = counted.in_flight.max(counted.now_in_flight);
    if takes {
        counted.accepted += 1;
        counted.keys.extend::<Option<u32>>(number);
        let second = usize::try_from((now - first).as_secs()).unwrap_or_default();
        counted.by_second.resize(counted.by_second.len().max(second + 1), 0);
        counted.by_second[second] += 1;
    } else {
        counted.throttled += 1;
    }
    takes
}

fn end(state: &Mutex<State>) {
    let counted = &mut lock(state).counted;
    counted.now_in_flight = counted.now_in_flight.saturating_sub(1);
    counted.last = Some(Instant::now());
}

fn reply(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", kind).header("x-amz-request-id", "1");
    response.body(Full::new(body.into())).unwrap_or_default()
}

/// A page of `ListObjects`, version 1 or 2.
fn listing(bucket: &str, keys: u32, query: &str) -> String {
    let argument = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let after = ["continuation-token", "start-after", "marker"].iter().find_map(|name| argument(name));
    let from = after.and_then(number_of).map_or(0, |number| number + 1);
    let page = argument("max-keys").and_then(|keys| keys.parse().ok()).unwrap_or(1_000).min(1_000);
    let to = keys.min(from.saturating_add(page));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{bucket}</Name><Prefix></Prefix><IsTruncated>{}</IsTruncated>",
        to < keys
    );
    if to < keys {
        let last = key(to - 1);
        let _ = write!(xml, "<NextMarker>{last}</NextMarker><NextContinuationToken>{last}</NextContinuationToken>");
    }
    for number in from..to {
        let _ = write!(
            xml,
            "<Contents><Key>{}</Key><LastModified>2019-08-17T12:00:00.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>1000000</Size><StorageClass>GLACIER</StorageClass></Contents>",
            key(number)
        );
    }
    xml + "</ListBucketResult>"
}
