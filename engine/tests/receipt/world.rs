//! A run of two workers on four units, its log, and keys that are good enough here.

use std::collections::BTreeMap;
use std::sync::Arc;

use syngrad_engine::aggregate::{Aggregate, Tally};
use syngrad_engine::digest::{Domain, Hasher};
use syngrad_engine::layout::{Layout, Tensor};
use syngrad_engine::quantize::UnitSum;
use syngrad_engine::receipt::{
    Audit, Batch, Checks, Closed, Contribution, Facts, Fingerprint, Frontier, Given, Log, Notice, NoticedRecord, Proof,
    Receipt, Record, Signature, Tree, Verdict, Witness,
};
use syngrad_engine::spec::{
    Algorithm, Archive, Checkpoint, DataSpec, Durability, Evaluation, ModelSpec, Numerics, OptimizerSpec, Partition,
    Quorum, Schedule, UpdateBits,
};
use syngrad_engine::state::TrainingState;
use syngrad_engine::{Digest, LeaseId, PartnerName, Plan, RunId, RunSpec, Unit, Units, WorkerId};

pub(crate) const UNITS: u32 = 4;
const SAMPLES: u32 = 400;
/// The key of the log; a worker's is its number.
const LOG_KEY: u8 = 99;

pub(crate) fn spec() -> RunSpec {
    RunSpec {
        name: "test".into(),
        seed: 11,
        model: ModelSpec::Noop { params: 37 },
        data: DataSpec::Synthetic { samples: SAMPLES, inputs: 2, classes: 2, partition: Partition::Iid {} },
        algorithm: Algorithm::SyncSgd { epochs: 30, units: UNITS, unit_samples: 8 },
        optimizer: OptimizerSpec::Adam { learning_rate: 0.05, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
        schedule: Schedule::Constant {},
        update_bits: UpdateBits::Sixteen,
        quorum: Quorum::default(),
        evaluation: Evaluation::default(),
        numerics: Numerics::default(),
        checkpoint: Checkpoint::default(),
        durability: Durability::default(),
        archive: Archive::Updates,
    }
}

/// What stands for a signature by the key of this number.
pub(crate) fn sign(key: u8, message: &[u8]) -> Signature {
    let half = |part: u8| Hasher::new(Domain::Blob).update(&[key, part]).update(message).finish().0;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&half(0));
    signature[32..].copy_from_slice(&half(1));
    Signature(signature)
}

pub(crate) fn is_logs(message: &[u8], signature: &Signature) -> bool {
    sign(LOG_KEY, message) == *signature
}

pub(crate) fn worker(number: u8) -> WorkerId {
    WorkerId([number; 16])
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) state: TrainingState,
    pub(crate) first: TrainingState,
    aggregate: Aggregate,
    pub(crate) log: Log,
    pub(crate) updates: BTreeMap<Digest, Vec<u8>>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) batches: Vec<Batch>,
    leases: u64,
}

/// What a coordinator may do to the contributions before it seals a round.
pub(crate) type Mischief<'a> = &'a dyn Fn(&mut Vec<Contribution>);

impl World {
    pub(crate) fn new() -> Self {
        let spec = spec();
        let plan = Plan::new(&spec, SAMPLES).expect("a plan");
        let tensors =
            vec![Tensor { name: "a".into(), shape: vec![5, 5] }, Tensor { name: "b".into(), shape: vec![12] }];
        let layout = Arc::new(Layout::new(tensors).expect("a layout"));
        let params = (0..37).map(|index| index as f32 * 0.01).collect();
        let state = TrainingState::new(&spec, &plan, Arc::clone(&layout), params).expect("a state");
        let facts = Facts {
            run: RunId([3; 16]),
            spec: Digest([4; 32]),
            layout: layout.digest(),
            numerics: Digest([5; 32]),
            policy: Digest([6; 32]),
        };
        Self {
            plan,
            first: state.clone(),
            aggregate: Aggregate::new(layout, state.grid()),
            state,
            log: Log::new(facts),
            updates: BTreeMap::new(),
            receipts: Vec::new(),
            batches: Vec::new(),
            leases: 0,
        }
    }

    pub(crate) fn facts(&self) -> Facts {
        self.log.facts().clone()
    }

    /// What worker `number` gives to the open round: two units, computed and signed.
    pub(crate) fn contribution(&mut self, number: u8) -> (Contribution, Vec<u8>) {
        let units: Units = [Unit(2 * u32::from(number)), Unit(2 * u32::from(number) + 1)].into();
        let mut sum = UnitSum::new(Arc::clone(self.state.layout()));
        sum.begin(11, self.state.round(), self.state.grid());
        for unit in &units {
            let pull = |(index, param): (usize, &f32)| param * 8.0 + ((index as u32 + unit.0) % 7) as f32 * 0.1;
            let values: Vec<f32> = self.state.params().iter().enumerate().map(pull).collect();
            sum.add(*unit, &values).expect("finite values");
        }
        let mut payload = Vec::new();
        let digest = sum.pack_with_digest(&mut payload);
        self.leases += 1;
        let mut contribution = Contribution {
            verdict: Verdict::Accepted,
            partner: PartnerName::parse(if number == 0 { "alpha" } else { "beta" }).expect("a name"),
            worker: worker(number),
            certificate: Fingerprint([number; 32]),
            round: self.state.round(),
            lease: LeaseId(self.leases),
            weight: units.iter().map(|unit| u64::from(self.plan.weight(*unit))).sum(),
            units,
            saturated: sum.saturated(),
            micros: 1_000,
            params: self.state.params_digest(),
            payload: digest,
            payload_bytes: payload.len() as u64,
            signature: Signature::ABSENT,
        };
        let Facts { run, spec, .. } = self.facts();
        contribution.signature = sign(number, &contribution.statement(run, spec).encode());
        (contribution, payload)
    }

