//! What a plugin may use up; every figure can be configured.

use crate::call::Call;
use crate::error::{Problem, Section};
use crate::memory::Memory;
use crate::whose::Whose;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Limits of one store, one call or one location.
#[derive(Debug, Clone)]
pub struct Limits {
    /// All linear memories of a store together, in bytes.
    pub memory: usize,
    /// All linear memories of one location's stores together, in bytes.
    pub location_memory: usize,
    /// Elements of one table.
    pub table_elements: usize,
    /// Core instances of a store.
    pub instances: usize,
    /// Tables of a store.
    pub tables: usize,
    /// Linear memories of a store.
    pub memories: usize,
    /// Bytes that one call of the host may lift out of a plugin.
    pub hostcall_bytes: usize,
    /// Live handles of the component model.
    pub handles: usize,
    /// Host resources that a store may hold.
    pub resources: usize,
    /// Headers of one request or response, in bytes.
    pub header_bytes: usize,
    /// Random bytes per call.
    pub random_bytes: u64,
    /// Processor time of one call.
    pub cpu: Duration,
    /// Processor time that each MiB of a call's body adds, for plugins that read it.
    pub cpu_per_mebibyte: Duration,
    /// How long a call may take, counted from the last byte of its body.
    pub wall: Duration,
    /// How long a body may stand still.
    pub idle: Duration,
    /// How long a call may go on after its requests were cut.
    pub grace: Duration,
    /// Calls without a body that one location serves at a time.
    pub reads: usize,
    /// Calls with a body that one location serves at a time.
    pub writes: usize,
    /// Calls that wait for their turn; with one more the location is busy.
    pub waiting: usize,
    /// How long a call waits for its turn before it is told that the location is busy.
    pub queue: Duration,
    /// Instances that are made per second, and at once after a pause.
    pub instances_per_second: u32,
    /// Connections to upstreams that are open at a time, idle ones included.
    pub connections: usize,
    /// Warm instances that a location keeps when nobody calls.
    pub warm: usize,
    /// Warm instances that it keeps as long as its calls need them again and again.
    pub warm_at_peak: usize,
    /// How long an instance beyond `warm` is kept when no call needs it.
    pub cooling: Duration,
    /// Calls after which an instance is replaced.
    pub reuse: u32,
    /// Largest component, in bytes.
    pub component_bytes: u64,
    /// Memory that compiling one may take, in bytes.
    pub compile_memory: u64,
    /// Processor time that compiling one may take.
    pub compile_cpu: Duration,
    /// How long compiling one may take.
    pub compile_wall: Duration,
    /// Largest native code of a component, in bytes.
    pub code_bytes: u64,
    /// How long opening a connection may take, TLS included.
    pub connect: Duration,
    /// How long an upstream may take from the last byte of a request to its answer.
    pub first_byte: Duration,
    /// Lines of a plugin's log per second.
    pub log_lines: u32,
    /// Bytes of a plugin's log per second.
    pub log_bytes: u32,
    /// Bytes of one line that are kept.
    pub log_line: usize,
    /// Bytes of an error's text that are kept.
    pub error_bytes: usize,
    /// Whether memory, handles and processor time are looked at: `false` only to measure what
    /// that costs. Nothing else then ends a plugin that does not end.
    pub metered: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            location_memory: 1 << 30,
            table_elements: 20_000,
            instances: 16,
            tables: 16,
            memories: 4,
            // A page of a thousand entries, each with a locator, is what needs most.
            hostcall_bytes: 8 << 20,
            handles: 1_000,
            resources: 1_000,
            header_bytes: 64 << 10,
            random_bytes: 64 << 10,
            cpu: Duration::from_millis(500),
            cpu_per_mebibyte: Duration::from_millis(40),
            wall: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            grace: Duration::from_secs(1),
            reads: 192,
            writes: 64,
            waiting: 1_000,
            queue: Duration::from_secs(2),
            instances_per_second: 500,
            connections: 1_024,
            warm: 16,
            warm_at_peak: 64,
            cooling: Duration::from_secs(10),
            reuse: 4_000,
            component_bytes: 32 << 20,
            compile_memory: 1 << 30,
            compile_cpu: Duration::from_secs(60),
            compile_wall: Duration::from_secs(300),
            code_bytes: 512 << 20,
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            log_lines: 50,
            log_bytes: 64 << 10,
            log_line: 8 << 10,
            error_bytes: 1 << 10,
            metered: true,
        }
    }
}

