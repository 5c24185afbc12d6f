//! `worker …`: what the partner's people ask of the workers of their machine.

mod inspect;

use std::path::PathBuf;

use serde::Serialize;
use syngrad_worker::control::{self, Wish, WorkerStatus};
use syngrad_worker::{PolicyInForce, StatePlace, default_policy_file, default_state_root, read_policy};

use crate::args::{Sovereignty, WorkerAt, WorkerCommand};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::table::{facts, thousands};
use crate::{doctor, join};

pub(crate) fn run(command: &WorkerCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        WorkerCommand::Join(args) => join::run(args, output),
        WorkerCommand::Serve(args) => join::again(args, output),
        WorkerCommand::Status(at) => ask(at, Wish::Status, output),
        WorkerCommand::Pause(at) => ask(at, Wish::Pause, output),
        WorkerCommand::Resume(at) => ask(at, Wish::Resume, output),
        WorkerCommand::Finish(at) => ask(at, Wish::Finish, output),
        WorkerCommand::Leave(at) => ask(at, Wish::Leave, output),
        WorkerCommand::Inspect(args) => inspect::run(args, output),
        WorkerCommand::Doctor(args) => doctor::worker::run(args, output),
    }
}

/// The policy that is named, or the user's own if there is one.
pub(crate) fn policy(own: &Sovereignty) -> Result<PolicyInForce, Failure> {
    let file = match (&own.policy, own.no_policy) {
        (Some(file), _) => Some(file.clone()),
        (None, true) => None,
        // What cannot be looked at is not taken for absent: a policy that is there is in force.
        (None, false) => default_policy_file().filter(|file| file.symlink_metadata().is_ok()),
    };
    Ok(file.map_or_else(|| Ok(PolicyInForce::default()), |file| read_policy(&file))?)
}

/// Where a worker called `name` keeps its state.
pub(crate) fn state(own: &Sovereignty, name: String) -> Result<StatePlace, Failure> {
    match (&own.state, own.no_state) {
        (Some(folder), _) => Ok(StatePlace::Folder(folder.clone())),
        (None, true) => Ok(StatePlace::Nowhere),
        (None, false) => Ok(StatePlace::Own { root: root("keep nothing with --no-state")?, name }),
    }
}

/// The state folder of a worker of `partner` that has a key, and so needs one.
pub(crate) fn folder_of(own: &Sovereignty, partner: &str) -> Result<PathBuf, Failure> {
    match (&own.state, own.no_state) {
        (Some(folder), _) => Ok(folder.clone()),
        (None, true) => Err(Failure::usage(&"a worker with a ticket keeps its key: it cannot do with --no-state")),
        (None, false) => Ok(root("set one of them")?.join(partner)),
    }
}

/// The state folder of the one worker of this user that has joined with a ticket.
pub(crate) fn only_joined() -> Result<PathBuf, Failure> {
    let root = root("set one of them")?;
    let entries = std::fs::read_dir(&root).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let mut joined: Vec<PathBuf> =
        entries.into_iter().map(|entry| entry.path()).filter(|path| join::has_joined(path)).collect();
    joined.sort();
    match joined.as_slice() {
        [only] => Ok(only.clone()),
        [] => {
            let why =
                format!("no worker has joined with a state folder in {}; join with a ticket first", root.display());
            Err(Failure::new(syngrad_common::Code::NoCredentials, why))
        }
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(Failure::usage(&format!("several workers have joined; name one with --state: {}", names.join(", "))))
        }
    }
}

fn root(otherwise: &str) -> Result<PathBuf, Failure> {
    default_state_root().ok_or_else(|| {
        let why = format!("neither XDG_STATE_HOME nor HOME names a folder; name one with --state, or {otherwise}");
        Failure::usage(&why)
    })
}

/// The state folder of the worker that is meant.
fn folder(at: &WorkerAt) -> Result<PathBuf, Failure> {
    match &at.state {
        Some(folder) => Ok(folder.clone()),
        None => Ok(control::choose(&root("set one of them")?, at.worker.as_deref())?),
    }
}

fn ask(at: &WorkerAt, wish: Wish, output: Output) -> Result<Exit, Failure> {
    let status = control::ask(&folder(at)?, wish)?;
    output.result(&Told(status));
    Ok(Exit::Ok)
}

#[derive(Serialize)]
#[serde(transparent)]
struct Told(WorkerStatus);

impl Report for Told {
    fn text(&self) -> String {
        let status = &self.0;
        let of = |used: u64, most: Option<u64>| match most {
            Some(most) => format!("{} of {}", thousands(used), thousands(most)),
            None => thousands(used),
        };
        let doing = match (status.connected, status.paused.is_empty(), status.leaving) {
            (_, _, true) => "leaves when nothing is in hand".to_owned(),
            (_, false, false) => format!("paused: {}", status.paused.join("; ")),
            (true, true, false) => "works".to_owned(),
            (false, true, false) => "waits for its coordinator".to_owned(),
        };
        let absent = || "none".to_owned();
        facts(&[
            ("state", doing),
            ("partner", status.partner.clone()),
            ("worker", status.worker.clone()),
            ("coordinator", status.coordinator.clone()),
            ("run", status.run.clone().unwrap_or_else(absent)),
            ("round", status.round.map_or_else(absent, |round| round.to_string())),
            ("leases in hand", status.in_hand.to_string()),
            ("policy", status.policy.clone().unwrap_or_else(absent)),
            ("update bytes today", of(status.update_bytes_today, status.max_update_bytes_a_day)),
            ("rounds of the run", of(status.rounds.into(), status.max_rounds.map(u64::from))),
        ])
    }
}
