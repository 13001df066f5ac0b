//! Copies a database, out while it is served and back in while it is not.

use super::care::MARK_RESTORED;
use super::error::SqliteError;
use super::lock::FolderLock;
use super::open::{Durability, FILE, MIGRATIONS, read_options, write_options};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::path::{Path, PathBuf};

/// Copies the database of `folder` into the file `to`, as it is at one moment, while a
/// server may write. The file appears whole and synced, or not at all.
///
/// # Errors
/// `to` exists, the folder holds no database, or a file cannot be written.
pub async fn backup(folder: &Path, to: &Path) -> Result<(), SqliteError> {
    let file = folder.join(FILE);
    expect_present(&file).await?;
    expect_absent(to).await?;
    let partial = partial(to);
    remove_if_there(&partial).await?;
    let mut connection = read_options(&file).connect().await?;
    let target = partial.to_string_lossy().into_owned();
    sqlx::query("VACUUM INTO $1").bind(target).execute(&mut connection).await?;
    connection.close().await?;
    settle(&partial, to).await
}

/// Makes the file `from` the database of `folder`, which has none and is not served. The
/// database remembers that it was restored: nothing is swept until a check has run.
///
/// # Errors
/// `from` is absent or not sound, the folder has a database or is in use.
pub async fn restore(from: &Path, folder: &Path) -> Result<(), SqliteError> {
    expect_present(from).await?;
    tokio::fs::create_dir_all(folder).await.map_err(SqliteError::file(folder))?;
    let _lock = FolderLock::take(folder)?;
    let file = folder.join(FILE);
    expect_absent(&file).await?;
    let partial = partial(&file);
    remove_if_there(&partial).await?;
    tokio::fs::copy(from, &partial).await.map_err(SqliteError::file(&partial))?;
    let mut connection = write_options(&partial, Durability::PowerLoss)
        .create_if_missing(false)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Delete)
        .connect()
        .await
        .map_err(|error| unsound(from, &error))?;
    check(&mut connection, from).await?;
    MIGRATIONS.run(&mut connection).await?;
    sqlx::query(MARK_RESTORED).execute(&mut connection).await?;
    connection.close().await?;
    // A log that an earlier database left would be replayed over this one.
    for suffix in ["-wal", "-shm"] {
        let mut log = file.as_os_str().to_owned();
        log.push(suffix);
        remove_if_there(Path::new(&log)).await?;
    }
    settle(&partial, &file).await
}

async fn check(connection: &mut SqliteConnection, from: &Path) -> Result<(), SqliteError> {
    let answer = sqlx::query_scalar::<_, String>("PRAGMA integrity_check(1)").fetch_one(&mut *connection).await;
    match answer {
        Ok(answer) if answer == "ok" => {}
        Ok(problem) => return Err(unsound(from, &problem)),
        Err(error) => return Err(unsound(from, &error)),
    }
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('version', 'write_intent')";
    match sqlx::query_scalar::<_, i64>(sql).fetch_one(connection).await? {
        2 => Ok(()),
        _ => Err(unsound(from, &"it is not a backup of this program's")),
    }
}

fn unsound(from: &Path, problem: &dyn std::fmt::Display) -> SqliteError {
    SqliteError::Unsound { path: from.to_owned(), problem: problem.to_string() }
}

/// Syncs a finished file and gives it its name.
async fn settle(partial: &Path, to: &Path) -> Result<(), SqliteError> {
    let file = tokio::fs::File::open(partial).await.map_err(SqliteError::file(partial))?;
    file.sync_all().await.map_err(SqliteError::file(partial))?;
    tokio::fs::rename(partial, to).await.map_err(SqliteError::file(to))?;
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder_file = tokio::fs::File::open(folder).await.map_err(SqliteError::file(folder))?;
    folder_file.sync_all().await.map_err(SqliteError::file(folder))
}

fn partial(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

async fn expect_present(path: &Path) -> Result<(), SqliteError> {
    match tokio::fs::try_exists(path).await.map_err(SqliteError::file(path))? {
        true => Ok(()),
        false => Err(SqliteError::Absent(path.to_owned())),
    }
}

async fn expect_absent(path: &Path) -> Result<(), SqliteError> {
    match tokio::fs::try_exists(path).await.map_err(SqliteError::file(path))? {
        true => Err(SqliteError::Exists(path.to_owned())),
        false => Ok(()),
    }
}

async fn remove_if_there(path: &Path) -> Result<(), SqliteError> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(SqliteError::File { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}
