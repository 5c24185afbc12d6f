//! A coordinator that does what a test says, over real gRPC.

pub(crate) mod work;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use syngrad_common::limits::MAX_MESSAGE;
use syngrad_common::transport::{self, AcceptLimits, Address, ClientSecurity, ServerSecurity};
use syngrad_common::wire::{FetchShard, Hello, ResumeToken, ToCoordinator, ToWorker, Welcome, shard_frame};
use syngrad_common::{Code, Failure, codec, status};
use syngrad_engine::{Digest, PartnerName};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::training_service_server::{TrainingService, TrainingServiceServer};
use syngrad_worker::{Config, Line, Patience, join};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

type Answers<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the coordinator gives for each shard, in turn; the last answer is repeated.
#[derive(Debug, Default)]
pub(crate) struct Shards {
    answers: BTreeMap<Digest, VecDeque<Bytes>>,
    /// Requests so far.
    pub(crate) fetched: Vec<FetchShard>,
}

impl Shards {
    pub(crate) fn offer(&mut self, shard: Digest, answers: &[&[u8]]) {
        self.answers.insert(shard, answers.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect());
    }
}

struct Service {
    sessions: mpsc::UnboundedSender<Peer>,
    shards: Arc<Mutex<Shards>>,
}

#[tonic::async_trait]
impl TrainingService for Service {
    type SessionStream = Answers<v1::SessionResponse>;
    type FetchShardStream = Answers<v1::FetchShardResponse>;

    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (say, said) = mpsc::unbounded_channel();
        // A test that has ended wants no more sessions.
        let _ = self.sessions.send(Peer { inbound: request.into_inner(), heard: Vec::new(), say });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(said))))
    }

    async fn fetch_shard(
        &self,
        request: Request<v1::FetchShardRequest>,
    ) -> Result<Response<Self::FetchShardStream>, Status> {
        let request = FetchShard::try_from(request.into_inner()).expect("a worker asks properly");
        let mut shards = self.shards.lock().expect("no test panics with it");
        shards.fetched.push(request.clone());
        let not_leased = || status::of(&Failure::new(Code::ShardNotLeased, "no such shard"));
        let answers = shards.answers.get_mut(&request.shard).ok_or_else(not_leased)?;
        let bytes = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let frames = codec::frames(&bytes.expect("an answer is left")).map(|frame| Ok(shard_frame(frame)));
        Ok(Response::new(Box::pin(tokio_stream::iter(frames.collect::<Vec<_>>()))))
    }
}

/// One session, from the coordinator's side. Dropping it cuts it.
pub(crate) struct Peer {
    inbound: Streaming<v1::SessionRequest>,
    /// Everything that was said to it, signs of life included, as it was encoded.
    pub(crate) heard: Vec<v1::SessionRequest>,
    say: mpsc::UnboundedSender<Result<v1::SessionResponse, Status>>,
}

impl Peer {
    pub(crate) fn say(&self, message: ToWorker) {
        self.say.send(Ok(message.into())).expect("the session is up");
    }

    /// The next message that is no sign of life; none when the worker has hung up.
    pub(crate) async fn hear(&mut self) -> Option<ToCoordinator> {
        loop {
            let request = self.inbound.next().await?.ok()?;
            self.heard.push(request.clone());
            let message = ToCoordinator::try_from(request).expect("a worker speaks properly");
            if message != ToCoordinator::Heartbeat {
                return Some(message);
            }
        }
    }

    /// The payload that follows an announcement of so many bytes.
    pub(crate) async fn payload(&mut self, bytes: u64) -> Vec<u8> {
        let mut payload = Vec::new();
        while (payload.len() as u64) < bytes {
            let Some(ToCoordinator::Frame(frame)) = self.hear().await else { panic!("a frame follows") };
            payload.extend_from_slice(&frame);
        }
        payload
    }

    /// Takes the Hello and welcomes the worker.
    pub(crate) async fn greet(&mut self) -> Hello {
        self.greet_with(Duration::from_secs(20)).await
    }

    pub(crate) async fn greet_with(&mut self, silence: Duration) -> Hello {
        let Some(ToCoordinator::Hello(hello)) = self.hear().await else { panic!("the first message is Hello") };
        self.say(ToWorker::Welcome(Welcome {
            protocol: 1,
            build: "fake".into(),
            resume: token(),
            heartbeat: silence / 4,
            silence,
            fence: None,
        }));
        hello
    }
}

pub(crate) fn token() -> ResumeToken {
    ResumeToken::new([9; 32])
}

/// The coordinator: its sessions, and the shards it gives out.
pub(crate) struct Coordinator {
    pub(crate) address: Address,
    pub(crate) shards: Arc<Mutex<Shards>>,
    sessions: mpsc::UnboundedReceiver<Peer>,
}

impl Coordinator {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address")).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = transport::listen(address, &ServerSecurity::InsecureLoopback).await.expect("a port");
        let address = Address::from(listener.local_addr().expect("an address"));
        let (sessions, arriving) = mpsc::unbounded_channel();
        let shards = Arc::new(Mutex::new(Shards::default()));
        let service = TrainingServiceServer::new(Service { sessions, shards: shards.clone() });
        let service = service.max_decoding_message_size(MAX_MESSAGE);
        let (limits, counters) = (AcceptLimits::default(), Arc::default());
        let incoming = transport::accept(listener, ServerSecurity::InsecureLoopback, limits, counters);
        tokio::spawn(transport::server().add_service(service).serve_with_incoming(incoming));
        Self { address, shards, sessions: arriving }
    }

    /// The next session.
    pub(crate) async fn session(&mut self) -> Peer {
        self.sessions.recv().await.expect("the service lives as long as the test")
    }
}

/// A port where nobody listens.
pub(crate) async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

/// A real worker.
pub(crate) struct Worker {
    pub(crate) lines: mpsc::UnboundedReceiver<Line>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), Failure>>,
}

impl Worker {
    pub(crate) fn start(address: &Address) -> Self {
        Self::start_with(address, |config| config)
    }

    /// A worker that is told something besides.
    pub(crate) fn start_with(address: &Address, change: impl FnOnce(Config) -> Config) -> Self {
        let partner = PartnerName::parse("hospital-a").expect("a name");
        let mut config = Config::new(address.clone(), ClientSecurity::InsecureLoopback, partner).expect("random bytes");
        config.patience = Patience {
            backoff_min: Duration::from_millis(2),
            backoff_max: Duration::from_millis(50),
            ..Patience::default()
        };
        let config = change(config);
        let (line, lines) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let reporter = move |said: Line| {
            let _ = line.send(said);
        };
        let task = tokio::spawn(join(config, reporter, async move {
            let _ = stopped.await;
        }));
        Self { lines, stop: Some(stop), task }
    }

    pub(crate) fn drain(&mut self) {
        let stop = self.stop.take().expect("it is asked once");
        stop.send(()).expect("the worker lives");
    }

    pub(crate) async fn end(self) -> Result<(), Failure> {
        self.task.await.expect("the worker does not panic")
    }

    /// The next line of trouble.
    pub(crate) async fn trouble(&mut self) -> Line {
        loop {
            let line = self.lines.recv().await.expect("the worker lives");
            if line.tone == syngrad_worker::Tone::Trouble {
                return line;
            }
        }
    }
}
