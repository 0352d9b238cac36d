//! The running processor: shards behind locks, a tick a second, and the next consumer.
//!
//! A batch is asked about without a lock and folded into each shard under its lock; spans go to the next consumer with
//! no lock held. Errors of the next consumer are logged and counted as sent, as upstream: senders are never told.

mod stored;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use component::{Clock, Consume, Consumer, TracesConsumer};
use pdata::Traces;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::Plan;
use super::config::Config;
use super::decide::Step;
use super::id_hash::IdHash;
use super::mark::{Late, Marking};
use super::metrics::{Metrics, Waiting};
use super::output::Relief;
use super::peers::Peers;
use super::policy::{Asked, Policies, Questions};
use super::recent::{Query, Record};
use super::sampler::{Sampler, Share, Taken};
use super::storage::{Settings, Storage, StorageConfig};
use crate::config::{Problems, Section};
use crate::factory::{self, Context, Lifecycle, Prepared, StartError};
use crate::health::Watch;

/// Upstream's, fixed.
const TICK: Duration = Duration::from_secs(1);

/// How often a stop looks whether the last trace was decided. That happens at ticks only.
const LINGER_POLL: Duration = Duration::from_millis(100);

/// Most bytes that a shard compresses in one tick: about a fiftieth of one core's time. At rates where more than that
/// arrives there is no time to spare, and memory has to come from `max_buffer_bytes`.
pub(super) const COMPRESS_BYTES: usize = 32 * 1024 * 1024;

/// Bytes compressed under one hold of the lock: about two milliseconds.
pub(super) const COMPRESS_STEP: usize = 1024 * 1024;

/// A `tail_sampling` processor.
pub(super) struct TailSampling {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    ticking: Mutex<Option<JoinHandle<()>>>,
    watch: Watch,
    durable: Option<(StorageConfig, Settings)>,
}

pub(super) struct Shared {
    pub(super) shards: Vec<Mutex<Sampler>>,
    /// What batches are asked with; replaced while all shards are locked.
    rules: Mutex<Rules>,
    engine: ottl::Engine,
    metrics: Metrics,
    pub(super) clock: Arc<dyn Clock>,
    next: TracesConsumer,
    /// For tasks of its own.
    me: Weak<Shared>,
    /// Who sends before the next tick, one at a time.
    turns: Arc<Semaphore>,
    /// Told after each tick, for batches that wait for room.
    room: Notify,
    /// The log on disk, if there is to be one, from start on.
    pub(super) storage: OnceLock<Storage>,
    /// Senders are answered when the log on disk has their spans.
    acknowledges_written: bool,
    pub(super) peers: Option<Peers>,
    pub(super) watch: Watch,
}

/// The policies that are in force.
#[derive(Clone)]
pub(super) struct Rules {
    /// As one shard has it.
    pub(super) config: Arc<Config>,
    pub(super) policies: Arc<Policies>,
    pub(super) questions: Arc<Questions>,
}

impl TailSampling {
    pub(super) fn new(
        rules: Rules,
        engine: ottl::Engine,
        context: &Context,
        next: TracesConsumer,
    ) -> Result<Self, StartError> {
        let hash = IdHash::random();
        let Rules { config, policies, questions } = &rules.clone();
        let shard = |_| {
            let mut shard = Sampler::new(config.clone(), policies.clone(), questions.clone(), hash);
            if config.peers.is_some() {
                shard.join_peers();
            }
            Mutex::new(shard)
        };
        let make = |me: &Weak<Shared>| Shared {
            shards: (0..config.num_shards).map(shard).collect(),
            metrics: Metrics::new(&context.registry, &context.id, policies, config.storage.is_some()),
            rules: Mutex::new(rules),
            engine,
            clock: context.clock.clone(),
            next,
            turns: Arc::new(Semaphore::new(1)),
            me: me.clone(),
            room: Notify::new(),
            storage: OnceLock::new(),
            acknowledges_written: config.storage.as_ref().is_some_and(|storage| storage.acknowledges_written),
            peers: config.peers.as_ref().map(|peers| Peers::new(config, peers, policies, context)),
            watch: context.watch("processor"),
        };
        let owner = match &context.pipeline {
            Some(pipeline) => format!("{}@{pipeline}", context.id),
            None => context.id.to_string(),
        };
        let settings = |storage: &StorageConfig| {
            let settings = storage.settings(&owner, config.remembered(), &context.storages)?;
            Ok((storage.clone(), settings))
        };
        let shared = Arc::new_cyclic(make);
        let (weak, pipeline) = (Arc::downgrade(&shared), context.pipeline.clone());
        let ask = move |query: &str| report(&weak, pipeline.as_deref(), query);
        context.registry.report(&context.id.to_string(), Box::new(ask));
        Ok(Self {
            shared,
            stop: watch::Sender::new(false),
            ticking: Mutex::new(None),
            watch: context.watch("processor"),
            durable: config.storage.as_ref().map(settings).transpose()?,
        })
    }
}

