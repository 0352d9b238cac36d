//! What a replay found: amounts in and kept, by policy and service, what became of error and slow traces, and money.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use pdata::value::Attributes;
use pdata::{TraceId, Traces};

use crate::processors::tail_sampling;

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

/// One service in and out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Traces and spans that arrived.
    pub traces: usize,
    /// See `traces`.
    pub spans: usize,
    /// Of these, what was kept.
    pub kept_traces: usize,
    /// See `kept_traces`.
    pub kept_spans: usize,
}

/// What a filter did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filtered {
    /// Spans that it took out.
    pub spans: usize,
    /// Requests that it refused, as a condition failed under `error_mode: propagate`: their senders would send them again.
    pub refused: usize,
    /// Why it refused the first of them.
    pub first_error: Option<String>,
}

/// What is known of a trace of the capture.
#[derive(Clone, Copy, Debug)]
struct Seen {
    error: bool,
    start: u64,
    end: u64,
}

/// What backends charge, and for how much traffic the capture stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prices {
    /// Of 10^9 bytes of spans.
    pub per_gb: Option<f64>,
    /// Of a million spans.
    pub per_million_spans: Option<f64>,
    /// The time in which the capture's traffic came; none if the spans' times tell it.
    pub period: Option<Duration>,
}

/// A month's price of what came in and of what is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bill {
    /// Of all.
    pub before: f64,
    /// Of what is kept.
    pub after: f64,
    /// The time that was extrapolated.
    pub period: Duration,
}

/// Days a month, on average.
const MONTH_SECONDS: f64 = 365.25 / 12.0 * 86_400.0;

/// What a replay found.
#[derive(Debug, Default)]
pub struct Report {
    /// What arrived.
    pub sent: Volume,
    /// What came out of all pipelines.
    pub out: Volume,
    /// Each sampler, with its pipeline and id.
    pub samplers: Vec<(String, String, tail_sampling::Summary)>,
    /// Each filter, with its pipeline and id.
    pub filters: Vec<(String, String, Filtered)>,
    /// Processors of these pipelines that did not act.
    pub left_out: BTreeSet<String>,
    /// By `service.name`.
    pub services: BTreeMap<String, Flow>,
    /// What counts as slow.
    pub slow: Duration,
    kept: BTreeSet<TraceId>,
    seen: BTreeMap<TraceId, Seen>,
    by_service: BTreeMap<String, [BTreeSet<TraceId>; 2]>,
}

impl Report {
    /// Of nothing; traces that take longer than this count as slow.
    pub(super) fn new(slow: Duration) -> Self {
        Self { slow, ..Self::default() }
    }

    /// A batch of the capture.
    pub(super) fn add_sent(&mut self, batch: &Traces) {
        self.sent.add(batch);
        for span in batch.spans() {
            let fields = pdata::span::SpanFields::read(span.bytes());
            let seen = self.seen.entry(*span.trace_id()).or_insert(Seen { error: false, start: u64::MAX, end: 0 });
            seen.error |= fields.status_code == 2;
            seen.start = seen.start.min(fields.start_unix_nano);
            seen.end = seen.end.max(fields.end_unix_nano);
        }
        self.sent.traces = self.seen.len();
        self.add_services(batch, 0);
    }

    /// A batch that is kept.
    pub(super) fn add_kept(&mut self, batch: &Traces) {
        self.out.add(batch);
        self.kept.extend(batch.trace_ids());
        self.out.traces = self.kept.len();
        self.add_services(batch, 1);
    }

    fn add_services(&mut self, batch: &Traces, side: usize) {
        for resource in batch.resources() {
            // Attributes are field 1 of a Resource.
            let name = Attributes::new(resource.resource(), 1).find_key(b"service.name");
            let name = name.and_then(|value| value.as_str()).map_or_else(String::new, pdata::value::lossy);
            let flow = self.services.entry(name.clone()).or_default();
            let ids = &mut self.by_service.entry(name).or_default()[side];
            let mut spans = 0;
            for span in resource.scopes().flat_map(|scope| scope.spans()) {
                ids.insert(*span.trace_id());
                spans += 1;
            }
            if side == 0 {
                (flow.traces, flow.spans) = (ids.len(), flow.spans + spans);
            } else {
                (flow.kept_traces, flow.kept_spans) = (ids.len(), flow.kept_spans + spans);
            }
        }
    }

    /// Ids of the kept traces: lower-case hex, sorted.
    pub fn kept(&self) -> impl Iterator<Item = String> {
        self.kept.iter().map(|id| {
            id.iter().fold(String::with_capacity(32), |mut hex, byte| {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            })
        })
    }

    /// Traces that only this one keeps, and that only the other does.
    #[must_use]
    pub fn differences(&self, other: &Self) -> (usize, usize) {
        (self.kept.difference(&other.kept).count(), other.kept.difference(&self.kept).count())
    }

