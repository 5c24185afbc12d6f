//! `demo`: the whole of syngrad on this machine, in one command that ends by itself.

mod report;
pub mod spec;

use std::pin::pin;
use std::time::Instant;

use syngrad_common::config::CanonicalSpec;
use syngrad_dataset::mnist::{self, MnistFile};
use tempfile::TempDir;

use crate::args::{DemoArgs, Kill, StdinWatch};
use crate::client::{self, Phase, RunStatus};
use crate::drawing::draw;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fleet::{Fleet, FleetConfig, Protection};
use crate::output::Output;
use crate::predict::{self, Prediction};
use crate::progress::Progress;
use crate::table::percent;
use crate::{runtime, signals};

pub use report::DemoReport;
use report::Seen;
use spec::{TARGET, demo_spec};

/// The part of the run after which something is killed.
const KILL_AFTER: f64 = 0.4;

pub(crate) fn run(args: &DemoArgs, output: Output, started: Instant) -> Result<Exit, Failure> {
    let spec = demo_spec(args.spec)?;
    runtime::light()?.block_on(async {
        let mut interrupted = pin!(signals::shutdown(StdinWatch { exit_with_stdin: false })?);
        let mut demo = Demo { args, output, spec: &spec, started, killed: 0, seconds_to_97: None };
        // Whatever ends this future ends all processes: they are killed when the fleet is dropped.
        let shown = tokio::select! {
            shown = demo.show() => shown?,
            () = &mut interrupted => return Err(Failure::interrupted()),
        };
        let accuracy = shown.report.test_accuracy;
        let exit = match accuracy < TARGET {
            true => output.failed_result(&shown.report, &Failure::target_missed(accuracy, TARGET)),
            false => {
                output.result(&shown.report);
                Exit::Ok
            }
        };
        output.say(&shown.epilogue(args.keep_serving));
        if args.keep_serving {
            interrupted.await;
        }
        shown.end().await;
        Ok(exit)
    })
}

/// The demo while it goes on.
struct Demo<'a> {
    args: &'a DemoArgs,
    output: Output,
    spec: &'a CanonicalSpec,
    started: Instant,
    killed: u32,
    seconds_to_97: Option<f64>,
}

/// The demo when it is done; the fleet still serves.
struct Shown {
    fleet: Fleet,
    report: DemoReport,
    /// Deleted when the fleet has ended.
    state: TempDir,
}

impl Demo<'_> {
    async fn show(&mut self) -> Result<Shown, Failure> {
        let device = self.args.device;
        let state =
            tempfile::tempdir().map_err(|why| Failure::io("making a folder for the coordinator's state", &why))?;
        let state_dir = Some(state.path().to_owned());
        let config = FleetConfig {
            port: self.args.port,
            state_dir,
            protection: Protection::Consortium,
            ..FleetConfig::of_this_program(device)?
        };
        let mut fleet = Fleet::start(config).await?;
        fleet.add_workers(self.args.workers).await?;
        let status = self.train(&mut fleet).await?;
        self.ask(&fleet, self.spec.spec().seed).await?;
        let seen = Seen {
            workers: self.args.workers,
            killed: self.killed,
            wall_seconds: self.started.elapsed().as_secs_f64(),
            seconds_to_97: self.seconds_to_97,
        };
        Ok(Shown { fleet, report: DemoReport::new(&status, seen), state })
    }

    /// Starts the run and follows it to its end.
    async fn train(&mut self, fleet: &mut Fleet) -> Result<RunStatus, Failure> {
        let mut client = fleet.client().await?;
        let run = client.start(self.spec.text(), self.args.workers).await?;
        self.output.say(&format!(
            "a coordinator at {} and {} worker processes train the run {}",
            fleet.address(),
            self.args.workers,
            self.spec.spec().name
        ));
        let mut watch = client.watch(Some(run)).await?;
        let mut progress = Progress::new(self.output);
        loop {
            let status = fleet.next_status(&mut watch).await?.ok_or_else(Failure::watch_ended)?;
            for lost in fleet.take_lost() {
                progress.say(&format!("the worker of {lost} was killed from outside; another takes its place"));
            }
            self.note(&status);
            progress.show(&status);
            self.output.event(&status);
            if status.phase.is_over() {
                progress.finish();
                return completed(status);
            }
            if self.wants_victims(&status) {
                let kill = self.args.kill;
                if matches!(kill, Kill::Worker | Kill::Both) {
                    self.kill_worker(fleet, &progress).await?;
                }
                if matches!(kill, Kill::Coordinator | Kill::Both) {
                    self.killed += 1;
                    fleet.kill_coordinator().await?;
                    progress.say("killed the coordinator with SIGKILL and started it again; the run goes on");
                    client = fleet.client().await?;
                    watch = client.watch(Some(run)).await?;
                }
            }
        }
    }

    fn note(&mut self, status: &RunStatus) {
        if self.seconds_to_97.is_none() && status.evaluations.iter().any(|point| point.accuracy >= TARGET) {
            self.seconds_to_97 = Some(self.started.elapsed().as_secs_f64());
        }
    }

    fn wants_victims(&self, status: &RunStatus) -> bool {
        let is_time = f64::from(status.rounds_committed) >= KILL_AFTER * f64::from(status.rounds);
        self.args.kill != Kill::None && self.killed == 0 && is_time
    }

    async fn kill_worker(&mut self, fleet: &mut Fleet, progress: &Progress) -> Result<(), Failure> {
        let Some(name) = fleet.kill_worker().await else { return Ok(()) };
        self.killed += 1;
        progress.say(&format!("killed the worker of {name} with SIGKILL; the run goes on"));
        if fleet.workers() == 0 {
            // Nobody is left to go on, so a new worker takes its place.
            fleet.add_worker().await?;
        }
        Ok(())
    }

    /// Asks the served model about one test image, as any client would, and draws it.
    async fn ask(&self, fleet: &Fleet, seed: u64) -> Result<(), Failure> {
        let (image, label) = test_image(seed).await?;
        let channel = client::channel(&fleet.target()?).await?;
        let answers = predict::ask(channel, "mnist", std::slice::from_ref(&image)).await?;
        let answer = answers.into_iter().next().ok_or_else(|| Failure::garbled("no answer about the one picture"))?;
        self.output.say(&describe(&image, label, &answer));
        Ok(())
    }
}

