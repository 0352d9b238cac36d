//! PromQL instant queries over the store.
//!
//! Arithmetic, comparisons, set operators, aggregations and the functions that scaling asks for, computed as Prometheus
//! does. What is left out (subqueries, `@`, `group_left`, `topk`, histograms' functions, ..) is refused by name when the
//! trigger is read.

use promql_parser::label::Matcher;
use promql_parser::parser::token::{self, TokenType};
use promql_parser::parser::{
    AggregateExpr, BinModifier, BinaryExpr, Call, Expr, LabelModifier, Offset, VectorMatchCardinality, VectorSelector,
};

use super::select::Selector;
use super::{QueryError, functions};
use crate::exporters::keda_scaler::series::{Labels, Nanos};
use crate::exporters::keda_scaler::store::Store;

/// Nested expressions; a query of allowed length can be deeper than the stack is.
const MAX_DEPTH: usize = 64;

/// Refuses what is not supported.
pub(super) fn check(expression: &Expr) -> Result<(), String> {
    check_at(expression, 0)
}

fn check_at(expression: &Expr, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("the query is nested more than {MAX_DEPTH} levels deep"));
    }
    let below = |inner: &Expr| check_at(inner, depth + 1);
    let unsupported = |what: &str| Err(format!("{what} is not supported here"));
    match expression {
        Expr::NumberLiteral(_) => Ok(()),
        Expr::Paren(paren) => below(&paren.expr),
        Expr::Unary(unary) => below(&unary.expr),
        Expr::VectorSelector(selector) => check_selector(selector),
        Expr::Aggregate(aggregate) => {
            Aggregation::of(aggregate.op).ok_or_else(|| {
                format!(
                    "the aggregation {} is not supported here; use sum, avg, max, min, count or group",
                    aggregate.op
                )
            })?;
            below(&aggregate.expr)
        }
        Expr::Binary(binary) => {
            if let Some(modifier) = &binary.modifier {
                match modifier.card {
                    VectorMatchCardinality::ManyToOne(_) | VectorMatchCardinality::OneToMany(_) => {
                        return unsupported("group_left or group_right");
                    }
                    VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {}
                }
                if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
                    return unsupported("fill");
                }
            }
            below(&binary.lhs)?;
            below(&binary.rhs)
        }
        Expr::Call(call) => check_call(call, depth),
        Expr::Subquery(_) => unsupported("a subquery"),
        Expr::StringLiteral(_) => unsupported("a string"),
        Expr::MatrixSelector(_) => {
            Err("a range such as [1m] needs a function around it, for example rate(..)".to_owned())
        }
        Expr::Extension(_) => unsupported("this expression"),
    }
}

fn check_call(call: &Call, depth: usize) -> Result<(), String> {
    let (name, arguments) = (call.func.name, &call.args.args);
    let takes_range = functions::over_range(name).is_some() || name == "predict_linear";
    let known = takes_range || functions::of_value(name).is_some() || ["scalar", "vector", "time"].contains(&name);
    if !known {
        return Err(format!("the function {name} is not supported here"));
    }
    for argument in arguments {
        match unwrapped(argument) {
            Expr::MatrixSelector(matrix) if takes_range => check_selector(&matrix.vs)?,
            other => check_at(other, depth + 1)?,
        }
    }
    Ok(())
}

fn check_selector(selector: &VectorSelector) -> Result<(), String> {
    if selector.at.is_some() { Err("the modifier @ is not supported here".to_owned()) } else { Ok(()) }
}

fn unwrapped(mut expression: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expression {
        expression = &paren.expr;
    }
    expression
}

/// The one number that a query gives.
pub(super) fn evaluate(expression: &Expr, store: &Store, now: Nanos) -> Result<f64, QueryError> {
    let mut evaluation = Evaluation { store, now, misses: Vec::new() };
    match evaluation.value(expression).map_err(QueryError::Invalid)? {
        Value::Scalar(value) => Ok(value),
        Value::Vector(mut vector) => match (vector.pop(), vector.len()) {
            (Some(element), 0) => Ok(element.value),
            (Some(_), others) => {
                Err(QueryError::Invalid(format!("the query gives {} series; put sum(..) around it", others + 1)))
            }
            (None, _) => match evaluation.misses.into_iter().next() {
                Some(miss) => Err(QueryError::NoData(miss)),
                // All selectors found something, and comparisons left none of it: that is an answer.
                None => Ok(0.0),
            },
        },
    }
}

