//! From the grammar's pairs to the tree, with the checks that the grammar cannot make.
//!
//! The grammar reads `(condition)` and `(arithmetic)` by one rule and lets a comparison lack its operator. So an
//! expression is [`Loose`] until its surroundings say whether a condition or a value is needed. All mistakes are
//! collected; what stands in for a broken part is never seen, for a text with mistakes gives no tree.
//!
//! Recursion here is bounded by `scan`.

mod calls;
mod values;

use pest::iterators::Pair;

use crate::{
    ast::{BoolExpr, Call, CompareOp, Comparison, Statement, Value, ValueKind},
    error::{Code, Error},
    hint,
    parse::Rule,
    span::{Span, Spanned},
};

/// Builds one tree and collects what is wrong with it.
#[derive(Default)]
pub(crate) struct Builder {
    errors: Vec<Error>,
}

/// An expression whose surroundings are not known yet.
enum Loose {
    /// Only a condition: it has a comparison, `and`, `or`, `not`, or parentheses around `true` or `false`.
    Condition(BoolExpr, Span),
    /// A value. `true`, `false` and converter calls may still serve as conditions.
    Value(Value),
    /// Its mistake is already reported.
    Broken(Span),
}

impl Loose {
    fn span(&self) -> Span {
        match self {
            Self::Condition(_, span) | Self::Broken(span) => *span,
            Self::Value(value) => value.span,
        }
    }
}

impl Builder {
    /// The tree, if nothing was wrong with it.
    pub(crate) fn finish<T>(mut self, tree: Option<T>) -> Result<T, Vec<Error>> {
        match tree {
            Some(tree) if self.errors.is_empty() => Ok(tree),
            _ => {
                self.errors.sort_by_key(|error| error.span.start);
                Err(self.errors)
            }
        }
    }

    pub(crate) fn condition_text(&mut self, pair: Pair<'_, Rule>) -> BoolExpr {
        let loose = pair.into_inner().next().map(|pair| self.expression(pair));
        self.condition(or_broken(loose))
    }

    pub(crate) fn value_text(&mut self, pair: Pair<'_, Rule>) -> Value {
        let loose = pair.into_inner().next().map(|pair| self.expression(pair));
        self.plain_value(or_broken(loose))
    }

