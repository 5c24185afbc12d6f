//! Workers come, get ready, and go.

use bytes::Bytes;
use syngrad_common::limits::PROTOCOL_MAX;
use syngrad_common::wire::{Answer, Declined, FetchShard, Hello, Ready, Refused, RunOpened, ToWorker, Welcome};
use syngrad_common::{Code, Failure};
use syngrad_engine::run::{Event, Joined};
use syngrad_engine::session::Retry;
use syngrad_engine::spec::Numerics;
use syngrad_engine::{LeaseId, MemberId, PartnerName, Rejection};
use syngrad_store::Holding;
use tokio::sync::oneshot;

use super::rounds::verdict;
use super::{Arrival, Driver, Mode, Seated, ShardRequest, shutting_down};
use crate::access::Caller;
use crate::active::{ActiveRun, Membership};
use crate::outbox::Outbox;
use crate::roster::{NoSeat, Seat, SessionId, draw_token};

impl Driver {
    pub(super) fn arrived(&mut self, arrival: Arrival) {
        let Arrival { caller, hello, signer, outbox, reply } = arrival;
        let replaced = match self.place_for(&caller, &hello) {
            Ok(replaced) => replaced,
            Err((failure, retry)) => return self.turn_away(&outbox, failure, retry),
        };
        let token = match draw_token() {
            Ok(token) => token,
            Err(error) => {
                let why = format!("the system gives no random bytes for a session token: {error}");
                return self.turn_away(&outbox, Failure::new(Code::Internal, why), Retry::Later);
            }
        };
        if let Some(older) = replaced {
            self.gone(older, "its worker connected again");
        }
        let welcome = Welcome {
            protocol: hello.protocol_max.min(PROTOCOL_MAX),
            build: self.config.build.clone(),
            resume: token,
            heartbeat: self.config.patience.heartbeat,
            silence: self.config.patience.silence,
            fence: self.fence,
        };
        let run_opened = self.active.as_ref().map(run_opened);
        let messages = [Some(ToWorker::Welcome(welcome)), run_opened.map(ToWorker::RunOpened)];
        let sent = messages.into_iter().flatten().try_for_each(|message| outbox.send(message));
        debug_assert_eq!(sent, Ok(()), "a new outbox has room");
        let (tether, loose_end) = oneshot::channel();
        let worker = hello.worker;
        let partner = hello.partner;
        tracing::info!(%worker, %partner, build = hello.build, "connected");
        let session = self.roster.seat(Seat {
            worker,
            partner,
            signer,
            token,
            outbox,
            member: None,
            witnesses: None,
            _tether: tether,
        });
        if reply.send(Seated { session, tether: loose_end }).is_err() {
            self.gone(session, "its connection ended during the handshake");
        }
    }

    /// The older connection that the worker replaces, or why it gets no seat and whether it may come back.
    fn place_for(&self, caller: &Caller, hello: &Hello) -> Result<Option<SessionId>, (Failure, Retry)> {
        if self.mode != Mode::Serving {
            return Err((shutting_down(), Retry::Later));
        }
        self.admit(caller, hello)?;
        self.roster.admit(hello.worker, hello.resume.as_ref()).map_err(|no_seat| match no_seat {
            NoSeat::IdentityInUse => (Failure::from(&Rejection::IdentityInUse), Retry::Later),
            NoSeat::RosterFull => {
                let why = format!("{} workers are connected, as many as may be", self.roster.len());
                (Failure::new(Code::TooManySessions, why), Retry::Later)
            }
        })
    }

    /// Refuses a worker that has no seat.
    fn turn_away(&mut self, outbox: &Outbox, failure: Failure, retry: Retry) {
        send_refusal(outbox, failure, retry);
        self.count_refusal();
    }

    /// A handshake or a session was refused.
    pub(super) fn count_refusal(&mut self) {
        self.refused_sessions += 1;
        self.publish();
    }

    /// Refuses a worker that has a seat: it loses it.
    pub(super) fn refuse_seated(&mut self, session: SessionId, failure: Failure, retry: Retry) {
        let Some(seat) = self.roster.remove(session) else { return };
        self.turn_away(&seat.outbox, failure, retry);
        self.forget_member(&seat);
    }

