//! The algorithms that are compared, and the constants that each may be given.

use syngrad_engine::spec::{Algorithm, OptimizerSpec};

use super::{Settings, UNITS};

/// Samples of a local step.
pub(super) const LOCAL_BATCH: u32 = 32;

/// Learning rates of local SGD.
const LOCAL_RATES: [f64; 3] = [0.1, 0.3, 0.6];
/// Learning rates of FedOpt's servers.
const SERVER_RATES: [f64; 3] = [0.01, 0.03, 0.1];
/// Learning rates of DiLoCo's inner AdamW.
const INNER_RATES: [f64; 3] = [0.001, 0.003, 0.01];
/// β₁, β₂, τ and the beginning of the second moment: those of the FedOpt paper.
const FEDOPT: (f64, f64, f64, f64) = (0.9, 0.99, 1e-3, 1e-6);

/// An algorithm.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) rounds: u32,
    pub(super) candidates: Vec<Candidate>,
}

/// An algorithm with constants.
#[derive(Clone)]
pub(super) struct Candidate {
    /// The constants, in words.
    pub(super) constants: String,
    pub(super) algorithm: Algorithm,
    pub(super) optimizer: OptimizerSpec,
}

/// When a unit ends.
#[derive(Clone, Copy)]
enum End {
    Epoch,
    Steps(u32),
}

fn local(rounds: u32, units: u32, end: End, proximal: f64, local_optimizer: OptimizerSpec) -> Algorithm {
    let (local_epochs, local_steps) = match end {
        End::Epoch => (Some(1), None),
        End::Steps(steps) => (None, Some(steps)),
    };
    Algorithm::Fedavg { rounds, units, local_epochs, local_steps, local_batch: LOCAL_BATCH, proximal, local_optimizer }
}

fn sgd(learning_rate: f64) -> OptimizerSpec {
    OptimizerSpec::Sgd { learning_rate, momentum: 0.0, nesterov: false }
}

/// Plain averaging of `units` units that each take an epoch of SGD.
pub(super) fn averaging(rounds: u32, units: u32) -> Vec<Candidate> {
    let candidate = |rate: f64| Candidate {
        constants: format!("local rate {rate}"),
        algorithm: local(rounds, units, End::Epoch, 0.0, sgd(rate)),
        optimizer: sgd(1.0),
    };
    LOCAL_RATES.map(candidate).to_vec()
}

/// All that are compared. Each passes as many samples through the network.
pub(super) fn all(settings: &Settings) -> Vec<Method> {
    let rounds = settings.rounds;
    let steps = settings.samples.div_ceil(UNITS * LOCAL_BATCH);
    let few = (rounds / 4).max(1);
    let method = |name, candidates| Method { name, rounds, candidates };
    vec![
        method("FedAvg", averaging(rounds, UNITS)),
        method("FedAvg, server momentum", momentum(rounds)),
        method("FedProx", proximal(rounds)),
        method("FedAdam", fedopt(rounds, fedadam)),
        method("FedYogi", fedopt(rounds, yogi)),
        method("FedAdagrad", fedopt(rounds, adagrad)),
        method("DiLoCo", diloco(rounds, steps)),
        Method { name: "DiLoCo, 4 times the steps", rounds: few, candidates: diloco(few, 4 * steps) },
    ]
}

fn momentum(rounds: u32) -> Vec<Candidate> {
    pairs(&LOCAL_RATES, &[0.9], |local_rate, momentum| Candidate {
        constants: format!("local rate {local_rate}, server rate 1, momentum {momentum}"),
        algorithm: local(rounds, UNITS, End::Epoch, 0.0, sgd(local_rate)),
        optimizer: OptimizerSpec::Sgd { learning_rate: 1.0, momentum, nesterov: false },
    })
}

fn proximal(rounds: u32) -> Vec<Candidate> {
    pairs(&LOCAL_RATES, &[0.01, 0.1], |local_rate, mu| Candidate {
        constants: format!("local rate {local_rate}, proximal {mu}"),
        algorithm: local(rounds, UNITS, End::Epoch, mu, sgd(local_rate)),
        optimizer: sgd(1.0),
    })
}

fn fedopt(rounds: u32, server: fn(f64) -> OptimizerSpec) -> Vec<Candidate> {
    pairs(&LOCAL_RATES[..2], &SERVER_RATES, |local_rate, rate| Candidate {
        constants: format!("local rate {local_rate}, server rate {rate}"),
        algorithm: local(rounds, UNITS, End::Epoch, 0.0, sgd(local_rate)),
        optimizer: server(rate),
    })
}

fn fedadam(learning_rate: f64) -> OptimizerSpec {
    let (beta1, beta2, epsilon, initial_accumulator) = FEDOPT;
    OptimizerSpec::Fedadam { learning_rate, beta1, beta2, epsilon, initial_accumulator }
}

fn yogi(learning_rate: f64) -> OptimizerSpec {
    let (beta1, beta2, epsilon, initial_accumulator) = FEDOPT;
    OptimizerSpec::Yogi { learning_rate, beta1, beta2, epsilon, initial_accumulator }
}

fn adagrad(learning_rate: f64) -> OptimizerSpec {
    let (_, _, epsilon, initial_accumulator) = FEDOPT;
    OptimizerSpec::Adagrad { learning_rate, epsilon, initial_accumulator }
}

fn diloco(rounds: u32, steps: u32) -> Vec<Candidate> {
    pairs(&INNER_RATES, &[0.5, 0.9], |inner_rate, momentum| {
        let inner = OptimizerSpec::Adamw {
            learning_rate: inner_rate,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
        };
        Candidate {
            constants: format!("inner rate {inner_rate}, outer rate 0.7, momentum {momentum}"),
            algorithm: local(rounds, UNITS, End::Steps(steps), 0.0, inner),
            optimizer: OptimizerSpec::Sgd { learning_rate: 0.7, momentum, nesterov: true },
        }
    })
}

/// Every constant of the first with every one of the second.
fn pairs(first: &[f64], second: &[f64], candidate: impl Fn(f64, f64) -> Candidate) -> Vec<Candidate> {
    first
        .iter()
        .flat_map(|&one| second.iter().map(move |&two| (one, two)))
        .map(|(one, two)| candidate(one, two))
        .collect()
}

#[cfg(test)]
mod tests {
    use syngrad_engine::Plan;
    use syngrad_engine::spec::Partition;

    use super::*;

    #[test]
    fn every_candidate_is_a_spec_and_passes_as_many_samples() {
        let settings =
            Settings { samples: 12_800, units: UNITS, rounds: 8, local_batch: LOCAL_BATCH, seeds: 1, held_out: 1 };
        for method in all(&settings) {
            for candidate in &method.candidates {
                let data = super::super::mnist(None, Partition::Iid {});
                let spec = super::super::spec(data, method.rounds, candidate, 0).expect("the demo is a spec");
                spec.check().expect("every constant is in its range");
                let plan = Plan::new(&spec, 12_800).expect("a plan");
                assert_eq!(plan.samples_in_round() * u64::from(plan.rounds()), 8 * 12_800, "{}", candidate.constants);
            }
        }
    }
}
