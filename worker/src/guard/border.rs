//! The border of the partner's machine: its policy, its account and its journal, for as long as the worker runs.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use syngrad_common::config::{CanonicalSpec, parse_policy};
use syngrad_common::limits::MAX_POLICY;
use syngrad_common::wire::RunOpened;
use syngrad_common::{Code, Failure};
use syngrad_dataset::PrivateData;
use syngrad_engine::digest::{Domain, Hasher};
use syngrad_engine::policy::{Day, Host, Objection, Opening, Parcel, Policy, Release, Request};
use syngrad_engine::session::Task;
use syngrad_engine::terms::Terms;
use syngrad_engine::{Digest, RunId};
use syngrad_model::layout;

use super::account::Account;
use super::journal::{Journal, unix_millis};
use super::state::StateFolder;
use crate::trainer::{Norms, Restraint, plan};

/// Bytes of a process that has no model yet.
const PROCESS: u64 = 32 << 20;
/// Copies of the params that a worker has at the least: those of the round, of the network, their gradient, the unit's
/// result, the sum and the payload.
const COPIES: u64 = 6;

/// A policy and where it is from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyInForce {
    /// The rules.
    pub policy: Policy,
    /// Their file; none if nobody has made rules.
    pub file: Option<PathBuf>,
}

impl fmt::Display for PolicyInForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "the policy in force is {}", file.display()),
            None => f.write_str("there is no policy: nothing is refused and nothing is limited"),
        }
    }
}

/// Reads a policy.
///
/// # Errors
/// [`Failure`] that names the file, what is wrong with it, and where.
pub fn read_policy(file: &Path) -> Result<PolicyInForce, Failure> {
    let wrong = |why: String| Failure::new(Code::PolicyUnusable, format!("{}: {why}", file.display()));
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|why| wrong(why.to_string()))?;
    let read = opened.take(MAX_POLICY as u64 + 1).read_to_string(&mut text);
    read.map_err(|why| wrong(why.to_string()))?;
    let policy = parse_policy(&text).map_err(|why| wrong(why.to_string()))?;
    Ok(PolicyInForce { policy, file: Some(file.to_owned()) })
}

/// Why an update stays here.
#[derive(Debug)]
pub(crate) enum Held {
    /// It will never leave.
    ForGood(Failure),
    /// The day's bytes are used up.
    ForToday(Failure),
}

/// What the partner lets out.
#[derive(Debug)]
pub(crate) struct Border {
    pub(crate) in_force: PolicyInForce,
    pub(crate) journal: Journal,
    account: Account,
    /// Bytes of the last update: another one is as large, until it is another run's.
    last_bytes: u64,
    folder: Option<StateFolder>,
}

/// Seconds since 1970-01-01 00:00 UTC by this machine's clock.
pub(crate) fn unix_seconds() -> u64 {
    unix_millis() / 1000
}

impl Border {
    pub(crate) fn new(in_force: PolicyInForce, folder: Option<StateFolder>) -> Result<Self, Failure> {
        let path = folder.as_ref().map(StateFolder::path);
        Ok(Self {
            account: Account::open(path, in_force.policy.limits())?,
            journal: path.map_or_else(|| Ok(Journal::none()), Journal::open)?,
            last_bytes: 0,
            in_force,
            folder,
        })
    }

    pub(crate) fn folder(&self) -> Option<&StateFolder> {
        self.folder.as_ref()
    }

    /// What the trainer is held to.
    pub(crate) fn restraint(&self) -> Restraint {
        let norms = if self.journal.is_kept() { Norms::Taken } else { Norms::Skipped };
        Restraint { share: self.in_force.policy.share(), max_norm: self.in_force.policy.max_norm, norms }
    }

    /// Bytes of samples that may be kept for a run, of the `most` that are kept without a policy.
    pub(crate) fn cache(&self, most: u64) -> u64 {
        self.in_force.policy.memory().map_or(most, |memory| most.min(memory / 4))
    }

    /// Whether the partner takes part in a run. What cannot be read is left to the trainer, who says so.
    pub(crate) fn admit(&self, opened: &RunOpened, host: Host, own: Option<&PrivateData>) -> Result<(), Failure> {
        let Ok(canonical) = CanonicalSpec::from_wire(&opened.spec, opened.spec_digest) else { return Ok(()) };
        let spec = canonical.spec();
        let Ok(plan) = plan(spec, opened) else { return Ok(()) };
        let params = layout(&spec.model).params() as u64;
        let samples = own.map_or(0, |own| (own.samples() * own.inputs()) as u64);
        let memory = PROCESS + params * 4 * COPIES + samples;
        let request = Request::new(host, spec, &Terms::new(spec, plan.rounds(), params), memory);
        self.in_force.policy.admit(&request).map_err(|objections| {
            let objections: Vec<String> = objections.iter().map(Objection::to_string).collect();
            let file = self.in_force.file.as_deref().map(|file| format!(" ({})", file.display())).unwrap_or_default();
            let why = format!("the partner's policy{file} refuses it: {}", objections.join("; "));
            Failure::new(Code::PolicyRefuses, why)
        })
    }

