//! The port: reads go to the readers, everything else to the writer.

use super::open::SqliteStore;
use super::{
    allowances, buckets, care, deletes, events, jobs, listing, locations, relocate, settings, tags, unheard, uploads,
    versions, writes,
};
use async_trait::async_trait;
use sallyport_core::backend::{Locator, Token};
use sallyport_core::metadata::{
    Abandoned, Allowance, AttributesChange, Begun, Bucket, BucketCreation, BucketDeletion, Committed, Deleted,
    Deletion, Job, ListQuery, ListedPage, MetadataResult, MetadataStore, NamespaceClaim, NewBucket, NewVersion,
    NewWrite, OpenWrite, Part, PartNumber, PartPage, Prepared, Relocated, Relocation, Segment, Selector,
    SettingsChange, Upload, UploadPage, UploadQuery, Version, VersionPage, VersionQuery, Versioning, WriteConditions,
};
use sallyport_core::names::{AccountId, BucketName, LocationName, ObjectKey, UploadId, VersionId, WriteId};
use sallyport_core::notification::{Announcement, DestinationName, Event, EventQueue};
use tokio::sync::watch;

#[async_trait]
impl MetadataStore for SqliteStore {
    async fn create_bucket(&self, bucket: NewBucket) -> MetadataResult<BucketCreation> {
        self.write(buckets::Create(bucket)).await
    }

    async fn bucket(&self, name: &BucketName) -> MetadataResult<Option<Bucket>> {
        let asked = match self.known.bucket(name) {
            Ok(bucket) => return Ok(Some(bucket)),
            Err(asked) => asked,
        };
        let bucket = buckets::by_name(&self.readers, name).await?;
        if let Some(bucket) = &bucket {
            self.known.keep_bucket(bucket, asked);
        }
        Ok(bucket)
    }

    async fn buckets(&self, owner: &AccountId, after: Option<&str>, limit: usize) -> MetadataResult<Vec<Bucket>> {
        buckets::of_owner(&self.readers, owner, after, limit).await
    }

    async fn all_buckets(&self, after: Option<&str>, limit: usize) -> MetadataResult<Vec<Bucket>> {
        buckets::all(&self.readers, after, limit).await
    }

    async fn delete_bucket(&self, name: &BucketName) -> MetadataResult<BucketDeletion> {
        self.write(buckets::Delete(name.clone())).await
    }

    async fn set_versioning(&self, name: &BucketName, versioning: Versioning) -> MetadataResult<()> {
        self.write(buckets::SetVersioning(name.clone(), versioning)).await
    }

    async fn change_settings(&self, name: &BucketName, change: SettingsChange) -> MetadataResult<Bucket> {
        self.write(settings::ChangeSettings { bucket: name.clone(), change }).await
    }

    async fn claim_namespace(
        &self,
        bucket: &BucketName,
        location: &LocationName,
        namespace: &str,
    ) -> MetadataResult<NamespaceClaim> {
        let (bucket, location) = (bucket.clone(), location.clone());
        self.write(locations::Claim { bucket, location, namespace: namespace.to_owned() }).await
    }

    async fn bind_location(
        &self,
        location: &LocationName,
        target: &str,
        rebind: bool,
    ) -> MetadataResult<Option<String>> {
        self.write(locations::Bind { location: location.clone(), target: target.to_owned(), rebind }).await
    }

    async fn is_location_used(&self, location: &LocationName) -> MetadataResult<bool> {
        locations::is_used(&self.readers, location).await
    }

    async fn locations_in_use(&self) -> MetadataResult<Vec<LocationName>> {
        locations::in_use(&self.readers).await
    }

    async fn version(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        selector: &Selector,
    ) -> MetadataResult<Option<Version>> {
        if *selector != Selector::Current {
            return versions::read(&self.readers, bucket, key, selector).await;
        }
        let asked = match self.known.current(bucket, key) {
            Ok(version) => return Ok(Some(version)),
            Err(asked) => asked,
        };
        let version = versions::read(&self.readers, bucket, key, selector).await?;
        if let Some(version) = &version {
            self.known.keep_current(bucket, version, asked);
        }
        Ok(version)
    }

    async fn list(&self, query: &ListQuery) -> MetadataResult<ListedPage> {
        listing::objects(&self.pages, query).await
    }

    async fn list_versions(&self, query: &VersionQuery) -> MetadataResult<VersionPage> {
        listing::versions(&self.pages, query).await
    }

    async fn begin(&self, write: NewWrite) -> MetadataResult<Begun> {
        self.write(writes::Begin(write)).await
    }

