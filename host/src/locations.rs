//! The configured locations at run time: opened, checked, healed, changed while they serve.

mod breaker;
mod entry;
mod guarded;
mod looking;
mod opening;

pub(crate) use opening::{BREAKER_CALLS, field_specs};
pub use opening::{Opened, Opener};

use crate::config::{Configuration, Problem};
use arc_swap::ArcSwap;
use entry::Entry;
use futures::{StreamExt, stream};
use sallyport_core::backend::{Location, Locations};
use sallyport_core::metadata::MetadataStore;
use sallyport_core::names::{AccountId, LocationName};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a location that does not work is tried again, and one whose keys changed.
const HEAL: Duration = Duration::from_secs(5);
/// How often one that works is asked.
const PERIOD: Duration = Duration::from_secs(30);
/// Locations that are asked at a time.
const AT_A_TIME: usize = 16;

type Entries = BTreeMap<LocationName, Arc<Entry>>;

/// All locations by name; reading is free of locks.
pub struct LocationTable {
    entries: ArcSwap<Entries>,
    opener: Opener,
    metadata: Arc<dyn MetadataStore>,
    /// Held by the one change of the whole that is under way.
    changing: tokio::sync::Mutex<()>,
    /// Where locations pointed that are gone: their bytes may be there still.
    gone: Mutex<BTreeMap<LocationName, String>>,
}

/// A line of a health report.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Health {
    /// The location.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why it does not work, if so.
    pub fault: Option<String>,
    /// The version that its plugin says of itself.
    pub version: Option<String>,
    /// SHA-256 of its plugin, in hex.
    pub digest: Option<String>,
    /// Why its breaker is open, if so: its calls are refused, one is tried now and then.
    pub breaker: Option<String>,
    /// Why what the files say is not in force, if so.
    pub rejected: Option<String>,
}

impl LocationTable {
    /// Opens and checks every location, all at once, and answers what is wrong with them.
    /// None of that keeps another location from working.
    pub async fn open(
        configuration: &Configuration,
        opener: Opener,
        metadata: Arc<dyn MetadataStore>,
    ) -> (Arc<Self>, Vec<Problem>) {
        let table = Arc::new(Self {
            entries: ArcSwap::default(),
            opener,
            metadata,
            changing: tokio::sync::Mutex::default(),
            gone: Mutex::default(),
        });
        let problems = table.change(configuration, true).await;
        (table, problems)
    }

    /// Takes over another configuration while the one before serves. What works is replaced
    /// only by what works; a location that is not wanted any more goes, unless something
    /// would be lost with it. With `anew`, also what did not work before is tried again.
    /// Answers what is wrong, as [`LocationTable::open`] does.
    pub async fn change(self: &Arc<Self>, configuration: &Configuration, anew: bool) -> Vec<Problem> {
        let _one = self.changing.lock().await;
        self.opener.learn(configuration.locations.iter().collect()).await;
        let before = self.entries.load_full();
        let mut entries = Entries::new();
        for location in &configuration.locations {
            let Ok(name) = LocationName::parse(&location.name) else { continue };
            let entry = match before.get(&name) {
                Some(entry) => {
                    if entry.want(location) || anew {
                        entry.forgive();
                    }
                    entry.clone()
                }
                None => self.new_entry(&name, location),
            };
            entries.insert(name, entry);
        }
        let mut problems = self.look_at(entries.values().cloned().collect(), &before).await;
        problems.extend(self.replace(&before, entries).await);
        problems
    }

    /// Looks at locations, and answers what is wrong with them.
    async fn look_at(self: &Arc<Self>, entries: Vec<Arc<Entry>>, before: &Entries) -> Vec<Problem> {
        stream::iter(entries)
            .map(|entry| {
                let table = Arc::clone(self);
                let is_new = !before.contains_key(&entry.name);
                async move { table.look_first(&entry, is_new).await }
            })
            .buffered(AT_A_TIME)
            .concat()
            .await
    }

    fn new_entry(&self, name: &LocationName, location: &crate::config::LocationConfiguration) -> Arc<Entry> {
        let entry = Entry::new(name.clone(), location.clone(), self.opener.broken_calls());
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = gone.get(name) {
            entry.remember_target(target.clone());
        }
        entry
    }

    /// Puts the locations in force, with those of before that something would be lost with.
    async fn replace(&self, before: &Entries, mut entries: Entries) -> Vec<Problem> {
        let removed: Vec<_> = before.iter().filter(|(name, _)| !entries.contains_key(*name)).collect();
        let mut problems = Vec::new();
        for (name, entry) in &removed {
            if self.is_used(name).await {
                problems.push(self.still_used(name));
                entries.insert((*name).clone(), Arc::clone(entry));
            } else if let Some(target) = entry.target() {
                let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
                gone.insert((*name).clone(), target.to_owned());
            }
        }
        self.entries.store(Arc::new(entries.clone()));
        // A bucket may have come to be in one of them in between.
        let dropped = removed.into_iter().filter(|(name, _)| !entries.contains_key(*name)).collect::<Vec<_>>();
        for (name, entry) in dropped {
            if self.is_used(name).await {
                problems.push(self.still_used(name));
                let mut entries = Entries::clone(&self.entries.load());
                entries.insert(name.clone(), Arc::clone(entry));
                self.entries.store(Arc::new(entries));
            } else {
                tracing::info!(location = %name, "the location {name} is not configured any more: it is closed");
                metrics::gauge!("sallyport_location_up", "location" => name.to_string()).set(0.0);
            }
        }
        problems
    }

