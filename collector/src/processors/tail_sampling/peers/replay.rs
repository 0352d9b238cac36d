//! A fleet of instances on a virtual clock, for `ottlcol simulate --instances`: what it would keep and what agreeing costs.
//!
//! Requests go to instances at random, as behind a load balancer that knows nothing of traces. The protocol, its messages
//! and the policies are the real ones; the network takes no time and loses nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ::peers::{Node, Output, Ring, Settings};
use pdata::Traces;

use super::super::Plan;
use super::super::config::Config;
use super::super::replay::{Replay, Summary};
use super::super::sampler::{Sampler, Share};
use super::entry::{Decision, Entry};
use super::{HashRing, MAX_BATCH, MAX_OWED, fingerprint, millis, tick, wire};
use crate::cluster::ring;
use crate::factory::StartError;

/// Long enough that no instance waits for another in vain: all answer at once.
const GRACE: Duration = Duration::from_secs(10);

/// One or several instances of a processor.
pub struct Fleet {
    instances: Vec<Instance>,
    /// Which of them the resolver lists; requests go to these.
    listed: Vec<usize>,
    /// Milliseconds since the start.
    now: u64,
    next_tick: u64,
    tick_millis: u64,
    random: u64,
    cost: Cost,
}

struct Instance {
    replay: Replay,
    node: Node<Entry, Decision>,
    /// The part of all limits that its shards were last told to spend.
    share: f64,
}

/// The shards of an instance.
struct Waiting<'a>(&'a [Sampler]);

impl ::peers::Host<Entry> for Waiting<'_> {
    fn entry(&mut self, id: &pdata::TraceId, at: u32) -> Option<Entry> {
        let of = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let mut shards = self.0.iter().zip(0..);
        shards.find(|(_, number)| Share { shard: *number, of }.takes(id))?.0.entry(id, at)
    }
}

/// What agreeing took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Entries of parts of traces that were reported to their owners.
    pub entries: u64,
    /// Decisions that were told to holders.
    pub decisions: u64,
    /// Messages, answers included, and their bytes.
    pub messages: u64,
    /// See `messages`.
    pub bytes: u64,
    /// Bytes of spans that arrived at other instances than their traces' owners: what forwarding them would take.
    pub forwarding_bytes: u64,
    /// Traces decided by their owners, and of those the ones with parts at several instances.
    pub judged: u64,
    /// See `judged`.
    pub merged: u64,
    /// Most memory that waiting traces took at one instance.
    pub peak_buffer_bytes: u64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { entries, decisions, messages, bytes, forwarding_bytes, judged, merged, peak_buffer_bytes } = self;
        write!(
            f,
            "{judged} traces decided by owners, {merged} of them with parts at several instances\n  {bytes} bytes exchanged in \
             {messages} messages: {entries} entries, {decisions} decisions; forwarding the spans would take \
             {forwarding_bytes}\n  waiting traces took at most {peak_buffer_bytes} bytes at one instance"
        )
    }
}

impl Plan {
    /// A replay of so many instances of this configuration, at least one. What its `peers` says does not matter.
    ///
    /// # Errors
    /// If machine code for its conditions cannot be generated.
    pub fn fleet(&self, engine: ottl::Engine, instances: usize) -> Result<Fleet, StartError> {
        let n = instances.max(1);
        // The ring never changes, and nothing is known of an earlier time.
        let mut fleet = self.instances(engine, n, 0)?;
        fleet.list((0..n).collect());
        Ok(fleet)
    }

