//! Embeds what `sallyport plugin new` writes: the contract, the SDK and the templates.
//!
//! Each file is included by its own `include_str!`, so that the compiler knows of a change, and
//! each folder is named to Cargo, so that a new file is seen.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Folders and files below the repository's root.
const EMBEDDED: [&str; 4] = ["LICENSE", "wit", "plugins/sdk/src", "plugins/template"];
/// What a build leaves in a template's folder.
const LEFT_OUT: &str = "target";

fn main() -> io::Result<()> {
    let variable =
        |name: &str| std::env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(name.to_owned()));
    let root = variable("CARGO_MANIFEST_DIR")?.join("..");
    let mut files = Vec::new();
    for place in EMBEDDED {
        collect(&root, place, &mut files)?;
    }
    files.sort();
    let mut code = String::from("&[\n");
    for file in files {
        let path = root.join(&file);
        writeln!(code, "    ({file:?}, include_str!({:?})),", path.display().to_string()).map_err(io::Error::other)?;
    }
    code.push_str("]\n");
    write(&variable("OUT_DIR")?.join("embedded.rs"), &code)
}

/// Adds the files at a place, whose names are relative to the root.
fn collect(root: &Path, place: &str, files: &mut Vec<String>) -> io::Result<()> {
    let path = root.join(place);
    say(&format!("cargo::rerun-if-changed={}", path.display()));
    if !path.is_dir() {
        files.push(place.to_owned());
        return Ok(());
    }
    for name in names(&path)? {
        if name != LEFT_OUT {
            collect(root, &format!("{place}/{name}"), files)?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a build script has no executor")]
fn names(folder: &Path) -> io::Result<Vec<String>> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[expect(clippy::disallowed_methods, reason = "a build script has no executor")]
fn write(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)
}

#[allow(clippy::print_stdout, reason = "which is how a build script talks to Cargo")]
fn say(line: &str) {
    println!("{line}");
}
