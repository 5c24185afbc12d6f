//! Samples a second of one spec: in one process, across workers, and of two processes that do not cooperate.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};
use syngrad_common::config::CanonicalSpec;
use syngrad_engine::RunSpec;
use syngrad_engine::spec::{Algorithm, Evaluation, check};

use super::cluster;
use crate::args::{SpecFlags, ThroughputArgs};
use crate::demo::spec::demo_spec;
use crate::exit::Exit;
use crate::failure::{Failure, FailureRecord};
use crate::output::{Output, Report};
use crate::table::{rows, thousands};

/// Worker processes of the distributed rows.
const WORKERS: [u32; 3] = [1, 2, 3];

#[derive(Serialize)]
struct ThroughputReport {
    global_batch: u32,
    update_bits: u8,
    samples: u64,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    mode: String,
    processes: u32,
    samples_per_second: f64,
    /// Beside one process on its own.
    ratio: f64,
    /// The median round; a local run has no rounds that anyone waits for.
    round_ms_p50: Option<f64>,
    params_digest: String,
}

pub(super) fn run(args: &ThroughputArgs, output: Output) -> Result<Exit, Failure> {
    let spec = spec(args)?;
    output.say("one process on its own …");
    let alone = trainers(&spec, 1, args)?;
    let base = alone.samples_per_second;
    let mut rows = vec![row("local", 1, base, base, None, alone.params_digest)];
    for workers in WORKERS {
        output.say(&format!("{workers} worker processes …"));
        let status = cluster::run(&spec, workers, args.device, args.data.data_dir.clone(), output)?;
        let rate = status.samples_per_second();
        let median = Some(status.round_times.p50_ms);
        rows.push(row(&format!("{workers} workers"), workers, rate, base, median, status.params_digest));
    }
    output.say("two processes that do not cooperate …");
    let two = trainers(&spec, 2, args)?;
    rows.push(row("2 independent", 2, two.samples_per_second, base, None, two.params_digest));
    let report = ThroughputReport {
        global_batch: args.global_batch,
        update_bits: args.update_bits,
        samples: alone.samples,
        rows,
    };
    output.result(&report);
    Ok(Exit::Ok)
}

fn row(mode: &str, processes: u32, rate: f64, base: f64, round_ms_p50: Option<f64>, params_digest: String) -> Row {
    Row { mode: mode.to_owned(), processes, samples_per_second: rate, ratio: rate / base, round_ms_p50, params_digest }
}

/// The demo's network in two units a round, whoever computes them.
fn spec(args: &ThroughputArgs) -> Result<CanonicalSpec, Failure> {
    let flags = SpecFlags { update_bits: Some(args.update_bits), ..SpecFlags::default() };
    let spec = RunSpec {
        name: "bench-train".to_owned(),
        algorithm: Algorithm::SyncSgd { epochs: args.epochs, units: 2, unit_samples: args.global_batch / 2 },
        evaluation: Evaluation { every_rounds: Some(check::MAX_ROUNDS), target_accuracy: None },
        ..demo_spec(flags)?.spec().clone()
    };
    CanonicalSpec::new(spec).map_err(|why| Failure::spec(&why))
}

/// What a local training process says, as far as it is of interest here.
#[derive(Deserialize)]
struct Trained {
    params_digest: String,
    samples: u64,
    samples_per_second: f64,
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Answer {
    Ok { data: Trained },
    Error { error: FailureRecord },
}

/// Trains `spec` in so many local processes at once; rates add up.
fn trainers(spec: &CanonicalSpec, processes: u32, args: &ThroughputArgs) -> Result<Trained, Failure> {
    let started: Vec<Child> = (0..processes).map(|_| trainer(spec.text(), args)).collect::<Result<_, _>>()?;
    let mut together: Option<Trained> = None;
    for process in started {
        let trained = finished(process)?;
        together = Some(match together {
            Some(so_far) => Trained {
                samples: so_far.samples + trained.samples,
                samples_per_second: so_far.samples_per_second + trained.samples_per_second,
                params_digest: trained.params_digest,
            },
            None => trained,
        });
    }
    together.ok_or_else(|| Failure::usage(&"there must be a process to measure"))
}

fn trainer(spec: &str, args: &ThroughputArgs) -> Result<Child, Failure> {
    let doing = "starting a local training process";
    let program = std::env::current_exe().map_err(|why| Failure::io(doing, &why))?;
    let mut command = Command::new(program);
    command.args(["train", "--local", "-", "-o", "json", "--quiet", "--device", args.device.name()]);
    if let Some(folder) = &args.data.data_dir {
        command.arg("--data-dir").arg(folder);
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|why| Failure::io(doing, &why))?;
    let mut stdin = child.stdin.take().expect("standard input was piped a moment ago");
    stdin.write_all(spec.as_bytes()).map_err(|why| Failure::io("handing a spec to a local training process", &why))?;
    Ok(child)
}

fn finished(process: Child) -> Result<Trained, Failure> {
    let out = process.wait_with_output().map_err(|why| Failure::io("waiting for a local training process", &why))?;
    match serde_json::from_slice(&out.stdout) {
        Ok(Answer::Ok { data }) => Ok(data),
        Ok(Answer::Error { error }) => Err(error.into()),
        Err(why) => Err(Failure::process_ended("local training", &format!("{} ({why})", out.status), "")),
    }
}

impl Report for ThroughputReport {
    fn text(&self) -> String {
        rows(
            ["mode", "processes", "samples/s", "beside local", "round p50", "params"],
            &["processes", "samples/s", "beside local", "round p50"],
            self.rows.iter().map(|row| {
                [
                    row.mode.clone(),
                    row.processes.to_string(),
                    thousands(row.samples_per_second as u64),
                    format!("{:.2} ×", row.ratio),
                    row.round_ms_p50.map_or_else(String::new, |ms| format!("{ms:.2} ms")),
                    row.params_digest.chars().take(8).collect(),
                ]
            }),
        )
    }
}
