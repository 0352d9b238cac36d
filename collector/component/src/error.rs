//! Why a batch was not taken, in the terms that decide what the client is told.

use std::sync::Arc;
use std::time::Duration;

/// gRPC status codes, as OTLP uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    /// 1
    Canceled = 1,
    /// 2
    Unknown = 2,
    /// 3: the data is wrong; sending it again cannot help
    InvalidArgument = 3,
    /// 4
    DeadlineExceeded = 4,
    /// 5
    NotFound = 5,
    /// 6
    AlreadyExists = 6,
    /// 7
    PermissionDenied = 7,
    /// 8: retryable only with a `RetryInfo`
    ResourceExhausted = 8,
    /// 9
    FailedPrecondition = 9,
    /// 10
    Aborted = 10,
    /// 11
    OutOfRange = 11,
    /// 12
    Unimplemented = 12,
    /// 13: what a permanent failure without a status of its own becomes
    Internal = 13,
    /// 14: what a failure that may pass becomes
    Unavailable = 14,
    /// 15
    DataLoss = 15,
    /// 16
    Unauthenticated = 16,
}

/// Why a batch was refused. Cheap to clone: a fan-out joins the answers of its branches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConsumeError {
    /// Text for the client and the log.
    pub message: Arc<str>,
    /// A permanent error is not to be retried.
    pub permanent: bool,
    /// A status from further down, to be passed to the client unchanged.
    pub status: Option<Code>,
    /// The least time to wait before another try, if the far side said so.
    pub retry_after: Option<Duration>,
}

impl ConsumeError {
    /// A failure that may pass: the client is told `Unavailable` and tries again.
    pub fn retryable(message: impl Into<Arc<str>>) -> Self {
        Self { message: message.into(), permanent: false, status: None, retry_after: None }
    }

    /// A failure that will not pass: the client is told `Internal`.
    pub fn permanent(message: impl Into<Arc<str>>) -> Self {
        Self { message: message.into(), permanent: true, status: None, retry_after: None }
    }

    /// The code that the client is told (spec `otlp.md` 1.3: own status, else 13 if permanent, else 14).
    #[must_use]
    pub fn code(&self) -> Code {
        match self.status {
            Some(code) => code,
            None if self.permanent => Code::Internal,
            None => Code::Unavailable,
        }
    }

    /// Joins the answers of several branches: one failure is enough, and it is retryable if any of them is.
    pub fn join(results: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let mut failed: Option<Self> = None;
        for error in results.into_iter().filter_map(Result::err) {
            failed = Some(match failed {
                None => error,
                Some(first) => Self {
                    message: format!("{}; {}", first.message, error.message).into(),
                    permanent: first.permanent && error.permanent,
                    status: first.status.or(error.status),
                    retry_after: first.retry_after.max(error.retry_after),
                },
            });
        }
        failed.map_or(Ok(()), Err)
    }
}
