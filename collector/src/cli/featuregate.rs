//! `featuregate`: the known gates and their state.

use std::io::Write;

use clap::Args;
use comfy_table::{Table, presets};

use super::Failed;
use crate::gates::{GATES, Gates};

#[derive(Args)]
pub(super) struct Arguments {
    /// One gate
    id: Option<String>,
    /// Feature gates to switch on or off
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    feature_gates: Vec<String>,
}

pub(super) fn print(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failed> {
    let chosen = Gates::parse(&arguments.feature_gates).map_err(Failed)?;
    if let Some(id) = &arguments.id {
        let Some(gate) = GATES.iter().find(|gate| gate.id == id) else {
            return Err(Failed(format!("feature \"{id}\" not found")));
        };
        writeln!(out, "Feature: {}", gate.id)?;
        writeln!(out, "Enabled: {}", chosen.is_on(gate.id))?;
        writeln!(out, "Stage: {}", gate.stage)?;
        writeln!(out, "Description: {}", gate.description)?;
        writeln!(out, "Has an effect in this program: {}", gate.works)?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["ID", "Enabled", "Stage", "Description"]);
    for gate in GATES {
        let description =
            if gate.works { gate.description.to_owned() } else { format!("{} (no effect here)", gate.description) };
        table.add_row([gate.id, if chosen.is_on(gate.id) { "true" } else { "false" }, gate.stage, &description]);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(())
}
