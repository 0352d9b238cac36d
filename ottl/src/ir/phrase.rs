//! A node with all its operands on one line, close to OTTL: what is left of a condition after folding, for people.

use grammar::ast::{CompareOp, MathOp};

use super::{CallArg, CallId, CallSite, Ir, Node, NodeId};
use crate::trace;

impl Ir {
    /// The node as text.
    pub(crate) fn phrase(&self, id: NodeId) -> String {
        match self.get(id) {
            Node::Const(value) => trace::text(self.constant_value(*value)),
            Node::Slot(slot) => self.slots().get(slot.0 as usize).map(ToString::to_string).unwrap_or_default(),
            Node::IntOrZero(slot) => format!("{} as int", self.phrase(*slot)),
            Node::Present(slot) => format!("{} is there", self.phrase(*slot)),
            Node::Fail(error) => format!("error: {error}"),
            Node::Text(id) => format!("{} as text", self.phrase(*id)),
            Node::Hex(id) => format!("{} as hex", self.phrase(*id)),
            Node::KindText(_, kind) => format!("{} as text", self.phrase(*kind)),
            Node::UnixNano(nanos) => format!("{} as time", self.phrase(*nanos)),
            Node::PathIndex(base, keys) | Node::ResultIndex(base, keys) => {
                let keys: String = keys.iter().map(|&key| format!("[{}]", self.phrase(key))).collect();
                self.phrase(*base) + &keys
            }
            Node::List(items) => format!("[{}]", self.joined(items, ", ")),
            Node::Map(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{key:?}: {}", self.phrase(*value))).collect();
                format!("{{{}}}", entries.join(", "))
            }
            Node::Arithmetic(op, left, right) => {
                let op = match op {
                    MathOp::Add => "+",
                    MathOp::Sub => "-",
                    MathOp::Mul => "*",
                    MathOp::Div => "/",
                };
                format!("({} {op} {})", self.phrase(*left), self.phrase(*right))
            }
            Node::Negate(operand) => format!("-{}", self.phrase(*operand)),
            Node::Call(call) => self.phrase_call(*call),
            Node::Compare(op, left, right) => {
                let op = match op {
                    CompareOp::Eq => "==",
                    CompareOp::Ne => "!=",
                    CompareOp::Lt => "<",
                    CompareOp::Le => "<=",
                    CompareOp::Gt => ">",
                    CompareOp::Ge => ">=",
                };
                format!("{} {op} {}", self.phrase(*left), self.phrase(*right))
            }
            Node::InSet(value, set) => {
                let members: Vec<String> = self
                    .set_members(*set)
                    .iter()
                    .map(|member| format!("{:?}", String::from_utf8_lossy(member)))
                    .collect();
                format!("{} in {{{}}}", self.phrase(*value), members.join(", "))
            }
            Node::And(operands) => format!("({})", self.joined(operands, " and ")),
            Node::Or(operands) => format!("({})", self.joined(operands, " or ")),
            Node::Not(operand) => format!("not {}", self.phrase(*operand)),
            Node::Condition(value) => self.phrase(*value),
        }
    }

    /// The call as text.
    pub(crate) fn phrase_call(&self, call: CallId) -> String {
        let CallSite { function, args, .. } = self.call_site(call);
        // What is read without being named is no argument to a reader.
        let mut args: Vec<String> =
            args.iter().take(function.params.len()).filter_map(|arg| self.phrase_arg(arg)).collect();
        if args.len() > 8 {
            let more = args.len() - 8;
            args.truncate(8);
            args.push(format!("and {more} more"));
        }
        format!("{}({})", function.name, args.join(", "))
    }

    fn phrase_arg(&self, arg: &CallArg) -> Option<String> {
        match arg {
            CallArg::Absent => None,
            CallArg::Literal(value) => Some(trace::text(self.constant_value(*value))),
            CallArg::Node(id) => Some(self.phrase(*id)),
            CallArg::List(items) => {
                let items: Vec<String> = items.iter().filter_map(|item| self.phrase_arg(item)).collect();
                Some(format!("[{}]", items.join(", ")))
            }
            CallArg::Function(name) => Some((*name).to_owned()),
        }
    }

    fn joined(&self, ids: &[NodeId], between: &str) -> String {
        let phrases: Vec<String> = ids.iter().map(|&id| self.phrase(id)).collect();
        phrases.join(between)
    }
}
