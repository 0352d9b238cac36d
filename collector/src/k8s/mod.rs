//! The Kubernetes API, for what watches it: `k8s_attributes` and the `k8s` resolver of `load_balancing`.
//!
//! Objects are read into small types that name only the fields which are used: the generated ones hold a pod of 20 KiB
//! in memory to give away five strings, and would be compiled into this crate again at every build.

pub mod client;
pub mod read;
pub mod watch;
