//! `explain`: one condition through all stages: words, syntax tree, types, slots, code.

use std::io::Write;

use clap::Args as ClapArgs;
use ottl::{Context, ProgramBuilder};
use serde_json::json;

use super::paint::Paint;
use super::question::{Reading, Signals, mistakes, mistakes_json};
use super::{Error, words};

/// Arguments of `explain`.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct Args {
    /// The condition
    condition: String,
    #[command(flatten)]
    reading: Reading,
    /// Show the machine code of this host, too
    #[arg(long)]
    asm: bool,
}

/// A condition seen through.
struct Explanation {
    context: Context,
    words: String,
    tree: String,
    types: String,
    slots: String,
    tests: Vec<(String, Vec<ottl::NativeCall>)>,
    clif: String,
    assembly: Option<(String, usize)>,
}

pub(super) fn run(args: &Args, json: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Error> {
    let text = args.condition.as_str();
    let context = args.reading.context(text, Signals::default());
    let explanation = match Explanation::of(text, context, &args.reading, args.asm) {
        Ok(explanation) => explanation,
        Err(errors) => {
            if json {
                writeln!(out, "{:#}", mistakes_json(text, &errors))?;
            }
            return Err(mistakes(text, &errors, paint));
        }
    };
    match json {
        true => writeln!(out, "{:#}", explanation.json(text))?,
        false => explanation.print(text, paint, out)?,
    }
    Ok(())
}

/// The whole explanation as text, for the prompt.
pub(super) fn text(text: &str, context: Context, reading: &Reading, paint: Paint) -> Result<String, Error> {
    let explanation =
        Explanation::of(text, context, reading, false).map_err(|errors| mistakes(text, &errors, paint))?;
    let mut out = Vec::new();
    explanation.print(text, paint, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

impl Explanation {
    fn of(text: &str, context: Context, reading: &Reading, asm: bool) -> Result<Self, Vec<ottl::Error>> {
        let mut builder = ProgramBuilder::new(reading.options());
        let condition = builder.add(text, context, reading.mode())?;
        let program = builder.build().map_err(|error| vec![error])?;
        // It was parsed once, so it parses again.
        let tree = grammar::parse_condition(text)
            .map_err(|errors| errors.into_iter().map(ottl::Error::from).collect::<Vec<_>>())?;
        Ok(Self {
            context,
            words: words::sentence(&tree, context),
            tree: grammar::dump::condition(&tree),
            types: program.print_ir(condition),
            slots: program.print_layout(),
            tests: program.native_tests(condition),
            clif: program.print_clif(condition),
            assembly: asm.then(|| program.print_assembly(condition)).flatten(),
        })
    }

    fn json(&self, text: &str) -> serde_json::Value {
        let tests: Vec<_> = self
            .tests
            .iter()
            .map(|(test, calls)| {
                let calls: Vec<_> =
                    calls.iter().map(|call| json!({ "helper": call.helper, "work": call.work })).collect();
                json!({ "test": test, "inline": calls.is_empty(), "calls": calls })
            })
            .collect();
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let mut value = json!({
            "condition": text,
            "context": self.context.name(),
            "words": self.words,
            "tree": lines(&self.tree),
            "types": lines(&self.types),
            "slots": lines(&self.slots),
            "tests": tests,
            "clif": lines(&self.clif),
        });
        if let Some((assembly, bytes)) = &self.assembly {
            value["assembly"] = json!(lines(assembly));
            value["code_bytes"] = json!(bytes);
        }
        value
    }

    fn print(&self, text: &str, paint: Paint, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{}", paint.ottl(text))?;
        writeln!(out, "{}\n", paint.bold(&self.words))?;
        let heading = |title: &str, note: &str| {
            let note = if note.is_empty() { String::new() } else { paint.dim(&format!("  {note}")) };
            format!("{}{note}", paint.heading(title))
        };
        writeln!(out, "{}", heading("syntax tree", "with the bytes of the text that each part takes"))?;
        indented(out, &self.tree)?;
        writeln!(out, "\n{}", heading("types", "after folding; equal parts once"))?;
        indented(out, &self.types)?;
        if self.slots.is_empty() {
            writeln!(out, "\n{}", heading("slots", "none: nothing is read"))?;
        } else {
            let note = match self.slots.lines().any(|line| line.starts_with("kept ")) {
                true => "what is read, with its place in the frame and what fills it; kept: what is found out once",
                false => "what is read, with its place in the frame and what fills it",
            };
            writeln!(out, "\n{}", heading("slots", note))?;
            indented(out, &self.slots)?;
        }
        if self.clif.is_empty() {
            writeln!(out, "\n{}", heading("code", "this host has no code generator; the interpreter answers"))?;
            return Ok(());
        }
        writeln!(out, "\n{}", heading("tests", "in order; what is not inline calls a helper of the runtime"))?;
        for (test, calls) in &self.tests {
            let how = if calls.is_empty() { paint.good("inline") } else { paint.number("called") };
            writeln!(out, "  {how}  {}", paint.ottl(test))?;
            for call in calls {
                writeln!(out, "          {}: {}", paint.value(call.helper), call.work)?;
            }
        }
        writeln!(out, "\n{}", heading("code", "Cranelift's, before optimisation"))?;
        indented(out, &self.clif)?;
        if let Some((assembly, bytes)) = &self.assembly {
            writeln!(out, "\n{}", heading("machine code", &format!("of this host, {bytes} bytes")))?;
            indented(out, assembly)?;
        }
        Ok(())
    }
}

fn indented(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    text.lines().try_for_each(|line| if line.is_empty() { writeln!(out) } else { writeln!(out, "  {line}") })
}