    /// So many instances that do not know each other yet.
    fn instances(&self, engine: ottl::Engine, n: usize, unsettled_for: u64) -> Result<Fleet, StartError> {
        // Room is made by decisions, which others have a say in: a sender that waits for it would stop the clock of all.
        let plan = Plan { config: Arc::new(Config { block_on_overflow: false, ..(*self.config).clone() }) };
        let plan = if n > 1 { &plan } else { self };
        let names: Vec<String> = (1..=n).map(|n| format!("instance-{n}")).collect();
        let traces = self.config.num_traces.saturating_mul(self.config.num_shards as usize);
        let settings = Settings {
            wait: u64::from(self.config.decision_wait_seconds) * 1000,
            grace: millis(GRACE),
            unsettled_for,
            max_traces: traces.saturating_add(1024),
            remember: self.config.remembered(),
            max_owed: MAX_OWED,
            max_batch: MAX_BATCH,
            admit_strangers: false,
            seed: 0,
        };
        let instance = |name: &String| {
            let mut replay = plan.replay(engine)?;
            let make_ring = |names: &[Arc<str>]| {
                let names = names.iter().map(|name| name.to_string()).collect();
                Box::new(HashRing(ring::Ring::new(ring::Version::default(), names))) as Box<dyn Ring + Send>
            };
            let node = Node::new(name, 1, fingerprint(&self.config), settings, 0, make_ring);
            if n > 1 {
                for shard in replay.shards_mut() {
                    shard.join_peers();
                }
            }
            Ok(Instance { replay, node, share: 1.0 })
        };
        let instances = names.iter().map(instance).collect::<Result<_, StartError>>()?;
        let tick_millis = millis(tick(Duration::from_secs(self.config.decision_wait_seconds.into()), GRACE));
        Ok(Fleet {
            instances,
            listed: vec![0],
            now: 0,
            next_tick: tick_millis,
            tick_millis,
            random: 0x9e37_79b9_7f4a_7c15,
            cost: Cost::default(),
        })
    }
}

impl Fleet {
    /// All hear of these members.
    fn list(&mut self, listed: Vec<usize>) {
        let names: Vec<String> = listed.iter().map(|at| self.names(*at)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for instance in &mut self.instances {
            instance.node.set_members(self.now, &names);
        }
        self.listed = listed;
        self.divide_limits();
    }

    /// As owners do in operation: who owns nothing goes on with what it was given last.
    fn divide_limits(&mut self) {
        for Instance { replay, node, share } in &mut self.instances {
            let now = node.share();
            if now > 0.0 && std::mem::replace(share, now) != now {
                for shard in replay.shards_mut() {
                    shard.set_budget(now);
                }
            }
        }
    }

    /// A batch arrives now, at one of the instances; what goes on at once comes back.
    pub fn take(&mut self, batch: &Traces) -> Vec<Traces> {
        // The same requests go to the same instances in every run.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let at = usize::try_from(self.random % self.listed.len().max(1) as u64).unwrap_or(0);
        let at = self.listed.get(at).copied().unwrap_or(0);
        if self.instances.len() > 1 {
            let node = &self.instances[at].node;
            let own = self.names(at);
            for span in batch.spans() {
                if node.owner_of(span.trace_id()).is_none_or(|owner| **owner != *own) {
                    self.cost.forwarding_bytes += span.bytes().len() as u64;
                }
            }
        }
        let out = self.instances[at].replay.take(batch);
        let held = self.instances[at].replay.buffer_bytes();
        self.cost.peak_buffer_bytes = self.cost.peak_buffer_bytes.max(held);
        out
    }

    fn names(&self, at: usize) -> String {
        format!("instance-{}", at + 1)
    }

    /// A second passes; what is kept comes back.
    pub fn second(&mut self) -> Vec<Traces> {
        let end = self.now + 1000;
        while self.instances.len() > 1 && self.next_tick <= end {
            self.now = self.next_tick;
            self.next_tick += self.tick_millis;
            self.tick();
        }
        self.now = end;
        self.instances.iter_mut().flat_map(|instance| instance.replay.second()).collect()
    }

    /// Time passes in which nothing waits.
    pub fn idle(&mut self, time: Duration) {
        self.now = self.now.saturating_add(millis(time));
        self.next_tick = self.next_tick.max(self.now);
        for instance in &mut self.instances {
            instance.replay.idle(time);
        }
    }

    /// True while traces wait that time has to decide.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        // Several decide when all have answered, which may be after the time of the last.
        let several = self.instances.len() > 1;
        let open = |instance: &Instance| instance.replay.is_waiting() || (several && instance.replay.holds_anything());
        self.instances.iter().any(open)
    }

