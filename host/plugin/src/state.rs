//! What a store holds beside its instance: grants, limits and the call that it serves.

use crate::bindings::base::sallyport::plugin as imports;
use crate::call::Call;
use crate::egress::{Egress, Hooks};
use crate::files::Folder;
use crate::limits::{Limits, Meter};
use crate::log::PluginLog;
use crate::memory::Memory;
use crate::whose::Whose;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Data of one store.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    meter: Meter,
    pub(crate) folder: Option<Arc<Folder>>,
    log: Arc<PluginLog>,
    pub(crate) whose: Whose,
    budget: Arc<Budget>,
}

/// What a location grants its stores.
#[derive(Clone)]
pub(crate) struct Grants {
    pub(crate) egress: Option<Arc<Egress>>,
    pub(crate) folder: Option<Arc<Folder>>,
    pub(crate) log: Arc<PluginLog>,
    /// What all stores of the location may grow to.
    pub(crate) memory: Arc<Memory>,
    pub(crate) whose: Whose,
}

impl State {
    /// A store with every limit set, unless nothing is metered.
    pub(crate) fn store(engine: &Engine, grants: &Grants, limits: &Limits, call: Arc<Call>) -> Store<Self> {
        let mut table = ResourceTable::new();
        if limits.metered {
            table.set_max_capacity(limits.resources);
        }
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.header_bytes);
        let mut wasi = WasiCtx::builder();
        wasi.max_random_size(limits.random_bytes).stdout(grants.log.output()).stderr(grants.log.output());
        let state = Self {
            table,
            wasi: wasi.build(),
            http,
            meter: Meter::new(limits, grants.memory.clone(), call.clone(), grants.whose.clone()),
            hooks: Hooks { egress: grants.egress.clone(), call },
            whose: grants.whose.clone(),
            folder: grants.folder.clone(),
            log: grants.log.clone(),
            budget: Arc::new(Budget::default()),
        };
        let mut store = Store::new(engine, state);
        if !limits.metered {
            return store;
        }
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles);
        store.epoch_deadline_callback(|store| store.data().budget.on_tick());
        store
    }

    /// Whether at most half of what the host may hold for it is taken by what earlier calls left, such as trailers that
    /// an upstream sent and nobody took: more would be missing in the middle of a later call.
    pub(crate) fn has_room(&mut self) -> bool {
        self.table.is_empty() || self.table.iter_mut().count() <= self.table.max_capacity() / 2
    }

    /// All memories of the store, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.meter.memory()
    }

    pub(crate) fn call(&self) -> &Arc<Call> {
        &self.hooks.call
    }

    /// Makes the store serve another call, with a fresh budget of processor time.
    pub(crate) fn begin(&mut self, call: Arc<Call>, cpu: Duration) -> Arc<Budget> {
        self.meter.begin(call.clone());
        self.hooks.call = call;
        self.budget.refill(cpu);
        self.budget.clone()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

impl imports::types::Host for State {}

impl imports::call::Host for State {
    fn remaining(&mut self) -> wasmtime::Result<Option<u64>> {
        let left = self.hooks.call.deadline().saturating_duration_since(Instant::now());
        Ok(Some(left.as_millis() as u64))
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.hooks.call.is_cut())
    }
}

impl imports::log::Host for State {
    fn write(&mut self, level: imports::log::Level, message: String) -> wasmtime::Result<()> {
        self.log.write(level, &message);
        Ok(())
    }
}

/// Everything that a plugin may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    imports::types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    imports::http::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    imports::files::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    imports::call::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    imports::log::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// A call that is done within this is short: its thread's clock is not looked at, and nobody
/// who waits for the thread minds.
const SHORT: Duration = Duration::from_millis(5);

