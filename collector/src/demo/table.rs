//! The figures of a demo and how they are shown: a table on a terminal, a line when piped.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use pdata::metrics::{MetricData, NumberValue, ResourceMetrics, Value};

use super::red::{Red, by_service};
use super::traffic::Made;
use crate::memory;

/// What was last read.
#[derive(Default)]
pub(crate) struct Figures {
    accepted: u64,
    rate: u64,
    kept_by_policy: BTreeMap<String, u64>,
    kept: u64,
    dropped: u64,
    services: BTreeMap<String, Red>,
    last: Option<(Duration, u64)>,
}

impl Figures {
    /// Reads the collector's own metrics.
    pub(crate) fn read_own(&mut self, own: &ResourceMetrics) {
        let sum =
            |name: &str, labels: &[(&str, &str)]| -> u64 { points(own, name, labels).map(|(_, value)| value).sum() };
        self.accepted = sum("otelcol_receiver_accepted_spans", &[]);
        let decisions = "otelcol_processor_tail_sampling_global_count_traces_sampled";
        self.kept = sum(decisions, &[("sampled", "true")]);
        self.dropped = sum(decisions, &[("sampled", "false")]);
        let votes = "otelcol_processor_tail_sampling_count_traces_sampled";
        self.kept_by_policy = points(own, votes, &[("sampled", "true")])
            .filter_map(|(labels, value)| Some((label(labels, "policy")?.to_owned(), value)))
            .collect();
    }

    /// Reads the RED page.
    pub(crate) fn read_red(&mut self, page: &str) {
        self.services = by_service(page);
    }

    /// Works out the rate since the last time; to be called once a second.
    pub(crate) fn at(&mut self, now: Duration) {
        if let Some((then, accepted)) = self.last {
            let seconds = now.saturating_sub(then).as_secs_f64();
            self.rate = if seconds > 0.0 { ((self.accepted - accepted) as f64 / seconds) as u64 } else { 0 };
        }
        self.last = Some((now, self.accepted));
    }

    /// One line, for pipes.
    pub(crate) fn line(&self) -> String {
        let policies: Vec<String> =
            self.kept_by_policy.iter().map(|(policy, count)| format!("{policy} {count}")).collect();
        format!(
            "{} spans in, {}/s; {} traces kept ({}), {} dropped; {} MiB",
            self.accepted,
            self.rate,
            self.kept,
            policies.join(", "),
            self.dropped,
            resident_mib()
        )
    }

    /// The table.
    pub(crate) fn table(&self, made: &Made) -> String {
        let mut red = Table::new();
        red.load_preset(presets::UTF8_BORDERS_ONLY);
        red.set_header(["service", "spans", "errors", "error %", "p95 ms"]);
        for (service, figures) in &self.services {
            let percent = figures.errors as f64 * 100.0 / figures.calls.max(1) as f64;
            let p95 = figures.p95_ms().map_or_else(|| "> 15000".to_owned(), |bound| format!("<= {bound}"));
            let cells =
                [service.clone(), figures.calls.to_string(), figures.errors.to_string(), format!("{percent:.2}"), p95];
            red.add_row(cells);
        }
        for column in red.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut why = Table::new();
        why.load_preset(presets::UTF8_BORDERS_ONLY);
        why.set_header(["traces", "count"]);
        let mut row = |name: String, count: u64| {
            why.add_row([name, count.to_string()]);
        };
        row("sent by the shop".to_owned(), made.traces);
        row("  with an error / slow / probes".to_owned(), made.errors + made.slow + made.probes);
        for (policy, count) in &self.kept_by_policy {
            row(format!("voted for by {policy}"), *count);
        }
        row("kept".to_owned(), self.kept);
        row("dropped".to_owned(), self.dropped);
        row("waiting for a decision".to_owned(), made.traces.saturating_sub(self.kept + self.dropped));
        for column in why.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!(
            "{red}\n{why}\n{} spans in ({} sent), {}/s, {} MiB resident",
            self.accepted,
            made.spans,
            self.rate,
            resident_mib()
        )
    }
}

fn resident_mib() -> u64 {
    memory::resident().unwrap_or_default() >> 20
}

type Labels = [(String, Value)];

fn label<'a>(labels: &'a Labels, key: &str) -> Option<&'a str> {
    labels.iter().find(|(known, _)| known == key).and_then(|(_, value)| match value {
        Value::String(text) => Some(text.as_str()),
        _ => None,
    })
}

/// Points of a sum whose labels contain these.
fn points<'a>(
    own: &'a ResourceMetrics,
    name: &'a str,
    wanted: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = (&'a Labels, u64)> {
    own.scope_metrics
        .iter()
        .flat_map(|scope| &scope.metrics)
        .filter(move |metric| metric.name == name)
        .flat_map(|metric| match &metric.data {
            MetricData::Sum { points, .. } => points.as_slice(),
            _ => &[],
        })
        .filter(move |point| wanted.iter().all(|(key, value)| label(&point.attributes, key) == Some(value)))
        .map(|point| {
            let value = match point.value {
                NumberValue::Int(value) => u64::try_from(value).unwrap_or(0),
                NumberValue::Double(value) => value as u64,
            };
            (point.attributes.as_slice(), value)
        })
}
