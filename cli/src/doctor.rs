//! `doctor`: can this machine train, and how fast? Every row that is not well says what would mend it.

mod machine;
pub(crate) mod worker;

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use serde::Serialize;
use syngrad_dataset::Dataset;
use syngrad_dataset::mnist;
use syngrad_engine::spec::{DataSpec, Evaluation, Partition};
use syngrad_engine::{Plan, RunSpec};
use syngrad_model::{Device, fingerprint, reference};

use crate::args::{DoctorArgs, SpecFlags};
use crate::demo::spec::demo_spec;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::data_dir;
use crate::output::{Output, Report};
use crate::table::{rows, thousands};

/// Free memory that a coordinator and three workers are comfortable in.
const COMFORTABLE_BYTES: u64 = 1 << 30;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Well,
    /// It works, but less well than it could.
    Slow,
    /// It does not work.
    Broken,
}

#[derive(Serialize)]
pub(crate) struct Check {
    what: &'static str,
    state: State,
    found: String,
    /// What would mend it; empty if it is well.
    fix: String,
}

#[derive(Serialize)]
struct Doctor {
    checks: Vec<Check>,
}

impl Check {
    fn well(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, state: State::Well, found: found.into(), fix: String::new() }
    }

    fn ill(what: &'static str, state: State, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what, state, found: found.into(), fix: fix.into() }
    }
}

pub(crate) fn run(args: &DoctorArgs, output: Output) -> Result<Exit, Failure> {
    let spec = demo_spec(SpecFlags::default())?;
    let spec = spec.spec();
    let checks = vec![
        machine::processor(),
        machine::cores(),
        machine::memory(COMFORTABLE_BYTES),
        numerics(spec, args.device),
        files(args),
        port(),
        speed(spec, args.device),
    ];
    Ok(show(checks, output))
}

/// Shows the checks; the command fails if anything does not work.
fn show(checks: Vec<Check>, output: Output) -> Exit {
    let broken = checks.iter().any(|check| check.state == State::Broken);
    if broken {
        return output.failed_result(&Doctor { checks }, &Failure::failed_checks());
    }
    output.result(&Doctor { checks });
    Exit::Ok
}

/// Workers with equal fingerprints give equal bits.
fn numerics(spec: &RunSpec, device: Device) -> Check {
    const WHAT: &str = "numerics class";
    match Plan::new(spec, mnist::TRAIN) {
        Ok(plan) => Check::well(WHAT, format!("{device} {}", fingerprint(spec, &plan, device).short())),
        Err(why) => Check::ill(WHAT, State::Broken, why.to_string(), "report this: the demo's own spec has no plan"),
    }
}

fn files(args: &DoctorArgs) -> Check {
    let folder = data_dir(args.data.data_dir.as_deref());
    match mnist::verify(&folder) {
        Ok(_) => Check::well("MNIST", folder.display().to_string()),
        Err(why) => {
            let fix = format!("syngrad data fetch --data-dir {}", folder.display());
            Check::ill("MNIST", State::Broken, why.to_string(), fix)
        }
    }
}

fn port() -> Check {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) {
        Ok(_) => Check::well("loopback", "a port can be listened on"),
        Err(why) => {
            let fix = "allow this program to listen on 127.0.0.1 (sandbox, container or firewall rules)";
            Check::ill("loopback", State::Broken, why.to_string(), fix)
        }
    }
}

/// A short local training of the demo's network on synthetic samples.
fn speed(spec: &RunSpec, device: Device) -> Check {
    const WHAT: &str = "training";
    let spec = RunSpec {
        data: DataSpec::Synthetic { samples: 20_000, inputs: 784, classes: 10, partition: Partition::Iid {} },
        evaluation: Evaluation::default(),
        ..spec.clone()
    };
    match samples_per_second(&spec, device) {
        Ok(rate) if cfg!(debug_assertions) => {
            let fix = "this is a debug build: use cargo run --release";
            Check::ill(WHAT, State::Slow, format!("{} samples/s on one core", thousands(rate)), fix)
        }
        Ok(rate) => Check::well(WHAT, format!("{} samples/s on one core", thousands(rate))),
        Err(why) => Check::ill(WHAT, State::Broken, why.to_string(), "report this: the device cannot train here"),
    }
}

fn samples_per_second(spec: &RunSpec, device: Device) -> Result<u64, Failure> {
    let dataset =
        Dataset::load(&spec.data, spec.seed, &mnist::default_mnist_dir()).map_err(|why| Failure::data(&why))?;
    let plan = Plan::new(spec, dataset.train.len() as u32).map_err(|why| Failure::failed(&why))?;
    let mut spent = Duration::ZERO;
    let mut began = Instant::now();
    reference::train(spec, &dataset, device, |_| {
        spent += began.elapsed();
        began = Instant::now();
    })
    .map_err(|why| Failure::failed(&why))?;
    let samples = u64::from(plan.rounds()) * plan.samples_in_round();
    Ok((samples as f64 / spent.as_secs_f64()) as u64)
}

impl Report for Doctor {
    fn text(&self) -> String {
        rows(
            ["check", "state", "found", "what would mend it"],
            &[],
            self.checks.iter().map(|check| {
                let state = match check.state {
                    State::Well => "well",
                    State::Slow => "slow",
                    State::Broken => "broken",
                };
                [check.what.to_owned(), state.to_owned(), check.found.clone(), check.fix.clone()]
            }),
        )
    }
}
