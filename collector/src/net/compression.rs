//! The encodings of gRPC messages and HTTP bodies. Decoding is bounded: a small body cannot grow past the limit given.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression as Level;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

/// An encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// RFC 1950; HTTP calls it `deflate`, upstream also `zlib`.
    Zlib,
    /// Snappy blocks; a framed stream is recognised by its header when decoding.
    Snappy,
    /// Snappy frames.
    SnappyFramed,
    /// LZ4 frames.
    Lz4,
}

/// Why a body could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than allowed.
    #[error("http: request body too large")]
    TooLarge,
    /// Not what the encoding says.
    #[error("{0}")]
    Invalid(String),
}

/// First bytes of a snappy stream.
const SNAPPY_STREAM: &[u8] = b"\xff\x06\x00\x00sNaPpY";

impl Algorithm {
    /// By the name of `Content-Encoding`; nothing for other names.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            "zlib" | "deflate" => Self::Zlib,
            "snappy" => Self::Snappy,
            "x-snappy-framed" => Self::SnappyFramed,
            "lz4" => Self::Lz4,
            _ => return None,
        })
    }

    /// Decodes the whole of `body` to at most `limit` bytes.
    pub fn decode(self, body: &Bytes, limit: usize) -> Result<Bytes, DecodeError> {
        let input: &[u8] = body;
        match self {
            Self::Gzip => read_all(MultiGzDecoder::new(input), input.len(), limit).map_err(|error| gzip_error(&error)),
            Self::Zlib => read_all(ZlibDecoder::new(input), input.len(), limit)
                .map_err(|error| named(&error, |_| "zlib: invalid header".to_owned())),
            Self::Zstd => {
                let reader = zstd::stream::read::Decoder::with_buffer(input).map_err(|error| invalid(&error))?;
                read_all(reader, input.len(), limit).map_err(|error| named(&error, |error| error.to_string()))
            }
            Self::Lz4 => read_all(lz4_flex::frame::FrameDecoder::new(input), input.len(), limit)
                .map_err(|error| named(&error, |error| error.to_string())),
            Self::Snappy if !input.starts_with(SNAPPY_STREAM) => {
                let size = snap::raw::decompress_len(input).map_err(|error| DecodeError::Invalid(error.to_string()))?;
                if size > limit {
                    return Err(DecodeError::TooLarge);
                }
                let decoded = snap::raw::Decoder::new().decompress_vec(input);
                decoded.map(Bytes::from).map_err(|error| DecodeError::Invalid(error.to_string()))
            }
            Self::Snappy | Self::SnappyFramed => read_all(snap::read::FrameDecoder::new(input), input.len(), limit)
                .map_err(|error| named(&error, |error| error.to_string())),
        }
    }

    /// Encodes `chunks` as one body. `level` as the algorithm counts it; none is its default.
    pub fn encode(self, chunks: &[Bytes], level: Option<i32>) -> io::Result<Bytes> {
        let size: usize = chunks.iter().map(Bytes::len).sum();
        let out = Vec::with_capacity(size / 4 + 64);
        let deflate = || level.and_then(|level| u32::try_from(level).ok()).map_or(Level::default(), Level::new);
        let out = match self {
            Self::Gzip => write_all(GzEncoder::new(out, deflate()), chunks)?.finish()?,
            Self::Zlib => write_all(ZlibEncoder::new(out, deflate()), chunks)?.finish()?,
            Self::Zstd => {
                let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
                write_all(zstd::stream::write::Encoder::new(out, level)?, chunks)?.finish()?
            }
            Self::Lz4 => {
                let encoder = write_all(lz4_flex::frame::FrameEncoder::new(out), chunks)?;
                encoder.finish().map_err(io::Error::other)?
            }
            Self::SnappyFramed => {
                let encoder = write_all(snap::write::FrameEncoder::new(out), chunks)?;
                encoder.into_inner().map_err(|error| io::Error::other(error.to_string()))?
            }
            Self::Snappy => {
                let whole = match chunks {
                    [one] => one.clone(),
                    many => many.concat().into(),
                };
                snap::raw::Encoder::new().compress_vec(&whole).map_err(io::Error::other)?
            }
        };
        Ok(out.into())
    }
}

fn write_all<W: Write>(mut writer: W, chunks: &[Bytes]) -> io::Result<W> {
    for chunk in chunks {
        writer.write_all(chunk)?;
    }
    Ok(writer)
}

fn read_all(reader: impl Read, hint: usize, limit: usize) -> Result<Bytes, io::Error> {
    // OTLP compresses four to seven times; a wrong guess costs a copy, a hostile one nothing.
    let mut out = Vec::with_capacity(hint.saturating_mul(5).min(limit).min(4 << 20));
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(bound).read_to_end(&mut out)?;
    if out.len() > limit {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(out.into())
}

fn named(error: &io::Error, text: impl FnOnce(&io::Error) -> String) -> DecodeError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => DecodeError::TooLarge,
        io::ErrorKind::UnexpectedEof => DecodeError::Invalid("unexpected EOF".to_owned()),
        _ => DecodeError::Invalid(text(error)),
    }
}

fn gzip_error(error: &io::Error) -> DecodeError {
    // Go's texts: the header's, or that of the data behind it.
    named(error, |error| match error.to_string().as_str() {
        "invalid gzip header" => "gzip: invalid header".to_owned(),
        "corrupt gzip stream does not have a matching checksum" => "gzip: invalid checksum".to_owned(),
        other => other.to_owned(),
    })
}

fn invalid(error: &io::Error) -> DecodeError {
    DecodeError::Invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, DecodeError};
    use bytes::Bytes;

    const ALL: [Algorithm; 6] =
        [Algorithm::Gzip, Algorithm::Zstd, Algorithm::Zlib, Algorithm::Snappy, Algorithm::SnappyFramed, Algorithm::Lz4];

    #[test]
    fn gives_back_what_was_encoded() {
        let chunks = [Bytes::from(vec![7; 70_000]), Bytes::from_static(b"and more")];
        for algorithm in ALL {
            let packed = algorithm.encode(&chunks, None).unwrap();
            let decoded = algorithm.decode(&packed, 1 << 20).unwrap();
            assert_eq!(decoded, chunks.concat(), "{algorithm:?}");
        }
    }

    #[test]
    fn stops_at_the_limit() {
        let chunks = [Bytes::from(vec![0; 100_000])];
        for algorithm in ALL {
            let packed = algorithm.encode(&chunks, None).unwrap();
            assert!(matches!(algorithm.decode(&packed, 99_999), Err(DecodeError::TooLarge)), "{algorithm:?}");
            assert!(algorithm.decode(&packed, 100_000).is_ok(), "{algorithm:?}");
        }
    }

    #[test]
    fn refuses_garbage() {
        for algorithm in ALL {
            let error = algorithm.decode(&Bytes::from_static(b"this is not compressed"), 1000).unwrap_err();
            assert!(matches!(error, DecodeError::Invalid(_)), "{algorithm:?}");
        }
        let error = Algorithm::Gzip.decode(&Bytes::from_static(b"this is not compressed"), 1000).unwrap_err();
        assert_eq!(error.to_string(), "gzip: invalid header");
    }

    #[test]
    fn snappy_takes_both_forms() {
        let chunks = [Bytes::from_static(b"framed")];
        let packed = Algorithm::SnappyFramed.encode(&chunks, None).unwrap();
        assert_eq!(Algorithm::Snappy.decode(&packed, 100).unwrap(), chunks[0]);
    }
}
