//! `run …`: what an operator does with runs.

mod export;
mod follow;
pub(crate) mod ledger;

use serde::Serialize;
use syngrad_engine::RunId;
use uuid::Uuid;

use crate::args::{RunCommand, RunName, StartArgs};
use crate::client::{Caught, Client, Counters, Phase, RunStatus, Target};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::read_spec;
use crate::output::{Output, Report};
use crate::progress::Progress;
use crate::runtime;
use crate::table::{facts, percent, rows, thousands};
use follow::Follow;

pub(crate) fn run(command: &RunCommand, output: Output) -> Result<Exit, Failure> {
    runtime::light()?.block_on(async {
        match command {
            RunCommand::Start(args) => start(args, output).await,
            RunCommand::Watch(name) => {
                let target = Target::named(&name.coordinator)?;
                let mut client = Client::connect(&target).await?;
                watch(target, &mut client, id(name), output).await
            }
            RunCommand::Describe(name) => {
                output.result(&connect(name).await?.get(id(name)).await?);
                Ok(Exit::Ok)
            }
            RunCommand::List(coordinator) => {
                let runs = Client::connect(&Target::named(coordinator)?).await?.list().await?;
                output.result(&RunList { runs });
                Ok(Exit::Ok)
            }
            RunCommand::Export(args) => export::export(args, output).await,
            RunCommand::Ledger(name) => ledger::ledger(name, output).await,
            RunCommand::Stop(name) => {
                output.result(&connect(name).await?.stop(id(name)).await?);
                Ok(Exit::Ok)
            }
        }
    })
}

async fn connect(name: &RunName) -> Result<Client, Failure> {
    Client::connect(&Target::named(&name.coordinator)?).await
}

fn id(name: &RunName) -> Option<RunId> {
    name.run.map(|run: Uuid| RunId(*run.as_bytes()))
}

/// The run that a text names; none if the newest is meant.
fn named(text: &str) -> Result<Option<RunId>, Failure> {
    match text {
        "latest" => Ok(None),
        id => match id.parse::<Uuid>() {
            Ok(id) => Ok(Some(RunId(id.into_bytes()))),
            Err(why) => Err(Failure::usage(&format!("{id:?} is neither a run's id nor \"latest\": {why}"))),
        },
    }
}

#[derive(Serialize)]
struct Started {
    run: String,
    name: String,
}

async fn start(args: &StartArgs, output: Output) -> Result<Exit, Failure> {
    // The spec is read here too, so that a mistake is shown beside its file and line.
    let spec = read_spec(&args.spec)?;
    let target = Target::named(&args.coordinator)?;
    let mut client = Client::connect(&target).await?;
    let run = client.start(spec.text(), args.wait_for_workers).await?;
    let started = Started { run: run.to_string(), name: spec.spec().name.clone() };
    if args.watch {
        output.event(&started);
        return watch(target, &mut client, Some(run), output).await;
    }
    output.result(&started);
    Ok(Exit::Ok)
}

async fn watch(target: Target, client: &mut Client, run: Option<RunId>, output: Output) -> Result<Exit, Failure> {
    let mut follow = Follow::new(target, client, run).await?;
    let mut progress = Progress::new(output);
    loop {
        let status = follow.next(&progress).await?;
        progress.show(&status);
        output.event(&status);
        match status.phase {
            Phase::Waiting | Phase::Training => {}
            Phase::Completed => {
                progress.finish();
                output.result(&status);
                return Ok(Exit::Ok);
            }
            Phase::Stopped | Phase::Failed => {
                progress.finish();
                return Ok(output.failed_result(&status, &Failure::run_ended(&status)));
            }
        }
    }
}

#[derive(Serialize)]
struct RunList {
    runs: Vec<RunStatus>,
}

impl Report for Started {
    fn text(&self) -> String {
        format!("run {} of {} has started\n", self.run, self.name)
    }
}

