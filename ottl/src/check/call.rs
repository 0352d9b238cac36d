//! Binding of a call: the converter, its arguments by position and name, literals converted to the parameter's kind.

use grammar::{
    ast::{Arg, Call, Value as Tree, ValueKind},
    span::Span,
};

use super::{Checker, is_literal};
use crate::{
    error::{self, Error},
    func::{self, Function, LiteralArg, Literals, Needs, Param, ParamKind, convert},
    ir::{CallArg, CallSite, Node, NodeId, Type},
    nearest::nearest,
    value::Value,
};

/// Converters that upstream accepts only behind the gate `pkg.ottl.functions.enableExperimental` or with lambdas, both off
/// by default, and `ProfileID`, which belongs to a signal that is not supported.
const GATED: [&str; 9] = ["Any", "All", "Filter", "Find", "MapEach", "MapKeys", "Reduce", "When", "ProfileID"];

impl Checker<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Option<NodeId> {
        let function = self.function(call);
        let keys = self.keys(&call.keys);
        let args = self.bind(function?, call);
        let site = self.site(function?, &args?, call)?;
        let value = self.ir.call(site);
        let keys = keys?;
        if keys.is_empty() {
            return Some(value);
        }
        Some(self.ir.node(Node::ResultIndex(value, keys.into()), Type::Any))
    }

    fn function(&mut self, call: &Call) -> Option<&'static Function> {
        let name = call.name.node.as_str();
        let span = call.name.span;
        if name.starts_with(|c: char| c.is_ascii_lowercase()) {
            let message = format!("{name} is an editor, which cannot stand for a value");
            return self.fail(Error::new(error::EDITOR_AS_VALUE, span, message));
        }
        let Some(function) = func::find(name) else {
            if GATED.contains(&name) {
                let message = format!("converter {name} is not supported");
                return self.fail(
                    Error::new(error::UNSUPPORTED, span, message).with_hint("upstream has it behind a feature gate"),
                );
            }
            let mut error = Error::new(error::UNKNOWN_FUNCTION, span, format!("unknown converter {name}"));
            error.hint =
                nearest(name, func::all().map(|function| function.name)).map(|near| format!("did you mean {near}?"));
            return self.fail(error);
        };
        if !function.contexts.is_empty() && !function.contexts.contains(&self.context) {
            let message = format!("converter {name} is not available in context {}", self.context.name());
            return self.fail(Error::new(error::UNKNOWN_FUNCTION, span, message));
        }
        let missing = match function.needs {
            Needs::Clock | Needs::ClockAndRandomness if self.host.clock.is_none() => Some("a clock"),
            Needs::Randomness | Needs::ClockAndRandomness if self.host.random.is_none() => Some("randomness"),
            _ => None,
        };
        if let Some(missing) = missing {
            return self.fail(Error::new(error::NEEDS_HOST, span, format!("converter {name} needs {missing}")));
        }
        Some(function)
    }

    /// The tree of each parameter's argument. contrib checks the count only, so that a name given twice can leave a
    /// required parameter without an argument and the process panics; here that is refused.
    fn bind<'t>(&mut self, function: &'static Function, call: &'t Call) -> Option<Vec<Option<&'t Arg>>> {
        let params = function.params;
        // contrib never looks at the arguments of a converter without parameters.
        if params.is_empty() {
            return Some(Vec::new());
        }
        let required = params.iter().filter(|param| !param.optional).count();
        if !(required..=params.len()).contains(&call.args.len()) {
            let wanted = match required == params.len() {
                true => format!("{required}"),
                false => format!("{required} to {}", params.len()),
            };
            let message = format!("{} takes {wanted} arguments, {} given", function.name, call.args.len());
            return self.fail(Error::new(error::ARGUMENT_COUNT, call.span, message).with_hint(signature(function)));
        }
        let mut bound: Vec<Option<&Arg>> = vec![None; params.len()];
        let mut named = false;
        let mut failed = false;
        for (at, arg) in call.args.iter().enumerate() {
            let place = match &arg.name {
                None if named => {
                    let message = "an argument without a name must not follow one with a name";
                    self.errors.push(Error::new(error::ARGUMENT_NAME, arg.value.span, message));
                    None
                }
                None => Some(at),
                Some(name) => {
                    named = true;
                    let wanted = camel_case(&name.node);
                    let place = params.iter().position(|param| param.name == wanted);
                    if place.is_none() {
                        let message = format!("{} has no argument {}", function.name, name.node);
                        let error = Error::new(error::ARGUMENT_NAME, name.span, message);
                        self.errors.push(error.with_hint(signature(function)));
                    }
                    place
                }
            };
            match place.and_then(|place| bound.get_mut(place)) {
                Some(slot) => *slot = Some(arg),
                None => failed = true,
            }
        }
        if failed {
            return None;
        }
        let missing = params.iter().zip(&bound).find(|(param, arg)| !param.optional && arg.is_none());
        if let Some((param, _)) = missing {
            let message = format!("{} lacks its argument {}", function.name, snake_case(param.name));
            return self.fail(Error::new(error::ARGUMENT_COUNT, call.span, message).with_hint(signature(function)));
        }
        Some(bound)
    }

    fn site(&mut self, function: &'static Function, bound: &[Option<&Arg>], call: &Call) -> Option<CallSite> {
        let mut args = Vec::with_capacity(function.params.len() + function.implicit.len());
        for (param, arg) in function.params.iter().zip(bound) {
            args.push(match arg {
                None => Some(CallArg::Absent),
                Some(arg) => self.argument(function, param, param.kind, &arg.value),
            });
        }
        for name in function.implicit {
            args.push(self.implicit(name, call.span).map(CallArg::Node));
        }
        let args: Vec<CallArg> = args.into_iter().collect::<Option<_>>()?;
        let prepared = match function.prepare {
            None => None,
            Some(prepare) => {
                let literals: Vec<LiteralArg> = args.iter().map(|arg| self.literal(arg)).collect();
                match prepare(&Literals { args: &literals, limits: self.limits }) {
                    Ok(prepared) => prepared,
                    Err(refusal) => {
                        let argument = bound.get(refusal.parameter).copied().flatten();
                        let span = argument.map_or(call.span, |argument| argument.value.span);
                        let message = format!("{}: {}", function.name, refusal.message);
                        return self.fail(Error::new(error::ARGUMENT_VALUE, span, message));
                    }
                }
            }
        };
        Some(CallSite { function, args: args.into(), prepared })
    }

    fn argument(
        &mut self,
        function: &'static Function,
        param: &Param,
        kind: ParamKind,
        tree: &Tree,
    ) -> Option<CallArg> {
        match (kind, &tree.kind) {
            (ParamKind::FunctionRef, ValueKind::FunctionRef(name) | ValueKind::Enum(name)) => match func::find(name) {
                Some(found) => Some(CallArg::Function(found.name)),
                None => self.fail(Error::new(error::UNKNOWN_FUNCTION, tree.span, format!("unknown converter {name}"))),
            },
            (ParamKind::ListOf(item) | ParamKind::SliceOf(item), ValueKind::List(items)) => {
                let items: Vec<Option<CallArg>> =
                    items.iter().map(|tree| self.argument(function, param, *item, tree)).collect();
                let items: Vec<CallArg> = items.into_iter().collect::<Option<_>>()?;
                Some(CallArg::List(items.into()))
            }
            (ParamKind::FunctionRef | ParamKind::ListOf(_) | ParamKind::Lambda, _) => {
                self.refuse(function, param, kind, tree.span)
            }
            (ParamKind::LiteralString, ValueKind::String(_))
            | (ParamKind::LiteralInt, ValueKind::Int(_))
            | (ParamKind::LiteralFloat, ValueKind::Float(_))
            | (ParamKind::LiteralBool, ValueKind::Bool(_)) => {
                let node = self.value(tree)?;
                let value = self.ir.as_constant(node)?.clone();
                Some(CallArg::Literal(self.ir.constant_id(value)))
            }
            (
                ParamKind::LiteralString | ParamKind::LiteralInt | ParamKind::LiteralFloat | ParamKind::LiteralBool,
                _,
            ) => self.refuse(function, param, kind, tree.span),
            _ if is_literal(tree) => {
                let node = self.value(tree)?;
                let Some(value) = self.ir.as_constant(node).cloned() else { return Some(CallArg::Node(node)) };
                match convert::convert(kind, value, self.limits) {
                    Ok(value) => Some(CallArg::Literal(self.ir.constant_id(value))),
                    Err(_) => self.refuse(function, param, kind, tree.span),
                }
            }
            _ => self.value(tree).map(CallArg::Node),
        }
    }

    fn refuse<T>(&mut self, function: &'static Function, param: &Param, kind: ParamKind, span: Span) -> Option<T> {
        let name = snake_case(param.name);
        let message = format!("{} takes {} as its argument {name}", function.name, expected(kind));
        self.fail(Error::new(error::ARGUMENT_TYPE, span, message))
    }

    fn literal(&self, arg: &CallArg) -> LiteralArg {
        match arg {
            CallArg::Absent => LiteralArg::Absent,
            CallArg::Literal(id) => LiteralArg::Value(self.ir.constant_value(*id).clone()),
            CallArg::Node(_) => LiteralArg::Dynamic,
            CallArg::List(items) => {
                let value = |item: &CallArg| match item {
                    CallArg::Literal(id) => Some(self.ir.constant_value(*id).clone()),
                    _ => None,
                };
                LiteralArg::List(items.iter().map(value).collect::<Vec<Option<Value<'static>>>>())
            }
            CallArg::Function(name) => match func::find(name) {
                Some(function) => LiteralArg::Function(function),
                None => LiteralArg::Dynamic,
            },
        }
    }
}

