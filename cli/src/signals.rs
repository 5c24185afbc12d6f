//! When a long-running command should end.

use std::io::Read as _;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::args::StdinWatch;
use crate::failure::Failure;

/// A future that ends when the process is asked to: by SIGTERM, by Ctrl-C, or, if a parent started it, by the end of
/// that parent.
///
/// # Errors
/// If the system does not let the process listen for signals.
pub(crate) fn shutdown(stdin: StdinWatch) -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|why| Failure::io("listening for SIGTERM", &why))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|why| Failure::io("listening for Ctrl-C", &why))?;
    let orphaned = stdin.exit_with_stdin.then(stdin_closed);
    Ok(async move {
        let orphaned = async {
            match orphaned {
                // The thread ends with standard input, whether it says so or its end is dropped.
                Some(closed) => drop(closed.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = orphaned => {}
        }
    })
}

/// Reads standard input on a thread of its own: a blocked read must not keep the runtime from ending.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (closed, end) = oneshot::channel();
    thread::spawn(move || {
        let mut sink = [0; 64];
        while std::io::stdin().lock().read(&mut sink).is_ok_and(|n| n > 0) {}
        // Nobody may be left to hear it.
        let _ = closed.send(());
    });
    end
}
