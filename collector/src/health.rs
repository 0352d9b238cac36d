//! Whether the parts of the program still do their work: tasks that ended by a panic, pipelines where nothing moves.
//!
//! Not a verdict on backends: one that is down makes senders wait and retry, which is their work. So a pipeline counts
//! as stuck only if batches are inside it and none has come out for longer than any ordinary retry lasts; who asks says
//! how long that is. Per batch this costs two clock readings and three atomics, and only where an extension runs.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use component::{Clock, Consume, Consumer};

/// What all parts of one running configuration report to. Clones share everything.
#[derive(Clone, Default)]
pub struct Health(Arc<Shared>);

#[derive(Default)]
struct Shared {
    dead: Mutex<Vec<String>>,
    flows: Mutex<Vec<Arc<Flow>>>,
}

impl Health {
    /// For the tasks of `what`.
    #[must_use]
    pub fn watch(&self, what: impl Into<Arc<str>>) -> Watch {
        Watch { health: self.clone(), what: what.into() }
    }

    /// A consumer that hands on to `next` and knows how long nothing has come back.
    pub fn monitor<T: Send + 'static>(
        &self,
        pipeline: &Arc<str>,
        clock: &Arc<dyn Clock>,
        next: Arc<dyn Consumer<T>>,
    ) -> Arc<dyn Consumer<T>> {
        let flow = Arc::new(Flow {
            pipeline: Arc::clone(pipeline),
            inside: AtomicU64::new(0),
            moved_nano: AtomicU64::new(nanos(clock.monotonic())),
        });
        lock(&self.0.flows).push(Arc::clone(&flow));
        Arc::new(Monitored { flow, clock: Arc::clone(clock), next })
    }

    /// What is wrong at monotonic time `now`, one text each; nothing if all is well. A pipeline is stuck if batches
    /// have been inside for `patience` while none came out; zero never calls one stuck.
    #[must_use]
    pub fn complaints(&self, now: Duration, patience: Duration) -> Vec<String> {
        let mut found: Vec<_> = lock(&self.0.dead).iter().map(|what| format!("{what} has died")).collect();
        if patience.is_zero() {
            return found;
        }
        for flow in lock(&self.0.flows).iter() {
            let still = Duration::from_nanos(nanos(now).saturating_sub(flow.moved_nano.load(Ordering::Relaxed)));
            if flow.inside.load(Ordering::Relaxed) > 0 && still >= patience {
                let (pipeline, seconds) = (&flow.pipeline, still.as_secs());
                found.push(format!("pipeline {pipeline} is stuck: nothing has come out for {seconds} s"));
            }
        }
        found
    }
}

/// Wraps the long-running tasks of one part.
#[derive(Clone)]
pub struct Watch {
    health: Health,
    what: Arc<str>,
}

impl Watch {
    /// A task that is to run as long as its part does: if it panics, the part is dead from then on.
    pub fn task<F: Future>(&self, task: F) -> Watched<F> {
        Watched { task: Box::pin(task), watch: self.clone() }
    }
}

/// Batches inside one pipeline.
struct Flow {
    pipeline: Arc<str>,
    inside: AtomicU64,
    /// Monotonic time at which a batch came out, or came in where there was none.
    moved_nano: AtomicU64,
}

struct Monitored<T> {
    flow: Arc<Flow>,
    clock: Arc<dyn Clock>,
    next: Arc<dyn Consumer<T>>,
}

impl<T: Send + 'static> Consumer<T> for Monitored<T> {
    fn consume(&self, batch: T) -> Consume<'_> {
        let inside = Inside::enter(&self.flow, &self.clock);
        Box::pin(async move {
            let answer = self.next.consume(batch).await;
            drop(inside);
            answer
        })
    }
}

/// One batch inside. Also a call that its client gave up ends here.
struct Inside<'m> {
    flow: &'m Flow,
    clock: &'m Arc<dyn Clock>,
}

impl<'m> Inside<'m> {
    fn enter(flow: &'m Flow, clock: &'m Arc<dyn Clock>) -> Self {
        // The time first: who sees the batch inside then sees a fresh time, too.
        if flow.inside.load(Ordering::Relaxed) == 0 {
            flow.moved_nano.store(nanos(clock.monotonic()), Ordering::Relaxed);
        }
        flow.inside.fetch_add(1, Ordering::Relaxed);
        Self { flow, clock }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.flow.moved_nano.store(nanos(self.clock.monotonic()), Ordering::Relaxed);
        self.flow.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

/// See [`Watch::task`].
pub struct Watched<F> {
    task: Pin<Box<F>>,
    watch: Watch,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        // The task is never polled again after its panic, so nobody sees what it left half done.
        match catch_unwind(AssertUnwindSafe(|| this.task.as_mut().poll(cx))) {
            Ok(polled) => polled,
            Err(panic) => {
                tracing::error!(task = &*this.watch.what, "A task has panicked; its pipeline no longer works");
                lock(&this.watch.health.0.dead).push(this.watch.what.to_string());
                resume_unwind(panic)
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Both lists are whole after every push.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use component::ManualClock;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    struct Never;

    impl Consumer<u8> for Never {
        fn consume(&self, batch: u8) -> Consume<'_> {
            Box::pin(async move {
                if batch == 0 {
                    std::future::pending::<()>().await;
                }
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn a_panic_is_remembered() {
        let health = Health::default();
        let fine = tokio::spawn(health.watch("fine").task(async {}));
        let broken = tokio::spawn(health.watch("batch").task(async { panic!("a bug") }));
        fine.await.unwrap();
        assert!(broken.await.unwrap_err().is_panic());
        assert_eq!(health.complaints(Duration::ZERO, PATIENCE), ["batch has died"]);
    }

    #[tokio::test]
    async fn a_pipeline_is_stuck_while_nothing_comes_out() {
        let (health, manual) = (Health::default(), Arc::new(ManualClock::new(0)));
        let clock: Arc<dyn Clock> = manual.clone();
        let head = health.monitor(&Arc::from("traces"), &clock, Arc::new(Never));
        let complaints = || health.complaints(clock.monotonic(), PATIENCE);
        manual.advance(PATIENCE * 2);
        assert!(complaints().is_empty(), "nothing is inside");
        let mut waiting = head.consume(0);
        assert!(futures_poll(&mut waiting).is_pending());
        manual.advance(PATIENCE - Duration::from_secs(1));
        assert!(complaints().is_empty());
        manual.advance(Duration::from_secs(1));
        assert_eq!(complaints(), ["pipeline traces is stuck: nothing has come out for 60 s"]);
        assert!(health.complaints(clock.monotonic(), Duration::ZERO).is_empty());
        head.consume(1).await.unwrap();
        assert!(complaints().is_empty(), "another batch came out");
        manual.advance(PATIENCE);
        assert_eq!(complaints().len(), 1);
        drop(waiting);
        assert!(complaints().is_empty(), "its client gave up");
    }

    fn futures_poll(future: &mut Consume<'_>) -> Poll<Result<(), component::ConsumeError>> {
        future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))
    }
}
