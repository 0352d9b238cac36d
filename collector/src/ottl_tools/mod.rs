//! `ottlcol ottl`: tools for the person who writes conditions.
//!
//! They use the compiler that the components use, with the same settings, so that what they show is what will run. They
//! read files and standard input, and change nothing but the snapshots that `test --accept` writes. Colours and line
//! editing only on a terminal; every command has a form for scripts with `--json`.

mod answer;
mod eval;
mod explain;
mod fixture;
mod input;
mod names;
mod paint;
mod progress;
mod question;
mod repl;
mod suite;
mod words;

use std::io::Write;

use clap::{Args as ClapArgs, Subcommand};

pub use question::ContextName;

use paint::{Colour, Paint};

/// Arguments of `ottl`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Print for scripts instead of people
    #[arg(long, global = true)]
    json: bool,
    /// Whether to colour what is printed
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Show how a condition is understood and what it becomes
    Explain(explain::Args),
    /// Ask a condition about recorded telemetry, and why it answers what it does
    Eval(eval::Args),
    /// Try conditions at a prompt
    Repl(repl::Args),
    /// Run tests of conditions from YAML files
    Test(suite::Args),
    /// List the functions, or show one
    Functions(names::FunctionsArgs),
    /// List the paths and enum symbols that conditions can read
    Paths(names::PathsArgs),
}

/// Why a tool did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no condition; every mistake with its place.
    #[error("{0}")]
    Text(String),
    /// An input or output file.
    #[error("{0}")]
    Input(#[from] input::Error),
    /// The output is gone.
    #[error("{0}")]
    Output(#[from] std::io::Error),
    /// There is no such function, path or option.
    #[error("{0}")]
    Unknown(String),
    /// Tests failed; they were shown.
    #[error("{0}")]
    Failed(String),
}

/// Runs one tool.
///
/// # Errors
/// If a text or an input is not usable.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Error> {
    let paint = Paint::new(args.color);
    match &args.command {
        Command::Explain(explain) => explain::run(explain, args.json, paint, out),
        Command::Eval(eval) => eval::run(eval, args.json, paint, out),
        Command::Repl(repl) => repl::run(repl, args.json, paint, out),
        Command::Test(test) => suite::run(test, args.json, paint, out),
        Command::Functions(functions) => names::functions(functions, args.json, paint, out),
        Command::Paths(paths) => names::paths(paths, args.json, paint, out),
    }
}

#[cfg(test)]
mod tests;
