//! What is kept of a run: the engine says when and what, and what waits for it; this carries it out.

use std::time::Duration;

use syngrad_common::config::CanonicalSpec;
use syngrad_common::{Code, Failure};
use syngrad_engine::RunId;
use syngrad_engine::keeping::{Action, Begun, Cadence, Contents, Counted, Event, HistoryDiffers, Origin, RunEnd};
use syngrad_engine::run::{self, Outcome};
use syngrad_engine::state::Commit;
use syngrad_store::{
    Bulk, Cutting, EndPhase, Ending, Holding, Kept, Order, Point, RunRow, ToSpool, Unfinished, Version,
};

use super::operator::Preparing;
use super::{Driver, Mode, Reply};
use crate::served::ServedModel;
use crate::status::ending;

impl Driver {
    /// Goes on with a run of an earlier process.
    pub(crate) fn resume(&mut self, unfinished: Unfinished) -> Result<(), Failure> {
        let Unfinished { row, resumption } = unfinished;
        let spec = CanonicalSpec::parse(&row.spec).map_err(Failure::from)?;
        if spec.digest() != row.spec_digest {
            let why = format!("the spec of run {} ({}) is not the one that it was started with", row.name, row.run);
            return Err(Failure::new(Code::StateDamaged, why));
        }
        tracing::info!(run = %row.run, name = row.name, ledger = resumption.ledger.len(), "going on with a run");
        let preparing = Preparing { run: row.run, name: row.name, reply: None, asked: Vec::new() };
        // Whoever it waited for at its beginning may be gone; fewer workers give the same bits.
        self.begin_preparing(preparing, spec, 1, resumption);
        Ok(())
    }

    /// A run is open to workers. Whoever started it hears so once that is kept; an earlier process's goes on.
    pub(super) fn keep_beginning(&mut self, ledger: Vec<Commit>, started: Option<Reply<RunId>>) {
        let Some(active) = &mut self.active else { return };
        let (run, next) = (active.id(), active.state.round());
        let cadence = Cadence::new(active.spec(), &active.plan);
        let origin = match started {
            Some(reply) => {
                active.unkept.cutting = active.receipts.is_some().then(|| Cutting {
                    samples: active.plan.samples(),
                    shards: active.plan.uneven_shards(),
                    numerics: active.fingerprint,
                });
                active.unkept.begun = Some(RunRow {
                    run,
                    name: active.identity.name.clone(),
                    spec: active.identity.spec.text().to_owned(),
                    spec_digest: active.identity.spec.digest(),
                });
                self.starting.insert(run, reply);
                Origin::Asked
            }
            None => Origin::Resumed,
        };
        self.keep(Event::Begun(Begun { run, cadence, next, ledger, origin }));
    }

    /// A round is committed in memory, so long after it opened.
    pub(super) fn keep_round(&mut self, commit: Commit, took: Duration) {
        if let Some(active) = self.active.as_mut().filter(|_| self.keeper.is_some()) {
            active.unkept_times.push_back(took);
        }
        self.keep(Event::Committed(commit));
    }

    /// An update of private samples counts: its worker hears so once it is kept.
    pub(super) fn keep_update(&mut self, counted: Counted, update: ToSpool) {
        if let Some(active) = &mut self.active {
            active.counted = Some(update);
        }
        self.keep(Event::Counted(counted));
    }

    /// A partner has come with samples of its own.
    pub(super) fn keep_holding(&mut self, holding: Holding) {
        if let Some(active) = self.active.as_mut().filter(|_| self.keeper.is_some()) {
            active.unkept.holdings.push(holding);
        }
    }

    /// A model is evaluated, if it can be: it is served under a number that is kept first.
    pub(super) fn keep_evaluation(&mut self, evaluation: Option<Point>, model: ServedModel) {
        let Some(active) = &mut self.active else { return };
        if self.keeper.is_some() {
            active.unkept.evaluations.extend(evaluation);
            active.unkept.version = Some(Version { round: model.round, params: model.params_digest });
        }
        let round = model.round;
        self.unnumbered.push_back(model);
        self.keep(Event::Evaluated { round });
    }

