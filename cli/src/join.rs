//! `worker join`: works for a coordinator until it is asked to end.

use serde::Serialize;
use syngrad_common::transport::{Address, ClientSecurity};
use syngrad_engine::{PartnerName, WorkerId};
use syngrad_worker::{Config, Line, Tone};

use crate::args::JoinArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::{runtime, scheduling, serve, signals, worker};

/// A line of the worker's, for the programs that follow along.
#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    code: Option<&'static str>,
    text: &'a str,
}

pub(crate) fn run(args: &JoinArgs, output: Output) -> Result<Exit, Failure> {
    if !args.insecure {
        return Err(Failure::missing_insecure("a worker"));
    }
    serve::log(output, "warn")?;
    let config = config(args)?;
    if let Some(core) = args.core {
        scheduling::keep_to(core)?;
    }
    // Where the system does not do that, rounds are a little longer, and that is all.
    let _ = scheduling::as_batch();
    runtime::light()?.block_on(async {
        let shutdown = signals::shutdown(args.stdin)?;
        syngrad_worker::join(config, |line: Line| tell(output, &line), shutdown).await?;
        Ok(Exit::Ok)
    })
}

fn config(args: &JoinArgs) -> Result<Config, Failure> {
    let address: Address = args.address.parse().map_err(syngrad_common::Failure::from)?;
    let partner = PartnerName::parse(&args.partner).map_err(|why| Failure::usage(&why))?;
    let drawn = Config::new(address, ClientSecurity::InsecureLoopback, partner)?;
    let worker = args.identity.map_or(drawn.worker, |identity| WorkerId(identity.into_bytes()));
    let name = args.identity.map_or_else(|| args.partner.clone(), |identity| identity.to_string());
    let (policy, state) = (worker::policy(&args.own)?, worker::state(&args.own, name)?);
    let config = Config { worker, device: args.device, policy, state, ..drawn };
    Ok(match &args.data {
        Some(folder) => config.with_data(folder)?,
        None => config,
    })
}

fn tell(output: Output, line: &Line) {
    let code = line.code.map(|code| code.as_str());
    let (event, mark) = match line.tone {
        Tone::Fine => ("fine", String::new()),
        Tone::Trouble => ("trouble", code.map_or_else(|| "! ".to_owned(), |code| format!("! {code} "))),
    };
    output.event(&Told { event, code, text: &line.text });
    output.say(&format!("{mark}{}", line.text));
}
