//! Watches places where others store objects: what appears there is taken in, what changes is
//! followed, what vanishes is told or forgotten.

use super::course::Course;
use super::import::CONCURRENCY;
use super::periodic::every;
use super::taking::{Fate, Ground};
use super::{Gateway, now};
use crate::backend::{Locator, Place, StoredEntry};
use crate::error::{Error, Result};
use crate::metadata::{Bucket, ListQuery, Listed, Selector, Version};
use crate::names::{BucketName, LocationName, ObjectKey, VersionId};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Objects of the database looked at a time.
const PAGE: usize = 1_000;

/// A place that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Where others store.
    pub location: LocationName,
    /// In which bucket it is seen.
    pub bucket: BucketName,
    /// How long after the end of a round the next one begins.
    pub interval: Duration,
    /// What becomes of objects whose bytes are gone.
    pub vanished: Vanished,
}

/// What becomes of objects whose bytes are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vanished {
    /// They stay listed, and the log says so; reading one says that its bytes are gone.
    Keep,
    /// They are forgotten, unless they are locked or have older versions.
    Forget,
}

/// What a round over one place found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchReport {
    /// Stored objects that were listed.
    pub listed: u64,
    /// Those that were taken in.
    pub taken_in: u64,
    /// Those that were taken in before, and have other bytes now.
    pub changed: u64,
    /// Objects that were taken in before, and whose bytes are gone.
    pub vanished: u64,
    /// Those of them that were forgotten.
    pub forgotten: u64,
    /// What has no key here, or was under way: the next round looks again.
    pub skipped: u64,
}

/// How far a round came, as the database keeps it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Round {
    /// When its bucket was created: another bucket of that name begins anew.
    bucket_created: i64,
    /// The latest that anything was modified that was ever listed, by the backend's clock.
    newest: Option<u64>,
    /// The same at the ends of the last round and of the one before.
    ends: [Option<u64>; 2],
    /// Of the listing's next page.
    cursor: Option<String>,
    /// Every key up to this one is done.
    after: Option<String>,
    /// Something was listed.
    has_entries: bool,
}

/// What is to be done with a listed object.
enum Seen {
    /// Nothing: it is ours, or as it was.
    Known,
    /// It has no key that is known.
    New,
    /// It was taken in, and had this locator.
    Other(Box<Version>, Locator),
}

impl Gateway {
    /// Watches until `stop` resolves. Every step is safe to repeat and to be cut off.
    pub async fn watch_locations(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut watching = Vec::new();
        for watch in &self.options.watches {
            watching.push(self.watch(watch));
        }
        tokio::select! {
            () = stop => {}
            // Without any this ends at once, and only that: others go on for ever.
            _ = futures::future::join_all(watching) => {}
        }
    }

    async fn watch(&self, watch: &Watch) {
        let (location, bucket) = (&watch.location, &watch.bucket);
        every(watch.interval, std::future::pending(), || async {
            match self.watch_round(watch).await {
                Ok(report) if report == WatchReport::default() => {}
                Ok(report) => {
                    tracing::debug!(location = %location, bucket.name = %bucket, "a round of the watch: {report:?}");
                }
                Err(Error::NoSuchBucket(_)) => {
                    tracing::debug!(location = %location, bucket.name = %bucket, "the watched bucket does not exist");
                }
                Err(error) => {
                    tracing::warn!(location = %location, bucket.name = %bucket, "the watch goes on later: {error}");
                }
            }
        })
        .await;
    }

    /// One round over a place, from where the last one was cut off.
    ///
    /// # Errors
    /// As [`Gateway::import`].
    pub async fn watch_round(&self, watch: &Watch) -> Result<WatchReport> {
        let mut report = WatchReport::default();
        if self.metadata.is_restored().await? {
            return Ok(report);
        }
        let ground = self.ground(self.bucket(&watch.bucket).await?, &watch.location).await?;
        self.claim_ground(&ground).await?;
        let mut round = self.open_round(watch, &ground.bucket).await?;
        let mut course = Course::default();
        loop {
            let page = self.stored(&ground, round.cursor.take()).await?;
            if let Err(error) = course.follow(&page) {
                // Where it led to is no place to go on from.
                self.note_round(watch, &round.again()).await?;
                return Err(ground.failed(error));
            }
            round.has_entries |= !page.entries.is_empty();
            report.listed += page.entries.len() as u64;
            let keys: HashSet<ObjectKey> = page.entries.iter().filter_map(|entry| ground.key(entry)).collect();
            round.newest = page.entries.iter().map(|entry| entry.last_modified).fold(round.newest, Ord::max);
            self.look_at(&ground, page.entries, &round, &mut report).await?;
            let goes_on = page.cursor.is_some();
            // Of the last page, whatever follows is missing.
            let end = keys.iter().max().filter(|_| goes_on).map(ToString::to_string);
            if end.is_some() || !goes_on {
                let (vanished, forgotten) =
                    self.look_for_missing(watch, &ground, &round, (&keys, end.as_deref())).await?;
                report.vanished += vanished;
                report.forgotten += forgotten;
                round.after = round.after.max(end);
            }
            round.cursor = page.cursor;
            if !goes_on {
                round = round.following();
            }
            self.note_round(watch, &round).await?;
            if !goes_on {
                self.tell(watch, report);
                return Ok(report);
            }
        }
    }