    pub(crate) fn statement_text(&mut self, pair: Pair<'_, Rule>) -> Statement {
        let mut editor = Call {
            name: Spanned::new(String::new(), Span::default()),
            args: vec![],
            keys: vec![],
            span: Span::default(),
        };
        let mut condition = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::call => editor = self.editor(part),
                Rule::bool_expr => {
                    let loose = self.expression(part);
                    condition = Some(self.condition(loose));
                }
                _ => {}
            }
        }
        Statement { editor, condition }
    }

    fn editor(&mut self, pair: Pair<'_, Rule>) -> Call {
        let call = self.call(pair);
        if is_converter(&call) {
            let message = format!("a statement begins with an editor, and `{}` is a converter", call.name.node);
            self.error(Code::ConverterAsStatement, call.name.span, message, "editors begin with a lower-case letter");
        } else if let (Some(first), Some(last)) = (call.keys.first(), call.keys.last()) {
            let span = first.span.to(last.span);
            self.error(
                Code::EditorKeys,
                span,
                "an editor gives nothing that a key could select from",
                "remove the key",
            );
        }
        call
    }

    fn error(&mut self, code: Code, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.errors.push(Error::new(code, span, message).hint(hint));
    }

    /// The expression as a condition.
    fn condition(&mut self, loose: Loose) -> BoolExpr {
        let value = match loose {
            Loose::Condition(condition, _) => return condition,
            Loose::Broken(span) => return BoolExpr::Literal(Spanned::new(false, span)),
            Loose::Value(value) => value,
        };
        let span = value.span;
        match value.kind {
            ValueKind::Bool(literal) => return BoolExpr::Literal(Spanned::new(literal, span)),
            ValueKind::Call(call) if is_converter(&call) => return BoolExpr::Call(call),
            ValueKind::Call(call) => self.editor_as_value(&call),
            kind => {
                let message = format!("{} is not a condition", describe(&kind));
                let hint = match kind {
                    ValueKind::Path(_) => format!(
                        "write `{value} == true`, or `{value} != nil` to ask whether it is there",
                        value = Value { kind, span }
                    ),
                    ValueKind::Enum(symbol) if matches!(symbol.as_str(), "TRUE" | "FALSE") => {
                        format!("keywords are lower case: `{}`", symbol.to_ascii_lowercase())
                    }
                    _ => "a condition compares two values, or calls a converter that gives a bool".to_owned(),
                };
                self.error(Code::NotACondition, span, message, hint);
            }
        }
        BoolExpr::Literal(Spanned::new(false, span))
    }

    /// The expression as a value anywhere but directly as an argument: lambdas are refused.
    fn plain_value(&mut self, loose: Loose) -> Value {
        let value = self.any_value(loose);
        if let ValueKind::Lambda(_) = value.kind {
            let hint = "a lambda is written where a function takes one";
            self.error(Code::LambdaPlace, value.span, "a lambda can only be an argument", hint);
        }
        value
    }

    /// The expression as a value.
    fn any_value(&mut self, loose: Loose) -> Value {
        let span = loose.span();
        match loose {
            Loose::Value(value) => {
                if let ValueKind::Call(call) = &value.kind
                    && !is_converter(call)
                {
                    self.editor_as_value(call);
                }
                return value;
            }
            Loose::Condition(..) => {
                let message = "a condition is not a value";
                self.error(Code::ConditionAsValue, span, message, "join conditions with `and`, `or` and `not` instead");
            }
            Loose::Broken(_) => {}
        }
        Value { kind: ValueKind::Nil, span }
    }

    fn editor_as_value(&mut self, call: &Call) {
        let name = &call.name.node;
        let mut converter = String::with_capacity(name.len());
        for part in name.split('_') {
            let mut rest = part.chars();
            converter.extend(rest.next().map(|first| first.to_ascii_uppercase()));
            converter.push_str(rest.as_str());
        }
        let message = format!("`{name}` is an editor and gives no value");
        let hint = match hint::is_action(name) {
            true => hint::ACTION.to_owned(),
            false => format!("converters begin with an upper-case letter: `{converter}`"),
        };
        self.error(Code::EditorAsValue, call.name.span, message, hint);
    }

    /// Any expression. What binds looser but has nothing to bind is passed over first: `1` alone is a condition, a
    /// comparison, a sum and a product of one part, and each would cost stack in every pair of parentheses.
    fn expression(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let mut pair = pair;
        while let Rule::bool_expr
        | Rule::term
        | Rule::bool_val
        | Rule::comparison
        | Rule::math
        | Rule::add_term
        | Rule::math_val = pair.as_rule()
        {
            let mut parts = pair.clone().into_inner();
            match (parts.next(), parts.next()) {
                (Some(only), None) => pair = only,
                _ => break,
            }
        }
        match pair.as_rule() {
            Rule::bool_expr => self.joined(pair, Rule::or, BoolExpr::Or),
            Rule::term => self.joined(pair, Rule::and, BoolExpr::And),
            Rule::bool_val => self.not(pair),
            Rule::comparison => self.comparison(pair),
            Rule::math | Rule::add_term => self.chain(pair),
            Rule::math_val => self.signed(pair),
            Rule::group => self.group(pair),
            Rule::call => self.called(pair),
            Rule::path => self.at_path(&pair),
            Rule::list => self.list(pair),
            Rule::map => self.map(pair),
            Rule::lambda => self.lambda(pair),
            _ => self.literal(&pair),
        }
    }

    // These frames are on the stack once for every level of nesting, so none may swallow another.

    /// Two or more operands.
    #[inline(never)]
    fn joined(&mut self, pair: Pair<'_, Rule>, operator: Rule, join: fn(Vec<BoolExpr>) -> BoolExpr) -> Loose {
        let mut span: Option<Span> = None;
        let mut operands = Vec::new();
        for part in pair.into_inner().filter(|part| part.as_rule() != operator) {
            let operand = self.expression(part);
            span = Some(span.map_or(operand.span(), |span| span.to(operand.span())));
            operands.push(self.condition(operand));
        }
        Loose::Condition(join(operands), span.unwrap_or_default())
    }

    /// `not` and its operand.
    #[inline(never)]
    fn not(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let mut parts = pair.into_inner();
        let (Some(not), Some(operand)) = (parts.next(), parts.next()) else { return Loose::Broken(Span::default()) };
        let not = span_of(&not);
        let operand = self.expression(operand);
        let span = not.to(operand.span());
        Loose::Condition(BoolExpr::Not(Spanned::new((), not), Box::new(self.condition(operand))), span)
    }

    /// Two sides and an operator.
    #[inline(never)]
    fn comparison(&mut self, pair: Pair<'_, Rule>) -> Loose {
        let mut parts = pair.into_inner();
        let (Some(left), Some(op), Some(right)) = (parts.next(), parts.next(), parts.next()) else {
            return Loose::Broken(Span::default());
        };
        let left = self.plain(left);
        let right = self.plain(right);
        let span = left.span.to(right.span);
        let op = Spanned::new(compare_op(op.as_str()), span_of(&op));
        Loose::Condition(BoolExpr::Compare(Box::new(Comparison { left, op, right })), span)
    }

    /// The expression that `pair` is, as a value.
    fn plain(&mut self, pair: Pair<'_, Rule>) -> Value {
        let loose = self.expression(pair);
        self.plain_value(loose)
    }
}

fn or_broken(loose: Option<Loose>) -> Loose {
    loose.unwrap_or(Loose::Broken(Span::default()))
}

/// A rule's position. Rules that end in something optional may include white space behind them; those are not asked.
fn span_of(pair: &Pair<'_, Rule>) -> Span {
    let span = pair.as_span();
    Span::new(span.start(), span.end())
}

fn is_converter(call: &Call) -> bool {
    call.name.node.starts_with(|first: char| first.is_ascii_uppercase())
}

fn compare_op(text: &str) -> CompareOp {
    match text {
        "==" => CompareOp::Eq,
        "!=" => CompareOp::Ne,
        "<" => CompareOp::Lt,
        "<=" => CompareOp::Le,
        ">" => CompareOp::Gt,
        _ => CompareOp::Ge,
    }
}

/// With its article, for messages.
fn describe(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::Nil => "nil",
        ValueKind::Bool(_) => "a bool",
        ValueKind::Int(_) | ValueKind::Float(_) => "a number",
        ValueKind::String(_) => "a string",
        ValueKind::Bytes(_) => "a bytes literal",
        ValueKind::Enum(_) => "an enum symbol",
        ValueKind::FunctionRef(_) => "a function name",
        ValueKind::List(_) => "a list",
        ValueKind::Map(_) => "a map",
        ValueKind::Path(_) => "a path",
        ValueKind::Call(_) => "a call",
        ValueKind::Binary(..) | ValueKind::Unary(..) | ValueKind::Group(_) => "arithmetic",
        ValueKind::Lambda(_) => "a lambda",
    }
}
