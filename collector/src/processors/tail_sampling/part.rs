//! What the holder of some spans of a trace knows of it, apart from where the spans are.
//!
//! Parts are a commutative monoid: [`TracePart::empty`] is the unit, and merging the parts of any split of a trace into
//! received ResourceSpans, in any order, gives the part of the whole trace, on which every policy votes alike. So
//! instances that hold different spans of a trace can agree on a decision without moving spans. Nothing here sends.

use smallvec::SmallVec;

use super::entry::{Facts, Shape};

/// Words of answers; most configurations need one or two.
pub type Answers = SmallVec<[u64; 2]>;

/// Facts and answers about some spans of one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracePart {
    /// Times, sizes and counts.
    pub facts: Facts,
    /// Answers of the per-span questions, laid out by the configuration's [`Shape`].
    pub answers: Answers,
}

impl TracePart {
    /// What is known of no spans.
    #[must_use]
    pub fn empty(shape: Shape) -> Self {
        Self { facts: Facts::default(), answers: shape.empty().collect() }
    }

    /// The part of the spans of both. The parts must be of one trace and of one configuration.
    #[must_use]
    pub fn merge(mut self, other: &Self, shape: Shape) -> Self {
        self.facts.merge(&other.facts);
        shape.merge(&mut self.answers, &other.answers);
        self
    }

    /// Appends the part as little-endian words: five of facts, then the answers.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Facts { first_arrival, earliest_start, latest_end, bytes, spans } = self.facts;
        for word in [first_arrival, earliest_start, latest_end, bytes, spans].iter().chain(&self.answers) {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Reads what [`TracePart::encode`] wrote; none if the length is not that of the shape.
    #[must_use]
    pub fn decode(bytes: &[u8], shape: Shape) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let facts = Facts {
            first_arrival: words.next()?,
            earliest_start: words.next()?,
            latest_end: words.next()?,
            bytes: words.next()?,
            spans: words.next()?,
        };
        let answers: Answers = words.collect();
        (rest.is_empty() && answers.len() == shape.words()).then_some(Self { facts, answers })
    }
}

#[cfg(test)]
mod tests {
    use component::ManualClock;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use pdata::{Traces, TracesBuilder};
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::config::{Problems, Section};
    use crate::processors::tail_sampling::Plan;
    use crate::processors::tail_sampling::id_hash::IdHash;
    use crate::processors::tail_sampling::policy::tests::EVERY_POLICY;
    use crate::processors::tail_sampling::policy::{Now, Policies, Trace, Vote};
    use crate::processors::tail_sampling::sampler::{Sampler, Share};

    const ID: [u8; 16] = [7; 16];
    const SECOND: u64 = 1_000_000_000;

    /// A received ResourceSpans: its resource's length, spans of start, length, status and number, and where it goes.
    type Received = (u8, Vec<(u64, u64, i32, i64)>, usize);

    fn received() -> impl Strategy<Value = Vec<Received>> {
        let span = (0_u64..500, 0_u64..300, 0_i32..3, -6_i64..6);
        prop::collection::vec((0_u8..40, prop::collection::vec(span, 1..4), 0_usize..3), 1..8)
    }

    fn request((resource, spans, _): &Received) -> Traces {
        let mut builder = TracesBuilder::new();
        builder.resource(&[&[0x10, 0][..], &[0x10, 0].repeat(usize::from(*resource))].concat(), b"");
        for (start, length, status, number) in spans {
            let (start, length) = (SECOND + start * 1_000_000, length * 1_000_000);
            let value = Some(AnyValue { value: Some(any_value::Value::IntValue(*number)) });
            let span = Span {
                start_time_unix_nano: start,
                end_time_unix_nano: start + length,
                status: Some(Status { code: *status, ..Status::default() }),
                attributes: vec![KeyValue { key: "n".to_owned(), value, ..KeyValue::default() }],
                ..Span::default()
            };
            builder.span(ID, &span.encode_to_vec());
        }
        builder.build()
    }

    /// The part that a shard holds after these, each received in a second of its own.
    fn part_of<'a>(
        plan: &Plan,
        requests: impl Iterator<Item = (usize, &'a Received)>,
    ) -> (Option<TracePart>, Policies) {
        let mut problems = Problems::default();
        let options = ottl::Options {
            engine: ottl::Engine::Interpreter,
            host: crate::ottl_host::host(std::sync::Arc::new(ManualClock::default())),
            ..ottl::Options::default()
        };
        let (policies, questions) = Policies::compile(&plan.config, options, None, &mut problems).unwrap();
        let (again, same) =
            plan.compiled(ottl::Engine::Interpreter, std::sync::Arc::new(ManualClock::default())).unwrap();
        let mut sampler = Sampler::new(plan.config.clone(), again, same, IdHash::random());
        for (second, received) in requests {
            let clock = ManualClock::new((1_700_000_000 + second as u64) * SECOND);
            let batch = request(received);
            let asked = questions.ask(&batch);
            sampler.begin_batch(batch.resource_count());
            sampler.ingest(&batch, &asked, Share { shard: 0, of: 1 }, 0, &clock, &mut Vec::new());
        }
        (sampler.part(&ID), policies)
    }

    fn votes(policies: &Policies, part: &TracePart) -> Vec<Vote> {
        let mut state = policies.fresh_state();
        let trace = Trace { id: &ID, facts: &part.facts, answers: &part.answers };
        policies.list().iter().map(|policy| policy.vote(policies.shape(), trace, &mut state, Now::default())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// For every policy: shards that hold parts of a trace hold, merged, what one that holds all of it does.
        #[test]
        fn parts_of_any_split_merge_to_the_whole(all in received()) {
            let yaml = format!("policies: {EVERY_POLICY}");
            let section = Section::parse("tail_sampling", "processors", &yaml).unwrap();
            let plan = Plan::parse(&section, &mut Problems::default()).unwrap();
            let numbered = || all.iter().enumerate();
            let (whole, policies) = part_of(&plan, numbered());
            let whole = whole.unwrap();
            let shape = policies.shape();
            let holders: Vec<TracePart> =
                (0..3).filter_map(|to| part_of(&plan, numbered().filter(|(_, (.., at))| *at == to)).0).collect();
            let merged = holders.iter().rev().fold(TracePart::empty(shape), |all, part| all.merge(part, shape));
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(votes(&policies, &merged), votes(&policies, &whole));
            let mut bytes = Vec::new();
            merged.encode(&mut bytes);
            prop_assert_eq!(TracePart::decode(&bytes, shape), Some(whole));
            prop_assert_eq!(TracePart::decode(&bytes[1..], shape), None);
        }
    }
}
