//! The interpreter: the IR evaluated by a plain match. It is the oracle that generated code is compared with, and what
//! runs where there is none. It shares nothing between nodes, but where generated code asks it, and never calls generated code.

use crate::{
    compare,
    error::EvalError,
    frame::Frame,
    func::{Arguments, Call, HostRef, ParamKind, convert, text_form},
    ir::{CallArg, CallSite, Ir, KindText, Node, NodeId, Type},
    kept::Keeping,
    limits::Limits,
    math,
    program::Host,
    store,
    value::{GoInt, List, ListRepr, Time, Value},
};

/// One evaluation: borrows everything, owns nothing.
#[derive(Clone, Copy)]
pub(crate) struct Interpreter<'e> {
    pub(crate) ir: &'e Ir,
    pub(crate) frame: &'e Frame<'e>,
    pub(crate) host: &'e Host,
    pub(crate) limits: &'e Limits,
    /// Where generated code asks: what was found already.
    pub(crate) keeping: Option<Keeping<'e>>,
}

impl<'e> Interpreter<'e> {
    /// Evaluates a node that is a condition.
    pub(crate) fn truth(&self, id: NodeId) -> Result<bool, EvalError> {
        match self.ir.get(id) {
            Node::And(operands) => {
                for &operand in operands {
                    if !self.truth(operand)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Or(operands) => {
                for &operand in operands {
                    if self.truth(operand)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::Not(operand) => Ok(!self.truth(*operand)?),
            Node::Compare(op, left, right) => {
                let left = self.value(*left)?;
                let right = self.value(*right)?;
                compare::compare(*op, &left, &right)
            }
            Node::InSet(value, set) => Ok(match self.value(*value)? {
                Value::Str(text) => {
                    self.ir.set_members(*set).binary_search_by(|member| member.as_ref().cmp(text.as_ref())).is_ok()
                }
                _ => false,
            }),
            Node::Condition(value) => self.bool(*value),
            _ => self.bool(id),
        }
    }

    fn bool(&self, id: NodeId) -> Result<bool, EvalError> {
        match self.value(id)? {
            Value::Bool(flag) => Ok(flag),
            _ => Err(EvalError::NotBool),
        }
    }

    /// Evaluates a node that is a value.
    pub(crate) fn value(&self, id: NodeId) -> Result<Value<'e>, EvalError> {
        match self.keeping.and_then(|keeping| keeping.of(id)) {
            Some(kept) => kept.value(|| self.evaluate(id)),
            None => self.evaluate(id),
        }
    }

    fn evaluate(&self, id: NodeId) -> Result<Value<'e>, EvalError> {
        match self.ir.get(id) {
            Node::Const(constant) => Ok(self.ir.constant_value(*constant).borrowed()),
            Node::Slot(slot) => Ok(self.frame.value(*slot)),
            Node::IntOrZero(slot) => Ok(match self.value(*slot)? {
                Value::Int(number) => Value::Int(number),
                _ => Value::Int(0),
            }),
            Node::Present(slot) => Ok(Value::Bool(match self.ir.get(*slot) {
                Node::Slot(slot) => !self.frame.is_missing(*slot),
                _ => true,
            })),
            Node::Fail(error) => Err(*error),
            Node::Hex(id) => self.hex(*id),
            Node::Text(id) => text_form::as_string(self.value(*id)?, self.limits).map(Value::Str),
            Node::KindText(form, kind) => match self.value(*kind)? {
                Value::Int(kind) => Ok(Value::str(kind_text(*form, kind))),
                _ => Err(EvalError::Type),
            },
            Node::UnixNano(nanos) => match self.value(*nanos)? {
                Value::Int(nanos) => Ok(Value::Time(Time::from_unix_nano(nanos))),
                _ => Err(EvalError::Type),
            },
            Node::PathIndex(base, keys) => self.path_index(*base, keys),
            Node::ResultIndex(base, keys) => self.result_index(*base, keys),
            Node::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|&item| self.value(item)).collect();
                Ok(Value::List(List::owned(items?, ListRepr::Raw)))
            }
            Node::Map(entries) => {
                let entries: Result<Vec<_>, EvalError> = entries
                    .iter()
                    .map(|(key, value)| Ok((key.as_bytes().into(), store::stored(self.value(*value)?, self.limits)?)))
                    .collect();
                Ok(Value::map(entries?))
            }
            Node::Arithmetic(op, left, right) => {
                let left = self.value(*left)?;
                let right = self.value(*right)?;
                math::arithmetic(*op, &left, &right)
            }
            Node::Negate(operand) => math::negate(&self.value(*operand)?),
            Node::Call(call) => self.call(self.ir.call_site(*call)),
            Node::And(_) | Node::Or(_) | Node::Not(_) | Node::Compare(..) | Node::InSet(..) | Node::Condition(_) => {
                self.truth(id).map(Value::Bool)
            }
        }
    }