    /// Counts an update of `bytes` that is about to leave, or says why it stays.
    pub(crate) fn release(&mut self, task: &Task, bytes: u64) -> Result<(), Held> {
        self.check_memory().map_err(Held::ForGood)?;
        let Task { run, round, params, .. } = *task;
        let parcel = Parcel { day: Day::of(unix_seconds()), run, round, params, bytes };
        self.last_bytes = bytes;
        let release = self.account.release(parcel).map_err(Held::ForGood)?;
        let spent = || Failure::new(Code::PolicySpent, format!("an update was held back: {release}"));
        match release {
            Release::Granted | Release::GrantedOnceKept(_) => Ok(()),
            Release::DayIsSpent { .. } => Err(Held::ForToday(spent())),
            Release::RunIsSpent { .. } => Err(Held::ForGood(spent())),
        }
    }

    /// Whether another update like the last one may leave today.
    pub(crate) fn has_room(&self) -> bool {
        self.account.has_room(Day::of(unix_seconds()), self.last_bytes)
    }

    /// Whether the worker works at this hour.
    pub(crate) fn opening(&self) -> Opening {
        let always = Opening::Open { seconds: None };
        self.in_force.policy.schedule.as_ref().map_or(always, |hours| hours.at(unix_seconds()))
    }

    /// Whether anything changes with the time of the day.
    pub(crate) fn minds_the_clock(&self) -> bool {
        self.in_force.policy.schedule.is_some() || self.in_force.policy.max_update_bytes_a_day.is_some()
    }

    pub(crate) fn bytes_today(&self) -> u64 {
        self.account.bytes(Day::of(unix_seconds()))
    }

    pub(crate) fn rounds(&self, run: RunId) -> u32 {
        self.account.rounds(run)
    }

    /// The digest by which a coordinator knows the partner's samples again in a run. A bound on the norm is part of what is
    /// computed from them, so a worker with another bound has another digest.
    pub(crate) fn digest_of(&self, own: &Arc<PrivateData>, run: RunId) -> Digest {
        let digest = own.digest_in(run);
        match self.in_force.policy.max_norm {
            None => digest,
            Some(most) => {
                let mut hasher = Hasher::new(Domain::Data);
                hasher.update(digest.as_ref()).update(b"max_norm").update(&most.to_le_bytes());
                hasher.finish()
            }
        }
    }

    /// Writes down what is to be written down at an orderly end.
    pub(crate) fn close(&self) {
        self.account.close();
        self.journal.close();
    }

    fn check_memory(&self) -> Result<(), Failure> {
        let (Some(most), Some(found)) = (self.in_force.policy.memory(), resident()) else { return Ok(()) };
        match found > most {
            true => {
                let (most, found) = (most >> 20, found >> 20);
                let why = format!("an update was held back: memory_mb is {most}, and the worker uses {found} MiB");
                Err(Failure::new(Code::PolicySpent, why))
            }
            false => Ok(()),
        }
    }
}

/// Bytes of memory that this process has now, where the system says so.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    // Linux counts in pages of 4 KiB on the machines that this runs on.
    Some(pages * 4096)
}

#[cfg(test)]
mod tests {
    use syngrad_dataset::Samples;

    use super::*;

    #[test]
    fn a_policy_that_cannot_be_used_names_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("policy.toml");
        assert_eq!(read_policy(&file).expect_err("absent").code, Code::PolicyUnusable);
        std::fs::write(&file, "max_round = 1").expect("room");
        let failure = read_policy(&file).expect_err("no such key");
        let words = ["policy.toml", "line 1", "did you mean \"max_rounds\"?"];
        assert!(words.iter().all(|word| failure.message.contains(word)), "{failure}");
        std::fs::write(&file, "max_rounds = 1").expect("room");
        assert_eq!(read_policy(&file).expect("good").policy.max_rounds, Some(1));
    }

    #[test]
    fn a_bound_on_the_norm_is_part_of_what_the_samples_are_known_by() {
        let samples = Samples::new(1, 256, vec![1, 2], vec![0, 1]).expect("samples");
        let own = Arc::new(PrivateData::new(samples));
        let digest = |max_norm| {
            let policy = Policy { max_norm, ..Policy::default() };
            let border = Border::new(PolicyInForce { policy, file: None }, None).expect("no limits");
            border.digest_of(&own, RunId([1; 16]))
        };
        assert_eq!(digest(None), own.digest_in(RunId([1; 16])));
        assert!(digest(Some(1.0)) != digest(None) && digest(Some(1.0)) != digest(Some(2.0)));
    }

    #[test]
    fn memory_is_measured_where_the_system_says_it() {
        if cfg!(target_os = "linux") {
            assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
        }
        let policy = Policy { memory_mb: Some(1), ..Policy::default() };
        let border = Border::new(PolicyInForce { policy, file: None }, None).expect("no limits");
        assert_eq!(border.check_memory().is_err(), cfg!(target_os = "linux"));
    }
}
