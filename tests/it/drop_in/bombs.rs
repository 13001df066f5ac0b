//! Components that are made to be expensive are refused while the server answers.

use super::{ORDINARY, Stage, drop_in, release};
use sallyport_tests::wait::until;
use std::time::Instant;
use wasm_encoder::{
    CodeSection, Component, Function, FunctionSection, Instruction, Module, ModuleSection, TypeSection, ValType,
};

/// Functions that do nothing, each with this body.
fn module(functions: u32, body: &Function) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I64]);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..functions {
        declared.function(0);
        code.function(body);
    }
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&code);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

fn body(instructions: impl IntoIterator<Item = Instruction<'static>>) -> Function {
    let mut function = Function::new([(100, ValType::I64)]);
    for instruction in instructions {
        function.instruction(&instruction);
    }
    function.instruction(&Instruction::End);
    function
}

/// Values that are all alive at once, and joined in the end: what registers are bad at.
fn entangled(values: u32) -> Function {
    let mut instructions = Vec::new();
    for value in 0..values {
        instructions.push(Instruction::LocalGet(value % 100));
        instructions.push(Instruction::I64Const(i64::from(value)));
        instructions.push(Instruction::I64Mul);
        instructions.push(Instruction::LocalTee(value % 97));
    }
    instructions.extend((1..values).map(|_| Instruction::I64Xor));
    body(instructions)
}

#[tokio::test]
async fn a_compile_bomb_is_refused_while_the_server_answers() {
    let stage = Stage::with(Some(release("0.1.0", ORDINARY).await), |setup| {
        // A cache of its own: what was compiled once, with more time, is not compiled again.
        setup.environment("SALLYPORT_COMPILE_SECONDS", "2").environment("SALLYPORT_CACHE_DIR", "cache")
    })
    .await;
    let client = stage.bucket("quiet", "web").await;
    let small = body([Instruction::I64Const(1)]);
    let cases = [
        (module(100_001, &small), "more than 100000 functions"),
        (module(1, &entangled(200_000)), "function of"),
        (module(30, &entangled(90_000)), "compiling it takes more than"),
    ];
    for (component, why) in cases {
        drop_in(stage.plugins.path(), &component);
        let began = Instant::now();
        let mut slowest = std::time::Duration::ZERO;
        let rejected = async || stage.status().await["rejected"].as_str().unwrap_or_default().to_owned();
        while !rejected().await.contains(why) {
            assert!(began.elapsed().as_secs() < 150, "{why}: {}", rejected().await);
            let asked = Instant::now();
            assert_eq!(client.put("quiet/key", "bytes").await.unwrap().status, 200);
            slowest = slowest.max(asked.elapsed());
        }
        assert!(slowest.as_secs() < 10, "{why}: a request took {slowest:?}");
        assert_eq!(stage.status().await["version"], "0.1.0");
    }
    until("the compiler is gone", async || children(stage.gateway.process_id().unwrap()).is_empty()).await;
}

fn children(of: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        // The parent is the second field behind the name, which may have any characters.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
        if parent == Some(of) {
            found.push(id);
        }
    }
    found
}
