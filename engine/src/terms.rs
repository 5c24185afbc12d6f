//! What a partner agrees to when it takes part in a run: what leaves its machine, what comes to it, how much of each, and
//! what hides it. Derived from the run spec alone, so that a partner computes it by itself and believes nobody.

use std::fmt;

use crate::spec::{Algorithm, DataSpec, RunSpec, UpdateBits};

/// The terms of a run for one of its workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The run's name.
    pub name: String,
    /// Number of params.
    pub params: u64,
    /// Rounds.
    pub rounds: u32,
    /// Whose samples are trained on.
    pub samples: Samples,
    /// What is in an update.
    pub sent: Sent,
    /// Bytes of an update in round 0, and in any later round.
    pub update_bytes: (u64, u64),
    /// Bytes of the params that come down each round.
    pub params_bytes: u64,
}

/// Whose samples are trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// The coordinator's: it leases them, and they are public within the consortium.
    Assigned,
    /// The partner's own: they stay where they are.
    Own,
}

/// What is in an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The sum of its units' gradients.
    Gradients,
    /// How far local training has moved the params.
    Deltas,
}

impl Terms {
    /// The terms of `spec`, with so many rounds and params.
    #[must_use]
    pub fn new(spec: &RunSpec, rounds: u32, params: u64) -> Self {
        let bytes_of = |bits: UpdateBits| params * bits.bytes() as u64;
        Self {
            name: spec.name.clone(),
            params,
            rounds,
            samples: match spec.data {
                DataSpec::Mnist { .. } | DataSpec::Synthetic { .. } => Samples::Assigned,
                DataSpec::Private { .. } => Samples::Own,
            },
            sent: match spec.algorithm {
                Algorithm::SyncSgd { .. } => Sent::Gradients,
                Algorithm::Fedavg { .. } => Sent::Deltas,
            },
            // Round 0 travels at 32 bits whatever the spec says.
            update_bytes: (bytes_of(UpdateBits::ThirtyTwo), bytes_of(spec.update_bits)),
            params_bytes: params * size_of::<f32>() as u64,
        }
    }

    /// The most bytes of updates that a worker sends in the run, if each of its leases is answered once.
    #[must_use]
    pub fn update_bytes_in_all(&self) -> u64 {
        let (first, later) = self.update_bytes;
        first.saturating_add(later.saturating_mul(u64::from(self.rounds.saturating_sub(1))))
    }
}

/// For people, a line a matter. What does not protect is named, too: gradients say much about the samples behind them
/// (Zhu et al. 2019, arXiv 1906.08935).
impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let (first, later) = self.update_bytes;
        writeln!(f, "run {}: {} rounds, a model of {} params", self.name, self.rounds, self.params)?;
        let samples = match self.samples {
            Samples::Assigned => "the coordinator's; they are sent to this machine, and none of yours are used",
            Samples::Own => "yours; they stay on this machine, their number and a digest of them are told",
        };
        writeln!(f, "samples    {samples}")?;
        let sent = match self.sent {
            Sent::Gradients => "the sum of gradients over the samples of a lease",
            Sent::Deltas => "how far training on the samples of a lease has moved the params",
        };
        writeln!(f, "sent       {sent}, and its summed loss; signed by this worker's key")?;
        writeln!(
            f,
            "how much   {:.2} MB in the first round, {:.2} MB in any other, {:.1} MB in all; {:.2} MB of params come down \
             each round",
            megabytes(first),
            megabytes(later),
            megabytes(self.update_bytes_in_all()),
            megabytes(self.params_bytes)
        )?;
        f.write_str(
            "privacy    no secure aggregation, no differential privacy: the coordinator sees each update as it is, and \
             updates say much about the samples behind them",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PartnerName;
    use crate::spec::{ModelSpec, OptimizerSpec, PartnerData, TestData};

    fn spec(data: DataSpec, update_bits: UpdateBits) -> RunSpec {
        let optimizer = OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false };
        RunSpec {
            name: "a".to_owned(),
            seed: 0,
            model: ModelSpec::Mlp { inputs: 2, hidden: vec![], classes: 2 },
            data,
            algorithm: Algorithm::Fedavg {
                rounds: 5,
                units: 1,
                local_epochs: Some(1),
                local_steps: None,
                local_batch: 1,
                proximal: 0.0,
                local_optimizer: optimizer.clone(),
            },
            optimizer,
            schedule: Default::default(),
            update_bits,
            quorum: Default::default(),
            evaluation: Default::default(),
            checkpoint: Default::default(),
            durability: Default::default(),
            numerics: Default::default(),
            archive: Default::default(),
        }
    }

    #[test]
    fn the_first_round_is_at_32_bits_and_the_others_at_those_of_the_spec() {
        let synthetic = DataSpec::Synthetic { samples: 10, inputs: 2, classes: 2, partition: Default::default() };
        let spec = spec(synthetic, UpdateBits::Eight);
        let terms = Terms::new(&spec, 5, 1_000);
        assert_eq!((terms.update_bytes, terms.params_bytes), ((4_000, 1_000), 4_000));
        assert_eq!(terms.update_bytes_in_all(), 4_000 + 4 * 1_000);
        assert_eq!((terms.samples, terms.sent), (Samples::Assigned, Sent::Deltas));
    }

    #[test]
    fn own_samples_stay_and_the_text_says_so() {
        let partners = vec![PartnerData { partner: PartnerName::parse("a").expect("a name"), samples: 4 }];
        let private = DataSpec::Private { inputs: 2, classes: 2, partners, test: TestData::None };
        let spec = spec(private, UpdateBits::ThirtyTwo);
        let terms = Terms::new(&spec, 5, 6);
        assert_eq!(terms.samples, Samples::Own);
        let text = terms.to_string();
        for part in ["they stay on this machine", "5 rounds", "no secure aggregation"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
