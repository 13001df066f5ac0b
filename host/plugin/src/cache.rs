//! Native code of components, compiled once and kept in a private folder under a key of its own.

use crate::compile::Compiler;
use crate::limits::Limits;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::Component;

/// The key by which this folder's code is known to be of its own host.
const KEY: &str = "key";
/// Bytes of a key, and of a code's authentication that stands before it.
const TAG: usize = 32;

/// Where compiled components are kept, and who compiles them.
#[derive(Debug, Clone)]
pub(crate) struct CodeCache {
    folder: PathBuf,
    /// Absent: they are compiled in this process.
    compiler: Option<Compiler>,
    limits: Limits,
}

impl CodeCache {
    pub(crate) fn new(folder: PathBuf, compiler: Option<Compiler>, limits: Limits) -> Self {
        Self { folder, compiler, limits }
    }

    /// The component of these bytes, from the cache when a host with this folder compiled it
    /// before; otherwise compiling takes seconds.
    ///
    /// # Errors
    /// Why it does not compile, as a sentence.
    pub(crate) async fn component(&self, engine: &Engine, bytes: Arc<[u8]>, digest: &str) -> Result<Component, String> {
        let name = format!("{digest}-{}.native", compatibility(engine));
        let (shop, opened) = (engine.clone(), self.folder.clone());
        let kept = blocking({
            let name = name.clone();
            move || {
                let folder = Folder::open(opened)?;
                let component = folder.load(&shop, &name);
                Some((folder, component))
            }
        });
        let folder = match kept.await? {
            Some((_, Some(component))) => return Ok(component),
            Some((folder, None)) => Some(folder),
            None => None,
        };
        let code = match &self.compiler {
            Some(compiler) => compiler.compile(&bytes, &self.limits).await?,
            None => {
                let engine = engine.clone();
                let compiled = blocking(move || engine.precompile_component(&bytes));
                compiled.await?.map_err(|error| format!("{error:#}"))?
            }
        };
        let engine = engine.clone();
        blocking(move || {
            if let Some(folder) = folder {
                folder.store(&name, &code);
            }
            component(&engine, &code)
        })
        .await?
        .map_err(|error| format!("{error:#}"))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| format!("compiling broke: {error}"))
}

/// A cache's folder of which nobody else can write or read anything.
struct Folder {
    path: PathBuf,
    key: [u8; TAG],
}

impl Folder {
    fn open(path: PathBuf) -> Option<Self> {
        let opened = private(&path).and_then(|()| key(&path));
        let told = opened.inspect_err(|error| {
            tracing::warn!(folder = %path.display(), %error, "compiled plugins are not kept");
        });
        Some(Self { key: told.ok()?, path })
    }

    /// The code of that name, when a host with this folder's key wrote it whole.
    #[expect(clippy::disallowed_methods, reason = "called where blocking is allowed")]
    fn load(&self, engine: &Engine, name: &str) -> Option<Component> {
        let path = self.path.join(name);
        let kept = std::fs::read(&path).ok()?;
        let again = |why: &dyn std::fmt::Display| {
            tracing::warn!(path = %path.display(), "compiled code is compiled again: {why}");
        };
        let (tag, code) = kept.split_first_chunk::<TAG>()?;
        let Some(mac) = self.mac(name, code).filter(|mac| mac.clone().verify_slice(tag).is_ok()) else {
            again(&"it is not as this host wrote it");
            return None;
        };
        drop(mac);
        component(engine, code).inspect_err(|error| again(error)).ok()
    }

    fn store(&self, name: &str, code: &[u8]) {
        let Some(mac) = self.mac(name, code) else { return };
        let tag = mac.finalize().into_bytes();
        if let Err(error) = write(&self.path, name, &[&tag, code]) {
            tracing::warn!(folder = %self.path.display(), name, %error, "the compiled plugin is not kept");
        }
    }

    /// Over the name as well: code under another component's name would run in its place.
    fn mac(&self, name: &str, code: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(code);
        Some(mac)
    }
}

