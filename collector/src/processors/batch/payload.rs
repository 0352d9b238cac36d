//! What can be merged and cut: traces by span, metrics by point.

use pdata::metrics::{Metric, MetricData, ResourceMetrics, ScopeMetrics};
use pdata::{Metrics, Traces};

/// A payload of items.
pub trait Payload: Default + Send + Sync + 'static {
    /// Spans or points.
    fn items(&self) -> usize;
    /// Adds another payload behind this one. Equal resources are not joined, as upstream.
    fn append(&mut self, other: Self);
    /// Takes the first `n` items out, with copies of the envelopes that are divided.
    fn split_first(&mut self, n: usize) -> Self;
}

impl Payload for Traces {
    fn items(&self) -> usize {
        self.span_count()
    }

    fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            Self::append(self, other);
        }
    }

    fn split_first(&mut self, n: usize) -> Self {
        Self::split_first(self, n)
    }
}

impl Payload for Metrics {
    fn items(&self) -> usize {
        self.point_count()
    }

    fn append(&mut self, mut other: Self) {
        // As for traces: of one peer only as long as all are.
        self.peer =
            if self.resource_metrics.is_empty() { other.peer } else { self.peer.filter(|_| self.peer == other.peer) };
        self.resource_metrics.append(&mut other.resource_metrics);
    }

    fn split_first(&mut self, n: usize) -> Self {
        let mut left = n;
        let resource_metrics = take(
            &mut self.resource_metrics,
            &mut left,
            |resource, left| ResourceMetrics {
                attributes: resource.attributes.clone(),
                schema_url: resource.schema_url.clone(),
                scope_metrics: take(
                    &mut resource.scope_metrics,
                    left,
                    |scope, left| ScopeMetrics {
                        scope: scope.scope.clone(),
                        schema_url: scope.schema_url.clone(),
                        metrics: take(&mut scope.metrics, left, split_metric, Metric::point_count),
                    },
                    ScopeMetrics::point_count,
                ),
            },
            ResourceMetrics::point_count,
        );
        Self { resource_metrics, peer: self.peer }
    }
}

/// Moves whole elements while they fit in `left`, then a part of the next one.
fn take<T>(
    all: &mut Vec<T>,
    left: &mut usize,
    divide: impl Fn(&mut T, &mut usize) -> T,
    count: impl Fn(&T) -> usize,
) -> Vec<T> {
    let mut whole = 0;
    for element in all.iter() {
        let items = count(element);
        if items > *left {
            break;
        }
        *left -= items;
        whole += 1;
    }
    let mut taken: Vec<T> = all.drain(..whole).collect();
    if *left > 0
        && let Some(next) = all.first_mut()
    {
        taken.push(divide(next, left));
    }
    taken
}

fn split_metric(metric: &mut Metric, left: &mut usize) -> Metric {
    let n = std::mem::take(left);
    let data = match &mut metric.data {
        MetricData::Gauge { points } => MetricData::Gauge { points: points.drain(..n).collect() },
        MetricData::Sum { points, temporality, monotonic } => {
            MetricData::Sum { points: points.drain(..n).collect(), temporality: *temporality, monotonic: *monotonic }
        }
        MetricData::Histogram { points, temporality } => {
            MetricData::Histogram { points: points.drain(..n).collect(), temporality: *temporality }
        }
        MetricData::ExponentialHistogram { points, temporality } => {
            MetricData::ExponentialHistogram { points: points.drain(..n).collect(), temporality: *temporality }
        }
        MetricData::Summary { points } => MetricData::Summary { points: points.drain(..n).collect() },
        MetricData::Empty => MetricData::Empty,
    };
    Metric { name: metric.name.clone(), description: metric.description.clone(), unit: metric.unit.clone(), data }
}
