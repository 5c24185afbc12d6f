//! Real processes of the release program: started, signalled, listened to, and never outliving their chore.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::root;

/// The release program under test.
#[derive(Clone, Debug)]
pub(crate) struct Program(PathBuf);

impl Program {
    /// The one at `path`, or else the one that cargo builds from this checkout.
    pub(crate) fn find(path: Option<&Path>) -> io::Result<Self> {
        if let Some(path) = path {
            return path.canonicalize().map(Self);
        }
        let status = Command::new("cargo")
            .args(["build", "--quiet", "--release", "--package", "syngrad"])
            .current_dir(root())
            .status()?;
        match status.success() {
            true => Ok(Self(root().join("target/release/syngrad"))),
            false => Err(io::Error::other("`cargo build --release --package syngrad` failed; what it said is above")),
        }
    }

    /// A command of it that hears nothing from the environment of whoever started this.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command.args(arguments);
        clean(&mut command);
        command
    }

    /// Runs it to its end; the one JSON object on its standard output.
    pub(crate) fn answer(&self, arguments: &[&str]) -> io::Result<Value> {
        let output = self.command(arguments).stdin(Stdio::null()).output()?;
        serde_json::from_slice(&output.stdout).map_err(|why| {
            let said = String::from_utf8_lossy(&output.stderr);
            io::Error::other(format!("`syngrad {}` ended with {}: {why}\n{said}", arguments.join(" "), output.status))
        })
    }
}

pub(crate) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SYNGRAD_")) {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1");
}

/// Names one process for good: a process id may come again, a ticket does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// What a process does that its chore waits for.
#[derive(Debug)]
pub(crate) enum Event {
    /// It wrote a line of JSON to standard output.
    Said(Ticket, Value),
    /// Its standard output is closed: it has ended, or is about to.
    Closed(Ticket),
}

/// A running process, killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) ticket: Ticket,
    child: Child,
    stdin: Option<ChildStdin>,
    stopped: bool,
}

impl Process {
    /// Starts `command`. What it says on standard output goes to `events` line by line, standard error to the end of the
    /// file `log`.
    pub(crate) fn start(mut command: Command, log: &Path, events: Sender<Event>) -> io::Result<Self> {
        static TICKETS: AtomicU64 = AtomicU64::new(0);
        let ticket = Ticket(TICKETS.fetch_add(1, Ordering::Relaxed));
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("standard output is piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(value) = serde_json::from_str(&line) {
                    // Nobody listens any more once the chore is done with this world.
                    let _ = events.send(Event::Said(ticket, value));
                }
            }
            let _ = events.send(Event::Closed(ticket));
        });
        Ok(Self { ticket, child, stdin, stopped: false })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL; returns when it is dead.
    pub(crate) fn kill(mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// SIGSTOP.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.stopped = true;
        self.signal(Signal::STOP)
    }

    /// SIGCONT, if it was stopped.
    pub(crate) fn go_on(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.stopped) { self.signal(Signal::CONT) } else { Ok(()) }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Asks it to end, by closing its standard input.
    pub(crate) fn ask_to_end(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    fn signal(&self, what: Signal) -> io::Result<()> {
        signal(&self.child, what)
    }
}

/// Sends a signal. A child that was not waited for keeps its process id, so it goes to this one and to nobody else.
pub(crate) fn signal(child: &Child, signal: Signal) -> io::Result<()> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    Ok(kill_process(id.expect("a process has an id"), signal)?)
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; nothing more can be done about it either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder for one world: its logs, its state, and the story of what was done to it. It stays if the world fails.
#[derive(Debug)]
pub(crate) struct Scene {
    folder: tempfile::TempDir,
    story: File,
    began: std::time::Instant,
}

impl Scene {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("syngrad-{name}-")).tempdir()?;
        let story = File::create(folder.path().join("story.log"))?;
        fs::create_dir(folder.path().join("state"))?;
        Ok(Self { folder, story, began: std::time::Instant::now() })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.file("state")
    }

    /// Writes down what happened, for whoever has to find out why it went wrong.
    pub(crate) fn tell(&mut self, what: &str) {
        // A story that cannot be written is no reason to end the world.
        let _ = writeln!(self.story, "{:9.3} {what}", self.began.elapsed().as_secs_f64());
    }

    /// Leaves the folder where it is.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

/// An argument made of a path.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have names of plain text")
}
