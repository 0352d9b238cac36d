//! Random conditions over random requests: the same answers as the Go OTTL module, which is built from its sources. Then
//! the bodies of the fuzz targets, for a bounded time.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use e2e::{Failure, Outcome, check};

use super::Parts;

/// Seeds, and the pairs that each gives: 100,000 together, in every context.
const SEEDS: [&str; 4] = ["1", "2", "3", "4"];
const PAIRS: &str = "25000";
const FUZZ_SECONDS: &str = "15";

/// Builds the Go module's peer below `target/e2e`, and the programs that ask.
pub(crate) fn install() -> Outcome {
    crate::say("building the Go OTTL module and the programs that ask it");
    let source = super::tests().join("go/ottl");
    let peer = peer();
    let peer = peer.to_string_lossy();
    super::command("go", &["-C", &source.to_string_lossy(), "build", "-o", &peer, "."])?;
    let manifest = super::tests().join("../Cargo.toml");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let (manifest, target) = (manifest.to_string_lossy(), target().to_string_lossy().into_owned());
    let build = ["build", "--release", "--manifest-path", &manifest, "--target-dir", &target, "--package", "ottl"];
    super::command(&cargo, &[&build[..], &["--example", "differential", "--example", "fuzz"]].concat())
}

pub(crate) fn run(_: &Parts) -> Outcome {
    let peer = peer();
    for seed in SEEDS {
        let last = example("differential", &["--peer", &peer.to_string_lossy(), "--pairs", PAIRS, "--seed", seed])?;
        check(last == format!("{PAIRS} passed, 0 failed"), || format!("seed {seed}: {last}"))?;
        crate::say(&format!("   seed {seed}: {last}"));
    }
    let last = example("fuzz", &["--seconds", FUZZ_SECONDS])?;
    crate::say(&format!("   fuzz, {FUZZ_SECONDS} s: {last}"));
    Ok(())
}

/// Runs a program to its end; its last line.
fn example(name: &str, arguments: &[&str]) -> Outcome<String> {
    let program = target().join("release/examples").join(name);
    let output = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure(format!("{}: {error}", program.display())))?;
    let text = String::from_utf8_lossy(&output.stdout);
    check(output.status.success(), || {
        format!("{name} ended with {}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

fn target() -> PathBuf {
    super::tests().join("../target")
}

/// The manifest directory is absolute, so this is: `go -C` changes the directory first.
fn peer() -> PathBuf {
    target().join("e2e/ottl-peer")
}
