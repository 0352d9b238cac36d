//! Reading a page, so that two of them can be compared by meaning.

use std::collections::BTreeMap;

type Labels = Vec<(String, String)>;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Page {
    /// `# HELP` and `# TYPE` lines.
    pub(super) heads: Vec<String>,
    pub(super) samples: BTreeMap<(String, Labels), Sample>,
    pub(super) eof: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Sample {
    value: f64,
    has_time: bool,
    exemplar: Option<(Labels, f64, bool)>,
}

impl PartialEq for Sample {
    /// Values may differ in the last digits: the order in which a sum was added up is not fixed.
    fn eq(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64| a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
        let exemplars = match (&self.exemplar, &other.exemplar) {
            (None, None) => true,
            (Some(a), Some(b)) => a.0 == b.0 && near(a.1, b.1) && a.2 == b.2,
            _ => false,
        };
        near(self.value, other.value) && self.has_time == other.has_time && exemplars
    }
}

impl Page {
    pub(super) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            if line == "# EOF" {
                page.eof = true;
            } else if line.starts_with('#') {
                page.heads.push(line.trim_end().to_owned());
            } else if !line.is_empty() {
                let (name, labels, rest) = series(line);
                let (value, exemplar) = match rest.split_once(" # ") {
                    Some((value, exemplar)) => (value, Some(exemplar)),
                    None => (rest, None),
                };
                let mut parts = value.split_whitespace();
                let sample = Sample {
                    value: number(parts.next().unwrap()),
                    has_time: parts.next().is_some(),
                    exemplar: exemplar.map(|text| {
                        let (_, labels, rest) = series(text);
                        let mut parts = rest.split_whitespace();
                        (labels, number(parts.next().unwrap()), parts.next().is_some())
                    }),
                };
                let before = page.samples.insert((name, labels), sample);
                assert!(before.is_none(), "series repeated: {line}");
            }
        }
        page
    }

    pub(super) fn differences(&self, want: &Self) -> Vec<String> {
        let mut out = Vec::new();
        for head in &want.heads {
            if !self.heads.contains(head) {
                out.push(format!("- {head}"));
            }
        }
        out.extend(self.heads.iter().filter(|head| !want.heads.contains(head)).map(|head| format!("+ {head}")));
        for (key, sample) in &want.samples {
            match self.samples.get(key) {
                None => out.push(format!("- {key:?} {sample:?}")),
                Some(got) if got != sample => out.push(format!("~ {key:?} want {sample:?} got {got:?}")),
                Some(_) => {}
            }
        }
        let extra = self.samples.iter().filter(|(key, _)| !want.samples.contains_key(*key));
        out.extend(extra.map(|(key, sample)| format!("+ {key:?} {sample:?}")));
        if self.eof != want.eof {
            out.push(format!("~ EOF {}", self.eof));
        }
        out
    }
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        text => text.parse().unwrap(),
    }
}

/// Name, sorted labels, and the rest of the line.
fn series(line: &str) -> (String, Labels, &str) {
    let end = line.find(['{', ' ']).unwrap_or(line.len());
    let (mut name, mut rest) = (line[..end].to_owned(), &line[end..]);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            rest = rest.trim_start_matches(',');
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (key, after) = if rest.starts_with('"') {
                quoted(rest)
            } else {
                let end = rest.find('=').unwrap();
                (rest[..end].to_owned(), &rest[end..])
            };
            rest = after;
            match rest.strip_prefix('=') {
                Some(after) => {
                    let (value, after) = quoted(after);
                    assert!(labels.iter().all(|(known, _)| *known != key), "label repeated: {line}");
                    labels.push((key, value));
                    rest = after;
                }
                None => name = key,
            }
        }
    }
    labels.sort();
    (name, labels, rest.trim())
}

fn quoted(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (out, &text[at + 1..]),
            '\\' => match chars.next().unwrap().1 {
                'n' => out.push('\n'),
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    panic!("unfinished text: {text}");
}

#[test]
fn differences_are_seen() {
    let page =
        Page::parse("# TYPE a counter\na{x=\"1\",y=\"}\\\"\"} 1 # {t=\"a\"} 2.0 3\n{\"b.c\",\"d.e\"=\"f\"} 2 17\n");
    assert_eq!(page.samples.len(), 2);
    for other in [
        "# TYPE a counter\na{x=\"1\",y=\"}\\\"\"} 1\n{\"b.c\",\"d.e\"=\"f\"} 2 17\n",
        "# TYPE a counter\na{x=\"1\",y=\"}\\\"\"} 1 # {t=\"a\"} 2.5 3\n{\"b.c\",\"d.e\"=\"f\"} 2 17\n",
        "# TYPE a counter\na{x=\"2\",y=\"}\\\"\"} 1 # {t=\"a\"} 2.0 3\n{\"b.c\",\"d.e\"=\"f\"} 2 17\n",
        "# TYPE a gauge\na{x=\"1\",y=\"}\\\"\"} 1 # {t=\"a\"} 2.0 3\n{\"b.c\",\"d.e\"=\"f\"} 2 17\n",
        "# TYPE a counter\na{x=\"1\",y=\"}\\\"\"} 1 # {t=\"a\"} 2.0 3\n{\"b.c\",\"d.e\"=\"f\"} 2\n",
        "# TYPE a counter\na{x=\"1\",y=\"}\\\"\"} 1 # {t=\"a\"} 2.0 3\n{\"b.c\",\"d.e\"=\"f\"} 3 17\n# EOF\n",
    ] {
        assert!(!page.differences(&Page::parse(other)).is_empty(), "{other}");
    }
    assert!(page.differences(&page).is_empty());
}
