//! The bounded memory queue. A request takes room until it is finished, not until it is taken out: what is being sent
//! or waits for a retry counts (as upstream's does).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use component::ConsumeError;
use tokio::sync::{Notify, oneshot};

use super::config::Sizer;
use super::request::Request;

/// A queue of requests.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    capacity: u64,
    sizer: Sizer,
    arrived: Notify,
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Request, Ticket)>,
    used: u64,
    closed: bool,
}

/// Room in the queue, and the caller that waits for the outcome. Dropping it frees the room and answers; the first
/// failure recorded before is the answer.
#[derive(Debug)]
pub(super) struct Ticket {
    queue: Arc<Queue>,
    size: u64,
    failure: Mutex<Option<ConsumeError>>,
    done: Option<oneshot::Sender<Result<(), ConsumeError>>>,
}

impl Ticket {
    /// Notes an outcome.
    pub(super) fn record(&self, outcome: &Result<(), ConsumeError>) {
        if let Err(error) = outcome {
            lock(&self.failure).get_or_insert_with(|| error.clone());
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.queue.state).used -= self.size;
        self.queue.room.notify_waiters();
        if let Some(done) = self.done.take() {
            let outcome = lock(&self.failure).take().map_or(Ok(()), Err);
            // The caller may have gone.
            let _gone = done.send(outcome);
        }
    }
}

impl Queue {
    pub(super) fn new(capacity: u64, sizer: Sizer) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { state, capacity, sizer, arrived: Notify::new(), room: Notify::new() })
    }

    /// Room taken.
    pub(super) fn used(&self) -> u64 {
        lock(&self.state).used
    }

    /// Room in all.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Puts a request in. A full queue refuses, or blocks if `block`. With `wait` the answer is the final outcome.
    pub(super) async fn offer(self: &Arc<Self>, request: Request, block: bool, wait: bool) -> Result<(), ConsumeError> {
        let size = request.size(self.sizer);
        if size > self.capacity {
            // Upstream lets the client try again, which can never help.
            return Err(ConsumeError::permanent("element size too large"));
        }
        let (done, outcome) = if wait {
            let (done, outcome) = oneshot::channel();
            (Some(done), Some(outcome))
        } else {
            (None, None)
        };
        self.push(request, size, done, block).await?;
        match outcome {
            None => Ok(()),
            Some(outcome) => {
                outcome.await.unwrap_or_else(|_| Err(ConsumeError::retryable("the sending queue was stopped")))
            }
        }
    }

    async fn push(
        self: &Arc<Self>,
        request: Request,
        size: u64,
        done: Option<oneshot::Sender<Result<(), ConsumeError>>>,
        block: bool,
    ) -> Result<(), ConsumeError> {
        loop {
            // Registered before the look, so that room made in between is not missed.
            let room = self.room.notified();
            let mut room = std::pin::pin!(room);
            room.as_mut().enable();
            {
                let mut state = lock(&self.state);
                if state.closed {
                    return Err(ConsumeError::retryable("the sending queue is stopped"));
                }
                if state.used + size <= self.capacity {
                    state.used += size;
                    let ticket = Ticket { queue: Arc::clone(self), size, failure: Mutex::default(), done };
                    state.waiting.push_back((request, ticket));
                    drop(state);
                    self.arrived.notify_one();
                    return Ok(());
                }
            }
            if !block {
                return Err(ConsumeError::retryable("sending queue is full"));
            }
            room.await;
        }
    }

    /// The next request; nothing once the queue is closed and empty.
    pub(super) async fn take(&self) -> Option<(Request, Ticket)> {
        loop {
            let arrived = self.arrived.notified();
            let mut arrived = std::pin::pin!(arrived);
            arrived.as_mut().enable();
            {
                let mut state = lock(&self.state);
                if let Some(next) = state.waiting.pop_front() {
                    let more = !state.waiting.is_empty();
                    drop(state);
                    if more {
                        // One wake-up may have been for two arrivals.
                        self.arrived.notify_one();
                    }
                    return Some(next);
                }
                if state.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Takes nothing more in; what is in can still be taken out.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.arrived.notify_waiters();
        self.room.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while holding it cannot leave these few words half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
