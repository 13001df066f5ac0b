//! Events: with their changes, in order, and bounded.

use super::*;
use sallyport_core::notification::*;

pub fn destination(name: &str) -> DestinationName {
    DestinationName::parse(name).unwrap()
}

pub fn announcement(kinds: &[(EventKind, &str)]) -> Option<Box<Announcement>> {
    let cause = Cause {
        principal: "someone".into(),
        source: "127.0.0.1".into(),
        request_id: "REQUEST".into(),
        host_id: "host".into(),
        region: "there".into(),
        owner: "someone".into(),
    };
    let listeners = kinds.iter().map(|(kind, to)| Listener {
        kind: *kind,
        configuration: "rule".into(),
        destination: destination(to),
    });
    Some(Box::new(Announcement { cause, shows_versions: true, listeners: listeners.collect() }))
}

pub async fn put_told(store: &Store, key_text: &str, id: VersionId, kinds: &[(EventKind, &str)]) {
    let version = NewVersion { announcement: announcement(kinds), ..new_version(id, "etag") };
    let write = new_write(key_text, Some(version));
    let id = write.id.clone();
    let (name, _) = started(store.begin(write).await.unwrap());
    store.commit(&id, vec![segment(&id, &name, key_text)]).await.unwrap();
}

async fn waiting(store: &Store, name: &str) -> Vec<Event> {
    store.events(&destination(name), 1_000).await.unwrap()
}

fn told(events: &[Event]) -> Vec<(&str, &'static str)> {
    events.iter().map(|event| (event.key.as_str(), event.kind.name())).collect()
}

pub async fn an_event_comes_with_its_change_and_not_without(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "silent", VersionId::null(), "a").await;
    let mut queued = store.events_queued();
    queued.mark_unchanged();
    let kinds = [(EventKind::CreatedByPut, "hooks")];
    put_told(store, "k", VersionId::from_client("v1"), &kinds).await;
    assert!(queued.has_changed().unwrap());
    let events = waiting(store, "hooks").await;
    assert_eq!(told(&events), [("k", "ObjectCreated:Put")]);
    let object = &events[0].object;
    assert_eq!((object.size, object.etag.as_deref()), (Some(5), Some("etag")));
    assert_eq!(object.version, Some(VersionId::from_client("v1")));
    assert_eq!((events[0].cause.request_id.as_str(), events[0].configuration.as_str()), ("REQUEST", "rule"));
    // What does not come to be is not told.
    let version = NewVersion { announcement: announcement(&kinds), ..new_version(VersionId::null(), "b") };
    let write = new_write("never", Some(version));
    let id = write.id.clone();
    started(store.begin(write).await.unwrap());
    store.rollback(&id, None).await.unwrap();
    let nothing = Deletion { announcement: announcement(&[(EventKind::Removed, "hooks")]), ..deletion("absent", None) };
    assert_eq!(store.delete(&nothing).await.unwrap(), Deleted::Nothing);
    assert_eq!(waiting(store, "hooks").await.len(), 1);
}

pub async fn what_is_told_depends_on_what_a_deletion_left(store: &Store) {
    make_bucket(store, "bucket").await;
    let kinds = [(EventKind::Removed, "hooks"), (EventKind::MarkerCreated, "hooks")];
    let delete = async |version: Option<VersionId>| {
        let deletion = Deletion { announcement: announcement(&kinds), ..deletion("k", version) };
        store.delete(&deletion).await.unwrap()
    };
    put(store, "k", VersionId::null(), "a").await;
    delete(None).await;
    store.set_versioning(&bucket_name("bucket"), Versioning::Enabled).await.unwrap();
    put(store, "k", VersionId::from_client("v1"), "b").await;
    delete(None).await;
    delete(Some(VersionId::from_client("v1"))).await;
    let events = waiting(store, "hooks").await;
    let names: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(names, ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "ObjectRemoved:Delete"]);
    assert_eq!(events[2].object.version, Some(VersionId::from_client("v1")));
    assert!(events[1].object.version.is_some() && events[1].object.etag.is_some());
    assert_eq!(events[2].object.size, None);
}

pub async fn tags_lists_and_moves_are_told(store: &Store) {
    make_bucket(store, "bucket").await;
    put(store, "k", VersionId::null(), "a").await;
    let (name, here) = (bucket_name("bucket"), Selector::Current);
    let tags = vec![("a".to_owned(), "b".to_owned())];
    let to = |kind| announcement(&[(kind, "hooks")]);
    store.set_tags(&name, &key("k"), &here, tags, to(EventKind::Tagged)).await.unwrap();
    let change = Box::new(|attributes: &mut Attributes| attributes.acl = None);
    store.change_attributes(&name, &key("k"), &here, change, to(EventKind::ListReplaced)).await.unwrap();
    let version = current(store, "k").await.unwrap();
    let relocation = Relocation {
        bucket: name,
        key: key("k"),
        version: version.id.clone(),
        sequence: version.sequence,
        from: version.segments.clone(),
        segments: version.segments.clone(),
        tags: version.object.tags.clone(),
        storage_class: "cold".into(),
        at: 3_000,
        announcement: to(EventKind::Moved),
    };
    let stale = Relocation { sequence: version.sequence + 1, ..relocation.clone() };
    assert_eq!(store.relocate(None, stale).await.unwrap(), Relocated::Stale);
    assert_eq!(store.relocate(None, relocation).await.unwrap(), Relocated::Done);
    let events = waiting(store, "hooks").await;
    assert_eq!(told(&events), [("k", "ObjectTagging:Put"), ("k", "ObjectAcl:Put"), ("k", "LifecycleTransition")]);
    assert_eq!(events[2].object.storage_class.as_deref(), Some("cold"));
}

pub async fn events_wait_by_destination_until_they_are_delivered(store: &Store) {
    make_bucket(store, "bucket").await;
    let kinds = [(EventKind::CreatedByPut, "one"), (EventKind::CreatedByPut, "two")];
    for key in ["a", "b", "c"] {
        put_told(store, key, VersionId::null(), &kinds).await;
    }
    let one = waiting(store, "one").await;
    assert_eq!(told(&one).iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(store.events(&destination("one"), 2).await.unwrap(), one[..2]);
    store.forget_events(vec![one[0].id], vec![one[1].id]).await.unwrap();
    store.forget_events(vec![one[0].id], vec![one[1].id]).await.unwrap();
    assert_eq!(waiting(store, "one").await, one[2..]);
    assert_eq!(waiting(store, "two").await.len(), 3);
    let mut queues = store.event_queues().await.unwrap();
    queues.sort_by(|a, b| a.destination.cmp(&b.destination));
    let queue = |name: &str, pending, dropped| EventQueue { destination: destination(name), pending, dropped };
    assert_eq!(queues, [queue("one", 1, 1), queue("two", 3, 0)]);
}

pub async fn a_key_s_changes_have_ascending_sequencers(store: &Store) {
    make_bucket(store, "bucket").await;
    for _ in 0..3 {
        put_told(store, "k", VersionId::null(), &[(EventKind::CreatedByPut, "hooks")]).await;
        let removal = Deletion { announcement: announcement(&[(EventKind::Removed, "hooks")]), ..deletion("k", None) };
        store.delete(&removal).await.unwrap();
    }
    let sequencers: Vec<i64> = waiting(store, "hooks").await.iter().map(|event| event.sequencer).collect();
    assert_eq!(sequencers.len(), 6);
    assert!(sequencers.is_sorted_by(|a, b| a < b), "{sequencers:?}");
}
