//! The durable half of the log: what arrived and what was decided, on disk, so that a process that was killed goes on.
//!
//! A batch is logged as it came, before it is taken in; a decision not to keep a trace when it is made; a decision to keep
//! one when its spans are about to be handed on, which then waits until the decision is written. So:
//!
//! - a span that was accepted is decided once, on time, also if the process dies in between, except for what arrived
//!   within the last `flush_interval` before it died;
//! - from its decision on a kept trace is delivered **at most once**: if the process dies after the decision is written
//!   and before the next component has the spans, they are lost. Writing in the other order would deliver them twice,
//!   and the parts of a trace that a backend saw before would change after the fact. The gap is one batch long.
//!
//! One log serves all shards, so that `num_shards` may change between two runs: who takes a trace is asked when the log
//! is read. Without `storage` none of this exists. With it, the data path pays a clone of the batch's index and a push to
//! a queue of bounded bytes; encoding, checksums and the disk are the writer thread's.

mod config;
mod files;
mod record;
mod recover;
#[cfg(test)]
pub(super) mod tests;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use component::Clock;
use pdata::Traces;
use tokio::sync::watch;

pub(super) use self::config::{LowStorage, StorageConfig};
use self::files::{Files, Series};
pub(super) use self::record::Decision;
pub(super) use self::recover::{Event, Recovery, Report};
use self::writer::Writer;

/// Most bytes of memory that batches hold which are not written yet.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// Bytes in the queue for which the writer is woken before its time.
const WAKE_BYTES: usize = 4 * 1024 * 1024;

/// How a log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// This processor's own.
    pub(super) directory: PathBuf,
    /// Make the directory's parents too.
    pub(super) create_directory: bool,
    /// Of directories that are made.
    pub(super) permissions: u32,
    /// How long to wait for another process that still has the directory.
    pub(super) lock_timeout: Duration,
    /// Longest time for which what arrived is in memory only.
    pub(super) flush_interval: Duration,
    /// Wait for the disk itself, not for the kernel only.
    pub(super) fsync: bool,
    /// Most bytes of spans on disk; 0 means no limit.
    pub(super) max_bytes: u64,
    /// Decisions that the processor remembers.
    pub(super) remembered: usize,
}

/// What can be told about the log at any time.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Spans that are or were in memory only because they could not be written.
    pub(super) unlogged_spans: AtomicU64,
    /// The last attempt to write failed.
    pub(super) degraded: AtomicBool,
    /// On disk.
    pub(super) bytes: AtomicU64,
}

/// Something to be written.
enum Item {
    Batch { sequence: u64, arrival_unix_nano: u64, traces: Traces },
    Decisions { sequence: u64, decisions: Vec<Decision> },
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    /// The last number that was given.
    sequence: u64,
    /// The number of the last decisions.
    decided: u64,
    /// Spans that found the queue full.
    refused: u64,
    /// Somebody waits.
    urgent: bool,
    closing: bool,
    discard: bool,
    /// The file that is written to, or an older one.
    epoch: u32,
    release_below: u32,
    /// Batches that are logged and not yet taken in, by epoch.
    in_flight: BTreeMap<u32, usize>,
}

/// What the writer has to do in one round.
struct Work {
    items: VecDeque<Item>,
    last: u64,
    refused: u64,
    urgent: bool,
    closing: bool,
    discard: bool,
    release_below: u32,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// The last number that the writer is done with.
    written: watch::Sender<u64>,
    health: Health,
}

/// A log that is being written.
pub(super) struct Storage {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Keeps the directory for this process until the log is closed.
    directory: Mutex<Option<std::fs::File>>,
}

/// A batch that is in the log and not yet in the shards: its file has to stay.
pub(super) struct InFlight {
    shared: Arc<Shared>,
    /// See [`Storage::release`].
    pub(super) epoch: u32,
    /// Its number; none if it found the queue full.
    sequence: Option<u64>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared.queue);
        if let Some(count) = queue.in_flight.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                queue.in_flight.remove(&self.epoch);
            }
        }
    }
}

