//! The one thread that writes: it groups what arrives together into one transaction.

use super::error::{Lost, refused};
use super::known::{Change, Known};
use super::lock::FolderLock;
use super::statement::{Database, Query, Row, Runs};
use super::syncer::Syncer;
use rusqlite::Connection;
use sallyport_core::metadata::{MetadataError, MetadataResult};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

/// Most operations of one transaction.
const GROUP: usize = 64;
/// Most operations that wait; one more is refused as busy.
const WAITING: usize = 4096;
/// Bits of a number that count within one run.
const COUNTER_BITS: u32 = 40;

/// One mutation of the store, whole or not at all.
pub(super) trait Operation: Send + 'static {
    /// What the caller is told once it is durable.
    type Answer: Send + 'static;

    /// Whether it has to be on the disk before the caller is told. What need not be survives
    /// the process all the same, and is on the disk with the next operation that has to.
    /// Readers see both as soon as they are committed: what somebody does next is on the disk
    /// only after what it was done upon.
    fn is_synced(&self) -> bool {
        true
    }

    /// Whether it is guarded by a savepoint of its own. Without one an operation that fails after
    /// it changed something takes the whole group with it: for those that fail only before.
    fn has_savepoint(&self) -> bool {
        true
    }

    /// Does it. After an error nothing of it stays.
    fn run(self, transaction: &mut Transaction<'_>) -> MetadataResult<Self::Answer>;
}

/// What an operation has: the open transaction, and numbers that nobody had before.
pub(super) struct Transaction<'c> {
    database: &'c mut (dyn Runs + 'c),
    numbers: &'c mut Numbers,
    changes: Vec<Change>,
    /// Whether the operation that runs has changed anything.
    has_written: bool,
    queued_events: bool,
    settings: &'c Settings,
}

/// What holds for every transaction.
pub(super) struct Settings {
    /// How long bytes are kept after they were superseded, in milliseconds.
    pub(super) deletion_delay: i64,
    /// How many events may wait for a destination.
    pub(super) most_events: i64,
    /// Changes after each transaction that queued events.
    pub(super) events_queued: watch::Sender<u64>,
}

/// Numbers for one run of the process: greater than all of earlier runs.
pub(super) struct Numbers {
    owner: i64,
    next: i64,
}

impl Numbers {
    pub(super) fn new(owner: i64) -> Self {
        Self { owner, next: owner << COUNTER_BITS }
    }
}

impl Transaction<'_> {
    /// Who this process is.
    pub(super) fn owner(&self) -> i64 {
        self.numbers.owner
    }

    /// `count` new numbers in a row: the first of them. Used for sequences, segments and jobs.
    pub(super) fn numbers(&mut self, count: usize) -> i64 {
        let first = self.numbers.next;
        self.numbers.next += i64::try_from(count).unwrap_or(i64::MAX >> COUNTER_BITS);
        first
    }

    /// Says what readers must not remember. Every change of a bucket, a version or a segment
    /// has to be said, at the latest when it is made; too much does no harm.
    pub(super) fn changes(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// How many events may wait for a destination.
    pub(super) fn most_events(&self) -> i64 {
        self.settings.most_events
    }

    /// Says that there are events to deliver once this is committed.
    pub(super) fn queued_events(&mut self) {
        self.queued_events = true;
    }

    /// When bytes that are superseded now may go.
    pub(super) fn due(&self) -> i64 {
        now().saturating_add(self.settings.deletion_delay)
    }

    pub(super) fn execute(&mut self, query: Query) -> MetadataResult<u64> {
        let outcome = self.database.run(&query, &mut |_row| ()).map_err(refused);
        self.has_written |= outcome.as_ref().map_or(true, |changed| *changed > 0);
        outcome
    }

    pub(super) fn row(&mut self, query: Query) -> MetadataResult<Option<Row>> {
        self.rows(query).map(|rows| rows.into_iter().next())
    }

    pub(super) fn rows(&mut self, query: Query) -> MetadataResult<Vec<Row>> {
        let mut rows = Vec::new();
        self.database.run(&query, &mut |row| rows.push(row)).map_err(refused)?;
        Ok(rows)
    }

    fn plain(&mut self, sql: &'static str) -> Result<(), Lost> {
        self.database.run(&Query::of(sql), &mut |_row| ())?;
        Ok(())
    }
}

/// Hands operations to the thread.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Step>>,
}

impl Writer {
    /// Starts the thread on a connection that is its own, and that waits for the disk by itself
    /// or, with a syncer, never. It ends with the last handle, and holds the folder until then.
    ///
    /// # Errors
    /// When the system starts no more threads.
    pub(super) fn start(
        (connection, lock): (Connection, Arc<FolderLock>),
        numbers: Numbers,
        settings: Settings,
        known: Arc<Known>,
        syncer: Option<Syncer>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, waiting) = mpsc::channel(WAITING);
        let builder = std::thread::Builder::new().name("metadata-writer".to_owned());
        let thread = builder.spawn(move || {
            work(connection, numbers, &settings, &known, syncer, waiting);
            drop(lock);
        })?;
        Ok((Self { queue }, thread))
    }

    /// Whether its thread is gone, as it is after a panic.
    pub(super) fn has_ended(&self) -> bool {
        self.queue.is_closed()
    }

    /// Runs an operation; what comes back is durable. Dropping the future does not stop it.
    pub(super) async fn run<O: Operation>(self, operation: O) -> MetadataResult<O::Answer> {
        let (reply, answer) = oneshot::channel();
        let is_synced = operation.is_synced();
        let pending = Pending { operation: Some(operation), is_synced, outcome: None, reply };
        self.queue.try_send(Box::new(pending)).map_err(|refused| match refused {
            TrySendError::Full(_) => MetadataError::Busy,
            TrySendError::Closed(_) => lost("the writer stopped: its error is in the log; restart".to_owned()),
        })?;
        // Who waits for an answer keeps nobody from closing.
        drop(self);
        answer.await.unwrap_or_else(|_closed| Err(lost("the writer stopped".to_owned())))
    }
}