    /// Traces with an error, and how many of these are kept.
    #[must_use]
    pub fn errors(&self) -> (usize, usize) {
        self.count(|seen| seen.error)
    }

    /// Traces that took longer than `slow`, and how many of these are kept.
    #[must_use]
    pub fn slow(&self) -> (usize, usize) {
        let limit = u64::try_from(self.slow.as_nanos()).unwrap_or(u64::MAX);
        self.count(|seen| seen.end.saturating_sub(seen.start) > limit)
    }

    fn count(&self, wanted: impl Fn(&Seen) -> bool) -> (usize, usize) {
        let wanted = self.seen.iter().filter(|(_, seen)| wanted(seen));
        wanted.fold((0, 0), |(all, kept), (id, _)| (all + 1, kept + usize::from(self.kept.contains(id))))
    }

    /// Most memory that all samplers' buffers took together, in bytes.
    #[must_use]
    pub fn peak_buffer_bytes(&self) -> u64 {
        self.samplers.iter().map(|(_, _, summary)| summary.peak_buffer_bytes).sum()
    }

    /// The bill, if there are prices and the capture stands for some time.
    #[must_use]
    pub fn bill(&self, prices: &Prices) -> Option<Bill> {
        if prices.per_gb.is_none() && prices.per_million_spans.is_none() {
            return None;
        }
        let period = prices.period.or_else(|| {
            let starts = || self.seen.values().map(|seen| seen.start).filter(|start| (1..u64::MAX).contains(start));
            Some(Duration::from_nanos(starts().max()? - starts().min()?))
        })?;
        let months = period.as_secs_f64() / MONTH_SECONDS;
        let price = |volume: &Volume| {
            let bytes = prices.per_gb.unwrap_or(0.0) * volume.bytes as f64 / 1e9;
            let spans = prices.per_million_spans.unwrap_or(0.0) * volume.spans as f64 / 1e6;
            (bytes + spans) / months
        };
        (months > 0.0).then(|| Bill { before: price(&self.sent), after: price(&self.out), period })
    }