    async fn open_round(&self, watch: &Watch, bucket: &Bucket) -> Result<Round> {
        let text = self.metadata.progress(&work(watch)).await?;
        // What cannot be read begins anew: nothing is lost but time.
        let round = text.and_then(|text| serde_json::from_str::<Round>(&text).ok());
        let round = round.filter(|round| round.bucket_created == bucket.created).unwrap_or_default();
        Ok(Round { bucket_created: bucket.created, ..round })
    }

    async fn note_round(&self, watch: &Watch, round: &Round) -> Result<()> {
        let text = serde_json::to_string(round).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(self.metadata.note_progress(&work(watch), Some(text)).await?)
    }

    /// Takes in what is new, and follows what changed.
    async fn look_at(
        &self,
        ground: &Ground,
        entries: Vec<StoredEntry>,
        round: &Round,
        report: &mut WatchReport,
    ) -> Result<()> {
        let fates = stream::iter(entries).map(|entry| async move { self.look_at_one(ground, &entry, round).await });
        let mut fates = std::pin::pin!(fates.buffered(CONCURRENCY));
        while let Some(fate) = fates.next().await {
            match fate? {
                (true, Fate::TakenIn(_)) => report.changed += 1,
                (false, Fate::TakenIn(_)) => report.taken_in += 1,
                (_, Fate::Known) => {}
                (_, Fate::Skipped(_)) => report.skipped += 1,
            }
        }
        Ok(())
    }

    /// What became of one, and whether it was taken in before.
    async fn look_at_one(&self, ground: &Ground, entry: &StoredEntry, round: &Round) -> Result<(bool, Fate)> {
        match self.seen(ground, entry).await? {
            Seen::Known => Ok((false, Fate::Known)),
            Seen::New if ground.backend.traits().keeps_overwritten && round.was_there(entry) => {
                Ok((false, Fate::Known))
            }
            Seen::New => Ok((false, self.take_in(ground, entry, false).await?)),
            Seen::Other(version, locator) => Ok((true, self.follow_change(ground, entry, &version, locator).await?)),
        }
    }

    /// What the database says of a listed object: no request for what is as it was.
    async fn seen(&self, ground: &Ground, entry: &StoredEntry) -> Result<Seen> {
        let Some(key) = ground.key(entry) else { return Ok(Seen::New) };
        if self.newest(&ground.bucket, &key).await?.is_none() {
            return Ok(Seen::New);
        }
        let Some((version, locator)) = self.taken_in(ground, &key).await? else { return Ok(Seen::Known) };
        Ok(if locator == entry.locator { Seen::Known } else { Seen::Other(Box::new(version), locator) })
    }

    /// The current version of a key, when it was taken in and its bytes still lie in the place
    /// that is watched; with its locator.
    async fn taken_in(&self, ground: &Ground, key: &ObjectKey) -> Result<Option<(Version, Locator)>> {
        let null = Selector::Id(VersionId::null());
        let version = self.metadata.version(&ground.bucket.name, key, &null).await?;
        let version = version.filter(|version| version.is_current && version.attributes.is_taken_in);
        Ok(version.and_then(|version| {
            let locator = match version.segments.as_slice() {
                [only] if only.location == ground.location && only.name.place == Place::Plain => only.locator.clone(),
                _ => return None,
            };
            Some((version, locator))
        }))
    }

    /// Gives a version that was taken in the bytes that its place has now.
    async fn follow_change(
        &self,
        ground: &Ground,
        entry: &StoredEntry,
        before: &Version,
        locator: Locator,
    ) -> Result<Fate> {
        let name = ground.name(before.key.clone());
        let Some(shown) = ground.backend.look(&name).await.map_err(|error| ground.failed(error))? else {
            return Ok(Fate::Known);
        };
        if shown.found.locator == locator || self.is_ours(ground, &shown, entry).await? {
            return Ok(Fate::Known);
        }
        let _guard = self.keys.lock(&ground.bucket.name, &name.key).await;
        // Tagging may have changed the locator, and a client the object.
        let is_same = self
            .taken_in(ground, &name.key)
            .await?
            .is_some_and(|(version, now)| version.sequence == before.sequence && now == locator);
        if !is_same {
            return Ok(Fate::Skipped("it was changed here, too".to_owned()));
        }
        self.adopt(ground, shown, entry, (name, Some(locator))).await
    }