impl Report for RunList {
    fn text(&self) -> String {
        rows(
            ["run", "name", "phase", "rounds", "test accuracy", "params"],
            &["rounds", "test accuracy"],
            self.runs.iter().map(|run| {
                [
                    run.run.clone(),
                    run.name.clone(),
                    run.phase.word().to_owned(),
                    format!("{}/{}", run.rounds_committed, run.rounds),
                    accuracy(run),
                    run.params_digest.chars().take(8).collect(),
                ]
            }),
        )
    }
}

impl Report for RunStatus {
    fn text(&self) -> String {
        let mut text = facts(&[
            ("run", self.run.clone()),
            ("name", self.name.clone()),
            ("phase", format!("{}: {}", self.phase.word(), self.reason)),
            ("rounds", format!("{}/{}", thousands(self.rounds_committed.into()), thousands(self.rounds.into()))),
            ("test accuracy", accuracy(self)),
            ("training loss", loss(self)),
            (
                "training",
                format!("{:.2} s, {} samples/s", self.train_seconds, thousands(self.samples_per_second() as u64)),
            ),
            ("round", format!("{:.2} ms median, {:.2} ms p99", self.round_times.p50_ms, self.round_times.p99_ms)),
            ("updates", format!("{} accepted, {} refused", self.counters.accepted, self.counters.rejected)),
            ("units leased again", thousands(self.counters.units_released)),
            ("duplicates, late", format!("{}, {}", self.counters.duplicates, self.counters.late)),
            ("model", format!("{} params, layout {}", thousands(self.params), self.layout_digest)),
            ("spec", self.spec_digest.clone()),
            ("params", self.params_digest.clone()),
            ("chain", self.chain.clone()),
        ]);
        if !self.members.is_empty() {
            text.push_str(&members(self));
        }
        if self.counters.audits > 0 {
            text.push_str(&audits(self));
        }
        if !self.participation.is_empty() {
            text.push_str(&participation(self));
        }
        if !self.classes.is_empty() {
            text.push_str(&classes(self));
        }
        text
    }
}

/// What nobody has measured yet is no number.
const UNKNOWN: &str = "–";

fn accuracy(status: &RunStatus) -> String {
    status.accuracy().map_or_else(|| UNKNOWN.to_owned(), percent)
}

fn loss(status: &RunStatus) -> String {
    if status.loss.is_nan() { UNKNOWN.to_owned() } else { format!("{:.4}", status.loss) }
}

fn audits(status: &RunStatus) -> String {
    let Counters { audits, audits_passed, audits_failed, audits_lapsed, .. } = status.counters;
    let counted = format!("{audits} made, {audits_passed} passed, {audits_failed} failed, {audits_lapsed} lapsed");
    let mut text = facts(&[("audits", counted)]);
    for Caught { partner, worker, round, units } in &status.caught {
        let units = units.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let what = format!("worker {worker} in round {round}, units {units}");
        text.push_str(&facts(&[("wrong update", format!("partner {partner}, {what}"))]));
    }
    text
}

fn members(status: &RunStatus) -> String {
    rows(
        ["worker", "partner", "units", "units/s"],
        &["units", "units/s"],
        status.members.iter().map(|member| {
            let speed = format!("{:.1}", member.units_per_second);
            [member.worker.clone(), member.partner.clone(), member.units.to_string(), speed]
        }),
    )
}

fn participation(status: &RunStatus) -> String {
    rows(
        ["partner", "units used", "late", "missing"],
        &["units used", "late", "missing"],
        status.participation.iter().map(|of| {
            let [used, late, missing] = [of.used, of.late, of.missing].map(thousands);
            [of.partner.clone(), used, late, missing]
        }),
    )
}

fn classes(status: &RunStatus) -> String {
    rows(
        ["class", "precision", "recall", "F1", "samples"],
        &["class", "precision", "recall", "F1", "samples"],
        status.classes.iter().map(|class| {
            let [precision, recall, f1] = [class.precision, class.recall, class.f1].map(percent);
            [class.class.to_string(), precision, recall, f1, thousands(class.samples.into())]
        }),
    )
}
