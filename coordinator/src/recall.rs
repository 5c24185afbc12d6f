//! What an earlier process left, as this one shows and serves it.

use std::sync::Arc;

use syngrad_common::Failure;
use syngrad_common::config::CanonicalSpec;
use syngrad_engine::Plan;
use syngrad_engine::state::TrainingState;
use syngrad_model::layout;
use syngrad_store::{EndedRun, LastServed};
use tokio::sync::watch;

use crate::served::ServedModel;
use crate::status::{Identity, RunStatus, RunWatch};

/// Runs that have ended, as they are asked for. One whose spec this release does not read is left out.
pub(crate) fn ended(runs: Vec<EndedRun>) -> impl Iterator<Item = RunWatch> {
    runs.into_iter().filter_map(|run| {
        let id = run.row.run;
        let status = status(run).inspect_err(|why| tracing::warn!(run = %id, %why, "a run cannot be told of")).ok()?;
        Some(watch::channel(Arc::new(status)).1)
    })
}

fn status(ended: EndedRun) -> Result<RunStatus, Failure> {
    let spec = CanonicalSpec::parse(&ended.row.spec)?;
    let plan = Plan::new(spec.spec(), ended.progress.train_samples)?;
    let samples = u64::from(ended.progress.committed) * plan.samples_in_round();
    let identity = Identity::new(ended.row.run, spec, &plan);
    Ok(RunStatus::of_ended(Arc::new(identity), samples, ended))
}

/// The model that was served last, if its params are what they are said to be.
pub(crate) fn served(last: &LastServed) -> Option<ServedModel> {
    let run = last.row.run;
    let no_model = |why: &dyn std::fmt::Display| tracing::error!(%run, %why, "the last model cannot be served again");
    let spec = CanonicalSpec::parse(&last.spec).inspect_err(|why| no_model(why)).ok()?;
    let plan = Plan::new(spec.spec(), last.train_samples).inspect_err(|why| no_model(why)).ok()?;
    let layout = layout(&spec.spec().model);
    let state = TrainingState::decode(spec.spec(), &plan, layout, &last.state).inspect_err(|why| no_model(why)).ok()?;
    if state.params_digest() != last.row.version.params {
        no_model(&"its params are others than those that were served");
        return None;
    }
    Some(ServedModel {
        params: state.params().clone(),
        params_digest: state.params_digest(),
        run,
        round: last.row.version.round,
        model_version: last.row.number.to_string(),
        model: spec.spec().model.clone(),
        data: spec.spec().data.clone(),
        accuracy: last.row.accuracy,
    })
}
