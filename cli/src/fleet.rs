//! A coordinator and its workers as processes of this machine, for the demo, the benchmarks and the tests.
//!
//! No process outlives its fleet: each is killed when the fleet is dropped, and each ends by itself when its standard
//! input closes, which the system does even if the fleet's own process is killed.

mod consortium;
mod process;

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use syngrad_model::Device;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::client::{Client, RunStatus, Target, Watch};
use crate::failure::{Failure, FailureRecord};
use process::{Ended, EndedBy, Process};

/// The name of the coordinator's process.
const COORDINATOR: &str = "coordinator";

/// The device that a fleet computes on, and where it finds what it needs.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The program of every process: `syngrad` itself.
    pub program: PathBuf,
    /// The coordinator's port; 0 takes a free one.
    pub port: u16,
    /// The `--device` of every process.
    pub device: String,
    /// The `--data-dir` of the coordinator.
    pub data_dir: Option<PathBuf>,
    /// How its connections are protected.
    pub protection: Protection,
    /// The `--state-dir` of the coordinator, which it needs to survive being killed; it keeps nothing without one.
    pub state_dir: Option<PathBuf>,
}

impl FleetConfig {
    /// A fleet of the running program on a free port.
    ///
    /// # Errors
    /// If the system does not say which program is running.
    pub fn of_this_program(device: Device) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|why| Failure::io("finding this program's own file", &why))?;
        Ok(Self {
            program,
            port: 0,
            device: device.to_string(),
            data_dir: None,
            protection: Protection::Insecure,
            state_dir: None,
        })
    }
}

/// How a fleet's connections are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    Insecure,
    /// By a consortium that is founded in the state, which must be kept for that; workers join with tickets.
    Consortium,
}

/// The first line of a coordinator: where it listens, or why it does not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Announcement {
    Listening { address: String },
    Failed { error: FailureRecord },
}

/// A coordinator and its workers.
#[derive(Debug)]
pub struct Fleet {
    config: FleetConfig,
    address: String,
    coordinator: Process,
    workers: Vec<Process>,
    started: u32,
    /// Workers that somebody else killed, by name.
    lost: Vec<String>,
    ended: mpsc::Receiver<Ended>,
    report_end: mpsc::Sender<Ended>,
    /// Where workers keep their state, for as long as the fleet lasts.
    home: TempDir,
}

impl Fleet {
    /// Starts a coordinator; returns when it listens.
    ///
    /// # Errors
    /// If it cannot be started, or ends before it listens.
    pub async fn start(config: FleetConfig) -> Result<Self, Failure> {
        let (report_end, ended) = mpsc::channel(64);
        let home = tempfile::tempdir().map_err(|why| Failure::io("making a folder for the workers", &why))?;
        let port = match (config.protection, &config.state_dir) {
            (Protection::Insecure, _) => config.port,
            (Protection::Consortium, Some(state)) => {
                let (state, port) = (state.clone(), config.port);
                let founding = tokio::task::spawn_blocking(move || consortium::begin(&state, port));
                founding.await.map_err(|why| Failure::failed(&why))??
            }
            (Protection::Consortium, None) => return Err(Failure::usage(&"a consortium is kept: name a state folder")),
        };
        let (coordinator, address) = start_coordinator(&config, port, &report_end).await?;
        let (workers, lost) = (Vec::new(), Vec::new());
        Ok(Self { config, address, coordinator, workers, started: 0, lost, ended, report_end, home })
    }

    /// The coordinator's address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The system's number of the coordinator's process; none if it has ended.
    #[must_use]
    pub fn coordinator_id(&self) -> Option<u32> {
        self.coordinator.id()
    }