enum Value {
    Scalar(f64),
    Vector(Vec<Element>),
}

#[derive(Clone)]
struct Element {
    labels: Labels,
    value: f64,
}

struct Evaluation<'s> {
    store: &'s Store,
    now: Nanos,
    /// Why selectors found nothing.
    misses: Vec<String>,
}

impl Evaluation<'_> {
    /// The depth was checked when the query was read.
    fn value(&mut self, expression: &Expr) -> Result<Value, String> {
        match expression {
            Expr::NumberLiteral(number) => Ok(Value::Scalar(number.val)),
            Expr::Paren(paren) => self.value(&paren.expr),
            Expr::Unary(unary) => Ok(match self.value(&unary.expr)? {
                Value::Scalar(value) => Value::Scalar(-value),
                Value::Vector(vector) => Value::Vector(mapped(vector, |value| -value)),
            }),
            Expr::VectorSelector(selector) => Ok(Value::Vector(self.instant(selector))),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Call(call) => self.call(call),
            Expr::Subquery(_) | Expr::StringLiteral(_) | Expr::MatrixSelector(_) | Expr::Extension(_) => {
                Err("the expression is not supported here".to_owned())
            }
        }
    }

    fn vector(&mut self, expression: &Expr) -> Result<Vec<Element>, String> {
        match self.value(expression)? {
            Value::Vector(vector) => Ok(vector),
            Value::Scalar(_) => Err("expected series, found a number".to_owned()),
        }
    }

    fn scalar(&mut self, expression: &Expr) -> Result<f64, String> {
        match self.value(expression)? {
            Value::Scalar(value) => Ok(value),
            Value::Vector(_) => Err("expected a number, found series".to_owned()),
        }
    }

    fn instant(&mut self, selector: &VectorSelector) -> Vec<Element> {
        let at = self.now - offset(selector.offset.as_ref());
        match Self::selector(selector).instant(self.store, at) {
            Ok(found) => found
                .into_iter()
                .map(|(labels, sample)| Element { labels: labels.clone(), value: sample.value })
                .collect(),
            Err(miss) => {
                self.misses.push(miss);
                Vec::new()
            }
        }
    }

    fn selector(selector: &VectorSelector) -> Selector<'_> {
        let matchers: &[Matcher] = &selector.matchers.matchers;
        Selector::new(selector.name.as_deref(), matchers, &selector.matchers.or_matchers)
    }

    fn call(&mut self, call: &Call) -> Result<Value, String> {
        let name = call.func.name;
        let mut arguments = call.args.args.iter().map(|argument| unwrapped(argument));
        let first = arguments.next();
        match (name, first) {
            ("time", _) => return Ok(Value::Scalar(self.now as f64 / 1e9)),
            ("vector", Some(first)) => {
                let value = self.scalar(first)?;
                return Ok(Value::Vector(vec![Element { labels: Labels::default(), value }]));
            }
            ("scalar", Some(first)) => {
                let mut vector = self.vector(first)?;
                let only = vector.pop().filter(|_| vector.is_empty());
                return Ok(Value::Scalar(only.map_or(f64::NAN, |element| element.value)));
            }
            _ => {}
        }
        let first = first.ok_or_else(|| format!("{name} needs an argument"))?;
        let numbers = arguments.map(|argument| self.scalar(argument)).collect::<Result<Vec<_>, _>>()?;
        if let Some(of_value) = functions::of_value(name) {
            return Ok(Value::Vector(mapped(self.vector(first)?, |value| of_value(value, &numbers))));
        }
        let Expr::MatrixSelector(matrix) = first else {
            return Err(format!("{name} needs a range, for example [1m]"));
        };
        let range = Nanos::try_from(matrix.range.as_nanos()).unwrap_or(Nanos::MAX);
        let back = offset(matrix.vs.offset.as_ref());
        if range.saturating_add(back.max(0)) > self.store.limits.history {
            return Err(format!(
                "the query looks back further than the history of {} s: raise keda_scaler::history",
                self.store.limits.history / 1_000_000_000
            ));
        }
        let (from, to) = (self.now - back - range, self.now - back);
        let function = functions::over_range(name);
        let least = function.as_ref().map_or(2, |function| function.least);
        let found = match Self::selector(&matrix.vs).range(self.store, (from, to), least) {
            Ok(found) => found,
            Err(miss) => {
                self.misses.push(miss);
                return Ok(Value::Vector(Vec::new()));
            }
        };
        let ahead = numbers.first().copied().unwrap_or_default();
        let value = |samples: &[_]| match &function {
            Some(function) => (function.apply)(samples, from, to),
            None => functions::predict(samples, to, ahead),
        };
        Ok(Value::Vector(
            found
                .into_iter()
                .map(|(labels, samples)| Element { labels: labels.clone(), value: value(&samples) })
                .collect(),
        ))
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<Value, String> {
        let Some(aggregation) = Aggregation::of(aggregate.op) else {
            return Err(format!("the aggregation {} is not supported here", aggregate.op));
        };
        let mut groups: Vec<(Labels, Vec<f64>)> = Vec::new();
        let mut index = hashbrown::HashMap::<Labels, usize, foldhash::fast::RandomState>::default();
        for Element { labels, value } in self.vector(&aggregate.expr)? {
            let labels = match &aggregate.modifier {
                None => Labels::default(),
                Some(LabelModifier::Include(names)) => labels.narrowed(&names.labels, true),
                Some(LabelModifier::Exclude(names)) => labels.narrowed(&names.labels, false),
            };
            let at = *index.entry(labels).or_insert_with_key(|labels| {
                groups.push((labels.clone(), Vec::new()));
                groups.len() - 1
            });
            if let Some((_, values)) = groups.get_mut(at) {
                values.push(value);
            }
        }
        let element = |(labels, values): (Labels, Vec<f64>)| Element { labels, value: aggregation.apply(&values) };
        Ok(Value::Vector(groups.into_iter().map(element).collect()))
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Result<Value, String> {
        let op = Operator::of(binary.op).ok_or_else(|| format!("the operator {} is not supported here", binary.op))?;
        let modifier = binary.modifier.as_ref();
        let as_bool = modifier.is_some_and(|modifier| modifier.return_bool);
        let (left, right) = (self.value(&binary.lhs)?, self.value(&binary.rhs)?);
        match (left, right) {
            (Value::Scalar(left), Value::Scalar(right)) => op.number(left, right).map(Value::Scalar),
            (Value::Vector(left), Value::Scalar(right)) => {
                Ok(Value::Vector(filtered(left, |value| op.apply(value, right, value, as_bool))))
            }
            (Value::Scalar(left), Value::Vector(right)) => {
                Ok(Value::Vector(filtered(right, |value| op.apply(left, value, value, as_bool))))
            }
            (Value::Vector(left), Value::Vector(right)) => {
                let matching = modifier.and_then(|modifier: &BinModifier| modifier.matching.as_ref());
                pair(&op, left, right, matching, as_bool).map(Value::Vector)
            }
        }
    }
}

fn offset(offset: Option<&Offset>) -> Nanos {
    let nanos = |duration: &std::time::Duration| Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX / 2);
    match offset {
        None => 0,
        Some(Offset::Pos(back)) => nanos(back),
        Some(Offset::Neg(ahead)) => -nanos(ahead),
    }
}

