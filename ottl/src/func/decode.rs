//! `Base64Encode(target, variant)` and `Decode(target, encoding)`: base64 and character sets.

use std::borrow::Cow;

use base64::{
    Engine as _,
    alphabet::{self, Alphabet},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{Call, Function, Literals, Param, ParamKind, Prepared, Refusal, text_form::bounded};
use crate::{error::EvalError, go::charset::Charset, ir::Type, value::Value};

pub(super) static BASE64_ENCODE: Function = Function::new(
    "Base64Encode",
    &[Param::required("Target", ParamKind::String), Param::optional("Variant", ParamKind::String)],
    Type::String,
    base64_encode,
    "a string in base64; variants base64, base64-raw, base64-url, base64-raw-url",
);
pub(super) static DECODE: Function = Function {
    prepare: Some(prepare),
    ..Function::new(
        "Decode",
        &[Param::required("Target", ParamKind::Any), Param::required("Encoding", ParamKind::String)],
        Type::String,
        decode,
        "text of a string or bytes in base64 (four variants) or a character set",
    )
};

const fn engine(alphabet: &Alphabet, padded: bool) -> GeneralPurpose {
    let padding = if padded { DecodePaddingMode::RequireCanonical } else { DecodePaddingMode::RequireNone };
    // Go lets the unused bits of the last digit be anything.
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(padded)
        .with_decode_padding_mode(padding)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

static STANDARD: GeneralPurpose = engine(&alphabet::STANDARD, true);
static STANDARD_RAW: GeneralPurpose = engine(&alphabet::STANDARD, false);
static URL: GeneralPurpose = engine(&alphabet::URL_SAFE, true);
static URL_RAW: GeneralPurpose = engine(&alphabet::URL_SAFE, false);

fn base64_variant(name: &[u8]) -> Option<&'static GeneralPurpose> {
    match name {
        b"base64" => Some(&STANDARD),
        b"base64-raw" => Some(&STANDARD_RAW),
        b"base64-url" => Some(&URL),
        b"base64-raw-url" => Some(&URL_RAW),
        _ => None,
    }
}

fn base64_encode<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.str(0)?;
    let variant = if call.given(1) { call.str(1)? } else { Cow::Borrowed(&b"base64"[..]) };
    let engine = base64_variant(&variant).ok_or(EvalError::Argument)?;
    bounded(engine.encode(target).into_bytes(), call.limits()).map(Value::string)
}

/// What text is decoded from.
#[derive(Clone, Copy)]
enum Decoder {
    Base64(&'static GeneralPurpose),
    Charset(Charset),
}

impl Decoder {
    fn find(name: &[u8]) -> Option<Decoder> {
        match base64_variant(name) {
            Some(engine) => Some(Decoder::Base64(engine)),
            None => Charset::find(std::str::from_utf8(name).ok()?).map(Decoder::Charset),
        }
    }
}

fn prepare(literals: &Literals<'_>) -> Result<Prepared, Refusal> {
    let Some(name) = literals.str(1) else { return Ok(None) };
    match Decoder::find(name.as_bytes()) {
        Some(decoder) => Ok(Some(Box::new(decoder))),
        None => Err(Refusal::of(1)(format!("unsupported encoding '{name}'"))),
    }
}

fn decode<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let target = call.arg(0)?;
    let decoder = match call.prepared::<Decoder>() {
        Some(decoder) => *decoder,
        None => Decoder::find(&call.str(1)?).ok_or(EvalError::Argument)?,
    };
    let (Value::Str(source) | Value::Bytes(source)) = target else { return Err(EvalError::Type) };
    let text = match decoder {
        Decoder::Base64(engine) => {
            // Go skips line breaks inside base64.
            let digits: Vec<u8> = source.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
            engine.decode(digits).map_err(|_| EvalError::Parse)?
        }
        Decoder::Charset(charset) => charset.decode(&source).into_owned(),
    };
    bounded(text, call.limits()).map(Value::string)
}
