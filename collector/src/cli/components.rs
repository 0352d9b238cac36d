//! `components`: what this program is built with, as YAML or JSON.

use std::io::Write;

use clap::Args;
use serde::Serialize;

use super::Failed;
use crate::config::PROVIDERS;
use crate::factory::Factory;
use crate::registry::Factories;

#[derive(Args)]
pub(super) struct Arguments {
    /// Print JSON instead of YAML
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    buildinfo: BuildInfo,
    receivers: Vec<Entry>,
    processors: Vec<Entry>,
    exporters: Vec<Entry>,
    connectors: Vec<Entry>,
    extensions: Vec<Entry>,
    providers: Vec<Provider>,
    converters: Vec<String>,
}

#[derive(Serialize)]
struct BuildInfo {
    command: &'static str,
    description: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    module: String,
    stability: &'static str,
}

#[derive(Serialize)]
struct Provider {
    scheme: &'static str,
    module: String,
}

pub(super) fn print(arguments: &Arguments, factories: &Factories, out: &mut dyn Write) -> Result<(), Failed> {
    let listing = Listing {
        buildinfo: BuildInfo {
            command: crate::NAME,
            description: "OpenTelemetry collector that compiles OTTL",
            version: crate::VERSION,
        },
        receivers: entries("receivers", &factories.receivers),
        processors: entries("processors", &factories.processors),
        exporters: entries("exporters", &factories.exporters),
        connectors: entries("connectors", &factories.connectors),
        extensions: entries("extensions", &factories.extensions),
        providers: PROVIDERS.iter().map(|scheme| Provider { scheme, module: module("config", "source") }).collect(),
        converters: Vec::new(),
    };
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&listing)?)?;
    } else {
        out.write_all(serde_yaml::to_string(&listing)?.as_bytes())?;
    }
    Ok(())
}

/// Sorted by type; aliases are not listed, as upstream.
fn entries<P: ?Sized>(group: &str, factories: &[Factory<P>]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = factories
        .iter()
        .map(|factory| Entry { name: factory.kind, module: module(group, factory.kind), stability: factory.stability })
        .collect();
    entries.sort_unstable_by_key(|entry| entry.name);
    entries
}

fn module(group: &str, name: &str) -> String {
    format!("{}/{group}/{name} v{}", crate::NAME, crate::VERSION)
}

/// The README's table of components.
#[cfg(test)]
pub(super) fn table(factories: &Factories) -> String {
    fn rows<P: ?Sized>(kind: &str, factories: &[Factory<P>], out: &mut String) {
        let mut sorted: Vec<_> = factories.iter().collect();
        sorted.sort_unstable_by_key(|factory| factory.kind);
        for factory in sorted {
            let alias = factory.alias.map(|alias| format!("`{alias}`")).unwrap_or_default();
            out.push_str(&format!("| {kind} | `{}` | {alias} | {} |\n", factory.kind, factory.stability));
        }
    }
    let mut out = "| kind | type | also | stability |\n|---|---|---|---|\n".to_owned();
    rows("receiver", &factories.receivers, &mut out);
    rows("processor", &factories.processors, &mut out);
    rows("exporter", &factories.exporters, &mut out);
    rows("connector", &factories.connectors, &mut out);
    rows("extension", &factories.extensions, &mut out);
    out
}
