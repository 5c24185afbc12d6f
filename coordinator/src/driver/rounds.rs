//! What happens in rounds: events into the engine, its actions out to tensors, outboxes and watchers.

use std::sync::Arc;

use syngrad_common::codec;
use syngrad_common::wire::{Answer, Leased, LeasedUnit, Refused, RoundOpened, RunClosed, ToWorker, Update, Verdict};
use syngrad_common::{Code, Failure};
use syngrad_engine::aggregate::{AggregateError, Tally};
use syngrad_engine::keeping::Counted;
use syngrad_engine::receipt::{self, Contribution};
use syngrad_engine::run::{Action, Event, Lease, Outcome, UpdateHeader};
use syngrad_engine::{LeaseId, MemberId, Rejection, Round, Units};
use syngrad_store::{MAX_HISTORY, Point, Report, Spooled, ToSpool};
use tokio::runtime::{Handle as Runtime, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::Instant;

use super::{Delivery, Driver, Mode};
use crate::active::{ActiveRun, Held, InHand, Intake, OpenRound};
use crate::evaluate::{Candidate, Evaluated};
use crate::outbox::{Broadcast, Full};
use crate::roster::SessionId;
use crate::served::ServedModel;
use crate::status::ending;

/// Params up to which arithmetic is done where it arises; for more, the runtime is told that this thread is busy.
const INLINE_PARAMS: usize = 4 << 20;

impl Driver {
    /// Lets the engine decide about `event`, does what it says, and so on with what follows from that.
    pub(super) fn feed(&mut self, event: Event) {
        // Most events are updates that count and leave the round open: readers wait for its end.
        let mut news = !matches!(event, Event::Update { .. });
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            let now = self.now();
            let Some(active) = &mut self.active else { break };
            let mut actions = std::mem::take(&mut self.actions);
            active.run.handle(now, event, &mut actions);
            for action in actions.drain(..) {
                news |= !matches!(action, Action::Accept { .. });
                self.execute(action);
            }
            self.actions = actions;
        }
        self.events.clear();
        if let Some(active) = self.active.as_ref().filter(|active| news && !active.is_over()) {
            active.publish(self.refused_sessions);
        }
        self.conclude();
    }

    /// Lets the engine decide about what waits in `events`, if anything does.
    pub(super) fn feed_waiting(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.feed(event);
        }
    }

    fn execute(&mut self, action: Action) {
        match action {
            Action::Admit { member } => tracing::info!(%member, "admitted"),
            Action::Dismiss { member, why } => self.dismiss(member, &why),
            Action::Open { round } => self.open(round),
            Action::Reuse { round, units } => self.reuse(round, &units),
            Action::Assign { member, lease } => self.assign(member, &lease),
            Action::Accept { member, lease, .. } => self.accept(member, lease),
            Action::Reject { member, lease, why } => self.reject(member, lease, &why),
            Action::Audit { lease } => self.hold(lease),
            Action::Judge { round, lease, units } => self.judge(round, lease, units),
            Action::Retract { lease } => self.retract(lease),
            Action::Convict { lease } => self.convict(lease),
            Action::Audited { lease, finding } => self.let_go(lease, finding),
            Action::Close { round, .. } => self.close(round),
            Action::Evaluate { round } => self.evaluate(round),
            Action::Finish(outcome) => self.finish(outcome),
        }
    }

    fn open(&mut self, round: Round) {
        let Some(active) = &mut self.active else { return };
        let state = &active.state;
        debug_assert_eq!(state.round(), round, "the engine and the tensors count the same rounds");
        let params = codec::params_to_bytes(state.params().clone());
        let header = RoundOpened {
            run: active.identity.run,
            round,
            params: state.params_digest(),
            params_bytes: params.len() as u64,
            bits: state.grid().bits(),
            exponents: state.grid().exponents().to_vec(),
        };
        active.aggregate.clear(state.grid());
        let opened = Instant::now();
        active.began.get_or_insert(opened);
        active.open = Some(OpenRound {
            round,
            opened,
            params_bytes: params.len() as u64,
            broadcast: Arc::new(Broadcast { header, frames: codec::frames(&params).collect() }),
            loss: (0.0, 0),
        });
    }

    fn assign(&mut self, member: MemberId, lease: &Lease) {
        let now = self.now();
        let Some(active) = &mut self.active else { return };
        let units = lease.units.iter().map(|&unit| LeasedUnit { unit, source: active.source(unit) });
        let leased = Leased {
            run: active.identity.run,
            round: lease.round,
            lease: lease.id,
            units: units.collect(),
            deadline: active.run.due(lease.id).map(|due| due.since(now)),
        };
        if let Some(receipts) = &mut active.receipts {
            receipts.grant(lease.id);
        }
        let (Some(membership), Some(open)) = (active.members.get_mut(&member), &active.open) else { return };
        let Some(seat) = self.roster.get(membership.session) else { return };
        membership.leased.extend(&lease.units);
        let needs_params = membership.has_params_of != Some(open.round);
        let sent = match needs_params {
            true => seat.outbox.send_params(open.broadcast.clone()),
            false => Ok(()),
        };
        match sent.and_then(|()| seat.outbox.send(ToWorker::Leased(leased))) {
            Ok(()) => {
                membership.has_params_of = Some(open.round);
                active.journal.traffic.params_bytes_sent += if needs_params { open.params_bytes } else { 0 };
            }
            Err(Full) => self.events.push_back(Event::Stalled { member }),
        }
    }

    /// An update arrived whole. It is added before the engine has judged it, because only adding shows whether its
    /// entries are ones that its units can give; what the engine then turns down is taken back exactly.
    pub(super) fn delivered(&mut self, delivery: Delivery) {
        let Delivery { session, update, payload, attested, permit } = delivery;
        let lease = update.header.lease;
        let contribution = self.contribution(session, &update);
        let member = match self.standing(session, &update) {
            Ok(member) => member,
            Err(why) => {
                self.note_refusal(contribution, &why);
                return self.answer_stranger(session, lease, &why);
            }
        };
        if let Some(why) = self.mistrusted(&update, attested) {
            return self.turn_down(session, lease, &why, contribution);
        }
        let Some(active) = &mut self.active else { return };
        active.journal.traffic.update_bytes_received += payload.len() as u64;
        let weight = active.weight(&update.header.units);
        let is_of_open_round = active.open.as_ref().is_some_and(|open| open.round == update.header.round);
        let tally =
            Tally { units: update.header.units.clone(), weight: weight.unwrap_or(0), saturated: update.saturated };
        let mut added = false;
        if is_of_open_round && weight.is_some() {
            let params = active.aggregate.sums().len();
            match on_this_thread(params, || active.aggregate.add(&payload, &tally)) {
                Ok(()) => added = true,
                Err(AggregateError::Counted { .. }) => {}
                Err(error) => {
                    let why = Rejection::BadPayload { why: error.to_string() };
                    return self.turn_down(session, lease, &why, contribution);
                }
            }
        }
        let header: UpdateHeader = update.header;
        let loss = (update.loss_sum, update.samples);
        active.in_hand = Some(InHand { payload, tally, added, loss, contribution });
        self.feed(Event::Update { member, header });
        self.take_back();
        drop(permit);
    }

    /// The member that an update is of, if it is of this run.
    fn standing(&self, session: SessionId, update: &Update) -> Result<MemberId, Rejection> {
        let run = self.active.as_ref().map(ActiveRun::id);
        match self.roster.get(session).and_then(|seat| seat.member) {
            _ if run != Some(update.run) => Err(Rejection::RunOver),
            Some(member) => Ok(member),
            None => Err(Rejection::NotAMember),
        }
    }

    /// An update is not what its header says.
    pub(super) fn malformed(&mut self, session: SessionId, update: &Update, why: String) {
        let contribution = self.contribution(session, update);
        self.turn_down(session, update.header.lease, &Rejection::BadPayload { why }, contribution);
    }

    /// An update is worth nothing, and its member is known by that.
    fn turn_down(&mut self, session: SessionId, lease: LeaseId, why: &Rejection, given: Option<Contribution>) {
        self.note_refusal(given, why);
        let member = self.roster.get(session).and_then(|seat| seat.member).filter(|_| self.active.is_some());
        let Some(member) = member else { return self.answer_stranger(session, lease, why) };
        self.tell_member(member, ToWorker::Answer(Answer { lease, verdict: verdict(why) }));
        self.feed(Event::Malformed { member, lease: Some(lease), why: why.to_string() });
    }

    fn accept(&mut self, member: MemberId, lease: LeaseId) {
        let Some(active) = &mut self.active else { return };
        let (Some(in_hand), Some(open)) = (active.in_hand.take(), &mut active.open) else { return };
        debug_assert!(in_hand.added, "what the engine counts is in the sum");
        let InHand { payload, tally, loss, contribution, added: _ } = in_hand;
        open.loss.0 += loss.0;
        open.loss.1 += loss.1;
        let round = open.round;
        let spooled = contribution.as_ref().filter(|_| active.is_private()).map(Contribution::encode);
        if let Some(contribution) = &contribution {
            active.archive(contribution.payload, &payload);
        }
        let is_private = active.is_private();
        if active.spec().quorum.audit_rate > 0.0 {
            // An audit of it may begin next.
            active.accepted = Some(Held { payload: payload.clone(), tally: tally.clone(), loss });
        }
        self.note(contribution, receipt::Verdict::Accepted);
        match is_private {
            false => self.tell_accepted(member, lease),
            true => {
                let report = Report { saturated: tally.saturated, loss };
                let contribution = spooled.unwrap_or_default();
                let owned = tally.units.first().map(|&unit| ToSpool { round, unit, payload, report, contribution });
                debug_assert_eq!(tally.units.len(), 1, "an owner has one unit, and leases are of what it owns");
                if let Some(update) = owned {
                    self.keep_update(Counted { member, lease }, update);
                }
            }
        }
    }

    pub(super) fn tell_accepted(&mut self, member: MemberId, lease: LeaseId) {
        self.tell_member(member, ToWorker::Answer(Answer { lease, verdict: Verdict::Accepted }));
    }

    /// Adds what an earlier process has made durable of the open round.
    fn reuse(&mut self, round: Round, units: &Units) {
        let Some(active) = &mut self.active else { return };
        let rest = active.spooled.extract_if(.., |spooled| spooled.round <= round).collect::<Vec<_>>();
        for Spooled { unit, payload, report, contribution, round: _ } in
            rest.into_iter().filter(|spooled| spooled.round == round && units.contains(&spooled.unit))
        {
            let units = Units::from([unit]);
            let weight = u64::from(active.plan.weight(unit));
            let tally = Tally { units, weight, saturated: report.saturated };
            if let Err(error) = active.aggregate.add(&payload, &tally) {
                let why = format!("the spooled update of unit {unit} does not fit: {error}: {}", Code::StateDamaged);
                tracing::error!(%round, why, "spooled updates are of no use");
                active.broken = Some(Outcome::Failed { round, why });
                return self.events.push_back(Event::Stop);
            }
            if let Some(open) = &mut active.open {
                open.loss.0 += report.loss.0;
                open.loss.1 += report.loss.1;
            }
            if let (Some(receipts), Ok(given)) = (&mut active.receipts, Contribution::decode(&contribution)) {
                let digest = given.payload;
                receipts.note(given, receipt::Verdict::Accepted);
                active.archive(digest, &payload);
            }
            tracing::info!(%round, %unit, "a spooled update is reused");
        }
    }

    fn reject(&mut self, member: MemberId, lease: LeaseId, why: &Rejection) {
        let in_hand = self.active.as_mut().and_then(|active| active.in_hand.as_mut());
        let given = in_hand.and_then(|in_hand| in_hand.contribution.take());
        self.note_refusal(given, why);
        self.take_back();
        self.tell_member(member, ToWorker::Answer(Answer { lease, verdict: verdict(why) }));
    }

    /// Leaves the sum as if the update in hand had never come; what was accepted is in hand no more.
    fn take_back(&mut self) {
        let Some(active) = &mut self.active else { return };
        if let Some(in_hand) = active.in_hand.take()
            && in_hand.added
        {
            active.aggregate.subtract(&in_hand.payload, &in_hand.tally).expect("it was added before");
        }
    }

    fn close(&mut self, round: Round) {
        let draining = self.mode != Mode::Serving;
        let Some(active) = &mut self.active else { return };
        let params = active.aggregate.sums().len();
        // Its broadcast shares the params, which the step would then have to copy.
        let open = active.open.take().map(|OpenRound { opened, loss, .. }| (opened, loss));
        let (before, grid) =
            (active.state.params_digest(), active.receipts.is_some().then(|| active.state.grid().clone()));
        match on_this_thread(params, || active.state.commit(&active.aggregate)) {
            Ok(commit) => {
                if let (Some(receipts), Some(grid)) = (&mut active.receipts, &grid) {
                    receipts.seal(&commit, before, grid);
                }
                let committed = Instant::now();
                let (opened, loss) = open.unwrap_or((committed, (0.0, 0)));
                let took = committed.duration_since(opened);
                active.journal.committed(took, loss);
                active.last_commit = Some(committed);
                active.journal.traffic.saturated += commit.saturated;
                self.keep_round(commit, took);
                if draining {
                    self.events.push_back(Event::Stop);
                }
            }
            Err(error) => {
                tracing::error!(%round, %error, "the round cannot be committed");
                active.broken = Some(Outcome::Failed { round, why: error.to_string() });
                self.events.push_back(Event::Stop);
            }
        }
    }

    pub(super) fn evaluate(&mut self, round: Round) {
        let Some(active) = &self.active else { return };
        active.evaluations.ask(Candidate {
            round,
            params: active.state.params().clone(),
            digest: active.state.params_digest(),
        });
    }

    /// The evaluator is done: the model is served as soon as it has a number.
    pub(super) fn evaluated(&mut self, verdict: Evaluated) {
        let Evaluated { run, candidate, evaluation } = verdict;
        let Some(active) = self.active.as_mut().filter(|active| active.id() == run) else { return };
        let round = candidate.round;
        match evaluation {
            Ok(evaluation) => {
                let accuracy = (evaluation.samples > 0).then_some(evaluation.accuracy);
                let point = accuracy.map(|accuracy| {
                    let loss = evaluation.loss;
                    tracing::info!(%round, accuracy, loss, "evaluated");
                    let point = Point { round, accuracy, loss, at: active.elapsed() };
                    active.journal.evaluated(point, evaluation);
                    point
                });
                let model = ServedModel {
                    params: candidate.params,
                    params_digest: candidate.digest,
                    run,
                    round,
                    model_version: String::new(),
                    model: active.spec().model.clone(),
                    data: active.spec().data.clone(),
                    accuracy,
                };
                self.keep_evaluation(point, model);
            }
            Err(error) => {
                tracing::error!(%round, %error, "the params cannot be evaluated");
                self.events.push_back(Event::Evaluated { round });
            }
        }
        self.feed_waiting();
    }

    /// The oldest model without a number is served from now on; it has one if anything is kept.
    pub(super) fn serve(&mut self, round: Round) {
        let Some(mut model) = self.unnumbered.pop_front() else { return };
        debug_assert_eq!(model.round, round, "models are served in the order in which they are kept");
        self.models_served += 1;
        if model.model_version.is_empty() {
            model.model_version = self.models_served.to_string();
        }
        if self.active.as_ref().is_some_and(|active| active.id() == model.run) {
            self.events.push_back(Event::Evaluated { round });
        }
        self.served.send_replace(Some(Arc::new(model)));
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(active) = &mut self.active else { return };
        active.shut_down = self.mode != Mode::Serving;
        let outcome = active.broken.take().unwrap_or(outcome);
        active.is_left = active.shut_down && self.keeper.is_some() && matches!(outcome, Outcome::Stopped { .. });
        active.outcome = Some(active.judged(outcome));
    }

    /// Once the run is over: everyone hears it, and its last status is kept.
    fn conclude(&mut self) {
        let Some(active) = self.active.as_ref().filter(|active| active.is_over()) else { return };
        if active.shut_down {
            // The next process goes on with it, and this one will not be there when that is kept.
            active.publish(self.refused_sessions);
        } else {
            self.endings.push_back((active.status.clone(), Arc::new(active.snapshot(self.refused_sessions))));
        }
        self.keep_end();
        let Some(active) = self.active.take() else { return };
        self.intake.send_replace(Intake::default());
        let how = active.outcome.as_ref().map(|outcome| ending(outcome, active.shut_down)).unwrap_or_default();
        tracing::info!(run = %active.id(), how, "the run is over");
        for (session, seat) in self.roster.iter_mut() {
            seat.member = None;
            let closed = RunClosed { run: active.id(), how: how.clone() };
            if seat.outbox.send(ToWorker::RunClosed(closed)).is_err() {
                tracing::debug!(%session, "did not hear that the run is over: its outbox is full");
            }
        }
        self.history.push_front(active.status.subscribe());
        self.history.truncate(MAX_HISTORY);
    }

    fn dismiss(&mut self, member: MemberId, why: &Rejection) {
        let Some(active) = &mut self.active else { return };
        let Some(membership) = active.members.remove(&member) else { return };
        tracing::warn!(%member, %why, "dismissed");
        let Some(seat) = self.roster.remove(membership.session) else { return };
        let failure = Failure::from(why);
        let refused = Refused { code: failure.code, why: failure.to_string(), retry: !why.is_final() };
        // What a stalled worker has not taken, it will not take now.
        if matches!(why, Rejection::Stalled) || seat.outbox.send(ToWorker::Refused(refused)).is_err() {
            seat.outbox.cut();
        }
    }

    /// Sends to a member; one that does not take it is reported to the engine.
    fn tell_member(&mut self, member: MemberId, message: ToWorker) {
        let session = self.active.as_ref().and_then(|active| active.members.get(&member)).map(|m| m.session);
        let Some(seat) = session.and_then(|session| self.roster.get(session)) else { return };
        if seat.outbox.send(message).is_err() {
            self.events.push_back(Event::Stalled { member });
        }
    }
}

/// What a worker is told of an update that does not count.
pub(super) fn verdict(why: &Rejection) -> Verdict {
    let Failure { code, message } = why.into();
    match why {
        why if why.is_duplicate() => Verdict::Duplicate { code, why: message },
        why if why.is_late() => Verdict::Late { code, why: message },
        _ => Verdict::Rejected { code, why: message },
    }
}

/// Does arithmetic over so many params without holding up the other tasks of this runtime thread for long.
pub(super) fn on_this_thread<T>(params: usize, work: impl FnOnce() -> T) -> T {
    let threads = matches!(Runtime::current().runtime_flavor(), RuntimeFlavor::MultiThread);
    match threads && params > INLINE_PARAMS {
        true => block_in_place(work),
        false => work(),
    }
}
