//! The worker's end of its socket.

use std::fs::{Permissions, remove_file, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use syngrad_common::Failure;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Wish, WorkerStatus};
use crate::guard::{StateFolder, unusable};

/// Connections at a time.
const AT_ONCE: usize = 8;
/// Bytes of a wish.
const MAX_WISH: u64 = 256;
/// Time that a wish may take to be said, and its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// A wish, and where the worker's status goes after it was granted.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) wish: Wish,
    pub(crate) reply: oneshot::Sender<WorkerStatus>,
}

/// The socket of a worker; without a state folder there is none. Dropping it removes the socket.
#[derive(Debug)]
pub(crate) struct Control {
    wishes: mpsc::Receiver<Asked>,
    /// Kept, so that `wishes` never ends.
    _say: mpsc::Sender<Asked>,
    socket: Option<(PathBuf, JoinHandle<()>)>,
}

impl Control {
    /// Listens in `folder`, which belongs to this process: a socket in it is an earlier one's.
    pub(crate) fn open(folder: Option<&StateFolder>) -> Result<Self, Failure> {
        let (say, wishes) = mpsc::channel(AT_ONCE);
        let Some(folder) = folder else { return Ok(Self { wishes, _say: say, socket: None }) };
        let path = folder.socket();
        // There may be none.
        let _ = remove_file(&path);
        let failed = |why: std::io::Error| unusable("listening on the control socket", &path, &why);
        let listener = UnixListener::bind(&path).map_err(failed)?;
        set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        let task = tokio::spawn(listen(listener, say.clone()));
        Ok(Self { wishes, _say: say, socket: Some((path, task)) })
    }

    /// The next wish. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Asked {
        match self.wishes.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some((path, task)) = &self.socket {
            task.abort();
            // Whoever comes next removes it.
            let _ = remove_file(path);
        }
    }
}

async fn listen(listener: UnixListener, say: mpsc::Sender<Asked>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let say = say.clone();
        tokio::spawn(async move {
            // Whoever asks and does not wait for the answer has asked.
            let _ = tokio::time::timeout(PATIENCE, answer(stream, say)).await;
            drop(place);
        });
    }
}

async fn answer(stream: UnixStream, say: mpsc::Sender<Asked>) -> std::io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reading.take(MAX_WISH)).read_line(&mut line).await?;
    let wish: Wish = serde_json::from_str(line.trim())?;
    let (reply, status) = oneshot::channel();
    let ended = std::io::Error::other("the worker has ended");
    if say.send(Asked { wish, reply }).await.is_err() {
        return Err(ended);
    }
    let status = status.await.map_err(|_| ended)?;
    let mut line = serde_json::to_vec(&status)?;
    line.push(b'\n');
    writing.write_all(&line).await
}
