//! A worker by hand: it says over the real protocol exactly what a test wants said.

use bytes::Bytes;
use syngrad_common::config::CanonicalSpec;
use syngrad_common::limits::{MAX_MESSAGE, PROTOCOL_MAX, PROTOCOL_MIN};
use syngrad_common::wire::{
    Answer, Hello, Leased, Ready, ResumeToken, RoundOpened, RunOpened, ToCoordinator, ToWorker, Update, Verdict,
};
use syngrad_common::{Code, codec};
use syngrad_engine::digest::Domain;
use syngrad_engine::run::UpdateHeader;
use syngrad_engine::{Digest, PartnerName, Plan, Round, Unit, Units, WorkerId};
use syngrad_model::{Device, fingerprint};
use syngrad_proto::syngrad::v1;
use syngrad_proto::syngrad::v1::training_service_client::TrainingServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// One connection.
pub(crate) struct FakeWorker {
    requests: mpsc::Sender<v1::SessionRequest>,
    responses: Streaming<v1::SessionResponse>,
    pub(crate) hello: Hello,
    /// The round whose params came last: more leases of it may follow.
    round: Option<RoundOpened>,
}

/// A lease, and what is needed to answer it.
pub(crate) struct Task {
    pub(crate) spec: CanonicalSpec,
    pub(crate) opened: RoundOpened,
    pub(crate) leased: Leased,
}

pub(crate) fn hello(worker: u8) -> Hello {
    Hello {
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        build: "a test".into(),
        worker: WorkerId([worker; 16]),
        partner: PartnerName::parse("hospital-a").expect("a name"),
        resume: None,
    }
}

impl FakeWorker {
    /// A connection on which nothing has been said.
    pub(crate) async fn connect(channel: Channel, worker: u8) -> Self {
        let (requests, stream) = mpsc::channel(16);
        let mut client = TrainingServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
        let responses = client.session(ReceiverStream::new(stream)).await.expect("a session").into_inner();
        Self { requests, responses, hello: hello(worker), round: None }
    }

    /// A connection with a seat.
    pub(crate) async fn seated(channel: Channel, worker: u8) -> (Self, ResumeToken) {
        Self::seated_as(channel, worker, "hospital-a").await
    }

    /// A connection of a worker of `partner` with a seat.
    pub(crate) async fn seated_as(channel: Channel, worker: u8, partner: &str) -> (Self, ResumeToken) {
        let mut fake = Self::connect(channel, worker).await;
        fake.hello.partner = PartnerName::parse(partner).expect("a name");
        fake.say(ToCoordinator::Hello(fake.hello.clone())).await;
        let heard = fake.hear().await;
        let ToWorker::Welcome(welcome) = heard else { panic!("{heard:?} is no welcome") };
        (fake, welcome.resume)
    }

    pub(crate) async fn say(&self, message: ToCoordinator) {
        self.say_raw(message.into()).await;
    }

    pub(crate) async fn say_raw(&self, message: v1::SessionRequest) {
        // A coordinator that hangs up in between is what some tests are about.
        let _ = self.requests.send(message).await;
    }

    pub(crate) async fn next(&mut self) -> Result<Option<ToWorker>, Status> {
        let message = self.responses.message().await?;
        Ok(message.map(|message| ToWorker::try_from(message).expect("a coordinator speaks properly")))
    }

    /// The next message that is no heartbeat.
    pub(crate) async fn hear(&mut self) -> ToWorker {
        loop {
            let message = self.next().await.expect("the stream is whole").expect("the session is open");
            if message != ToWorker::Heartbeat {
                return message;
            }
        }
    }

    /// The code and retry of the refusal that ends the session; everything before it is skipped.
    pub(crate) async fn refusal(&mut self) -> (Code, bool) {
        loop {
            if let ToWorker::Refused(refused) = self.hear().await {
                assert_eq!(self.next().await.expect("a clean end"), None, "nothing follows a refusal");
                return (refused.code, refused.retry);
            }
        }
    }

    /// The code of the next answer to an update that does not count.
    pub(crate) async fn rejection(&mut self) -> Code {
        loop {
            if let ToWorker::Answer(Answer { verdict, .. }) = self.hear().await {
                match verdict {
                    Verdict::Accepted => panic!("a bad update was accepted"),
                    Verdict::Duplicate { code, .. } | Verdict::Late { code, .. } | Verdict::Rejected { code, .. } => {
                        return code;
                    }
                }
            }
        }
    }

