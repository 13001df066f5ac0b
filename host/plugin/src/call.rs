//! One call of a plugin, as those who time it, cut it or feed it see it.

use crate::usage::Usage;
use sallyport_core::body::BodyError;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Files that a call may have open at a time.
const FILES: usize = 16;

/// Shared between the caller, the store and the bodies of a call.
pub(crate) struct Call {
    started: Instant,
    wall: Duration,
    idle: Duration,
    /// When something of the body moved last, in milliseconds since `started`.
    moved: AtomicU64,
    /// Bodies that are on their way out.
    sending: AtomicU64,
    cut: AtomicBool,
    /// The client's body was taken to its last byte.
    taken: AtomicBool,
    /// A limit kept it from getting what it needed.
    short: AtomicBool,
    cutting: Notify,
    /// The plugin itself writes the answer's body.
    written: AtomicBool,
    /// That body came to its end, or nobody reads it any more.
    read: AtomicBool,
    reading: Notify,
    /// Files that are open.
    files: AtomicUsize,
    /// Why the client's body ended early.
    body_error: OnceLock<BodyError>,
    usage: Arc<Usage>,
}

impl Call {
    pub(crate) fn new(wall: Duration, idle: Duration) -> Self {
        Self::counted(wall, idle, Arc::default())
    }

    /// A call whose cost is counted.
    pub(crate) fn counted(wall: Duration, idle: Duration, usage: Arc<Usage>) -> Self {
        Self {
            started: Instant::now(),
            wall,
            idle,
            moved: AtomicU64::new(0),
            sending: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            taken: AtomicBool::new(false),
            short: AtomicBool::new(false),
            cutting: Notify::new(),
            written: AtomicBool::new(false),
            read: AtomicBool::new(false),
            reading: Notify::new(),
            files: AtomicUsize::new(0),
            body_error: OnceLock::new(),
            usage,
        }
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// What the call costs.
    pub(crate) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Some of a body moved.
    pub(crate) fn touch(&self) {
        let elapsed = self.started.elapsed().as_millis() as u64;
        self.moved.store(elapsed, Ordering::Relaxed);
    }

    pub(crate) fn begin_sending(&self) {
        self.touch();
        self.sending.store(1, Ordering::Relaxed);
    }

    pub(crate) fn end_sending(&self) {
        if self.sending.swap(0, Ordering::Relaxed) == 1 {
            self.touch();
        }
    }

    /// Whether a body is still on its way out.
    pub(crate) fn is_sending(&self) -> bool {
        self.sending.load(Ordering::Relaxed) == 1
    }

    /// When the last byte moved.
    pub(crate) fn sent_by(&self) -> Instant {
        self.started + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    /// When the call has taken too long: a body may take as long as it moves, and the clock
    /// of the answer starts at its last byte.
    pub(crate) fn deadline(&self) -> Instant {
        self.sent_by() + if self.is_sending() { self.idle } else { self.wall }
    }

    /// Fails the call's requests.
    pub(crate) fn cut_off(&self) {
        self.cut.store(true, Ordering::Release);
        self.cutting.notify_waiters();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Resolves when the call is cut off.
    pub(crate) async fn cut(&self) {
        loop {
            let notified = self.cutting.notified();
            if self.is_cut() {
                return;
            }
            notified.await;
        }
    }

    /// The plugin itself writes the answer's body: it moves while its store is driven.
    pub(crate) fn begin_writing(&self) {
        self.written.store(true, Ordering::Release);
    }

    pub(crate) fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    /// Whether the answer's body moves only while the call's store is driven, and is still read.
    pub(crate) fn needs_store(&self) -> bool {
        self.is_written() && !self.read.load(Ordering::Acquire)
    }

    /// The answer's body came to its end, or nobody reads it any more.
    pub(crate) fn end_reading(&self) {
        self.read.store(true, Ordering::Release);
        self.reading.notify_waiters();
    }

    /// Resolves when the answer's body does not need the call's store.
    pub(crate) async fn wrote(&self) {
        loop {
            let reading = self.reading.notified();
            if !self.needs_store() {
                return;
            }
            reading.await;
        }
    }

    /// The last byte of the client's body was taken, by whoever stores it.
    pub(crate) fn take_all(&self) {
        self.taken.store(true, Ordering::Release);
    }

    pub(crate) fn has_taken_all(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    /// One more file, unless it has as many open as it may.
    pub(crate) fn open_file(self: &Arc<Self>) -> Option<OpenFile> {
        let open = OpenFile(Arc::clone(self));
        (self.files.fetch_add(1, Ordering::Relaxed) < FILES).then_some(open)
    }

    /// Something that the location has only so much of was all in use.
    pub(crate) fn run_short(&self) {
        self.short.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    pub(crate) fn fail_body(&self, error: BodyError) {
        let _ = self.body_error.set(error);
    }

    pub(crate) fn body_error(&self) -> Option<BodyError> {
        self.body_error.get().cloned()
    }
}

/// A file that a call has open; it counts until this is dropped.
pub(crate) struct OpenFile(Arc<Call>);

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.0.files.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_only_so_many_files_open_at_a_time() {
        let call = Arc::new(Call::new(Duration::ZERO, Duration::ZERO));
        let mut open: Vec<_> = (0..100).map_while(|_| call.open_file()).collect();
        assert_eq!(open.len(), FILES);
        assert!(call.open_file().is_none());
        open.pop();
        assert!(call.open_file().is_some());
        drop(open);
        assert_eq!(call.files.load(Ordering::Relaxed), 0);
    }
}
