//! Opens a database: lock, schema, writer, readers.

use super::error::SqliteError;
use super::known::Known;
use super::lock::FolderLock;
use super::pages::{self, Pages};
use super::syncer::Syncer;
use super::writer::{Numbers, Operation, Settings, Writer, now};
use rusqlite::OpenFlags;
use sallyport_core::metadata::{MetadataError, MetadataResult};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// The database's file in its folder.
pub(super) const FILE: &str = "metadata.sqlite";
/// SQLite's write-ahead log beside it.
const LOG: &str = "metadata.sqlite-wal";
/// The schema, oldest first.
pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
/// SQLite's page cache, for each connection, in KiB.
const CACHE: &str = "-16384";

/// What a connection that writes is set to.
const WRITING: [(&str, &str); 4] = [
    ("foreign_keys", "ON"),
    ("cache_size", CACHE),
    // What a savepoint may have to restore, which would be a file for each group otherwise.
    ("temp_store", "MEMORY"),
    // Pages of the log after which they go to the database's file: the same pages change again and
    // again, and go there once. 16 MiB of log are read at once after a crash.
    ("wal_autocheckpoint", "4096"),
];
/// How long somebody waits who finds the database locked.
const BUSY: Duration = Duration::from_secs(10);

/// What an acknowledged call survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Power loss: each transaction is synced before its callers are told.
    #[default]
    PowerLoss,
    /// `kill -9`; power loss may take the last transactions, whole ones only.
    ProcessCrash,
}

/// How to open a database.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The folder of the database; made if missing.
    pub folder: PathBuf,
    /// What an acknowledged call survives.
    pub durability: Durability,
    /// How long superseded bytes are kept for readers that started before.
    pub deletion_delay: Duration,
    /// How many events may wait for a destination: beyond it the oldest are dropped.
    pub most_events: u32,
    /// Most connections that read single rows, and most that read pages of listings.
    pub readers: u32,
}

impl SqliteOptions {
    /// Safe defaults for a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            durability: Durability::default(),
            deletion_delay: Duration::from_secs(600),
            most_events: 100_000,
            readers: 4,
        }
    }
}

/// The metadata port on SQLite. It holds its folder's lock while it lives.
pub struct SqliteStore {
    writer: Mutex<Option<Writer>>,
    pub(super) readers: SqlitePool,
    /// Read what takes milliseconds, so that what takes microseconds does not wait for it.
    pub(super) pages: Pages,
    pub(super) known: Arc<Known>,
    pub(super) owner: i64,
    pub(super) events_queued: watch::Receiver<u64>,
    /// Whether the log could not be synced.
    is_lost: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
    _lock: Arc<FolderLock>,
}

impl SqliteStore {
    /// Opens the folder's database, makes or migrates it, and declares everybody who had it
    /// before dead. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// [`SqliteError::InUse`] while another process has the folder; anything else is for the
    /// operator to repair.
    pub async fn open(options: SqliteOptions) -> Result<Self, SqliteError> {
        let folder = options.folder.clone();
        let file = folder.join(FILE);
        tokio::fs::create_dir_all(&folder).await.map_err(SqliteError::file(&folder))?;
        let lock = Arc::new(FolderLock::take(&folder)?);
        let mut connection = write_options(&file, options.durability).connect().await?;
        MIGRATIONS.run(&mut connection).await?;
        let owner = take_over(&mut connection).await?;
        let known = Arc::new(Known::default());
        let (queued, events_queued) = watch::channel(0);
        let settings = Settings {
            deletion_delay: i64::try_from(options.deletion_delay.as_millis()).unwrap_or(i64::MAX),
            most_events: i64::from(options.most_events),
            events_queued: queued,
        };
        let is_lost = Arc::<AtomicBool>::default();
        let syncer = match options.durability {
            Durability::PowerLoss => Some(Syncer::start(folder.join(LOG), Arc::clone(&is_lost))),
            Durability::ProcessCrash => None,
        };
        let syncer = syncer.transpose().map_err(SqliteError::file(&folder))?;
        sqlx::Connection::close(connection).await?;
        let writing = file.clone();
        let opened = tokio::task::spawn_blocking(move || connection_that_writes(&writing)).await;
        let connection = opened.map_err(|error| SqliteError::file(&file)(error.into()))??;
        let started =
            Writer::start((connection, lock.clone()), Numbers::new(owner), settings, Arc::clone(&known), syncer);
        let (writer, thread) = started.map_err(SqliteError::file(&folder))?;
        let reading = read_options(&file);
        let pages = Pages::new(&reading, options.readers);
        let readers =
            pages::reading().min_connections(1).max_connections(options.readers.max(1)).connect_with(reading).await?;
        let (writer, thread) = (Mutex::new(Some(writer)), Mutex::new(Some(thread)));
        Ok(Self { writer, readers, pages, known, owner, events_queued, is_lost, thread, _lock: lock })
    }

