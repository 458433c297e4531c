//! Certificates that are made for one run, so that every client pays for TLS as it does on AWS.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

/// Where Linux distributions, Amazon's too, keep the certificates that a machine trusts.
const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// What clients must be told to trust.
pub struct Roots {
    /// Our authority alone: Node adds it to the roots that it carries in itself.
    pub own: PathBuf,
    /// Our authority after the system's: reading all of them is a part of every start.
    pub all: PathBuf,
}

/// An authority of our own, its roots in a folder, and a server on this machine that it vouches for.
pub fn make(dir: &Path) -> Result<(Roots, Arc<ServerConfig>)> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate that is named as its issuer for its own issuer.
    authority.distinguished_name.push(DnType::CommonName, "thaw's bench");
    let authority_key = KeyPair::generate()?;
    let root = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).ok().context("rcgen makes keys that rustls takes")?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;

    let roots = Roots { own: dir.join("own-root.pem"), all: dir.join("all-roots.pem") };
    let system: String = SYSTEM_ROOTS.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    fs::write(&roots.own, &root)?;
    fs::write(&roots.all, system + &root)?;
    Ok((roots, Arc::new(config)))
}
