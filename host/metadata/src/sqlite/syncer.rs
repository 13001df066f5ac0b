//! Puts what was committed on the disk: one wait for all who ask while the last one lasts.

use super::error::Lost;
use super::writer::Step;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// What a group of callers waits for.
type Waiting = Vec<Box<dyn Step>>;

/// A thread that syncs SQLite's log, and answers those whose transactions are in it.
pub(super) struct Syncer {
    queue: mpsc::Sender<Waiting>,
    thread: JoinHandle<()>,
}

impl Syncer {
    /// Starts the thread; `log` is SQLite's write-ahead log, which need not be there yet. `is_lost` is set by the first
    /// sync that fails: no later one is believed.
    ///
    /// # Errors
    /// When the system starts no more threads.
    pub(super) fn start(log: PathBuf, is_lost: Arc<AtomicBool>) -> io::Result<Self> {
        let (queue, waiting) = mpsc::channel();
        let builder = std::thread::Builder::new().name("metadata-syncer".to_owned());
        let thread = builder.spawn(move || work(Log { path: log, file: None, is_lost }, &waiting))?;
        Ok(Self { queue, thread })
    }

    /// Answers them once all that is committed now is on the disk.
    pub(super) fn answer_synced(&self, steps: Waiting) {
        if let Err(mpsc::SendError(steps)) = self.queue.send(steps) {
            answer(steps, Err(io::Error::other("the thread that syncs the log stopped")));
        }
    }

    /// Ends when everybody is answered. Blocks.
    pub(super) fn finish(self) {
        drop(self.queue);
        let _ = self.thread.join();
    }
}

fn work(mut log: Log, waiting: &mpsc::Receiver<Waiting>) {
    while let Ok(mut steps) = waiting.recv() {
        while let Ok(more) = waiting.try_recv() {
            steps.extend(more);
        }
        answer(steps, log.sync());
    }
}

fn answer(steps: Waiting, synced: io::Result<()>) {
    let failure = synced.err().map(|error| Arc::new(Lost::from(error)));
    if let Some(error) = &failure {
        tracing::error!(error = %error, "the metadata store's log could not be synced; its callers are told");
    }
    for step in steps {
        step.answer(failure.as_ref());
    }
}

/// SQLite's write-ahead log, through a descriptor of our own. Its locks are on other files, so
/// closing this one takes none away.
struct Log {
    path: PathBuf,
    file: Option<File>,
    /// A sync failed. The system forgets what it could not write, so the next one would succeed
    /// and mean nothing.
    is_lost: Arc<AtomicBool>,
}

impl Log {
    fn sync(&mut self) -> io::Result<()> {
        if self.is_lost.load(Ordering::Relaxed) {
            return Err(io::Error::other("syncing failed before: see to the disk, then restart"));
        }
        let outcome = self.try_sync();
        if outcome.is_err() {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn try_sync(&mut self) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) if file.metadata()?.nlink() > 0 => file,
            _ => self.open()?,
        };
        file.sync_data()?;
        self.file = Some(file);
        Ok(())
    }

    /// Opens the log, whose name is on the disk after that.
    #[expect(clippy::disallowed_methods, reason = "the syncer's own thread runs no tasks")]
    fn open(&self) -> io::Result<File> {
        let file = File::open(&self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(file)
    }
}
