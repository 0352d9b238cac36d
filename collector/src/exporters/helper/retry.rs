//! Attempts, waits between them, and when to give up. The texts are upstream's.

use std::time::Duration;

use component::{Code, ConsumeError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::config::Retry;
use super::request::Request;
use super::{Failure, Sender};
use crate::net::random;

/// Sends `request`, again and again while the failure may pass, and each time only what is left of it. Once `stopping`
/// is true there is no more waiting, so each request gets one attempt.
pub(super) async fn send(
    sender: &dyn Sender,
    mut request: Request,
    timeout: Option<Duration>,
    retry: &Retry,
    stopping: &mut watch::Receiver<bool>,
) -> Result<(), Failure> {
    let started = Instant::now();
    let mut interval = retry.initial_interval.span();
    loop {
        let Err(failure) = attempt(sender, &request, timeout).await else { return Ok(()) };
        if !retry.enabled {
            return Err(failure);
        }
        let error = failure.error;
        request = failure.rest;
        if error.permanent {
            return Err(because("not retryable error", &error, request));
        }
        // What the server asks for raises a wait but never lowers it.
        let wait = random::jitter(interval, retry.randomization_factor).max(error.retry_after.unwrap_or_default());
        if retry.max_elapsed_time.positive().is_some_and(|most| started.elapsed() + wait > most) {
            return Err(because("no more retries left", &error, request));
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
                return Err(because("interrupted due to shutdown", &error, request));
            }
        }
        interval = interval.mul_f64(retry.multiplier).min(retry.max_interval.span());
    }
}

async fn attempt(sender: &dyn Sender, request: &Request, timeout: Option<Duration>) -> Result<(), Failure> {
    match timeout {
        None => sender.send_in_parts(request).await,
        Some(limit) => tokio::time::timeout(limit, sender.send_in_parts(request))
            .await
            .unwrap_or_else(|_| Err(Failure { error: timed_out(), rest: request.clone() })),
    }
}

/// What an attempt that took too long fails with.
pub(crate) fn timed_out() -> ConsumeError {
    ConsumeError {
        status: Some(Code::DeadlineExceeded),
        ..ConsumeError::retryable("rpc error: code = DeadlineExceeded desc = context deadline exceeded")
    }
}

fn because(reason: &str, error: &ConsumeError, rest: Request) -> Failure {
    let error = ConsumeError { message: format!("{reason}: {error}").into(), ..error.clone() };
    Failure { error, rest }
}
