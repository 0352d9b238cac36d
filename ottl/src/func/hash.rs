//! Hashes of a string: `FNV`, `MD5`, `SHA1`, `SHA256`, `SHA512`, `XXH3`, `XXH128`, `Murmur3Hash`, `Murmur3Hash128`.

use md5::Digest as _;
use xxhash_rust::xxh3;

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    go::{hash, text},
    ir::Type,
    value::Value,
};

const TARGET: &[Param] = &[Param::required("Target", ParamKind::String)];

pub(super) static FNV: Function = Function::new(
    "FNV",
    TARGET,
    Type::Int,
    |call| Ok(Value::Int(hash::fnv1a_64(&call.str(0)?).cast_signed())),
    "FNV-1a, 64 bits, as an int",
);
pub(super) static MD5: Function =
    Function::new("MD5", TARGET, Type::String, |call| Ok(hex(&md5::Md5::digest(call.str(0)?))), "MD5 in hexadecimal");
pub(super) static SHA1: Function = Function::new(
    "SHA1",
    TARGET,
    Type::String,
    |call| Ok(hex(&sha1::Sha1::digest(call.str(0)?))),
    "SHA-1 in hexadecimal",
);
pub(super) static SHA256: Function = Function::new(
    "SHA256",
    TARGET,
    Type::String,
    |call| Ok(hex(&sha2::Sha256::digest(call.str(0)?))),
    "SHA-256 in hexadecimal",
);
pub(super) static SHA512: Function = Function::new(
    "SHA512",
    TARGET,
    Type::String,
    |call| Ok(hex(&sha2::Sha512::digest(call.str(0)?))),
    "SHA-512 in hexadecimal",
);
pub(super) static XXH3: Function = Function::new(
    "XXH3",
    TARGET,
    Type::String,
    |call| Ok(hex(&xxh3::xxh3_64(&call.str(0)?).to_be_bytes())),
    "XXH3, 64 bits, in hexadecimal",
);
pub(super) static XXH128: Function = Function::new(
    "XXH128",
    TARGET,
    Type::String,
    |call| Ok(hex(&xxh3::xxh3_128(&call.str(0)?).to_be_bytes())),
    "XXH3, 128 bits, in hexadecimal",
);
pub(super) static MURMUR3: Function =
    Function::new("Murmur3Hash", TARGET, Type::String, murmur3, "MurmurHash3, 32 bits, in hexadecimal, low byte first");
pub(super) static MURMUR3_128: Function = Function::new(
    "Murmur3Hash128",
    TARGET,
    Type::String,
    murmur3_128,
    "MurmurHash3, 128 bits, in hexadecimal, each half low byte first",
);

fn hex<'e>(bytes: &[u8]) -> Value<'e> {
    Value::string(text::hex(bytes))
}

fn murmur3<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    Ok(hex(&hash::murmur3_32(&call.str(0)?).to_le_bytes()))
}

fn murmur3_128<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let (low, high) = hash::murmur3_128(&call.str(0)?);
    Ok(hex(&[low.to_le_bytes(), high.to_le_bytes()].concat()))
}
