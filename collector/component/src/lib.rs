//! What receivers, processors, exporters and connectors meet at: consumers, errors, the clock, own metrics.
//!
//! This crate knows no runtime, no YAML and no sockets. Data moves in batches; a consumer answers for the whole batch.

#![forbid(unsafe_code)]

mod clock;
mod consumer;
mod error;
mod id;
pub mod telemetry;

pub use clock::{Clock, ManualClock};
pub use consumer::{Consume, Consumer, MetricsConsumer, TracesConsumer};
pub use error::{Code, ConsumeError};
pub use id::{Id, IdError, Signal};
