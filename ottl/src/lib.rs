//! OTTL conditions and value expressions over OTLP bytes: checked once, evaluated many times.
//!
//! Text becomes a syntax tree in `grammar`; here names are resolved and types checked (`check`), constants folded
//! (`fold`), the paths of all conditions of a component laid out as slots (`layout`), filled in one pass over wire bytes
//! (`extract`), and the conditions answered by machine code (`jit`) or by an interpreter (`interp`). What callers hold is
//! [`Program`].
//!
//! Invariants: this crate never reads a clock, a file, an environment variable or the network, and never logs; converters
//! that need the time or randomness take it from the [`Host`] that the caller gives. Nothing outside can tell which engine
//! ran. Strings are never copied out of the wire bytes on the way to a comparison.

pub mod catalog;
mod check;
mod compare;
mod context;
pub mod error;
mod extract;
mod fold;
mod frame;
pub mod func;
pub mod go;
mod interp;
pub mod ir;
mod jit;
mod kept;
mod layout;
mod limits;
mod math;
mod nearest;
mod program;
mod reading;
mod simplify;
mod slot;
pub mod snapshot;
mod store;
pub mod trace;
pub mod trace_state;
pub mod value;
mod wire;

pub use context::{Context, PathMode, infer_context};
pub use error::{Error, EvalError};
pub use frame::{Frame, Slot};
pub use layout::{Level, LogField, MapSource, MemberKey, MetricField, PointField, PointKind, Side, SlotId, SlotPath};
pub use limits::Limits;
pub use program::{
    Answers, Cell, Client, Clock, ConditionId, Engine, ErrorMode, Host, ListId, NativeCall, Options, Outcome, Program,
    ProgramBuilder, Random, Rows, ValueId,
};
pub use reading::Reading;
