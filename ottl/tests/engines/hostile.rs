//! Any bytes as text and as telemetry: both engines give the same answers, and nothing panics. Shared by a property test and
//! the fuzz target `ottl/fuzz/fuzz_targets/differential.rs`.

use ottl::{
    Context, Engine, ErrorMode, EvalError, Frame, Options, Outcome, PathMode, PointKind, Program, ProgramBuilder,
};

use crate::generate::{self, Random};

const CONTEXTS: [(&str, Context); 7] = [
    ("span", Context::Span),
    ("spanevent", Context::SpanEvent),
    ("resource", Context::Resource),
    ("scope", Context::Scope),
    ("metric", Context::Metric),
    ("datapoint", Context::DataPoint),
    ("log", Context::Log),
];

/// Takes the first nine bytes as a choice of context and of generated conditions, what follows up to a zero byte as a
/// further condition, and the rest as each of the messages that conditions read.
pub(crate) fn check(data: &[u8]) {
    let Some((&[choice, ref seed @ ..], data)) = data.split_first_chunk::<9>() else { return };
    let (name, context) = CONTEXTS[usize::from(choice) % CONTEXTS.len()];
    let mut random = Random::new(u64::from_le_bytes(*seed));
    let mut texts: Vec<String> = (0..4).map(|_| generate::question(&mut random, name, 2)).collect();
    let values: Vec<String> = (0..2).map(|_| generate::expression(&mut random, name, 2)).collect();
    let text = data.split(|&byte| byte == 0).next().unwrap_or_default();
    texts.push(String::from_utf8_lossy(text).into_owned());
    let message = data.get(text.len() + 1..).unwrap_or_default();
    values.iter().for_each(|text| evaluate(text, context, choice, message));
    let [interpreted, native] =
        [Engine::Interpreter, Engine::Jit].map(|engine| answers(&texts, context, engine, choice, message));
    assert_eq!(interpreted, native, "{texts:#?} on {}", message.escape_ascii());
}

/// Values are the interpreter's: that they come to an end is all that is asked.
fn evaluate(text: &str, context: Context, choice: u8, message: &[u8]) {
    let mut builder = ProgramBuilder::new(Options::default());
    let Ok(value) = builder.add_value(text, context, PathMode::AutoPrefix) else { return };
    let Ok(program) = builder.build() else { return };
    let frame = load(&program, choice, message);
    let _: Result<_, EvalError> = program.eval_value(&frame, value);
}

type Heard = Vec<(usize, EvalError)>;

fn answers(
    texts: &[String],
    context: Context,
    engine: Engine,
    choice: u8,
    message: &[u8],
) -> Option<(Vec<Outcome>, Outcome, Heard)> {
    let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
    let mut add = || -> Vec<_> {
        texts.iter().filter_map(|text| builder.add(text, context, PathMode::AutoPrefix).ok()).collect()
    };
    let (alone, listed) = (add(), add());
    let list = builder.list(&listed, ErrorMode::Ignore);
    let program = builder.build().ok()?;
    let frame = load(&program, choice, message);
    let outcomes = alone.iter().map(|&condition| program.eval(&frame, condition)).collect();
    let mut heard = Vec::new();
    let outcome = program.eval_list(&frame, list, &mut |at, error| heard.push((at, error)));
    Some((outcomes, outcome, heard))
}

fn load<'w>(program: &Program, choice: u8, message: &'w [u8]) -> Frame<'w> {
    let mut frame = program.frame();
    program.load_resource(&mut frame, message, b"");
    program.load_scope(&mut frame, message, message);
    program.load_span(&mut frame, message);
    program.load_event(&mut frame, message);
    program.load_metric(&mut frame, message);
    program.load_data_point(&mut frame, PointKind::ALL[usize::from(choice >> 3) % 4], message);
    program.load_log(&mut frame, message);
    frame
}
