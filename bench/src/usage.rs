//! What a process has used, as the kernel counts it.

use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// Processor time of a process, user and system together. The kernel counts it in ticks of
/// 10 ms, so what is measured has to take seconds.
pub(crate) fn processor_time(process: u32) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name in parentheses may hold spaces; utime and stime are the 12th and 13th after it.
    let (_, rest) = stat.rsplit_once(')').with_context(|| format!("{path} has no name"))?;
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Processor time of all threads of this process that are there now, by the scheduler's own
/// clock, which counts nanoseconds.
pub(crate) fn processor_time_of_this_process() -> Result<Duration> {
    let threads = std::fs::read_dir("/proc/self/task")?;
    Ok(threads.filter_map(Result::ok).filter_map(|thread| scheduled(&thread.path()).ok()).sum())
}

/// Processor time of the calling thread, by the same clock.
pub(crate) fn processor_time_of_this_thread() -> Result<Duration> {
    scheduled(Path::new("/proc/thread-self"))
}

fn scheduled(thread: &Path) -> Result<Duration> {
    let path = thread.join("schedstat");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let nanoseconds = text.split_whitespace().next().and_then(|text| text.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.with_context(|| format!("{} has no time", path.display()))?))
}

/// Resident memory in bytes: now, and the most so far.
pub(crate) fn memory(process: u32) -> Result<(u64, u64)> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse::<u64>().ok())
    };
    let now = field("VmRSS:").with_context(|| format!("{path} has no VmRSS"))?;
    let most = field("VmHWM:").with_context(|| format!("{path} has no VmHWM"))?;
    Ok((now * 1024, most * 1024))
}
