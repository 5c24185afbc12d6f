//! Which federated algorithm is worth what on which data: accuracy after the same number of rounds and the bytes that
//! took, and what two institutions gain by training together.
//!
//! Everything runs in this process, by the reference run: its params are those of a cluster, bit for bit.

mod methods;
mod parallel;
mod table;
mod together;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Instant;

use serde::Serialize;
use syngrad_dataset::qmnist::{self, EMPLOYEES, QmnistFile, STUDENTS};
use syngrad_dataset::{Dataset, Samples};
use syngrad_engine::RunSpec;
use syngrad_engine::partition::Origin;
use syngrad_engine::spec::{DataSpec, Evaluation, Partition};
use syngrad_model::reference::{self, ReferenceError};
use syngrad_model::{Device, Evaluator};

use self::methods::{Candidate, Method};
use self::parallel::Workbench;
use super::document::Document;
use crate::args::{FederatedArgs, SpecFlags};
use crate::demo::spec::demo_spec;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::data_dir;
use crate::output::Output;

/// What the tables' place in a document is marked with.
const COMMAND: &str = "syngrad bench federated";
/// The seed of tuning, which none of the reported runs has.
const TUNING_SEED: u64 = 1_000;
/// Training samples that constants are chosen by; they are not trained on while they are.
const HELD_OUT: u32 = 5_000;
/// Units of a round.
const UNITS: u32 = 10;

const PARTITIONS: [Partition; 3] = [Partition::Iid {}, Partition::Dirichlet { alpha: 0.1 }, Partition::Institution {}];

#[derive(Serialize)]
struct FederatedReport {
    settings: Settings,
    rows: Vec<Row>,
    together: Vec<together::Row>,
    wall_seconds: f64,
}

#[derive(Clone, Copy, Serialize)]
struct Settings {
    /// Training samples of each run of `rows`.
    samples: u32,
    units: u32,
    rounds: u32,
    local_batch: u32,
    seeds: u64,
    held_out: u32,
}

/// One algorithm on one kind of data, over all seeds.
#[derive(Serialize)]
struct Row {
    partition: String,
    method: &'static str,
    rounds: u32,
    /// What was chosen, in words.
    constants: String,
    /// Every choice, with its accuracy on what was held out, 0 to 1.
    grid: BTreeMap<String, f64>,
    /// Test accuracy of each seed, 0 to 1.
    accuracy: Vec<f64>,
    mean_accuracy: f64,
    /// The same on the test samples of one institution.
    mean_accuracy_employees: f64,
    mean_accuracy_students: f64,
    /// Payload bytes of one of as many workers as there are units, over the run: params it receives.
    bytes_down: u64,
    /// And updates it sends.
    bytes_up: u64,
}

/// What one run came to.
#[derive(Clone, Default)]
struct Trained {
    accuracy: f64,
    employees: f64,
    students: f64,
    bytes_down: u64,
    bytes_up: u64,
}

/// MNIST, and the test samples of each institution.
struct Ground {
    folder: std::path::PathBuf,
    device: Device,
    employees: Samples,
    students: Samples,
}

pub(super) fn run(args: &FederatedArgs, output: Output) -> Result<Exit, Failure> {
    let began = Instant::now();
    let document = args.write.as_deref().map(|path| Document::open(path, COMMAND)).transpose()?;
    let settings = Settings {
        samples: args.samples,
        units: UNITS,
        rounds: args.rounds,
        local_batch: methods::LOCAL_BATCH,
        seeds: args.seeds,
        held_out: HELD_OUT,
    };
    let ground = Ground::open(args)?;
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workbench = Workbench::new(threads, output);
    let rows = rows(&settings, &ground, &workbench)?;
    let together = together::rows(&settings, &ground, &workbench)?;
    let report = FederatedReport { settings, rows, together, wall_seconds: began.elapsed().as_secs_f64() };
    if let Some(document) = document {
        document.write(&table::markdown(&report))?;
    }
    output.result(&report);
    Ok(Exit::Ok)
}

/// A partition and a method with the constants that did best on what was held out.
struct Tuned<'a> {
    partition: &'a Partition,
    method: &'a Method,
    best: &'a Candidate,
    grid: BTreeMap<String, f64>,
}

fn rows(settings: &Settings, ground: &Ground, workbench: &Workbench) -> Result<Vec<Row>, Failure> {
    let methods = methods::all(settings);
    let pairs = || PARTITIONS.iter().flat_map(|partition| methods.iter().map(move |method| (partition, method)));
    let whole = ground.whole()?;
    let split: Vec<Dataset> =
        whole.iter().map(|whole| whole.validation(settings.samples, HELD_OUT, TUNING_SEED)).collect();
    let tries: Vec<(usize, &Method, &Candidate)> = (0..PARTITIONS.len())
        .flat_map(|at| {
            methods.iter().flat_map(move |method| method.candidates.iter().map(move |one| (at, method, one)))
        })
        .collect();
    let found = workbench.map("tuning", &tries, |(at, method, candidate)| {
        let data = mnist(Some(settings.samples), PARTITIONS[*at]);
        let spec = spec(data, method.rounds, candidate, TUNING_SEED)?;
        accuracy_or_nothing(reference::train(&spec, &split[*at], ground.device, |_| {}))
    })?;
    drop(split);
    let mut found = tries.iter().zip(found);
    let tuned: Vec<Tuned<'_>> = pairs()
        .map(|(partition, method)| {
            let scores: Vec<(&Candidate, f64)> =
                found.by_ref().take(method.candidates.len()).map(|((_, _, one), score)| (*one, score)).collect();
            let best = scores.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best });
            let (best, _) = best.expect("a method has candidates");
            let grid = scores.iter().map(|(one, score)| (one.constants.clone(), *score)).collect();
            Tuned { partition, method, best, grid }
        })
        .collect();
    let runs: Vec<(&Tuned<'_>, u64)> =
        tuned.iter().flat_map(|one| (0..settings.seeds).map(move |seed| (one, seed))).collect();
    let trained = workbench.map("training", &runs, |(tuned, seed)| {
        let data = mnist(Some(settings.samples), *tuned.partition);
        let spec = spec(data, tuned.method.rounds, tuned.best, *seed)?;
        ground.train(&spec, &ground.load(&spec)?)
    })?;
    let of_seeds = trained.chunks(settings.seeds as usize);
    Ok(tuned.into_iter().zip(of_seeds).map(|(one, runs)| row(one, runs)).collect())
}

