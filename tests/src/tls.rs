//! A certificate authority of the tests' own, and a TLS front for servers that have none.

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// An authority that nobody trusts but who is told to.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// A server's certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The private key, in PEM.
    pub key: PathBuf,
    /// The certificate, in PEM.
    pub certificate: PathBuf,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.distinguished_name.push(DnType::CommonName, "The tests' authority");
        std::fs::write(folder.path().join("ca.crt"), parameters.self_signed(&key)?.pem())?;
        Ok(Self { issuer: Issuer::new(parameters, key), folder })
    }

    /// Its certificate, in PEM.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// A certificate for these names and addresses.
    ///
    /// # Errors
    /// When one of them is no name.
    pub fn issue(&self, names: &[&str]) -> Result<Issued> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let stem = names.first().context("a certificate needs a name")?.replace('*', "any");
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        let file = |ending: &str| self.folder.path().join(format!("{stem}.{ending}"));
        let issued = Issued { key: file("key"), certificate: file("crt") };
        std::fs::write(&issued.key, key.serialize_pem())?;
        std::fs::write(&issued.certificate, certificate.pem())?;
        Ok(issued)
    }
}

/// Takes TLS off connections and passes them on; ends when dropped.
#[derive(Debug)]
pub struct Front {
    port: u16,
    task: JoinHandle<()>,
}

impl Front {
    /// Stands in front of a local port.
    ///
    /// # Errors
    /// When the certificate cannot be used or nothing can be bound.
    pub async fn before(upstream: u16, issued: &Issued) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(&issued.certificate)?.collect::<Result<_, _>>()?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(&issued.key)?)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, upstream, acceptor.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, upstream: u16, acceptor: TlsAcceptor) {
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
    let _ = server.set_nodelay(true);
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// TLS for a client that trusts the authority in a file, and nobody else.
pub(crate) fn trusting(authority: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = authority {
        for certificate in CertificateDer::pem_file_iter(file)? {
            roots.add(certificate?)?;
        }
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
