//! Calls, their arguments, paths and keys.

use pest::iterators::Pair;

use super::{Builder, Loose, span_of};
use crate::{
    ast::{Arg, Call, Key, KeyKind, Path, Segment, Value, ValueKind},
    literal,
    parse::Rule,
    span::Spanned,
};

impl Builder {
    /// A call as an expression.
    #[inline(never)]
    pub(super) fn called(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let call = self.call(pair);
        Loose::Value(Value { span: call.span, kind: ValueKind::Call(call) })
    }

    /// A path as an expression.
    #[inline(never)]
    pub(super) fn at_path(&mut self, pair: &Pair<'_, Rule>) -> Loose {
        let path = self.path(pair);
        Loose::Value(Value { span: path.span, kind: ValueKind::Path(path) })
    }

    pub(super) fn call(&mut self, pair: Pair<'_, Rule>) -> Call {
        let mut span = span_of(&pair);
        let mut name = Spanned::new(String::new(), span);
        let (mut args, mut keys) = (Vec::new(), Vec::new());
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::uname_of_call | Rule::lname_of_call => name = glued(&part),
                Rule::arg => args.extend(self.arg(part)),
                Rule::close_paren => span.end = span_of(&part).end,
                Rule::key => {
                    let key = self.key(part);
                    span.end = key.span.end;
                    keys.push(key);
                }
                _ => {}
            }
        }
        Call { name, args, keys, span }
    }

    fn arg(&mut self, pair: Pair<'_, Rule>) -> Option<Arg> {
        let mut name = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::arg_name => name = Some(glued(&part)),
                Rule::equal => {}
                Rule::function_ref => {
                    let Spanned { node, span } = glued(&part);
                    return Some(Arg { name, value: Value { kind: ValueKind::FunctionRef(node), span } });
                }
                _ => {
                    let value = self.expression(part);
                    return Some(Arg { name, value: self.any_value(value) });
                }
            }
        }
        None
    }

    fn path(&mut self, pair: &Pair<'_, Rule>) -> Path {
        let segments: Vec<Segment> = pair.clone().into_inner().map(|field| self.field(field)).collect();
        let mut span = span_of(pair);
        if let Some(last) = segments.last() {
            span.end = last.keys.last().map_or(last.name.span.end, |key| key.span.end);
        }
        Path { segments, span }
    }

    fn field(&mut self, pair: Pair<'_, Rule>) -> Segment {
        let mut name = Spanned::new(String::new(), span_of(&pair));
        let mut keys = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::key => keys.push(self.key(part)),
                _ => name = Spanned::new(part.as_str().to_owned(), span_of(&part)),
            }
        }
        Segment { name, keys }
    }

    fn key(&mut self, pair: Pair<'_, Rule>) -> Key {
        let span = span_of(&pair);
        let Some(inner) = pair.into_inner().next() else { return Key { kind: KeyKind::Int(0), span } };
        let kind = match inner.as_rule() {
            Rule::string => KeyKind::String(self.string(&inner).node),
            Rule::int => KeyKind::Int(literal::int(inner.as_str(), span_of(&inner)).unwrap_or_else(|error| {
                self.errors.push(error);
                0
            })),
            _ => KeyKind::Expr(Box::new(self.plain(inner))),
        };
        Key { kind, span }
    }
}

/// A name without the white space between its tokens.
fn glued(pair: &Pair<'_, Rule>) -> Spanned<String> {
    let name = pair.as_str().chars().filter(|c| !c.is_ascii_whitespace()).collect();
    Spanned::new(name, span_of(pair))
}
