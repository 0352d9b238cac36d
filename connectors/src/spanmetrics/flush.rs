//! From counts to metrics, and what is forgotten after that.

use pdata::Metrics;
use pdata::metrics::{
    AggregationTemporality, Attributes, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, NumberPoint,
    NumberValue, ResourceMetrics, Scope, ScopeMetrics, Value,
};

use super::labels::unpack;
use super::lru::Lru;
use super::resources::{Resource, ResourceKey};
use super::series::{Series, SeriesKey, Table};
use super::{Histogram, Plan, SpanMetrics, Temporality};

/// Name of the scope of all results.
const SCOPE: &str = "spanmetricsconnector";

impl SpanMetrics {
    /// Everything counted so far; the state goes on as temporality and expiry ask.
    ///
    /// With cumulative temporality the first flush of a series of calls or events says 0, so that a consumer sees the
    /// step from nothing to its count; histograms say their count at once, as upstream.
    pub fn flush(&mut self, now_unix_nano: u64) -> Metrics {
        self.flush_with(now_unix_nano, true)
    }

    /// As [`SpanMetrics::flush`] for the last time: new series say their count, as nothing will say it later.
    pub fn flush_last(&mut self, now_unix_nano: u64) -> Metrics {
        self.flush_with(now_unix_nano, false)
    }

    fn flush_with(&mut self, now_unix_nano: u64, zero_first: bool) -> Metrics {
        let zero_first = zero_first && self.plan.config.temporality == Temporality::Cumulative;
        let mut flush = Flush { plan: &self.plan, last_flush: &mut self.last_flush, now_unix_nano, zero_first };
        let resource_metrics = self.resources.all_mut().map(|(key, resource)| flush.resource(key, resource)).collect();
        self.forget(now_unix_nano);
        Metrics { resource_metrics, ..Metrics::default() }
    }

    fn forget(&mut self, now_unix_nano: u64) {
        let config = &self.plan.config;
        if config.temporality == Temporality::Delta {
            self.resources.clear();
            return;
        }
        self.resources.forget_evicted();
        let mut idle: Vec<ResourceKey> = Vec::new();
        for (key, resource) in self.resources.all_mut() {
            for table in resource.tables_mut() {
                if config.exemplars.is_some() {
                    table.clear_exemplars();
                }
                if config.series_expiration_nano > 0 {
                    table.expire(now_unix_nano, config.series_expiration_nano);
                }
            }
            let idle_nano = now_unix_nano.saturating_sub(resource.last_seen_unix_nano);
            if config.metrics_expiration_nano > 0 && idle_nano >= config.metrics_expiration_nano {
                idle.push(key);
            }
        }
        idle.into_iter().for_each(|key| self.resources.evict(key));
    }

    /// Resources remembered, for reporting.
    #[must_use]
    pub fn resource_count(&self) -> usize {
        self.resources.len()
    }
}

struct Flush<'state> {
    plan: &'state Plan,
    last_flush: &'state mut Lru<(ResourceKey, SeriesKey), u64>,
    now_unix_nano: u64,
    /// New series of calls and events say 0.
    zero_first: bool,
}

