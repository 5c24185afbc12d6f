//! What the operator asks for: runs are started one after another, stopped, and looked at.

use syngrad_common::config::CanonicalSpec;
use syngrad_common::limits::MAX_SESSIONS;
use syngrad_common::{Code, Failure};
use syngrad_engine::run::Event;
use syngrad_engine::{Round, RunId};
use syngrad_store::Resumption;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{Driver, Message, Mode, Reply, StartRun, shutting_down};
use crate::prepare::{Preparation, Prepared, prepare};
use crate::status::RunWatch;

/// A run whose data is being loaded.
#[derive(Debug)]
pub(super) struct Preparing {
    pub(super) run: RunId,
    pub(super) name: String,
    /// Who started it; none if an earlier process did.
    pub(super) reply: Option<Reply<RunId>>,
    /// What was asked meanwhile: a run that goes on after a restart is not unknown.
    pub(super) asked: Vec<Message>,
}

impl Driver {
    pub(super) fn start(&mut self, start: StartRun) {
        let StartRun { spec, min_members, reply } = start;
        if let Err(failure) = self.may_start(min_members) {
            // Whoever asked may be gone, here and below.
            let _ = reply.send(Err(failure));
            return;
        }
        let run = RunId(Uuid::new_v4().into_bytes());
        let name = spec.spec().name.clone();
        tracing::info!(%run, name, "preparing");
        self.begin_preparing(
            Preparing { run, name, reply: Some(reply), asked: Vec::new() },
            spec,
            min_members.max(1),
            Resumption::default(),
        );
    }

    pub(super) fn begin_preparing(
        &mut self,
        preparing: Preparing,
        spec: CanonicalSpec,
        min_members: u32,
        resumption: Resumption,
    ) {
        let Some(driver) = self.own_inbox.upgrade() else { return };
        let preparation = Preparation {
            run: preparing.run,
            spec,
            min_members,
            first_lease: self.first_lease,
            resumption,
            device: self.config.device,
            data_dir: self.config.data_dir.clone(),
            silence: self.config.patience.silence,
            log: self.keeper.as_ref().and(self.config.log.as_ref()).map(|log| log.key.clone()),
            cache: self.cache.clone(),
        };
        self.preparing = Some(preparing);
        let inbox = driver.clone();
        let preparing = spawn_blocking(move || prepare(preparation, &driver));
        tokio::spawn(async move {
            if let Err(error) = preparing.await {
                let why = format!("preparing the run ended in a defect of this program: {error}");
                // The driver may be over.
                let _ = inbox.send(Message::Prepared(Err(Failure::new(Code::Internal, why)))).await;
            }
        });
    }

    /// The model of the last committed round was served before the restart, and is again once it is evaluated.
    fn serve_again(&mut self, opens: Round) {
        if let Some(last) = opens.0.checked_sub(1) {
            self.evaluate(Round(last));
        }
    }

    fn may_start(&self, min_members: u32) -> Result<(), Failure> {
        if min_members as usize > MAX_SESSIONS {
            let why = format!("the run would wait for {min_members} workers; at most {MAX_SESSIONS} can be connected");
            return Err(Failure::new(Code::SpecValue, why));
        }
        if self.mode != Mode::Serving {
            return Err(shutting_down());
        }
        let active = self.active.as_ref().map(|active| (active.identity.run, &active.identity.name));
        let preparing = self.preparing.as_ref().map(|preparing| (preparing.run, &preparing.name));
        match active.or(preparing) {
            None => Ok(()),
            Some((run, name)) => {
                let why = format!("run {name:?} ({run}) is active; wait for its end or stop it");
                Err(Failure::new(Code::RunActive, why))
            }
        }
    }

    pub(super) fn prepared(&mut self, outcome: Result<Box<Prepared>, Failure>) {
        let Some(preparing) = self.preparing.take() else { return };
        let outcome = match self.mode {
            Mode::Serving => outcome,
            Mode::Draining { .. } | Mode::Over => Err(shutting_down()),
        };
        match outcome {
            Ok(prepared) => {
                let Prepared { active, ledger, cache } = *prepared;
                tracing::info!(run = %active.id(), name = preparing.name, "open to workers");
                self.cache = cache;
                self.intake.send_replace(active.intake());
                active.publish(self.refused_sessions);
                let resumed_at = preparing.reply.is_none().then(|| active.state.round());
                self.active = Some(active);
                self.announce_run();
                self.keep_beginning(ledger, preparing.reply);
                if let Some(opens) = resumed_at {
                    self.serve_again(opens);
                }
                preparing.asked.into_iter().for_each(|message| self.take(message));
            }
            Err(failure) => {
                tracing::warn!(run = %preparing.run, code = %failure.code, why = %failure, "cannot start");
                match preparing.reply {
                    Some(reply) => drop(reply.send(Err(failure))),
                    None => self.fail(failure),
                }
            }
        }
    }

    pub(super) fn stop(&mut self, run: Option<RunId>, reply: Reply<RunWatch>) {
        if let Some(preparing) = self.resuming(run) {
            return preparing.asked.push(Message::Stop { run, reply });
        }
        let watch = self.find(run);
        if let (Ok(watch), Some(active)) = (&watch, &self.active)
            && watch.borrow().identity.run == active.id()
        {
            self.feed(Event::Stop);
        }
        let _ = reply.send(watch);
    }

    /// Answers who asks for a run, as soon as it is known whether there is one.
    pub(super) fn look_up(&mut self, run: Option<RunId>, reply: Reply<RunWatch>) {
        match self.resuming(run) {
            Some(preparing) => preparing.asked.push(Message::Find { run, reply }),
            // Whoever asked may be gone.
            None => drop(reply.send(self.find(run))),
        }
    }

    /// Answers who asks for all runs, as soon as all are known.
    pub(super) fn list(&mut self, reply: Reply<Vec<RunWatch>>) {
        match self.resuming(None) {
            Some(preparing) => preparing.asked.push(Message::List { reply }),
            // Whoever asked may be gone.
            None => drop(reply.send(Ok(self.runs()))),
        }
    }

    /// The run that goes on after a restart and is not there yet, if `run` names it or none.
    fn resuming(&mut self, run: Option<RunId>) -> Option<&mut Preparing> {
        let resuming = self.preparing.as_mut().filter(|preparing| preparing.reply.is_none());
        resuming.filter(|preparing| run.is_none_or(|run| run == preparing.run))
    }

    fn find(&self, run: Option<RunId>) -> Result<RunWatch, Failure> {
        let mut runs = self.runs().into_iter();
        let found = match run {
            None => runs.next(),
            Some(run) => runs.find(|watch| watch.borrow().identity.run == run),
        };
        found.ok_or_else(|| {
            let why = match run {
                None => "no run has been started here".to_owned(),
                Some(run) => format!("there is no run {run} here"),
            };
            Failure::new(Code::RunNotFound, why)
        })
    }

    /// All runs, newest first.
    fn runs(&self) -> Vec<RunWatch> {
        let active = self.active.iter().map(|active| active.status.subscribe());
        active.chain(self.history.iter().cloned()).collect()
    }
}
