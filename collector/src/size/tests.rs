use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(line: &str) -> Result<Args, String> {
    let words = std::iter::once("size").chain(line.split_whitespace());
    Line::try_parse_from(words).map(|line| line.args).map_err(|error| error.to_string())
}

fn sizes(line: &str) -> Sizes {
    compute(&args(line).unwrap())
}

#[test]
fn printed() {
    insta::assert_snapshot!("table", run(&args("--spans-per-second 20000 --decision-wait 30s").unwrap()).unwrap());
    insta::assert_snapshot!("json", run(&args("--spans-per-second 20_000 --replicas 1 --json").unwrap()).unwrap());
}

/// At the rate it is sized for, a set-up neither evicts, refuses nor scales.
#[test]
fn the_given_rate_fits() {
    for line in [
        "--spans-per-second 100",
        "--spans-per-second 20000 --decision-wait 10s --spans-per-trace 5",
        "--spans-per-second 1e6 --decision-wait 1m --bytes-per-span 1200",
        "--spans-per-second 300000 --replicas 12 --gateway-replicas 9",
    ] {
        let parsed = args(line).unwrap();
        let sizes = compute(&parsed);
        assert_eq!(sizes.warnings, Vec::<String>::new(), "{line}");
        let sampler = &sizes.sampler;
        let waiting = sizes.traces_per_second * sizes.decision_wait_seconds;
        let pods = f64::from(sampler.pod.replicas);
        assert!(waiting / pods < sampler.num_traces as f64, "{line}");
        assert!((waiting / sampler.pod.keda_target as f64).ceil() <= pods, "{line}");
        assert!(sizes.spans_per_second / sizes.gateway.pod.keda_target as f64 <= f64::from(sizes.gateway.pod.replicas));
        let refused_from = sampler.pod.memory_limit_mib as f64 * MIB * 0.6;
        assert!(sampler.max_buffer_bytes as f64 + BASE_BYTES <= refused_from, "{line}");
        assert!(sampler.pod.termination_grace_period_seconds as f64 > sizes.decision_wait_seconds, "{line}");
    }
}

/// More load never gives less room.
#[test]
fn sizes_grow_with_the_rate() {
    let mut last = 0;
    for rate in [1, 10, 1000, 30_000, 30_001, 50_000, 70_000] {
        let sizes = sizes(&format!("--spans-per-second {rate} --replicas 2"));
        assert!(sizes.sampler.pod.memory_limit_mib >= last, "{rate}");
        last = sizes.sampler.pod.memory_limit_mib;
    }
}

#[test]
fn wrong_arguments_are_named() {
    for (line, expected) in [
        ("--spans-per-second 0", "must be a number above 0"),
        ("--spans-per-second NaN", "must be a number above 0"),
        ("--spans-per-second 5 --decision-wait 30", "missing unit in duration"),
        ("--spans-per-second 5 --decision-wait=-1s", "must not be negative"),
        ("--spans-per-second 5 --headroom 0.5", "must be a number from 1"),
        ("--spans-per-second 5 --replicas 0", "0 is not in 1.."),
    ] {
        let error = args(line).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
    assert!(sizes("--spans-per-second 5 --headroom 1.5").warnings[0].contains("below 1/0.6"));
}
