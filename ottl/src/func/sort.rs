//! `Sort(target, order)`: a list in order, by number or by text.

use std::cmp::Ordering;

use super::{Call, Function, Literals, Param, ParamKind, Prepared, Refusal, convert, text_form};
use crate::{
    error::EvalError,
    ir::Type,
    value::{List, ListRepr, Value},
};

pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "Sort",
        &[Param::required("Target", ParamKind::Any), Param::optional("Order", ParamKind::LiteralString)],
        Type::List,
        eval,
        "a list in order: asc (default) or desc; numbers by value, anything mixed by text",
    )
};

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    match literals.str(1) {
        None | Some("asc" | "desc") => Ok(None),
        Some(other) => Err(Refusal::of(1)(format!("invalid order: {other}; it should be \"asc\" or \"desc\""))),
    }
}

/// How a list's items compare.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Int,
    Double,
    Text,
}

/// Numbers alone compare as numbers, any string, bool or nil makes all compare as text. Nothing for lists that stay as
/// they are: those with a map, list or bytes in them.
fn common(items: &[Value<'_>]) -> Option<By> {
    let mut by = By::Int;
    for item in items {
        by = match (item, by) {
            (Value::Int(_), by) => by,
            (Value::Double(_), By::Int) => By::Double,
            (Value::Double(_), by) => by,
            (Value::Str(_) | Value::Bool(_) | Value::Nil, _) => By::Text,
            _ => return None,
        };
    }
    Some(by)
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let Value::List(list) = call.arg(0)? else { return Err(EvalError::Type) };
    let descending = call.opt_str(1)?.is_some_and(|order| order.as_ref() == b"desc");
    let repr = list.repr();
    let slice = match repr {
        ListRepr::UInts => return Err(EvalError::Type),
        // Items of a list literal must be what pdata can hold.
        ListRepr::Raw => match convert::convert(ParamKind::Slice, Value::List(list), call.limits())? {
            Value::List(list) => list,
            _ => return Err(EvalError::Type),
        },
        _ => list,
    };
    let items: Vec<Value<'e>> = slice.iter().collect();
    // Go sorts a copy, which is never a nil slice.
    let repr = if repr == ListRepr::Doubles { ListRepr::MadeDoubles } else { repr };
    if repr == ListRepr::MadeDoubles && items.is_empty() {
        return Ok(Value::List(List::owned(items, repr)));
    }
    let Some(by) = common(&items).filter(|_| !items.is_empty()) else { return Ok(Value::List(slice)) };
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let text = match by {
            By::Text => text_form::as_string(item.clone(), call.limits())?,
            _ => Default::default(),
        };
        keyed.push((text, item));
    }
    // Go's sort is not stable, but equal keys differ only in their types; a stable order is one it may give.
    keyed.sort_by(|(left_text, left), (right_text, right)| {
        let order = match by {
            By::Text => left_text.cmp(right_text),
            By::Int | By::Double => compare_numbers(left, right),
        };
        if descending { order.reverse() } else { order }
    });
    let items = keyed.into_iter().map(|(_, item)| item).collect();
    let repr = if repr == ListRepr::Slice { ListRepr::Raw } else { repr };
    Ok(Value::List(List::owned(items, repr)))
}

/// Go's `cmp.Compare`: NaN is less than any number and equal to itself.
fn compare_numbers(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    if let (Value::Int(left), Value::Int(right)) = (left, right) {
        return left.cmp(right);
    }
    let number = |value: &Value<'_>| match value {
        Value::Int(number) => *number as f64,
        Value::Double(number) => *number,
        _ => 0.0,
    };
    let (left, right) = (number(left), number(right));
    left.partial_cmp(&right).unwrap_or_else(|| right.is_nan().cmp(&left.is_nan()))
}
