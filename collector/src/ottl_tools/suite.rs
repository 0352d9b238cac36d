//! `test`: users' own tests of conditions. A YAML file names conditions, spans and the answers expected; a test without
//! expected answers compares with answers that were accepted before, kept beside the file.

mod file;
mod snapshot;

use std::io::Write;

use clap::Args as ClapArgs;
use ottl::trace::{Answer, Trace};
use serde_json::{Value as Json, json};

use super::answer::lines;
use super::input::Item;
use super::paint::Paint;
use super::question::Signals;
use super::{Error, input};
use file::{Case, Expected, Suite};
use snapshot::Accepted;

/// Arguments of `test`.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct Args {
    /// Files of tests
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Take the answers of tests without expected ones as right from now on
    #[arg(long)]
    accept: bool,
}

/// What became of one test.
struct Outcome {
    name: String,
    asked: usize,
    /// Why it failed, ready to be shown.
    failures: Vec<String>,
    /// Its answers were accepted in this run.
    accepted: bool,
}

pub(super) fn run(args: &Args, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Error> {
    let (mut passed, mut failed) = (0, 0);
    let mut reports = Vec::new();
    for path in &args.files {
        let text = std::fs::read_to_string(path).map_err(|cause| input::Error::File { path: path.clone(), cause })?;
        let (outcomes, problems) = match Suite::read(path, text) {
            Ok(suite) => (run_suite(&suite, args.accept, paint)?, String::new()),
            Err(problems) => (Vec::new(), problems),
        };
        let good = outcomes.iter().filter(|outcome| outcome.failures.is_empty()).count();
        passed += good;
        failed += outcomes.len() - good + usize::from(!problems.is_empty());
        if json {
            reports.push(report_json(path, &outcomes, &problems));
        } else {
            print(path, &outcomes, &problems, paint, out)?;
        }
    }
    if json {
        writeln!(out, "{:#}", json!({ "passed": passed, "failed": failed, "files": reports }))?;
    } else {
        let failures = format!("{failed} failed");
        let failures = if failed > 0 { paint.bad(&failures) } else { failures };
        writeln!(out, "{}, {failures}", paint.good(&format!("{passed} passed")))?;
    }
    match failed {
        0 => Ok(()),
        1 => Err(Error::Failed("1 test failed".to_owned())),
        n => Err(Error::Failed(format!("{n} tests failed"))),
    }
}

fn print(path: &str, outcomes: &[Outcome], problems: &str, paint: Paint, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}", paint.bold(path))?;
    if !problems.is_empty() {
        writeln!(out, "  {}  {}", paint.bad("FAIL"), problems.replace('\n', "\n        "))?;
    }
    for outcome in outcomes {
        let name = &outcome.name;
        if outcome.failures.is_empty() {
            let answers = if outcome.asked == 1 { "answer" } else { "answers" };
            let accepted = if outcome.accepted { ", accepted" } else { "" };
            let note = paint.dim(&format!("({} {answers}{accepted})", outcome.asked));
            writeln!(out, "  {}    {name} {note}", paint.good("ok"))?;
            continue;
        }
        writeln!(out, "  {}  {name}", paint.bad("FAIL"))?;
        for failure in &outcome.failures {
            for line in failure.lines() {
                writeln!(out, "        {line}")?;
            }
        }
    }
    Ok(())
}

fn report_json(path: &str, outcomes: &[Outcome], problems: &str) -> Json {
    let tests: Vec<Json> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "name": outcome.name,
                "passed": outcome.failures.is_empty(),
                "answers": outcome.asked,
                "accepted": outcome.accepted,
                "failures": outcome.failures,
            })
        })
        .collect();
    let problems: Vec<&str> = if problems.is_empty() { Vec::new() } else { vec![problems] };
    json!({ "file": path, "problems": problems, "tests": tests })
}

fn run_suite(suite: &Suite, accept: bool, paint: Paint) -> Result<Vec<Outcome>, Error> {
    let mut accepted = Accepted::read(&suite.path)?;
    let mut outcomes = Vec::new();
    for case in &suite.cases {
        let outcome = run_case(suite, case, accept, &mut accepted, paint);
        // What was accepted for a test that could not be asked must not be lost.
        if outcome.asked == 0 {
            accepted.keep(&case.name);
        }
        outcomes.push(outcome);
    }
    let stale = accepted.unused();
    if accept {
        accepted.write(&suite.path)?;
    } else if !stale.is_empty() {
        outcomes.push(Outcome {
            name: "accepted answers".to_owned(),
            asked: 0,
            failures: vec![format!("are kept for tests that are not there: {}; run with --accept", stale.join(", "))],
            accepted: false,
        });
    }
    Ok(outcomes)
}

