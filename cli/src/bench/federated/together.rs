//! What two institutions gain by training together: each alone, and both, tested on each.

use std::collections::BTreeMap;

use serde::Serialize;
use syngrad_dataset::Dataset;
use syngrad_dataset::qmnist::{EMPLOYEES, STUDENTS};
use syngrad_engine::RunSpec;
use syngrad_engine::spec::Partition;
use syngrad_model::reference;

use super::methods::{self, Candidate};
use super::parallel::Workbench;
use super::{Ground, HELD_OUT, Settings, TUNING_SEED, accuracy_or_nothing, mean, mnist};
use crate::failure::Failure;

/// Who trains.
#[derive(Clone, Copy)]
enum Side {
    Alone(u32),
    Both,
}

/// Training with the samples of one institution or of both, over all seeds.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) trained_by: &'static str,
    pub(super) samples: usize,
    pub(super) constants: String,
    /// Every choice, with its accuracy on what was held out, 0 to 1.
    pub(super) grid: BTreeMap<String, f64>,
    /// Accuracy of each seed on the test samples of the employees, 0 to 1.
    pub(super) on_employees: Vec<f64>,
    pub(super) mean_on_employees: f64,
    /// And of the students.
    pub(super) on_students: Vec<f64>,
    pub(super) mean_on_students: f64,
}

impl Side {
    const ALL: [Self; 3] = [Self::Alone(EMPLOYEES), Self::Alone(STUDENTS), Self::Both];

    fn name(self) -> &'static str {
        match self {
            Self::Alone(EMPLOYEES) => "employees only",
            Self::Alone(_) => "students only",
            Self::Both => "both institutions",
        }
    }

    /// Those who train are a unit each.
    fn units(self) -> u32 {
        match self {
            Self::Alone(_) => 1,
            Self::Both => 2,
        }
    }

    fn samples(self, whole: &Dataset) -> Dataset {
        match self {
            Self::Alone(group) => whole.of_group(group),
            Self::Both => whole.clone(),
        }
    }

    /// Federated averaging; one that is alone averages with nobody.
    fn spec(self, rounds: u32, candidate: &Candidate, seed: u64) -> Result<RunSpec, Failure> {
        let partition = match self {
            Self::Alone(_) => Partition::Iid {},
            Self::Both => Partition::Institution {},
        };
        super::spec(mnist(None, partition), rounds, candidate, seed)
    }
}

/// All of MNIST's training samples, with federated averaging, as many passes over each institution's samples in every
/// row. Constants are chosen by samples held out of those that the row trains with: one that is alone has no others.
pub(super) fn rows(settings: &Settings, ground: &Ground, workbench: &Workbench) -> Result<Vec<Row>, Failure> {
    let rounds = settings.rounds;
    let whole =
        Dataset::load(&mnist(None, Partition::Institution {}), 0, &ground.folder).map_err(|why| Failure::data(&why))?;
    let sides: Vec<(Side, Dataset, Vec<Candidate>)> = Side::ALL
        .into_iter()
        .map(|side| (side, side.samples(&whole), methods::averaging(rounds, side.units())))
        .collect();
    let tries: Vec<_> = sides.iter().flat_map(|side| side.2.iter().map(move |candidate| (side, candidate))).collect();
    let found = workbench.map("tuning alone and together", &tries, |((side, samples, _), candidate)| {
        let trained_on = samples.train.len() as u32 - HELD_OUT;
        let split = samples.validation(trained_on, HELD_OUT, TUNING_SEED);
        let spec = side.spec(rounds, candidate, TUNING_SEED)?;
        accuracy_or_nothing(reference::train(&spec, &split, ground.device, |_| {}))
    })?;
    let mut found = tries.iter().zip(found);
    let mut tuned = Vec::new();
    for (side, samples, candidates) in &sides {
        let scores: Vec<_> =
            found.by_ref().take(candidates.len()).map(|((_, candidate), score)| (*candidate, score)).collect();
        let best = scores.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best });
        let (best, _) = best.expect("there are candidates");
        let grid: BTreeMap<String, f64> =
            scores.iter().map(|(candidate, score)| (candidate.constants.clone(), *score)).collect();
        tuned.push((*side, samples, best, grid));
    }
    let runs: Vec<_> = tuned.iter().flat_map(|one| (0..settings.seeds).map(move |seed| (one, seed))).collect();
    let trained = workbench.map("training alone and together", &runs, |((side, samples, best, _), seed)| {
        ground.train(&side.spec(rounds, best, *seed)?, samples)
    })?;
    let mut trained = trained.into_iter();
    let row = |(side, samples, best, grid): (Side, &Dataset, &Candidate, BTreeMap<String, f64>)| {
        let runs: Vec<_> = trained.by_ref().take(settings.seeds as usize).collect();
        Row {
            trained_by: side.name(),
            samples: samples.train.len(),
            constants: best.constants.clone(),
            grid,
            mean_on_employees: mean(runs.iter().map(|run| run.employees)),
            on_employees: runs.iter().map(|run| run.employees).collect(),
            mean_on_students: mean(runs.iter().map(|run| run.students)),
            on_students: runs.iter().map(|run| run.students).collect(),
        }
    };
    Ok(tuned.into_iter().map(row).collect())
}
