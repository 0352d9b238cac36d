//! Questions that OTTL has no words for: attributes as pdata's getters read them.
//!
//! Filters of the Go collector that are not written in OTTL read an attribute with `Int()`, `Bool()` or `Str()`, which give
//! the zero value of their type for a value of any other type, and for one with nothing set (pdata 1.x, `pcommon.Value`). To OTTL
//! such values differ. A reading becomes nodes of the same table as conditions, so that it shares their slots, their
//! extraction pass and both engines. No reading fails.

use grammar::{ast::CompareOp, span::Span};

use crate::{
    error::{self, Error},
    func::{self, Function, LiteralArg, Literals},
    go::regexp::Regexp,
    ir::{CallArg, CallSite, Ir, Node, NodeId, Type},
    layout::SlotPath,
    limits::Limits,
    value::Value,
};

/// What is asked of a value that is there, mostly an attribute. One that is not there has no reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// `min <= Int() <= max`
    IntWithin {
        /// The least that holds.
        min: i64,
        /// The most that holds.
        max: i64,
    },
    /// `Bool()` is this.
    BoolIs(bool),
    /// `Str()` is one of these.
    StringIn(Vec<String>),
    /// Some of these patterns of Go's regular expressions finds something in `Str()`.
    StringMatches {
        /// The patterns.
        patterns: Vec<String>,
        /// Whether an empty string is looked at. Otherwise nothing is found in it.
        empty_too: bool,
    },
}

/// Makes the nodes of one reading.
struct Maker<'m> {
    ir: &'m mut Ir,
    limits: &'m Limits,
    slot: NodeId,
}

/// The node that answers a reading of a slot.
///
/// # Errors
/// A pattern that does not compile.
pub(crate) fn node(ir: &mut Ir, limits: &Limits, path: SlotPath, reading: &Reading) -> Result<NodeId, Error> {
    let slot = ir.slot_node(path);
    Maker { ir, limits, slot }.reading(reading)
}

impl Maker<'_> {
    fn reading(&mut self, reading: &Reading) -> Result<NodeId, Error> {
        Ok(match reading {
            Reading::IntWithin { min, max } => {
                let bounds: &[_] = match min == max {
                    true => &[(CompareOp::Eq, *min)],
                    false => &[(CompareOp::Ge, *min), (CompareOp::Le, *max)],
                };
                let int = match self.ir.ty(self.slot) {
                    Type::Int => self.slot,
                    _ => self.ir.node(Node::IntOrZero(self.slot), Type::Int),
                };
                // What is not there reads as 0 as well.
                let mut tests = Vec::with_capacity(3);
                if (*min..=*max).contains(&0) {
                    tests.push(self.present());
                }
                tests.extend(bounds.iter().map(|&(op, bound)| self.compare(op, int, Value::Int(bound))));
                self.and(tests)
            }
            Reading::BoolIs(true) => self.compare(CompareOp::Eq, self.slot, Value::Bool(true)),
            // Whatever is there and is not true.
            Reading::BoolIs(false) => {
                let is_true = self.compare(CompareOp::Eq, self.slot, Value::Bool(true));
                let (present, other) = (self.present(), self.not(is_true));
                self.and(vec![present, other])
            }
            Reading::StringIn(texts) => {
                let set = self.ir.set(texts.iter().map(|text| text.as_bytes().into()).collect());
                let holds = self.ir.node(Node::InSet(self.slot, set), Type::Bool);
                if texts.iter().any(String::is_empty) {
                    let is_string = self.is_string()?;
                    self.or_other(is_string, holds)
                } else {
                    holds
                }
            }
            Reading::StringMatches { patterns, empty_too } => {
                let is_string = self.is_string()?;
                let mut finds = Vec::with_capacity(patterns.len());
                let mut finds_in_empty = false;
                for pattern in patterns {
                    finds.push(self.call("IsMatch", Some(pattern))?);
                    finds_in_empty |= finds.last().is_some_and(|&node| self.finds_in_empty(node));
                }
                let finds = self.ir.node(Node::Or(finds.into()), Type::Bool);
                match (finds_in_empty, empty_too) {
                    (false, _) => self.and(vec![is_string, finds]),
                    (true, true) => {
                        let holds = self.and(vec![is_string, finds]);
                        self.or_other(is_string, holds)
                    }
                    (true, false) => {
                        let not_empty = self.compare(CompareOp::Ne, self.slot, Value::str(""));
                        self.and(vec![is_string, not_empty, finds])
                    }
                }
            }
        })
    }

    /// `holds`, or there is a value that is no string, which reads as an empty one.
    fn or_other(&mut self, is_string: NodeId, holds: NodeId) -> NodeId {
        let (present, other) = (self.present(), self.not(is_string));
        let other = self.and(vec![present, other]);
        self.ir.node(Node::Or([holds, other].into()), Type::Bool)
    }

    fn is_string(&mut self) -> Result<NodeId, Error> {
        match self.ir.ty(self.slot) {
            Type::Any => self.call("IsString", None),
            found => Ok(self.ir.constant(Value::Bool(found == Type::String))),
        }
    }

    fn present(&mut self) -> NodeId {
        self.ir.node(Node::Present(self.slot), Type::Bool)
    }

    fn not(&mut self, operand: NodeId) -> NodeId {
        self.ir.node(Node::Not(operand), Type::Bool)
    }

    fn and(&mut self, operands: Vec<NodeId>) -> NodeId {
        self.ir.node(Node::And(operands.into()), Type::Bool)
    }

    fn compare(&mut self, op: CompareOp, left: NodeId, right: Value<'static>) -> NodeId {
        let right = self.ir.constant(right);
        self.ir.node(Node::Compare(op, left, right), Type::Bool)
    }

    /// A call of a converter on the slot, with a literal behind it.
    fn call(&mut self, name: &str, literal: Option<&str>) -> Result<NodeId, Error> {
        let unknown = || Error::new(error::UNKNOWN_FUNCTION, Span::default(), format!("unknown converter {name}"));
        let function: &'static Function = func::find(name).ok_or_else(unknown)?;
        let literal = literal.map(|text| Value::string(text.to_owned()));
        let mut prepared = None;
        if let (Some(prepare), Some(literal)) = (function.prepare, &literal) {
            let args = [LiteralArg::Dynamic, LiteralArg::Value(literal.clone())];
            prepared = prepare(&Literals { args: &args, limits: self.limits })
                .map_err(|refusal| Error::new(error::ARGUMENT_VALUE, Span::default(), refusal.message))?;
        }
        let literal = literal.map(|literal| CallArg::Literal(self.ir.constant_id(literal)));
        let args = [CallArg::Node(self.slot)].into_iter().chain(literal).collect();
        Ok(self.ir.call(CallSite { function, args, prepared }))
    }

    /// Whether the pattern of a call of `IsMatch` finds something in an empty string.
    fn finds_in_empty(&self, id: NodeId) -> bool {
        let Node::Call(call) = self.ir.get(id) else { return false };
        let pattern = self.ir.call_site(*call).prepared.as_ref();
        pattern.and_then(|pattern| pattern.downcast_ref::<Regexp>()).is_some_and(|pattern| pattern.is_match(b""))
    }
}
