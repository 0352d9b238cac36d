//! The messages of the protocol. A [`Collect`] is answered by one [`Report`], or refused. Between two members one of them
//! [asks](Request) once a tick, and the other one's collect rides on its [answer](Answer); the report to that rides on the next
//! request. So one round trip a tick serves both.

use std::sync::Arc;

use crate::{Millis, TraceId};

/// What one member sends to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<E, D> {
    /// To be answered.
    pub collect: Collect<D>,
    /// Answers the collect that rode on the receiver's last answer.
    pub report: Option<Report<E, D>>,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<E, D> {
    /// Answers the collect of the request.
    pub report: Report<E, D>,
    /// To be answered with the next request.
    pub collect: Option<Collect<D>>,
}

/// An owner asks a holder for what changed, and brings decisions. One is under way from one member to another at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collect<D> {
    /// Tells runs of the same member apart; a later run has a higher number.
    pub incarnation: u64,
    /// Counts the collects of this run to all members; one that is not higher than the last is stale.
    pub sequence: u64,
    /// What makes entries comparable: a digest of the policies and of this protocol's version.
    pub fingerprint: u64,
    /// Digest of the owners that the sender sees.
    pub view: u64,
    /// Incarnation and number of the receiver's last report that has arrived.
    pub received: Option<(u64, u64)>,
    /// The sender may have lost what was reported before: everything is to be reported again.
    pub afresh: bool,
    /// The sender owns no traces any more, because it stops.
    pub leaving: bool,
    /// Most entries that the report may have.
    pub room: u32,
    /// Decisions on traces that the receiver has reported.
    pub decisions: Vec<Told<D>>,
    /// Traces that the sender is about to decide: does the receiver know of a decision?
    pub questions: Vec<TraceId>,
}

/// What a holder has: cumulative, so that the last report on a trace stands for all before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<E, D> {
    /// Incarnation and sequence of the collect that this answers.
    pub answers: (u64, u64),
    /// Of the holder.
    pub incarnation: u64,
    /// Counts the reports of this run to all members.
    pub number: u64,
    /// Digest of the policies and of this protocol's version.
    pub fingerprint: u64,
    /// Digest of the owners that the holder sees.
    pub view: u64,
    /// So long the holder has had the collect before it made this: the report is later than the collect by as much.
    pub waited: Millis,
    /// There was more than the room for it.
    pub more: bool,
    /// The holder owns no traces any more, because it stops.
    pub leaving: bool,
    /// The holder has nothing and will not decide again: nobody has to wait for it.
    pub gone: bool,
    /// All decisions that the holder knows were made by owners that saw the owners as it does now: whatever it knows of the
    /// receiver's traces it knows from the receiver, or says in `known`.
    pub fresh: bool,
    /// Since the last of those was heard that the holder does not hear any more and that may have decided something.
    pub lost_for: Option<Millis>,
    /// Changed entries of traces that the receiver owns, as the holder sees it.
    pub parts: Vec<Part<E>>,
    /// Decisions that the holder knows: asked for, or made without the owner.
    pub known: Vec<(TraceId, D)>,
    /// Members that the holder hears and that own nothing, as it sees it: those whom the resolver does not list any
    /// more, who stop, or who did not answer of late. The receiver is to ask them too.
    pub others: Vec<Arc<str>>,
}

/// A decision on a trace that the receiver has reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<D> {
    /// The trace.
    pub id: TraceId,
    /// As it was in the receiver's [`Part`].
    pub place: u32,
    /// What was decided.
    pub decision: D,
}

/// A holder's part of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<E> {
    /// The trace.
    pub id: TraceId,
    /// Where the holder looks for it first when the decision comes. It may be wrong by then.
    pub place: u32,
    /// Time until the holder, were it alone, would decide the trace; 0 if that time has come.
    pub due_in: Millis,
    /// Folded over the holder's spans.
    pub entry: E,
    /// Members that have handed their spans of the trace to the holder, with the run in which they did: the entry has
    /// what they reported.
    pub absorbed: Box<[Giver]>,
}

/// A member that has handed spans over, by name, and the run in which it did.
pub type Giver = (Arc<str>, u64);

/// Several of them, each once.
pub type Givers = Vec<Giver>;

/// Why a collect is not answered. None is a reason to stop asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The receiver's resolver does not list the sender, or not yet.
    #[error("the sender is not a member of the ring that this instance sees")]
    Unknown,
    /// Policies or protocol version differ: entries cannot be merged.
    #[error("the sender's policies or protocol version differ from this instance's")]
    Incompatible,
    /// A later collect was answered already.
    #[error("a later collect was answered already")]
    Stale,
}
