//! `ottlcol simulate`: which traces a configuration would keep, found by replaying recorded requests on a virtual clock.
//!
//! Every request arrives at time zero, in file order; then time passes until nothing waits. Only `tail_sampling`
//! processors act: each traces pipeline that has any is a chain of them, and what comes out of one of the chains counts
//! as kept. Other processors are left out, and the summary names them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use component::Id;
use pdata::Traces;

use crate::config::{self, Node, Problems, Section};
use crate::processors::tail_sampling::{self, Plan, Replay};

/// Arguments of `simulate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Configuration file or URI; may be given several times
    #[arg(long, required = true)]
    pub config: Vec<String>,
    /// OTLP/JSON requests, one a line
    #[arg(long)]
    pub input: PathBuf,
    /// Where the ids of kept traces go: lower-case hex, sorted, one a line
    #[arg(long)]
    pub kept: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Evaluate conditions in the interpreter instead of machine code
    #[arg(long)]
    pub no_jit: bool,
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
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
    /// A processor that cannot run.
    #[error(transparent)]
    Start(#[from] crate::factory::StartError),
}

/// Runs the replay, writes the kept ids, and returns the summary as text.
///
/// # Errors
/// If the configuration, the input or the output is not usable.
pub fn run(args: &Args) -> Result<String, Error> {
    let resolved = config::resolve(&args.config, &config::Process)?;
    let input = std::fs::read(&args.input).map_err(|cause| file(&args.input, cause))?;
    let report = replay(&resolved.root, &input, &args.input.to_string_lossy(), args.no_jit)?;
    if let Some(path) = &args.kept {
        let text: String = report.kept.iter().map(|id| format!("{id}\n")).collect();
        std::fs::write(path, text).map_err(|cause| file(path, cause))?;
    }
    Ok(if args.json { report.to_json().to_string() + "\n" } else { report.to_string() })
}

fn file(path: &std::path::Path, cause: std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), cause }
}

/// One pipeline's samplers, the first first.
struct Chain {
    pipeline: String,
    stages: Vec<(String, Replay)>,
}

/// What a replay found.
#[derive(Debug, Default)]
pub struct Report {
    /// Ids of the kept traces.
    pub kept: BTreeSet<String>,
    /// Requests, traces, spans and span bytes that arrived.
    pub sent: Volume,
    /// What came out of all pipelines.
    pub out: Volume,
    /// Each sampler, with its pipeline and id.
    pub samplers: Vec<(String, String, tail_sampling::Summary)>,
    /// Processors of these pipelines that did not act.
    pub left_out: BTreeSet<String>,
}

/// Amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Requests or batches.
    pub batches: usize,
    /// Different trace ids.
    pub traces: usize,
    /// Spans.
    pub spans: usize,
    /// Bytes of the spans as protobuf, without resources and scopes.
    pub bytes: usize,
}

impl Volume {
    fn add(&mut self, batch: &Traces, ids: &mut BTreeSet<String>) {
        self.batches += 1;
        self.spans += batch.span_count();
        self.bytes += batch.span_bytes();
        for span in batch.spans() {
            ids.insert(span.trace_id().iter().fold(String::with_capacity(32), |mut hex, byte| {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            }));
        }
    }
}

/// Replays `input` through the samplers of a configuration.
///
/// # Errors
/// As [`run`].
pub fn replay(root: &Node, input: &[u8], name: &str, no_jit: bool) -> Result<Report, Error> {
    let engine = if no_jit { ottl::Engine::Interpreter } else { ottl::Engine::Jit };
    let mut report = Report::default();
    let mut chains = chains(root, engine, &mut report.left_out)?;
    let mut ids = BTreeSet::new();
    for (line, text) in input.split(|byte| *byte == b'\n').enumerate() {
        if text.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |cause: String| Error::Request { path: name.to_owned(), line: line + 1, cause };
        let bytes = pdata::json::traces_from_json(text).map_err(|error| wrong(error.to_string()))?;
        let batch = Traces::index(bytes.into()).map_err(|error| wrong(error.to_string()))?;
        report.sent.add(&batch, &mut ids);
        for chain in &mut chains {
            chain.feed(0, vec![batch.clone()], &mut report);
        }
    }
    report.sent.traces = ids.len();
    for chain in &mut chains {
        while chain.stages.iter().any(|(_, stage)| stage.is_waiting()) {
            for stage in 0..chain.stages.len() {
                let kept = chain.stages[stage].1.second();
                chain.feed(stage + 1, kept, &mut report);
            }
        }
        for (id, stage) in &mut chain.stages {
            report.samplers.push((chain.pipeline.clone(), id.clone(), stage.summary()));
        }
    }
    report.out.traces = report.kept.len();
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
                None => report.out.add(&batch, &mut report.kept),
            }
        }
    }
}

