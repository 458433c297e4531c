//! `thaw-recorder`: stands before an emulator and writes down what is asked of it, and what it answers.
//!
//! Each proxy forwards to one emulator, byte for byte, but for the headers of the connection itself. Each exchange is a
//! line of JSON in the file, which `xtask/python/check_exchanges.py` holds against AWS's service models.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, EXPECT, HeaderName, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

const USAGE: &str = "\
thaw-recorder: proxies requests to emulators and writes each exchange into a file

  --file PATH                    where the exchanges go, a line of JSON each
  --proxy NAME PORT http://…     a port of 127.0.0.1, and to whom it leads; as often as there are proxies

Prints `ready` when it listens, ends on SIGTERM or SIGINT.";

/// Shorter than the emulators keep a connection that nobody uses: one that they close must not be asked on.
const KEEP_IDLE: Duration = Duration::from_secs(2);

/// The headers that are about one connection and not about the message (RFC 9110, section 7.6.1), and `Expect`, which this
/// end of the connection answers itself.
const CONNECTION_HEADERS: [HeaderName; 3] = [CONNECTION, TRANSFER_ENCODING, EXPECT];

#[derive(Debug)]
struct Proxy {
    name: String,
    port: u16,
    target: String,
}

/// What all proxies share.
#[derive(Debug)]
struct Recorder {
    client: Client<HttpConnector, Full<Bytes>>,
    file: Mutex<File>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let (file, proxies) = match parse(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(error) => {
            eprintln!("thaw-recorder: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&file, proxies).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("thaw-recorder: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(String, Vec<Proxy>), String> {
    let (mut file, mut proxies) = (None, Vec::new());
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs more values"));
        match flag.as_str() {
            "--file" => file = Some(value()?),
            "--proxy" => {
                let (name, port, target) = (value()?, value()?, value()?);
                let port = port.parse().map_err(|_| format!("{flag} {name}: {port} is no port"))?;
                proxies.push(Proxy { name, port, target: target.trim_end_matches('/').to_owned() });
            }
            _ => return Err(format!("{flag} is no flag")),
        }
    }
    let file = file.ok_or("--file is missing")?;
    if proxies.is_empty() { Err("there is no --proxy".to_owned()) } else { Ok((file, proxies)) }
}

async fn run(file: &str, proxies: Vec<Proxy>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let file = OpenOptions::new().create(true).append(true).open(file)?;
    let client =
        Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(KEEP_IDLE).build_http();
    let recorder = Arc::new(Recorder { client, file: Mutex::new(file) });
    let mut tasks = JoinSet::new();
    for proxy in proxies {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, proxy.port)).await?;
        tasks.spawn(listen(listener, Arc::new(proxy), recorder.clone()));
    }
    println!("ready");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tasks.shutdown().await;
    Ok(())
}

async fn listen(listener: TcpListener, proxy: Arc<Proxy>, recorder: Arc<Recorder>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        // A connection that could not be accepted is the caller's to retry.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _always_works_on_tcp = stream.set_nodelay(true);
        let (proxy, recorder) = (proxy.clone(), recorder.clone());
        connections.spawn(async move {
            let service = service_fn(|request| recorder.forward(&proxy, request));
            // An emulator that hangs up on us ends the caller's connection too, as it would without us.
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Recorder {
    async fn forward(&self, proxy: &Proxy, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
        let (mut parts, body) = request.into_parts();
        let asked = body.collect().await?.to_bytes();
        // What the simulator's control endpoint is asked is nothing of AWS's.
        let is_recorded = !parts.uri.path().starts_with("/_sim/");
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let mut exchange = json!({
            "proxy": proxy.name, "method": parts.method.as_str(), "target": target,
            "headers": headers(&parts.headers), "body": text_or_hex(&asked),
        });
        parts.uri = format!("{}{target}", proxy.target).parse::<Uri>()?;
        let mut forwarded = Request::from_parts(parts, Full::new(asked));
        without_connection(forwarded.headers_mut());
        let answered = self.client.request(forwarded).await;
        let (mut parts, body) = match answered {
            Ok(answer) => answer.into_parts(),
            Err(error) => {
                exchange["hung_up"] = error.to_string().into();
                self.write(&exchange)?;
                return Err(error.into());
            }
        };
        let answered = body.collect().await?.to_bytes();
        if is_recorded {
            exchange["status"] = parts.status.as_u16().into();
            exchange["answer_headers"] = headers(&parts.headers);
            exchange["answer"] = text_or_hex(&answered);
            self.write(&exchange)?;
        }
        without_connection(&mut parts.headers);
        Ok(Response::from_parts(parts, Full::new(answered)))
    }

    /// One write a line: whoever reads the file sees whole exchanges.
    fn write(&self, exchange: &Value) -> io::Result<()> {
        let line = format!("{exchange}\n");
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())
    }
}

fn headers(headers: &HeaderMap) -> Value {
    headers.iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect()
}

/// A text as it is; what is none as `{"hex": …}`.
fn text_or_hex(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
    }
}

fn without_connection(headers: &mut HeaderMap) {
    for name in CONNECTION_HEADERS {
        headers.remove(name);
    }
}
