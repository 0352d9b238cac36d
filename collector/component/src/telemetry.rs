//! The collector's own metrics: cells that components add to, collected as ordinary [`pdata::Metrics`].
//!
//! A cell is one atomic; asking twice for the same name and attributes gives the same cell. Components add once a
//! batch, never once a span. What is scraped or pushed is made from [`Registry::collect`]; there is no other reader.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pdata::metrics::{
    AggregationTemporality, HistogramPoint, Metric, MetricData, NumberPoint, NumberValue, ResourceMetrics, Scope,
    ScopeMetrics, Value,
};

/// Who an instrument is: upstream's name, unit and help text, and the scope that shows when scope labels are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// `otelcol_...`
    pub name: &'static str,
    /// UCUM unit, for example `{span}`, `By`, `s`.
    pub unit: &'static str,
    /// Help text.
    pub description: &'static str,
    /// Instrumentation scope.
    pub scope: &'static str,
}

/// Adds up. Reads as a monotonic sum.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// What has been added so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The last value. With [`Registry::up_down`] it reads as a non-monotonic sum.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to the value; may be negative.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts observations in buckets. One lock a batch or tick.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Mutex<Buckets>>);

#[derive(Debug)]
struct Buckets {
    bounds: Arc<[f64]>,
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// Records one value.
    pub fn record(&self, value: f64) {
        self.record_n(value, 1);
    }

    /// Records the same value `n` times.
    pub fn record_n(&self, value: f64, n: u64) {
        let mut buckets = lock(&self.0);
        let at = buckets.bounds.partition_point(|bound| *bound < value);
        buckets.counts[at] += n;
        buckets.sum += value * n as f64;
    }
}

/// Values read when metrics are collected, for what is cheaper to look up than to keep: memory, CPU time, queue sizes.
pub type Callback = Box<dyn Fn() -> f64 + Send + Sync>;

/// What a component tells about itself when it is asked, as JSON. The argument is the query behind the `?` of the
/// address; the error says what is wrong with it.
pub type Report = Box<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    UpDown(Gauge),
    Histogram(Histogram),
    ObservedCounter(Callback),
    ObservedGauge(Callback),
}

struct Series {
    definition: Definition,
    attributes: Vec<(String, String)>,
    cell: Cell,
}

/// All instruments of one collector.
#[derive(Clone, Default)]
pub struct Registry {
    start_unix_nano: u64,
    series: Arc<Mutex<Vec<Series>>>,
    reports: Arc<Mutex<Vec<(String, Report)>>>,
}

impl Registry {
    /// An empty registry; sums start at `start_unix_nano`.
    #[must_use]
    pub fn new(start_unix_nano: u64) -> Self {
        Self { start_unix_nano, series: Arc::default(), reports: Arc::default() }
    }

    /// The counter with these attributes.
    pub fn counter(&self, definition: Definition, attributes: &[(&str, &str)]) -> Counter {
        self.cell(
            definition,
            attributes,
            || Cell::Counter(Counter::default()),
            |cell| match cell {
                Cell::Counter(counter) => Some(counter.clone()),
                _ => None,
            },
        )
        .unwrap_or_default()
    }

    /// The gauge with these attributes.
    pub fn gauge(&self, definition: Definition, attributes: &[(&str, &str)]) -> Gauge {
        self.cell(
            definition,
            attributes,
            || Cell::Gauge(Gauge::default()),
            |cell| match cell {
                Cell::Gauge(gauge) => Some(gauge.clone()),
                _ => None,
            },
        )
        .unwrap_or_default()
    }

    /// The up-down counter with these attributes.
    pub fn up_down(&self, definition: Definition, attributes: &[(&str, &str)]) -> Gauge {
        self.cell(
            definition,
            attributes,
            || Cell::UpDown(Gauge::default()),
            |cell| match cell {
                Cell::UpDown(gauge) => Some(gauge.clone()),
                _ => None,
            },
        )
        .unwrap_or_default()
    }

    /// The histogram with these attributes; `bounds` ascending, counted only when it is made first.
    pub fn histogram(&self, definition: Definition, bounds: &[f64], attributes: &[(&str, &str)]) -> Histogram {
        let make = || {
            Histogram(Arc::new(Mutex::new(Buckets {
                bounds: bounds.into(),
                counts: vec![0; bounds.len() + 1],
                sum: 0.0,
            })))
        };
        self.cell(
            definition,
            attributes,
            || Cell::Histogram(make()),
            |cell| match cell {
                Cell::Histogram(histogram) => Some(histogram.clone()),
                _ => None,
            },
        )
        .unwrap_or_else(make)
    }

    /// A monotonic sum read at collection.
    pub fn observe_counter(&self, definition: Definition, attributes: &[(&str, &str)], read: Callback) {
        self.cell(definition, attributes, || Cell::ObservedCounter(read), |_| Some(()));
    }

    /// A gauge read at collection.
    pub fn observe_gauge(&self, definition: Definition, attributes: &[(&str, &str)], read: Callback) {
        self.cell(definition, attributes, || Cell::ObservedGauge(read), |_| Some(()));
    }

    /// Adds something to ask for beside the metrics. Several parts of one component may share a name.
    pub fn report(&self, name: &str, report: Report) {
        lock(&self.reports).push((name.to_owned(), report));
    }

