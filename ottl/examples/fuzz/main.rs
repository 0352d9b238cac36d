//! The bodies of the fuzz targets `grammar/fuzz` and `ottl/fuzz` on random inputs for a bounded time, with a stable compiler:
//! `cargo run --release -p ottl --example fuzz -- [--seconds N] [--seed N] [--only N]`.
//!
//! Texts go to the parser, and conditions with damaged messages to both engines. A panic and an input that takes longer than
//! ten seconds are failures; `--only` repeats one input of a seed. The last line is `N passed, N failed`.

#![allow(clippy::disallowed_methods, reason = "a run bounded by the time of day")]

#[path = "../../../grammar/fuzz/any_text.rs"]
mod any_text;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../tests/engines/generate.rs"]
mod generate;
#[path = "../../tests/engines/hostile.rs"]
mod hostile;
mod input;

use std::{
    io::{self, IsTerminal as _, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use generate::Random;

/// An input that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of so many inputs, one is for the engines: it is compiled, which takes longer than any parse.
const PARSES_PER_COMPILATION: u64 = 8;
const USAGE: &str = "usage: fuzz [--seconds N] [--seed N] [--only N]";

struct Arguments {
    time: Duration,
    seed: u64,
    only: Option<u64>,
}

fn main() -> ExitCode {
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments = Arguments { time: Duration::from_secs(20), seed: 1, only: None };
    while let Some(word) = words.next() {
        let number = words.next()?.parse().ok()?;
        match word.as_str() {
            "--seconds" => arguments.time = Duration::from_secs(number),
            "--seed" => arguments.seed = number,
            "--only" => arguments.only = Some(number),
            _ => return None,
        }
    }
    Some(arguments)
}

/// What the workers share.
struct Shared {
    start: Instant,
    next: AtomicU64,
    stop: AtomicBool,
    passed: AtomicU64,
    failed: AtomicU64,
    /// What each worker is at, since when.
    at: Vec<Mutex<Option<(u64, Instant)>>>,
}

fn run(arguments: &Arguments) -> io::Result<bool> {
    if let Some(only) = arguments.only {
        let input = input(arguments.seed, only);
        writeln!(io::stdout(), "{input}")?;
        check(&input);
        writeln!(io::stdout(), "1 passed, 0 failed")?;
        return Ok(true);
    }
    // The report names a panic; the hook would print it in between.
    std::panic::set_hook(Box::new(|_| {}));
    let n_workers = thread::available_parallelism().map_or(1, usize::from).min(8);
    let shared = Shared {
        start: Instant::now(),
        next: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        passed: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        at: (0..n_workers).map(|_| Mutex::new(None)).collect(),
    };
    thread::scope(|scope| {
        for worker in 0..n_workers {
            let shared = &shared;
            scope.spawn(move || work(arguments, shared, worker));
        }
        watch(arguments, &shared)
    })?;
    show_progress("");
    let (passed, failed) = (shared.passed.into_inner(), shared.failed.into_inner());
    writeln!(io::stdout(), "{passed} passed, {failed} failed")?;
    Ok(failed == 0 && passed > 0)
}

fn work(arguments: &Arguments, shared: &Shared, worker: usize) {
    while !shared.stop.load(Ordering::Relaxed) {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        *shared.at[worker].lock().unwrap_or_else(PoisonError::into_inner) = Some((number, Instant::now()));
        match catch_unwind(AssertUnwindSafe(|| check(&input(arguments.seed, number)))) {
            Ok(()) => shared.passed.fetch_add(1, Ordering::Relaxed),
            Err(payload) => {
                let text = payload.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic");
                eprintln!("seed {}, input {number}: {text}", arguments.seed);
                shared.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
    *shared.at[worker].lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Ends the run when its time is over. An input that hangs ends the process: nothing else could.
fn watch(arguments: &Arguments, shared: &Shared) -> io::Result<()> {
    loop {
        thread::sleep(Duration::from_millis(100));
        let over = shared.start.elapsed() >= arguments.time;
        shared.stop.store(over, Ordering::Relaxed);
        let mut idle = true;
        for at in &shared.at {
            let Some((number, since)) = *at.lock().unwrap_or_else(PoisonError::into_inner) else { continue };
            idle = false;
            if since.elapsed() > PATIENCE {
                let passed = shared.passed.load(Ordering::Relaxed);
                let seed = arguments.seed;
                writeln!(io::stdout(), "seed {seed}, input {number}: no end\n{passed} passed, 1 failed")?;
                std::process::exit(1);
            }
        }
        if over && idle {
            return Ok(());
        }
        let seconds = shared.start.elapsed().as_secs();
        let passed = shared.passed.load(Ordering::Relaxed);
        show_progress(&format!("{passed} inputs, {seconds} of {} s", arguments.time.as_secs()));
    }
}

enum Input {
    ConditionAndMessage(Vec<u8>),
    Text(String),
}

/// An input depends on the seed and its number alone.
fn input(seed: u64, number: u64) -> Input {
    let mut random = Random::new(seed.wrapping_mul(1_000_000_007).wrapping_add(number));
    match number % PARSES_PER_COMPILATION {
        0 => Input::ConditionAndMessage(input::condition_and_message(&mut random)),
        _ => Input::Text(input::text(&mut random)),
    }
}

fn check(input: &Input) {
    match input {
        Input::ConditionAndMessage(data) => hostile::check(data),
        Input::Text(text) => any_text::check(text),
    }
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ConditionAndMessage(data) => data.escape_ascii().fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// On a terminal, a line that the next one overwrites.
fn show_progress(text: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}
