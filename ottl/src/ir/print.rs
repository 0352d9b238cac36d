//! The text form of the IR: one line a node, in order of need, numbered from zero within one print, so that equal
//! conditions print equally whatever else the program holds.

use std::{collections::HashMap, fmt::Write as _};

use grammar::ast::{CompareOp, MathOp};

use super::{CallArg, Ir, KindText, Node, NodeId};
use crate::value::{GoInt, ListRepr, MapRepr, Value};

impl Ir {
    /// The nodes that `root` needs, one a line, `root` last.
    #[must_use]
    pub fn print(&self, root: NodeId) -> String {
        let mut printer = Printer { ir: self, numbers: HashMap::new(), text: String::new() };
        printer.visit(root);
        printer.text
    }
}

struct Printer<'i> {
    ir: &'i Ir,
    numbers: HashMap<NodeId, usize>,
    text: String,
}

impl Printer<'_> {
    fn visit(&mut self, id: NodeId) -> String {
        if let Some(number) = self.numbers.get(&id) {
            return format!("%{number}");
        }
        // Operands first, then this node's own number.
        let body = self.body(id);
        let number = self.numbers.len();
        self.numbers.insert(id, number);
        let _ = writeln!(self.text, "%{number} = {body} : {}", self.ir.ty(id).name());
        format!("%{number}")
    }

    fn all(&mut self, ids: &[NodeId]) -> String {
        let operands: Vec<String> = ids.iter().map(|&id| self.visit(id)).collect();
        operands.join(", ")
    }

    fn body(&mut self, id: NodeId) -> String {
        let ir = self.ir;
        match ir.get(id) {
            Node::Const(value) => format!("const {}", constant(ir.constant_value(*value))),
            Node::Slot(slot) => format!("slot {}", ir.slots()[slot.0 as usize]),
            Node::IntOrZero(slot) => format!("int_or_zero {}", self.visit(*slot)),
            Node::Present(slot) => format!("present {}", self.visit(*slot)),
            Node::Fail(error) => format!("fail {error:?}"),
            Node::Hex(id) => format!("hex {}", self.visit(*id)),
            Node::Text(id) => format!("text {}", self.visit(*id)),
            Node::KindText(KindText::Short, kind) => format!("kind_text {}", self.visit(*kind)),
            Node::KindText(KindText::Deprecated, kind) => format!("kind_deprecated_text {}", self.visit(*kind)),
            Node::UnixNano(nanos) => format!("time {}", self.visit(*nanos)),
            Node::PathIndex(base, keys) => format!("path_index {}[{}]", self.visit(*base), self.all(keys)),
            Node::ResultIndex(base, keys) => format!("result_index {}[{}]", self.visit(*base), self.all(keys)),
            Node::List(items) => format!("list [{}]", self.all(items)),
            Node::Map(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{key:?}: {}", self.visit(*value))).collect();
                format!("map {{{}}}", entries.join(", "))
            }
            Node::Arithmetic(op, left, right) => {
                let name = match op {
                    MathOp::Add => "add",
                    MathOp::Sub => "sub",
                    MathOp::Mul => "mul",
                    MathOp::Div => "div",
                };
                format!("{name} {}", self.all(&[*left, *right]))
            }
            Node::Negate(operand) => format!("negate {}", self.visit(*operand)),
            Node::Call(call) => {
                let site = ir.call_site(*call);
                let args: Vec<String> = site.args.iter().map(|arg| self.arg(arg)).collect();
                let prepared = if site.prepared.is_some() { " prepared" } else { "" };
                format!("call{prepared} {}({})", site.function.name, args.join(", "))
            }
            Node::Compare(op, left, right) => format!("{} {}", compare_name(*op), self.all(&[*left, *right])),
            Node::InSet(value, set) => {
                let members: Vec<String> = ir.set_members(*set).iter().map(|member| quoted(member)).collect();
                format!("in_set {} {{{}}}", self.visit(*value), members.join(", "))
            }
            Node::And(operands) => format!("and {}", self.all(operands)),
            Node::Or(operands) => format!("or {}", self.all(operands)),
            Node::Not(operand) => format!("not {}", self.visit(*operand)),
            Node::Condition(value) => format!("condition {}", self.visit(*value)),
        }
    }

    fn arg(&mut self, arg: &CallArg) -> String {
        match arg {
            CallArg::Absent => "_".to_owned(),
            CallArg::Literal(value) => constant(self.ir.constant_value(*value)),
            CallArg::Node(id) => self.visit(*id),
            CallArg::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.arg(item)).collect();
                format!("[{}]", items.join(", "))
            }
            CallArg::Function(name) => (*name).to_owned(),
        }
    }
}

fn compare_name(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "eq",
        CompareOp::Ne => "ne",
        CompareOp::Lt => "lt",
        CompareOp::Le => "le",
        CompareOp::Gt => "gt",
        CompareOp::Ge => "ge",
    }
}

fn quoted(text: &[u8]) -> String {
    format!("\"{}\"", text.escape_ascii())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A constant's text. It is also the key that makes equal constants one, so it shows type, Go type and exact bits.
pub(super) fn constant(value: &Value<'_>) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        // Debug keeps the dot of integral doubles; the bits of a NaN do not matter to any rule.
        Value::Double(number) => format!("{number:?}"),
        Value::Str(text) => quoted(text),
        Value::Bytes(bytes) => format!("0x{}", hex(bytes)),
        Value::Map(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", quoted(&key), constant(&value))).collect();
            let tag = if map.repr() == MapRepr::Raw { "raw " } else { "" };
            format!("{tag}{{{}}}", entries.join(", "))
        }
        Value::List(list) => {
            let items: Vec<String> = list.iter().map(|item| constant(&item)).collect();
            let tag = match list.repr() {
                ListRepr::Raw => "",
                ListRepr::Slice => "slice ",
                ListRepr::Strings => "strings ",
                ListRepr::Ints => "ints ",
                ListRepr::UInts => "uints ",
                ListRepr::Doubles | ListRepr::MadeDoubles => "doubles ",
                ListRepr::Bools => "bools ",
            };
            format!("{tag}[{}]", items.join(", "))
        }
        Value::Time(time) => format!("time({}, {}, {:?})", time.sec, time.nsec, time.zone),
        Value::Duration(nanos) => format!("{nanos}ns"),
        Value::TraceId(id) => format!("trace_id({})", hex(id)),
        Value::SpanId(id) => format!("span_id({})", hex(id)),
        Value::Opaque(opaque) => format!("{:?}", opaque.kind),
        Value::GoInt(GoInt::Int(number)) => format!("go_int({number})"),
        Value::GoInt(GoInt::Uint8(number)) => format!("uint8({number})"),
        Value::GoInt(GoInt::Uint64(number)) => format!("uint64({number})"),
    }
}
