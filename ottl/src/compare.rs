//! Comparison, section 5 of contrib's behaviour: no coercion from strings, no errors, dispatch on the left operand.

use std::cmp::Ordering;

use grammar::ast::CompareOp;

use crate::{
    error::EvalError,
    value::{List, ListRepr, Map, MapRepr, Value},
};

/// Values nested deeper than this never equal each other; it bounds recursion on hostile input.
const MAX_DEPTH: usize = 128;

/// `left op right`.
///
/// # Errors
/// [`EvalError::NotComparable`] for `==` and `!=` of two lists of one typed kind (`Split(..) == Split(..)`): Go panics there.
pub(crate) fn compare(op: CompareOp, left: &Value<'_>, right: &Value<'_>) -> Result<bool, EvalError> {
    use Value as V;
    let ordering = match (left, right) {
        // Nothing but empty bytes equals nil; `<=` and `>=` of two nils are true, contrary to contrib's table.
        (left, right) if is_nil(left) && is_nil(right) => Some(Ordering::Equal),
        (left, right) if is_nil(left) || is_nil(right) => None,
        (V::Bool(left), V::Bool(right)) => Some(left.cmp(right)),
        (V::Int(left), V::Int(right)) => Some(left.cmp(right)),
        // contrib compares int with double as double, so 1 == 1.0 holds and large ints lose precision.
        (V::Int(left), V::Double(right)) => return Ok(double(op, *left as f64, *right)),
        (V::Double(left), V::Int(right)) => return Ok(double(op, *left, *right as f64)),
        (V::Double(left), V::Double(right)) => return Ok(double(op, *left, *right)),
        (V::Str(left), V::Str(right)) => Some(left.cmp(right)),
        (V::Bytes(left), V::Bytes(right)) => Some(left.cmp(right)),
        (V::Time(left), V::Time(right)) => Some(left.compare(right)),
        (V::Duration(left), V::Duration(right)) => Some(left.cmp(right)),
        (V::List(left), V::List(right)) if is_typed(left) || is_typed(right) => {
            if left.repr().type_name() == right.repr().type_name() && matches!(op, CompareOp::Eq | CompareOp::Ne) {
                return Err(EvalError::NotComparable);
            }
            None
        }
        (V::Map(left), V::Map(right)) => return Ok(equality(op, maps_equal(left, right))),
        (V::List(left), V::List(right)) => return Ok(equality(op, lists_equal(left, right))),
        (V::TraceId(left), V::TraceId(right)) => return Ok(equality(op, left == right)),
        (V::SpanId(left), V::SpanId(right)) => return Ok(equality(op, left == right)),
        (V::Opaque(left), V::Opaque(right)) => return Ok(equality(op, left.same(right))),
        (V::GoInt(left), V::GoInt(right)) => return Ok(equality(op, left == right)),
        _ => None,
    };
    Ok(match ordering {
        Some(ordering) => ordered(op, ordering),
        None => op == CompareOp::Ne,
    })
}

fn is_nil(value: &Value<'_>) -> bool {
    match value {
        Value::Nil => true,
        Value::Bytes(bytes) => bytes.is_empty(),
        _ => false,
    }
}

fn is_typed(list: &List<'_>) -> bool {
    !matches!(list.repr(), ListRepr::Slice | ListRepr::Raw)
}

/// What an operator says about an order.
pub(crate) fn ordered(op: CompareOp, ordering: Ordering) -> bool {
    match op {
        CompareOp::Eq => ordering.is_eq(),
        CompareOp::Ne => ordering.is_ne(),
        CompareOp::Lt => ordering.is_lt(),
        CompareOp::Le => ordering.is_le(),
        CompareOp::Gt => ordering.is_gt(),
        CompareOp::Ge => ordering.is_ge(),
    }
}

/// IEEE: every operator but `!=` is false where a NaN takes part.
pub(crate) fn double(op: CompareOp, left: f64, right: f64) -> bool {
    match left.partial_cmp(&right) {
        Some(ordering) => ordered(op, ordering),
        None => op == CompareOp::Ne,
    }
}

/// Types without an order: the ordering operators are false.
fn equality(op: CompareOp, equal: bool) -> bool {
    match op {
        CompareOp::Eq => equal,
        CompareOp::Ne => !equal,
        _ => false,
    }
}

fn maps_equal(left: &Map<'_>, right: &Map<'_>) -> bool {
    if left.repr() == MapRepr::Pdata && right.repr() == MapRepr::Pdata {
        pdata_maps_equal(left, right, 0)
    } else {
        raw_maps_equal(left, right, true, 0)
    }
}

