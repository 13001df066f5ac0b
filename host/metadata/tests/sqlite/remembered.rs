//! What the store remembers is what the database has, after every operation there is.

use super::contract::*;
use super::options;
use proptest::collection::vec;
use proptest::prelude::*;
use sallyport_core::access::ObjectOwnership;
use sallyport_core::backend::{Name, Place, Token};
use sallyport_core::metadata::*;
use sallyport_core::names::*;
use sallyport_core::notification::{Announcement, EventKind};
use sallyport_metadata::{Durability, SqliteOptions, SqliteStore};

const KEYS: [&str; 2] = ["k", "other"];

/// One call that changes something, or may. What it is about is taken from what is there,
/// by a number that counts around.
#[derive(Debug, Clone, Copy)]
struct Step {
    operation: &'static str,
    key: usize,
    pick: usize,
}

/// Every method of the port that is not a read.
const OPERATIONS: [&str; 35] = [
    "create_bucket",
    "delete_bucket",
    "set_versioning",
    "change_settings",
    "claim_namespace",
    "allow_bucket",
    "bind_location",
    "allow_locations",
    "begin",
    "prepare",
    "note_upload",
    "commit",
    "rollback",
    "rollback_unheard",
    "abandon",
    "postpone",
    "delete",
    "forget",
    "mark_hidden",
    "set_tags",
    "change_attributes",
    "relocate",
    "replace_locator",
    "create_upload",
    "put_part",
    "abort_upload",
    "upload_kept",
    "claim_jobs",
    "finish_job",
    "retry_job",
    "note_progress",
    "mark_checked",
    "found_late",
    "queue_deletion",
    "forget_events",
];

/// What reads, and so can change nothing that is remembered.
const READS: [&str; 27] = [
    "abandoned_writes",
    "known_uploads",
    "abandoned_writes_of",
    "all_buckets",
    "bucket",
    "bucket_allowance",
    "buckets",
    "completed_upload",
    "event_queues",
    "events",
    "has_bytes_of",
    "is_known",
    "is_location_used",
    "is_restored",
    "list",
    "list_uploads",
    "list_versions",
    "location_allowance",
    "locations_in_use",
    "parts",
    "progress",
    "queue_depth",
    "segments",
    "stopped",
    "upload",
    "uploads_to_keep",
    "version",
];

/// What earlier steps left to later ones.
#[derive(Default)]
struct Left {
    writes: Vec<(WriteId, Name)>,
    uploads: Vec<Upload>,
    jobs: Vec<i64>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..OPERATIONS.len() + 12, 0..KEYS.len(), 0..64_usize).prop_map(|(operation, key, pick)| {
        // A write is three operations: without more of them little is ever written.
        let operation = OPERATIONS.get(operation).copied().unwrap_or(["begin", "commit", "commit"][operation % 3]);
        Step { operation, key, pick }
    });
    vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_operation_says_what_it_changes(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps))?;
    }
}

#[test]
fn every_operation_of_the_port_is_among_the_steps() {
    let port = include_str!("../../../core/src/metadata.rs");
    let port = port.split("pub trait MetadataStore").nth(1).unwrap();
    let methods = port.split("async fn ").skip(1).filter_map(|rest| rest.split('(').next());
    let unknown: Vec<_> = methods.filter(|name| !OPERATIONS.contains(name) && !READS.contains(name)).collect();
    assert!(unknown.is_empty(), "add these to the steps, or to the reads: {unknown:?}");
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { durability: Durability::ProcessCrash, ..options(&folder) };
    let store = SqliteStore::open(options).await.unwrap();
    make_bucket(&store, "bucket").await;
    let mut left = Left::default();
    for (number, step) in steps.into_iter().enumerate() {
        // All rows are remembered before each step.
        agree(&store, step).await?;
        // Many steps are refused as things stand; what they say then is not looked at here.
        apply(&store, step, number as i64, &mut left).await;
        agree(&store, step).await?;
    }
    store.close().await;
    Ok(())
}

/// Compares rows that may be remembered with the same ones by ways that never are.
async fn agree(store: &Store, step: Step) -> Result<(), TestCaseError> {
    let name = bucket_name("bucket");
    let all = store.all_buckets(None, 10).await.unwrap();
    let bucket = store.bucket(&name).await.unwrap();
    prop_assert_eq!(bucket.as_ref(), all.iter().find(|bucket| bucket.name == name), "the bucket, {:?}", step);
    let query = VersionQuery {
        bucket: name.clone(),
        prefix: String::new(),
        delimiter: None,
        key_marker: None,
        version_marker: None,
        limit: 1000,
    };
    let page = store.list_versions(&query).await.unwrap();
    for key_text in KEYS {
        let key = key(key_text);
        let current = page.entries.iter().find_map(|entry| match entry {
            Listed::Object(version) if version.key == key && version.is_current => Some(version.id.clone()),
            Listed::Object(_) | Listed::CommonPrefix(_) => None,
        });
        let read = match current {
            Some(id) => store.version(&name, &key, &Selector::Id(id)).await.unwrap(),
            None => None,
        };
        let remembered = store.version(&name, &key, &Selector::Current).await.unwrap();
        prop_assert_eq!(remembered, read, "{:?}, {:?}", key_text, step);
    }
    Ok(())
}

