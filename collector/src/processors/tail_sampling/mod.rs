//! `tail_sampling`: keeps or drops whole traces, decided some time after their first span.
//!
//! Spans wait as bytes in a log ([`log`]), what policies need to know of a trace is folded into a fixed-size entry
//! ([`entry`], [`table`]) as spans arrive, and a decision reads entries only ([`decide`]). The shards ([`sampler`]) are
//! pure; this file gives them time, a lock each, and somewhere to send to. User's page: `README.md` beside this file.

mod config;
mod counts;
mod decide;
mod decided;
mod decode;
mod entry;
mod envelope;
mod id_hash;
mod log;
mod metrics;
mod output;
mod policy;
mod processor;
mod replay;
mod sampler;
mod size;
mod table;

use std::sync::Arc;

use component::{Signal, TracesConsumer};

pub use config::{Config, Strategy};
pub use policy::{ErrorMode, PolicyConfig, PolicyKind};
use policy::{Policies, Questions};
use processor::TailSampling;
pub use replay::{Replay, Summary};

use crate::config::{Problems, Section};
use crate::factory::{Context, Factory, Part, ProcessorPlan, StartError};

/// Makes `tail_sampling` processors.
pub const FACTORY: Factory<dyn ProcessorPlan> =
    Factory { kind: "tail_sampling", alias: None, stability: "traces: beta", parse };

/// A checked configuration with its policies compiled.
#[derive(Debug)]
pub struct Plan {
    config: Arc<Config>,
    policies: Arc<Policies>,
    questions: Arc<Questions>,
}

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ProcessorPlan>> {
    Some(Box::new(Plan::parse(section, problems)?))
}

impl Plan {
    /// Reads and compiles a section; every mistake goes to `problems`.
    pub fn parse(section: &Section, problems: &mut Problems) -> Option<Self> {
        let config = Config::parse(section, problems)?.for_shard();
        let (policies, questions) = Policies::compile(&config.policies, problems)?;
        Some(Self { config: Arc::new(config), policies: Arc::new(policies), questions: Arc::new(questions) })
    }
}

impl ProcessorPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces]
    }

    fn make_traces(&self, context: &Context, next: TracesConsumer) -> Result<Part<TracesConsumer>, StartError> {
        let processor = Arc::new(TailSampling::new(self, context, next));
        Ok(Part { input: processor.clone(), lifecycle: Some(processor) })
    }
}
