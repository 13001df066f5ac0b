//! Compares rows with bytes, both ways.

use super::Gateway;
use crate::backend::{Backend, BackendError, FailureCode, Identity, ListStored, StoredEntry};
use crate::encryption::KeyError;
use crate::error::Result;
use crate::metadata::{Segment, Version};
use crate::names::{LocationName, WriteId};
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::RwLock;

/// Rows looked at per page.
const PAGE: usize = 500;
/// Entries listed per page.
const LISTED: u32 = 1_000;
/// Questions to backends at a time: each is a round trip, of which there are as many as objects.
const ASKED: usize = 16;

/// Most sentences of a report.
const MOST_PROBLEMS: usize = 1_000;
/// What stands in a report for whatever opens data keys.
const KEY_SERVICE: &str = "the key service";
/// How long after a write began its bytes may be stored, in milliseconds.
const LONGEST_WRITE: u64 = 24 * 60 * 60 * 1000;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Segments that were looked for.
    pub segments: u64,
    /// Stored objects that were listed.
    pub stored: u64,
    /// Segments whose bytes are missing or have another size, and versions whose data keys do
    /// not open.
    pub lost: u64,
    /// What is wrong with the first of them, by name.
    pub problems: Vec<String>,
    /// Stored objects of ours that nothing refers to; queued for deletion when repairing.
    pub orphans: u64,
    /// Stored objects that are not ours; they stay.
    pub foreign: u64,
    /// Locations that could not be asked, or the key service, and why.
    pub unchecked: Vec<(String, String)>,
}

/// What one question found.
enum Finding {
    /// All is well.
    Well,
    /// What is lost, in a sentence.
    Lost(String),
    /// Who did not answer, and why.
    Unchecked(String, String),
    /// It is not ours.
    Foreign,
    /// It is ours, and nothing refers to it.
    Orphan(Identity),
}

impl CheckReport {
    /// Whether everything was looked at, whatever was found.
    pub fn is_complete(&self) -> bool {
        self.unchecked.is_empty()
    }

    /// Counts a finding; an orphan is the caller's to deal with.
    fn note(&mut self, finding: Finding) -> Option<Identity> {
        match finding {
            Finding::Well => {}
            Finding::Lost(problem) => {
                self.lost += 1;
                if self.problems.len() < MOST_PROBLEMS {
                    self.problems.push(problem);
                }
            }
            Finding::Unchecked(place, cause) => {
                if !self.unchecked.iter().any(|(name, _)| *name == place) {
                    self.unchecked.push((place, cause));
                }
            }
            Finding::Foreign => self.foreign += 1,
            Finding::Orphan(identity) => {
                self.orphans += 1;
                return Some(identity);
            }
        }
        None
    }
}

impl Finding {
    fn unchecked(place: impl ToString, cause: impl ToString) -> Self {
        Self::Unchecked(place.to_string(), cause.to_string())
    }
}

impl Gateway {
    /// Looks for the bytes of every row, and for the row of every stored object. With
    /// `repair`, orphans are queued for deletion. A complete check allows a restored
    /// database to be swept. Safe beside a running gateway's writes only when it runs in
    /// that gateway's process, as `sallyport fsck` has the database to itself.
    ///
    /// `progress` is called after each page.
    ///
    /// # Errors
    /// The database's. A location that does not answer is part of the report.
    pub async fn check(&self, repair: bool, mut progress: impl FnMut(&CheckReport) + Send) -> Result<CheckReport> {
        let mut report = CheckReport::default();
        self.check_rows(&mut report, &mut progress).await?;
        for name in self.locations.names() {
            self.check_location(&name, repair, &mut report, &mut progress).await?;
        }
        if report.is_complete() {
            self.metadata.mark_checked().await?;
        }
        Ok(report)
    }