impl TailSampling {
    /// Takes over what an earlier process had waiting, and begins to log, if there is a log.
    pub(super) async fn open(&self) -> Result<(), StartError> {
        match &self.durable {
            Some((_, settings)) => self.shared.clone().recover(settings.clone()).await,
            None => Ok(()),
        }
    }

    #[cfg(test)]
    pub(super) fn peers(&self) -> Option<&Peers> {
        self.shared.peers.as_ref()
    }

    /// A second has passed.
    #[cfg(test)]
    pub(super) async fn tick(&self) {
        self.shared.tick().await;
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
            self.open().await?;
            self.shared.start_peers().await?;
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

    fn linger(&self) -> factory::Wait<'_> {
        Box::pin(async {
            let Some(limit) = lock(&self.shared.rules).config.shutdown_wait else { return };
            let until = tokio::time::Instant::now() + limit;
            tracing::info!(traces = self.shared.waiting(), ?limit, "tail_sampling waits for its decisions");
            while self.shared.waiting() > 0 && tokio::time::Instant::now() < until {
                tokio::time::sleep(LINGER_POLL).await;
            }
        })
    }

    fn shutdown(&self) -> factory::Step<'_> {
        Box::pin(async {
            self.shared.stop_waiting_for_ticks();
            // What stays on disk need not be decided by anybody now.
            let keeps = self.durable.as_ref().is_some_and(|(config, _)| config.keep_on_shutdown);
            let drops = lock(&self.shared.rules).config.drops_pending();
            if !keeps && !drops {
                self.shared.leave_peers().await;
            }
            self.stop.send_replace(true);
            let ticking = lock(&self.ticking).take();
            if let Some(ticking) = ticking
                && let Err(error) = ticking.await
            {
                tracing::error!(%error, "the tick task of tail_sampling has failed");
            }
            match (self.shared.storage.get(), &self.durable) {
                (Some(storage), Some((config, _))) => {
                    self.shared.leave(storage, config, drops).await;
                }
                _ => self.shared.drain().await,
            }
            self.shared.depart().await;
            Ok(())
        })
    }

    fn prepare(&self, section: &Section) -> Option<Result<Prepared, StartError>> {
        let mut problems = Problems::default();
        let Some(plan) = Plan::parse(section, &mut problems) else {
            return Some(Err(StartError::from_problems(&problems)));
        };
        let shared = self.shared.clone();
        let before = lock(&shared.rules).clone();
        if !before.config.allows(&plan.config) {
            return None;
        }
        let compiled = plan.compile_after(shared.engine, shared.clock.clone(), Some(&before.policies), &mut problems);
        let Some((policies, questions)) = compiled else {
            return Some(Err(StartError::from_problems(&problems)));
        };
        let rules = Rules { config: plan.config, policies, questions };
        Some(Ok(Box::new(move || shared.replace(rules))))
    }
}

/// The last decisions as JSON, for the page beside the own metrics.
fn report(shared: &Weak<Shared>, pipeline: Option<&str>, query: &str) -> Result<String, String> {
    let query = Query::parse(query)?;
    let Some(shared) = shared.upgrade() else { return Err("the processor has ended".to_owned()) };
    let policies = lock(&shared.rules).policies.clone();
    let mut records: Vec<Record> = shared.shards.iter().flat_map(|shard| lock(shard).recent.find(&query)).collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.decided_unix_nano));
    records.truncate(query.limit());
    let records: Vec<_> = records.iter().map(|record| record.to_json(policies.labels())).collect();
    Ok(serde_json::json!({ "pipeline": pipeline, "decisions": records }).to_string())
}

