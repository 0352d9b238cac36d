//! The collector's own telemetry.

pub mod logs;
pub mod page;
pub mod process;
pub mod push;
