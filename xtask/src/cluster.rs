//! A coordinator that keeps its state, its workers, and an operator who watches: real processes around one run.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use syngrad_engine::Digest;
use thiserror::Error;

use crate::ledger::{Expected, Kept, LedgerError};
use crate::processes::{Event, Process, Program, Scene, Ticket, text};

/// Time after which a run of a few seconds is taken to hang: longer than all waits of the product that faults can cause.
const LIMIT: Duration = Duration::from_secs(90);

/// Why a run did not go as it must.
#[derive(Debug, Error)]
pub(crate) enum Trouble {
    #[error("a process could not be started, signalled or read: {0}")]
    System(#[from] io::Error),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the {0} ended by itself; its log says why")]
    Ended(String),
    #[error("the run was not over after {LIMIT:?}; its last status was: {0}")]
    Hangs(String),
    #[error("the run is over as {phase}: {reason}")]
    NotCompleted { phase: String, reason: String },
    #[error("the run ended at params {found}, an undisturbed one at {expected}")]
    Digest { found: String, expected: Digest },
    #[error("the coordinator ended with {0} when it was asked to end in order")]
    Exit(ExitStatus),
    #[error("{0}")]
    Broken(String),
}

/// What the operator sees of a run.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Status {
    pub(crate) phase: String,
    pub(crate) reason: String,
    pub(crate) rounds_committed: u32,
    pub(crate) params_digest: String,
}

impl Status {
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase.as_str(), "completed" | "stopped" | "failed")
    }

    /// Checks the last status of a run.
    pub(crate) fn check(&self, expected: &Expected) -> Result<(), Trouble> {
        if self.phase != "completed" {
            return Err(Trouble::NotCompleted { phase: self.phase.clone(), reason: self.reason.clone() });
        }
        match self.params_digest == expected.params.to_string() {
            true => Ok(()),
            false => Err(Trouble::Digest { found: self.params_digest.clone(), expected: expected.params }),
        }
    }
}

/// What happened to a cluster.
#[derive(Debug)]
pub(crate) enum News {
    /// The coordinator listens.
    Listening,
    /// The start of the run was acknowledged.
    Started,
    /// The operator sees this.
    Status(Status),
    /// The operator's command is over with this envelope, or none.
    WatchEnded(Option<Value>),
    /// The coordinator is gone, though nobody here killed it.
    CoordinatorEnded,
    /// A worker is gone, though nobody here killed it.
    WorkerEnded(usize),
    /// Nothing until the time that was given.
    Time,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) scene: Scene,
    program: Program,
    spec: PathBuf,
    events: Receiver<Event>,
    tell: Sender<Event>,
    address: String,
    pub(crate) coordinator: Option<Process>,
    pub(crate) workers: Vec<Option<Process>>,
    watch: Option<Process>,
    /// The last envelope of the operator's command.
    envelope: Option<Value>,
    /// The first JSON that the coordinator wrote, and the last: why it failed, if it did.
    pub(crate) last_words: Option<Value>,
    /// The run's id, once its start was acknowledged.
    pub(crate) run: Option<String>,
    pub(crate) status: Status,
    /// Each worker's own samples, if it has any.
    pub(crate) samples: Vec<PathBuf>,
    /// Rounds of which each worker was told that its update is accepted.
    pub(crate) accepted: Vec<BTreeSet<u32>>,
    lives: u32,
    began: Instant,
}

impl Cluster {
    pub(crate) fn new(program: &Program, scene: Scene, spec: &str, workers: usize) -> io::Result<Self> {
        let (tell, events) = channel();
        let file = scene.file("spec.toml");
        std::fs::write(&file, spec)?;
        Ok(Self {
            scene,
            program: program.clone(),
            spec: file,
            events,
            tell,
            address: "127.0.0.1:0".to_owned(),
            coordinator: None,
            workers: (0..workers).map(|_| None).collect(),
            watch: None,
            envelope: None,
            last_words: None,
            run: None,
            status: Status::default(),
            samples: Vec::new(),
            accepted: vec![BTreeSet::new(); workers],
            lives: 0,
            began: Instant::now(),
        })
    }

