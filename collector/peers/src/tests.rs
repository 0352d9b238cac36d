use crate::simulator::{self, Outcome, Profile};

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
