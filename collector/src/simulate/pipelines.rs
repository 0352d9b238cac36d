//! The traces pipelines of a configuration as far as they decide what is kept: filters and samplers, and the connectors
//! that hand traces on from one pipeline to the next.
//!
//! What leaves through an exporter and has met a sampler on its way is kept. Pipelines that no sampler stands before, in or
//! behind are left alone: whoever sends everything to an archive as well does not want to read that everything is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use component::{Id, ManualClock};
use ottl::Engine;
use pdata::Traces;

use super::Error;
use super::report::{Filtered, Report};
use crate::config::{Node, Problems, Section};
use crate::connectors::forward;
use crate::processors::filter::{self, Walks};
use crate::processors::tail_sampling::{self, Fleet, START_SECONDS};

/// A processor that acts.
enum Stage {
    Filter(Walks, Filtered),
    Sampler(Box<Fleet>),
}

struct Pipeline {
    name: String,
    stages: Vec<(String, Stage)>,
    /// A receiver feeds it, and not only connectors.
    is_received: bool,
    /// It has an exporter that is no connector.
    is_exported: bool,
    /// A sampler stands in it or before it.
    is_sampled: bool,
    /// Pipelines that connectors hand its traces to.
    behind: Vec<usize>,
}

/// Pipelines with a common clock, each before those that it hands traces to.
pub(super) struct Pipelines {
    list: Vec<Pipeline>,
    /// Of the conditions of filters; samplers have their own, at the same time.
    clock: Arc<ManualClock>,
}

impl Pipelines {
    /// The pipelines of a configuration in which something samples; in `left_out` what of them does not act here.
    ///
    /// # Errors
    /// If the configuration is wrong as far as it is read, or has no such pipeline.
    pub(super) fn new(
        root: &Node,
        (engine, instances): (Engine, usize),
        left_out: &mut BTreeSet<String>,
    ) -> Result<Self, Error> {
        let mut problems = Problems::default();
        let clock = Arc::new(ManualClock::new(START_SECONDS * 1_000_000_000));
        let drafts = drafts(root, &mut problems);
        let mut processors = Processors { root, instances, plans: BTreeMap::new() };
        let mut list = Vec::new();
        for draft in drafts.into_iter().filter(|draft| draft.is_sampled || draft.samples_behind) {
            let mut stages = Vec::new();
            for name in draft.processors {
                match processors.plan(&draft.name, &name, &mut problems) {
                    Some(Plan::Filter(plan)) => {
                        let walks = plan.compile(engine, clock.clone())?;
                        stages.push((name, Stage::Filter(walks, Filtered::default())));
                    }
                    Some(Plan::Sampler(plan)) => {
                        stages.push((name, Stage::Sampler(Box::new(plan.fleet(engine, instances)?))));
                    }
                    Some(Plan::Other) => {
                        left_out.insert(name);
                    }
                    // A problem.
                    None => {}
                }
            }
            let Draft { name, is_received, is_exported, is_sampled, behind, .. } = draft;
            list.push((Pipeline { name, stages, is_received, is_exported, is_sampled, behind: Vec::new() }, behind));
        }
        if !problems.is_empty() {
            let lines: Vec<String> =
                problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
            return Err(Error::Problems(lines.join("\n")));
        }
        let at: BTreeMap<String, usize> =
            list.iter().enumerate().map(|(at, (pipeline, _))| (pipeline.name.clone(), at)).collect();
        let list: Vec<Pipeline> = list
            .into_iter()
            .map(|(pipeline, behind)| Pipeline {
                behind: behind.iter().filter_map(|name| at.get(name).copied()).collect(),
                ..pipeline
            })
            .collect();
        if list.is_empty() { Err(Error::NothingToDo) } else { Ok(Self { list, clock }) }
    }

    /// A request arrives at all receivers.
    pub(super) fn take(&mut self, traces: &Traces, report: &mut Report) {
        for at in 0..self.list.len() {
            if self.list[at].is_received {
                self.feed((at, 0), vec![traces.clone()], report);
            }
        }
    }