    /// A run is over, unless only this process is: then the next one goes on with it.
    pub(super) fn keep_end(&mut self) {
        let Some(active) = &mut self.active else { return };
        let Some(outcome) = &active.outcome else { return };
        let phase = match outcome {
            Outcome::Completed => Some(EndPhase::Completed),
            Outcome::Stopped { .. } if active.shut_down => None,
            Outcome::Stopped { .. } => Some(EndPhase::Stopped),
            Outcome::Failed { .. } => Some(EndPhase::Failed),
        };
        let reason = ending(outcome, active.shut_down);
        active.unkept.ending = phase.map(|phase| Ending { phase, reason });
        let end = if phase == Some(EndPhase::Failed) { RunEnd::Failed } else { RunEnd::Orderly };
        self.keep(Event::Ended(end));
    }

    pub(super) fn kept(&mut self, kept: Kept) {
        match kept {
            Kept::Done(number) => {
                if let Some((run, publications)) = self.unpublished.pop_front() {
                    self.publish_receipts(run, publications);
                }
                if let (Some(number), Some(model)) = (number, self.unnumbered.front_mut()) {
                    model.model_version = number.to_string();
                }
                self.keep(Event::Kept);
            }
            Kept::Waits(why) => {
                tracing::warn!(%why, "nothing is kept for now");
                self.keep(Event::Delayed { why: why.to_string() });
            }
            Kept::Never(why) => {
                self.failure = Some(why.into());
                self.keep(Event::Lost);
            }
        }
        self.feed_waiting();
        self.publish();
    }

    /// Lets the engine decide what is kept, and does what it says. What the run is to hear of it waits in `events`.
    fn keep(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.keeping.handle(self.now(), event, &mut actions);
        for action in actions {
            match action {
                Action::Keep { contents, rounds } => self.order(contents, rounds),
                Action::Acknowledge { run } => {
                    if let Some(reply) = self.starting.remove(&run) {
                        // Whoever asked may be gone.
                        let _ = reply.send(Ok(run));
                    }
                }
                Action::Accept(Counted { member, lease }) => self.tell_accepted(member, lease),
                Action::Step { round } => {
                    let params = self.active.as_ref().map(|active| active.state.params_digest()).unwrap_or_default();
                    self.events.push_back(run::Event::Stepped { round, params });
                }
                Action::Serve { round } => self.serve(round),
                Action::Tell => {
                    if let Some((watchers, last)) = self.endings.pop_front() {
                        watchers.send_replace(last);
                    }
                }
                Action::Contradict(differs) => self.contradict(&differs),
                Action::GiveUp => {
                    if let Some(failure) = self.failure.take() {
                        self.fail(failure);
                    }
                }
            }
        }
        if let Some(active) = &mut self.active {
            active.keeping = self.keeping.view();
        }
    }

    /// The run is not the one that the ledger tells of.
    fn contradict(&mut self, differs: &HistoryDiffers) {
        let Some(active) = &mut self.active else { return };
        let why = format!("{differs}: {}", Code::HistoryDiffers);
        tracing::error!(round = %differs.round, why, "history differs");
        active.broken = Some(Outcome::Failed { round: differs.round, why });
        self.events.push_back(run::Event::Stop);
    }

    /// Nothing can be kept any more, so nothing more may be acknowledged.
    pub(super) fn fail(&mut self, failure: Failure) {
        tracing::error!(code = %failure.code, why = %failure, "the coordinator cannot go on");
        for reply in std::mem::take(&mut self.starting).into_values() {
            let _ = reply.send(Err(failure.clone()));
        }
        self.failure = Some(failure);
        self.mode = Mode::Over;
        self.dismiss_everyone();
    }

    fn order(&mut self, contents: Contents, rounds: Vec<Commit>) {
        let (Some(keeper), Some(active)) = (&self.keeper, &mut self.active) else { return };
        let has_rounds = !rounds.is_empty();
        let (run, mut entry) = (active.id(), active.entry(rounds));
        // What was sealed is what these rows are of: an order without rows has none.
        let publications = if has_rounds { active.hand_out(&mut entry) } else { Vec::new() };
        self.unpublished.push_back((run, publications));
        let bulk = match contents {
            Contents::Rows => None,
            Contents::Update => active.counted.take().map(Bulk::Update),
            Contents::Whole => Some(Bulk::State(Box::new(active.state.clone()))),
        };
        keeper.keep(Order { run, entry, bulk });
    }
}
