//! A coordinator and a worker as tasks of the test's own process, for tests of many short runs.

use std::path::Path;

use syngrad::client::{Client, RunStatus, Target};
use syngrad::failure::Failure as Told;
use syngrad_common::Failure;
use syngrad_common::transport::{self, Address, ClientSecurity, ServerSecurity};
use syngrad_coordinator::{Config, State};
use syngrad_engine::PartnerName;
use syngrad_worker::Line;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Opens the state in `folder` and brings the run that is unfinished there to its end with one worker; its last status,
/// or none if there is no run.
///
/// # Errors
/// Why the coordinator does not start, or why it ended before the run did.
///
/// # Panics
/// If the machine gives no runtime or no port, or the worker ends by itself.
pub fn finish(folder: &Path) -> Result<Option<RunStatus>, Failure> {
    finish_with(folder, |_| {})
}

/// As [`finish`]; `seen` is shown each status.
///
/// # Errors
/// As [`finish`].
///
/// # Panics
/// As [`finish`].
pub fn finish_with(folder: &Path, seen: impl FnMut(&RunStatus)) -> Result<Option<RunStatus>, Failure> {
    let state = State::open(folder)?;
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = transport::listen(any, &ServerSecurity::InsecureLoopback).await.expect("a free port");
        let address = Address::from(listener.local_addr().expect("bound"));
        let (end, ended) = oneshot::channel::<()>();
        let serving = syngrad_coordinator::serve(listener, Config::default(), state, async {
            // Dropped or sent, both mean the end.
            let _ = ended.await;
        });
        let partner = PartnerName::parse("alpha").expect("a name");
        let worker = syngrad_worker::Config::new(address.clone(), ClientSecurity::InsecureLoopback, partner)?;
        let working = syngrad_worker::join(worker, |_: Line| {}, std::future::pending());
        let following = async {
            let followed = follow(&address.to_string(), seen).await;
            drop(end);
            followed
        };
        tokio::pin!(serving, working, following);
        tokio::select! {
            served = &mut serving => served.map(|()| None),
            worked = &mut working => panic!("the worker ended by itself: {worked:?}"),
            followed = &mut following => {
                tokio::select! {
                    served = &mut serving => served?,
                    worked = &mut working => panic!("the worker ended by itself: {worked:?}"),
                }
                Ok(followed.unwrap_or_else(|why| panic!("the coordinator listens and does not answer: {why}")))
            }
        }
    })
}

/// Follows the newest run to its end, or to the coordinator's; the last status.
async fn follow(address: &str, mut seen: impl FnMut(&RunStatus)) -> Result<Option<RunStatus>, Told> {
    let mut client = Client::connect(&Target::insecure(address)?).await?;
    if client.list().await?.is_empty() {
        return Ok(None);
    }
    let mut watch = client.watch(None).await?;
    let mut last = None;
    while let Some(status) = watch.next().await? {
        seen(&status);
        let over = status.phase.is_over();
        last = Some(status);
        if over {
            break;
        }
    }
    Ok(last)
}
