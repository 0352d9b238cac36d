//! What a Prometheus page consists of, independent of how it is printed: families of samples with final names.
//!
//! Names here are those of the translation strategy and may be any UTF-8; the writers escape them for the client.

/// What a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Any value.
    Gauge,
    /// Classic and native histograms.
    Histogram,
    /// Quantiles.
    Summary,
    /// Not known.
    Untyped,
}

impl Kind {
    /// The word of a `# TYPE` line in the plain text format.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

/// All samples of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name, with suffixes.
    pub name: String,
    /// Help text.
    pub help: String,
    /// Type.
    pub kind: Kind,
    /// Samples in page order, see [`sort`].
    pub samples: Vec<Sample>,
}

/// One series with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels without `le` and `quantile`.
    pub labels: Labels,
    /// The value.
    pub value: Value,
    /// Time of the value, milliseconds since the epoch, where it is to be shown.
    pub timestamp_ms: Option<i64>,
    /// When counting began, nanoseconds since the epoch; 0 = not known. Only protobuf shows it.
    pub created_unix_nano: u64,
}

/// A sample's value. Must fit the family's kind; the writers skip samples that do not.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Counter, gauge or untyped.
    Number {
        /// The value.
        value: f64,
        /// Counters only.
        exemplar: Option<Exemplar>,
    },
    /// Histogram.
    Histogram(Histogram),
    /// Summary.
    Summary {
        /// Number of observations.
        count: u64,
        /// Sum of observations.
        sum: f64,
        /// (quantile, value), by quantile.
        quantiles: Vec<(f64, f64)>,
    },
}

/// A histogram: classic buckets, or a native (exponential) one that text formats show as a lone `+Inf` bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Number of observations.
    pub count: u64,
    /// Sum of observations.
    pub sum: f64,
    /// By bound; `+Inf` is added by the writers unless it is here (it is where it has an exemplar).
    pub buckets: Vec<Bucket>,
    /// The native form.
    pub native: Option<Native>,
}

/// One classic bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// Upper bound, inclusive.
    pub bound: f64,
    /// Observations at or below the bound.
    pub cumulative: u64,
    /// The last exemplar that falls into it.
    pub exemplar: Option<Exemplar>,
}

/// Native histogram buckets, sparse.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Native {
    /// -4 to 8.
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// (index, count) by index.
    pub positive: Vec<(i32, u64)>,
    /// (index, count) by index.
    pub negative: Vec<(i32, u64)>,
    /// All exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// An example observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// `trace_id` and `span_id` where set, as hex.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
    /// Nanoseconds since the epoch.
    pub time_unix_nano: u64,
}

/// Labels of a series, by name, each name once. One text and its cut points: a page has very many of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels {
    text: Box<str>,
    ends: Box<[u32]>,
}

impl Labels {
    /// Sorts by name. Values of equal names are joined by `;` in the order given, as the OpenTelemetry-Prometheus
    /// specification asks; contrib drops the series instead.
    #[must_use]
    pub fn from_pairs(mut pairs: Vec<(String, String)>) -> Self {
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut text = String::with_capacity(pairs.iter().map(|(name, value)| name.len() + value.len()).sum());
        let mut ends: Vec<u32> = Vec::with_capacity(pairs.len() * 2);
        let mut last: Option<&str> = None;
        for (name, value) in &pairs {
            if last == Some(name.as_str()) {
                ends.pop();
                text.push(';');
            } else {
                text.push_str(name);
                ends.push(end(&text));
            }
            text.push_str(value);
            ends.push(end(&text));
            last = Some(name);
        }
        Self { text: text.into(), ends: ends.into() }
    }

    /// Number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Names and values one after the other, for hashing.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// (name, value) by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.chunks_exact(2).map(move |ends| {
            let (name_end, value_end) = (ends[0] as usize, ends[1] as usize);
            let pair = (&self.text[start..name_end], &self.text[name_end..value_end]);
            start = value_end;
            pair
        })
    }
}

/// Label sets beyond 4 GiB do not exist: every batch they could come from is smaller.
fn end(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

/// Puts families and samples into page order: families by name; samples with fewer labels first, then by label values
/// in label name order (`MetricSorter` of client_golang).
pub fn sort(families: &mut [Family]) {
    families.sort_by(|a, b| a.name.cmp(&b.name));
    for family in families {
        family.samples.sort_by(|a, b| {
            let by_values = || a.labels.iter().map(|label| label.1).cmp(b.labels.iter().map(|label| label.1));
            a.labels.len().cmp(&b.labels.len()).then_with(by_values).then_with(|| a.labels.cmp(&b.labels))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn equal_names_join_their_values_in_the_order_given() {
        let got = labels(&[("b", "2"), ("a", "z"), ("b", "1"), ("a", "")]);
        assert_eq!(got.iter().collect::<Vec<_>>(), [("a", "z;"), ("b", "2;1")]);
        assert_eq!(got.len(), 2);
    }

    #[test]
    fn fewer_labels_come_first() {
        let sample = |labels| Sample {
            labels,
            value: Value::Number { value: 0.0, exemplar: None },
            timestamp_ms: None,
            created_unix_nano: 0,
        };
        let mut families = vec![Family {
            name: "m".into(),
            help: String::new(),
            kind: Kind::Gauge,
            samples: vec![
                sample(labels(&[("a", "1"), ("b", "2")])),
                sample(labels(&[("a", "1"), ("c", "1")])),
                sample(labels(&[("z", "9")])),
            ],
        }];
        sort(&mut families);
        let order: Vec<_> = families[0].samples.iter().map(|s| s.labels.len()).collect();
        assert_eq!(order, [1, 2, 2]);
        assert_eq!(families[0].samples[1].labels, labels(&[("a", "1"), ("c", "1")]));
    }
}
