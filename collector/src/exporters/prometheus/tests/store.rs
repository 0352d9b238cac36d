//! What the store keeps, adds up, replaces and forgets.

use super::*;

#[test]
fn the_latest_point_stays() {
    let mut store = store();
    put(&mut store, vec![gauge("g", vec![number(&[], 0, 10, 1)])]);
    put(&mut store, vec![gauge("g", vec![number(&[], 0, 10, 2)])]);
    assert_eq!(samples(&store), ["g 2"]);
    put(&mut store, vec![gauge("g", vec![number(&[], 0, 9, 3)])]);
    assert_eq!(samples(&store), ["g 2"]);
    put(&mut store, vec![gauge("g", vec![number(&[], 0, 11, 4), number(&[("l", "v")], 0, 1, 5)])]);
    assert_eq!(samples(&store), ["g 4", "g{l=\"v\"} 5"]);
}

#[test]
fn a_point_without_a_value_ends_its_series_alone() {
    let mut store = store();
    let points =
        |flags| vec![NumberPoint { flags, ..number(&[("a", "1")], 0, 10, 1) }, number(&[("a", "2")], 0, 10, 2)];
    put(&mut store, vec![gauge("g", points(0))]);
    assert_eq!(store.len(), 2);
    // Upstream leaves out the rest of the metric's points too.
    put(&mut store, vec![gauge("g", points(1))]);
    assert_eq!(samples(&store), ["g{a=\"2\"} 2"]);
}

#[test]
fn what_has_no_meaning_is_refused_and_counted() {
    let mut store = store();
    let points = || vec![number(&[], 0, 1, 1), number(&[("a", "b")], 0, 1, 1)];
    let accepted = put(
        &mut store,
        vec![
            sum("unspecified", AggregationTemporality::Unspecified, true, points()),
            sum("falling", DELTA, false, points()),
            histograms(AggregationTemporality::Unspecified, vec![histogram(0, 1, &[1.0], &[1, 1])]),
            metric("nothing", MetricData::Empty),
            gauge("...", points()),
            gauge("g", vec![number(&[("__a__", "1")], 0, 1, 1), number(&[("_", "1")], 0, 1, 1)]),
        ],
    );
    assert!(store.is_empty());
    assert_eq!(accepted.points, 0);
    let dropped: Vec<_> = accepted.dropped.iter().map(|it| (it.metric.as_str(), it.points)).collect();
    assert_eq!(dropped, [("unspecified", 2), ("falling", 2), ("h", 1), ("...", 2), ("g", 2)]);
    insta::assert_snapshot!(accepted.dropped.iter().map(|it| it.reason.as_str()).collect::<Vec<_>>().join("\n"));
}

#[test]
fn delta_sums_add_up_and_a_gap_starts_anew() {
    let mut store = store();
    let mut put_sum = |start, time, value| {
        put(&mut store, vec![sum("c", DELTA, true, vec![number(&[], start, time, value)])]);
        samples(&store).join(";")
    };
    assert_eq!(put_sum(0, 10, 5), "c_total 5");
    assert_eq!(put_sum(10, 20, 6), "c_total 11");
    assert_eq!(put_sum(0, 15, 100), "c_total 11");
    assert_eq!(put_sum(25, 30, 7), "c_total 7");
}

#[test]
fn delta_doubles_add_up() {
    let mut store = store();
    for (start, time) in [(0, 10), (10, 20)] {
        let point = NumberPoint { value: NumberValue::Double(0.5), ..number(&[], start, time, 0) };
        put(&mut store, vec![sum("c", DELTA, true, vec![point])]);
    }
    assert_eq!(samples(&store), ["c_total 1"]);
}

