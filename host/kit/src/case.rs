//! One question of the kit, and how its answer is put.

use crate::trial::Trial;
use futures::future::BoxFuture;
use sallyport_core::backend::Traits;
use serde::Serialize;

/// A question that a backend is asked.
#[derive(Clone, Copy)]
pub struct Case {
    /// Names it for ever: `group.what`.
    pub id: &'static str,
    /// What the contract says.
    pub contract: &'static str,
    /// What the plugin has to export for it.
    pub needs: Needs,
    /// Whether it is asked with an upstream that misbehaves.
    pub troubled: bool,
    pub(crate) ask: for<'a> fn(&'a Trial) -> BoxFuture<'a, Outcome>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Case").field("id", &self.id).field("contract", &self.contract).finish_non_exhaustive()
    }
}

/// An optional interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None of them.
    Nothing,
    /// `multipart`.
    Multipart,
    /// `copy`.
    Copy,
    /// `copy` and `multipart`.
    CopyPart,
    /// `tagging`.
    Tagging,
    /// `versions`.
    Versions,
    /// `listing`.
    Listing,
}

/// In what surroundings a case is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Setting {
    /// As in a server: instances are kept and used again.
    Warm,
    /// Every call gets an instance on which nothing but `open` ran.
    Recycled,
    /// Every connection passes a proxy that misbehaves, and patience is short.
    Troubled,
}

/// How a case ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The backend does not keep the contract: what it did instead.
    Failed(String),
    /// The question makes no sense for this backend.
    Skipped(String),
}

/// A case's end.
pub(crate) type Outcome = Result<(), Stop>;

/// A failure, said in words.
pub(crate) fn failed<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(what.into()))
}

/// A question that does not apply.
pub(crate) fn skipped<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skipped(why.into()))
}

/// Fails unless something holds.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Stop::Failed(otherwise())) }
}

impl Needs {
    /// The interface that a plugin with these traits lacks.
    pub(crate) fn missing(self, traits: &Traits) -> Option<&'static str> {
        let lacks = |present: bool, name| (!present).then_some(name);
        match self {
            Self::Nothing => None,
            Self::Multipart => lacks(traits.multipart, "multipart"),
            Self::Copy => lacks(traits.copy, "copy"),
            Self::CopyPart => lacks(traits.copy, "copy").or_else(|| lacks(traits.multipart, "multipart")),
            Self::Tagging => lacks(traits.tagging, "tagging"),
            Self::Versions => lacks(traits.versions, "versions"),
            Self::Listing => lacks(traits.listing, "listing"),
        }
    }
}

impl Setting {
    /// All of them, in the order in which they are gone through.
    pub const ALL: [Self; 3] = [Self::Warm, Self::Recycled, Self::Troubled];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Recycled => "recycled",
            Self::Troubled => "troubled",
        }
    }
}
