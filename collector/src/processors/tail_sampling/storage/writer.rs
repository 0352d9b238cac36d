//! The thread that writes the log.
//!
//! It takes what has been queued, at least once every `flush_interval`, writes it, and says how far it has come. What it
//! cannot write it counts and lets go of, and the processor goes on in memory: a full disk costs durability, not data.
//! One thing comes before that: a decision that cannot be written must not find its spans in the log after a crash, or
//! the trace would be decided, and delivered, a second time. So the spans are removed from the disk first.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use component::Clock;

use super::files::Files;
use super::record::{put_batch, put_decisions};
use super::{Item, Shared, WAKE_BYTES, Work};

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1024 * 1024;

/// How long nothing is tried after an error.
const RETRY: Duration = Duration::from_secs(1);

/// Records that are encoded and not written yet.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    first: u64,
    last: u64,
    items: u64,
}

impl Pending {
    fn add(&mut self, sequence: u64, items: usize, put: impl FnOnce(&mut Vec<u8>)) {
        if self.bytes.is_empty() {
            (self.first, self.items) = (sequence, 0);
        }
        put(&mut self.bytes);
        self.last = sequence;
        self.items += items as u64;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        // One enormous batch should not be paid for ever after.
        self.bytes.shrink_to(2 * WRITE_BYTES);
    }

    fn append_to(&self, files: &mut Files) -> io::Result<()> {
        files.append(&self.bytes, self.first, self.last, self.items)
    }
}

/// What the thread owns.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) fsync: bool,
    pub(super) flush_interval: Duration,
    /// Most bytes of span files; 0 means no limit.
    pub(super) max_bytes: u64,
    /// Decisions that have to be kept.
    pub(super) remembered: u64,
    pub(super) spans: Files,
    pub(super) decisions: Files,
    state: State,
}

#[derive(Default)]
struct State {
    spans: Pending,
    decisions: Pending,
    /// Something was written since the last `fsync`.
    unsynced: bool,
    synced: Duration,
    /// After an error: when to try again.
    retry: Option<Duration>,
}