    async fn prepare(
        &self,
        write: &WriteId,
        version: NewVersion,
        conditions: &WriteConditions,
    ) -> MetadataResult<Prepared> {
        self.write(writes::Prepare { write: write.clone(), version, conditions: conditions.clone() }).await
    }

    async fn note_upload(&self, write: &WriteId, upload: &Token) -> MetadataResult<()> {
        self.write(writes::NoteUpload { write: write.clone(), upload: upload.clone() }).await
    }

    async fn known_uploads(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        write: &WriteId,
    ) -> MetadataResult<(Vec<Token>, bool)> {
        unheard::known_uploads(&self.readers, self.owner, bucket, key, write).await
    }

    async fn commit(&self, write: &WriteId, segments: Vec<Segment>) -> MetadataResult<Committed> {
        self.write(writes::Commit { write: write.clone(), segments }).await
    }

    async fn rollback(&self, write: &WriteId, orphan: Option<&Locator>) -> MetadataResult<()> {
        self.write(writes::Rollback { write: write.clone(), orphan: orphan.cloned() }).await
    }

    async fn abandon(&self, write: &WriteId) -> MetadataResult<()> {
        self.write(writes::Abandon(write.clone())).await
    }

    async fn postpone(&self, write: &WriteId, now: i64, due: i64) -> MetadataResult<()> {
        self.write(unheard::Postpone { write: write.clone(), now, due }).await
    }

    async fn rollback_unheard(&self, write: &WriteId, due: i64) -> MetadataResult<()> {
        self.write(unheard::Rollback { write: write.clone(), due }).await
    }

    async fn abandoned_writes(
        &self,
        now: i64,
        after: Option<Abandoned>,
        limit: usize,
    ) -> MetadataResult<Vec<OpenWrite>> {
        writes::abandoned(&self.readers, self.owner, now, after, limit).await
    }

    async fn abandoned_writes_of(
        &self,
        bucket: &BucketName,
        key: Option<&ObjectKey>,
    ) -> MetadataResult<Vec<OpenWrite>> {
        writes::abandoned_of(&self.readers, self.owner, bucket, key).await
    }

    async fn delete(&self, deletion: &Deletion) -> MetadataResult<Deleted> {
        self.write(deletes::Delete(deletion.clone())).await
    }

    async fn mark_hidden(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        marker: &VersionId,
        segment: Segment,
    ) -> MetadataResult<()> {
        let (bucket, key, marker) = (bucket.clone(), key.clone(), marker.clone());
        self.write(deletes::MarkHidden { bucket, key, marker, segment }).await
    }

    async fn set_tags(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        selector: &Selector,
        tags: Vec<(String, String)>,
        announcement: Option<Box<Announcement>>,
    ) -> MetadataResult<Version> {
        let (bucket, key, selector) = (bucket.clone(), key.clone(), selector.clone());
        self.write(tags::SetTags { bucket, key, selector, tags, announcement }).await
    }

    async fn forget(&self, bucket: &BucketName, key: &ObjectKey, sequence: i64, now: i64) -> MetadataResult<bool> {
        self.write(deletes::Forget { bucket: bucket.clone(), key: key.clone(), sequence, now }).await
    }

    async fn change_attributes(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        selector: &Selector,
        change: AttributesChange,
        announcement: Option<Box<Announcement>>,
    ) -> MetadataResult<Version> {
        let (bucket, key, selector) = (bucket.clone(), key.clone(), selector.clone());
        self.write(settings::ChangeAttributes { bucket, key, selector, change, announcement }).await
    }

    async fn relocate(&self, write: Option<&WriteId>, relocation: Relocation) -> MetadataResult<Relocated> {
        self.write(relocate::Relocate { write: write.cloned(), relocation }).await
    }

    async fn replace_locator(&self, location: &LocationName, old: &Locator, new: &Locator) -> MetadataResult<()> {
        let (location, old, new) = (location.clone(), old.clone(), new.clone());
        self.write(tags::ReplaceLocator { location, old, new }).await
    }

    async fn create_upload(&self, upload: Upload) -> MetadataResult<()> {
        self.write(uploads::Create(upload)).await
    }

    async fn upload(&self, bucket: &BucketName, key: &ObjectKey, id: &UploadId) -> MetadataResult<Option<Upload>> {
        uploads::by_id(&self.readers, bucket, key, id).await
    }