fn run_case(suite: &Suite, case: &Case, accept: bool, accepted: &mut Accepted, paint: Paint) -> Outcome {
    let mut outcome = Outcome { name: case.name.clone(), asked: 0, failures: Vec::new(), accepted: false };
    let samples = suite.samples(case);
    let signals = samples.iter().fold(Signals::default(), |all, (_, sample)| all.and(sample.signals()));
    let context = case.reading.context(&case.condition, signals);
    let tracer = match case.reading.tracer(&case.condition, context) {
        Ok(tracer) => tracer,
        Err(errors) => {
            let place = suite.place(&format!("{}::condition", case.path));
            for error in errors {
                let text = error.render(&case.condition, paint.on);
                outcome.failures.push(format!("{}\n  --> {place}", text.trim_end()));
            }
            return outcome;
        }
    };
    let mut answers: Vec<(String, Item, Trace)> = Vec::new();
    for (name, sample) in samples {
        let visited =
            sample.visit(tracer.program(), context, &mut |frame, item| -> Result<(), std::convert::Infallible> {
                answers.push((name.to_owned(), item, tracer.trace(frame)));
                Ok(())
            });
        let Ok(()) = visited;
    }
    outcome.asked = answers.len();
    if answers.is_empty() {
        outcome.failures.push(format!("there is no {} to ask", super::words::thing(context)));
        return outcome;
    }
    let title = |name: &str, item: &Item| match name {
        "" => item.title(context),
        name if context == ottl::Context::Span => format!("span {name:?}"),
        name => format!("{} of span {name:?}", item.title(context)),
    };
    match &case.expected {
        Some(expected) => {
            for (index, (name, item, trace)) in answers.iter().enumerate() {
                let wanted = expected.of(name, item.number, index);
                if let Some(difference) = wanted.and_then(|wanted| difference(&wanted, &trace.answer)) {
                    let reasons = lines(trace, 1, paint);
                    outcome.failures.push(format!("{}: {difference}\n{}", title(name, item), reasons.trim_end()));
                }
            }
            outcome
                .failures
                .extend(expected.left_over(
                    &answers.iter().map(|(name, item, _)| (name.as_str(), item.number)).collect::<Vec<_>>(),
                ));
        }
        None => {
            let mut now = format!("condition: {}\n", tracer_text(&answers));
            for (name, item, trace) in &answers {
                now += &format!("{}: {}\n{}", title(name, item), trace.answer, trace_lines(trace));
            }
            match accepted.compare(&case.name, &now, accept) {
                snapshot::Match::Same => {}
                snapshot::Match::Accepted => outcome.accepted = true,
                snapshot::Match::Missing => outcome.failures.push(
                    "no expected answers, and none were accepted yet; look at them and run with --accept:\n".to_owned()
                        + &now,
                ),
                snapshot::Match::Different(before) => {
                    let diff = snapshot::diff(&before, &now, paint);
                    outcome.failures.push(format!("differs from what was accepted (-) now (+):\n{diff}"));
                }
            }
        }
    }
    outcome
}

fn tracer_text(answers: &[(String, Item, Trace)]) -> &str {
    answers.first().map_or("", |(_, _, trace)| &trace.text)
}

/// The reasons below the answer itself.
fn trace_lines(trace: &Trace) -> String {
    trace.parts.iter().map(|part| lines(part, 1, Paint { on: false })).collect()
}

/// What to say if an answer is not the one wanted.
fn difference(wanted: &Expected, answer: &Answer) -> Option<String> {
    let fits = match (wanted, answer) {
        (Expected::Bool(wanted), Answer::Bool(flag)) => wanted == flag,
        (Expected::AnyError, Answer::Error(_)) => true,
        (Expected::Error(text), Answer::Error(error)) => error.to_string().contains(text.as_str()),
        _ => false,
    };
    (!fits).then(|| format!("expected {wanted}, got {answer}"))
}
