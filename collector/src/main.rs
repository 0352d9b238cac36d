//! The command line. Only builds and runs.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use collector::simulate;

#[derive(Parser)]
#[command(name = "ottlcol", version)]
enum Command {
    /// Find out which traces a configuration would keep
    Simulate(simulate::Args),
}

fn main() -> ExitCode {
    let Command::Simulate(args) = Command::parse();
    match simulate::run(&args) {
        Ok(summary) => match std::io::stdout().write_all(summary.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