/// Native code as a component.
fn component(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the code comes from this host's own compiler, either now or authenticated by a
    // key that only this user can read; no other code is ever loaded.
    #[expect(unsafe_code, reason = "wasmtime has no other way to load what it compiled before")]
    unsafe {
        Component::deserialize(engine, code)
    }
}

/// Makes the folder and insists that nobody else can write into it: what is loaded from it
/// runs as native code.
#[expect(clippy::disallowed_methods, reason = "called where blocking is allowed")]
fn private(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let metadata = std::fs::symlink_metadata(folder)?;
    if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(std::io::Error::other("it is not a folder of our own"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The folder's key, which the first host that needs it makes.
#[expect(clippy::disallowed_methods, reason = "called where blocking is allowed")]
fn key(folder: &Path) -> std::io::Result<[u8; TAG]> {
    let path = folder.join(KEY);
    let read = || -> std::io::Result<[u8; TAG]> {
        let bytes = std::fs::read(&path)?;
        bytes.try_into().map_err(|_| std::io::Error::other("its key is damaged: remove it"))
    };
    match read() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        answer => return answer,
    }
    let mut fresh = [0; TAG];
    getrandom::fill(&mut fresh).map_err(|_| std::io::Error::other("no random numbers"))?;
    // Whoever is first gives the folder its key; hosts that share it read that one.
    let temporary = folder.join(format!("{KEY}.{}.tmp", std::process::id()));
    file(&temporary, &[&fresh])?;
    let linked = std::fs::hard_link(&temporary, &path);
    std::fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => read(),
    }
}

#[expect(clippy::disallowed_methods, reason = "called where blocking is allowed")]
fn write(folder: &Path, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
    let temporary = folder.join(format!("{name}.{}.tmp", std::process::id()));
    file(&temporary, parts)?;
    std::fs::rename(&temporary, folder.join(name))
}

#[expect(clippy::disallowed_methods, reason = "called where blocking is allowed")]
fn file(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

/// The hash of a component's bytes, in hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn compatibility(engine: &Engine) -> String {
    struct Collect(Sha256);
    impl Hasher for Collect {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = Collect(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let mut text = hex::encode(hasher.0.finalize());
    text.truncate(16);
    text
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests prepare their files")]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[tokio::test]
    async fn code_is_kept_and_whatever_changed_it_is_compiled_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = Engine::default();
        let cache = CodeCache::new(folder.path().join("cache"), None, Limits::default());
        let compile = async || cache.component(&engine, EMPTY.into(), &digest(EMPTY)).await.map(|_| ());
        assert_eq!(compile().await, Ok(()));
        let name = format!("{}-{}.native", digest(EMPTY), compatibility(&engine));
        let opened = Folder::open(folder.path().join("cache")).expect("a private folder");
        assert!(opened.load(&engine, &name).is_some());

        let path = opened.path.join(&name);
        let mut bytes = std::fs::read(&path).expect("it is kept");
        let last = bytes.last_mut().expect("not empty");
        *last ^= 1;
        std::fs::write(&path, &bytes).expect("written");
        assert!(opened.load(&engine, &name).is_none(), "a bit of it changed");
        assert_eq!(compile().await, Ok(()));
        assert!(opened.load(&engine, &name).is_some(), "it was written again");

        // As a host leaves it that dies while it writes, on a disk that tears what is renamed.
        let whole = std::fs::read(&path).expect("it is kept");
        for length in [0, 1, TAG, TAG + 1, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("written");
            std::fs::write(opened.path.join(format!("{name}.1.tmp")), &whole[..length]).expect("written");
            assert!(opened.load(&engine, &name).is_none(), "{length} bytes of it");
            assert_eq!(compile().await, Ok(()));
            assert!(opened.load(&engine, &name).is_some(), "{length} bytes of it were compiled again");
        }

        // Good code under another name is another component's.
        std::fs::copy(&path, opened.path.join("other")).expect("copied");
        assert!(opened.load(&engine, "other").is_none());
        std::fs::remove_file(opened.path.join(KEY)).expect("removed");
        let opened = Folder::open(opened.path).expect("with another key");
        assert!(opened.load(&engine, &name).is_none());
    }
}
