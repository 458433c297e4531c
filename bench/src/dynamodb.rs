//! A DynamoDB that has no items, behind TLS.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http;

/// Where Linux distributions, Amazon's too, keep the certificates that a machine trusts.
const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The running stub.
pub struct DynamoDb {
    pub endpoint: String,
    /// Our authority alone: Node adds it to the roots that it carries in itself.
    pub own_root: PathBuf,
    /// Our authority after the system's: reading all of them is a part of every cold start.
    pub all_roots: PathBuf,
    calls: Arc<AtomicU32>,
}

impl DynamoDb {
    /// Starts it on a free port, with its certificates in a folder.
    pub fn start(dir: &Path) -> Result<Self> {
        let (authority, config) = certificates()?;
        let (own_root, all_roots) = (dir.join("own-root.pem"), dir.join("all-roots.pem"));
        let system: String = SYSTEM_ROOTS.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        fs::write(&own_root, &authority)?;
        fs::write(&all_roots, system + &authority)?;

        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("https://localhost:{}", listener.local_addr()?.port());
        let (config, calls) = (Arc::new(config), Arc::new(AtomicU32::new(0)));
        let counter = Arc::clone(&calls);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (config, calls) = (Arc::clone(&config), Arc::clone(&counter));
                thread::spawn(move || serve(connection, config, &calls));
            }
        });
        Ok(Self { endpoint, own_root, all_roots, calls })
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

/// An authority of our own, and a server for `localhost` that it vouches for.
fn certificates() -> Result<(String, ServerConfig)> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate that is named as its issuer for its own issuer.
    authority.distinguished_name.push(DnType::CommonName, "thaw's bench");
    let authority_key = KeyPair::generate()?;
    let root = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).ok().context("rcgen makes keys that rustls takes")?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((root, config))
}
