//! `filter`: drops resources, scopes, spans and span events for which an OTTL condition holds.
//!
//! As the Go processor does (contrib `filterprocessor` v0.164.1): resource conditions first, then scope, span and event
//! conditions; within a list the first true condition wins; what is left empty is removed. An error of a condition under
//! `propagate` keeps the element, the walk goes on, and in the end the whole batch is refused as retryable. All conditions
//! of a group are one compiled program with one extraction pass.
//!
//! `trace_conditions` and the older `traces` lists are supported; lists of other signals are refused.

mod config;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use component::telemetry::{Counter, Definition};
use component::{Consume, ConsumeError, Consumer, ManualClock, Signal, TracesConsumer};
use ottl::{Engine, Options};
use pdata::Traces;

use crate::config::{Problems, Section};
use crate::factory::{Context, Factory, Part, ProcessorPlan, StartError};
use crate::processors::helper::Items;
use config::{Config, Group};
use walk::Walk;

/// The factory of `filter`.
pub const FACTORY: Factory<dyn ProcessorPlan> =
    Factory { kind: "filter", alias: None, stability: "traces: beta", parse };

const FILTERED: Definition = Definition {
    name: "otelcol_processor_filter_spans.filtered",
    unit: "1",
    description: "Number of spans dropped by the filter processor [Development]",
    scope: "github.com/open-telemetry/opentelemetry-collector-contrib/processor/filterprocessor",
};

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ProcessorPlan>> {
    section.read(problems, |config: Config, problems| {
        let groups = config.groups(section, problems);
        // Compiled once here to report every mistake of every condition, and again with the engine the service chose.
        let host = crate::ottl_host::host(Arc::new(ManualClock::new(0)));
        let options = Options { engine: Engine::Interpreter, host, ..Options::default() };
        for group in &groups {
            Walk::compile(group, &options, problems);
        }
        Some(Box::new(Plan { groups }) as _)
    })
}

struct Plan {
    groups: Vec<Group>,
}

impl ProcessorPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces]
    }

    fn make_traces(&self, context: &Context, next: TracesConsumer) -> Result<Part<TracesConsumer>, StartError> {
        let mut problems = Problems::default();
        let options = Options {
            engine: if context.jit { Engine::Jit } else { Engine::Interpreter },
            host: crate::ottl_host::host(context.clock.clone()),
            ..Options::default()
        };
        let walks: Vec<Walk> =
            self.groups.iter().filter_map(|group| Walk::compile(group, &options, &mut problems)).collect();
        if let Some(problem) = problems.list().first() {
            return Err(StartError(format!("{}: {}", problem.path, problem.message)));
        }
        let id = context.id.to_string();
        let filtered = context.registry.counter(FILTERED, &[("filter", &id)]);
        let items = Items::new(context, Signal::Traces);
        Ok(Part { input: Arc::new(Filter { walks, next, filtered, items }), lifecycle: None })
    }
}

struct Filter {
    walks: Vec<Walk>,
    next: TracesConsumer,
    filtered: Counter,
    items: Items,
}

impl Consumer<Traces> for Filter {
    fn consume(&self, mut batch: Traces) -> Consume<'_> {
        let before = batch.span_count();
        let mut failed: Result<(), ConsumeError> = Ok(());
        let mut emptied = false;
        for walk in &self.walks {
            let result = walk.run(&mut batch);
            failed = ConsumeError::join([failed, result]);
            if batch.resource_count() == 0 {
                emptied = true;
                break;
            }
        }
        let after = batch.span_count();
        // Counted before the outcome is known, and also when the call then fails: as upstream does.
        self.filtered.add((before - after) as u64);
        self.items.record(before, if emptied || failed.is_err() { 0 } else { after });
        Box::pin(async move {
            // A group that empties the batch ends the call with success; upstream's skip signal hides errors then.
            if emptied {
                return Ok(());
            }
            failed?;
            self.next.consume(batch).await
        })
    }
}
