//! PromQL's functions over ranges and values, as Prometheus 2.42 computes them.

use crate::exporters::keda_scaler::series::{Nanos, Sample, rise};

/// A function of the samples of one series.
pub(super) struct OverRange {
    /// Samples that it needs.
    pub(super) least: usize,
    /// The samples, the range's start and end.
    pub(super) apply: fn(&[Sample], Nanos, Nanos) -> f64,
}

/// The function of a name that takes a range, if it is one of those supported.
pub(super) fn over_range(name: &str) -> Option<OverRange> {
    let of = |least, apply| Some(OverRange { least, apply });
    match name {
        "rate" => of(2, |samples, from, to| extrapolated(samples, from, to, rise(samples), true) / seconds(to - from)),
        "increase" => of(2, |samples, from, to| extrapolated(samples, from, to, rise(samples), true)),
        "delta" => of(2, |samples, from, to| {
            extrapolated(samples, from, to, last(samples) - samples.first().map_or(0.0, |first| first.value), false)
        }),
        "irate" => of(2, |samples, _, _| {
            let pair = &samples[samples.len().saturating_sub(2)..];
            let apart = pair.last().map_or(0, |last| last.at) - pair.first().map_or(0, |first| first.at);
            let risen = match pair {
                [before, after] if after.restarted || after.value < before.value => after.value,
                pair => rise(pair),
            };
            risen / seconds(apart)
        }),
        "avg_over_time" => of(1, |samples, _, _| sum(samples) / samples.len() as f64),
        "sum_over_time" => of(1, |samples, _, _| sum(samples)),
        "count_over_time" => of(1, |samples, _, _| samples.len() as f64),
        "min_over_time" => of(1, |samples, _, _| samples.iter().map(|sample| sample.value).fold(f64::NAN, f64::min)),
        "max_over_time" => of(1, |samples, _, _| samples.iter().map(|sample| sample.value).fold(f64::NAN, f64::max)),
        "last_over_time" => of(1, |samples, _, _| last(samples)),
        "deriv" => of(2, |samples, _, to| regression(samples, to).0),
        _ => None,
    }
}

/// A function of one value and further numbers, if it is one of those supported: how many, and what it does.
pub(super) fn of_value(name: &str) -> Option<fn(f64, &[f64]) -> f64> {
    Some(match name {
        "abs" => |value, _| value.abs(),
        "ceil" => |value, _| value.ceil(),
        "floor" => |value, _| value.floor(),
        "sqrt" => |value, _| value.sqrt(),
        "round" => |value, numbers| {
            let step = numbers.first().copied().unwrap_or(1.0);
            // Ties go up, as Prometheus has it.
            (value / step + 0.5).floor() * step
        },
        "clamp_min" => |value, numbers| value.max(numbers.first().copied().unwrap_or(f64::NAN)),
        "clamp_max" => |value, numbers| value.min(numbers.first().copied().unwrap_or(f64::NAN)),
        "clamp" => |value, numbers| match numbers {
            [low, high] => value.max(*low).min(*high),
            _ => f64::NAN,
        },
        _ => return None,
    })
}

/// `predict_linear`: where the series will be `ahead` seconds after `now`.
pub(super) fn predict(samples: &[Sample], now: Nanos, ahead: f64) -> f64 {
    let (slope, at_now) = regression(samples, now);
    slope * ahead + at_now
}

/// Prometheus' `extrapolatedRate`: the samples do not reach the borders of the range, so the rise is stretched to them,
/// but by no more than about one interval, and not below zero for a counter.
fn extrapolated(samples: &[Sample], from: Nanos, to: Nanos, risen: f64, is_counter: bool) -> f64 {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return f64::NAN };
    let sampled = seconds(last.at - first.at);
    let average = sampled / (samples.len() - 1) as f64;
    let (mut before, mut after) = (seconds(first.at - from), seconds(to - last.at));
    if before >= average * 1.1 {
        before = average / 2.0;
    }
    if is_counter && risen > 0.0 && first.value >= 0.0 {
        before = before.min(sampled * (first.value / risen));
    }
    if after >= average * 1.1 {
        after = average / 2.0;
    }
    risen * ((sampled + before + after) / sampled)
}

/// Slope a second and value at `now` of the line through the samples.
fn regression(samples: &[Sample], now: Nanos) -> (f64, f64) {
    let n = samples.len() as f64;
    let points = || samples.iter().map(|sample| (seconds(sample.at - now), sample.value));
    let (sum_x, sum_y) = points().fold((0.0, 0.0), |(x, y), (px, py)| (x + px, y + py));
    let (covariance, variance) = points().fold((0.0, 0.0), |(covariance, variance), (x, y)| {
        let off = x - sum_x / n;
        (covariance + off * (y - sum_y / n), variance + off * off)
    });
    let slope = covariance / variance;
    (slope, sum_y / n - slope * sum_x / n)
}

fn sum(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.value).sum()
}

fn last(samples: &[Sample]) -> f64 {
    samples.last().map_or(f64::NAN, |last| last.value)
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}
