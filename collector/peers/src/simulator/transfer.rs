//! Hosts that leave in a hurry give their spans to the owners.

use std::sync::Arc;

use super::check::Failure;
use super::plan::GRACE;
use super::world::{Event, Given, Host, Open, World, id, number};
use crate::{Entry, Obey, Offer, Output};

impl Host {
    /// The answer to this attempt is still wanted.
    fn waits_for(&self, given: &Given) -> bool {
        self.in_transfer.get(&given.trace).is_some_and(|current| current.attempt == given.attempt)
    }
}

impl World {
    /// Sends all that is held for others on its way.
    pub(super) fn hand_over(&mut self, member: usize) {
        let now = self.local(member);
        let host = &mut self.hosts[member];
        let (start, incarnation) = (host.starts, host.incarnation);
        let transfers = host.node.as_ref().map(|node| node.transfers(now)).unwrap_or_default();
        for transfer in transfers {
            let Some(to) = self.names.iter().position(|name| **name == *transfer.to) else { continue };
            let host = &mut self.hosts[member];
            host.attempts += 1;
            let attempt = host.attempts;
            let mut all = Vec::new();
            for (trace, absorbed) in transfer.traces {
                let trace = number(&trace);
                if let Some(Open { spans, due, .. }) = host.open.remove(&trace) {
                    host.node.iter_mut().for_each(|node| node.set_aside(&id(trace), spans));
                    let given = Given { trace, spans, due, absorbed, attempt };
                    host.in_transfer.insert(trace, given.clone());
                    all.push(given);
                }
            }
            for Given { trace, spans, .. } in &all {
                self.note(Some(*trace), || format!("member-{member} hands {:#b} over to member-{to}", spans.set));
            }
            // A connection repeats nothing.
            self.send_copies(member, to, &Event::HandOver(member, to, incarnation, all.clone()), 1);
            self.at(self.now + GRACE / 2, Event::GivenUp(member, to, start, all));
        }
    }

    pub(super) fn take_over(
        &mut self,
        from: usize,
        to: usize,
        incarnation: u64,
        all: Vec<Given>,
    ) -> Result<(), Failure> {
        let name: Arc<str> = self.names[from].as_str().into();
        let (now, clock) = (self.local(to), self.hosts[to].clock);
        let host = &mut self.hosts[to];
        let mut out = Output::default();
        let (hands_over, departs) = (host.hands_over, host.departs.is_some());
        let Some(node) = host.node.as_mut() else { return Ok(()) };
        let taken = !hands_over && !departs && node.admits_transfer(&name, all.len());
        if taken {
            let mut offered = Vec::new();
            for Given { trace, spans, due, absorbed, .. } in &all {
                if host.obeyed.contains_key(trace) || node.has_absorbed(&id(*trace), &name, incarnation) {
                    continue;
                }
                // A host waits for what comes late from when it came; the owner knows when the trace is due.
                let due = (*due).max(self.now);
                let open = host.open.entry(*trace).or_insert(Open { due, ..Open::default() });
                open.spans.merge(spans);
                let offer = Offer { id: id(*trace), at: 0, due: clock.at(open.due) };
                if node.offer(now, &offer, &mut out) {
                    open.offered = open.spans.count;
                    offered.push((*trace, open.spans.set, open.due));
                }
                host.absorbed.insert(*trace);
                let mut givers = absorbed.clone();
                givers.push((name.clone(), incarnation));
                node.absorb(&id(*trace), &givers);
            }
            for (trace, set, due) in offered {
                self.checks.offered(trace, to, set, due, self.now);
                self.note(Some(trace), || format!("member-{to} takes it over and offers {set:#b}"));
            }
        }
        self.send_copies(to, from, &Event::Handed(to, from, taken, all), 1);
        self.act(to, out)
    }

    /// The answer to a transfer has arrived.
    pub(super) fn handed(&mut self, by: usize, member: usize, taken: bool, all: &[Given]) -> Result<(), Failure> {
        if !taken {
            return self.put_back(member, all);
        }
        let host = &mut self.hosts[member];
        let wanted = |given: &&Given| host.waits_for(given);
        let gone: Vec<u64> = all.iter().filter(wanted).map(|given| given.trace).collect();
        host.in_transfer.retain(|trace, _| !gone.contains(trace));
        let Some(node) = &mut host.node else { return Ok(()) };
        node.given(&gone.iter().map(|trace| id(*trace)).collect::<Vec<_>>());
        for trace in gone {
            self.checks.handed(trace, member);
            self.note(Some(trace), || format!("member-{member} has handed it over to member-{by}"));
        }
        Ok(())
    }

    /// Nobody knows whether it was taken.
    pub(super) fn give_up(&mut self, member: usize, to: usize, all: &[Given]) -> Result<(), Failure> {
        let host = &mut self.hosts[member];
        let ids: Vec<_> = all.iter().filter(|given| host.waits_for(given)).map(|given| id(given.trace)).collect();
        if let Some(node) = &mut host.node {
            node.maybe_given(&self.names[to], &ids);
        }
        self.put_back(member, all)
    }

    /// What was not taken is held as before.
    pub(super) fn put_back(&mut self, member: usize, all: &[Given]) -> Result<(), Failure> {
        let mut out = Output::default();
        for given in all {
            let host = &mut self.hosts[member];
            if !host.waits_for(given) {
                continue;
            }
            let Some(Given { trace, spans, due, .. }) = host.in_transfer.remove(&given.trace) else { continue };
            if !host.obeyed.contains_key(&trace) {
                let open = host.open.entry(trace).or_insert(Open { due, ..Open::default() });
                open.spans.merge(&spans);
            }
            // What was decided meanwhile is obeyed at once.
            let decision = host.node.as_ref().and_then(|node| node.decision(&id(trace)));
            out.obey.extend(decision.map(|decision| Obey { id: id(trace), at: 0, decision }));
            self.note(Some(trace), || format!("member-{member} holds it again"));
        }
        self.act(member, out)
    }
}