fn mapped(vector: Vec<Element>, apply: impl Fn(f64) -> f64) -> Vec<Element> {
    vector.into_iter().map(|element| Element { value: apply(element.value), ..element }).collect()
}

fn filtered(vector: Vec<Element>, apply: impl Fn(f64) -> Option<f64>) -> Vec<Element> {
    vector.into_iter().filter_map(|element| Some(Element { value: apply(element.value)?, ..element })).collect()
}

/// Two vectors, element by element: those whose labels, as far as they matter, are equal.
fn pair(
    op: &Operator,
    left: Vec<Element>,
    right: Vec<Element>,
    matching: Option<&LabelModifier>,
    as_bool: bool,
) -> Result<Vec<Element>, String> {
    let signature = |element: &Element| match matching {
        None => element.labels.clone(),
        Some(LabelModifier::Include(names)) => element.labels.narrowed(&names.labels, true),
        Some(LabelModifier::Exclude(names)) => element.labels.narrowed(&names.labels, false),
    };
    let mut others = hashbrown::HashMap::<Labels, f64, foldhash::fast::RandomState>::default();
    for element in &right {
        if others.insert(signature(element), element.value).is_some() && !op.is_set() {
            return Err(
                "several series on the right side match one on the left; aggregate first, or use on(..)".to_owned()
            );
        }
    }
    match op {
        Operator::And => Ok(left.into_iter().filter(|element| others.contains_key(&signature(element))).collect()),
        Operator::Unless => Ok(left.into_iter().filter(|element| !others.contains_key(&signature(element))).collect()),
        Operator::Or => {
            let mut seen = hashbrown::HashSet::<Labels, foldhash::fast::RandomState>::default();
            seen.extend(left.iter().map(signature));
            let added = right.into_iter().filter(|element| !seen.contains(&signature(element)));
            Ok(left.iter().cloned().chain(added).collect())
        }
        Operator::Arithmetic(_) | Operator::Comparison(_) => {
            let mut seen = hashbrown::HashSet::<Labels, foldhash::fast::RandomState>::default();
            let mut out = Vec::new();
            for element in left {
                let signature = signature(&element);
                let Some(other) = others.get(&signature) else { continue };
                if !seen.insert(signature.clone()) {
                    return Err(
                        "several series on the left side match one on the right; aggregate first, or use on(..)"
                            .to_owned(),
                    );
                }
                if let Some(value) = op.apply(element.value, *other, element.value, as_bool) {
                    out.push(Element { labels: signature, value });
                }
            }
            Ok(out)
        }
    }
}