impl Shared {
    pub(super) async fn take(&self, batch: Traces) {
        if batch.is_empty() {
            return;
        }
        // In the log before it is in a shard, so that no decision on it is logged before it.
        let in_flight = self.storage.get().map(|storage| storage.append_batch(&batch, self.clock.unix_nano()));
        let mut asked = self.ask(&batch);
        let mut late = Late::new();
        let of = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        for (shard, number) in self.shards.iter().zip(0..) {
            let share = Share { shard: number, of };
            {
                let mut shard = lock(shard);
                shard.begin_batch(batch.resource_count());
                if let Some(in_flight) = &in_flight {
                    shard.log.set_epoch(in_flight.epoch);
                }
            }
            let mut from = 0;
            loop {
                let room = self.room.notified();
                tokio::pin!(room);
                room.as_mut().enable();
                let taken = lock(shard).ingest(&batch, &asked, share, from, &*self.clock, &mut late);
                self.release(number).await;
                match taken {
                    Taken::All => break,
                    Taken::UpTo(row) => from = row,
                    Taken::Outdated => {
                        asked = self.ask(&batch);
                        continue;
                    }
                }
                room.await;
            }
            let counts = lock(shard).counts.take_arrivals();
            self.metrics.add(counts);
        }
        if let (true, Some(storage), Some(in_flight)) = (self.acknowledges_written, self.storage.get(), &in_flight) {
            storage.batch_written(in_flight).await;
        }
        drop(in_flight);
        self.forward(batch, late).await;
    }

    /// Sends the rows of a batch whose traces are sampled already.
    pub(super) async fn forward(&self, batch: Traces, mut late: Late) {
        if !late.is_empty() {
            self.catch_up().await;
            late.sort_unstable_by_key(|(row, _)| *row);
            let Rules { config, policies, .. } = lock(&self.rules).clone();
            let (batch, unreadable) = Marking::of(&config).forward(batch, &late, policies.labels());
            if let (true, Some(shard)) = (unreadable > 0, self.shards.first()) {
                lock(shard).counts.unreadable_trace_states += unreadable;
            }
            self.send(batch).await;
        }
    }

    pub(super) fn ask(&self, batch: &Traces) -> Asked {
        let questions = lock(&self.rules).questions.clone();
        let asked = questions.ask(batch);
        if asked.ignored_errors > 0 {
            tracing::warn!(
                errors = asked.ignored_errors,
                "conditions of ottl_condition policies failed and were skipped"
            );
        }
        asked
    }

    /// Puts other policies in force, for all shards at once.
    fn replace(&self, rules: Rules) {
        let mut shards: Vec<_> = self.shards.iter().map(lock).collect();
        for shard in &mut shards {
            self.metrics.add(shard.counts.take());
            shard.replace(rules.config.clone(), rules.policies.clone(), rules.questions.clone());
        }
        self.metrics.replace(&rules.policies);
        *lock(&self.rules) = rules;
    }

    /// Sends what a shard wants to be rid of before the next tick.
    pub(super) async fn release(&self, number: u32) {
        let Some(shard) = self.shards.get(number as usize) else { return };
        if self.with(shard, |shard| shard.overflows()) {
            self.send_apart(move |shared| async move {
                if let Some(shard) = shared.shards.get(number as usize) {
                    shared.relieve(shard).await;
                }
            })
            .await;
        }
    }

    async fn relieve(&self, shard: &Mutex<Sampler>) {
        while let Some(traces) = self.with(shard, Sampler::flush) {
            self.hand_on(traces).await;
        }
        loop {
            match self.with(shard, |shard| shard.relieve(&*self.clock)) {
                Relief::Output(traces) => self.hand_on(traces).await,
                Relief::More => tokio::task::yield_now().await,
                Relief::Done => return,
            }
        }
    }

