//! Runs a configuration on a virtual clock, without tasks: for `ottlcol simulate` and for tests.

use std::sync::Arc;
use std::time::Duration;

use component::ManualClock;
use pdata::Traces;

use super::Plan;
use super::counts::Early;
use super::decide::Step;
use super::id_hash::IdHash;
use super::mark::{Late, Marking};
use super::output::Relief;
use super::part::TracePart;
use super::processor::{COMPRESS_STEP, Rules};
use super::sampler::{Sampler, Share, Taken};
use crate::config::Problems;
use crate::factory::StartError;

/// When the virtual clock starts, in seconds since the Unix epoch.
pub(crate) const START_SECONDS: u64 = 1_700_000_000;

/// A processor that is told when a second has passed.
pub struct Replay {
    shards: Vec<Sampler>,
    rules: Rules,
    clock: Arc<ManualClock>,
    seconds_left: u32,
    policies: Vec<String>,
    totals: Summary,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Traces that arrived.
    pub traces: u64,
    /// Traces kept, not kept, and dropped by a drop policy.
    pub sampled: u64,
    /// See `sampled`.
    pub not_sampled: u64,
    /// See `sampled`.
    pub dropped: u64,
    /// Traces larger than `maximum_trace_size_bytes`.
    pub too_large: u64,
    /// Traces decided early because a limit was reached.
    pub decided_early: u64,
    /// Policies that failed on a trace.
    pub policy_errors: u64,
    /// Answers of policies.
    pub votes: u64,
    /// Policies in the order in which they are asked, with the traces that each is responsible for keeping.
    pub kept_by: Vec<(String, u64)>,
    /// The spans of these traces when they were decided, in the same order.
    pub kept_spans_by: Vec<u64>,
    /// Most memory that waiting traces took, in bytes.
    pub peak_buffer_bytes: u64,
    /// Where several instances agree: what that took.
    pub exchange: Option<super::peers::Cost>,
}

impl Summary {
    /// Adds another instance's; the peaks as if they came together.
    pub(super) fn add(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.traces, other.traces),
            (&mut self.sampled, other.sampled),
            (&mut self.not_sampled, other.not_sampled),
            (&mut self.dropped, other.dropped),
            (&mut self.too_large, other.too_large),
            (&mut self.decided_early, other.decided_early),
            (&mut self.policy_errors, other.policy_errors),
            (&mut self.votes, other.votes),
            (&mut self.peak_buffer_bytes, other.peak_buffer_bytes),
        ] {
            *own += other;
        }
        for ((_, own), (_, other)) in self.kept_by.iter_mut().zip(&other.kept_by) {
            *own += other;
        }
        for (own, other) in self.kept_spans_by.iter_mut().zip(&other.kept_spans_by) {
            *own += other;
        }
    }
}

impl Plan {
    /// A replay of this configuration.
    ///
    /// # Errors
    /// If machine code for its conditions cannot be generated.
    pub fn replay(&self, engine: ottl::Engine) -> Result<Replay, StartError> {
        let clock = Arc::new(ManualClock::new(START_SECONDS * 1_000_000_000));
        let (policies, questions) = self.compiled(engine, clock.clone())?;
        let hash = IdHash::fixed();
        let shard = |_| Sampler::new(self.config.clone(), policies.clone(), questions.clone(), hash);
        Ok(Replay {
            shards: (0..self.config.num_shards).map(shard).collect(),
            rules: Rules { config: self.config.clone(), policies: policies.clone(), questions },
            clock,
            seconds_left: 0,
            policies: policies.list().iter().map(|policy| policy.name.clone()).collect(),
            totals: Summary::default(),
        })
    }
}

impl Replay {
    /// A batch arrives now; what goes on at once comes back.
    pub fn take(&mut self, batch: &Traces) -> Vec<Traces> {
        let asked = self.rules.questions.ask(batch);
        let (mut out, mut late) = (Vec::new(), Late::new());
        let of = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        for number in 0..self.shards.len() {
            let share = Share { shard: u32::try_from(number).unwrap_or(u32::MAX), of };
            let mut from = 0;
            self.shards[number].begin_batch(batch.resource_count());
            loop {
                let shard = &mut self.shards[number];
                let taken = shard.ingest(batch, &asked, share, from, &*self.clock, &mut late);
                while let Some(traces) = shard.flush() {
                    out.push(traces);
                }
                loop {
                    match shard.relieve(&*self.clock) {
                        Relief::Output(traces) => out.push(traces),
                        Relief::More => {}
                        Relief::Done => break,
                    }
                }
                self.seconds_left = self.seconds_left.max(shard.seconds_left());
                match taken {
                    // Nothing replaces the policies in between.
                    Taken::All | Taken::Outdated => break,
                    // A sender that has to wait for room waits until time has made some.
                    Taken::UpTo(row) => {
                        from = row;
                        out.extend(self.second());
                    }
                }
            }
        }
        let bytes = self.shards.iter().map(Sampler::buffer_bytes).sum();
        self.totals.peak_buffer_bytes = self.totals.peak_buffer_bytes.max(bytes);
        if !late.is_empty() {
            late.sort_unstable_by_key(|(row, _)| *row);
            let Rules { config, policies, .. } = &self.rules;
            out.push(Marking::of(config).forward(batch.clone(), &late, policies.labels()).0);
        }
        out
    }

