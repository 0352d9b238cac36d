//! `ParseCSV(target, header, delimiter, header_delimiter, mode)`: one record as a map.

use super::{Call, Function, Literals, Param, ParamKind, Prepared, Refusal, parse_key_value::last_of_equal_keys};
use crate::{
    error::EvalError,
    go::{csv, text},
    ir::Type,
    value::Value,
};

pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "ParseCSV",
        &[
            Param::required("Target", ParamKind::String),
            Param::required("Header", ParamKind::String),
            Param::optional("Delimiter", ParamKind::LiteralString),
            Param::optional("HeaderDelimiter", ParamKind::LiteralString),
            Param::optional("Mode", ParamKind::LiteralString),
        ],
        Type::Map,
        eval,
        "a map of one CSV record's fields by a header's names; modes strict, lazyQuotes, ignoreQuotes",
    )
};

#[derive(Clone, Copy)]
enum Mode {
    Strict,
    LazyQuotes,
    IgnoreQuotes,
}

struct Settings {
    delimiter: char,
    header_delimiter: char,
    mode: Mode,
}

fn delimiter(text: Option<&str>, name: &str) -> Result<Option<char>, String> {
    let Some(text) = text else { return Ok(None) };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(delimiter), None) => Ok(Some(delimiter)),
        _ => Err(format!("{name} must be a single character")),
    }
}

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    let delimiter_of_row = delimiter(literals.str(2), "delimiter").map_err(Refusal::of(2))?.unwrap_or(',');
    let header_delimiter =
        delimiter(literals.str(3), "header_delimiter").map_err(Refusal::of(3))?.unwrap_or(delimiter_of_row);
    let mode = match literals.str(4) {
        None | Some("strict") => Mode::Strict,
        Some("lazyQuotes") => Mode::LazyQuotes,
        Some("ignoreQuotes") => Mode::IgnoreQuotes,
        Some(other) => return Err(Refusal::of(4)(format!("unknown mode: {other}"))),
    };
    Ok(Some(Box::new(Settings { delimiter: delimiter_of_row, header_delimiter, mode })))
}

fn split(text: &[u8], delimiter: char) -> Vec<Vec<u8>> {
    let mut utf8 = [0; 4];
    text::split(text, delimiter.encode_utf8(&mut utf8).as_bytes()).into_iter().map(<[u8]>::to_vec).collect()
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let settings = call.prepared::<Settings>().ok_or(EvalError::Argument)?;
    let target = call.str(0)?;
    let header = call.str(1)?;
    if header.is_empty() {
        return Err(EvalError::Argument);
    }
    let names = split(&header, settings.header_delimiter);
    let fields = match settings.mode {
        Mode::IgnoreQuotes => split(&target, settings.delimiter),
        mode => csv::read_row(&target, settings.delimiter, matches!(mode, Mode::LazyQuotes)).ok_or(EvalError::Parse)?,
    };
    if names.len() != fields.len() {
        return Err(EvalError::Parse);
    }
    let entries = names.into_iter().zip(fields.into_iter().map(Value::string)).collect();
    Ok(Value::map(last_of_equal_keys(entries)))
}
