//! What could stand at the cursor: commands, paths, enum symbols, functions, and the attribute keys of the loaded sample.

use std::collections::BTreeSet;
use std::convert::Infallible;

use ottl::value::Value;
use ottl::{Context, Options, PathMode, ProgramBuilder, catalog, func};
use pdata::value::lossy;

use super::super::input::Sample;
use super::session::COMMANDS;

/// Names that the loaded sample adds to those of the language: attribute keys of each context.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys([BTreeSet<String>; N_CONTEXTS]);

const N_CONTEXTS: usize = catalog::CONTEXTS.len();

/// Keys of a sample are a help, not an inventory: a hostile file must not fill the memory with them.
const MAX_KEYS: usize = 2000;

impl Keys {
    /// The attribute keys of all samples.
    pub(super) fn of(samples: &[Sample]) -> Self {
        let mut keys = Self::default();
        for (known, context) in keys.0.iter_mut().zip(catalog::CONTEXTS) {
            let mut builder = ProgramBuilder::new(Options::default());
            // Metrics themselves have no attributes.
            let Ok(attributes) = builder.add_value("attributes", context, PathMode::Legacy) else { continue };
            let Ok(program) = builder.build() else { continue };
            for sample in samples {
                let Ok(()) = sample.visit(&program, context, &mut |frame, _| {
                    if let Ok(Value::Map(map)) = program.eval_value(frame, attributes) {
                        let room = MAX_KEYS - known.len();
                        known.extend(map.iter().take(room).map(|(key, _)| lossy(key.as_ref())));
                    }
                    Ok::<(), Infallible>(())
                });
            }
        }
        keys
    }

    fn in_context(&self, context: Context) -> impl Iterator<Item = &String> {
        self.0.iter().zip(catalog::CONTEXTS).filter(move |(_, of)| *of == context).flat_map(|(keys, _)| keys)
    }
}

/// Where the completed text begins, and what it could be.
pub(super) fn complete(line: &str, cursor: usize, context: Context, keys: &Keys) -> (usize, Vec<String>) {
    let Some(before) = line.get(..cursor) else { return (cursor, Vec::new()) };
    if before.starts_with(':') && !before.contains(' ') {
        let commands = COMMANDS.iter().filter_map(|(command, _)| command.split(' ').next());
        return (0, starting(commands.map(str::to_owned), before));
    }
    if let Some((start, owner)) = open_key(before) {
        let found = starting(keys.in_context(named(owner).unwrap_or(context)).cloned(), &before[start..]);
        return (start, found.into_iter().map(|key| format!("{}\"]", escaped(&key))).collect());
    }
    if !quotes(before).is_multiple_of(2) {
        return (cursor, Vec::new());
    }
    let start = last_word(before, |c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    let word = &before[start..];
    let words = ["and", "or", "not", "nil", "true", "false"].map(str::to_owned);
    let paths = catalog::paths(context).into_iter().flat_map(|info| {
        let suffix = if info.keys { "[" } else { "" };
        let short = info.path.strip_prefix(info.prefix).and_then(|rest| rest.strip_prefix('.'));
        let short = short.filter(|_| info.own).map(|short| format!("{short}{suffix}"));
        short.into_iter().chain([format!("{}{suffix}", info.path)])
    });
    let enums = catalog::enums(context).iter().map(|(name, _)| (*name).to_owned());
    let functions = func::all().filter(|function| catalog::is_available(function, context)).map(|function| {
        let end = if function.params.is_empty() { "()" } else { "(" };
        format!("{}{end}", function.name)
    });
    let all: BTreeSet<String> = paths.chain(enums).chain(functions).chain(words).collect();
    (start, starting(all.into_iter(), word))
}

/// The context that paths begin with by this name.
fn named(name: &str) -> Option<Context> {
    let name = if name == "instrumentation_scope" { "scope" } else { name };
    catalog::CONTEXTS.into_iter().find(|context| context.name() == name)
}

/// The context that a line asks about: one that a path of it names and not all share, else what is asked about otherwise.
pub(super) fn asked(line: &str, otherwise: Context) -> Context {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
    let mut named = words.filter_map(|word| named(word.split_once('.')?.0));
    named.rfind(|context| !matches!(context, Context::Resource | Context::Scope)).unwrap_or(otherwise)
}

/// Where the last word of a text begins. What stands before it may be any character, also one of several bytes.
fn last_word(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.char_indices().rev().find(|(_, c)| !belongs(*c)).map_or(0, |(at, c)| at + c.len_utf8())
}

/// Those that start with a text, in any case of letters.
fn starting(candidates: impl Iterator<Item = String>, text: &str) -> Vec<String> {
    candidates
        .filter(|candidate| candidate.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text)))
        .collect()
}

