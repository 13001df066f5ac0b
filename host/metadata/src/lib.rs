//! What the gateway knows, on disk: the metadata port on SQLite.

mod sqlite;

pub use sqlite::{Durability, SqliteError, SqliteOptions, SqliteStore, backup, restore};
