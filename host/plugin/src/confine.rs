//! Leaves the compiler's process what compiling takes: memory, threads and the pipes that it has.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::io;

/// All that the kernel does for it. Whatever else it asks for does not exist: libraries that can
/// do without do so, as they do on an older kernel.
const ALLOWED: [i64; 35] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_ppoll,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Takes everything else from this process and its threads, for good.
///
/// # Errors
/// When the kernel has no filters, or not on this architecture.
pub(crate) fn confine() -> io::Result<()> {
    let filter = filter().map_err(io::Error::other)?;
    seccompiler::apply_filter_all_threads(&filter).map_err(io::Error::other)
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|number| (*number, Vec::new())).collect();
    // `clone3` hides its flags behind a pointer; without it, threads are made by `clone`.
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![flag(0, libc::CLONE_THREAD as u64)?])?]);
    // For how a process ends itself: its own threads, and no other process.
    let own = u64::from(std::process::id());
    let itself = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, own)?;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![itself])?]);
    // A thread's name, and nothing else that this call can do.
    let name = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, libc::PR_SET_NAME as u64)?;
    rules.insert(libc::SYS_prctl, vec![SeccompRule::new(vec![name])?]);
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let filter = SeccompFilter::new(rules, missing, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?;
    filter.try_into()
}

fn flag(argument: u8, flag: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "in a process of its own")]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::process::Command;

    /// What the child says when all is as it should be.
    const CONFINED: &str = "confined";

    #[test]
    fn a_compiler_opens_no_file_and_no_socket_and_compiles() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "confine::tests::in_a_process_of_its_own", "--ignored", "--nocapture"]);
        command.env("SALLYPORT_TEST_PORT", listener.local_addr().unwrap().port().to_string());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains(CONFINED), "{:?}: {said}", output.status);
    }

    #[test]
    #[ignore = "takes its process all that it has: another test runs it"]
    fn in_a_process_of_its_own() {
        let port: u16 = std::env::var("SALLYPORT_TEST_PORT").unwrap().parse().unwrap();
        let folder = std::env::temp_dir();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "before, it may");
        confine().unwrap();
        assert!(std::fs::read("/etc/passwd").is_err());
        assert!(std::fs::read("/proc/self/environ").is_err());
        assert!(std::fs::File::create(folder.join("sallyport-confined")).is_err());
        assert!(std::fs::read_dir("/").is_err() && std::fs::metadata("/").is_err());
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        assert!(TcpListener::bind("127.0.0.1:0").is_err() && UdpSocket::bind("127.0.0.1:0").is_err());
        assert!(std::os::unix::net::UnixStream::pair().is_err());
        assert!(Command::new("/bin/true").status().is_err());
        // What it is for goes on, on several threads.
        let compile = || {
            let engine = crate::engine::compiling().unwrap();
            engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap().len()
        };
        assert!(std::thread::spawn(compile).join().unwrap() > 0);
        assert!(compile() > 0);
        println!("{CONFINED}");
        // The harness has more to do than it may.
        std::process::exit(0);
    }
}
