//! Temporality, start times and the first zero.

use pdata::metrics::AggregationTemporality;

use super::*;

/// (start, time) of every point of the first resource, by metric.
fn times(metrics: &Metrics) -> Vec<Vec<(u64, u64)>> {
    let mut out = Vec::new();
    for metric in &metrics.resource_metrics[0].scope_metrics[0].metrics {
        out.push(match &metric.data {
            MetricData::Sum { points, .. } => {
                points.iter().map(|point| (point.start_unix_nano, point.time_unix_nano)).collect()
            }
            MetricData::Histogram { points, .. } => {
                points.iter().map(|point| (point.start_unix_nano, point.time_unix_nano)).collect()
            }
            MetricData::ExponentialHistogram { points, .. } => {
                points.iter().map(|point| (point.start_unix_nano, point.time_unix_nano)).collect()
            }
            other => panic!("{other:?}"),
        });
    }
    out
}

fn delta() -> Config {
    Config { temporality: Temporality::Delta, ..brief() }
}

#[test]
fn calls_begin_with_zero_and_durations_do_not() {
    let mut metrics = SpanMetrics::new(Config { event_dimensions: Some(vec![named("e")]), ..brief() });
    let spans = [span("a", 1).event(1, "e", &[])];
    observe(&mut metrics, 1, &spans);
    let first = ["calls{span.name=a} 0", "duration{span.name=a} 1/1 [1, 0]", "events{span.name=a} 0"];
    assert_eq!(show(&metrics.flush(2)), first);
    let second = ["calls{span.name=a} 1", "duration{span.name=a} 1/1 [1, 0]", "events{span.name=a} 1"];
    assert_eq!(show(&metrics.flush(3)), second);
    observe(&mut metrics, 4, &spans);
    assert_eq!(show(&metrics.flush(5))[0], "calls{span.name=a} 2");
}

#[test]
fn the_last_flush_says_everything() {
    let mut metrics = SpanMetrics::new(brief());
    observe(&mut metrics, 1, &[span("a", 1)]);
    assert_eq!(show(&metrics.flush_last(2))[0], "calls{span.name=a} 1");
}

#[test]
fn cumulative_points_keep_their_start() {
    for histogram in [Histogram::Explicit { bounds: vec![1.0] }, Histogram::Exponential { max_size: 160 }] {
        let mut metrics = SpanMetrics::new(Config { histogram, ..brief() });
        observe(&mut metrics, 5, &[span("a", 1)]);
        assert_eq!(times(&metrics.flush(10)), vec![vec![(5, 10)]; 2]);
        observe(&mut metrics, 12, &[span("a", 1)]);
        assert_eq!(times(&metrics.flush(20)), vec![vec![(5, 20)]; 2]);
        assert_eq!(times(&metrics.flush(30)), vec![vec![(5, 30)]; 2]);
    }
}

#[test]
fn delta_points_follow_each_other_without_a_gap() {
    for histogram in [Histogram::Explicit { bounds: vec![1.0] }, Histogram::Exponential { max_size: 160 }] {
        let mut metrics = SpanMetrics::new(Config { histogram, ..delta() });
        observe(&mut metrics, 5, &[span("a", 1), span("a", 1)]);
        let first = metrics.flush(10);
        assert_eq!(times(&first), vec![vec![(5, 10)]; 2]);
        assert_eq!(show(&first)[0], "calls{span.name=a} 2");
        assert!(metrics.flush(20).resource_metrics.is_empty());
        observe(&mut metrics, 22, &[span("a", 1)]);
        let third = metrics.flush(30);
        assert_eq!(times(&third), vec![vec![(10, 30)]; 2]);
        assert_eq!(show(&third)[0], "calls{span.name=a} 1");
        let MetricData::Sum { temporality, monotonic, .. } = third.resource_metrics[0].scope_metrics[0].metrics[0].data
        else {
            panic!()
        };
        assert_eq!((temporality, monotonic), (AggregationTemporality::Delta, true));
    }
}

#[test]
fn a_forgotten_delta_time_restarts_the_series() {
    let mut metrics = SpanMetrics::new(Config { timestamp_cache_size: 1, histogram: Histogram::Disabled, ..delta() });
    observe(&mut metrics, 5, &[span("a", 1)]);
    metrics.flush(10);
    observe(&mut metrics, 15, &[span("b", 1)]);
    metrics.flush(20);
    observe(&mut metrics, 25, &[span("a", 1)]);
    assert_eq!(times(&metrics.flush(30)), [vec![(25, 30)]]);
}

#[test]
fn equal_series_of_two_resources_have_times_of_their_own() {
    let mut metrics = SpanMetrics::new(Config { histogram: Histogram::Disabled, ..delta() });
    let take = |metrics: &mut SpanMetrics, service: &str, now: u64| {
        metrics.observe(&batch(service, &[], &[span("a", 1)]), now);
    };
    take(&mut metrics, "one", 5);
    metrics.flush(10);
    take(&mut metrics, "two", 15);
    metrics.flush(20);
    take(&mut metrics, "one", 25);
    assert_eq!(times(&metrics.flush(30)), [vec![(10, 30)]]);
}
