//! `ParseSeverity(target, mapping)`: the level whose criteria a text or number meets.

use super::{Call, Function, Literals, Param, ParamKind, Prepared, Refusal};
use crate::{error::EvalError, ir::Type, value::Value};

// Upstream reports a mapping that is computed or malformed only when it is used, and then always: so does this. Where
// levels overlap upstream picks one at random; here the first one of the mapping is taken.
pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "ParseSeverity",
        &[Param::required("Target", ParamKind::Any), Param::required("Mapping", ParamKind::Map)],
        Type::String,
        eval,
        "the log level whose texts (equals) or numbers (range) hold the target",
    )
};

#[derive(Default)]
struct Criterion {
    equals: Vec<Vec<u8>>,
    range: Option<(i64, i64)>,
}

struct Mapping(Vec<(Vec<u8>, Vec<Criterion>)>);

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    let Some(mapping) = literals.value(1) else { return Ok(None) };
    Ok(match read_mapping(mapping) {
        Some(mapping) => Some(Box::new(mapping)),
        None => None,
    })
}

fn read_mapping(mapping: &Value<'_>) -> Option<Mapping> {
    let Value::Map(levels) = mapping else { return None };
    let levels = levels.iter().map(|(level, criteria)| {
        let Value::List(criteria) = criteria else { return None };
        let criteria: Option<Vec<_>> = criteria.iter().map(|criterion| read_criterion(&criterion)).collect();
        Some((level.into_owned(), criteria?))
    });
    levels.collect::<Option<_>>().map(Mapping)
}

fn read_criterion(criterion: &Value<'_>) -> Option<Criterion> {
    let Value::Map(criterion) = criterion else { return None };
    let mut read = Criterion::default();
    if let Some(equals) = criterion.get(b"equals") {
        let Value::List(texts) = equals else { return None };
        let texts: Option<Vec<_>> = texts
            .iter()
            .map(|text| match text {
                Value::Str(text) => Some(text.into_owned()),
                _ => None,
            })
            .collect();
        read.equals = texts?;
    }
    read.range = match criterion.get(b"range") {
        None => None,
        Some(Value::Map(range)) => match (range.get(b"min")?, range.get(b"max")?) {
            (Value::Int(min), Value::Int(max)) => Some((min, max)),
            _ => return None,
        },
        // Classes of HTTP status codes.
        Some(Value::Str(class)) => match class.as_ref() {
            b"2xx" => Some((200, 299)),
            b"3xx" => Some((300, 399)),
            b"4xx" => Some((400, 499)),
            b"5xx" => Some((500, 599)),
            _ => return None,
        },
        Some(_) => return None,
    };
    Some(read)
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let Mapping(levels) = call.prepared::<Mapping>().ok_or(EvalError::Argument)?;
    let target = call.arg(0)?;
    let meets = |criterion: &Criterion| match &target {
        Value::Str(text) => criterion.equals.iter().any(|equal| equal.as_slice() == text.as_ref()),
        Value::Int(number) => criterion.range.is_some_and(|(min, max)| (min..=max).contains(number)),
        _ => false,
    };
    let level = levels.iter().find(|(_, criteria)| criteria.iter().any(meets));
    level.map(|(level, _)| Value::Str(level.into())).ok_or(EvalError::Argument)
}