/// Inside `owner.attributes["..`: where the key begins, and the owner, if it is named.
fn open_key(before: &str) -> Option<(usize, &str)> {
    if quotes(before).is_multiple_of(2) {
        return None;
    }
    let quote = before.rfind('"')?;
    let path = before[..quote].strip_suffix('[')?.strip_suffix("attributes")?;
    let owner = path.strip_suffix('.').unwrap_or("");
    let start = last_word(owner, |c| c.is_ascii_alphanumeric() || c == '_');
    Some((quote + 1, &owner[start..]))
}

/// Quotes that begin or end a string.
fn quotes(text: &str) -> usize {
    let mut escaped = false;
    let mut count = 0;
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => count += 1,
            _ => {}
        }
    }
    count
}

fn escaped(key: &str) -> String {
    key.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let mut keys = Keys::default();
        for (own, context) in keys.0.iter_mut().zip(catalog::CONTEXTS) {
            let names: &[&str] = match context {
                Context::Resource => &["service.name", "service.version"],
                Context::Span => &["http.route", "http.status_code", "we\"ird"],
                Context::SpanEvent => &["exception.type"],
                Context::DataPoint => &["le", "quantile"],
                _ => &[],
            };
            own.extend(names.iter().map(|name| (*name).to_owned()));
        }
        keys
    }

    /// The completions at the end of a text, and the text with the first of them.
    fn check(text: &str, context: Context, expected: &[&str]) {
        let (start, found) = complete(text, text.len(), context, &keys());
        assert_eq!(found, expected, "{text}");
        assert!(start <= text.len());
    }

    #[test]
    fn paths_enums_functions() {
        check("status.", Context::Span, &["status.code", "status.message"]);
        check(
            "name == \"x\" and span.kind",
            Context::Span,
            &["span.kind", "span.kind.deprecated_string", "span.kind.string"],
        );
        check("status.code == STATUS_CODE_E", Context::Span, &["STATUS_CODE_ERROR"]);
        check("not isroot", Context::Span, &["IsRootSpan()"]);
        check("isroot", Context::Resource, &[]);
        check("IsMat", Context::Span, &["IsMatch("]);
        check("(spanevent.na", Context::SpanEvent, &["spanevent.name"]);
    }

    #[test]
    fn keys_of_the_sample() {
        check("attributes[\"http.", Context::Span, &["http.route\"]", "http.status_code\"]"]);
        check("resource.attributes[\"", Context::Span, &["service.name\"]", "service.version\"]"]);
        check("attributes[\"", Context::SpanEvent, &["exception.type\"]"]);
        check("attributes[\"we", Context::Span, &["we\\\"ird\"]"]);
        check("name == \"http", Context::Span, &[]);
        check("datapoint.attributes[\"q", Context::Span, &["quantile\"]"]);
        check("attributes[\"", Context::Metric, &[]);
    }

    #[test]
    fn a_line_says_what_it_asks_about() {
        assert_eq!(asked("spanevent.na", Context::Span), Context::SpanEvent);
        assert_eq!(asked("resource.attributes[\"a\"] == log.bo", Context::Span), Context::Log);
        assert_eq!(asked("resource.attributes[\"a\"] == na", Context::DataPoint), Context::DataPoint);
    }

    #[test]
    fn keys_of_every_signal() {
        let metrics = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"a"}}]},"scopeMetrics":[{
            "metrics":[{"name":"up","gauge":{"dataPoints":[{"asInt":"1","attributes":[{"key":"cpu","value":{"intValue":"0"}}]}]}}]}]}]}"#;
        let logs = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","attributes":[{"key":"code.line","value":{"intValue":"3"}}]}]}]}]}"#;
        let samples = [metrics, logs].map(|text| super::super::super::input::parse("-", text.as_bytes()).unwrap());
        let keys = Keys::of(&samples);
        let of = |context| keys.in_context(context).cloned().collect::<Vec<_>>();
        assert_eq!(of(Context::Resource), ["host.name"]);
        assert_eq!(of(Context::DataPoint), ["cpu"]);
        assert_eq!(of(Context::Log), ["code.line"]);
        assert!(of(Context::Span).is_empty());
    }

    #[test]
    fn commands() {
        check(":co", Context::Span, &[":context"]);
        check(
            ":",
            Context::Span,
            &[":load", ":list", ":context", ":why", ":explain", ":functions", ":paths", ":help", ":quit"],
        );
    }

    proptest::proptest! {
        /// Whatever is typed, what comes back replaces text at the cursor.
        #[test]
        fn any_text(line in "[ -~\u{e9}]{0,24}", cursor in 0_usize..26) {
            let (start, found) = complete(&line, cursor, Context::SpanEvent, &keys());
            proptest::prop_assert!(start <= cursor);
            proptest::prop_assert!(found.is_empty() || line.get(start..cursor).is_some());
        }
    }

    #[test]
    fn cursors_anywhere() {
        assert_eq!(complete("na\u{e9}", 3, Context::Span, &keys()), (3, Vec::new()));
        assert_eq!(complete("\u{e9}isroot", 8, Context::Span, &keys()), (2, vec!["IsRootSpan()".to_owned()]));
        assert_eq!(complete("x", 9, Context::Span, &keys()), (9, Vec::new()));
    }
}