/// Processor time of the running call.
///
/// The time for which its store is being polled is cheap to measure, and never less than the
/// processor time, but on a busy machine it is more: a thread that waits for its turn is not
/// using the processor. So only a call that was polled for longer than a short one has its
/// thread's own clock looked at, and from then on gets what it is allowed by that clock.
#[derive(Default)]
pub(crate) struct Budget {
    /// Nanoseconds that earlier polls took.
    polled: AtomicU64,
    allowed: AtomicU64,
    /// It is no short call, by its thread's clock.
    long: AtomicBool,
    clocks: std::sync::Mutex<Clocks>,
}

#[derive(Default)]
struct Clocks {
    /// When the running poll began.
    poll: Option<Instant>,
    /// What the thread had used when the running poll was first looked at by its clock.
    thread: Option<Duration>,
    /// What the thread's clock showed of this call in earlier polls; present once it is looked at.
    used: Option<Duration>,
}

impl Budget {
    pub(crate) fn refill(&self, cpu: Duration) {
        self.polled.store(0, Ordering::Relaxed);
        self.long.store(false, Ordering::Relaxed);
        self.allowed.store(cpu.as_nanos() as u64, Ordering::Relaxed);
        *self.clocks() = Clocks::default();
    }

    pub(crate) fn begin_poll(&self) {
        let mut clocks = self.clocks();
        clocks.poll = Some(Instant::now());
        clocks.thread = clocks.used.is_some().then(thread_time);
    }

    /// Answers how long the poll took.
    pub(crate) fn end_poll(&self) -> Duration {
        let mut clocks = self.clocks();
        let took = clocks.poll.take().map(|began| began.elapsed()).unwrap_or_default();
        let nanoseconds = took.as_nanos() as u64;
        let polled = self.polled.fetch_add(nanoseconds, Ordering::Relaxed).saturating_add(nanoseconds);
        match (clocks.used, clocks.thread.take()) {
            (Some(used), Some(began)) => {
                let used = used + thread_time().saturating_sub(began);
                clocks.used = Some(used);
                if used >= SHORT {
                    self.long.store(true, Ordering::Relaxed);
                }
            }
            (None, _) if Duration::from_nanos(polled) >= SHORT => clocks.used = Some(Duration::ZERO),
            (Some(_) | None, _) => {}
        }
        took
    }

    /// For how long it was polled.
    pub(crate) fn polled(&self) -> Duration {
        Duration::from_nanos(self.polled.load(Ordering::Relaxed))
    }

    /// Whether it used a processor for longer than a short call does.
    pub(crate) fn is_long(&self) -> bool {
        self.long.load(Ordering::Relaxed)
    }

