//! The builder: it takes texts, and lays out and compiles what they read and say.

use std::{collections::HashSet, sync::Arc};

use grammar::span::Span;

use super::{ConditionId, Engine, ErrorMode, ListId, Options, Program, ValueId, plan};
use crate::{
    check::Checker,
    context::{Context, PathMode},
    error::{self, Error},
    extract::{CLIENT_SOURCES, Extractor},
    ir::{Ir, NodeId},
    jit::{self, ListPlan},
    layout::{Base, KeptPlaces, Layout, Level, PointKind, SlotId, SlotPath},
    reading::{self, Reading},
    simplify,
};

/// Takes the texts of one component; they share slots, subexpressions and the extraction pass.
#[derive(Debug)]
pub struct ProgramBuilder {
    options: Options,
    ir: Ir,
    conditions: Vec<NodeId>,
    values: Vec<NodeId>,
    lists: Vec<List>,
    slots: Vec<SlotId>,
}

/// A list as it was asked for.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) conditions: Box<[ConditionId]>,
    pub(super) error_mode: ErrorMode,
    pub(super) over_rows: bool,
}

fn id(len: usize) -> u32 {
    // The limit on conditions keeps counts far below u32::MAX.
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl ProgramBuilder {
    /// A builder without texts.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ir: Ir::default(),
            conditions: Vec::new(),
            values: Vec::new(),
            lists: Vec::new(),
            slots: Vec::new(),
        }
    }

    fn parse_limits(&self) -> grammar::Limits {
        grammar::Limits { length: self.options.limits.text_bytes, nesting: self.options.limits.nesting }
    }

    /// Checks a condition and adds it.
    ///
    /// # Errors
    /// Everything that is wrong with the text; then nothing is added.
    pub fn add(&mut self, text: &str, context: Context, mode: PathMode) -> Result<ConditionId, Vec<Error>> {
        self.has_room(Span::new(0, text.len())).map_err(|error| vec![error])?;
        let tree = grammar::parse_condition_within(text, &self.parse_limits()).map_err(from_grammar)?;
        let root = self.check(context, mode, |checker| checker.condition(&tree))?;
        self.conditions.push(root);
        Ok(ConditionId(id(self.conditions.len() - 1)))
    }

    fn has_room(&self, span: Span) -> Result<(), Error> {
        let most = self.options.limits.conditions;
        if self.conditions.len() < most {
            return Ok(());
        }
        Err(Error::new(error::LIMIT, span, format!("more than {most} conditions")))
    }

    /// Adds a condition that OTTL has no words for: a reading of what is found at a path.
    ///
    /// # Errors
    /// A pattern that does not compile, or too many conditions; then nothing is added.
    pub fn add_reading(&mut self, path: SlotPath, reading: &Reading) -> Result<ConditionId, Error> {
        self.has_room(Span::default())?;
        let root = reading::node(&mut self.ir, &self.options.limits, path, reading)?;
        self.conditions.push(simplify::simplify(&mut self.ir, root, &self.options.host, &self.options.limits));
        Ok(ConditionId(id(self.conditions.len() - 1)))
    }

    /// Checks a value expression and adds it.
    ///
    /// # Errors
    /// Everything that is wrong with the text; then nothing is added.
    pub fn add_value(&mut self, text: &str, context: Context, mode: PathMode) -> Result<ValueId, Vec<Error>> {
        let tree = grammar::parse_value_within(text, &self.parse_limits()).map_err(from_grammar)?;
        let root = self.check(context, mode, |checker| checker.value(&tree))?;
        self.values.push(root);
        Ok(ValueId(id(self.values.len() - 1)))
    }

    fn check(
        &mut self,
        context: Context,
        mode: PathMode,
        check: impl FnOnce(&mut Checker<'_>) -> Option<NodeId>,
    ) -> Result<NodeId, Vec<Error>> {
        let mut checker = Checker {
            ir: &mut self.ir,
            context,
            mode,
            limits: &self.options.limits,
            host: &self.options.host,
            errors: Vec::new(),
        };
        let root = check(&mut checker);
        let errors = checker.errors;
        match root {
            Some(root) if errors.is_empty() => {
                Ok(simplify::simplify(&mut self.ir, root, &self.options.host, &self.options.limits))
            }
            _ => Err(errors),
        }
    }

    /// A list of conditions: true as soon as one is.
    pub fn list(&mut self, conditions: &[ConditionId], error_mode: ErrorMode) -> ListId {
        self.lists.push(List { conditions: conditions.into(), error_mode, over_rows: false });
        ListId(id(self.lists.len() - 1))
    }

    /// As [`ProgramBuilder::list`], for one that [`Program::eval_rows`] asks about many spans at once. It takes twice as
    /// long to compile.
    pub fn list_over_rows(&mut self, conditions: &[ConditionId], error_mode: ErrorMode) -> ListId {
        self.lists.push(List { conditions: conditions.into(), error_mode, over_rows: true });
        ListId(id(self.lists.len() - 1))
    }

    /// A slot for a native reader.
    pub fn slot(&mut self, path: SlotPath) -> SlotId {
        let slot = self.ir.slot(path);
        // The id handed out counts requests: ids of the IR move when the program is built.
        self.slots.push(slot);
        SlotId(id(self.slots.len() - 1))
    }

    /// Lays out the slots and prepares the engine.
    ///
    /// # Errors
    /// If the conditions read more paths than the limit, or machine code cannot be generated.
    pub fn build(self) -> Result<Program, Error> {
        let roots: Vec<NodeId> = self.conditions.iter().chain(&self.values).copied().collect();
        let (mut ir, roots, slots) = self.ir.compact(&roots, &self.slots);
        if ir.slots().len() > self.options.limits.slots {
            let message = format!("the conditions read more than {} different paths", self.options.limits.slots);
            return Err(Error::new(error::LIMIT, Span::default(), message));
        }
        let (conditions, values) = roots.split_at(self.conditions.len());
        if self.options.engine == Engine::Jit {
            ir.add_members(self.options.limits.slots);
        }
        let conditions: Box<[NodeId]> = conditions.into();
        let lists: Vec<ListPlan> = self.lists.iter().map(|list| plan::list(&mut ir, &conditions, list)).collect();
        let listed: HashSet<ConditionId> = self.lists.iter().flat_map(|list| list.conditions.iter().copied()).collect();
        let alone = |at: usize| !listed.contains(&ConditionId(id(at)));
        let alone: Vec<Option<NodeId>> =
            conditions.iter().enumerate().map(|(at, &root)| alone(at).then_some(root)).collect();
        let kept = match self.options.engine {
            Engine::Jit => jit::kept(&ir, &alone, &lists, self.options.limits.slots),
            Engine::Interpreter => KeptPlaces::default(),
        };
        let layout = Arc::new(Layout::plan(ir.slots(), kept));
        let code = match self.options.engine {
            Engine::Jit => jit::compile(&ir, &layout, &alone, &lists)?,
            Engine::Interpreter => None,
        };
        let extractor = |level, base| Extractor::plan(&layout, level, base, PointKind::default());
        let point = |kind| Extractor::plan(&layout, Level::DataPoint, Base::DataPoint, kind);
        Ok(Program {
            conditions,
            values: values.into(),
            lists,
            code,
            slots,
            client: CLIENT_SOURCES.map(|source| (source.base().0, extractor(Level::Client, source.base().0))),
            resource: extractor(Level::Resource, Base::Resource),
            scope: extractor(Level::Scope, Base::Scope),
            span: extractor(Level::Span, Base::Span),
            event: extractor(Level::Event, Base::Event),
            metric: extractor(Level::Metric, Base::Metric),
            points: PointKind::ALL.map(point),
            log: extractor(Level::Log, Base::Log),
            ir,
            layout,
            options: self.options,
        })
    }
}

fn from_grammar(errors: Vec<grammar::Error>) -> Vec<Error> {
    errors.into_iter().map(Error::from).collect()
}
