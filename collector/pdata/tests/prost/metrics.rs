//! Metrics read and written, against prost reading and writing the same bytes.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use pdata::Metrics;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

use crate::attributes;

/// Doubles that equal themselves.
fn double() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(f64::INFINITY), -1e300..1e300]
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    let value =
        prop_oneof![double().prop_map(exemplar::Value::AsDouble), any::<i64>().prop_map(exemplar::Value::AsInt)];
    (attributes(), any::<u64>(), value, any::<bool>()).prop_map(|(filtered_attributes, time_unix_nano, value, ids)| {
        Exemplar {
            filtered_attributes,
            time_unix_nano,
            value: Some(value),
            trace_id: if ids { vec![1; 16] } else { vec![] },
            span_id: if ids { vec![2; 8] } else { vec![] },
        }
    })
}

fn number_point() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        double().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt)
    ];
    (attributes(), any::<[u64; 2]>(), value, vec(exemplar(), 0..2), any::<u32>()).prop_map(
        |(attributes, [start_time_unix_nano, time_unix_nano], value, exemplars, flags)| NumberDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            value: Some(value),
            exemplars,
            flags,
        },
    )
}

fn histogram_point() -> impl Strategy<Value = HistogramDataPoint> {
    let limits = (option::of(double()), option::of(double()), option::of(double()));
    (attributes(), any::<[u64; 3]>(), limits, vec(any::<u64>(), 0..4), vec(double(), 0..4), vec(exemplar(), 0..2))
        .prop_map(|(attributes, [start, time, count], (sum, min, max), bucket_counts, explicit_bounds, exemplars)| {
            HistogramDataPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                count,
                sum,
                bucket_counts,
                explicit_bounds,
                exemplars,
                flags: 1,
                min,
                max,
            }
        })
}

fn buckets() -> impl Strategy<Value = Buckets> {
    (any::<i32>(), vec(any::<u64>(), 0..4)).prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts })
}

fn exponential_point() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let limits = (option::of(double()), option::of(double()), option::of(double()));
    (attributes(), any::<[u64; 4]>(), limits, (any::<i32>(), double()), buckets(), buckets()).prop_map(
        |(
            attributes,
            [start, time, count, zero_count],
            (sum, min, max),
            (scale, zero_threshold),
            positive,
            negative,
        )| {
            ExponentialHistogramDataPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                count,
                sum,
                scale,
                zero_count,
                positive: Some(positive),
                negative: Some(negative),
                flags: 0,
                exemplars: vec![],
                min,
                max,
                zero_threshold,
            }
        },
    )
}

fn summary_point() -> impl Strategy<Value = SummaryDataPoint> {
    let quantiles = vec((double(), double()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value }), 0..3);
    (attributes(), any::<[u64; 3]>(), double(), quantiles).prop_map(
        |(attributes, [start, time, count], sum, quantile_values)| SummaryDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            count,
            sum,
            quantile_values,
            flags: 1,
        },
    )
}

fn metric() -> impl Strategy<Value = Metric> {
    let data = prop_oneof![
        Just(None),
        vec(number_point(), 0..3).prop_map(|data_points| Some(Data::Gauge(Gauge { data_points }))),
        (vec(number_point(), 0..3), 0..3, any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| {
                Some(Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic }))
            }
        ),
        (vec(histogram_point(), 0..3), 0..3).prop_map(|(data_points, aggregation_temporality)| {
            Some(Data::Histogram(Histogram { data_points, aggregation_temporality }))
        }),
        (vec(exponential_point(), 0..3), 0..3).prop_map(|(data_points, aggregation_temporality)| {
            Some(Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality }))
        }),
        vec(summary_point(), 0..3).prop_map(|data_points| Some(Data::Summary(Summary { data_points }))),
    ];
    ("[a-z.]{0,5}", ".{0,3}", ".{0,3}", data).prop_map(|(name, description, unit, data)| Metric {
        name,
        description,
        unit,
        data,
        metadata: vec![],
    })
}

fn request() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scope = (".{0,3}", ".{0,3}", attributes()).prop_map(|(name, version, attributes)| InstrumentationScope {
        name,
        version,
        attributes,
        ..Default::default()
    });
    let scope_metrics = (scope, vec(metric(), 0..3), ".{0,3}").prop_map(|(scope, metrics, schema_url)| ScopeMetrics {
        scope: Some(scope),
        metrics,
        schema_url,
    });
    let resource_metrics =
        (attributes(), vec(scope_metrics, 0..3), ".{0,3}").prop_map(|(attributes, scope_metrics, schema_url)| {
            ResourceMetrics { resource: Some(Resource { attributes, ..Default::default() }), scope_metrics, schema_url }
        });
    vec(resource_metrics, 0..3).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

proptest! {
    #[test]
    fn metrics_survive_both_ways(request in request()) {
        let metrics = Metrics::decode(&request.encode_to_vec()).expect("a valid request");
        let bytes = metrics.encode();
        prop_assert_eq!(Metrics::decode(&bytes).expect("what is encoded decodes"), metrics);
        prop_assert_eq!(ExportMetricsServiceRequest::decode(bytes).expect("a valid request"), request);
    }

    #[test]
    fn damaged_metrics_never_panic_and_what_prost_takes_is_taken(
        request in request(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = request.encode_to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let theirs = ExportMetricsServiceRequest::decode(&bytes[..]);
        if let (Err(error), Ok(_)) = (Metrics::decode(&bytes), theirs) {
            prop_assert_eq!(error.kind, pdata::WireErrorKind::IdLength);
        }
    }
}

#[test]
fn repeated_numbers_come_one_by_one_too() {
    // A histogram point with bucket_counts [1, 2] and explicit_bounds [0.5], not packed.
    let point: &[u8] =
        &[0x31, 1, 0, 0, 0, 0, 0, 0, 0, 0x31, 2, 0, 0, 0, 0, 0, 0, 0, 0x39, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f];
    let mut bytes = point.to_vec();
    for field in [1, 9, 2, 2, 1] {
        let inner = std::mem::take(&mut bytes);
        pdata::wire::put_bytes(&mut bytes, field, &inner);
    }
    let metrics = Metrics::decode(&bytes).unwrap();
    let metric = &metrics.resource_metrics[0].scope_metrics[0].metrics[0];
    let pdata::metrics::MetricData::Histogram { points, .. } = &metric.data else { panic!("a histogram") };
    assert_eq!((&points[0].bucket_counts[..], &points[0].explicit_bounds[..]), (&[1, 2][..], &[0.5][..]));
}
