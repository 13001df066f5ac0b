//! One location: what the file wants of it, what serves it, and what that falls back to.

use super::breaker::Breaker;
use super::opening::Opened;
use crate::config::LocationConfiguration;
use arc_swap::ArcSwap;
use sallyport_core::backend::{Backend, Unhealthy};
use sallyport_core::names::{AccountId, LocationName};
use sallyport_plugin::PluginVersion;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a plugin that took another's place is on trial.
const TRIAL: Duration = Duration::from_secs(60);
/// How long a change that did not work is left alone.
const AGAIN: Duration = Duration::from_secs(30);

/// What a backend told of the details that the operator left out, by field.
pub(super) type Learned = Vec<(String, String)>;

/// A location of the table. What serves it is replaced as a whole; calls that began before
/// come to their end on what they began with.
pub(super) struct Entry {
    pub(super) name: LocationName,
    pub(super) breaker: Arc<Breaker>,
    /// Held by the one look at it that is under way.
    pub(super) looking: tokio::sync::Mutex<()>,
    wanted: ArcSwap<LocationConfiguration>,
    /// Whose it is, as the files say now; absent when it is everybody's.
    accounts: ArcSwap<Option<Arc<[AccountId]>>>,
    state: ArcSwap<State>,
    rejection: Mutex<Option<Rejection>>,
    /// Where its bytes went in this process; they cannot go elsewhere while it runs.
    target: OnceLock<String>,
}

/// What serves a location.
#[derive(Clone)]
pub(super) struct State {
    /// What it was opened with.
    pub(super) configuration: Arc<LocationConfiguration>,
    /// What was opened.
    pub(super) opened: Option<Opened>,
    /// Why it does not work, if so.
    pub(super) fault: Option<String>,
    /// What its backend told of the details that the operator left out.
    pub(super) learned: Learned,
    /// What it replaced a moment ago.
    before: Option<Arc<Before>>,
    generation: u64,
}

struct Before {
    state: State,
    until: Instant,
}

/// A change that is not in force, since what it led to does not work.
struct Rejection {
    configuration: Arc<LocationConfiguration>,
    /// Absent when the plugin's file itself was refused.
    version: Option<PluginVersion>,
    why: String,
    since: Instant,
    /// Until something changes again.
    for_good: bool,
}

impl State {
    pub(super) fn works(&self) -> bool {
        self.opened.is_some() && self.fault.is_none()
    }

    pub(super) fn new(configuration: Arc<LocationConfiguration>, opened: Option<Opened>, learned: Learned) -> Self {
        Self { configuration, opened, fault: None, learned, before: None, generation: 0 }
    }

    /// The same, not working for this reason.
    pub(super) fn with_fault(mut self, fault: Option<String>) -> Self {
        self.fault = fault;
        self
    }

    /// Whether it is this that serves.
    pub(super) fn is_opened_as(&self, opened: &Opened) -> bool {
        self.opened.as_ref().is_some_and(|own| Arc::ptr_eq(&own.backend, &opened.backend))
    }

    fn is_on_trial(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.until > Instant::now())
    }
}

impl Entry {
    pub(super) fn new(name: LocationName, configuration: LocationConfiguration, broken_calls: u32) -> Arc<Self> {
        let configuration = Arc::new(configuration);
        let accounts = ArcSwap::from_pointee(accounts(&configuration));
        let state = State::new(configuration.clone(), None, Vec::new());
        let state = state.with_fault(Some("it is not opened yet".to_owned()));
        Arc::new(Self {
            breaker: Breaker::new(name.as_str(), broken_calls),
            name,
            looking: tokio::sync::Mutex::default(),
            wanted: ArcSwap::new(configuration),
            accounts,
            state: ArcSwap::from_pointee(state),
            rejection: Mutex::default(),
            target: OnceLock::new(),
        })
    }

    pub(super) fn wanted(&self) -> Arc<LocationConfiguration> {
        self.wanted.load_full()
    }

    /// Takes note of what the file says now; it is in force once something opened with it
    /// works. Answers whether it says something else than before.
    pub(super) fn want(&self, configuration: &LocationConfiguration) -> bool {
        if **self.wanted.load() == *configuration {
            return false;
        }
        // Who is shut out is shut out at once, whatever becomes of the rest.
        self.accounts.store(Arc::new(accounts(configuration)));
        self.wanted.store(Arc::new(configuration.clone()));
        true
    }

