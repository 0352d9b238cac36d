//! How a processor with a durable log begins and ends: it takes over what an earlier process has left, and leaves what it may not
//! decide in time.

use std::sync::Arc;

use super::super::sampler::Share;
use super::super::storage::{Recovery, Report, Settings, Storage, StorageConfig};
use super::{Shared, lock};
use crate::factory::StartError;

impl Shared {
    pub(super) async fn recover(self: Arc<Self>, settings: Settings) -> Result<(), StartError> {
        // The disk may be slow, and answering conditions takes a core.
        let recovery = tokio::task::spawn_blocking(move || self.recover_blocking(&settings));
        recovery.await.map_err(|error| StartError(format!("recovering the storage has failed: {error}")))?
    }

    fn recover_blocking(&self, settings: &Settings) -> Result<(), StartError> {
        let refused = |error: &dyn std::fmt::Display| StartError(error.to_string());
        let questions = lock(&self.rules).questions.clone();
        let mut recovery = Recovery::open(settings).map_err(|error| refused(&error))?;
        let of = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        for shard in &self.shards {
            lock(shard).log_decisions();
        }
        let report = recovery.replay(|event| {
            for (shard, number) in self.shards.iter().zip(0..) {
                let mut shard = lock(shard);
                shard.recover(&event, &questions, Share { shard: number, of }, self.clock.unix_nano());
                // What waited may be more than what fits uncompressed.
                shard.relieve_by_compressing();
            }
        });
        let Report { spans, decisions, cut_bytes, unreadable } = report.map_err(|error| refused(&error))?;
        let mut traces = 0;
        for shard in &self.shards {
            let mut shard = lock(shard);
            traces += shard.table.len();
            // They were counted by the process that took them in.
            drop(shard.counts.take());
        }
        tracing::info!(
            directory = %settings.directory.display(), traces, spans, decisions, cut_bytes, unreadable,
            "tail_sampling has read its storage"
        );
        self.metrics.recovered(spans);
        let storage = Storage::start(recovery, settings, self.clock.clone()).map_err(|error| refused(&error))?;
        for shard in &self.shards {
            storage.append_decisions(lock(shard).take_unlogged());
        }
        // Start is called once.
        let _ = self.storage.set(storage);
        Ok(())
    }

    /// Ends with a log: decides what waits within its time, or leaves it there.
    pub(super) async fn leave(&self, storage: &Storage, config: &StorageConfig, drop_pending: bool) {
        if drop_pending {
            storage.discard_spans();
        } else if !config.keep_on_shutdown && tokio::time::timeout(config.shutdown_timeout, self.drain()).await.is_err()
        {
            tracing::warn!(
                traces = self.waiting(), timeout = ?config.shutdown_timeout,
                "tail_sampling could not hand on everything in time; what is not decided stays in its storage"
            );
        }
        storage.close();
    }
}
