//! The one way data moves: a batch is handed to a consumer, which answers when it has taken or refused all of it.

use std::future::Future;
use std::pin::Pin;

use crate::ConsumeError;

/// The answer to a hand-over. One allocation a batch, never one a span.
pub type Consume<'a> = Pin<Box<dyn Future<Output = Result<(), ConsumeError>> + Send + 'a>>;

/// Takes batches of `T`. A fan-out gives each branch its own (cheap) clone, so a consumer may change what it gets.
pub trait Consumer<T>: Send + Sync {
    /// Takes the whole batch or refuses the whole batch.
    fn consume(&self, batch: T) -> Consume<'_>;
}

/// Takes traces.
pub type TracesConsumer = std::sync::Arc<dyn Consumer<pdata::Traces>>;
/// Takes metrics.
pub type MetricsConsumer = std::sync::Arc<dyn Consumer<pdata::Metrics>>;
