//! Takes objects that a backend holds already into a bucket, where they are.

use super::Gateway;
use super::course::Course;
use super::taking::{Fate, Ground};
use crate::backend::{ListStored, StoredPage};
use crate::error::Result;
use crate::names::{BucketName, LocationName};
use futures::{StreamExt, stream};

/// Entries listed per page.
const LISTED: u32 = 1_000;
/// Objects looked at at a time.
pub(super) const CONCURRENCY: usize = 16;
/// Most sentences of a report.
const MOST_PROBLEMS: usize = 100;

/// What is to be taken in.
#[derive(Debug, Clone)]
pub struct Import {
    /// From where.
    pub location: LocationName,
    /// Into which bucket.
    pub bucket: BucketName,
    /// Only look.
    pub dry_run: bool,
}

/// What an import found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Stored objects that were listed.
    pub listed: u64,
    /// Those that were taken in, or would be.
    pub imported: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those whose key, or whose bytes, the database knows: they stay as they are.
    pub known: u64,
    /// Those that no key of the bucket can be at, and those that failed.
    pub skipped: u64,
    /// Why, for the first of them.
    pub problems: Vec<String>,
    /// It went on where an earlier one was cut off.
    pub resumed: bool,
}

impl Gateway {
    /// Makes versions of objects that lie in a bucket's place of a location. Their bytes stay
    /// where they are and are deleted only with the version. What the database knows is never
    /// replaced. Cut off, it goes on after the last whole page when it is called again.
    ///
    /// `progress` is called after each page.
    ///
    /// # Errors
    /// `NoSuchBucket`, `LocationUnavailable`, `NotImplemented` without a listing,
    /// `InvalidRequest` when another bucket has that place; the listing's and the database's.
    pub async fn import(
        &self,
        import: &Import,
        mut progress: impl FnMut(&ImportReport) + Send,
    ) -> Result<ImportReport> {
        let bucket = self.bucket(&import.bucket).await?;
        let ground = self.ground(bucket, &import.location).await?;
        if !import.dry_run {
            self.claim_ground(&ground).await?;
        }
        let work = format!("import of {} into {}", ground.location, ground.bucket.name);
        let mut cursor = if import.dry_run { None } else { self.metadata.progress(&work).await? };
        let mut report = ImportReport { resumed: cursor.is_some(), ..ImportReport::default() };
        let mut course = Course::default();
        loop {
            let page = self.stored(&ground, cursor.take()).await?;
            if let Err(error) = course.follow(&page) {
                // Where it led to is no place to go on from.
                if !import.dry_run {
                    self.metadata.note_progress(&work, None).await?;
                }
                return Err(ground.failed(error));
            }
            let taking = stream::iter(page.entries).map(|entry| {
                let ground = &ground;
                async move {
                    let fate = self.take_in(ground, &entry, import.dry_run).await;
                    (entry.name, fate)
                }
            });
            let mut taking = std::pin::pin!(taking.buffered(CONCURRENCY));
            while let Some((name, fate)) = taking.next().await {
                report.add(&name, fate?);
            }
            progress(&report);
            cursor = page.cursor;
            if !import.dry_run {
                self.metadata.note_progress(&work, cursor.clone()).await?;
            }
            if cursor.is_none() {
                return Ok(report);
            }
        }
    }

    /// A page of what lies in a bucket's place.
    pub(super) async fn stored(&self, ground: &Ground, cursor: Option<String>) -> Result<StoredPage> {
        let list = ListStored {
            prefix: (!ground.prefix.is_empty()).then(|| ground.prefix.clone()),
            cursor,
            limit: LISTED,
            versions: false,
        };
        ground.backend.list(list).await.map_err(|error| ground.failed(error))
    }
}

impl ImportReport {
    fn add(&mut self, name: &str, fate: Fate) {
        self.listed += 1;
        match fate {
            Fate::TakenIn(bytes) => {
                self.imported += 1;
                self.bytes += bytes;
            }
            Fate::Known => self.known += 1,
            Fate::Skipped(why) => {
                self.skipped += 1;
                if self.problems.len() < MOST_PROBLEMS {
                    self.problems.push(format!("{name}: {why}"));
                }
            }
        }
    }
}
