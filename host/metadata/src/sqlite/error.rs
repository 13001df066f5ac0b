//! Why a store on SQLite does not open, and how its failures look through the port.

use sallyport_core::metadata::MetadataError;
use std::path::PathBuf;

/// Why a database did not open, or was not copied.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// Another process serves the folder.
    #[error("the metadata in {folder} is in use by {holder}; stop that first, or choose another folder")]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// `process 1234`, or what is known.
        holder: String,
    },
    /// There is a database where none may be.
    #[error("{0} is there already; move it away first")]
    Exists(PathBuf),
    /// There is no database where one should be.
    #[error("there is no database at {0}")]
    Absent(PathBuf),
    /// A file is not a sound database of ours.
    #[error("{path} is not sound: {problem}")]
    Unsound {
        /// The file.
        path: PathBuf,
        /// What SQLite says of it.
        problem: String,
    },
    /// The file system refused.
    #[error("{path}: {source}")]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("SQLite: {0}")]
    Sqlite(#[from] sqlx::Error),
    /// SQLite refused the connection that writes.
    #[error("SQLite: {0}")]
    Writer(#[from] rusqlite::Error),
    /// The schema could not be brought up to date, or is newer than this program.
    #[error("the schema: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
}

impl SqliteError {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// A row that this program did not write.
#[derive(Debug, thiserror::Error)]
#[error("the database holds {0} that cannot be read")]
struct Unreadable(String);

/// Why a transaction did not take place.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// SQLite refused.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Its log could not be synced.
    #[error("the log: {0}")]
    Log(#[from] std::io::Error),
    /// An operation without a savepoint has changed something.
    #[error("an operation failed midway")]
    Midway,
    /// SQLite took it back by itself when one of its operations failed.
    #[error("SQLite took the transaction back after one of its operations had failed")]
    TakenBack,
}

impl Lost {
    /// Whether the disk is full.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(error) if is_full(error))
    }
}

/// A reader's failure as the port has it.
pub(super) fn failed(error: sqlx::Error) -> MetadataError {
    match error {
        sqlx::Error::PoolTimedOut => MetadataError::Busy,
        sqlx::Error::Database(error) if error.code().and_then(|code| code.parse().ok()).is_some_and(means_full) => {
            MetadataError::Full
        }
        other => MetadataError::Store(Box::new(other)),
    }
}

/// The writer's failure as the port has it.
pub(super) fn refused(error: rusqlite::Error) -> MetadataError {
    if is_full(&error) { MetadataError::Full } else { MetadataError::Store(Box::new(error)) }
}

fn is_full(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(failure, _) if means_full(failure.extended_code))
}

/// Whether SQLite's extended code says that the disk is full: SQLITE_FULL, or SQLITE_IOERR_SHMSIZE
/// where the index of the log cannot grow.
fn means_full(code: i32) -> bool {
    matches!(code, 13 | 4874)
}

/// Something stored is not what was written.
pub(super) fn unreadable(what: impl Into<String>) -> MetadataError {
    MetadataError::Store(Box::new(Unreadable(what.into())))
}
