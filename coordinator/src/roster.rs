//! Who is connected: one session an identity, and the token that lets a worker replace its own dead connection.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use syngrad_common::limits::MAX_SESSIONS;
use syngrad_common::wire::ResumeToken;
use syngrad_engine::{MemberId, PartnerName, RunId, WorkerId};
use tokio::sync::oneshot;

use crate::outbox::Outbox;
use crate::receipts::Signer;

/// One connection of a worker; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A token nobody can guess.
///
/// # Errors
/// When the system has no random bytes to give.
pub(crate) fn draw_token() -> Result<ResumeToken, getrandom::Error> {
    let mut bytes = [0; ResumeToken::LEN];
    getrandom::fill(&mut bytes)?;
    Ok(ResumeToken::new(bytes))
}

/// Ends the reading half of a connection when it is dropped.
pub(crate) type Tether = oneshot::Sender<()>;

/// A connected worker.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The worker's identity.
    pub(crate) worker: WorkerId,
    /// Its partner.
    pub(crate) partner: PartnerName,
    /// What it signs with; none where workers have no keys.
    pub(crate) signer: Option<Arc<Signer>>,
    /// The token of this connection's Welcome.
    pub(crate) token: ResumeToken,
    /// What waits to be sent to it.
    pub(crate) outbox: Outbox,
    /// Its membership of the current run.
    pub(crate) member: Option<MemberId>,
    /// The run whose log it reads along.
    pub(crate) witnesses: Option<RunId>,
    /// Held, never read: the connection lives as long as this.
    pub(crate) _tether: Tether,
}

/// Why a worker gets no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSeat {
    /// Another connection has the identity, and the worker did not show that connection's token.
    IdentityInUse,
    /// [`MAX_SESSIONS`] workers are connected.
    RosterFull,
}

/// All connected workers.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    seats: BTreeMap<SessionId, Seat>,
    by_worker: BTreeMap<WorkerId, SessionId>,
    next: u64,
}

impl Roster {
    /// Whether `worker` may sit down, and the older connection of its own that it replaces.
    ///
    /// # Errors
    /// [`NoSeat`] when it may not.
    pub(crate) fn admit(&self, worker: WorkerId, resume: Option<&ResumeToken>) -> Result<Option<SessionId>, NoSeat> {
        let Some(&holder) = self.by_worker.get(&worker) else {
            return match self.seats.len() < MAX_SESSIONS {
                true => Ok(None),
                false => Err(NoSeat::RosterFull),
            };
        };
        let token = &self.seats[&holder].token;
        match resume.is_some_and(|shown| shown == token) {
            true => Ok(Some(holder)),
            false => Err(NoSeat::IdentityInUse),
        }
    }

    /// Seats a worker whose identity is free.
    pub(crate) fn seat(&mut self, seat: Seat) -> SessionId {
        let session = SessionId(self.next);
        self.next += 1;
        let former = self.by_worker.insert(seat.worker, session);
        debug_assert_eq!(former, None, "one session an identity");
        self.seats.insert(session, seat);
        session
    }

    /// Takes a worker's seat away, if it still has one.
    pub(crate) fn remove(&mut self, session: SessionId) -> Option<Seat> {
        let seat = self.seats.remove(&session)?;
        self.by_worker.remove(&seat.worker);
        Some(seat)
    }

    /// A connected worker.
    pub(crate) fn get(&self, session: SessionId) -> Option<&Seat> {
        self.seats.get(&session)
    }

    /// A connected worker, to be changed.
    pub(crate) fn get_mut(&mut self, session: SessionId) -> Option<&mut Seat> {
        self.seats.get_mut(&session)
    }

    /// The session that was given `token`.
    pub(crate) fn find(&self, token: &ResumeToken) -> Option<(SessionId, &Seat)> {
        self.seats.iter().find(|(_, seat)| seat.token == *token).map(|(&session, seat)| (session, seat))
    }

    /// All sessions, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &Seat)> {
        self.seats.iter().map(|(&session, seat)| (session, seat))
    }

    /// All sessions, oldest first, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut Seat)> {
        self.seats.iter_mut().map(|(&session, seat)| (session, seat))
    }

    /// Number of connected workers.
    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outbox::outbox;

    fn seat(worker: u16, token: u8) -> Seat {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&worker.to_le_bytes());
        Seat {
            worker: WorkerId(id),
            partner: PartnerName::parse("a").expect("a name"),
            token: ResumeToken::new([token; 32]),
            outbox: outbox(Duration::from_secs(1)).0,
            signer: None,
            member: None,
            witnesses: None,
            _tether: oneshot::channel().0,
        }
    }

    #[tokio::test]
    async fn an_identity_sits_once_and_only_its_token_replaces_it() {
        let mut roster = Roster::default();
        let worker = seat(1, 7).worker;
        assert_eq!(roster.admit(worker, None), Ok(None));
        let session = roster.seat(seat(1, 7));
        assert_eq!(roster.admit(worker, None), Err(NoSeat::IdentityInUse));
        assert_eq!(roster.admit(worker, Some(&ResumeToken::new([8; 32]))), Err(NoSeat::IdentityInUse));
        assert_eq!(roster.admit(worker, Some(&ResumeToken::new([7; 32]))), Ok(Some(session)));
        assert!(roster.remove(session).is_some() && roster.remove(session).is_none());
        assert_eq!(roster.admit(worker, None), Ok(None));
        assert_ne!(roster.seat(seat(1, 7)), session, "a session's number is never used again");
    }

    #[tokio::test]
    async fn there_are_so_many_seats_and_no_more() {
        let mut roster = Roster::default();
        for worker in 0..MAX_SESSIONS as u16 {
            roster.seat(seat(worker, 0));
        }
        assert_eq!(roster.admit(seat(u16::MAX, 0).worker, None), Err(NoSeat::RosterFull));
        assert_eq!(roster.admit(seat(3, 0).worker, Some(&ResumeToken::new([0; 32]))), Ok(Some(SessionId(3))));
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(draw_token().expect("random bytes"), draw_token().expect("random bytes"));
    }
}
