//! One instance: its members, its view of the owners, and time. The roles are in `holder.rs` and `owner.rs`, the
//! messages between them in `exchange.rs`.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::holder::Held;
use crate::member::{Member, MemberState, SELF};
use crate::message::{Part, Request};
use crate::owner::Owner;
use crate::table::{NOWHERE, Place, Table};
use crate::view::{MakeRing, Ring, View};
use crate::{Decision, Entry, Host, Millis, TraceId};

/// Lists of parts that are kept for the next messages.
const MAX_SPARE: usize = 4;

/// Times and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a trace waits from its first span at a holder: what is due now began so long ago.
    pub wait: Millis,
    /// How long a decision waits for a member that does not answer, or sees another ring.
    pub grace: Millis,
    /// How long after a change of owners decisions are preceded by questions: as long as late parts of a trace are
    /// expected, and at least its wait and the grace.
    pub unsettled_for: Millis,
    /// Most traces that this node holds; as many again it may own for others.
    pub max_traces: usize,
    /// Most decisions that are remembered.
    pub remember: usize,
    /// Most decisions that wait to be told to one member.
    pub max_owed: usize,
    /// Most entries, decisions or questions in one message.
    pub max_batch: usize,
    /// Who sends a collect is a member, whether the resolver lists it or not: right where the transport has checked who
    /// it is. Where not, a member that nobody else knows any more cannot make itself known to one that has restarted.
    pub admit_strangers: bool,
    /// Seed of the hash tables, so that senders of trace ids cannot make them slow.
    pub seed: u64,
}

impl Settings {
    /// When a member that does not answer stops being an owner.
    pub(crate) fn suspect_after(&self) -> Millis {
        self.grace / 2
    }

    /// When a collect counts as lost; one that rides on an answer after twice as long.
    pub(crate) fn timeout(&self) -> Millis {
        (self.grace / 5).max(1)
    }

    /// Up to when a decision waits for members that do not answer in this node's view of the owners. Where the owners have
    /// changed meanwhile the others see it soon, and who decides now would be one of two: so it may take half as long again.
    /// That is over before holders despair.
    pub(crate) fn waits_until(&self, asked: Millis, view_changed: Millis) -> Millis {
        let longest = asked.saturating_add(self.grace).saturating_add(self.grace / 2);
        let latest_change = view_changed.saturating_add(self.grace).min(longest);
        asked.saturating_add(self.grace).max(latest_change)
    }

    /// After its time a holder waits so long for an owner.
    pub(crate) fn alone_after(&self) -> Millis {
        self.grace.saturating_mul(2)
    }

    /// The longest that a trace waits beyond the time at which its holder alone would have decided it, given a tick
    /// every so often.
    pub fn longest_wait(&self, tick: Millis) -> Millis {
        self.alone_after().saturating_add(tick)
    }
}

/// How far a decision can be trusted to be the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Every member has answered.
    Agreed,
    /// A member that may have a part did not answer within the grace, or sees another ring.
    Incomplete,
    /// No owner has answered; decided on the part that is here.
    Alone,
}

/// Numbers of members that have reported a trace, and where it is at each.
pub(crate) type Holders = SmallVec<[(u32, Place); 4]>;

/// An entry to be judged, and its trace then [concluded](Node::conclude).
#[derive(Clone, Debug)]
pub struct Judge<E> {
    /// The trace.
    pub id: TraceId,
    /// All parts merged, or this node's.
    pub entry: E,
    /// What the decision rests on.
    pub basis: Basis,
    /// Where the trace is.
    pub(crate) place: Place,
    /// Members that are owed the decision.
    pub(crate) holders: Holders,
    /// This node held a part of it until it was given to be judged: where the host has that.
    pub(crate) held: Option<u32>,
}

impl<E> Judge<E> {
    /// On the part that is held here.
    pub(crate) fn alone(id: TraceId, entry: E) -> Self {
        Self { id, entry, basis: Basis::Alone, place: NOWHERE, holders: Holders::new(), held: None }
    }
}

/// A decision on a trace that was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obey<D> {
    /// The trace.
    pub id: TraceId,
    /// Where the host had it when it [offered](Node::offer) it last.
    pub at: u32,
    /// What was decided.
    pub decision: D,
}

