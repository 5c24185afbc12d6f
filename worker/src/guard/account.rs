//! The account of what may leave, on disk before it is used.

use std::fs::{File, OpenOptions, rename};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use syngrad_common::{Code, Failure};
use syngrad_engine::RunId;
use syngrad_engine::policy::{Allowance, Day, Limits, Parcel, Release, Spent};

use super::state::unusable;

const FILE: &str = "account.json";

/// The decisions of an [`Allowance`], and the file that it goes on from.
#[derive(Debug)]
pub(crate) struct Account {
    allowance: Allowance,
    limits: Limits,
    folder: Option<PathBuf>,
}

impl Account {
    /// Goes on with the account in `folder`.
    pub(crate) fn open(folder: Option<&Path>, limits: Limits) -> Result<Self, Failure> {
        let spent = match folder {
            Some(folder) => read(&folder.join(FILE))?,
            None if limits == Limits::default() => Spent::default(),
            None => {
                let why = "the policy limits what may leave, and the account of that outlives a worker only where it keeps \
                           state: leave --no-state out";
                return Err(Failure::new(Code::PolicyUnusable, why));
            }
        };
        Ok(Self { allowance: Allowance::new(limits, &spent), limits, folder: folder.map(Path::to_owned) })
    }

    /// Counts an update that is about to leave, or refuses it; what is granted is durable.
    pub(crate) fn release(&mut self, parcel: Parcel) -> Result<Release, Failure> {
        match self.allowance.release(parcel) {
            Release::GrantedOnceKept(spent) => {
                self.keep(&spent)?;
                Ok(Release::Granted)
            }
            release @ (Release::Granted | Release::DayIsSpent { .. } | Release::RunIsSpent { .. }) => Ok(release),
        }
    }

    pub(crate) fn has_room(&self, today: Day, bytes: u64) -> bool {
        self.allowance.has_room(today, bytes)
    }

    pub(crate) fn bytes(&self, today: Day) -> u64 {
        self.allowance.bytes(today)
    }

    pub(crate) fn rounds(&self, run: RunId) -> u32 {
        self.allowance.rounds(run)
    }

    /// Gives back what was set aside and not used.
    pub(crate) fn close(&self) {
        if self.limits != Limits::default()
            && let Err(failure) = self.keep(&self.allowance.spent())
        {
            // What is there says that more has left than did: the limits still hold.
            tracing::warn!(code = %failure.code, "{failure}");
        }
    }

    fn keep(&self, spent: &Spent) -> Result<(), Failure> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.join(FILE);
        write(folder, &path, spent).map_err(|why| unusable("writing", &path, &why))
    }
}

fn read(path: &Path) -> Result<Spent, Failure> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Spent::default()),
        Err(why) => return Err(unusable("reading", path, &why)),
    };
    serde_json::from_slice(&text).map_err(|why| {
        let file = path.display();
        let why =
            format!("{file} is damaged: {why}. Without it nobody knows what left; delete it to count from 0 again");
        Failure::new(Code::WorkerStateUnusable, why)
    })
}

/// The file is whole at every moment: another one takes its place.
fn write(folder: &Path, path: &Path, spent: &Spent) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut out = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    out.write_all(&serde_json::to_vec(spent)?)?;
    out.sync_data()?;
    rename(&new, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use syngrad_engine::{Digest, Round};

    use super::*;

    fn parcel(round: u32, bytes: u64) -> Parcel {
        Parcel { day: Day(20_000), run: RunId([1; 16]), round: Round(round), params: Digest::default(), bytes }
    }

    #[test]
    fn an_account_outlives_its_process_however_it_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let limits = Limits { rounds: Some(3), bytes_a_day: Some(1_000) };
        let open = || Account::open(Some(folder.path()), limits).expect("an account");
        let mut account = open();
        assert_eq!(account.release(parcel(0, 500)).expect("a disk"), Release::Granted);
        drop(account);
        let mut account = open();
        assert!(account.bytes(Day(20_000)) >= 500, "a crash gives nothing back");
        assert_eq!(account.release(parcel(1, 400)).expect("a disk"), Release::Granted);
        account.close();
        let mut account = open();
        assert_eq!((account.bytes(Day(20_000)), account.rounds(RunId([1; 16]))), (903, 2));
        assert_eq!(account.release(parcel(2, 98)).expect("a disk"), Release::DayIsSpent { bytes: 98, left: 97 });
        assert_eq!(account.release(parcel(2, 10)).expect("a disk"), Release::Granted);
        assert_eq!(account.release(parcel(3, 10)).expect("a disk"), Release::RunIsSpent { rounds: 3 });
    }

    #[test]
    fn a_damaged_account_and_one_that_nobody_keeps_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE), "{\"day\":").expect("room");
        let failure = Account::open(Some(folder.path()), Limits::default()).expect_err("damaged");
        assert!(failure.code == Code::WorkerStateUnusable && failure.message.contains(FILE), "{failure}");
        let limits = Limits { rounds: Some(1), bytes_a_day: None };
        assert_eq!(Account::open(None, limits).expect_err("nowhere").code, Code::PolicyUnusable);
        assert!(Account::open(None, Limits::default()).is_ok());
    }
}