    /// Why nothing can be written any more.
    pub(super) fn why_stopped(&self) -> Option<&'static str> {
        if self.is_lost.load(Ordering::Relaxed) {
            return Some("the metadata's log could not be synced: see to the disk, then restart");
        }
        match &*self.writer.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(writer) if writer.has_ended() => {
                Some("the metadata's writer stopped: its error is in the log; restart")
            }
            Some(_) => None,
            None => Some("the metadata store is closed"),
        }
    }

    /// Runs a mutation in the writer.
    pub(super) async fn write<O: Operation>(&self, operation: O) -> MetadataResult<O::Answer> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match writer {
            Some(writer) => writer.run(operation).await,
            None => Err(MetadataError::Store("the metadata store is closed".into())),
        }
    }

    /// Finishes what was begun and closes the files; later calls fail.
    pub async fn close(&self) {
        take(&self.writer);
        self.readers.close().await;
        self.pages.close().await;
        // The last connection writes the log to the database.
        if let Some(thread) = take(&self.thread) {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The connection of the writer's thread. It waits for the disk when it puts the log into the database, and not when
/// it commits: see [`Syncer`].
fn connection_that_writes(file: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    for (pragma, value) in WRITING {
        connection.pragma_update(None, pragma, value)?;
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Options for a connection that migrates, copies or repairs a database.
pub(super) fn write_options(file: &Path, durability: Durability) -> SqliteConnectOptions {
    let synchronous = match durability {
        Durability::PowerLoss => SqliteSynchronous::Full,
        Durability::ProcessCrash => SqliteSynchronous::Normal,
    };
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(BUSY)
        .disable_statement_logging();
    WRITING.into_iter().fold(options, |options, (pragma, value)| options.pragma(pragma, value))
}

/// Options for a connection that only reads.
pub(super) fn read_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .busy_timeout(BUSY)
        .pragma("cache_size", CACHE)
        // A page of a listing has a thousand rows; a small buffer wakes the reader for each few.
        .row_buffer_size(1024)
        .disable_statement_logging()
}

/// Becomes the owner: its number, greater than all before. Jobs that ran when an earlier
/// owner died were tried; they are due again.
async fn take_over(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let sql = "INSERT INTO owner (started, heartbeat) VALUES ($1, $1) RETURNING id";
    let owner = sqlx::query(sql).bind(now()).fetch_one(&mut *connection).await?.try_get::<i64, _>(0)?;
    let sql = "DELETE FROM owner WHERE id < $1; UPDATE job SET owner = 0 WHERE owner <> 0";
    sqlx::query(sql).bind(owner).execute(connection).await?;
    Ok(owner)
}

#[cfg(test)]
mod tests {
    use super::super::care::NoteProgress;
    use super::super::writer::Transaction;
    use super::*;

    struct Panics;

    impl Operation for Panics {
        type Answer = ();

        fn run(self, _: &mut Transaction<'_>) -> MetadataResult<()> {
            panic!("a test's own")
        }
    }

    async fn opened() -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(SqliteOptions::new(folder.path())).await.expect("a store");
        assert_eq!(store.why_stopped(), None);
        (folder, store)
    }

    async fn stops(store: &SqliteStore, why: &str) {
        // The caller may be told a moment before the thread is gone.
        while store.why_stopped().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(store.why_stopped().expect("a reason").contains(why));
    }

    #[tokio::test]
    async fn a_writer_that_is_gone_is_told() {
        let (_folder, store) = opened().await;
        store.write(Panics).await.expect_err("it panicked");
        stops(&store, "writer stopped").await;
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_synced_is_told_until_a_restart() {
        let (folder, store) = opened().await;
        let note = || NoteProgress { work: "w".to_owned(), progress: Some("half".to_owned()) };
        store.write(note()).await.expect("it is written");
        tokio::fs::remove_file(folder.path().join(LOG)).await.expect("it was there");
        store.write(note()).await.expect_err("it is not on the disk");
        stops(&store, "could not be synced").await;
    }
}
