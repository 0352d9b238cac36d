//! The `forward` connector: joins and splits pipelines of one signal without touching the data.
//!
//! It has no settings, no tasks and no numbers of its own. Every pipeline that lists it as receiver gets every batch of
//! every pipeline that lists it as exporter; errors go back to the caller. The fan-out is the graph's, so what the
//! connector adds to the data path is nothing: its input is its output.

use component::{MetricsConsumer, Signal, TracesConsumer};
use serde::Deserialize;

use crate::config::{Problems, Section};
use crate::factory::{ConnectorPlan, Context, Factory, Part, StartError};

/// The factory.
pub const FACTORY: Factory<dyn ConnectorPlan> = Factory { kind: "forward", alias: None, stability: "beta", parse };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ConnectorPlan>> {
    section.decode::<Config>(problems).map(|Config {}| Box::new(Forward) as Box<dyn ConnectorPlan>)
}

struct Forward;

impl ConnectorPlan for Forward {
    fn pairs(&self) -> &'static [(Signal, Signal)] {
        &[(Signal::Traces, Signal::Traces), (Signal::Metrics, Signal::Metrics)]
    }

    fn make_traces_to_traces(&self, _: &Context, next: TracesConsumer) -> Result<Part<TracesConsumer>, StartError> {
        Ok(Part { input: next, lifecycle: None })
    }

    fn make_metrics_to_metrics(&self, _: &Context, next: MetricsConsumer) -> Result<Part<MetricsConsumer>, StartError> {
        Ok(Part { input: next, lifecycle: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(yaml: &str) -> Vec<String> {
        let mut problems = Problems::default();
        let plan = parse(&Section::parse("forward", "connectors", yaml).unwrap(), &mut problems);
        assert!(plan.is_some() || !problems.is_empty());
        problems.list().iter().map(|problem| problem.message.clone()).collect()
    }

    #[test]
    fn any_key_is_an_error() {
        assert_eq!(problems(""), [""; 0]);
        assert_eq!(problems("{}"), [""; 0]);
        assert_eq!(problems("a: 1"), ["has invalid keys: a"]);
    }
}
