//! A coordinator on a free port of this machine, and what an operator asks it.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use syngrad_common::Failure;
use syngrad_common::transport::{self, Address, ClientSecurity, ServerSecurity};
use syngrad_coordinator::{Config, Patience, State, serve};
use syngrad_engine::Digest;
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::run_service_client::RunServiceClient;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

/// A running coordinator.
pub(crate) struct Cluster {
    pub(crate) channel: Channel,
    pub(crate) address: Address,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), Failure>>,
}

impl Cluster {
    pub(crate) async fn start(patience: Patience) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = transport::listen(any, &ServerSecurity::InsecureLoopback).await.expect("a free port");
        let address = Address::from(listener.local_addr().expect("bound"));
        let (stop, stopped) = oneshot::channel();
        let config = Config { patience, ..Config::default() };
        let serving = tokio::spawn(serve(listener, config, State::forgotten(), async {
            let _ = stopped.await;
        }));
        let channel = transport::connect(&address, &ClientSecurity::InsecureLoopback).await.expect("it listens");
        Self { channel, address, stop, serving }
    }

    pub(crate) async fn connect(&self) -> Channel {
        transport::connect(&self.address, &ClientSecurity::InsecureLoopback).await.expect("it listens")
    }

    pub(crate) fn operator(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn start_run(&self, spec: &str) -> Result<Vec<u8>, tonic::Status> {
        let request = v1::StartRunRequest { spec: spec.to_owned(), wait_for_workers: 1 };
        Ok(self.operator().start_run(request).await?.into_inner().run.to_vec())
    }

    /// The first status of the newest run that satisfies `enough`, as the coordinator publishes it.
    pub(crate) async fn status_when(&self, enough: impl Fn(&v1::RunStatus) -> bool) -> v1::RunStatus {
        let request = v1::WatchRunRequest { run: Vec::new().into() };
        let mut watch = self.operator().watch_run(request).await.expect("there is a run").into_inner();
        loop {
            let message = watch.message().await.expect("the stream is whole").expect("not over yet");
            let status = message.status.expect("a status");
            if enough(&status) {
                return status;
            }
        }
    }

    pub(crate) async fn end_of_run(&self) -> v1::RunStatus {
        let over = [v1::RunPhase::Completed, v1::RunPhase::Stopped, v1::RunPhase::Failed];
        self.status_when(|status| over.contains(&status.phase())).await
    }

    /// Tells the coordinator to end; the answer is how it did.
    pub(crate) fn shut_down(self) -> impl Future<Output = Result<(), Failure>> {
        drop(self.stop);
        async { self.serving.await.expect("no panic") }
    }
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::try_from(bytes).expect("32 bytes")
}
