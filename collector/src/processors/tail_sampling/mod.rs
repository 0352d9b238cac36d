//! `tail_sampling`: keeps or drops whole traces, decided some time after their first span.
//!
//! Spans wait as bytes in a log ([`log`]), what policies need to know of a trace is folded into a fixed-size entry
//! ([`entry`], [`table`]) as spans arrive, and a decision reads entries only ([`decide`]). The shards ([`sampler`]) are
//! pure; this file gives them time, a lock each, and somewhere to send to. User's page: `README.md` beside this file.

mod archive;
mod config;
#[cfg(test)]
mod config_tests;
mod counts;
mod decide;
mod decided;
mod durable;
#[cfg(test)]
mod durable_tests;
mod encoded;
mod entry;
mod envelope;
mod id_hash;
mod log;
mod low;
mod mark;
#[cfg(test)]
mod mark_tests;
mod metrics;
mod output;
mod pack;
mod part;
mod peers;
mod policy;
mod processor;
mod recent;
mod relocate;
mod replace;
#[cfg(test)]
mod replace_tests;
mod replay;
mod sampler;
mod size;
mod storage;
mod table;
#[cfg(test)]
mod tests;
mod threshold;
mod touched;
#[cfg(test)]
mod upstream_tests;

use std::sync::Arc;

use component::{Clock, Signal, TracesConsumer};

pub use config::{Config, Strategy};
pub use entry::{Facts, Shape};
pub use part::{Answers, TracePart};
pub use peers::{Cost, Fleet};
pub use policy::{ErrorMode, PolicyConfig, PolicyKind};
use policy::{Policies, Questions};
use processor::{Rules, TailSampling};
pub(crate) use replay::START_SECONDS;
pub use replay::{Replay, Summary};

use crate::config::{Problems, Section};
use crate::factory::{Context, Factory, Part, ProcessorPlan, StartError};

/// Makes `tail_sampling` processors.
pub const FACTORY: Factory<dyn ProcessorPlan> =
    Factory { kind: "tail_sampling", alias: None, stability: "traces: beta", parse };

/// A checked configuration.
#[derive(Debug)]
pub struct Plan {
    config: Arc<Config>,
}

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ProcessorPlan>> {
    Some(Box::new(Plan::parse(section, problems)?))
}

impl Plan {
    /// Reads a section and compiles its policies to see that they can be; every mistake goes to `problems`.
    pub fn parse(section: &Section, problems: &mut Problems) -> Option<Self> {
        let before = problems.list().len();
        let plan = Self { config: Arc::new(Config::parse(section, problems)?.for_shard()) };
        let clock = Arc::new(component::ManualClock::default());
        plan.compile_after(ottl::Engine::Interpreter, clock, None, problems);
        (problems.list().len() == before).then_some(plan)
    }

    /// Whether several instances can decide as one with this configuration; what is in the way goes to `problems`.
    pub fn check_shared(&self, problems: &mut Problems) {
        self.config.check_shared(problems);
    }

    /// Policies and questions as they run, in place of those of `before`.
    fn compile_after(
        &self,
        engine: ottl::Engine,
        clock: Arc<dyn Clock>,
        before: Option<&Policies>,
        problems: &mut Problems,
    ) -> Option<(Arc<Policies>, Arc<Questions>)> {
        let options = ottl::Options { engine, host: crate::ottl_host::host(clock), ..ottl::Options::default() };
        let (policies, questions) = Policies::compile(&self.config, options, before, problems)?;
        Some((Arc::new(policies), Arc::new(questions)))
    }

    /// The same where [`Plan::parse`] has seen that it goes well.
    fn compiled(
        &self,
        engine: ottl::Engine,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Policies>, Arc<Questions>), StartError> {
        let mut problems = Problems::default();
        self.compile_after(engine, clock, None, &mut problems).ok_or_else(|| StartError::from_problems(&problems))
    }
}

impl ProcessorPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces]
    }

    fn make_traces(&self, context: &Context, next: TracesConsumer) -> Result<Part<TracesConsumer>, StartError> {
        let engine = if context.jit { ottl::Engine::Jit } else { ottl::Engine::Interpreter };
        let (policies, questions) = self.compiled(engine, context.clock.clone())?;
        let rules = Rules { config: self.config.clone(), policies, questions };
        let processor = Arc::new(TailSampling::new(rules, engine, context, next)?);
        Ok(Part { input: processor.clone(), lifecycle: Some(processor) })
    }
}
