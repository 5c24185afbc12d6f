//! The whole coordinator on one listener: the caller binds it and decides when it ends.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use syngrad_common::transport::{self, ServerSecurity};
use syngrad_common::{Code, Failure};
use syngrad_engine::consortium::Consortium;
use syngrad_store::{Folder, Left};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::access::{AccessLayer, Paces};
use crate::config::{Config, default_state_dir};
use crate::driver::{Driver, Message};
use crate::governance::{Governance, Office, Standing};
use crate::rpc;
use crate::served::ServedModel;
use crate::serving;

/// Time for open connections to end once everyone has been told.
const CLOSING: Duration = Duration::from_secs(5);

/// The service whose health says whether a model answers predictions.
const INFERENCE: &str = "inference.GRPCInferenceService";

/// The services that answer from the start.
const SERVICES: [&str; 6] = [
    "",
    "syngrad.v1.TrainingService",
    "syngrad.v1.RunService",
    "syngrad.v1.EnrolmentService",
    "syngrad.v1.PartnerService",
    "syngrad.v1.ReceiptService",
];

/// What the coordinator goes on from.
#[derive(Debug)]
pub struct State(Option<Kept>);

/// A state folder, opened.
#[derive(Debug)]
struct Kept {
    folder: Folder,
    left: Left,
    /// Who takes part, if a consortium was founded here.
    office: Option<Office>,
}

impl State {
    /// None: what happens is forgotten when the process ends.
    #[must_use]
    pub fn forgotten() -> Self {
        Self(None)
    }

    /// As [`State::open`]; where no folder is named, in [`default_state_dir`].
    ///
    /// # Errors
    /// As [`State::open`], and if no folder is named and the system has none for this user.
    pub fn open_named_or_own(folder: Option<&Path>) -> Result<Self, Failure> {
        let nowhere = "the environment names no folder for state: name one with --state, or keep none with --no-state";
        match folder.map(Path::to_owned).or_else(default_state_dir) {
            Some(folder) => Self::open(&folder),
            None => Err(Failure::new(Code::Usage, nowhere)),
        }
    }

    /// What is in `folder`, where everything is kept from now on. Nobody else can open it meanwhile. Blocks, and may not
    /// be called from an asynchronous task.
    ///
    /// # Errors
    /// [`Failure`] when another coordinator has the folder, or what is in it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder;
        let folder = Folder::open(path).map_err(Failure::from)?;
        let left = folder.left().map_err(Failure::from)?;
        let office = Office::open(path, &folder)?;
        Ok(Self(Some(Kept { folder, left, office })))
    }

    /// How connections are protected by the consortium that was founded here.
    ///
    /// # Errors
    /// [`Failure`] if none was, or a certificate cannot be made.
    pub fn security(&mut self) -> Result<ServerSecurity, Failure> {
        let office = self.0.as_mut().and_then(|kept| kept.office.as_mut());
        let none = || {
            let why = "no consortium was founded in the state folder, so nobody could show a certificate of it";
            Failure::new(Code::NoConsortium, why)
        };
        office.ok_or_else(none)?.protect().map(ServerSecurity::Mutual)
    }
}

/// Serves workers, operators and clients on `listener` until `shutdown` completes; then commits the open round if that
/// takes only seconds, tells everyone that they may come back, and returns.
///
/// # Errors
/// [`Failure`] when the listener's address is not one that the configuration allows, or the server breaks.
pub async fn serve(
    listener: TcpListener,
    mut config: Config,
    state: State,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Failure> {
    let address = listener
        .local_addr()
        .map_err(|error| Failure::new(Code::CannotListen, format!("the listener has no address: {error}")))?;
    transport::permit_listening(address, &config.security)?;
    let incoming = transport::accept(listener, config.security.clone(), config.connections, config.counters.clone());
    let device = config.device;
    let (kept, office) = match state.0 {
        Some(Kept { folder, left, office }) => (Some((folder, left)), office),
        None => (None, None),
    };
    // Nobody is asked who comes where connections are not protected: there is nothing to govern, and nobody's key is known.
    let office = office.filter(|_| matches!(config.security, ServerSecurity::Mutual(_)));
    if let Some(office) = &office {
        config.log = Some(office.log()?);
    }
    let (signers, log, patience) = (config.signers.clone(), config.log.clone(), config.patience);
    let reader = kept.as_ref().map(|(folder, _)| folder.reader());
    let standing = office.as_ref().map_or_else(|| Standing::of(Consortium::default()), Office::standing);
    let (mut driver, handle) = Driver::new(config, standing.clone());
    let office = office.map(|office| office.telling(handle.inbox.downgrade()));
    let governance = office.map(Governance::start).transpose().map_err(|why| no_thread(&why))?;
    match kept {
        Some((folder, left)) => driver.keep_in(folder, left)?,
        None => tracing::warn!("no state is kept: runs are forgotten when this process ends"),
    }
    let (health, health_service) = tonic_health::server::health_reporter();
    let mut routes = Routes::builder();
    routes.add_service(health_service);
    let paces = Paces::new();
    let needs = rpc::Needs { patience, paces: paces.clone(), governance, signers, log, reader };
    rpc::add_to(&mut routes, &handle, needs);
    add_reflection(&mut routes)?;
    serving::add_to(&mut routes, handle.served.clone(), device)?;
    let reporting = tokio::spawn(report_health(health, handle.served.clone()));
    let mut working = tokio::spawn(driver.work());
    let (close, closed) = oneshot::channel::<()>();
    let services = AccessLayer::new(standing, paces).layer(routes.routes().prepare());
    let server = transport::server().serve_with_incoming_shutdown(services, incoming, async {
        // Dropped or sent, both mean the end.
        let _ = closed.await;
    });
    tokio::pin!(server);
    tracing::info!(%address, "listening");
    let broke = |error| Failure::new(Code::Internal, format!("the server broke: {}", transport::root_cause(&error)));
    let worked = tokio::select! {
        outcome = &mut server => {
            reporting.abort();
            return outcome.map_err(broke);
        }
        () = shutdown => {
            tracing::info!("shutting down");
            // A driver that is gone has nothing left to drain.
            let _ = handle.tell(Message::Drain).await;
            (&mut working).await
        }
        worked = &mut working => worked,
    };
    drop(close);
    // Everyone has been told; whoever does not hang up is hung up on.
    let closed = timeout(CLOSING, server).await.unwrap_or(Ok(()));
    reporting.abort();
    worked.map_err(|error| Failure::new(Code::Internal, format!("the driver broke: {error}")))??;
    closed.map_err(broke)
}

fn no_thread(why: &io::Error) -> Failure {
    Failure::new(Code::Internal, format!("the thread of the office cannot start: {why}"))
}

/// Health of the whole and of each service: trainable always, answering predictions once a model is served.
async fn report_health(health: HealthReporter, mut served: watch::Receiver<Option<Arc<ServedModel>>>) {
    for service in SERVICES {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
    health.set_service_status(INFERENCE, ServingStatus::NotServing).await;
    if served.wait_for(Option::is_some).await.is_ok() {
        health.set_service_status(INFERENCE, ServingStatus::Serving).await;
    }
}

/// Reflection in both versions: clients that are around speak one or the other.
fn add_reflection(routes: &mut RoutesBuilder) -> Result<(), Failure> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(rpc::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let broken = |error| Failure::new(Code::Internal, format!("the built-in descriptors cannot be read: {error}"));
    routes.add_service(builder().build_v1().map_err(broken)?);
    routes.add_service(builder().build_v1alpha().map_err(broken)?);
    Ok(())
}