    /// For scripts.
    #[must_use]
    pub fn to_json(&self, prices: &Prices) -> serde_json::Value {
        let volume = |volume: &Volume| {
            serde_json::json!({
                "batches": volume.batches, "traces": volume.traces, "spans": volume.spans, "bytes": volume.bytes,
            })
        };
        let share = |(traces, kept): (usize, usize)| serde_json::json!({ "traces": traces, "kept": kept });
        let samplers: Vec<_> = self
            .samplers
            .iter()
            .map(|(pipeline, id, summary)| {
                let kept_by: Vec<_> = summary
                    .kept_by
                    .iter()
                    .zip(&summary.kept_spans_by)
                    .map(|((policy, traces), spans)| {
                        serde_json::json!({ "policy": policy, "traces": traces, "spans": spans })
                    })
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
                    "exchange": summary.exchange,
                    "kept_by": kept_by,
                })
            })
            .collect();
        let services: Vec<_> = self
            .services
            .iter()
            .map(|(name, flow)| {
                serde_json::json!({
                    "service": name, "traces": flow.traces, "spans": flow.spans,
                    "kept_traces": flow.kept_traces, "kept_spans": flow.kept_spans,
                })
            })
            .collect();
        let filters: Vec<_> = self
            .filters
            .iter()
            .map(|(pipeline, id, filtered)| {
                serde_json::json!({
                    "pipeline": pipeline,
                    "processor": id,
                    "spans": filtered.spans,
                    "refused_requests": filtered.refused,
                    "first_error": filtered.first_error,
                })
            })
            .collect();
        let bill = self.bill(prices).map(|bill| {
            serde_json::json!({
                "monthly_before": bill.before, "monthly_after": bill.after, "period_seconds": bill.period.as_secs_f64(),
            })
        });
        serde_json::json!({
            "sent": volume(&self.sent),
            "kept": volume(&self.out),
            "error_traces": share(self.errors()),
            "slow_traces": share(self.slow()),
            "bill": bill,
            "peak_buffer_bytes": self.peak_buffer_bytes(),
            "filters": filters,
            "samplers": samplers,
            "services": services,
            "left_out": self.left_out,
        })
    }

    /// For people.
    #[must_use]
    pub fn show(&self, prices: &Prices) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out, prices);
        out
    }

    fn write(&self, f: &mut String, prices: &Prices) -> fmt::Result {
        let (sent, out) = (&self.sent, &self.out);
        writeln!(
            f,
            "sent  {} traces, {} spans, {} bytes in {} requests",
            sent.traces, sent.spans, sent.bytes, sent.batches
        )?;
        writeln!(
            f,
            "kept  {} traces ({}), {} spans ({}), {} bytes ({}) in {} batches",
            out.traces,
            percent(out.traces, sent.traces),
            out.spans,
            percent(out.spans, sent.spans),
            out.bytes,
            percent(out.bytes, sent.bytes),
            out.batches
        )?;
        for (what, (all, kept)) in
            [("with an error".to_owned(), self.errors()), (format!("slower than {:?}", self.slow), self.slow())]
        {
            writeln!(f, "      {kept} of {all} traces {what} ({})", percent(kept, all))?;
        }
        if let Some(bill) = self.bill(prices) {
            writeln!(
                f,
                "bill  {} a month before, {} after ({} less)",
                money(bill.before),
                money(bill.after),
                saved(&bill)
            )?;
        }
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
            for ((policy, traces), spans) in summary.kept_by.iter().zip(&summary.kept_spans_by) {
                writeln!(f, "  {traces:>8} traces, {spans:>9} spans kept by {policy}")?;
            }
            writeln!(f, "  {} bytes buffered at most", summary.peak_buffer_bytes)?;
            if let Some(exchange) = &summary.exchange {
                writeln!(f, "  {exchange}")?;
            }
        }
        for (pipeline, id, filtered) in &self.filters {
            writeln!(f, "\n{id} in {pipeline}\n  {} spans dropped", filtered.spans)?;
            if let Some(error) = &filtered.first_error {
                writeln!(f, "  {} requests refused, first: {error}", filtered.refused)?;
            }
        }
        let mut table = table(&["service", "traces", "kept", "spans", "kept", "share"]);
        for (name, flow) in &self.services {
            table.add_row([
                if name.is_empty() { "(none)".to_owned() } else { name.clone() },
                flow.traces.to_string(),
                flow.kept_traces.to_string(),
                flow.spans.to_string(),
                flow.kept_spans.to_string(),
                percent(flow.kept_spans, flow.spans),
            ]);
        }
        writeln!(f, "\n{}", trimmed(&table))?;
        if !self.left_out.is_empty() {
            let names: Vec<&str> = self.left_out.iter().map(String::as_str).collect();
            writeln!(f, "\nleft out: {}", names.join(", "))?;
        }
        Ok(())
    }

    /// Two configurations on the same capture, side by side.
    #[must_use]
    pub fn beside(&self, other: &Self, names: [&str; 2], prices: &Prices) -> String {
        let mut table = table(&["", names[0], names[1]]);
        let mut row = |what: String, value: &dyn Fn(&Self) -> String| {
            table.add_row([what, value(self), value(other)]);
        };
        let of = |part: usize, whole: usize| format!("{part} ({})", percent(part, whole));
        row("kept traces".to_owned(), &|report| of(report.out.traces, report.sent.traces));
        row("kept spans".to_owned(), &|report| of(report.out.spans, report.sent.spans));
        row("kept bytes".to_owned(), &|report| of(report.out.bytes, report.sent.bytes));
        row("traces with an error".to_owned(), &|report| of(report.errors().1, report.errors().0));
        row(format!("slower than {:?}", self.slow), &|report| of(report.slow().1, report.slow().0));
        if self.bill(prices).is_some() {
            let bill = |report: &Self| report.bill(prices).map_or_else(String::new, |bill| money(bill.after));
            row("monthly bill".to_owned(), &bill);
        }
        row("buffered bytes".to_owned(), &|report| report.peak_buffer_bytes().to_string());
        let policies: BTreeSet<&str> = [self, other]
            .iter()
            .flat_map(|report| &report.samplers)
            .flat_map(|(_, _, summary)| summary.kept_by.iter().map(|(policy, _)| policy.as_str()))
            .collect();
        for policy in policies {
            row(format!("kept by {policy}"), &|report| {
                let all = report.samplers.iter().flat_map(|(_, _, summary)| &summary.kept_by);
                let mut found = all.filter(|(name, _)| name == policy).map(|(_, traces)| traces).peekable();
                if found.peek().is_none() { "-".to_owned() } else { found.sum::<u64>().to_string() }
            });
        }
        let (ours, theirs) = self.differences(other);
        format!("{}\n{ours} traces are kept by the first only, {theirs} by the second only\n", trimmed(&table))
    }
}

impl Volume {
    fn add(&mut self, batch: &Traces) {
        self.batches += 1;
        self.spans += batch.span_count();
        self.bytes += batch.span_bytes();
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

fn saved(bill: &Bill) -> String {
    format!("{:.0} %", 100.0 * (bill.before - bill.after) / bill.before.max(f64::MIN_POSITIVE))
}

/// With commas between thousands, without a currency: prices have none.
fn money(amount: f64) -> String {
    let digits = format!("{amount:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