/// The samplers of each traces pipeline that has any.
fn chains(root: &Node, engine: ottl::Engine, left_out: &mut BTreeSet<String>) -> Result<Vec<Chain>, Error> {
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
                Some(value) => Plan::parse(&Section { id, path, value: value.clone() }, &mut problems),
                None => {
                    let message = format!("references processor {name:?} which is not configured");
                    problems.add(format!("service::pipelines::{pipeline}"), message);
                    None
                }
            });
            if let Some(plan) = plan {
                chain.stages.push((name, plan.replay(engine)?));
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

impl Report {
    fn to_json(&self) -> serde_json::Value {
        let volume = |volume: &Volume| {
            serde_json::json!({
                "batches": volume.batches, "traces": volume.traces, "spans": volume.spans, "bytes": volume.bytes,
            })
        };
        let samplers: Vec<_> = self
            .samplers
            .iter()
            .map(|(pipeline, id, summary)| {
                let kept_by: Vec<_> = summary
                    .kept_by
                    .iter()
                    .map(|(policy, traces)| serde_json::json!({ "policy": policy, "traces": traces }))
                    .collect();
                serde_json::json!({
                    "pipeline": pipeline,
                    "processor": id,
                    "traces": summary.traces,
                    "sampled": summary.sampled,
                    "not_sampled": summary.not_sampled,
                    "dropped": summary.dropped,
                    "too_large": summary.too_large,
                    "decided_early": summary.decided_early,
                    "policy_errors": summary.policy_errors,
                    "peak_buffer_bytes": summary.peak_buffer_bytes,
                    "kept_by": kept_by,
                })
            })
            .collect();
        serde_json::json!({
            "sent": volume(&self.sent),
            "kept": volume(&self.out),
            "samplers": samplers,
            "left_out": self.left_out,
        })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        let (sent, out) = (&self.sent, &self.out);
        writeln!(
            f,
            "sent  {} traces, {} spans, {} bytes in {} requests",
            sent.traces, sent.spans, sent.bytes, sent.batches
        )?;
        writeln!(
            f,
            "kept  {} traces ({:.1} %), {} spans ({:.1} %), {} bytes ({:.1} %) in {} batches",
            out.traces,
            percent(out.traces, sent.traces),
            out.spans,
            percent(out.spans, sent.spans),
            out.bytes,
            percent(out.bytes, sent.bytes),
            out.batches
        )?;
        for (pipeline, id, summary) in &self.samplers {
            writeln!(f, "\n{id} in {pipeline}")?;
            writeln!(
                f,
                "  {} sampled, {} not sampled, {} dropped by a drop policy",
                summary.sampled, summary.not_sampled, summary.dropped
            )?;
            for (count, what) in [
                (summary.too_large, "larger than maximum_trace_size_bytes"),
                (summary.decided_early, "decided early because a limit was reached"),
                (summary.policy_errors, "policy evaluations failed"),
            ] {
                if count > 0 {
                    writeln!(f, "  {count} {what}")?;
                }
            }
            for (policy, traces) in &summary.kept_by {
                writeln!(f, "  {traces:>8}  kept by {policy}")?;
            }
            writeln!(f, "  {} bytes buffered at most", summary.peak_buffer_bytes)?;
        }
        if !self.left_out.is_empty() {
            let names: Vec<&str> = self.left_out.iter().map(String::as_str).collect();
            writeln!(f, "\nleft out: {}", names.join(", "))?;
        }
        Ok(())
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

    fn root(yaml: &str) -> Node {
        config::resolve(&[format!("yaml:{yaml}")], &config::Process).unwrap().root
    }

    #[test]
    fn chains_of_samplers() {
        let report = replay(&root(CONFIG), INPUT.as_bytes(), "input", true).unwrap();
        assert_eq!(report.kept.iter().map(String::as_str).collect::<Vec<_>>(), ["00000000000000000000000000000002"]);
        insta::assert_snapshot!(report.to_string());
        let json = report.to_json();
        assert_eq!(json["samplers"][0]["kept_by"][1]["traces"], 1);
        assert_eq!(json["kept"]["spans"], 2);
    }

    #[test]
    fn says_where_a_request_is_wrong() {
        let input = format!("{INPUT}{{\"resourceSpans\":[{{\"scopeSpans\":7}}]}}\n");
        let error = replay(&root(CONFIG), input.as_bytes(), "input", true).unwrap_err();
        assert!(error.to_string().starts_with("input:4: "), "{error}");
    }

    #[test]
    fn refuses_configurations_without_samplers_and_with_mistakes() {
        let error = |yaml: &str| replay(&root(yaml), b"", "input", true).unwrap_err().to_string();
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
}
