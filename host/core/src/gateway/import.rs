//! Takes objects that a backend holds already into a bucket, where they are.

use super::{Gateway, now};
use crate::backend::{Backend, BackendError, Found, ListStored, Name, Place, StoredEntry};
use crate::error::{Error, Result};
use crate::metadata::{
    Attributes, Begun, Bucket, EtagCondition, NewVersion, NewWrite, Segment, Selector, WriteConditions, WriteKind,
};
use crate::names::{BucketName, LocationName, ObjectKey, VersionId, WriteId};
use crate::storage_class::STANDARD;
use futures::{StreamExt, stream};
use md5::{Digest as _, Md5};

/// Entries listed per page.
const LISTED: u32 = 1_000;
/// Objects looked at at a time.
const CONCURRENCY: usize = 16;
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

/// What becomes of one stored object.
enum Fate {
    Imported(u64),
    Known,
    Skipped(String),
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
        let location = &import.location;
        let bucket = self.bucket(&import.bucket).await?;
        let backend = self.backend(location)?;
        if !backend.traits().listing {
            return Err(Error::NotImplemented(format!("Listing what the location {location} holds")));
        }
        let failed = |error: BackendError| Error::from_backend(location, error);
        let namespace = backend.namespace(&bucket.name).await.map_err(failed)?;
        if !import.dry_run && !self.may_write_plain(&bucket.name, location).await? {
            return Err(Error::InvalidRequest(format!(
                "another bucket has the names that {} would have in the location {location}",
                bucket.name
            )));
        }
        let prefix = namespace.strip_prefix(backend.traits().target.as_str()).unwrap_or_default();
        let work = format!("import of {location} into {}", bucket.name);
        let mut cursor = if import.dry_run { None } else { self.metadata.progress(&work).await? };
        let mut report = ImportReport { resumed: cursor.is_some(), ..ImportReport::default() };
        loop {
            let list = ListStored {
                prefix: (!prefix.is_empty()).then(|| prefix.to_owned()),
                cursor: cursor.take(),
                limit: LISTED,
                versions: false,
            };
            let page = backend.list(list).await.map_err(failed)?;
            let key_prefix = prefix.strip_prefix('/').unwrap_or(prefix);
            let taking = stream::iter(page.entries).map(|entry| {
                let (bucket, backend) = (&bucket, backend.as_ref());
                async move {
                    let fate = self.take_in(bucket, backend, import, key_prefix, &entry).await;
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

    async fn take_in(
        &self,
        bucket: &Bucket,
        backend: &dyn Backend,
        import: &Import,
        prefix: &str,
        entry: &StoredEntry,
    ) -> Result<Fate> {
        let Some(Ok(key)) = entry.name.strip_prefix(prefix).map(ObjectKey::parse) else {
            return Ok(Fate::Skipped("no key has this name".to_owned()));
        };
        let name = Name { bucket: bucket.name.clone(), key: key.clone(), place: Place::Plain };
        let failed = |error: BackendError| Error::from_backend(&import.location, error);
        // The plugin alone knows which key belongs to a name: what it finds under the key has
        // to be what it listed. Names of ours that no key shows are not.
        let Some(found) = backend.find(&name, None).await.map_err(failed)? else {
            return Ok(Fate::Skipped("the location would store this key under another name".to_owned()));
        };
        if found.size != entry.size {
            return Ok(Fate::Skipped("it changed while it was looked at".to_owned()));
        }
        let known = self.metadata.is_known(&import.location, &found.locator, entry.write_id.as_ref()).await?
            || self.metadata.version(&bucket.name, &key, &Selector::Current).await?.is_some();
        if known {
            return Ok(Fate::Known);
        }
        if import.dry_run {
            return Ok(Fate::Imported(found.size));
        }
        self.adopt(bucket, import, name, found, entry).await
    }

    /// A write whose bytes are there before its intent. One that is cut off in between is
    /// taken back by the sweeper, which finds no bytes of that write.
    async fn adopt(
        &self,
        bucket: &Bucket,
        import: &Import,
        name: Name,
        found: Found,
        entry: &StoredEntry,
    ) -> Result<Fate> {
        let version = version(bucket, &found, entry);
        let size = version.size;
        let _guard = self.keys.lock(&bucket.name, &name.key).await;
        let absent = WriteConditions { if_none_match: Some(EtagCondition::Any), ..WriteConditions::default() };
        let write = NewWrite {
            id: WriteId::random(),
            bucket: bucket.name.clone(),
            key: name.key.clone(),
            location: import.location.clone(),
            wants_plain: true,
            exclusive: !self.backend(&import.location)?.traits().keeps_overwritten,
            kind: WriteKind::Object,
            prepared: Some((version, absent)),
        };
        let id = write.id.clone();
        match self.metadata.begin(write).await? {
            Begun::Refused(_) => return Ok(Fate::Known),
            Begun::Started { name: begun, replaces: None } if begun == name => {}
            Begun::Started { .. } => {
                self.roll_back(&id, None).await?;
                return Ok(Fate::Skipped("a write or a deletion of this key is under way".to_owned()));
            }
        }
        let segment = Segment {
            location: import.location.clone(),
            name,
            write_id: entry.write_id.clone().unwrap_or_else(|| id.clone()),
            locator: found.locator,
            stored_size: size,
            offset: 0,
            length: size,
        };
        self.commit(&id, vec![segment]).await?;
        Ok(Fate::Imported(size))
    }
}

impl ImportReport {
    fn add(&mut self, name: &str, fate: Fate) {
        self.listed += 1;
        match fate {
            Fate::Imported(bytes) => {
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

/// What is known of bytes that somebody else stored: the null version, as from before
/// versioning.
fn version(bucket: &Bucket, found: &Found, entry: &StoredEntry) -> NewVersion {
    let md5 = found.checksums.iter().find(|digest| digest.algorithm == "md5");
    // Where nobody knows the MD5, the ETag must not look like one.
    let other = || format!("{}-1", hex::encode(Md5::digest(&found.locator.0)));
    NewVersion {
        id: VersionId::null(),
        etag: md5.map_or_else(other, |digest| hex::encode(&digest.value)),
        size: found.size,
        last_modified: entry.last_modified.and_then(|time| i64::try_from(time).ok()).unwrap_or_else(now),
        object: crate::backend::Projection::default(),
        attributes: Attributes::default(),
        checksums: Vec::new(),
        owner: bucket.owner.clone(),
        storage_class: STANDARD.to_owned(),
        parts: Vec::new(),
    }
}
