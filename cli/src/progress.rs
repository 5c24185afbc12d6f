//! A run as it goes: a moving bar where someone watches, a line an evaluation where a log is written.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::client::{EvaluationPoint, Phase, RunStatus};
use crate::output::Output;
use crate::table::{percent, thousands};

/// Shows a run's progress on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    output: Output,
    bar: Option<ProgressBar>,
    /// The newest round whose evaluation was shown.
    evaluated: Option<u32>,
    /// Why the run waits, as it was last said.
    reason: String,
}

/// Where a run stands, as far as progress goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) committed: u32,
    pub(crate) rounds: u32,
    pub(crate) samples_per_second: f64,
    pub(crate) evaluation: Option<&'a EvaluationPoint>,
}

impl Progress {
    /// Progress of nothing yet.
    #[must_use]
    pub(crate) fn new(output: Output) -> Self {
        let bar = output.is_watched().then(|| {
            let bar = ProgressBar::new(0);
            let style =
                ProgressStyle::with_template("{spinner} {msg}\n  [{bar:40}] round {pos}/{len}  {elapsed_precise}");
            bar.set_style(style.expect("the template is a constant").progress_chars("█▌ "));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { output, bar, evaluated: None, reason: String::new() }
    }

    /// Says something in between.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.output.say(line),
        }
    }

    /// Shows a run's new state.
    pub(crate) fn show(&mut self, status: &RunStatus) {
        if status.phase == Phase::Waiting && status.reason != self.reason {
            self.reason.clone_from(&status.reason);
            self.say(&status.reason);
        }
        self.step(Step {
            committed: status.rounds_committed,
            rounds: status.rounds,
            samples_per_second: status.samples_per_second(),
            evaluation: status.evaluations.last(),
        });
    }

    pub(crate) fn step(&mut self, step: Step<'_>) {
        let accuracy = step.evaluation.map(|point| point.accuracy);
        if let Some(bar) = &self.bar {
            bar.set_length(step.rounds.into());
            bar.set_position(step.committed.into());
            let quality =
                accuracy.map_or_else(String::new, |accuracy| format!("test accuracy {}  ", percent(accuracy)));
            bar.set_message(format!("{quality}{} samples/s", thousands(step.samples_per_second as u64)));
        }
        if let Some(point) = step.evaluation
            && self.evaluated.is_none_or(|shown| shown < point.round)
        {
            self.evaluated = Some(point.round);
            if self.bar.is_none() {
                self.output.say(&format!(
                    "round {}/{}: test accuracy {}, loss {:.4}, {:.2} s",
                    point.round + 1,
                    step.rounds,
                    percent(point.accuracy),
                    point.loss,
                    point.seconds
                ));
            }
        }
    }

    /// Takes the moving display away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
