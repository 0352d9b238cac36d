//! Captured OTLP requests: JSON (one a line, as the Go file exporter writes it, or laid out over lines) or protobuf (one
//! request, or many with their length in four big-endian bytes before each, as the file exporter writes them), plain or
//! compressed with gzip or zstd. Which it is shows in the bytes.

use std::io::Read;

use pdata::Traces;

/// A request and when it arrived.
#[derive(Debug)]
pub(crate) struct Request {
    /// Unix nanoseconds; none if the capture does not say.
    pub(crate) arrival_unix_nano: Option<u64>,
    pub(crate) traces: Traces,
    /// Bytes of the capture up to its end.
    pub(crate) read: usize,
}

/// Where and why a capture cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The line of JSON, or the number of the protobuf message, from 1.
    pub(crate) at: usize,
    pub(crate) cause: String,
}

/// A file's bytes, without compression.
pub(crate) fn plain(bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    match bytes.as_slice() {
        [0x1f, 0x8b, ..] => flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut out)?,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::Decoder::new(bytes.as_slice())?.read_to_end(&mut out)?,
        _ => return Ok(bytes),
    };
    Ok(out)
}

/// The requests of a capture, in order; the first that is wrong is the last.
pub(crate) fn requests(bytes: &[u8]) -> Box<dyn Iterator<Item = Result<Request, Wrong>> + '_> {
    match bytes.trim_ascii_start().first() {
        None => Box::new(std::iter::empty()),
        Some(b'{') => Box::new(Json { bytes, at: 0, line: 1 }),
        Some(_) if is_length_prefixed(bytes) => Box::new(Prefixed { bytes, at: 0, number: 0 }),
        Some(_) => Box::new(std::iter::once(protobuf(bytes, 1, bytes.len()))),
    }
}

/// Goes from value to value, not from line to line.
struct Json<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Iterator for Json<'_> {
    type Item = Result<Request, Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..)?;
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.line += lines(rest.get(..blank)?);
        let rest = rest.get(blank..).filter(|rest| !rest.is_empty())?;
        let text = rest.get(..value_len(rest))?;
        let line = self.line;
        self.at += blank + text.len();
        self.line += lines(text);
        Some(json(text, line, self.at))
    }
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// Bytes of the JSON object that the text begins with; up to the end of the line if it begins with something else, and
/// all of it if the object does not end: the parser says what is wrong.
fn value_len(text: &[u8]) -> usize {
    if text.first() != Some(&b'{') {
        return text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

const ARRIVAL: &str = "\"arrivalUnixNano\"";

fn json(text: &[u8], line: usize, read: usize) -> Result<Request, Wrong> {
    let wrong = |cause: String| Wrong { at: line, cause };
    let has_arrival = text.windows(ARRIVAL.len()).any(|window| window == ARRIVAL.as_bytes());
    let arrival_unix_nano = if has_arrival { arrival(text).map_err(wrong)? } else { None };
    let bytes = pdata::json::traces_from_json(text).map_err(|error| wrong(error.to_string()))?;
    let traces = Traces::index(bytes.into()).map_err(|error| wrong(error.to_string()))?;
    Ok(Request { arrival_unix_nano, traces, read })
}

/// The key beside `resourceSpans`: a number, or one in quotes as protobuf's JSON has it.
fn arrival(text: &[u8]) -> Result<Option<u64>, String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        #[serde(default)]
        arrival_unix_nano: Option<serde_json::Value>,
    }
    let head: Head = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let Some(value) = head.arrival_unix_nano else { return Ok(None) };
    let number = match &value {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    number.map(Some).ok_or_else(|| format!("arrivalUnixNano: {value} is no number of nanoseconds"))
}

/// True if lengths of four bytes lead from message to message and end where the bytes do.
fn is_length_prefixed(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(len) = prefix(bytes, at) {
        at = at.saturating_add(4).saturating_add(len);
    }
    at == bytes.len() && at > 0
}

fn prefix(bytes: &[u8], at: usize) -> Option<usize> {
    let len = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*len)).ok()
}

struct Prefixed<'a> {
    bytes: &'a [u8],
    at: usize,
    number: usize,
}

impl Iterator for Prefixed<'_> {
    type Item = Result<Request, Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at + 4;
        self.at = start + prefix(self.bytes, self.at)?;
        self.number += 1;
        Some(protobuf(self.bytes.get(start..self.at)?, self.number, self.at))
    }
}

fn protobuf(message: &[u8], number: usize, read: usize) -> Result<Request, Wrong> {
    let traces =
        Traces::index(message.to_vec().into()).map_err(|error| Wrong { at: number, cause: error.to_string() })?;
    Ok(Request { arrival_unix_nano: None, traces, read })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000001","name":"a}\"{"}]}]}]}"#;

    fn read(bytes: &[u8]) -> Result<Vec<(Option<u64>, usize)>, Wrong> {
        requests(bytes)
            .map(|request| request.map(|request| (request.arrival_unix_nano, request.traces.span_count())))
            .collect()
    }

    #[test]
    fn json_in_lines_and_over_lines() {
        let laid_out = ONE.replace('[', "[\n  ");
        let timed = ONE.replacen('{', r#"{"arrivalUnixNano":"1700000000000000005","#, 1);
        let all = format!("\n{ONE}\n\n{laid_out}\n{timed}");
        assert_eq!(read(all.as_bytes()), Ok(vec![(None, 1), (None, 1), (Some(1_700_000_000_000_000_005), 1)]));
        assert_eq!(read(b" \n"), Ok(vec![]));
    }

    #[test]
    fn says_where_it_is_wrong() {
        let at = |text: &str| read(text.as_bytes()).unwrap_err().at;
        assert_eq!(at(&format!("{ONE}\n{}\nnonsense\n{ONE}", ONE.replace('[', "[\n"))), 6);
        assert_eq!(at(&format!("{ONE}\n{}", &ONE[..40])), 2);
        let error = read(ONE.replacen('{', r#"{"arrivalUnixNano":"soon","#, 1).as_bytes()).unwrap_err();
        assert_eq!(error.cause, "arrivalUnixNano: \"soon\" is no number of nanoseconds");
    }

    #[test]
    fn protobuf_of_one_and_of_many() {
        let one = pdata::json::traces_from_json(ONE.as_bytes()).unwrap();
        assert_eq!(read(&one), Ok(vec![(None, 1)]));
        let mut many = Vec::new();
        for _ in 0..3 {
            many.extend_from_slice(&u32::try_from(one.len()).unwrap().to_be_bytes());
            many.extend_from_slice(&one);
        }
        assert_eq!(read(&many), Ok(vec![(None, 1); 3]));
        many.pop();
        assert_eq!(read(&many).unwrap_err().at, 1);
        assert!(read(&one[..one.len() - 1]).is_err());
    }

    #[test]
    fn compressed_files() {
        let packed = zstd::encode_all(ONE.as_bytes(), 1).unwrap();
        assert_eq!(plain(packed).unwrap(), ONE.as_bytes());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, ONE.as_bytes()).unwrap();
        assert_eq!(plain(gzip.finish().unwrap()).unwrap(), ONE.as_bytes());
        assert!(plain(vec![0x1f, 0x8b, 1]).is_err());
        assert_eq!(plain(ONE.into()).unwrap(), ONE.as_bytes());
    }
}
