//! The collector: configuration, pipelines, components, own telemetry, command line.
//!
//! Only this package knows tokio, YAML and sockets. Components are named as users write them in YAML.

#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod connectors;
pub mod demo;
pub mod exporters;
pub mod extensions;
pub mod factory;
pub mod gates;
pub mod health;
pub mod k8s;
pub mod memory;
pub mod net;
mod ottl_host;
pub mod ottl_tools;
pub mod pipeline;
pub mod processors;
pub mod receivers;
pub mod registry;
pub mod run;
pub mod simulate;
pub mod size;
pub mod storage;
pub mod telemetry;
#[cfg(test)]
mod testing;

/// The program's name, as it calls itself in its own telemetry.
pub const NAME: &str = "ottlcol";
/// The program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