#[test]
fn delta_histograms() {
    let mut store = store();
    let mut add = |start, time, bounds: &[f64], counts: &[u64]| {
        let accepted = put(&mut store, vec![histograms(DELTA, vec![histogram(start, time, bounds, counts)])]);
        (accepted.dropped.len(), samples(&store).join(";"))
    };
    let shown =
        |one, inf| format!("h_bucket{{le=\"1\"}} {one};h_bucket{{le=\"+Inf\"}} {inf};h_sum {inf};h_count {inf}");
    assert_eq!(add(0, 10, &[1.0], &[1, 2]), (0, shown(1, 3)));
    assert_eq!(add(10, 20, &[1.0], &[2, 2]), (0, shown(3, 7)));
    // Misaligned: earlier points are refused, later ones replace.
    assert_eq!(add(15, 25, &[1.0], &[9, 9]), (1, shown(3, 7)));
    assert_eq!(add(21, 30, &[1.0], &[1, 1]), (0, shown(1, 2)));
    // Other bounds: the newer one alone.
    assert_eq!(
        add(30, 40, &[2.0], &[4, 0]),
        (0, "h_bucket{le=\"2\"} 4;h_bucket{le=\"+Inf\"} 4;h_sum 4;h_count 4".to_owned())
    );
}

fn exponential(start: u64, time: u64, scale: i32, offset: i32, counts: &[u64]) -> Metric {
    let point = ExponentialHistogramPoint {
        start_unix_nano: start,
        time_unix_nano: time,
        count: counts.iter().sum(),
        sum: Some(1.0),
        scale,
        positive: ExponentialBuckets { offset, bucket_counts: counts.to_vec() },
        ..ExponentialHistogramPoint::default()
    };
    metric("e", MetricData::ExponentialHistogram { points: vec![point], temporality: DELTA })
}

#[test]
fn delta_exponential_histograms_merge_at_the_coarser_scale() {
    let mut store = store();
    put(&mut store, vec![exponential(0, 10, 1, 0, &[1, 1])]);
    put(&mut store, vec![exponential(10, 20, 0, 0, &[2])]);
    assert_eq!(samples(&store), ["e_bucket{le=\"+Inf\"} 4", "e_sum 2", "e_count 4"]);
    let families = store.families();
    let super::super::model::Value::Histogram(histogram) = &families[0].samples[0].value else { panic!() };
    let native = histogram.native.as_ref().unwrap();
    assert_eq!((native.schema, native.positive.as_slice()), (0, &[(1, 4)][..]));
    // Earlier than what is there.
    assert_eq!(put(&mut store, vec![exponential(15, 25, 0, 0, &[2])]).dropped.len(), 1);
}

#[test]
fn scales_without_a_native_form_are_refused() {
    let mut store = store();
    let accepted = put(&mut store, vec![exponential(0, 10, -5, 0, &[1])]);
    assert_eq!(
        accepted.dropped[0].reason,
        "cannot convert exponential to native histogram: scale must be >= -4, was -5"
    );
}

#[test]
fn idle_series_are_forgotten_after_the_expiration() {
    let mut store = store();
    let put_at = |store: &mut Store, name: &str, at: u64| {
        let metrics = vec![gauge(name, vec![number(&[], 0, at, 1)])];
        store.accept(&batch(&[("service.name", name), ("service.instance.id", "i")], metrics), Duration::from_secs(at));
    };
    put_at(&mut store, "old", 1000);
    put_at(&mut store, "new", 1200);
    store.expire(Duration::from_secs(1300));
    assert_eq!(store.len(), 2);
    store.expire(Duration::from_secs(1301));
    assert_eq!(samples(&store), ["new{instance=\"i\",job=\"new\"} 1", "target_info{instance=\"i\",job=\"new\"} 1"]);
    store.expire(Duration::from_secs(9999));
    assert!(store.is_empty() && page(&store).is_empty());
    // The name is free for another type now.
    put(&mut store, vec![sum("new", CUMULATIVE, false, vec![number(&[], 0, 1, 1)])]);
    assert_eq!(samples(&store), ["new 1"]);
}

