//! The two runtimes: one thread where little happens, a few where a coordinator serves many.

use tokio::runtime::{Builder, Runtime};

use crate::failure::Failure;

/// One thread: for clients, workers' links and whoever watches processes.
pub(crate) fn light() -> Result<Runtime, Failure> {
    build(Builder::new_current_thread().enable_all())
}

/// For a coordinator.
pub(crate) fn serving() -> Result<Runtime, Failure> {
    build(Builder::new_multi_thread().worker_threads(2).thread_name("coordinator").enable_all())
}

fn build(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder.build().map_err(|why| Failure::io("starting the runtime", &why))
}
