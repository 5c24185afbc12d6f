//! How a coordinator grows with its workers: memory and the time of a round in which nothing is computed. The workers
//! are the real ones, over real gRPC, as tasks of this process; the coordinator is a process of its own, so that its
//! memory is its own.

use std::thread;

use serde::Serialize;
use syngrad_common::transport::{Address, ClientSecurity};
use syngrad_engine::PartnerName;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

use super::cluster;
use super::memory::{median, mib, resident};
use super::round::{NOOP, Noop};
use crate::args::ScaleArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fleet::{Fleet, FleetConfig};
use crate::output::{Output, Report};
use crate::runtime;
use crate::table::{rows, thousands};

/// From the fewest workers to [`COMPARED`] of them, memory may grow by so much.
const BAR: f64 = 1.2;
/// The most workers to which the bar applies.
const COMPARED: u32 = 64;

#[derive(Serialize)]
struct ScaleReport {
    params: u64,
    rounds: u32,
    bar: f64,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    workers: u32,
    /// The median resident set of the coordinator in the second half of the rounds, in bytes.
    resident: u64,
    /// Beside the first row's.
    ratio: f64,
    round_ms_p50: f64,
    round_ms_p99: f64,
}

pub(super) fn run(args: &ScaleArgs, output: Output) -> Result<Exit, Failure> {
    let mut report = ScaleReport { params: args.params.into(), rounds: args.rounds, bar: BAR, rows: Vec::new() };
    for &workers in &args.workers {
        output.say(&format!("{workers} workers …"));
        let mut row = measure(args, workers, output)?;
        row.ratio =
            row.resident as f64 / report.rows.first().map_or(row.resident, |first| first.resident).max(1) as f64;
        report.rows.push(row);
    }
    let worst = report.rows.iter().filter(|row| row.workers <= COMPARED).map(|row| row.ratio).fold(0.0, f64::max);
    if worst > BAR {
        let why = format!("up to {COMPARED} workers the coordinator grows to {worst:.3} ×; at most {BAR} is asked for");
        return Ok(output.failed_result(&report, &Failure::bar_missed(&why)));
    }
    output.result(&report);
    Ok(Exit::Ok)
}

fn measure(args: &ScaleArgs, workers: u32, output: Output) -> Result<Row, Failure> {
    let (params, rounds) = (args.params, args.rounds);
    let spec = Noop { params, workers, rounds, ..NOOP }.spec()?;
    let config = FleetConfig::of_this_program(syngrad_model::Device::default())?;
    let mut samples: Vec<u64> = Vec::new();
    let status = runtime::light()?.block_on(async {
        let mut fleet = Fleet::start(config).await?;
        let coordinator = fleet.coordinator_id();
        resident(coordinator)?;
        let crowd = Crowd::start(fleet.address(), workers)?;
        let seen = |status: &crate::client::RunStatus| {
            if status.rounds_committed >= rounds / 2 {
                // A process that has ended is what the fleet reports.
                samples.extend(resident(coordinator).ok());
            }
        };
        let status = cluster::train(&mut fleet, &spec, workers, output, seen).await?;
        crowd.end();
        fleet.end().await;
        Ok::<_, Failure>(status)
    })?;
    let times = status.round_times;
    let resident = median(&samples);
    Ok(Row { workers, resident, ratio: 1.0, round_ms_p50: times.p50_ms, round_ms_p99: times.p99_ms })
}

/// Workers on one thread of this process.
struct Crowd {
    thread: thread::JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Crowd {
    fn start(address: &str, workers: u32) -> Result<Self, Failure> {
        let address: Address = address.parse().map_err(syngrad_common::Failure::from)?;
        let configs = (0..workers).map(|number| {
            let partner = PartnerName::parse(&format!("partner-{number}")).expect("a short name of plain letters");
            syngrad_worker::Config::new(address.clone(), ClientSecurity::InsecureLoopback, partner)
        });
        let configs: Vec<_> = configs.collect::<Result<_, _>>()?;
        let runtime = runtime::light()?;
        let (end, ended) = oneshot::channel();
        let work = move || {
            LocalSet::new().block_on(&runtime, async {
                let mut crowd = JoinSet::new();
                for config in configs {
                    crowd.spawn_local(syngrad_worker::join(
                        config,
                        |_: syngrad_worker::Line| {},
                        std::future::pending(),
                    ));
                }
                // Sent or dropped, both mean the end; all of them are dropped with it.
                let _ = ended.await;
            });
        };
        let thread = thread::Builder::new().name("crowd".to_owned()).spawn(work);
        let thread = thread.map_err(|why| Failure::io("starting the thread of the workers", &why))?;
        Ok(Self { thread, end })
    }

    fn end(self) {
        drop(self.end);
        // A panic has been printed by then.
        let _ = self.thread.join();
    }
}

impl Report for ScaleReport {
    fn text(&self) -> String {
        let mut text = rows(
            ["workers", "memory", "beside the first", "round p50", "round p99"],
            &["workers", "memory", "beside the first", "round p50", "round p99"],
            self.rows.iter().map(|row| {
                [
                    row.workers.to_string(),
                    mib(row.resident),
                    format!("{:.2} ×", row.ratio),
                    format!("{:.2} ms", row.round_ms_p50),
                    format!("{:.2} ms", row.round_ms_p99),
                ]
            }),
        );
        text.push_str(&format!("{} params, {} rounds each\n", thousands(self.params), thousands(self.rounds.into())));
        text
    }
}
