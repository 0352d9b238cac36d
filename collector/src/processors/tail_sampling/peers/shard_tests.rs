use std::sync::Arc;

use component::ManualClock;

use super::*;
use crate::processors::tail_sampling::id_hash::IdHash;
use crate::processors::tail_sampling::table::NOWHERE;
use crate::processors::tail_sampling::tests::{ALWAYS, Kind, batch, plan};

/// Where a trace was said to be is a hint: numbers are used again, and messages come late.
#[test]
fn a_trace_is_found_wherever_it_was_said_to_be() {
    let plan = plan(ALWAYS);
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
    let compiled = || plan.compiled(ottl::Engine::Interpreter, clock.clone()).unwrap();
    let (_, questions) = compiled();
    let (policies, same) = compiled();
    let mut shard = Sampler::new(plan.config.clone(), policies, same, IdHash::random());
    shard.join_peers();
    let spans = batch(&[(1, Kind::Child), (2, Kind::Child), (2, Kind::Child), (3, Kind::Child)]);
    let share = Share { shard: 0, of: 1 };
    shard.begin_batch(spans.resource_count());
    shard.ingest(&spans, &questions.ask(&spans), share, 0, &*clock, &mut Vec::new());
    shard.look(true);
    let mut changed = Vec::new();
    assert!(!shard.take_changed(10, &mut changed));
    let [one, two, three] = &changed[..] else { panic!("three traces have changed: {}", changed.len()) };
    for (part, other) in [(one, two), (two, three), (three, one)] {
        let entry = shard.entry(&part.id, part.at).unwrap();
        assert_eq!(entry.part.facts.spans, 1 + u64::from(part.id == spans.trace_ids().nth(1).copied().unwrap()));
        for at in [other.at, NOWHERE, 1 << 20] {
            assert_eq!(shard.entry(&part.id, at), Some(entry.clone()));
        }
    }
    assert_eq!(shard.entry(&[9; 16], one.at), None, "a trace that does not wait");

    let told = |part: &Changed, at| Obey { id: part.id, at, decision: Decision::new(Final::NotSampled, u16::MAX) };
    let stranger = Obey { id: [9; 16], ..told(one, three.at) };
    shard.obey(&[told(one, two.at), stranger, told(two, NOWHERE), told(two, two.at)], share, &*clock);
    let waits = |part: &Changed| shard.entry(&part.id, part.at).is_some();
    assert_eq!((waits(one), waits(two), waits(three)), (false, false, true));
}
