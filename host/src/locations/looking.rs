//! One look at a location: what is to serve it, whether that works, and whether it may.

use super::LocationTable;
use super::entry::{Entry, Learned, State};
use super::opening::{Opened, Opening};
use crate::config::{LocationConfiguration, Problem, Severity};
use sallyport_core::backend::{BackendError, Checked, FailureCode};
use sallyport_plugin::{PluginError, PluginVersion};
use std::sync::Arc;
use std::time::Duration;

/// How long start-up waits for the backends' answers; who is slower is asked on.
pub(super) const START_UP: Duration = Duration::from_secs(5);

/// How long a reload waits for a location that is configured already.
const CHANGE: Duration = Duration::from_secs(30);

/// Where a location says what its backend is.
const DETAILS: &str = "details";

/// What is to serve a location.
struct Wanted {
    configuration: Arc<LocationConfiguration>,
    version: Result<PluginVersion, PluginError>,
    /// It is what the files say.
    is_newest: bool,
}

/// What became of it.
struct Seen {
    state: State,
    problems: Vec<Problem>,
    /// What the backend told that was not known: the location works once it is opened with it.
    news: Learned,
}

impl LocationTable {
    /// Looks at a location whose entry was just read. One that is new is not waited for, and
    /// one that serves already not for ever: it is looked at on.
    pub(super) async fn look_first(self: &Arc<Self>, entry: &Arc<Entry>, is_new: bool) -> Vec<Problem> {
        // What is wrong with an entry was said when its file was read.
        let said = usize::from(entry.wanted().fault.is_some());
        if !is_new {
            let (table, looked_at) = (Arc::clone(self), Arc::clone(entry));
            let looking = tokio::spawn(async move { table.refresh(&looked_at, true).await });
            return match tokio::time::timeout(CHANGE, looking).await {
                Ok(looked) => looked.unwrap_or_default().into_iter().skip(said).collect(),
                Err(_) => {
                    let what = format!("its backend did not answer within {} s", CHANGE.as_secs());
                    let fix = "what there is serves on until it answers";
                    vec![of_backend(entry, what, fix)]
                }
            };
        }
        let looking = self.refresh(entry, true);
        match tokio::time::timeout(START_UP, looking).await {
            Ok(problems) => problems.into_iter().skip(said).collect(),
            Err(_) => {
                let what = format!("its backend did not answer within {} s", START_UP.as_secs());
                let current = entry.state();
                entry.settle(&current, State::clone(&current).with_fault(Some(what.clone())));
                let fix = "check endpoint and network; it is tried again";
                vec![of_backend(entry, what, fix)]
            }
        }
    }

    pub(super) async fn look_again(&self, entry: &Entry) {
        let name = &entry.name;
        let before = entry.state().fault.clone();
        let problems = self.refresh(entry, before.is_some()).await;
        match (before, entry.state().fault.is_some()) {
            (Some(_), false) => tracing::info!(location = %name, "the location works again"),
            (None, true) => {
                for problem in problems {
                    tracing::error!(location = %name, "the location does not work: {problem}");
                }
            }
            (Some(_), true) | (None, false) => {}
        }
    }

    /// Opens the location when it is not, or when its details, its plugin or what the file
    /// says of it changed, and asks its backend. What works is replaced only by what works.
    pub(super) async fn refresh(&self, entry: &Entry, thorough: bool) -> Vec<Problem> {
        let _one = entry.looking.lock().await;
        entry.fall_back(&entry.state());
        let current = entry.state();
        let wanted = self.wanted(entry, &current).await;
        // What was learned of a backend that does not work any more may have changed.
        let keeps = current.fault.is_none() && current.configuration == wanted.configuration;
        let mut learned = if keeps { current.learned.clone() } else { Learned::new() };
        loop {
            let seen = self.look(entry, &current, &wanted, learned, thorough).await;
            // Once: a plugin that goes on finding out more is not followed.
            if seen.news.is_empty() || !seen.state.learned.is_empty() {
                return self.decide(entry, &current, &wanted, seen);
            }
            for (field, value) in &seen.news {
                tracing::info!(location = %entry.name, "the backend says what the details leave out: {field} is {value}");
            }
            learned = seen.news;
        }
    }

    /// What the files say now, unless that is known not to work: then what there is.
    async fn wanted(&self, entry: &Entry, current: &State) -> Wanted {
        let configuration = entry.wanted();
        let version = self.opener.version(&configuration.kind).await;
        let of_now = |opened: &Opened| Wanted {
            configuration: current.configuration.clone(),
            version: Ok(opened.version.clone()),
            is_newest: false,
        };
        match (&version, &current.opened) {
            (Ok(version), Some(opened)) if entry.has_rejected(&configuration, version) => of_now(opened),
            (Err(error), Some(opened)) if current.works() => {
                entry.keep_from(&configuration, None, not_taken(error));
                of_now(opened)
            }
            (Ok(_) | Err(_), _) => Wanted { configuration, version, is_newest: true },
        }
    }

