//! The `otelcol_process_...` metrics, read from `/proc` when they are asked for.
//!
//! Upstream's three runtime metrics are numbers of Go's heap. Here `heap_alloc` is resident anonymous memory and
//! `total_sys_memory` is the data segment. `otelcol_process_runtime_total_alloc_bytes` is missing: the allocator does
//! not count what it handed out in all, and counting would cost every allocation.

use std::sync::Arc;

use component::Clock;
use component::telemetry::{Definition, Registry};

use crate::memory;

/// Kernel ticks a second in `/proc/self/stat`: fixed for user space on every Linux architecture in use.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds the metrics to `registry`. Uptime begins now.
pub fn register(registry: &Registry, clock: Arc<dyn Clock>) {
    let started = clock.monotonic();
    let uptime = move || clock.monotonic().saturating_sub(started).as_secs_f64();
    registry.observe_counter(UPTIME, &[], Box::new(uptime));
    registry.observe_counter(CPU, &[], Box::new(|| cpu_seconds().unwrap_or_default()));
    registry.observe_gauge(RSS, &[], Box::new(|| bytes(memory::resident())));
    registry.observe_gauge(HEAP, &[], Box::new(|| bytes(memory::anonymous())));
    registry.observe_gauge(SYS, &[], Box::new(|| bytes(memory::data())));
}

#[expect(clippy::cast_precision_loss, reason = "no process has 2^53 bytes")]
fn bytes(value: Option<u64>) -> f64 {
    value.unwrap_or_default() as f64
}

/// User and system time of the process.
fn cpu_seconds() -> Option<f64> {
    cpu_of(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

fn cpu_of(stat: &str) -> Option<f64> {
    // The command's name is in brackets and may hold anything; what follows the last bracket starts with field 3.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

const fn definition(name: &'static str, unit: &'static str, description: &'static str) -> Definition {
    Definition { name, unit, description, scope: "go.opentelemetry.io/collector/service" }
}

const UPTIME: Definition = definition("otelcol_process_uptime", "s", "Uptime of the process [Alpha]");
const CPU: Definition =
    definition("otelcol_process_cpu_seconds", "s", "Total CPU user and system time in seconds [Alpha]");
const RSS: Definition =
    definition("otelcol_process_memory_rss", "By", "Total physical memory (resident set size) [Alpha]");
const HEAP: Definition = definition(
    "otelcol_process_runtime_heap_alloc_bytes",
    "By",
    "Bytes of allocated heap objects (see 'go doc runtime.MemStats.HeapAlloc') [Alpha]",
);
const SYS: Definition = definition(
    "otelcol_process_runtime_total_sys_memory_bytes",
    "By",
    "Total bytes of memory obtained from the OS (see 'go doc runtime.MemStats.Sys') [Alpha]",
);

#[cfg(test)]
mod tests {
    use super::cpu_of;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "42 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 99";
        assert_eq!(cpu_of(stat), Some(2.0));
        assert_eq!(cpu_of("nonsense"), None);
        assert!(super::cpu_seconds().is_some());
    }
}
