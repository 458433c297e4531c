//! A DynamoDB that has no items, behind TLS.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::Result;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::{self, Roots};
use crate::http;

/// The running stub.
pub struct DynamoDb {
    pub endpoint: String,
    pub roots: Roots,
    calls: Arc<AtomicU32>,
}

impl DynamoDb {
    /// Starts it on a free port, with its certificates in a folder.
    pub fn start(dir: &Path) -> Result<Self> {
        let (roots, config) = certificates::make(dir)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("https://localhost:{}", listener.local_addr()?.port());
        let calls = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&calls);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (config, calls) = (Arc::clone(&config), Arc::clone(&counter));
                thread::spawn(move || serve(connection, config, &calls));
            }
        });
        Ok(Self { endpoint, roots, calls })
    }

    /// How many calls it has answered.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

fn serve(connection: TcpStream, config: Arc<ServerConfig>, calls: &AtomicU32) -> Result<()> {
    connection.set_nodelay(true)?;
    http::serve(StreamOwned::new(ServerConnection::new(config)?, connection), |_| {
        calls.fetch_add(1, Ordering::SeqCst);
        Some(http::answer("200 OK", "content-type: application/x-amz-json-1.0\r\n", "{}"))
    })
}
