//! What a request costs at least: hyper, a signature made by hand, and no answer read.

use std::cell::Cell;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;

use super::job::{IN_FLIGHT, Job};
use crate::server::key;

const BODY: &str = "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>3</Days><GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>";

/// One connection for each request that is on its way.
pub async fn restore_all(job: Job) -> Result<()> {
    let (tls, host) = match job.endpoint.split_once("://") {
        Some(("https", host)) => (Some(connector()?), host.to_owned()),
        Some((_, host)) => (None, host.to_owned()),
        None => anyhow::bail!("{} is no endpoint", job.endpoint),
    };
    let signer = Rc::new(Signer::new(&host)?);
    let next = Rc::new(Cell::new(job.keys.start));
    let job = Rc::new(job);
    let lanes = (0..IN_FLIGHT).map(|_| {
        let (tls, host, signer, next, job) = (tls.clone(), host.clone(), signer.clone(), next.clone(), job.clone());
        async move {
            let connection = TcpStream::connect(&host).await?;
            connection.set_nodelay(true)?;
            match tls {
                Some(tls) => {
                    let connection = tls.connect(ServerName::try_from("127.0.0.1")?, connection).await?;
                    lane(connection, &signer, &next, &job).await
                }
                None => lane(connection, &signer, &next, &job).await,
            }
        }
    });
    LocalSet::new().run_until(try_join_all(lanes)).await?;
    Ok(())
}

async fn lane<T>(connection: T, signer: &Signer, next: &Cell<u32>, job: &Job) -> Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    tokio::task::spawn_local(connection);
    loop {
        let number = next.get();
        if number >= job.keys.end {
            return Ok(());
        }
        next.set(number + 1);
        let request = signer.sign(&format!("/{}/{}", job.bucket, key(number)))?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        ensure!(response.status() == StatusCode::ACCEPTED, "the server says {}", response.status());
        response.into_body().collect().await?;
    }
}

fn connector() -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(std::env::var("SSL_CERT_FILE")?)? {
        // Some that a system trusts are too odd for rustls.
        let _ = roots.add(certificate?);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Signature Version 4 with everything prepared that stays the same for a day.
struct Signer {
    host: String,
    access_key_id: String,
    day: String,
    key: Hmac<Sha256>,
    body_hash: String,
}

impl Signer {
    fn new(host: &str) -> Result<Self> {
        let day = Timestamp::now().strftime("%Y%m%d").to_string();
        let secret = format!("AWS4{}", std::env::var("AWS_SECRET_ACCESS_KEY").context("no secret")?);
        let key = [day.as_str(), "us-east-1", "s3", "aws4_request"]
            .iter()
            .try_fold(secret.into_bytes(), |key, part| Ok::<_, anyhow::Error>(finish(with(&mac(&key)?, part))))?;
        Ok(Self {
            host: host.to_owned(),
            access_key_id: std::env::var("AWS_ACCESS_KEY_ID").context("no key id")?,
            day,
            key: mac(&key)?,
            body_hash: hex(&Sha256::digest(BODY)),
        })
    }

    fn sign(&self, path: &str) -> Result<Request<Full<Bytes>>> {
        let Self { host, access_key_id, day, body_hash, .. } = self;
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "POST\n{path}\nrestore=\nhost:{host}\nx-amz-content-sha256:{body_hash}\nx-amz-date:{time}\n\n{signed}\n{body_hash}"
        );
        let scope = format!("{day}/us-east-1/s3/aws4_request");
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let signature = hex(&finish(with(&self.key, &to_sign)));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
        );
        let request = Request::post(format!("{path}?restore"))
            .header("host", host)
            .header("x-amz-content-sha256", body_hash)
            .header("x-amz-date", time)
            .header("authorization", authorization);
        Ok(request.body(Full::new(Bytes::from_static(BODY.as_bytes())))?)
    }
}

fn mac(key: &[u8]) -> Result<Hmac<Sha256>> {
    Ok(Hmac::new_from_slice(key)?)
}

fn with(mac: &Hmac<Sha256>, message: &str) -> Hmac<Sha256> {
    let mut mac = mac.clone();
    mac.update(message.as_bytes());
    mac
}

fn finish(mac: Hmac<Sha256>) -> Vec<u8> {
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
