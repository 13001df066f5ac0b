//! The way round through misbehaving proxies that a troubled location's connections take.

use crate::chaos::{Chaos, Mood};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a pool takes at most to drop a connection that was closed.
const NOTICED: Duration = Duration::from_millis(60);

/// One proxy in front of each upstream that was connected to, all in one mood.
#[derive(Debug, Default)]
pub struct Detour {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    mood: Mood,
    proxies: HashMap<SocketAddr, Chaos>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { mood: Mood::Honest, proxies: HashMap::new() }
    }
}

impl Detour {
    /// Where to connect instead of to `upstream`. To be called within a runtime.
    ///
    /// # Errors
    /// When no port can be had for another proxy.
    pub fn divert(&self, upstream: SocketAddr) -> std::io::Result<SocketAddr> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(proxy) = inner.proxies.get(&upstream) {
            return Ok(proxy.address());
        }
        let proxy = Chaos::before_address(upstream)?;
        proxy.turn(inner.mood.clone());
        let address = proxy.address();
        inner.proxies.insert(upstream, proxy);
        Ok(address)
    }

    /// Changes what happens to connections from now on, and cuts those that are open. Answers
    /// when whoever pools them has noticed, so that the change is all that the next call meets.
    pub async fn turn(&self, mood: Mood) {
        self.change(mood);
        tokio::time::sleep(NOTICED).await;
    }

    fn change(&self, mood: Mood) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for proxy in inner.proxies.values() {
            proxy.turn(mood.clone());
            proxy.cut();
        }
        inner.mood = mood;
    }

    /// Whether anything ever connected.
    pub fn is_used(&self) -> bool {
        !self.inner.lock().unwrap_or_else(PoisonError::into_inner).proxies.is_empty()
    }
}
