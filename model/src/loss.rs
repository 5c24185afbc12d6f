//! Softmax and its cross-entropy, in plain loops of IEEE operations.
//!
//! They are not left to the backend because its exponential is the platform's: `libm`'s is the same on all of them,
//! and 1 % of a step is cheap for not depending on a C library.

/// Turns a row of logits into probabilities that sum to 1. Returns log Σ exp(logit).
pub(crate) fn softmax(row: &mut [f32]) -> f32 {
    let peak = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = libm::expf(*value - peak);
        sum += *value;
    }
    for value in row.iter_mut() {
        *value /= sum;
    }
    libm::logf(sum) + peak
}

/// Replaces logits `[n, classes]` by the gradient of the summed cross-entropy with respect to them; returns that sum.
pub(crate) fn cross_entropy_gradient(logits: &mut [f32], labels: impl Iterator<Item = u8>, classes: usize) -> f64 {
    let mut sum = 0.0;
    for (row, label) in logits.chunks_exact_mut(classes).zip(labels) {
        let label = usize::from(label);
        let logit = row[label];
        sum += f64::from(softmax(row) - logit);
        row[label] -= 1.0;
    }
    sum
}

/// The index of the largest value; the first of equals.
///
/// # Panics
/// If the row is empty: there is no such index.
#[must_use]
pub fn argmax(row: &[f32]) -> usize {
    assert!(!row.is_empty(), "a row has classes");
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_sums_to_one_and_survives_large_logits() {
        let mut row = [1000.0, 1000.0, -1000.0];
        let log_sum = softmax(&mut row);
        assert_eq!(row, [0.5, 0.5, 0.0]);
        assert!((log_sum - (1000.0 + 2f32.ln())).abs() < 1e-3);
    }

    /// The reference values are those of `torch.nn.functional.cross_entropy(reduction="sum")`, by hand: log(e + 1) - 1
    /// and log(e + 1).
    #[test]
    fn the_gradient_is_probabilities_less_the_truth() {
        let mut logits = [1.0, 0.0, 1.0, 0.0];
        let loss = cross_entropy_gradient(&mut logits, [0, 1].into_iter(), 2);
        let log_sum = (1f64.exp() + 1.0).ln();
        assert!((loss - (2.0 * log_sum - 1.0)).abs() < 1e-6, "{loss}");
        let p = 1f32.exp() / (1f32.exp() + 1.0);
        for (found, expected) in logits.iter().zip([p - 1.0, 1.0 - p, p, -p]) {
            assert!((found - expected).abs() < 1e-6, "{logits:?}");
        }
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(argmax(&[0.2, 0.4, 0.4]), 1);
    }
}