#[derive(Clone, Copy)]
enum Aggregation {
    Sum,
    Avg,
    Max,
    Min,
    Count,
    Group,
}

impl Aggregation {
    fn of(op: TokenType) -> Option<Self> {
        Some(match op.id() {
            token::T_SUM => Self::Sum,
            token::T_AVG => Self::Avg,
            token::T_MAX => Self::Max,
            token::T_MIN => Self::Min,
            token::T_COUNT => Self::Count,
            token::T_GROUP => Self::Group,
            _ => return None,
        })
    }

    /// `values` is not empty.
    fn apply(self, values: &[f64]) -> f64 {
        let n = values.len() as f64;
        match self {
            Self::Sum => values.iter().sum(),
            Self::Avg => values.iter().sum::<f64>() / n,
            // NaN loses against any number, as in Prometheus.
            Self::Max => values.iter().copied().fold(f64::NAN, f64::max),
            Self::Min => values.iter().copied().fold(f64::NAN, f64::min),
            Self::Count => n,
            Self::Group => 1.0,
        }
    }
}

enum Operator {
    Arithmetic(fn(f64, f64) -> f64),
    Comparison(fn(f64, f64) -> bool),
    And,
    Or,
    Unless,
}

impl Operator {
    fn of(op: TokenType) -> Option<Self> {
        Some(match op.id() {
            token::T_ADD => Self::Arithmetic(|a, b| a + b),
            token::T_SUB => Self::Arithmetic(|a, b| a - b),
            token::T_MUL => Self::Arithmetic(|a, b| a * b),
            token::T_DIV => Self::Arithmetic(|a, b| a / b),
            token::T_MOD => Self::Arithmetic(|a, b| a % b),
            token::T_POW => Self::Arithmetic(f64::powf),
            token::T_ATAN2 => Self::Arithmetic(f64::atan2),
            token::T_EQLC => Self::Comparison(|a, b| a == b),
            token::T_NEQ => Self::Comparison(|a, b| a != b),
            token::T_GTR => Self::Comparison(|a, b| a > b),
            token::T_LSS => Self::Comparison(|a, b| a < b),
            token::T_GTE => Self::Comparison(|a, b| a >= b),
            token::T_LTE => Self::Comparison(|a, b| a <= b),
            token::T_LAND => Self::And,
            token::T_LOR => Self::Or,
            token::T_LUNLESS => Self::Unless,
            _ => return None,
        })
    }

    fn is_set(&self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// Of two numbers; a comparison gives 1 or 0.
    fn number(&self, left: f64, right: f64) -> Result<f64, String> {
        self.apply(left, right, left, true).ok_or_else(|| "and, or, unless need series on both sides".to_owned())
    }

    /// `kept` is what a comparison that holds leaves.
    fn apply(&self, left: f64, right: f64, kept: f64, as_bool: bool) -> Option<f64> {
        match self {
            Self::Arithmetic(apply) => Some(apply(left, right)),
            Self::Comparison(holds) if as_bool => Some(f64::from(u8::from(holds(left, right)))),
            Self::Comparison(holds) => holds(left, right).then_some(kept),
            Self::And | Self::Or | Self::Unless => None,
        }
    }
}
