//! The two text formats: plain 0.0.4 and OpenMetrics. Byte for byte what prometheus/common 0.70 writes.

use std::borrow::Cow;
use std::fmt::Write as _;

use pdata::number::{push_float, push_open_metrics_float};

use super::model::{Exemplar, Family, Histogram, Kind, Sample, Value};

/// Which text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `text/plain; version=0.0.4`: no exemplars, whole numbers bare.
    Plain,
    /// `application/openmetrics-text`: exemplars, floats recognisable, `# EOF` at the end.
    OpenMetrics,
}

/// What is done to names outside the classic character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// Nothing; such names are printed in quotes.
    AllowUtf8,
    /// Each other character becomes `_`.
    Underscores,
    /// `.` becomes `_dot_`, `_` becomes `__`, each other character `__`.
    Dots,
    /// The whole name is marked `U__` and each other character becomes `_hex_`.
    Values,
}

impl Escaping {
    /// The word of the `escaping=` parameter.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// The name as this scheme spells it.
    #[must_use]
    pub fn apply(self, name: &str) -> Cow<'_, str> {
        let classic = is_classic(name);
        match self {
            Self::AllowUtf8 => Cow::Borrowed(name),
            Self::Underscores | Self::Values if classic => Cow::Borrowed(name),
            Self::Underscores => Cow::Owned(map_name(name, |out, char, ok| out.push(if ok { char } else { '_' }))),
            Self::Dots if classic && !name.contains('_') => Cow::Borrowed(name),
            Self::Dots => Cow::Owned(map_name(name, |out, char, ok| match char {
                '.' => out.push_str("_dot_"),
                char if ok && char != '_' => out.push(char),
                _ => out.push_str("__"),
            })),
            Self::Values => {
                let mapped = map_name(name, |out, char, ok| match char {
                    '_' => out.push_str("__"),
                    char if ok => out.push(char),
                    char => {
                        let _ = write!(out, "_{:x}_", u32::from(char));
                    }
                });
                Cow::Owned(format!("U__{mapped}"))
            }
        }
    }
}

fn map_name(name: &str, mut push: impl FnMut(&mut String, char, bool)) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for (index, char) in name.char_indices() {
        push(&mut out, char, is_classic_char(char, index));
    }
    out
}

fn is_classic_char(char: char, index: usize) -> bool {
    char.is_ascii_alphabetic() || char == '_' || char == ':' || (char.is_ascii_digit() && index > 0)
}

fn is_classic(name: &str) -> bool {
    !name.is_empty() && name.char_indices().all(|(index, char)| is_classic_char(char, index))
}

/// Prints the families in the order given.
#[must_use]
pub fn write(families: &[Family], syntax: Syntax, escaping: Escaping) -> String {
    let mut writer = Writer { out: String::with_capacity(4096), syntax, escaping, block: String::new() };
    for family in families {
        writer.family(family);
    }
    if syntax == Syntax::OpenMetrics {
        writer.out.push_str("# EOF\n");
    }
    writer.out
}

struct Writer {
    out: String,
    syntax: Syntax,
    escaping: Escaping,
    /// The labels of the sample at hand, printed once for all its lines.
    block: String,
}

