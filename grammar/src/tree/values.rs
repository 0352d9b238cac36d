//! Literals, collections, lambdas and arithmetic.

use pest::iterators::{Pair, Pairs};

use super::{Builder, Loose, describe, or_broken, span_of};
use crate::{
    ast::{BoolExpr, Lambda, LambdaBody, MathOp, Sign, Value, ValueKind},
    error::{Code, Error},
    literal,
    parse::Rule,
    span::{Span, Spanned},
};

impl Builder {
    pub(super) fn value(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let span = span_of(&pair);
        let text = pair.as_str();
        let kind = match pair.as_rule() {
            Rule::math => return self.math(pair),
            Rule::lambda => return self.lambda(pair),
            Rule::nil => ValueKind::Nil,
            Rule::boolean => ValueKind::Bool(text == "true"),
            Rule::bytes => match literal::bytes(text, span) {
                Ok(bytes) => ValueKind::Bytes(bytes),
                Err(error) => return self.broken(vec![error], span),
            },
            Rule::string => match literal::string(text, pair.as_span().start()) {
                Ok(text) => ValueKind::String(text),
                Err(errors) => return self.broken(errors, span),
            },
            Rule::enum_symbol => ValueKind::Enum(text.to_owned()),
            Rule::list => {
                let items = pair.into_inner().filter(|part| !is_punctuation(part));
                let items = items.map(|item| {
                    let item = self.value(item);
                    self.plain_value(item)
                });
                ValueKind::List(items.collect())
            }
            Rule::map => {
                let entries = pair.into_inner().filter(|part| part.as_rule() == Rule::entry);
                ValueKind::Map(entries.filter_map(|entry| self.entry(entry)).collect())
            }
            // `value` in the grammar has no other alternative.
            _ => return Loose::Broken(span),
        };
        Loose::Value(Value { kind, span })
    }

    fn broken(&mut self, errors: Vec<Error>, span: Span) -> Loose {
        self.errors.extend(errors);
        Loose::Broken(span)
    }

    fn entry(&mut self, pair: Pair<'_, Rule>) -> Option<(Spanned<String>, Value)> {
        let mut parts = pair.into_inner().filter(|part| !is_punctuation(part));
        let key = self.string(&parts.next()?);
        let value = self.value(parts.next()?);
        Some((key, self.plain_value(value)))
    }

    pub(super) fn string(&mut self, pair: &Pair<'_, Rule>) -> Spanned<String> {
        let text = literal::string(pair.as_str(), pair.as_span().start()).unwrap_or_else(|errors| {
            self.errors.extend(errors);
            String::new()
        });
        Spanned::new(text, span_of(pair))
    }

    fn lambda(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let mut span = span_of(&pair);
        let mut params = Vec::new();
        let mut body = Loose::Broken(span);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::param => params.push(Spanned::new(part.as_str().to_owned(), span_of(&part))),
                Rule::bool_expr => body = self.bool_expr(part),
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

    pub(super) fn math(&mut self, pair: Pair<'_, Rule>) -> Loose {
        self.chain(pair.into_inner(), Self::add_term)
    }

    fn add_term(&mut self, pair: Pair<'_, Rule>) -> Loose {
        self.chain(pair.into_inner(), Self::math_val)
    }

    /// `operand (operator operand)*`, leaning to the left. One operand alone stays as it is.
    fn chain<'s>(&mut self, mut pairs: Pairs<'s, Rule>, read: fn(&mut Self, Pair<'s, Rule>) -> Loose) -> Loose {
        let mut left = or_broken(pairs.next().map(|pair| read(self, pair)));
        while let (Some(op), Some(right)) = (pairs.next(), pairs.next()) {
            let left_value = self.plain_value(left);
            let right = read(self, right);
            let right = self.plain_value(right);
            let span = left_value.span.to(right.span);
            let op = Spanned::new(math_op(op.as_str()), span_of(&op));
            left = Loose::Value(Value { kind: ValueKind::Binary(Box::new(left_value), op, Box::new(right)), span });
        }
        left
    }

    fn math_val(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let mut sign = None;
        let mut operand = Loose::Broken(span_of(&pair));
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::sign => sign = Some(Spanned::new(sign_of(part.as_str()), span_of(&part))),
                _ => operand = self.operand(part),
            }
        }
        let Some(sign) = sign else { return operand };
        let operand = self.plain_value(operand);
        let span = sign.span.to(operand.span);
        Loose::Value(Value { kind: ValueKind::Unary(sign, Box::new(operand)), span })
    }

    fn operand(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let span = span_of(&pair);
        let number = match pair.as_rule() {
            Rule::group => return self.group(pair),
            Rule::call => {
                let call = self.call(pair);
                return Loose::Value(Value { span: call.span, kind: ValueKind::Call(call) });
            }
            Rule::path => {
                let path = self.path(&pair);
                return Loose::Value(Value { span: path.span, kind: ValueKind::Path(path) });
            }
            Rule::int => literal::int(pair.as_str(), span).map(ValueKind::Int),
            // The grammar has no other operand.
            _ => literal::float(pair.as_str(), span).map(ValueKind::Float),
        };
        match number {
            Ok(kind) => Loose::Value(Value { kind, span }),
            Err(error) => self.broken(vec![error], span),
        }
    }

    /// Parentheses: they hold a condition, or arithmetic, which includes a lone number, path or call.
    fn group(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let span = span_of(&pair);
        let inner = pair.into_inner().find(|part| part.as_rule() == Rule::bool_expr);
        match or_broken(inner.map(|pair| self.bool_expr(pair))) {
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
