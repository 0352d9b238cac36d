//! File tests: one text file per idea, one snapshot per file with every stage that its header asks for, and rows that each
//! engine must answer as written. Lines at the head of a file that start with `;;!` are directives:
//!
//! - `;;! context = "span"` (default), `;;! mode = "legacy"` (default), `"prefixed"` or `"auto"`;
//! - `;;! print = "ast, ir, layout, clif"` (default: `ir`);
//! - paragraphs are conditions of one program;
//! - `;;! run` starts the rows: `{ span } => answer, answer ..`, one answer a condition.

#![allow(clippy::unwrap_used, reason = "damage to the files of a test must stop it")]

mod input;

use std::{fmt::Write as _, fs};

use ottl::{Context, Engine, Options, Outcome, PathMode, ProgramBuilder};

/// Whatever answers, answers the same.
/// Stages are printed of the first.
const ENGINES: [Engine; 2] = [Engine::Jit, Engine::Interpreter];

#[test]
fn files() {
    insta::glob!("../../filetests", "*/*.ottl", |path| {
        let folder = path.parent().and_then(|parent| parent.file_name()).unwrap().to_str().unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let report = check(&fs::read_to_string(path).unwrap());
        insta::with_settings!({
            snapshot_path => "../../filetests/snapshots",
            prepend_module_to_snapshot => false,
            snapshot_suffix => "",
            omit_expression => true,
        }, {
            insta::assert_snapshot!(format!("{folder}__{name}"), report);
        });
    });
}

struct File<'t> {
    context: Context,
    mode: PathMode,
    print: Vec<&'t str>,
    texts: Vec<&'t str>,
    rows: Vec<&'t str>,
}

impl<'t> File<'t> {
    fn read(file: &'t str) -> Self {
        let mut read =
            Self { context: Context::Span, mode: PathMode::Legacy, print: vec!["ir"], texts: vec![], rows: vec![] };
        let (head, rows) = file.split_once(";;! run\n").unwrap_or((file, ""));
        let mut body = head;
        while let Some(rest) = body.strip_prefix(";;! ") {
            let (line, rest) = rest.split_once('\n').unwrap();
            read.directive(line);
            body = rest;
        }
        read.texts = body.trim().split("\n\n").map(str::trim).collect();
        read.rows = rows.lines().filter(|line| !line.trim().is_empty()).collect();
        read
    }

    fn directive(&mut self, line: &'t str) {
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("directive without value: {line}"));
        let value = value.trim().trim_matches('"');
        match key {
            "print" => self.print = value.split(", ").collect(),
            "context" => {
                self.context = match value {
                    "span" => Context::Span,
                    "spanevent" => Context::SpanEvent,
                    "scope" => Context::Scope,
                    "resource" => Context::Resource,
                    "metric" => Context::Metric,
                    "datapoint" => Context::DataPoint,
                    "log" => Context::Log,
                    other => panic!("context {other}"),
                }
            }
            "mode" => {
                self.mode = match value {
                    "legacy" => PathMode::Legacy,
                    "prefixed" => PathMode::Prefixed,
                    "auto" => PathMode::AutoPrefix,
                    other => panic!("mode {other}"),
                }
            }
            other => panic!("directive {other}"),
        }
    }
}

fn check(text: &str) -> String {
    let file = File::read(text);
    let mut report = String::new();
    for (at, engine) in ENGINES.into_iter().enumerate() {
        let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
        let mut conditions = Vec::new();
        let mut refused = String::new();
        for text in &file.texts {
            match builder.add(text, file.context, file.mode) {
                Ok(condition) => conditions.push(condition),
                Err(errors) => errors.iter().for_each(|error| refused.push_str(&error.render(text, false))),
            }
        }
        if !refused.is_empty() {
            assert!(file.rows.is_empty(), "a refused text has no answers:\n{refused}");
            return refused;
        }
        let program = builder.build().unwrap();
        if at == 0 {
            for stage in &file.print {
                writeln!(report, "== {stage}").unwrap();
                match *stage {
                    "ast" => file.texts.iter().for_each(|text| {
                        report.push_str(&grammar::dump::condition(&grammar::parse_condition(text).unwrap()));
                    }),
                    "ir" => conditions.iter().for_each(|&condition| {
                        writeln!(report, "{}", program.print_ir(condition)).unwrap();
                    }),
                    "layout" => report.push_str(&program.print_layout()),
                    "clif" => conditions.iter().for_each(|&condition| {
                        writeln!(report, "{}", program.print_clif(condition)).unwrap();
                    }),
                    other => panic!("stage {other}"),
                }
            }
        }
        for row in &file.rows {
            let (span, expected) = row.rsplit_once("=>").unwrap_or_else(|| panic!("row without answer: {row}"));
            let input = input::Input::read(span);
            let mut frame = program.frame();
            program.load_resource(&mut frame, &input.resource, &input.resource_schema);
            program.load_scope(&mut frame, &input.scope, &input.scope_schema);
            program.load_span(&mut frame, &input.span);
            program.load_event(&mut frame, &input.event);
            let answers: Vec<String> = conditions
                .iter()
                .map(|&condition| match program.eval(&frame, condition) {
                    Outcome::True => "true".to_owned(),
                    Outcome::False => "false".to_owned(),
                    Outcome::Error(error) => format!("error {error:?}"),
                })
                .collect();
            assert_eq!(answers.join(", "), expected.trim(), "{engine:?}: {row}");
        }
    }
    report
}