    async fn check_rows(
        &self,
        report: &mut CheckReport,
        progress: &mut (impl FnMut(&CheckReport) + Send),
    ) -> Result<()> {
        let mut cursor = 0;
        let mut last_seen = None;
        loop {
            let page = self.metadata.segments(cursor, PAGE).await?;
            let Some((last, _, _)) = page.last() else {
                return Ok(());
            };
            cursor = *last;
            for (_, version, _) in &page {
                // A version's segments follow each other, and share its key.
                if last_seen.replace(version.sequence) != Some(version.sequence) {
                    report.note(self.check_data_key(version).await);
                }
            }
            let turns = Turns::default();
            let asked = page.iter().map(|(_, version, segment)| self.check_segment(version, segment, &turns));
            let mut found = stream::iter(asked).buffered(ASKED);
            while let Some(finding) = found.next().await {
                report.segments += 1;
                report.note(finding);
            }
            progress(report);
        }
    }

    async fn check_data_key(&self, version: &Version) -> Finding {
        let Err(error) = self.check_key(version).await else { return Finding::Well };
        match &error {
            // Who does not answer says nothing of what is lost.
            KeyError::Unavailable(_) | KeyError::Denied(_) => Finding::unchecked(KEY_SERVICE, error),
            KeyError::NotFound(_) | KeyError::Disabled(_) | KeyError::InvalidName(_) | KeyError::Unreadable(_) => {
                let what = format!("{}/{} version {}", version.bucket, version.key, version.id);
                Finding::Lost(format!("{what}: it is encrypted, and {error}"))
            }
        }
    }

    async fn check_segment(&self, version: &Version, segment: &Segment, turns: &Turns) -> Finding {
        let backend = match self.backend(&segment.location) {
            Ok(backend) => backend,
            Err(error) => return Finding::unchecked(&segment.location, error),
        };
        let what = format!("{}/{} version {} in {}", version.bucket, version.key, version.id, segment.location);
        match turns.ask(|| backend.head(&segment.locator)).await {
            Ok(size) if size == segment.stored_size => Finding::Well,
            Ok(size) => Finding::Lost(format!("{what}: {size} bytes where {} were stored", segment.stored_size)),
            Err(error) => match error.code() {
                Some(FailureCode::NotFound) => Finding::Lost(format!("{what}: its bytes are gone")),
                Some(FailureCode::Changed) => Finding::Lost(format!("{what}: other bytes are in its place")),
                _ => Finding::unchecked(&segment.location, error),
            },
        }
    }

    async fn check_location(
        &self,
        name: &LocationName,
        repair: bool,
        report: &mut CheckReport,
        progress: &mut (impl FnMut(&CheckReport) + Send),
    ) -> Result<()> {
        let backend = match self.backend(name) {
            Ok(backend) if backend.traits().listing => backend,
            Ok(_) => return Ok(()),
            Err(error) => {
                report.note(Finding::unchecked(name, error));
                return Ok(());
            }
        };
        // Locations may share a container: what another one refers to is no orphan.
        let sharers = self.sharers(name);
        let mut query = ListStored { limit: LISTED, versions: true, ..ListStored::default() };
        loop {
            let page = match backend.list(query.clone()).await {
                Ok(page) => page,
                Err(error) => {
                    report.note(Finding::unchecked(name, error));
                    return Ok(());
                }
            };
            let turns = Turns::default();
            let asked = page.entries.iter().map(|entry| self.check_entry((name, &sharers), &*backend, entry, &turns));
            let mut found = stream::iter(asked).buffered(ASKED);
            while let Some(finding) = found.try_next().await? {
                report.stored += 1;
                match report.note(finding) {
                    Some(orphan) if repair => self.metadata.queue_deletion(name, &orphan.locator).await?,
                    Some(_) | None => {}
                }
            }
            progress(report);
            if page.cursor.is_none() || page.cursor == query.cursor {
                return Ok(());
            }
            query.cursor = page.cursor;
        }
    }

