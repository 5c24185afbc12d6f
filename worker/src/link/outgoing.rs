//! What is sent to the coordinator, one message at a time: the frames of an update are cut when their turn comes, and each
//! message is written down before it goes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use prost::Message as _;
use syngrad_common::limits::MAX_FRAME;
use syngrad_common::wire::ToCoordinator;
use syngrad_proto::syngrad::v1;
use tokio::sync::mpsc;

use crate::guard::{FrameOf, Journal, Record, Released, Sent, UpdateRecord};

/// Something to say.
#[derive(Debug)]
pub(super) enum Item {
    /// One message.
    Message(Box<ToCoordinator>),
    /// An update and its payload.
    Update(Box<Released>),
}

/// The outbox as the stream of a call.
#[derive(Debug)]
pub(super) struct Outgoing {
    queued: mpsc::Receiver<Item>,
    payload: Bytes,
    /// Whose payload it is.
    frame_of: Option<FrameOf>,
    journal: Journal,
}

impl Outgoing {
    pub(super) fn new(queued: mpsc::Receiver<Item>, journal: Journal) -> Self {
        Self { queued, payload: Bytes::new(), frame_of: None, journal }
    }

    /// Writes a message down, and lets it go; one that cannot be written down ends the stream.
    fn let_go(&self, message: ToCoordinator, update: Option<UpdateRecord>) -> Option<v1::SessionRequest> {
        if !self.journal.is_kept() {
            return Some(message.into());
        }
        let mut record = update
            .map_or_else(|| Record::of(&message, self.frame_of), |update| Record::now(Sent::Update(Box::new(update))));
        let request = v1::SessionRequest::from(message);
        record.bytes = request.encoded_len() as u64;
        self.journal.record(|| record).is_ok().then_some(request)
    }
}

impl Stream for Outgoing {
    type Item = v1::SessionRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.payload.is_empty() {
            let len = self.payload.len().min(MAX_FRAME);
            let frame = self.payload.split_to(len);
            return Poll::Ready(self.let_go(ToCoordinator::Frame(frame), None));
        }
        let Poll::Ready(item) = self.queued.poll_recv(cx) else { return Poll::Pending };
        Poll::Ready(item.and_then(|item| match item {
            Item::Message(message) => self.let_go(*message, None),
            Item::Update(released) => {
                let Released { update, payload, record } = *released;
                self.payload = payload;
                let (run, header) = (update.run, &update.header);
                self.frame_of = Some(FrameOf { run, round: header.round, lease: header.lease });
                self.let_go(ToCoordinator::Update(update), Some(record))
            }
        }))
    }
}
