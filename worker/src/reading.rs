//! Reading along in the run's log: what this worker signs, what it is shown, and what it has seen.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use syngrad_common::archive::Seen;
use syngrad_common::identity::{SigningKey, VerifyingKey};
use syngrad_common::transport::ClientSecurity;
use syngrad_common::wire::receipt::SignedHead;
use syngrad_common::wire::{Signed, Update};
use syngrad_common::{Code, Failure};
use syngrad_engine::receipt::{
    Breach, Facts, Given, Next, Notice, Root, Signature, Statement, Verdict, Witness, policy,
};
use syngrad_engine::run::QuorumRule;
use syngrad_engine::session::Task;
use syngrad_engine::{Digest, LeaseId, Plan, Round, RunId, Unit, WorkerId};
use tokio::task::JoinSet;

use crate::trainer::Prepared;

/// Time between two writes of what was seen.
const PACE: Duration = Duration::from_secs(1);

/// What a worker signs with, and what it checks the log against.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The worker's own key.
    pub key: SigningKey,
    /// The key of the log.
    pub log: VerifyingKey,
}

impl Keys {
    /// What the credentials of a connection have; none where it is not protected.
    pub(crate) fn of(security: &ClientSecurity) -> Option<Self> {
        let ClientSecurity::Mutual(live) = security else { return None };
        let credentials = live.credentials();
        let key = SigningKey::new(credentials.key()).ok()?;
        let log = VerifyingKey::of(&credentials.grant().log)?;
        Some(Self { key, log })
    }
}

/// A proof that is to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) run: RunId,
    pub(crate) seen: u64,
    pub(crate) size: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Reading {
    worker: WorkerId,
    keys: Option<Keys>,
    /// Where heads are kept over restarts.
    folder: Option<PathBuf>,
    witness: Option<Witness>,
    proving: JoinSet<Result<Vec<Digest>, Failure>>,
    /// The newest head, and when it was written.
    newest: Option<SignedHead>,
    written: Option<Instant>,
}

impl Reading {
    pub(crate) fn new(worker: WorkerId, keys: Option<Keys>, folder: Option<PathBuf>) -> Self {
        Self { worker, keys, folder, witness: None, proving: JoinSet::new(), newest: None, written: None }
    }

    /// A new link is up: credentials may have been renewed since the last.
    pub(crate) fn rekey(&mut self, keys: Option<Keys>) {
        self.keys = keys;
    }

    /// A run is prepared: its log is read from now on, where there can be one.
    pub(crate) fn begin(&mut self, run: RunId, prepared: &Prepared) {
        let goes_on = self.witness.as_ref().is_some_and(|witness| witness.facts().run == run);
        if self.keys.is_none() || goes_on {
            return;
        }
        let (spec, plan) = (&prepared.spec, &prepared.plan);
        let quorum = QuorumRule::new(&spec.spec().quorum, plan.units());
        let facts = Facts {
            run,
            spec: spec.digest(),
            layout: prepared.layout.digest(),
            numerics: prepared.fingerprint,
            policy: policy(&quorum, spec.spec().numerics),
        };
        let weight = (0..plan.units()).map(|unit| u64::from(plan.weight(Unit(unit)))).sum();
        let seen = self.folder.as_deref().and_then(|folder| read(folder, run));
        self.witness = Some(Witness::new(facts, self.worker, (plan.units(), weight), seen));
    }

    /// This worker's word for `update`, which answers `task`; none where workers have no keys.
    pub(crate) fn sign(&mut self, task: &Task, update: &Update, plan: &Plan) -> Option<Signed> {
        let (keys, witness) = (self.keys.as_ref()?, self.witness.as_mut()?);
        let header = &update.header;
        let Facts { run, spec, .. } = *witness.facts();
        let (round, units, payload) = (header.round, &header.units, header.digest);
        let statement = Statement { run, round, params: task.params, spec, units, payload };
        let signature = keys.key.sign(&statement.encode());
        witness.give(Given {
            round,
            lease: header.lease,
            units: units.clone(),
            weight: units.iter().map(|unit| u64::from(plan.weight(*unit))).sum(),
            params: task.params,
            payload,
            payload_bytes: update.payload_bytes,
            saturated: update.saturated,
            signature,
        });
        Some(Signed { params: task.params, signature })
    }

    /// Params of a round came.
    pub(crate) fn params(&mut self, run: RunId, round: Round, digest: Digest) -> Result<(), Breach> {
        let witness = self.witness.as_mut().filter(|witness| witness.facts().run == run);
        witness.map_or(Ok(()), |witness| witness.params(round, digest))
    }

