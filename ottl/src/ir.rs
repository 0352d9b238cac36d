//! The typed intermediate representation of conditions: a table of nodes, equal nodes once.
//!
//! All conditions of a program share one table, so a subexpression that two of them contain is one node: that is the whole
//! of common-subexpression elimination, and the text form shows it. Nodes only refer to nodes before them. Types are
//! static where the path or converter fixes them; [`Type::Any`] where the wire decides.

use std::{collections::HashMap, fmt};

use grammar::ast::{CompareOp, MathOp};

use crate::{
    error::EvalError,
    func::{Function, Needs, Prepared},
    layout::{Level, SlotId, SlotPath},
    value::Value,
};

mod compact;
mod members;
mod phrase;
mod print;

/// A static type. Only [`Type::Any`] can be nil at run time, and it can be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// Always nil.
    Nil,
    /// A bool.
    Bool,
    /// int64.
    Int,
    /// float64.
    Double,
    /// A string.
    String,
    /// Bytes; empty ones equal nil.
    Bytes,
    /// A point in time.
    Time,
    /// A duration.
    Duration,
    /// A trace id.
    TraceId,
    /// A span id.
    SpanId,
    /// A map.
    Map,
    /// A list.
    List,
    /// A struct such as `status` or `events`.
    Opaque,
    /// The data decide.
    Any,
}

/// A node of an [`Ir`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

/// A constant of an [`Ir`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConstId(pub(crate) u32);

/// A call of an [`Ir`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(crate) u32);

/// A set of an [`Ir`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub(crate) u32);

/// A search of an [`Ir`] for any of some substrings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SubstringsId(pub(crate) u32);