/// What a node wants done.
#[derive(Debug)]
pub struct Output<E, D> {
    /// Messages to send, by the receiver's name. Each is to be answered, refused, or given up as lost.
    pub requests: Vec<(Arc<str>, Request<E, D>)>,
    /// To be judged and concluded before anything else is told to the node.
    pub judge: Vec<Judge<E>>,
    /// Decisions on traces that this node holds. It does not hold them any more.
    pub obey: Vec<Obey<D>>,
}

impl<E, D> Default for Output<E, D> {
    fn default() -> Self {
        Self { requests: Vec::new(), judge: Vec::new(), obey: Vec::new() }
    }
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Entries reported to owners.
    pub entries_sent: u64,
    /// Entries that holders have reported.
    pub entries_received: u64,
    /// Decisions told to holders.
    pub decisions_sent: u64,
    /// Traces judged here as their owner.
    pub judged: u64,
    /// Of those, traces with parts at more than one member.
    pub merged: u64,
    /// Of those, traces that a member may have had an unknown part of.
    pub incomplete: u64,
    /// Traces judged on this node's part only.
    pub alone: u64,
    /// Decisions taken over from another member that knew them.
    pub adopted: u64,
    /// Decisions heard of that differ from the one that is obeyed here.
    pub conflicts: u64,
    /// Times that owners as seen from here have changed.
    pub view_changes: u64,
    /// Entries not taken for lack of room.
    pub refused_entries: u64,
}

/// The protocol's state at one instance.
pub struct Node<E, D> {
    pub(crate) settings: Settings,
    pub(crate) incarnation: u64,
    pub(crate) fingerprint: u64,
    /// `None` where a member was forgotten. The first is this node.
    pub(crate) members: Vec<Option<Member<D>>>,
    pub(crate) names: HashMap<Arc<str>, u32, FixedState>,
    pub(crate) view: View,
    pub(crate) view_changed: Millis,
    /// See [`crate::Report::fresh`].
    pub(crate) fresh: bool,
    pub(crate) leaving: bool,
    pub(crate) departed: bool,
    pub(crate) table: Table<E, D>,
    pub(crate) owner: Owner,
    /// When to look whether a held trace has been waiting for too long. Most are gone long before, so that all are looked
    /// at once in a while instead of each at its time.
    pub(crate) sweep_at: Millis,
    pub(crate) sequence: u64,
    pub(crate) number: u64,
    pub(crate) counters: Counters,
    /// See [`Node::reuse`].
    spare: Vec<Vec<Part<E>>>,
}

impl<E: Entry, D: Decision> Node<E, D> {
    /// A node that is the only owner until it is told its members. What a host has recovered is to be offered before the
    /// first collect is answered: an answer says that there is nothing else. `incarnation` is higher each time that the member of
    /// this name starts. `fingerprint` says what makes entries comparable.
    pub fn new(
        name: &str,
        incarnation: u64,
        fingerprint: u64,
        settings: Settings,
        now: Millis,
        make_ring: impl Fn(&[Arc<str>]) -> Box<dyn Ring + Send> + Send + 'static,
    ) -> Self {
        let make: MakeRing = Box::new(make_ring);
        let hash = FixedState::with_seed(settings.seed);
        let name: Arc<str> = name.into();
        let mut names = HashMap::with_hasher(hash.clone());
        names.insert(name.clone(), SELF);
        let mut own = Member::new(name.clone(), &name, now);
        own.listed = true;
        let mut node = Self {
            settings,
            incarnation,
            fingerprint,
            members: vec![Some(own)],
            names,
            view: View::new(make),
            view_changed: now,
            fresh: true,
            leaving: false,
            departed: false,
            table: Table::new(settings.remember, hash),
            owner: Owner::default(),
            sweep_at: Millis::MAX,
            sequence: 0,
            number: 0,
            counters: Counters::default(),
            spare: Vec::new(),
        };
        node.refresh_view(now);
        node
    }

    /// Takes the resolver's list. A node that is not in it owns nothing, unless the list is empty.
    pub fn set_members(&mut self, now: Millis, names: &[&str]) {
        for name in names.iter().filter(|name| !self.names.contains_key(**name)).collect::<Vec<_>>() {
            self.add(name, now);
        }
        for member in self.members.iter_mut().flatten() {
            let listed = names.contains(&&*member.name);
            // One that had gone comes back.
            member.gone &= !listed || member.listed;
            member.listed = listed;
        }
        self.refresh_view(now);
    }

