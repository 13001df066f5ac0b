//! `sallyport plugin`: for who writes plugins, and for who is about to install one.

mod inspect;
mod progress;
mod scaffold;
mod subject;
mod test;

use super::say;
use crate::arguments::{Cache, PluginCommand};
use anyhow::Context;
use sallyport_plugin::{HostOptions, PluginHost};
use std::path::PathBuf;
use tempfile::TempDir;

/// Answers whether all is well.
///
/// # Errors
/// What keeps the command from doing its work.
pub async fn plugin(command: PluginCommand) -> anyhow::Result<bool> {
    match command {
        PluginCommand::Inspect(request) => inspect::inspect(&request).await,
        PluginCommand::Test(request) => test::test(&request).await,
        PluginCommand::New(request) => scaffold::write(&request).await.map(|()| true),
    }
}

/// A folder for what is compiled: the one that is named, else one that goes with the command.
struct Compiled {
    folder: PathBuf,
    _scratch: Option<TempDir>,
}

impl Compiled {
    fn new(cache: &Cache) -> anyhow::Result<Self> {
        if let Some(folder) = &cache.cache_dir {
            return Ok(Self { folder: folder.clone(), _scratch: None });
        }
        let scratch = tempfile::tempdir().context("a folder for compiled plugins")?;
        Ok(Self { folder: scratch.path().to_owned(), _scratch: Some(scratch) })
    }

    /// A host that finds no plugin by itself.
    fn host(&self) -> anyhow::Result<PluginHost> {
        Ok(PluginHost::new(HostOptions {
            cache_folder: self.folder.clone(),
            compiler: Some(crate::app::compiler()),
            ..HostOptions::default()
        })?)
    }
}
