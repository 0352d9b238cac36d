//! A stream that pauses while much comes in, so that others have their turn.
//!
//! An HTTP/2 connection reads for as long as its socket has data. So after about a request's worth of bytes it lets the
//! tasks run that it has woken. It knows nothing of frames; nothing is lost or reordered, and a connection with little to
//! read never pauses. hyper polls the connection once more for each request that it accepts, which ends a pause: what
//! clients have under way at once is still read before the first of it is worked on. Pausing until that is done costs more
//! than it saves: each answer is a write of its own then, and 10 to 16 % more CPU goes into a million spans.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read before others have their turn: below what a core's own cache holds, well above what a turn costs.
const TURN: usize = 128 * 1024;

/// A stream whose reader pauses.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    /// Bytes read since the last pause.
    read: usize,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read >= TURN {
            self.read = 0;
            // The task goes to the end of the queue, behind those that it has woken.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.read += buf.filled().len() - before;
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn after_a_turn_it_pauses_once_and_asks_to_go_on() {
        let sent: Vec<u8> = (0..3 * TURN).map(|at| (at % 251) as u8).collect();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut paced = Paced::new(&sent[..]);
        let (mut received, mut pauses) = (Vec::new(), Vec::new());
        loop {
            let mut space = vec![0; TURN / 2];
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut paced).poll_read(&mut cx, &mut buf) {
                Poll::Ready(read) => {
                    read.unwrap();
                    if buf.filled().is_empty() {
                        break;
                    }
                    received.extend_from_slice(buf.filled());
                }
                Poll::Pending => pauses.push(received.len()),
            }
        }
        assert!(received == sent);
        assert_eq!(pauses, [TURN, 2 * TURN, 3 * TURN]);
        assert_eq!(woken.0.load(Ordering::Relaxed), pauses.len());
    }

    #[tokio::test]
    async fn both_directions_go_through() {
        let (ours, theirs) = duplex(1000);
        let sent: Vec<u8> = (0..2 * TURN + 7).map(|at| (at % 251) as u8).collect();
        let (mut reader, mut writer) = tokio::io::split(Paced::new(ours));
        let (mut echo_reader, mut echo_writer) = tokio::io::split(theirs);
        let echo = tokio::spawn(async move {
            tokio::io::copy(&mut echo_reader, &mut echo_writer).await.unwrap();
            echo_writer.shutdown().await.unwrap();
        });
        let bytes = sent.clone();
        let write = tokio::spawn(async move {
            writer.write_all(&bytes).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        assert!(received == sent);
        write.await.unwrap();
        echo.await.unwrap();
    }
}
