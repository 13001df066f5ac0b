//! Native code of components, compiled once and kept in a private folder.

use crate::error::PluginError;
use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Where compiled components are kept.
#[derive(Debug, Clone)]
pub(crate) struct CodeCache {
    folder: PathBuf,
}

impl CodeCache {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The component of these bytes, from the cache when this host compiled it before.
    /// Blocks: compiling takes seconds.
    pub(crate) fn component(&self, engine: &Engine, bytes: &[u8], digest: &str) -> Result<Component, String> {
        let private = match self.private_folder() {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(folder = %self.folder.display(), %error, "compiled plugins are not kept");
                false
            }
        };
        let path = self.folder.join(format!("{digest}-{}.cwasm", compatibility(engine)));
        if private && let Some(component) = load(engine, &path) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, bytes).map_err(|error| format!("{error:#}"))?;
        if private && let Err(error) = store(&component, &path) {
            tracing::warn!(path = %path.display(), %error, "the compiled plugin is not kept");
        }
        Ok(component)
    }

    /// Makes the folder and insists that nobody else can write into it: what is loaded from
    /// it runs as native code.
    #[expect(clippy::disallowed_methods, reason = "compiling blocks anyway, on a thread for that")]
    fn private_folder(&self) -> std::io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let metadata = std::fs::symlink_metadata(&self.folder)?;
        if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(std::io::Error::other("it is not a folder of our own"));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(&self.folder, std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
}

fn load(engine: &Engine, path: &Path) -> Option<Component> {
    if !path.exists() {
        return None;
    }
    // SAFETY: the file is in a folder that only this user can write to, and this host wrote
    // it under this name by a rename; no other code is ever loaded in this way.
    #[expect(unsafe_code, reason = "wasmtime has no other way to load what it compiled before")]
    let loaded = unsafe { Component::deserialize_file(engine, path) };
    loaded.inspect_err(|error| tracing::warn!(path = %path.display(), %error, "compiled code is compiled again")).ok()
}

#[expect(clippy::disallowed_methods, reason = "compiling blocks anyway, on a thread for that")]
fn store(component: &Component, path: &Path) -> Result<(), PluginError> {
    let failed = |error: &dyn std::fmt::Display| PluginError::Host(error.to_string());
    let code = component.serialize().map_err(|error| failed(&error))?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&temporary, code).map_err(|error| failed(&error))?;
    std::fs::rename(&temporary, path).map_err(|error| failed(&error))
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
