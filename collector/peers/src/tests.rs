use std::sync::Arc;

use crate::simulator::{self, Outcome, Profile};
use crate::{Entry, Host, Node, Output, Ring, Settings, TraceId};

/// Enough for each profile to have met most coincidences; millions are run by `examples/simulate.rs`.
const SCHEDULES: u64 = 2_400;

#[test]
fn invariants_hold_under_thousands_of_schedules() {
    for seed in 0..SCHEDULES {
        if let Err(violation) = simulator::run(seed) {
            panic!("{violation}");
        }
    }
}

/// Members that come and go in order cost next to no agreement: what is left is members that may not wait, and those
/// that a newcomer hears of when they have just gone.
#[test]
fn scaling_alone_leaves_few_decisions_incomplete() {
    let mut total = Outcome::default();
    for seed in 0..400 {
        total.add(&simulator::run_as(Profile::Scaling, seed).unwrap_or_else(|violation| panic!("{violation}")));
    }
    assert!((total.incomplete + total.alone) * 100 < total.agreed, "{total:?}");
}

/// The list changes three times within the grace and members see each change at moments of their own. A member that was the
/// owner in the meantime decided when the grace was over, though all had come to see the same owner just before.
#[test]
fn issue_7_rolling_seed_709_owners_that_change_twice_within_the_grace() {
    assert_eq!(simulator::broken_as(Profile::Rolling, 709).unwrap(), Vec::<String>::new());
}

/// An owner that restarted and was listed by nobody else had decided on what it knew. While it counted as dead for the next
/// owner, a third member learned its decision, after the last report that the next owner heard.
#[test]
fn issue_7_storm_seed_1018071_a_decision_of_one_that_counts_as_dead_arrives_late() {
    simulator::run_as(Profile::Storm, 1_018_071).unwrap();
}

/// Stopping one after the other, in order, breaks nothing.
#[test]
fn rolling_restarts_break_nothing() {
    for seed in 0..400 {
        assert_eq!(simulator::broken_as(Profile::Rolling, seed).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_seed_is_one_run() {
    for profile in Profile::ALL {
        assert_eq!(simulator::run_as(profile, 7).ok(), simulator::run_as(profile, 7).ok());
    }
}

/// A ring whose members own as much each.
struct Even(usize);

impl Ring for Even {
    fn owner(&self, id: &TraceId) -> usize {
        usize::from(id[0]) % self.0.max(1)
    }

    fn shares(&self) -> Vec<f64> {
        vec![1.0 / self.0.max(1) as f64; self.0]
    }
}

#[derive(Clone)]
struct Nothing;

impl Entry for Nothing {
    fn merge(&mut self, _: &Self) {}
}

struct Empty;

impl Host<Nothing> for Empty {
    fn entry(&mut self, _: &TraceId, _: u32) -> Option<Nothing> {
        None
    }
}

const SETTINGS: Settings = Settings {
    wait: 5_000,
    grace: 4_000,
    unsettled_for: 30_000,
    max_traces: 10,
    remember: 10,
    max_owed: 10,
    max_batch: 10,
    admit_strangers: true,
    seed: 1,
};

/// A farewell that is in a request has not arrived before the answer to it has: a host that goes earlier may take it along, and
/// the others wait for the grace.
#[test]
fn issue_7_a_farewell_in_a_request_counts_once_it_is_answered() {
    const ALL: [&str; 2] = ["a", "b"];
    let even = |names: &[Arc<str>]| Box::new(Even(names.len())) as Box<dyn Ring + Send>;
    for (leaver, is_refused) in [(0, false), (1, false), (0, true), (1, true)] {
        let mut nodes = ALL.map(|name| Node::<Nothing, u64>::new(name, 1, 7, SETTINGS, 0, even));
        nodes.iter_mut().for_each(|node| node.set_members(0, &ALL));
        let (mut out, mut refused) = (Output::default(), false);
        for tick in 1..40_u64 {
            let now = tick * 1_000;
            if tick == 20 {
                nodes[leaver].depart(now);
            }
            for node in &mut nodes {
                node.tick(now, &mut Empty, &mut out);
            }
            while let Some((to, request)) = out.requests.pop() {
                let from = usize::from(&*to == ALL[0]);
                let says_gone = request.report.as_ref().is_some_and(|report| report.gone);
                assert!(!says_gone || from == leaver && nodes[from].has_unaware_company(now), "tick {tick}");
                if says_gone && is_refused && !refused {
                    refused = true;
                    nodes[from].refused(now, &to, request.collect.sequence, None);
                    assert!(nodes[from].has_unaware_company(now), "tick {tick}");
                    continue;
                }
                let answer = nodes[1 - from].answer(now, ALL[from], request, &mut Empty, &mut out).unwrap();
                nodes[from].answered(now, &to, answer, &mut Empty, &mut out);
            }
        }
        let state = nodes[1 - leaver].states(40_000);
        assert_eq!((nodes[leaver].has_unaware_company(40_000), state[0].condition), (false, "gone"));
    }
}

/// What owners may spend of a limit that holds for all of them is the whole limit wherever they see the same members. While
/// only some have seen that 3 became 5 it is more by what the new ones spend already, and while 5 become 2 it is less.
#[test]
fn a_limit_is_divided_over_the_owners_while_members_come_and_go() {
    const ALL: [&str; 5] = ["a", "b", "c", "d", "e"];
    let even = |names: &[Arc<str>]| Box::new(Even(names.len())) as Box<dyn Ring + Send>;
    let mut nodes: Vec<Node<Nothing, u64>> = ALL.iter().map(|name| Node::new(name, 1, 7, SETTINGS, 0, even)).collect();
    let spent = |nodes: &[Node<Nothing, u64>], live: usize| nodes[..live].iter().map(Node::share).sum::<f64>();
    nodes.iter_mut().for_each(|node| node.set_members(0, &ALL[..3]));
    assert!((spent(&nodes, 3) - 1.0).abs() < 1e-9);
    assert!(nodes[3..].iter().all(|node| node.share() == 0.0), "who is not listed owns nothing");
    for seen_by in 1..=5 {
        // New ones see the list that they are in first.
        nodes[5 - seen_by].set_members(0, &ALL);
        let expected =
            if seen_by <= 2 { 1.0 + seen_by as f64 * 0.2 } else { (5 - seen_by) as f64 / 3.0 + seen_by as f64 / 5.0 };
        assert!((spent(&nodes, 5) - expected).abs() < 1e-9, "{seen_by}: {}", spent(&nodes, 5));
    }
    assert!((spent(&nodes, 5) - 1.0).abs() < 1e-9);
    for seen_by in 1..=5 {
        // Those that go see it first, and stop; the two that stay spend more once they see it.
        nodes[5 - seen_by].set_members(0, &ALL[..2]);
        let expected = if seen_by <= 3 { (5 - seen_by) as f64 / 5.0 } else { 0.4 + (seen_by - 3) as f64 * 0.3 };
        assert!((spent(&nodes, 5) - expected).abs() < 1e-9, "{seen_by}: {}", spent(&nodes, 5));
    }
    nodes[1].leave(0);
    assert!(nodes[1].share() == 0.0, "who leaves spends nothing");
}
