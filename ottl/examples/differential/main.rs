//! Asks this crate and the real Go module the same random questions:
//! `cargo run --release -p ottl --example differential -- --peer PROGRAM [--pairs N] [--seed N] [--only N]`.
//!
//! PROGRAM is `tests/go/ottl`, built. A pair is a random condition or value expression and a random request; it is asked with both ways of
//! naming contexts, of both engines. A difference is shrunk and printed; `--only` repeats one pair of a seed. The last
//! line is `N passed, N failed`.

mod case;
mod describe;
#[path = "../../tests/engines/generate.rs"]
mod generate;
mod known;
mod peer;
mod shrink;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ottl::{Engine, PathMode};
use prost::Message as _;

use case::{Answer, Case, ContextName, Kind};
use generate::Random;
use peer::{GoAnswer, Peer};

const ENGINES: [Engine; 2] = [Engine::Interpreter, Engine::Jit];
/// Pairs that a worker takes at once.
const CHUNK: usize = 500;
/// Differences that are shrunk and printed; more are only counted.
const MOST_PRINTED: usize = 20;
const USAGE: &str = "usage: differential --peer PROGRAM [--pairs N] [--seed N] [--only N]";

struct Arguments {
    peer: PathBuf,
    pairs: std::ops::Range<usize>,
    seed: u64,
}

fn main() -> ExitCode {
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // A panic of this crate is an answer that differs; the report names it.
    std::panic::set_hook(Box::new(|_| {}));
    match run(&arguments) {
        Ok(Totals { failed: 0, passed: 1.. }) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error}", arguments.peer.display());
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let (mut peer, mut pairs, mut seed, mut only) = (None, 100_000, 1, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--peer" => peer = Some(PathBuf::from(words.next()?)),
            "--pairs" => pairs = words.next()?.parse().ok()?,
            "--seed" => seed = words.next()?.parse().ok()?,
            "--only" => only = Some(words.next()?.parse::<usize>().ok()?),
            _ => return None,
        }
    }
    let pairs = only.map_or(0..pairs, |only| only..only + 1);
    Some(Arguments { peer: peer?, pairs, seed })
}

#[derive(Default)]
struct Totals {
    passed: usize,
    failed: usize,
}

/// Workers take chunks of pairs, each with a peer of its own. A pair depends on the seed and its number alone.
fn run(arguments: &Arguments) -> io::Result<Totals> {
    let next = AtomicUsize::new(arguments.pairs.start);
    let totals = Mutex::new(Totals::default());
    let n_workers = thread::available_parallelism().map_or(1, usize::from).min(8);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..n_workers).map(|_| scope.spawn(|| work(arguments, &next, &totals))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| io::Error::other("a worker panicked"))?)
    })?;
    let totals = totals.into_inner().map_err(|_| io::Error::other("a worker panicked"))?;
    show_progress("");
    writeln!(io::stdout(), "{} passed, {} failed", totals.passed, totals.failed)?;
    Ok(totals)
}

fn work(arguments: &Arguments, next: &AtomicUsize, totals: &Mutex<Totals>) -> io::Result<()> {
    let mut peer = Peer::start(&arguments.peer)?;
    loop {
        let start = next.fetch_add(CHUNK, Ordering::Relaxed);
        if start >= arguments.pairs.end {
            return Ok(());
        }
        let pairs = start..arguments.pairs.end.min(start + CHUNK);
        let cases: Vec<(usize, Case)> =
            pairs.flat_map(|pair| cases(arguments.seed, pair).map(move |case| (pair, case))).collect();
        let questions: Vec<Case> = cases.iter().map(|(_, case)| case.clone()).collect();
        let answers = peer.ask(&questions)?;
        let mut differ: Vec<usize> = Vec::new();
        for ((pair, case), answer) in cases.iter().zip(&answers) {
            if difference(case, answer).is_none() || differ.last() == Some(pair) {
                continue;
            }
            differ.push(*pair);
            let printed = totals.lock().map_err(|_| io::Error::other("a worker panicked"))?.failed + differ.len();
            if printed <= MOST_PRINTED {
                report(arguments.seed, *pair, case, &mut peer)?;
            }
        }
        let mut totals = totals.lock().map_err(|_| io::Error::other("a worker panicked"))?;
        totals.failed += differ.len();
        totals.passed += start.abs_diff(arguments.pairs.end.min(start + CHUNK)) - differ.len();
        show_progress(&format!("{} of {} pairs", totals.passed + totals.failed, arguments.pairs.len()));
    }
}

/// A pair's questions: a condition or a value expression of one context, asked in both modes.
fn cases(seed: u64, pair: usize) -> impl Iterator<Item = Case> {
    let mut random = Random::new(seed.wrapping_mul(1_000_000_007).wrapping_add(pair as u64));
    let context = ContextName::ALL[pair % ContextName::ALL.len()];
    let body = match context {
        ContextName::Metric | ContextName::DataPoint => generate::metrics_request(&mut random).encode_to_vec(),
        ContextName::Log => generate::logs_request(&mut random).encode_to_vec(),
        _ => generate::request(&mut random).encode_to_vec(),
    };
    let kind = if random.one_in(3) { Kind::Value } else { Kind::Condition };
    let text = match kind {
        Kind::Condition => generate::question(&mut random, context.name(), 3),
        Kind::Value => generate::expression(&mut random, context.name(), 2),
    };
    [PathMode::Legacy, PathMode::AutoPrefix].into_iter().map(move |mode| Case {
        kind,
        context,
        mode,
        text: text.clone(),
        body: body.clone(),
    })
}

struct Difference {
    engine: Engine,
    ours: Answer,
    why: String,
}

/// The first engine that differs, unless the difference is meant.
fn difference(case: &Case, go: &GoAnswer) -> Option<Difference> {
    ENGINES.into_iter().find_map(|engine| {
        let (ours, why) = case::answer(case, engine);
        let meant = || known::KNOWN.iter().any(|(_, applies)| applies(case, go, &ours));
        (!go.outcome.allows(&ours) && !meant()).then_some(Difference { engine, ours, why })
    })
}

fn report(seed: u64, pair: usize, case: &Case, peer: &mut Peer) -> io::Result<()> {
    let case = shrink::shrink(case.clone(), |cases| {
        let answers = peer.ask(cases)?;
        Ok::<_, io::Error>(cases.iter().zip(&answers).position(|(case, go)| difference(case, go).is_some()))
    })?;
    let [go] = &peer.ask(std::slice::from_ref(&case))?[..] else { return Ok(()) };
    let Some(Difference { engine, ours, why }) = difference(&case, go) else { return Ok(()) };
    let mut json = Vec::new();
    if !matches!(case.context, ContextName::Metric | ContextName::DataPoint | ContextName::Log) {
        pdata::json::traces_to_json(&case.body, &mut json);
    }
    show_progress("");
    writeln!(
        io::stdout(),
        "seed {seed}, pair {pair}, {} {:?}: {}\n  Go: {:?} {}\n  {engine:?}: {ours:?} {why}\n  {}\n  {}",
        case.context.name(),
        case.mode,
        case.text,
        go.outcome,
        go.error,
        String::from_utf8_lossy(&json),
        STANDARD.encode(&case.body),
    )
}

/// On a terminal, a line that the next one overwrites.
fn show_progress(text: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}
