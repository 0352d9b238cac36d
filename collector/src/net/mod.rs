//! Sockets and what belongs to them: addresses, TLS, compression, an HTTP server and a connector that receivers,
//! exporters and extensions share. Nothing here knows a signal or a pipeline.

pub mod address;
pub mod body;
pub mod compression;
pub mod connect;
pub mod grpc;
pub mod http_server;
pub mod listen;
mod paced;
pub mod random;
pub mod serve;
pub mod status;
mod stream;
pub mod tls;

pub use stream::Stream;
