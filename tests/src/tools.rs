//! Where `make tools` put the servers and clients.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// A program of the Python environment (`s3cmd`, `aws`, `rclone`, `s5cmd`, `python`).
///
/// # Errors
/// When `make tools` has not installed it.
pub fn python_program(name: &str) -> Result<PathBuf> {
    installed(&root().join("tests/.tools/venv/bin").join(name))
}

/// A program of the Node environment (`azurite-blob`).
///
/// # Errors
/// When `make tools` has not installed it.
pub fn node_program(name: &str) -> Result<PathBuf> {
    installed(&root().join("tests/.tools/node/node_modules/.bin").join(name))
}

/// The folder of Node's packages, for scripts that import them.
#[must_use]
pub fn node_modules() -> PathBuf {
    root().join("tests/.tools/node/node_modules")
}

/// A client that comes as a Debian package (`restic`, `s3fs`), absent where that cannot be had.
#[must_use]
pub fn packaged(name: &str) -> Option<PathBuf> {
    let program = root().join("tests/.tools/bin").join(name);
    program.exists().then_some(program)
}

/// The folder of what builds a plugin in C (`clang`, `wit-bindgen`, `wasm-tools`), absent where it cannot be had.
#[must_use]
pub fn c_programs() -> Option<PathBuf> {
    let programs = root().join("tests/.tools/c/bin");
    ["clang", "wit-bindgen", "wasm-tools"].iter().all(|name| programs.join(name).exists()).then_some(programs)
}

/// The unpacked Ceph, absent where its packages cannot be had.
#[must_use]
pub fn ceph() -> Option<PathBuf> {
    let tools = root().join("tests/.tools");
    tools.join("ceph/installed").exists().then_some(tools)
}

/// The broker that notifications are published to.
///
/// # Errors
/// When `make tools` has not installed it.
pub fn nats_server() -> Result<PathBuf> {
    installed(&root().join("tests/.tools/nats/bin/nats-server"))
}

/// The tracer of system calls: the machine's own, else the unpacked one.
///
/// # Errors
/// When there is none.
pub fn strace() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::split_paths(&path).map(|folder| folder.join("strace")).find(|file| file.exists());
    own.map_or_else(|| installed(&root().join("tests/.tools/bin/strace")), Ok)
}

/// The server to test: `SALLYPORT_BIN`, else what `make build` or `cargo build` left.
///
/// # Errors
/// When there is none.
pub fn sallyport() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("SALLYPORT_BIN") {
        return installed(&root().join(path));
    }
    let build = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let candidates = [build.join("debug/sallyport"), root().join("target/release/sallyport")];
    for candidate in &candidates {
        if candidate.exists() {
            return Ok(candidate.clone());
        }
    }
    bail!("no sallyport at {candidates:?}: run make build, or name one in SALLYPORT_BIN")
}

/// The folder of the release's plugins: `SALLYPORT_PLUGINS`, else `target/plugins`.
///
/// # Errors
/// When `make plugins` has not filled it.
pub fn plugins() -> Result<PathBuf> {
    let path = std::env::var_os("SALLYPORT_PLUGINS").map_or_else(|| root().join("target/plugins"), PathBuf::from);
    installed(&path)
}

/// The folder of the plugins that are examples.
///
/// # Errors
/// When `make examples` has not filled it.
pub fn examples() -> Result<PathBuf> {
    installed(&root().join("target/examples"))
}

fn installed(path: &Path) -> Result<PathBuf> {
    if path.exists() {
        return Ok(path.to_path_buf());
    }
    bail!("{} is not there: run make test once, which installs it", path.display())
}