fn lists_equal(left: &List<'_>, right: &List<'_>) -> bool {
    if left.repr() == ListRepr::Slice && right.repr() == ListRepr::Slice {
        return pdata_lists_equal(left, right, 0);
    }
    // A pdata slice is compared as the raw list it converts to; a list literal is one already, and what it holds is not
    // converted: a map literal in it stays a pcommon.Map and so never equals the slice's map.
    let convert = [left.repr() == ListRepr::Slice, right.repr() == ListRepr::Slice];
    left.len() == right.len()
        && left.iter().zip(right.iter()).all(|(left, right)| raw_equal(&left, convert[0], &right, convert[1], 1))
}

/// `pcommon.Map.Equal`: the same number of entries, and each of the left equals the first of that key in the right.
fn pdata_maps_equal(left: &Map<'_>, right: &Map<'_>, depth: usize) -> bool {
    left.len() == right.len()
        && left.iter().all(|(key, value)| right.get(&key).is_some_and(|other| pdata_equal(&value, &other, depth + 1)))
}

fn pdata_lists_equal(left: &List<'_>, right: &List<'_>, depth: usize) -> bool {
    left.len() == right.len()
        && left.iter().zip(right.iter()).all(|(left, right)| pdata_equal(&left, &right, depth + 1))
}

/// `pcommon.Value.Equal`: strict types, IEEE doubles.
fn pdata_equal(left: &Value<'_>, right: &Value<'_>, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Map(left), Value::Map(right)) => pdata_maps_equal(left, right, depth),
        (Value::List(left), Value::List(right)) => pdata_lists_equal(left, right, depth),
        _ => scalars_equal(left, right),
    }
}

fn scalars_equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) | (Value::Duration(left), Value::Duration(right)) => left == right,
        (Value::Double(left), Value::Double(right)) => left == right,
        (Value::Str(left), Value::Str(right)) | (Value::Bytes(left), Value::Bytes(right)) => left == right,
        // reflect.DeepEqual looks at the location too; times in lists are rare enough to compare as a whole.
        (Value::Time(left), Value::Time(right)) => left == right,
        (Value::TraceId(left), Value::TraceId(right)) => left == right,
        (Value::SpanId(left), Value::SpanId(right)) => left == right,
        (Value::GoInt(left), Value::GoInt(right)) => left == right,
        (Value::Opaque(left), Value::Opaque(right)) => left.same(right),
        _ => false,
    }
}

/// Equality of raw maps: of equal keys the last counts, order does not.
fn raw_maps_equal(left: &Map<'_>, right: &Map<'_>, convert: bool, depth: usize) -> bool {
    let (left, right) = (last_entries(left), last_entries(right));
    left.len() == right.len()
        && left.iter().all(|(key, value)| {
            right
                .iter()
                .find(|(other, _)| other == key)
                .is_some_and(|(_, other)| raw_equal(value, convert, other, convert, depth + 1))
        })
}

fn last_entries<'w>(map: &Map<'w>) -> Vec<(std::borrow::Cow<'w, [u8]>, Value<'w>)> {
    let mut entries: Vec<(std::borrow::Cow<'w, [u8]>, Value<'w>)> = Vec::new();
    for (key, value) in map.iter() {
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }
    entries
}

/// `reflect.DeepEqual` of two values of raw form. `convert_*` says that the side still is in pdata form and stands for
/// its raw form, so that a pcommon.Map counts as a raw map there.
fn raw_equal(left: &Value<'_>, convert_left: bool, right: &Value<'_>, convert_right: bool, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Map(left), Value::Map(right)) => {
            let raw_left = convert_left || left.repr() == MapRepr::Raw;
            let raw_right = convert_right || right.repr() == MapRepr::Raw;
            match (raw_left, raw_right) {
                (true, true) => raw_maps_equal(left, right, convert_left || convert_right, depth),
                (false, false) => pdata_maps_equal(left, right, depth),
                _ => false,
            }
        }
        (Value::List(left), Value::List(right)) => {
            let form = |list: &List<'_>, convert: bool| match list.repr() {
                ListRepr::Slice if convert => ListRepr::Raw,
                repr => repr,
            };
            form(left, convert_left) == form(right, convert_right)
                && left.len() == right.len()
                && left
                    .iter()
                    .zip(right.iter())
                    .all(|(left, right)| raw_equal(&left, convert_left, &right, convert_right, depth + 1))
        }
        _ => scalars_equal(left, right),
    }
}