    /// Whose an entry of a location is; `sharers` are all that have its container.
    async fn check_entry(
        &self,
        (location, sharers): (&LocationName, &[LocationName]),
        backend: &dyn Backend,
        entry: &StoredEntry,
        turns: &Turns,
    ) -> Result<Finding> {
        let listed = Identity { locator: entry.locator.clone(), write_id: entry.write_id.clone() };
        if self.is_known_to(sharers, &listed).await? {
            return Ok(Finding::Well);
        }
        // Not every listing shows which write stored an object.
        let asked = match listed.write_id {
            Some(_) => Ok(listed),
            None => turns.ask(|| backend.identify(&listed.locator)).await,
        };
        let identity = match asked {
            Ok(identity) => identity,
            // It went, or was overwritten, since it was listed.
            Err(error) if matches!(error.code(), Some(FailureCode::NotFound | FailureCode::Changed)) => {
                return Ok(Finding::Well);
            }
            // Somebody else's, whom the backend shows it to.
            Err(error)
                if matches!(
                    error.code(),
                    Some(FailureCode::Denied | FailureCode::Invalid | FailureCode::Unsupported)
                ) =>
            {
                return Ok(Finding::Foreign);
            }
            Err(error) => {
                return Ok(Finding::unchecked(location, error));
            }
        };
        // A copy that somebody made of an object has its metadata, and is theirs.
        let own = identity.write_id.as_ref().filter(|write| is_of_its_time(write, entry.last_modified));
        let Some(write) = own else {
            return Ok(Finding::Foreign);
        };
        if self.is_known_to(sharers, &identity).await? {
            return Ok(Finding::Well);
        }
        // A backend may name the same bytes otherwise than when it stored them. A location may
        // have the container under another name, have a copy of it, or have left the configuration.
        if self.metadata.has_bytes_of(write).await? {
            return Ok(Finding::Foreign);
        }
        Ok(Finding::Orphan(identity))
    }

    async fn is_known_to(&self, locations: &[LocationName], identity: &Identity) -> Result<bool> {
        for location in locations {
            if self.metadata.is_known(location, &identity.locator, identity.write_id.as_ref()).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Gateway {
    /// The location, and all others with its target. One that cannot be asked for its
    /// target counts as well: better an orphan too many than an object too few.
    fn sharers(&self, location: &LocationName) -> Vec<LocationName> {
        let target = |name: &LocationName| self.backend(name).ok().map(|backend| backend.traits().target.clone());
        let own = target(location);
        let others = self
            .locations
            .names()
            .into_iter()
            .filter(|name| name != location && target(name).is_none_or(|other| Some(other) == own));
        std::iter::once(location.clone()).chain(others).collect()
    }
}

/// Questions that are asked beside each other. A location that may not be asked so much at a time is busy with the
/// others: then it is asked alone.
#[derive(Default)]
struct Turns(RwLock<()>);

impl Turns {
    async fn ask<T, F>(&self, ask: impl Fn() -> F) -> Result<T, BackendError>
    where
        F: Future<Output = Result<T, BackendError>>,
    {
        let beside_others = self.0.read().await;
        match ask().await {
            Err(BackendError::Busy(_)) => drop(beside_others),
            answer => return answer,
        }
        let _alone = self.0.write().await;
        ask().await
    }
}

/// Whether bytes were stored when their write was under way, as far as is known.
fn is_of_its_time(write: &WriteId, stored: Option<u64>) -> bool {
    stored.is_none_or(|stored| stored.abs_diff(write.began()) <= LONGEST_WRITE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_long_after_its_write_is_a_copy() {
        let write = WriteId::random();
        let day = LONGEST_WRITE;
        for (stored, is_its_own) in [
            (None, true),
            (Some(write.began()), true),
            (Some(write.began() + day), true),
            (Some(write.began() - day), true),
            (Some(write.began() + day + 1), false),
        ] {
            assert_eq!(is_of_its_time(&write, stored), is_its_own, "{stored:?}");
        }
    }

    #[test]
    fn a_report_counts_more_than_it_names() {
        let mut report = CheckReport::default();
        for number in 0..=MOST_PROBLEMS {
            report.note(Finding::Lost(number.to_string()));
        }
        assert_eq!((report.lost, report.problems.len()), (MOST_PROBLEMS as u64 + 1, MOST_PROBLEMS));
    }
}