#[test]
fn many_series_come_and_go() {
    let mut store = store();
    let names: Vec<String> = (0..100).map(|n| format!("s{n}")).collect();
    for (round, keep) in [(0_u64, 0..100), (1, 40..45), (2, 90..100)] {
        let points = names[keep].iter().map(|name| number(&[("n", name)], 0, round, 1)).collect();
        store.accept(&batch(&[], vec![gauge("g", points)]), Duration::from_secs(1000 + round * 200));
        store.expire(Duration::from_secs(1000 + round * 200));
    }
    assert_eq!(samples(&store).len(), 15);
    store.expire(Duration::from_secs(1600));
    assert_eq!(samples(&store).len(), 10);
    put(&mut store, vec![gauge("g", vec![number(&[("n", "s95")], 0, 9, 7)])]);
    assert!(samples(&store).contains(&"g{n=\"s95\"} 7".to_owned()));
    assert_eq!(store.len(), 10);
}

#[test]
fn the_first_type_of_a_name_stays() {
    let mut store = store();
    put(&mut store, vec![gauge("m.x", vec![number(&[], 0, 1, 1)])]);
    let accepted = put(
        &mut store,
        vec![
            sum("m_x", CUMULATIVE, true, vec![number(&[], 0, 1, 2)]),
            metric("m.x", MetricData::Summary { points: vec![SummaryPoint::default()] }),
        ],
    );
    assert_eq!(samples(&store), ["m_x 1", "m_x_total 2"]);
    assert_eq!(
        accepted.dropped[0].reason,
        "instrument type conflict, using existing type definition. instrument: m_x, existing: gauge, dropped: summary"
    );
}

#[test]
fn the_first_help_text_stays() {
    let mut store = store();
    for (name, help) in [("a.b", "first"), ("a-b", "second")] {
        put(&mut store, vec![Metric { description: help.into(), ..gauge(name, vec![number(&[(name, "")], 0, 1, 1)]) }]);
    }
    assert!(page(&store).starts_with("# HELP a_b first\n"));
    assert_eq!(samples(&store).len(), 1);
}

/// Two pods of one service, without an instance id: one series on the page.
fn pods(store: &mut Store, at: u64, values: &[(&str, u64, i64)]) {
    for (pod, start, value) in values {
        let resource = [("service.name", "s"), ("pod", *pod)];
        let metrics = vec![sum("c", CUMULATIVE, true, vec![number(&[], *start, at, *value)])];
        store.accept(&batch(&resource, metrics), Duration::from_secs(at));
    }
}

#[test]
fn counters_of_resources_that_look_alike_add_up() {
    let mut store = store();
    pods(&mut store, 1, &[("a", 1, 3), ("b", 1, 10)]);
    pods(&mut store, 2, &[("b", 1, 11)]);
    assert_eq!(samples(&store), ["c_total{job=\"s\"} 14"]);
}

#[test]
fn a_sum_never_falls_when_one_of_them_goes_or_begins_anew() {
    let mut store = store();
    pods(&mut store, 1, &[("a", 1, 3), ("b", 1, 10)]);
    // The process behind b was replaced.
    pods(&mut store, 2, &[("b", 2, 1)]);
    assert_eq!(samples(&store), ["c_total{job=\"s\"} 14"]);
    // a is gone.
    pods(&mut store, 301, &[("b", 2, 2)]);
    store.expire(Duration::from_secs(302));
    assert_eq!(samples(&store), ["c_total{job=\"s\"} 15"]);
    // Alone it is as any series: a new start is a reset. What is gone stays in the sum.
    pods(&mut store, 303, &[("b", 303, 1)]);
    assert_eq!(samples(&store), ["c_total{job=\"s\"} 16"]);
    // With the last one the base goes too.
    store.expire(Duration::from_secs(9999));
    pods(&mut store, 10_000, &[("b", 303, 2)]);
    assert_eq!(samples(&store), ["c_total{job=\"s\"} 2"]);
}