    /// Owns nothing from now on; goes on to report what it holds.
    pub fn leave(&mut self, now: Millis) {
        self.leaving = true;
        self.refresh_view(now);
    }

    /// Owns nothing and takes no offers from now on. Once it is idle, others are told not to wait for it any more.
    pub fn depart(&mut self, now: Millis) {
        self.departed = true;
        self.leave(now);
    }

    /// True when nothing is held and nobody is owed a decision: a leaving node may go. Once it has departed, what others
    /// have reported is no reason to stay if all see that it owns nothing: they have reported it to the owners.
    pub fn is_idle(&self) -> bool {
        // What was given away counts until its owner knows of it: others may not have heard of the taker's part yet.
        let known = |held: &Held| held.given && held.told && held.owner != SELF;
        let under_way = |member: &Member<D>| member.in_flight.as_ref().is_some_and(|sent| !sent.parts.is_empty());
        self.table.all_held().all(|(_, _, held)| known(held))
            && !self.others().any(|(_, member)| under_way(member))
            && (self.table.n_owned() == 0 || (self.departed && self.is_agreed_upon()))
            && self.others().all(|(_, member)| {
                // Those that do not answer cannot be told anything.
                let told = member.outstanding.as_ref().is_none_or(|sent| sent.decisions.is_empty());
                member.suspected || member.gone || (member.owed.is_empty() && told)
            })
    }

    /// True if all that answer see the same owners.
    fn is_agreed_upon(&self) -> bool {
        let view = Some(self.view.digest());
        self.others().all(|(_, member)| member.suspected || member.gone || member.last_view == view)
    }

    /// Time goes by. To be called every few hundred milliseconds.
    pub fn tick(&mut self, now: Millis, host: &mut dyn Host<E>, out: &mut Output<E, D>) {
        self.expire(now);
        self.watch(now);
        self.ask(now);
        self.settle(now, host, out);
        self.despair(now, host, out);
        self.send_requests(now, host, out);
    }

    /// The host has made up its mind about a trace that it was given to judge.
    pub fn conclude(&mut self, judge: &Judge<E>, decision: D, out: &mut Output<E, D>) {
        if judge.basis == Basis::Alone {
            self.conclude_alone(&judge.id, decision, out);
        } else {
            self.conclude_owned(judge, decision, out);
        }
    }

    /// True if another member answers.
    pub fn has_company(&self, now: Millis) -> bool {
        let answers = |member: &Member<D>| {
            member.reported.is_some() && !member.suspected && member.is_waited_for(now, self.settings.grace)
        };
        self.others().any(|(_, member)| answers(member))
    }

    /// True if a member that answers has not been told that this one is gone.
    pub fn has_unaware_company(&self, now: Millis) -> bool {
        !self.departed
            || self.others().any(|(_, member)| {
                let answers = member.reported.is_some() && !member.suspected;
                answers && member.is_waited_for(now, self.settings.grace) && !member.took_leave
            })
    }

