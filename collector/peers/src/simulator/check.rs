//! The invariants at the head of this crate, checked after every event.

use std::collections::{BTreeMap, BTreeSet};

use super::Outcome;
use super::plan::{Profile, TICK};
use super::world::{Host, Spans, World, id};
use crate::{Basis, Millis, Report};

/// What did not hold.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) trace: Option<u64>,
    pub(super) what: String,
}

impl Failure {
    pub(super) fn of(trace: u64, what: impl Into<String>) -> Self {
        Self { trace: Some(trace), what: format!("trace {trace}: {}", what.into()) }
    }
}

/// A part as it was offered.
#[derive(Clone, Copy, Debug)]
struct Offered {
    member: usize,
    set: u64,
    at: Millis,
    /// The member has lost it since.
    lost: bool,
}

#[derive(Default)]
struct Trace {
    /// The decision, and whose.
    agreed: Option<(u64, usize)>,
    /// A decision was made that is not agreed, or one was forgotten by all who knew it.
    excused: bool,
    offered: Vec<Offered>,
    givers_forgotten: bool,
    /// The earliest of its holders' times.
    due: Option<Millis>,
    /// When a member that has spans of it has learned the decision.
    learned: BTreeMap<usize, Millis>,
}

pub(super) struct Checks {
    profile: Profile,
    traces: BTreeMap<u64, Trace>,
    hung: BTreeMap<usize, Millis>,
    /// When a report was made: by member, run and number.
    made: BTreeMap<(usize, u64, u64), Millis>,
    /// When the latest report was made that one member has heard from another: listener, speaker.
    heard: BTreeMap<(usize, usize), Millis>,
}

impl Checks {
    pub(super) fn new(profile: Profile) -> Self {
        Self { profile, traces: BTreeMap::new(), hung: BTreeMap::new(), made: BTreeMap::new(), heard: BTreeMap::new() }
    }

    pub(super) fn offered(&mut self, trace: u64, member: usize, set: u64, due: Millis, at: Millis) {
        let trace = self.traces.entry(trace).or_default();
        trace.due = Some(trace.due.map_or(due, |before| before.min(due)));
        trace.offered.push(Offered { member, set, at, lost: false });
    }

    /// A member has made a report.
    pub(super) fn reports(&mut self, member: usize, report: &Report<Spans, u64>, now: Millis) {
        self.made.insert((member, report.incarnation, report.number), now);
    }

    /// A member hears a report of another.
    pub(super) fn hears(&mut self, listener: usize, speaker: usize, report: &Report<Spans, u64>) {
        let made = self.made.get(&(speaker, report.incarnation, report.number)).copied();
        let latest = self.heard.entry((listener, speaker)).or_default();
        *latest = (*latest).max(made.unwrap_or_default());
    }

    /// A member learns a decision.
    pub(super) fn learns(&mut self, trace: u64, member: usize, now: Millis) {
        self.traces.entry(trace).or_default().learned.insert(member, now);
    }

    /// The member's part is another's now, which has offered it.
    pub(super) fn handed(&mut self, trace: u64, member: usize) {
        let Some(trace) = self.traces.get_mut(&trace) else { return };
        for offered in trace.offered.iter_mut().filter(|offered| offered.member == member) {
            offered.lost = true;
        }
    }

    /// Who had taken over spans of these traces does not know any more from whom.
    pub(super) fn givers_forgotten(&mut self, traces: &BTreeSet<u64>) {
        for trace in traces {
            self.traces.entry(*trace).or_default().givers_forgotten = true;
        }
    }

    /// A fault has weakened that each span counts once.
    pub(super) fn may_count_twice(&self, trace: u64) -> bool {
        self.traces.get(&trace).is_some_and(|trace| trace.givers_forgotten)
    }

    pub(super) fn hung(&mut self, member: usize, until: Millis) {
        self.hung.insert(member, until);
    }

    /// A member has lost its node: what nobody else knows may be decided again, and what its host has kept is offered again.
    pub(super) fn crashed(&mut self, member: usize, hosts: &[Host]) {
        for trace in self.traces.values_mut() {
            for offered in trace.offered.iter_mut().filter(|offered| offered.member == member) {
                offered.lost = true;
            }
        }
        // What is kept is what its host has obeyed; what it has decided for others is lost with the node.
        self.forget_unknown(hosts);
    }

    /// A member is not asked any more.
    pub(super) fn forget_unknown(&mut self, hosts: &[Host]) {
        for (number, trace) in &mut self.traces {
            let Some((agreed, _)) = trace.agreed else { continue };
            // Another decision, made in need, is no knowledge of this one.
            let known = |host: &Host| {
                let by_node = host.node.as_ref().and_then(|node| node.decision(&id(*number))) == Some(agreed);
                host.departs.is_none() && (by_node || host.obeyed.get(number) == Some(&agreed))
            };
            if !hosts.iter().any(known) {
                trace.agreed = None;
                trace.excused = true;
            }
        }
    }