    /// Commits and seals a round of both workers.
    pub(crate) fn round(&mut self) -> Vec<Contribution> {
        self.round_with(&|_| {})
    }

    /// The same with mischief of the coordinator's between the sum and the record. Gives what the workers really sent.
    pub(crate) fn round_with(&mut self, mischief: Mischief<'_>) -> Vec<Contribution> {
        self.aggregate.clear(self.state.grid());
        let (before, grid) = (self.state.params_digest(), self.state.grid().clone());
        let given: Vec<(Contribution, Vec<u8>)> = (0..2).map(|number| self.contribution(number)).collect();
        for (contribution, payload) in &given {
            let Contribution { units, weight, saturated, .. } = contribution.clone();
            self.aggregate.add(payload, &Tally { units, weight, saturated }).expect("an honest update");
            self.updates.insert(contribution.payload, payload.clone());
        }
        let commit = self.state.commit(&self.aggregate).expect("a whole round");
        let sent: Vec<Contribution> = given.into_iter().map(|(contribution, _)| contribution).collect();
        let mut noted = sent.clone();
        mischief(&mut noted);
        noted.into_iter().for_each(|contribution| self.log.note(contribution));
        self.log.seal(Closed { commit: &commit, before, grid: &grid, at: 1_800_000_000 });
        sent
    }

    /// Hands out what was sealed; the notices of worker `number`.
    pub(crate) fn publish(&mut self, number: u8) -> Vec<Notice> {
        let batches = self.log.hand_out();
        self.receipts.extend(batches.iter().flat_map(|batch| batch.receipts.clone()));
        self.batches.extend(batches.clone());
        batches.iter().map(|batch| notice(batch, number)).collect()
    }

    pub(crate) fn witness(&self, number: u8) -> Witness {
        let all = (0..UNITS).map(|unit| u64::from(self.plan.weight(Unit(unit)))).sum();
        Witness::new(self.facts(), worker(number), (UNITS, all), None)
    }

    /// What an audit of everything that was published finds.
    pub(crate) fn audit(&self, checks: Checks) -> Audit {
        let mut audit = Audit::new(self.facts(), self.plan.clone(), checks).from_state(self.first.clone());
        for receipt in &self.receipts {
            audit.record(
                &receipt.record,
                &receipt.contributions,
                &mut |contribution, message| sign(contribution.worker.0[0], message) == contribution.signature,
                &mut |digest| self.updates.get(&digest).cloned(),
            );
        }
        for batch in &self.batches {
            audit.head(&batch.head, true);
        }
        audit
    }
}

pub(crate) fn notice(batch: &Batch, number: u8) -> Notice {
    let noticed = |receipt: &Receipt| {
        let tree = receipt.tree();
        let mine =
            receipt.contributions.iter().enumerate().filter(|(_, bytes)| {
                Contribution::decode(bytes).expect("it was just encoded").worker == worker(number)
            });
        let proof = |(place, bytes): (usize, &Vec<u8>)| Proof {
            contribution: bytes.clone(),
            place: place as u32,
            path: tree.inclusion(place as u64),
        };
        NoticedRecord { record: receipt.record.clone(), contributions: mine.map(proof).collect() }
    };
    Notice {
        head: batch.head,
        signature: sign(LOG_KEY, &batch.head.encode()),
        peaks: batch.base.peaks().to_vec(),
        records: batch.receipts.iter().map(noticed).collect(),
    }
}

pub(crate) fn given(contribution: &Contribution) -> Given {
    let Contribution { round, lease, units, weight, params, payload, payload_bytes, saturated, signature, .. } =
        contribution.clone();
    Given { round, lease, units, weight, params, payload, payload_bytes, saturated, signature }
}

/// A log whose record of `round` is another one, with all that follows made to fit.
pub(crate) fn rewritten(receipts: &[Receipt], round: usize) -> Vec<Batch> {
    let mut receipts = receipts.to_vec();
    let mut frontier = Frontier::new(Tree::Log);
    let mut previous = Digest::default();
    let mut batches = Vec::new();
    for (index, receipt) in receipts.iter_mut().enumerate() {
        let mut record = Record::decode(&receipt.record).expect("a record");
        record.previous = previous;
        record.saturated += u64::from(index == round);
        receipt.record = record.encode();
        previous = Record::digest(&receipt.record);
        let base = frontier.clone();
        frontier.append(previous);
        let (run, root) = (record.run, frontier.root());
        let head = syngrad_engine::receipt::Head { run, size: root.size, root: root.hash };
        batches.push(Batch { base, receipts: vec![receipt.clone()], head });
    }
    batches
}
