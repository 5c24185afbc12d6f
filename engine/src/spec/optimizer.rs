//! Optimisers of the server and of local steps, as a spec names them.

use serde::{Deserialize, Serialize};

use super::check::{SpecError, decay, fraction, positive, require};

/// An optimiser and its constants. Defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OptimizerSpec {
    /// Gradient descent.
    Sgd {
        /// Learning rate.
        learning_rate: f64,
        /// Momentum; 0 is none.
        #[serde(default)]
        momentum: f64,
        /// Nesterov's look-ahead; needs momentum.
        #[serde(default)]
        nesterov: bool,
    },
    /// Adam (Kingma and Ba 2015, arXiv 1412.6980).
    Adam {
        /// Learning rate.
        learning_rate: f64,
        /// Decay of the first moment.
        #[serde(default = "defaults::beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "defaults::beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "defaults::epsilon")]
        epsilon: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101).
    Adamw {
        /// Learning rate.
        learning_rate: f64,
        /// Decay of the first moment.
        #[serde(default = "defaults::beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "defaults::beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "defaults::epsilon")]
        epsilon: f64,
        /// Decoupled weight decay.
        #[serde(default = "defaults::weight_decay")]
        weight_decay: f64,
    },
    /// RMSprop (Hinton, Coursera lecture 6e), as PyTorch has it.
    Rmsprop {
        /// Learning rate.
        learning_rate: f64,
        /// Decay of the second moment.
        #[serde(default = "defaults::alpha")]
        alpha: f64,
        /// Added to the root of the second moment.
        #[serde(default = "defaults::epsilon")]
        epsilon: f64,
        /// Momentum; 0 is none.
        #[serde(default)]
        momentum: f64,
    },
    /// The server's step of FedAdam (Reddi et al. 2021, arXiv 2003.00295, algorithm 2): Adam without bias correction,
    /// whose second moment begins above zero.
    Fedadam {
        /// Learning rate.
        learning_rate: f64,
        /// Decay of the first moment.
        #[serde(default = "defaults::beta1")]
        beta1: f64,
        /// Decay of the second moment; the paper's default, for a server takes few steps.
        #[serde(default = "defaults::server_beta2")]
        beta2: f64,
        /// Added to the root of the second moment: τ of the paper.
        #[serde(default = "defaults::server_epsilon")]
        epsilon: f64,
        /// Where the second moment begins: τ² in the paper.
        #[serde(default = "defaults::server_accumulator")]
        initial_accumulator: f64,
    },
    /// Yogi (Zaheer et al. 2018, "Adaptive methods for nonconvex optimization"), without bias correction. With
    /// `beta2 = 0.99` it is the server's step of FedYogi.
    Yogi {
        /// Learning rate.
        learning_rate: f64,
        /// Decay of the first moment.
        #[serde(default = "defaults::beta1")]
        beta1: f64,
        /// What a step leaves of the way from the second moment to the squared gradient's side.
        #[serde(default = "defaults::beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "defaults::server_epsilon")]
        epsilon: f64,
        /// Where the second moment begins.
        #[serde(default = "defaults::server_accumulator")]
        initial_accumulator: f64,
    },
    /// Adagrad (Duchi et al. 2011), as PyTorch has it. With `epsilon = 1e-3` and `initial_accumulator = 1e-6` it is the
    /// server's step of FedAdagrad.
    Adagrad {
        /// Learning rate.
        learning_rate: f64,
        /// Added to the root of the sum of squares.
        #[serde(default = "defaults::adagrad_epsilon")]
        epsilon: f64,
        /// Where the sum of squares begins.
        #[serde(default)]
        initial_accumulator: f64,
    },
}

mod defaults {
    pub(super) fn beta1() -> f64 {
        0.9
    }
    pub(super) fn beta2() -> f64 {
        0.999
    }
    pub(super) fn epsilon() -> f64 {
        1e-8
    }
    pub(super) fn weight_decay() -> f64 {
        0.01
    }
    pub(super) fn alpha() -> f64 {
        0.99
    }
    pub(super) fn server_beta2() -> f64 {
        0.99
    }
    pub(super) fn server_epsilon() -> f64 {
        1e-3
    }
    pub(super) fn server_accumulator() -> f64 {
        1e-6
    }
    pub(super) fn adagrad_epsilon() -> f64 {
        1e-10
    }
}