/// An operation without its types.
pub(super) trait Step: Send {
    /// Whether it has to be on the disk before the caller is told.
    fn is_synced(&self) -> bool;
    /// Whether it is guarded by a savepoint.
    fn has_savepoint(&self) -> bool;
    /// Whether it succeeded.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool;
    /// Tells the caller; `lost` says why the whole transaction did not take place.
    fn answer(self: Box<Self>, lost: Option<&Arc<Lost>>);
}

struct Pending<O: Operation> {
    operation: Option<O>,
    is_synced: bool,
    outcome: Option<MetadataResult<O::Answer>>,
    reply: oneshot::Sender<MetadataResult<O::Answer>>,
}

impl<O: Operation> Step for Pending<O> {
    fn is_synced(&self) -> bool {
        self.is_synced
    }

    fn has_savepoint(&self) -> bool {
        self.operation.as_ref().is_none_or(O::has_savepoint)
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool {
        let Some(operation) = self.operation.take() else {
            return true;
        };
        let outcome = operation.run(transaction);
        let succeeded = outcome.is_ok();
        self.outcome = Some(outcome);
        succeeded
    }

    fn answer(self: Box<Self>, failure: Option<&Arc<Lost>>) {
        let outcome = match (self.outcome, failure) {
            (Some(Err(own)), _) => Err(own),
            (_, Some(error)) if error.is_full() => Err(MetadataError::Full),
            (_, Some(error)) => Err(MetadataError::Store(Box::new(Arc::clone(error)))),
            (Some(outcome), None) => outcome,
            (None, None) => Err(lost("the operation was not run".to_owned())),
        };
        // Nobody listens when the caller gave up; the operation stands all the same.
        let _ = self.reply.send(outcome);
    }
}

fn work(
    connection: Connection,
    mut numbers: Numbers,
    settings: &Settings,
    known: &Arc<Known>,
    syncer: Option<Syncer>,
    mut waiting: mpsc::Receiver<Box<dyn Step>>,
) {
    let mut database = Database::on(&connection);
    let mut group = Vec::with_capacity(GROUP);
    while waiting.blocking_recv_many(&mut group, GROUP) > 0 {
        metrics::histogram!("sallyport_metadata_group_size").record(f64::from(u32::try_from(group.len()).unwrap_or(0)));
        let mut transaction = Transaction {
            database: &mut database,
            numbers: &mut numbers,
            changes: Vec::new(),
            has_written: false,
            queued_events: false,
            settings,
        };
        let failure = transact(&mut transaction, known, &mut group).err().map(Arc::new);
        if let Some(error) = &failure {
            tracing::error!(error = %error, "a metadata transaction failed; its callers are told");
            // What is left open would take in the next group. It fails when nothing is.
            let _ = transaction.plain("ROLLBACK");
            // Some of it may stand, when SQLite gave up the transaction by itself.
            drop(known.changing(&transaction.changes));
        }
        if transaction.queued_events && failure.is_none() {
            settings.events_queued.send_modify(|times| *times = times.wrapping_add(1));
        }
        // While the disk is waited for, the next group is on its way.
        let mut patient = Vec::new();
        for step in group.drain(..) {
            if failure.is_none() && syncer.is_some() && step.is_synced() {
                patient.push(step);
            } else {
                step.answer(failure.as_ref());
            }
        }
        if let Some(syncer) = syncer.as_ref().filter(|_| !patient.is_empty()) {
            syncer.answer_synced(patient);
        }
    }
    if let Some(syncer) = syncer {
        syncer.finish();
    }
    // Its statements end before the connection.
    drop(database);
    if let Err((_connection, error)) = connection.close() {
        tracing::warn!(error = %error, "the metadata store did not close well; nothing is lost");
    }
}

/// Runs a group in one transaction, each operation that wants one in a savepoint unless it is alone.
fn transact(transaction: &mut Transaction<'_>, known: &Arc<Known>, group: &mut [Box<dyn Step>]) -> Result<(), Lost> {
    let is_alone = group.len() == 1;
    transaction.plain("BEGIN IMMEDIATE")?;
    for step in group.iter_mut() {
        let is_guarded = !is_alone && step.has_savepoint();
        if is_guarded {
            transaction.plain("SAVEPOINT operation")?;
        }
        transaction.has_written = false;
        let has_succeeded = step.run(transaction);
        // After some errors SQLite rolls back by itself: what comes next would be committed one by one.
        if !transaction.database.is_in_transaction() {
            return Err(Lost::TakenBack);
        }
        match has_succeeded {
            true if is_guarded => transaction.plain("RELEASE operation")?,
            false if is_guarded => transaction.plain("ROLLBACK TO operation; RELEASE operation")?,
            false if is_alone => return transaction.plain("ROLLBACK"),
            false if transaction.has_written => return Err(Lost::Midway),
            true | false => {}
        }
    }
    let _changing = known.changing(&transaction.changes);
    transaction.plain("COMMIT")
}

fn lost(why: String) -> MetadataError {
    MetadataError::Store(why.into())
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