    /// Opens and asks a location with what was learned of it; answers what else is to be.
    async fn look(&self, entry: &Entry, current: &State, wanted: &Wanted, learned: Learned, thorough: bool) -> Seen {
        let configuration = wanted.configuration.with_learned(&learned);
        let opening = Opening {
            configuration: &configuration,
            version: wanted.version.as_ref(),
            before: current.opened.as_ref(),
            breaker: &entry.breaker,
        };
        let state = |opened, fault| State::new(wanted.configuration.clone(), opened, learned.clone()).with_fault(fault);
        let (opened, mut problems) = match self.opener.open(opening).await {
            Ok(opened) => opened,
            Err(problems) => {
                return Seen { state: state(None, Some(told(&problems))), problems, news: Learned::new() };
            }
        };
        let (fault, news) = match self.ask(entry, current, &opened, thorough, &mut problems).await {
            Ok(news) => (None, news),
            Err(fault) => (Some(fault), Learned::new()),
        };
        Seen { state: state(Some(opened), fault), problems, news }
    }

    /// Puts what was looked at in force, unless it does not work and what it would replace does.
    fn decide(&self, entry: &Entry, current: &Arc<State>, wanted: &Wanted, seen: Seen) -> Vec<Problem> {
        let Seen { state, problems, .. } = seen;
        // Other credentials alone are taken as they are: they say that the old ones are not to be used.
        let is_change = match (&wanted.version, &current.opened) {
            (Ok(version), Some(opened)) => {
                wanted.configuration != current.configuration || !version.is(&opened.version)
            }
            (Ok(_) | Err(_), _) => true,
        };
        if is_change && current.works() && !state.works() {
            let why = told(&problems);
            if entry.keep_from(&wanted.configuration, wanted.version.as_ref().ok(), why) {
                metrics::counter!("sallyport_location_rejected_total", "location" => entry.name.to_string())
                    .increment(1);
                for problem in &problems {
                    tracing::error!(location = %entry.name, "a change is not taken, what there was serves on: {problem}");
                }
            }
            return problems;
        }
        let is_in_order = state.works() && wanted.is_newest;
        if entry.settle(current, state) && is_in_order {
            entry.forgive();
        }
        problems
    }

    async fn ask(
        &self,
        entry: &Entry,
        current: &State,
        opened: &Opened,
        thorough: bool,
        problems: &mut Vec<Problem>,
    ) -> Result<Learned, String> {
        let name = &entry.name;
        self.bind(entry, &opened.backend.traits().target, problems).await?;
        match opened.backend.check(thorough).await {
            Ok(Checked { warnings, learned }) => {
                let warnings = warnings.into_iter().filter(|_| thorough);
                let file = entry.wanted().file.clone();
                problems.extend(warnings.map(|what| Problem::warning(&file, what, "").of(name.as_str()).at(DETAILS)));
                Ok(learned)
            }
            // Too much work says nothing of whether what serves works: it is as it was.
            Err(error) if is_busy(&error) && current.is_opened_as(opened) => match &current.fault {
                Some(fault) => Err(fault.clone()),
                None => Ok(Learned::new()),
            },
            Err(error) => {
                let fix = remedy(&error);
                let what = match error {
                    BackendError::Answered { message, .. } => message,
                    BackendError::Broke(_) | BackendError::Busy(_) | BackendError::Body(_) => error.to_string(),
                };
                problems.push(of_backend(entry, what.clone(), fix));
                Err(what)
            }
        }
    }

    /// Makes sure that the location's bytes are where it points.
    async fn bind(&self, entry: &Entry, target: &str, problems: &mut Vec<Problem>) -> Result<(), String> {
        let name = &entry.name;
        let file = &entry.wanted().file;
        let mut refuse = |what: String, fix: String| {
            problems.push(Problem::location(file, name.as_str(), what.clone(), fix));
            Err(what)
        };
        // The database would agree as long as nothing is stored; a write that is under way to
        // the old target would then be looked for at the new one.
        if let Some(before) = entry.target().filter(|before| *before != target) {
            let what = format!("it points at {target}, but was served from {before} since the server started");
            let fix = "point it back, or restart the server: then it may point elsewhere as long as nothing is in it";
            return refuse(what, fix.to_owned());
        }
        match self.metadata.bind_location(name, target, false).await {
            Ok(None) => Ok(()),
            Ok(Some(before)) => {
                let what = format!("it points at {target}, but its objects are in {before}");
                let fix = format!("point it back, or run `sallyport rebind {name}` when the objects were moved there");
                refuse(what, fix)
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What is wrong with the backend that a location's details name.
fn of_backend(entry: &Entry, what: String, fix: &str) -> Problem {
    Problem::location(&entry.wanted().file, entry.name.as_str(), what, fix).at(DETAILS)
}

fn remedy(error: &BackendError) -> &'static str {
    match error.code() {
        Some(FailureCode::Denied) => {
            "put the credentials right, or let them do this; it is tried again every few seconds"
        }
        Some(FailureCode::Unavailable) => {
            "put the endpoint right, or what is to be there; it is tried again every few seconds"
        }
        Some(_) | None => "put the backend or the location's details right; it is tried again every few seconds",
    }
}

fn is_busy(error: &BackendError) -> bool {
    matches!(error, BackendError::Busy(_)) || error.code() == Some(FailureCode::Throttled)
}

/// Why a location is served on by what there is, when its plugin's file is refused.
pub(super) fn not_taken(error: &PluginError) -> String {
    format!("the plugin's file is not taken: {error}")
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
