//! What a node knows of another member, in both roles.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::message::Told;
use crate::table::Place;
use crate::{Millis, TraceId};

/// This node's own number.
pub(crate) const SELF: u32 = 0;

/// A collect that has not been answered.
#[derive(Debug)]
pub(crate) struct Outstanding<D> {
    pub(crate) sequence: u64,
    pub(crate) sent: Millis,
    /// From then on it counts as lost.
    pub(crate) lost_from: Millis,
    /// Digest of the view that it was sent in.
    pub(crate) view: u64,
    /// It asks for all traces up to this number of [`crate::owner::Asked`].
    pub(crate) asks: u64,
    pub(crate) afresh: bool,
    /// It asks what is known of each of those traces, too, or has no need to.
    pub(crate) questions: bool,
    /// There is no need to ask that of later traces either.
    pub(crate) settled: bool,
    /// Owed again if no answer comes.
    pub(crate) decisions: Vec<Told<D>>,
    /// The report beside it says that this node is gone.
    pub(crate) takes_leave: bool,
}

/// What the last report to an owner held, until the owner says that it has arrived.
#[derive(Debug)]
pub(crate) struct InFlight<D> {
    pub(crate) number: u64,
    pub(crate) parts: Vec<Place>,
    pub(crate) known: Vec<(TraceId, D)>,
}

/// A collect that has come with an answer: the next request to its sender has the report.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// Incarnation and sequence.
    pub(crate) answers: (u64, u64),
    /// When it came.
    pub(crate) since: Millis,
    pub(crate) room: u32,
    pub(crate) questions: Vec<TraceId>,
}

#[derive(Debug)]
pub(crate) struct Member<D> {
    pub(crate) name: Arc<str>,
    /// Of the two it is this node that sends requests, as long as that works.
    pub(crate) is_answering: bool,
    /// The resolver lists it.
    pub(crate) listed: bool,
    pub(crate) leaving: bool,
    pub(crate) gone: bool,
    pub(crate) incompatible: bool,
    pub(crate) suspected: bool,
    /// When it answered last, or when it became known.
    pub(crate) heard: Millis,

    // As holder, asked by this node.
    pub(crate) outstanding: Option<Outstanding<D>>,
    /// No report has come since a collect was given up.
    pub(crate) missed: bool,
    /// Incarnation and number of its last report.
    pub(crate) reported: Option<(u64, u64)>,
    /// The view of its last report.
    pub(crate) last_view: Option<u64>,
    /// As its last report says, it knows no decision of another view ([`crate::Report::fresh`]).
    pub(crate) fresh: bool,
    /// Since the view changed last it has answered for all asked traces up to this number.
    pub(crate) covered: Option<u64>,
    /// When somebody that *it* does not hear from any more was heard last.
    pub(crate) lost_at: Option<Millis>,
    pub(crate) afresh: bool,
    pub(crate) owed: VecDeque<Told<D>>,

    // As owner, answered by this node.
    /// Incarnation and sequence of its last collect.
    pub(crate) collected: Option<(u64, u64)>,
    /// When that came.
    pub(crate) collected_at: Millis,
    pub(crate) unanswered: Option<Unanswered>,
    /// It has been told that this node is gone: in an answer, or in a request that it has answered.
    pub(crate) took_leave: bool,
    /// Places of traces to be reported to it; each that is ([`crate::holder::Held::queued`]) is in here.
    pub(crate) dirty: VecDeque<Place>,
    pub(crate) in_flight: Option<InFlight<D>>,
    /// Decisions made without it that it has to hear of.
    pub(crate) known: VecDeque<(TraceId, D)>,
}

impl<D> Member<D> {
    /// `own` is the name of this node.
    pub(crate) fn new(name: Arc<str>, own: &str, now: Millis) -> Self {
        Self {
            is_answering: is_first(own, &name),
            name,
            listed: false,
            leaving: false,
            gone: false,
            incompatible: false,
            suspected: false,
            heard: now,
            outstanding: None,
            missed: false,
            reported: None,
            last_view: None,
            fresh: false,
            covered: None,
            lost_at: None,
            afresh: true,
            owed: VecDeque::new(),
            collected: None,
            collected_at: now,
            unanswered: None,
            took_leave: false,
            dirty: VecDeque::new(),
            in_flight: None,
            known: VecDeque::new(),
        }
    }

    /// True if it may own traces.
    pub(crate) fn may_own(&self) -> bool {
        self.listed && !self.suspected && !self.leaving && !self.gone && !self.incompatible
    }

    /// Not heard of for so long that nobody waits for it.
    pub(crate) fn is_lost(&self, now: Millis, grace: Millis) -> bool {
        now.saturating_sub(self.heard) > grace
    }

    /// True if decisions wait for its answer.
    pub(crate) fn is_waited_for(&self, now: Millis, grace: Millis) -> bool {
        !self.gone && !self.incompatible && !self.is_lost(now, grace)
    }

    /// What it is owed is forgotten; it is to report everything again, and gets its answers then.
    pub(crate) fn start_afresh(&mut self) {
        self.owed = VecDeque::new();
        self.afresh = true;
    }
}

/// True for one of the two orders of each pair, and about as often for each member. FNV-1a: the same everywhere.
fn is_first(own: &str, other: &str) -> bool {
    let hash = |name: &str| {
        name.bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    let even = (hash(own) ^ hash(other)).count_ones().is_multiple_of(2);
    (own < other) == even
}

/// A member as a debug page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberState {
    /// Its name on the ring.
    pub name: Arc<str>,
    /// The resolver lists it.
    pub listed: bool,
    /// It may own traces, as this node sees it.
    pub owner: bool,
    /// It answers, has left, is silent, ...
    pub condition: &'static str,
    /// Since it answered last.
    pub silent_for: Millis,
    /// It sees the same owners.
    pub agrees: bool,
    /// Decisions that it has not been told yet.
    pub owed: usize,
    /// Entries that it has not collected yet.
    pub unreported: usize,
}

impl<D> Member<D> {
    pub(crate) fn state(&self, now: Millis, grace: Millis) -> MemberState {
        let condition = match self {
            Self { gone: true, .. } => "gone",
            Self { incompatible: true, .. } => "other policies",
            _ if self.is_lost(now, grace) => "lost",
            Self { suspected: true, .. } => "silent",
            Self { leaving: true, .. } => "leaving",
            Self { reported: None, .. } => "new",
            _ => "answers",
        };
        MemberState {
            name: self.name.clone(),
            listed: self.listed,
            owner: self.may_own(),
            condition,
            silent_for: now.saturating_sub(self.heard),
            agrees: self.covered.is_some(),
            owed: self.owed.len(),
            unreported: self.dirty.len(),
        }
    }
}