    async fn completed_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: &UploadId,
    ) -> MetadataResult<Option<Version>> {
        uploads::completed(&self.readers, bucket, key, id).await
    }

    async fn put_part(&self, upload: &UploadId, part: Part, write: Option<&WriteId>) -> MetadataResult<()> {
        self.write(uploads::PutPart { upload: upload.clone(), part, write: write.cloned() }).await
    }

    async fn parts(&self, upload: &UploadId, after: PartNumber, limit: usize) -> MetadataResult<PartPage> {
        uploads::parts(&self.readers, upload, after, limit).await
    }

    async fn list_uploads(&self, query: &UploadQuery) -> MetadataResult<UploadPage> {
        listing::uploads(&self.pages, query).await
    }

    async fn abort_upload(&self, bucket: &BucketName, key: &ObjectKey, id: &UploadId) -> MetadataResult<bool> {
        self.write(uploads::Abort { bucket: bucket.clone(), key: key.clone(), id: id.clone() }).await
    }

    async fn uploads_to_keep(&self, before: i64, limit: usize) -> MetadataResult<Vec<Upload>> {
        uploads::to_keep(&self.readers, before, limit).await
    }

    async fn upload_kept(&self, id: &UploadId, at: i64) -> MetadataResult<()> {
        self.write(uploads::Kept(id.clone(), at)).await
    }

    async fn claim_jobs(&self, now: i64, limit: usize) -> MetadataResult<Vec<Job>> {
        self.write(jobs::Claim { now, limit }).await
    }

    async fn finish_job(&self, id: i64) -> MetadataResult<()> {
        self.write(jobs::Finish(id)).await
    }

    async fn retry_job(&self, id: i64, retry_at: i64, error: &str) -> MetadataResult<()> {
        self.write(jobs::Retry { id, at: retry_at, error: error.to_owned() }).await
    }

    async fn queue_depth(&self) -> MetadataResult<(u64, Option<i64>)> {
        jobs::depth(&self.readers).await
    }

    async fn events(&self, destination: &DestinationName, limit: usize) -> MetadataResult<Vec<Event>> {
        events::of(&self.readers, destination, limit).await
    }

    async fn forget_events(&self, delivered: Vec<i64>, unwanted: Vec<i64>) -> MetadataResult<()> {
        self.write(events::Forget { delivered, unwanted }).await
    }

    async fn event_queues(&self) -> MetadataResult<Vec<EventQueue>> {
        events::queues(&self.readers).await
    }

    fn events_queued(&self) -> watch::Receiver<u64> {
        self.events_queued.clone()
    }

    async fn allow_bucket(&self, name: &BucketName, most: Option<u64>) -> MetadataResult<()> {
        self.write(allowances::AllowBucket { bucket: name.clone(), most }).await
    }

    async fn bucket_allowance(&self, name: &BucketName) -> MetadataResult<Option<Allowance>> {
        allowances::of_bucket(&self.readers, name).await
    }

    async fn allow_locations(&self, limits: Vec<(LocationName, u64)>) -> MetadataResult<()> {
        self.write(allowances::AllowLocations(limits)).await
    }

    async fn location_allowance(&self, location: &LocationName) -> MetadataResult<Option<Allowance>> {
        allowances::of_location(&self.readers, location).await
    }

    async fn progress(&self, work: &str) -> MetadataResult<Option<String>> {
        care::progress(&self.readers, work).await
    }

    async fn note_progress(&self, work: &str, progress: Option<String>) -> MetadataResult<()> {
        self.write(care::NoteProgress { work: work.to_owned(), progress }).await
    }

    fn stopped(&self) -> Option<&'static str> {
        self.why_stopped()
    }

    async fn is_restored(&self) -> MetadataResult<bool> {
        care::is_restored(&self.readers).await
    }

    async fn mark_checked(&self) -> MetadataResult<()> {
        self.write(care::MarkChecked).await
    }

    async fn segments(&self, cursor: i64, limit: usize) -> MetadataResult<Vec<(i64, Version, Segment)>> {
        care::segments(&self.readers, cursor, limit).await
    }

    async fn is_known(
        &self,
        location: &LocationName,
        locator: &Locator,
        write: Option<&WriteId>,
    ) -> MetadataResult<bool> {
        care::is_known(&self.readers, location, locator, write).await
    }

    async fn has_bytes_of(&self, write: &WriteId) -> MetadataResult<bool> {
        care::has_bytes_of(&self.readers, write).await
    }

    async fn found_late(&self, job: i64, locator: &Locator) -> MetadataResult<()> {
        self.write(unheard::FoundLate { job, locator: locator.clone() }).await
    }

    async fn queue_deletion(&self, location: &LocationName, locator: &Locator) -> MetadataResult<()> {
        self.write(jobs::QueueDeletion { location: location.clone(), locator: locator.clone() }).await
    }
}
