//! What is tested, and how the kit gets hold of it.

use crate::case::Setting;
use crate::detour::Detour;
use async_trait::async_trait;
use sallyport_core::backend::Backend;
use std::sync::Arc;
use std::time::Duration;

/// A location that can be opened in each setting.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens it anew. In [`Setting::Troubled`] every connection goes where `detour` says, and
    /// no request waits for longer than a few seconds.
    ///
    /// # Errors
    /// A sentence that says why it cannot be opened.
    async fn open(&self, setting: Setting, detour: &Arc<Detour>) -> Result<Opened, String>;
}

/// A location that was opened.
#[derive(Clone)]
pub struct Opened {
    /// Its storage.
    pub backend: Arc<dyn Backend>,
    /// What it has cost so far.
    pub spent: Arc<dyn Fn() -> Spent + Send + Sync>,
}

/// What the calls of a location cost, all together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Time in which a plugin, or the host on its behalf, was at work.
    pub busy: Duration,
    /// Bytes of bodies that a plugin read itself instead of handing them on.
    pub bytes_read: u64,
}
