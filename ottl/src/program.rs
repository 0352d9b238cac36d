//! What callers hold: a program, its options and its answers. Its [builder](ProgramBuilder) takes texts.

use std::{fmt, sync::Arc};

use crate::{
    error::EvalError,
    extract::Extractor,
    frame::{Frame, Slot},
    interp::Interpreter,
    ir::{Ir, NodeId},
    jit::{self, Code, ListPlan},
    layout::{Base, Layout, Level, PointKind, SlotId, SlotPath},
    limits::Limits,
    slot::{RawSlot, tag},
    store,
    value::{Value, Zone},
    wire::Range,
};

/// What errors of a condition do to a list of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorMode {
    /// Report the error and go on with the next condition.
    Ignore,
    /// Stop: the list's outcome is the error.
    Propagate,
    /// Go on without a report.
    Silent,
}

/// What answers conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Machine code.
    Jit,
    /// The plain evaluation of the IR.
    Interpreter,
}

/// Gives nanoseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Fills a buffer with random bytes.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// What converters may take from outside. Without a clock `Now()` is refused, without randomness `UUID()` is.
#[derive(Clone, Default)]
pub struct Host {
    /// The time of day.
    pub clock: Option<Clock>,
    /// Randomness.
    pub random: Option<Random>,
    /// The process's zone, which times made without one are shown in.
    pub local_zone: Zone,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("local_zone", &self.local_zone).finish_non_exhaustive()
    }
}

/// Settings of a builder.
#[derive(Clone, Debug)]
pub struct Options {
    /// What answers. [`Engine::Jit`] on a host that has no code generator is the interpreter.
    pub engine: Engine,
    /// Bounds.
    pub limits: Limits,
    /// What converters may take from outside.
    pub host: Host,
}

impl Default for Options {
    fn default() -> Self {
        let engine = if jit::available() { Engine::Jit } else { Engine::Interpreter };
        Self { engine, limits: Limits::default(), host: Host::default() }
    }
}

/// A condition of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConditionId(u32);

/// A value expression of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(u32);

/// A list of conditions of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListId(u32);

/// What a condition, or a list of them, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does not hold.
    False,
    /// It holds.
    True,
    /// It has no answer.
    Error(EvalError),
}

impl From<Result<bool, EvalError>> for Outcome {
    fn from(result: Result<bool, EvalError>) -> Self {
        match result {
            Ok(false) => Self::False,
            Ok(true) => Self::True,
            Err(error) => Self::Error(error),
        }
    }
}

/// A call out of machine code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeCall {
    /// The helper's symbol.
    pub helper: &'static str,
    /// What it is asked to do.
    pub work: String,
}

/// The connection that a request came over. Maps are KeyValueList messages; empty means none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client<'w> {
    /// The peer's address as text.
    pub address: &'w [u8],
    /// Request metadata: lists of strings.
    pub metadata: &'w [u8],
    /// Attributes that authentication gave.
    pub auth: &'w [u8],
    /// Metadata of the incoming gRPC request: lists of strings.
    pub grpc_metadata: &'w [u8],
}

/// Checked conditions with their layout and extraction pass. Shared by all who evaluate.
#[derive(Debug)]
pub struct Program {
    ir: Ir,
    layout: Arc<Layout>,
    conditions: Box<[NodeId]>,
    values: Box<[NodeId]>,
    lists: Vec<ListPlan>,
    /// `None` where the interpreter answers.
    code: Option<Code>,
    slots: Vec<SlotId>,
    client: [(Base, Extractor); 3],
    resource: Extractor,
    scope: Extractor,
    span: Extractor,
    event: Extractor,
    metric: Extractor,
    /// By kind.
    points: [Extractor; 4],
    log: Extractor,
    options: Options,
}

impl Program {
    /// Memory for evaluation. Make one a batch, not one a span.
    #[must_use]
    pub fn frame<'w>(&self) -> Frame<'w> {
        Frame::new(Arc::clone(&self.layout))
    }

