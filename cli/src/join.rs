//! `worker join` and `worker serve`: works for a coordinator until it is asked to end.

mod enrolment;

use std::path::{Path, PathBuf};

use serde::Serialize;
use syngrad_common::Code;
use syngrad_common::transport::{Address, ClientSecurity};
use syngrad_engine::{PartnerName, WorkerId};
use syngrad_worker::{Config, Line, Tone};

use crate::args::{JoinArgs, WorkArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::{runtime, scheduling, serve, signals, worker};
use enrolment::{Enrolled, agree, ticket};

/// A line of the worker's, for the programs that follow along.
#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    code: Option<&'static str>,
    text: &'a str,
}

/// `worker join`.
pub(crate) fn run(args: &JoinArgs, output: Output) -> Result<Exit, Failure> {
    serve::log(output, "warn")?;
    if args.insecure {
        return work(insecure(args)?, None, &args.work, output);
    }
    let ticket = ticket(args)?;
    let state = worker::folder_of(&args.work.own, ticket.invited.name())?;
    let runtime = runtime::light()?;
    let (enrolled, config) = runtime.block_on(async {
        let enrolled = Enrolled::with_ticket(&ticket, &state).await?;
        let address = enrolled.address().await;
        output.say(&format!("joined {} as a worker of {}", ticket.consortium, enrolled.partner()));
        agree(enrolled.terms(&address).await?.as_ref(), args.accept, output)?;
        let config = enrolled.config(address)?;
        Ok::<_, Failure>((enrolled, config))
    })?;
    drop(runtime);
    work(config, Some(&enrolled), &args.work, output)
}

/// Whether a worker has joined with the state folder at `path`.
pub(crate) fn has_joined(path: &Path) -> bool {
    enrolment::folder(path).load().is_ok()
}

/// `worker serve`.
pub(crate) fn again(args: &WorkArgs, output: Output) -> Result<Exit, Failure> {
    serve::log(output, "warn")?;
    let enrolled = Enrolled::recalled(&joined(args)?)?;
    let address = runtime::light()?.block_on(enrolled.address());
    work(enrolled.config(address)?, Some(&enrolled), args, output)
}

/// The state folder of the worker that joined.
fn joined(args: &WorkArgs) -> Result<PathBuf, Failure> {
    match &args.own.state {
        Some(folder) => Ok(folder.clone()),
        None => worker::only_joined(),
    }
}

fn work(config: Config, enrolled: Option<&Enrolled>, args: &WorkArgs, output: Output) -> Result<Exit, Failure> {
    let config = Config { device: args.device, policy: worker::policy(&args.own)?, ..config };
    let config = match &args.data {
        Some(folder) => config.with_data(folder)?,
        None => config,
    };
    if let Some(core) = args.core {
        scheduling::keep_to(core)?;
    }
    // Where the system does not do that, rounds are a little longer, and that is all.
    let _ = scheduling::as_batch();
    runtime::light()?.block_on(async {
        let shutdown = signals::shutdown(args.stdin)?;
        let working = syngrad_worker::join(config, |line: Line| tell(output, &line), shutdown);
        let renewing = async {
            match enrolled {
                Some(enrolled) => {
                    enrolled.stay_good(|why| output.say(&format!("! {} not renewed yet: {why}", why.code()))).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            worked = working => worked?,
            () = renewing => return Err(Failure::new(Code::Internal, "renewing the credentials ended")),
        }
        Ok(Exit::Ok)
    })
}

fn insecure(args: &JoinArgs) -> Result<Config, Failure> {
    let (Some(address), Some(partner)) = (&args.ticket, &args.partner) else {
        return Err(Failure::usage(&"--insecure needs the coordinator's address and a --partner"));
    };
    let address: Address = address.parse().map_err(syngrad_common::Failure::from)?;
    let name = PartnerName::parse(partner).map_err(|why| Failure::usage(&why))?;
    let drawn = Config::new(address, ClientSecurity::InsecureLoopback, name)?;
    let id = args.identity.map_or(drawn.worker, |identity| WorkerId(identity.into_bytes()));
    let own = args.identity.map_or_else(|| partner.clone(), |identity| identity.to_string());
    Ok(Config { worker: id, state: worker::state(&args.work.own, own)?, ..drawn })
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
