//! `UUID` and `UUIDv7`: random identifiers. Without parameters, so any arguments are accepted, as upstream does.

use super::{Call, Function, Needs};
use crate::{error::EvalError, ir::Type, value::Value};

pub(super) static UUID: Function =
    Function { needs: Needs::Randomness, ..Function::new("UUID", &[], Type::String, v4, "a random UUID") };
pub(super) static UUID_V7: Function = Function {
    needs: Needs::ClockAndRandomness,
    ..Function::new("UUIDv7", &[], Type::String, v7, "a UUID that sorts by the time of its making")
};

fn text<'e>(uuid: uuid::Uuid) -> Value<'e> {
    Value::string(uuid.hyphenated().to_string())
}

fn v4<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    Ok(text(uuid::Builder::from_random_bytes(call.random()?).into_uuid()))
}

fn v7<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let millis = u64::try_from(call.now()?.unix_nano() / 1_000_000).unwrap_or(0);
    Ok(text(uuid::Builder::from_unix_timestamp_millis(millis, &call.random()?).into_uuid()))
}
