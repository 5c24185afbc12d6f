//! A connection that is read in large pieces. rustls asks for 4 KiB at a time, and each would be a call of the system.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read at once from a connection that has said little so far.
const SMALLEST: usize = 8 << 10;
/// Bytes that are read at once from a connection that keeps its buffer full.
const LARGEST: usize = 256 << 10;

/// `T`, read in large pieces. The buffer grows as a connection fills it: a thousand idle ones take little.
#[derive(Debug)]
pub struct Buffered<T> {
    inner: T,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<T> Buffered<T> {
    /// Reads `inner` in large pieces.
    pub fn new(inner: T) -> Self {
        Self { inner, buffer: vec![0; SMALLEST].into_boxed_slice(), start: 0, end: 0 }
    }

    /// What is read.
    pub fn inner(&self) -> &T {
        &self.inner
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Buffered<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.start == this.end {
            if this.end == this.buffer.len() && this.buffer.len() < LARGEST {
                this.buffer = vec![0; LARGEST.min(this.buffer.len() * 4)].into_boxed_slice();
            }
            let mut into = ReadBuf::new(&mut this.buffer);
            this.start = 0;
            this.end = 0;
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut into))?;
            this.end = into.filled().len();
        }
        let amount = out.remaining().min(this.end - this.start);
        out.put_slice(&this.buffer[this.start..this.start + amount]);
        this.start += amount;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Buffered<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn everything_arrives_once_and_in_order_whatever_the_pieces() {
        let sent: Vec<u8> = (0..3 * LARGEST).map(|index| (index % 251) as u8).collect();
        for piece in [1, 7, 4096, LARGEST, 2 * LARGEST] {
            let mut reader = Buffered::new(sent.as_slice());
            let mut received = Vec::new();
            let mut part = vec![0; piece];
            loop {
                match reader.read(&mut part).await.expect("a slice is read") {
                    0 => break,
                    count => received.extend_from_slice(&part[..count]),
                }
            }
            assert!(received == sent, "in pieces of {piece}");
            assert_eq!(reader.buffer.len(), LARGEST, "it was always full");
        }
    }

    #[tokio::test]
    async fn a_connection_that_says_little_takes_little() {
        let mut reader = Buffered::new(&[1u8; 100][..]);
        reader.read_to_end(&mut Vec::new()).await.expect("a slice is read");
        assert_eq!(reader.buffer.len(), SMALLEST);
    }
}
