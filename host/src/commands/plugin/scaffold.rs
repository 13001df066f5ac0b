//! `sallyport plugin new`: a complete project, with the contract and the SDK in it.

use super::say;
use crate::arguments::{Language, New};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// Files of this repository by their path, as they were when this program was built.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
/// What the templates are called where a project says its own name.
const PLACEHOLDER: &str = "newplugin";
/// Where the template of a language is.
const TEMPLATES: &str = "plugins/template/";
/// Names that a crate cannot have, or that would be confused with one of ours.
const TAKEN: [&str; 14] = [
    "async", "await", "core", "crate", "extern", "kit", "match", "self", "static", "std", "super", "test", "type",
    "wit",
];

pub(super) async fn write(request: &New) -> anyhow::Result<()> {
    check_name(&request.name)?;
    let folder = request.dir.clone().unwrap_or_else(|| PathBuf::from(&request.name));
    check_empty(&folder).await?;
    for (path, text) in project(&request.name, request.lang) {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            tokio::fs::create_dir_all(parent).await.with_context(|| parent.display().to_string())?;
        }
        tokio::fs::write(&path, text).await.with_context(|| path.display().to_string())?;
    }
    say(format_args!("{} is a plugin that works; its README.md says how to build and test it", folder.display()))
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let legal = (2..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if !legal {
        bail!("`{name}` is no plugin's name: take 2 to 40 lower-case letters, digits and underscores, a letter first");
    }
    if TAKEN.contains(&name) {
        bail!("`{name}` means something else to a compiler: take another name");
    }
    Ok(())
}

async fn check_empty(folder: &Path) -> anyhow::Result<()> {
    let Ok(mut entries) = tokio::fs::read_dir(folder).await else { return Ok(()) };
    match entries.next_entry().await? {
        None => Ok(()),
        Some(_) => bail!("{} is not empty: name another folder with --dir", folder.display()),
    }
}

/// The files of a project, by their path within it.
fn project(name: &str, language: Language) -> Vec<(String, String)> {
    let template = format!("{TEMPLATES}{}/", folder_of(language));
    let place = |path: &str| -> Option<String> {
        if let Some(own) = path.strip_prefix(&template) {
            return Some(own.to_owned());
        }
        if path.starts_with("wit/") {
            return Some(path.to_owned());
        }
        if language != Language::Rust {
            return None;
        }
        match path {
            "LICENSE" => Some("vendor/sdk/LICENSE".to_owned()),
            "plugins/template/vendored-sdk.toml" => Some("vendor/sdk/Cargo.toml".to_owned()),
            other => other.strip_prefix("plugins/sdk/").map(|own| format!("vendor/sdk/{own}")),
        }
    };
    let written = EMBEDDED.iter().filter_map(|(path, text)| {
        let own = path.starts_with(&template);
        let text = if own { filled_in(text, name) } else { (*text).to_owned() };
        Some((place(path)?, text))
    });
    written.collect()
}

fn folder_of(language: Language) -> &'static str {
    match language {
        Language::Rust => "rust",
        Language::Python => "python",
        Language::C => "c",
    }
}

fn filled_in(text: &str, name: &str) -> String {
    // In this repository the template stands beside the SDK, in a project the SDK is in it.
    let text = text.replace("path = \"../../sdk\"", "path = \"vendor/sdk\"");
    text.replace(PLACEHOLDER, name).replace(&PLACEHOLDER.to_ascii_uppercase(), &name.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_the_contract_the_sdk_and_its_own_name() {
        let files = project("cellar", Language::Rust);
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        for path in ["Cargo.toml", "Cargo.lock", "README.md", "location.json", "src/lib.rs", ".gitignore"] {
            assert!(paths.contains(&path), "{path} is not in {paths:?}");
        }
        for path in ["wit/storage.wit", "wit/deps/http.wit", "vendor/sdk/Cargo.toml", "vendor/sdk/src/lib.rs"] {
            assert!(paths.contains(&path), "{path} is not in {paths:?}");
        }
        for (path, text) in &files {
            assert!(!text.contains(PLACEHOLDER), "{path} has another name");
            assert!(!path.contains("target/"), "{path} is left of a build");
        }
        let (_, manifest) = files.iter().find(|(path, _)| path == "Cargo.toml").unwrap();
        assert!(manifest.contains("name = \"cellar\"") && manifest.contains("path = \"vendor/sdk\""), "{manifest}");
    }

    #[test]
    fn a_project_in_another_language_has_the_contract_and_its_own_name() {
        for (language, source) in [(Language::Python, "plugin.py"), (Language::C, "src/plugin.c")] {
            let files = project("cellar", language);
            for path in [source, "README.md", "location.json", ".gitignore", "wit/storage.wit", "wit/deps/http.wit"] {
                assert!(files.iter().any(|(known, _)| known == path), "{path} is not in {files:?}");
            }
            for (path, text) in &files {
                assert!(!text.contains(PLACEHOLDER), "{path} has another name");
                assert!(!path.starts_with("vendor/"), "{path} is of Rust alone");
            }
        }
    }

    #[test]
    fn names_that_no_crate_and_no_file_can_have_are_refused() {
        for name in ["", "a", "Cellar", "cellar-2", "2cellar", "../x", "type", "self", "ü"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("my_store2").is_ok());
    }
}
