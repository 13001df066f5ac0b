//! One instance of a plugin in a store of its own.

use crate::bindings::{base, copy, listing, multipart, tagging, versions};
use crate::call::Call;
use crate::lane::Lane;
use crate::limits::Limits;
use crate::memory::{KEPT_GROWTH, Memory};
use crate::run;
use crate::state::{Grants, State};
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre};

/// A compiled plugin with its imports resolved, ready to be instantiated.
#[derive(Clone)]
pub(crate) struct Program {
    pre: InstancePre<State>,
    base: base::PluginIndices,
    multipart: Option<multipart::WithMultipartIndices>,
    copy: Option<copy::WithCopyIndices>,
    tagging: Option<tagging::WithTaggingIndices>,
    versions: Option<versions::WithVersionsIndices>,
    listing: Option<listing::WithListingIndices>,
}

/// What an instance exports; an optional interface is there when the component has it.
pub(crate) struct Exports {
    pub(crate) base: base::Plugin,
    pub(crate) multipart: Option<multipart::WithMultipart>,
    pub(crate) copy: Option<copy::WithCopy>,
    pub(crate) tagging: Option<tagging::WithTagging>,
    pub(crate) versions: Option<versions::WithVersions>,
    pub(crate) listing: Option<listing::WithListing>,
}

/// A store with its instance.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    pub(crate) exports: Arc<Exports>,
    /// Calls that it may still serve.
    pub(crate) left: u32,
    /// Memory that it had once it was opened, in bytes.
    started_with: usize,
}

impl Instance {
    /// It is ready for calls: what it has now is what all of them need.
    pub(crate) fn is_opened(&mut self, memory: &Memory) {
        self.started_with = self.store.data().memory();
        memory.started_with(self.started_with);
    }

    /// Whether it may serve another call.
    pub(crate) fn is_fit(&mut self) -> bool {
        let state = self.store.data_mut();
        self.left > 0 && state.memory() <= self.started_with.saturating_add(KEPT_GROWTH) && state.has_room()
    }
}

impl Program {
    pub(crate) fn new(linker: &wasmtime::component::Linker<State>, component: &Component) -> wasmtime::Result<Self> {
        let pre = linker.instantiate_pre(component)?;
        Ok(Self {
            base: base::PluginIndices::new(&pre)?,
            multipart: multipart::WithMultipartIndices::new(&pre).ok(),
            copy: copy::WithCopyIndices::new(&pre).ok(),
            tagging: tagging::WithTaggingIndices::new(&pre).ok(),
            versions: versions::WithVersionsIndices::new(&pre).ok(),
            listing: listing::WithListingIndices::new(&pre).ok(),
            pre,
        })
    }

    /// Names of the optional interfaces that the plugin has.
    pub(crate) fn optional(&self) -> Vec<&'static str> {
        let present = [
            ("multipart", self.multipart.is_some()),
            ("copy", self.copy.is_some()),
            ("tagging", self.tagging.is_some()),
            ("versions", self.versions.is_some()),
            ("listing", self.listing.is_some()),
        ];
        present.into_iter().filter_map(|(name, present)| present.then_some(name)).collect()
    }

    /// The names of the imported and of the exported interfaces, each sorted.
    pub(crate) fn interfaces(&self) -> (Vec<String>, Vec<String>) {
        let (ty, engine) = (self.pre.component().component_type(), self.pre.engine());
        let sorted = |mut names: Vec<String>| {
            names.sort_unstable();
            names
        };
        let imports = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
        (sorted(imports), sorted(ty.exports(engine).map(|(name, _)| name.to_owned()).collect()))
    }

    /// Makes an instance; nothing of it was called yet but what runs at its start, which has a
    /// budget as calls have.
    pub(crate) async fn instantiate(
        &self,
        lane: Arc<Lane>,
        grants: &Grants,
        limits: &Limits,
        call: Arc<Call>,
    ) -> wasmtime::Result<Instance> {
        let mut store = State::store(self.pre.engine(), grants, limits, call.clone());
        let budget = store.data_mut().begin(call.clone(), limits.cpu);
        store.set_epoch_deadline(1);
        let pre = self.pre.clone();
        let making = async move {
            let instance = pre.instantiate_async(&mut store).await?;
            Ok::<_, wasmtime::Error>((store, instance))
        };
        let (mut store, instance) = run::driven(making, budget, &call, limits, lane).await?;
        let exports = Exports {
            base: self.base.load(&mut store, &instance)?,
            multipart: self.multipart.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?,
            copy: self.copy.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?,
            tagging: self.tagging.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?,
            versions: self.versions.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?,
            listing: self.listing.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?,
        };
        let started_with = store.data().memory();
        Ok(Instance { store, exports: Arc::new(exports), left: limits.reuse, started_with })
    }
}