    /// A second passes; what is kept comes back.
    pub fn second(&mut self) -> Vec<Traces> {
        self.second_in_steps(&mut || {})
    }

    /// The same, and calls `step` whenever arriving spans would have their turn.
    pub fn second_in_steps(&mut self, step: &mut dyn FnMut()) -> Vec<Traces> {
        self.clock.advance(Duration::from_secs(1));
        self.seconds_left = self.seconds_left.saturating_sub(1);
        let mut out = Vec::new();
        for shard in &mut self.shards {
            shard.begin_tick();
            loop {
                step();
                match shard.step(&*self.clock) {
                    Step::Output(traces) => out.push(traces),
                    Step::More => {}
                    Step::Done => break,
                }
            }
            step();
            while shard.compress(COMPRESS_STEP) > 0 {
                step();
            }
            shard.end_tick();
            step();
        }
        out
    }

    pub(super) fn shards_mut(&mut self) -> &mut [Sampler] {
        &mut self.shards
    }

    pub(super) fn clock(&self) -> Arc<ManualClock> {
        self.clock.clone()
    }

    /// True while a trace waits, or its spans wait to be sent.
    pub(super) fn holds_anything(&self) -> bool {
        self.shards.iter().any(|shard| shard.table.len() > 0 || shard.has_output())
    }

    /// Bytes of waiting spans and of what is known about their traces.
    pub(super) fn buffer_bytes(&self) -> u64 {
        self.shards.iter().map(Sampler::buffer_bytes).sum()
    }

    /// What is known of a waiting trace.
    #[must_use]
    pub fn part(&self, id: &pdata::TraceId) -> Option<TracePart> {
        self.shards.iter().find_map(|shard| shard.part(id))
    }

    /// What `max_buffer_bytes` limits.
    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> u64 {
        self.shards.iter().map(Sampler::memory_bytes).sum()
    }

    /// Records in the logs, of waiting traces and of others.
    #[cfg(test)]
    pub(super) fn records(&self) -> u64 {
        self.shards.iter().map(|shard| shard.log.records()).sum()
    }

    /// Other policies take over, as after a reload.
    ///
    /// # Errors
    /// If they cannot run, or something else has changed that cannot change while running.
    pub fn replace(&mut self, plan: &Plan, engine: ottl::Engine) -> Result<(), StartError> {
        if !self.rules.config.allows(&plan.config) {
            return Err(StartError("more than the policies has changed".to_owned()));
        }
        let mut problems = Problems::default();
        let before = Some(&*self.rules.policies);
        let Some((policies, questions)) = plan.compile_after(engine, self.clock.clone(), before, &mut problems) else {
            return Err(StartError::from_problems(&problems));
        };
        self.summary();
        self.policies = policies.list().iter().map(|policy| policy.name.clone()).collect();
        (self.totals.kept_by, self.totals.kept_spans_by) = (Vec::new(), Vec::new());
        self.rules = Rules { config: plan.config.clone(), policies, questions };
        for shard in &mut self.shards {
            let Rules { config, policies, questions } = self.rules.clone();
            shard.replace(config, policies, questions);
        }
        Ok(())
    }

    /// Time passes in which nothing waits.
    pub fn idle(&mut self, time: Duration) {
        self.clock.advance(time);
    }

