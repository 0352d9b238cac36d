//! One shard of the processor: a pure state machine. Time and batches are arguments; it spawns, sleeps and sends
//! nothing. What is to be sent is handed to the caller, who may let go of its lock between steps.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use component::Clock;
use hashbrown::HashSet;
use pdata::{SpanView, TraceId, Traces};

use super::config::{Config, Strategy};
use super::counts::{Counts, Early, Final};
use super::decide::NOT_SAMPLED;
use super::decided::{Decided, Decision, Lru};
use super::encoded;
use super::entry::Facts;
use super::envelope::{Envelope, Envelopes};
use super::id_hash::IdHash;
use super::log::{Link, Log};
use super::mark::{Late, Mark, Marking};
use super::output::Collecting;
use super::part::TracePart;
use super::peers::{self, Exchange};
use super::policy::{Asked, Now, Policies, Questions, State};
use super::recent::Recent;
use super::size::Place;
use super::storage;
use super::table::{Located, Table};
use super::touched::Touched;

/// The part of a shard that waits for ticks. See `decide.rs` for decisions and `output.rs` for what comes out.
pub(super) struct Sampler {
    pub(super) policies: Arc<Policies>,
    pub(super) config: Arc<Config>,
    pub(super) state: State,
    pub(super) table: Table,
    pub(super) log: Log,
    pub(super) envelopes: Envelopes,
    pub(super) decided: Decided,
    pub(super) sampled_cache: Lru,
    pub(super) non_sampled_cache: Lru,
    pub(super) counts: Counts,
    /// Ticks so far.
    pub(super) tick: u32,
    /// Traces whose time has come, from `due_at` on not decided yet.
    pub(super) due: Vec<u32>,
    pub(super) due_at: usize,
    /// Entries of traces that go out and whose spans are still in the log, with the decision on them.
    pub(super) kept: VecDeque<(u32, Mark)>,
    pub(super) kept_bytes: u64,
    /// The batch that is being put together from them.
    pub(super) collecting: Option<Collecting>,
    /// What the last one was put together in.
    pub(super) emptied: Collecting,
    /// ResourceSpans are numbered: those of the arriving batch from here on.
    first_part: u32,
    next_part: u32,
    last_arrival: u64,
    touched: Touched,
    stamped: Vec<u64>,
    /// When the last trace was decided, Unix seconds.
    pub(super) settled_seconds: u32,
    /// With storage: decisions that are to be logged.
    pub(super) unlogged: Option<Vec<storage::Decision>>,
    /// Files of the durable log that relocated traces are still in, by the tick until which they are needed.
    pub(super) held_epochs: BTreeMap<u32, u32>,
    /// While the log of an earlier process is read: seconds since the batch arrived.
    pub(super) recovering: Option<u32>,
    /// Where the traces of a batch's rows wait, as far as they did when its turn came.
    located: Located,
    /// With peers.
    pub(super) exchange: Option<Box<Exchange>>,
    pub(super) marking: Marking,
    /// Decisions that can be looked at.
    pub(super) recent: Recent,
    /// With `decide_early`: traces that the arriving batch has spans of.
    pub(super) arrived: Vec<u32>,
    /// Waiting traces whose spans have not been asked the newest questions.
    pub(super) unasked: HashSet<u32, foldhash::fast::RandomState>,
    pub(super) questions: Arc<Questions>,
}

/// Which of a batch's rows a shard takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) shard: u32,
    pub(super) of: u32,
}

impl Share {
    /// contrib's routing of traces to shards: the finaliser of splitmix64 over the two halves of the id.
    pub(super) fn takes(self, id: &TraceId) -> bool {
        if self.of <= 1 {
            return true;
        }
        let (first, second) = super::id_hash::halves(id);
        let mut hash = first ^ second;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
        hash % u64::from(self.of) == u64::from(self.shard)
    }
}

/// Where a span belongs.
enum Placed {
    Waiting(u32),
    Decided(Mark),
    NoRoom,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// All rows were taken.
    All,
    /// The table is full and may not overflow: the row to go on with after a tick.
    UpTo(usize),
    /// The policies have been replaced since the questions were asked: nothing was taken, they have to be asked again.
    Outdated,
}

