//! The operator's side of a coordinator: runs are started, read, followed and ended through here, and generated types
//! go no further.

mod partners;
mod receipts;
mod renewal;
mod status;
mod target;

use std::time::Duration;

use syngrad_common::Code;
use syngrad_common::limits::MAX_MESSAGE;
use syngrad_common::status as wire_status;
use syngrad_common::transport;
use syngrad_engine::RunId;
use syngrad_proto::syngrad::v1::run_service_client::RunServiceClient;
use syngrad_proto::syngrad::v1::{
    GetRunRequest, ListRunsRequest, StartRunRequest, StopRunRequest, WatchRunRequest, WatchRunResponse,
};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use crate::failure::Failure;

pub(crate) use partners::{Act, Invite, Partner, Partners, Role, Ruling};
pub use receipts::{Listing, Piece, Receipts, Shipment};
pub(crate) use renewal::{enrol, redeem, renew};
pub(crate) use status::rate;
pub use status::{Caught, ClassQuality, Counters, EvaluationPoint, Member, Phase, RoundTimes, RunStatus};
pub use target::Target;
pub(crate) use target::state_folder;

/// Time for an answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Time for an answer to the start of a run, whose data is loaded first.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// A connection to a coordinator's runs.
#[derive(Clone, Debug)]
pub struct Client {
    runs: RunServiceClient<Channel>,
}

/// The states of a run, one after another.
#[derive(Debug)]
pub struct Watch {
    stream: Streaming<WatchRunResponse>,
}

impl Client {
    /// Connects to a coordinator.
    ///
    /// # Errors
    /// If its address is not allowed without TLS, or nobody answers there.
    pub async fn connect(target: &Target) -> Result<Self, Failure> {
        let channel = channel(target).await?;
        let runs = RunServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Ok(Self { runs })
    }

    /// Starts a run of `spec`, TOML or JSON text, that waits for so many workers.
    ///
    /// # Errors
    /// If the spec is refused, or another run is active.
    pub async fn start(&mut self, spec: &str, wait_for_workers: u32) -> Result<RunId, Failure> {
        let request = StartRunRequest { spec: spec.to_owned(), wait_for_workers };
        let answer = within(START_DEADLINE, self.runs.start_run(request)).await?;
        status::run_id(&answer.run)
    }

    /// The status of a run, the newest if none is named.
    ///
    /// # Errors
    /// If there is no such run.
    pub async fn get(&mut self, run: Option<RunId>) -> Result<RunStatus, Failure> {
        let answer = within(DEADLINE, self.runs.get_run(GetRunRequest { run: status::name(run) })).await?;
        RunStatus::from_wire(answer.status)
    }

    /// All runs that the coordinator remembers, newest first.
    ///
    /// # Errors
    /// If the coordinator does not answer.
    pub async fn list(&mut self) -> Result<Vec<RunStatus>, Failure> {
        let answer = within(DEADLINE, self.runs.list_runs(ListRunsRequest {})).await?;
        answer.runs.into_iter().map(|run| RunStatus::from_wire(Some(run))).collect()
    }

    /// Ends a run, the newest if none is named; its status then.
    ///
    /// # Errors
    /// If there is no such run.
    pub async fn stop(&mut self, run: Option<RunId>) -> Result<RunStatus, Failure> {
        let answer = within(DEADLINE, self.runs.stop_run(StopRunRequest { run: status::name(run) })).await?;
        RunStatus::from_wire(answer.status)
    }

    /// Follows a run, the newest if none is named.
    ///
    /// # Errors
    /// If there is no such run.
    pub async fn watch(&mut self, run: Option<RunId>) -> Result<Watch, Failure> {
        let stream = within(DEADLINE, self.runs.watch_run(WatchRunRequest { run: status::name(run) })).await?;
        Ok(Watch { stream })
    }
}

impl Watch {
    /// The next state; none when the run is over and said so.
    ///
    /// # Errors
    /// If the coordinator breaks off.
    pub async fn next(&mut self) -> Result<Option<RunStatus>, Failure> {
        match self.stream.message().await {
            Ok(Some(message)) => RunStatus::from_wire(message.status).map(Some),
            Ok(None) => Ok(None),
            Err(status) => Err(failed(&status)),
        }
    }
}

/// Opens a channel to a coordinator.
pub(crate) async fn channel(target: &Target) -> Result<Channel, Failure> {
    let connect = || transport::connect(&target.address, &target.security);
    let channel = connect().await.map_err(syngrad_common::Failure::from)?;
    let Some((live, folder)) = target.to_renew() else { return Ok(channel) };
    renewal::renew(channel, live, folder).await?;
    Ok(connect().await.map_err(syngrad_common::Failure::from)?)
}

async fn within<T>(
    deadline: Duration,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    let too_late =
        |_| Failure::new(Code::DeadlineExceeded, format!("the coordinator has not answered in {deadline:?}"));
    let answer = timeout(deadline, answer).await.map_err(too_late)?;
    answer.map(Response::into_inner).map_err(|status| failed(&status))
}

/// A refusal of the other side in the words it came in.
pub(crate) fn failed(status: &Status) -> Failure {
    wire_status::read(status).into()
}