async fn apply(store: &Store, step: Step, number: i64, left: &mut Left) {
    match step.operation {
        "begin" | "prepare" | "note_upload" | "commit" | "rollback" | "rollback_unheard" | "abandon" | "postpone"
        | "relocate" => {
            write(store, step, number, left).await;
        }
        "create_upload" | "put_part" | "abort_upload" | "upload_kept" => upload(store, step, number, left).await,
        "claim_jobs" | "finish_job" | "retry_job" | "found_late" | "queue_deletion" => job(store, step, left).await,
        "delete" | "forget" | "mark_hidden" | "set_tags" | "change_attributes" | "replace_locator" => {
            version(store, step, number).await;
        }
        "note_progress" => store.note_progress("work", Some(number.to_string())).await.unwrap(),
        "mark_checked" => store.mark_checked().await.unwrap(),
        "forget_events" => {
            let events = store.events(&destination("hooks"), 2).await.unwrap();
            let ids: Vec<i64> = events.iter().map(|event| event.id).collect();
            store.forget_events(ids, Vec::new()).await.unwrap();
        }
        _ => bucket(store, step, number).await,
    }
}

async fn bucket(store: &Store, step: Step, number: i64) {
    let name = bucket_name("bucket");
    let number = number.unsigned_abs();
    match step.operation {
        "create_bucket" => {
            let new = NewBucket {
                name,
                owner: account(),
                location: location(),
                created: 1,
                versioning: Versioning::Off,
                settings: BucketSettings::default(),
            };
            store.create_bucket(new).await.unwrap();
        }
        "delete_bucket" => drop(store.delete_bucket(&name).await.unwrap()),
        "set_versioning" => {
            let state = [Versioning::Off, Versioning::Enabled, Versioning::Suspended][step.pick % 3];
            let _ = store.set_versioning(&name, state).await;
        }
        "change_settings" => {
            let change = move |settings: &mut BucketSettings| {
                settings.tags = vec![("step".to_owned(), number.to_string())];
                settings.ownership = Some(ObjectOwnership::BucketOwnerPreferred);
            };
            let _ = store.change_settings(&name, Box::new(change)).await;
        }
        "claim_namespace" => drop(store.claim_namespace(&name, &location(), "account/container").await),
        "allow_bucket" => drop(store.allow_bucket(&name, step.pick.is_multiple_of(2).then_some(10_000)).await),
        "bind_location" => {
            let target = format!("target-{}", step.pick % 2);
            store.bind_location(&location(), &target, step.pick.is_multiple_of(3)).await.unwrap();
        }
        "allow_locations" => store.allow_locations(vec![(location(), 1_000_000)]).await.unwrap(),
        other => panic!("no step does {other}"),
    }
}

async fn write(store: &Store, step: Step, number: i64, left: &mut Left) {
    let versioning = store.bucket(&bucket_name("bucket")).await.unwrap().map(|bucket| bucket.versioning);
    let id = if versioning == Some(Versioning::Enabled) { VersionId::random() } else { VersionId::null() };
    let new = new_version(id, &format!("etag-{number}"));
    let picked = (!left.writes.is_empty()).then(|| step.pick % left.writes.len());
    let key_text = KEYS[step.key];
    match (step.operation, picked) {
        ("begin", _) => {
            let mut write = new_write(key_text, (!step.pick.is_multiple_of(4)).then_some(new));
            write.wants_plain = !step.pick.is_multiple_of(3);
            write.exclusive = !step.pick.is_multiple_of(5);
            let upload = left.uploads.iter().find(|upload| upload.key.as_str() == key_text);
            if let Some(upload) = upload.filter(|_| step.pick.is_multiple_of(8))
                && let Some((name, token)) = upload.backend.clone()
            {
                write.kind = WriteKind::Completion { upload: upload.id.clone(), name, token };
            }
            let id = write.id.clone();
            if let Ok(Begun::Started { name, .. }) = store.begin(write).await {
                left.writes.push((id, name));
            }
        }
        ("prepare", Some(at)) => {
            let _ = store.prepare(&left.writes[at].0, new, &WriteConditions::default()).await;
        }
        ("commit", Some(at)) => {
            let (id, name) = left.writes[at].clone();
            if store.commit(&id, vec![segment(&id, &name, &format!("bytes-{number}"))]).await.is_ok() {
                left.writes.remove(at);
            }
        }
        ("note_upload", Some(at)) => {
            let _ = store.note_upload(&left.writes[at].0, &Token(vec![1])).await;
        }
        ("rollback", Some(at)) => {
            let (id, _) = left.writes.remove(at);
            let _ = store.rollback(&id, Some(&locator(&format!("orphan-{number}")))).await;
        }
        ("rollback_unheard", Some(at)) => drop(store.rollback_unheard(&left.writes.remove(at).0, number).await),
        ("postpone", Some(at)) => drop(store.postpone(&left.writes[at].0, number, number).await),
        ("abandon", Some(at)) => drop(store.abandon(&left.writes.remove(at).0).await),
        ("relocate", picked) => {
            let Some(version) = current(store, key_text).await else { return };
            let (id, name) = picked.map_or_else(
                || (WriteId::random(), Name { bucket: bucket_name("bucket"), key: key(key_text), place: Place::Plain }),
                |at| left.writes[at].clone(),
            );
            let relocation = Relocation {
                bucket: version.bucket,
                key: version.key,
                version: version.id,
                sequence: version.sequence,
                segments: vec![segment(&id, &name, &format!("moved-{number}"))],
                tags: version.object.tags,
                from: version.segments,
                storage_class: format!("class-{number}"),
                at: number,
                announcement: told(EventKind::Moved),
            };
            let write = picked.map(|_| id);
            if store.relocate(write.as_ref(), relocation).await.is_ok_and(|moved| moved == Relocated::Done) {
                left.writes.retain(|(id, _)| Some(id) != write.as_ref());
            }
        }
        _ => {}
    }
}

