//! Runs the simulator over many seeds: `cargo run --release -p peers --example simulate -- --seeds 0..1000000`.
#![allow(clippy::print_stdout, reason = "its output is for a terminal")]

use std::process::ExitCode;

use peers::simulator::{self, Outcome, Profile};

const USAGE: &str = "\
Runs a simulated fleet under faults, once a seed, and checks the protocol's invariants after each event.

  simulate [--seeds FROM..TO] [--profile NAME] [--show-broken]

  --seeds 0..100000   the runs; the same seed is the same run everywhere
  --profile NAME      the faults of all runs: calm, lossy, scaling, cut, crash, hang, tight, disagree, clock, rolling,
                      storm; without it the seed says which
  --show-broken       stops at the first seed with a trace that members obeyed differently, for whatever reason, and
                      prints all that happened to it

Ends with 1 and prints what happened when an invariant does not hold.";

struct Arguments {
    from: u64,
    to: u64,
    profile: Option<Profile>,
    shows_broken: bool,
}

/// None where help is asked for.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut parsed = Arguments { from: 0, to: 100_000, profile: None, shows_broken: false };
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--help" | "-h" => return Ok(None),
            "--show-broken" => parsed.shows_broken = true,
            "--seeds" => {
                let text = arguments.next().unwrap_or_default();
                let range = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
                (parsed.from, parsed.to) =
                    range.ok_or_else(|| format!("--seeds expects two numbers like 0..1000000, not {text:?}"))?;
            }
            "--profile" => {
                let name = arguments.next().unwrap_or_default();
                let is_it = |profile: &Profile| format!("{profile:?}").eq_ignore_ascii_case(&name);
                let found = Profile::ALL.into_iter().find(is_it);
                parsed.profile =
                    Some(found.ok_or_else(|| format!("unknown profile {name:?}; there are {:?}", Profile::ALL))?);
            }
            _ => return Err(format!("unknown argument {argument:?}\n\n{USAGE}")),
        }
    }
    Ok(Some(parsed))
}

fn main() -> ExitCode {
    let Arguments { from, to, profile, shows_broken } = match parse(std::env::args().skip(1)) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut total = Outcome::default();
    for seed in from..to {
        let profile = profile.unwrap_or_else(|| Profile::of(seed));
        match simulator::run_as(profile, seed) {
            Ok(outcome) if shows_broken && outcome.broken > 0 => {
                simulator::broken_as(profile, seed).iter().flatten().for_each(|events| println!("{events}"));
                return ExitCode::SUCCESS;
            }
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
