//! `repl`: conditions at a prompt, asked of a loaded sample. On a terminal with line editing, history and completion; from a
//! pipe each line of standard input is one entry and only answers are printed.

mod complete;
mod editor;
mod session;

use std::io::{self, BufRead as _, IsTerminal as _, Write};

use clap::Args as ClapArgs;

use super::Error;
use super::paint::Paint;
use super::question::Reading;
use session::{Reply, Session};

/// Arguments of `repl`.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct Args {
    /// Telemetry to ask conditions of; `:load FILE` does it later
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Likewise, as `eval` names it
    #[arg(long, value_name = "FILE")]
    input: Vec<String>,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Error> {
    let mut session = Session::new(args.reading, json, paint);
    for path in args.files.iter().chain(&args.input) {
        let loaded = session.load(path)?;
        // What scripts read are answers only.
        if !json {
            write!(out, "{loaded}")?;
        }
    }
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return editor::run(session, out);
    }
    for line in io::stdin().lock().lines() {
        match session.enter(&line?) {
            Reply::Text(text) => write!(out, "{text}")?,
            Reply::End => break,
        }
    }
    Ok(())
}
