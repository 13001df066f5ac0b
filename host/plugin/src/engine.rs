//! The one wasmtime engine, with the thread that ticks its epochs.

use crate::error::PluginError;
use crate::limits::{MOST_MEMORIES, MOST_MEMORY, MOST_PARTS, MOST_TABLE_ELEMENTS};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy};

/// How often a busy plugin is interrupted to look at its budget.
const TICK: Duration = Duration::from_millis(5);
/// Stores at a time, over all locations.
pub(crate) const STORES: u32 = 1_000;

/// An engine whose epochs go on until the last clone of it is dropped.
#[derive(Clone)]
pub(crate) struct TickingEngine {
    engine: Engine,
    _ticker: Arc<Ticker>,
}

impl TickingEngine {
    /// Pools instances where the address space allows it, else allocates them one by one. Code
    /// that is not metered is never interrupted.
    pub(crate) fn new(metered: bool) -> Result<Self, PluginError> {
        let (mut pooled, mut config) = (pooled(), config());
        for config in [&mut pooled, &mut config] {
            config.epoch_interruption(metered);
        }
        let engine = Engine::new(&pooled).or_else(|error| {
            tracing::info!(%error, "instances are not pooled on this machine");
            Engine::new(&config)
        });
        let engine = engine.map_err(|error| PluginError::Host(format!("wasmtime does not start: {error:#}")))?;
        let ticker = Ticker::start(&engine)?;
        Ok(Self { engine, _ticker: Arc::new(ticker) })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

struct Ticker(Arc<AtomicBool>);

impl Ticker {
    fn start(engine: &Engine) -> Result<Self, PluginError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (weak, stopped) = (engine.weak(), stop.clone());
        let tick = move || {
            while let (Some(engine), false) = (weak.upgrade(), stopped.load(Ordering::Relaxed)) {
                engine.increment_epoch();
                drop(engine);
                pause();
            }
        };
        let spawned = std::thread::Builder::new().name("plugin-epochs".to_owned()).spawn(tick);
        spawned.map_err(|error| PluginError::Host(format!("no thread for the epochs: {error}")))?;
        Ok(Self(stop))
    }
}

#[expect(clippy::disallowed_methods, reason = "the ticker's own thread runs no tasks")]
fn pause() {
    std::thread::sleep(TICK);
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An engine that compiles what [`TickingEngine`]'s runs, and runs nothing: it reserves no
/// address space.
pub(crate) fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

fn config() -> Config {
    let mut config = Config::new();
    config.strategy(Strategy::Cranelift);
    config.cranelift_opt_level(OptLevel::Speed);
    config.epoch_interruption(true);
    config.max_wasm_stack(512 << 10);
    config.async_stack_size(1 << 20);
    config.wasm_component_model_async(true);
    // What no plugin needs only widens what a hostile one can reach.
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_relaxed_simd(false);
    config.wasm_wide_arithmetic(false);
    config.wasm_custom_page_sizes(false);
    config.memory_init_cow(true);
    config
}

fn pooled() -> Config {
    // What a location may be given at most; what it may use its own store's meter says.
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(STORES);
    // A component of wasm32-wasip2 has three core instances: itself, shims and fixups.
    pool.total_core_instances(STORES * 4);
    pool.total_memories(STORES);
    pool.total_tables(STORES * 3);
    pool.total_stacks(STORES * 2);
    pool.max_core_instances_per_component(MOST_PARTS as u32);
    pool.max_memories_per_component(MOST_MEMORIES as u32);
    pool.max_tables_per_component(MOST_PARTS as u32);
    pool.table_elements(MOST_TABLE_ELEMENTS);
    pool.max_memory_size(MOST_MEMORY);
    pool.max_component_instance_size(2 << 20);
    pool.max_core_instance_size(2 << 20);
    pool.linear_memory_keep_resident(512 << 10);
    pool.table_keep_resident(64 << 10);
    pool.max_unused_warm_slots(64);
    pool.pagemap_scan(Enabled::Auto);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
