//! The house rules that a compiler does not check.

use sallyport_tests::tools::root;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders with Rust of ours.
const SOURCES: [&str; 4] = ["bench", "host", "plugins", "tests"];
/// Past this a file has more than one responsibility.
const MOST_LINES: usize = 600;
/// Who may depend on which of our crates.
const ARROWS: [(&str, &[&str]); 14] = [
    ("host/core", &[]),
    ("host/kit", &["sallyport-core"]),
    ("host/s3", &["sallyport-core"]),
    ("host/plugin", &["sallyport-core"]),
    ("host/metadata", &["sallyport-core"]),
    ("host", &["sallyport-core", "sallyport-s3", "sallyport-plugin", "sallyport-metadata", "sallyport-kit"]),
    ("plugins/sdk", &[]),
    ("plugins/local", &["sallyport-plugin-sdk"]),
    ("plugins/aws_s3", &["sallyport-plugin-sdk"]),
    ("plugins/azure", &["sallyport-plugin-sdk"]),
    ("plugins/examples/opendal", &["sallyport-plugin-sdk"]),
    ("plugins/examples/sealed_s3", &["sallyport-plugin-sdk"]),
    (
        "tests",
        &["sallyport", "sallyport-core", "sallyport-s3", "sallyport-plugin", "sallyport-metadata", "sallyport-kit"],
    ),
    (
        "bench",
        &["sallyport", "sallyport-core", "sallyport-s3", "sallyport-plugin", "sallyport-metadata", "sallyport-tests"],
    ),
];
/// The module that reads CloudServer's files knows the types that those files name.
const KNOWS_TYPES: [&str; 1] = ["host/src/config/cloudserver"];
/// Frozen contracts with their SHA-256: a published version never changes.
const FROZEN: [(&str, &str); 0] = [];

#[test]
fn arrows_between_crates_point_as_the_architecture_says() {
    let mut wrong = Vec::new();
    for (place, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join(place).join("Cargo.toml")).unwrap();
        // Development may point at what the crate itself must not.
        let shipped = manifest.split("[dev-dependencies]").next().unwrap();
        let names = shipped.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        for name in names.filter(|name| name.starts_with("sallyport") && !allowed.contains(name)) {
            wrong.push(format!("{place} -> {name}"));
        }
    }
    assert!(wrong.is_empty(), "arrows that ARCHITECTURE.md does not have: {wrong:#?}");
}

#[test]
fn every_crate_has_its_arrows_listed() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let members: Vec<_> = members.split('"').skip(1).step_by(2).collect();
    let listed: Vec<_> = ARROWS.iter().map(|(place, _)| *place).collect();
    let missing: Vec<_> = members.iter().filter(|member| !listed.contains(member)).collect();
    assert!(missing.is_empty(), "say which arrows these may have: {missing:?}");
}

#[test]
fn no_file_has_more_lines_than_one_responsibility_takes() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|path| (lines_without_tests(&read(&path)), path))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .collect();
    assert!(long.is_empty(), "over {MOST_LINES} lines, tests inside not counted: {long:#?}");
}

#[test]
fn every_file_says_what_it_is_for_in_its_first_line() {
    let silent: Vec<_> = sources().into_iter().filter(|path| !read(path).starts_with("//! ")).collect();
    assert!(silent.is_empty(), "no `//! ` in the first line: {silent:#?}");
}

#[test]
fn the_host_names_no_type_of_location() {
    let mut named = Vec::new();
    for path in rust_files(&root().join("host")) {
        let relative = relative(&path);
        if relative.contains("/tests/")
            || relative.ends_with("_tests.rs")
            || KNOWS_TYPES.iter().any(|known| relative.starts_with(known))
        {
            continue;
        }
        let text = read(&path);
        let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap();
        for (number, line) in shipped.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if ["\"aws_s3\"", "\"azure\"", "\"local\""].iter().any(|literal| line.contains(literal)) {
                named.push(format!("{relative}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(named.is_empty(), "`describe` says what the host must know of a type: {named:#?}");
}

#[test]
fn frozen_contracts_are_not_edited() {
    for (path, digest) in FROZEN {
        let bytes = fs::read(root().join("wit/deps").join(path)).unwrap();
        assert_eq!(sallyport_tests::signing::sha256(&bytes), digest, "wit/deps/{path} is frozen");
    }
}

#[test]
fn the_commands_of_the_documentation_exist() {
    let makefile = read(&root().join("Makefile"));
    let mut absent = Vec::new();
    for page in ["README.md", "CONTRIBUTING.md"] {
        for line in read(&root().join(page)).lines() {
            let command =
                line.strip_prefix("make ").or_else(|| line.split(" make ").nth(1).filter(|_| line.starts_with("S3")));
            let Some(target) = command.and_then(|rest| rest.split_whitespace().next()) else { continue };
            if !makefile.lines().any(|rule| rule.starts_with(&format!("{target}:"))) {
                absent.push(format!("{page}: make {target}"));
            }
        }
    }
    assert!(absent.is_empty(), "{absent:#?}");
}

#[test]
fn modules_are_not_called_utils() {
    let vague = ["utils.rs", "util.rs", "common.rs", "helpers.rs", "types.rs", "manager.rs"];
    let found: Vec<_> = sources().into_iter().filter(|path| vague.iter().any(|name| path.ends_with(name))).collect();
    assert!(found.is_empty(), "names that say nothing: {found:#?}");
}

fn sources() -> Vec<PathBuf> {
    SOURCES.iter().flat_map(|folder| rust_files(&root().join(folder))).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            found.extend(rust_files(&path));
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn lines_without_tests(text: &str) -> usize {
    text.split("#[cfg(test)]\nmod ").next().unwrap().lines().count()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
