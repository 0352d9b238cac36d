//! What conditions cost beside the Go module, on the same span, in one run: `cargo bench -p ottl --bench beside_go`.
//!
//! Go evaluates on a decoded span: "eval" is the evaluation alone, "span" with the context object that its components wrap
//! each span in. Here "wire" is from the indexed span's bytes to the answer, extraction included, and
//! "predicate" the answer alone, with slots filled, both as the filter does it: for 64 spans of a request at once, a span's
//! share. "a call" is the answer for one span in a call of its own; "by hand" is the same check written in Rust over the
//! same slots, a span a call. Times are of the fastest of many short runs, and all is measured several times over, both sides
//! in turn: the machine is not equally fast from one second to the next. Without a Go toolchain its columns stay empty.
//! `-- NAME` runs the conditions with that in their names.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is what the program is for")]

mod conditions;
mod peer;

use std::{
    hint::black_box,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use conditions::{ByHand, Single};
use ottl::{Context, Engine, ErrorMode, Frame, Options, PathMode, Program, ProgramBuilder};
use peer::{GoTimes, Peer};

fn main() {
    // `cargo test --benches` runs this too, and wants to know no more than that it runs.
    let budget = Duration::from_millis(if std::env::args().any(|word| word == "--bench") { 40 } else { 1 });
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let mut peer = match Peer::start() {
        Ok(peer) => Some(peer),
        Err(error) => {
            println!("no Go peer: {error}");
            None
        }
    };
    let input = conditions::input();
    let engine = Options::default().engine;
    println!(
        "ns; engine {engine:?}; a span of {} bytes, {} attributes\n",
        input.traces.span_bytes(),
        conditions::N_ATTRIBUTES
    );
    let mut rows: Vec<Row> = conditions::SINGLES.iter().map(Row::single).collect();
    let n_singles = rows.len();
    rows.extend(conditions::lists().into_iter().map(|(name, texts)| Row::new(name, texts)));
    rows.retain(|row| row.name.contains(&wanted));
    for turn in 1..=TURNS {
        if std::io::stderr().is_terminal() {
            eprint!("\rturn {turn} of {TURNS} ");
        }
        rows.iter_mut().for_each(|row| row.measure(&mut peer, &input, budget));
    }
    println!(
        "{:<16}{:>9}{:>9}{:>8}{:>8}{:>11}{:>8}{:>9}{:>9}{:>6}",
        "condition", "Go eval", "Go span", "wire", "x", "predicate", "x", "a call", "by hand", "x"
    );
    for (at, row) in rows.iter().enumerate() {
        if at == n_singles {
            println!();
        }
        row.print();
    }
    println!("\ncompile, us");
    for (name, texts) in conditions::compiled() {
        let texts = black_box(texts);
        let time = fastest(budget, || drop(black_box(program(&texts))));
        println!("{name:<22}{:>8.0}", time / 1000.0);
    }
}

/// Spans of a request.
const SPANS: u32 = 64;

/// How often each row is measured.
const TURNS: u32 = 8;

/// A condition or a list, and the best times of both sides so far.
struct Row {
    name: String,
    texts: Vec<String>,
    single: Option<&'static Single>,
    go: Option<GoTimes>,
    times: Option<Times>,
}

impl Row {
    fn new(name: String, texts: Vec<String>) -> Self {
        Self { name, texts, single: None, go: None, times: None }
    }

    fn single(single: &'static Single) -> Self {
        Self { single: Some(single), ..Self::new(single.name.to_owned(), vec![single.text.to_owned()]) }
    }

    fn measure(&mut self, peer: &mut Option<Peer>, input: &conditions::Input, budget: Duration) {
        if let Some(peer) = peer {
            let go = peer.ask(&self.texts, &input.request);
            self.go = Some(self.go.map_or(go, |best| best.best(go)));
        }
        let times = match self.single {
            Some(single) => Times::single(single, input, budget),
            None => Times::list(&self.texts, input, budget),
        };
        self.times = Some(self.times.map_or(times, |best| best.best(times)));
    }

    /// The first two ratios are to what the Go module needs for the evaluation alone, the last is to the check by hand.
    fn print(&self) {
        let Some(times) = self.times else { return };
        let ratio = |base: Option<f64>, time: f64| base.map_or(String::new(), |base| format!("{:.1}", base / time));
        let shown = |time: Option<f64>| time.map_or(String::new(), |time| format!("{time:.1}"));
        let precise = |time: Option<f64>| time.map_or(String::new(), |time| format!("{time:.2}"));
        let (alone, span) = (self.go.map(|go| go.alone), self.go.map(|go| go.span));
        println!(
            "{:<16}{:>9}{:>9}{:>8.1}{:>8}{:>11.2}{:>8}{:>9}{:>9}{:>6}",
            self.name,
            shown(alone),
            shown(span),
            times.wire,
            ratio(alone, times.wire),
            times.predicate,
            ratio(alone, times.predicate),
            precise(times.call),
            precise(times.by_hand),
            ratio(times.by_hand, times.predicate),
        );
    }
}

#[derive(Clone, Copy, Debug)]
struct Times {
    wire: f64,
    predicate: f64,
    call: Option<f64>,
    by_hand: Option<f64>,
}

impl Times {
    fn best(self, other: Self) -> Self {
        let least = |left: Option<f64>, right: Option<f64>| left.zip(right).map(|(left, right)| left.min(right));
        Self {
            wire: self.wire.min(other.wire),
            predicate: self.predicate.min(other.predicate),
            call: least(self.call, other.call),
            by_hand: least(self.by_hand, other.by_hand),
        }
    }

    fn single(single: &Single, input: &conditions::Input, budget: Duration) -> Self {
        let mut builder = ProgramBuilder::new(Options::default());
        let condition = builder.add(single.text, Context::Span, PathMode::Prefixed).expect("a condition");
        let slots: Vec<_> = single.slots.iter().map(|slot| builder.slot(slot())).collect();
        let program = builder.build().expect("a program");
        let frame = loaded(&program, input);
        let call = fastest(budget, || {
            black_box(program.eval(black_box(&frame), condition));
        });
        let by_hand = single.by_hand.map(|check: ByHand| {
            fastest(budget, || {
                black_box(check(&program, black_box(&frame), &slots));
            })
        });
        Self { call: Some(call), by_hand, ..Self::list(&[single.text.to_owned()], input, budget) }
    }

    /// As the filter runs a list: the spans of a request go into rows, and the list is asked about all of them.
    fn list(texts: &[String], input: &conditions::Input, budget: Duration) -> Self {
        let mut builder = ProgramBuilder::new(Options::default());
        let add = |text: &String| builder.add(text, Context::Span, PathMode::Prefixed).expect("a condition");
        let conditions: Vec<_> = texts.iter().map(add).collect();
        let list = builder.list_over_rows(&conditions, ErrorMode::Ignore);
        let program = builder.build().expect("a program");
        let mut rows = program.rows();
        let span = input.traces.spans().next().expect("a span");
        program.load_resource(rows.frame(), span.resource().resource(), b"");
        program.load_scope(rows.frame(), span.scope().scope(), b"");
        let wire = fastest(budget, || {
            rows.clear();
            (0..SPANS).for_each(|_| program.push_span(&mut rows, black_box(&span)));
            black_box(program.eval_rows(black_box(&mut rows), list, &mut |_, _| {}));
        });
        let predicate = fastest(budget, || {
            black_box(program.eval_rows(black_box(&mut rows), list, &mut |_, _| {}));
        });
        let spans = f64::from(SPANS);
        Self { wire: wire / spans, predicate: predicate / spans, call: None, by_hand: None }
    }
}

fn loaded<'w>(program: &Program, input: &'w conditions::Input) -> Frame<'w> {
    let mut frame = program.frame();
    let span = input.traces.spans().next().expect("a span");
    program.load_resource(&mut frame, span.resource().resource(), b"");
    program.load_scope(&mut frame, span.scope().scope(), b"");
    program.load_indexed_span(&mut frame, &span);
    frame
}

fn program(texts: &[String]) -> Program {
    let mut builder = ProgramBuilder::new(Options { engine: Engine::Jit, ..Options::default() });
    let add = |text: &String| builder.add(text, Context::Span, PathMode::Prefixed).expect("a condition");
    let conditions: Vec<_> = texts.iter().map(add).collect();
    builder.list(&conditions, ErrorMode::Ignore);
    builder.build().expect("a program")
}

/// Nanoseconds of one call in the fastest of many short runs.
#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn fastest(budget: Duration, mut call: impl FnMut()) -> f64 {
    let mut time = |n: u32| {
        let start = Instant::now();
        (0..n).for_each(|_| call());
        start.elapsed()
    };
    let mut n = 1;
    while time(n) < Duration::from_micros(200).min(budget) {
        n *= 2;
    }
    let end = Instant::now() + budget;
    let mut best = time(n);
    while Instant::now() < end {
        best = best.min(time(n));
    }
    best.as_secs_f64() * 1e9 / f64::from(n)
}
