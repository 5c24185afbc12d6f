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
        fleet.add_workers(workers).await?;
        let status = train(&mut fleet, spec, workers, output, |_| {}).await?;
        fleet.end().await;
        Ok(status)
    })
}

/// Trains `spec` on a fleet whose `workers` have been started or come by themselves; the run's last status. `seen` is
/// shown each status on the way.
pub(super) async fn train(
    fleet: &mut Fleet,
    spec: &CanonicalSpec,
    workers: u32,
    output: Output,
    mut seen: impl FnMut(&RunStatus),
) -> Result<RunStatus, Failure> {
    let mut client = fleet.client().await?;
    let run = client.start(spec.text(), workers).await?;
    let mut watch = client.watch(Some(run)).await?;
    let mut progress = Progress::new(output);
    let shown = |status: &RunStatus| {
        progress.show(status);
        seen(status);
    };
    let status = fleet.finish(&mut watch, shown).await?;
    progress.finish();
    match status.phase {
        Phase::Completed => Ok(status),
        Phase::Waiting | Phase::Training | Phase::Stopped | Phase::Failed => Err(Failure::run_ended(&status)),
    }
}