    /// True while traces wait that time has to decide.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.seconds_left > 0
    }

    /// What has happened so far.
    pub fn summary(&mut self) -> Summary {
        let totals = &mut self.totals;
        totals.kept_spans_by.resize(self.policies.len(), 0);
        totals.kept_by.resize(self.policies.len(), (String::new(), 0));
        for shard in &mut self.shards {
            let counts = shard.counts.take();
            let [sampled, not_sampled, dropped] = counts.traces;
            totals.traces += counts.new_traces;
            totals.sampled += sampled;
            totals.not_sampled += not_sampled;
            totals.dropped += dropped;
            totals.too_large += counts.too_large;
            totals.decided_early += counts.early[..=Early::MaxBufferBytes as usize].iter().sum::<u64>();
            totals.policy_errors += counts.evaluation_errors;
            for (total, policy) in totals.kept_spans_by.iter_mut().zip(&counts.policies) {
                *total += policy.kept_spans;
            }
            for ((total, name), policy) in totals.kept_by.iter_mut().zip(&self.policies).zip(&counts.policies) {
                total.0.clone_from(name);
                total.1 += policy.kept;
                totals.votes += policy.votes.iter().sum::<u64>();
            }
        }
        totals.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::io::{BufRead, BufReader};
    use std::path::Path;

    use super::*;
    use crate::config::Section;

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        config: String,
        input: String,
        kept: Vec<String>,
    }

    fn cases() -> impl Iterator<Item = Case> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tail_sampling/cases.jsonl.zst");
        let file = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
        BufReader::new(file).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    fn plan(config: &str) -> Plan {
        let config: serde_yaml::Value = serde_yaml::from_str(config).unwrap();
        let yaml = serde_yaml::to_string(&config["processors"]["tail_sampling"]).unwrap();
        let section = Section::parse("tail_sampling", "processors", &yaml).unwrap();
        let mut problems = Problems::default();
        Plan::parse(&section, &mut problems).unwrap_or_else(|| panic!("{:?}", problems.list()))
    }

    fn count(batches: &[Traces], into: &mut BTreeMap<String, usize>) {
        for span in batches.iter().flat_map(Traces::spans) {
            *into.entry(span.trace_id().iter().map(|byte| format!("{byte:02x}")).collect()).or_default() += 1;
        }
    }

    /// Three instances, each with a part of every trace, keep what one does. Limits are divided, so that cases with
    /// stateful policies differ by what traces come to which owner; those are compared where they keep or drop all.
    #[test]
    fn three_instances_keep_what_one_does() {
        let mut compared = 0;
        for case in cases() {
            let plan = plan(&case.config);
            let depends_on_how_spans_arrive = plan.config.strategy == super::super::Strategy::SpanIngest
                || plan.config.decision_wait_after_root_seconds.is_some()
                || plan.config.policies.iter().any(super::super::PolicyConfig::is_stateful);
            if depends_on_how_spans_arrive {
                continue;
            }
            compared += 1;
            let mut fleet = plan.fleet(ottl::Engine::Interpreter, 3).unwrap();
            let (mut sent, mut got) = (BTreeMap::new(), BTreeMap::new());
            for line in case.input.lines() {
                let bytes = pdata::json::traces_from_json(line.as_bytes()).unwrap();
                let batch = Traces::index(bytes.into()).unwrap();
                count(std::slice::from_ref(&batch), &mut sent);
                count(&fleet.take(&batch), &mut got);
            }
            let mut seconds = 0;
            while fleet.is_waiting() {
                count(&fleet.second(), &mut got);
                seconds += 1;
                assert!(seconds < 10_000, "{} never ends", case.name);
            }
            let kept: BTreeSet<String> = case.kept.into_iter().collect();
            let expected: BTreeMap<String, usize> = sent.into_iter().filter(|(id, _)| kept.contains(id)).collect();
            assert_eq!(got, expected, "{}: {:?}", case.name, fleet.cost());
        }
        assert!(compared > 100, "{compared}");
    }

    /// Kept traces come out with all their spans, each once, and of other traces nothing does.
    #[test]
    fn keeps_what_the_go_collector_kept() {
        compare(ottl::Engine::Interpreter);
        compare(ottl::Engine::Jit);
    }

    fn compare(engine: ottl::Engine) {
        let mut wrong = Vec::new();
        let mut n_cases = 0;
        for case in cases() {
            n_cases += 1;
            let (mut sent, mut got) = (BTreeMap::new(), BTreeMap::new());
            let mut replay = plan(&case.config).replay(engine).unwrap();
            for line in case.input.lines() {
                let bytes = pdata::json::traces_from_json(line.as_bytes()).unwrap();
                let batch = Traces::index(bytes.into()).unwrap();
                count(std::slice::from_ref(&batch), &mut sent);
                count(&replay.take(&batch), &mut got);
            }
            while replay.is_waiting() {
                count(&replay.second(), &mut got);
            }
            let kept: BTreeSet<String> = case.kept.into_iter().collect();
            let expected: BTreeMap<String, usize> = sent.into_iter().filter(|(id, _)| kept.contains(id)).collect();
            if expected != got {
                let missing: Vec<_> = expected.keys().filter(|id| !got.contains_key(*id)).take(3).collect();
                let extra: Vec<_> = got.keys().filter(|id| !expected.contains_key(*id)).take(3).collect();
                wrong.push(format!("{}: missing {missing:?}, not expected {extra:?}", case.name));
            }
        }
        assert_eq!(n_cases, 225);
        assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
    }
}
