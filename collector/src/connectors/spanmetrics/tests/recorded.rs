//! Every recorded case, through the sections, the connector, the store and the writers, without sockets.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use ::connectors::spanmetrics::{Config as Settings, SpanMetrics};
use http::{HeaderMap, HeaderName, HeaderValue};
use pdata::Traces;
use serde_json::Value;

use super::super::config::Config;
use super::page::Page;
use crate::config::{Problems, Section};
use crate::exporters::prometheus::negotiate::negotiate;
use crate::exporters::prometheus::store::Store;
use crate::exporters::prometheus::{Config as PrometheusConfig, text};

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    config: String,
    input: String,
    steps: Vec<Vec<Value>>,
    headers: serde_json::Map<String, Value>,
    content_type: Option<String>,
    transient: bool,
    accept_either: bool,
    expected: Vec<String>,
    better: Vec<String>,
}

impl Case {
    fn answers(&self) -> Vec<Page> {
        let texts: Vec<&String> = match (self.better.is_empty(), self.accept_either) {
            (true, _) => self.expected.iter().collect(),
            (false, true) => self.better.iter().chain(&self.expected).collect(),
            (false, false) => self.better.iter().collect(),
        };
        texts.into_iter().map(|text| Page::parse(text)).collect()
    }
}

fn section<T: serde::de::DeserializeOwned>(config: &serde_yaml::Value, group: &str, ids: &[&str]) -> (T, String) {
    let (id, value) = ids.iter().find_map(|id| config[group].get(id).map(|value| (id, value))).unwrap();
    let section = Section::parse(id, group, &serde_yaml::to_string(value).unwrap()).unwrap();
    let mut problems = Problems::default();
    let decoded = section.decode(&mut problems).unwrap();
    assert!(problems.is_empty(), "{:?}", problems.list());
    (decoded, section.path)
}

/// Everything between the requests and the page, on a clock of its own.
struct Chain {
    connector: SpanMetrics,
    store: Store,
    open_metrics: bool,
    headers: HeaderMap,
    now: Duration,
    next_flush: Duration,
}

const INTERVAL: Duration = Duration::from_secs(1);
const START_UNIX_NANO: u64 = 1_790_000_000_000_000_000;

impl Chain {
    fn new(case: &Case) -> Self {
        let config: serde_yaml::Value = serde_yaml::from_str(&case.config).unwrap();
        let mut problems = Problems::default();
        let (spanmetrics, path): (Config, _) = section(&config, "connectors", &["spanmetrics", "span_metrics"]);
        let settings = spanmetrics.check(&path, &mut problems).unwrap();
        assert_eq!(spanmetrics.flush_interval(), INTERVAL);
        let (prometheus, path): (PrometheusConfig, _) = section(&config, "exporters", &["prometheus"]);
        prometheus.check(&path, &mut problems);
        assert!(problems.is_empty(), "{:?}", problems.list());
        let id = config["service"]["telemetry"]["resource"]["collector.instance.id"].as_str().unwrap_or("UUID");
        let headers = case.headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value.as_str().unwrap()).unwrap())
        });
        Self {
            connector: SpanMetrics::new(Settings { instance_id: Some(id.to_owned()), seed: 1, ..settings }),
            store: Store::new(prometheus.translator().unwrap(), prometheus.expiration()),
            open_metrics: prometheus.enable_open_metrics(),
            headers: headers.collect(),
            now: Duration::ZERO,
            // Requests do not arrive at the moment of a flush.
            next_flush: Duration::from_millis(900),
        }
    }

    fn unix_nano(&self) -> u64 {
        START_UNIX_NANO + u64::try_from(self.now.as_nanos()).unwrap()
    }

    fn send(&mut self, line: &str) {
        let request = pdata::json::traces_from_json(line.as_bytes()).unwrap();
        self.connector.observe(&Traces::index(request.into()).unwrap(), self.unix_nano());
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next_flush <= until {
            self.now = self.next_flush;
            self.next_flush += INTERVAL;
            let metrics = self.connector.flush(self.unix_nano());
            let accepted = self.store.accept(&metrics, self.now);
            assert!(accepted.points as usize + accepted.dropped.len() >= usize::from(metrics.point_count() > 0));
        }
        self.now = until;
    }

    fn page(&mut self) -> String {
        self.store.expire(self.now);
        let form = negotiate(&self.headers, self.open_metrics);
        text::write(&self.store.families(), form.syntax().unwrap(), form.escaping)
    }
}

fn replay(case: &Case) -> Result<(), String> {
    let mut chain = Chain::new(case);
    let lines: Vec<&str> = case.input.lines().collect();
    let mut mark = String::new();
    for step in &case.steps {
        match (step[0].as_str().unwrap(), &step[1..]) {
            ("send", which) => {
                mark = chain.page();
                let all: Vec<usize> = (0..lines.len()).collect();
                let given: Vec<usize> = which.iter().map(|n| usize::try_from(n.as_u64().unwrap()).unwrap()).collect();
                for index in if which.is_empty() { &all } else { &given } {
                    chain.send(lines[*index]);
                }
            }
            ("flushes", [n]) => {
                chain.wait(INTERVAL * u32::try_from(n.as_u64().unwrap()).unwrap() + Duration::from_millis(300));
            }
            ("sleep", [seconds]) => chain.wait(Duration::from_secs_f64(seconds.as_f64().unwrap())),
            ("until_change", []) => {
                while chain.page() == mark {
                    chain.wait(Duration::from_millis(100));
                }
            }
            other => panic!("unknown step {other:?}"),
        }
    }
    if let Some(wanted) = &case.content_type {
        assert_eq!(negotiate(&chain.headers, chain.open_metrics).content_type(), *wanted, "{}", case.name);
    }
    let answers = case.answers();
    let judge = |chain: &mut Chain| {
        let got = Page::parse(&chain.page());
        let differences: Vec<_> = answers.iter().map(|answer| got.differences(answer)).collect();
        if differences.iter().any(Vec::is_empty) { Ok(()) } else { Err(differences[0].join("\n  ")) }
    };
    judge(&mut chain)?;
    if case.transient {
        return Ok(());
    }
    chain.wait(INTERVAL);
    judge(&mut chain).map_err(|differences| format!("right at first, then changed by a flush:\n  {differences}"))
}

#[test]
fn pages_are_those_of_the_go_collector() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/spanmetrics/cases.jsonl.zst");
    let file = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
    let cases: Vec<Case> =
        BufReader::new(file).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(cases.len(), 70);
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| replay(case).err().map(|differences| format!("{}:\n  {differences}", case.name)))
        .collect();
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}