    /// Hands batches to a stage of a pipeline, and what leaves its last one to what is behind it.
    fn feed(&mut self, (at, stage): (usize, usize), batches: Vec<Traces>, report: &mut Report) {
        for mut batch in batches {
            let pipeline = &mut self.list[at];
            match pipeline.stages.get_mut(stage) {
                Some((_, Stage::Sampler(fleet))) => {
                    let out = fleet.take(&batch);
                    self.feed((at, stage + 1), out, report);
                }
                Some((_, Stage::Filter(walks, filtered))) => {
                    let before = batch.span_count();
                    match walks.run(&mut batch) {
                        Ok(goes_on) => {
                            filtered.spans += before - batch.span_count();
                            if goes_on {
                                self.feed((at, stage + 1), vec![batch], report);
                            }
                        }
                        Err(error) => {
                            filtered.refused += 1;
                            filtered.first_error.get_or_insert_with(|| error.to_string());
                        }
                    }
                }
                None => {
                    if pipeline.is_exported && pipeline.is_sampled {
                        report.add_kept(&batch);
                    }
                    for behind in pipeline.behind.clone() {
                        self.feed((behind, 0), vec![batch.clone()], report);
                    }
                }
            }
        }
    }

    fn samplers(&mut self) -> impl Iterator<Item = &mut Fleet> {
        let stages = self.list.iter_mut().flat_map(|pipeline| &mut pipeline.stages);
        stages.filter_map(|(_, stage)| match stage {
            Stage::Sampler(fleet) => Some(&mut **fleet),
            Stage::Filter(..) => None,
        })
    }

    /// True while traces wait that time has to decide.
    pub(super) fn is_waiting(&mut self) -> bool {
        self.samplers().any(|fleet| fleet.is_waiting())
    }

    /// A second passes.
    pub(super) fn second(&mut self, report: &mut Report) {
        self.clock.advance(Duration::from_secs(1));
        for at in 0..self.list.len() {
            for stage in 0..self.list[at].stages.len() {
                if let (_, Stage::Sampler(fleet)) = &mut self.list[at].stages[stage] {
                    let kept = fleet.second();
                    self.feed((at, stage + 1), kept, report);
                }
            }
        }
    }

    /// Time passes. What comes after the last decision is passed over at once, however long it is.
    pub(super) fn pass(&mut self, seconds: u64, report: &mut Report) {
        for passed in 0..seconds {
            if !self.is_waiting() {
                let left = Duration::from_secs(seconds - passed);
                self.clock.advance(left);
                self.samplers().for_each(|fleet| fleet.idle(left));
                return;
            }
            self.second(report);
        }
    }

    /// Says what each processor has done.
    pub(super) fn finish(self, report: &mut Report) {
        for Pipeline { name: pipeline, stages, .. } in self.list {
            for (id, stage) in stages {
                match stage {
                    Stage::Filter(_, filtered) => report.filters.push((pipeline.clone(), id, filtered)),
                    Stage::Sampler(mut fleet) => report.samplers.push((pipeline.clone(), id, fleet.summary())),
                }
            }
        }
    }
}

/// A traces pipeline as it is written, and where it stands among the others.
struct Draft {
    name: String,
    processors: Vec<String>,
    is_received: bool,
    is_exported: bool,
    is_sampled: bool,
    samples_behind: bool,
    behind: Vec<String>,
}

