//! `ottlcol simulate`: which traces a configuration would keep, found by replaying recorded requests on a virtual clock.
//!
//! Requests arrive in file order, at time zero or at the times that their lines carry (`arrivalUnixNano` beside
//! `resourceSpans`); then time passes until nothing waits. `filter` and `tail_sampling` processors act, in the
//! [`pipelines`] that `forward` connectors join; what leaves these counts as kept. Other processors are left out, and the
//! summary names them.
//!
//! Instead of a capture, `--generate` makes the traffic of the demo's shop, the same in every run.

mod capture;
mod pipelines;
mod report;
#[cfg(test)]
mod tests;
mod traffic;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::config::{self, Node};
use crate::demo::traffic::Mix;
use capture::Request;
use pipelines::Pipelines;
pub use report::{Bill, Filtered, Flow, Prices, Report, Volume};
use traffic::Traffic;

/// Arguments of `simulate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Configuration file or URI; may be given several times
    #[arg(long, required = true)]
    pub config: Vec<String>,
    /// Another configuration to show beside it
    #[arg(long, value_name = "URI")]
    pub compare: Option<String>,
    /// OTLP requests: JSON or protobuf, one or many, as the file exporter writes them; gzip and zstd are opened
    #[arg(long, num_args = 1.., required_unless_present = "generate", conflicts_with = "generate")]
    pub input: Vec<PathBuf>,
    /// Make the traffic of the demo's shop instead: so many traces
    #[arg(long, value_name = "TRACES")]
    pub generate: Option<usize>,
    /// With --generate: per cent of traces with an error
    #[arg(long, value_name = "PERCENT", default_value_t = Mix::DEMO.errors, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub errors: u8,
    /// With --generate: per cent of traces that take more than a second
    #[arg(long, value_name = "PERCENT", default_value_t = Mix::DEMO.slow, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub slow_traces: u8,
    /// With --generate: per cent of traces that are health probes
    #[arg(long, value_name = "PERCENT", default_value_t = Mix::DEMO.probes, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub probes: u8,
    /// Where the ids of kept traces go: lower-case hex, sorted, one a line
    #[arg(long)]
    pub kept: Option<PathBuf>,
    /// What the backend charges for 10^9 bytes of spans, for the monthly bill
    #[arg(long, value_name = "PRICE", value_parser = price)]
    pub price_per_gb: Option<f64>,
    /// What it charges for a million spans
    #[arg(long, value_name = "PRICE", value_parser = price)]
    pub price_per_million_spans: Option<f64>,
    /// The time in which this traffic comes, for the monthly bill; default: from the first to the last start of a span
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub period: Option<Duration>,
    /// Traces that take longer count as slow
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1s")]
    pub slow: Duration,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Evaluate conditions in the interpreter instead of machine code
    #[arg(long)]
    pub no_jit: bool,
    /// Replay so many instances that agree as with `peers`, each request sent to one at random
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub instances: u16,
}

fn price(text: &str) -> Result<f64, String> {
    let price: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    if price.is_finite() && price >= 0.0 { Ok(price) } else { Err("must be a number of 0 or more".to_owned()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let length = config::Duration::parse(text).map_err(|error| error.to_string())?;
    u64::try_from(length.nanos()).map(Duration::from_nanos).map_err(|_| "must not be negative".to_owned())
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be had.
    #[error(transparent)]
    Config(#[from] config::ResolveError),
    /// The configuration is wrong; one mistake a line.
    #[error("{0}")]
    Problems(String),
    /// No pipeline samples.
    #[error("no traces pipeline of the configuration has a tail_sampling processor")]
    NothingToDo,
    /// The input or output file.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A request of the input.
    #[error("{path}:{line}: {cause}")]
    Request {
        /// The file.
        path: String,
        /// The line, or for protobuf the number of the request, from 1.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
    /// A processor that cannot run.
    #[error(transparent)]
    Start(#[from] crate::factory::StartError),
    /// `--errors`, `--slow-traces` and `--probes` are shares of one whole.
    #[error("--errors, --slow-traces and --probes are more than 100 per cent together")]
    Mix,
}

/// Runs the replay, writes the kept ids, and returns the summary as text.
///
/// # Errors
/// If the configuration, the input or the output is not usable.
pub fn run(args: &Args) -> Result<String, Error> {
    let Args { errors, slow_traces: slow, probes, .. } = *args;
    if u32::from(errors) + u32::from(slow) + u32::from(probes) > 100 {
        return Err(Error::Mix);
    }
    let traffic = match args.generate {
        Some(traces) => Traffic::Shop(traces, Mix { errors, slow, probes }),
        None => Traffic::read(&args.input)?,
    };
    let prices =
        Prices { per_gb: args.price_per_gb, per_million_spans: args.price_per_million_spans, period: args.period };
    let simulate = |uris: &[String], name: &str| {
        let resolved = config::resolve(uris, &config::Process)?;
        let instances = usize::from(args.instances);
        replay(&resolved.root, &traffic, args.slow, (args.no_jit, instances), &progress(&traffic, name))
    };
    let report = simulate(&args.config, "replaying")?;
    if let Some(path) = &args.kept {
        let text: String = report.kept().map(|id| id + "\n").collect();
        std::fs::write(path, text).map_err(|cause| file(path, cause))?;
    }
    let Some(uri) = &args.compare else {
        return Ok(if args.json { report.to_json(&prices).to_string() + "\n" } else { report.show(&prices) });
    };
    let other = simulate(std::slice::from_ref(uri), "comparing")?;
    let first = args.config.join(" ");
    if args.json {
        let (ours, theirs) = report.differences(&other);
        let both = serde_json::json!({
            "first": report.to_json(&prices), "second": other.to_json(&prices),
            "kept_by_first_only": ours, "kept_by_second_only": theirs,
        });
        return Ok(both.to_string() + "\n");
    }
    let beside = report.beside(&other, [&first, uri], &prices);
    Ok(format!("{beside}\n== {first}\n{}\n== {uri}\n{}", report.show(&prices), other.show(&prices)))
}

fn file(path: &Path, cause: std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), cause }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(traffic: &Traffic, name: &str) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(traffic.len() as u64), target).with_prefix(name.to_owned());
    match ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3} % {eta:>4}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Replays traffic through the pipelines of a configuration.
fn replay(
    root: &Node,
    traffic: &Traffic,
    slow: Duration,
    (no_jit, instances): (bool, usize),
    progress: &ProgressBar,
) -> Result<Report, Error> {
    let engine = if no_jit { ottl::Engine::Interpreter } else { ottl::Engine::Jit };
    let mut report = Report::new(slow);
    let mut pipelines = Pipelines::new(root, (engine, instances), &mut report.left_out)?;
    let mut time = None;
    traffic.each(|Request { arrival_unix_nano, traces, read }| {
        if let Some(arrival) = arrival_unix_nano {
            let now = *time.get_or_insert(arrival);
            let seconds = arrival.saturating_sub(now) / 1_000_000_000;
            pipelines.pass(seconds, &mut report);
            time = Some(now + seconds * 1_000_000_000);
        }
        report.add_sent(&traces);
        pipelines.take(&traces, &mut report);
        progress.set_position(read as u64);
    })?;
    while pipelines.is_waiting() {
        pipelines.second(&mut report);
    }
    pipelines.finish(&mut report);
    progress.finish_and_clear();
    Ok(report)
}
