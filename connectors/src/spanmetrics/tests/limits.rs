//! What is forgotten, when, and what happens beyond the limits.

use super::*;

fn spans(names: &[&str]) -> Vec<SpanSample> {
    names.iter().map(|name| span(name, 1)).collect()
}

#[test]
fn beyond_the_limit_one_series_takes_the_rest() {
    let config = Config { cardinality_limit: 2, event_dimensions: Some(vec![named("e")]), ..brief() };
    let spans: Vec<_> = ["a", "b", "c", "d", "a"].map(|name| span(name, 1).event(1, "x", &[])).to_vec();
    assert_eq!(
        settled(config, &[batch("s", &[], &spans)]),
        [
            "calls{otel.metric.overflow=true} 2",
            "calls{span.name=a} 2",
            "calls{span.name=b} 1",
            "duration{otel.metric.overflow=true} 2/2 [2, 0]",
            "duration{span.name=a} 2/2 [2, 0]",
            "duration{span.name=b} 1/1 [1, 0]",
            "events{otel.metric.overflow=true} 2",
            "events{span.name=a} 2",
            "events{span.name=b} 1",
        ]
    );
}

#[test]
fn the_limit_counts_by_resource() {
    let config = Config { cardinality_limit: 1, ..brief() };
    let batches = [batch("s", &[], &spans(&["a", "b"])), batch("t", &[], &spans(&["a"]))];
    assert_eq!(calls(config, &batches), ["{otel.metric.overflow=true} 1", "{span.name=a} 1", "{span.name=a} 1"]);
}

#[test]
fn the_overflow_series_has_no_exemplars_and_lives_while_it_is_used() {
    let config = Config { cardinality_limit: 1, exemplars: Some(5), series_expiration_nano: 10, ..brief() };
    let mut metrics = SpanMetrics::new(config);
    for now in [0, 8, 16, 24] {
        observe(&mut metrics, now, &spans(&["a", "b"]));
        let flushed = metrics.flush_last(now + 1);
        for metric in &flushed.resource_metrics[0].scope_metrics[0].metrics {
            if let MetricData::Sum { points, .. } = &metric.data {
                for point in points {
                    let overflow = point.attributes[0].0 == "otel.metric.overflow";
                    assert_eq!(point.exemplars.is_empty(), overflow);
                }
            }
        }
    }
    assert!(show(&metrics.flush(25)).contains(&"calls{otel.metric.overflow=true} 4".to_owned()));
}

#[test]
fn idle_series_expire_and_their_neighbours_stay_whole() {
    let mut metrics = SpanMetrics::new(Config { series_expiration_nano: 100, ..brief() });
    observe(&mut metrics, 0, &spans(&["old", "kept", "older"]));
    metrics.flush(1);
    observe(&mut metrics, 90, &[span("kept", 50)]);
    // Shown once more by the flush that expires them.
    assert_eq!(show(&metrics.flush(100)).len(), 6);
    assert_eq!(show(&metrics.flush(101)), ["calls{span.name=kept} 2", "duration{span.name=kept} 2/51 [1, 1]"]);
    // A series that comes back starts anew, and the tables still fit together.
    observe(&mut metrics, 110, &spans(&["old", "kept"]));
    let lines = show(&metrics.flush(111));
    assert!(lines.contains(&"calls{span.name=old} 0".to_owned()));
    assert!(lines.contains(&"duration{span.name=kept} 3/52 [2, 1]".to_owned()));
    // With everything gone the metrics are still there, without points.
    metrics.flush(1000);
    let empty = metrics.flush(1001);
    assert_eq!((empty.resource_metrics.len(), show(&empty).len()), (1, 0));
}

#[test]
fn idle_resources_are_shown_once_more_and_a_late_span_revives_them() {
    let config = || Config { metrics_expiration_nano: 100, ..brief() };
    let mut metrics = SpanMetrics::new(config());
    observe(&mut metrics, 0, &spans(&["a"]));
    metrics.flush(100);
    assert_eq!(metrics.flush(150).resource_metrics.len(), 1);
    assert!(metrics.flush(200).resource_metrics.is_empty());

    let mut metrics = SpanMetrics::new(config());
    observe(&mut metrics, 0, &spans(&["a"]));
    metrics.flush(100);
    observe(&mut metrics, 120, &spans(&["a"]));
    assert_eq!(show(&metrics.flush(150))[0], "calls{span.name=a} 2");
}

