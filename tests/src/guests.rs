//! Plugins that are no part of the workspace, built as their authors would.

use crate::tools::root;
use anyhow::{Result, ensure};
use std::path::PathBuf;
use tokio::process::Command;

/// Builds a project below `tests/fixtures`, in a target folder of its own; answers the component.
///
/// # Errors
/// When it does not build; the message has cargo's.
pub async fn build(project: &str, component: &str) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let target = target.join(project);
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--target", "wasm32-wasip2"])
        .current_dir(root().join("tests/fixtures").join(project))
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(target.join(format!("wasm32-wasip2/release/{component}.wasm")))
}
