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
