//! Attempts, waits between them, and when to give up. The texts are upstream's.

use std::time::Duration;

use component::{Code, ConsumeError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Sender;
use super::config::Retry;
use super::request::Request;
use crate::net::random;

/// Sends `request`, again and again while the failure may pass. Once `stopping` is true there is no more waiting, so
/// each request gets one attempt.
pub(super) async fn send(
    sender: &dyn Sender,
    request: &Request,
    timeout: Option<Duration>,
    retry: &Retry,
    stopping: &mut watch::Receiver<bool>,
) -> Result<(), ConsumeError> {
    let started = Instant::now();
    let mut interval = retry.initial_interval.span();
    loop {
        let Err(error) = attempt(sender, request, timeout).await else { return Ok(()) };
        if !retry.enabled {
            return Err(error);
        }
        if error.permanent {
            return Err(because("not retryable error", &error));
        }
        // What the server asks for raises a wait but never lowers it.
        let wait = random::jitter(interval, retry.randomization_factor).max(error.retry_after.unwrap_or_default());
        if retry.max_elapsed_time.positive().is_some_and(|most| started.elapsed() + wait > most) {
            return Err(because("no more retries left", &error));
        }
        tracing::info!(
            error = %error,
            interval = ?wait,
            "Exporting failed. Will retry the request after interval."
        );
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // An error means that the exporter is gone, which is the same.
            _ = stopping.wait_for(|stopping| *stopping) => {
                return Err(because("interrupted due to shutdown", &error));
            }
        }
        interval = interval.mul_f64(retry.multiplier).min(retry.max_interval.span());
    }
}

async fn attempt(sender: &dyn Sender, request: &Request, timeout: Option<Duration>) -> Result<(), ConsumeError> {
    match timeout {
        None => sender.send(request).await,
        Some(limit) => tokio::time::timeout(limit, sender.send(request)).await.unwrap_or_else(|_| {
            Err(ConsumeError {
                status: Some(Code::DeadlineExceeded),
                ..ConsumeError::retryable("rpc error: code = DeadlineExceeded desc = context deadline exceeded")
            })
        }),
    }
}

fn because(reason: &str, error: &ConsumeError) -> ConsumeError {
    ConsumeError { message: format!("{reason}: {error}").into(), ..error.clone() }
}