    fn on_tick(&self) -> wasmtime::Result<UpdateDeadline> {
        let allowed = Duration::from_nanos(self.allowed.load(Ordering::Relaxed));
        let mut clocks = self.clocks();
        let running = clocks.poll.map(|began| began.elapsed()).unwrap_or_default();
        let polled = Duration::from_nanos(self.polled.load(Ordering::Relaxed)) + running;
        if polled > allowed {
            let now = thread_time();
            let began = *clocks.thread.get_or_insert(now);
            let used = *clocks.used.get_or_insert(Duration::ZERO) + now.saturating_sub(began);
            if used > allowed {
                return Err(wasmtime::Error::msg(format!(
                    "it used more than {} ms of processor time",
                    allowed.as_millis()
                )));
            }
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    }

    fn clocks(&self) -> std::sync::MutexGuard<'_, Clocks> {
        self.clocks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Processor time that this thread has used.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::TickingEngine;
    use wasmtime::component::Component;

    fn store(engine: &Engine, limits: &Limits) -> Store<State> {
        let whose = Whose::new("k", "l");
        let log = PluginLog::new(whose.clone(), limits);
        let memory = Memory::new(limits.location_memory, &whose);
        let grants = Grants { egress: None, folder: None, log, memory, whose };
        let call = Arc::new(Call::new(limits.wall, limits.idle));
        let mut store = State::store(engine, &grants, limits, call.clone());
        store.data_mut().begin(call, limits.cpu);
        store.set_epoch_deadline(1);
        store
    }

    /// A component whose `run` is this code, in binary, so that no test needs an assembler.
    fn component(code: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("a short part");
        let section = |id: u8, bytes: &[u8]| [&[id, length(bytes)], bytes].concat();
        let body = [&[0], code, &[0x0b]].concat();
        let module = [
            b"\0asm\x01\0\0\0".to_vec(),
            section(1, &[1, 0x60, 0, 1, 0x7f]),
            section(3, &[1, 0]),
            section(5, &[1, 0, 1]),
            section(7, b"\x01\x03run\0\0"),
            section(10, &[&[1, length(&body)], body.as_slice()].concat()),
        ];
        let parts = [
            b"\0asm\x0d\0\x01\0".to_vec(),
            section(1, &module.concat()),
            section(2, &[1, 0, 0, 0]),
            section(6, b"\x01\0\0\x01\0\x03run"),
            section(7, &[1, 0x40, 0, 0, 0x79]),
            section(8, &[1, 0, 0, 0, 0, 0]),
            section(11, b"\x01\0\x03run\x01\0\0"),
        ];
        parts.concat()
    }

    async fn run(limits: &Limits, code: &[u8]) -> wasmtime::Result<u32> {
        let ticking = TickingEngine::new(true).map_err(|error| wasmtime::Error::msg(error.to_string()))?;
        let component = Component::from_binary(ticking.engine(), &component(code))?;
        let mut store = store(ticking.engine(), limits);
        let instance = Linker::new(ticking.engine()).instantiate_async(&mut store, &component).await?;
        let function = instance.get_typed_func::<(), (u32,)>(&mut store, "run")?;
        store.data().budget.begin_poll();
        Ok(function.call_async(&mut store, ()).await?.0)
    }

    #[tokio::test]
    async fn a_busy_loop_ends_with_its_budget() {
        let limits = Limits { cpu: Duration::from_millis(50), ..Limits::default() };
        let error = run(&limits, &[0x03, 0x40, 0x0c, 0, 0x0b, 0]).await.expect_err("it ran out");
        assert!(format!("{error:#}").contains("processor time"), "{error:#}");
    }

    #[tokio::test]
    async fn a_thread_that_waits_for_its_turn_uses_no_budget() {
        let budget = Budget::default();
        budget.refill(Duration::from_millis(20));
        budget.begin_poll();
        // As the scheduler does on a busy machine: the poll lasts, and the processor is elsewhere.
        #[expect(clippy::disallowed_methods, reason = "the thread has to stand still")]
        std::thread::sleep(Duration::from_millis(60));
        assert!(budget.on_tick().is_ok());
        budget.end_poll();
        budget.begin_poll();
        assert!(budget.on_tick().is_ok());
    }

    #[tokio::test]
    async fn memory_beyond_the_limit_is_refused() {
        let limits = Limits { memory: 1 << 20, ..Limits::default() };
        assert_eq!(run(&limits, &[0x41, 14, 0x40, 0]).await.ok(), Some(1));
        assert_eq!(run(&limits, &[0x41, 16, 0x40, 0]).await.ok(), Some(u32::MAX));
    }

    #[test]
    fn a_store_is_used_again_as_long_as_half_of_its_resources_are_free() {
        let engine = TickingEngine::new(true).expect("an engine");
        let mut store = store(engine.engine(), &Limits { resources: 4, ..Limits::default() });
        let state = store.data_mut();
        let mut has_room = || {
            state.table.push(()).expect("room for one more");
            state.has_room()
        };
        assert_eq!([has_room(), has_room(), has_room()], [true, true, false]);
    }

    #[tokio::test]
    async fn endless_recursion_is_a_trap() {
        let error = run(&Limits::default(), &[0x10, 0]).await.expect_err("it overflowed");
        assert!(format!("{error:#}").contains("stack"), "{error:#}");
    }
}
