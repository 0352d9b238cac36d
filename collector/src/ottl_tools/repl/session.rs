//! What the prompt knows, and its answer to each line. Does no input or output but reading the files it is told to load.

use std::fmt::Write as _;

use clap::ValueEnum as _;
use ottl::Context;
use ottl::trace::{Answer, Tracer};
use serde_json::json;

use super::super::answer::{Counts, lines, painted, trace_json};
use super::super::input::{self, Item, Sample};
use super::super::names;
use super::super::paint::Paint;
use super::super::question::{ContextName, Reading, Signals, mistakes, mistakes_json};
use super::super::{Error, explain, words};

/// Answers that are listed one by one.
const LISTED: usize = 20;

/// A conversation.
pub(super) struct Session {
    pub(super) reading: Reading,
    pub(super) samples: Vec<Sample>,
    json: bool,
    paint: Paint,
    /// The last text that was asked, for `:why`.
    last: String,
}

/// What a line gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// What to print; may be empty.
    Text(String),
    /// Nothing more is wanted.
    End,
}

/// Commands with what they do.
pub(super) const COMMANDS: [(&str, &str); 9] = [
    (":load FILE", "ask conditions of this telemetry, too"),
    (":list", "list what conditions are asked of"),
    (":context NAME", "ask once a span, spanevent, resource, scope, ..; without a name the paths decide"),
    (":why [N]", "the reasons of the last answer, for the Nth it was asked of or the first"),
    (":explain COND", "how a condition is understood and what it becomes"),
    (":functions [NAME]", "functions, or one of them"),
    (":paths [NAME]", "paths and enum symbols"),
    (":help", "this list"),
    (":quit", "end, as Ctrl-D does"),
];

impl Session {
    pub(super) fn new(reading: Reading, json: bool, paint: Paint) -> Self {
        Self { reading, samples: Vec::new(), json, paint, last: String::new() }
    }

    pub(super) fn paint(&self) -> Paint {
        self.paint
    }

    /// Adds the traces of a file.
    pub(super) fn load(&mut self, path: &str) -> Result<String, Error> {
        let sample = input::read(path)?;
        let what = sample.description();
        self.samples.push(sample);
        Ok(format!("{what} of {path}\n"))
    }

    /// Answers one line.
    pub(super) fn enter(&mut self, line: &str) -> Reply {
        let line = line.trim();
        if matches!(line, ":quit" | ":q" | ":exit") {
            return Reply::End;
        }
        let answer = match line.strip_prefix(':') {
            Some(command) => self.command(command),
            None if line.is_empty() => return Reply::Text(String::new()),
            None => self.ask(line),
        };
        Reply::Text(match answer {
            Ok(text) => text,
            Err(error) if self.json => format!("{}\n", json!({ "error": error.to_string() })),
            Err(error) => format!("{error}\n"),
        })
    }

    fn command(&mut self, command: &str) -> Result<String, Error> {
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let argument = argument.trim();
        match name {
            "load" if argument.is_empty() => Err(Error::Unknown("which file? :load FILE".to_owned())),
            "load" => self.load(argument),
            "list" => Ok(self.list()),
            "context" => self.context(argument),
            "why" => self.why(argument),
            "explain" => {
                let text = if argument.is_empty() { self.last.clone() } else { argument.to_owned() };
                explain::text(&text, self.reading.context(&text, self.signals()), &self.reading, self.paint)
            }
            "functions" => {
                self.names(|out, paint, json| names::functions(&names::FunctionsArgs::of(argument), json, paint, out))
            }
            "paths" => {
                let context = self.reading.context;
                self.names(|out, paint, json| names::paths(&names::PathsArgs::of(argument, context), json, paint, out))
            }
            "help" | "h" | "?" => Ok(self.help()),
            other => Err(Error::Unknown(format!("there is no command :{other}; see :help"))),
        }
    }

