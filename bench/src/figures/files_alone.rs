//! The system calls of a synced PUT into a folder, and nothing else: no server, no metadata, no client. What no server
//! that syncs a file for each object can pass on this disk.

use crate::usage;
use anyhow::{Result, anyhow};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Makes files of so many bytes on as many threads for a while, each synced before it gets its name, and the folder
/// after. Answers files per second, and microseconds of CPU for each.
pub(super) fn run(size: u64, threads: usize, load: Duration) -> Result<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("objects"))?;
    let content = super::pattern(size);
    let made = AtomicU64::new(0);
    let began = Instant::now();
    // The threads tell their own processor time: it goes with them.
    let used = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    while began.elapsed() < load {
                        make(folder.path(), made.fetch_add(1, Ordering::Relaxed), &content)?;
                    }
                    usage::processor_time_of_this_thread()
                })
            })
            .collect();
        let ended = running.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        ended.sum::<Result<Duration>>()
    })?;
    let made = made.load(Ordering::Relaxed).max(1) as f64;
    Ok((made / began.elapsed().as_secs_f64(), used.as_secs_f64() * 1e6 / made))
}

fn make(root: &Path, number: u64, content: &[u8]) -> Result<()> {
    let (temporary, objects) = (root.join(format!(".tmp-{number}")), root.join("objects"));
    let mut file = File::create_new(&temporary)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&temporary, objects.join(number.to_string()))?;
    File::open(&objects)?.sync_all()?;
    Ok(())
}
