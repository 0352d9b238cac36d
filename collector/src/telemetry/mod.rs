//! The collector's own telemetry.

pub mod page;
pub mod process;
pub mod logs;
