//! `train --local`: the whole run in this process, with no network and no coordinator.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use syngrad_common::config::CanonicalSpec;
use syngrad_dataset::mnist;
use syngrad_dataset::{Dataset, PrivateData};
use syngrad_engine::PartnerName;
use syngrad_model::reference;

use crate::args::TrainArgs;
use crate::client::{EvaluationPoint, rate};
use crate::demo::spec::{apply, demo_spec};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::progress::{Progress, Step};
use crate::table::{facts, percent, thousands};

/// The file name that means standard input.
const STDIN: &str = "-";

/// The result of a local run.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct TrainReport {
    params_digest: String,
    chain: String,
    test_accuracy: f64,
    test_loss: f64,
    rounds: u32,
    samples: u64,
    /// Without loading and without evaluations.
    train_seconds: f64,
    wall_seconds: f64,
    samples_per_second: f64,
    /// From the process's start to the first evaluation of 97 % or more.
    seconds_to_97: Option<f64>,
    saturated: u64,
}

pub(crate) fn run(args: &TrainArgs, output: Output, started: Instant) -> Result<Exit, Failure> {
    let spec = match &args.spec {
        Some(path) if args.flags.algorithm.is_none() => apply(read_spec(path)?.spec().clone(), args.flags)?,
        Some(_) => {
            return Err(Failure::usage(&"--algorithm chooses the demo's own spec; leave it out or leave SPEC out"));
        }
        None => demo_spec(args.flags)?,
    };
    let spec = spec.spec();
    let folder = data_dir(args.data.data_dir.as_deref());
    let dataset = Dataset::load(&spec.data, spec.seed, &folder).map_err(|why| Failure::data(&why))?;
    let dataset = dataset.with_partners(&spec.data, &owned(&args.owned)?).map_err(|why| Failure::private(&why))?;
    let mut course = Course::new(output, started);
    let trained = reference::train(spec, &dataset, args.device, |round| course.round(round));
    course.progress.finish();
    let trained = trained.map_err(|why| Failure::failed(&why))?;
    let train_seconds = course.training.as_secs_f64();
    let report = TrainReport {
        params_digest: trained.params_digest.to_string(),
        chain: trained.chain.to_string(),
        test_accuracy: trained.evaluation.accuracy,
        test_loss: trained.evaluation.loss,
        rounds: trained.rounds,
        samples: trained.samples,
        train_seconds,
        wall_seconds: started.elapsed().as_secs_f64(),
        samples_per_second: rate(trained.samples, train_seconds),
        seconds_to_97: course.seconds_to_97,
        saturated: trained.saturated,
    };
    match spec.evaluation.target_accuracy.filter(|&target| report.test_accuracy < target) {
        Some(target) => Ok(output.failed_result(&report, &Failure::target_missed(report.test_accuracy, target))),
        None => {
            output.result(&report);
            Ok(Exit::Ok)
        }
    }
}

/// The samples of each partner that was named.
fn owned(named: &[(PartnerName, PathBuf)]) -> Result<BTreeMap<PartnerName, PrivateData>, Failure> {
    let read = |(partner, folder): &(PartnerName, PathBuf)| Ok((partner.clone(), syngrad_worker::read_data(folder)?));
    named.iter().map(read).collect()
}

/// Reads a run spec, TOML or JSON, from a file or, for `-`, from standard input.
pub(crate) fn read_spec(path: &Path) -> Result<CanonicalSpec, Failure> {
    let text = read_text(path)?;
    CanonicalSpec::parse(&text).map_err(|why| Failure::from(syngrad_common::Failure::from(why)).in_file(path))
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let doing = format!("reading the run spec {}", path.display());
    let read = if path == Path::new(STDIN) {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|why| Failure::named_file(&doing, &why))
}

/// The folder of the MNIST files: the one that was named, or the one that is found.
pub(crate) fn data_dir(named: Option<&Path>) -> PathBuf {
    named.map_or_else(mnist::default_mnist_dir, Path::to_owned)
}

/// A run in the eyes of who waits for it.
struct Course {
    started: Instant,
    progress: Progress,
    output: Output,
    /// When the round that is computed now began.
    round_began: Instant,
    training: Duration,
    evaluation: Option<EvaluationPoint>,
    seconds_to_97: Option<f64>,
}

impl Course {
    fn new(output: Output, started: Instant) -> Self {
        Self {
            started,
            progress: Progress::new(output),
            output,
            round_began: Instant::now(),
            training: Duration::ZERO,
            evaluation: None,
            seconds_to_97: None,
        }
    }

    fn round(&mut self, round: &reference::RoundReport) {
        self.training += self.round_began.elapsed();
        if let Some(evaluation) = &round.evaluation {
            let point = EvaluationPoint {
                round: round.round.0,
                accuracy: evaluation.accuracy,
                loss: evaluation.loss,
                seconds: self.training.as_secs_f64(),
            };
            if point.accuracy >= crate::demo::spec::TARGET && self.seconds_to_97.is_none() {
                self.seconds_to_97 = Some(self.started.elapsed().as_secs_f64());
            }
            self.output.event(&point);
            self.evaluation = Some(point);
        }
        self.progress.step(Step {
            committed: round.round.0 + 1,
            rounds: round.rounds,
            samples_per_second: rate(round.samples, self.training.as_secs_f64()),
            evaluation: self.evaluation.as_ref(),
        });
        self.round_began = Instant::now();
    }
}

impl Report for TrainReport {
    fn text(&self) -> String {
        facts(&[
            ("test accuracy", percent(self.test_accuracy)),
            ("test loss", format!("{:.4}", self.test_loss)),
            ("rounds", thousands(self.rounds.into())),
            (
                "training",
                format!("{:.2} s, {} samples/s", self.train_seconds, thousands(self.samples_per_second as u64)),
            ),
            ("saturated", thousands(self.saturated)),
            ("params", self.params_digest.clone()),
        ])
    }
}