/// What finds out that a text holds none of some substrings.
#[derive(Clone, Debug)]
enum Substrings {
    /// A search for any of them.
    AnyOf(regex::bytes::Regex),
    /// A search for a part that all of them have.
    Common(Box<memchr::memmem::Finder<'static>>),
}

/// Text forms of `span.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KindText {
    /// `Server`; empty where the number is unknown.
    Short,
    /// `SPAN_KIND_SERVER`; empty where the number is unknown.
    Deprecated,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A constant.
    Const(ConstId),
    /// What extraction put into a slot; a missing value reads as nil.
    Slot(SlotId),
    /// Whether extraction found something for a slot, which is what its node is, be it a value with nothing set.
    Present(NodeId),
    /// The int in a slot, which is what its node is; 0 for anything else.
    IntOrZero(NodeId),
    /// An error, always.
    Fail(EvalError),
    /// Lower-case hex of an id.
    Hex(NodeId),
    /// Text of a span kind.
    KindText(KindText, NodeId),
    /// Text of a value, as pdata's `AsString` gives it.
    Text(NodeId),
    /// The instant that many nanoseconds after the epoch, UTC.
    UnixNano(NodeId),
    /// `path[key]..` with the rules of paths: a missing key gives nil and ends the chain, a wrong kind is an error. Only a
    /// *missing* base gives nil; an empty AnyValue is an error like a scalar.
    PathIndex(NodeId, Box<[NodeId]>),
    /// `Converter(..)[key]..` with the rules of results: a missing key is an error.
    ResultIndex(NodeId, Box<[NodeId]>),
    /// A list literal that is not constant.
    List(Box<[NodeId]>),
    /// A map literal that is not constant; keys are distinct.
    Map(Box<[(Box<str>, NodeId)]>),
    /// Arithmetic.
    Arithmetic(MathOp, NodeId, NodeId),
    /// A minus sign.
    Negate(NodeId),
    /// A converter call.
    Call(CallId),
    /// A comparison; never an error of its own (except [`EvalError::NotComparable`]).
    Compare(CompareOp, NodeId, NodeId),
    /// Whether a value is a string in a set: what an or-chain of equalities with string literals became.
    InSet(NodeId, SetId),
    /// All, left to right, stopping at false or an error.
    And(Box<[NodeId]>),
    /// Any, left to right, stopping at true or an error.
    Or(Box<[NodeId]>),
    /// Negation.
    Not(NodeId),
    /// A value used as a condition: an error unless it is a bool.
    Condition(NodeId),
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallArg {
    /// An optional one, left out.
    Absent,
    /// A literal, already converted to the parameter's kind.
    Literal(ConstId),
    /// Computed, converted at run time.
    Node(NodeId),
    /// A list literal of a `ListOf` or `SliceOf` parameter, each item of the item kind.
    List(Box<[CallArg]>),
    /// A converter's name.
    Function(&'static str),
}

/// A call with its arguments, parameters first, then implicit paths.
pub struct CallSite {
    /// The converter.
    pub function: &'static Function,
    /// One a parameter and implicit path.
    pub args: Box<[CallArg]>,
    /// What the converter prepared.
    pub prepared: Prepared,
}

impl fmt::Debug for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallSite").field("function", &self.function.name).field("args", &self.args).finish()
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Ir {
    nodes: Vec<Node>,
    types: Vec<Type>,
    constants: Vec<Value<'static>>,
    calls: Vec<CallSite>,
    sets: Vec<Box<[Box<[u8]>]>>,
    /// Each finds out whether a text holds any of some substrings.
    substrings: Vec<Substrings>,
    slots: Vec<SlotPath>,
    known_nodes: HashMap<Node, NodeId>,
    known_constants: HashMap<String, ConstId>,
    known_calls: HashMap<(&'static str, Box<[CallArg]>), CallId>,
    known_sets: HashMap<Box<[Box<[u8]>]>, SetId>,
    known_slots: HashMap<SlotPath, SlotId>,
}

fn next_id(len: usize) -> u32 {
    // Limits on texts and conditions keep tables far below u32::MAX.
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Ir {
    /// The node, made if it is not there yet.
    pub fn node(&mut self, node: Node, ty: Type) -> NodeId {
        if let Some(&id) = self.known_nodes.get(&node) {
            return id;
        }
        let id = NodeId(next_id(self.nodes.len()));
        self.nodes.push(node.clone());
        self.types.push(ty);
        self.known_nodes.insert(node, id);
        id
    }

    /// A constant's node.
    pub fn constant(&mut self, value: Value<'static>) -> NodeId {
        let ty = Type::of(&value);
        let id = self.constant_id(value);
        self.node(Node::Const(id), ty)
    }

    /// A constant, made if it is not there yet.
    pub fn constant_id(&mut self, value: Value<'static>) -> ConstId {
        let text = print::constant(&value);
        if let Some(&id) = self.known_constants.get(&text) {
            return id;
        }
        let id = ConstId(next_id(self.constants.len()));
        self.constants.push(value);
        self.known_constants.insert(text, id);
        id
    }

    /// A slot's node, and the slot if it is not there yet.
    pub fn slot_node(&mut self, path: SlotPath) -> NodeId {
        let ty = path.ty();
        let id = self.slot(path);
        self.node(Node::Slot(id), ty)
    }

    /// A slot, made if it is not there yet.
    pub fn slot(&mut self, path: SlotPath) -> SlotId {
        if let Some(&id) = self.known_slots.get(&path) {
            return id;
        }
        let id = SlotId(next_id(self.slots.len()));
        self.slots.push(path.clone());
        self.known_slots.insert(path, id);
        id
    }

    /// A call's node. Equal calls are one, unless they read a clock or randomness.
    pub fn call(&mut self, site: CallSite) -> NodeId {
        let ty = site.function.returns;
        let key = (site.function.name, site.args.clone());
        let pure = site.function.needs == Needs::Nothing;
        let id = match self.known_calls.get(&key) {
            Some(&id) if pure => id,
            _ => {
                let id = CallId(next_id(self.calls.len()));
                self.calls.push(site);
                if pure {
                    self.known_calls.insert(key, id);
                }
                id
            }
        };
        self.node(Node::Call(id), ty)
    }

    /// Replaces a call's arguments by equivalent ones.
    pub(crate) fn set_call_args(&mut self, id: CallId, args: Box<[CallArg]>) {
        if let Some(site) = self.calls.get_mut(id.0 as usize) {
            site.args = args;
        }
    }

    /// A set, made if it is not there yet. Members are sorted and distinct.
    pub fn set(&mut self, mut members: Vec<Box<[u8]>>) -> SetId {
        members.sort();
        members.dedup();
        let members: Box<[Box<[u8]>]> = members.into();
        if let Some(&id) = self.known_sets.get(&members) {
            return id;
        }
        let id = SetId(next_id(self.sets.len()));
        self.sets.push(members.clone());
        self.known_sets.insert(members, id);
        id
    }

    /// What a node computes. Ids come from this table only, so each is in bounds.
    #[must_use]
    pub fn get(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// A node's static type.
    #[must_use]
    pub fn ty(&self, id: NodeId) -> Type {
        self.types[id.0 as usize]
    }

    /// A constant's value.
    #[must_use]
    pub fn constant_value(&self, id: ConstId) -> &Value<'static> {
        &self.constants[id.0 as usize]
    }

    /// The value of a node that is a constant.
    #[must_use]
    pub fn as_constant(&self, id: NodeId) -> Option<&Value<'static>> {
        match self.get(id) {
            Node::Const(constant) => Some(self.constant_value(*constant)),
            _ => None,
        }
    }

    /// A call.
    #[must_use]
    pub fn call_site(&self, id: CallId) -> &CallSite {
        &self.calls[id.0 as usize]
    }

    /// A set's members, sorted.
    #[must_use]
    pub fn set_members(&self, id: SetId) -> &[Box<[u8]>] {
        &self.sets[id.0 as usize]
    }

    /// All calls in order of id.
    pub(crate) fn calls(&self) -> &[CallSite] {
        &self.calls
    }

    /// All sets in order of id.
    pub(crate) fn sets(&self) -> &[Box<[Box<[u8]>]>] {
        &self.sets
    }

    /// All constants in order of id.
    pub(crate) fn constants(&self) -> &[Value<'static>] {
        &self.constants
    }

    /// A search for any of these substrings; `None` if they are too many for one automaton.
    pub(crate) fn substrings<'l>(&mut self, literals: impl Iterator<Item = &'l [u8]>) -> Option<SubstringsId> {
        let escaped: Option<Vec<String>> =
            literals.map(|literal| std::str::from_utf8(literal).ok().map(regex::escape)).collect();
        self.substrings.push(Substrings::AnyOf(regex::bytes::Regex::new(&escaped?.join("|")).ok()?));
        Some(SubstringsId(next_id(self.substrings.len() - 1)))
    }

    /// A search for what some substrings have in common.
    pub(crate) fn common_substring(&mut self, common: &[u8]) -> SubstringsId {
        self.substrings.push(Substrings::Common(Box::new(memchr::memmem::Finder::new(common).into_owned())));
        SubstringsId(next_id(self.substrings.len() - 1))
    }

    /// Whether a text may hold any of the substrings; an id from nowhere says that it may.
    pub(crate) fn holds_any(&self, id: SubstringsId, text: &[u8]) -> bool {
        self.substrings.get(id.0 as usize).is_none_or(|search| match search {
            Substrings::AnyOf(any) => any.is_match(text),
            Substrings::Common(common) => common.find(text).is_some(),
        })
    }

    /// All slots in order of id.
    #[must_use]
    pub fn slots(&self) -> &[SlotPath] {
        &self.slots
    }

    /// Moves what `roots` and `keep` need into a table of its own and leaves the rest behind, so that nothing is extracted
    /// for conditions that were folded away. Gives the table and the new ids, in the order asked for.
    #[must_use]
    pub fn compact(self, roots: &[NodeId], keep: &[SlotId]) -> (Self, Vec<NodeId>, Vec<SlotId>) {
        compact::compact(self, roots, keep)
    }

    /// The innermost level whose slots a node reads; `None` if it reads none. What reads a clock or randomness varies with
    /// everything.
    #[must_use]
    pub fn level(&self, id: NodeId) -> Option<Level> {
        let mut level = match self.get(id) {
            Node::Slot(slot) => self.slots.get(slot.0 as usize).map(SlotPath::level),
            Node::Call(call) if self.call_site(*call).function.needs != Needs::Nothing => {
                Some(Level::ALL[Level::COUNT - 1])
            }
            _ => None,
        };
        self.operands(id, &mut |operand| level = level.max(self.level(operand)));
        level
    }

    /// Number of nodes.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }
}

impl Type {
    /// The static type of a constant.
    #[must_use]
    pub fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(_) => Self::Bool,
            Value::Int(_) => Self::Int,
            Value::Double(_) => Self::Double,
            Value::Str(_) => Self::String,
            Value::Bytes(_) => Self::Bytes,
            Value::Map(_) => Self::Map,
            Value::List(_) => Self::List,
            Value::Time(_) => Self::Time,
            Value::Duration(_) => Self::Duration,
            Value::TraceId(_) => Self::TraceId,
            Value::SpanId(_) => Self::SpanId,
            Value::Opaque(_) => Self::Opaque,
            Value::GoInt(_) => Self::Any,
        }
    }

    /// As printed in the text form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::TraceId => "trace_id",
            Self::SpanId => "span_id",
            Self::Map => "map",
            Self::List => "list",
            Self::Opaque => "struct",
            Self::Any => "any",
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}
