//! A consortium of two partners in this process, and archives of its runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use syngrad::args::{SamplesAt, VerifyArgs};
use syngrad::client::{Client, Piece, Receipts, Target};
use syngrad::failure::Failure;
use syngrad::verify::Verified;
use syngrad_common::identity::testing::{Consortium, worker};
use syngrad_common::identity::{Credentials, SigningKey, VerifyingKey};
use syngrad_common::transport::{self, Address, ClientSecurity, ServerSecurity};
use syngrad_coordinator::{Config, LogKey, Signer, State};
use syngrad_engine::Principal;
use syngrad_engine::receipt::{Checks, Fingerprint};
use syngrad_worker::{Keys, Line, StatePlace};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Units of a round.
pub(crate) const UNITS: u32 = 4;

/// Two partners with a worker each, a log, and where all of it is kept.
pub(crate) struct Party {
    pub(crate) consortium: Consortium,
    pub(crate) workers: Vec<Credentials>,
    folder: TempDir,
    has_keys: bool,
    told: Arc<Mutex<Vec<String>>>,
}

impl Party {
    pub(crate) fn new() -> Self {
        let consortium = Consortium::new("hospitals");
        let workers = vec![consortium.credentials(&worker("alpha", 1)), consortium.credentials(&worker("beta", 2))];
        let folder = tempfile::tempdir().expect("a folder");
        Self { consortium, workers, folder, has_keys: true, told: Arc::default() }
    }

    pub(crate) fn without_keys() -> Self {
        Self { has_keys: false, ..Self::new() }
    }

    /// The archive of a run of so many rounds, from its beginning to its end.
    pub(crate) fn run(&self, rounds: u32) -> Archive {
        let mut cluster = Cluster::start(self);
        cluster.begin(rounds);
        cluster.until_over();
        cluster.export()
    }

    /// What the workers remember of the log.
    pub(crate) fn witnesses(&self) -> Vec<PathBuf> {
        let folders = (0..self.workers.len()).map(|number| self.worker_folder(number));
        let files = folders.flat_map(|folder| std::fs::read_dir(folder).expect("a worker's folder"));
        let files = files.map(|entry| entry.expect("an entry").path());
        let is_head = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log-"));
        let files: Vec<PathBuf> = files.filter(is_head).collect();
        assert_eq!(files.len(), self.workers.len(), "each worker remembers one log");
        files
    }

    /// SHA-256 of the authority's certificate.
    pub(crate) fn authority(&self) -> String {
        self.consortium.roots[0].sha256().to_string()
    }

    /// What the workers' people were told.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().expect("nobody panics with it").clone()
    }

    fn worker_folder(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("worker-{number}"))
    }

    pub(crate) fn log_key(&self) -> LogKey {
        LogKey {
            key: SigningKey::new(self.consortium.log_key()).expect("an Ed25519 key"),
            chain: vec![self.consortium.log().der().to_vec()],
            roots: self.consortium.roots.iter().map(|root| root.der().to_vec()).collect(),
        }
    }

    fn coordinator(&self) -> Config {
        if !self.has_keys {
            return Config::default();
        }
        let signer = |of: &Credentials| {
            let Principal::Worker { worker, .. } = of.identity().principal.clone() else { panic!("a worker") };
            let chain = &of.grant().chain;
            let key = VerifyingKey::of(&chain[0]).expect("an Ed25519 key");
            let certificate = Fingerprint(chain[0].sha256().0);
            let chain = chain.iter().map(|of| of.der().to_vec()).collect();
            (worker, Arc::new(Signer { key, certificate, chain }))
        };
        let signers: BTreeMap<_, _> = self.workers.iter().map(signer).collect();
        Config { log: Some(self.log_key()), signers, ..Config::default() }
    }

    fn worker(&self, number: usize, address: &Address) -> syngrad_worker::Config {
        let of = &self.workers[number];
        let Principal::Worker { partner, worker } = of.identity().principal.clone() else { panic!("a worker") };
        let drawn = syngrad_worker::Config::new(address.clone(), ClientSecurity::InsecureLoopback, partner);
        let key = SigningKey::new(of.key()).expect("an Ed25519 key");
        let log = VerifyingKey::of(&self.consortium.log()).expect("an Ed25519 key");
        let keys = self.has_keys.then_some(Keys { key, log });
        let state = StatePlace::Folder(self.worker_folder(number));
        syngrad_worker::Config { worker, keys, state, ..drawn.expect("random bytes") }
    }
}

/// A coordinator and its workers, while they work.
pub(crate) struct Cluster<'a> {
    party: &'a Party,
    runtime: Runtime,
    target: Target,
    end: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), syngrad_common::Failure>>,
    leave: Vec<oneshot::Sender<()>>,
    working: Vec<JoinHandle<Result<(), syngrad_common::Failure>>>,
}