/// A limit as a location's `limits` names it.
struct Named {
    name: &'static str,
    least: u64,
    most: u64,
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

/// A figure of a field that counts.
macro_rules! counted {
    ($name:literal, $field:ident, $type:ty, $least:expr, $most:expr) => {
        Named {
            name: $name,
            least: $least,
            most: $most,
            get: |limits| limits.$field as u64,
            // Bounds are checked before: nothing is cut off.
            set: |limits, value| limits.$field = value as $type,
        }
    };
}

/// A figure of a field that is a time.
macro_rules! timed {
    ($name:literal, $field:ident, $least:expr, $most:expr) => {
        Named {
            name: $name,
            least: $least,
            most: $most,
            get: |limits| limits.$field.as_millis() as u64,
            set: |limits, value| limits.$field = Duration::from_millis(value),
        }
    };
}

/// What can be configured of a location, with bounds: the engine reserves for the greatest.
static NAMED: [Named; 31] = [
    counted!("memoryBytes", memory, usize, 1 << 20, MOST_MEMORY as u64),
    counted!("locationMemoryBytes", location_memory, usize, 16 << 20, 1 << 40),
    counted!("tableElements", table_elements, usize, 1_000, MOST_TABLE_ELEMENTS as u64),
    counted!("coreInstances", instances, usize, 3, MOST_PARTS as u64),
    counted!("tables", tables, usize, 1, MOST_PARTS as u64),
    counted!("memories", memories, usize, 1, MOST_MEMORIES as u64),
    counted!("hostCallBytes", hostcall_bytes, usize, 64 << 10, 128 << 20),
    counted!("handles", handles, usize, 50, 100_000),
    counted!("resources", resources, usize, 50, 100_000),
    counted!("headerBytes", header_bytes, usize, 4 << 10, 1 << 20),
    counted!("randomBytes", random_bytes, u64, 64, 16 << 20),
    timed!("cpuMs", cpu, 10, 600_000),
    timed!("cpuMsPerMiB", cpu_per_mebibyte, 0, 60_000),
    timed!("wallMs", wall, 100, 86_400_000),
    timed!("idleMs", idle, 100, 86_400_000),
    timed!("connectMs", connect, 100, 600_000),
    timed!("firstByteMs", first_byte, 100, 86_400_000),
    counted!("reads", reads, usize, 1, 10_000),
    counted!("writes", writes, usize, 1, 10_000),
    counted!("waiting", waiting, usize, 0, 1_000_000),
    timed!("queueMs", queue, 0, 60_000),
    counted!("instancesPerSecond", instances_per_second, u32, 1, 100_000),
    counted!("warmInstances", warm, usize, 0, 1_000),
    counted!("warmInstancesAtPeak", warm_at_peak, usize, 0, 1_000),
    timed!("coolingMs", cooling, 1_000, 86_400_000),
    counted!("callsPerInstance", reuse, u32, 1, 1_000_000_000),
    counted!("connections", connections, usize, 1, 100_000),
    counted!("logLinesPerSecond", log_lines, u32, 0, 1_000_000),
    counted!("logBytesPerSecond", log_bytes, u32, 0, 1 << 30),
    counted!("logLineBytes", log_line, usize, 64, 64 << 10),
    counted!("errorBytes", error_bytes, usize, 64, 64 << 10),
];

/// Bytes of all memories of a store that can be configured.
pub(crate) const MOST_MEMORY: usize = 1 << 30;
/// Elements of a table.
pub(crate) const MOST_TABLE_ELEMENTS: usize = 100_000;
/// Core instances and tables of a store.
pub(crate) const MOST_PARTS: usize = 64;
/// Memories of a store.
pub(crate) const MOST_MEMORIES: usize = 16;

impl Limits {
    /// The same with what a location's `limits` says otherwise.
    ///
    /// # Errors
    /// Every figure that there is no limit for, or that is out of its bounds.
    pub fn with(&self, figures: &BTreeMap<String, u64>) -> Result<Self, Vec<Problem>> {
        let (mut limits, mut problems) = (self.clone(), Vec::new());
        for (name, value) in figures {
            let problem =
                |message: String, fix: String| Problem { section: Section::Limits, path: name.clone(), message, fix };
            match NAMED.iter().find(|named| named.name == name) {
                Some(named) if (named.least..=named.most).contains(value) => (named.set)(&mut limits, *value),
                Some(named) => {
                    let fix = format!("Write a number between {} and {}.", named.least, named.most);
                    problems.push(problem(format!("{value} is out of bounds"), fix));
                }
                None => {
                    let names: Vec<&str> = NAMED.iter().map(|named| named.name).collect();
                    problems.push(problem("is no limit".to_owned(), format!("Write one of: {}.", names.join(", "))));
                }
            }
        }
        if problems.is_empty() { Ok(limits) } else { Err(problems) }
    }

    /// Shows each figure of a location as a metric.
    pub(crate) fn show(&self, whose: &Whose) {
        for named in &NAMED {
            let (plugin, location) = (whose.plugin.to_string(), whose.location.to_string());
            metrics::gauge!("sallyport_plugin_limit", "plugin" => plugin, "location" => location, "limit" => named.name)
                .set((named.get)(self) as f64);
        }
    }
}

/// The limit that a call overran, by the words in which the engine ends it.
pub(crate) fn overrun(why: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 7] = [
        ("processor time", "cpuMs"),
        ("fuel allocated for hostcalls", "hostCallBytes"),
        ("handle limit exceeded", "handles"),
        ("resource table has no free keys", "resources"),
        ("exceeds limit", "randomBytes"),
        ("instance count too high", "coreInstances"),
        ("call stack exhausted", "stack"),
    ];
    WORDS.iter().find(|(word, _)| why.contains(word)).map(|(_, limit)| *limit)
}

