use crate::simulator::{self, Profile};

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

#[test]
fn a_seed_is_one_run() {
    for profile in Profile::ALL {
        assert_eq!(simulator::run_as(profile, 7).ok(), simulator::run_as(profile, 7).ok());
    }
}