    pub(super) fn ready(&mut self, session: SessionId, ready: &Ready) {
        let Some(active) = &self.active else { return };
        // A run that ended while the worker prepared: it has been told.
        if ready.run != active.id() {
            return;
        }
        let partner = self.roster.get(session).map(|seat| seat.partner.clone());
        let Some(partner) = partner else { return };
        if let Err(failure) = fitness(active, ready, &partner) {
            return self.refuse_seated(session, failure, Retry::Never);
        }
        let foreign = ready.fingerprint != active.fingerprint;
        let member = self.new_member();
        let Some(seat) = self.roster.get_mut(session) else { return };
        if seat.member.is_some() {
            let failure = Failure::new(Code::UnexpectedMessage, "the worker said Ready twice for one run");
            return self.refuse_seated(session, failure, Retry::Later);
        }
        seat.member = Some(member);
        let joined = Joined {
            member,
            worker: seat.worker,
            partner: seat.partner.clone(),
            milli_units_per_second: ready.milli_units_per_second,
        };
        let data = ready.data;
        if let Some(active) = &mut self.active {
            active.journal.foreign_numerics += u32::from(foreign);
            active.members.insert(member, Membership::new(session));
            if let Some(data) = data.filter(|_| !active.holdings.contains_key(&partner)) {
                active.holdings.insert(partner.clone(), data);
                self.keep_holding(Holding { partner, data });
            }
        }
        self.greet_witness(session);
        self.feed(Event::Joined(joined));
    }

    pub(super) fn declined(&mut self, session: SessionId, declined: &Declined) {
        if let Some(seat) = self.roster.get(session) {
            let Declined { run, why } = declined;
            tracing::warn!(%run, worker = %seat.worker, partner = %seat.partner, why, "declined");
        }
        self.leave_run(session);
    }

    /// A worker broke the protocol or fell silent: its connection ends.
    pub(super) fn expelled(&mut self, session: SessionId, failure: Failure) {
        if failure.code != Code::Silent
            && let Some(active) = &mut self.active
        {
            active.journal.rejected += 1;
            self.note_breach(session, failure.code);
        }
        let Some(seat) = self.roster.remove(session) else { return };
        send_refusal(&seat.outbox, failure, Retry::Later);
        self.forget_member(&seat);
        self.publish();
    }

    pub(super) fn heard(&mut self, session: SessionId) {
        let member = self.roster.get(session).and_then(|seat| seat.member);
        if let Some(member) = member.filter(|_| self.active.is_some()) {
            self.feed(Event::Heartbeat { member });
        }
    }

    pub(super) fn gone(&mut self, session: SessionId, why: &str) {
        let Some(seat) = self.roster.remove(session) else { return };
        tracing::info!(worker = %seat.worker, partner = %seat.partner, why, "disconnected");
        self.forget_member(&seat);
        seat.outbox.cut();
    }

    /// A seated worker is no member any more.
    fn leave_run(&mut self, session: SessionId) {
        let Some(member) = self.roster.get_mut(session).and_then(|seat| seat.member.take()) else { return };
        self.member_left(member);
    }

    fn forget_member(&mut self, seat: &Seat) {
        if let Some(member) = seat.member {
            self.member_left(member);
        }
    }

    fn member_left(&mut self, member: MemberId) {
        if self.active.as_mut().is_some_and(|active| active.members.remove(&member).is_some()) {
            self.feed(Event::Left { member });
        }
    }

    /// Answers an update of somebody who is not in the run, or of no run.
    pub(super) fn answer_stranger(&mut self, session: SessionId, lease: LeaseId, why: &Rejection) {
        if let Some(active) = &mut self.active {
            active.journal.rejected += 1;
        }
        let answer = ToWorker::Answer(Answer { lease, verdict: verdict(why) });
        if self.roster.get(session).is_some_and(|seat| seat.outbox.send(answer).is_err()) {
            self.gone(session, "it does not take what is sent to it");
        }
        self.publish();
    }

    /// Tells all who are connected that a run is open.
    pub(super) fn announce_run(&mut self) {
        let Some(active) = &self.active else { return };
        let opened = run_opened(active);
        let full: Vec<SessionId> = self
            .roster
            .iter_mut()
            .filter(|(_, seat)| seat.outbox.send(ToWorker::RunOpened(opened.clone())).is_err())
            .map(|(session, _)| session)
            .collect();
        for session in full {
            self.gone(session, "it does not take what is sent to it");
        }
    }