    /// What has happened so far, at all instances together.
    pub fn summary(&mut self) -> Summary {
        let mut all = self.instances.iter_mut().map(|instance| instance.replay.summary());
        let mut total = all.next().unwrap_or_default();
        for summary in all {
            total.add(&summary);
        }
        if self.instances.len() > 1 {
            // Parts of one trace arrive as a trace at each of their holders.
            total.traces = self.instances.iter().map(|instance| instance.node.counters().judged).sum();
            total.exchange = Some(self.cost());
        }
        total
    }

    /// What agreeing took so far; nothing for one instance.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let mut cost = self.cost;
        for counters in self.instances.iter().map(|instance| instance.node.counters()) {
            cost.entries += counters.entries_sent;
            cost.decisions += counters.decisions_sent;
            cost.judged += counters.judged;
            cost.merged += counters.merged;
        }
        cost
    }

    fn tick(&mut self) {
        for at in 0..self.instances.len() {
            let mut out = Output::default();
            let Instance { replay, node, .. } = &mut self.instances[at];
            let mut without_room = Vec::new();
            let clock = replay.clock();
            for shard in replay.shards_mut() {
                for (id, decision) in shard.take_settled() {
                    node.decided_early(&id, decision, &mut out);
                }
                let mut changed = Vec::new();
                shard.look(false);
                shard.take_changed(usize::MAX, &mut changed);
                let offers: Vec<_> = changed.iter().map(|part| part.offer(self.now)).collect();
                node.offer_all(self.now, &offers, &mut out, &mut without_room);
                shard.decide_here(&without_room, &*clock);
                without_room.clear();
            }
            node.tick(self.now, &mut Waiting(replay.shards_mut()), &mut out);
            self.act(at, out);
        }
        self.divide_limits();
    }

    /// Does what a node wants done, and carries its messages and their answers.
    fn act(&mut self, at: usize, out: Output<Entry, Decision>) {
        let mut work = VecDeque::from([(at, out)]);
        while let Some((at, mut out)) = work.pop_front() {
            self.judge(at, &mut out);
            for (to, request) in std::mem::take(&mut out.requests) {
                let Some(holder) = (0..self.instances.len()).find(|at| *self.names(*at) == *to) else { continue };
                let (from, sequence) = (self.names(at), request.collect.sequence);
                self.cost.messages += 2;
                self.cost.bytes += wire::message_len(&wire::write_request(&from, &request));
                let (mut asked, mut asker) = (Output::default(), Output::default());
                let Instance { replay, node, .. } = &mut self.instances[holder];
                let mut waiting = Waiting(replay.shards_mut());
                match node.answer(self.now, &from, request, &mut waiting, &mut asked) {
                    Ok(answer) => {
                        self.cost.bytes += wire::message_len(&wire::write_answer(&answer));
                        let Instance { replay, node, .. } = &mut self.instances[at];
                        let mut waiting = Waiting(replay.shards_mut());
                        node.answered(self.now, &to, answer, &mut waiting, &mut asker);
                    }
                    Err(why) => self.instances[at].node.refused(self.now, &to, sequence, Some(why)),
                }
                work.push_back((holder, asked));
                work.push_back((at, asker));
            }
        }
    }

    fn judge(&mut self, at: usize, out: &mut Output<Entry, Decision>) {
        let Instance { replay, node, .. } = &mut self.instances[at];
        let clock = replay.clock();
        let of = u32::try_from(replay.shards_mut().len()).unwrap_or(u32::MAX);
        let judged = std::mem::take(&mut out.judge);
        for (shard, number) in replay.shards_mut().iter_mut().zip(0..) {
            let share = Share { shard: number, of };
            let mine: Vec<_> = judged.iter().filter(|judge| share.takes(&judge.id)).collect();
            let entries: Vec<_> = mine.iter().map(|judge| (judge.id, &judge.entry)).collect();
            for (judge, decision) in mine.iter().zip(shard.judge(&entries, &*clock)) {
                node.conclude(judge, decision, out);
            }
        }
        for (shard, number) in replay.shards_mut().iter_mut().zip(0..) {
            let share = Share { shard: number, of };
            shard.obey(&out.obey, share, &*clock);
        }
        out.obey.clear();
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