async fn version(store: &Store, step: Step, number: i64) {
    let (name, key_text) = (bucket_name("bucket"), KEYS[step.key]);
    let key = key(key_text);
    let current = current(store, key_text).await;
    match step.operation {
        "delete" => {
            let version = current.filter(|_| step.pick.is_multiple_of(2)).map(|version| version.id);
            let hides = if step.pick.is_multiple_of(3) { vec![location()] } else { Vec::new() };
            let _ = store.delete(&Deletion { hides, ..deletion(key_text, version) }).await;
        }
        "forget" => {
            let Some(version) = current else { return };
            let _ = store.forget(&name, &key, version.sequence, number).await;
        }
        "mark_hidden" => {
            let Some(marker) = current.filter(|version| version.is_delete_marker) else { return };
            let place = Name { bucket: name.clone(), key: key.clone(), place: Place::Plain };
            let segment = segment(&WriteId::random(), &place, &format!("hidden-{number}"));
            let _ = store.mark_hidden(&name, &key, &marker.id, segment).await;
        }
        "set_tags" => {
            let tags = vec![("step".to_owned(), number.to_string())];
            let _ = store.set_tags(&name, &key, &Selector::Current, tags, told(EventKind::Tagged)).await;
        }
        "change_attributes" => {
            let change = move |attributes: &mut Attributes| attributes.website_redirect = Some(format!("/{number}"));
            let told = told(EventKind::ListReplaced);
            let _ = store.change_attributes(&name, &key, &Selector::Current, Box::new(change), told).await;
        }
        "replace_locator" => {
            let Some(old) = current.and_then(|version| version.segments.first().cloned()) else { return };
            let new = locator(&format!("replaced-{number}"));
            store.replace_locator(&old.location, &old.locator, &new).await.unwrap();
        }
        other => panic!("no step does {other}"),
    }
}

/// Somebody is told of each change that can be told.
fn told(kind: EventKind) -> Option<Box<Announcement>> {
    announcement(&[(kind, "hooks")])
}

async fn upload(store: &Store, step: Step, number: i64, left: &mut Left) {
    let picked = (!left.uploads.is_empty()).then(|| step.pick % left.uploads.len());
    match (step.operation, picked) {
        ("create_upload", _) => {
            let upload = new_upload(KEYS[step.key], number);
            if store.create_upload(upload.clone()).await.is_ok() {
                left.uploads.push(upload);
            }
        }
        ("put_part", Some(at)) => {
            let part = Part {
                number: step.pick as u32 % 3 + 1,
                etag: format!("part-{number}"),
                size: 5,
                last_modified: number,
                checksums: Vec::new(),
                pieces: vec![(1, Token(b"piece".to_vec()), 5)],
                segment: None,
                run: None,
            };
            let _ = store.put_part(&left.uploads[at].id, part, None).await;
        }
        ("abort_upload", Some(at)) => {
            let upload = left.uploads.remove(at);
            let _ = store.abort_upload(&upload.bucket, &upload.key, &upload.id).await;
        }
        ("upload_kept", Some(at)) => drop(store.upload_kept(&left.uploads[at].id, number).await),
        _ => {}
    }
}

async fn job(store: &Store, step: Step, left: &mut Left) {
    match (step.operation, left.jobs.pop()) {
        ("claim_jobs", id) => {
            left.jobs.extend(id);
            left.jobs.extend(store.claim_jobs(i64::MAX, 3).await.unwrap().into_iter().map(|job| job.id));
        }
        ("queue_deletion", id) => {
            left.jobs.extend(id);
            store.queue_deletion(&location(), &locator("nobody's")).await.unwrap();
        }
        ("found_late", Some(id)) => store.found_late(id, &locator("late")).await.unwrap(),
        ("finish_job", Some(id)) => store.finish_job(id).await.unwrap(),
        ("retry_job", Some(id)) => store.retry_job(id, 0, "again").await.unwrap(),
        _ => {}
    }
}
