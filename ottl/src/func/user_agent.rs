//! `UserAgent(user_agent)`: browser and system of a user agent, under the names of the semantic conventions.

use std::borrow::Cow;

use super::{Call, Function, Literals, Param, ParamKind, Prepared, Refusal};
use crate::{
    error::EvalError,
    go::user_agent,
    ir::Type,
    value::{Entry, Map, MapRepr, Value},
};

pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "UserAgent",
        &[Param::required("UserAgent", ParamKind::String)],
        Type::Map,
        eval,
        "a map of a user agent's parts: user_agent.name, user_agent.version, os.name, os.version",
    )
};

/// No state of its own: the rules are the process's, and are compiled before the first span needs them.
fn prepare(_: &Literals<'_>) -> Result<Prepared, Refusal> {
    user_agent::warm_up();
    Ok(None)
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let original = call.str(0)?;
    let agent = user_agent::parse(&original);
    let key = |name: &'static str| Cow::Borrowed(name.as_bytes());
    let mut entries: Vec<Entry<'e>> = vec![
        (key("user_agent.name"), Value::string(agent.name)),
        (key("user_agent.original"), Value::Str(original)),
        (key("user_agent.version"), Value::string(agent.version)),
    ];
    if !agent.os_name.is_empty() {
        entries.push((key("os.name"), Value::string(agent.os_name)));
    }
    if !agent.os_version.is_empty() {
        entries.push((key("os.version"), Value::string(agent.os_version)));
    }
    Ok(Value::Map(Map::owned(entries, MapRepr::Raw)))
}
