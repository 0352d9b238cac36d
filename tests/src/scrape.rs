//! Prometheus text pages, read just far enough to compare numbers.

use std::collections::BTreeMap;

use crate::{Failure, Outcome};

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Metric name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Value.
    pub value: f64,
}

/// Gets a page and reads its samples.
pub fn scrape(url: &str) -> Outcome<Vec<Sample>> {
    let text = ureq::get(url)
        .call()
        .and_then(|mut answer| answer.body_mut().read_to_string())
        .map_err(|error| Failure(format!("GET {url}: {error}")))?;
    Ok(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
}

/// The sum of all samples of this name whose labels contain these.
#[must_use]
pub fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let matches = |sample: &&Sample| {
        sample.name == name && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value))
    };
    samples.iter().filter(matches).map(|sample| sample.value).sum()
}

fn sample(line: &str) -> Option<Sample> {
    let (head, value) = match line.find('}') {
        Some(_) => {
            let end = line.rfind('}')?;
            (&line[..end], line[end + 1..].trim())
        }
        None => line.split_once(' ')?,
    };
    let (name, labels) = head.split_once('{').unwrap_or((head, ""));
    let value = value.split(' ').next()?.parse().ok()?;
    let mut parsed = BTreeMap::new();
    let mut rest = labels;
    while let Some((key, behind)) = rest.split_once("=\"") {
        let end = closing_quote(behind)?;
        parsed
            .insert(key.trim_start_matches(',').to_owned(), behind[..end].replace("\\\"", "\"").replace("\\\\", "\\"));
        rest = &behind[end + 1..];
    }
    Some(Sample { name: name.to_owned(), labels: parsed, value })
}

fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
    None
}
