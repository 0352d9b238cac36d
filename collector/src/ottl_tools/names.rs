//! `functions` and `paths`: what conditions can name, from the registry that the compiler uses.

use std::io::Write;

use clap::Args as ClapArgs;
use ottl::{Context, catalog, func};
use serde_json::{Value as Json, json};

use super::Error;
use super::paint::Paint;
use super::question::ContextName;

/// Arguments of `functions`.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct FunctionsArgs {
    /// One function, or a part of names
    name: Option<String>,
    /// Only what conditions of this context can call
    #[arg(long, value_enum)]
    context: Option<ContextName>,
}

/// Arguments of `paths`.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct PathsArgs {
    /// A part of paths and enum symbols
    name: Option<String>,
    /// Only what conditions of this context can read
    #[arg(long, value_enum)]
    context: Option<ContextName>,
}

impl FunctionsArgs {
    /// For the prompt.
    pub(super) fn of(name: &str) -> Self {
        Self { name: (!name.is_empty()).then(|| name.to_owned()), context: None }
    }
}

impl PathsArgs {
    /// For the prompt.
    pub(super) fn of(name: &str, context: Option<ContextName>) -> Self {
        Self { name: (!name.is_empty()).then(|| name.to_owned()), context }
    }
}

pub(super) fn functions(args: &FunctionsArgs, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Error> {
    let mut found = matching(args.name.as_deref());
    found.retain(|function| args.context.is_none_or(|context| catalog::is_available(function, context.context())));
    let Some(first) = found.first() else {
        return Err(Error::Unknown(match &args.name {
            Some(name) => format!("there is no function {name:?} here; `ottlcol ottl functions` lists all"),
            None => "there are no functions here".to_owned(),
        }));
    };
    if json {
        let list: Vec<Json> = found.iter().map(|function| function_json(function)).collect();
        writeln!(out, "{:#}", json!(list))?;
    } else if found.len() == 1 && args.name.is_some() {
        write!(out, "{}", function_text(first, paint))?;
    } else {
        let width =
            found.iter().map(|function| catalog::signature(function).len()).filter(|len| *len <= MAX_COLUMN).max();
        for function in found {
            row(out, &catalog::signature(function), function.help, width.unwrap_or(0), paint)?;
        }
    }
    Ok(())
}

/// Functions whose name contains a text in any case; the one of that exact name alone, if there is one.
fn matching(name: Option<&str>) -> Vec<&'static func::Function> {
    let mut found: Vec<_> = match name {
        None => func::all().collect(),
        Some(name) => match func::find(name) {
            Some(function) => vec![function],
            None => {
                let part = name.to_lowercase();
                func::all().filter(|function| function.name.to_lowercase().contains(&part)).collect()
            }
        },
    };
    found.sort_by_key(|function| function.name);
    found
}

/// One function with its parameters.
pub(super) fn function_text(function: &func::Function, paint: Paint) -> String {
    let mut text = format!("{}\n  {}\n", paint.ottl(&catalog::signature(function)), function.help);
    for (name, kind, optional) in catalog::parameters(function) {
        let optional = if optional { ", may be left out" } else { "" };
        text += &format!("  {}: {kind}{optional}\n", paint.value(&name));
    }
    if let Some(what) = catalog::depends_on(function) {
        text += &format!("  depends on {what}\n");
    }
    if !function.contexts.is_empty() {
        let contexts: Vec<&str> = function.contexts.iter().map(|context| context.name()).collect();
        text += &format!("  only in context {}\n", contexts.join(", "));
    }
    text
}

fn function_json(function: &func::Function) -> Json {
    let parameters: Vec<Json> = catalog::parameters(function)
        .map(|(name, kind, optional)| json!({ "name": name, "type": kind, "optional": optional }))
        .collect();
    let contexts: Vec<&str> = function.contexts.iter().map(|context| context.name()).collect();
    json!({
        "name": function.name,
        "signature": catalog::signature(function),
        "parameters": parameters,
        "returns": function.returns.name(),
        "help": function.help,
        "depends_on": catalog::depends_on(function),
        "contexts": contexts,
    })
}

pub(super) fn paths(args: &PathsArgs, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Error> {
    let contexts: Vec<Context> = match args.context {
        Some(context) => vec![context.context()],
        None => catalog::CONTEXTS.to_vec(),
    };
    let part = args.name.as_deref().unwrap_or_default().to_lowercase();
    let mut listed = Vec::new();
    let mut found = false;
    for context in contexts {
        // Without a context each path is listed once, where it is at home.
        let paths: Vec<_> = catalog::paths(context)
            .into_iter()
            .filter(|info| args.context.is_some() || info.own)
            .filter(|info| info.path.to_lowercase().contains(&part))
            .collect();
        let enums: Vec<_> =
            catalog::enums(context).iter().filter(|(name, _)| name.to_lowercase().contains(&part)).collect();
        found |= !paths.is_empty() || !enums.is_empty();
        if json {
            let paths: Vec<Json> = paths.iter().map(path_json).collect();
            let enums: Vec<Json> =
                enums.iter().map(|(name, number)| json!({ "name": name, "value": number })).collect();
            listed.push(json!({ "context": context.name(), "paths": paths, "enums": enums }));
            continue;
        }
        if paths.is_empty() && enums.is_empty() {
            continue;
        }
        writeln!(out, "{}", paint.heading(&format!("context {}", context.name())))?;
        for info in &paths {
            let keys = if info.keys { "[..]" } else { "" };
            row(out, &format!("  {}{keys}: {}", info.path, info.ty.name()), info.help, PATH_COLUMN, paint)?;
        }
        for (name, number) in enums {
            row(out, &format!("  {name}"), &number.to_string(), PATH_COLUMN, paint)?;
        }
    }
    if !found {
        return Err(Error::Unknown(format!("no path or enum symbol contains {part:?}")));
    }
    if json {
        writeln!(out, "{:#}", json!(listed))?;
    }
    Ok(())
}

fn path_json(info: &catalog::PathInfo) -> Json {
    json!({ "path": info.path, "type": info.ty.name(), "keys": info.keys, "own": info.own, "help": info.help })
}

const PATH_COLUMN: usize = 52;
/// Signatures beyond this have their help on a line of its own.
const MAX_COLUMN: usize = 72;

fn row(out: &mut dyn Write, name: &str, help: &str, width: usize, paint: Paint) -> std::io::Result<()> {
    let painted = paint.ottl(name);
    if name.len() > width {
        return writeln!(out, "{painted}\n{:width$}  {}", "", paint.dim(help));
    }
    writeln!(out, "{painted}{:pad$}  {}", "", paint.dim(help), pad = width - name.len())
}
