//! Compiles components in a process of its own that has little memory, time and nothing else.

use crate::confine::confine;
use crate::engine;
use crate::limits::Limits;
use crate::log::printable;
use rustix::process::{Resource, Rlimit, Signal};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// Nobody: what a compiler runs as where this process may choose.
const NOBODY: u32 = 65_534;
/// Of what a compiler says on standard error, this much is kept.
const SAID: u64 = 4_096;
/// All of a compiler's environment. The allocator takes a gibibyte at once otherwise, which
/// is all that there is, and on a large machine the threads' stacks take the rest of it.
const ENVIRONMENT: [(&str, &str); 2] = [("MIMALLOC_ARENA_RESERVE", "32768"), ("RAYON_NUM_THREADS", "4")];
/// Files and pipes that a compiler may have open.
const DESCRIPTORS: u64 = 16;

/// How to start a program that calls [`compile_alone`].
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program.
    pub program: PathBuf,
    /// What makes it compile; memory in bytes and processor time in seconds come behind it.
    pub arguments: Vec<OsString>,
}

impl Compiler {
    /// Compiles a component to native code.
    ///
    /// # Errors
    /// A sentence that says why there is none.
    pub(crate) async fn compile(&self, bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, String> {
        let ran = tokio::time::timeout(limits.compile_wall, self.run(bytes, limits)).await;
        let late = || format!("compiling it takes more than {} s: build it smaller", limits.compile_wall.as_secs());
        let (status, code, said) = ran.map_err(|_| late())??;
        if status.success() {
            return Ok(code);
        }
        Err(ended(status, &String::from_utf8_lossy(&said), limits))
    }

    async fn run(&self, bytes: &[u8], limits: &Limits) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), String> {
        let failed = |error: std::io::Error| format!("the compiler does not run: {error}");
        let mut child = self.spawn(limits).map_err(failed)?;
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut input), Some(output), Some(errors)) = (input, output, errors) else {
            return Err("the compiler has no pipes".to_owned());
        };
        let (mut code, mut said) = (Vec::new(), Vec::new());
        let feed = async move {
            // A compiler that ends early says why by other means.
            let _ = input.write_all(bytes).await;
            let _ = input.shutdown().await;
        };
        let mut output = output.take(limits.code_bytes);
        let mut errors = errors.take(SAID);
        let (_, read, _) = tokio::join!(feed, output.read_to_end(&mut code), errors.read_to_end(&mut said));
        read.map_err(failed)?;
        if code.len() as u64 >= limits.code_bytes {
            return Err(format!("it compiles to {} bytes or more: build it smaller", limits.code_bytes));
        }
        Ok((child.wait().await.map_err(failed)?, code, said))
    }

    /// It inherits its three pipes and nothing else: no variable of ours, no folder, no descriptor.
    fn spawn(&self, limits: &Limits) -> std::io::Result<tokio::process::Child> {
        let command = || {
            let mut command = Command::new(&self.program);
            command.args(&self.arguments);
            command.arg(limits.compile_memory.to_string()).arg(limits.compile_cpu.as_secs().to_string());
            command.env_clear().envs(ENVIRONMENT).current_dir("/").kill_on_drop(true);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        if !rustix::process::geteuid().is_root() {
            return command().spawn();
        }
        match command().uid(NOBODY).gid(NOBODY).spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                tracing::warn!("plugins are compiled as root: nobody else may run {}", self.program.display());
                command().spawn()
            }
            spawned => spawned,
        }
    }
}

/// Why there is no code, as far as the system tells.
fn ended(status: ExitStatus, said: &str, limits: &Limits) -> String {
    let memory = limits.compile_memory >> 20;
    let signal = status.signal();
    if said.contains("memory allocation of") {
        return format!("compiling it takes more than {memory} MiB: build it smaller");
    }
    if [Signal::XCPU, Signal::KILL].iter().any(|ended| signal == Some(ended.as_raw())) {
        let seconds = limits.compile_cpu.as_secs();
        return format!("compiling it takes more than {seconds} s of processor time: build it smaller");
    }
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    match (signal, last) {
        (Some(signal), _) => {
            format!("its compiler was ended by signal {signal}: it is no component that compiles here")
        }
        (None, "") => "its compiler ended without a word".to_owned(),
        (None, why) => printable(why, 1_024),
    }
}

/// The compiler's part: gives up what it does not need, reads a component from standard
/// input and writes its code to standard output. Blocks; for a process of its own.
///
/// # Errors
/// A sentence for the parent.
pub fn compile_alone(memory: u64, seconds: u64) -> Result<(), String> {
    give_up(memory, seconds).map_err(|error| format!("the compiler's limits cannot be set: {error}"))?;
    // Kernels without filters are rare, and the limits hold there all the same.
    if let Err(error) = confine() {
        let _ = writeln!(std::io::stderr(), "the compiler is not confined: {error}");
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let engine = engine::compiling().map_err(|error| error.to_string())?;
    let code = engine.precompile_component(&bytes).map_err(|error| format!("{error:#}").replace('\n', " "))?;
    let mut output = std::io::stdout().lock();
    output.write_all(&code).and_then(|()| output.flush()).map_err(|error| error.to_string())
}

fn give_up(memory: u64, seconds: u64) -> std::io::Result<()> {
    let set = |resource: Resource, most: u64| {
        rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
    };
    set(Resource::Data, memory)?;
    // Address space is reserved before it is used, by the allocator and for threads' stacks.
    set(Resource::As, memory.saturating_mul(4))?;
    set(Resource::Cpu, seconds)?;
    set(Resource::Core, 0)?;
    // Its output is a pipe: it has no file to write to.
    set(Resource::Fsize, 0)?;
    set(Resource::Nofile, DESCRIPTORS)?;
    // The server and its requests come first.
    rustix::process::nice(5)?;
    Ok(())
}