    /// Asks for what is known of traces that are about to be concluded: of all at once.
    pub fn warm<'a>(&self, ids: impl Iterator<Item = &'a TraceId>) {
        let n = self.table.warm(ids);
        self.table.warm_oldest(n);
    }

    /// Takes the memory of a report that is written or read. Messages come together once a tick, so that what was freed
    /// after the last has gone back to the system by then.
    pub fn reuse(&mut self, mut parts: Vec<Part<E>>) {
        parts.clear();
        if self.spare.len() < MAX_SPARE {
            self.spare.push(parts);
        }
    }

    /// An empty list for a report that is to be read.
    pub fn spare_parts(&mut self) -> Vec<Part<E>> {
        self.spare.pop().unwrap_or_default()
    }

    /// Counters since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Traces held, traces owned that wait, decisions remembered.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.table.n_held(), self.table.n_owned(), self.table.n_decided())
    }

    /// Members that own traces as seen from here, this node among them.
    pub fn owners(&self) -> usize {
        self.view.len()
    }

    /// True if this node owns traces.
    pub fn is_owner(&self) -> bool {
        self.view.contains(SELF)
    }

    /// The part of all traces that this node owns, as it sees it: of a limit that holds for all owners together, it may
    /// spend as much. 0 if it owns nothing.
    pub fn share(&self) -> f64 {
        self.view.own_share()
    }

    /// The owners as seen from here, each with the part of all traces that it owns.
    pub fn shares(&self) -> Vec<(Arc<str>, f64)> {
        self.view.shares()
    }

    /// Digest of the owners: two nodes with the same agree on every trace's owner.
    pub fn view(&self) -> u64 {
        self.view.digest()
    }

    /// Tells runs of this instance apart.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The name of a trace's owner.
    pub fn owner_of(&self, id: &TraceId) -> Option<&Arc<str>> {
        self.member(self.view.owner(id)?).map(|member| &member.name)
    }

    /// The decision on a trace, if it is remembered.
    pub fn decision(&self, id: &TraceId) -> Option<D> {
        self.table.decision(id)
    }

    /// All other members that are known.
    pub fn states(&self, now: Millis) -> Vec<MemberState> {
        self.others().map(|(_, member)| member.state(now, self.settings.grace)).collect()
    }

    pub(crate) fn number_of(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    pub(crate) fn member(&self, number: u32) -> Option<&Member<D>> {
        self.members.get(number as usize).and_then(Option::as_ref)
    }

    pub(crate) fn member_mut(&mut self, number: u32) -> Option<&mut Member<D>> {
        self.members.get_mut(number as usize).and_then(Option::as_mut)
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = (u32, &Member<D>)> {
        (0..).zip(&self.members).skip(1).filter_map(|(number, member)| Some((number, member.as_ref()?)))
    }

    fn others_mut(&mut self) -> impl Iterator<Item = &mut Member<D>> {
        self.members.iter_mut().skip(1).flatten()
    }

    pub(crate) fn add(&mut self, name: &str, now: Millis) -> u32 {
        let name: Arc<str> = name.into();
        let own = self.member(SELF).map_or("", |own| &own.name);
        let member = Member::new(name.clone(), own, now);
        let at = match self.members.iter().position(Option::is_none) {
            Some(free) => {
                self.members[free] = Some(member);
                free
            }
            None => {
                self.members.push(Some(member));
                self.members.len() - 1
            }
        };
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        self.names.insert(name, number);
        number
    }

    /// Suspects who has not answered for long, and forgets who is gone for good.
    fn watch(&mut self, now: Millis) {
        let settings = self.settings;
        let mut forgotten = Vec::new();
        for (number, member) in (1..).zip(self.members.iter_mut().skip(1)) {
            let Some(known) = member else { continue };
            known.suspected = now.saturating_sub(known.heard) > settings.suspect_after();
            if known.is_lost(now, settings.grace) && !known.owed.is_empty() {
                known.start_afresh();
            }
            let forget_after = settings.grace.saturating_mul(10).max(settings.unsettled_for);
            if !known.listed && known.is_lost(now, forget_after) {
                forgotten.push((number, known.name.clone()));
            }
        }
        for (number, name) in forgotten {
            self.names.remove(&name);
            self.table.forget_holder(number);
            self.members[number as usize] = None;
        }
        self.refresh_view(now);
    }

    /// Finds the owners anew. If they have changed, nobody has agreed with this node yet, and traces change hands.
    pub(crate) fn refresh_view(&mut self, now: Millis) {
        let may_own = |(number, member): (u32, &Member<D>)| member.may_own().then(|| (member.name.clone(), number));
        let mut owners: Vec<_> = self.others().filter_map(may_own).collect();
        let own = self.member(SELF).map(|own| (own.name.clone(), own.listed && !self.leaving));
        // Where all leave, they are their own owners to the end. A last one that stays owns everything: so those see it
        // who leave.
        let all_leave = owners.is_empty() && own.as_ref().is_none_or(|(_, stays)| !stays);
        if all_leave {
            let leaves =
                |member: &Member<D>| member.leaving && !member.gone && !member.suspected && !member.incompatible;
            let leaving = self.others().filter(|(_, member)| leaves(member));
            owners.extend(leaving.map(|(number, member)| (member.name.clone(), number)));
        }
        if let Some((name, stays)) = own
            && (stays || all_leave)
        {
            owners.push((name, SELF));
        }
        if !self.view.set(owners) {
            return;
        }
        self.view_changed = now;
        self.fresh = self.table.n_decided() == 0;
        self.counters.view_changes += 1;
        for member in self.others_mut() {
            member.covered = None;
        }
        self.hand_over(now);
    }

    /// Decisions are preceded by questions, because somebody else may have decided.
    pub(crate) fn is_unsettled(&self, now: Millis) -> bool {
        now.saturating_sub(self.view_changed) <= self.settings.unsettled_for
    }
}
