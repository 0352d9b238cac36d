//! Exporters, one module a component, named as in YAML.

pub mod debug;
pub mod helper;
pub mod keda_scaler;
pub mod loadbalancing;
pub mod otlp;
pub mod otlp_http;
pub mod prometheus;
