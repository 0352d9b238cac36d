//! `google.rpc.Status` and what OTLP says about it: bodies of HTTP answers, trailers of gRPC answers, delays in details.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bytes::Bytes;
use component::{Code, ConsumeError};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pdata::wire::{Field, Fields, put_bytes, put_varint};

/// The type of the one detail that OTLP knows.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// A code and a message; the delay is a `RetryInfo` detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// gRPC code.
    pub code: Code,
    /// Text for people.
    pub message: String,
    /// Least time before the next try.
    pub retry_after: Option<Duration>,
}

impl Status {
    /// A status without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The HTTP status that goes with the code.
    #[must_use]
    pub fn http(&self) -> StatusCode {
        match self.code {
            Code::Canceled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => StatusCode::SERVICE_UNAVAILABLE,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::Unimplemented => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// As a protobuf message.
    #[must_use]
    pub fn to_protobuf(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.message.len() + 8);
        put_varint(&mut out, 1 << 3);
        put_varint(&mut out, u64::from((self.code as i32).unsigned_abs()));
        if !self.message.is_empty() {
            put_bytes(&mut out, 2, self.message.as_bytes());
        }
        if let Some(delay) = self.retry_after {
            let mut duration = Vec::new();
            if delay.as_secs() > 0 {
                put_varint(&mut duration, 1 << 3);
                put_varint(&mut duration, delay.as_secs());
            }
            if delay.subsec_nanos() > 0 {
                put_varint(&mut duration, 2 << 3);
                put_varint(&mut duration, delay.subsec_nanos().into());
            }
            let mut retry_info = Vec::new();
            put_bytes(&mut retry_info, 1, &duration);
            let mut any = Vec::new();
            put_bytes(&mut any, 1, RETRY_INFO.as_bytes());
            put_bytes(&mut any, 2, &retry_info);
            put_bytes(&mut out, 3, &any);
        }
        out
    }

    /// As JSON, in the spelling of Go's protojson.
    #[must_use]
    pub fn to_json(&self) -> String {
        let message = serde_json::Value::from(self.message.as_str());
        match self.retry_after {
            None => format!("{{\"code\":{}, \"message\":{message}}}", self.code as i32),
            Some(delay) => format!(
                "{{\"code\":{}, \"message\":{message}, \"details\":[{{\"@type\":\"{RETRY_INFO}\", \"retryDelay\":\"{}s\"}}]}}",
                self.code as i32,
                delay.as_secs_f64()
            ),
        }
    }

    /// As the headers that end a gRPC answer.
    #[must_use]
    pub fn to_trailers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(GRPC_STATUS, HeaderValue::from(self.code as i32));
        if !self.message.is_empty()
            && let Ok(message) = HeaderValue::from_str(&percent_encode(&self.message))
        {
            headers.insert(GRPC_MESSAGE, message);
        }
        if self.retry_after.is_some()
            && let Ok(details) = HeaderValue::from_str(&BASE64_STANDARD_NO_PAD.encode(self.to_protobuf()))
        {
            headers.insert(GRPC_DETAILS, details);
        }
        headers
    }
}

impl From<&ConsumeError> for Status {
    fn from(error: &ConsumeError) -> Self {
        Self { code: error.code(), message: error.message.to_string(), retry_after: error.retry_after }
    }
}

/// `grpc-status`
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// `grpc-message`
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// `grpc-status-details-bin`
pub const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// The code with this number; `Unknown` for numbers that gRPC does not have.
#[must_use]
pub fn code(number: i32) -> Code {
    match number {
        1 => Code::Canceled,
        3 => Code::InvalidArgument,
        4 => Code::DeadlineExceeded,
        5 => Code::NotFound,
        6 => Code::AlreadyExists,
        7 => Code::PermissionDenied,
        8 => Code::ResourceExhausted,
        9 => Code::FailedPrecondition,
        10 => Code::Aborted,
        11 => Code::OutOfRange,
        12 => Code::Unimplemented,
        13 => Code::Internal,
        14 => Code::Unavailable,
        15 => Code::DataLoss,
        16 => Code::Unauthenticated,
        _ => Code::Unknown,
    }
}

/// The message and the delay of `RetryInfo` in an encoded Status. What cannot be read is left out: the bytes come from a
/// server that may be anything.
#[must_use]
pub fn read(encoded: &[u8]) -> (String, Option<Duration>) {
    let (mut message, mut delay) = (String::new(), None);
    for field in Fields::new(encoded) {
        match field {
            (2, Field::Bytes(text)) => message = String::from_utf8_lossy(text).into_owned(),
            (3, Field::Bytes(any)) => delay = delay.or_else(|| retry_delay(any)),
            _ => {}
        }
    }
    (message, delay)
}

fn retry_delay(any: &[u8]) -> Option<Duration> {
    let (mut type_url, mut value) = (&b""[..], &b""[..]);
    for field in Fields::new(any) {
        match field {
            (1, Field::Bytes(bytes)) => type_url = bytes,
            (2, Field::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    if type_url != RETRY_INFO.as_bytes() {
        return None;
    }
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::new(value) {
        if let (1, Field::Bytes(duration)) = field {
            for field in Fields::new(duration) {
                match field {
                    (1, Field::Varint(value)) => seconds = value,
                    (2, Field::Varint(value)) => nanos = value,
                    _ => {}
                }
            }
        }
    }
    // Negative numbers are huge as unsigned ones: no delay can be meant by them.
    let seconds = u32::try_from(seconds).ok()?;
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds.into(), nanos))
}

/// The details header decoded; padding is optional.
#[must_use]
pub fn read_details(header: &HeaderValue) -> Option<Bytes> {
    let text = header.as_bytes();
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |at| at + 1);
    BASE64_STANDARD_NO_PAD.decode(&text[..end]).ok().map(Bytes::from)
}

/// gRPC's percent encoding of messages.
fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Undoes gRPC's percent encoding; malformed escapes stay as they are.
#[must_use]
pub fn percent_decode(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let escaped = if byte == b'%' { tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()) } else { None };
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                rest = &tail[2..];
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use component::Code;

    use super::{Status, percent_decode, read, read_details};

    #[test]
    fn delay_survives_the_trailers() {
        let status = Status {
            code: Code::ResourceExhausted,
            message: "slow down: 100 %\n".to_owned(),
            retry_after: Some(Duration::from_millis(2500)),
        };
        let trailers = status.to_trailers();
        assert_eq!(trailers["grpc-status"], "8");
        assert_eq!(trailers["grpc-message"], "slow down: 100 %25%0A");
        assert_eq!(percent_decode(trailers["grpc-message"].as_bytes()), status.message);
        let details = read_details(&trailers["grpc-status-details-bin"]).unwrap();
        assert_eq!(read(&details), (status.message, status.retry_after));
    }

    #[test]
    fn json_is_spelled_as_protojson() {
        let status = Status::new(Code::Unavailable, "say \"no\"");
        assert_eq!(status.to_json(), r#"{"code":14, "message":"say \"no\""}"#);
    }

    #[test]
    fn foreign_details_give_no_delay() {
        assert_eq!(read(b"\x1a\x04\x0a\x02ab"), (String::new(), None));
        assert_eq!(read(b"\xff\xff\xff"), (String::new(), None));
    }
}
