//! `worker doctor`: what a worker needs of this machine, its partner and its coordinator, before it joins.
//!
//! The speed of the line up is not a row: no call of the protocol takes bytes for nothing, and none is invented for it. The
//! rounds of a run say it.

use std::path::Path;
use std::time::{Duration, Instant};

use syngrad_common::limits::CONNECT_TIMEOUT;
use syngrad_common::transport::{self, Address, ClientSecurity};
use syngrad_worker::{Met, PolicyInForce, preflight, read_data, try_state};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{Check, State, machine, show, speed};
use crate::args::{PreflightArgs, SpecFlags};
use crate::demo::spec::demo_spec;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::thousands;
use crate::{runtime, worker};

/// Free memory that a worker of a small model is comfortable in.
const COMFORTABLE_BYTES: u64 = 256 << 20;
/// A way to the coordinator and back that makes short rounds long.
const FAR: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &PreflightArgs, output: Output) -> Result<Exit, Failure> {
    let spec = demo_spec(SpecFlags::default())?;
    let policy = worker::policy(&args.own);
    let mut checks = vec![
        machine::processor(),
        machine::cores(),
        memory(policy.as_ref().ok()),
        speed(spec.spec(), args.device),
        rules(policy),
        state(args),
    ];
    checks.extend(args.data.as_deref().map(data));
    if let Some(address) = &args.address {
        let address: Address = address.parse().map_err(syngrad_common::Failure::from)?;
        if !args.insecure {
            return Err(Failure::missing_insecure("a worker"));
        }
        checks.extend(runtime::light()?.block_on(way(args, &address, ClientSecurity::InsecureLoopback)));
    }
    Ok(show(checks, output))
}

fn memory(policy: Option<&PolicyInForce>) -> Check {
    let allowed = policy.and_then(|policy| policy.policy.memory());
    machine::memory(allowed.map_or(COMFORTABLE_BYTES, |allowed| allowed.max(COMFORTABLE_BYTES)))
}

fn rules(policy: Result<PolicyInForce, Failure>) -> Check {
    const WHAT: &str = "policy";
    match policy {
        Ok(policy) => Check::well(WHAT, policy.to_string()),
        Err(why) => {
            Check::ill(WHAT, State::Broken, why.to_string(), "correct the file; examples/policy.toml has every key")
        }
    }
}

fn state(args: &PreflightArgs) -> Check {
    const WHAT: &str = "state folder";
    let place = worker::state(&args.own, args.partner.to_string());
    match place.and_then(|place| Ok(try_state(&place)?)) {
        Ok(Some(folder)) => Check::well(WHAT, folder.display().to_string()),
        Ok(None) => {
            let fix = "leave --no-state out, if it shall be seen what leaves";
            Check::ill(WHAT, State::Slow, "none: what leaves is written down nowhere", fix)
        }
        Err(why) => {
            let fix = "look after the rights and the length of the path, or name another folder with --state";
            Check::ill(WHAT, State::Broken, why.to_string(), fix)
        }
    }
}

fn data(folder: &Path) -> Check {
    const WHAT: &str = "own samples";
    match read_data(folder) {
        Ok(data) => {
            let (samples, inputs) = (thousands(data.samples() as u64), thousands(data.inputs() as u64));
            Check::well(WHAT, format!("{samples} of {inputs} features in {}", folder.display()))
        }
        Err(why) => {
            let fix =
                "name the folder with train-images-idx3-ubyte and train-labels-idx1-ubyte, which this user may read";
            Check::ill(WHAT, State::Broken, why.to_string(), fix)
        }
    }
}

/// The way to the coordinator, as far as it goes: what lies behind an obstacle is not looked at.
async fn way(args: &PreflightArgs, address: &Address, security: ClientSecurity) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Err(why) = transport::permit(address, &security) {
        let fix = "an address of this machine: without TLS nothing may leave it";
        checks.push(Check::ill("address", State::Broken, why.to_string(), fix));
        return checks;
    }
    // Between TCP and the protocol a protected connection has its own rows.
    for check in [name(address).await, connection(address).await, protocol(args, address, security).await] {
        let is_obstacle = check.state == State::Broken;
        checks.push(check);
        if is_obstacle {
            break;
        }
    }
    checks
}

async fn name(address: &Address) -> Check {
    const WHAT: &str = "DNS";
    match lookup_host(address.to_string())
        .await
        .map(|found| found.map(|found| found.ip().to_string()).collect::<Vec<_>>())
    {
        Ok(found) if !found.is_empty() => Check::well(WHAT, found.join(", ")),
        Ok(_) => Check::ill(WHAT, State::Broken, "the name has no address", "ask the operator for the address"),
        Err(why) => Check::ill(WHAT, State::Broken, why.to_string(), "check the name, or this machine's DNS settings"),
    }
}

async fn connection(address: &Address) -> Check {
    const WHAT: &str = "TCP";
    let began = Instant::now();
    let fix =
        "ask the operator whether the coordinator runs there; let this machine connect to that port (firewall, proxy)";
    match timeout(CONNECT_TIMEOUT, TcpStream::connect(address.to_string())).await {
        Ok(Ok(_)) => Check::well(WHAT, format!("connected in {:.1} ms", began.elapsed().as_secs_f64() * 1e3)),
        Ok(Err(why)) => Check::ill(WHAT, State::Broken, why.to_string(), fix),
        Err(_) => Check::ill(WHAT, State::Broken, format!("no answer within {CONNECT_TIMEOUT:?}"), fix),
    }
}

async fn protocol(args: &PreflightArgs, address: &Address, security: ClientSecurity) -> Check {
    const WHAT: &str = "protocol";
    match preflight(address, security, args.partner.clone()).await {
        Ok(Met { protocol, build, took }) => {
            let found = format!("{protocol}, with {build}, answered in {:.1} ms", took.as_secs_f64() * 1e3);
            match took < FAR {
                true => Check::well(WHAT, found),
                false => Check::ill(WHAT, State::Slow, found, "a coordinator that is nearer: each round waits so long"),
            }
        }
        Err(why) => {
            let fix = why.code.next_step().split_whitespace().collect::<Vec<_>>().join(" ");
            Check::ill(WHAT, State::Broken, format!("{}: {why}", why.code), fix)
        }
    }
}
