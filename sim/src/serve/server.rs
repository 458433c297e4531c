//! The running simulator: binds the ports and serves.

use super::event_queues::EventQueues;
use super::s3_http::S3Http;
use super::shared::Shared;
use super::{cloudfront, edge, event_delivery};
use crate::Clock;
use crate::model::{Settings, Sim};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Where to listen and what to simulate.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port of S3; 0 is any free one.
    pub s3_port: u16,
    /// The port of CloudFront's API and of the control endpoint; 0 is any free one.
    pub cloudfront_port: u16,
    /// The port of the edge; 0 is any free one.
    pub edge_port: u16,
    /// The clock.
    pub clock: Clock,
    /// Where SQS listens, e.g. `http://127.0.0.1:4600`; without it events go nowhere.
    pub sqs_endpoint: Option<String>,
    /// What is simulated. `pace` is overruled by the clock's scale.
    pub settings: Settings,
}

/// A running simulator; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    s3: SocketAddr,
    cloudfront: SocketAddr,
    edge: SocketAddr,
    tasks: JoinSet<()>,
}

impl Server {
    /// Binds all ports, then serves. Fails if a port is taken.
    pub async fn start(options: Options) -> io::Result<Self> {
        let [s3, cloudfront, edge] =
            [bind(options.s3_port).await?, bind(options.cloudfront_port).await?, bind(options.edge_port).await?];
        let settings = Settings { pace: options.clock.scale(), ..options.settings };
        let shared = Arc::new(Shared {
            sim: Mutex::new(Sim::new(settings)),
            clock: options.clock,
            events: EventQueues::new(options.sqs_endpoint),
            changed: Notify::new(),
        });
        let addresses = [s3.local_addr()?, cloudfront.local_addr()?, edge.local_addr()?];
        let mut tasks = JoinSet::new();
        let service = S3Http::new(shared.clone());
        tasks.spawn(listen(s3, move |request| service.clone().call(request)));
        let at = shared.clone();
        tasks.spawn(listen(cloudfront, move |request| cloudfront::call(at.clone(), request)));
        let at = shared.clone();
        tasks.spawn(listen(edge, move |request| edge::call(at.clone(), request)));
        tasks.spawn(event_delivery::deliver(shared.clone()));
        let [s3, cloudfront, edge] = addresses;
        Ok(Self { shared, s3, cloudfront, edge, tasks })
    }

    /// `http://127.0.0.1:…` of S3.
    pub fn s3_url(&self) -> String {
        format!("http://{}", self.s3)
    }

    /// `http://127.0.0.1:…` of CloudFront's API and of the control endpoint.
    pub fn cloudfront_url(&self) -> String {
        format!("http://{}", self.cloudfront)
    }

    /// `http://127.0.0.1:…` of the edge.
    pub fn edge_url(&self) -> String {
        format!("http://{}", self.edge)
    }

    /// The model, for a test that serves it in its own process.
    pub fn sim(&self) -> MutexGuard<'_, Sim> {
        self.shared.sim()
    }

    /// To be told after a manual clock or the model was changed by hand: events may be due.
    pub fn wake(&self) {
        self.shared.changed.notify_one();
    }

    /// Serves until told to stop, then drops what is open.
    pub async fn until(mut self, stop: impl Future<Output = ()>) {
        stop.await;
        self.tasks.shutdown().await;
    }
}

pub(super) async fn bind(port: u16) -> io::Result<TcpListener> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("port {port}: {error}"));
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)
}

/// Accepts connections and answers their requests, for as long as the task lives.
pub(super) async fn listen<H, F, B>(listener: TcpListener, handle: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    loop {
        // A connection that could not be accepted is the caller's to retry.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _always_works_on_tcp = stream.set_nodelay(true);
        let handle = handle.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = handle(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            // A caller that hangs up is no error of ours.
            let _hung_up =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
