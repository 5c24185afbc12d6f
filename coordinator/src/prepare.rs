//! What a run needs before its first round: data, plan, params, evaluator. Slow, so a blocking thread does it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use syngrad_common::config::CanonicalSpec;
use syngrad_common::identity::SigningKey;
use syngrad_common::limits::AUDIT_MEMORY;
use syngrad_common::{Code, Failure};
use syngrad_dataset::{DataError, Dataset};
use syngrad_engine::aggregate::Aggregate;
use syngrad_engine::keeping::settled;
use syngrad_engine::receipt::{Facts, policy};
use syngrad_engine::run::{AuditRule, AuditSeed, Ownership, QuorumRule, Run, RunConfig};
use syngrad_engine::spec::DataSpec;
use syngrad_engine::state::{Commit, TrainingState};
use syngrad_engine::{Digest, Layout, LeaseId, Plan, Round, RunId, RunSpec, Units};
use syngrad_model::{Device, Evaluator, fingerprint, initial_params, layout};
use syngrad_store::{Logged, Resumption, Spooled};
use tokio::sync::mpsc;

use crate::active::{ActiveRun, Parts};
use crate::driver::Message;
use crate::evaluate::Evaluations;
use crate::receipts::Receipts;
use crate::shards::Shards;
use crate::status::Identity;

/// The last run's dataset; the next run often has the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache(Option<(DataSpec, u64, Arc<Dataset>)>);

impl Cache {
    fn get(&self, spec: &RunSpec) -> Option<Arc<Dataset>> {
        let (data, seed, dataset) = self.0.as_ref()?;
        (*data == spec.data && *seed == drawing_seed(spec)).then(|| dataset.clone())
    }
}

/// The seed that the choice of samples depends on: whole MNIST is the same for all.
fn drawing_seed(spec: &RunSpec) -> u64 {
    match spec.data {
        DataSpec::Mnist { limit: None, .. } | DataSpec::Private { .. } => 0,
        DataSpec::Mnist { limit: Some(_), .. } | DataSpec::Synthetic { .. } => spec.seed,
    }
}

/// A run to be prepared.
#[derive(Debug)]
pub(crate) struct Preparation {
    pub(crate) run: RunId,
    pub(crate) spec: CanonicalSpec,
    pub(crate) min_members: u32,
    pub(crate) device: Device,
    pub(crate) data_dir: PathBuf,
    pub(crate) silence: Duration,
    pub(crate) cache: Cache,
    pub(crate) first_lease: LeaseId,
    /// The key of the log; none if no receipts are made.
    pub(crate) log: Option<SigningKey>,
    /// Where an earlier process left it; nothing if it begins.
    pub(crate) resumption: Resumption,
}

/// A run that can open its first round.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) active: ActiveRun,
    /// What the ledger has of rounds that are computed again.
    pub(crate) ledger: Vec<Commit>,
    pub(crate) cache: Cache,
}

/// Prepares a run and hands it to the driver, then encodes its shards, so that no round waits for one.
pub(crate) fn prepare(order: Preparation, driver: &mpsc::Sender<Message>) {
    let prepared = build(order, driver);
    let shards = prepared.as_ref().ok().map(|prepared| prepared.active.shards.clone());
    if driver.blocking_send(Message::Prepared(prepared.map(Box::new))).is_ok()
        && let Some(shards) = shards.flatten()
    {
        shards.encode_all();
    }
}

/// The units of each round that nobody needs to compute again.
fn spooled_units(spooled: &[Spooled]) -> BTreeMap<Round, Units> {
    let mut units: BTreeMap<Round, Units> = BTreeMap::new();
    for of in spooled {
        units.entry(of.round).or_default().insert(of.unit);
    }
    units
}

