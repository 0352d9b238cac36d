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
use component::{Clock, Consume, ConsumeError, Consumer, ManualClock, Signal, TracesConsumer};
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
    Some(Box::new(Plan::parse(section, problems)?))
}

/// A checked configuration.
pub(crate) struct Plan {
    groups: Vec<Group>,
}

impl Plan {
    /// Reads a section; every mistake of it and of every condition goes to `problems`.
    pub(crate) fn parse(section: &Section, problems: &mut Problems) -> Option<Self> {
        let before = problems.list().len();
        let plan = section.read(problems, |config: Config, problems| {
            let groups = config.groups(section, problems);
            // Compiled once here for the mistakes alone, and again with the engine the service chose.
            let options = options(Engine::Interpreter, Arc::new(ManualClock::new(0)));
            for group in &groups {
                Walk::compile(group, &options, problems);
            }
            Some(Self { groups })
        })?;
        (problems.list().len() == before).then_some(plan)
    }

    /// The conditions as they run.
    ///
    /// # Errors
    /// If machine code for them cannot be generated.
    pub(crate) fn compile(&self, engine: Engine, clock: Arc<dyn Clock>) -> Result<Walks, StartError> {
        let mut problems = Problems::default();
        let options = options(engine, clock);
        let walks = self.groups.iter().filter_map(|group| Walk::compile(group, &options, &mut problems)).collect();
        if problems.is_empty() { Ok(Walks(walks)) } else { Err(StartError::from_problems(&problems)) }
    }
}

fn options(engine: Engine, clock: Arc<dyn Clock>) -> Options {
    Options { engine, host: crate::ottl_host::host(clock), ..Options::default() }
}

impl ProcessorPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces]
    }

    fn make_traces(&self, context: &Context, next: TracesConsumer) -> Result<Part<TracesConsumer>, StartError> {
        let engine = if context.jit { Engine::Jit } else { Engine::Interpreter };
        let walks = self.compile(engine, context.clock.clone())?;
        let id = context.id.to_string();
        let filtered = context.registry.counter(FILTERED, &[("filter", &id)]);
        let items = Items::new(context, Signal::Traces);
        Ok(Part { input: Arc::new(Filter { walks, next, filtered, items }), lifecycle: None })
    }
}

/// All groups of conditions of a section, compiled.
pub(crate) struct Walks(Vec<Walk>);

impl Walks {
    /// Removes what conditions hold for, group by group. True if something is left to hand on.
    ///
    /// # Errors
    /// A condition has failed under `propagate`: the batch is not to be handed on. A group that empties the batch ends the
    /// call with success; upstream's skip signal hides errors then.
    pub(crate) fn run(&self, batch: &mut Traces) -> Result<bool, ConsumeError> {
        let mut failed: Result<(), ConsumeError> = Ok(());
        for walk in &self.0 {
            let result = walk.run(batch);
            failed = ConsumeError::join([failed, result]);
            if batch.resource_count() == 0 {
                return Ok(false);
            }
        }
        failed.map(|()| true)
    }
}

struct Filter {
    walks: Walks,
    next: TracesConsumer,
    filtered: Counter,
    items: Items,
}

impl Consumer<Traces> for Filter {
    fn consume(&self, mut batch: Traces) -> Consume<'_> {
        let before = batch.span_count();
        let goes_on = self.walks.run(&mut batch);
        let after = batch.span_count();
        // Counted before the outcome is known, and also when the call then fails: as upstream does.
        self.filtered.add((before - after) as u64);
        self.items.record(before, if matches!(goes_on, Ok(true)) { after } else { 0 });
        Box::pin(async move { if goes_on? { self.next.consume(batch).await } else { Ok(()) } })
    }
}