    fn hex(&self, id: NodeId) -> Result<Value<'e>, EvalError> {
        match self.value(id)? {
            Value::TraceId(id) => Ok(Value::string(crate::go::text::hex(&id))),
            Value::SpanId(id) => Ok(Value::string(crate::go::text::hex(&id))),
            _ => Err(EvalError::Type),
        }
    }

    /// Keys behind a path. They are evaluated one by one: a missing key ends the chain and later keys are not looked at.
    fn path_index(&self, base: NodeId, keys: &[NodeId]) -> Result<Value<'e>, EvalError> {
        if let Node::Slot(slot) = self.ir.get(base)
            && self.frame.is_missing(*slot)
        {
            return Ok(Value::Nil);
        }
        let mut current = self.value(base)?;
        for &key in keys {
            current = match &current {
                Value::Map(map) => match self.value(key)? {
                    Value::Str(key) => match map.get(&key) {
                        Some(value) => value,
                        None => return Ok(Value::Nil),
                    },
                    _ => return Err(EvalError::KeyType),
                },
                Value::List(list) => match self.value(key)? {
                    Value::Int(index) => item(list, index)?,
                    _ => return Err(EvalError::KeyType),
                },
                _ => return Err(EvalError::NotIndexable),
            };
        }
        Ok(current)
    }

    /// Keys behind a converter's result.
    fn result_index(&self, base: NodeId, keys: &[NodeId]) -> Result<Value<'e>, EvalError> {
        let mut current = self.value(base)?;
        for &key in keys {
            let key = self.value(key)?;
            current = match (&current, &key) {
                (Value::Map(map), Value::Str(key)) => map.get(key).ok_or(EvalError::KeyNotFound)?,
                (Value::List(list), Value::Int(index)) if list.repr() != ListRepr::UInts => item(list, *index)?,
                (Value::Bytes(bytes), Value::Int(index)) => {
                    let byte = usize::try_from(*index).ok().and_then(|at| bytes.get(at));
                    Value::GoInt(GoInt::Uint8(*byte.ok_or(EvalError::OutOfBounds)?))
                }
                _ => return Err(EvalError::NotIndexable),
            };
        }
        Ok(current)
    }

    fn call(&self, site: &'e CallSite) -> Result<Value<'e>, EvalError> {
        let args = SiteArguments { interpreter: *self, site };
        let call = Call {
            args: &args,
            prepared: site.prepared.as_deref(),
            host: HostRef { host: self.host },
            limits: self.limits,
        };
        let result = (site.function.eval)(&call);
        // Generated code relies on the registry's static types.
        debug_assert!(
            result.as_ref().is_ok_and(|value| [Type::Any, Type::of(value)].contains(&site.function.returns))
                || result.is_err(),
            "{} gave {result:?}",
            site.function.name
        );
        result
    }
}

fn item<'w>(list: &List<'w>, index: i64) -> Result<Value<'w>, EvalError> {
    usize::try_from(index).ok().and_then(|index| list.get(index)).ok_or(EvalError::OutOfBounds)
}

/// The text of a kind's number; empty for numbers that have none.
pub(crate) fn kind_text(form: KindText, kind: i64) -> &'static str {
    let names: [&'static str; 6] = match form {
        KindText::Short => ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"],
        KindText::Deprecated => [
            "SPAN_KIND_UNSPECIFIED",
            "SPAN_KIND_INTERNAL",
            "SPAN_KIND_SERVER",
            "SPAN_KIND_CLIENT",
            "SPAN_KIND_PRODUCER",
            "SPAN_KIND_CONSUMER",
        ],
    };
    usize::try_from(kind).ok().and_then(|kind| names.get(kind).copied()).unwrap_or("")
}

/// The arguments of one call site, evaluated on demand.
struct SiteArguments<'e> {
    interpreter: Interpreter<'e>,
    site: &'e CallSite,
}

impl<'e> SiteArguments<'e> {
    fn arg(&self, index: usize) -> &'e CallArg {
        self.site.args.get(index).unwrap_or(&CallArg::Absent)
    }

    fn kind(&self, index: usize) -> ParamKind {
        self.site.function.params.get(index).map_or(ParamKind::Any, |param| param.kind)
    }

    fn evaluate(&self, arg: &'e CallArg) -> Result<Value<'e>, EvalError> {
        match arg {
            CallArg::Absent => Ok(Value::Nil),
            CallArg::Literal(constant) => Ok(self.interpreter.ir.constant_value(*constant).borrowed()),
            CallArg::Node(id) => self.interpreter.value(*id),
            CallArg::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.evaluate(item)).collect();
                Ok(Value::List(List::owned(items?, ListRepr::Raw)))
            }
            // Only converters that take a function look at one, through their prepared state.
            CallArg::Function(_) => Err(EvalError::Type),
        }
    }
}

impl<'e> Arguments<'e> for SiteArguments<'e> {
    fn given(&self, index: usize) -> bool {
        !matches!(self.arg(index), CallArg::Absent)
    }

    fn raw(&self, index: usize) -> Result<Value<'e>, EvalError> {
        self.evaluate(self.arg(index))
    }

    fn convert(&self, index: usize, value: Value<'e>) -> Result<Value<'e>, EvalError> {
        match self.arg(index) {
            // Literals were converted when the call was built.
            CallArg::Literal(_) => Ok(value),
            _ => convert::convert(self.kind(index), value, self.interpreter.limits),
        }
    }

    fn literal_len(&self, index: usize) -> Option<usize> {
        match self.arg(index) {
            CallArg::List(items) => Some(items.len()),
            _ => None,
        }
    }

    fn literal_item(&self, index: usize, item: usize) -> Result<Value<'e>, EvalError> {
        let CallArg::List(items) = self.arg(index) else { return Err(EvalError::Argument) };
        let item = items.get(item).ok_or(EvalError::OutOfBounds)?;
        let value = self.evaluate(item)?;
        match (item, self.kind(index)) {
            (CallArg::Literal(_), _) => Ok(value),
            (_, ParamKind::ListOf(kind) | ParamKind::SliceOf(kind)) => {
                convert::convert(*kind, value, self.interpreter.limits)
            }
            _ => Ok(value),
        }
    }
}
