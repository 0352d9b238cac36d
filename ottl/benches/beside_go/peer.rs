//! The Go module as a process: builds `tests/go/ottl` and asks it for times.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GoTimes {
    /// Of the evaluation alone.
    pub(crate) alone: f64,
    /// With the context object that each span is wrapped in.
    pub(crate) span: f64,
}

impl GoTimes {
    pub(crate) fn best(self, other: Self) -> Self {
        Self { alone: self.alone.min(other.alone), span: self.span.min(other.span) }
    }
}

/// A running peer. It ends when its standard input is closed.
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start() -> io::Result<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/go/ottl");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ottl-peer");
        let built = Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(sources).status()?;
        if !built.success() {
            return Err(io::Error::other("go build failed"));
        }
        let mut child = Command::new(program).arg("bench").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let gone = || io::Error::other("the peer has no pipes");
        let input = Some(child.stdin.take().ok_or_else(gone)?);
        let output = BufReader::new(child.stdout.take().ok_or_else(gone)?);
        Ok(Self { child, input, output })
    }

    /// Times of a list, or of a condition by itself.
    pub(crate) fn ask(&mut self, texts: &[String], request: &[u8]) -> GoTimes {
        let question = serde_json::json!({ "texts": texts, "proto": STANDARD.encode(request) });
        let input = self.input.as_mut().expect("open until it is dropped");
        writeln!(input, "{question}").expect("the peer reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the peer answers");
        let (alone, span) = line.trim().split_once(' ').expect("two times");
        GoTimes { alone: alone.parse().expect("a number"), span: span.parse().expect("a number") }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.input = None;
        // An error means that there is nothing left to wait for.
        let _ = self.child.wait();
    }
}