fn build(order: Preparation, driver: &mpsc::Sender<Message>) -> Result<Prepared, Failure> {
    let Preparation { run, spec: canonical, min_members, device, data_dir, silence, cache, .. } = order;
    let (first_lease, resumption) = (order.first_lease, order.resumption);
    let spec = canonical.spec();
    let dataset = match cache.get(spec) {
        Some(dataset) => dataset,
        None => Arc::new(Dataset::load(&spec.data, spec.seed, &data_dir).map_err(|error| data_failure(&error))?),
    };
    let private = spec.data.private_samples();
    let cut = if private.is_none() { Some(dataset.cut(spec)?) } else { None };
    let plan = match &cut {
        Some(cut) => cut.plan(spec)?,
        None => Plan::new(spec, private.unwrap_or_default())?,
    };
    let layout = layout(&spec.model);
    let Resumption { state, ledger, evaluations: evaluated, holdings, spooled, progress, round_times, log } =
        resumption;
    let state = match state {
        Some(bytes) => TrainingState::decode(spec, &plan, layout.clone(), &bytes)
            .map_err(|error| Failure::new(Code::StateDamaged, error.to_string()))?,
        None => TrainingState::new(spec, &plan, layout.clone(), initial_params(&spec.model, spec.seed))
            .map_err(|error| Failure::new(Code::SpecValue, error.to_string()))?,
    };
    let identity = Arc::new(Identity::new(run, canonical.clone(), &plan));
    let config = config(spec, &plan, layout.params() as u64, (min_members, silence))?;
    let fingerprint = fingerprint(spec, &plan, device);
    let facts = facts(run, &canonical, &layout, fingerprint, &config.quorum);
    let evaluations = Evaluations::start(run, Evaluator::new(&spec.model, device), dataset.clone(), driver.clone())
        .map_err(|error| Failure::new(Code::Internal, format!("the evaluator's thread cannot start: {error}")))?;
    let aggregate = Aggregate::new(layout, state.grid());
    let cache = Cache(Some((spec.data.clone(), drawing_seed(spec), dataset.clone())));
    let committed = round_times.len() + ledger.len();
    let receipts = order.log.and_then(|key| receipts(facts, key, log, committed));
    let mut active = ActiveRun::new(Parts {
        identity,
        receipts,
        fingerprint,
        shards: cut.map(|cut| Arc::new(Shards::new(dataset, cut))),
        holdings,
        plan,
        run: Run::new(config)
            .resumed(state.round(), first_lease, settled(&ledger))
            .with_spooled(spooled_units(&spooled))
            .with_caught(progress.iter().flat_map(|progress| progress.caught.iter().cloned())),
        spooled,
        state,
        aggregate,
        evaluations,
    });
    // Rounds that are computed again are evaluated again.
    let opens = active.state.round();
    let (evaluated, again): (Vec<_>, Vec<_>) = evaluated.into_iter().partition(|point| point.round < opens);
    let progress = progress.map(|mut progress| {
        if !again.is_empty() {
            progress.confusion.clear();
        }
        progress
    });
    active.journal.recall(progress, &round_times, evaluated);
    Ok(Prepared { active, ledger, cache })
}

/// What the engine is told of a run of so many params.
fn config(
    spec: &RunSpec,
    plan: &Plan,
    params: u64,
    (min_members, silence): (u32, Duration),
) -> Result<RunConfig, Failure> {
    Ok(RunConfig {
        units: plan.units(),
        rounds: plan.rounds(),
        evaluate_every: plan.evaluate_every(),
        min_members,
        quorum: QuorumRule::new(&spec.quorum, plan.units()),
        silence,
        ownership: Ownership::of(&spec.data),
        audit: audits(spec.quorum.audit_rate, params)?,
    })
}

/// What is the same in every record of the run.
fn facts(run: RunId, spec: &CanonicalSpec, layout: &Layout, numerics: Digest, quorum: &QuorumRule) -> Facts {
    let policy = policy(quorum, spec.spec().numerics);
    Facts { run, spec: spec.digest(), layout: layout.digest(), numerics, policy }
}

/// The run's receipts. Those of a run that began without can only lack what came before, so it goes on without.
fn receipts(facts: Facts, key: SigningKey, logged: Option<Logged>, committed: usize) -> Option<Receipts> {
    let run = facts.run;
    let recorded = logged.as_ref().map_or(0, |logged| logged.frontier.size());
    if recorded != committed as u64 {
        tracing::warn!(%run, committed, recorded, "the run goes on without receipts: some of its rounds have none");
        return None;
    }
    Some(Receipts::new(facts, key, logged))
}

/// Which updates of so many params are audited: nobody else learns what is drawn from.
fn audits(rate: f64, params: u64) -> Result<AuditRule, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new(Code::Internal, format!("the system gives no random bytes: {error}")))?;
    let most_open = AUDIT_MEMORY / (params * size_of::<i32>() as u64).max(1);
    Ok(AuditRule::new(rate, u32::try_from(most_open).unwrap_or(u32::MAX).max(1), AuditSeed(seed)))
}

fn data_failure(error: &DataError) -> Failure {
    let code = match error {
        DataError::Missing { .. } | DataError::NoOrigins { .. } => Code::DataMissing,
        DataError::Io { .. } => Code::LocalFile,
        DataError::Gzip { .. } | DataError::Form { .. } | DataError::Samples { .. } | DataError::Contents { .. } => {
            Code::DataCorrupt
        }
    };
    Failure::new(code, error.to_string())
}
