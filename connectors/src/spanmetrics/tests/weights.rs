//! Sampled spans stand for more than themselves.

use super::*;

fn sampled(state: &str) -> SpanSample {
    span("a", 10).trace_state(state).event(1, "e", &[])
}

#[test]
fn a_weight_multiplies_every_metric_but_not_exemplars() {
    let config = Config { event_dimensions: Some(vec![named("e")]), exemplars: Some(5), ..brief() };
    let mut metrics = SpanMetrics::new(config);
    observe(&mut metrics, 1, &[sampled("ot=th:c"), sampled("ot=th:8"), sampled("")]);
    let flushed = metrics.flush_last(2);
    assert_eq!(show(&flushed), ["calls{span.name=a} 7", "duration{span.name=a} 7/70 [7, 0]", "events{span.name=a} 7"]);
    let MetricData::Sum { points, .. } = &flushed.resource_metrics[0].scope_metrics[0].metrics[0].data else {
        panic!()
    };
    assert_eq!(points[0].exemplars.len(), 3);
}

#[test]
fn the_sampling_method_splits_series_only_if_it_is_asked_for() {
    let spans = [sampled("ot=th:c"), sampled("ot=th:zz"), sampled("ot=th:0"), sampled("")];
    let config = Config { sampling_method: true, ..brief() };
    assert_eq!(
        calls(config, &[batch("s", &[], &spans)]),
        ["{span.name=a,sampling.method=counted} 2", "{span.name=a,sampling.method=extrapolated} 5"]
    );
    assert_eq!(calls(brief(), &[batch("s", &[], &spans)]), ["{span.name=a} 7"]);
}