fn expected(kind: ParamKind) -> &'static str {
    match kind {
        ParamKind::Any => "any value",
        ParamKind::String => "a string",
        ParamKind::Int => "an int",
        ParamKind::Float => "a double",
        ParamKind::Bool => "a bool",
        ParamKind::Time => "a time",
        ParamKind::Duration => "a duration",
        ParamKind::Map => "a map",
        ParamKind::Slice => "a list",
        ParamKind::StringLike => "something with a text form",
        ParamKind::IntLike => "an int or something that converts to one",
        ParamKind::FloatLike => "a double or something that converts to one",
        ParamKind::BoolLike => "a bool or something that converts to one",
        ParamKind::BytesLike => "bytes or something that converts to them",
        ParamKind::LiteralString => "a literal string",
        ParamKind::LiteralInt => "a literal int",
        ParamKind::LiteralFloat => "a literal double",
        ParamKind::LiteralBool => "a literal bool",
        ParamKind::ListOf(_) => "a list literal",
        ParamKind::SliceOf(_) => "a list",
        ParamKind::FunctionRef => "the name of a function",
        ParamKind::Lambda => "a lambda",
    }
}

/// `IsMatch(target, pattern)`
fn signature(function: &Function) -> String {
    let params: Vec<String> = function
        .params
        .iter()
        .map(|param| format!("{}{}", snake_case(param.name), if param.optional { "?" } else { "" }))
        .collect();
    format!("{}({})", function.name, params.join(", "))
}

/// How contrib turns an argument's name into a Go field's: letters behind `_` and behind digits go upper case.
fn camel_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut raise = true;
    for c in name.chars() {
        if c == '_' {
            raise = true;
            continue;
        }
        text.push(if raise { c.to_ascii_uppercase() } else { c });
        raise = c.is_ascii_digit();
    }
    text
}

/// The name that reaches a Go field, for messages.
pub(crate) fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (at, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && at > 0 {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}
