//! The configured locations at run time: opened, checked, healed.

mod opening;

pub(crate) use opening::field_specs;
pub use opening::{Opened, Opener};

use crate::config::{Configuration, LocationConfiguration, Problem, Severity};
use arc_swap::ArcSwap;
use futures::{StreamExt, stream};
use sallyport_core::backend::{Backend, BackendError, Checked, Location, Locations, Unhealthy};
use sallyport_core::metadata::MetadataStore;
use sallyport_core::names::{AccountId, LocationName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long start-up waits for the backends' answers; who is slower is asked on.
const START_UP: Duration = Duration::from_secs(5);
/// How often a location that does not work is tried again, and one whose keys changed.
const HEAL: Duration = Duration::from_secs(5);
/// How often one that works is asked.
const PERIOD: Duration = Duration::from_secs(30);
/// Locations that are asked at a time.
const AT_A_TIME: usize = 16;

/// All locations by name; reading is free of locks.
pub struct LocationTable {
    entries: BTreeMap<LocationName, Entry>,
    opener: Opener,
    metadata: Arc<dyn MetadataStore>,
}

struct Entry {
    configuration: LocationConfiguration,
    /// Whose it is; absent when it is everybody's.
    accounts: Option<Arc<[AccountId]>>,
    state: ArcSwap<State>,
}

#[derive(Clone)]
struct State {
    /// What was opened, with the digest of the details that it was opened with.
    opened: Option<Opened>,
    /// Why it does not work, if so.
    fault: Option<String>,
    /// What its backend told of the details that the operator left out.
    learned: Learned,
}

type Learned = Vec<(String, String)>;

/// A line of a health report.
#[derive(Debug, Clone)]
pub struct Health {
    /// The location.
    pub name: LocationName,
    /// Its type.
    pub kind: String,
    /// Why it does not work, if so.
    pub fault: Option<String>,
}

impl LocationTable {
    /// Opens and checks every location, all at once, and answers what is wrong with them.
    /// None of that keeps another location from working.
    pub async fn open(
        configuration: &Configuration,
        opener: Opener,
        metadata: Arc<dyn MetadataStore>,
    ) -> (Arc<Self>, Vec<Problem>) {
        let mut entries = BTreeMap::new();
        for location in &configuration.locations {
            let Ok(name) = LocationName::parse(&location.name) else { continue };
            let state = State { opened: None, fault: Some("it is not opened yet".to_owned()), learned: Vec::new() };
            let state = ArcSwap::from_pointee(state);
            let accounts = location.accounts.as_ref().map(|ids| ids.iter().map(AccountId::new).collect());
            entries.insert(name, Entry { configuration: location.clone(), accounts, state });
        }
        let table = Arc::new(Self { entries, opener, metadata });
        let problems = stream::iter(table.names())
            .map(|name| {
                let table = Arc::clone(&table);
                async move { table.first_look(&name).await }
            })
            .buffered(AT_A_TIME)
            .concat()
            .await;
        (table, problems)
    }

    async fn first_look(&self, name: &LocationName) -> Vec<Problem> {
        // What is wrong with an entry was said when its file was read.
        let said = self.entries.get(name).is_some_and(|entry| entry.configuration.fault.is_some());
        match tokio::time::timeout(START_UP, self.refresh(name, true)).await {
            Ok(problems) => problems.into_iter().skip(usize::from(said)).collect(),
            Err(_) => {
                let what = format!("its backend did not answer within {} s", START_UP.as_secs());
                self.set_fault(name, Some(what.clone()));
                vec![Problem::location("backend", name.as_str(), what, "check endpoint and network; it is tried again")]
            }
        }
    }

    /// Asks all locations for ever: healthy ones now and then, others at each interval.
    pub async fn watch(self: Arc<Self>, interval: Option<Duration>) {
        let interval = interval.unwrap_or(HEAL).max(Duration::from_millis(1));
        let due = u32::try_from(PERIOD.as_millis() / interval.as_millis()).unwrap_or(u32::MAX).max(1);
        let mut round: u32 = 0;
        loop {
            tokio::time::sleep(interval).await;
            round = round.wrapping_add(1);
            let names = self.names().into_iter().filter(|name| round.is_multiple_of(due) || self.is_due(name));
            stream::iter(names)
                .for_each_concurrent(AT_A_TIME, |name| {
                    let table = Arc::clone(&self);
                    async move { table.look_again(&name).await }
                })
                .await;
        }
    }

    /// Whether it does not work, or its credentials file changed since it was opened.
    fn is_due(&self, name: &LocationName) -> bool {
        let Some(entry) = self.entries.get(name) else { return false };
        let state = entry.state.load();
        state.fault.is_some() || state.opened.as_ref().is_some_and(Opened::is_stale)
    }

    async fn look_again(&self, name: &LocationName) {
        let before = self.health(name).and_then(|health| health.fault);
        let thorough = before.is_some();
        let problems = self.refresh(name, thorough).await;
        match (before, self.health(name).and_then(|health| health.fault)) {
            (Some(_), None) => tracing::info!(location = %name, "the location works again"),
            (None, Some(_)) => {
                for problem in problems {
                    tracing::error!(location = %name, "the location does not work: {problem}");
                }
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// Opens the location when it is not, or when its details changed (a rotated profile),
    /// and asks its backend.
    async fn refresh(&self, name: &LocationName, thorough: bool) -> Vec<Problem> {
        let Some(entry) = self.entries.get(name) else { return Vec::new() };
        let before = entry.state.load_full();
        // What was learned of a backend that does not work any more may have changed.
        let mut learned = if before.fault.is_none() { before.learned.clone() } else { Vec::new() };
        loop {
            let (state, problems, news) = self.look(name, entry, &before, learned, thorough).await;
            // Once: a plugin that goes on finding out more is not followed.
            if news.is_empty() || !state.learned.is_empty() {
                self.settle(name, entry, state);
                return problems;
            }
            for (field, value) in &news {
                tracing::info!(location = %name, "the backend says what the details leave out: {field} is {value}");
            }
            learned = news;
        }
    }

    /// Opens and asks a location with what was learned of it; answers what else is to be.
    async fn look(
        &self,
        name: &LocationName,
        entry: &Entry,
        before: &State,
        learned: Learned,
        thorough: bool,
    ) -> (State, Vec<Problem>, Learned) {
        let configuration = entry.configuration.with_learned(&learned);
        let (opened, mut problems) = match self.opener.open(&configuration, before.opened.as_ref()).await {
            Ok(opened) => opened,
            Err(found) => {
                return (State { opened: None, fault: Some(told(&found)), learned }, found, Vec::new());
            }
        };
        let (fault, news) = match self.ask(name, &opened, thorough, &mut problems).await {
            Ok(news) => (None, news),
            Err(fault) => (Some(fault), Vec::new()),
        };
        (State { opened: Some(opened), fault, learned }, problems, news)
    }

    fn settle(&self, name: &LocationName, entry: &Entry, state: State) {
        let up = if state.fault.is_none() { 1.0 } else { 0.0 };
        metrics::gauge!("sallyport_location_up", "location" => name.to_string()).set(up);
        entry.state.store(Arc::new(state));
    }

    async fn ask(
        &self,
        name: &LocationName,
        opened: &Opened,
        thorough: bool,
        problems: &mut Vec<Problem>,
    ) -> Result<Learned, String> {
        let file = self.entries.get(name).map_or_else(|| self.opener.file(), |entry| entry.configuration.file.as_str());
        let target = &opened.backend.traits().target;
        match self.metadata.bind_location(name, target, false).await {
            Ok(None) => {}
            Ok(Some(before)) => {
                let what = format!("it points at {target}, but its objects are in {before}");
                let fix = format!("point it back, or run `sallyport rebind {name}` when the objects were moved there");
                problems.push(Problem::location(file, name.as_str(), what.clone(), fix));
                return Err(what);
            }
            Err(error) => return Err(error.to_string()),
        }
        match opened.backend.check(thorough).await {
            Ok(Checked { warnings, learned }) => {
                let warnings = warnings.into_iter().filter(|_| thorough);
                problems.extend(warnings.map(|what| Problem::warning("backend", what, "").of(name.as_str())));
                Ok(learned)
            }
            Err(error) => {
                let what = match error {
                    BackendError::Answered { message, .. } => message,
                    BackendError::Broke(_) | BackendError::Busy(_) | BackendError::Body(_) => error.to_string(),
                };
                let fix = "put the backend or the location's details right; it is tried again every few seconds";
                problems.push(Problem::location("backend", name.as_str(), what.clone(), fix));
                Err(what)
            }
        }
    }

    fn set_fault(&self, name: &LocationName, fault: Option<String>) {
        if let Some(entry) = self.entries.get(name) {
            let state = State { fault, ..State::clone(&entry.state.load()) };
            self.settle(name, entry, state);
        }
    }

    /// Where a location points, when it could be opened.
    pub fn target(&self, name: &LocationName) -> Option<String> {
        let state = self.entries.get(name)?.state.load();
        state.opened.as_ref().map(|opened| opened.backend.traits().target.clone())
    }

    /// How a location is.
    pub fn health(&self, name: &LocationName) -> Option<Health> {
        let entry = self.entries.get(name)?;
        let fault = entry.state.load().fault.clone();
        Some(Health { name: name.clone(), kind: entry.configuration.kind.clone(), fault })
    }

    /// How all of them are.
    pub fn report(&self) -> Vec<Health> {
        self.entries.keys().filter_map(|name| self.health(name)).collect()
    }
}

/// The problems of a location that cannot be opened, as its clients are told.
fn told(problems: &[Problem]) -> String {
    let told: Vec<String> = problems
        .iter()
        .filter(|problem| problem.severity != Severity::Warning)
        .map(|problem| match &problem.field {
            Some(field) => format!("{field}: {}", problem.what),
            None => problem.what.clone(),
        })
        .collect();
    if told.is_empty() { "it cannot be opened".to_owned() } else { told.join("; ") }
}

impl Locations for LocationTable {
    fn is_cold(&self, name: &LocationName) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.configuration.is_cold)
    }

    fn accounts(&self, name: &LocationName) -> Option<Arc<[AccountId]>> {
        self.entries.get(name)?.accounts.clone()
    }

    fn adopts_existing(&self, name: &LocationName) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.configuration.adopt_existing)
    }

    fn location(&self, name: &LocationName) -> Option<Location> {
        let entry = self.entries.get(name)?;
        let state = entry.state.load();
        let backend: Result<Arc<dyn Backend>, Unhealthy> = match (&state.opened, &state.fault) {
            (Some(opened), None) => Ok(Arc::clone(&opened.backend)),
            (_, fault) => Err(Unhealthy { cause: fault.clone().unwrap_or_else(|| "it is not opened".to_owned()) }),
        };
        let legacy_aws_behavior = entry.configuration.legacy_aws_behavior;
        Some(Location { name: name.clone(), legacy_aws_behavior, backend })
    }

    fn names(&self) -> Vec<LocationName> {
        self.entries.keys().cloned().collect()
    }
}
