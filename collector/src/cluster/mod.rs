//! A group of equal instances behind one name: who is in it ([`resolver`]) and which member a key belongs to ([`ring`]).
//!
//! Nothing here sends telemetry. Whoever asks the same ring with the same members gets the same answer, in this program and
//! in the Go collector.

pub mod resolver;
pub mod ring;
