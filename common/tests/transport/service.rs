//! A coordinator that only counts who asks it what.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use syngrad_common::identity::testing::Consortium;
use syngrad_common::identity::{Credentials, UnixTime};
use syngrad_common::transport::{
    self, AcceptLimits, Address, Caller, ClientSecurity, ConnectionCounters, ConnectionCounts, Everybody,
    LiveCredentials, LiveServer, ServerCredentials, ServerSecurity, Standing, TransportError,
};
use syngrad_common::{Failure, status};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::enrolment_service_client::EnrolmentServiceClient;
use syngrad_proto::syngrad::v1::enrolment_service_server::{EnrolmentService, EnrolmentServiceServer};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// What the service saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    requests: AtomicUsize,
    callers: Mutex<Vec<Caller>>,
}

impl Seen {
    /// Requests of which a header was read.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Who made the last request whose body was read.
    pub(crate) fn last(&self) -> Caller {
        self.callers.lock().expect("nobody panics with it").last().cloned().expect("somebody asked")
    }
}

struct Counting(Arc<Seen>);

#[tonic::async_trait]
impl EnrolmentService for Counting {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        let caller = request.extensions().get::<Caller>().cloned().expect("every connection knows its caller");
        self.0.callers.lock().expect("nobody panics with it").push(caller);
        Ok(Response::new(v1::EnrolResponse::default()))
    }

    /// Never answers: a call that is open until its connection ends.
    async fn renew(&self, _: Request<v1::RenewRequest>) -> Result<Response<v1::RenewResponse>, Status> {
        std::future::pending().await
    }
}

/// A server with that service, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: Address,
    pub(crate) socket: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    pub(crate) live: LiveServer,
    counters: Arc<ConnectionCounters>,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// A server of `consortium` that lets everybody in whose certificate is good.
    pub(crate) async fn start(consortium: &Consortium) -> Self {
        Self::start_with(consortium, Arc::new(Everybody::default()), AcceptLimits::default()).await
    }

    pub(crate) async fn start_with(consortium: &Consortium, standing: Arc<dyn Standing>, limits: AcceptLimits) -> Self {
        let older = &consortium.roots;
        let shown = ServerCredentials::issue(&consortium.authority, older, &consortium.addresses, UnixTime::now());
        Self::show(shown.expect("an authority that signs"), standing, limits).await
    }

    pub(crate) async fn show(shown: ServerCredentials, standing: Arc<dyn Standing>, limits: AcceptLimits) -> Self {
        let live = LiveServer::new(shown, standing).expect("they fit");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let socket = listener.local_addr().expect("an address");
        let seen = Arc::new(Seen::default());
        let counters = Arc::new(ConnectionCounters::default());
        let incoming = transport::accept(listener, ServerSecurity::Mutual(live.clone()), limits, counters.clone());
        let counted = seen.clone();
        let service = EnrolmentServiceServer::with_interceptor(Counting(seen.clone()), move |request| {
            counted.requests.fetch_add(1, Ordering::SeqCst);
            Ok(request)
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let server = transport::server().add_service(service).serve_with_incoming_shutdown(incoming, async {
            let _ = stopped.await;
        });
        tokio::spawn(server);
        Self { address: socket.into(), socket, seen, live, counters, _stop: stop }
    }

    pub(crate) fn counts(&self) -> ConnectionCounts {
        self.counters.counts()
    }
}

/// A client of that service.
#[derive(Debug)]
pub(crate) struct Asking(EnrolmentServiceClient<Channel>);

impl Asking {
    pub(crate) async fn connect(address: &Address, security: &ClientSecurity) -> Result<Self, Failure> {
        let connected = transport::connect(address, security).await;
        connected.map(EnrolmentServiceClient::new).map(Self).map_err(|error: TransportError| error.into())
    }

    pub(crate) async fn holding(address: &Address, credentials: Credentials) -> Result<Self, Failure> {
        let live = LiveCredentials::new(credentials).expect("they can be used");
        Self::connect(address, &ClientSecurity::Mutual(live)).await
    }

    pub(crate) async fn ask(&mut self) -> Result<(), Failure> {
        let answer = self.0.enrol(v1::EnrolRequest { build: "x".repeat(1000), ..Default::default() }).await;
        answer.map(|_| ()).map_err(|status| status::read(&status))
    }

    /// Waits for an answer that never comes: for the end of the connection.
    pub(crate) async fn ended(mut self) -> Failure {
        let status = self.0.renew(v1::RenewRequest::default()).await.expect_err("it is never answered");
        status::read(&status)
    }
}
