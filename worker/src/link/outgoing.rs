//! What is sent to the coordinator, one message at a time: the frames of an update are cut when their turn comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use syngrad_common::limits::MAX_FRAME;
use syngrad_common::wire::{ToCoordinator, Update};
use syngrad_proto::syngrad::v1;
use tokio::sync::mpsc;

/// Something to say.
#[derive(Debug)]
pub(super) enum Item {
    /// One message.
    Message(ToCoordinator),
    /// An update and its payload.
    Update(Update, Bytes),
}

/// The outbox as the stream of a call.
#[derive(Debug)]
pub(super) struct Outgoing {
    queued: mpsc::Receiver<Item>,
    payload: Bytes,
}

impl Outgoing {
    pub(super) fn new(queued: mpsc::Receiver<Item>) -> Self {
        Self { queued, payload: Bytes::new() }
    }
}

impl Stream for Outgoing {
    type Item = v1::SessionRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.payload.is_empty() {
            let len = self.payload.len().min(MAX_FRAME);
            let frame = self.payload.split_to(len);
            return Poll::Ready(Some(ToCoordinator::Frame(frame).into()));
        }
        self.queued.poll_recv(cx).map(|item| {
            item.map(|item| match item {
                Item::Message(message) => message.into(),
                Item::Update(update, payload) => {
                    self.payload = payload;
                    ToCoordinator::Update(update).into()
                }
            })
        })
    }
}