/// Says, however the thread ends, that nothing has to be waited for any more.
struct LastWord(Arc<Shared>);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.written.send_replace(u64::MAX);
    }
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
        settings: &super::Settings,
        spans: Files,
        decisions: Files,
    ) -> Self {
        Self {
            shared,
            clock,
            fsync: settings.fsync,
            flush_interval: settings.flush_interval,
            max_bytes: settings.max_bytes,
            remembered: settings.remembered as u64,
            spans,
            decisions,
            state: State::default(),
        }
    }

    /// Works until the log is closed and everything is written.
    pub(super) fn run(mut self) {
        let _last_word = LastWord(self.shared.clone());
        loop {
            let work = self.shared.work(self.flush_interval, WAKE_BYTES);
            let closing = work.closing;
            self.round(work);
            if closing {
                return;
            }
        }
    }

    fn round(&mut self, work: Work) {
        let (urgent, closing) = (work.urgent, work.closing);
        for item in work.items {
            match item {
                Item::Batch { sequence, arrival_unix_nano, traces } => {
                    let put = |out: &mut Vec<u8>| put_batch(out, sequence, arrival_unix_nano, &traces);
                    self.state.spans.add(sequence, traces.span_count(), put);
                    if self.state.spans.bytes.len() >= WRITE_BYTES {
                        self.write_spans();
                    }
                }
                Item::Decisions { sequence, decisions } => {
                    self.state.decisions.add(sequence, decisions.len(), |out| put_decisions(out, sequence, &decisions));
                }
            }
        }
        if work.refused > 0 {
            self.unlogged(work.refused, &io::Error::other("the disk is slower than what arrives"));
        }
        self.write_spans();
        self.write_decisions();
        if work.discard
            && let Err(error) = self.spans.clear()
        {
            tracing::error!(%error, "tail_sampling cannot remove spans that were thrown away from its storage");
        }
        self.remove_below(work.release_below);
        self.sync(urgent || closing);
        self.shared.epoch(self.spans.number());
        self.shared.health.bytes.store(self.spans.bytes() + self.decisions.bytes(), Ordering::Relaxed);
        self.shared.written.send_replace(work.last);
    }

    fn write_spans(&mut self) {
        let pending = &self.state.spans;
        if pending.bytes.is_empty() {
            return;
        }
        let items = pending.items;
        let wait = self.state.retry.is_some_and(|retry| self.clock.monotonic() < retry);
        let full = self.max_bytes > 0 && self.spans.bytes() + pending.bytes.len() as u64 > self.max_bytes;
        let written = match (wait, full) {
            (true, _) => Err(io::Error::other("waits after an error")),
            (false, true) => Err(io::Error::new(io::ErrorKind::StorageFull, "max_size is reached")),
            (false, false) => pending.append_to(&mut self.spans),
        };
        match written {
            Ok(()) => {
                self.state.unsynced = true;
                self.well();
            }
            Err(error) => self.unlogged(items, &error),
        }
        self.state.spans.clear();
    }

    fn write_decisions(&mut self) {
        if self.state.decisions.bytes.is_empty() {
            return;
        }
        let mut written = self.state.decisions.append_to(&mut self.decisions);
        if let Err(error) = &written {
            self.forget_spans(&error.to_string());
            // Removing files may have made room.
            written = self.state.decisions.append_to(&mut self.decisions);
        }
        match written {
            Ok(()) => {
                self.state.unsynced = true;
                self.state.decisions.clear();
            }
            // It is tried again with the next ones; those that nobody would remember any more need not be kept.
            Err(_) if self.state.decisions.items > self.remembered.saturating_mul(2) => self.state.decisions.clear(),
            Err(_) => {}
        }
    }

    /// Without their decisions on disk, no spans may be there: a crash now would have their traces decided again.
    fn forget_spans(&mut self, why: &str) {
        let items = self.spans.items();
        let removed = self.spans.clear();
        self.unlogged(items, &io::Error::other(format!("a decision could not be written: {why}")));
        if let Err(error) = removed {
            tracing::error!(
                %error,
                "tail_sampling cannot remove spans from its storage whose decisions it could not write: after a crash \
                 traces that are decided now would be decided again"
            );
        }
    }

    /// Spans are in memory only from now on.
    fn unlogged(&mut self, spans: u64, error: &io::Error) {
        self.shared.health.unlogged_spans.fetch_add(spans, Ordering::Relaxed);
        if !self.shared.health.degraded.swap(true, Ordering::Relaxed) {
            tracing::error!(
                %error, spans,
                "tail_sampling cannot write to its storage and goes on in memory: a crash would lose waiting spans"
            );
        }
        let now = self.clock.monotonic();
        if self.state.retry.is_none_or(|retry| retry <= now) {
            self.state.retry = Some(now + RETRY);
        }
    }

    fn well(&mut self) {
        self.state.retry = None;
        if self.shared.health.degraded.swap(false, Ordering::Relaxed) {
            tracing::info!("tail_sampling writes to its storage again");
        }
    }

    /// Removes what nothing that waits and no remembered decision needs.
    fn remove_below(&mut self, epoch: u32) {
        while self.spans.oldest().is_some_and(|oldest| oldest.number < epoch) {
            if let Err(error) = self.spans.remove_oldest() {
                tracing::warn!(%error, "tail_sampling cannot remove a file from its storage");
                break;
            }
        }
        loop {
            let Some(oldest) = self.decisions.oldest().copied() else { return };
            let enough = self.decisions.items() - oldest.items >= self.remembered;
            // The decision on a trace has to stay as long as any of its spans.
            let needed = self.spans.first().is_some_and(|first| first < oldest.last);
            if !enough || needed {
                return;
            }
            if let Err(error) = self.decisions.remove_oldest() {
                tracing::warn!(%error, "tail_sampling cannot remove a file from its storage");
                return;
            }
        }
    }

    fn sync(&mut self, now: bool) {
        let at = self.clock.monotonic();
        if !self.fsync || !self.state.unsynced || !(now || at.saturating_sub(self.state.synced) >= self.flush_interval)
        {
            return;
        }
        self.state.synced = at;
        self.state.unsynced = false;
        let spans = self.spans.sync();
        match self.decisions.sync() {
            Ok(()) => {}
            Err(error) => self.forget_spans(&error.to_string()),
        }
        if let Err(error) = spans {
            let items = self.spans.items();
            self.unlogged(items, &error);
        }
    }
}
