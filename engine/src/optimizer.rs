//! Optimisers as fused loops on flat vectors: one pass over params, gradient and state for each step.
//!
//! The formulas are PyTorch's (torch.optim, 2.x), which the golden vectors in `tests/golden` were made with:
//! * SGD with momentum and Nesterov's look-ahead: Sutskever et al. 2013, without dampening;
//! * Adam: Kingma and Ba 2015, arXiv 1412.6980;
//! * AdamW: Loshchilov and Hutter 2019, arXiv 1711.05101;
//! * RMSprop: Hinton, Coursera lecture 6e; not centred;
//! * Adagrad: Duchi et al. 2011.
//!
//! Two are not in PyTorch; their golden vectors come from the papers' formulas in f64:
//! * FedAdam's server step: Reddi et al. 2021, arXiv 2003.00295, algorithm 2. It is no Adam: without bias correction and
//!   with a second moment that begins at τ², early steps are short where Adam's have full length for every param. A
//!   server takes tens of steps, not thousands, so all of them are early.
//! * Yogi: Zaheer et al. 2018, whose second moment moves by its own size at most, so that it forgets slowly.
//!
//! Every element takes the same IEEE operations in the same order, none of them fused, so the vector width does not
//! change a bit. Bias corrections are functions of the step's number through libm's power, which has the same bits
//! everywhere.

mod kernel;

use thiserror::Error;

use crate::spec::OptimizerSpec;
use kernel::{AdagradStep, AdamStep, RmspropStep};

/// An optimiser and its state over flat params.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    spec: OptimizerSpec,
    state: OptimizerState,
}

/// What an optimiser remembers between steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState {
    /// Steps taken.
    pub steps: u32,
    /// The momentum or first moment of every param; empty if the optimiser has none.
    pub first: Vec<f32>,
    /// The second moment of every param; empty if the optimiser has none.
    pub second: Vec<f32>,
}

/// Why a state is not one of this optimiser.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the optimiser's {moment} moment has {found} values where {expected} are needed; \
     the state belongs to another optimiser or model"
)]
pub struct OptimizerStateError {
    moment: &'static str,
    found: usize,
    expected: usize,
}

impl Optimizer {
    /// An optimiser of `params` params that has taken no step.
    #[must_use]
    pub fn new(spec: &OptimizerSpec, params: usize) -> Self {
        let (first, second) = moments(spec, params);
        let state = OptimizerState { steps: 0, first: vec![0.0; first], second: vec![initial_second(spec); second] };
        Self { spec: spec.clone(), state }
    }

    /// An optimiser that goes on from `state`.
    ///
    /// # Errors
    /// [`OptimizerStateError`] when the state is not that of such an optimiser over `params` params.
    pub fn from_state(spec: &OptimizerSpec, params: usize, state: OptimizerState) -> Result<Self, OptimizerStateError> {
        let (first, second) = moments(spec, params);
        for (moment, found, expected) in [("first", state.first.len(), first), ("second", state.second.len(), second)] {
            if found != expected {
                return Err(OptimizerStateError { moment, found, expected });
            }
        }
        Ok(Self { spec: spec.clone(), state })
    }

    /// What the optimiser remembers.
    #[must_use]
    pub fn state(&self) -> &OptimizerState {
        &self.state
    }

    /// Forgets all steps, keeping the buffers.
    pub fn reset(&mut self) {
        self.state.steps = 0;
        self.state.first.fill(0.0);
        self.state.second.fill(initial_second(&self.spec));
    }

    /// Moves `params` one step against `gradient`.
    ///
    /// # Panics
    /// If params or gradient have another length than the optimiser was made for.
    pub fn step(&mut self, learning_rate: f32, gradient: &[f32], params: &mut [f32]) {
        let step = self.begin(learning_rate);
        self.apply(&step, 0, gradient, params);
    }

