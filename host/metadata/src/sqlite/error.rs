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
pub(super) struct Unreadable(pub(super) &'static str);

/// SQLite's failure as the port has it.
pub(super) fn failed(error: sqlx::Error) -> MetadataError {
    match error {
        sqlx::Error::PoolTimedOut => MetadataError::Busy,
        full if is_full(&full) => MetadataError::Full,
        other => MetadataError::Store(Box::new(other)),
    }
}

/// Whether the disk is full: SQLITE_FULL, or SQLITE_IOERR_SHMSIZE where the index of the
/// log cannot grow.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("13" | "4874"))
}

/// Something stored is not what was written.
pub(super) fn unreadable(what: &'static str) -> MetadataError {
    MetadataError::Store(Box::new(Unreadable(what)))
}
