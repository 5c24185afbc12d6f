//! What the person who runs a worker is told: one line each time something changes.

use std::path::Path;

use syngrad_common::{Code, Failure};
use syngrad_engine::session::{Cause, Report};
use syngrad_engine::{Round, Time};

use crate::guard::{Ledger, PolicyInForce};

/// Whether a line is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Things go as they should.
    Fine,
    /// Something is wrong; the worker goes on as far as it can.
    Trouble,
}

/// One line for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whether it is good news.
    pub tone: Tone,
    /// The code of a trouble, for `syngrad explain`.
    pub code: Option<Code>,
    /// The line.
    pub text: String,
}

/// Takes lines; the caller decides where they go.
pub trait Reporter {
    /// Takes the next line.
    fn line(&mut self, line: Line);
}

impl<F: FnMut(Line)> Reporter for F {
    fn line(&mut self, line: Line) {
        self(line);
    }
}

/// What the worker is held to, and where it keeps what it must not forget.
pub(crate) fn in_force(policy: &PolicyInForce, folder: Option<&Path>) -> Line {
    let text = match folder {
        Some(folder) => format!("{policy}; what leaves is written down in {}", folder.display()),
        None => format!("{policy}; what leaves is written down nowhere"),
    };
    Line { tone: Tone::Fine, code: None, text }
}

/// An update is accepted, and this machine will not be asked for it again.
pub(crate) fn accepted(round: Round) -> Line {
    Line { tone: Tone::Fine, code: None, text: format!("the update of round {round} is accepted") }
}

/// Puts a session's report in words. `trouble` is the last failure of the link or the preparation.
pub(crate) fn put(report: Report, now: Time, trouble: Option<&Failure>, ledger: &Ledger) -> Line {
    let fine = |text| Line { tone: Tone::Fine, code: None, text };
    let code = trouble.map(|failure| failure.code);
    let bad = |code, text| Line { tone: Tone::Trouble, code, text };
    match report {
        Report::Connected => fine("connected to the coordinator".to_owned()),
        Report::Working { run } => fine(format!("working for run {run}")),
        Report::RunClosed { run, how } => fine(format!("run {run} is over: {how}; {ledger}")),
        Report::Unreachable { why, again } => {
            let wait = again.since(now).as_secs_f64();
            bad(
                code.or(Some(Code::ConnectionLost)),
                format!("no connection: {why}; next try in {wait:.1} s, and so on"),
            )
        }
        Report::Refused { why } => bad(code, format!("the coordinator refuses this worker: {why}")),
        Report::Unfit { run, why } => {
            bad(code.or(Some(Code::Unfit)), format!("this worker cannot take part in run {run}: {why}"))
        }
        Report::Rejected { why } => bad(code, format!("an update was not counted: {why}")),
        Report::Paused { cause: cause @ Cause::Asked } => {
            fine(format!("paused: {cause}; `worker resume` ends that, and units go to others meanwhile"))
        }
        Report::Paused { cause: cause @ (Cause::Hours | Cause::Spent) } => {
            fine(format!("paused: {cause}; that ends by itself, and units go to others meanwhile"))
        }
        Report::Resumed => fine("the pause is over".to_owned()),
    }
}