/// The run's last status, if it came to its end. A missed target is no failure of the run: the report says so.
fn completed(status: RunStatus) -> Result<RunStatus, Failure> {
    match status.phase {
        Phase::Completed => Ok(status),
        Phase::Failed if status.rounds_committed == status.rounds => Ok(status),
        Phase::Waiting | Phase::Training | Phase::Stopped | Phase::Failed => Err(Failure::run_ended(&status)),
    }
}

/// The test image that the seed picks, and what it shows.
async fn test_image(seed: u64) -> Result<(Vec<u8>, u8), Failure> {
    let read = move || -> Result<(Vec<u8>, u8), Failure> {
        let folder = mnist::default_mnist_dir();
        let contents = |file: MnistFile| file.read(&file.locate(&folder)?);
        let labels = contents(MnistFile::TestLabels).map_err(|why| Failure::data(&why))?;
        let images = contents(MnistFile::TestImages).map_err(|why| Failure::data(&why))?;
        let index = usize::try_from(seed % labels.len() as u64).expect("it is below a length");
        let pixels = mnist::SIDE * mnist::SIDE;
        Ok((images[index * pixels..(index + 1) * pixels].to_vec(), labels[index]))
    };
    tokio::task::spawn_blocking(read).await.map_err(|why| Failure::failed(&why))?
}

fn describe(image: &[u8], label: u8, answer: &Prediction) -> String {
    let drawing = draw(image, mnist::SIDE);
    let (said, sure) = (answer.label, percent(answer.confidence().into()));
    let from = &answer.provenance;
    format!(
        "{drawing}asked over gRPC, the model says {said} ({sure}); it is a {label}\n\
         answered by {} version {} of run {}, round {}, params {}",
        from.model,
        from.model_version,
        from.run,
        from.round,
        from.params_digest.short()
    )
}

impl Shown {
    async fn end(self) {
        self.fleet.end().await;
    }

    fn epilogue(&self, keep_serving: bool) -> String {
        let (address, state) = (self.fleet.address(), self.state.path().display());
        match keep_serving {
            true => format!(
                "serving at {address} until Ctrl-C; in another terminal:\n  \
                 syngrad predict YOUR-DIGIT.png --state {state}\n  \
                 syngrad run describe --state {state}"
            ),
            false => "what to do next:\n  \
                 syngrad demo --keep-serving             then ask it about a picture of your own: syngrad predict FILE\n  \
                 syngrad train --local                   the same run in one process, with the same params digest\n  \
                 syngrad coordinator init                a consortium of your own; partner invite makes the tickets that join it"
                .to_owned(),
        }
    }
}