    /// Begins a step, which [`Optimizer::apply`] then takes for every param, once each.
    pub(crate) fn begin(&mut self, learning_rate: f32) -> Step {
        self.state.steps = self.state.steps.saturating_add(1);
        let steps = self.state.steps;
        match self.spec {
            OptimizerSpec::Sgd { momentum: 0.0, .. } => Step::Sgd { rate: learning_rate },
            OptimizerSpec::Sgd { momentum, nesterov: false, .. } => {
                Step::Momentum { rate: learning_rate, mu: momentum as f32 }
            }
            OptimizerSpec::Sgd { momentum, nesterov: true, .. } => {
                Step::Nesterov { rate: learning_rate, mu: momentum as f32 }
            }
            OptimizerSpec::Adam { beta1, beta2, epsilon, .. } => {
                Step::Adam(AdamStep::new(learning_rate, steps, beta1, beta2, epsilon, 0.0))
            }
            OptimizerSpec::Adamw { beta1, beta2, epsilon, weight_decay, .. } => {
                Step::Adam(AdamStep::new(learning_rate, steps, beta1, beta2, epsilon, weight_decay))
            }
            OptimizerSpec::Fedadam { beta1, beta2, epsilon, .. } => {
                Step::Adam(AdamStep::uncorrected(learning_rate, beta1, beta2, epsilon))
            }
            OptimizerSpec::Yogi { beta1, beta2, epsilon, .. } => {
                Step::Yogi(AdamStep::uncorrected(learning_rate, beta1, beta2, epsilon))
            }
            OptimizerSpec::Adagrad { epsilon, .. } => Step::Adagrad(AdagradStep::new(learning_rate, epsilon)),
            OptimizerSpec::Rmsprop { alpha, epsilon, momentum, .. } => {
                let step = RmspropStep::new(learning_rate, alpha, epsilon, momentum);
                if momentum == 0.0 { Step::Rmsprop(step) } else { Step::RmspropWithMomentum(step) }
            }
        }
    }

    /// Takes `step` for the params from number `first` on.
    ///
    /// # Panics
    /// If params and gradient differ in length, or go beyond what the optimiser was made for.
    pub(crate) fn apply(&mut self, step: &Step, first: usize, gradient: &[f32], params: &mut [f32]) {
        assert_eq!(gradient.len(), params.len(), "a gradient has a value for every param");
        let range = first..first + params.len();
        let of = |moment: &mut Vec<f32>| if moment.is_empty() { 0..0 } else { range.clone() };
        let OptimizerState { first, second, .. } = &mut self.state;
        let (first_range, second_range) = (of(first), of(second));
        let (first, second) = (&mut first[first_range], &mut second[second_range]);
        match step {
            Step::Sgd { rate } => kernel::sgd(*rate, gradient, params),
            Step::Momentum { rate, mu } => kernel::momentum(*rate, *mu, gradient, params, first),
            Step::Nesterov { rate, mu } => kernel::nesterov(*rate, *mu, gradient, params, first),
            Step::Adam(step) => kernel::adam(step, gradient, params, first, second),
            Step::Yogi(step) => kernel::yogi(step, gradient, params, first, second),
            Step::Adagrad(step) => kernel::adagrad(step, gradient, params, second),
            Step::Rmsprop(step) => kernel::rmsprop(step, gradient, params, second),
            Step::RmspropWithMomentum(step) => {
                kernel::rmsprop_with_momentum(step, gradient, params, first, second);
            }
        }
    }
}

/// The constants of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Sgd { rate: f32 },
    Momentum { rate: f32, mu: f32 },
    Nesterov { rate: f32, mu: f32 },
    Adam(AdamStep),
    Yogi(AdamStep),
    Adagrad(AdagradStep),
    Rmsprop(RmspropStep),
    RmspropWithMomentum(RmspropStep),
}

/// Lengths of the first and the second moment.
fn moments(spec: &OptimizerSpec, params: usize) -> (usize, usize) {
    let if_any = |momentum: f64| if momentum == 0.0 { 0 } else { params };
    match *spec {
        OptimizerSpec::Sgd { momentum, .. } => (if_any(momentum), 0),
        OptimizerSpec::Adam { .. }
        | OptimizerSpec::Adamw { .. }
        | OptimizerSpec::Fedadam { .. }
        | OptimizerSpec::Yogi { .. } => (params, params),
        OptimizerSpec::Adagrad { .. } => (0, params),
        OptimizerSpec::Rmsprop { momentum, .. } => (if_any(momentum), params),
    }
}

/// Where every second moment begins.
fn initial_second(spec: &OptimizerSpec) -> f32 {
    match *spec {
        OptimizerSpec::Fedadam { initial_accumulator, .. }
        | OptimizerSpec::Yogi { initial_accumulator, .. }
        | OptimizerSpec::Adagrad { initial_accumulator, .. } => initial_accumulator as f32,
        OptimizerSpec::Sgd { .. }
        | OptimizerSpec::Adam { .. }
        | OptimizerSpec::Adamw { .. }
        | OptimizerSpec::Rmsprop { .. } => 0.0,
    }
}