    /// Invariants 2 and 3.
    pub(super) fn judged(
        &mut self,
        number: u64,
        (judge, basis): (usize, Basis),
        decision: u64,
        now: Millis,
        hosts: &[Host],
    ) -> Result<(), Failure> {
        let trace = self.traces.entry(number).or_default();
        if basis != Basis::Agreed {
            trace.excused = true;
            if matches!(self.profile, Profile::Calm) {
                return Err(Failure::of(number, format!("decided as {basis:?}, though nothing is wrong")));
            }
            return Ok(());
        }
        // Third row of the table at the head of this crate: who is listed no more and has not been heard for the grace
        // counts as dead, also if it only is cut off or hangs.
        let may_be_dead = |member: usize| {
            let Some(host) = hosts.get(judge).filter(|host| host.sees.get(member) == Some(&false)) else {
                return false;
            };
            let Some(node) = &host.node else { return false };
            let name = format!("member-{member}");
            node.number_of(&name)
                .and_then(|number| node.member(number))
                .is_none_or(|other| other.is_lost(host.clock.at(now), super::plan::GRACE))
        };
        if let Some((before, maker)) = trace.agreed.filter(|(before, _)| *before != decision) {
            // Those who know it, who need not be who made it: that one may have lost it. Who has learned it from one that
            // counts as dead, and after its last report that was heard, could not say so.
            let knows = |host: &Host| host.node.as_ref().and_then(|node| node.decision(&id(number))) == Some(before);
            let could_not_say = |member: usize| {
                let heard = self.heard.get(&(judge, member)).copied().unwrap_or_default();
                may_be_dead(maker) && trace.learned.get(&member).is_some_and(|learned| *learned >= heard)
            };
            let mut knowing = (0..).zip(hosts).filter(|(_, host)| knows(host));
            if knowing.all(|(member, _)| may_be_dead(member) || could_not_say(member)) {
                trace.excused = true;
                return Ok(());
            }
            return Err(Failure::of(number, format!("two agreed decisions: {before:#b} and {decision:#b}")));
        }
        // Where clocks differ, an owner's may show a trace's time a little before its holder's.
        let due = trace.due.unwrap_or(now).saturating_sub(if self.profile.has(Profile::Clock) { 250 } else { 0 });
        for part in trace.offered.iter().filter(|part| part.at <= due && !part.lost) {
            let still_there = hosts.get(part.member).is_some_and(|host| host.node.is_some());
            // Sixth row: nor has it heard of a run whose predecessor has said farewell.
            let is_known = |host: &Host| {
                let Some(node) = &host.node else { return false };
                let number = node.number_of(&format!("member-{}", part.member));
                let member = number.and_then(|number| node.member(number));
                member.is_some_and(|member| !member.gone) || number == Some(crate::member::SELF)
            };
            if still_there
                && hosts.get(judge).is_some_and(is_known)
                && !may_be_dead(part.member)
                && part.set & !decision != 0
                && trace.agreed.is_none()
                && !trace.excused
            {
                return Err(Failure::of(
                    number,
                    format!("agreed on {decision:#b} without {:#b} of member-{}", part.set, part.member),
                ));
            }
        }
        trace.agreed = Some((decision, judge));
        Ok(())
    }

    /// Invariant 1.
    pub(super) fn obeyed(number: u64, before: Option<u64>, decision: u64) -> Result<(), Failure> {
        match before.filter(|before| *before != decision) {
            Some(before) => Err(Failure::of(number, format!("decision changed from {before:#b} to {decision:#b}"))),
            None => Ok(()),
        }
    }

    /// Invariants 4 and 5.
    pub(super) fn after_event(world: &World) -> Result<(), Failure> {
        let settings = world.settings();
        // A host that stood still has its tick after that.
        let longest = settings.longest_wait(TICK) + 2 * TICK;
        for (member, host) in world.hosts.iter().enumerate() {
            let Some(node) = &host.node else { continue };
            let (held, owned, _) = node.sizes();
            if held > settings.max_traces || owned > 3 * settings.max_traces + 1 {
                return Err(Failure {
                    trace: None,
                    what: format!("member-{member} holds {held} traces and owns {owned}"),
                });
            }
            for (number, open) in &host.open {
                let from = open.due.max(host.hangs_until).max(world.started(member));
                if from + longest < world.now {
                    return Err(Failure::of(*number, format!("member-{member} waits for a decision for too long")));
                }
            }
        }
        Ok(())
    }

    /// Invariant 2 once more, over what was obeyed. Returns the traces that were obeyed differently, for which there is a reason.
    pub(super) fn at_end(&self, hosts: &[Host], outcome: &mut Outcome) -> Result<Vec<u64>, Failure> {
        let mut broken = Vec::new();
        let mut numbers: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for host in hosts {
            for (number, decision) in &host.obeyed {
                numbers.entry(*number).or_default().insert(*decision);
            }
            if let (Some(_), Some((number, _))) = (&host.node, host.open.iter().next()) {
                return Err(Failure::of(*number, "still waits at the end"));
            }
        }
        for (number, decisions) in numbers.iter().filter(|(_, decisions)| decisions.len() > 1) {
            if self.traces.get(number).is_none_or(|trace| !trace.excused) {
                return Err(Failure::of(*number, format!("obeyed differently, and nothing says why: {decisions:?}")));
            }
            broken.push(*number);
        }
        outcome.broken += broken.len() as u64;
        // Where all have lived from the beginning, they have counted what was decided without hearing all, each once.
        let counters = hosts.iter().filter_map(|host| host.node.as_ref()).map(crate::Node::counters);
        let counted = counters.fold((0, 0), |sum, more| (sum.0 + more.incomplete, sum.1 + more.alone));
        let all_live = hosts.iter().all(|host| host.node.is_some() && host.starts == 1);
        if all_live && counted != (outcome.incomplete, outcome.alone) {
            let what = format!("{counted:?} decisions are counted as incomplete and alone, of {outcome:?}");
            return Err(Failure { trace: None, what });
        }
        Ok(broken)
    }
}
