//! `IsInCIDR(target, networks)`: whether an IP address lies in one of some networks.

use std::net::IpAddr;

use super::{Call, Function, LiteralArg, Literals, Param, ParamKind, Prepared, Refusal};
use crate::{
    error::EvalError,
    go::ip::{self, Network},
    ir::Type,
    value::Value,
};

pub(super) static FUNCTION: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "IsInCIDR",
        &[
            Param::required("Target", ParamKind::String),
            Param::required("Networks", ParamKind::ListOf(&ParamKind::String)),
        ],
        Type::Bool,
        eval,
        "whether an IP address lies in one of the networks; false where it is no address",
    )
};

/// The networks, if all of them are literals.
struct Networks(Vec<Network>);

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    let LiteralArg::List(items) = literals.get(1) else { return Ok(None) };
    let mut networks = Vec::with_capacity(items.len());
    for item in items {
        // One computed network, and all are read at run time; those before it are still checked here, as upstream does.
        let Some(Value::Str(text)) = item else { return Ok(None) };
        let invalid = || Refusal::of(1)(format!("invalid CIDR address: {}", String::from_utf8_lossy(text)));
        let network = Network::parse(text).ok_or_else(invalid)?;
        networks.push(network);
    }
    Ok(Some(Box::new(Networks(networks))))
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.str(0)?;
    let Some(address) = ip::parse(&target) else { return Ok(Value::Bool(false)) };
    match call.prepared::<Networks>() {
        Some(Networks(networks)) => Ok(Value::Bool(networks.iter().any(|network| network.contains(address)))),
        None => computed(call, address),
    }
}

fn computed<'e>(call: &Call<'_, 'e>, address: IpAddr) -> Result<Value<'e>, EvalError> {
    for item in 0..call.literal_len(1).unwrap_or(0) {
        let Value::Str(text) = call.item(1, item)? else { return Err(EvalError::Type) };
        if Network::parse(&text).ok_or(EvalError::Argument)?.contains(address) {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}
