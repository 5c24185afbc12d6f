//! A run that is followed to its end, over restarts of its coordinator: it goes on by itself, so whoever watches does too.

use std::time::Duration;

use syngrad_common::Code;
use syngrad_engine::RunId;
use tokio::time::{Instant, sleep};

use crate::client::{Client, RunStatus, Target, Watch};
use crate::failure::Failure;
use crate::progress::Progress;

/// How long a coordinator that is gone is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first wait between two tries; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Follow {
    target: Target,
    run: Option<RunId>,
    watch: Watch,
}

impl Follow {
    /// Follows `run`, the newest if none is named, by the open connection of `client`.
    pub(super) async fn new(target: Target, client: &mut Client, run: Option<RunId>) -> Result<Self, Failure> {
        Ok(Self { target, run, watch: client.watch(run).await? })
    }

    /// The run's next state; one in which it is over comes last.
    ///
    /// # Errors
    /// If the coordinator stays away, or does not know the run any more.
    pub(super) async fn next(&mut self, progress: &Progress) -> Result<RunStatus, Failure> {
        let mut lost = match self.watch.next().await {
            Ok(Some(status)) => return Ok(self.seen(status)),
            Ok(None) => Failure::watch_ended(),
            Err(failure) => failure,
        };
        let (began, mut wait) = (Instant::now(), FIRST_WAIT);
        progress.say("the coordinator is gone; waiting for it to come back");
        while may_pass(&lost) && began.elapsed() < PATIENCE {
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            match self.again().await {
                Ok(status) => return Ok(self.seen(status)),
                Err(failure) => lost = failure,
            }
        }
        Err(lost.with_hint(self.how_to_go_on()))
    }

    /// What is known of the run when it is watched anew.
    async fn again(&mut self) -> Result<RunStatus, Failure> {
        self.watch = Client::connect(&self.target).await?.watch(self.run).await?;
        self.watch.next().await?.ok_or_else(Failure::watch_ended)
    }

    /// Whatever is started meanwhile, this run is the one that is followed.
    fn seen(&mut self, status: RunStatus) -> RunStatus {
        self.run = self.run.or_else(|| status.id());
        status
    }

    fn how_to_go_on(&self) -> String {
        let run = self.run.map(|run| run.to_string()).unwrap_or_default();
        let address = self.target.address();
        format!(
            "the run goes on when its coordinator is started again on the same state; then: \
             syngrad run watch {run} --coordinator {address}"
        )
    }
}

/// Whether it may be different the next time.
fn may_pass(failure: &Failure) -> bool {
    matches!(failure.code(), Code::ConnectionLost | Code::Unreachable | Code::ShuttingDown | Code::DeadlineExceeded)
}