fn row(tuned: Tuned<'_>, runs: &[Trained]) -> Row {
    let Tuned { partition, method, best, grid } = tuned;
    let first = runs.first().cloned().unwrap_or_default();
    Row {
        partition: table::name(partition),
        method: method.name,
        rounds: method.rounds,
        constants: best.constants.clone(),
        grid,
        mean_accuracy: mean(runs.iter().map(|run| run.accuracy)),
        mean_accuracy_employees: mean(runs.iter().map(|run| run.employees)),
        mean_accuracy_students: mean(runs.iter().map(|run| run.students)),
        accuracy: runs.iter().map(|run| run.accuracy).collect(),
        bytes_down: first.bytes_down,
        bytes_up: first.bytes_up,
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

/// MNIST, or so many samples of it, as a spec says it.
fn mnist(limit: Option<u32>, partition: Partition) -> DataSpec {
    DataSpec::Mnist { limit, partition }
}

/// The run of a candidate with the demo's network.
fn spec(data: DataSpec, rounds: u32, candidate: &Candidate, seed: u64) -> Result<RunSpec, Failure> {
    let demo = demo_spec(SpecFlags { seed: Some(seed), ..SpecFlags::default() })?.spec().clone();
    Ok(RunSpec {
        name: "federated".to_owned(),
        data,
        algorithm: candidate.algorithm.clone(),
        optimizer: candidate.optimizer.clone(),
        schedule: Default::default(),
        evaluation: Evaluation { every_rounds: Some(rounds), target_accuracy: None },
        ..demo
    })
}

/// The accuracy of a run on the test samples it was given; constants with which it diverges have none.
fn accuracy_or_nothing(ended: Result<reference::Outcome, ReferenceError>) -> Result<f64, Failure> {
    match ended {
        Ok(outcome) => Ok(outcome.evaluation.accuracy),
        Err(ReferenceError::Train(_) | ReferenceError::Commit(_) | ReferenceError::Unit(_)) => Ok(0.0),
        Err(
            why @ (ReferenceError::Spec(_)
            | ReferenceError::Plan(_)
            | ReferenceError::State(_)
            | ReferenceError::Shape(_)
            | ReferenceError::Aggregate(_)),
        ) => Err(Failure::failed(&why)),
    }
}

impl Ground {
    fn open(args: &FederatedArgs) -> Result<Self, Failure> {
        let folder = data_dir(args.data.data_dir.as_deref());
        let test = Dataset::load(&mnist(None, Partition::Iid {}), 0, &folder).map_err(|why| Failure::data(&why))?.test;
        let origins = qmnist::origins(QmnistFile::Test, &folder).map_err(|why| Failure::data(&why))?;
        let of = |group: u32| {
            let of = |(index, origin): (usize, &Origin)| (origin.group == group).then_some(index as u32);
            test.select(&origins.iter().enumerate().filter_map(of).collect::<Vec<_>>())
        };
        Ok(Self { employees: of(EMPLOYEES), students: of(STUDENTS), folder, device: args.device })
    }

    /// The samples of a run, as a coordinator loads them.
    fn load(&self, spec: &RunSpec) -> Result<Dataset, Failure> {
        Dataset::load(&spec.data, spec.seed, &self.folder).map_err(|why| Failure::data(&why))
    }

    /// All of MNIST, for each partition with what it goes by.
    fn whole(&self) -> Result<Vec<Dataset>, Failure> {
        let load = |partition: &Partition| {
            Dataset::load(&mnist(None, *partition), 0, &self.folder).map_err(|why| Failure::data(&why))
        };
        PARTITIONS.iter().map(load).collect()
    }

    fn train(&self, spec: &RunSpec, dataset: &Dataset) -> Result<Trained, Failure> {
        let ended = reference::train(spec, dataset, self.device, |_| {}).map_err(|why| Failure::failed(&why))?;
        let mut evaluator = Evaluator::new(&spec.model, self.device);
        let mut on = |samples: &Samples| {
            let evaluation = evaluator.evaluate(&ended.params, samples);
            evaluation.map(|found| found.accuracy).map_err(|why| Failure::failed(&why))
        };
        Ok(Trained {
            accuracy: ended.evaluation.accuracy,
            employees: on(&self.employees)?,
            students: on(&self.students)?,
            bytes_down: size_of_val(ended.params.as_slice()) as u64 * u64::from(ended.rounds),
            bytes_up: ended.bytes,
        })
    }
}
