//! The server's certificate: from files, or made at the first start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsSource;

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

/// Reads or makes the certificate. HTTP/2 and HTTP/1.1 are offered.
pub fn acceptor(source: &TlsSource) -> Result<TlsAcceptor, CertificateError> {
    let config = match source {
        TlsSource::Files { key, certificate, authority } => from_files(key, certificate, authority.as_deref())?,
        TlsSource::Generated { hosts, folder } => {
            let file = |name: &str| folder.join(name);
            if std::fs::read_to_string(file("hosts")).ok() != Some(hosts.join("\n")) {
                generate(hosts, folder)?;
            }
            from_files(&file("server.key"), &file("server.crt"), Some(&file("ca.crt")))?
        }
    };
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn from_files(key: &Path, certificate: &Path, authority: Option<&Path>) -> Result<ServerConfig, CertificateError> {
    let mut chain = read_chain(certificate)?;
    if let Some(authority) = authority {
        chain.extend(read_chain(authority)?);
    }
    let key =
        PrivateKeyDer::from_pem_file(key).map_err(|source| CertificateError::Read { path: key.to_owned(), source })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
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
