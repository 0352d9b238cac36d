//! The built binary from outside: one test binary, each case with ports and a directory of its own.

mod bad_input;
mod configuration;
mod deploy;
mod k8s_resolver;
mod k8sattributes;
mod lifecycle;
mod main_job;
mod ottl_tools;
mod peers;
mod probabilistic;
mod structure;
