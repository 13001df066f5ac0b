//! Whose certificates destinations may show.

use anyhow::{Context, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// A TLS client that trusts the authorities in a file, else the system's.
pub(super) async fn client(file: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            let text = tokio::fs::read(file).await.with_context(|| format!("ca: {}", file.display()))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                roots.add(certificate.context("ca: not a file of PEM")?).context("ca: not a certificate")?;
            }
            if roots.is_empty() {
                bail!("ca: {} has no certificate", file.display());
            }
        }
        None => {
            let native = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await?;
            roots.add_parsable_certificates(native.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
