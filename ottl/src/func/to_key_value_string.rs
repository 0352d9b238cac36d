//! `ToKeyValueString(target, delimiter, pair_delimiter, sort_output)`: a map as `k=v` pairs.

use super::{Call, Function, Literals, Param, ParamKind, Prepared, Refusal, text_form};
use crate::{error::EvalError, ir::Type, value::Value};

pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "ToKeyValueString",
        &[
            Param::required("Target", ParamKind::Map),
            Param::optional("Delimiter", ParamKind::LiteralString),
            Param::optional("PairDelimiter", ParamKind::LiteralString),
            Param::optional("SortOutput", ParamKind::LiteralBool),
        ],
        Type::String,
        eval,
        "a map as key=value pairs, quoted where a delimiter is inside",
    )
};

/// The two delimiters of this converter and of `ParseKeyValue`.
pub(super) struct Delimiters {
    pub(super) key_value: Vec<u8>,
    pub(super) pair: Vec<u8>,
}

/// The delimiters at two places; defaults are `=` and a space.
pub(super) fn delimiters(literals: &Literals<'_>, key_value: usize, pair: usize) -> Result<Delimiters, Refusal> {
    let [of_key_value, of_pair] = [key_value, pair].map(Refusal::of);
    let key_value = literals.str(key_value).unwrap_or("=");
    let pair = literals.str(pair).unwrap_or(" ");
    if key_value.is_empty() {
        return Err(of_key_value("delimiter cannot be set to an empty string".to_owned()));
    }
    if pair.is_empty() {
        return Err(of_pair("pair delimiter cannot be set to an empty string".to_owned()));
    }
    if key_value == pair {
        return Err(of_pair(format!("pair delimiter {pair:?} cannot be equal to delimiter {key_value:?}")));
    }
    Ok(Delimiters { key_value: key_value.into(), pair: pair.into() })
}

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    Ok(Some(Box::new(delimiters(literals, 1, 2)?)))
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let delimiters = call.prepared::<Delimiters>().ok_or(EvalError::Argument)?;
    let map = call.map(0)?;
    let mut entries: Vec<_> = map.iter().collect();
    if call.opt_bool(3)?.unwrap_or(false) {
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    }
    let mut out = Vec::new();
    for (idx, (key, value)) in entries.into_iter().enumerate() {
        if idx > 0 {
            out.extend_from_slice(&delimiters.pair);
        }
        push_quoted(&mut out, &key, delimiters);
        out.extend_from_slice(&delimiters.key_value);
        push_quoted(&mut out, &text_form::as_string(value, call.limits())?, delimiters);
        if out.len() > call.limits().result_bytes {
            return Err(EvalError::Limit);
        }
    }
    Ok(Value::string(out))
}

fn push_quoted(out: &mut Vec<u8>, text: &[u8], delimiters: &Delimiters) {
    let escaped: Vec<u8> = text
        .iter()
        .flat_map(|byte| if *byte == b'"' { &b"\\\""[..] } else { std::slice::from_ref(byte) })
        .copied()
        .collect();
    let has = |delimiter: &[u8]| memchr::memmem::find(&escaped, delimiter).is_some();
    let quoted = has(&delimiters.pair) || has(&delimiters.key_value);
    let quote: &[u8] = if quoted { b"\"" } else { b"" };
    out.extend_from_slice(quote);
    out.extend_from_slice(&escaped);
    out.extend_from_slice(quote);
}
