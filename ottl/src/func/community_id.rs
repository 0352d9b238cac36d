//! `CommunityID`: a flow's identifier, equal in both directions (community-id-spec version 1).

use std::net::IpAddr;

use base64::Engine as _;
use sha1::Digest as _;

use super::{Call, Function, Param, ParamKind};
use crate::{error::EvalError, go::ip, ir::Type, value::Value};

// The all-caps runs in upstream's field names make these parameters unreachable by name, except the ports.
pub(super) static FUNCTION: Function = Function::new(
    "CommunityID",
    &[
        Param::required("SourceIP", ParamKind::String),
        Param::required("SourcePort", ParamKind::Int),
        Param::required("DestinationIP", ParamKind::String),
        Param::required("DestinationPort", ParamKind::Int),
        Param::optional("Protocol", ParamKind::String),
        Param::optional("Seed", ParamKind::Int),
    ],
    Type::String,
    eval,
    "the Community ID of a network flow; protocol TCP unless given",
);

fn endpoint(call: &Call<'_, '_>, ip: usize, port: usize) -> Result<(Vec<u8>, u16), EvalError> {
    let address = call.str(ip)?;
    let port = u16::try_from(call.int(port)?).map_err(|_| EvalError::Argument)?;
    let bytes = match ip::parse(&address).ok_or(EvalError::Argument)? {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    Ok((bytes, port))
}

fn protocol_number(name: &[u8]) -> Option<u8> {
    Some(match name {
        b"ICMP" => 1,
        b"TCP" => 6,
        b"UDP" => 17,
        b"RSVP" => 46,
        b"ICMP6" => 58,
        b"SCTP" => 132,
        _ => return None,
    })
}

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let source = endpoint(call, 0, 1)?;
    let destination = endpoint(call, 2, 3)?;
    let protocol = match call.opt_str(4)? {
        Some(name) => protocol_number(&name).ok_or(EvalError::Argument)?,
        None if call.given(4) => return Err(EvalError::Type),
        None => 6,
    };
    let seed = match call.opt_int(5)? {
        Some(seed) => u16::try_from(seed).map_err(|_| EvalError::Argument)?,
        None if call.given(5) => return Err(EvalError::Type),
        None => 0,
    };
    // The smaller end first: by length of its address, then the address, then the port.
    let order = |(address, port): &(Vec<u8>, u16)| (address.len(), address.clone(), *port);
    let (low, high) = if order(&source) <= order(&destination) { (source, destination) } else { (destination, source) };
    let mut tuple = seed.to_be_bytes().to_vec();
    tuple.extend_from_slice(&low.0);
    tuple.extend_from_slice(&high.0);
    tuple.extend_from_slice(&[protocol, 0]);
    tuple.extend_from_slice(&low.1.to_be_bytes());
    tuple.extend_from_slice(&high.1.to_be_bytes());
    let digest = base64::prelude::BASE64_STANDARD.encode(sha1::Sha1::digest(&tuple));
    Ok(Value::string(format!("1:{digest}")))
}
