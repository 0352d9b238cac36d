//! Which pipelines connect, checked before anything is made: signals, both sides of each connector, cycles.
//!
//! The words are the Go collector's; unlike there, every mistake is reported.

use component::{Id, Signal};

use crate::config::{Config, Pipeline, Problems};

/// Adds everything that keeps the pipelines of `config` from being connected.
pub fn check(config: &Config, problems: &mut Problems) {
    for pipeline in &config.service.pipelines {
        check_signals(config, pipeline, problems);
    }
    for connector in &config.connectors {
        check_sides(config, &connector.id, problems);
    }
    if problems.is_empty() {
        check_cycles(config, problems);
    }
}

/// The signals that `from` can be turned into by this connector; all of the data that no plan is known of.
pub(super) fn connects(config: &Config, id: &Id, from: Signal, to: Signal) -> bool {
    let plan = config.connectors.iter().find(|connector| connector.id == *id).and_then(|found| found.plan.as_ref());
    plan.is_some_and(|plan| plan.pairs().contains(&(from, to)))
}

/// True if `id` names a connector.
pub(super) fn is_connector(config: &Config, id: &Id) -> bool {
    config.connectors.iter().any(|connector| connector.id == *id)
}

/// Pipelines of `signal` that the connector feeds.
pub(super) fn fed_by<'c>(config: &'c Config, id: &'c Id, signal: Signal) -> impl Iterator<Item = &'c Pipeline> {
    let pipelines = config.service.pipelines.iter();
    pipelines.filter(move |pipeline| pipeline.signal == signal && pipeline.receivers.contains(id))
}

fn check_signals(config: &Config, pipeline: &Pipeline, problems: &mut Problems) {
    let signal = pipeline.signal;
    let path = format!("service::pipelines::{}", pipeline.id);
    let unsupported = "telemetry type is not supported";
    for (index, id) in pipeline.receivers.iter().enumerate() {
        let plan = config.receivers.iter().find(|known| known.id == *id).and_then(|known| known.plan.as_ref());
        if plan.is_some_and(|plan| !plan.signals().contains(&signal)) {
            let message = format!("failed to create \"{id}\" receiver for data type \"{signal}\": {unsupported}");
            problems.add_graph(format!("{path}::receivers[{index}]"), message);
        }
    }
    for (index, id) in pipeline.processors.iter().enumerate() {
        let plan = config.processors.iter().find(|known| known.id == *id).and_then(|known| known.plan.as_ref());
        if plan.is_some_and(|plan| !plan.signals().contains(&signal)) {
            let message =
                format!("failed to create \"{id}\" processor, in pipeline \"{}\": {unsupported}", pipeline.id);
            problems.add_graph(format!("{path}::processors[{index}]"), message);
        }
    }
    for (index, id) in pipeline.exporters.iter().enumerate() {
        let plan = config.exporters.iter().find(|known| known.id == *id).and_then(|known| known.plan.as_ref());
        if plan.is_some_and(|plan| !plan.signals().contains(&signal)) {
            let message = format!("failed to create \"{id}\" exporter for data type \"{signal}\": {unsupported}");
            problems.add_graph(format!("{path}::exporters[{index}]"), message);
        }
    }
}

/// Every signal on the exporter side needs one supported signal on the receiver side, and the other way round.
/// Unsupported pairs beside a supported one are skipped silently, as upstream does.
fn check_sides(config: &Config, id: &Id, problems: &mut Problems) {
    let signals = |listed: fn(&Pipeline) -> &[Id]| {
        let mut found: Vec<Signal> = Vec::new();
        for pipeline in config.service.pipelines.iter().filter(|pipeline| listed(pipeline).contains(id)) {
            if !found.contains(&pipeline.signal) {
                found.push(pipeline.signal);
            }
        }
        found
    };
    let from = signals(|pipeline| &pipeline.exporters);
    let to = signals(|pipeline| &pipeline.receivers);
    for (side, here, other) in [("exporter", &from, "receiver"), ("receiver", &to, "exporter")] {
        for signal in here {
            let works = match side {
                "exporter" => to.iter().any(|to| connects(config, id, *signal, *to)),
                _ => from.iter().any(|from| connects(config, id, *from, *signal)),
            };
            if works {
                continue;
            }
            // Both sides are there, but no pair of them is possible: the pair says more than "not used".
            let message = match (from.as_slice(), to.as_slice()) {
                ([from], [to]) if side == "exporter" => {
                    format!("connector \"{id}\" cannot connect from {from} to {to}: telemetry type is not supported")
                }
                ([_], [_]) => continue,
                _ => {
                    let pipelines: Vec<&str> = config
                        .service
                        .pipelines
                        .iter()
                        .filter(|pipeline| {
                            let listed = if side == "exporter" { &pipeline.exporters } else { &pipeline.receivers };
                            pipeline.signal == *signal && listed.contains(id)
                        })
                        .map(|pipeline| &*pipeline.id)
                        .collect();
                    format!(
                        "connector \"{id}\" used as {side} in [{}] pipeline but not used in any supported {other} pipeline",
                        pipelines.join(" ")
                    )
                }
            };
            problems.add_graph(format!("connectors::{id}"), message);
        }
    }
}

/// A step through a connector into a pipeline.
#[derive(Clone, Copy, PartialEq)]
struct Hop<'c> {
    connector: &'c Id,
    from: Signal,
    into: &'c Pipeline,
}

fn check_cycles(config: &Config, problems: &mut Problems) {
    for start in &config.service.pipelines {
        let mut trail = Vec::new();
        let mut done = Vec::new();
        if let Some(cycle) = walk(config, start, &mut trail, &mut done) {
            let first = cycle[0].connector;
            problems.add_graph(format!("connectors::{first}"), describe(&cycle));
            return;
        }
    }
}

/// Depth first; gives the hops of the first cycle found.
fn walk<'c>(
    config: &'c Config,
    pipeline: &'c Pipeline,
    trail: &mut Vec<Hop<'c>>,
    done: &mut Vec<&'c str>,
) -> Option<Vec<Hop<'c>>> {
    if done.contains(&&*pipeline.id) {
        return None;
    }
    for connector in pipeline.exporters.iter().filter(|id| is_connector(config, id)) {
        for into in &config.service.pipelines {
            if !into.receivers.contains(connector) || !connects(config, connector, pipeline.signal, into.signal) {
                continue;
            }
            let hop = Hop { connector, from: pipeline.signal, into };
            if let Some(at) = trail.iter().position(|seen| *seen == hop) {
                return Some(trail[at..].to_vec());
            }
            trail.push(hop);
            if let Some(cycle) = walk(config, into, trail, done) {
                return Some(cycle);
            }
            trail.pop();
        }
    }
    done.push(&pipeline.id);
    None
}

fn describe(cycle: &[Hop<'_>]) -> String {
    let connector = |hop: &Hop<'_>| format!("connector \"{}\" ({} to {})", hop.connector, hop.from, hop.into.signal);
    let mut parts = Vec::new();
    for hop in cycle {
        parts.push(connector(hop));
        for processor in &hop.into.processors {
            parts.push(format!("processor \"{processor}\" in pipeline \"{}\"", hop.into.id));
        }
    }
    parts.extend(cycle.first().map(connector));
    format!("cycle detected: {}", parts.join(" -> "))
}
