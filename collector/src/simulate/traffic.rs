//! What is replayed: captures, or the traffic of the demo's shop.

use std::path::Path;

use pdata::Traces;

use super::capture::{self, Request};
use super::{Error, file};
use crate::demo::traffic::{Mix, Shop};

/// What is replayed.
pub(crate) enum Traffic {
    /// Captures with their names.
    Files(Vec<(String, Vec<u8>)>),
    /// So many traces of the demo's shop.
    Shop(usize, Mix),
}

/// Traces in one request of the shop.
const SHOP_TRACES: usize = 50;

/// When the shop opens, Unix nanoseconds. Its requests come a second apart.
const SHOP_OPENS: u64 = 1_700_000_000_000_000_000;

impl Traffic {
    /// Reads captures.
    pub(super) fn read<P: AsRef<Path>>(paths: &[P]) -> Result<Self, Error> {
        let read = |path: &P| {
            let path = path.as_ref();
            let bytes = std::fs::read(path).and_then(capture::plain).map_err(|cause| file(path, cause))?;
            Ok((path.display().to_string(), bytes))
        };
        paths.iter().map(read).collect::<Result<_, Error>>().map(Self::Files)
    }

    /// How much there is, in what [`Request::read`] counts.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Files(files) => files.iter().map(|(_, bytes)| bytes.len()).sum(),
            Self::Shop(traces, _) => *traces,
        }
    }

    /// Hands every request on, with how much of [`Traffic::len`] it is behind.
    pub(super) fn each(&self, mut take: impl FnMut(Request)) -> Result<(), Error> {
        match self {
            Self::Files(files) => {
                let mut before = 0;
                for (path, bytes) in files {
                    for request in capture::requests(bytes) {
                        let request = request.map_err(|capture::Wrong { at: line, cause }| Error::Request {
                            path: path.clone(),
                            line,
                            cause,
                        })?;
                        take(Request { read: before + request.read, ..request });
                    }
                    before += bytes.len();
                }
            }
            Self::Shop(traces, mix) => {
                let mut shop = Shop::with_mix(1, *mix);
                let mut made = 0;
                let mut now = SHOP_OPENS;
                while made < *traces {
                    let some = SHOP_TRACES.min(*traces - made);
                    let bytes = shop.request(some, now);
                    let wrong = |error: pdata::WireError| Error::Request {
                        path: "--generate".to_owned(),
                        line: made,
                        cause: error.to_string(),
                    };
                    let traces = Traces::index(bytes.into()).map_err(wrong)?;
                    made += some;
                    take(Request { arrival_unix_nano: Some(now), traces, read: made });
                    now += 1_000_000_000;
                }
            }
        }
        Ok(())
    }
}
