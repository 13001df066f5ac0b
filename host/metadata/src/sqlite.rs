//! The store on SQLite: one process, one writer, a few readers.

mod allowances;
mod backup;
mod buckets;
mod care;
mod deletes;
mod error;
mod events;
mod jobs;
mod known;
mod listing;
mod locations;
mod lock;
mod open;
mod pages;
mod port;
mod references;
mod relocate;
mod rows;
mod settings;
mod statement;
mod syncer;
mod tags;
mod unheard;
mod uploads;
mod versions;
mod walk;
mod writer;
mod writes;

pub use backup::{backup, restore};
pub use error::SqliteError;
pub use open::{Durability, SqliteOptions, SqliteStore};