    /// Looks for objects that were taken in and are not listed any more: keys behind those that
    /// are done, up to `end`. Each is asked for before anything is said of it. Answers how many
    /// vanished, and how many of them were forgotten.
    async fn look_for_missing(
        &self,
        watch: &Watch,
        ground: &Ground,
        round: &Round,
        (listed, end): (&HashSet<ObjectKey>, Option<&str>),
    ) -> Result<(u64, u64)> {
        let (mut vanished, mut forgotten) = (0, 0);
        let mut after = round.after.clone();
        loop {
            let query = ListQuery {
                bucket: ground.bucket.name.clone(),
                prefix: String::new(),
                delimiter: None,
                after,
                limit: PAGE,
            };
            let page = self.metadata.list(&query).await?;
            for entry in &page.entries {
                let Listed::Object(version) = entry else { continue };
                if end.is_some_and(|end| version.key.as_str() > end) {
                    return Ok((vanished, forgotten));
                }
                if listed.contains(&version.key) {
                    continue;
                }
                if let Some(version) = self.is_gone(ground, &version.key).await? {
                    vanished += 1;
                    // A place without anything in it is more often a mistake than the end of all
                    // objects.
                    let forgets = watch.vanished == Vanished::Forget && round.has_entries;
                    forgotten += u64::from(forgets && self.forget(ground, &version).await?);
                }
            }
            after = page.entries.last().map(|entry| entry.name().to_owned());
            if !page.is_truncated {
                return Ok((vanished, forgotten));
            }
        }
    }

    /// The current version of a key, when it was taken in and its place holds nothing now.
    async fn is_gone(&self, ground: &Ground, key: &ObjectKey) -> Result<Option<Version>> {
        let Some((version, _)) = self.taken_in(ground, key).await? else { return Ok(None) };
        let found = ground.backend.find(&ground.name(key.clone()), None).await;
        Ok(found.map_err(|error| ground.failed(error))?.is_none().then_some(version))
    }

    async fn forget(&self, ground: &Ground, version: &Version) -> Result<bool> {
        let _guard = self.keys.lock(&ground.bucket.name, &version.key).await;
        Ok(self.metadata.forget(&ground.bucket.name, &version.key, version.sequence, now()).await?)
    }

    fn tell(&self, watch: &Watch, report: WatchReport) {
        let count = |result: &'static str, number: u64| {
            let location = watch.location.to_string();
            metrics::counter!("sallyport_watch_objects_total", "location" => location, "result" => result)
                .increment(number);
        };
        count("taken_in", report.taken_in);
        count("changed", report.changed);
        count("vanished", report.vanished);
        count("forgotten", report.forgotten);
        count("skipped", report.skipped);
        let kept = report.vanished - report.forgotten;
        if kept > 0 {
            tracing::warn!(
                location = %watch.location, bucket.name = %watch.bucket,
                "objects that were taken in are not in the location any more and stay listed: {kept}"
            );
        }
    }
}

impl Round {
    /// The one that follows when this one came to its end.
    fn following(self) -> Self {
        let [last, _] = self.ends;
        Self { bucket_created: self.bucket_created, newest: self.newest, ends: [self.newest, last], ..Self::default() }
    }

    /// The same from its beginning.
    fn again(self) -> Self {
        let [newest, _] = self.ends;
        Self { bucket_created: self.bucket_created, newest, ends: self.ends, ..Self::default() }
    }

    /// Whether an object that is not known was there before the last round began. Then that round
    /// saw it and it was deleted here since: on a backend that keeps what was overwritten, removing
    /// the newest version uncovers an older one. Only the backend's own clock is asked.
    fn was_there(&self, entry: &StoredEntry) -> bool {
        let [_, before] = self.ends;
        before.zip(entry.last_modified).is_some_and(|(before, modified)| modified <= before)
    }
}

/// Names a watch's progress in the database.
fn work(watch: &Watch) -> String {
    format!("watch of {} in {}", watch.location, watch.bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(modified: u64) -> StoredEntry {
        StoredEntry {
            name: "k".into(),
            locator: Locator(vec![1]),
            size: 0,
            last_modified: Some(modified),
            write_id: None,
        }
    }

    #[test]
    fn what_two_rounds_could_see_did_not_appear_since() {
        let first = Round { newest: Some(10), ..Round::default() };
        let second = Round { after: Some("k".into()), has_entries: true, ..first.following() };
        // Something modified at 9 may have come while the first round was past its key.
        assert!(!second.was_there(&entry(9)));
        let third = Round { newest: Some(20), ..second }.following();
        assert!(third.was_there(&entry(10)));
        assert!(!third.was_there(&entry(11)));
        assert_eq!((third.after, third.has_entries, third.newest), (None, false, Some(20)));
    }
}
