//! `Time(time, format, location, locale)` and `FormatTime(time, format)`: times and texts, by strptime-like formats.

use super::{Call, Function, Literals, Needs, Param, ParamKind, Prepared, Refusal};
use crate::{
    error::EvalError,
    go::{locale::Locale, strptime, time::load_location},
    ir::Type,
    value::{Value, Zone},
};

// It needs a clock only for texts without a year, and errors there if the host has none.
pub(super) static TIME: Function = Function {
    needs: Needs::ClockForSome,
    prepare: Some(prepare_time),
    ..Function::new(
        "Time",
        &[
            Param::required("Time", ParamKind::String),
            Param::required("Format", ParamKind::LiteralString),
            Param::optional("Location", ParamKind::LiteralString),
            Param::optional("Locale", ParamKind::LiteralString),
        ],
        Type::Time,
        read,
        "a time read by a format such as %Y-%m-%dT%H:%M:%S%z",
    )
};
pub(super) static FORMAT_TIME: Function = Function {
    prepare: Some(prepare_format),
    ..Function::new(
        "FormatTime",
        &[Param::required("Time", ParamKind::Time), Param::required("Format", ParamKind::LiteralString)],
        Type::String,
        print,
        "a time printed by a format such as %Y-%m-%dT%H:%M:%S%z",
    )
};

struct Reading {
    format: strptime::Format,
    /// The process's zone if none is given.
    zone: Option<Zone>,
    locale: Option<Locale>,
}

fn prepare_time(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    let format = strptime::Format::new(literals.str(1).unwrap_or_default()).map_err(Refusal::of(1))?;
    let zone = match literals.str(2) {
        None | Some("") if format.ends_in_zulu() => Some(Zone::Utc),
        None | Some("" | "Local") => None,
        Some(name) => Some(load_location(name).ok_or_else(|| Refusal::of(2)(format!("unknown time zone {name}")))?),
    };
    let locale = match literals.str(3) {
        None => None,
        Some(tag) => {
            let unsupported = || {
                Refusal::of(3)(format!(
                    "unsupported locale '{tag}', value must be the tag of a widely used language, such as pt-BR"
                ))
            };
            Some(Locale::find(tag).ok_or_else(unsupported)?)
        }
    };
    Ok(Some(Box::new(Reading { format, zone, locale })))
}

fn read<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let reading = call.prepared::<Reading>().ok_or(EvalError::Argument)?;
    let text = call.str(0)?;
    if text.is_empty() {
        return Err(EvalError::Argument);
    }
    let text = std::str::from_utf8(&text).map_err(|_| EvalError::Parse)?;
    let zone = reading.zone.unwrap_or_else(|| call.local_zone());
    let read = reading.format.read(text, zone, reading.locale.as_ref(), || call.now().ok());
    read.map(Value::Time).ok_or(EvalError::Parse)
}

fn prepare_format(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    let format = strptime::Format::new(literals.str(1).unwrap_or_default()).map_err(Refusal::of(1))?;
    Ok(Some(Box::new(format)))
}

fn print<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let format = call.prepared::<strptime::Format>().ok_or(EvalError::Argument)?;
    Ok(Value::string(format.print(&call.time(0)?)))
}
