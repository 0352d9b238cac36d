//! A stopping instance that may not wait hands what it holds to the owners, as OTLP over the peers' port; and the
//! owner's side of that. The protocol's part is in the `peers` crate: each span is counted once all the same.

use std::sync::Arc;
use std::time::Duration;

use ::peers::Transfer;
use bytes::Bytes;
use component::Code;
use hashbrown::HashSet;
use pdata::{TraceId, Traces};

use super::super::mark::Late;
use super::super::processor::Shared;
use super::super::table::NOWHERE;
use super::wire::{self, HandOver};
use super::{HAND_OVER, Peers, lock};
use crate::net::status::Status;

/// Traces that are taken out at once.
const CHUNK: usize = 1024;

/// How long one message may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long handing over may take in all.
const LIMIT: Duration = Duration::from_secs(7);

impl Shared {
    /// Gives all that waits here for others to them. What they do not take is held as before.
    pub(super) async fn hand_over(&self, peers: &Peers) {
        let until = tokio::time::Instant::now() + LIMIT;
        let (mut given, mut first) = (0, true);
        loop {
            // What came last is not known to the node yet.
            self.offer(peers, true);
            let transfers = lock(&peers.node).transfers(peers.now());
            if transfers.is_empty() || tokio::time::Instant::now() >= until {
                break;
            }
            if !std::mem::take(&mut first) {
                tokio::time::sleep(peers.tick).await;
            }
            for transfer in transfers {
                for chunk in transfer.traces.chunks(CHUNK) {
                    given += self.give(peers, &transfer, chunk, until).await;
                }
            }
        }
        let left: usize = self.shards.iter().map(|shard| lock(shard).table.len()).sum();
        tracing::info!(given, left, "tail_sampling has handed waiting traces to its peers");
    }

    /// Gives some traces to one member and returns how many it has taken.
    async fn give(
        &self,
        peers: &Peers,
        transfer: &Transfer,
        chunk: &[(TraceId, wire::Givers)],
        until: tokio::time::Instant,
    ) -> usize {
        let mut taken = 0;
        for (shard, share) in self.shares() {
            self.finish(shard).await;
            let ids = || chunk.iter().map(|(id, _)| id).filter(|id| share.takes(id));
            let batches = {
                let mut node = lock(&peers.node);
                self.with(shard, |shard| {
                    for id in ids() {
                        shard.entry(id, NOWHERE).into_iter().for_each(|entry| node.set_aside(id, entry));
                    }
                    shard.take_out(ids())
                })
            };
            for batch in batches {
                if tokio::time::Instant::now() >= until {
                    self.put_back(batch).await;
                    continue;
                }
                let ids: HashSet<TraceId> = batch.trace_ids().copied().collect();
                let absorbed = chunk.iter().filter(|(id, givers)| !givers.is_empty() && ids.contains(id)).cloned();
                let message = wire::write_hand_over(&HandOver {
                    from: peers.name.clone(),
                    incarnation: lock(&peers.node).incarnation(),
                    absorbed: absorbed.collect(),
                    traces: batch.encode(),
                });
                peers.metrics.sent.add(message.len() as u64);
                let sent = async {
                    let client = peers.client(&transfer.to).ok_or_else(|| (None, "no address".to_owned()))?;
                    client.call(HAND_OVER, wire::frame(&message)).await
                };
                let answer = tokio::time::timeout(TIMEOUT, sent).await;
                match answer.unwrap_or_else(|_| Err((None, "no answer in time".to_owned()))) {
                    Ok(_) => {
                        lock(&peers.node).given(&ids);
                        peers.metrics.handed_over.add(ids.len() as u64);
                        taken += ids.len();
                    }
                    Err((code, error)) => {
                        tracing::warn!(member = %transfer.to, error, "tail_sampling: a peer has not taken what waits here");
                        if code.is_none() {
                            lock(&peers.node).maybe_given(&transfer.to, &ids);
                        }
                        self.put_back(batch).await;
                    }
                }
            }
        }
        taken
    }

    /// The traces wait as before.
    async fn put_back(&self, batch: Traces) {
        self.take(batch).await;
    }

    /// Spans that another instance held are this one's from now on.
    pub(super) async fn take_over(self: &Arc<Self>, message: &Bytes) -> Result<Bytes, Status> {
        let peers = self.peers.as_ref().ok_or_else(|| Status::new(Code::Unavailable, "this instance has no peers"))?;
        peers.metrics.received.add(message.len() as u64);
        let malformed = |error: &dyn std::fmt::Display| Status::new(Code::InvalidArgument, error.to_string());
        let HandOver { from, incarnation, absorbed, traces } =
            wire::read_hand_over(message).map_err(|error| malformed(&error))?;
        let mut batch = Traces::index(traces).map_err(|error| malformed(&error))?;
        let mut ids: HashSet<TraceId> = batch.trace_ids().copied().collect();
        {
            let node = lock(&peers.node);
            if !node.admits_transfer(&from, ids.len()) {
                let refusal = "the sender is not a member of the ring that this instance sees, or there is no room";
                return Err(Status::new(Code::FailedPrecondition, refusal));
            }
            // An answer was lost, and they come again.
            ids.retain(|id| !node.has_absorbed(id, &from, incarnation));
        }
        let wanted: Vec<bool> = batch.trace_ids().map(|id| ids.contains(id)).collect();
        batch.retain_spans(|row| wanted.get(row) == Some(&true));
        let in_flight = self.storage.get().map(|storage| storage.append_batch(&batch, self.clock.unix_nano()));
        let asked = self.ask(&batch);
        let mut late = Late::new();
        // One step for the node: no decision may count these spans twice, or not at all.
        let (without_room, requests) = self.with_node(peers, |node, now, _, out| {
            let mut without_room = Vec::new();
            for (shard, share) in self.shares() {
                let changed = self.with(shard, |shard| {
                    if let Some(in_flight) = &in_flight {
                        shard.log.set_epoch(in_flight.epoch);
                    }
                    shard.take_in(&batch, &asked, share, &*self.clock, &mut late)
                });
                for part in changed {
                    if !node.offer(now, &part.offer(now), out) {
                        without_room.push(part.id);
                    }
                }
            }
            let giver = (Arc::<str>::from(from.as_str()), incarnation);
            for id in &ids {
                let earlier = absorbed.get(id).into_iter().flatten();
                let givers: Vec<_> = earlier.chain([&giver]).cloned().collect();
                node.absorb(id, &givers);
            }
            without_room
        });
        drop(in_flight);
        self.dispatch(requests);
        for (shard, share) in self.shares() {
            let mine: Vec<TraceId> = without_room.iter().filter(|id| share.takes(id)).copied().collect();
            if !mine.is_empty() {
                self.with(shard, |shard| shard.decide_here(&mine, &*self.clock));
            }
            self.release(share.shard).await;
        }
        peers.metrics.taken_over.add(ids.len() as u64);
        self.forward(batch, late).await;
        Ok(Bytes::new())
    }
}
