//! One process of a fleet, watched by a task of its own.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use syngrad_common::identity::ticket::ENVIRONMENT;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Time a process has to end in order before it is killed.
const DRAIN: Duration = Duration::from_secs(5);
/// Lines of standard error that are kept for the case that the process fails.
const LAST_WORDS: usize = 20;

/// A process that ended though nobody asked it to.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) how: String,
    pub(super) by: EndedBy,
}

/// Whose doing a process's end was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndedBy {
    /// Its own.
    Itself,
    /// Somebody's who sent it a signal.
    Signal,
}

impl EndedBy {
    fn of(status: ExitStatus) -> Self {
        if status.code().is_none() { Self::Signal } else { Self::Itself }
    }
}

#[derive(Debug)]
enum Order {
    Kill,
    Drain,
}

/// The last lines that a process wrote to standard error.
type Words = Arc<Mutex<VecDeque<String>>>;

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    id: Option<u32>,
    order: Option<oneshot::Sender<Order>>,
    watcher: JoinHandle<()>,
    first_line: Option<oneshot::Receiver<String>>,
    words: Words,
}

impl Process {
    pub(super) fn start(
        program: &Path,
        name: &str,
        (arguments, ticket): (&[String], Option<&str>),
        ended: mpsc::Sender<Ended>,
    ) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            // Arguments are seen by every user of the machine.
            .envs(ticket.map(|ticket| (ENVIRONMENT, ticket)))
            .env("NO_COLOR", "1")
            // What a fleet keeps, and where, is what its arguments say.
            .env_remove("SYNGRAD_STATE_DIR")
            .env_remove("SYNGRAD_WORKER_STATE")
            .env_remove("SYNGRAD_POLICY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let words = Words::default();
        let (said, first_line) = oneshot::channel();
        let (order, orders) = oneshot::channel();
        let mut reading = tokio::task::JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            reading.spawn(first_line_of(stdout, said));
        }
        if let Some(stderr) = child.stderr.take() {
            reading.spawn(keep_last(stderr, Arc::clone(&words)));
        }
        let stdin = child.stdin.take();
        let id = child.id();
        let name = name.to_owned();
        let watched = Watched { name: name.clone(), child, stdin, ended };
        let watcher = tokio::spawn(watched.watch(orders, reading));
        Ok(Self { name, id, order: Some(order), watcher, first_line: Some(first_line), words })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The system's number of it; none if it ended at once.
    pub(super) fn id(&self) -> Option<u32> {
        self.id
    }

    /// The first line of standard output, or none if the process ended without one.
    pub(super) async fn first_line(&mut self) -> Option<String> {
        self.first_line.take()?.await.ok()
    }

    /// The last lines of standard error so far.
    pub(super) fn last_words(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Ends the process with SIGKILL; returns when it is dead.
    pub(super) async fn kill(&mut self) {
        self.end(Order::Kill).await;
    }

    /// Asks the process to end, and kills it if it does not; returns its last words.
    pub(super) async fn drain(mut self) -> String {
        self.end(Order::Drain).await;
        self.last_words()
    }

    async fn end(&mut self, order: Order) {
        if let Some(orders) = self.order.take() {
            // It may have ended by itself a moment ago.
            let _ = orders.send(order);
        }
        // A watcher that failed has dropped, and so killed, its process.
        let _ = (&mut self.watcher).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

struct Watched {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    ended: mpsc::Sender<Ended>,
}

impl Watched {
    async fn watch(mut self, orders: oneshot::Receiver<Order>, reading: tokio::task::JoinSet<()>) {
        let order = tokio::select! {
            status = self.child.wait() => {
                reading.join_all().await;
                let (how, by) = status.map_or_else(
                    |why| (why.to_string(), EndedBy::Itself),
                    |status| (status.to_string(), EndedBy::of(status)),
                );
                // The fleet may be going away.
                let _ = self.ended.send(Ended { name: self.name, how, by }).await;
                return;
            }
            order = orders => order.unwrap_or(Order::Kill),
        };
        match order {
            Order::Kill => {}
            Order::Drain => {
                drop(self.stdin.take());
                if timeout(DRAIN, self.child.wait()).await.is_ok() {
                    reading.join_all().await;
                    return;
                }
            }
        }
        // It may be dead already, which is what is wanted.
        let _ = self.child.kill().await;
    }
}

/// Hands out the first line; reads and drops the others, so that the process never waits for a reader.
async fn first_line_of(stdout: impl AsyncRead + Unpin, said: oneshot::Sender<String>) {
    let mut lines = BufReader::new(stdout).lines();
    if let Ok(Some(line)) = lines.next_line().await {
        // Nobody asks workers for theirs.
        let _ = said.send(line);
    }
    while let Ok(Some(_)) = lines.next_line().await {}
}

async fn keep_last(stderr: impl AsyncRead + Unpin, words: Words) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() == LAST_WORDS {
            words.pop_front();
        }
        words.push_back(line);
    }
}
