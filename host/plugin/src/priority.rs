//! The priority of threads that give way to all others.

use rustix::process::nice;

/// How far the others' threads come first: a quarter of a processor is left to these when all are busy.
pub(crate) const NICE: i32 = 5;
/// How long they run at a time when they are let, in nanoseconds. The kernel lets a thread that wakes and asks for less
/// at a time come first at once, and one that asks for as much wait until this one's time is over: with a request that
/// goes through seven threads that adds up to several times its own.
#[cfg(target_os = "linux")]
const SLICE: u64 = 20_000_000;

/// Has the calling thread give way, as far as the system knows how to.
pub(crate) fn give_way() {
    // Without a priority it is one thread among many.
    if let Ok(now) = nice(NICE) {
        run_long_at_a_time(now);
    }
}

/// Linux takes the slice of a thread of the ordinary class
/// [since 6.12](https://docs.kernel.org/scheduler/sched-eevdf.html), before that it is ignored.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "no crate sets the slice of a thread; the call reads the record that it is given")]
fn run_long_at_a_time(nice: i32) {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: SLICE,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: 0 is the calling thread, and the record lives and has the size that it says.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

#[cfg(not(target_os = "linux"))]
fn run_long_at_a_time(_: i32) {}