    /// Loads the connection. Without it `otelcol.client.addr` is nil and metadata are empty.
    pub fn load_client<'w>(&self, frame: &mut Frame<'w>, client: Client<'w>) {
        self.claim(frame, Level::Client);
        frame.bases[Base::ClientAddress as usize] = client.address;
        frame.bases[Base::ClientMetadata as usize] = client.metadata;
        frame.bases[Base::ClientAuth as usize] = client.auth;
        frame.bases[Base::GrpcMetadata as usize] = client.grpc_metadata;
        // Three messages share these slots: none of their extractors resets them.
        let slots = self.layout.level(Level::Client);
        if let (Some(slots), Some(template)) = (frame.slots.get_mut(slots.clone()), self.layout.template().get(slots)) {
            slots.copy_from_slice(template);
        }
        for (base, extractor) in &self.client {
            extractor.extract(frame.bases[*base as usize], &mut frame.slots);
        }
        for placed in self.layout.of(Level::Client) {
            let base = frame.bases[placed.base as usize];
            let Some(slot) = frame.slots.get_mut(placed.position as usize) else { continue };
            match placed.path {
                SlotPath::ClientAddress if !base.is_empty() => {
                    *slot = RawSlot::range(tag::STR, Range { start: 0, end: base.len() });
                }
                _ => {}
            }
        }
    }

    /// Loads a Resource message and its schema URL. Needed once for all spans below it.
    pub fn load_resource<'w>(&self, frame: &mut Frame<'w>, resource: &'w [u8], schema_url: &'w [u8]) {
        self.claim(frame, Level::Resource);
        frame.bases[Base::Resource as usize] = resource;
        frame.bases[Base::ResourceSchema as usize] = schema_url;
        self.resource.extract(resource, &mut frame.slots);
        self.schema_url(frame, Level::Resource, schema_url);
    }

    /// Loads an InstrumentationScope message and its schema URL. Needed once for all spans below it.
    pub fn load_scope<'w>(&self, frame: &mut Frame<'w>, scope: &'w [u8], schema_url: &'w [u8]) {
        self.claim(frame, Level::Scope);
        frame.bases[Base::Scope as usize] = scope;
        frame.bases[Base::ScopeSchema as usize] = schema_url;
        self.scope.extract(scope, &mut frame.slots);
        self.schema_url(frame, Level::Scope, schema_url);
    }

    /// Loads a Span message.
    pub fn load_span<'w>(&self, frame: &mut Frame<'w>, span: &'w [u8]) {
        self.claim(frame, Level::Span);
        frame.bases[Base::Span as usize] = span;
        self.span.extract(span, &mut frame.slots);
    }

    /// Loads a span of an indexed batch: as [`Program::load_span`], but where the index has found the span's fields in
    /// order, what stands behind the last wanted one is not looked at.
    #[inline]
    pub fn load_indexed_span<'w>(&self, frame: &mut Frame<'w>, span: &pdata::SpanView<'w>) {
        let bytes = span.bytes();
        match span.order() {
            Some(order) => {
                self.claim(frame, Level::Span);
                frame.bases[Base::Span as usize] = bytes;
                self.span.extract_in_order(bytes, order, &mut frame.slots);
            }
            None => self.load_span(frame, bytes),
        }
    }

    /// Loads a span's Event message.
    pub fn load_event<'w>(&self, frame: &mut Frame<'w>, event: &'w [u8]) {
        self.claim(frame, Level::Event);
        frame.bases[Base::Event as usize] = event;
        self.event.extract(event, &mut frame.slots);
    }

    /// Loads a Metric message.
    pub fn load_metric<'w>(&self, frame: &mut Frame<'w>, metric: &'w [u8]) {
        self.claim(frame, Level::Metric);
        frame.bases[Base::Metric as usize] = metric;
        self.metric.extract(metric, &mut frame.slots);
    }

    /// Loads a data point of a metric.
    pub fn load_data_point<'w>(&self, frame: &mut Frame<'w>, kind: PointKind, point: &'w [u8]) {
        self.claim(frame, Level::DataPoint);
        frame.bases[Base::DataPoint as usize] = point;
        frame.point_kind = kind;
        if let Some(extractor) = self.points.get(kind as usize) {
            extractor.extract(point, &mut frame.slots);
        }
    }

    /// Loads a LogRecord message.
    pub fn load_log<'w>(&self, frame: &mut Frame<'w>, record: &'w [u8]) {
        self.claim(frame, Level::Log);
        frame.bases[Base::Log as usize] = record;
        self.log.extract(record, &mut frame.slots);
    }

    fn schema_url(&self, frame: &mut Frame<'_>, level: Level, schema_url: &[u8]) {
        for placed in self.layout.of(level).filter(|placed| placed.path == SlotPath::SchemaUrl(level)) {
            if let Some(slot) = frame.slots.get_mut(placed.position as usize) {
                *slot = RawSlot::range(tag::STR, Range { start: 0, end: schema_url.len() });
            }
        }
    }

    #[inline]
    fn interpreter<'e>(&'e self, frame: &'e Frame<'e>) -> Interpreter<'e> {
        Interpreter { ir: &self.ir, frame, host: &self.options.host, limits: &self.options.limits, keeping: None }
    }

    /// Whether a frame has the slots of this program.
    #[inline]
    fn owns(&self, frame: &Frame<'_>) -> bool {
        Arc::ptr_eq(&self.layout, &frame.layout)
    }

    /// Makes a frame ready for a level to be loaded. That of another program becomes an empty one of this: slots and buffers
    /// always belong together, which generated code relies on.
    #[inline]
    fn claim(&self, frame: &mut Frame<'_>, level: Level) {
        if !self.owns(frame) {
            *frame = self.frame();
        }
        frame.forget(level);
    }

    /// What answers conditions of this program.
    #[must_use]
    pub fn engine(&self) -> Engine {
        if self.code.is_some() { Engine::Jit } else { Engine::Interpreter }
    }

    /// Evaluates a condition on what the frame holds. A condition or frame of another program gives
    /// [`EvalError::Argument`].
    #[must_use]
    #[inline]
    pub fn eval(&self, frame: &Frame<'_>, condition: ConditionId) -> Outcome {
        if !self.owns(frame) {
            return Outcome::Error(EvalError::Argument);
        }
        let at = condition.0 as usize;
        let interpreter = self.interpreter(frame);
        if let Some(code) = self.code.as_ref().and_then(|code| code.condition(at, &interpreter)) {
            return outcome(code);
        }
        match self.conditions.get(at) {
            Some(&root) => interpreter.truth(root).into(),
            None => Outcome::Error(EvalError::Argument),
        }
    }

    /// Evaluates a list: true as soon as one condition is, so that an earlier true hides later errors in every mode.
    /// `on_error` hears of errors under [`ErrorMode::Ignore`], with the condition's place in the list.
    pub fn eval_list(&self, frame: &Frame<'_>, list: ListId, on_error: &mut dyn FnMut(usize, EvalError)) -> Outcome {
        let Some(plan) = self.lists.get(list.0 as usize) else { return Outcome::Error(EvalError::Argument) };
        if !self.owns(frame) {
            return Outcome::Error(EvalError::Argument);
        }
        let interpreter = self.interpreter(frame);
        let mut start = 0;
        loop {
            let (at, found) = self.first_answer(&interpreter, list, plan, start);
            match (found, plan.error_mode) {
                (Outcome::Error(_), ErrorMode::Silent) => {}
                (Outcome::Error(error), ErrorMode::Ignore) => {
                    if let Some(entry) = plan.entries.get(at) {
                        on_error(entry.position, error);
                    }
                }
                (found, _) => return found,
            }
            start = at + 1;
        }
    }

    /// The first entry from `start` on that is true or an error, or false if none is.
    fn first_answer(
        &self,
        interpreter: &Interpreter<'_>,
        list: ListId,
        plan: &ListPlan,
        start: usize,
    ) -> (usize, Outcome) {
        if let (Some(code), Ok(start)) = (&self.code, u32::try_from(start))
            && let Some(answer) = code.list(list.0 as usize, start, interpreter)
        {
            return ((answer >> 32) as usize, outcome(answer as u32));
        }
        for (at, entry) in plan.entries.iter().enumerate().skip(start) {
            match interpreter.truth(entry.root).into() {
                Outcome::False => {}
                found => return (at, found),
            }
        }
        (plan.entries.len(), Outcome::False)
    }

    /// Evaluates a value expression on what the frame holds.
    ///
    /// # Errors
    /// What went wrong.
    pub fn eval_value<'e>(&'e self, frame: &'e Frame<'e>, value: ValueId) -> Result<Value<'e>, EvalError> {
        let root = self.values.get(value.0 as usize).ok_or(EvalError::Argument)?;
        store::standalone(self.interpreter(frame).value(*root)?, &self.options.limits)
    }

    /// What a slot of [`ProgramBuilder::slot`] holds.
    #[must_use]
    #[inline]
    pub fn get<'w>(&self, frame: &Frame<'w>, slot: SlotId) -> Slot<'w> {
        self.slots.get(slot.0 as usize).map_or(Slot::Nil, |&slot| frame.get(slot))
    }

    /// The innermost level that a condition's outcome depends on; `None` if it is constant. A caller may then ask once a
    /// resource what only reads the resource. Calls that read a clock or randomness count as [`Level::Event`].
    #[must_use]
    pub fn level(&self, condition: ConditionId) -> Option<Level> {
        self.conditions.get(condition.0 as usize).and_then(|&root| self.ir.level(root))
    }

    /// The text form of a condition's IR.
    #[must_use]
    pub fn print_ir(&self, condition: ConditionId) -> String {
        self.conditions.get(condition.0 as usize).map(|&root| self.ir.print(root)).unwrap_or_default()
    }

    /// The text form of a condition's machine-independent code, before optimisation.
    #[must_use]
    pub fn print_clif(&self, condition: ConditionId) -> String {
        let root = self.conditions.get(condition.0 as usize);
        root.map(|&root| jit::print(&self.ir, &self.layout, root)).unwrap_or_default()
    }

    /// The instructions of a condition on this host as text, and their size in bytes; `None` where the host has no code
    /// generator.
    #[must_use]
    pub fn print_assembly(&self, condition: ConditionId) -> Option<(String, usize)> {
        let root = self.conditions.get(condition.0 as usize)?;
        jit::assembly(&self.ir, &self.layout, *root)
    }

    /// The tests that a condition came down to after folding, in order, each with the calls that its machine code makes;
    /// tests without calls run inline. Empty where the host has no code generator.
    #[must_use]
    pub fn native_tests(&self, condition: ConditionId) -> Vec<(String, Vec<NativeCall>)> {
        let root = self.conditions.get(condition.0 as usize);
        root.map(|&root| jit::inspect_tests(&self.ir, &self.layout, root)).unwrap_or_default()
    }

    /// The text form of the layout.
    #[must_use]
    pub fn print_layout(&self) -> String {
        self.layout.to_string()
    }
}

/// What generated code says.
#[inline]
fn outcome(code: u32) -> Outcome {
    match code {
        0 => Outcome::False,
        1 => Outcome::True,
        code => Outcome::Error(EvalError::from_code(code).unwrap_or(EvalError::Argument)),
    }
}

mod builder;
mod plan;
mod rows;

pub use builder::ProgramBuilder;
pub use rows::{Answers, Cell, Rows};

#[cfg(test)]
mod tests;