impl Storage {
    /// Goes on with a log after [`Recovery::replay`].
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub(super) fn start(recovery: Recovery, settings: &Settings, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let Recovery { directory, lock, spans, decision_files, sequence, .. } = recovery;
        let spans = Files::new(&directory, Series::Spans, spans, settings.fsync);
        let decisions = Files::new(&directory, Series::Decisions, decision_files, settings.fsync);
        let queue = Queue { sequence, epoch: spans.number(), ..Queue::default() };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            wake: Condvar::new(),
            written: watch::Sender::new(sequence),
            health: Health::default(),
        });
        let writer = Writer::new(shared.clone(), clock, settings, spans, decisions);
        let thread = std::thread::Builder::new().name("tail-storage".to_owned()).spawn(move || writer.run())?;
        Ok(Self { shared, writer: Mutex::new(Some(thread)), directory: Mutex::new(Some(lock)) })
    }

    pub(super) fn health(&self) -> &Health {
        &self.shared.health
    }

    /// Logs a batch that has arrived, to be called before any shard takes spans of it. What is returned is to be kept
    /// until all have.
    pub(super) fn append_batch(&self, traces: &Traces, arrival_unix_nano: u64) -> InFlight {
        let bytes = traces.memory_size();
        // Outside the lock: it copies the rows.
        let traces = traces.clone();
        let mut queue = lock(&self.shared.queue);
        let epoch = queue.epoch;
        *queue.in_flight.entry(epoch).or_default() += 1;
        let mut logged = None;
        if queue.bytes.saturating_add(bytes) > QUEUE_BYTES && !queue.items.is_empty() {
            queue.refused += traces.span_count() as u64;
        } else {
            queue.sequence = queue.sequence.saturating_add(1);
            let sequence = queue.sequence;
            logged = Some(sequence);
            queue.bytes += bytes;
            queue.items.push_back(Item::Batch { sequence, arrival_unix_nano, traces });
        }
        let wake = queue.bytes >= WAKE_BYTES;
        drop(queue);
        if wake {
            self.shared.wake.notify_one();
        }
        InFlight { shared: self.shared.clone(), epoch, sequence: logged }
    }

    /// Waits until a batch is written, or is known not to be. Batches that wait together are written together.
    pub(super) async fn batch_written(&self, batch: &InFlight) {
        let Some(sequence) = batch.sequence else { return };
        lock(&self.shared.queue).urgent = true;
        self.shared.wake.notify_one();
        // The sender lives in `shared`, so this cannot fail.
        let _ = self.shared.written.subscribe().wait_for(|written| *written >= sequence).await;
    }

    /// Logs decisions.
    pub(super) fn append_decisions(&self, decisions: Vec<Decision>) {
        if decisions.is_empty() {
            return;
        }
        let mut queue = lock(&self.shared.queue);
        queue.sequence = queue.sequence.saturating_add(1);
        let sequence = queue.sequence;
        queue.decided = sequence;
        // Never refused: a decision that is missing would be made again.
        queue.items.push_back(Item::Decisions { sequence, decisions });
    }

    /// Waits until all decisions that were appended before are written, or are known not to be.
    pub(super) async fn written(&self) {
        let last = {
            let mut queue = lock(&self.shared.queue);
            if queue.decided <= *self.shared.written.borrow() {
                return;
            }
            queue.urgent = true;
            queue.decided
        };
        self.shared.wake.notify_one();
        // The sender lives in `shared`, so this cannot fail.
        let _ = self.shared.written.subscribe().wait_for(|written| *written >= last).await;
    }

    /// The oldest epoch that something not yet in the shards needs. To be asked before the shards are.
    pub(super) fn floor(&self) -> u32 {
        let queue = lock(&self.shared.queue);
        queue.in_flight.keys().next().copied().unwrap_or(queue.epoch).min(queue.epoch)
    }

    /// Nothing waits any more that was logged before `epoch`.
    pub(super) fn release(&self, epoch: u32) {
        lock(&self.shared.queue).release_below = epoch;
    }

    /// Removes all spans from the log: they were thrown away in memory, too.
    pub(super) fn discard_spans(&self) {
        lock(&self.shared.queue).discard = true;
    }

    /// Writes what is queued and ends the thread. Blocks until the disk has it.
    pub(super) fn close(&self) {
        lock(&self.shared.queue).closing = true;
        self.shared.wake.notify_one();
        let writer = lock(&self.writer).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the storage thread of tail_sampling has panicked");
        }
        drop(lock(&self.directory).take());
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Waits for work: an interval long, unless there is much of it or somebody waits.
    fn work(&self, interval: Duration, much: usize) -> Work {
        let idle = |queue: &mut Queue| !queue.urgent && !queue.closing && queue.bytes < much;
        let queue = lock(&self.queue);
        let (mut queue, _) =
            self.wake.wait_timeout_while(queue, interval, idle).unwrap_or_else(PoisonError::into_inner);
        queue.bytes = 0;
        Work {
            items: std::mem::take(&mut queue.items),
            last: queue.sequence,
            refused: std::mem::take(&mut queue.refused),
            urgent: std::mem::take(&mut queue.urgent),
            closing: queue.closing,
            discard: std::mem::take(&mut queue.discard),
            release_below: queue.release_below,
        }
    }

    fn epoch(&self, epoch: u32) {
        lock(&self.queue).epoch = epoch;
    }
}

/// A poisoned lock means that another thread panicked; the queue is consistent after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
