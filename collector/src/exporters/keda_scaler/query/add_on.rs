//! The grammar of the kedify otel-add-on: `op(name{label=value})`, with `operationOverTime` beside it.
//!
//! As there: `op` is one of sum (the default), avg, min, max, count; operations over time are last_one (the default), rate,
//! min, max, avg, count over what is kept (120 s there, `add_on_window` here). Better than there, where each of these is
//! silently answered with something else: an unknown operation over time, a label that no series carries, a name with
//! `_total`, too few samples for a rate.

use promql_parser::label::{MatchOp, Matcher};

use super::QueryError;
use super::select::{LOOKBACK, Selector};
use crate::config::nearest;
use crate::exporters::keda_scaler::series::{Nanos, Sample, rise};
use crate::exporters::keda_scaler::store::Store;

/// A query of this form.
#[derive(Debug)]
pub(super) struct Query {
    op: Aggregate,
    name: String,
    matchers: Vec<Matcher>,
    over_time: OverTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Avg,
    Min,
    Max,
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OverTime {
    LastOne,
    Rate,
    Min,
    Max,
    Avg,
    Count,
}

const OVER_TIME: [(&str, OverTime); 6] = [
    ("last_one", OverTime::LastOne),
    ("rate", OverTime::Rate),
    ("min", OverTime::Min),
    ("max", OverTime::Max),
    ("avg", OverTime::Avg),
    ("count", OverTime::Count),
];

impl Query {
    /// Reads a query; nothing if it is of another form.
    pub(super) fn parse(text: &str, over_time: Option<&str>) -> Result<Option<Self>, QueryError> {
        let Some(Parts { op, name, labels }) = split(text) else { return Ok(None) };
        let over_time = match over_time.map(str::trim) {
            None | Some("") => OverTime::LastOne,
            Some(wanted) => match OVER_TIME.iter().find(|(known, _)| *known == wanted) {
                Some((_, over_time)) => *over_time,
                None => {
                    let names = OVER_TIME.map(|(name, _)| name);
                    let hint = nearest::hint(wanted, names);
                    return Err(QueryError::Invalid(format!(
                        "operationOverTime: unknown operation {wanted:?}{hint}; one of {}",
                        names.join(", ")
                    )));
                }
            },
        };
        let matchers = labels.into_iter().map(|(name, value)| Matcher::new(MatchOp::Equal, name, value)).collect();
        Ok(Some(Self { op, name: name.to_owned(), matchers, over_time }))
    }

    pub(super) fn evaluate(&self, store: &Store, now: Nanos) -> Result<f64, QueryError> {
        let selector = Selector::new(Some(&self.name), &self.matchers, &[]);
        let window = store.limits.add_on_window;
        let lookback = LOOKBACK.min(window);
        let series = selector.series(store).map_err(QueryError::NoData)?;
        let mut values = Vec::with_capacity(series.len());
        let mut live = 0;
        for (_, series) in &series {
            // A pod that is gone would go on counting until its samples leave the window.
            if series.latest(now, store.limits.stale_after, lookback).is_none() {
                continue;
            }
            live += 1;
            values.extend(self.over_time.apply(&series.within(now - window, now)));
        }
        if live == 0 {
            return Err(selector.instant(store, now).err().map_or_else(
                || QueryError::NoData(format!("the series of {} are stale", self.name)),
                QueryError::NoData,
            ));
        }
        if values.is_empty() {
            return Err(QueryError::NoData(format!(
                "no series of {} has two samples yet, which a rate needs",
                self.name
            )));
        }
        let n = values.len() as f64;
        Ok(match self.op {
            Aggregate::Sum => values.iter().sum(),
            Aggregate::Avg => values.iter().sum::<f64>() / n,
            Aggregate::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            Aggregate::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Aggregate::Count => n,
        })
    }
}

impl OverTime {
    fn apply(self, samples: &[Sample]) -> Option<f64> {
        let (first, last) = (samples.first()?, samples.last()?);
        let values = samples.iter().map(|sample| sample.value);
        let n = samples.len() as f64;
        match self {
            Self::LastOne => Some(last.value),
            Self::Rate => {
                let seconds = (last.at - first.at) as f64 / 1e9;
                (samples.len() > 1).then(|| rise(samples) / seconds)
            }
            Self::Min => Some(values.fold(f64::INFINITY, f64::min)),
            Self::Max => Some(values.fold(f64::NEG_INFINITY, f64::max)),
            Self::Avg => Some(values.sum::<f64>() / n),
            Self::Count => Some(n),
        }
    }
}

struct Parts<'q> {
    op: Aggregate,
    name: &'q str,
    labels: Vec<(&'q str, &'q str)>,
}

/// The parts of `op(name{k=v,..})`, of which only the name must be there.
fn split(text: &str) -> Option<Parts<'_>> {
    let (op, inner) = match text.split_once('(') {
        None => (Aggregate::Sum, text),
        Some((op, rest)) => {
            let op = match op.trim() {
                "sum" => Aggregate::Sum,
                "avg" => Aggregate::Avg,
                "min" => Aggregate::Min,
                "max" => Aggregate::Max,
                "count" => Aggregate::Count,
                _ => return None,
            };
            (op, rest.trim().strip_suffix(')')?)
        }
    };
    let (name, labels) = match inner.trim().split_once('{') {
        None => (inner, ""),
        Some((name, labels)) => (name, labels.trim().strip_suffix('}')?),
    };
    let name = name.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let mut pairs = Vec::new();
    for pair in labels.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (label, value) = pair.split_once('=')?;
        let (label, value) = (label.trim(), value.trim());
        if label.is_empty() || !label.chars().all(is_name) {
            return None;
        }
        let value = unquoted(value)?;
        pairs.push((label, value));
    }
    Some(Parts { op, name, labels: pairs })
}

/// A value without its quotes; nothing for a PromQL operator or a value that only PromQL can read.
fn unquoted(value: &str) -> Option<&str> {
    let inner = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    let is_plain = !inner.starts_with(['~', '=']) && !inner.contains(['"', '\\', '{', '}', '(', ')']);
    is_plain.then_some(inner)
}
