//! `ottlcol simulate`: which traces a configuration would keep, found by replaying recorded requests on a virtual clock.
//!
//! Requests arrive in file order, at time zero or at the times that their lines carry (`arrivalUnixNano` beside
//! `resourceSpans`); then time passes until nothing waits. Only `tail_sampling` processors act: each traces pipeline that
//! has any is a chain of them, and what comes out of one of the chains counts as kept. Other processors are left out,
//! and the summary names them.
//!
//! Instead of a capture, `--generate` makes the traffic of the demo's shop, the same in every run.

mod capture;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use component::Id;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pdata::Traces;

use crate::config::{self, Node, Problems, Section};
use crate::demo::traffic::{Mix, Shop};
use crate::processors::tail_sampling::{self, Fleet, Plan};
use capture::Request;
pub use report::{Bill, Flow, Prices, Report, Volume};

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
        None => Traffic::Files(args.input.iter().map(|path| read(path)).collect::<Result<_, _>>()?),
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

fn file(path: &std::path::Path, cause: std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), cause }
}

fn read(path: &std::path::Path) -> Result<(String, Vec<u8>), Error> {
    let bytes = std::fs::read(path).and_then(capture::plain).map_err(|cause| file(path, cause))?;
    Ok((path.display().to_string(), bytes))
}

/// What is replayed.
pub(crate) enum Traffic {
    /// Captures with their names.
    Files(Vec<(String, Vec<u8>)>),
    /// So many traces of the demo's shop.
    Shop(usize, Mix),
}

/// Traces in one request of the shop.
const SHOP_TRACES: usize = 50;

/// When the shop opens, Unix nanoseconds. Its requests come a second apart.
const SHOP_OPENS: u64 = 1_700_000_000_000_000_000;

impl Traffic {
    fn len(&self) -> usize {
        match self {
            Self::Files(files) => files.iter().map(|(_, bytes)| bytes.len()).sum(),
            Self::Shop(traces, _) => *traces,
        }
    }

    /// Hands every request on, with how much of [`Traffic::len`] it is behind.
    fn each(&self, mut take: impl FnMut(Request)) -> Result<(), Error> {
        match self {
            Self::Files(files) => {
                let mut before = 0;
                for (path, bytes) in files {
                    for request in capture::requests(bytes) {
                        let request = request.map_err(|capture::Wrong { at: line, cause }| Error::Request {
                            path: path.clone(),
                            line,
                            cause,
                        })?;
                        take(Request { read: before + request.read, ..request });
                    }
                    before += bytes.len();
                }
            }
            Self::Shop(traces, mix) => {
                let mut shop = Shop::with_mix(1, *mix);
                let mut made = 0;
                let mut now = SHOP_OPENS;
                while made < *traces {
                    let some = SHOP_TRACES.min(*traces - made);
                    let bytes = shop.request(some, now);
                    let wrong = |error: pdata::WireError| Error::Request {
                        path: "--generate".to_owned(),
                        line: made,
                        cause: error.to_string(),
                    };
                    let traces = Traces::index(bytes.into()).map_err(wrong)?;
                    made += some;
                    take(Request { arrival_unix_nano: Some(now), traces, read: made });
                    now += 1_000_000_000;
                }
            }
        }
        Ok(())
    }
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

/// One pipeline's samplers, the first first.
struct Chain {
    pipeline: String,
    stages: Vec<(String, Fleet)>,
}

/// Replays traffic through the samplers of a configuration.
///
/// # Errors
/// As [`run`].
pub(crate) fn replay(
    root: &Node,
    traffic: &Traffic,
    slow: Duration,
    (no_jit, instances): (bool, usize),
    progress: &ProgressBar,
) -> Result<Report, Error> {
    let engine = if no_jit { ottl::Engine::Interpreter } else { ottl::Engine::Jit };
    let mut report = Report::new(slow);
    let mut chains = chains(root, (engine, instances), &mut report.left_out)?;
    let mut time = None;
    traffic.each(|Request { arrival_unix_nano, traces, read }| {
        if let Some(arrival) = arrival_unix_nano {
            let now = *time.get_or_insert(arrival);
            let seconds = arrival.saturating_sub(now) / 1_000_000_000;
            for chain in &mut chains {
                chain.pass(seconds, &mut report);
            }
            time = Some(now + seconds * 1_000_000_000);
        }
        report.add_sent(&traces);
        for chain in &mut chains {
            chain.feed(0, vec![traces.clone()], &mut report);
        }
        progress.set_position(read as u64);
    })?;
    for chain in &mut chains {
        while chain.is_waiting() {
            chain.second(&mut report);
        }
        for (id, stage) in &mut chain.stages {
            report.samplers.push((chain.pipeline.clone(), id.clone(), stage.summary()));
        }
    }
    progress.finish_and_clear();
    Ok(report)
}

impl Chain {
    /// Hands batches to a stage; what leaves the last one is kept.
    fn feed(&mut self, stage: usize, batches: Vec<Traces>, report: &mut Report) {
        for batch in batches {
            match self.stages.get_mut(stage) {
                Some((_, replay)) => {
                    let out = replay.take(&batch);
                    self.feed(stage + 1, out, report);
                }
                None => report.add_kept(&batch),
            }
        }
    }