    fn names(&self, print: impl FnOnce(&mut Vec<u8>, Paint, bool) -> Result<(), Error>) -> Result<String, Error> {
        let mut out = Vec::new();
        print(&mut out, self.paint, self.json)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    fn help(&self) -> String {
        let mut text = "A line is a condition, or a value such as `attributes[\"http.route\"]`. Commands:\n".to_owned();
        for (command, help) in COMMANDS {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {:<18} {}", command, self.paint.dim(help));
        }
        text
    }

    fn context(&mut self, name: &str) -> Result<String, Error> {
        if name.is_empty() {
            self.reading.context = None;
            return Ok("conditions are asked of what their paths name\n".to_owned());
        }
        match ContextName::from_str(name, true) {
            Ok(context) => {
                self.reading.context = Some(context);
                Ok(format!("conditions are asked of {}\n", words::things(context.context())))
            }
            _ => Err(Error::Unknown(format!("there is no context {name:?}"))),
        }
    }

    /// The text as a condition; as a value if it is one and no condition.
    fn tracer(&self, text: &str) -> Result<(Tracer, Context), Vec<ottl::Error>> {
        let context = self.reading.context(text, self.signals());
        if grammar::parse_condition(text).is_err() && grammar::parse_value(text).is_ok() {
            let context = self.reading.context.map_or_else(|| self.value_context(text), ContextName::context);
            return Tracer::of_value(text, context, self.reading.mode(), &self.reading.options())
                .map(|tracer| (tracer, context));
        }
        self.reading.tracer(text, context).map(|tracer| (tracer, context))
    }

    /// What a value's paths name, as for conditions.
    fn value_context(&self, text: &str) -> Context {
        self.reading.context(&format!("{text} == nil"), self.signals())
    }

    fn ask(&mut self, text: &str) -> Result<String, Error> {
        let (tracer, context) = match self.tracer(text) {
            Ok(found) => found,
            Err(errors) if self.json => return Ok(format!("{}\n", mistakes_json(text, &errors))),
            Err(errors) => return Err(mistakes(text, &errors, self.paint)),
        };
        self.last = text.to_owned();
        let mut counts = Counts::default();
        let mut listed = Vec::new();
        self.visit(&tracer, context, &mut |item, answer, _| {
            counts.add(&answer);
            if listed.len() < LISTED {
                listed.push((item, answer));
            }
        });
        if self.json {
            let answers: Vec<_> = listed
                .iter()
                .map(|(item, answer)| {
                    let mut line = item.json();
                    line["answer"] = json!(answer.to_string());
                    line["kind"] = json!(answer.kind());
                    line
                })
                .collect();
            let value =
                json!({ "text": text, "context": context.name(), "summary": counts.json(), "answers": answers });
            return Ok(format!("{value}\n"));
        }
        let mut out = String::new();
        if let Ok(tree) = grammar::parse_condition(text) {
            let _ = writeln!(out, "{}", self.paint.dim(&words::sentence(&tree, context)));
        }
        if counts.all() == 0 {
            let what = words::things(context);
            let _ = writeln!(out, "understood; there are no {what} to ask, :load FILE reads some");
            return Ok(out);
        }
        for (item, answer) in &listed {
            let _ = writeln!(out, "  {}  {}", painted(answer, self.paint), self.paint.dim(&item.title(context)));
        }
        if counts.all() > listed.len() {
            let _ = writeln!(out, "  .. and {} more", counts.all() - listed.len());
        }
        let things = if counts.all() == 1 { words::thing(context) } else { words::things(context) };
        let _ = writeln!(out, "{} {things}: {}", counts.all(), counts.text(self.paint));
        Ok(out)
    }

    /// What a text is asked of that does not say it.
    pub(super) fn context_otherwise(&self) -> Context {
        self.reading.context("true", self.signals())
    }

    /// What is loaded.
    fn signals(&self) -> Signals {
        self.samples.iter().fold(Signals::default(), |all, sample| all.and(sample.signals()))
    }

    fn visit(&self, tracer: &Tracer, context: Context, each: &mut dyn FnMut(Item, Answer, &ottl::Frame<'_>)) {
        let mut number = 0;
        for sample in &self.samples {
            let visited =
                sample.visit(tracer.program(), context, &mut |frame, item| -> Result<(), std::convert::Infallible> {
                    number += 1;
                    each(Item { number, ..item }, tracer.answer(frame), frame);
                    Ok(())
                });
            let Ok(()) = visited;
        }
    }

    fn why(&self, argument: &str) -> Result<String, Error> {
        if self.last.is_empty() {
            return Err(Error::Unknown("nothing was asked yet".to_owned()));
        }
        let wanted = match argument.parse::<usize>() {
            Ok(number) => number,
            Err(_) if argument.is_empty() => 1,
            Err(_) => return Err(Error::Unknown(format!("expected a number behind :why, got {argument:?}"))),
        };
        let (tracer, context) = self.tracer(&self.last).map_err(|errors| mistakes(&self.last, &errors, self.paint))?;
        let mut found = None;
        self.visit(&tracer, context, &mut |item, _, frame| {
            if item.number == wanted {
                found = Some((item, tracer.trace(frame)));
            }
        });
        match found {
            Some((item, trace)) if self.json => {
                let mut line = item.json();
                line["trace"] = trace_json(&trace);
                Ok(format!("{line}\n"))
            }
            Some((item, trace)) => Ok(format!("{}\n{}", item.title(context), lines(&trace, 1, self.paint))),
            None => Err(Error::Unknown(format!("there is no {} {wanted}", words::thing(context)))),
        }
    }

    fn list(&self) -> String {
        let context = self.context_otherwise();
        let Ok(tracer) = self.reading.tracer("true", context) else { return String::new() };
        let mut out = String::new();
        self.visit(&tracer, context, &mut |item, _, _| {
            let _ = writeln!(out, "  {}", item.title(context));
        });
        if out.is_empty() { "nothing is loaded; :load FILE reads traces, metrics or logs\n".to_owned() } else { out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACES: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[
      {"name":"pay","kind":2,"attributes":[{"key":"http.route","value":{"stringValue":"/pay"}}],"events":[{"name":"retry"}]},
      {"name":"health"}]}]}]}"#;

    fn session(json: bool) -> Session {
        let mut session = Session::new(Reading::default(), json, Paint::PLAIN);
        session.samples.push(input::parse("traces", TRACES.as_bytes()).expect("traces"));
        session
    }

    fn talk(session: &mut Session, lines: &[&str]) -> String {
        lines
            .iter()
            .map(|line| match session.enter(line) {
                Reply::Text(text) => format!("> {line}\n{text}"),
                Reply::End => format!("> {line}\n(end)\n"),
            })
            .collect()
    }

    #[test]
    fn a_conversation() {
        let lines = [
            r#"name == "pay""#,
            ":why",
            ":why 2",
            ":why 7",
            r#"attributes["http.route"]"#,
            "spanevent.name",
            "nam",
            "kind = 2",
            ":context resource",
            r#"attributes["service.name"] == "shop""#,
            ":context",
            ":context nope",
            ":list",
            ":functions IsRootSpan",
            ":paths status.code",
            ":load /nonexistent",
            ":nope",
            ":help",
            "",
            ":quit",
        ];
        insta::assert_snapshot!(talk(&mut session(false), &lines));
    }

    #[test]
    fn without_a_sample_texts_are_only_checked() {
        let mut session = Session::new(Reading::default(), false, Paint::PLAIN);
        insta::assert_snapshot!(talk(&mut session, &["IsRootSpan()", ":why", ":list", "IsRoot()"]));
    }

    #[test]
    fn for_scripts() {
        insta::assert_snapshot!(talk(&mut session(true), &[r#"name == "pay""#, ":why 2", "nam == 1", ":nope"]));
    }
}
