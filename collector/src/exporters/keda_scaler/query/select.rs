//! Which series a selector means, and, where it means none, why.

use promql_parser::label::Matcher;

use crate::config::nearest;
use crate::exporters::keda_scaler::series::{Labels, Nanos, Sample, Series};
use crate::exporters::keda_scaler::store::{Family, Store};

/// How far back an instant selector looks, as in Prometheus.
pub(super) const LOOKBACK: Nanos = 300_000_000_000;
/// How many names or values an error lists.
const LISTED: usize = 5;

/// A selector: a name, or matchers for it, and matchers for labels; any of the groups is enough.
pub(super) struct Selector<'q> {
    name: Option<&'q str>,
    names: Vec<&'q Matcher>,
    groups: Vec<Vec<&'q Matcher>>,
}

impl<'q> Selector<'q> {
    pub(super) fn new(name: Option<&'q str>, matchers: &'q [Matcher], or: &'q [Vec<Matcher>]) -> Self {
        let is_name = |matcher: &&Matcher| matcher.name == "__name__";
        let all = matchers.iter().chain(or.iter().flatten());
        let labels = |group: &'q [Matcher]| group.iter().filter(|matcher| !is_name(matcher)).collect::<Vec<_>>();
        let mut groups: Vec<_> = or.iter().map(|group| labels(group)).collect();
        if groups.is_empty() || !matchers.is_empty() {
            groups.push(labels(matchers));
        }
        Self { name, names: all.filter(is_name).collect(), groups }
    }

    /// The selected series, or why there is none.
    pub(super) fn series<'s>(&self, store: &'s Store) -> Result<Vec<(&'s Labels, &'s Series)>, String> {
        let families: Vec<&Family> = match self.name {
            Some(name) => vec![store.family(name).ok_or_else(|| unknown(name, store))?],
            None => {
                let named = |name: &str| self.names.iter().all(|matcher| matcher.is_match(name));
                store.families().filter(|(name, _)| named(name)).map(|(_, family)| family).collect()
            }
        };
        let all = || families.iter().flat_map(|family| family.series());
        let selected: Vec<_> = all().filter(|(labels, _)| self.takes(labels)).collect();
        if selected.is_empty() {
            Err(self.why_not(&all().map(|(labels, _)| labels).collect::<Vec<_>>()))
        } else {
            Ok(selected)
        }
    }

    fn takes(&self, labels: &Labels) -> bool {
        self.groups.iter().any(|group| group.iter().all(|matcher| matches(matcher, labels)))
    }

    fn metric(&self) -> &str {
        self.name.unwrap_or("{..}")
    }

    fn why_not(&self, all: &[&Labels]) -> String {
        let metric = self.metric();
        if all.is_empty() {
            return format!("no metric that {metric} selects has been received");
        }
        let Some(wrong) =
            self.groups.iter().flatten().find(|matcher| !all.iter().any(|labels| matches(matcher, labels)))
        else {
            return format!("no series of {metric} matches all of the labels at once");
        };
        let mut values: Vec<&str> = all.iter().filter_map(|labels| labels.get(&wrong.name)).collect();
        values.sort_unstable();
        values.dedup();
        if values.is_empty() {
            let mut names: Vec<&str> =
                all.iter().flat_map(|labels| labels.0.iter().map(|(name, _)| name.as_str())).collect();
            names.sort_unstable();
            names.dedup();
            let hint = hint(&wrong.name, &names);
            return format!("no series of {metric} has the label {:?}{hint}; labels: {}", wrong.name, names.join(", "));
        }
        let more = if values.len() > LISTED { ", .." } else { "" };
        values.truncate(LISTED);
        format!(
            "no series of {metric} matches {}{}{:?}; values of {}: {}{more}",
            wrong.name,
            wrong.op,
            wrong.value,
            wrong.name,
            values.join(", ")
        )
    }

    /// The last samples at `at` of the series that live.
    pub(super) fn instant<'s>(&self, store: &'s Store, at: Nanos) -> Result<Vec<(&'s Labels, Sample)>, String> {
        let stale_after = store.limits.stale_after;
        let lookback = LOOKBACK.min(store.limits.history);
        let series = self.series(store)?;
        let live: Vec<_> = series
            .iter()
            .filter_map(|(labels, series)| Some((*labels, series.latest(at, stale_after, lookback)?)))
            .collect();
        if live.is_empty() { Err(self.stale(&series, at)) } else { Ok(live) }
    }

    /// The samples after `from`, up to `to`, of each series that has at least `least`.
    pub(super) fn range<'s>(
        &self,
        store: &'s Store,
        (from, to): (Nanos, Nanos),
        least: usize,
    ) -> Result<Vec<(&'s Labels, Vec<Sample>)>, String> {
        let series = self.series(store)?;
        let within = series.iter().map(|(labels, series)| (*labels, series.within(from, to)));
        let full: Vec<_> = within.filter(|(_, samples)| samples.len() >= least).collect();
        if !full.is_empty() {
            return Ok(full);
        }
        if series.iter().all(|(_, series)| series.within(from, to).is_empty()) {
            return Err(self.stale(&series, to));
        }
        let seconds = seconds(to - from);
        Err(format!("no series of {} has {least} samples within {seconds} s yet", self.metric()))
    }

    fn stale(&self, series: &[(&Labels, &Series)], at: Nanos) -> String {
        let last = series.iter().filter_map(|(_, series)| series.updated()).max();
        match last {
            Some(last) => {
                format!("the series of {} are stale: the last sample is {} s old", self.metric(), seconds(at - last))
            }
            None => format!("the series of {} have no samples", self.metric()),
        }
    }
}

fn seconds(nanos: Nanos) -> f64 {
    (nanos as f64 / 1e8).round() / 10.0
}

/// A label that is not there is like an empty one, as in PromQL.
fn matches(matcher: &Matcher, labels: &Labels) -> bool {
    matcher.is_match(labels.get(&matcher.name).unwrap_or_default())
}

fn unknown(name: &str, store: &Store) -> String {
    let mut names: Vec<&str> = store.families().map(|(name, _)| name).collect();
    if names.is_empty() {
        return format!("no metric named {name} has been received, nor any other: is a metrics pipeline connected?");
    }
    names.sort_unstable();
    format!("no metric named {name} has been received{}", hint(name, &names))
}

fn hint(wrong: &str, known: &[&str]) -> String {
    nearest::hint(wrong, known.iter().copied())
}