    fn is_waiting(&self) -> bool {
        self.stages.iter().any(|(_, stage)| stage.is_waiting())
    }

    fn second(&mut self, report: &mut Report) {
        for stage in 0..self.stages.len() {
            let kept = self.stages[stage].1.second();
            self.feed(stage + 1, kept, report);
        }
    }

    /// Time passes. What comes after the last decision is passed over at once, however long it is.
    fn pass(&mut self, seconds: u64, report: &mut Report) {
        for passed in 0..seconds {
            if !self.is_waiting() {
                for (_, stage) in &mut self.stages {
                    stage.idle(Duration::from_secs(seconds - passed));
                }
                return;
            }
            self.second(report);
        }
    }
}

/// The samplers of each traces pipeline that has any.
fn chains(
    root: &Node,
    (engine, instances): (ottl::Engine, usize),
    left_out: &mut BTreeSet<String>,
) -> Result<Vec<Chain>, Error> {
    let mut problems = Problems::default();
    let mut plans: BTreeMap<String, Option<Plan>> = BTreeMap::new();
    let mut chains = Vec::new();
    let pipelines = root.at("service::pipelines").map(Node::entries).unwrap_or_default();
    for (pipeline, parts) in pipelines {
        if !Id::parse(pipeline).is_ok_and(|id| id.kind() == "traces") {
            continue;
        }
        let mut chain = Chain { pipeline: pipeline.clone(), stages: Vec::new() };
        let mut others = Vec::new();
        for name in names(parts.get("processors")) {
            let path = format!("processors::{name}");
            let id = match Id::parse(&name) {
                Ok(id) if id.kind() == tail_sampling::FACTORY.kind => id,
                Ok(_) => {
                    others.push(name);
                    continue;
                }
                Err(error) => {
                    problems.add(format!("service::pipelines::{pipeline}::processors"), error.to_string());
                    continue;
                }
            };
            let plan = plans.entry(name.clone()).or_insert_with(|| match root.at(&path) {
                Some(value) => {
                    let plan = Plan::parse(&Section { id, path, value: value.clone() }, &mut problems)?;
                    if instances > 1 {
                        plan.check_shared(&mut problems);
                    }
                    Some(plan)
                }
                None => {
                    let message = format!("references processor {name:?} which is not configured");
                    problems.add(format!("service::pipelines::{pipeline}"), message);
                    None
                }
            });
            if let Some(plan) = plan {
                chain.stages.push((name, plan.fleet(engine, instances)?));
            }
        }
        if !chain.stages.is_empty() {
            chains.push(chain);
            left_out.extend(others);
        }
    }
    if !problems.is_empty() {
        let lines: Vec<String> =
            problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        return Err(Error::Problems(lines.join("\n")));
    }
    if chains.is_empty() { Err(Error::NothingToDo) } else { Ok(chains) }
}

/// A list of names, which may be written as one text with commas.
fn names(list: Option<&Node>) -> Vec<String> {
    match list.map(Node::to_yaml) {
        Some(serde_yaml::Value::Sequence(items)) => {
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        Some(serde_yaml::Value::String(text)) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
processors:
  batch:
  tail_sampling:
    decision_wait: 2s
    policies:
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: slow, type: latency, latency: {threshold_ms: 100}}
  tail_sampling/second:
    decision_wait: 5s
    policies:
      - {name: many, type: span_count, span_count: {min_spans: 2}}
service:
  pipelines:
    traces: {processors: [tail_sampling, batch, tail_sampling/second]}
    metrics: {processors: [batch]}
";

    const INPUT: &str = r#"
{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","name":"a","status":{"code":2}},{"traceId":"00000000000000000000000000000002","spanId":"0000000000000002","name":"b","startTimeUnixNano":"1000000000","endTimeUnixNano":"2000000000"}]}]}]}
{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000002","spanId":"0000000000000003","name":"c","startTimeUnixNano":"1000000000","endTimeUnixNano":"1500000000"},{"traceId":"00000000000000000000000000000003","spanId":"0000000000000004","name":"d","startTimeUnixNano":"5","endTimeUnixNano":"9"}]}]}]}
"#;

    fn replay(root: &Node, input: &[u8]) -> Result<Report, Error> {
        let traffic = Traffic::Files(vec![("input".to_owned(), input.to_vec())]);
        super::replay(root, &traffic, Duration::from_millis(900), (true, 1), &ProgressBar::hidden())
    }

    fn root(yaml: &str) -> Node {
        config::resolve(&[format!("yaml:{yaml}")], &config::Process).unwrap().root
    }

    #[test]
    fn several_instances_keep_what_one_does_and_say_what_that_took() {
        let run = |instances: usize| {
            let traffic = Traffic::Files(vec![("input".to_owned(), INPUT.as_bytes().to_vec())]);
            let slow = Duration::from_millis(900);
            super::replay(&root(CONFIG), &traffic, slow, (true, instances), &ProgressBar::hidden()).unwrap()
        };
        let (one, three) = (run(1), run(3));
        assert!(one.kept().eq(three.kept()) && one.out.spans == three.out.spans);
        let prices = Prices { per_million_spans: None, per_gb: None, period: None };
        assert!(!one.show(&prices).contains("exchanged"));
        assert!(three.show(&prices).contains("traces decided by owners"), "{}", three.show(&prices));
        let cost = three.samplers[0].2.exchange.expect("the cost of agreeing");
        assert_eq!(cost.judged, one.samplers[0].2.traces);
        assert!(cost.bytes > 0 && cost.messages > 0, "{cost:?}");
        assert_eq!(three.to_json(&prices)["samplers"][0]["exchange"]["judged"], cost.judged);
    }

    #[test]
    fn several_instances_cannot_share_what_is_decided_at_arrival() {
        let traffic = Traffic::Files(vec![("input".to_owned(), INPUT.as_bytes().to_vec())]);
        let yaml = CONFIG.replace("decision_wait: 2s", "sampling_strategy: span-ingest");
        assert_ne!(yaml, CONFIG);
        let run = |instances: usize| {
            super::replay(&root(&yaml), &traffic, Duration::from_secs(1), (true, instances), &ProgressBar::hidden())
        };
        assert!(run(1).is_ok());
        let error = run(2).err().unwrap().to_string();
        assert!(error.contains("processors::tail_sampling::sampling_strategy"), "{error}");
    }

    #[test]
    fn chains_of_samplers() {
        let report = replay(&root(CONFIG), INPUT.as_bytes()).unwrap();
        assert_eq!(report.kept().collect::<Vec<_>>(), ["00000000000000000000000000000002"]);
        let prices =
            Prices { per_million_spans: Some(2.5), per_gb: Some(1000.0), period: Some(Duration::from_millis(1)) };
        insta::assert_snapshot!(report.show(&prices));
        let json = report.to_json(&prices);
        assert_eq!(json["samplers"][0]["kept_by"][1]["traces"], 1);
        assert_eq!(json["kept"]["spans"], 2);
    }

    #[test]
    fn says_where_a_request_is_wrong() {
        let input = format!("{INPUT}{{\"resourceSpans\":[{{\"scopeSpans\":7}}]}}\n");
        let error = replay(&root(CONFIG), input.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("input:4: "), "{error}");
    }

    #[test]
    fn refuses_configurations_without_samplers_and_with_mistakes() {
        let error = |yaml: &str| replay(&root(yaml), b"").unwrap_err().to_string();
        assert_eq!(
            error("service: {pipelines: {traces: {processors: [batch]}}}"),
            "no traces pipeline of the configuration has a tail_sampling processor"
        );
        assert_eq!(
            error("service: {pipelines: {traces/a: {processors: [tail_sampling/x]}}}"),
            "service::pipelines::traces/a: references processor \"tail_sampling/x\" which is not configured"
        );
        assert_eq!(
            error(
                "{processors: {tail_sampling: {num_shards: 300}}, service: {pipelines: {traces: {processors: tail_sampling}}}}"
            ),
            "processors::tail_sampling: num_shards (300) must not exceed 256"
        );
    }

    #[test]
    fn lines_that_carry_times_arrive_then() {
        const LIMIT: &str = "
processors:
  tail_sampling:
    decision_wait: 1s
    policies: [{name: few, type: rate_limiting, rate_limiting: {spans_per_second: 1, burst_capacity: 2}}]
service: {pipelines: {traces: {processors: [tail_sampling]}}}
";
        let line = |id: u8, second: u64| {
            let span = format!("{{\"traceId\":\"{id:032x}\",\"spanId\":\"0000000000000001\"}}");
            let arrival = (1_700_000_000 + second) * 1_000_000_000;
            format!(
                "{{\"arrivalUnixNano\":{arrival},\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{span}]}}]}}]}}\n"
            )
        };
        let kept = |seconds: [u64; 4]| {
            let input: String = seconds.iter().zip(1..).map(|(second, id)| line(id, *second)).collect();
            replay(&root(LIMIT), input.as_bytes()).unwrap().out.traces
        };
        assert_eq!(kept([0, 0, 0, 0]), 2);
        assert_eq!(kept([0, 0, 1, 1]), 3);
        // A pause of centuries takes no time, and a line from the past arrives with the one before it.
        assert_eq!(kept([0, 0, 9_000_000_000, 5]), 4);
    }

    /// The article's case: all errors and slow traces and 5% of the rest take a bill of 25,000 to about 6,500. How much
    /// is left is a matter of how many traces are errors or slow: here they are a fifth of the bytes.
    fn article() -> Args {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/seeds/example-1-basic.yaml");
        Args {
            config: vec![config.to_owned()],
            compare: None,
            input: Vec::new(),
            generate: Some(20_000),
            errors: 7,
            slow_traces: 15,
            probes: 0,
            kept: None,
            price_per_gb: Some(GB),
            price_per_million_spans: None,
            period: None,
            slow: Duration::from_secs(1),
            json: true,
            no_jit: true,
            instances: 1,
        }
    }

    /// So that the traffic of the shop, which is small, costs 25,000 a month.
    const GB: f64 = 457.0;

    #[test]
    fn the_articles_bill() {
        let report: serde_json::Value = serde_json::from_str(&run(&article()).unwrap()).unwrap();
        let bill = |key: &str| report["bill"][key].as_f64().unwrap();
        let (before, after) = (bill("monthly_before"), bill("monthly_after"));
        assert!((before - 25_000.0).abs() < 250.0 && (after - 6_500.0).abs() < 325.0, "{report}");
        for kind in ["error_traces", "slow_traces"] {
            assert_eq!(report[kind]["traces"], report[kind]["kept"]);
        }
        // The same in every run.
        assert_eq!(run(&article()).unwrap(), run(&article()).unwrap());
    }

    #[test]
    fn the_documented_example_is_true() {
        let printed = run(&Args { json: false, ..article() }).unwrap();
        let indented: Vec<String> = printed.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
        let page = include_str!("simulate/README.md");
        assert!(page.contains(&indented.join("\n")), "{printed}");
        let rare = run(&Args { errors: 1, slow_traces: 1, json: false, ..article() }).unwrap();
        assert!(rare.contains("bill  25,113 a month before, 1,769 after"), "{rare}");
    }

    #[test]
    fn two_configurations_side_by_side() {
        let yaml = "yaml:{processors: {tail_sampling: {decision_wait: 2s, policies: [{name: all, type: probabilistic, probabilistic: {sampling_percentage: 50}}]}}, service: {pipelines: {traces: {processors: [tail_sampling]}}}}";
        let args = Args {
            compare: Some(yaml.to_owned()),
            generate: Some(400),
            slow_traces: 14,
            price_per_gb: Some(7_800.0),
            json: false,
            ..article()
        };
        let text = run(&args).unwrap();
        let (beside, _) = text.split_once("\n== ").unwrap();
        // The columns are as wide as the names, one of which is a path of this machine.
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let named = beside.replace(&args.config[0], "FIRST").replace(yaml, "SECOND");
        insta::assert_snapshot!(named.lines().map(words).collect::<Vec<_>>().join("\n"));
        assert!(matches!(run(&Args { errors: 60, slow_traces: 60, ..article() }), Err(Error::Mix)));
    }
}