    /// Starts a coordinator on the state folder, and on the port of the last one; `wrap` makes the command out of the
    /// program and its arguments.
    pub(crate) fn start_coordinator(&mut self, wrap: impl FnOnce(Command) -> Command) -> Result<(), Trouble> {
        self.lives += 1;
        let state = self.scene.state();
        let mut arguments = vec!["coordinator", "serve", "--insecure", "--exit-with-stdin", "-o", "jsonl"];
        arguments.extend(["--bind", &self.address, "--state-dir", text(&state)]);
        let command = wrap(self.program.command(&arguments));
        let log = self.scene.file("coordinator.log");
        let process = Process::start(command, &log, self.tell.clone())?;
        self.scene.tell(&format!("coordinator {} starts, process {}", self.lives, process.id()));
        self.coordinator = Some(process);
        self.last_words = None;
        Ok(())
    }

    pub(crate) fn start_worker(&mut self, index: usize) -> Result<(), Trouble> {
        let partner = format!("partner-{index}");
        let mut arguments = vec!["worker", "join", &self.address, "--insecure", "--exit-with-stdin", "-o", "jsonl"];
        arguments.extend(["--no-policy", "--no-state", "--partner", &partner]);
        if let Some(samples) = self.samples.get(index) {
            arguments.extend(["--data", text(samples)]);
        }
        let mut command = self.program.command(&arguments);
        command.env("SYNGRAD_LOG", "warn,syngrad_worker=debug");
        let process = Process::start(command, &self.worker_log(index), self.tell.clone())?;
        self.scene.tell(&format!("worker {index} starts, process {}", process.id()));
        self.workers[index] = Some(process);
        Ok(())
    }

    pub(crate) fn worker_log(&self, index: usize) -> PathBuf {
        self.scene.file(&format!("worker-{index}.log"))
    }

    /// Starts the run, or follows it if it was started.
    pub(crate) fn watch(&mut self) -> Result<(), Trouble> {
        let workers = self.workers.len().to_string();
        let arguments = match &self.run {
            None => vec!["run", "start", text(&self.spec), "--watch", "--wait-for-workers", &workers],
            Some(run) => vec!["run", "watch", run],
        };
        let command = self
            .program
            .command(&[&arguments[..], &["--insecure", "--coordinator", &self.address, "-o", "jsonl"]].concat());
        self.envelope = None;
        self.watch = Some(Process::start(command, &self.scene.file("operator.log"), self.tell.clone())?);
        Ok(())
    }

