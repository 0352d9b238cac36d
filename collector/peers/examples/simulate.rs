//! Runs the simulator over many seeds: `cargo run --release -p peers --example simulate -- --seeds 0..1000000`.
//! With `--profile cut` (calm, lossy, scaling, cut, crash, hang, tight, disagree, clock, rolling, storm) all seeds run that one.
#![allow(clippy::print_stdout, reason = "its output is for a terminal")]

use std::process::ExitCode;

use peers::simulator::{self, Outcome, Profile};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let seeds = value("--seeds").map_or(Some((0, 100_000)), |text| {
        let (from, to) = text.split_once("..")?;
        Some((from.parse::<u64>().ok()?, to.parse::<u64>().ok()?))
    });
    let Some((from, to)) = seeds else {
        eprintln!("--seeds expects two numbers like 0..1000000");
        return ExitCode::from(2);
    };
    let profile = match value("--profile") {
        None => None,
        Some(name) => {
            let found = Profile::ALL.into_iter().find(|profile| format!("{profile:?}").eq_ignore_ascii_case(name));
            if found.is_none() {
                eprintln!("unknown profile {name:?}; there are {:?}", Profile::ALL);
                return ExitCode::from(2);
            }
            found
        }
    };
    let mut total = Outcome::default();
    for seed in from..to {
        match simulator::run_as(profile.unwrap_or_else(|| Profile::of(seed)), seed) {
            Ok(outcome) => total.add(&outcome),
            Err(violation) => {
                println!("{violation}");
                return ExitCode::FAILURE;
            }
        }
        if (seed + 1 - from).is_multiple_of(50_000) {
            eprintln!("{} of {} seeds", seed + 1 - from, to - from);
        }
    }
    println!("{} seeds: {total:?}", to.saturating_sub(from));
    ExitCode::SUCCESS
}