/// Counts what a store has grown to.
pub(crate) struct Meter {
    memory: usize,
    memory_limit: usize,
    table_limit: usize,
    instances: usize,
    tables: usize,
    memories: usize,
    /// What all stores of the location have together.
    location: Arc<Memory>,
    /// What was taken of it last.
    grown: usize,
    /// The call that is served, which is told when the location has no more.
    call: Arc<Call>,
    whose: Whose,
}

impl Meter {
    pub(crate) fn new(limits: &Limits, location: Arc<Memory>, call: Arc<Call>, whose: Whose) -> Self {
        Self {
            memory: 0,
            memory_limit: limits.memory,
            table_limit: limits.table_elements,
            instances: limits.instances,
            tables: limits.tables,
            memories: limits.memories,
            location,
            grown: 0,
            call,
            whose,
        }
    }

    /// Another call is served from now on.
    pub(crate) fn begin(&mut self, call: Arc<Call>) {
        self.call = call;
    }

    /// All memories of the store, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.location.give_back(self.memory);
    }
}

impl wasmtime::ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        // The sum over all memories counts: a limit per memory is no limit at all.
        let grows = desired.saturating_sub(current);
        let sum = self.memory.saturating_add(grows);
        if sum > self.memory_limit {
            self.whose.hit("memoryBytes");
            return Ok(false);
        }
        if !self.location.take(grows) {
            self.whose.hit("locationMemoryBytes");
            self.call.run_short();
            return Ok(false);
        }
        self.memory = sum;
        self.grown = grows;
        Ok(true)
    }

    /// The system had no memory, or the module wants no more, though it might have had it.
    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.location.give_back(self.grown);
        self.memory = self.memory.saturating_sub(self.grown);
        self.grown = 0;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.table_limit;
        if !fits {
            self.whose.hit("tableElements");
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::ResourceLimiter;

    fn meter(limits: &Limits, location: &Arc<Memory>) -> Meter {
        let call = Arc::new(Call::new(Duration::ZERO, Duration::ZERO));
        Meter::new(limits, Arc::clone(location), call, Whose::new("k", "l"))
    }

    #[test]
    fn memories_are_limited_together() {
        let location = Memory::new(1_000, &Whose::new("k", "l"));
        let mut meter = meter(&Limits { memory: 100, ..Limits::default() }, &location);
        assert!(meter.memory_growing(0, 60, None).unwrap_or_default());
        assert!(!meter.memory_growing(0, 60, None).unwrap_or_default());
        assert!(meter.memory_growing(60, 100, None).unwrap_or_default());
    }

    #[test]
    fn stores_of_a_location_are_limited_together_until_they_go() {
        let (limits, location) = (Limits::default(), Memory::new(100, &Whose::new("k", "l")));
        let (mut first, mut second) = (meter(&limits, &location), meter(&limits, &location));
        assert!(first.memory_growing(0, 60, None).unwrap_or_default());
        assert!(!second.memory_growing(0, 60, None).unwrap_or_default());
        assert_eq!((first.memory(), second.memory()), (60, 0));
        assert!((second.call.is_short(), first.call.is_short()) == (true, false));
        assert!(second.memory_growing(0, 40, None).unwrap_or_default());
        assert!(second.memory_grow_failed(wasmtime::Error::msg("none left")).is_ok());
        assert!(first.memory_growing(60, 100, None).unwrap_or_default(), "what was not had is given back");
        drop(first);
        assert!(second.memory_growing(0, 100, None).unwrap_or_default());
    }

    #[test]
    fn tables_are_limited_each() {
        let location = Memory::new(100, &Whose::new("k", "l"));
        let mut meter = meter(&Limits { table_elements: 100, ..Limits::default() }, &location);
        assert!(meter.table_growing(0, 100, None).unwrap_or_default());
        assert!(!meter.table_growing(100, 101, None).unwrap_or_default());
    }

    #[test]
    fn every_limit_is_configured_by_its_name_and_within_bounds() {
        for named in &NAMED {
            let usual = (named.get)(&Limits::default());
            assert!((named.least..=named.most).contains(&usual), "{}", named.name);
            for value in [named.least, named.most] {
                let limits = Limits::default().with(&[(named.name.to_owned(), value)].into());
                assert_eq!(limits.ok().map(|limits| (named.get)(&limits)), Some(value), "{}", named.name);
            }
            let beyond = Limits::default().with(&[(named.name.to_owned(), named.most + 1)].into());
            let problems = beyond.err().unwrap_or_default();
            assert_eq!(problems.first().map(|problem| problem.path.as_str()), Some(named.name));
        }
        let unknown = Limits::default().with(&[("memory".to_owned(), 1)].into()).err().unwrap_or_default();
        assert!(unknown.first().is_some_and(|problem| problem.fix.contains("memoryBytes")), "{unknown:?}");
    }
}
