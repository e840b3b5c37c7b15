//! Answers that HTTP libraries do not like to give.

use std::{
    convert::Infallible,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How a request ends.
pub(crate) enum Reply {
    /// With an answer.
    Answer(Response<Body>),
    /// Without one.
    Cut(Cut),
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// TCP reset.
    Reset,
    /// Closed in good order, without a byte.
    Close,
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// The same chunk again and again: as many bytes as you like from little memory.
pub(crate) struct Repeated {
    chunk: Bytes,
    left: u64,
    head: Option<Bytes>,
    tail: Option<Bytes>,
    declare: bool,
}

impl Repeated {
    /// `total` bytes of repeated `chunk`; with `declare` the answer has a Content-Length.
    pub(crate) fn bytes(chunk: Bytes, total: u64, declare: bool) -> Self {
        Self { chunk, left: total, head: None, tail: None, declare }
    }

    /// `head`, then `chunk` `times` times, then `tail`.
    pub(crate) fn between(head: Bytes, chunk: Bytes, times: u64, tail: Bytes) -> Self {
        let left = times.saturating_mul(chunk.len() as u64);
        Self { chunk, left, head: Some(head), tail: Some(tail), declare: false }
    }
}

impl hyper::body::Body for Repeated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        if self.left > 0 && !self.chunk.is_empty() {
            let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.chunk.len());
            self.left -= length as u64;
            return Poll::Ready(Some(Ok(Frame::data(self.chunk.slice(..length)))));
        }
        Poll::Ready(self.tail.take().map(|tail| Ok(Frame::data(tail))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.declare { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}

/// A few bytes at a time.
pub(crate) struct Drip {
    rest: Bytes,
    piece: usize,
    every: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Drip {
    pub(crate) fn new(bytes: Bytes, piece: usize, every: Duration) -> Self {
        Self { rest: bytes, piece: piece.max(1), every, sleep: Box::pin(tokio::time::sleep(every)) }
    }
}

impl hyper::body::Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.sleep.as_mut().poll(context));
        let next = Instant::now() + self.every;
        self.sleep.as_mut().reset(next);
        let length = self.piece.min(self.rest.len());
        let piece = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// A body that is shorter than it says, after which the connection is closed.
pub(crate) struct Truncated {
    rest: Option<Bytes>,
    left: u64,
    is_sent: bool,
}

impl Truncated {
    /// `bytes` of a body of `length` bytes.
    pub(crate) fn new(bytes: Bytes, length: usize) -> Self {
        Self { rest: Some(bytes), left: length as u64, is_sent: false }
    }
}

impl hyper::body::Body for Truncated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(bytes) = self.rest.take().filter(|bytes| !bytes.is_empty()) {
            self.left = self.left.saturating_sub(bytes.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if !self.is_sent {
            // What was written is sent before the end is noticed, which sends nothing more.
            self.is_sent = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What an answer says, when it is still at hand; faults that repeat it need its bytes.
#[cfg(test)]
pub(crate) async fn collect(body: Body) -> Bytes {
    match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(never) => match never {},
    }
}
