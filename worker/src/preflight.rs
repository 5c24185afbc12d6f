//! A visit to a coordinator, to see whether it could be worked for.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use syngrad_common::limits::{HANDSHAKE_TIMEOUT, PROTOCOL_MAX, PROTOCOL_MIN};
use syngrad_common::transport::{Address, ClientSecurity};
use syngrad_common::wire::{Hello, ToCoordinator, ToWorker};
use syngrad_common::{Code, Failure};
use syngrad_engine::PartnerName;
use tokio::time::timeout;

use crate::config::Config;
use crate::guard::{Border, Journal, PolicyInForce, StateFolder, StatePlace, unusable};
use crate::link::{Happening, Link};

/// A coordinator that was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// The protocol number that it chose.
    pub protocol: u32,
    /// Its release and commit.
    pub build: String,
    /// Time from the Hello to its answer.
    pub took: Duration,
}

/// Says Hello to the coordinator at `address` as a new worker of `partner`, and leaves. It is told nothing else.
///
/// # Errors
/// [`Failure`] if it cannot be reached, or does not want such a worker.
pub async fn preflight(address: &Address, security: ClientSecurity, partner: PartnerName) -> Result<Met, Failure> {
    let config = Config::new(address.clone(), security, partner)?;
    let late = || Failure::new(Code::HandshakeTimeout, format!("no answer came within {HANDSHAKE_TIMEOUT:?}"));
    timeout(HANDSHAKE_TIMEOUT, visit(config)).await.map_err(|_| late())?
}

async fn visit(config: Config) -> Result<Met, Failure> {
    let mut link = Link::new(config.address, config.security, Journal::none());
    link.dial();
    let mut began = Instant::now();
    loop {
        match link.next().await {
            Happening::Connected => {
                began = Instant::now();
                link.send(ToCoordinator::Hello(Hello {
                    protocol_min: PROTOCOL_MIN,
                    protocol_max: PROTOCOL_MAX,
                    build: config.build.clone(),
                    worker: config.worker,
                    partner: config.partner.clone(),
                    resume: None,
                }))?;
            }
            Happening::Message(ToWorker::Welcome(welcome)) => {
                let took = began.elapsed();
                link.send(ToCoordinator::Leave { why: "it was only a visit".to_owned() })?;
                link.finish().await;
                return Ok(Met { protocol: welcome.protocol, build: welcome.build, took });
            }
            Happening::Message(ToWorker::Refused(refused)) => return Err(Failure::new(refused.code, refused.why)),
            Happening::Lost(failure) => return Err(failure),
            Happening::Message(
                ToWorker::RunOpened(_)
                | ToWorker::RoundOpened(_)
                | ToWorker::Frame(_)
                | ToWorker::Leased(_)
                | ToWorker::Answer(_)
                | ToWorker::RunClosed(_)
                | ToWorker::Receipt(_)
                | ToWorker::Heartbeat,
            ) => {}
        }
    }
}

/// Opens what a worker would keep in `place`, and gives it back; where that would be, if anywhere.
///
/// # Errors
/// [`Failure`] that names the file that cannot be had.
pub fn try_state(place: &StatePlace) -> Result<Option<PathBuf>, Failure> {
    let (found, tried) = match place {
        StatePlace::Nowhere => return Ok(None),
        StatePlace::Folder(folder) => (folder.clone(), folder.clone()),
        // A folder of its own would look like that of a worker.
        StatePlace::Own { root, name } => (root.join(name), root.join(format!(".preflight-{}", std::process::id()))),
    };
    let is_ours = !tried.exists();
    let folder = StateFolder::open(&StatePlace::Folder(tried.clone()))?;
    let border = Border::new(PolicyInForce::default(), folder)?;
    border.close();
    drop(border);
    if is_ours {
        std::fs::remove_dir_all(&tried).map_err(|why| unusable("removing", &tried, &why))?;
    }
    Ok(Some(found))
}
