//! Plugins that are no part of the workspace, built as their authors would.

use crate::tools::root;
use anyhow::{Result, bail, ensure};
use std::path::PathBuf;
use tokio::process::Command;
use wasm_encoder::{Encode, Instruction};

/// The hostile plugin. Rust has no name for `table.grow`: the instruction is put where the source
/// has two numbers that nothing else has.
///
/// # Errors
/// As [`build`], and when the two numbers are not in one place.
pub async fn hostile() -> Result<Vec<u8>> {
    let mut component = tokio::fs::read(build("hostile", "hostile").await?).await?;
    let stand_in = encoded(&[
        Instruction::LocalGet(0),
        Instruction::I32Const(0x5a11_f0a7),
        Instruction::I32Mul,
        Instruction::I32Const(0x0b0b_5eed),
        Instruction::I32Add,
    ]);
    let null = Instruction::RefNull(wasm_encoder::HeapType::FUNC);
    let mut meant = encoded(&[null, Instruction::LocalGet(0), Instruction::TableGrow(0)]);
    while meant.len() < stand_in.len() {
        Instruction::Nop.encode(&mut meant);
    }
    ensure!(meant.len() == stand_in.len(), "table.grow does not fit in its place");
    let windows = component.windows(stand_in.len()).enumerate();
    let places: Vec<usize> = windows.filter(|(_, bytes)| *bytes == stand_in).map(|(place, _)| place).collect();
    let [place] = *places.as_slice() else { bail!("the plugin has {} places for table.grow", places.len()) };
    drop(component.splice(place..place + meant.len(), meant));
    Ok(component)
}

fn encoded(instructions: &[Instruction<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for instruction in instructions {
        instruction.encode(&mut bytes);
    }
    bytes
}

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