#[test]
fn a_lone_counter_that_begins_anew_is_replaced() {
    let mut store = store();
    pods(&mut store, 1, &[("a", 1, 30)]);
    pods(&mut store, 2, &[("a", 2, 1)]);
    assert_eq!(samples(&store), ["c_total{job=\"s\"} 1"]);
}

#[test]
fn gauges_of_resources_that_look_alike_show_the_newest() {
    let mut store = store();
    for (pod, time, value) in [("a", 5, 1), ("b", 9, 2), ("c", 7, 3)] {
        store.accept(&batch(&[("pod", pod)], vec![gauge("g", vec![number(&[], 0, time, value)])]), AT);
    }
    assert_eq!(samples(&store), ["g 2"]);
}

#[test]
fn histograms_of_resources_that_look_alike_add_up() {
    let mut store = store();
    let all = [("a", 5, &[1.0][..], &[1, 2]), ("b", 5, &[1.0], &[3, 4]), ("old", 4, &[9.0], &[100, 0])];
    for (pod, time, bounds, counts) in all {
        let metrics = vec![histograms(CUMULATIVE, vec![histogram(1, time, bounds, counts)])];
        store.accept(&batch(&[("pod", pod)], metrics), AT);
    }
    // Other bounds cannot be added: those of the newest point stay.
    assert_eq!(samples(&store), ["h_bucket{le=\"1\"} 4", "h_bucket{le=\"+Inf\"} 10", "h_sum 10", "h_count 10"]);
}

#[test]
fn target_info_is_that_of_the_first_resource() {
    let mut store = store();
    let resource = |pod: &'static str| {
        [("service.name", "s"), ("service.namespace", "n"), ("service.instance.id", "i"), ("pod.name", pod)]
    };
    for pod in ["first", "second"] {
        store.accept(&batch(&resource(pod), vec![gauge("g", vec![number(&[], 0, 1, 1)])]), AT);
    }
    assert_eq!(samples(&store)[1], "target_info{instance=\"i\",job=\"n/s\",pod_name=\"first\"} 1");
    // Not for a resource without instance, nor for one without points.
    let mut store = self::store();
    store.accept(&batch(&[("service.name", "s")], vec![gauge("g", vec![number(&[], 0, 1, 1)])]), AT);
    store.accept(&batch(&resource("x"), Vec::new()), AT);
    assert_eq!(samples(&store), ["g{job=\"s\"} 1"]);
}

#[test]
fn exemplars_stay_until_newer_ones_come() {
    let exemplar = |value: f64| pdata::metrics::Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: 1,
        value: NumberValue::Double(value),
        trace_id: [1; 16],
        span_id: [0; 8],
    };
    let mut store = store();
    let mut show = |time: u64, values: &[f64]| {
        let exemplars: Vec<_> = values.iter().map(|value| exemplar(*value)).collect();
        let point = HistogramPoint { exemplars: exemplars.clone(), ..histogram(1, time, &[1.0, 2.0], &[1, 1, 1]) };
        let number = NumberPoint { exemplars, ..number(&[], 1, time, 1) };
        put(&mut store, vec![histograms(CUMULATIVE, vec![point]), sum("c", CUMULATIVE, true, vec![number])]);
        let page = text::write(&store.families(), Syntax::OpenMetrics, Escaping::Underscores);
        page.lines()
            .filter_map(|line| line.split_once("} ").and_then(|(_, rest)| rest.split_once("\"} ")))
            .map(|(_, exemplar)| exemplar.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let shown = |store: Vec<String>| store.join(" ");
    assert_eq!(shown(show(1, &[0.5, 3.0, 0.7])), "0.7 3.0");
    assert_eq!(shown(show(2, &[])), "0.7 3.0");
    assert_eq!(shown(show(3, &[1.5])), "0.7 1.5 3.0");
}