impl OptimizerSpec {
    /// `table` is the one that the spec has it in.
    pub(super) fn check(&self, table: &str) -> Result<(), SpecError> {
        let key = |name: &str| format!("{table}.{name}");
        positive(self.learning_rate(), 1e6, key("learning_rate"))?;
        match self {
            Self::Sgd { momentum, nesterov, .. } => {
                decay(*momentum, key("momentum"))?;
                require(!nesterov || *momentum > 0.0, key("nesterov"), nesterov, "it needs momentum above 0")
            }
            Self::Adam { beta1, beta2, epsilon, .. } => {
                decay(*beta1, key("beta1"))?;
                decay(*beta2, key("beta2"))?;
                positive(*epsilon, 1.0, key("epsilon"))
            }
            Self::Adamw { beta1, beta2, epsilon, weight_decay, .. } => {
                decay(*beta1, key("beta1"))?;
                decay(*beta2, key("beta2"))?;
                positive(*epsilon, 1.0, key("epsilon"))?;
                fraction(*weight_decay, key("weight_decay"))
            }
            Self::Fedadam { beta1, beta2, epsilon, initial_accumulator, .. }
            | Self::Yogi { beta1, beta2, epsilon, initial_accumulator, .. } => {
                decay(*beta1, key("beta1"))?;
                decay(*beta2, key("beta2"))?;
                positive(*epsilon, 1.0, key("epsilon"))?;
                fraction(*initial_accumulator, key("initial_accumulator"))
            }
            Self::Adagrad { epsilon, initial_accumulator, .. } => {
                positive(*epsilon, 1.0, key("epsilon"))?;
                fraction(*initial_accumulator, key("initial_accumulator"))
            }
            Self::Rmsprop { alpha, epsilon, momentum, .. } => {
                decay(*alpha, key("alpha"))?;
                positive(*epsilon, 1.0, key("epsilon"))?;
                decay(*momentum, key("momentum"))
            }
        }
    }

    /// The learning rate.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::Sgd { learning_rate, .. }
            | Self::Adam { learning_rate, .. }
            | Self::Adamw { learning_rate, .. }
            | Self::Fedadam { learning_rate, .. }
            | Self::Yogi { learning_rate, .. }
            | Self::Adagrad { learning_rate, .. }
            | Self::Rmsprop { learning_rate, .. } => *learning_rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optimizers_key_says_which_optimizer_it_is_of() {
        let sgd = OptimizerSpec::Sgd { learning_rate: 1e300, momentum: 0.0, nesterov: false };
        let refused = sgd.check("algorithm.local_optimizer").expect_err("too large");
        assert_eq!(
            (refused.key.as_str(), refused.found.as_str()),
            ("algorithm.local_optimizer.learning_rate", "1e300")
        );
    }

    #[test]
    fn a_servers_constants_have_ranges() {
        let refused = |spec: OptimizerSpec| spec.check("optimizer").expect_err("out of range").key;
        let fedadam = |beta2, epsilon, initial_accumulator| OptimizerSpec::Fedadam {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2,
            epsilon,
            initial_accumulator,
        };
        assert_eq!(fedadam(0.99, 1e-3, 0.0).check("optimizer"), Ok(()));
        assert_eq!(refused(fedadam(1.0, 1e-3, 1e-6)), "optimizer.beta2");
        assert_eq!(refused(fedadam(0.99, 0.0, 1e-6)), "optimizer.epsilon");
        assert_eq!(refused(fedadam(0.99, 1e-3, -1.0)), "optimizer.initial_accumulator");
        let adagrad = OptimizerSpec::Adagrad { learning_rate: 0.1, epsilon: 1e-10, initial_accumulator: f64::NAN };
        assert_eq!(refused(adagrad), "optimizer.initial_accumulator");
    }
}