#[test]
fn evicted_resources_are_shown_once_more() {
    let config = Config { resource_cache_size: 2, ..brief() };
    let mut metrics = SpanMetrics::new(config);
    let take = |metrics: &mut SpanMetrics, service: &str| metrics.observe(&batch(service, &[], &spans(&["a"])), 1);
    ["a", "b", "c"].into_iter().for_each(|service| take(&mut metrics, service));
    assert_eq!(metrics.resource_count(), 2);
    assert_eq!(metrics.flush(2).resource_metrics.len(), 3);
    assert_eq!(metrics.flush(3).resource_metrics.len(), 2);
    // Evicted and used again before the flush: nothing is lost.
    take(&mut metrics, "d");
    take(&mut metrics, "b");
    let lines = show(&metrics.flush(4));
    assert_eq!(lines.iter().filter(|line| line.starts_with("calls") && line.ends_with(" 2")).count(), 1);
}

#[test]
fn key_attributes_join_resources_that_differ_elsewhere() {
    let config = Config { resource_key_attributes: vec!["service.name".into()], ..brief() };
    let pod = |name: &str| batch("s", &[("pod", text(name))], &spans(&["a"]));
    let mut metrics = SpanMetrics::new(config);
    metrics.observe(&pod("1"), 1);
    metrics.observe(&pod("2"), 1);
    metrics.observe(&batch("t", &[("pod", text("1"))], &spans(&["a"])), 1);
    let flushed = metrics.flush_last(2);
    assert_eq!(flushed.resource_metrics.len(), 2);
    let pods: Vec<_> = flushed.resource_metrics.iter().map(|resource| labels(&resource.attributes)).collect();
    assert!(pods.contains(&"service.name=s,pod=1".to_owned()));
    assert!(show(&flushed).contains(&"calls{span.name=a} 2".to_owned()));
}

#[test]
fn the_order_of_resource_attributes_does_not_matter() {
    let mut metrics = SpanMetrics::new(brief());
    metrics.observe(&batch("s", &[("a", text("1")), ("b", text("2"))], &spans(&["a"])), 1);
    metrics.observe(&batch("s", &[("b", text("2")), ("a", text("1"))], &spans(&["a"])), 1);
    assert_eq!(metrics.resource_count(), 1);
}

#[test]
fn resource_attributes_can_be_left_out() {
    let mut metrics = SpanMetrics::new(Config { resource_attributes: false, ..brief() });
    observe(&mut metrics, 1, &spans(&["a"]));
    assert!(metrics.flush(2).resource_metrics[0].attributes.is_empty());
}

#[test]
fn exemplars_are_the_first_of_an_interval() {
    let config = Config { exemplars: Some(2), event_dimensions: Some(vec![named("e")]), ..brief() };
    let mut metrics = SpanMetrics::new(config);
    let nobody = SpanSample::new([0; 16], [3; 8]).name("a").times(0, ms(7));
    let spans: Vec<_> =
        std::iter::once(nobody).chain([1, 2, 3].map(|millis| span("a", millis).event(1, "x", &[]))).collect();
    observe(&mut metrics, 1, &spans);
    let exemplars = |metrics: &Metrics| -> Vec<Vec<(NumberValue, u64)>> {
        let all = &metrics.resource_metrics[0].scope_metrics[0].metrics;
        let of = |exemplars: &[pdata::metrics::Exemplar]| {
            assert!(exemplars.iter().all(|it| it.trace_id == [1; 16] && it.span_id == [2; 8]));
            exemplars.iter().map(|it| (it.value, it.time_unix_nano)).collect()
        };
        all.iter()
            .map(|metric| match &metric.data {
                MetricData::Sum { points, .. } => of(&points[0].exemplars),
                MetricData::Histogram { points, .. } => of(&points[0].exemplars),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let first_two = vec![(NumberValue::Double(1.0), 5), (NumberValue::Double(2.0), 5)];
    assert_eq!(exemplars(&metrics.flush(5)), vec![first_two; 3]);
    assert_eq!(exemplars(&metrics.flush(6)), vec![Vec::new(); 3]);

    let mut none = SpanMetrics::new(Config { exemplars: Some(0), ..brief() });
    observe(&mut none, 1, &spans);
    assert_eq!(exemplars(&none.flush(2)), vec![Vec::new(); 2]);
}

#[test]
fn an_empty_state_flushes_to_an_empty_payload() {
    assert_eq!(SpanMetrics::new(brief()).flush(1), Metrics::default());
}
