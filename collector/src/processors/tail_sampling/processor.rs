//! The running processor: shards behind locks, a tick a second, and the next consumer.
//!
//! A batch is asked about without a lock and folded into each shard under its lock; spans go to the next consumer with
//! no lock held. Errors of the next consumer are logged and counted as sent, as upstream: senders are never told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use component::{Clock, Consume, Consumer, TracesConsumer};
use pdata::Traces;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::config::Config;
use super::decide::Step;
use super::id_hash::IdHash;
use super::metrics::Metrics;
use super::output::Relief;
use super::policy::{Policies, Questions};
use super::sampler::{Sampler, Share, Taken};
use crate::factory::{self, Context, Lifecycle};
use crate::health::Watch;

/// Upstream's, fixed.
const TICK: Duration = Duration::from_secs(1);

/// Most bytes that a shard compresses in one tick: about a fiftieth of one core's time. At rates where more than that
/// arrives there is no time to spare, and memory has to come from `max_buffer_bytes`.
const COMPRESS_BYTES: usize = 32 * 1024 * 1024;

/// Bytes compressed under one hold of the lock.
const COMPRESS_STEP: usize = 4 * 1024 * 1024;

/// A `tail_sampling` processor.
pub(super) struct TailSampling {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    ticking: Mutex<Option<JoinHandle<()>>>,
    watch: Watch,
}

struct Shared {
    shards: Vec<Mutex<Sampler>>,
    questions: Arc<Questions>,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    next: TracesConsumer,
    /// Told after each tick, for batches that wait for room.
    room: Notify,
}

impl TailSampling {
    pub(super) fn new(
        config: &Arc<Config>,
        policies: &Arc<Policies>,
        questions: Arc<Questions>,
        context: &Context,
        next: TracesConsumer,
    ) -> Self {
        let hash = IdHash::random();
        let shard = |_| Mutex::new(Sampler::new(config.clone(), policies.clone(), hash));
        let shared = Shared {
            shards: (0..config.num_shards).map(shard).collect(),
            questions,
            metrics: Metrics::new(&context.registry, &context.id, policies),
            clock: context.clock.clone(),
            next,
            room: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
            stop: watch::Sender::new(false),
            ticking: Mutex::new(None),
            watch: context.watch("processor"),
        }
    }
}

impl Consumer<Traces> for TailSampling {
    fn consume(&self, batch: Traces) -> Consume<'_> {
        Box::pin(async move {
            self.shared.take(batch).await;
            Ok(())
        })
    }
}

impl Lifecycle for TailSampling {
    fn start(&self) -> factory::Step<'_> {
        Box::pin(async {
            let (shared, mut stop) = (self.shared.clone(), self.stop.subscribe());
            let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + TICK, TICK);
            // As Go's ticker: a tick that takes long is followed by one, not by all that were missed.
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let ticking = tokio::spawn(self.watch.task(async move {
                loop {
                    tokio::select! {
                        _ = interval.tick() => shared.tick().await,
                        // The sender lives as long as the processor; its end means the same.
                        _ = stop.changed() => return,
                    }
                }
            }));
            *lock(&self.ticking) = Some(ticking);
            Ok(())
        })
    }

    fn shutdown(&self) -> factory::Step<'_> {
        Box::pin(async {
            self.stop.send_replace(true);
            let ticking = lock(&self.ticking).take();
            if let Some(ticking) = ticking
                && let Err(error) = ticking.await
            {
                tracing::error!(%error, "the tick task of tail_sampling has failed");
            }
            self.shared.drain().await;
            Ok(())
        })
    }
}

impl Shared {
    async fn take(&self, mut batch: Traces) {
        if batch.is_empty() {
            return;
        }
        let asked = self.questions.ask(&batch);
        if asked.ignored_errors > 0 {
            tracing::warn!(
                errors = asked.ignored_errors,
                "conditions of ottl_condition policies failed and were skipped"
            );
        }
        let mut late = Vec::new();
        let of = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        for (shard, number) in self.shards.iter().zip(0..) {
            let share = Share { shard: number, of };
            lock(shard).begin_batch(batch.resource_count());
            let mut from = 0;
            loop {
                let room = self.room.notified();
                tokio::pin!(room);
                room.as_mut().enable();
                let taken = lock(shard).ingest(&batch, &asked, share, from, &*self.clock, &mut late);
                self.release(shard).await;
                match taken {
                    Taken::All => break,
                    Taken::UpTo(row) => from = row,
                }
                room.await;
            }
            self.metrics.add(lock(shard).counts.take());
        }
        if !late.is_empty() {
            late.sort_unstable();
            batch.retain_spans(|row| late.binary_search(&row).is_ok());
            self.send(batch).await;
        }
    }

    /// Sends what a shard wants to be rid of before the next tick.
    async fn release(&self, shard: &Mutex<Sampler>) {
        loop {
            let flushed = lock(shard).flush();
            match flushed {
                Some(traces) => self.send(traces).await,
                None => break,
            }
        }
        loop {
            let relief = lock(shard).relieve(&*self.clock);
            match relief {
                Relief::Output(traces) => self.send(traces).await,
                Relief::Done => return,
            }
        }
    }

    async fn tick(&self) {
        let started = self.clock.monotonic();
        let (mut traces, mut bytes) = (0, 0);
        for shard in &self.shards {
            lock(shard).begin_tick();
            self.finish(shard).await;
            let mut compressed = 0;
            while compressed < COMPRESS_BYTES {
                match lock(shard).compress(COMPRESS_STEP) {
                    0 => break,
                    some => compressed += some,
                }
                tokio::task::yield_now().await;
            }
            let mut shard = lock(shard);
            shard.end_tick();
            self.metrics.add(shard.counts.take());
            traces += shard.table.len();
            bytes += shard.memory_bytes();
        }
        self.metrics.tick(self.clock.monotonic().saturating_sub(started), traces, bytes);
        self.room.notify_waiters();
    }

    async fn drain(&self) {
        for shard in &self.shards {
            lock(shard).begin_drain();
            self.finish(shard).await;
            self.metrics.add(lock(shard).counts.take());
        }
    }

    /// Takes a shard through its steps.
    async fn finish(&self, shard: &Mutex<Sampler>) {
        loop {
            let step = lock(shard).step(&*self.clock);
            match step {
                Step::Output(traces) => self.send(traces).await,
                Step::More => tokio::task::yield_now().await,
                Step::Done => return,
            }
        }
    }

    async fn send(&self, traces: Traces) {
        if let Err(error) = self.next.consume(traces).await {
            tracing::warn!(%error, "Error sending spans to destination");
        }
    }
}

/// A poisoned lock means that another thread panicked in the middle of a batch; the other traces are still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
