//! `sending_queue::batch`: one open batch between the queue and the senders.
//!
//! Requests are merged until `min_size` or the timer; what is larger than `max_size` is split, and a rest below
//! `min_size` stays open. A caller's ticket is held by every part of its data.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::Delivery;
use super::config::{Batch, Sizer};
use super::queue::{Queue, Ticket};
use super::request::Request;

/// The open batch: data, and whose it is.
struct Open {
    request: Request,
    tickets: Vec<Arc<Ticket>>,
    due: Instant,
}

/// Runs until the queue is closed and empty; then sends the rest and waits for all that was sent.
pub(super) async fn run(queue: Arc<Queue>, delivery: Arc<Delivery>, config: Batch, queue_sizer: Sizer, senders: usize) {
    let sizer = config.sizer(queue_sizer);
    let min = u64::try_from(config.min_size).unwrap_or_default();
    let max = u64::try_from(config.max_size).unwrap_or_default();
    let flight = Flight { delivery, slots: Arc::new(Semaphore::new(senders)), tracker: TaskTracker::new() };
    let mut open: Option<Open> = None;
    loop {
        let taken = match &open {
            None => queue.take().await,
            Some(batch) => tokio::select! {
                taken = queue.take() => taken,
                () = sleep_until(batch.due) => {
                    if let Some(batch) = open.take() {
                        flight.launch(batch.request, batch.tickets).await;
                    }
                    continue;
                }
            },
        };
        let Some((request, ticket)) = taken else { break };
        let ticket = Arc::new(ticket);
        let mut batch = match open.take() {
            None => {
                let due = Instant::now() + config.flush_timeout.span();
                Open { request, tickets: vec![ticket], due }
            }
            Some(mut batch) => {
                batch.request.merge(request);
                batch.tickets.push(ticket);
                batch
            }
        };
        while max > 0
            && let Some(first) = batch.request.split_first(max, sizer)
        {
            flight.launch(first, batch.tickets.clone()).await;
            // Older data went first, so the rest is of the newest request; its ticket alone would do, but holding an
            // older one a little longer is harmless.
        }
        if batch.request.size(sizer) >= min {
            flight.launch(batch.request, batch.tickets).await;
        } else {
            open = Some(batch);
        }
    }
    if let Some(batch) = open.take() {
        flight.launch(batch.request, batch.tickets).await;
    }
    flight.tracker.close();
    flight.tracker.wait().await;
}

struct Flight {
    delivery: Arc<Delivery>,
    slots: Arc<Semaphore>,
    tracker: TaskTracker,
}

impl Flight {
    async fn launch(&self, request: Request, tickets: Vec<Arc<Ticket>>) {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
        let delivery = Arc::clone(&self.delivery);
        let settle = async move {
            let outcome = delivery.settle(request).await;
            for ticket in &tickets {
                ticket.record(&outcome);
            }
            drop((tickets, slot));
        };
        self.tracker.spawn(settle.in_current_span());
    }
}