impl Writer {
    fn family(&mut self, family: &Family) {
        if family.samples.is_empty() {
            return;
        }
        let name = self.escaping.apply(&family.name);
        let open = self.syntax == Syntax::OpenMetrics;
        let counter_base = if family.kind == Kind::Counter { name.strip_suffix("_total") } else { None };
        let head = if open { counter_base.unwrap_or(&name) } else { &name };
        let word = match family.kind {
            // A counter that does not end in _total is not one for OpenMetrics.
            Kind::Counter if open && counter_base.is_none() => "unknown",
            Kind::Untyped if open => "unknown",
            kind => kind.word(),
        };
        self.out.push_str("# HELP ");
        push_name(&mut self.out, head);
        self.out.push(' ');
        push_escaped(&mut self.out, &family.help, open);
        self.out.push_str("\n# TYPE ");
        push_name(&mut self.out, head);
        self.out.push(' ');
        self.out.push_str(word);
        self.out.push('\n');
        for sample in &family.samples {
            self.block.clear();
            for (label, value) in sample.labels.iter() {
                if !self.block.is_empty() {
                    self.block.push(',');
                }
                push_name(&mut self.block, &self.escaping.apply(label));
                self.block.push_str("=\"");
                push_escaped(&mut self.block, value, true);
                self.block.push('"');
            }
            match &sample.value {
                Value::Number { value, exemplar } => {
                    self.float_line(&name, "", None, *value, sample, exemplar.as_ref());
                }
                Value::Histogram(histogram) => self.histogram(&name, histogram, sample),
                Value::Summary { count, sum, quantiles } => {
                    for (quantile, value) in quantiles {
                        self.float_line(&name, "", Some(("quantile", *quantile)), *value, sample, None);
                    }
                    self.float_line(&name, "_sum", None, *sum, sample, None);
                    self.count_line(&name, "_count", None, *count, sample, None);
                }
            }
        }
    }

    fn histogram(&mut self, name: &str, histogram: &Histogram, sample: &Sample) {
        let mut infinity = false;
        for bucket in &histogram.buckets {
            infinity |= bucket.bound == f64::INFINITY;
            let bound = Some(("le", bucket.bound));
            self.count_line(name, "_bucket", bound, bucket.cumulative, sample, bucket.exemplar.as_ref());
        }
        if !infinity {
            self.count_line(name, "_bucket", Some(("le", f64::INFINITY)), histogram.count, sample, None);
        }
        self.float_line(name, "_sum", None, histogram.sum, sample, None);
        self.count_line(name, "_count", None, histogram.count, sample, None);
    }

    fn float_line(
        &mut self,
        name: &str,
        suffix: &str,
        extra: Option<(&str, f64)>,
        value: f64,
        sample: &Sample,
        exemplar: Option<&Exemplar>,
    ) {
        self.name_and_labels(name, suffix, extra);
        self.push_float(value);
        self.tail(sample, exemplar);
    }

    fn count_line(
        &mut self,
        name: &str,
        suffix: &str,
        extra: Option<(&str, f64)>,
        count: u64,
        sample: &Sample,
        exemplar: Option<&Exemplar>,
    ) {
        self.name_and_labels(name, suffix, extra);
        match self.syntax {
            // The Go writer turns counts into floats here, so a million prints 1e+06.
            Syntax::Plain => push_float(&mut self.out, count as f64),
            Syntax::OpenMetrics => {
                let _ = write!(self.out, "{count}");
            }
        }
        self.tail(sample, exemplar);
    }

    fn name_and_labels(&mut self, name: &str, suffix: &str, extra: Option<(&str, f64)>) {
        let mut separator = '{';
        if is_classic(name) {
            self.out.push_str(name);
            self.out.push_str(suffix);
        } else {
            self.out.push_str("{\"");
            push_escaped(&mut self.out, name, true);
            self.out.push_str(suffix);
            self.out.push('"');
            separator = ',';
        }
        if !self.block.is_empty() {
            self.out.push(separator);
            self.out.push_str(&self.block);
            separator = ',';
        }
        if let Some((label, value)) = extra {
            self.out.push(separator);
            self.out.push_str(label);
            self.out.push_str("=\"");
            self.push_float(value);
            self.out.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.out.push('}');
        }
        self.out.push(' ');
    }

    fn push_float(&mut self, value: f64) {
        match self.syntax {
            Syntax::Plain => push_float(&mut self.out, value),
            Syntax::OpenMetrics => push_open_metrics_float(&mut self.out, value),
        }
    }

