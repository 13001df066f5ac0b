//! One admitted plugin: compiled, looked at, described.

use crate::admission;
use crate::cache::{self, CodeCache};
use crate::call::Call;
use crate::description::Description;
use crate::engine::TickingEngine;
use crate::error::PluginError;
use crate::instance::{Instance, Program};
use crate::lane::Lane;
use crate::limits::Limits;
use crate::log::PluginLog;
use crate::memory::Memory;
use crate::regular;
use crate::run::{self, Work};
use crate::scan;
use crate::state::{Grants, State};
use crate::trust::{self, Signatures};
use crate::whose::Whose;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::Linker;

/// Pure functions answer at once; what takes longer is broken.
const PURE: Duration = Duration::from_secs(10);

/// What the host knows of one `<type>.wasm`.
pub(crate) struct Plugin {
    pub(crate) kind: String,
    pub(crate) program: Program,
    pub(crate) description: Description,
    pub(crate) signatures: Signatures,
}

/// What admission needs of the host.
#[derive(Clone)]
pub(crate) struct Workshop {
    pub(crate) engine: TickingEngine,
    /// Where pure functions run.
    pub(crate) lane: Arc<Lane>,
    pub(crate) linker: Arc<Linker<State>>,
    pub(crate) cache: CodeCache,
    pub(crate) limits: Limits,
}

impl Plugin {
    /// Reads, compiles and asks a plugin what it is, without any grant.
    pub(crate) async fn admit(workshop: &Workshop, kind: &str, path: PathBuf) -> Result<Self, PluginError> {
        let Prepared { program, digest, bytes, list } = prepare(workshop, &path).await?;
        let own = list.is_some();
        let signatures = Signatures::read(&path, &bytes, list).await;
        let work: Work<_> = Box::new(|accessor, exports| {
            Box::pin(async move { exports.base.sallyport_plugin_storage().call_describe(accessor).await })
        });
        let said = ask(workshop, &program, kind, "describe", work).await?;
        if said.name != kind {
            let why = format!("it serves the type `{}`: call the file {}.wasm", said.name, said.name);
            return Err(PluginError::Refused { path, why });
        }
        let description = Description::from_wit(said, program.optional(), own, digest)
            .map_err(|why| PluginError::Refused { path: path.clone(), why })?;
        tracing::info!(plugin = kind, version = description.version, own, path = %path.display(), "the plugin {kind} is ready");
        Ok(Self { kind: kind.to_owned(), program, description, signatures })
    }

    /// Whether the other one came from the same bytes, under the same trust.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.description == other.description && self.signatures == other.signatures
    }
}

/// A plugin's file, read and compiled.
pub(crate) struct Prepared {
    pub(crate) program: Program,
    pub(crate) digest: String,
    pub(crate) bytes: Arc<[u8]>,
    /// The list that has it, when it came with the release.
    pub(crate) list: Option<Vec<u8>>,
}

/// Reads and compiles a file, unless it is no plugin.
pub(crate) async fn prepare(workshop: &Workshop, path: &Path) -> Result<Prepared, PluginError> {
    let refused = |why: String| PluginError::Refused { path: path.to_owned(), why };
    let (file, limit) = (path.to_owned(), workshop.limits.component_bytes);
    let read = tokio::task::spawn_blocking(move || read(&file, limit)).await;
    let read = read.map_err(|error| PluginError::Host(format!("reading a plugin broke: {error}")))?;
    let (bytes, digest) = read?;
    let engine = workshop.engine.engine();
    let component = workshop.cache.component(engine, bytes.clone(), &digest).await.map_err(refused)?;
    admission::check_type(engine, &component).map_err(refused)?;
    let program = Program::new(&workshop.linker, &component)
        .map_err(|error| refused(format!("it does not fit this host's contract: {error:#}")))?;
    let list = trust::listed(path, &digest).await;
    Ok(Prepared { program, digest, bytes, list })
}

/// Calls a pure function in a store without grants.
pub(crate) async fn ask<T: Send + 'static>(
    workshop: &Workshop,
    program: &Program,
    kind: &str,
    name: &'static str,
    work: Work<T>,
) -> Result<T, PluginError> {
    let limits = &workshop.limits;
    let broke = |why: String| PluginError::Broke { kind: kind.to_owned(), call: name, why };
    let whose = Whose::new(kind, "");
    let log = PluginLog::new(whose.clone(), limits);
    let memory = Memory::new(limits.location_memory, &whose);
    let grants = Grants { egress: None, folder: None, log, memory, whose };
    let call = Arc::new(Call::new(PURE, PURE));
    let making = program.instantiate(workshop.lane.clone(), &grants, limits, call.clone());
    let made = tokio::time::timeout(PURE, making).await;
    let instance: Instance =
        made.map_err(|_| broke("it does not start".to_owned()))?.map_err(|error| broke(run::describe(&error)))?;
    run::run(instance, workshop.lane.clone(), call, limits, 0, work, drop)
        .await
        .map_err(|error| broke(error.to_string()))
}

/// A plugin's bytes with their digest, unless a look at them shows that they are none.
#[expect(clippy::disallowed_methods, reason = "called where blocking is allowed")]
fn read(path: &Path, limit: u64) -> Result<(Arc<[u8]>, String), PluginError> {
    let refused = |why: String| PluginError::Refused { path: path.to_owned(), why };
    let unreadable = |error: std::io::Error| PluginError::Unreadable { path: path.to_owned(), why: error.to_string() };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > limit {
        return Err(refused(format!("it has {size} bytes; at most {limit} are accepted")));
    }
    let bytes = regular::read(path, limit).map_err(unreadable)?;
    admission::check_bytes(&bytes, limit).map_err(refused)?;
    scan::scan(&bytes).map_err(refused)?;
    let digest = cache::digest(&bytes);
    Ok((bytes.into(), digest))
}
