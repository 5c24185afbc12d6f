//! `strace` around a coordinator: it counts the system calls on the state folder, and fails or kills at one of them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use clap::ValueEnum;
use rustix::process::Signal;
use serde::Serialize;

use crate::processes::{signal, text};

/// System calls that change a file or make a change durable. An `openat` counts where it makes the file.
const CALLS: &str = "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,openat,mkdir,\
                     mkdirat,link,linkat";

/// What happens at a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fault {
    /// SIGKILL before it is executed.
    Kill,
    /// It fails with an I/O error, once.
    Eio,
    /// It finds the disk full, once.
    Enospc,
}

/// From when on `strace` holds the coordinator; its counts begin then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Hold {
    /// From its start to the line that says that it listens.
    Opening,
    /// From that line to its end.
    Serving,
}

/// The K-th of a kind of system call that one thread makes on one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    pub(crate) hold: Hold,
    pub(crate) call: String,
    /// The file, relative to the state folder; empty for the folder itself.
    pub(crate) file: String,
    pub(crate) count: u32,
}

impl Fault {
    /// Whether this can befall a system call of this name.
    pub(crate) fn befalls(self, call: &str) -> bool {
        match self {
            Self::Kill | Self::Eio => true,
            // Nothing that takes no room can find none.
            Self::Enospc => !call.starts_with("unlink"),
        }
    }

    fn injection(self) -> &'static str {
        match self {
            Self::Kill => "signal=SIGKILL",
            Self::Eio => "error=EIO",
            Self::Enospc => "error=ENOSPC",
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opening => "opening",
            Self::Serving => "serving",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Eio => "eio",
            Self::Enospc => "enospc",
        })
    }
}

impl Step {
    /// Whether it makes earlier changes durable.
    pub(crate) fn is_sync(&self) -> bool {
        self.call.ends_with("sync")
    }

    /// One name for all files of a kind.
    pub(crate) fn kind_of_file(&self) -> &'static str {
        match self.file.as_str() {
            "" => "the state folder",
            "lock" => "the lock",
            "state.sqlite" => "the database",
            "state.sqlite-wal" => "the write-ahead log",
            "state.sqlite-shm" => "the index of the write-ahead log",
            "state.sqlite-journal" => "the journal",
            blob if blob.ends_with("#1") => "a blob that is being written",
            blob if blob.len() > "blobs/00".len() => "a blob",
            _ => "a folder of blobs",
        }
    }

    /// Whether the file is a folder: SQLite does not look at what becomes of syncing one.
    pub(crate) fn is_folder(&self) -> bool {
        self.file.is_empty()
    }
}

/// How `strace` is to hold a coordinator.
#[derive(Clone, Debug)]
pub(crate) struct Strace {
    pub(crate) state: PathBuf,
    pub(crate) log: PathBuf,
    /// What goes wrong, and where; nothing if calls are only counted.
    pub(crate) injection: Option<(Fault, Step)>,
}

/// A running `strace`, killed when it is dropped; what it held goes on.
#[derive(Debug)]
pub(crate) struct Attached(Child);

impl Drop for Attached {
    fn drop(&mut self) {
        // It ends with what it holds, so it may be gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Attached {
    /// Has it end, and what it holds go on.
    pub(crate) fn let_go(mut self) -> io::Result<()> {
        signal(&self.0, Signal::TERM)?;
        self.0.wait().map(drop)
    }

    /// Waits until it has ended, as it does with what it holds.
    pub(crate) fn wait(mut self) -> io::Result<()> {
        self.0.wait().map(drop)
    }
}

impl Strace {
    fn command(&self) -> Command {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-o", text(&self.log)]);
        match &self.injection {
            None => command.args(["-e", &format!("trace={CALLS}")]),
            Some((fault, Step { call, file, count, .. })) => {
                // A path that ends with a slash is another one to strace.
                let path = if file.is_empty() { self.state.clone() } else { self.state.join(file) };
                let injection = format!("inject={call}:{}:when={count}", fault.injection());
                command.args(["-P", text(&path), "-e", &format!("trace={call}"), "-e", &injection])
            }
        };
        command
    }

