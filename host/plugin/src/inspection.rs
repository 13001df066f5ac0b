//! What can be told of a plugin's file by looking into it.

use crate::description::Description;
use crate::error::PluginError;
use crate::plugin::{self, Prepared, Workshop};
use crate::run::Work;
use crate::trust::{Signatures, Vouched};
use std::path::Path;

/// A file that is a plugin.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// What it says of itself.
    pub description: Description,
    /// Its size in bytes.
    pub size: u64,
    /// The interfaces that it imports, with their versions, sorted.
    pub imports: Vec<String>,
    /// The interfaces that it exports, with their versions, sorted.
    pub exports: Vec<String>,
    /// What a signature beside it is worth.
    pub vouched: Vouched,
}

impl Inspection {
    /// The version of the contract that it was built against.
    pub fn contract(&self) -> Option<&str> {
        self.exports.iter().find_map(|name| name.strip_prefix("sallyport:plugin/storage@"))
    }
}

/// Reads, compiles and asks a file what it is, without any grant.
pub(crate) async fn inspect(workshop: &Workshop, path: &Path, keys: &[String]) -> Result<Inspection, PluginError> {
    let Prepared { program, digest, bytes, list } = plugin::prepare(workshop, path).await?;
    let own = list.is_some();
    let vouched = Signatures::read(path, &bytes, list).await.vouched(keys);
    let unreadable = |error: std::io::Error| PluginError::Unreadable { path: path.to_owned(), why: error.to_string() };
    let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    let work: Work<_> = Box::new(|accessor, exports| {
        Box::pin(async move { exports.base.sallyport_plugin_storage().call_describe(accessor).await })
    });
    let kind = path.file_stem().map_or_else(|| "plugin".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let said = plugin::ask(workshop, &program, &kind, "describe", work).await?;
    let (imports, exports) = program.interfaces();
    let description = Description::from_wit(said, program.optional(), own, digest);
    let description = description.map_err(|why| PluginError::Refused { path: path.to_owned(), why })?;
    Ok(Inspection { description, size, imports, exports, vouched })
}
