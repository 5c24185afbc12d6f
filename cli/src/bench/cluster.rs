//! A run over fresh processes, from nothing to its end.

use std::path::PathBuf;

use syngrad_common::config::CanonicalSpec;
use syngrad_model::Device;

use crate::client::{Phase, RunStatus};
use crate::failure::Failure;
use crate::fleet::{Fleet, FleetConfig};
use crate::output::Output;
use crate::progress::Progress;
use crate::runtime;

/// Trains `spec` over so many worker processes; the run's last status.
pub(super) fn run(
    spec: &CanonicalSpec,
    workers: u32,
    device: Device,
    data_dir: Option<PathBuf>,
    output: Output,
) -> Result<RunStatus, Failure> {
    let config = FleetConfig { data_dir, ..FleetConfig::of_this_program(device)? };
    runtime::light()?.block_on(async {
        let mut fleet = Fleet::start(config).await?;
        let mut client = fleet.client().await?;
        let run = client.start(spec.text(), workers).await?;
        fleet.add_workers(workers)?;
        let mut watch = client.watch(Some(run)).await?;
        let mut progress = Progress::new(output);
        let status = fleet.finish(&mut watch, |status| progress.show(status)).await?;
        progress.finish();
        fleet.end().await;
        match status.phase {
            Phase::Completed => Ok(status),
            Phase::Waiting | Phase::Training | Phase::Stopped | Phase::Failed => Err(Failure::run_ended(&status)),
        }
    })
}
