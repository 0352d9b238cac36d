//! `print-config`: the configuration after merging and expansion, with secrets hidden.
//!
//! Unlike upstream it prints what was written and not the defaults of keys that were not.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::{Failed, Sources};
use crate::config::{Config, LoadError, Node, Problems, Process, REDACTED, load, resolve};
use crate::registry::Factories;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// Whether secrets are hidden
    #[arg(long, value_enum, default_value_t = Mode::Redacted)]
    mode: Mode,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Refuse a configuration that is not valid
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    validate: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Redacted,
    Unredacted,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(super) fn print(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let uris = arguments.sources.uris()?;
    let factories = Factories::all();
    let (mut root, secrets) = if arguments.validate {
        let loaded = load(&uris, &Process, &factories).map_err(LoadError::bare)?;
        (loaded.root, loaded.secrets)
    } else {
        let root = resolve(&uris, &Process)?.root;
        // Read only to learn which values are secrets; what is wrong is not asked for.
        let mut problems = Problems::default();
        let _ = Config::read(&root, &factories, &mut problems);
        (root, problems.secrets().to_vec())
    };
    if let Mode::Redacted = arguments.mode {
        for path in &secrets {
            root.replace(path, Node::String(REDACTED.to_owned()));
        }
    }
    match arguments.format {
        Format::Yaml => out.write_all(serde_yaml::to_string(&root.to_yaml())?.as_bytes())?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&root.to_yaml())?)?,
    }
    Ok(())
}
