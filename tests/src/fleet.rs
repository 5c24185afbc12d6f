//! Runs over real processes: started, disturbed, and followed to their end.

use std::path::PathBuf;

use syngrad::client::{Client, Phase, RunStatus};
use syngrad::failure::Failure;
use syngrad::fleet::{Fleet, FleetConfig, Protection};
use syngrad_common::config::CanonicalSpec;

use crate::program::{MNIST, Program};

/// What happens to a run in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// A worker is killed with SIGKILL; a new one comes if none is left.
    Kill,
    /// A worker leaves in order; a new one comes if none is left.
    Leave,
    /// A worker more comes.
    Join,
}

/// A coordinator of the program under test, without workers.
///
/// # Errors
/// If it does not start.
pub async fn start(program: Program) -> Result<Fleet, Failure> {
    start_in(program, None).await
}

/// A coordinator that keeps its state in `state_dir`, if there is one.
///
/// # Errors
/// If it does not start.
pub async fn start_in(program: Program, state_dir: Option<PathBuf>) -> Result<Fleet, Failure> {
    let device = "flex".to_owned();
    let data_dir = Some(MNIST.into());
    Fleet::start(FleetConfig {
        program: program.path().into(),
        port: 0,
        device,
        data_dir,
        protection: Protection::Insecure,
        state_dir,
    })
    .await
}

/// Trains `spec` over so many workers with a fault as soon as rounds are committed; the run's last status.
///
/// # Panics
/// If the run does not complete, or the fault came too late to be one.
pub async fn train(program: Program, spec: &CanonicalSpec, workers: u32, fault: Fault) -> RunStatus {
    let outcome = attempt(program, spec, workers, fault).await;
    let status = outcome.unwrap_or_else(|why| panic!("{workers} workers, {fault:?}: {why}"));
    assert_eq!(status.phase, Phase::Completed, "{}", status.reason);
    status
}

async fn attempt(program: Program, spec: &CanonicalSpec, workers: u32, fault: Fault) -> Result<RunStatus, Failure> {
    let mut fleet = start(program).await?;
    for _ in 0..workers {
        fleet.add_worker().await?;
    }
    let mut client = fleet.client().await?;
    let status = follow(&mut fleet, &mut client, spec, workers, fault).await?;
    fleet.end().await;
    Ok(status)
}

async fn follow(
    fleet: &mut Fleet,
    client: &mut Client,
    spec: &CanonicalSpec,
    workers: u32,
    fault: Fault,
) -> Result<RunStatus, Failure> {
    let run = client.start(spec.text(), workers).await?;
    let mut watch = client.watch(Some(run)).await?;
    let mut pending = fault != Fault::None;
    while let Some(status) = fleet.next_status(&mut watch).await? {
        if status.phase.is_over() {
            assert!(!pending, "the run was over before {fault:?} could happen; make it longer");
            return Ok(status);
        }
        if pending && status.rounds_committed > 0 {
            disturb(fleet, fault).await?;
            pending = false;
        }
    }
    panic!("the coordinator stopped telling before the run was over")
}

async fn disturb(fleet: &mut Fleet, fault: Fault) -> Result<(), Failure> {
    match fault {
        Fault::None => {}
        Fault::Kill => {
            fleet.kill_worker().await;
        }
        Fault::Leave => fleet.drain_worker().await,
        Fault::Join => fleet.add_worker().await?,
    }
    match fleet.workers() {
        0 => fleet.add_worker().await,
        _ => Ok(()),
    }
}
