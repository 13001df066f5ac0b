//! Events: queued with the changes that they tell of, until they are delivered.

use super::error::failed;
use super::rows::{from_json, limit, number, size, text, to_json};
use super::statement::Query;
use super::writer::{Operation, Transaction, now};
use sallyport_core::metadata::{MetadataResult, Version};
use sallyport_core::names::{BucketName, ObjectKey, VersionId};
use sallyport_core::notification::{Announcement, DestinationName, Event, EventObject, EventQueue};
use sqlx::SqlitePool;

/// A change that took place.
pub(super) struct Happened<'a> {
    pub(super) bucket: &'a BucketName,
    pub(super) key: &'a ObjectKey,
    pub(super) object: EventObject,
    /// The version's id, shown or not.
    pub(super) version: &'a VersionId,
    /// A delete marker is what came of it.
    pub(super) left_marker: bool,
}

impl<'a> Happened<'a> {
    /// A change of a version that is there.
    pub(super) fn to(version: &'a Version) -> Self {
        Self {
            bucket: &version.bucket,
            key: &version.key,
            object: EventObject {
                size: Some(version.size),
                etag: Some(version.etag.clone()),
                ..EventObject::default()
            },
            version: &version.id,
            left_marker: false,
        }
    }
}

// Beyond the limit the oldest go: who comes back after long wants to know of what is now.
const QUEUE: &str = "
    INSERT INTO event (id, destination, detail) VALUES ($1, $2, $3);
    UPDATE event_queue SET dropped = dropped + pending - $4 WHERE destination = $2 AND pending > $4;
    DELETE FROM event WHERE id IN (SELECT id FROM event WHERE destination = $2 ORDER BY id
        LIMIT (SELECT max(0, pending - $4) FROM event_queue WHERE destination = $2))";

/// Queues what the listeners of an announcement are told. To be called once for a change, in
/// its transaction.
pub(super) fn announce(
    transaction: &mut Transaction<'_>,
    announcement: &Announcement,
    happened: Happened<'_>,
) -> MetadataResult<()> {
    let sequencer = transaction.numbers(announcement.listeners.len());
    let version = announcement.shows_versions.then(|| happened.version.clone());
    for (id, listener) in (sequencer..).zip(announcement.listeners_of(happened.left_marker)) {
        let event = Event {
            id,
            kind: listener.kind,
            time: now(),
            cause: announcement.cause.clone(),
            configuration: listener.configuration.clone(),
            bucket: happened.bucket.clone(),
            key: happened.key.clone(),
            object: EventObject { version: version.clone(), ..happened.object.clone() },
            sequencer,
        };
        let query = Query::of(QUEUE)
            .bind(id)
            .bind(listener.destination.as_str().to_owned())
            .bind(to_json(&event)?)
            .bind(transaction.most_events());
        transaction.execute(query)?;
        transaction.queued_events();
    }
    Ok(())
}

/// Events of a destination, oldest first.
pub(super) async fn of(readers: &SqlitePool, destination: &DestinationName, most: usize) -> MetadataResult<Vec<Event>> {
    let sql = "SELECT id, detail FROM event WHERE destination = $1 ORDER BY id LIMIT $2";
    let query = sqlx::query(sql).bind(destination.as_str()).bind(limit(most));
    let rows = query.fetch_all(readers).await.map_err(failed)?;
    rows.iter().map(|row| Ok(Event { id: number(row, "id")?, ..from_json(row, "detail")? })).collect()
}

/// How many events wait, by destination.
pub(super) async fn queues(readers: &SqlitePool) -> MetadataResult<Vec<EventQueue>> {
    let rows = sqlx::query("SELECT * FROM event_queue").fetch_all(readers).await.map_err(failed)?;
    let mut queues = Vec::with_capacity(rows.len());
    for row in rows {
        // A name that is none any more is nobody's.
        if let Some(destination) = DestinationName::parse(&text(&row, "destination")?) {
            queues.push(EventQueue { destination, pending: size(&row, "pending")?, dropped: size(&row, "dropped")? });
        }
    }
    Ok(queues)
}

/// Removes events.
pub(super) struct Forget {
    pub(super) delivered: Vec<i64>,
    pub(super) unwanted: Vec<i64>,
}

impl Operation for Forget {
    type Answer = ();

    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<()> {
        let sql = "UPDATE event_queue SET dropped = dropped + (SELECT count(*) FROM event e
                WHERE e.destination = event_queue.destination AND e.id IN (SELECT value FROM json_each($2)))
                WHERE $2 <> '[]';
            DELETE FROM event WHERE id IN (SELECT value FROM json_each($1) UNION ALL SELECT value FROM json_each($2))";
        let query = Query::of(sql).bind(to_json(&self.delivered)?).bind(to_json(&self.unwanted)?);
        transaction.execute(query).map(drop)
    }
}