impl Sampler {
    /// A shard with the configuration of [`Config::for_shard`].
    pub(super) fn new(config: Arc<Config>, policies: Arc<Policies>, questions: Arc<Questions>, hash: IdHash) -> Self {
        Self {
            state: policies.fresh_state(),
            table: Table::new(policies.shape(), hash),
            log: Log::new(),
            envelopes: Envelopes::new(hash.seed()),
            decided: Decided::new(config.decisions(), hash),
            sampled_cache: Lru::new(config.sampled_cache_size, hash),
            non_sampled_cache: Lru::new(config.non_sampled_cache_size, hash),
            counts: Counts::new(policies.list().len()),
            tick: 0,
            due: Vec::new(),
            due_at: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            collecting: None,
            emptied: Collecting::default(),
            first_part: 0,
            next_part: 0,
            last_arrival: 0,
            touched: Touched::default(),
            stamped: Vec::new(),
            settled_seconds: 0,
            unlogged: None,
            held_epochs: BTreeMap::new(),
            recovering: None,
            located: Located::default(),
            exchange: None,
            marking: Marking::of(&config),
            recent: Recent::new(config.recent_decisions),
            arrived: Vec::new(),
            unasked: HashSet::default(),
            questions,
            policies,
            config,
        }
    }

    /// To be called once a batch, before its first [`Sampler::ingest`].
    pub(super) fn begin_batch(&mut self, resources: usize) {
        self.first_part = self.next_part;
        self.next_part = self.next_part.wrapping_add(narrow(resources));
    }

