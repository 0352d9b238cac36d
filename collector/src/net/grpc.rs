//! gRPC messages on HTTP/2 bodies: five bytes of header, then the message, which stays the bytes it came as.
//!
//! Written by hand because generated stubs decode into structs, and because snappy, which upstream offers, is not among
//! tonic's encodings.

use bytes::Bytes;
use component::Code;
use http::HeaderValue;
use http_body::Body;
use http_body_util::BodyExt;

use super::compression::{Algorithm, DecodeError};
use super::status::Status;

/// What one RPC may be sent, when nothing is configured.
pub const DEFAULT_MAX_MESSAGE: usize = 4 << 20;

/// The `grpc-encoding` of a message.
pub fn encoding(header: Option<&HeaderValue>) -> Result<Option<Algorithm>, Status> {
    let Some(header) = header else { return Ok(None) };
    match header.as_bytes() {
        b"" | b"identity" => Ok(None),
        b"gzip" => Ok(Some(Algorithm::Gzip)),
        // The collector registers the framed format; both are told apart by the stream header.
        b"snappy" => Ok(Some(Algorithm::Snappy)),
        b"zstd" => Ok(Some(Algorithm::Zstd)),
        other => Err(Status::new(
            Code::Unimplemented,
            format!("grpc: Decompressor is not installed for grpc-encoding {:?}", String::from_utf8_lossy(other)),
        )),
    }
}

/// The one message of a unary body, decompressed. Both sizes are bounded by `max`.
///
/// A message that came in one DATA frame is a slice of it; another is copied once, into a buffer of its exact size.
pub async fn read_message<B>(body: &mut B, encoding: Option<Algorithm>, max: usize) -> Result<Option<Bytes>, Status>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let Some((compressed, message)) = read_frame(body, max).await? else { return Ok(None) };
    // Whatever follows is read, so that the stream ends in order; a second message is not a unary call.
    while let Some(frame) = body.frame().await {
        if frame.map_err(|error| broken(&error))?.into_data().is_ok_and(|data| !data.is_empty()) {
            return Err(Status::new(Code::Internal, "grpc: a unary call has one message"));
        }
    }
    if !compressed {
        return Ok(Some(message));
    }
    let Some(algorithm) = encoding else {
        return Err(Status::new(Code::Internal, "grpc: compressed flag set with identity or empty encoding"));
    };
    match algorithm.decode(&message, max) {
        Ok(message) => Ok(Some(message)),
        Err(DecodeError::TooLarge) => Err(Status::new(
            Code::ResourceExhausted,
            format!("grpc: received message after decompression larger than max {max}"),
        )),
        Err(DecodeError::Invalid(reason)) => {
            Err(Status::new(Code::Internal, format!("grpc: failed to decompress the received message: {reason}")))
        }
    }
}

async fn read_frame<B>(body: &mut B, max: usize) -> Result<Option<(bool, Bytes)>, Status>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut head = [0; 5];
    let mut filled = 0;
    let mut message: Option<Vec<u8>> = None;
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if filled < head.len() {
            let taken = data.len().min(head.len() - filled);
            head[filled..filled + taken].copy_from_slice(&data.split_to(taken));
            filled += taken;
            if filled < head.len() {
                continue;
            }
            if head[0] > 1 {
                return Err(Status::new(Code::Internal, "grpc: received a message with unknown flags"));
            }
            len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if len > max {
                return Err(Status::new(
                    Code::ResourceExhausted,
                    format!("grpc: received message larger than max ({len} vs. {max})"),
                ));
            }
        }
        if message.is_none() {
            if data.len() == len {
                return Ok(Some((head[0] == 1, data)));
            }
            // The header came alone; the message may yet be one frame.
            if data.is_empty() {
                continue;
            }
        }
        let message = message.get_or_insert_with(|| Vec::with_capacity(len));
        if message.len() + data.len() > len {
            return Err(Status::new(Code::Internal, "grpc: a unary call has one message"));
        }
        message.extend_from_slice(&data);
        if message.len() == len {
            return Ok(Some((head[0] == 1, std::mem::take(message).into())));
        }
    }
    if filled == 0 {
        return Ok(None);
    }
    Err(Status::new(Code::Internal, "unexpected EOF"))
}

fn broken(error: &dyn std::fmt::Display) -> Status {
    Status::new(Code::Canceled, format!("the request was not read to its end: {error}"))
}

/// The header of a message of `len` bytes.
#[must_use]
pub fn header(compressed: bool, len: u32) -> [u8; 5] {
    let [a, b, c, d] = len.to_be_bytes();
    [u8::from(compressed), a, b, c, d]
}

/// Reads `grpc-timeout`: up to eight digits and a unit.
#[must_use]
pub fn timeout(header: &HeaderValue) -> Option<std::time::Duration> {
    use std::time::Duration;
    let (digits, unit) = header.as_bytes().split_at_checked(header.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b"H" => Duration::from_secs(value * 3600),
        b"M" => Duration::from_secs(value * 60),
        b"S" => Duration::from_secs(value),
        b"m" => Duration::from_millis(value),
        b"u" => Duration::from_micros(value),
        b"n" => Duration::from_nanos(value),
        _ => return None,
    })
}