impl<'a> Cluster<'a> {
    pub(crate) fn start(party: &'a Party) -> Self {
        let state = State::open(&party.folder.path().join("state")).expect("state");
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener =
            runtime.block_on(transport::listen(any, &ServerSecurity::InsecureLoopback)).expect("a free port");
        let address = Address::from(listener.local_addr().expect("bound"));
        let (end, ended) = oneshot::channel();
        let serving = runtime.spawn(syngrad_coordinator::serve(listener, party.coordinator(), state, async {
            let _ = ended.await;
        }));
        let target = Target::insecure(&address.to_string()).expect("an address");
        let (mut leave, mut working) = (Vec::new(), Vec::new());
        for number in 0..party.workers.len() {
            let (go, gone) = oneshot::channel::<()>();
            let told = Arc::clone(&party.told);
            let reporter = move |line: Line| told.lock().expect("nobody panics with it").push(line.text);
            let config = party.worker(number, &address);
            working.push(runtime.spawn(async move {
                let asked = async {
                    let _ = gone.await;
                };
                syngrad_worker::join(config, reporter, asked).await
            }));
            leave.push(go);
        }
        Self { party, runtime, target, end, serving, leave, working }
    }

    pub(crate) fn begin(&mut self, rounds: u32) {
        let spec = spec(rounds);
        self.runtime.block_on(async {
            let mut client = Client::connect(&self.target).await.expect("it listens");
            client.start(&spec, 2).await.expect("a good spec");
        });
    }

    pub(crate) fn until_round(&mut self, round: u32) {
        self.follow(|committed, _| committed >= round);
    }

    pub(crate) fn until_over(&mut self) {
        self.follow(|_, is_over| is_over);
    }

    fn follow(&mut self, enough: impl Fn(u32, bool) -> bool) {
        self.runtime.block_on(async {
            let mut client = Client::connect(&self.target).await.expect("it listens");
            let mut watch = client.watch(None).await.expect("there is a run");
            while let Some(status) = watch.next().await.expect("the stream is whole") {
                if enough(status.rounds_committed, status.phase.is_over()) {
                    return;
                }
            }
            panic!("the run ended before that");
        });
    }

    /// Everything ends at once, with nothing said. What was ordered to be kept by then is kept.
    pub(crate) fn crash(self) {
        let Self { party, runtime, serving, working, .. } = self;
        serving.abort();
        working.iter().for_each(JoinHandle::abort);
        drop(runtime);
        // The thread that writes has the folder until it has written.
        let lock = std::fs::File::open(party.folder.path().join("state/lock")).expect("a lock");
        lock.lock().expect("it is given back");
    }

    /// The archive of the newest run; then all leave in order.
    pub(crate) fn export(self) -> Archive {
        let archive = self.try_export().expect("the run has receipts");
        let Self { runtime, end, serving, leave, working, .. } = self;
        runtime.block_on(async {
            drop(leave);
            for worker in working {
                worker.await.expect("no panic").expect("it leaves in order");
            }
            drop(end);
            serving.await.expect("no panic").expect("it ends in order");
        });
        archive
    }

    pub(crate) fn try_export(&self) -> Result<Archive, Failure> {
        let folder = tempfile::tempdir_in(self.party.folder.path()).expect("a folder");
        let params = self.runtime.block_on(async {
            let mut receipts = Receipts::connect(&self.target).await?;
            let mut shipment = receipts.export(None).await?;
            let mut at = PathBuf::new();
            while let Some(piece) = shipment.next().await? {
                match piece {
                    Piece::File { path, .. } => {
                        at = folder.path().join(path);
                        std::fs::create_dir_all(at.parent().expect("a folder")).expect("a folder can be made");
                        std::fs::write(&at, b"").expect("a file can be made");
                    }
                    Piece::Contents(contents) => {
                        let before = std::fs::read(&at).expect("it was begun");
                        std::fs::write(&at, [&before[..], &contents].concat()).expect("it can be written");
                    }
                }
            }
            let status = Client::connect(&self.target).await?.get(None).await?;
            Ok::<_, Failure>(status.params_digest)
        })?;
        Ok(Archive { folder, params })
    }
}

/// An archive in a folder.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) folder: TempDir,
    pub(crate) params: String,
}

impl Archive {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn verified_with(
        &self,
        change: impl FnOnce(&mut VerifyArgs),
        checks: &Checks,
    ) -> Result<Verified, Failure> {
        let mut args = VerifyArgs {
            archive: self.path().to_owned(),
            authority: None,
            witness: Vec::new(),
            data: Vec::new(),
            device: syngrad_model::Device::default(),
        };
        change(&mut args);
        syngrad::verify::verify(&args, checks)
    }
}

pub(crate) fn verify(archive: &Archive, checks: &Checks) -> Verified {
    archive.verified_with(|_| {}, checks).expect("it can be read")
}

/// Synthetic samples are where no folder is.
pub(crate) fn any_samples() -> SamplesAt {
    SamplesAt { partner: None, folder: PathBuf::new() }
}

fn spec(rounds: u32) -> String {
    // A round takes UNITS · 5 of the samples; so many rounds are one pass over them.
    let samples = rounds * UNITS * 5;
    format!(
        "name = \"receipts\"\nseed = 3\narchive = \"updates\"\nupdate_bits = 16\n\
         [model]\nkind = \"mlp\"\ninputs = 8\nhidden = [6]\nclasses = 3\n\
         [data]\nkind = \"synthetic\"\nsamples = {samples}\ninputs = 8\nclasses = 3\n\
         [algorithm]\nkind = \"sync-sgd\"\nepochs = 1\nunits = {UNITS}\nunit_samples = 5\n\
         [optimizer]\nkind = \"adam\"\nlearning_rate = 0.01\n\
         [quorum]\nmin_partners = 2\nmax_partner_weight = 0.5\n\
         [checkpoint]\nrounds = 7\n"
    )
}