    /// With storage: sends the kept traces whose decisions are not logged yet. A late span must not go out before its
    /// trace's decision is on disk: after a crash it would be sent again with its trace.
    async fn catch_up(&self) {
        let Some(storage) = self.storage.get() else { return };
        if self.shards.iter().any(|shard| lock(shard).has_output()) {
            self.send_apart(|shared| async move {
                for shard in &shared.shards {
                    while let Some(traces) = shared.with(shard, |shard| shard.has_output().then(|| shard.collect())) {
                        shared.hand_on(traces).await;
                    }
                }
            })
            .await;
        }
        // What another task has collected is logged and may not be written.
        storage.written().await;
    }

    /// Sends what others have sent while a sender waits. If the sender gives up, its batch is not handed on further;
    /// the traces of others are, so they go in a task of their own. One after another: where the next consumer is slow,
    /// each would else wait for it with a batch in hand.
    async fn send_apart<F>(&self, send: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // The semaphore is never closed, and whoever calls holds the processor.
        let (Ok(turn), Some(shared)) = (self.turns.clone().acquire_owned().await, self.me.upgrade()) else { return };
        let sending = send(shared);
        let sent = tokio::spawn(self.watch.task(async move {
            sending.await;
            drop(turn);
        }));
        if let Err(error) = sent.await {
            tracing::error!(%error, "a task of tail_sampling that sends kept traces has failed");
        }
    }

    /// Works on a shard under its lock and logs what it has decided, in that order and under the same lock.
    pub(super) fn with<T>(&self, shard: &Mutex<Sampler>, work: impl FnOnce(&mut Sampler) -> T) -> T {
        let mut shard = lock(shard);
        let done = work(&mut shard);
        if let Some(storage) = self.storage.get() {
            storage.append_decisions(shard.take_unlogged());
        }
        done
    }

    /// Sends kept traces, with storage when their decisions are on disk.
    async fn hand_on(&self, traces: Traces) {
        if let Some(storage) = self.storage.get() {
            storage.written().await;
        }
        self.send(traces).await;
    }

    async fn tick(&self) {
        let started = self.clock.monotonic();
        let mut needed = self.storage.get().map(Storage::floor);
        for shard in &self.shards {
            lock(shard).begin_tick();
            self.finish(shard).await;
            let mut compressed = 0;
            while compressed < COMPRESS_BYTES {
                match lock(shard).compress_in_time(COMPRESS_STEP) {
                    0 => break,
                    some => compressed += some,
                }
                tokio::task::yield_now().await;
            }
            let mut shard = lock(shard);
            shard.end_tick();
            self.metrics.add(shard.counts.take());
            if let (Some(needed), Some(oldest)) = (&mut needed, shard.oldest_epoch()) {
                *needed = oldest.min(*needed);
            }
        }
        if let (Some(storage), Some(needed)) = (self.storage.get(), needed) {
            storage.release(needed);
            self.metrics.storage(storage.health());
        }
        self.metrics.tick(self.clock.monotonic().saturating_sub(started));
        self.show();
        self.room.notify_waiters();
    }

    /// The number of traces that are not decided yet.
    pub(super) fn waiting(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).table.len()).sum()
    }

    async fn drain(&self) {
        for shard in &self.shards {
            lock(shard).begin_drain();
            self.finish(shard).await;
            self.metrics.add(lock(shard).counts.take());
        }
        // Own metrics are pushed once more after this; nothing waits any longer.
        self.show();
    }

    fn show(&self) {
        let mut waiting = Waiting::default();
        for shard in &self.shards {
            let shard = lock(shard);
            waiting.traces += shard.table.len();
            waiting.buffer_bytes += shard.buffer_bytes();
            waiting.memory_bytes += shard.memory_bytes();
        }
        self.metrics.show(waiting);
    }

    /// All shards with what they take.
    pub(super) fn shares(&self) -> impl Iterator<Item = (&Mutex<Sampler>, Share)> {
        let of = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        self.shards.iter().zip(0..).map(move |(shard, number)| (shard, Share { shard: number, of }))
    }

    /// Takes a shard through its steps.
    pub(super) async fn finish(&self, shard: &Mutex<Sampler>) {
        loop {
            match self.with(shard, |shard| shard.step(&*self.clock)) {
                Step::Output(traces) => self.hand_on(traces).await,
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
