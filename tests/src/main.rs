//! The end-to-end run with real parts: an OpenTelemetry SDK as client, Prometheus as scraper, an OTLP backend.
//!
//! It installs what it needs by the ordinary package clients, then goes on in a network namespace of its own, where
//! every port is free and connections take only the highest. Each case prints a line; the last line is `N passed, N failed`.

#![allow(clippy::disallowed_methods, reason = "end-to-end runs happen in real time")]

mod real;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use e2e::{Failure, Outcome};

/// A case: its name and what it does.
type Case = (&'static str, fn(&real::Parts) -> Outcome);

const CASES: &[Case] = &[
    ("Python SDK over gRPC and HTTP, RED in Prometheus, kept traces at the backend", real::main_job::run),
    ("the articles' configurations are valid as written", real::seeds::run),
    ("random OTTL conditions get the Go module's answers, and nothing panics or hangs", real::differential::run),
    ("KEDA's client, its article's ScaledObjects and PromQL against keda_scaler, beside Prometheus", real::keda::run),
    ("tail_sampling with storage, killed five times under load", real::kill::run),
    ("a gateway before listed backends, and before a name in DNS whose records come and go", real::load_balancing::run),
];

/// Runs only when it is named: it needs the Go collector, which takes minutes to build.
const BESIDE_GO: Case = ("random tail_sampling configurations keep what the Go collector keeps", real::sampling::run);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--inside") => run_cases(arguments.get(1).map(String::as_str)),
        Some("--help") => {
            say(
                "usage: e2e [PART OF A CASE'S NAME]\n       e2e --kill [ROUNDS [SEED]]    kill and restart, 50 times, about 4 minutes\n       \
                 e2e --k8s PEER [PODS]         k8s_attributes beside the Go collector at PEER, 5,000 pods, about 1 minute",
            );
            ExitCode::SUCCESS
        }
        Some("--kill") => {
            let number = |at: usize, default| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
            finish(e2e::kill::run(u32::try_from(number(1, 50)).unwrap_or(50), number(2, 1), say))
        }
        Some("--k8s") => {
            let peer = arguments.get(1).map(std::path::PathBuf::from).unwrap_or_default();
            let pods = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(5000);
            finish(e2e::k8s_beside_go::run(&peer, pods, say))
        }
        wanted => {
            let prepared = real::Parts::install()
                .and_then(|_| if is_named(&BESIDE_GO, wanted) { real::Parts::install_peer() } else { Ok(()) })
                .and_then(|()| e2e::collector::binary().map(|_| ()));
            if let Err(Failure(why)) = prepared {
                say(&format!("cannot install what the run needs: {why}"));
                return ExitCode::FAILURE;
            }
            enter_namespace(wanted)
        }
    }
}

/// Prints what a run of its own came to.
fn finish(run: Outcome<impl std::fmt::Debug>) -> ExitCode {
    match run {
        Ok(report) => {
            say(&format!("{report:#?}"));
            ExitCode::SUCCESS
        }
        Err(Failure(why)) => {
            say(&format!("FAILED: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// Replaces this process by itself inside a new network namespace with only loopback, and a mount namespace, so that a
/// case can have a resolver configuration of its own.
fn enter_namespace(wanted: Option<&str>) -> ExitCode {
    let this = match std::env::current_exe() {
        Ok(this) => this,
        Err(error) => {
            say(&format!("no path of this program: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let script =
        "ip link set lo up && echo 60000 65535 > /proc/sys/net/ipv4/ip_local_port_range && exec \"$0\" --inside \"$@\"";
    let error =
        Command::new("unshare").args(["--net", "--mount", "--", "sh", "-c", script]).arg(this).args(wanted).exec();
    say(&format!("cannot enter a network namespace (unshare --net, as root): {error}"));
    ExitCode::FAILURE
}

fn is_named((name, _): &Case, wanted: Option<&str>) -> bool {
    wanted.is_some_and(|wanted| name.contains(wanted))
}

fn run_cases(wanted: Option<&str>) -> ExitCode {
    let parts = match real::Parts::installed() {
        Ok(parts) => parts,
        Err(Failure(why)) => {
            say(&why);
            return ExitCode::FAILURE;
        }
    };
    let (mut passed, mut failed) = (0, 0);
    let named = Some(&BESIDE_GO).filter(|case| is_named(case, wanted));
    let cases = CASES.iter().filter(|case| wanted.is_none() || is_named(case, wanted));
    for (name, run) in cases.chain(named) {
        say(&format!("-- {name}"));
        match run(&parts) {
            Ok(()) => {
                passed += 1;
                say("   ok");
            }
            Err(Failure(why)) => {
                failed += 1;
                say(&format!("   FAILED: {why}"));
            }
        }
    }
    // Log lines of children that are still on their way would hide the closing line.
    std::thread::sleep(Duration::from_millis(50));
    say(&format!("{passed} passed, {failed} failed"));
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line on standard output; a closed pipe ends the run elsewhere.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