    pub(crate) fn answered(&mut self, lease: LeaseId, verdict: Verdict) {
        if let Some(witness) = &mut self.witness {
            witness.answered(lease, verdict);
        }
    }

    /// Another opening of the coordinator's state is speaking.
    pub(crate) fn restarted(&mut self) {
        if let Some(witness) = &mut self.witness {
            witness.restarted();
        }
    }

    /// The link is down.
    pub(crate) fn interrupt(&mut self) {
        self.proving = JoinSet::new();
        if let Some(witness) = &mut self.witness {
            witness.disconnected();
        }
        self.write(true);
    }

    /// The log of a run is not what it must be: nothing of it is believed any more.
    pub(crate) fn give_up(&mut self) {
        self.write(true);
        self.witness = None;
    }

    /// Takes a notice; gives the proof that is wanted before more of the log can be believed.
    pub(crate) fn notice(&mut self, notice: Notice) -> Result<Option<Wanted>, Breach> {
        let (Some(keys), Some(witness)) = (&self.keys, &mut self.witness) else { return Ok(None) };
        if notice.head.run != witness.facts().run {
            // Of a run that is over for this worker.
            return Ok(None);
        }
        let head = SignedHead { head: notice.head, signature: notice.signature };
        let log = keys.log;
        let next = witness.notice(notice, |message, signature: &Signature| log.verify(message, signature))?;
        Ok(self.followed(next, Some(head)))
    }

    /// Fetches a proof.
    pub(crate) fn prove(&mut self, proof: impl Future<Output = Result<Vec<Digest>, Failure>> + Send + 'static) {
        self.proving.spawn(proof);
    }

    /// The next proof that came, or why it did not. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Vec<Digest>, Failure> {
        loop {
            match self.proving.join_next().await {
                Some(Ok(proof)) => return proof,
                // Aborted by `interrupt`.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Takes a proof that was fetched.
    pub(crate) fn proof(&mut self, path: &[Digest]) -> Result<Option<Wanted>, Breach> {
        let Some(witness) = &mut self.witness else { return Ok(None) };
        let next = witness.proof(path)?;
        Ok(self.followed(next, None))
    }

    /// Accepted updates that no record was shown of.
    pub(crate) fn unshown(&self) -> usize {
        self.witness.as_ref().map_or(0, Witness::unshown)
    }

    fn followed(&mut self, next: Next, head: Option<SignedHead>) -> Option<Wanted> {
        let witness = self.witness.as_ref()?;
        let is_seen = |head: &SignedHead| witness.seen() == Some(Root { size: head.head.size, hash: head.head.root });
        self.newest = head.filter(is_seen).or(self.newest);
        let run = witness.facts().run;
        self.write(false);
        match next {
            Next::Notice => None,
            Next::Proof { seen, size } => Some(Wanted { run, seen, size }),
        }
    }

    /// Writes down what was seen, at once or when it is time.
    fn write(&mut self, at_once: bool) {
        let (Some(folder), Some(newest)) = (&self.folder, self.newest) else { return };
        if !at_once && self.written.is_some_and(|written| written.elapsed() < PACE) {
            return;
        }
        self.written = Some(Instant::now());
        if let Err(why) = write(folder, newest) {
            tracing::warn!(%why, folder = %folder.display(), "what was seen of the log is not kept over a restart");
        }
        if at_once {
            self.newest = None;
        }
    }
}

fn file(folder: &Path, run: RunId) -> PathBuf {
    folder.join(format!("log-{run}.json"))
}

fn read(folder: &Path, run: RunId) -> Option<Root> {
    let text = std::fs::read(file(folder, run)).ok()?;
    let Seen { run: of, size, root, .. } = serde_json::from_slice(&text).ok()?;
    let hash = Digest::from_hex(&root)?;
    (of == run.to_string()).then_some(Root { size, hash })
}

/// Replaces the file whole: half of one would be as good as none.
fn write(folder: &Path, newest: SignedHead) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = file(folder, newest.head.run);
    let beside = path.with_extension("new");
    std::fs::write(&beside, Seen::of(&newest).encode())?;
    std::fs::rename(beside, path)
}

/// What a person is told of accepted updates that were never shown in the log.
pub(crate) fn never_shown(count: usize) -> Failure {
    Failure::new(Code::ReceiptsWithheld, format!("{count} accepted updates of this worker were not shown in the log"))
}