/// All traces pipelines, each before those that it hands traces to.
fn drafts(root: &Node, problems: &mut Problems) -> Vec<Draft> {
    let connectors: BTreeSet<&str> =
        root.at("connectors").map(Node::entries).unwrap_or_default().iter().map(|(name, _)| name.as_str()).collect();
    let hands_on =
        |name: &str| connectors.contains(name) && Id::parse(name).is_ok_and(|id| id.kind() == forward::FACTORY.kind);
    let is_component = |name: &String| !connectors.contains(name.as_str());
    let is_traces = |name: &str| Id::parse(name).is_ok_and(|id| id.kind() == "traces");
    let pipelines = root.at("service::pipelines").map(Node::entries).unwrap_or_default();
    let traces = || pipelines.iter().filter(|(name, _)| is_traces(name));
    let mut drafts: Vec<Draft> = traces()
        .map(|(name, parts)| {
            let [receivers, processors, exporters] =
                ["receivers", "processors", "exporters"].map(|key| names(parts.get(key)));
            let is_behind = |other: &Node| {
                names(other.get("receivers")).iter().any(|name| hands_on(name) && exporters.contains(name))
            };
            Draft {
                name: name.clone(),
                is_received: receivers.is_empty() || receivers.iter().any(is_component),
                is_exported: exporters.is_empty() || exporters.iter().any(is_component),
                is_sampled: processors
                    .iter()
                    .any(|name| Id::parse(name).is_ok_and(|id| id.kind() == tail_sampling::FACTORY.kind)),
                samples_behind: false,
                processors,
                behind: traces().filter(|(_, other)| is_behind(other)).map(|(name, _)| name.clone()).collect(),
            }
        })
        .collect();
    let Some(order) = in_order(&drafts) else {
        problems.add("service::pipelines", "connectors hand traces back to the pipelines that they come from");
        return Vec::new();
    };
    drafts.sort_by_key(|draft| order.iter().position(|name| *name == draft.name));
    for at in 0..drafts.len() {
        if drafts[at].is_sampled {
            let behind = drafts[at].behind.clone();
            drafts.iter_mut().filter(|draft| behind.contains(&draft.name)).for_each(|draft| draft.is_sampled = true);
        }
    }
    for at in (0..drafts.len()).rev() {
        let samples = |draft: &Draft| draft.is_sampled || draft.samples_behind;
        let behind = |name: &String| drafts.iter().any(|draft| draft.name == *name && samples(draft));
        drafts[at].samples_behind = drafts[at].behind.iter().any(behind);
    }
    drafts
}

/// Names of pipelines, each before those behind it; none if they go round in a circle.
fn in_order(drafts: &[Draft]) -> Option<Vec<String>> {
    let mut order: Vec<String> = Vec::new();
    while order.len() < drafts.len() {
        let is_placed = |name: &String| order.contains(name);
        let next = drafts.iter().find(|draft| {
            let mut before = drafts.iter().filter(|other| other.behind.contains(&draft.name));
            !is_placed(&draft.name) && before.all(|other| is_placed(&other.name))
        })?;
        order.push(next.name.clone());
    }
    Some(order)
}

/// What is known of a processor.
#[derive(Clone)]
enum Plan {
    Filter(Arc<filter::Plan>),
    Sampler(Arc<tail_sampling::Plan>),
    /// Does not act here.
    Other,
}

/// The processors of a configuration, each read once.
struct Processors<'r> {
    root: &'r Node,
    instances: usize,
    plans: BTreeMap<String, Option<Plan>>,
}

impl Processors<'_> {
    /// A pipeline's processor; `None` if it is a problem.
    fn plan(&mut self, pipeline: &str, name: &str, problems: &mut Problems) -> Option<Plan> {
        let id = match Id::parse(name) {
            Ok(id) => id,
            Err(error) => {
                problems.add(format!("service::pipelines::{pipeline}::processors"), error.to_string());
                return None;
            }
        };
        let (is_filter, is_sampler) = (id.kind() == filter::FACTORY.kind, id.kind() == tail_sampling::FACTORY.kind);
        if !is_filter && !is_sampler {
            return Some(Plan::Other);
        }
        if let Some(known) = self.plans.get(name) {
            return known.clone();
        }
        let path = format!("processors::{name}");
        let plan = match self.root.at(&path) {
            Some(value) => {
                let section = Section { id, path, value: value.clone() };
                if is_filter {
                    filter::Plan::parse(&section, problems).map(|plan| Plan::Filter(Arc::new(plan)))
                } else {
                    let plan = tail_sampling::Plan::parse(&section, problems);
                    if let Some(plan) = plan.as_ref().filter(|_| self.instances > 1) {
                        plan.check_shared(problems);
                    }
                    plan.map(|plan| Plan::Sampler(Arc::new(plan)))
                }
            }
            None => {
                let message = format!("references processor {name:?} which is not configured");
                problems.add(format!("service::pipelines::{pipeline}"), message);
                None
            }
        };
        self.plans.insert(name.to_owned(), plan.clone());
        plan
    }
}

/// A list of names, which may be written as one text with commas.
fn names(list: Option<&Node>) -> Vec<String> {
    match list.map(Node::to_yaml) {
        Some(serde_yaml::Value::Sequence(items)) => {
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        Some(serde_yaml::Value::String(text)) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}
