//! The fleet: hosts with their nodes, the network between them, and the events in order of time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt::Write as _;
use std::sync::Arc;

use super::Outcome;
use super::check::{Checks, Failure};
use super::plan::{BUSY, END, Fault, GRACE, HEALED, Plan, Profile, TICK, WAIT};
use super::random::{Random, mix};
use crate::{
    Answer, Basis, Collect, Decision, Entry, Millis, Node, Obey, Offer, Output, Refusal, Report, Request, Ring,
    Settings, TraceId,
};

/// The spans of a part, and how often a span was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans {
    pub(super) set: u64,
    pub(super) count: u32,
}

impl Entry for Spans {
    fn merge(&mut self, other: &Self) {
        self.set |= other.set;
        self.count += other.count;
    }
}

/// A trace's number is its id.
pub(super) fn number(id: &TraceId) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|at| id[at + 8]))
}

pub(super) fn id(number: u64) -> TraceId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// Rendezvous hashing.
struct HighestWins(Vec<u64>);

impl Ring for HighestWins {
    fn owner(&self, id: &TraceId) -> usize {
        let best = (0..self.0.len()).max_by_key(|at| mix(self.0[*at] ^ mix(number(id))));
        best.unwrap_or(0)
    }

    fn shares(&self) -> Vec<f64> {
        vec![1.0 / self.0.len().max(1) as f64; self.0.len()]
    }
}

impl Decision for u64 {
    fn agrees(&self, other: &Self) -> bool {
        self == other
    }
}

fn ring(names: &[Arc<str>]) -> Box<dyn Ring + Send> {
    Box::new(HighestWins(
        names.iter().map(|name| name.bytes().fold(7, |hash, byte| mix(hash ^ u64::from(byte)))).collect(),
    ))
}

/// A trace that waits at a host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Open {
    pub(super) spans: Spans,
    /// By the fleet's time.
    pub(super) due: Millis,
    pub(super) offered: u32,
}

/// By the trace's number.
struct Waiting<'a>(&'a BTreeMap<u64, Open>);

impl crate::Host<Spans> for Waiting<'_> {
    fn entry(&mut self, id: &TraceId, _: u32) -> Option<Spans> {
        self.0.get(&number(id)).map(|open| open.spans)
    }
}

/// An instance: what a sampler is to its node.
pub(super) struct Host {
    pub(super) node: Option<Node<Spans, u64>>,
    /// By the trace's number.
    pub(super) open: BTreeMap<u64, Open>,
    pub(super) obeyed: BTreeMap<u64, u64>,
    pub(super) clock: LocalClock,
    /// Number of its run; higher each time, if the clock has not gone back.
    pub(super) incarnation: u64,
    pub(super) starts: u64,
    /// Stands still until then.
    pub(super) hangs_until: Millis,
    started: Millis,
    leaves: bool,
    /// It may not wait any more, and gives its spans to their owners.
    pub(super) hands_over: bool,
    /// Those that are on their way, by the trace's number.
    pub(super) in_transfer: BTreeMap<u64, Given>,
    pub(super) attempts: u64,
    /// Traces of which it has taken over spans.
    pub(super) absorbed: BTreeSet<u64>,
    /// It takes no more spans, and is gone then.
    pub(super) departs: Option<Millis>,
    /// It does not come back under this name.
    left: bool,
    pub(super) sees: Vec<bool>,
    /// When that list was made.
    sees_of: Millis,
}

/// A member's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalClock {
    ahead: Millis,
    /// It loses so many milliseconds a second.
    slow: Millis,
}

impl LocalClock {
    /// What it shows at a moment of the fleet's time.
    pub(super) fn at(self, moment: Millis) -> Millis {
        moment + self.ahead - moment * self.slow / 1_000
    }
}

/// A part that is handed over.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) trace: u64,
    pub(super) spans: Spans,
    pub(super) due: Millis,
    pub(super) absorbed: crate::Givers,
    /// Counts the sender's attempts.
    pub(super) attempt: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Tick(usize, u64),
    Span(u64, u32, usize),
    Request(usize, usize, Request<Spans, u64>),
    Answer(usize, usize, Answer<Spans, u64>),
    Refused(usize, usize, u64, Refusal),
    /// From, to, the sender's incarnation, traces with spans and due times.
    HandOver(usize, usize, u64, Vec<Given>),
    /// The answer: from, to, whether they were taken, the traces.
    Handed(usize, usize, bool, Vec<Given>),
    /// The sender gives up waiting for an answer: sender, receiver, the sender's run.
    GivenUp(usize, usize, u64, Vec<Given>),
    Fault(usize),
    /// The member's resolver has looked: the list, and when it was made.
    Sees(usize, Vec<bool>, Millis),
}

