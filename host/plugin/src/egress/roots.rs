//! The certificate authorities that the system trusts.

use rustls::RootCertStore;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// For how long what was read counts as what the system trusts: it is hundreds of files, and all locations are opened
/// at once.
const FRESH: Duration = Duration::from_secs(10);

/// What was read last, and when.
#[derive(Default)]
pub(crate) struct SystemRoots(Mutex<Option<(Instant, Arc<RootCertStore>)>>);

impl SystemRoots {
    /// What the system trusts now; reads files unless it just did. One that cannot be read is left out.
    pub(crate) fn get(&self) -> Arc<RootCertStore> {
        // Who comes meanwhile waits for it, rather than reading the same.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, roots)) = last.as_ref().filter(|(read, _)| read.elapsed() < FRESH) {
            return roots.clone();
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let roots = Arc::new(roots);
        *last = Some((Instant::now(), roots.clone()));
        roots
    }
}
