//! Rewrites of the IR that nobody can tell from outside: same answers, same errors, less work.
//!
//! - pure calls, arithmetic and comparisons of constants that succeed become constants (`Duration("500ms")` is parsed
//!   once);
//! - constant operands of `and` and `or` go, and what follows a deciding constant;
//! - an id's hex is not made for a comparison with a literal;
//! - runs of `x == "a" or x == "b"` become one set test, and `x != "a" and x != "b"` its negation.
//!
//! Unlike `fold.rs`, an operand that may fail is never dropped.

use std::collections::HashMap;

use grammar::ast::CompareOp;

use crate::{
    frame::Frame,
    func::Needs,
    go::text,
    interp::Interpreter,
    ir::{CallArg, Ir, Node, NodeId, Type},
    limits::Limits,
    program::Host,
    value::Value,
};

/// Rewrites what `root` needs; gives the node that stands for it.
pub(crate) fn simplify(ir: &mut Ir, root: NodeId, host: &Host, limits: &Limits) -> NodeId {
    let mut pass = Pass { ir, host, limits, done: HashMap::new() };
    pass.node(root)
}

/// Neighbouring comparisons of one value with string literals.
struct Run {
    value: NodeId,
    first: NodeId,
    members: Vec<Box<[u8]>>,
}

struct Pass<'p> {
    ir: &'p mut Ir,
    host: &'p Host,
    limits: &'p Limits,
    done: HashMap<NodeId, NodeId>,
}

