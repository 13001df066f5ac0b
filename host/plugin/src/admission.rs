//! Decides from its type whether a component may run here.

use wasmtime::Engine;
use wasmtime::component::Component;

/// What a plugin may import, without versions. What the standard library of wasm32-wasip2
/// needs is among it; it does nothing here.
const IMPORTS: &[&str] = &[
    "sallyport:plugin/types",
    "sallyport:plugin/http",
    "sallyport:plugin/files",
    "sallyport:plugin/call",
    "sallyport:plugin/log",
    "wasi:http/types",
    "wasi:http/client",
    "wasi:clocks/types",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/system-clock",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/types",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    "wasi:sockets/network",
    "wasi:sockets/instance-network",
    "wasi:sockets/types",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
    "wasi:sockets/ip-name-lookup",
];

/// The interface that makes a component a plugin.
const STORAGE: &str = "sallyport:plugin/storage";
/// The version of the contract that this host speaks.
const VERSION: &str = "0.1";

/// Refuses what is not a component, by a look at the first bytes.
pub(crate) fn check_bytes(bytes: &[u8], limit: u64) -> Result<(), String> {
    if bytes.len() as u64 > limit {
        return Err(format!("it has {} bytes; at most {limit} are accepted", bytes.len()));
    }
    if Engine::detect_precompiled(bytes).is_some() || bytes.starts_with(b"\x7fELF") {
        return Err(
            "it is native code, which is never loaded: put the component there that it was compiled from".to_owned()
        );
    }
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some([b'\0', b'a', b's', b'm', 1, 0, 0, 0]) => {
            Err("it is a core module: build it as a component, for example for the target wasm32-wasip2".to_owned())
        }
        _ => {
            Err("it is not a WebAssembly component: put the .wasm file there that the plugin's build makes".to_owned())
        }
    }
}

/// Refuses a component that imports what no plugin is given or exports no storage.
pub(crate) fn check_type(engine: &Engine, component: &Component) -> Result<(), String> {
    let ty = component.component_type();
    let refused: Vec<&str> = ty
        .imports(engine)
        .map(|(name, _)| name)
        .filter(|name| !IMPORTS.contains(&name.split('@').next().unwrap_or(name)))
        .collect();
    if !refused.is_empty() {
        return Err(format!("it imports {}, which no plugin is given", refused.join(", ")));
    }
    let exports: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
    check_version(&exports)
}

fn check_version(exports: &[&str]) -> Result<(), String> {
    let mut versions = exports.iter().filter_map(|name| name.strip_prefix(STORAGE)?.strip_prefix('@'));
    let is_spoken = |version: &str| version == VERSION || version.starts_with(&format!("{VERSION}."));
    match versions.clone().find(|version| is_spoken(version)).or_else(|| versions.next()) {
        Some(version) if is_spoken(version) => Ok(()),
        Some(version) => Err(format!(
            "it exports {STORAGE}@{version} and this host speaks {VERSION}: build it against this host's wit/, or take \
             a host that speaks its version"
        )),
        None => Err(format!("it does not export {STORAGE}@{VERSION}, which every plugin has: see wit/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
    /// An empty instance type, and an import of it.
    const IMPORTS_WASI_NN: &[u8] = b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0\x0a\x18\x01\0\x13wasi:nn/graph@0.2.0\x05\0";

    #[test]
    fn garbage_core_modules_and_native_code_are_refused_with_a_sentence() {
        assert!(check_bytes(b"hello", 100).is_err_and(|why| why.contains("not a WebAssembly component")));
        assert!(check_bytes(b"\0asm\x01\0\0\0", 100).is_err_and(|why| why.contains("core module")));
        assert!(check_bytes(b"\x7fELF\x02\x01\x01", 100).is_err_and(|why| why.contains("native code")));
        assert!(check_bytes(b"\0asm\x0d\0\x01\0", 7).is_err_and(|why| why.contains("at most 7")));
        assert!(check_bytes(b"\0asm\x0d\0\x01\0", 100).is_ok());
    }

    #[test]
    fn an_import_that_no_plugin_is_given_is_refused_by_name() -> wasmtime::Result<()> {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, IMPORTS_WASI_NN)?;
        assert!(check_type(&engine, &component).is_err_and(|why| why.contains("wasi:nn/graph@0.2.0")));
        Ok(())
    }

    #[test]
    fn only_versions_of_the_contract_that_the_host_speaks_are_taken() {
        let check =
            |version: &str| check_version(&["wasi:cli/run@0.2.0", &format!("sallyport:plugin/storage@{version}")]);
        assert!(check("0.1.0").is_ok() && check("0.1.7").is_ok());
        for other in ["0.10.0", "0.2.0", "1.0.0", "0.1x"] {
            assert!(check(other).is_err_and(|why| why.contains(other)), "{other}");
        }
    }

    #[test]
    fn a_component_without_storage_is_refused() -> wasmtime::Result<()> {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, EMPTY)?;
        assert!(check_type(&engine, &component).is_err_and(|why| why.contains("does not export")));
        Ok(())
    }
}