    /// Waits for what happens next, until `deadline` if there is one.
    pub(crate) fn next(&mut self, deadline: Option<Instant>) -> Result<News, Trouble> {
        let hangs = self.began + LIMIT;
        loop {
            if Instant::now() >= hangs {
                return Err(Trouble::Hangs(format!("{}: {}", self.status.phase, self.status.reason)));
            }
            let until = deadline.map_or(hangs, |deadline| deadline.min(hangs));
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    if let Some(news) = self.read(event)? {
                        return Ok(news);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) if until == hangs => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(News::Time),
            }
        }
    }

    fn read(&mut self, event: Event) -> Result<Option<News>, Trouble> {
        let is = |process: &Option<Process>, ticket: Ticket| process.as_ref().is_some_and(|one| one.ticket == ticket);
        Ok(match event {
            Event::Said(ticket, line) if is(&self.coordinator, ticket) => self.coordinator_said(line),
            Event::Said(ticket, line) if is(&self.watch, ticket) => self.operator_sees(line)?,
            Event::Closed(ticket) if is(&self.coordinator, ticket) => Some(News::CoordinatorEnded),
            Event::Closed(ticket) if is(&self.watch, ticket) => {
                self.watch = None;
                Some(News::WatchEnded(self.envelope.take()))
            }
            Event::Closed(ticket) => self.workers.iter().position(|worker| is(worker, ticket)).map(News::WorkerEnded),
            Event::Said(ticket, line) => {
                if let Some(worker) = self.workers.iter().position(|worker| is(worker, ticket)) {
                    self.accepted[worker].extend(accepted(&line));
                }
                None
            }
        })
    }

    fn coordinator_said(&mut self, line: Value) -> Option<News> {
        let address = line["address"].as_str().filter(|_| line["event"] == "listening").map(str::to_owned);
        self.last_words = Some(line);
        self.address = address?;
        self.scene.tell(&format!("coordinator {} listens", self.lives));
        Some(News::Listening)
    }

    fn operator_sees(&mut self, line: Value) -> Result<Option<News>, Trouble> {
        if line["schema_version"].is_number() {
            self.envelope = Some(line);
            return Ok(None);
        }
        if line["phase"].is_null() {
            self.run = line["run"].as_str().map(str::to_owned);
            return Ok(Some(News::Started));
        }
        let garbled = |why| Trouble::Broken(format!("a status that cannot be read: {why}"));
        self.status = serde_json::from_value(line).map_err(garbled)?;
        Ok(Some(News::Status(self.status.clone())))
    }

    /// SIGKILL for the coordinator; what it left behind.
    pub(crate) fn kill_coordinator(&mut self) -> Result<Option<Kept>, Trouble> {
        if let Some(coordinator) = self.coordinator.take() {
            coordinator.kill()?;
        }
        self.bury_coordinator()
    }

    /// The coordinator is dead; what it left behind.
    pub(crate) fn bury_coordinator(&mut self) -> Result<Option<Kept>, Trouble> {
        self.coordinator = None;
        self.watch = None;
        Ok(Kept::of_the_dead(&self.scene.state())?)
    }

    /// What is kept, while the coordinator lives or after it ended in order.
    pub(crate) fn kept(&self) -> Result<Kept, Trouble> {
        Kept::read(&self.scene.state())?.ok_or_else(|| Trouble::Broken("the state holds no run".to_owned()))
    }

    /// Asks the coordinator to end in order, and waits for it.
    pub(crate) fn end_coordinator(&mut self) -> Result<ExitStatus, Trouble> {
        self.scene.tell("the coordinator is asked to end");
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.ask_to_end();
        }
        // Its last words are read before its end is looked at.
        while !matches!(self.next(None)?, News::CoordinatorEnded) {}
        self.wait_for_coordinator()
    }

    /// Waits for a coordinator whose end is near.
    pub(crate) fn wait_for_coordinator(&mut self) -> Result<ExitStatus, Trouble> {
        let coordinator = self.coordinator.take();
        let coordinator = coordinator.ok_or_else(|| Trouble::Broken("there is no coordinator".to_owned()))?;
        Ok(coordinator.wait()?)
    }

    /// Ends everything in order: the coordinator must say that it could.
    pub(crate) fn end(&mut self) -> Result<(), Trouble> {
        for process in self.workers.iter_mut().chain([&mut self.coordinator]).flatten() {
            process.go_on()?;
        }
        let status = self.end_coordinator()?;
        if !status.success() {
            return Err(Trouble::Exit(status));
        }
        self.workers.iter_mut().for_each(|worker| *worker = None);
        Ok(())
    }
}

/// The round of a line such as `the update of round 3 is accepted`.
fn accepted(line: &Value) -> Option<u32> {
    let text = line["text"].as_str().filter(|text| text.contains("is accepted"))?;
    text.split("round ").nth(1)?.split(' ').next()?.parse().ok()
}

/// Trains `spec` in one process: where every other run of it must end, too.
pub(crate) fn undisturbed(program: &Program, spec: &Path) -> Result<Expected, Trouble> {
    let answer = program.answer(&["train", "--local", text(spec), "-o", "json"])?;
    let digest = |name: &str| answer["data"][name].as_str().and_then(Digest::from_hex);
    let rounds = answer["data"]["rounds"].as_u64().and_then(|rounds| u32::try_from(rounds).ok());
    match (digest("params_digest"), digest("chain"), rounds) {
        (Some(params), Some(chain), Some(rounds)) => Ok(Expected { params, chain, rounds }),
        _ => Err(Trouble::Broken(format!("the undisturbed run gave no digests: {answer}"))),
    }
}