impl Pass<'_> {
    fn node(&mut self, id: NodeId) -> NodeId {
        if let Some(&known) = self.done.get(&id) {
            return known;
        }
        let rebuilt = self.rebuild(id);
        let new = self.evaluated(rebuilt);
        self.done.insert(id, new);
        new
    }

    fn all(&mut self, ids: &[NodeId]) -> Vec<NodeId> {
        ids.iter().map(|&id| self.node(id)).collect()
    }

    fn rebuild(&mut self, id: NodeId) -> NodeId {
        let ty = self.ir.ty(id);
        let node = match self.ir.get(id).clone() {
            Node::Const(_) | Node::Slot(_) | Node::Present(_) | Node::IntOrZero(_) | Node::Fail(_) => return id,
            Node::Call(call) => {
                let args = self.ir.call_site(call).args.clone();
                let args = args.iter().map(|arg| self.arg(arg)).collect();
                // In place, because the prepared state belongs to the site; the answers are the same.
                self.ir.set_call_args(call, args);
                return id;
            }
            Node::And(operands) => return self.and(&operands),
            Node::Or(operands) => return self.or(&operands),
            Node::Not(operand) => return self.not(operand),
            Node::Hex(operand) => Node::Hex(self.node(operand)),
            Node::Text(operand) => Node::Text(self.node(operand)),
            Node::KindText(form, operand) => Node::KindText(form, self.node(operand)),
            Node::UnixNano(operand) => Node::UnixNano(self.node(operand)),
            Node::PathIndex(base, keys) => Node::PathIndex(self.node(base), self.all(&keys).into()),
            Node::ResultIndex(base, keys) => Node::ResultIndex(self.node(base), self.all(&keys).into()),
            Node::List(items) => Node::List(self.all(&items).into()),
            Node::Map(entries) => Node::Map(entries.into_iter().map(|(key, value)| (key, self.node(value))).collect()),
            Node::Arithmetic(op, left, right) => Node::Arithmetic(op, self.node(left), self.node(right)),
            Node::Negate(operand) => Node::Negate(self.node(operand)),
            Node::Compare(op, left, right) => {
                let (left, right) = (self.node(left), self.node(right));
                if let Some(ids) = self.ids_compared(op, left, right) {
                    return ids;
                }
                Node::Compare(op, left, right)
            }
            Node::InSet(value, set) => Node::InSet(self.node(value), set),
            Node::Condition(value) => {
                let value = self.node(value);
                if self.ir.ty(value) == Type::Bool {
                    return value;
                }
                Node::Condition(value)
            }
        };
        self.ir.node(node, ty)
    }

    /// Equality of an id's hex and a literal as that of the id and the bytes that the literal is the hex of.
    fn ids_compared(&mut self, op: CompareOp, left: NodeId, right: NodeId) -> Option<NodeId> {
        let (id, literal) = match (self.ir.get(left), self.ir.get(right)) {
            (Node::Hex(id), Node::Const(_)) => (*id, right),
            (Node::Const(_), Node::Hex(id)) => (*id, left),
            _ => return None,
        };
        if !matches!(op, CompareOp::Eq | CompareOp::Ne) || fallible(self.ir, id) {
            return None;
        }
        let Value::Str(literal) = self.ir.as_constant(literal)? else { return None };
        let wanted = match self.ir.ty(id) {
            Type::TraceId => id_of(literal).map(Value::TraceId),
            Type::SpanId => id_of(literal).map(Value::SpanId),
            _ => return None,
        };
        Some(match wanted {
            Some(wanted) => {
                let wanted = self.ir.constant(wanted);
                self.ir.node(Node::Compare(op, id, wanted), Type::Bool)
            }
            // No id has such a text.
            None => self.ir.constant(Value::Bool(op == CompareOp::Ne)),
        })
    }

    /// An argument that turns out constant stays a node: unlike a literal it is converted at run time, with errors then.
    fn arg(&mut self, arg: &CallArg) -> CallArg {
        match arg {
            CallArg::Node(id) => CallArg::Node(self.node(*id)),
            CallArg::List(items) => CallArg::List(items.iter().map(|item| self.arg(item)).collect()),
            CallArg::Absent | CallArg::Literal(_) | CallArg::Function(_) => arg.clone(),
        }
    }

    /// A constant, if the node has constant operands only and succeeds.
    fn evaluated(&mut self, id: NodeId) -> NodeId {
        let pure = match self.ir.get(id) {
            Node::Const(_) | Node::Slot(_) | Node::Fail(_) | Node::And(_) | Node::Or(_) => false,
            Node::Call(call) => {
                let site = self.ir.call_site(*call);
                matches!(site.function.needs, Needs::Nothing | Needs::ClockForSome)
                    && site.args.iter().all(|arg| self.is_constant_arg(arg))
            }
            _ => {
                let mut constant = true;
                self.ir.operands(id, &mut |operand| constant &= self.ir.as_constant(operand).is_some());
                constant
            }
        };
        if !pure {
            return id;
        }
        let frame = Frame::empty();
        // Without a clock: what then succeeds does not depend on one.
        let host = Host { clock: None, random: None, local_zone: self.host.local_zone };
        let interpreter = Interpreter { ir: self.ir, frame: &frame, host: &host, limits: self.limits, keeping: None };
        let Some(value) = interpreter.value(id).ok().and_then(Value::into_owned) else { return id };
        self.ir.constant(value)
    }

    fn is_constant_arg(&self, arg: &CallArg) -> bool {
        match arg {
            CallArg::Absent | CallArg::Literal(_) => true,
            CallArg::Node(id) => self.ir.as_constant(*id).is_some(),
            CallArg::List(items) => items.iter().all(|item| self.is_constant_arg(item)),
            CallArg::Function(_) => false,
        }
    }

    fn as_bool(&self, id: NodeId) -> Option<bool> {
        match self.ir.as_constant(id) {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }

    fn and(&mut self, operands: &[NodeId]) -> NodeId {
        let operands = self.reachable(operands, false);
        let operands = self.grouped(operands, CompareOp::Ne);
        self.joined(operands, true)
    }

    fn or(&mut self, operands: &[NodeId]) -> NodeId {
        let operands = self.reachable(operands, true);
        let operands = self.grouped(operands, CompareOp::Eq);
        self.joined(operands, false)
    }

    /// Operands up to the first constant that decides; constants that do not decide are dropped. If nothing before the
    /// deciding constant can fail, it alone remains.
    fn reachable(&mut self, operands: &[NodeId], deciding: bool) -> Vec<NodeId> {
        let mut kept = Vec::with_capacity(operands.len());
        for &operand in operands {
            let operand = self.node(operand);
            match self.as_bool(operand) {
                Some(flag) if flag == deciding => {
                    if kept.iter().all(|&before| !fallible(self.ir, before)) {
                        kept.clear();
                    }
                    kept.push(operand);
                    return kept;
                }
                Some(_) => {}
                None => kept.push(operand),
            }
        }
        kept
    }

    /// Puts neighbouring string comparisons of one value into one set test. Only neighbours: nothing moves past an operand
    /// that might fail or decide first.
    fn grouped(&mut self, operands: Vec<NodeId>, op: CompareOp) -> Vec<NodeId> {
        let mut result: Vec<NodeId> = Vec::with_capacity(operands.len());
        let mut run: Option<Run> = None;
        for operand in operands {
            let test = string_test(self.ir, operand, op);
            match (&mut run, test) {
                (Some(run), Some((value, member))) if run.value == value => run.members.push(member),
                (_, test) => {
                    let finished = run.take();
                    self.flush(finished, op, &mut result);
                    match test {
                        Some((value, member)) => run = Some(Run { value, first: operand, members: vec![member] }),
                        None => result.push(operand),
                    }
                }
            }
        }
        self.flush(run, op, &mut result);
        result
    }

    fn flush(&mut self, run: Option<Run>, op: CompareOp, result: &mut Vec<NodeId>) {
        let Some(Run { value, first, members }) = run else { return };
        if members.len() < 2 {
            result.push(first);
            return;
        }
        let set = self.ir.set(members);
        let test = self.ir.node(Node::InSet(value, set), Type::Bool);
        // A value that is no string is unequal to each member, so the negation holds for all types and for nil.
        result.push(if op == CompareOp::Eq { test } else { self.ir.node(Node::Not(test), Type::Bool) });
    }

    fn joined(&mut self, mut operands: Vec<NodeId>, neutral: bool) -> NodeId {
        match operands.len() {
            0 => self.ir.constant(Value::Bool(neutral)),
            1 => operands.remove(0),
            _ => {
                let node = if neutral { Node::And(operands.into()) } else { Node::Or(operands.into()) };
                self.ir.node(node, Type::Bool)
            }
        }
    }

    fn not(&mut self, operand: NodeId) -> NodeId {
        let operand = self.node(operand);
        match self.ir.get(operand) {
            Node::Not(inner) => *inner,
            _ => self.ir.node(Node::Not(operand), Type::Bool),
        }
    }
}

