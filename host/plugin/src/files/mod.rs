//! The `files` that a plugin imports: its location's folder, and bytes that stay native.

mod folder;
mod path;
mod read;
mod write;

pub(crate) use folder::Folder;

use crate::bindings::base::sallyport::plugin::files::{
    Host, HostWithStore, ListEntry, ListRequest, ReadRequest, ReadResponse, StatResponse, WriteRequest, WriteResponse,
};
use crate::bindings::base::sallyport::plugin::types::Failure;
use crate::call::Call;
use crate::handover;
use crate::state::State;
use crate::usage::HostWork;
use std::sync::Arc;
use tokio::task::JoinHandle;
use wasmtime::component::{Accessor, HasSelf, StreamReader};

type Files = HasSelf<State>;
type Answer<T> = wasmtime::Result<Result<T, Failure>>;

impl Host for State {}

impl HostWithStore<State> for Files {
    async fn write(
        accessor: &Accessor<State, Self>,
        request: WriteRequest,
        body: StreamReader<u8>,
    ) -> Answer<WriteResponse> {
        let (body, _) = handover::body_of(accessor, body)?;
        let folder = match folder(accessor) {
            Ok(folder) => folder,
            Err(failure) => return Ok(Err(failure)),
        };
        let call = call(accessor);
        let Some(_open) = call.open_file() else { return Ok(Err(too_many())) };
        // The bytes go to the file within this store's turn; the plugin has handed them on.
        let writing = HostWork(Box::pin(write::write(folder, request.path, request.size, request.replace, body)));
        let written = tokio::select! {
            written = writing => written,
            () = call.cut() => Err(failure("unavailable", "the call was cut off")),
        };
        Ok(written.map(|()| WriteResponse { attributes: Vec::new() }))
    }

    async fn read(accessor: &Accessor<State, Self>, request: ReadRequest) -> Answer<(ReadResponse, StreamReader<u8>)> {
        let folder = match folder(accessor) {
            Ok(folder) => folder,
            Err(failure) => return Ok(Err(failure)),
        };
        let span = request.span.map(|span| (span.offset, span.length));
        let found = match read::open(folder, call(accessor), request.path, span).await {
            Ok(found) => found,
            Err(failure) => return Ok(Err(failure)),
        };
        let response =
            ReadResponse { size: found.size, offset: found.offset, length: found.length, attributes: Vec::new() };
        Ok(Ok((response, handover::stream_of(accessor, found.body)?)))
    }

    async fn stat(accessor: &Accessor<State, Self>, path: String) -> Answer<StatResponse> {
        blocking(accessor, move |folder| {
            let (size, modified) = folder.stat(&path)?;
            Ok(StatResponse { size, modified, attributes: Vec::new() })
        })
        .await
    }

    async fn remove(accessor: &Accessor<State, Self>, path: String) -> Answer<()> {
        blocking(accessor, move |folder| folder.remove(&path)).await
    }

    async fn list(accessor: &Accessor<State, Self>, request: ListRequest) -> Answer<Vec<ListEntry>> {
        blocking(accessor, move |folder| {
            let entries =
                folder.list(&request.path, request.after.as_deref(), request.limit.clamp(1, 1000) as usize)?;
            let entry = |found: folder::Entry| ListEntry {
                name: found.name,
                folder: found.folder,
                size: found.size,
                modified: found.modified,
            };
            Ok(entries.into_iter().map(entry).collect())
        })
        .await
    }

    async fn check(accessor: &Accessor<State, Self>) -> Answer<u64> {
        blocking(accessor, |folder| folder.check()).await
    }
}

fn call(accessor: &Accessor<State, Files>) -> Arc<Call> {
    accessor.with(|mut access| access.get().call().clone())
}

fn folder(accessor: &Accessor<State, Files>) -> Result<Arc<Folder>, Failure> {
    let granted = accessor.with(|mut access| access.get().folder.clone());
    granted.ok_or_else(|| failure("denied", "this location has no folder"))
}

async fn blocking<T: Send + 'static>(
    accessor: &Accessor<State, Files>,
    work: impl FnOnce(&Folder) -> Result<T, Failure> + Send + 'static,
) -> Answer<T> {
    let folder = match folder(accessor) {
        Ok(folder) => folder,
        Err(failure) => return Ok(Err(failure)),
    };
    Ok(on_a_thread(move || work(&folder)).await)
}

/// Runs what blocks where blocking is fine.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let mut turn = tokio::task::spawn_blocking(work);
    ended(&mut turn).await
}

/// What was begun where blocking is fine, once it is over.
async fn ended<T>(turn: &mut JoinHandle<Result<T, Failure>>) -> Result<T, Failure> {
    turn.await.unwrap_or_else(|error| Err(failure("internal", &format!("the file operation broke: {error}"))))
}

fn failure(code: &str, message: &str) -> Failure {
    Failure { code: code.to_owned(), message: message.to_owned(), retry_after: None, attributes: Vec::new() }
}

fn too_many() -> Failure {
    failure("throttled", "the call has too many files open")
}

/// The contract's word for an error of the system.
fn from_errno(error: rustix::io::Errno) -> Failure {
    use rustix::io::Errno;
    let code = match error {
        Errno::NOENT | Errno::NOTDIR => "not-found",
        Errno::EXIST => "exists",
        Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::ROFS => "denied",
        Errno::NOSPC | Errno::DQUOT => "no-space",
        Errno::FBIG => "too-large",
        Errno::NAMETOOLONG | Errno::INVAL | Errno::ISDIR => "invalid",
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => "throttled",
        _ => "unavailable",
    };
    failure(code, &std::io::Error::from(error).to_string())
}
