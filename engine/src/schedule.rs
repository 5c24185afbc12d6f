//! How the server's learning rate moves over a run.

use std::f64::consts::PI;

use crate::id::Round;
use crate::spec::Schedule;

/// The learning rate of `round` in a run of `rounds` rounds whose optimiser has the rate `base`.
///
/// A warm-up of w rounds gives round r < w the rate `base · (r + 1) / w`. From round w to the last one the rate then
/// falls from `base` to `base · final_fraction`; where those are one and the same round, it has the whole rate.
/// Computed in f64 and rounded once; the cosine is libm's, which has the same bits on every platform.
#[must_use]
pub fn learning_rate(base: f64, schedule: &Schedule, round: Round, rounds: u32) -> f32 {
    let factor = match *schedule {
        Schedule::Constant {} => 1.0,
        Schedule::Linear { final_fraction, warmup_rounds } => {
            decayed(round, rounds, warmup_rounds, final_fraction, |progress| 1.0 - progress)
        }
        Schedule::Cosine { final_fraction, warmup_rounds } => {
            decayed(round, rounds, warmup_rounds, final_fraction, |progress| 0.5 + 0.5 * libm::cos(PI * progress))
        }
    };
    (base * factor) as f32
}

/// The factor of a rate that falls along `shape`, which maps progress 0 to 1 onto 1 to 0.
fn decayed(round: Round, rounds: u32, warmup: u32, final_fraction: f64, shape: impl Fn(f64) -> f64) -> f64 {
    if round.0 < warmup {
        return f64::from(round.0 + 1) / f64::from(warmup);
    }
    let last = rounds.saturating_sub(1);
    if last <= warmup {
        return 1.0;
    }
    let progress = f64::from(round.0.min(last) - warmup) / f64::from(last - warmup);
    final_fraction + (1.0 - final_fraction) * shape(progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: &Schedule, rounds: u32) -> Vec<f32> {
        (0..rounds).map(|round| learning_rate(2.0, schedule, Round(round), rounds)).collect()
    }

    #[test]
    fn a_constant_rate_is_the_optimizers() {
        assert_eq!(rates(&Schedule::Constant {}, 3), [2.0; 3]);
    }

    #[test]
    fn a_linear_rate_falls_in_equal_steps_to_its_fraction() {
        let schedule = Schedule::Linear { final_fraction: 0.5, warmup_rounds: 0 };
        assert_eq!(rates(&schedule, 5), [2.0, 1.75, 1.5, 1.25, 1.0]);
    }

    #[test]
    fn a_warm_up_rises_to_the_whole_rate_before_the_fall() {
        let schedule = Schedule::Linear { final_fraction: 0.0, warmup_rounds: 4 };
        assert_eq!(rates(&schedule, 7), [0.5, 1.0, 1.5, 2.0, 2.0, 1.0, 0.0]);
    }

    #[test]
    fn a_cosine_is_half_way_down_in_the_middle() {
        let schedule = Schedule::Cosine { final_fraction: 0.0, warmup_rounds: 0 };
        let rates = rates(&schedule, 5);
        assert_eq!((rates[0], rates[2], rates[4]), (2.0, 1.0, 0.0));
        assert!(rates[1] > 1.7 && rates[3] < 0.3, "{rates:?}");
    }

    #[test]
    fn short_runs_and_late_rounds_have_a_rate() {
        let schedule = Schedule::Cosine { final_fraction: 0.25, warmup_rounds: 3 };
        assert_eq!(learning_rate(2.0, &schedule, Round(3), 4), 2.0);
        assert_eq!(learning_rate(2.0, &schedule, Round(9), 6), 0.5);
        assert_eq!(learning_rate(2.0, &Schedule::Linear { final_fraction: 0.0, warmup_rounds: 0 }, Round(0), 1), 2.0);
    }
}