    /// Runs `inner` under it from the start.
    pub(crate) fn around(&self, inner: &Command) -> Command {
        let mut command = self.command();
        command.arg("--").arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Takes hold of a running process with all its threads; returns when it has.
    pub(crate) fn attach(&self, process: u32) -> io::Result<Attached> {
        let mut command = self.command();
        let mut child =
            command.args(["-p", &process.to_string()]).stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().expect("standard error is piped");
        let attached = Attached(child);
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        loop {
            let Some(line) = lines.next().transpose()? else {
                return Err(io::Error::other(format!("strace did not take hold of process {process}: {said}")));
            };
            if line.contains(" attached") {
                // Threads that come later are announced, too: somebody has to read that.
                std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
                return Ok(attached);
            }
            said.push_str(&line);
        }
    }

    /// Whether the fault has happened.
    pub(crate) fn has_struck(&self) -> io::Result<bool> {
        let log = fs::read_to_string(&self.log)?;
        Ok(log.contains("(INJECTED)") || log.contains("+++ killed by SIGKILL +++"))
    }

    /// The steps on the state folder that the log counts.
    pub(crate) fn steps(&self, hold: Hold) -> io::Result<BTreeSet<Step>> {
        let log = fs::read_to_string(&self.log)?;
        Ok(steps(&log, &self.state, hold))
    }
}

fn steps(log: &str, state: &Path, hold: Hold) -> BTreeSet<Step> {
    let mut counts = std::collections::BTreeMap::<(&str, &str, &str), u32>::new();
    let mut steps = BTreeSet::new();
    for line in log.lines() {
        let Some((thread, call, file)) = parse(line, text(state)) else { continue };
        let count = counts.entry((thread, call, file)).or_default();
        // strace counts every call of the name on the file, in each thread for itself.
        *count += 1;
        if call != "openat" || line.contains("O_CREAT") {
            let (call, file) = (call.to_owned(), file.to_owned());
            steps.insert(Step { hold, call, file, count: *count });
        }
    }
    steps
}

/// The thread, the system call and the first file in the state folder of a line such as
/// `123 pwrite64(7</state/state.sqlite-wal>, "…", 4096, 0) = 4096`.
fn parse<'a>(line: &'a str, state: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (thread, rest) = line.split_once(' ')?;
    let (call, arguments) = rest.trim_start().split_once('(')?;
    if !call.chars().all(|letter| letter.is_ascii_alphanumeric()) {
        return None;
    }
    let at = arguments.find(state)? + state.len();
    let path = &arguments[at..];
    let end = path.find(['"', '>', '('])?;
    let file = path[..end].trim_start_matches('/');
    // A sibling whose name begins in the same way.
    let is_within = end == 0 || path.starts_with('/');
    is_within.then_some((thread, call, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_by_thread_and_file() {
        let log = r#"7 openat(AT_FDCWD</w>, "/s/lock", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 3</s/lock>
7 openat(AT_FDCWD</w>, "/s/state.sqlite", O_RDONLY) = 4</s/state.sqlite>
7 openat(AT_FDCWD</w>, "/s/state.sqlite", O_RDWR|O_CREAT) = 4</s/state.sqlite>
7 pwrite64(4</s/state.sqlite>, "a", 1, 0) = 1
8 pwrite64(4</s/state.sqlite>, "b", 1, 1) = 1
7 pwrite64(4</s/state.sqlite>, "c", 1, 2) = 1
9 rename("/s/blobs/ab/cd#1", "/s/blobs/ab/cd") = 0
9 fsync(5</s>) = 0
9 write(2</s.log>, "x", 1) = 1
9 <... fsync resumed>) = 0
9 +++ exited with 0 +++"#;
        let found = steps(log, Path::new("/s"), Hold::Opening);
        let found: Vec<_> = found.iter().map(|step| (step.call.as_str(), step.file.as_str(), step.count)).collect();
        assert_eq!(
            found,
            [
                ("fsync", "", 1),
                ("openat", "lock", 1),
                ("openat", "state.sqlite", 2),
                ("pwrite64", "state.sqlite", 1),
                ("pwrite64", "state.sqlite", 2),
                ("rename", "blobs/ab/cd#1", 1)
            ]
        );
    }
}
