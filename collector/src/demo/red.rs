//! RED figures by service, read from the page that Prometheus would scrape.

use std::collections::BTreeMap;

/// Requests, errors and durations of one service since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Red {
    /// Spans.
    pub(crate) calls: u64,
    /// Spans with status ERROR.
    pub(crate) errors: u64,
    /// Cumulative counts by upper bound in milliseconds.
    buckets: BTreeMap<u64, u64>,
}

impl Red {
    /// The bound below which 95% of the durations lie, in milliseconds; `None` above the last bound.
    pub(crate) fn p95_ms(&self) -> Option<u64> {
        let wanted = (self.calls * 95).div_ceil(100);
        self.buckets.iter().find(|(_, count)| **count >= wanted).map(|(bound, _)| *bound)
    }
}

/// Reads a page of the `prometheus` exporter.
pub(crate) fn by_service(page: &str) -> BTreeMap<String, Red> {
    let mut services: BTreeMap<String, Red> = BTreeMap::new();
    for line in page.lines() {
        let Some((series, value)) = line.rsplit_once("} ") else { continue };
        let Some((name, labels)) = series.split_once('{') else { continue };
        let (Some(service), Ok(value)) = (label(labels, "service_name"), value.parse::<f64>()) else { continue };
        let red = services.entry(service.to_owned()).or_default();
        match name {
            "traces_span_metrics_calls_total" => {
                red.calls += value as u64;
                if label(labels, "status_code") == Some("STATUS_CODE_ERROR") {
                    red.errors += value as u64;
                }
            }
            "traces_span_metrics_duration_milliseconds_bucket" => {
                if let Some(bound) = label(labels, "le").and_then(|bound| bound.parse().ok()) {
                    *red.buckets.entry(bound).or_default() += value as u64;
                }
            }
            _ => {}
        }
    }
    services
}

/// A label's text; the demo's own labels hold nothing that is escaped.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_figures() {
        let page = "# TYPE x counter\n\
            traces_span_metrics_calls_total{service_name=\"cart\",status_code=\"STATUS_CODE_UNSET\"} 19\n\
            traces_span_metrics_calls_total{service_name=\"cart\",status_code=\"STATUS_CODE_ERROR\"} 1\n\
            traces_span_metrics_duration_milliseconds_bucket{service_name=\"cart\",le=\"50\"} 10\n\
            traces_span_metrics_duration_milliseconds_bucket{service_name=\"cart\",le=\"100\"} 19\n\
            traces_span_metrics_duration_milliseconds_bucket{service_name=\"cart\",le=\"+Inf\"} 20\n";
        let services = by_service(page);
        let cart = &services["cart"];
        assert_eq!((cart.calls, cart.errors, cart.p95_ms()), (20, 1, Some(100)));
    }
}