    fn tail(&mut self, sample: &Sample, exemplar: Option<&Exemplar>) {
        if let Some(timestamp_ms) = sample.timestamp_ms {
            self.out.push(' ');
            match self.syntax {
                Syntax::Plain => {
                    let _ = write!(self.out, "{timestamp_ms}");
                }
                Syntax::OpenMetrics => push_open_metrics_float(&mut self.out, timestamp_ms as f64 / 1000.0),
            }
        }
        if self.syntax == Syntax::OpenMetrics
            && let Some(exemplar) = exemplar
            && !exemplar.labels.is_empty()
        {
            self.out.push_str(" # ");
            let mut separator = '{';
            for (label, value) in &exemplar.labels {
                let _ = write!(self.out, "{separator}{label}=\"");
                push_escaped(&mut self.out, value, true);
                self.out.push('"');
                separator = ',';
            }
            self.out.push_str("} ");
            push_open_metrics_float(&mut self.out, exemplar.value);
            self.out.push(' ');
            push_open_metrics_float(&mut self.out, exemplar.time_unix_nano as f64 / 1e9);
        }
        self.out.push('\n');
    }
}

/// A classic name as it is, any other in quotes. Label names follow the rule of metric names here, as in Go.
fn push_name(out: &mut String, name: &str) {
    if is_classic(name) {
        out.push_str(name);
    } else {
        out.push('"');
        push_escaped(out, name, true);
        out.push('"');
    }
}

fn push_escaped(out: &mut String, text: &str, quotes: bool) {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\n', '"']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            _ if quotes => "\\\"",
            _ => "\"",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::super::model::{Bucket, Labels};
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn families() -> Vec<Family> {
        let exemplar = Exemplar {
            labels: vec![("trace_id", "ab".repeat(16)), ("span_id", "01".repeat(8))],
            value: 0.25,
            time_unix_nano: 1_795_228_773_100_200_700,
        };
        let sample = |labels, value| Sample { labels, value, timestamp_ms: None, created_unix_nano: 1 };
        vec![
            Family {
                name: "a.b_total".into(),
                help: "back\\slash \"quoted\"\nline".into(),
                kind: Kind::Counter,
                samples: vec![Sample {
                    timestamp_ms: Some(1_795_228_769_103),
                    ..sample(
                        labels(&[("c.d", "x\"y\\\n"), ("e", "")]),
                        Value::Number { value: 2.0, exemplar: Some(exemplar.clone()) },
                    )
                }],
            },
            Family {
                name: "h".into(),
                help: String::new(),
                kind: Kind::Histogram,
                samples: vec![sample(
                    Labels::default(),
                    Value::Histogram(Histogram {
                        count: 1_000_000,
                        sum: 0.5,
                        buckets: vec![
                            Bucket { bound: 1.0, cumulative: 0, exemplar: None },
                            Bucket { bound: 2.5, cumulative: 999_999, exemplar: Some(exemplar) },
                        ],
                        native: None,
                    }),
                )],
            },
            Family {
                name: "s".into(),
                help: "S".into(),
                kind: Kind::Summary,
                samples: vec![sample(
                    labels(&[("l", "v")]),
                    Value::Summary { count: 3, sum: 6.0, quantiles: vec![(0.5, 2.0)] },
                )],
            },
            Family {
                name: "u".into(),
                help: "U".into(),
                kind: Kind::Untyped,
                samples: vec![sample(Labels::default(), Value::Number { value: f64::NAN, exemplar: None })],
            },
        ]
    }

    #[test]
    fn plain_text() {
        insta::assert_snapshot!(write(&families(), Syntax::Plain, Escaping::Underscores));
    }

    #[test]
    fn plain_text_with_quoted_names() {
        insta::assert_snapshot!(write(&families()[..1], Syntax::Plain, Escaping::AllowUtf8));
    }

    #[test]
    fn open_metrics() {
        insta::assert_snapshot!(write(&families(), Syntax::OpenMetrics, Escaping::Underscores));
    }

    #[test]
    fn escaping_schemes() {
        for (scheme, name, want) in [
            (Escaping::Underscores, "my-metric.x", "my_metric_x"),
            (Escaping::Underscores, "1a", "_a"),
            (Escaping::Dots, "a.b_c-d", "a_dot_b__c__d"),
            (Escaping::Values, "a.b_c", "U__a_2e_b__c"),
            (Escaping::Values, "a_b", "a_b"),
            (Escaping::AllowUtf8, "a.b", "a.b"),
        ] {
            assert_eq!(scheme.apply(name), want);
        }
    }
}