/// The id of which this is the text.
fn id_of<const N: usize>(literal: &[u8]) -> Option<[u8; N]> {
    let id: [u8; N] = text::unhex(literal)?.try_into().ok()?;
    (text::hex(&id) == literal).then_some(id)
}

/// The value and the string literal of `value op "literal"`, in either order.
pub(crate) fn string_test(ir: &Ir, id: NodeId, op: CompareOp) -> Option<(NodeId, Box<[u8]>)> {
    let Node::Compare(found, left, right) = ir.get(id) else { return None };
    if *found != op {
        return None;
    }
    match (ir.as_constant(*left), ir.as_constant(*right)) {
        (None, Some(Value::Str(text))) => Some((*left, text.as_ref().into())),
        (Some(Value::Str(text)), None) => Some((*right, text.as_ref().into())),
        _ => None,
    }
}

/// Whether evaluating a node can give an error.
pub(crate) fn fallible(ir: &Ir, id: NodeId) -> bool {
    let own = match ir.get(id) {
        Node::Const(_) | Node::Slot(_) | Node::Present(_) | Node::IntOrZero(_) | Node::InSet(..) => false,
        Node::And(_) | Node::Or(_) | Node::Not(_) => false,
        Node::Hex(_) | Node::KindText(..) | Node::UnixNano(_) | Node::List(_) => false,
        // Only two lists of one typed kind cannot be compared.
        Node::Compare(_, left, right) => {
            let may_be_list = |id: NodeId| matches!(ir.ty(id), Type::List | Type::Any);
            let from_path = |id: NodeId| matches!(ir.get(id), Node::Slot(_) | Node::Const(_));
            may_be_list(*left) && may_be_list(*right) && !from_path(*left) && !from_path(*right)
        }
        Node::Arithmetic(op, left, right) => {
            let numbers =
                matches!(ir.ty(*left), Type::Int | Type::Double) && matches!(ir.ty(*right), Type::Int | Type::Double);
            let typed = numbers || matches!(ir.ty(id), Type::Time | Type::Duration);
            !typed || *op == grammar::ast::MathOp::Div
        }
        Node::Negate(operand) => !matches!(ir.ty(*operand), Type::Int | Type::Double),
        // A text may be longer than the limit.
        Node::Text(_)
        | Node::Fail(_)
        | Node::PathIndex(..)
        | Node::ResultIndex(..)
        | Node::Map(_)
        | Node::Call(_)
        | Node::Condition(_) => true,
    };
    if own {
        return true;
    }
    let mut any = false;
    ir.operands(id, &mut |operand| any |= fallible(ir, operand));
    any
}