    pub(crate) async fn run_opened(&mut self) -> RunOpened {
        loop {
            if let ToWorker::RunOpened(opened) = self.hear().await {
                return opened;
            }
        }
    }

    /// Becomes a member and waits for its first lease.
    pub(crate) async fn first_task(&mut self) -> Task {
        let opened = self.run_opened().await;
        let spec = self.ready(&opened).await;
        self.task(&spec).await.expect("a lease")
    }

    pub(crate) async fn ready(&mut self, opened: &RunOpened) -> CanonicalSpec {
        let spec = CanonicalSpec::from_wire(&opened.spec, opened.spec_digest).expect("a canonical spec");
        self.say(ToCoordinator::Ready(ready(opened, &spec))).await;
        spec
    }

    /// The next lease with its params, or nothing when the run is over.
    pub(crate) async fn task(&mut self, spec: &CanonicalSpec) -> Option<Task> {
        let mut params = Vec::new();
        loop {
            match self.hear().await {
                ToWorker::RoundOpened(opened) => {
                    params.clear();
                    self.round = Some(opened);
                }
                ToWorker::Frame(frame) => params.extend_from_slice(&frame),
                ToWorker::Leased(leased) => {
                    let opened = self.round.clone().expect("params come before a lease");
                    let whole = params.is_empty() || Digest::of(Domain::Params, &params) == opened.params;
                    assert!(whole, "the params are those announced");
                    return Some(Task { spec: spec.clone(), opened, leased });
                }
                ToWorker::RunClosed(_) => return None,
                ToWorker::Answer(Answer { verdict: Verdict::Accepted, .. }) => {}
                other @ (ToWorker::Answer(_)
                | ToWorker::Welcome(_)
                | ToWorker::Refused(_)
                | ToWorker::RunOpened(_)
                | ToWorker::Receipt(_)
                | ToWorker::Heartbeat) => panic!("{other:?} was not expected"),
            }
        }
    }

    pub(crate) async fn send(&self, update: Update, payload: Bytes) {
        self.say(ToCoordinator::Update(update)).await;
        for frame in codec::frames(&payload) {
            self.say(ToCoordinator::Frame(frame)).await;
        }
    }

    /// Answers every lease until the run is over.
    pub(crate) async fn work(&mut self, spec: &CanonicalSpec, first: Option<Task>) {
        let mut task = first;
        loop {
            if let Some(task) = task.take() {
                let (update, payload) = task.answer();
                self.send(update, payload).await;
            }
            match self.task(spec).await {
                Some(next) => task = Some(next),
                None => return,
            }
        }
    }
}

/// What a worker of the coordinator's own kind says.
pub(crate) fn ready(opened: &RunOpened, spec: &CanonicalSpec) -> Ready {
    let plan = Plan::new(spec.spec(), opened.samples).expect("an even plan");
    Ready {
        run: opened.run,
        layout: opened.layout,
        fingerprint: fingerprint(spec.spec(), &plan, Device::default()),
        data: None,
        milli_units_per_second: 1_000_000,
    }
}

/// Entry `index` of what `unit` computes in `round`, in quanta: the same whoever computes it.
fn entry(round: Round, unit: Unit, index: usize) -> i32 {
    ((round.0 as usize * 31 + unit.0 as usize * 7 + index * 3) % 11) as i32 - 5
}

impl Task {
    pub(crate) fn units(&self) -> Units {
        self.leased.units.iter().map(|leased| leased.unit).collect()
    }

    /// The update that answers the lease.
    pub(crate) fn answer(&self) -> (Update, Bytes) {
        let params = self.opened.params_bytes as usize / size_of::<f32>();
        let units = self.units();
        let sum = |index: usize| -> i32 { units.iter().map(|&unit| entry(self.leased.round, unit, index)).sum() };
        let bytes = self.opened.bits.bytes();
        let payload: Bytes = (0..params).flat_map(|index| sum(index).to_le_bytes().into_iter().take(bytes)).collect();
        (self.update(units, &payload), payload)
    }

    pub(crate) fn update(&self, units: Units, payload: &Bytes) -> Update {
        Update {
            run: self.leased.run,
            header: UpdateHeader {
                round: self.leased.round,
                lease: self.leased.lease,
                units,
                digest: Digest::of(Domain::Update, payload),
            },
            payload_bytes: payload.len() as u64,
            saturated: 0,
            loss_sum: 1.0,
            samples: 2,
            signed: None,
        }
    }
}
