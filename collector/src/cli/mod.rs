//! The command line. Each command is a function of its arguments that writes to the given outputs and gives an exit code.

mod components;
mod featuregate;
mod print_config;

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use component::telemetry::Registry;

use crate::clock::SystemClock;
use crate::config::{Process, load, set_to_uri};
use crate::factory::Fatal;
use crate::gates::{self, Gates};
use crate::pipeline::{Service, Settings};
use crate::registry::Factories;
use crate::run::{self, RunError};
use crate::{demo, ottl_tools, simulate, size};

/// An OpenTelemetry collector that compiles OTTL.
#[derive(Parser)]
#[command(name = "ottlcol", disable_version_flag = true, args_conflicts_with_subcommands = true)]
struct Cli {
    /// Version of the program
    #[arg(short = 'v', long)]
    version: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    sources: Sources,
    /// Evaluate conditions in the interpreter instead of machine code
    #[arg(long)]
    no_jit: bool,
}

/// Where the configuration comes from.
#[derive(Args, Clone)]
struct Sources {
    /// Configuration: a file, or a URI (file:, env:, yaml:); may be repeated, later ones win
    #[arg(long, value_name = "URI")]
    config: Vec<String>,
    /// Sets one key over all configurations: processors.batch.timeout=2s; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Feature gates to switch on (a, +a) or off (-a), separated by commas
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    feature_gates: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Check a configuration without running it
    Validate(Sources),
    /// List the components of this program
    Components(components::Arguments),
    /// Print the configuration as it was understood
    #[command(alias = "print-initial-config")]
    PrintConfig(print_config::Arguments),
    /// List feature gates, or show one
    Featuregate(featuregate::Arguments),
    /// Show the built-in configuration at work on the traffic of a small shop
    Demo(demo::Args),
    /// Find out which traces a configuration would keep
    Simulate(simulate::Args),
    /// Compute memory limits, buffer sizes, replicas and KEDA thresholds from spans per second
    Size(size::Args),
    /// Explain, try and test OTTL conditions
    Ottl(ottl_tools::Args),
}

/// What runs where no configuration is given.
pub const BUILTIN: &str = include_str!("../builtin.yaml");

const GREETING: &str = "No configuration given, running the built-in one. Send OTLP to localhost:4317 (gRPC) or \
                        localhost:4318 (HTTP); look at http://localhost:8889/metrics for request rates, errors and \
                        durations, at this log for the traces that are kept, and at http://localhost:8888/metrics for \
                        the collector itself";

/// A command failed; the text is shown behind `Error: `.
struct Failed(String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Standard output, and whether its reader has gone.
struct Output<'a> {
    out: &'a mut dyn Write,
    is_closed: bool,
}

impl Output<'_> {
    fn note<T>(&mut self, written: io::Result<T>) -> io::Result<T> {
        self.is_closed |= written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        written
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.note(flushed)
    }
}

/// Runs the program with these arguments; gives the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    execute(arguments, &mut io::stdout(), &mut io::stderr())
}

fn execute(arguments: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be said about an output that is closed.
            let _ =
                if error.use_stderr() { write!(err, "{}", error.render()) } else { write!(out, "{}", error.render()) };
            return u8::from(error.use_stderr());
        }
    };
    let running = cli.command.is_none() && !cli.version;
    let mut out = Output { out, is_closed: false };
    let Err(Failed(message)) = dispatch(cli, &mut out) else { return 0 };
    if out.is_closed {
        // Whoever reads, `head` say, has what it wanted; as a program that SIGPIPE ends.
        return 128 + 13;
    }
    let _ = writeln!(err, "Error: {message}");
    if running {
        // Scripts around the Go collector look for this line; the report itself need not be there twice.
        let first = message.lines().next().unwrap_or_default();
        let _ = writeln!(err, "collector server run finished with error: {first}");
    }
    1
}

fn dispatch(cli: Cli, out: &mut dyn Write) -> Result<(), Failed> {
    if cli.version {
        writeln!(out, "{} version {}", crate::NAME, crate::VERSION)?;
        return Ok(());
    }
    match cli.command {
        None => start(&cli.run),
        Some(Command::Validate(sources)) => validate(&sources),
        Some(Command::Components(arguments)) => components::print(&arguments, &Factories::all(), out),
        Some(Command::PrintConfig(arguments)) => print_config::print(&arguments, out),
        Some(Command::Featuregate(arguments)) => featuregate::print(&arguments, out),
        Some(Command::Demo(arguments)) => Ok(demo::run(&arguments, out)?),
        Some(Command::Simulate(arguments)) => {
            out.write_all(simulate::run(&arguments)?.as_bytes())?;
            Ok(())
        }
        Some(Command::Size(arguments)) => Ok(out.write_all(size::run(&arguments)?.as_bytes())?),
        Some(Command::Ottl(arguments)) => Ok(ottl_tools::run(&arguments, out)?),
    }
}

fn start(arguments: &RunArgs) -> Result<(), Failed> {
    let mut uris = arguments.sources.uris()?;
    let mut greeting = None;
    if arguments.sources.config.is_empty() {
        uris.insert(0, format!("yaml:{BUILTIN}"));
        greeting = Some(GREETING);
    }
    run::run(&run::Options { uris, jit: !arguments.no_jit, greeting })?;
    Ok(())
}

/// Silent if all is well. Components are made, but not started.
fn validate(sources: &Sources) -> Result<(), Failed> {
    let loaded = load(&sources.uris()?, &Process, &Factories::all()).map_err(crate::config::LoadError::bare)?;
    let settings = Settings {
        registry: Registry::new(0),
        clock: Arc::new(SystemClock::new()),
        resource: Arc::new([]),
        jit: true,
        fatal: Fatal::default(),
    };
    // Some parts make their clients when they are made, and those want a runtime around them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    Service::build(&loaded.config, &settings).map_err(RunError::from)?;
    Ok(())
}

impl Sources {
    /// All URIs in merge order. Takes over the feature gates, which decide how configurations are read.
    fn uris(&self) -> Result<Vec<String>, Failed> {
        gates::choose(Gates::parse(&self.feature_gates).map_err(Failed)?);
        let sets = self.set.iter().map(|set| set_to_uri(set)).collect::<Result<Vec<_>, _>>().map_err(Failed)?;
        Ok(self.config.iter().cloned().chain(sets).collect())
    }
}

#[cfg(test)]
mod tests;