    pub(super) fn fetch_shard(&mut self, request: ShardRequest) {
        let ShardRequest { request, reply } = request;
        let bytes = self.shard_for(&request);
        if let (Ok(bytes), Some(active)) = (&bytes, &mut self.active) {
            active.journal.traffic.shard_bytes_sent += bytes.len() as u64;
        }
        // Whoever asked may be gone.
        let _ = reply.send(bytes);
    }

    fn shard_for(&self, request: &FetchShard) -> Result<Bytes, Failure> {
        let (_, seat) = self.roster.find(&request.resume).ok_or_else(|| {
            Failure::new(Code::NotAuthorized, "no connected worker has this session token; connect again")
        })?;
        let not_leased = || {
            Failure::new(Code::ShardNotLeased, format!("shard {} is not leased to this worker", request.shard.short()))
        };
        let active = self.active.as_ref().filter(|active| active.id() == request.run).ok_or_else(not_leased)?;
        let membership = seat.member.and_then(|member| active.members.get(&member)).ok_or_else(not_leased)?;
        let shards = active.shards.as_ref().ok_or_else(not_leased)?;
        let mut shards = membership.leased.iter().map(|&unit| shards.get(unit));
        shards.find(|shard| shard.digest == request.shard).map(|shard| shard.bytes.clone()).ok_or_else(not_leased)
    }

    /// The coordinator ends: every worker hears that it may come back.
    pub(super) fn dismiss_everyone(&mut self) {
        let sessions: Vec<SessionId> = self.roster.iter_mut().map(|(session, _)| session).collect();
        for session in sessions {
            let Some(seat) = self.roster.remove(session) else { continue };
            let Failure { code, message } = shutting_down();
            if seat.outbox.send(ToWorker::Refused(Refused { code, why: message, retry: true })).is_err() {
                seat.outbox.cut();
            }
        }
    }

    /// Lets watchers see counters that moved without the engine.
    pub(super) fn publish(&self) {
        if let Some(active) = &self.active {
            active.publish(self.refused_sessions);
        }
    }
}

fn send_refusal(outbox: &Outbox, failure: Failure, retry: Retry) {
    let Failure { code, message } = failure;
    tracing::warn!(%code, why = message, "a worker was refused");
    // A worker that does not take this has lost its connection all the same.
    let _ = outbox.send(ToWorker::Refused(Refused { code, why: message, retry: retry == Retry::Later }));
}

fn run_opened(active: &ActiveRun) -> RunOpened {
    RunOpened {
        run: active.id(),
        spec: active.identity.spec.json().clone(),
        spec_digest: active.identity.spec.digest(),
        layout: active.identity.layout_digest,
        samples: active.plan.samples(),
        shard_samples: active.plan.uneven_shards(),
    }
}

/// Whether a worker's model and machine are those that the run needs.
fn fitness(active: &ActiveRun, ready: &Ready, partner: &PartnerName) -> Result<(), Failure> {
    let layout = active.identity.layout_digest;
    if ready.layout != layout {
        let why = format!("the worker's layout is {}, the run's is {layout}", ready.layout);
        return Err(Failure::new(Code::LayoutDiffers, why));
    }
    check_data(active, ready, partner)?;
    match active.spec().numerics {
        Numerics::Strict if ready.fingerprint != active.fingerprint => {
            let (found, expected) = (ready.fingerprint.short(), active.fingerprint.short());
            let why = format!("the worker's numerics class is {found}, the run's is {expected}: its bits would differ");
            Err(Failure::new(Code::NumericsDiffer, why))
        }
        Numerics::Strict | Numerics::Record => Ok(()),
    }
}

/// Whether a partner that keeps its samples has brought some, and the same as ever in this run.
fn check_data(active: &ActiveRun, ready: &Ready, partner: &PartnerName) -> Result<(), Failure> {
    let why = match (active.is_private(), ready.data, active.holdings.get(partner)) {
        (true, None, _) => "the run is on samples of its partners, and the worker names none".to_owned(),
        (true, Some(found), Some(known)) if found != *known => {
            let (found, known) = (found.short(), known.short());
            format!("partner {partner} began the run with other samples: their digest was {known}, now it is {found}")
        }
        (true, Some(_), _) | (false, _, _) => return Ok(()),
    };
    Err(Failure::new(Code::DataDiffers, why))
}
