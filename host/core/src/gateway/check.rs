//! Compares rows with bytes, both ways.

use super::Gateway;
use crate::backend::{Backend, BackendError, FailureCode, Identity, ListStored, StoredEntry};
use crate::encryption::KeyError;
use crate::error::Result;
use crate::metadata::{Segment, Version};
use crate::names::{LocationName, WriteId};

/// Rows looked at per page.
const PAGE: usize = 500;
/// Entries listed per page.
const LISTED: u32 = 1_000;

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

impl CheckReport {
    /// Whether everything was looked at, whatever was found.
    pub fn is_complete(&self) -> bool {
        self.unchecked.is_empty()
    }

    fn lose(&mut self, problem: String) {
        self.lost += 1;
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        }
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
            for (_, version, segment) in &page {
                report.segments += 1;
                // A version's segments follow each other, and share its key.
                if last_seen.replace(version.sequence) != Some(version.sequence) {
                    self.check_data_key(version, report).await;
                }
                self.check_segment(version, segment, report).await;
            }
            progress(report);
        }
    }

    async fn check_data_key(&self, version: &Version, report: &mut CheckReport) {
        let Err(error) = self.check_key(version).await else { return };
        match &error {
            // Who does not answer says nothing of what is lost.
            KeyError::Unavailable(_) | KeyError::Denied(_) => unchecked(report, KEY_SERVICE, &error.to_string()),
            KeyError::NotFound(_) | KeyError::Disabled(_) | KeyError::InvalidName(_) | KeyError::Unreadable(_) => {
                let what = format!("{}/{} version {}", version.bucket, version.key, version.id);
                report.lose(format!("{what}: it is encrypted, and {error}"));
            }
        }
    }

    async fn check_segment(&self, version: &Version, segment: &Segment, report: &mut CheckReport) {
        let backend = match self.backend(&segment.location) {
            Ok(backend) => backend,
            Err(error) => return unchecked(report, segment.location.as_str(), &error.to_string()),
        };
        let what = format!("{}/{} version {} in {}", version.bucket, version.key, version.id, segment.location);
        match backend.head(&segment.locator).await {
            Ok(size) if size == segment.stored_size => {}
            Ok(size) => report.lose(format!("{what}: {size} bytes where {} were stored", segment.stored_size)),
            Err(error) => match error.code() {
                Some(FailureCode::NotFound) => report.lose(format!("{what}: its bytes are gone")),
                Some(FailureCode::Changed) => report.lose(format!("{what}: other bytes are in its place")),
                _ => unchecked(report, segment.location.as_str(), &error.to_string()),
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
                unchecked(report, name.as_str(), &error.to_string());
                return Ok(());
            }
        };
        let mut query = ListStored { limit: LISTED, versions: true, ..ListStored::default() };
        loop {
            let page = match backend.list(query.clone()).await {
                Ok(page) => page,
                Err(error) => {
                    unchecked(report, name.as_str(), &BackendError::to_string(&error));
                    return Ok(());
                }
            };
            for entry in &page.entries {
                report.stored += 1;
                match self.orphan(name, backend.as_ref(), entry, report).await? {
                    Some(identity) if repair => self.metadata.queue_deletion(name, &identity.locator).await?,
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

    /// What names an entry's bytes, when they are ours and nothing refers to them.
    async fn orphan(
        &self,
        location: &LocationName,
        backend: &dyn Backend,
        entry: &StoredEntry,
        report: &mut CheckReport,
    ) -> Result<Option<Identity>> {
        // Locations may share a container: what another one refers to is no orphan.
        let sharers = self.sharers(location);
        let listed = Identity { locator: entry.locator.clone(), write_id: entry.write_id.clone() };
        if self.is_known_to(&sharers, &listed).await? {
            return Ok(None);
        }
        // Not every listing shows which write stored an object.
        let asked = if listed.write_id.is_some() { Ok(listed) } else { backend.identify(&listed.locator).await };
        let identity = match asked {
            Ok(identity) => identity,
            // It went, or was overwritten, since it was listed.
            Err(error) if matches!(error.code(), Some(FailureCode::NotFound | FailureCode::Changed)) => {
                return Ok(None);
            }
            // Somebody else's, whom the backend shows it to.
            Err(error)
                if matches!(
                    error.code(),
                    Some(FailureCode::Denied | FailureCode::Invalid | FailureCode::Unsupported)
                ) =>
            {
                report.foreign += 1;
                return Ok(None);
            }
            Err(error) => {
                unchecked(report, location.as_str(), &error.to_string());
                return Ok(None);
            }
        };
        // A copy that somebody made of an object has its metadata, and is theirs.
        let own = identity.write_id.as_ref().filter(|write| is_of_its_time(write, entry.last_modified));
        let Some(write) = own else {
            report.foreign += 1;
            return Ok(None);
        };
        if self.is_known_to(&sharers, &identity).await? {
            return Ok(None);
        }
        // A backend may name the same bytes otherwise than when it stored them. A location may
        // have the container under another name, have a copy of it, or have left the configuration.
        if self.metadata.has_bytes_of(write).await? {
            report.foreign += 1;
            return Ok(None);
        }
        report.orphans += 1;
        Ok(Some(identity))
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

/// Whether bytes were stored when their write was under way, as far as is known.
fn is_of_its_time(write: &WriteId, stored: Option<u64>) -> bool {
    stored.is_none_or(|stored| stored.abs_diff(write.began()) <= LONGEST_WRITE)
}

fn unchecked(report: &mut CheckReport, place: &str, cause: &str) {
    if !report.unchecked.iter().any(|(name, _)| name == place) {
        report.unchecked.push((place.to_owned(), cause.to_owned()));
    }
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
            report.lose(number.to_string());
        }
        assert_eq!((report.lost, report.problems.len()), (MOST_PROBLEMS as u64 + 1, MOST_PROBLEMS));
    }
}
