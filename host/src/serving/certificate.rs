//! The server's certificate: from files, or made at the first start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsSource;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file is not there or not PEM.
    #[error("{} cannot be read as PEM: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The files can be read, but do not belong together.
    #[error("certificate and key cannot be used: {0}")]
    Use(#[from] rustls::Error),
    /// None could be made.
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// The made one could not be kept.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The certificate that is served, which may be replaced while connections are open.
#[derive(Debug)]
pub struct Certificate {
    source: TlsSource,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Certificate {
    /// Reads or makes it.
    ///
    /// # Errors
    /// When there is none to serve with.
    pub fn read(source: &TlsSource) -> Result<Self, CertificateError> {
        let current = Arc::new(Current(ArcSwap::from_pointee(load(source)?)));
        Ok(Self { source: source.clone(), current })
    }

    /// What is wrong with files that are to be served with, each with its key in
    /// `certFilePaths`. What is made at the first start has none.
    pub fn faults(source: &TlsSource) -> Vec<(&'static str, CertificateError)> {
        let TlsSource::Files { key, certificate, authority } = source else { return Vec::new() };
        let chains = [("cert", Some(certificate)), ("ca", authority.as_ref())];
        let chains = chains.into_iter().filter_map(|(name, file)| Some((name, read_chain(file?).err()?)));
        let mut faults: Vec<_> = read_key(key).err().map(|error| ("key", error)).into_iter().chain(chains).collect();
        if faults.is_empty() {
            faults.extend(load(source).err().map(|error| ("cert", error)));
        }
        faults
    }

    /// What takes connections with whatever is the certificate then. HTTP/2 and HTTP/1.1
    /// are offered.
    ///
    /// # Errors
    /// When TLS cannot be configured at all.
    pub fn acceptor(&self) -> Result<TlsAcceptor, CertificateError> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>;
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Takes over renewed files for ever: on SIGHUP, and when they changed. Files that cannot
    /// be used leave the certificate as it is.
    ///
    /// # Errors
    /// When the signal cannot be waited for.
    pub async fn renew(self) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut known = self.stamps().await;
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let now = self.stamps().await;
            if !asked && now == known {
                continue;
            }
            known = now;
            let source = self.source.clone();
            match tokio::task::spawn_blocking(move || load(&source)).await {
                Ok(Ok(renewed)) => {
                    self.current.0.store(Arc::new(renewed));
                    tracing::info!("the renewed certificate is served from now on");
                }
                Ok(Err(error)) => tracing::error!("the certificate was not renewed, the old one is served on: {error}"),
                Err(error) => tracing::error!("the certificate was not renewed: {error}"),
            }
        }
    }

    /// When its files were written.
    async fn stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let mut stamps = Vec::new();
        for file in files(&self.source) {
            let metadata = tokio::fs::metadata(file).await.ok();
            stamps.push(metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len()))));
        }
        stamps
    }
}

/// Key, certificate and what is sent after it.
fn files(source: &TlsSource) -> Vec<PathBuf> {
    match source {
        TlsSource::Files { key, certificate, authority } => {
            [key, certificate].into_iter().chain(authority).cloned().collect()
        }
        TlsSource::Generated { folder, .. } => {
            ["server.key", "server.crt", "ca.crt"].map(|name| folder.join(name)).to_vec()
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "before anything is served, or where blocking is allowed")]
fn load(source: &TlsSource) -> Result<CertifiedKey, CertificateError> {
    if let TlsSource::Generated { hosts, folder } = source
        && std::fs::read_to_string(folder.join("hosts")).ok() != Some(hosts.join("\n"))
    {
        generate(hosts, folder)?;
    }
    let mut chain = Vec::new();
    let mut files = files(source).into_iter();
    let key = files.next().unwrap_or_default();
    for certificate in files {
        chain.extend(read_chain(&certificate)?);
    }
    Ok(CertifiedKey::from_der(chain, read_key(&key)?, &provider())?)
}

fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let error = |source| CertificateError::Read { path: path.to_owned(), source };
    CertificateDer::pem_file_iter(path).map_err(error)?.collect::<Result<_, _>>().map_err(error)
}

/// Makes an authority, forgets its key, and leaves `hosts` last: a crash before it makes
/// the next start begin again.
fn generate(hosts: &[String], folder: &Path) -> Result<(), CertificateError> {
    let authority_key = rcgen::KeyPair::generate()?;
    let mut authority = rcgen::CertificateParams::new(Vec::new())?;
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    authority.distinguished_name.push(rcgen::DnType::CommonName, "Sallyport");
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = rcgen::Issuer::new(authority, authority_key);

    let key = rcgen::KeyPair::generate()?;
    let mut names = hosts.to_vec();
    let virtual_hosts = hosts.iter().filter(|host| host.parse::<std::net::IpAddr>().is_err());
    names.extend(virtual_hosts.map(|host| format!("*.{host}")));
    let certificate = rcgen::CertificateParams::new(names)?.signed_by(&key, &issuer)?;

    write(folder, "ca.crt", &authority_certificate.pem(), 0o644)?;
    write(folder, "server.crt", &certificate.pem(), 0o644)?;
    write(folder, "server.key", &key.serialize_pem(), 0o600)?;
    write(folder, "hosts", &hosts.join("\n"), 0o644)
}

#[expect(clippy::disallowed_methods, reason = "before anything is served, or where blocking is allowed")]
fn write(folder: &Path, name: &str, text: &str, mode: u32) -> Result<(), CertificateError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let path = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    std::fs::create_dir_all(folder)
        .and_then(|()| options.open(&path)?.write_all(text.as_bytes()))
        .map_err(|source| CertificateError::Write { path, source })
}