    /// Whether something would be lost with a location; a database that cannot be asked
    /// counts as yes.
    async fn is_used(&self, name: &LocationName) -> bool {
        self.metadata.is_location_used(name).await.unwrap_or(true)
    }

    fn still_used(&self, name: &LocationName) -> Problem {
        let what =
            "is not in the file any more, but buckets, objects or open writes are in it: it is served on as it was";
        let fix = "put it back, or remove what is in it first";
        Problem::warning(self.opener.file(), what, fix).of(name.as_str())
    }

    /// Asks all locations for ever: healthy ones now and then, others at each interval.
    pub async fn watch(self: Arc<Self>, interval: Option<Duration>) {
        let interval = interval.unwrap_or(HEAL).max(Duration::from_millis(1));
        let due = u32::try_from(PERIOD.as_millis() / interval.as_millis()).unwrap_or(u32::MAX).max(1);
        let mut round: u32 = 0;
        loop {
            tokio::time::sleep(interval).await;
            round = round.wrapping_add(1);
            self.look_again_at(|entry| round.is_multiple_of(due) || entry.is_due()).await;
        }
    }

    /// Opens locations anew whose plugin's file is another one than they were opened on.
    pub async fn follow_plugins(self: &Arc<Self>) {
        let entries = self.entries.load_full();
        let mut versions = BTreeMap::new();
        for entry in entries.values() {
            let kind = &entry.wanted().kind;
            if !versions.contains_key(kind) {
                versions.insert(kind.clone(), self.opener.version(kind).await);
            }
        }
        let is_due = |entry: &Entry| {
            let wanted = entry.wanted();
            match versions.get(&wanted.kind) {
                // What is not opened at all is tried by the watch.
                Some(Ok(_)) if entry.state().opened.is_none() => false,
                // What is in force again has nothing held against it.
                Some(Ok(version)) if entry.has(&wanted, version) => entry.rejected().is_some(),
                Some(Ok(version)) => !entry.has_rejected(&wanted, version),
                Some(Err(error)) => entry.state().works() && entry.rejected() != Some(looking::not_taken(error)),
                None => false,
            }
        };
        if entries.values().any(|entry| is_due(entry)) {
            let wanted: Vec<_> = entries.values().map(|entry| entry.wanted()).collect();
            self.opener.learn(wanted.iter().map(AsRef::as_ref).collect()).await;
            self.look_again_at(is_due).await;
        }
    }

    async fn look_again_at(self: &Arc<Self>, is_due: impl Fn(&Entry) -> bool) {
        let entries = self.entries.load_full();
        stream::iter(entries.values().filter(|entry| is_due(entry)))
            .for_each_concurrent(AT_A_TIME, |entry| {
                let (table, entry) = (Arc::clone(self), Arc::clone(entry));
                async move {
                    // Who hangs is looked at on, and holds up nobody else.
                    if entry.looking.try_lock().is_ok() {
                        let looking = tokio::spawn(async move { table.look_again(&entry).await });
                        let _ = tokio::time::timeout(looking::START_UP, looking).await;
                    }
                }
            })
            .await;
    }

    /// Where a location points, when it could be opened.
    pub fn target(&self, name: &LocationName) -> Option<String> {
        let state = self.entries.load().get(name)?.state();
        state.opened.as_ref().map(|opened| opened.backend.traits().target.clone())
    }

    /// How all of them are.
    pub fn report(&self) -> Vec<Health> {
        self.entries.load().values().map(|entry| health(entry)).collect()
    }
}

fn health(entry: &Entry) -> Health {
    let state = entry.state();
    let description = state.opened.as_ref().map(|opened| opened.version.description());
    Health {
        name: entry.name.to_string(),
        kind: state.configuration.kind.clone(),
        fault: state.fault.clone(),
        version: description.map(|description| description.version.clone()),
        digest: description.map(|description| description.digest.clone()),
        breaker: entry.breaker.cause(),
        rejected: entry.rejected(),
    }
}

impl Locations for LocationTable {
    fn is_cold(&self, name: &LocationName) -> bool {
        self.entries.load().get(name).is_some_and(|entry| entry.state().configuration.is_cold)
    }

    fn accounts(&self, name: &LocationName) -> Option<Arc<[AccountId]>> {
        self.entries.load().get(name)?.accounts()
    }

    fn adopts_existing(&self, name: &LocationName) -> bool {
        self.entries.load().get(name).is_some_and(|entry| entry.state().configuration.adopt_existing)
    }

    fn generation(&self, name: &LocationName) -> u64 {
        self.entries.load().get(name).map_or(0, |entry| entry.generation())
    }

    fn location(&self, name: &LocationName) -> Option<Location> {
        let entries = self.entries.load();
        let entry = entries.get(name)?;
        let legacy_aws_behavior = entry.state().configuration.legacy_aws_behavior;
        Some(Location { name: name.clone(), legacy_aws_behavior, backend: entry.backend() })
    }

    fn names(&self) -> Vec<LocationName> {
        self.entries.load().keys().cloned().collect()
    }
}
