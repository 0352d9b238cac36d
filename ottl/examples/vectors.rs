//! Compares this crate with recorded answers of the Go OTTL module:
//! `cargo run --release -p ottl --example vectors -- DIR` reads `inputs.jsonl`, `hand.jsonl` and `random.jsonl` there and
//! prints one line a group, the differences, and the totals.

#[path = "../tests/conformance/vectors.rs"]
mod vectors;

use std::{fs, io::Write as _, path::PathBuf, process::ExitCode};

use ottl::Engine;

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: vectors DIR");
        return ExitCode::from(2);
    };
    let read = |name: &str| fs::read_to_string(dir.join(name));
    let texts = match (read("inputs.jsonl"), read("hand.jsonl"), read("random.jsonl")) {
        (Ok(inputs), Ok(hand), Ok(random)) => vectors::Texts { inputs, cases: vec![hand, random] },
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
            eprintln!("{}: {error}", dir.display());
            return ExitCode::from(2);
        }
    };
    let report = vectors::run(&texts, &[Engine::Interpreter, Engine::Jit]);
    let mut out = std::io::stdout().lock();
    let mut lines = String::new();
    for (group, failures) in &report.failed {
        lines.push_str(&failures.iter().map(|failure| format!("  {group}: {failure}\n")).collect::<String>());
    }
    for group in report.passed.keys().chain(report.failed.keys()).collect::<std::collections::BTreeSet<_>>() {
        let passed = report.passed.get(group).copied().unwrap_or(0);
        let failed = report.failed.get(group).map_or(0, Vec::len);
        lines.push_str(&format!("{group}: {passed} passed, {failed} failed\n"));
    }
    lines.push_str(&format!("{} passed, {} failed\n", report.n_passed(), report.n_failed()));
    match out.write_all(lines.as_bytes()) {
        Ok(()) if report.n_failed() == 0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