    /// Starts `count` workers, each on a core of its own if there are several and the machine has as many.
    ///
    /// # Errors
    /// If one cannot be started.
    pub async fn add_workers(&mut self, count: u32) -> Result<(), Failure> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let core_each = cfg!(target_os = "linux") && (2..=cores).contains(&(count as usize));
        for index in 0..count as usize {
            self.start_worker(core_each.then_some(index)).await?;
        }
        Ok(())
    }

    /// Starts one more worker; it connects by itself.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn add_worker(&mut self) -> Result<(), Failure> {
        self.start_worker(None).await
    }

    async fn start_worker(&mut self, core: Option<usize>) -> Result<(), Failure> {
        self.started += 1;
        let name = format!("partner-{}", self.started);
        let mut arguments = strings(["worker", "join", "--exit-with-stdin"]);
        let ticket = match self.config.protection {
            Protection::Insecure => {
                arguments.extend(["--insecure".to_owned(), self.address.clone()]);
                arguments.extend(["--partner".to_owned(), name.clone()]);
                None
            }
            Protection::Consortium => {
                arguments.push("--accept".to_owned());
                Some(consortium::invite(&self.target()?, &name).await?)
            }
        };
        arguments.extend(["--device".to_owned(), self.config.device.clone()]);
        // What a fleet's workers keep is gone with the fleet, and no policy is meant for them.
        let state = self.home.path().join(&name).display().to_string();
        arguments.extend(["--no-policy".to_owned(), "--state".to_owned(), state]);
        if let Some(core) = core {
            arguments.extend(["--core".to_owned(), core.to_string()]);
        }
        self.workers.push(start(&self.config.program, &name, (&arguments, ticket.as_deref()), &self.report_end)?);
        Ok(())
    }

    /// Workers that run now.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Kills the coordinator with SIGKILL and starts another one on the same port and state; returns when that listens.
    /// Clients and watches of the old one are of no more use.
    ///
    /// # Errors
    /// If it cannot be started, or ends before it listens.
    pub async fn kill_coordinator(&mut self) -> Result<(), Failure> {
        self.coordinator.kill().await;
        let port = self.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default();
        let (coordinator, address) = start_coordinator(&self.config, port, &self.report_end).await?;
        (self.coordinator, self.address) = (coordinator, address);
        Ok(())
    }

    /// Kills the oldest worker with SIGKILL, and returns when it is dead; its name.
    pub async fn kill_worker(&mut self) -> Option<String> {
        if self.workers.is_empty() {
            return None;
        }
        let mut victim = self.workers.remove(0);
        let name = victim.name().to_owned();
        victim.kill().await;
        Some(name)
    }

    /// Asks the oldest worker to end with SIGTERM's meaning, by closing its standard input, and waits for it.
    pub async fn drain_worker(&mut self) {
        if !self.workers.is_empty() {
            self.workers.remove(0).drain().await;
        }
    }

    /// A client of the coordinator.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn client(&self) -> Result<Client, Failure> {
        Client::connect(&self.target()?).await
    }

    /// Where the coordinator is, and as whom it is called.
    ///
    /// # Errors
    /// If it announced no address.
    pub fn target(&self) -> Result<Target, Failure> {
        match (self.config.protection, &self.config.state_dir) {
            (Protection::Consortium, Some(state)) => Target::in_state(state, Some(&self.address)),
            (Protection::Insecure | Protection::Consortium, _) => Target::insecure(&self.address),
        }
    }

    /// The next status of a run. A worker that somebody kills meanwhile is replaced.
    ///
    /// # Errors
    /// If a process ended by itself, or the coordinator was killed or breaks off.
    pub async fn next_status(&mut self, watch: &mut Watch) -> Result<Option<RunStatus>, Failure> {
        loop {
            tokio::select! {
                status = watch.next() => return status,
                Some(ended) = self.ended.recv() => self.replace(ended).await?,
            }
        }
    }

    /// Names of the workers that were replaced since the last call.
    pub fn take_lost(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lost)
    }

    async fn replace(&mut self, ended: Ended) -> Result<(), Failure> {
        let killed = ended.by == EndedBy::Signal;
        let Some(index) = self.workers.iter().position(|worker| killed && worker.name() == ended.name) else {
            return Err(self.unexpected(&ended));
        };
        self.workers.remove(index);
        self.lost.push(ended.name);
        self.add_worker().await
    }

    /// Follows a run to its end; the last status.
    ///
    /// # Errors
    /// As [`Fleet::next_status`], and if the stream ends before the run does.
    pub async fn finish(&mut self, watch: &mut Watch, mut seen: impl FnMut(&RunStatus)) -> Result<RunStatus, Failure> {
        while let Some(status) = self.next_status(watch).await? {
            seen(&status);
            if status.phase.is_over() {
                return Ok(status);
            }
        }
        Err(Failure::watch_ended())
    }

    /// Ends all processes: workers first, each given time to leave in order.
    pub async fn end(self) {
        for worker in self.workers {
            worker.drain().await;
        }
        self.coordinator.drain().await;
    }

    fn unexpected(&self, ended: &Ended) -> Failure {
        let last_words = std::iter::once(&self.coordinator)
            .chain(&self.workers)
            .find(|process| process.name() == ended.name)
            .map(Process::last_words)
            .unwrap_or_default();
        Failure::process_ended(&ended.name, &ended.how, &last_words)
    }
}

/// Starts a coordinator; returns when it listens, with its address.
async fn start_coordinator(
    config: &FleetConfig,
    port: u16,
    report_end: &mpsc::Sender<Ended>,
) -> Result<(Process, String), Failure> {
    let mut arguments = strings(["coordinator", "serve", "--exit-with-stdin", "-o", "jsonl"]);
    if config.protection == Protection::Insecure {
        arguments.push("--insecure".to_owned());
    }
    arguments.extend(["--bind".to_owned(), format!("127.0.0.1:{port}")]);
    arguments.extend(["--device".to_owned(), config.device.clone()]);
    if cfg!(target_os = "linux") {
        arguments.push("--batch".to_owned());
    }
    if let Some(folder) = &config.data_dir {
        arguments.extend(["--data-dir".to_owned(), folder.display().to_string()]);
    }
    match &config.state_dir {
        Some(folder) => arguments.extend(["--state-dir".to_owned(), folder.display().to_string()]),
        None => arguments.push("--no-state".to_owned()),
    }
    let mut coordinator = start(&config.program, COORDINATOR, (&arguments, None), report_end)?;
    let Some(line) = coordinator.first_line().await else {
        return Err(Failure::process_ended(COORDINATOR, "before it listened", &coordinator.drain().await));
    };
    match serde_json::from_str(&line) {
        Ok(Announcement::Listening { address }) => Ok((coordinator, address)),
        Ok(Announcement::Failed { error }) => Err(error.into()),
        Err(why) => {
            let how = format!("its first line, {line:?}, is no announcement: {why}");
            Err(Failure::process_ended(COORDINATOR, &how, &coordinator.drain().await))
        }
    }
}

fn start(
    program: &Path,
    name: &str,
    (arguments, ticket): (&[String], Option<&str>),
    ended: &mpsc::Sender<Ended>,
) -> Result<Process, Failure> {
    Process::start(program, name, (arguments, ticket), ended.clone())
        .map_err(|why: io::Error| Failure::io(&format!("starting the {name} process from {}", program.display()), &why))
}

fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}
