//! Literals, collections, lambdas and arithmetic.

use pest::iterators::Pair;

use super::{Builder, Loose, describe, or_broken, span_of};
use crate::{
    ast::{BoolExpr, Lambda, LambdaBody, MathOp, Sign, Value, ValueKind},
    error::Code,
    literal,
    parse::Rule,
    span::{Span, Spanned},
};

impl Builder {
    /// A literal of one token.
    #[inline(never)]
    pub(super) fn literal(&mut self, pair: &Pair<'_, Rule>) -> Loose {
        let span = span_of(pair);
        let text = pair.as_str();
        let kind = match pair.as_rule() {
            Rule::nil => Ok(ValueKind::Nil),
            Rule::boolean => Ok(ValueKind::Bool(text == "true")),
            Rule::int => literal::int(text, span).map(ValueKind::Int),
            Rule::float => literal::float(text, span).map(ValueKind::Float),
            Rule::bytes => literal::bytes(text, span).map(ValueKind::Bytes),
            Rule::string => Ok(ValueKind::String(self.string(pair).node)),
            // The grammar has no other value of one token.
            _ => Ok(ValueKind::Enum(text.to_owned())),
        };
        match kind {
            Ok(kind) => Loose::Value(Value { kind, span }),
            Err(error) => {
                self.errors.push(error);
                Loose::Broken(span)
            }
        }
    }

    /// The text of a string literal. After a bad escape it is empty.
    pub(super) fn string(&mut self, pair: &Pair<'_, Rule>) -> Spanned<String> {
        let text = literal::string(pair.as_str(), pair.as_span().start()).unwrap_or_else(|errors| {
            self.errors.extend(errors);
            String::new()
        });
        Spanned::new(text, span_of(pair))
    }

    #[inline(never)]
    pub(super) fn list(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let span = span_of(&pair);
        let mut items = Vec::new();
        for item in pair.into_inner().filter(|part| !is_punctuation(part)) {
            items.push(self.plain(item));
        }
        Loose::Value(Value { kind: ValueKind::List(items), span })
    }

    #[inline(never)]
    pub(super) fn map(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let span = span_of(&pair);
        let mut entries = Vec::new();
        for entry in pair.into_inner().filter(|part| part.as_rule() == Rule::entry) {
            let mut parts = entry.into_inner().filter(|part| !is_punctuation(part));
            if let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                let key = self.string(&key);
                entries.push((key, self.plain(value)));
            }
        }
        Loose::Value(Value { kind: ValueKind::Map(entries), span })
    }

    #[inline(never)]
    pub(super) fn lambda(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let mut span = span_of(&pair);
        let mut params = Vec::new();
        let mut body = Loose::Broken(span);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::param => params.push(Spanned::new(part.as_str().to_owned(), span_of(&part))),
                Rule::bool_expr => body = self.expression(part),
                _ => {}
            }
        }
        span.end = body.span().end;
        let body = match body {
            Loose::Condition(condition, _) => LambdaBody::Condition(condition),
            loose => LambdaBody::Value(self.any_value(loose)),
        };
        if let LambdaBody::Value(Value { kind: ValueKind::Lambda(_), span: inner }) = &body {
            let hint = "one lambda may take several parameters: `(a, b) => ..`";
            self.error(Code::LambdaInLambda, *inner, "a lambda's body cannot be a lambda", hint);
        }
        Loose::Value(Value { kind: ValueKind::Lambda(Box::new(Lambda { params, body })), span })
    }

    /// `operand operator operand ..` of one level, leaning to the left.
    #[inline(never)]
    pub(super) fn chain(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let mut parts = pair.into_inner();
        let Some(first) = parts.next() else { return Loose::Broken(Span::default()) };
        let mut left = self.plain(first);
        while let (Some(op), Some(right)) = (parts.next(), parts.next()) {
            let right = self.plain(right);
            let span = left.span.to(right.span);
            let op = Spanned::new(math_op(op.as_str()), span_of(&op));
            left = Value { kind: ValueKind::Binary(Box::new(left), op, Box::new(right)), span };
        }
        Loose::Value(left)
    }

    /// A sign and its operand.
    #[inline(never)]
    pub(super) fn signed(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let mut parts = pair.into_inner();
        let (Some(sign), Some(operand)) = (parts.next(), parts.next()) else { return Loose::Broken(Span::default()) };
        let sign = Spanned::new(sign_of(sign.as_str()), span_of(&sign));
        let grouped = operand.as_rule() == Rule::group;
        let mut operand = self.plain(operand);
        if grouped && matches!(operand.kind, ValueKind::Int(_) | ValueKind::Float(_)) {
            let span = operand.span;
            operand = Value { kind: ValueKind::Group(Box::new(operand)), span };
        }
        let span = sign.span.to(operand.span);
        Loose::Value(Value { kind: ValueKind::Unary(sign, Box::new(operand)), span })
    }

    /// Parentheses: they hold a condition, or arithmetic, which includes a lone number, path or call.
    #[inline(never)]
    pub(super) fn group(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let span = span_of(&pair);
        let inner = pair.into_inner().find(|part| part.as_rule() == Rule::bool_expr);
        match or_broken(inner.map(|pair| self.expression(pair))) {
            Loose::Condition(condition, _) => Loose::Condition(condition, span),
            Loose::Broken(_) => Loose::Broken(span),
            Loose::Value(Value { kind: ValueKind::Bool(literal), span: inner }) => {
                Loose::Condition(BoolExpr::Literal(Spanned::new(literal, inner)), span)
            }
            Loose::Value(Value { kind, span: inner }) => match kind {
                ValueKind::Int(_)
                | ValueKind::Float(_)
                | ValueKind::Path(_)
                | ValueKind::Call(_)
                | ValueKind::Binary(..)
                | ValueKind::Unary(..) => Loose::Value(Value { kind, span }),
                _ => {
                    let message = format!("parentheses hold a condition or arithmetic, not {}", describe(&kind));
                    self.error(Code::GroupedLiteral, inner, message, "remove the parentheses");
                    Loose::Broken(span)
                }
            },
        }
    }
}

fn is_punctuation(pair: &Pair<'_, Rule>) -> bool {
    matches!(pair.as_rule(), Rule::comma | Rule::colon | Rule::close_paren | Rule::close_bracket | Rule::close_brace)
}

fn math_op(text: &str) -> MathOp {
    match text {
        "+" => MathOp::Add,
        "-" => MathOp::Sub,
        "*" => MathOp::Mul,
        _ => MathOp::Div,
    }
}

fn sign_of(text: &str) -> Sign {
    if text == "-" { Sign::Minus } else { Sign::Plus }
}
