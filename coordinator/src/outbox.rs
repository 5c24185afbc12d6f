//! What waits to be sent to one worker: bounded, never blocking, and emptied at once when the worker is given up.
//!
//! The params of a round are one item that shares its frames with every other outbox, so a worker that stops reading
//! holds at most [`OUTBOX`] references and no copy.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use syngrad_common::limits::OUTBOX;
use syngrad_common::wire::{RoundOpened, ToWorker};
use tokio::time::{Instant, Sleep, sleep_until};

/// The params of a round as they travel, encoded once for everyone.
#[derive(Debug)]
pub(crate) struct Broadcast {
    /// What announces the params.
    pub(crate) header: RoundOpened,
    /// The params, little-endian f32, cut into frames.
    pub(crate) frames: Vec<Bytes>,
}

#[derive(Debug)]
enum Item {
    Message(ToWorker),
    Params(Arc<Broadcast>),
}

/// The queue has no room: its worker does not take what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    ended: bool,
    reader: Option<Waker>,
}

#[derive(Debug, Default)]
struct Shared(Mutex<Queue>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver's end. Dropping it lets what is queued go out and then ends the stream.
#[derive(Debug)]
pub(crate) struct Outbox(Arc<Shared>);

/// The connection's end: a stream of messages, with heartbeats where there is nothing to say.
#[derive(Debug)]
pub(crate) struct Outgoing {
    shared: Arc<Shared>,
    params: Option<(Arc<Broadcast>, usize)>,
    heartbeat: Duration,
    spoke: Instant,
    timer: Pin<Box<Sleep>>,
}

/// An outbox for one connection, which says something at least every `heartbeat`.
pub(crate) fn outbox(heartbeat: Duration) -> (Outbox, Outgoing) {
    let shared = Arc::new(Shared::default());
    let spoke = Instant::now();
    let timer = Box::pin(sleep_until(spoke + heartbeat));
    (Outbox(shared.clone()), Outgoing { shared, params: None, heartbeat, spoke, timer })
}

impl Outbox {
    /// Queues a message.
    ///
    /// # Errors
    /// [`Full`] when the worker has not taken the ones before.
    pub(crate) fn send(&self, message: ToWorker) -> Result<(), Full> {
        self.push(Item::Message(message))
    }

    /// Queues the params of a round.
    ///
    /// # Errors
    /// [`Full`] when the worker has not taken what came before.
    pub(crate) fn send_params(&self, params: Arc<Broadcast>) -> Result<(), Full> {
        self.push(Item::Params(params))
    }

    /// Gives the worker up: forgets what is queued.
    pub(crate) fn cut(self) {
        self.0.lock().items.clear();
    }

    fn push(&self, item: Item) -> Result<(), Full> {
        let mut queue = self.0.lock();
        if queue.items.len() >= OUTBOX {
            return Err(Full);
        }
        queue.items.push_back(item);
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.ended = true;
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Outgoing {
    /// The next frame of params that are being sent.
    fn next_frame(&mut self) -> Option<ToWorker> {
        let (broadcast, next) = self.params.as_mut()?;
        let frame = broadcast.frames[*next].clone();
        *next += 1;
        if *next == broadcast.frames.len() {
            self.params = None;
        }
        Some(ToWorker::Frame(frame))
    }

    fn begin(&mut self, item: Item) -> ToWorker {
        match item {
            Item::Message(message) => message,
            Item::Params(broadcast) => {
                let header = broadcast.header.clone();
                if !broadcast.frames.is_empty() {
                    self.params = Some((broadcast, 0));
                }
                ToWorker::RoundOpened(header)
            }
        }
    }

    fn poll_queue(&mut self, cx: &Context<'_>) -> Poll<Option<Item>> {
        let mut queue = self.shared.lock();
        match queue.items.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if queue.ended => Poll::Ready(None),
            None => {
                queue.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The timer is moved only when it fires: moving it for every message would cost more than the message.
    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let due = self.spoke + self.heartbeat;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl Stream for Outgoing {
    type Item = ToWorker;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ToWorker>> {
        let this = &mut *self;
        if let Some(frame) = this.next_frame() {
            return Poll::Ready(Some(frame));
        }
        let message = match this.poll_queue(cx) {
            Poll::Ready(Some(item)) => this.begin(item),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => match this.poll_heartbeat(cx) {
                Poll::Ready(()) => {
                    let due = Instant::now() + this.heartbeat;
                    this.timer.as_mut().reset(due);
                    ToWorker::Heartbeat
                }
                Poll::Pending => return Poll::Pending,
            },
        };
        this.spoke = Instant::now();
        Poll::Ready(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt as _;
    use syngrad_engine::spec::UpdateBits;
    use syngrad_engine::{Digest, Round, RunId};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn params() -> Arc<Broadcast> {
        let header = RoundOpened {
            run: RunId([1; 16]),
            round: Round(0),
            params: Digest([2; 32]),
            params_bytes: 2,
            bits: UpdateBits::ThirtyTwo,
            exponents: vec![0],
        };
        Arc::new(Broadcast { header, frames: vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")] })
    }

    #[tokio::test]
    async fn params_are_one_item_and_come_out_whole_and_in_order() {
        let (outbox, outgoing) = outbox(LONG);
        let params = params();
        outbox.send_params(params.clone()).expect("room");
        outbox.send(ToWorker::Heartbeat).expect("room");
        assert_eq!(Arc::strong_count(&params), 2, "shared, not copied");
        drop(outbox);
        let all: Vec<ToWorker> = outgoing.collect().await;
        let expected = [
            ToWorker::RoundOpened(params.header.clone()),
            ToWorker::Frame(Bytes::from_static(b"a")),
            ToWorker::Frame(Bytes::from_static(b"b")),
            ToWorker::Heartbeat,
        ];
        assert_eq!(all, expected);
    }

    #[tokio::test]
    async fn a_full_outbox_refuses_and_one_that_is_cut_holds_nothing() {
        let (outbox, mut outgoing) = outbox(LONG);
        let params = params();
        for _ in 0..OUTBOX {
            outbox.send_params(params.clone()).expect("room");
        }
        assert_eq!(outbox.send(ToWorker::Heartbeat), Err(Full));
        outbox.cut();
        assert_eq!(Arc::strong_count(&params), 1);
        assert_eq!(outgoing.next().await, None);
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let (outbox, mut outgoing) = outbox(LONG);
        let reading = tokio::spawn(async move { outgoing.next().await });
        tokio::task::yield_now().await;
        outbox.send(ToWorker::Heartbeat).expect("room");
        assert_eq!(reading.await.expect("no panic"), Some(ToWorker::Heartbeat));
    }
}
