//! The hot loops of the optimisers. `g` is a gradient's element, `p` a param's, `m` and `v` those of its moments.

use crate::vectorized::vectorized;

/// The constants of one step of Adam, AdamW, FedAdam or Yogi.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamStep {
    /// What decoupled weight decay leaves of a param: 1 - rate · decay.
    keep: f32,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    /// rate / (1 - β₁^t).
    rate: f32,
    /// 1 / √(1 - β₂^t).
    root: f32,
    epsilon: f32,
}

impl AdamStep {
    /// Constants of step `t`, from 1, computed in f64 and rounded once.
    pub(super) fn new(rate: f32, t: u32, beta1: f64, beta2: f64, epsilon: f64, decay: f64) -> Self {
        let correction = |beta: f64| 1.0 - libm::pow(beta, f64::from(t));
        Self {
            keep: (1.0 - f64::from(rate) * decay) as f32,
            beta1: beta1 as f32,
            rest1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            rest2: (1.0 - beta2) as f32,
            rate: (f64::from(rate) / correction(beta1)) as f32,
            root: (1.0 / correction(beta2).sqrt()) as f32,
            epsilon: epsilon as f32,
        }
    }

    /// Constants of any step without bias correction and decay, rounded to f32 once.
    pub(super) fn uncorrected(rate: f32, beta1: f64, beta2: f64, epsilon: f64) -> Self {
        Self {
            keep: 1.0,
            beta1: beta1 as f32,
            rest1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            rest2: (1.0 - beta2) as f32,
            rate,
            root: 1.0,
            epsilon: epsilon as f32,
        }
    }
}

/// The constants of one Adagrad step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdagradStep {
    rate: f32,
    epsilon: f32,
}

impl AdagradStep {
    /// Constants, rounded to f32 once.
    pub(super) fn new(rate: f32, epsilon: f64) -> Self {
        Self { rate, epsilon: epsilon as f32 }
    }
}

/// The constants of one RMSprop step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RmspropStep {
    rate: f32,
    alpha: f32,
    rest: f32,
    epsilon: f32,
    momentum: f32,
}

impl RmspropStep {
    /// Constants, rounded to f32 once.
    pub(super) fn new(rate: f32, alpha: f64, epsilon: f64, momentum: f64) -> Self {
        Self {
            rate,
            alpha: alpha as f32,
            rest: (1.0 - alpha) as f32,
            epsilon: epsilon as f32,
            momentum: momentum as f32,
        }
    }
}

vectorized! {
    /// p ← p - rate · g
    pub(super) fn sgd(rate: f32, gradient: &[f32], params: &mut [f32]) {
        for (p, &g) in params.iter_mut().zip(gradient) {
            *p -= rate * g;
        }
    }

    /// m ← μ · m + g, p ← p - rate · m
    pub(super) fn momentum(rate: f32, mu: f32, gradient: &[f32], params: &mut [f32], first: &mut [f32]) {
        for ((p, &g), m) in params.iter_mut().zip(gradient).zip(first) {
            *m = mu * *m + g;
            *p -= rate * *m;
        }
    }

    /// m ← μ · m + g, p ← p - rate · (g + μ · m)
    pub(super) fn nesterov(rate: f32, mu: f32, gradient: &[f32], params: &mut [f32], first: &mut [f32]) {
        for ((p, &g), m) in params.iter_mut().zip(gradient).zip(first) {
            *m = mu * *m + g;
            *p -= rate * (g + mu * *m);
        }
    }

    /// m ← β₁ · m + (1 - β₁) · g, v ← β₂ · v + (1 - β₂) · g², p ← keep · p - rate · m̂ / (√v̂ + ε)
    /// with m̂ = m / (1 - β₁^t), v̂ = v / (1 - β₂^t), keep = 1 - rate · decay
    pub(super) fn adam(
        step: &AdamStep,
        gradient: &[f32],
        params: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let AdamStep { keep, beta1, rest1, beta2, rest2, rate, root, epsilon } = *step;
        for (((p, &g), m), v) in params.iter_mut().zip(gradient).zip(first).zip(second) {
            *m = beta1 * *m + rest1 * g;
            *v = beta2 * *v + rest2 * (g * g);
            *p = keep * *p - rate * *m / (v.sqrt() * root + epsilon);
        }
    }

    /// m ← β₁ · m + (1 - β₁) · g, v ← v - (1 - β₂) · sign(v - g²) · g², p ← p - rate · m / (√v + ε)
    pub(super) fn yogi(
        step: &AdamStep,
        gradient: &[f32],
        params: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let AdamStep { beta1, rest1, rest2, rate, epsilon, .. } = *step;
        for (((p, &g), m), v) in params.iter_mut().zip(gradient).zip(first).zip(second) {
            let square = g * g;
            let change = rest2 * square;
            let fall = if *v > square { change } else { 0.0 };
            let rise = if *v < square { change } else { 0.0 };
            *m = beta1 * *m + rest1 * g;
            *v = *v - fall + rise;
            *p -= rate * *m / (v.sqrt() + epsilon);
        }
    }

    /// v ← v + g², p ← p - rate · g / (√v + ε)
    pub(super) fn adagrad(step: &AdagradStep, gradient: &[f32], params: &mut [f32], second: &mut [f32]) {
        let AdagradStep { rate, epsilon } = *step;
        for ((p, &g), v) in params.iter_mut().zip(gradient).zip(second) {
            *v += g * g;
            *p -= rate * g / (v.sqrt() + epsilon);
        }
    }

    /// v ← α · v + (1 - α) · g², p ← p - rate · g / (√v + ε)
    pub(super) fn rmsprop(step: &RmspropStep, gradient: &[f32], params: &mut [f32], second: &mut [f32]) {
        let RmspropStep { rate, alpha, rest, epsilon, .. } = *step;
        for ((p, &g), v) in params.iter_mut().zip(gradient).zip(second) {
            *v = alpha * *v + rest * (g * g);
            *p -= rate * g / (v.sqrt() + epsilon);
        }
    }

    /// v ← α · v + (1 - α) · g², m ← μ · m + g / (√v + ε), p ← p - rate · m
    pub(super) fn rmsprop_with_momentum(
        step: &RmspropStep,
        gradient: &[f32],
        params: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let RmspropStep { rate, alpha, rest, epsilon, momentum } = *step;
        for (((p, &g), m), v) in params.iter_mut().zip(gradient).zip(first).zip(second) {
            *v = alpha * *v + rest * (g * g);
            *m = momentum * *m + g / (v.sqrt() + epsilon);
            *p -= rate * *m;
        }
    }
}
