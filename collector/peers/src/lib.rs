//! How samplers that hold different spans of one trace agree on its fate without exchanging spans.
//!
//! A *holder* has spans of a trace and the **entry** that is folded over them. Of all instances, one is the trace's
//! *owner*, found by every instance on its own ring. The owner **collects**: once a tick it asks each other member for
//! the entries that changed, and brings the decisions that the member is owed; the member answers with a **report**.
//! Of two members one sends, and the other's collect rides on the answer; the report to that rides on the next request.
//! Entries are cumulative, so that a repeated, lost or late message changes nothing. When the earliest time at which a
//! holder would have decided the trace has come, the owner asks everybody once more; when all have answered, it merges
//! the entries, has the whole judged once, and the decision goes out with the next collects.
//!
//! This crate is that protocol as a state machine, [`Node`], one an instance, for both roles: no clock, no socket, no
//! policies. Time, messages and entries are arguments; what is to be sent, judged and obeyed comes back.
//!
//! # Invariants
//!
//! 1. **A decision is never changed.** What a node has obeyed for a trace it obeys until it forgets it
//!    ([`Settings::remember`]). No fault weakens this but a restart that loses the memory.
//! 2. **One decision for a trace.** Two decisions on [`Basis::Agreed`] are equal, under every loss, delay, repetition
//!    and reordering of messages and every change of membership. For that an owner decides only
//!    when each member that it knows of, former ones too, has answered *with the same view of the owners* a collect
//!    that was sent when the trace was due, and has said what it knows of a decision. Two owners of one trace have
//!    different views, and a member answers in one of them at a time.
//! 3. **Nothing reported late is missed, and nothing counts twice.** A decision on [`Basis::Agreed`] counts every part of
//!    the trace that was offered to a member that the owner knows before the owner asked; and each span once, also while a
//!    stopping member hands its spans to another (`transfer.rs`).
//! 4. **Every holder learns it.** A trace that is offered to a running node is obeyed there at most
//!    [`Settings::longest_wait`] after it was due.
//! 5. **Memory is bounded** by [`Settings::max_traces`], [`Settings::remember`] and [`Settings::max_owed`], whatever
//!    others send. Nothing here ever refuses spans: what cannot be exchanged is decided alone.
//!
//! # What faults weaken
//!
//! | Fault | Weakened | How it shows |
//! |---|---|---|
//! | messages lost, repeated, reordered, slow (below the grace) | nothing; decisions wait | |
//! | a member is dead, hangs, or is cut off beyond [`Settings::grace`] | 2: its part is missing from the decision | [`Basis::Incomplete`], counted |
//! | the same, and resolvers list it no more, but it lives and gets spans | 2, 3: it counts as dead, and it decides too | at the member: [`Basis::Incomplete`] while it lists the others |
//! | members disagree on the ring beyond the grace | 2: each side decides | [`Basis::Incomplete`], counted |
//! | no owner can be reached for twice the grace | 2: the holder decides its part | [`Basis::Alone`], counted |
//! | a member that may not wait goes before all agree on the ring | 2: the others wait for it in vain | [`Basis::Incomplete`], counted |
//! | a member that is new hears of another that has just gone | nothing; it waits for it in vain | [`Basis::Incomplete`], counted |
//! | a member has spans before the owner has heard of it, or of its return after a farewell | 3: its part is not in the decision, which it learns | |
//! | a member that took over spans restarts from its storage before the giver is gone | 3: they count twice | |
//! | a taker dies before its answer arrives, or the answer is lost for good | both have the spans, and may send them twice | logged |
//! | a member restarts without its memory | 1 for what only it knew; its own spans are lost anyway | |
//! | a member's clock goes back while it is restarted | nothing; others answer it once its last run was silent for the grace. 3 if it hands over what its last run has reported, which no host with storage does | |
//! | a host runs out of room and decides early | 2, if the owner decides before it hears of it | [`Basis::Alone`], counted |
//! | a trace comes back after it was forgotten everywhere | 1, as with one instance | |
//!
//! # Cut in halves
//!
//! While halves of a fleet cannot hear each other, each suspects the other, owns all traces, and after the grace decides
//! on the parts that its members have. So a trace with parts in both is decided twice: where the decisions differ it is
//! broken, or, where neither half has what it is kept for (its first span and its last, for its latency), lost. This lasts
//! from when a half was heard last until it is heard again and the grace is over, and concerns traces that waited in that
//! time. Nothing waits for longer than [`Settings::longest_wait`], so that memory does not grow with the length of the cut.
//! What is decided then is counted exactly, once a decision ([`Counters::incomplete`], [`Counters::alone`]): each decision
//! on another basis than [`Basis::Agreed`], and no other. Who is cut off cannot tell which of its traces have parts on the
//! other side, so it counts all that it decides, those that are whole too; and a broken trace is always among them. When the
//! halves are joined, what was obeyed stays; a late span obeys what its holder knows.
#![forbid(unsafe_code)]

mod exchange;
mod holder;
mod index;
mod member;
mod message;
mod node;
mod owner;
#[cfg(any(test, feature = "simulator"))]
pub mod simulator;
mod slab;
mod table;
#[cfg(test)]
mod tests;
mod timetable;
mod transfer;
mod view;

pub use holder::Offer;
pub use index::Index;
pub use member::MemberState;
pub use message::{Answer, Collect, Giver, Givers, Part, Refusal, Report, Request, Told};
pub use node::{Basis, Counters, Judge, Node, Obey, Output, Settings};
pub use transfer::Transfer;
pub use view::Ring;

/// A trace's id.
pub type TraceId = [u8; 16];

/// Time in milliseconds since some moment before the node was made; never goes back.
pub type Millis = u64;

/// Where the parts are that a node holds: it keeps none, and asks for one when it is reported or judged.
pub trait Host<E> {
    /// All that is known of the part of this trace that waits here, which was at `at` when it was [offered](Node::offer) last.
    /// None if it does not wait any more: what has become of it the node is about to be told.
    fn entry(&mut self, id: &TraceId, at: u32) -> Option<E>;

    /// These are about to be asked for: asks for their memory without waiting for it.
    fn warm(&mut self, _traces: &[(TraceId, u32)]) {}
}

/// What was decided about a trace.
pub trait Decision: Copy {
    /// True if both have a holder do the same with its spans.
    fn agrees(&self, other: &Self) -> bool;
}

/// What is known of a part of a trace. Merging is associative and commutative, so that parts may come in any order.
pub trait Entry: Clone {
    /// Adds what is known of another part of the same trace.
    fn merge(&mut self, other: &Self);

    /// Reads what is read first when it is merged, copied or dropped; the value says nothing. So its memory is near by then, where
    /// several are asked for together.
    fn touch(&self) -> u64 {
        0
    }
}
