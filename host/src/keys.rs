//! Key services: the embedded one, whose named keys are in a file, sealed by a master key, and
//! the operator's own.

mod aws_kms;
mod external;
mod file;
mod master;
mod store;

pub use aws_kms::AwsKmsOptions;
pub use external::ExternalKeys;
pub use master::MasterSource;
pub use store::{KeyStore, Listed};

use async_trait::async_trait;
use sallyport_core::encryption::{DataKey, KeyError, KeyService, S3_KEY, WrappedKey};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Loaded, Stamp};
use tokio::time::Instant;

/// AWS's own key, which is there without being made.
const AWS_KEY: &str = "aws/s3";
/// How long a rotated or disabled key may go unnoticed by a running server.
const FRESH: Duration = Duration::from_secs(1);

/// [`KeyService`] on a [`KeyStore`]; notices what the command line changes.
pub struct EmbeddedKeys {
    store: Arc<KeyStore>,
    /// Keys that clients name come to be with their first use.
    creates: bool,
    cached: Mutex<Option<Cached>>,
}

#[derive(Clone)]
struct Cached {
    keys: Arc<Loaded>,
    stamp: Stamp,
    looked: Instant,
}

impl EmbeddedKeys {
    /// The service over a store. Nothing is read or made before a key is needed.
    pub fn new(store: KeyStore, creates: bool) -> Self {
        Self { store: Arc::new(store), creates, cached: Mutex::default() }
    }

    /// The keys, at most [`FRESH`] old.
    async fn keys(&self) -> Result<Arc<Loaded>, KeyError> {
        match self.cached().filter(|cached| cached.looked.elapsed() < FRESH) {
            Some(cached) => Ok(cached.keys),
            None => self.look().await,
        }
    }

    fn cached(&self) -> Option<Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys as they are now. Files that are as they were cost a look at their times: names
    /// that no key has are for anybody to send.
    async fn look(&self) -> Result<Arc<Loaded>, KeyError> {
        let cached = self.cached();
        let looked = Instant::now();
        let store = Arc::clone(&self.store);
        let read = move || {
            let stamp = store.stamp()?;
            match cached.filter(|cached| cached.stamp == stamp) {
                Some(cached) => Ok(Cached { looked, ..cached }),
                None => Ok(Cached { keys: Arc::new(store.load()?), stamp, looked }),
            }
        };
        let read = blocking(read).await?;
        let keys = Arc::clone(&read.keys);
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
        Ok(keys)
    }

    /// The keys with this one among them, made now if it may be.
    async fn keys_with(&self, name: &str) -> Result<Arc<Loaded>, KeyError> {
        let keys = self.keys().await?;
        if keys.has(name) {
            return Ok(keys);
        }
        if self.creates || name == S3_KEY || name == AWS_KEY {
            let (store, name) = (Arc::clone(&self.store), name.to_owned());
            blocking(move || store.create(&name).map(drop)).await?;
        }
        self.look().await
    }
}

#[async_trait]
impl KeyService for EmbeddedKeys {
    async fn wrap(&self, name: &str, key: &DataKey, context: &str) -> Result<WrappedKey, KeyError> {
        let name = resolved(name)?;
        let keys = self.keys_with(name).await?;
        let (version, current) = keys.current(name)?;
        let bytes = current.wrap(key, &bound(name, version, context));
        Ok(WrappedKey { version, bytes: bytes.map_err(|error| KeyError::Unavailable(error.to_string()))? })
    }

    async fn unwrap(&self, name: &str, wrapped: &WrappedKey, context: &str) -> Result<DataKey, KeyError> {
        let name = resolved(name)?;
        let mut keys = self.keys().await?;
        if keys.version(name, wrapped.version).is_err() {
            keys = self.look().await?;
        }
        let key = keys.version(name, wrapped.version)?;
        key.unwrap(&wrapped.bytes, &bound(name, wrapped.version, context))
            .map_err(|_| KeyError::Unreadable(name.to_owned()))
    }

    async fn is_current(&self, name: &str, wrapped: &WrappedKey) -> Result<bool, KeyError> {
        let name = resolved(name)?;
        Ok(self.keys().await?.current(name)?.0 == wrapped.version)
    }
}

/// What a wrapped data key is bound to.
fn bound(name: &str, version: u32, context: &str) -> Vec<u8> {
    format!("sallyport data key 1\0{name}\0{version}\0{context}").into_bytes()
}

/// A key by whichever of AWS's ways it is named.
fn resolved(name: &str) -> Result<&str, KeyError> {
    let arn = name.strip_prefix("arn:").map(|_| name.split_once(":key/").or_else(|| name.split_once(":alias/")));
    let short = match arn {
        Some(parts) => parts.map(|(_, short)| short).ok_or_else(|| KeyError::NotFound(name.to_owned()))?,
        None => name.strip_prefix("alias/").filter(|short| *short == AWS_KEY).unwrap_or(name),
    };
    // The gateway's own key has one name, which no client may use.
    if short == S3_KEY && name != S3_KEY {
        return Err(KeyError::NotFound(name.to_owned()));
    }
    Ok(short)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeyError> + Send + 'static,
) -> Result<T, KeyError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| KeyError::Unavailable(error.to_string()))?
}

#[cfg(test)]
mod tests;
