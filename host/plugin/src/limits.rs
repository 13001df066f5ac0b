//! What a plugin may use up; every figure can be configured.

use std::time::Duration;

/// Limits of one store, one call or one location.
#[derive(Debug, Clone)]
pub struct Limits {
    /// All linear memories of a store together, in bytes.
    pub memory: usize,
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
    /// How long a call waits for its turn before it is told that the location is busy.
    pub queue: Duration,
    /// Warm instances that a location keeps when nobody calls.
    pub warm: usize,
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
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
            queue: Duration::from_secs(2),
            warm: 16,
            reuse: 4_000,
            component_bytes: 32 << 20,
            compile_memory: 1 << 30,
            compile_cpu: Duration::from_secs(60),
            compile_wall: Duration::from_secs(300),
            code_bytes: 512 << 20,
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            log_lines: 50,
        }
    }
}

/// Counts what a store has grown to.
#[derive(Debug)]
pub(crate) struct Meter {
    memory: usize,
    memory_limit: usize,
    table_limit: usize,
    instances: usize,
    tables: usize,
    memories: usize,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            memory_limit: limits.memory,
            table_limit: limits.table_elements,
            instances: limits.instances,
            tables: limits.tables,
            memories: limits.memories,
        }
    }
}

impl wasmtime::ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        // The sum over all memories counts: a limit per memory is no limit at all.
        let sum = self.memory.saturating_add(desired.saturating_sub(current));
        if sum > self.memory_limit {
            return Ok(false);
        }
        self.memory = sum;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_limit)
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

    #[test]
    fn memories_are_limited_together() {
        let mut meter = Meter::new(&Limits { memory: 100, ..Limits::default() });
        assert!(meter.memory_growing(0, 60, None).unwrap_or_default());
        assert!(!meter.memory_growing(0, 60, None).unwrap_or_default());
        assert!(meter.memory_growing(60, 100, None).unwrap_or_default());
    }
}