    /// Takes the rows of a batch from `from` on. Rows of traces that are sampled already go to `forward`.
    pub(super) fn ingest(
        &mut self,
        traces: &Traces,
        asked: &Asked,
        share: Share,
        from: usize,
        clock: &dyn Clock,
        forward: &mut Late,
    ) -> Taken {
        if asked.generation != self.policies.generation() {
            return Taken::Outdated;
        }
        let now = now(clock);
        self.locate(traces);
        let weigh = self.policies.weigh();
        let mut recent: Option<(TraceId, u32)> = None;
        let mut taken = Taken::All;
        'rows: for resource in traces.resources() {
            let part = self.first_part.wrapping_add(narrow(resource.index()));
            let bytes = resource.resource();
            let resource_len = if weigh { encoded::resource_len(bytes) } else { bytes.len() };
            for scope in resource.scopes() {
                let bytes = scope.scope();
                let scope_len = if weigh { encoded::scope_len(bytes) } else { bytes.len() };
                let place = Place {
                    part,
                    scope: narrow(scope.index()),
                    resource_len: narrow(resource_len),
                    scope_len: narrow(scope_len),
                };
                let mut envelope = None;
                for span in scope.spans() {
                    let id = span.trace_id();
                    if span.index() < from || !share.takes(id) {
                        continue;
                    }
                    let at = match recent {
                        Some((last, at)) if last == *id => at,
                        // The first of a run of its spans.
                        _ => match self.place(id, span.index(), part, clock, now) {
                            Placed::Waiting(at) => {
                                if let Some(exchange) = &mut self.exchange {
                                    exchange.touch(at);
                                }
                                at
                            }
                            Placed::Decided(mark) => {
                                if self.goes_out(mark) {
                                    forward.push((span.index(), mark));
                                }
                                continue;
                            }
                            Placed::NoRoom => {
                                taken = Taken::UpTo(span.index());
                                self.release_envelope(envelope);
                                break 'rows;
                            }
                        },
                    };
                    recent = Some((*id, at));
                    let envelope = *envelope.get_or_insert_with(|| {
                        self.envelopes.intern(&Envelope {
                            resource: resource.resource(),
                            resource_schema_url: resource.schema_url(),
                            scope: scope.scope(),
                            scope_schema_url: scope.schema_url(),
                        })
                    });
                    if !self.fold(at, asked, &span, place, envelope, now) {
                        recent = None;
                        if self.goes_out(NOT_SAMPLED) {
                            forward.push((span.index(), NOT_SAMPLED));
                        }
                    }
                }
                self.release_envelope(envelope);
            }
            // contrib asks about each ResourceSpans by itself.
            if self.config.strategy == Strategy::SpanIngest {
                self.decide_touched(clock);
                recent = None;
            }
        }
        self.decide_touched(clock);
        if self.config.decide_early {
            self.decide_certain(clock);
        }
        taken
    }

    /// Looks the traces of a batch up. Those that do not wait are looked for among the decided ones next, in tables
    /// that are larger still: all rows ask for that memory before the first is waited for.
    fn locate(&mut self, traces: &Traces) {
        self.table.locate(traces, &mut self.located);
        // Most of those are new, and get entries.
        self.table.warm_free(self.located.elsewhere().count());
        self.warm_decisions(|| self.located.elsewhere());
    }

    /// True if the spans of a trace with this decision are sent on.
    fn goes_out(&self, mark: Mark) -> bool {
        mark.outcome == Final::Sampled || self.config.dry_run
    }

    fn release_envelope(&mut self, envelope: Option<u32>) {
        if let Some(envelope) = envelope {
            self.envelopes.release(envelope);
        }
    }

    /// Finds the trace, or what was decided about it, or makes room for it.
    fn place(&mut self, id: &TraceId, row: usize, part: u32, clock: &dyn Clock, now: Now) -> Placed {
        if let Some(at) = self.table.find_from(self.located.row(row), id) {
            return Placed::Waiting(at);
        }
        if let Some(mark) = self.remembered(id, part, now) {
            return Placed::Decided(mark);
        }
        // What an earlier process had room for needs no room to be made.
        if self.table.len() >= self.config.num_traces && self.recovering.is_none() {
            if self.config.block_on_overflow {
                return Placed::NoRoom;
            }
            self.decide_oldest(1, Early::NumTraces, clock);
        }
        self.counts.new_traces += 1;
        Placed::Waiting(self.table.insert(*id, self.due_after(self.config.decision_wait_seconds)))
    }

    /// Adds a span to a waiting trace: its facts, its answers, its bytes. False if the trace does not wait any more.
    fn fold(&mut self, at: u32, asked: &Asked, view: &SpanView<'_>, place: Place, envelope: u32, now: Now) -> bool {
        let (row, span) = (view.index(), view.bytes());
        let facts = asked.facts(row);
        // Arrivals are all different, so that of two outcomes one is the earlier.
        let arrival = now.unix_nano.max(self.last_arrival.saturating_add(1));
        self.last_arrival = arrival;
        let entry = self.table.entry_mut(at);
        let len = if self.policies.weigh() { encoded::span_len(span) } else { span.len() };
        let growth = entry.group.add(place, narrow(len));
        let part = Facts {
            first_arrival: arrival,
            earliest_start: facts.start_unix_nano,
            latest_end: facts.end_unix_nano,
            bytes: growth.encoded,
            spans: 1,
        };
        entry.facts.merge(&part);
        entry.received_bytes += growth.received;
        let limit = self.config.maximum_trace_size_bytes;
        if limit > 0 && entry.received_bytes > limit {
            self.drop_too_large(at, now);
            return false;
        }
        let previous = entry.last;
        let link =
            self.log.append(&entry.id, previous, envelope, (view.bytes_onward(), span.len()), &mut self.envelopes);
        entry.last = link;
        if previous == Link::NONE {
            entry.born = link.segment;
        }
        let shape = self.policies.shape();
        let mut answers = asked.answers(row);
        if shape.has_outcomes() {
            self.stamped.clear();
            self.stamped.extend_from_slice(answers);
            shape.stamp(&mut self.stamped, arrival);
            answers = &self.stamped;
        }
        match self.config.strategy {
            Strategy::TraceComplete => self.table.merge_answers(at, answers),
            Strategy::SpanIngest => self.touched.add(at, &part, shape, answers),
        }
        if self.config.decide_early && self.arrived.last() != Some(&at) {
            self.arrived.push(at);
        }
        if let (true, Some(wait)) = (facts.is_root, self.config.decision_wait_after_root_seconds) {
            self.table.hasten(at, self.due_after(wait));
        }
        true
    }

    /// The tick that is `seconds` full ticks after the next one.
    fn due_after(&self, seconds: u32) -> u32 {
        self.tick.saturating_add(1).saturating_add(seconds.saturating_sub(self.recovering.unwrap_or(0)))
    }

    /// The decision on a trace that does not wait any more, if it is remembered.
    fn remembered(&mut self, id: &TraceId, part: u32, now: Now) -> Option<Mark> {
        if let Some(note) = self.sampled_cache.touch(id) {
            self.counts.early_releases[1] += 1;
            return Some(note.mark(true));
        }
        if let Some(note) = self.non_sampled_cache.touch(id) {
            self.counts.early_releases[0] += 1;
            return Some(note.mark(true));
        }
        let decision = self.decided.get_mut(id)?;
        // Once a trace and ResourceSpans, as upstream.
        if decision.late_part != part {
            decision.late_part = part;
            self.counts.late_ages.add(seconds(now).saturating_sub(decision.decided));
        }
        Some(decision.note.mark(false))
    }

    /// The trace has outgrown `maximum_trace_size_bytes`: it is not sampled, and its memory is free at once.
    fn drop_too_large(&mut self, at: u32, now: Now) {
        self.counts.too_large += 1;
        self.touched.forget(at);
        // The span that was too much is not in the log.
        self.table.entry_mut(at).facts.spans -= 1;
        if let Some(exchange) = &mut self.exchange {
            let decision = peers::Decision::new(Final::NotSampled, u16::MAX);
            exchange.settled(self.table.entry(at).id, decision);
        }
        self.settle(at, NOT_SAMPLED, true, now);
    }

    /// Takes a decided trace out of the table and lets go of its spans or lists it for output. The decision is put into
    /// its cache or, if there is none and `remember` says so, among the remembered ones.
    pub(super) fn settle(&mut self, at: u32, mark: Mark, remember: bool, now: Now) {
        let sampled = mark.outcome == Final::Sampled;
        self.table.settle(at);
        if let Some(exchange) = &mut self.exchange {
            exchange.forget(at);
        }
        if !self.unasked.is_empty() {
            self.unasked.remove(&at);
        }
        let entry = self.table.entry(at);
        let (id, born, bytes, empty) = (entry.id, entry.born, entry.facts.bytes, entry.last == Link::NONE);
        let late_part = entry.group.part();
        let first_seen = narrow_seconds(entry.facts.first_arrival);
        self.settled_seconds = seconds(now);
        let goes_out = self.goes_out(mark) && !empty;
        let cache = if sampled { &mut self.sampled_cache } else { &mut self.non_sampled_cache };
        if let (Some(unlogged), false) = (&mut self.unlogged, goes_out) {
            // Decisions to keep are logged when the spans are about to go out.
            let forgotten = !remember && !cache.is_enabled();
            unlogged.push(storage::Decision { id, first_seen, decided: seconds(now), sampled, forgotten });
        }
        if cache.is_enabled() {
            cache.insert(id, mark.note());
            self.counts.removal_ages.add(seconds(now).saturating_sub(first_seen));
        } else if !remember {
            self.counts.removal_ages.add(seconds(now).saturating_sub(first_seen));
        } else {
            let decision = Decision { id, first_seen, decided: seconds(now), late_part, note: mark.note() };
            if let Some(gone) = self.decided.insert(decision) {
                self.counts.removal_ages.add(seconds(now).saturating_sub(gone.first_seen));
            }
        }
        if goes_out {
            self.kept.push_back((at, mark));
            self.kept_bytes += bytes;
        } else {
            self.let_go(at, born, empty);
        }
    }

    /// Frees the entry and the trace's hold on the log.
    pub(super) fn let_go(&mut self, at: u32, born: u32, empty: bool) {
        if !empty {
            self.log.release(born, self.table.entry(at).facts.spans, &mut self.envelopes);
        }
        self.table.free(at);
    }

    /// What is known of a waiting trace.
    pub(super) fn part(&self, id: &TraceId) -> Option<TracePart> {
        let at = self.table.find(id)?;
        Some(TracePart { facts: self.table.entry(at).facts, answers: self.table.answers(at).into() })
    }

    /// Seconds until every waiting trace is decided.
    pub(super) fn seconds_left(&self) -> u32 {
        self.table.last_due().map_or(0, |due| due.saturating_sub(self.tick))
    }

    /// Bytes of waiting spans and of what is known about their traces.
    pub(super) fn buffer_bytes(&self) -> u64 {
        let usage = self.log.usage();
        usage.raw + usage.compressed + usage.lists + self.envelopes.bytes() + self.table.bytes()
    }

    /// All memory of the shard: what `max_buffer_bytes` limits.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.buffer_bytes()
            + self.log.usage().free
            + self.decided.bytes()
            + self.sampled_cache.bytes()
            + self.non_sampled_cache.bytes()
    }

    /// Takes what `touched` holds.
    pub(super) fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// Gives the buffers of [`Sampler::take_touched`] back.
    pub(super) fn put_touched(&mut self, mut touched: Touched) {
        touched.clear();
        self.touched = touched;
    }
}

pub(super) fn now(clock: &dyn Clock) -> Now {
    Now { unix_nano: clock.unix_nano(), monotonic: clock.monotonic() }
}

fn seconds(now: Now) -> u32 {
    narrow_seconds(now.unix_nano)
}

fn narrow_seconds(unix_nano: u64) -> u32 {
    u32::try_from(unix_nano / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Lengths and row numbers of a request fit 32 bits: the index refuses larger ones.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
