//! The Go module as a process (`tests/go/ottl`): a JSON line per question, a JSON line per answer, in order.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ottl::PathMode;

use crate::case::{Answer, Case, Kind};

/// What Go says about a case, and its error.
#[derive(Clone, Debug)]
pub(crate) struct GoAnswer {
    pub(crate) outcome: GoOutcome,
    pub(crate) error: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GoOutcome {
    /// An answer that we can give too.
    Answer(Answer),
    /// It crashed, on parsing or on evaluation.
    Panic,
    /// Its answer is not always the same: the order of a Go map decides, or an address.
    Varies,
}

impl GoOutcome {
    /// Where Go crashes an error is the right answer, of either kind.
    pub(crate) fn allows(&self, ours: &Answer) -> bool {
        match self {
            Self::Answer(answer) => answer == ours,
            Self::Panic => matches!(ours, Answer::Error | Answer::Refused),
            Self::Varies => !matches!(ours, Answer::Refused | Answer::Panicked),
        }
    }
}

/// A running peer. It ends when its standard input is closed.
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program).arg("eval").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let gone = || io::Error::other("the peer has no pipes");
        let input = Some(child.stdin.take().ok_or_else(gone)?);
        let output = BufReader::with_capacity(1 << 16, child.stdout.take().ok_or_else(gone)?);
        Ok(Self { child, input, output })
    }

    /// Asks all cases. A thread of its own writes: the peer answers while it reads, and both pipes are finite.
    pub(crate) fn ask(&mut self, cases: &[Case]) -> io::Result<Vec<GoAnswer>> {
        let input = self.input.as_mut().ok_or_else(|| io::Error::other("the peer's input is closed"))?;
        let output = &mut self.output;
        let questions: String = cases.iter().map(question).collect();
        thread::scope(|scope| {
            let writer = scope.spawn(move || input.write_all(questions.as_bytes()).and_then(|()| input.flush()));
            // All lines are taken before any is looked at, so that the writer never waits for a reader that gave up.
            let lines: Vec<io::Result<String>> = cases
                .iter()
                .map(|_| {
                    let mut line = String::new();
                    output.read_line(&mut line).map(|_| line)
                })
                .collect();
            writer.join().map_err(|_| io::Error::other("the writer panicked"))??;
            lines.into_iter().map(|line| answer(&line?)).collect()
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.input = None;
        // An error means that there is nothing left to wait for.
        let _ = self.child.wait();
    }
}

fn question(case: &Case) -> String {
    let mode = if case.mode == PathMode::Legacy { "legacy" } else { "prefixed" };
    let kind = match case.kind {
        Kind::Condition => "condition",
        Kind::Value => "value",
    };
    let question = serde_json::json!({
        "kind": kind, "context": case.context.name(), "mode": mode, "text": case.text, "proto": STANDARD.encode(&case.body), "event": 0,
    });
    format!("{question}\n")
}

fn answer(line: &str) -> io::Result<GoAnswer> {
    let bad = || io::Error::other(format!("the peer's answer {line:?}"));
    let json: serde_json::Value = serde_json::from_str(line).map_err(|_| bad())?;
    let outcome = match json["outcome"].as_str().ok_or_else(bad)? {
        "true" => GoOutcome::Answer(Answer::True),
        "false" => GoOutcome::Answer(Answer::False),
        "eval_error" => GoOutcome::Answer(Answer::Error),
        "parse_error" => GoOutcome::Answer(Answer::Refused),
        "value" => GoOutcome::Answer(Answer::Value(json["value"].as_str().ok_or_else(bad)?.to_owned())),
        "panic" => GoOutcome::Panic,
        "varies" => GoOutcome::Varies,
        _ => return Err(bad()),
    };
    Ok(GoAnswer { outcome, error: json["error"].as_str().unwrap_or_default().to_owned() })
}