    /// Asks all parts of this name: a JSON array of their answers, or `None` if there is no such name.
    pub fn ask(&self, name: &str, query: &str) -> Option<Result<String, String>> {
        let reports = lock(&self.reports);
        let mut answers = reports.iter().filter(|(known, _)| known == name).map(|(_, report)| report(query)).peekable();
        answers.peek()?;
        Some(answers.collect::<Result<Vec<_>, _>>().map(|answers| format!("[{}]", answers.join(","))))
    }

    /// Names that can be asked, each once.
    #[must_use]
    pub fn report_names(&self) -> Vec<String> {
        let mut names: Vec<String> = lock(&self.reports).iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Takes every series of a component out, for a component that is gone after a reload.
    pub fn forget(&self, mut gone: impl FnMut(&Definition, &[(String, String)]) -> bool) {
        lock(&self.series).retain(|series| !gone(&series.definition, &series.attributes));
    }

    /// Everything as metrics, one scope after another, in order of registration; without resource attributes.
    #[must_use]
    pub fn collect(&self, unix_nano: u64) -> ResourceMetrics {
        let mut out = ResourceMetrics::default();
        for series in lock(&self.series).iter() {
            let attributes: Vec<_> =
                series.attributes.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
            let number = |value| NumberPoint {
                attributes: attributes.clone(),
                start_unix_nano: self.start_unix_nano,
                time_unix_nano: unix_nano,
                value,
                exemplars: Vec::new(),
                flags: 0,
            };
            let whole = |value: f64| {
                // Readings are floats; whole ones below 2^53 print as integers either way.
                NumberValue::Double(value)
            };
            let (kind, point) = match &series.cell {
                Cell::Counter(counter) => {
                    let value = i64::try_from(counter.get()).unwrap_or(i64::MAX);
                    (Kind::Sum { monotonic: true }, Point::Number(number(NumberValue::Int(value))))
                }
                Cell::Gauge(gauge) => (Kind::Gauge, Point::Number(number(NumberValue::Int(gauge.get())))),
                Cell::UpDown(gauge) => {
                    (Kind::Sum { monotonic: false }, Point::Number(number(NumberValue::Int(gauge.get()))))
                }
                Cell::ObservedCounter(read) => (Kind::Sum { monotonic: true }, Point::Number(number(whole(read())))),
                Cell::ObservedGauge(read) => (Kind::Gauge, Point::Number(number(whole(read())))),
                Cell::Histogram(histogram) => {
                    let buckets = lock(&histogram.0);
                    let point = HistogramPoint {
                        attributes: attributes.clone(),
                        start_unix_nano: self.start_unix_nano,
                        time_unix_nano: unix_nano,
                        count: buckets.counts.iter().sum(),
                        sum: Some(buckets.sum),
                        bucket_counts: buckets.counts.clone(),
                        explicit_bounds: buckets.bounds.to_vec(),
                        ..HistogramPoint::default()
                    };
                    (Kind::Histogram, Point::Histogram(point))
                }
            };
            push(&mut out, &series.definition, kind, point);
        }
        out
    }

    fn cell<T>(
        &self,
        definition: Definition,
        attributes: &[(&str, &str)],
        make: impl FnOnce() -> Cell,
        take: impl Fn(&Cell) -> Option<T>,
    ) -> Option<T> {
        let mut all = lock(&self.series);
        let same = |series: &&Series| {
            series.definition.name == definition.name
                && series.attributes.len() == attributes.len()
                && series.attributes.iter().zip(attributes).all(|(a, b)| a.0 == b.0 && a.1 == b.1)
        };
        if let Some(series) = all.iter().find(same) {
            return take(&series.cell);
        }
        let cell = make();
        let taken = take(&cell);
        let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        all.push(Series { definition, attributes, cell });
        taken
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Sum { monotonic: bool },
    Histogram,
}

enum Point {
    Number(NumberPoint),
    Histogram(HistogramPoint),
}

fn push(out: &mut ResourceMetrics, definition: &Definition, kind: Kind, point: Point) {
    let scope = match out.scope_metrics.iter_mut().position(|scope| scope.scope.name == definition.scope) {
        Some(at) => &mut out.scope_metrics[at],
        None => {
            let scope = Scope { name: definition.scope.to_owned(), ..Scope::default() };
            out.scope_metrics.push(ScopeMetrics { scope, ..ScopeMetrics::default() });
            let last = out.scope_metrics.len() - 1;
            &mut out.scope_metrics[last]
        }
    };
    let metric = match scope.metrics.iter_mut().position(|metric| metric.name == definition.name) {
        Some(at) => &mut scope.metrics[at],
        None => {
            let temporality = AggregationTemporality::Cumulative;
            let data = match kind {
                Kind::Gauge => MetricData::Gauge { points: Vec::new() },
                Kind::Sum { monotonic } => MetricData::Sum { points: Vec::new(), temporality, monotonic },
                Kind::Histogram => MetricData::Histogram { points: Vec::new(), temporality },
            };
            scope.metrics.push(Metric {
                name: definition.name.to_owned(),
                description: definition.description.to_owned(),
                unit: definition.unit.to_owned(),
                data,
            });
            let last = scope.metrics.len() - 1;
            &mut scope.metrics[last]
        }
    };
    match (&mut metric.data, point) {
        (MetricData::Gauge { points } | MetricData::Sum { points, .. }, Point::Number(point)) => points.push(point),
        (MetricData::Histogram { points, .. }, Point::Histogram(point)) => points.push(point),
        // One name has one kind: two components that disagree are a programming error that tests show as a lost series.
        _ => {}
    }
}

/// A poisoned lock means that another thread panicked while adding numbers; the numbers are still worth showing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