    /// Whose it is; absent when it is everybody's.
    pub(super) fn accounts(&self) -> Option<Arc<[AccountId]>> {
        Option::clone(&self.accounts.load())
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    pub(super) fn generation(&self) -> u64 {
        self.state.load().generation
    }

    /// What serves the location now, or why nothing does.
    pub(super) fn backend(&self) -> Result<Arc<dyn Backend>, Unhealthy> {
        let mut state = self.state.load();
        if self.fall_back(&state) {
            state = self.state.load();
        }
        if let Some(refusal) = self.breaker.refusal() {
            return Err(Unhealthy { cause: refusal.cause, retry_after: Some(refusal.wait) });
        }
        match (&state.opened, &state.fault) {
            (Some(opened), None) => Ok(Arc::clone(&opened.backend)),
            (_, fault) => {
                let cause = fault.clone().unwrap_or_else(|| "it is not opened".to_owned());
                Err(Unhealthy { cause, retry_after: None })
            }
        }
    }

    /// Puts what was replaced a moment ago back when its successor breaks; answers whether
    /// it did. Nothing has to be opened for it, so the next call is served.
    pub(super) fn fall_back(&self, state: &Arc<State>) -> bool {
        let (Some(before), Some(opened)) = (&state.before, &state.opened) else { return false };
        let Some(why) = opened.failing().filter(|_| state.is_on_trial()) else { return false };
        let back = State { before: None, generation: state.generation + 1, ..before.state.clone() };
        let replaced = self.state.compare_and_swap(state, Arc::new(back));
        if !Arc::ptr_eq(&replaced, state) {
            return false;
        }
        self.breaker.reset();
        let (location, digest) = (&self.name, &opened.version.description().digest);
        tracing::error!(%location, digest, "the plugin that was taken a moment ago breaks, the one before serves again: {why}");
        metrics::counter!("sallyport_location_rollbacks_total", "location" => location.to_string()).increment(1);
        let why = format!("rolled back: it broke again and again: {why}");
        self.reject(Rejection {
            configuration: state.configuration.clone(),
            version: Some(opened.version.clone()),
            why,
            since: Instant::now(),
            for_good: true,
        });
        true
    }

    /// Puts a state in place of the one that was looked at; answers whether it is in force.
    /// When another took its place meanwhile, what was found out is of no use.
    pub(super) fn settle(&self, current: &Arc<State>, mut next: State) -> bool {
        let is_new = !next.is_served_by(current);
        next.generation = current.generation + u64::from(is_new);
        next.before = if is_new { next.replaced(current) } else { current.before.clone() };
        next.before = next.before.filter(|before| before.until > Instant::now());
        let works = next.works();
        if let (true, Some(opened)) = (works, &next.opened) {
            let _ = self.target.set(opened.backend.traits().target.clone());
        }
        if is_new {
            next.report(&self.name);
        }
        let replaced = self.state.compare_and_swap(current, Arc::new(next));
        if !Arc::ptr_eq(&replaced, current) {
            return false;
        }
        if is_new {
            self.breaker.reset();
        }
        metrics::gauge!("sallyport_location_up", "location" => self.name.to_string()).set(if works {
            1.0
        } else {
            0.0
        });
        true
    }

    /// Where its bytes went in this process so far.
    pub(super) fn target(&self) -> Option<&str> {
        self.target.get().map(String::as_str)
    }

    /// Its bytes went there before it was taken out of the file.
    pub(super) fn remember_target(&self, target: String) {
        let _ = self.target.set(target);
    }

    /// Whether something is to be done about it: it does not work, its credentials changed,
    /// or its trial is over.
    pub(super) fn is_due(&self) -> bool {
        let state = self.state.load();
        let over = state.before.is_some() && !state.is_on_trial();
        state.fault.is_some() || over || state.opened.as_ref().is_some_and(Opened::is_stale)
    }

    /// Whether this is what serves it.
    pub(super) fn has(&self, configuration: &Arc<LocationConfiguration>, version: &PluginVersion) -> bool {
        let state = self.state.load();
        state.configuration == *configuration && state.opened.as_ref().is_some_and(|opened| opened.version.is(version))
    }

    /// Notes that a change is not taken; answers whether that is news.
    pub(super) fn keep_from(
        &self,
        configuration: &Arc<LocationConfiguration>,
        version: Option<&PluginVersion>,
        why: String,
    ) -> bool {
        self.reject(Rejection {
            configuration: configuration.clone(),
            version: version.cloned(),
            why,
            since: Instant::now(),
            for_good: false,
        })
    }

    /// Whether this change did not work, and is not to be tried now.
    pub(super) fn has_rejected(&self, configuration: &Arc<LocationConfiguration>, version: &PluginVersion) -> bool {
        self.rejection().as_ref().is_some_and(|rejection| {
            rejection.configuration == *configuration
                && rejection.version.as_ref().is_some_and(|rejected| rejected.is(version))
                && (rejection.for_good || rejection.since.elapsed() < AGAIN)
        })
    }

    /// Why what the files say is not in force.
    pub(super) fn rejected(&self) -> Option<String> {
        self.rejection().as_ref().map(|rejection| rejection.why.clone())
    }

    /// Nothing is held against any change any more.
    pub(super) fn forgive(&self) {
        *self.rejection() = None;
    }

    fn reject(&self, rejection: Rejection) -> bool {
        let mut held = self.rejection();
        let is_new = held.as_ref().is_none_or(|before| before.why != rejection.why);
        *held = Some(rejection);
        is_new
    }

    fn rejection(&self) -> std::sync::MutexGuard<'_, Option<Rejection>> {
        self.rejection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn is_served_by(&self, other: &Self) -> bool {
        match (&self.opened, &other.opened) {
            (Some(own), Some(other)) => Arc::ptr_eq(&own.backend, &other.backend),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// What it falls back to: what worked, when the plugin is another one.
    fn replaced(&self, current: &Self) -> Option<Arc<Before>> {
        let (Some(own), Some(old)) = (&self.opened, &current.opened) else { return None };
        if !current.works() || own.version.is(&old.version) {
            return None;
        }
        let state = Self { before: None, ..current.clone() };
        Some(Arc::new(Before { state, until: Instant::now() + TRIAL }))
    }

    fn report(&self, location: &LocationName) {
        let Some(opened) = &self.opened else { return };
        let description = opened.version.description();
        let (plugin, version, digest) = (&description.name, &description.version, &description.digest);
        tracing::info!(%location, plugin, version, digest, "the location {location} is opened on {plugin} {version}");
    }
}

fn accounts(configuration: &LocationConfiguration) -> Option<Arc<[AccountId]>> {
    configuration.accounts.as_ref().map(|ids| ids.iter().map(AccountId::new).collect())
}
