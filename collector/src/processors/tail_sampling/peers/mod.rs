//! `peers`: instances that hold different spans of one trace agree on it. The protocol is the `peers` crate's; this
//! gives it time, sockets, the shards' entries and the policies' judgement.
//!
//! Locks are taken in one order: the node's, then a shard's. Ingest takes only a shard's, so that whatever goes on
//! between instances never holds it up for longer than a decision does.

mod client;
mod config;
mod entry;
mod hand_over;
mod metrics;
mod page;
mod replay;
mod server;
mod shard;
#[cfg(test)]
mod tests;
mod undone;
mod waiting;
mod wire;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ::peers::{Basis, Millis, Node, Output, Ring, Settings};
use bytes::Bytes;
use component::{Clock, Code};
use futures_util::future::join_all;
use tokio::sync::{Semaphore, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;

use client::Client;
pub(super) use config::{LowPeers, PeersConfig};
pub(super) use entry::Decision;
use entry::Entry;
use metrics::Metrics;
pub use replay::{Cost, Fleet};
pub(super) use shard::Exchange;
use undone::Undone;
use waiting::Waiting;

use super::config::Config;
use super::entry::Shape;
use super::policy::Policies;
use super::processor::Shared;
use crate::cluster::resolver::{Members, Resolver};
use crate::cluster::ring;
use crate::factory::{Context, StartError};
use crate::net::connect::{Connector, Target};
use crate::net::listen::Listener;
use crate::net::serve::{Lifetime, Protocol, Server};
use crate::net::status;
use crate::net::tls;

/// How often changed entries are looked for and collected. In a small fleet messages take more time than what is in them,
/// so that as few as possible are sent.
const MAX_TICK: Duration = Duration::from_secs(1);
const MIN_TICK: Duration = Duration::from_millis(250);

/// For this part of a tick after it begins others' decisions are gathered: members tick at the same time.
const GATHERING_PART: u32 = 5;

/// How often a stopping instance looks whether it may go.
const POLL: Duration = Duration::from_millis(200);

/// Most entries, decisions or questions in one message; at some 40 bytes each this is well below [`MAX_MESSAGE`].
const MAX_BATCH: usize = 16_384;

/// A longer message is refused before it is read.
const MAX_MESSAGE: usize = 8 << 20;

/// Changed parts that are taken from a shard at once: few enough to be near when they are offered.
const LOOKED_AT: usize = 256;

/// Decisions that wait to be told to one member.
const MAX_OWED: usize = 200_000;

/// Late spans of a trace are expected for so long after its decision.
const LATE: Duration = Duration::from_secs(60);

/// When a stopping instance has nothing left, the others are given so long to hear of it.
const FAREWELL: Duration = Duration::from_secs(3);

const PATH: &str = "/ottlcol.peers.v1.Peers/Exchange";
const HAND_OVER: &str = "/ottlcol.peers.v1.Peers/HandOver";

/// A trace is handed over whole, however large it is; most messages are of a megabyte.
const MAX_HAND_OVER: usize = 64 << 20;

/// Messages of that kind that are read at once.
const TAKING_OVER: usize = 4;

type Request = ::peers::Request<Entry, Decision>;
type Requests = Vec<(Arc<str>, Request)>;
type Obey = ::peers::Obey<Decision>;

/// One processor among its peers.
pub(super) struct Peers {
    config: PeersConfig,
    /// As resolvers name it.
    name: String,
    node: Mutex<Node<Entry, Decision>>,
    /// Used under the node's lock only, so that its memory is there again at the next tick.
    out: Mutex<Output<Entry, Decision>>,
    shape: Shape,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    registry: component::telemetry::Registry,
    decision_wait: Duration,
    tick: Duration,
    timeout: Duration,
    tls: OnceLock<tls::Connector>,
    /// By the member's name.
    clients: Mutex<hashbrown::HashMap<Arc<str>, Arc<Client>, foldhash::fast::RandomState>>,
    tasks: TaskTracker,
    running: OnceLock<(Server, Resolver)>,
    debug: OnceLock<Server>,
    /// Bounds the memory of what is handed over to this instance.
    taking_over: Semaphore,
    /// The part of all limits that the shards were last told to spend.
    share: Mutex<f64>,
    /// Locked after the node, if both are.
    undone: Mutex<Undone>,
    stop: watch::Sender<bool>,
}

/// Contrib's ring, so that behind gateways each trace's owner is who gets its spans.
struct HashRing(ring::Ring);

impl Ring for HashRing {
    fn owner(&self, id: &pdata::TraceId) -> usize {
        // The list is not empty.
        self.0.owner(id).unwrap_or(0)
    }

    fn shares(&self) -> Vec<f64> {
        self.0.shares()
    }
}

impl Peers {
    pub(super) fn new(config: &Config, peers: &PeersConfig, policies: &Policies, context: &Context) -> Self {
        let decision_wait = Duration::from_secs(config.decision_wait_seconds.into());
        let grace = peers.grace;
        let n_traces = config.num_traces.saturating_mul(config.num_shards as usize);
        let settings = Settings {
            wait: millis(decision_wait),
            grace: millis(grace),
            unsettled_for: millis(decision_wait + 2 * grace + LATE),
            max_traces: n_traces.saturating_add(1024),
            remember: config.remembered(),
            max_owed: MAX_OWED,
            max_batch: MAX_BATCH,
            admit_strangers: peers.knows_its_peers(),
            seed: context.clock.unix_nano(),
        };
        let version = peers.ring_version;
        let make_ring = move |names: &[Arc<str>]| {
            let names = names.iter().map(|name| name.to_string()).collect();
            Box::new(HashRing(ring::Ring::new(version, names))) as Box<dyn Ring + Send>
        };
        let now = millis(context.clock.monotonic());
        let incarnation = context.clock.unix_nano() / 1_000_000;
        let node = Node::new(&peers.name, incarnation, fingerprint(config), settings, now, make_ring);
        Self {
            name: peers.name.clone(),
            node: Mutex::new(node),
            out: Mutex::default(),
            shape: policies.shape(),
            clock: context.clock.clone(),
            metrics: Metrics::new(&context.registry),
            registry: context.registry.clone(),
            decision_wait,
            tick: tick(decision_wait, grace),
            timeout: (grace / 5).max(Duration::from_millis(200)),
            tls: OnceLock::new(),
            clients: Mutex::default(),
            tasks: TaskTracker::new(),
            running: OnceLock::new(),
            debug: OnceLock::new(),
            taking_over: Semaphore::new(TAKING_OVER),
            share: Mutex::new(1.0),
            undone: Mutex::default(),
            stop: watch::Sender::new(false),
            config: peers.clone(),
        }
    }

    fn now(&self) -> Millis {
        millis(self.clock.monotonic())
    }

    fn parts(&self) -> wire::Parts {
        wire::Parts { spare: lock(&self.node).spare_parts(), shape: self.shape }
    }

    /// What calls a member.
    fn client(&self, member: &Arc<str>) -> Option<Arc<Client>> {
        let mut clients = lock(&self.clients);
        if let Some(client) = clients.get(member) {
            return Some(client.clone());
        }
        let target = Target::Tcp(self.config.dial(member)?);
        let name = self.config.client_tls.as_ref().map(|tls| tls.server_name_override.clone());
        let name = name.filter(|name| !name.is_empty());
        let connector = Connector { target, tls: self.tls.get().cloned(), name };
        let client = Arc::new(Client::new(connector, self.tasks.clone(), self.stop.subscribe()));
        clients.insert(member.clone(), client.clone());
        Some(client)
    }

    fn take_members(&self, members: &Members) {
        let names: Vec<&str> = members.iter().map(String::as_str).collect();
        if !names.is_empty() && !names.contains(&self.name.as_str()) {
            tracing::warn!(
                name = self.name,
                members = names.join(","),
                "tail_sampling: the resolver of peers does not list this instance (yet), so it owns no traces"
            );
        }
        let now = self.now();
        lock(&self.node).set_members(now, &names);
        lock(&self.clients).retain(|name, _| names.contains(&&**name));
    }
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Several times before anybody is suspected, and before a decision is due.
fn tick(decision_wait: Duration, grace: Duration) -> Duration {
    (decision_wait / 5).min(grace / 10).clamp(MIN_TICK, MAX_TICK)
}

/// What makes entries comparable: the policies, and the version of the protocol.
fn fingerprint(config: &Config) -> u64 {
    let Config { policies, sample_on_first_match, maximum_trace_size_bytes, record_threshold, .. } = config;
    let text = format!("3 {policies:?} {sample_on_first_match} {maximum_trace_size_bytes} {record_threshold}");
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl Shared {
    /// Finds the others, listens, and starts to exchange. What was recovered is offered first.
    pub(super) async fn start_peers(self: &Arc<Self>) -> Result<(), StartError> {
        let Some(peers) = &self.peers else { return Ok(()) };
        let mut acceptor = None;
        if let (Some(server), Some(client)) = (&peers.config.tls, &peers.config.client_tls) {
            acceptor = Some(tls::Acceptor::load(server, &["h2"], &peers.clock).map_err(StartError)?);
            if !client.is_plain() {
                let connector = tls::Connector::load(client, &["h2"], &peers.clock).map_err(StartError)?;
                let _ = peers.tls.set(connector);
            }
        }
        {
            let mut node = lock(&peers.node);
            for shard in &self.shards {
                for (id, decision) in lock(shard).take_recalled() {
                    node.recall(&id, decision);
                }
            }
        }
        self.offer(peers, true);
        let resolver =
            Resolver::start(&peers.config.source, &peers.registry, &peers.clock).await.map_err(StartError)?;
        let mut members = resolver.members();
        peers.take_members(&members.borrow_and_update().clone());
        let listener = Listener::bind(&peers.config.place).await.map_err(StartError)?;
        tracing::info!(endpoint = %peers.config.place, name = peers.name, "tail_sampling listens for its peers");
        let service = Arc::new(server::Service(Arc::downgrade(self)));
        let server =
            Server::spawn(listener, acceptor, Protocol::Http2(Protocol::http2()), Lifetime::default(), service);
        let _ = peers.running.set((server, resolver));
        if let Some(place) = &peers.config.debug {
            let listener = Listener::bind(place).await.map_err(StartError)?;
            tracing::info!(endpoint = %place, "tail_sampling shows its peers");
            let page = Arc::new(page::Page(Arc::downgrade(self)));
            let protocol = Protocol::Auto(Protocol::auto());
            let _ = peers.debug.set(Server::spawn(listener, None, protocol, Lifetime::default(), page));
        }
        let (shared, mut stop) = (self.clone(), peers.stop.subscribe());
        // All members tick at the same moments of the wall clock, if their clocks agree: decisions of all owners come at
        // once.
        let tick = u64::try_from(peers.tick.as_nanos()).unwrap_or(u64::MAX).max(1);
        let first = Duration::from_nanos(tick - peers.clock.unix_nano() % tick);
        let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + first, peers.tick);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let task = self.watch.task(async move {
            let mut gathered = pin!(tokio::time::sleep(Duration::ZERO));
            loop {
                let Some(peers) = &shared.peers else { return };
                tokio::select! {
                    _ = interval.tick() => {}
                    () = &mut gathered, if lock(&peers.undone).gathers() => {
                        shared.obey_gathered(peers);
                        continue;
                    }
                    _ = stop.changed() => return,
                }
                gathered.as_mut().reset(tokio::time::Instant::now() + peers.tick / GATHERING_PART);
                if members.has_changed().unwrap_or(false) {
                    peers.take_members(&members.borrow_and_update().clone());
                }
                shared.exchange_tick(peers);
            }
        });
        peers.tasks.spawn(task);
        Ok(())
    }

    fn exchange_tick(self: &Arc<Self>, peers: &Peers) {
        lock(&peers.undone).begin_tick();
        self.offer(peers, false);
        let ((), requests) = self.with_node(peers, |node, now, host, out| node.tick(now, host, out));
        self.dispatch(requests);
        let share = {
            let node = lock(&peers.node);
            peers.metrics.show(&node, peers.now());
            node.share()
        };
        // Who owns nothing decides only in need, and then on what it was given last.
        if share > 0.0 && std::mem::replace(&mut *lock(&peers.share), share) != share {
            for shard in &self.shards {
                lock(shard).set_budget(share);
            }
        }
    }

    /// Tells the node what has changed here.
    fn offer(&self, peers: &Peers, at_once: bool) {
        let mut changed = Vec::with_capacity(LOOKED_AT);
        let mut offers = Vec::with_capacity(LOOKED_AT);
        for shard in &self.shards {
            let mut settled = self.with(shard, |shard| {
                shard.look(at_once);
                shard.take_settled()
            });
            let mut without_room = Vec::new();
            let mut more = true;
            while more {
                more = self.with(shard, |shard| shard.take_changed(LOOKED_AT, &mut changed));
                if changed.is_empty() && settled.is_empty() {
                    continue;
                }
                self.with_node(peers, |node, now, _, out| {
                    for (id, decision) in settled.drain(..) {
                        name_lonely(&id, Basis::Alone);
                        node.decided_early(&id, decision, out);
                    }
                    offers.extend(changed.drain(..).map(|part| part.offer(now)));
                    node.offer_all(now, &offers, out, &mut without_room);
                    offers.clear();
                });
            }
            if !without_room.is_empty() {
                self.with(shard, |shard| shard.decide_here(&without_room, &*self.clock));
            }
        }
    }

    /// Works on the node; judges and obeys what comes out. What is to be sent comes back.
    fn with_node<T>(
        &self,
        peers: &Peers,
        work: impl FnOnce(&mut Node<Entry, Decision>, Millis, &mut Waiting<'_>, &mut Output<Entry, Decision>) -> T,
    ) -> (T, Requests) {
        let mut node = lock(&peers.node);
        let mut out = lock(&peers.out);
        let out = &mut *out;
        let done = work(&mut node, peers.now(), &mut Waiting::new(self), out);
        lock(&peers.undone).heard(&mut out.obey);
        self.obey(&out.obey);
        out.obey.clear();
        if !out.judge.is_empty() {
            let mut judged = std::mem::take(&mut out.judge);
            for (shard, share) in self.shares() {
                let mine = || judged.iter().filter(|judge| share.takes(&judge.id));
                let entries: Vec<_> = mine().map(|judge| (judge.id, &judge.entry)).collect();
                if entries.is_empty() {
                    continue;
                }
                let decisions = self.with(shard, |shard| shard.judge(&entries, &*self.clock));
                for (at, (judge, decision)) in mine().zip(decisions).enumerate() {
                    if at.is_multiple_of(LOOKED_AT) {
                        node.warm(mine().skip(at).take(LOOKED_AT).map(|judge| &judge.id));
                    }
                    if judge.basis != Basis::Agreed {
                        name_lonely(&judge.id, judge.basis);
                    }
                    node.conclude(judge, decision, out);
                }
            }
            judged.clear();
            out.judge = judged;
            lock(&peers.undone).made(&mut out.obey);
            self.obey(&out.obey);
            out.obey.clear();
        }
        (done, std::mem::take(&mut out.requests))
    }

    /// Obeys the tick's decisions.
    fn obey_gathered(&self, peers: &Peers) {
        let gathered = lock(&peers.undone).take();
        self.obey(&gathered);
        lock(&peers.undone).reuse(gathered);
    }

    /// Does with what waits here what was decided.
    fn obey(&self, decisions: &[Obey]) {
        if decisions.is_empty() {
            return;
        }
        for (shard, share) in self.shares() {
            self.with(shard, |shard| shard.obey(decisions, share, &*self.clock));
        }
    }

    fn dispatch(self: &Arc<Self>, requests: Requests) {
        let Some(peers) = &self.peers else { return };
        if requests.is_empty() {
            return;
        }
        let shared = self.clone();
        // One task for all: what comes back is worked on one after the other in any case.
        peers.tasks.spawn(async move {
            join_all(requests.into_iter().map(|(to, request)| shared.exchange(to, request))).await;
        });
    }

    /// Sends a request and takes its answer.
    async fn exchange(self: &Arc<Self>, to: Arc<str>, request: Request) {
        let Some(peers) = &self.peers else { return };
        let sequence = request.collect.sequence;
        let frame = wire::write_request(&peers.name, &request);
        if let Some(report) = request.report {
            lock(&peers.node).reuse(report.parts);
        }
        let started = peers.clock.monotonic();
        peers.metrics.sent.add(wire::message_len(&frame));
        let call = async {
            let client = peers.client(&to).ok_or_else(|| (None, "no address".to_owned()))?;
            client.call(PATH, frame).await
        };
        let mut stop = peers.stop.subscribe();
        let answer = tokio::select! {
            answer = tokio::time::timeout(peers.timeout, call) => {
                answer.unwrap_or_else(|_| Err((None, "no answer in time".to_owned())))
            }
            _ = stop.wait_for(|stopped| *stopped) => return,
        };
        let answer = answer.and_then(|bytes| {
            peers.metrics.received.add(bytes.len() as u64);
            wire::read_answer(&bytes, peers.parts()).map_err(|error| (None, error.to_string()))
        });
        let requests = match answer {
            Ok(answer) => {
                let took = peers.clock.monotonic().saturating_sub(started);
                peers.metrics.round_trip.record(took.as_secs_f64() * 1000.0);
                self.with_node(peers, |node, now, host, out| node.answered(now, &to, answer, host, out)).1
            }
            Err((code, error)) => {
                tracing::debug!(member = %to, error, "tail_sampling: a peer did not answer");
                peers.metrics.failed.add(1);
                let refusal = code.and_then(server::refusal);
                self.with_node(peers, |node, now, _, _| node.refused(now, &to, sequence, refusal)).1
            }
        };
        self.dispatch(requests);
    }

    /// Answers a request. Returns a frame.
    fn answer(self: &Arc<Self>, message: &[u8]) -> Result<Bytes, status::Status> {
        let gone = || status::Status::new(Code::Unavailable, "this instance has no peers");
        let peers = self.peers.as_ref().ok_or_else(gone)?;
        peers.metrics.received.add(message.len() as u64);
        let malformed = |error: wire::Malformed| status::Status::new(Code::InvalidArgument, error.to_string());
        let (from, request) = wire::read_request(message, peers.parts()).map_err(malformed)?;
        let (answer, requests) =
            self.with_node(peers, |node, now, host, out| node.answer(now, &from, request, host, out));
        self.dispatch(requests);
        let answer = answer.map_err(|refusal| server::refused(refusal, &from))?;
        let frame = wire::write_answer(&answer);
        peers.metrics.sent.add(wire::message_len(&frame));
        lock(&peers.node).reuse(answer.report.parts);
        Ok(frame)
    }

    /// From now on decisions made here are obeyed when they are made: nobody is to decide what is decided.
    pub(super) fn stop_waiting_for_ticks(&self) {
        let Some(peers) = &self.peers else { return };
        let undone = lock(&peers.undone).end();
        self.obey(&undone);
    }

    /// Owns nothing any more, and waits until what is held is decided, at most for the configured time. Ticks go on.
    pub(super) async fn leave_peers(&self) {
        let Some(peers) = &self.peers else { return };
        let now = peers.now();
        lock(&peers.node).leave(now);
        let grace = 2 * peers.config.grace;
        let limit = peers.config.shutdown_timeout.unwrap_or(peers.decision_wait + grace);
        let until = tokio::time::Instant::now() + limit;
        loop {
            let (waits, company) = {
                let node = lock(&peers.node);
                (!node.is_idle() || self.waiting() > 0, node.has_company(peers.now()))
            };
            if !waits || !company {
                return;
            }
            if tokio::time::Instant::now() >= until {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        // With a log on disk, the spans stay there until this instance is back.
        if self.storage.get().is_none() {
            self.hand_over(peers).await;
        }
    }

    /// Tells the others what was decided here at last, and that this instance is gone.
    pub(super) async fn depart(self: &Arc<Self>) {
        let Some(peers) = &self.peers else { return };
        self.offer(peers, true);
        let now = peers.now();
        lock(&peers.node).depart(now);
        let until = tokio::time::Instant::now() + FAREWELL;
        while lock(&peers.node).has_unaware_company(peers.now()) && tokio::time::Instant::now() < until {
            tokio::time::sleep(POLL).await;
        }
        peers.stop.send_replace(true);
        peers.tasks.close();
        peers.tasks.wait().await;
        if let Some((server, resolver)) = peers.running.get() {
            server.shutdown().await;
            resolver.stop().await;
        }
        if let Some(debug) = peers.debug.get() {
            debug.shutdown().await;
        }
    }
}

/// Says which traces the counters of those decisions count.
fn name_lonely(id: &pdata::TraceId, basis: Basis) {
    let trace_id = format_args!("{:032x}", u128::from_be_bytes(*id));
    tracing::debug!(%trace_id, ?basis, "tail_sampling has decided a trace without hearing all its peers");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
