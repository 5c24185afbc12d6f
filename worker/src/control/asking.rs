//! The other end of a worker's socket: for the command line, in another process.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use syngrad_common::{Code, Failure};

use super::{Wish, WorkerStatus};
use crate::guard::socket_of;

/// Time that a worker may take to answer: it never computes on the thread that does.
const PATIENCE: Duration = Duration::from_secs(10);

/// A worker's folder on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name, for `--worker`.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether a worker answers there.
    pub runs: bool,
}

/// Asks something of the worker whose state is in `folder`.
///
/// # Errors
/// [`Failure`] if no worker answers there.
pub fn ask(folder: &Path, wish: Wish) -> Result<WorkerStatus, Failure> {
    let socket = socket_of(folder);
    let failed = |why: io::Error| {
        let absent = matches!(why.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        let why = match absent {
            true => format!("no worker runs with the state folder {}", folder.display()),
            false => format!("the worker at {} does not answer: {why}", socket.display()),
        };
        Failure::new(Code::NoWorker, why)
    };
    exchange(&socket, wish).map_err(failed)
}

fn exchange(socket: &Path, wish: Wish) -> io::Result<WorkerStatus> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(&wish)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "it has ended"));
    }
    Ok(serde_json::from_str(&answer)?)
}

/// The workers whose folders are in `root`, by name.
#[must_use]
pub fn workers(root: &Path) -> Vec<Found> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<Found> = entries
        .filter(|entry| entry.path().join("lock").is_file())
        .map(|entry| {
            let folder = entry.path();
            let runs = UnixStream::connect(socket_of(&folder)).is_ok();
            Found { name: entry.file_name().to_string_lossy().into_owned(), folder, runs }
        })
        .collect();
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found
}

/// The folder of the worker called `name` in `root`; of the only one, or the only one that runs, if no name is given.
///
/// # Errors
/// [`Failure`] that lists the workers there are.
pub fn choose(root: &Path, name: Option<&str>) -> Result<PathBuf, Failure> {
    let found = workers(root);
    let chosen: Vec<&Found> = match name {
        Some(name) => found.iter().filter(|worker| worker.name == name).collect(),
        None if found.iter().any(|worker| worker.runs) => found.iter().filter(|worker| worker.runs).collect(),
        None => found.iter().collect(),
    };
    if let [worker] = chosen.as_slice() {
        return Ok(worker.folder.clone());
    }
    let state = |worker: &Found| format!("{} ({})", worker.name, if worker.runs { "runs" } else { "does not run" });
    let names: Vec<String> = found.iter().map(state).collect();
    let why = match (name, names.is_empty()) {
        (_, true) => format!("no worker has kept its state in {}", root.display()),
        (Some(name), false) => format!("there is no worker {name:?}; there are {}", names.join(", ")),
        (None, false) => format!("there are several workers; name one with --worker: {}", names.join(", ")),
    };
    Err(Failure::new(Code::NoWorker, why))
}