impl Flush<'_> {
    fn resource(&mut self, key: ResourceKey, resource: &mut Resource) -> ResourceMetrics {
        let config = &self.plan.config;
        let mut metrics = vec![self.sum(key, "calls", &mut resource.calls)];
        if config.histogram != Histogram::Disabled {
            let table = resource.durations.as_mut().unwrap_or(&mut resource.calls);
            metrics.push(self.durations(key, table));
        }
        if let Some(events) = &mut resource.events {
            metrics.push(self.sum(key, "events", events));
        }
        if config.temporality == Temporality::Delta {
            self.remember(key, resource);
        }
        // Last, as the two parts of a shared series both need to know.
        resource.tables_mut().for_each(|table| table.for_each(|series, _| series.is_new = false));
        ResourceMetrics {
            attributes: if config.resource_attributes { resource.attributes.clone() } else { Attributes::new() },
            schema_url: String::new(),
            scope_metrics: vec![ScopeMetrics {
                scope: Scope { name: SCOPE.to_owned(), ..Scope::default() },
                schema_url: String::new(),
                metrics,
            }],
        }
    }

    fn name(&self, base: &str) -> String {
        match self.plan.config.namespace.as_str() {
            "" => base.to_owned(),
            namespace => format!("{namespace}.{base}"),
        }
    }

    fn temporality(&self) -> AggregationTemporality {
        match self.plan.config.temporality {
            Temporality::Cumulative => AggregationTemporality::Cumulative,
            Temporality::Delta => AggregationTemporality::Delta,
        }
    }

    fn start(&mut self, resource: ResourceKey, series: &Series) -> u64 {
        let before = match self.plan.config.temporality {
            Temporality::Cumulative => None,
            Temporality::Delta => self.last_flush.get((resource, series.key)).copied(),
        };
        before.unwrap_or(series.start_unix_nano)
    }

    fn remember(&mut self, key: ResourceKey, resource: &mut Resource) {
        for table in resource.tables_mut() {
            table.for_each(|series, _| match self.last_flush.get((key, series.key)) {
                Some(time) => *time = self.now_unix_nano,
                None => {
                    self.last_flush.insert((key, series.key), self.now_unix_nano);
                }
            });
        }
    }

    fn attributes(&self, series: &Series) -> Attributes {
        if series.is_overflow() {
            vec![("otel.metric.overflow".to_owned(), Value::Bool(true))]
        } else {
            unpack(&series.labels, &self.plan.built_ins)
        }
    }

    fn exemplars(&self, series: &Series) -> Vec<pdata::metrics::Exemplar> {
        let mut exemplars = series.exemplars.clone();
        exemplars.iter_mut().for_each(|exemplar| exemplar.time_unix_nano = self.now_unix_nano);
        exemplars
    }

    fn sum(&mut self, key: ResourceKey, base: &str, table: &mut Table) -> Metric {
        let mut points = Vec::with_capacity(table.len());
        table.for_each(|series, _| {
            let count = if self.zero_first && series.is_new { 0 } else { series.count };
            points.push(NumberPoint {
                attributes: self.attributes(series),
                start_unix_nano: self.start(key, series),
                time_unix_nano: self.now_unix_nano,
                value: NumberValue::Int(i64::try_from(count).unwrap_or(i64::MAX)),
                exemplars: self.exemplars(series),
                flags: 0,
            });
        });
        let data = MetricData::Sum { points, temporality: self.temporality(), monotonic: true };
        Metric { name: self.name(base), description: String::new(), unit: String::new(), data }
    }

    fn durations(&mut self, key: ResourceKey, table: &mut Table) -> Metric {
        let temporality = self.temporality();
        let data = if let Histogram::Exponential { .. } = self.plan.config.histogram {
            let mut points = Vec::with_capacity(table.len());
            table.for_each(|series, _| points.push(self.exponential_point(key, series)));
            MetricData::ExponentialHistogram { points, temporality }
        } else {
            let mut points = Vec::with_capacity(table.len());
            table.for_each(|series, counts| {
                points.push(HistogramPoint {
                    attributes: self.attributes(series),
                    start_unix_nano: self.start(key, series),
                    time_unix_nano: self.now_unix_nano,
                    count: series.count,
                    sum: Some(series.sum),
                    bucket_counts: counts.to_vec(),
                    explicit_bounds: self.plan.bounds.clone(),
                    exemplars: self.exemplars(series),
                    ..HistogramPoint::default()
                });
            });
            MetricData::Histogram { points, temporality }
        };
        let unit = self.plan.config.unit.symbol().to_owned();
        Metric { name: self.name("duration"), description: String::new(), unit, data }
    }

    fn exponential_point(&mut self, key: ResourceKey, series: &Series) -> ExponentialHistogramPoint {
        let mut point = ExponentialHistogramPoint {
            attributes: self.attributes(series),
            start_unix_nano: self.start(key, series),
            time_unix_nano: self.now_unix_nano,
            count: series.count,
            sum: Some(series.sum),
            exemplars: self.exemplars(series),
            ..ExponentialHistogramPoint::default()
        };
        if let Some(histogram) = &series.exponential {
            point.scale = histogram.shown_scale();
            point.zero_count = histogram.zero_count;
            point.positive = histogram.buckets();
            (point.min, point.max) = (Some(histogram.min), Some(histogram.max));
        }
        point
    }
}