struct Queued(Millis, u64, Event);

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

pub(super) struct World {
    random: Random,
    plan: Plan,
    profile: Profile,
    seed: u64,
    pub(super) now: Millis,
    queue: BinaryHeap<Reverse<Queued>>,
    queued: u64,
    pub(super) hosts: Vec<Host>,
    pub(super) names: Vec<String>,
    /// From, to, until.
    cuts: Vec<(usize, usize, Millis)>,
    pub(super) checks: Checks,
    outcome: Outcome,
    /// At the end: traces that were obeyed differently by different members.
    pub(super) broken: Vec<u64>,
    /// The trace whose events are written down.
    watched: Option<Option<u64>>,
    log: String,
}

impl World {
    pub(super) fn new(profile: Profile, seed: u64, watched: Option<Option<u64>>) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(profile, &mut random);
        let clocks = profile.has(Profile::Clock);
        let listed: Vec<bool> = (0..plan.members).map(|member| member < plan.first).collect();
        let host = |random: &mut Random| Host {
            node: None,
            open: BTreeMap::new(),
            obeyed: BTreeMap::new(),
            clock: LocalClock { ahead: random.below(1_000_000), slow: if clocks { random.below(10) } else { 0 } },
            incarnation: 0,
            starts: 0,
            hangs_until: 0,
            started: 0,
            leaves: false,
            hands_over: false,
            in_transfer: BTreeMap::new(),
            attempts: 0,
            absorbed: BTreeSet::new(),
            departs: None,
            left: false,
            sees: listed.clone(),
            sees_of: 0,
        };
        let hosts = (0..plan.members).map(|_| host(&mut random)).collect();
        let names = (0..plan.members).map(|member| format!("member-{member}")).collect();
        let mut world = Self {
            checks: Checks::new(profile),
            random,
            profile,
            seed,
            now: 0,
            queue: BinaryHeap::new(),
            queued: 0,
            hosts,
            names,
            cuts: Vec::new(),
            outcome: Outcome::default(),
            broken: Vec::new(),
            watched,
            log: String::new(),
            plan,
        };
        for member in 0..world.plan.first {
            world.start(member);
        }
        for fault in 0..world.plan.faults.len() {
            world.at(world.plan.faults[fault].0, Event::Fault(fault));
        }
        world.plan_spans();
        world
    }

    fn plan_spans(&mut self) {
        for trace in 1..=self.plan.traces {
            let begin = self.random.below(BUSY);
            self.outcome.traces += 1;
            for span in 0..u32::try_from(self.random.between(1, 8)).unwrap_or(1) {
                // Most come soon, some while the trace is decided, some when it is long decided.
                let delay = match self.random.below(10) {
                    0 => self.random.between(WAIT - 500, WAIT + 2_000),
                    1 => self.random.between(WAIT, 3 * WAIT),
                    _ => self.random.below(1_500),
                };
                let member = self.random.index(self.plan.members);
                self.at((begin + delay).min(HEALED), Event::Span(trace, span, member));
            }
        }
    }

    /// The settings of every node.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            wait: WAIT,
            grace: GRACE,
            unsettled_for: 4 * WAIT + 2 * GRACE,
            max_traces: self.plan.max_traces,
            remember: 10_000,
            max_owed: if self.profile.has(Profile::Tight) { 3 } else { 10_000 },
            max_batch: if self.profile.has(Profile::Tight) { 3 } else { 1_000 },
            admit_strangers: true,
            seed: self.seed,
        }
    }

    pub(super) fn at(&mut self, time: Millis, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse(Queued(time, self.queued, event)));
    }

    /// Writes an event down, if it concerns the watched trace or the fleet.
    pub(super) fn note(&mut self, trace: Option<u64>, text: impl FnOnce() -> String) {
        let Some(watched) = self.watched else { return };
        if trace.is_none() || trace == watched {
            let _ = writeln!(self.log, "{:>7} ms  {}", self.now, text());
        }
    }

    pub(super) fn events(self) -> String {
        self.log
    }

    pub(super) fn run(&mut self) -> Result<Outcome, Failure> {
        while let Some(Reverse(Queued(time, _, event))) = self.queue.pop() {
            if time > END {
                break;
            }
            self.now = time;
            self.step(event)?;
            Checks::after_event(self)?;
        }
        self.broken = self.checks.at_end(&self.hosts, &mut self.outcome)?;
        Ok(self.outcome)
    }

    fn step(&mut self, event: Event) -> Result<(), Failure> {
        let hung = match &event {
            Event::Tick(member, _) | Event::Request(_, member, _) | Event::Sees(member, ..) => *member,
            Event::Answer(_, member, _) | Event::Refused(_, member, ..) | Event::Span(_, _, member) => *member,
            Event::HandOver(_, member, ..) | Event::Handed(_, member, ..) | Event::GivenUp(member, ..) => *member,
            Event::Fault(_) => usize::MAX,
        };
        if let Some(until) = self.hosts.get(hung).map(|host| host.hangs_until).filter(|until| *until > self.now) {
            self.at(until, event);
            return Ok(());
        }
        match event {
            Event::Tick(member, start) => self.tick(member, start),
            Event::Span(trace, span, member) => {
                self.span(trace, span, member);
                Ok(())
            }
            Event::Request(from, to, request) => self.request(from, to, request),
            Event::Answer(from, to, answer) => self.answer(from, to, answer),
            Event::Refused(from, to, sequence, why) => {
                let (name, now) = (self.names[from].clone(), self.local(to));
                if let Some(node) = &mut self.hosts[to].node {
                    node.refused(now, &name, sequence, Some(why));
                }
                Ok(())
            }
            Event::HandOver(from, to, incarnation, given) => self.take_over(from, to, incarnation, given),
            Event::Handed(from, to, taken, given) => self.handed(from, to, taken, &given),
            Event::GivenUp(member, to, start, given) => {
                if self.hosts[member].starts == start {
                    self.give_up(member, to, &given)
                } else {
                    Ok(())
                }
            }
            Event::Fault(at) => {
                let fault = self.plan.faults[at].1.clone();
                if let Fault::Return(member) = &fault
                    && self.hosts[*member].leaves
                    && self.hosts[*member].node.is_some()
                {
                    // Not before it has gone.
                    self.at(self.now + TICK, Event::Fault(at));
                    return Ok(());
                }
                self.fault(fault)
            }
            Event::Sees(member, list, made) => {
                let host = &mut self.hosts[member];
                // A resolver that looks later does not see an older list.
                if made >= host.sees_of {
                    (host.sees, host.sees_of) = (list, made);
                    self.resolve(member);
                }
                Ok(())
            }
        }
    }

    /// When the member started last.
    pub(super) fn started(&self, member: usize) -> Millis {
        self.hosts.get(member).map_or(0, |host| host.started)
    }

    /// The member's own clock.
    pub(super) fn local(&self, member: usize) -> Millis {
        self.hosts[member].clock.at(self.now)
    }

    fn start(&mut self, member: usize) {
        if self.hosts[member].node.is_some() || self.hosts[member].left {
            return;
        }
        self.hosts[member].starts += 1;
        let (settings, now) = (self.settings(), self.local(member));
        // Not in a storm: a run with a lower number must not hand over what an earlier one has reported.
        let goes_back = self.profile == Profile::Clock && self.random.percent(50);
        let host = &mut self.hosts[member];
        let start = host.starts;
        host.incarnation = if goes_back { 1_000 - start } else { 1_000 + start };
        let mut node = Node::new(&self.names[member], host.incarnation, 1, settings, now, ring);
        let mut out = Output::default();
        // What storage has kept.
        for (trace, decision) in &host.obeyed {
            node.recall(&id(*trace), *decision);
        }
        let clock = host.clock;
        for (trace, open) in &mut host.open {
            open.offered = 0;
            let offer = Offer { id: id(*trace), at: 0, due: clock.at(open.due) };
            if node.offer(now, &offer, &mut out) {
                open.offered = open.spans.count;
                self.checks.offered(*trace, member, open.spans.set, open.due, self.now);
            }
        }
        host.node = Some(node);
        host.started = self.now;
        self.note(None, || format!("member-{member} starts"));
        self.resolve(member);
        let phase = self.random.below(TICK);
        self.at(self.now + phase, Event::Tick(member, start));
    }

    fn resolve(&mut self, member: usize) {
        let now = self.local(member);
        let host = &mut self.hosts[member];
        let names: Vec<&str> =
            self.names.iter().zip(&host.sees).filter(|(_, listed)| **listed).map(|(name, _)| name.as_str()).collect();
        if let Some(node) = &mut host.node {
            node.set_members(now, &names);
        }
        let sees = format!("member-{member} sees {names:?}");
        self.note(None, || sees);
    }

    fn span(&mut self, trace: u64, span: u32, member: usize) {
        // A balancer sends elsewhere what a dead member cannot take.
        let takes = |host: &Host| host.node.is_some() && host.departs.is_none() && !host.hands_over;
        let up: Vec<usize> = (0..self.hosts.len()).filter(|at| takes(&self.hosts[*at])).collect();
        let Some(member) = up.get(member % up.len().max(1)).copied() else { return };
        let now = self.now;
        let host = &mut self.hosts[member];
        if host.obeyed.contains_key(&trace) {
            self.note(Some(trace), || format!("span {span} comes late to member-{member}, which knows the decision"));
            return;
        }
        let open = host.open.entry(trace).or_insert(Open { spans: Spans::default(), due: now + WAIT, offered: 0 });
        open.spans.merge(&Spans { set: 1 << span, count: 1 });
        self.note(Some(trace), || format!("span {span} comes to member-{member}"));
    }

    fn tick(&mut self, member: usize, start: u64) -> Result<(), Failure> {
        if self.hosts[member].starts != start || self.hosts[member].node.is_none() {
            return Ok(());
        }
        let next = self.now + TICK - self.random.below(TICK / 4);
        self.at(next, Event::Tick(member, start));
        let now = self.local(member);
        let mut out = Output::default();
        let mut offered = Vec::new();
        let host = &mut self.hosts[member];
        let clock = host.clock;
        if let Some(node) = &mut host.node {
            let changed = host.open.iter_mut().filter(|(_, open)| open.offered != open.spans.count);
            let changed: Vec<_> = changed.collect();
            let offer = |(trace, open): &(&u64, &mut Open)| Offer { id: id(**trace), at: 0, due: clock.at(open.due) };
            let offers: Vec<_> = changed.iter().map(offer).collect();
            let mut refused = Vec::new();
            node.offer_all(now, &offers, &mut out, &mut refused);
            for (trace, open) in changed {
                if !refused.contains(&id(*trace)) {
                    open.offered = open.spans.count;
                    offered.push((*trace, open.spans.set, open.due));
                }
            }
            node.tick(now, &mut Waiting(&host.open), &mut out);
        }
        for (trace, set, due) in offered {
            self.checks.offered(trace, member, set, due, self.now);
            let owner = self.hosts[member].node.as_ref().and_then(|node| node.owner_of(&id(trace)).cloned());
            self.note(Some(trace), || format!("member-{member} offers {set:#b}, for {owner:?}"));
        }
        // Traces for which there is no room are the host's own.
        let now = self.now;
        let longest = self.settings().longest_wait(TICK);
        let is_full = |open: &&Open| open.offered == 0 && open.due + longest <= now;
        let full: Vec<u64> =
            self.hosts[member].open.iter().filter(|(_, open)| is_full(open)).map(|(trace, _)| *trace).collect();
        for trace in full {
            self.decide_early(member, trace, &mut out);
        }
        self.act(member, out)?;
        if self.hosts[member].hands_over {
            self.hand_over(member);
        }
        self.go_if_idle(member);
        Ok(())
    }

    fn go_if_idle(&mut self, member: usize) {
        // The last one stays: there is nobody to hand anything to, and spans go on to come.
        let others = self.hosts.iter().any(|host| host.node.is_some() && !host.leaves);
        let (now, local) = (self.now, self.local(member));
        let host = &mut self.hosts[member];
        let in_a_hurry = host.hands_over && host.in_transfer.is_empty();
        let may_go = host.leaves && host.open.is_empty();
        let Some(node) = host.node.as_mut().filter(|node| may_go && (in_a_hurry || node.is_idle())) else { return };
        match host.departs {
            None if others => {
                node.depart(local);
                host.departs = Some(now + GRACE / 2);
                // From now on nobody asks it.
                self.checks.forget_unknown(&self.hosts);
            }
            Some(at) if at <= now => {
                host.node = None;
                host.left = true;
                self.note(None, || format!("member-{member} has gone"));
            }
            None | Some(_) => {}
        }
    }

    fn decide_early(&mut self, member: usize, trace: u64, out: &mut Output<Spans, u64>) {
        let host = &mut self.hosts[member];
        let Some(open) = host.open.remove(&trace) else { return };
        let decision = open.spans.set;
        self.note(Some(trace), || format!("member-{member} decides early: {decision:#b}"));
        let host = &mut self.hosts[member];
        host.obeyed.insert(trace, decision);
        if let Some(node) = &mut host.node {
            node.decided_early(&id(trace), decision, out);
        }
        self.checks.judged(trace, (member, Basis::Alone), decision, self.now, &self.hosts).ok();
        self.outcome.alone += 1;
    }

    /// Does what the node wants done.
    pub(super) fn act(&mut self, member: usize, mut out: Output<Spans, u64>) -> Result<(), Failure> {
        for judge in std::mem::take(&mut out.judge) {
            let (trace, decision) = (number(&judge.id), judge.entry.set);
            self.note(Some(trace), || format!("member-{member} judges {decision:#b}, {:?}", judge.basis));
            let counted = judge.entry.count == judge.entry.set.count_ones();
            if !counted {
                let twice = || Failure::of(trace, "spans are counted twice");
                self.checks.may_count_twice(trace).then_some(()).ok_or_else(twice)?;
            }
            self.checks.judged(trace, (member, judge.basis), decision, self.now, &self.hosts)?;
            match judge.basis {
                Basis::Agreed => self.outcome.agreed += 1,
                Basis::Incomplete => self.outcome.incomplete += 1,
                Basis::Alone => self.outcome.alone += 1,
            }
            if let Some(node) = &mut self.hosts[member].node {
                node.conclude(&judge, decision, &mut out);
            }
        }
        for Obey { id, at: _, decision } in out.obey {
            let trace = number(&id);
            self.note(Some(trace), || format!("member-{member} obeys {decision:#b}"));
            let host = &mut self.hosts[member];
            if host.open.remove(&trace).is_some() {
                let before = host.obeyed.insert(trace, decision);
                Checks::obeyed(trace, before, decision)?;
                self.checks.learns(trace, member, self.now);
            }
        }
        for (to, request) in out.requests {
            let Some(to) = self.names.iter().position(|name| **name == *to) else { continue };
            self.note_collect(member, to, &request.collect);
            if let Some(report) = &request.report {
                self.reported(member, to, report);
            }
            self.send(member, to, &Event::Request(member, to, request));
        }
        Ok(())
    }

    fn send(&mut self, from: usize, to: usize, event: &Event) {
        let copies = 1 + u64::from(self.random.percent(self.plan.repeat));
        self.send_copies(from, to, event, copies);
    }

    pub(super) fn send_copies(&mut self, from: usize, to: usize, event: &Event, copies: u64) {
        self.outcome.messages += 1;
        let now = self.now;
        self.cuts.retain(|(_, _, until)| *until > now);
        let is_cut = self.cuts.iter().any(|(a, b, _)| (*a, *b) == (from, to));
        let healed = self.now >= HEALED;
        for _ in 0..copies {
            let is_lost = is_cut || (!healed && self.random.percent(self.plan.loss));
            let slow = if self.random.percent(10) { 4 } else { 1 };
            let delay = 1 + self.random.below(self.plan.max_delay * slow);
            if !is_lost {
                self.at(self.now + delay, event.clone());
            }
        }
    }

    fn note_collect(&mut self, from: usize, to: usize, collect: &Collect<u64>) {
        let sequence = collect.sequence;
        for trace in collect.decisions.iter().map(|told| &told.id).chain(&collect.questions).map(number) {
            self.note(Some(trace), || format!("member-{from} tells or asks member-{to} (collect {sequence})"));
        }
    }

    fn reported(&mut self, from: usize, to: usize, report: &Report<Spans, u64>) {
        self.checks.reports(from, report, self.now);
        let (_, sequence) = report.answers;
        for trace in report.parts.iter().map(|part| number(&part.id)) {
            self.note(Some(trace), || format!("member-{from} reports it to member-{to} (collect {sequence})"));
        }
    }

    fn request(&mut self, from: usize, to: usize, request: Request<Spans, u64>) -> Result<(), Failure> {
        let (name, now, sequence) = (self.names[from].clone(), self.local(to), request.collect.sequence);
        let Host { node: Some(node), open, .. } = &mut self.hosts[to] else { return Ok(()) };
        if let Some(report) = &request.report {
            self.checks.hears(to, from, report);
        }
        let mut out = Output::default();
        let answer = node.answer(now, &name, request, &mut Waiting(open), &mut out);
        self.act(to, out)?;
        match answer {
            Ok(answer) => {
                self.reported(to, from, &answer.report);
                if let Some(collect) = &answer.collect {
                    self.note_collect(to, from, collect);
                }
                self.send(to, from, &Event::Answer(to, from, answer));
            }
            Err(why) => self.send(to, from, &Event::Refused(to, from, sequence, why)),
        }
        Ok(())
    }

    fn answer(&mut self, from: usize, to: usize, answer: Answer<Spans, u64>) -> Result<(), Failure> {
        let (name, now) = (self.names[from].clone(), self.local(to));
        let mut out = Output::default();
        if let Host { node: Some(node), open, .. } = &mut self.hosts[to] {
            self.checks.hears(to, from, &answer.report);
            node.answered(now, &name, answer, &mut Waiting(open), &mut out);
        }
        self.act(to, out)
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Failure> {
        self.note(None, || format!("fault: {fault:?}"));
        match fault {
            Fault::Cut(from, to, until) => self.cuts.push((from, to, until)),
            Fault::Crash(member, keeps_memory) => {
                let host = &mut self.hosts[member];
                if host.node.take().is_some() {
                    // Storage has the spans, and not whose they were.
                    self.checks.givers_forgotten(&std::mem::take(&mut host.absorbed));
                    host.in_transfer.clear();
                    // Who has storage hands nothing over.
                    if !keeps_memory || host.hands_over {
                        host.open.clear();
                        host.obeyed.clear();
                    }
                    self.checks.crashed(member, &self.hosts);
                }
            }
            Fault::Start(member) => self.start(member),
            Fault::Hang(member, until) => {
                self.hosts[member].hangs_until = until;
                self.checks.hung(member, until);
            }
            Fault::Leave(member) => {
                let now = self.local(member);
                self.hosts[member].leaves = true;
                if let Some(node) = &mut self.hosts[member].node {
                    node.leave(now);
                }
            }
            Fault::HandOver(member) => {
                // The last one has nobody to hand anything to.
                let others =
                    self.hosts.iter().enumerate().any(|(at, host)| at != member && host.node.is_some() && !host.leaves);
                self.hosts[member].hands_over = self.hosts[member].leaves && others;
            }
            Fault::List(list) => {
                for member in 0..self.hosts.len() {
                    // Resolvers look every so often.
                    let delay = self.random.below(GRACE / 2);
                    self.at(self.now + delay, Event::Sees(member, list.clone(), self.now));
                }
            }
            Fault::Sees(member, list) => {
                let host = &mut self.hosts[member];
                (host.sees, host.sees_of) = (list, self.now);
                self.resolve(member);
            }
            Fault::Return(member) => {
                let host = &mut self.hosts[member];
                if host.node.is_none() {
                    (host.left, host.leaves, host.hands_over, host.departs) = (false, false, false, None);
                    host.in_transfer.clear();
                    host.absorbed.clear();
                    host.open.clear();
                    host.obeyed.clear();
                    self.checks.crashed(member, &self.hosts);
                    self.start(member);
                }
            }
            Fault::Early(member) => {
                let waiting: Vec<u64> = self.hosts[member].open.keys().copied().collect();
                if let Some(trace) = waiting.get(self.random.index(waiting.len())).copied() {
                    let mut out = Output::default();
                    self.decide_early(member, trace, &mut out);
                    return self.act(member, out);
                }
            }
        }
        Ok(())
    }
}
