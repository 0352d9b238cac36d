//! `eval`: a condition asked of every span (event, resource, ..) of recorded telemetry, with its reasons.

use std::io::Write;

use clap::{Args as ClapArgs, ValueEnum};
use ottl::trace::Answer;
use serde_json::json;

use super::answer::{Counts, lines, painted, trace_json};
use super::paint::Paint;
use super::question::{Reading, Signals, mistakes, mistakes_json};
use super::{Error, input, progress, words};

/// Arguments of `eval`.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct Args {
    /// The condition
    condition: String,
    /// Traces, metrics or logs: OTLP/JSON, one request or one a line, or OTLP protobuf; `-` is standard input
    #[arg(long, short, value_name = "FILE", required = true)]
    input: Vec<String>,
    #[command(flatten)]
    reading: Reading,
    /// Show only what the condition answers with this
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Show only how many there are of each answer
    #[arg(long)]
    summary: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    True,
    False,
    Error,
}

impl Only {
    fn takes(self, answer: &Answer) -> bool {
        match self {
            Self::True => *answer == Answer::Bool(true),
            Self::False => *answer == Answer::Bool(false),
            Self::Error => matches!(answer, Answer::Error(_)),
        }
    }
}

pub(super) fn run(args: &Args, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Error> {
    let text = args.condition.as_str();
    let samples = args.input.iter().map(|path| input::read(path)).collect::<Result<Vec<_>, _>>()?;
    let signals = samples.iter().fold(Signals::default(), |all, sample| all.and(sample.signals()));
    let context = args.reading.context(text, signals);
    let tracer = match args.reading.tracer(text, context) {
        Ok(tracer) => tracer,
        Err(errors) => {
            if json {
                writeln!(out, "{:#}", mistakes_json(text, &errors))?;
            }
            return Err(mistakes(text, &errors, paint));
        }
    };
    let mut counts = Counts::default();
    for sample in &samples {
        // What prints every answer shows its progress by that.
        let silent = args.summary || args.only.is_some();
        let bar = progress::bar(if silent { sample.item_count() } else { 0 });
        sample.visit(tracer.program(), context, &mut |frame, mut item| -> Result<(), Error> {
            item.number = counts.all() + 1;
            let answer = tracer.answer(frame);
            counts.add(&answer);
            if counts.all().is_multiple_of(4096) {
                bar.inc(4096);
            }
            if args.summary || args.only.is_some_and(|only| !only.takes(&answer)) {
                return Ok(());
            }
            let trace = tracer.trace(frame);
            if json {
                let mut line = item.json();
                line["answer"] = json!(answer.kind());
                line["trace"] = trace_json(&trace);
                writeln!(out, "{line}")?;
            } else {
                writeln!(out, "{}: {}", paint.bold(&item.title(context)), painted(&answer, paint))?;
                writeln!(out, "{}", lines(&trace, 1, paint))?;
            }
            Ok(())
        })?;
        bar.finish_and_clear();
    }
    if json {
        writeln!(out, "{}", json!({ "summary": counts.json(), "context": context.name(), "condition": text }))?;
    } else {
        let things = if counts.all() == 1 { words::thing(context) } else { words::things(context) };
        writeln!(out, "{} {things}: {}", counts.all(), counts.text(paint))?;
    }
    Ok(())
}
