//! Draws from the Gamma and the Dirichlet distribution.
//!
//! Shapes far below 1 give values that f64 cannot hold, so all is done on logarithms. Additions and multiplications are
//! IEEE's in a fixed order, and the other functions are libm's, which have the same bits everywhere.

use std::f64::consts::TAU;

use crate::plan::even_bounds;
use crate::random::Stream;

/// The logarithm of a draw from Gamma(`shape`, 1): Marsaglia and Tsang, "A simple method for generating gamma
/// variables", 2000; below shape 1 from shape + 1 and a power of a uniform value, as they say in section 6.
fn ln_gamma(stream: &mut Stream, shape: f64) -> f64 {
    if shape < 1.0 {
        return ln_gamma(stream, shape + 1.0) + libm::log(stream.open_f64()) / shape;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(stream);
        let root = 1.0 + c * x;
        let v = root * root * root;
        if v > 0.0 && libm::log(stream.open_f64()) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return libm::log(d * v);
        }
    }
}

/// A draw from the standard normal distribution (Box and Muller 1958).
fn normal(stream: &mut Stream) -> f64 {
    let radius = (-2.0 * libm::log(stream.open_f64())).sqrt();
    radius * libm::cos(TAU * stream.open_f64())
}

/// The logarithms of a draw from a Dirichlet distribution, up to a common constant; -∞ where the concentration is 0.
pub(super) fn ln_dirichlet(stream: &mut Stream, concentrations: impl Iterator<Item = f64>) -> Vec<f64> {
    let part = |concentration: f64| match concentration > 0.0 {
        true => ln_gamma(stream, concentration),
        false => f64::NEG_INFINITY,
    };
    concentrations.map(part).collect()
}

/// The values whose logarithms, up to a common constant, are `logs`: the largest becomes 1.
pub(super) fn relative(logs: &[f64]) -> Vec<f64> {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logs.iter().map(|&log| libm::exp(log - largest)).collect()
}

/// Where shards of drawn sizes end, after a 0. Each has one sample, and its drawn part of the others.
pub(super) fn sizes(stream: &mut Stream, alpha: f64, samples: u32, units: u32) -> Vec<u32> {
    let parts = relative(&ln_dirichlet(stream, (0..units).map(|_| alpha)));
    let total: f64 = parts.iter().sum();
    let spare = f64::from(samples - units);
    let mut bounds = even_bounds(units, units);
    let mut sum = 0.0;
    for (bound, part) in bounds.iter_mut().skip(1).zip(parts) {
        sum += part;
        *bound += (spare * (sum / total)) as u32;
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn stream(at: u64) -> Stream {
        Stream::new(1, Purpose::Partition, &[at])
    }

    /// Mean and variance of Gamma(a, 1) are both a; the bounds are about five standard errors.
    #[test]
    fn gamma_values_have_the_mean_and_the_variance_of_their_shape() {
        for (at, shape) in [0.3, 1.0, 4.5].into_iter().enumerate() {
            let mut stream = stream(at as u64);
            let values: Vec<f64> = (0..40_000).map(|_| libm::exp(ln_gamma(&mut stream, shape))).collect();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
            assert!((mean - shape).abs() < 0.05 * shape.max(0.5), "mean {mean} of shape {shape}");
            assert!((variance - shape).abs() < 0.12 * shape.max(0.5), "variance {variance} of shape {shape}");
        }
    }

    #[test]
    fn the_smallest_shapes_still_have_a_largest_part() {
        let mut stream = stream(9);
        for _ in 0..100 {
            let parts = relative(&ln_dirichlet(&mut stream, [1e-8, 0.0, 1e-8].into_iter()));
            assert!(parts.contains(&1.0) && parts[1] == 0.0 && parts.iter().all(|part| part.is_finite()), "{parts:?}");
        }
    }
}
