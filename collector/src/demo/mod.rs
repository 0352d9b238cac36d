//! `ottlcol demo`: the built-in configuration at work on the traffic of a small shop.
//!
//! The collector runs in this process as it would run alone; the shop sends to it over OTLP/HTTP, and the table is made
//! from what the collector shows anybody: its RED page and its own metrics.

mod red;
mod table;
pub(crate) mod traffic;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args as ClapArgs;
use component::Clock;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::cli::BUILTIN;
use crate::clock::SystemClock;
use crate::config::{self, Process, load, set_to_uri};
use crate::registry::Factories;
use crate::run::{Instance, RunError};
use crate::telemetry::logs::Logger;
use table::Figures;
use traffic::Shop;

/// Arguments of `demo`.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// End by itself after this time, for example 20s
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    length: Option<Duration>,
    /// Traces a second that the shop makes
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rate: u32,
    /// Lines instead of a table that is redrawn, as when piped
    #[arg(long)]
    plain: bool,
}

/// Why the demo ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The collector does not run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The output is closed, or the system has no more threads.
    #[error("{0}")]
    Output(#[from] io::Error),
    /// The shop cannot reach the collector.
    #[error("cannot send to the collector: {0}")]
    Send(String),
}

const OTLP: &str = "http://localhost:4318/v1/traces";
const RED: &str = "http://localhost:8889/metrics";

/// Figures come every second, so RED metrics are flushed as often; the log would tear the table.
const OVERRIDES: [&str; 2] =
    ["connectors.span_metrics.metrics_flush_interval=1s", "service.telemetry.logs.level=error"];

/// Requests the shop sends in a second: its traces leave in that many equal parts.
const TICKS: u64 = 10;

fn duration(text: &str) -> Result<Duration, String> {
    let length = config::Duration::parse(text).map_err(|error| error.to_string())?;
    u64::try_from(length.nanos()).map(Duration::from_nanos).map_err(|_| "must not be negative".to_owned())
}

/// Runs until the time is up or a signal comes, then stops the collector and prints the last table.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), DemoError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(args, out))
}

async fn demo(args: &Args, out: &mut dyn Write) -> Result<(), DemoError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let logger = Logger::install(clock.clone());
    let mut uris = vec![format!("yaml:{BUILTIN}")];
    uris.extend(OVERRIDES.iter().filter_map(|setting| set_to_uri(setting).ok()));
    let loaded = load(&uris, &Process, &Factories::all()).map_err(RunError::from)?;
    let instance = Instance::build(loaded, &clock, true)?;
    logger.apply(&instance.loaded.config.service.telemetry.logs, &instance.resource).map_err(RunError::from)?;
    instance.start().await?;

    writeln!(out, "A small shop sends {} traces a second to {OTLP}; RED metrics are on {RED}.", args.rate)?;
    writeln!(out, "About 1% of the traces fail, 1% are slow, 10% are probes of /health.")?;
    let sent = show(args, out, &instance, &clock).await;
    let stopped = instance.stop().await;
    let (shop, mut figures) = sent?;
    stopped.map_err(RunError::from)?;
    // The stop has decided what was still waiting.
    figures.read_own(&instance.registry.collect(clock.unix_nano()));
    writeln!(out, "{}", figures.table(&shop.made()))?;
    Ok(())
}

async fn show(
    args: &Args,
    out: &mut dyn Write,
    instance: &Instance,
    clock: &Arc<dyn Clock>,
) -> Result<(Shop, Figures), DemoError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let redraw = !args.plain && io::stdout().is_terminal();
    let mut shop = Shop::new(clock.unix_nano());
    let mut figures = Figures::default();
    let mut drawn_lines = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(1000 / TICKS));
    let mut number = 0;
    let end = args.length.map(|length| clock.monotonic() + length);
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            _ = &mut interrupted => break,
            _ = ticks.tick() => {}
        }
        if end.is_some_and(|end| clock.monotonic() >= end) {
            break;
        }
        let traces = u64::from(args.rate) * (number + 1) / TICKS - u64::from(args.rate) * number / TICKS;
        if traces > 0 {
            let body = shop.request(usize::try_from(traces).unwrap_or(usize::MAX), clock.unix_nano());
            post(&client, body).await?;
        }
        number += 1;
        if number % TICKS == 0 {
            figures.read_own(&instance.registry.collect(clock.unix_nano()));
            figures.read_red(&get(&client, RED).await?);
            figures.at(clock.monotonic());
            if redraw {
                let text = figures.table(&shop.made());
                let up = if drawn_lines > 0 { format!("\x1b[{drawn_lines}A\x1b[J") } else { String::new() };
                writeln!(out, "{up}{text}")?;
                drawn_lines = text.lines().count();
            } else {
                writeln!(out, "{}", figures.line())?;
            }
            out.flush()?;
        }
    }
    // One more flush of the RED metrics, so that the last table shows all that was sent.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    figures.read_red(&get(&client, RED).await?);
    if redraw && drawn_lines > 0 {
        write!(out, "\x1b[{drawn_lines}A\x1b[J")?;
    }
    Ok((shop, figures))
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

async fn post(client: &HttpClient, body: Vec<u8>) -> Result<(), DemoError> {
    let failed = |error: &dyn std::fmt::Display| DemoError::Send(error.to_string());
    let request = Request::post(OTLP)
        .header("content-type", "application/x-protobuf")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| failed(&error))?;
    let answer = client.request(request).await.map_err(|error| failed(&error))?;
    let status = answer.status();
    answer.into_body().collect().await.map_err(|error| failed(&error))?;
    if status.is_success() { Ok(()) } else { Err(failed(&status)) }
}

async fn get(client: &HttpClient, url: &str) -> Result<String, DemoError> {
    let failed = |error: &dyn std::fmt::Display| DemoError::Send(format!("{url}: {error}"));
    let request = Request::get(url).body(Full::default()).map_err(|error| failed(&error))?;
    let answer = client.request(request).await.map_err(|error| failed(&error))?;
    let body = answer.into_body().collect().await.map_err(|error| failed(&error))?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}
